//! The route `module` on a distribution's real kernel: Debian's own, its headers tree in place of kernel-devel, its image
//! packed as an RPM. The module is built, compared with Debian's own, signed, installed, and booted.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::built::{cached, manifest};
use crate::support::chroot::Chroot;
use crate::support::kbuild::Kbuild;
use crate::support::package::{names, repack_as};
use crate::support::sandbox::Sandbox;
use crate::support::{missing, repository, require, require_root};

/// What the build of one module and a boot may take on a slow machine.
const PATIENCE: Duration = Duration::from_mins(8);

/// Debian's kernel here: its headers tree, and what `uname -r` says of it.
fn headers() -> Option<(PathBuf, String)> {
    let entries = fs_err::read_dir("/usr/src").ok()?;
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("linux-headers-6.1.0-") && name.ends_with("-amd64")
    });
    found.sort_by_key(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.split('-').nth(3).and_then(|number| number.parse::<u32>().ok())
    });
    let tree = found.pop()?;
    let release = tree.file_name()?.to_str()?.strip_prefix("linux-headers-")?.to_owned();
    Some((tree, release))
}

/// The source package, packed once.
fn source(release: &str) -> PathBuf {
    let size = fs_err::metadata("/usr/src/linux-source-6.1.tar.xz").unwrap().len();
    let dir = cached("debian_source", &format!("{release}-{size}"), |dir| {
        let done = Command::new(repository().join("tests/kernels/debian/pack")).arg(dir).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    });
    let mut found = fs_err::read_dir(dir).unwrap();
    found.next().unwrap().unwrap().path()
}

/// Debian's image, as an RPM that holds the kernel and all that `ip_vs` needs; fetched by apt if it is not installed.
fn image(release: &str) -> PathBuf {
    let dir = cached("debian_image", release, |dir| {
        let installed = Path::new("/boot").join(format!("vmlinuz-{release}")).is_file();
        let from = if installed { PathBuf::from("/") } else { dir.join("unpacked") };
        if !installed {
            let script = "apt-get -q download \"linux-image-$1\" && dpkg-deb -x linux-image-*.deb unpacked && rm *.deb";
            let done = Command::new("sh").args(["-c", script, "sh", release]).current_dir(dir).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        let root = dir.join("root");
        let keep = |path: &Path| {
            let place = path.strip_prefix(&from).unwrap().to_string_lossy().into_owned();
            let wanted = ["/net/netfilter/ipvs/", "/net/netfilter/nf_", "/net/ipv4/netfilter/", "/net/ipv6/netfilter/"];
            (place.starts_with("boot/") && place.ends_with(release) && !place.contains("initrd"))
                || wanted.iter().any(|part| place.contains(part))
                || place.contains("libcrc32c")
                || place.contains("crc32c")
                || place.contains("/modules.builtin")
                || place.ends_with("/modules.order")
        };
        for top in ["boot".to_owned(), format!("lib/modules/{release}")] {
            for entry in walkdir::WalkDir::new(from.join(top)) {
                let entry = entry.unwrap();
                if entry.file_type().is_file() && keep(entry.path()) {
                    let target = root.join(entry.path().strip_prefix(&from).unwrap());
                    fs_err::create_dir_all(target.parent().unwrap()).unwrap();
                    fs_err::copy(entry.path(), target).unwrap();
                }
            }
        }
        let (version, number) = release.split_once('-').unwrap();
        let package = repack_as(&root, "linux", version, number.strip_suffix("-amd64").unwrap());
        fs_err::copy(&package, dir.join("linux.rpm")).unwrap();
        for rest in ["unpacked", "root", "rpmbuild"] {
            let _ = fs_err::remove_dir_all(dir.join(rest));
        }
    });
    dir.join("linux.rpm")
}

fn can() -> Option<(PathBuf, String)> {
    let programs = ["rpmbuild", "make", "gcc", "qemu-system-x86_64", "busybox", "depmod", "openssl", "apt-get"];
    if !require_root() || !programs.into_iter().all(require) {
        return None;
    }
    let headers = headers().filter(|_| Path::new("/usr/src/linux-source-6.1.tar.xz").is_file());
    if headers.is_none() {
        let _ = missing("`linux-headers-amd64` and `linux-source-6.1`");
    }
    headers
}

fn module<'a>(sandbox: &'a Sandbox, srpm: &Path, tree: &Path, bits: &str) -> Kbuild<'a> {
    let kbuild = sandbox.ipvs(srpm, bits).args(["--route", "module", "--kernel-devel"]).arg(tree);
    kbuild.arg("--recipe").arg(repository().join("tests/kernels/debian/debian.toml"))
}

#[track_caller]
fn within(kbuild: Kbuild<'_>, code: i32) -> crate::support::kbuild::Outcome {
    let mut running = kbuild.start();
    let started = std::time::Instant::now();
    while running.runs() {
        assert!(started.elapsed() < PATIENCE, "not done after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    running.exits(code)
}

#[test]
fn the_stock_kernel_boots_with_the_table_that_was_asked_for() {
    let Some((tree, release)) = can() else { return };
    let (srpm, stock) = (source(&release), image(&release));
    let sandbox = Sandbox::new();
    let (key, cert) = (sandbox.path().join("in/key.pem"), sandbox.path().join("in/cert.pem"));
    let made = Command::new("openssl")
        .args(["req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=kbuild test"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let kbuild = module(&sandbox, &srpm, &tree, "20").arg("--kernel").arg(&stock).arg("--boot");
    let outcome = within(kbuild.arg("--sign-key").arg(&key).arg("--sign-cert").arg(&cert), 0);
    outcome.prints("20 bits by default: `ip_vs_conn_tab_bits` in .data");
    outcome.prints("have the checksums of the kernel's Module.symvers");
    outcome.prints("have the checksums of the distribution's own ip_vs.ko");
    outcome.prints("as the distribution's own ip_vs.ko");
    outcome.prints("Connection hash table configured (size=1048576,");
    let [package] = names(&sandbox.out()).try_into().unwrap();
    assert!(package.starts_with("kmod-ip_vs-20bit-6.1.0-"), "{package}");
    let built = manifest(&sandbox.out());
    let levels: Vec<_> =
        built["proof"].as_array().unwrap().iter().filter(|each| each["verdict"]["is"] == "holds").collect();
    assert!(levels.iter().any(|finding| finding["level"] == 5), "{built}");

    // Without it, the same kernel has its own table.
    let boot = |bits: &str, code| {
        let log = sandbox.path().join("home/boot.log");
        let kbuild = sandbox.kbuild().args(["boot", "--bits", bits, "--log"]).arg(log).arg(&stock);
        within(kbuild, code)
    };
    boot("12", 0).prints("Connection hash table configured (size=4096,");

    // Installed beside it, depmod prefers it, and its signature is the one that was asked for.
    let root = Chroot::new();
    root.rpm(&["-i"], std::slice::from_ref(&stock));
    root.depmod(&release);
    let own = root.module(&release);
    assert!(own.ends_with("/kernel/net/netfilter/ipvs/ip_vs.ko"), "{own}");
    root.rpm(&["-i"], &[sandbox.out().join(package)]);
    let ours = root.module(&release);
    assert!(ours.ends_with("/extra/ip_vs/ip_vs.ko"), "{ours}");
    let path = root.path().join(ours.trim_start_matches('/'));
    let signer = Command::new("modinfo").args(["-F", "signer"]).arg(&path).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&signer.stdout).trim(), "kbuild test");
    root.rpm(&["-e", "kmod-ip_vs-20bit"], &[]);
    assert_eq!(root.module(&release), own);
}

#[test]
fn the_headers_of_another_kernel_are_refused() {
    let Some((tree, release)) = can() else { return };
    let srpm = source(&release);
    let sandbox = Sandbox::new();
    let recipe = sandbox.input(
        "other.toml",
        fs_err::read_to_string(repository().join("tests/kernels/debian/debian.toml"))
            .unwrap()
            .replace("-amd64", "-cloud-amd64"),
    );
    let refused = module(&sandbox, &srpm, &tree, "20").instead("--recipe", recipe).refused(3);
    refused.says(&format!("is of the kernel {release}, expected "));
    module(&sandbox, &srpm, &tree, "28").refused(3).says("outside the range of this kernel, 8..27");
}
