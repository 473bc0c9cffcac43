//! Linux itself, from Debian's source package under an el6-shaped spec: built for the stock 12 bits and for 20, each
//! booted, the second in the finished tree of the first, and once more from nothing on another day. Takes half an hour;
//! `scripts/test --quick` leaves it out.

mod module;
mod param;
mod vault;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::built::manifest;
use crate::support::chroot::Chroot;
use crate::support::kbuild::{Kbuild, Outcome};
use crate::support::package::{names, rpm};
use crate::support::sandbox::Sandbox;
use crate::support::signed::{self, Unpacked};
use crate::support::{repository, require, require_root};

/// What two kernels may take on a slow machine.
const PATIENCE: Duration = Duration::from_mins(45);

#[test]
fn linux_has_the_table_that_was_asked_for_and_the_stock_one_has_its_own() {
    if !["rpmbuild", "qemu-system-x86_64", "busybox", "depmod", "openssl"].into_iter().all(require) || !require_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = pack(&sandbox.path().join("in"));
    let (asked, stock) = (sandbox.out().join("asked"), sandbox.out().join("stock"));
    let build = |bits: &str, out: &Path| {
        sandbox.ipvs(&srpm, bits).instead("--out", out).args(["--profile", "fleet", "--boot", "--cache", "local"])
    };
    patiently(build("12", &stock).args(["--mode", "ba"])).prints("Connection hash table configured (size=4096,");
    let outcome = patiently(build("20", &asked));
    println!("{outcome}");
    outcome.prints("Connection hash table configured (size=1048576,");
    most_of_it_was_put_back(&stock, &asked);

    for (dir, bits, size) in [(&asked, 20, 1_048_576), (&stock, 12, 4096)] {
        let release = format!("-6.1.{}-1.el6.ipvs_{bits}bit.x86_64.rpm", sublevel(&srpm));
        let expected = ["kernel", "kernel-devel", "kernel-firmware", "kernel-headers"];
        let mut expected: Vec<_> = expected.map(|name| format!("{name}{release}")).into();
        if bits == 12 {
            expected.push(format!("kernel{}", release.replace(".x86_64.", ".src.")));
        }
        expected.sort();
        assert_eq!(names(dir), expected);
        all_levels_hold(&manifest(dir));
        let console = fs_err::read_to_string(dir.join("logs/06-boot.log")).unwrap();
        assert!(console.contains(&format!("Connection hash table configured (size={size},")), "{console}");
        // The kernel has taken the module's signature, and says so by saying nothing.
        assert!(!console.contains("module verification failed"), "{console}");
        the_kept_key_has_signed_its_modules(dir);
    }

    // The proof can fail: the stock kernel is not taken for the other.
    let verify = |dir: &Path, code| sandbox.kbuild().args(["verify", "--bits", "20"]).arg(dir).exits(code);
    verify(&asked, 0).prints("holds: 20 bits by default");
    verify(&stock, 9).prints("DIFFERS: expected 20 bits, found 12 bits");
    let boot = |dir: &Path, code| sandbox.kbuild().args(["boot", "--bits", "20"]).arg(dir).exits(code);
    boot(&stock, 9).prints("DIFFERS: expected 1048576 buckets, found 4096 buckets");

    installs_with_its_own_firmware_only(&sandbox, &asked, &stock);
    its_module_alone_is_built_for_the_stock_kernel(&stock);
    it_is_the_same_in_another_place_on_another_day(&srpm, &asked, &sandbox);
}

/// Every module is signed by the key whose certificate is among the results, and the kernel has that in itself.
fn the_kept_key_has_signed_its_modules(dir: &Path) {
    let kernel =
        names(dir).into_iter().find(|name| name.starts_with("kernel-6.1") && !name.ends_with(".src.rpm")).unwrap();
    let unpacked = Unpacked::new(&dir.join(kernel));
    let modules = unpacked.modules();
    assert!(modules.len() > 5, "{modules:?}");
    let certificate = signed::certificate(dir);
    for module in &modules {
        signed::verifies(module, &certificate).unwrap();
    }
    let image = unpacked.files(&|name| name.starts_with("vmlinuz-")).pop().unwrap();
    assert!(signed::has_in_itself(&fs_err::read(image).unwrap(), &fs_err::read(certificate).unwrap()));
}

/// Runs a build that may take long.
fn patiently(kbuild: Kbuild<'_>) -> Outcome {
    let mut running = kbuild.start();
    let started = Instant::now();
    while running.runs() {
        assert!(started.elapsed() < PATIENCE, "not done after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    running.exits(0)
}

/// What the second kernel could take of the first, it took; what sees the table was compiled.
fn most_of_it_was_put_back(first: &Path, second: &Path) {
    let compiled = |dir: &Path, key: &str| manifest(dir)["compiled"][key].clone();
    assert_eq!(compiled(first, "put-back"), Value::Null);
    assert!(compiled(second, "put-back").as_u64().unwrap() > 2000, "{}", compiled(second, "put-back"));
    let count = |dir: &Path| {
        let counts = compiled(dir, "statistics");
        ["hits", "misses"].map(|key| counts[key].as_u64().unwrap()).iter().sum::<u64>()
    };
    assert!(count(second) > 0 && count(second) * 10 < count(first), "{} of {}", count(second), count(first));
}

/// By another user, in another directory, forty days later, with nothing to take from: the same packages, byte for byte.
fn it_is_the_same_in_another_place_on_another_day(srpm: &Path, asked: &Path, made_in: &Sandbox) {
    assert!(require("faketime"), "nothing was compared");
    let place = Sandbox::of_ordinary_user();
    let srpm = place.input(srpm.file_name().unwrap().to_str().unwrap(), fs_err::read(srpm).unwrap());
    let rpmbuild = place.fake("rpmbuild", "exec faketime -f +40d /usr/bin/rpmbuild \"$@\"");
    let key = |name: &str| place.input(name, fs_err::read(made_in.work().join("signing").join(name)).unwrap());
    let kbuild = place.ipvs(&srpm, "20").args(["--profile", "fleet"]).fakes([&rpmbuild]);
    patiently(kbuild.arg("--sign-key").arg(key("key.pem")).arg("--sign-cert").arg(key("cert.pem")));
    assert_eq!(names(&place.out()), names(asked));
    for name in names(asked) {
        let difference = kbuild::proof::difference::first(&asked.join(&name), &place.out().join(&name)).unwrap();
        assert_eq!(difference, None, "{name}");
    }
}

/// The stock kernel is taken for a distribution's: from its own source package and its own kernel-devel, `ip_vs.ko` alone.
fn its_module_alone_is_built_for_the_stock_kernel(stock: &Path) {
    let place = Sandbox::new();
    let package = |name: &str, ending: &str| {
        let found = names(stock).into_iter().find(|file| file.starts_with(name) && file.ends_with(ending)).unwrap();
        place.input(&found, fs_err::read(stock.join(&found)).unwrap())
    };
    let (source, devel) = (package("kernel-6.1", ".src.rpm"), package("kernel-devel-6.1", ".rpm"));
    let (kernel, firmware) = (package("kernel-6.1", ".x86_64.rpm"), package("kernel-firmware-6.1", ".rpm"));
    let kbuild = place.ipvs(&source, "20").args(["--route", "module", "--boot", "--kernel-devel"]).arg(devel);
    let started = Instant::now();
    let outcome = patiently(kbuild.arg("--kernel").arg(&kernel));
    let took = started.elapsed();
    let made = manifest(&place.out());
    let held: Vec<_> = made["proof"].as_array().unwrap().iter().map(|finding| &finding["verdict"]["is"]).collect();
    // Level 3 is the distribution's.
    assert_eq!(held.iter().filter(|is| **is != "holds").count(), 1, "{outcome}");
    outcome.prints("Connection hash table configured (size=1048576,");
    outcome.prints("as the distribution's own ip_vs.ko");
    let of_kernel: f64 =
        manifest(stock)["stages"].as_array().unwrap().iter().filter_map(|stage| stage["seconds"].as_f64()).sum();
    // The benchmark has the exact figure (scripts/bench module): here, with other tests beside it, half of it will do.
    assert!(took.as_secs_f64() < of_kernel / 5.0, "{took:?} against {of_kernel} s");

    let release = made["uname-r"].as_str().unwrap();
    let [module] = names(&place.out()).try_into().unwrap();
    let root = Chroot::new();
    root.rpm(&["-i"], &[kernel, firmware]);
    root.depmod(release);
    assert!(root.module(release).ends_with("kernel/net/netfilter/ipvs/ip_vs.ko"), "{}", root.module(release));
    root.rpm(&["-i"], &[place.out().join(module)]);
    assert!(root.module(release).ends_with("extra/ip_vs/ip_vs.ko"), "{}", root.module(release));
    root.rpm(&["-e", "kmod-ip_vs-20bit"], &[]);
    assert!(root.module(release).ends_with("kernel/net/netfilter/ipvs/ip_vs.ko"), "{}", root.module(release));
}

/// Packs the source package and returns its path.
fn pack(dir: &Path) -> PathBuf {
    let script = repository().join("tests/kernels/el6-real/pack");
    let done = Command::new(script).arg(dir).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    PathBuf::from(String::from_utf8(done.stdout).unwrap().trim())
}

/// `kernel-6.1.192-1.el6.src.rpm` is of 6.1.192.
fn sublevel(srpm: &Path) -> String {
    let name = srpm.file_name().unwrap().to_str().unwrap();
    name.strip_prefix("kernel-6.1.").unwrap().split_once('-').unwrap().0.to_owned()
}

fn all_levels_hold(manifest: &Value) {
    assert_eq!(manifest["status"]["is"], "done");
    let findings = manifest["proof"].as_array().unwrap();
    for finding in findings {
        assert_eq!(finding["verdict"]["is"], "holds", "{finding}");
    }
    for level in 1..=5 {
        assert!(findings.iter().any(|finding| finding["level"] == level), "level {level} is missing");
    }
}

/// The kernel requires firmware at its own release, buildid included.
fn installs_with_its_own_firmware_only(sandbox: &Sandbox, asked: &Path, other: &Path) {
    let package = |dir: &Path, name: &str| {
        let ours = |file: &String| file.starts_with(&format!("{name}-6.1")) && file.ends_with(".x86_64.rpm");
        dir.join(names(dir).into_iter().find(ours).unwrap())
    };
    let install = |root: &str, packages: &[PathBuf]| {
        let root = sandbox.path().join(root);
        fs_err::create_dir_all(&root).unwrap();
        rpm(&sandbox.home()).arg("--root").arg(root).arg("-i").args(packages).output().unwrap()
    };
    let kernel = package(asked, "kernel");
    let alone = install("alone", std::slice::from_ref(&kernel));
    assert!(!alone.status.success(), "{}", said(&alone));
    assert!(said(&alone).contains("kernel-firmware >= "), "{}", said(&alone));
    // 12 sorts before 20, as a stock kernel-firmware without buildid would.
    let older = install("older", &[kernel.clone(), package(other, "kernel-firmware")]);
    assert!(!older.status.success(), "{}", said(&older));
    let both = install("both", &[kernel, package(asked, "kernel-firmware")]);
    assert!(both.status.success(), "{}", said(&both));
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
