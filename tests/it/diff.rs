//! `kbuild diff`: what differs between two builds, and nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::built::Built;
use crate::support::distribution::Distribution;
use crate::support::kbuild::Outcome;
use crate::support::package::{extract, find, repack};
use crate::support::require;
use crate::support::sandbox::Sandbox;
use crate::support::toy::{STOCK, Toy};

#[track_caller]
fn diff(a: &Path, b: &Path) -> Outcome {
    Sandbox::new().kbuild().arg("diff").arg(a).arg(b).exits(0)
}

/// Returns the differences as JSON.
#[track_caller]
fn differences(a: &Path, b: &Path) -> Value {
    let outcome = Sandbox::new().kbuild().args(["diff", "--format", "json"]).arg(a).arg(b).exits(0);
    let [line] = outcome.json_lines().try_into().unwrap();
    assert_eq!(line["event"], "difference");
    let all = line["differences"].as_object().unwrap().values();
    assert_eq!(line["same"], all.clone().all(|list| list.as_array().unwrap().is_empty()), "{line}");
    line["differences"].clone()
}

/// Returns a member of all entries of a list, each once and sorted.
fn each<'a>(list: &'a Value, pointer: &str) -> Vec<&'a str> {
    let mut found: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {entry}")).as_str())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn two_values_differ_in_the_option_the_module_and_the_release() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    sandbox.ipvs(&srpm, "18,20").args(["--profile", "fleet"]).exits(0);
    let (a, b) = (sandbox.out().join("ipvs_18bit"), sandbox.out().join("ipvs_20bit"));
    let found = differences(&a, &b);
    assert_eq!(
        found["facts"],
        json!([
            { "name": "bits", "a": "18", "b": "20" },
            { "name": "setting CONFIG_IP_VS_TAB_BITS", "a": "18", "b": "20" },
        ])
    );
    let packages = ["kernel-devel.x86_64", "kernel-firmware.x86_64", "kernel-headers.x86_64", "kernel.x86_64"];
    assert_eq!(each(&found["packages"], "/package"), packages);
    assert_eq!(each(&found["packages"], "/a/evr"), [format!("{STOCK}.ipvs_18bit")]);
    assert_eq!(each(&found["packages"], "/b/evr"), [format!("{STOCK}.ipvs_20bit")]);
    for change in found["config"].as_array().unwrap() {
        assert_eq!(change["changes"], json!([{ "name": "CONFIG_IP_VS_TAB_BITS", "a": "18", "b": "20" }]), "{change}");
    }
    let configs = ["/boot/config-{release}.x86_64", "/usr/src/kernels/{release}.x86_64/.config"];
    assert_eq!(each(&found["config"], "/path"), configs);
    let module = "/lib/modules/{release}.x86_64/kernel/net/netfilter/ipvs/ip_vs.ko";
    assert_eq!(each(&found["modules"], "/path"), [module]);
    let parts = found["modules"][0]["parts"].as_array().unwrap();
    assert!(parts.iter().all(|part| part.as_str().unwrap().contains(".text")) && !parts.is_empty(), "{parts:?}");
    assert_eq!(found["modules"][0]["a"]["vermagic"], "{release}.x86_64 SMP mod_unload modversions ");
    // No path, no relation, no symbol: the buildid is in many of them. Nor any other file but what is made of the config.
    for kind in ["files", "relations", "symvers"] {
        assert_eq!(found[kind], json!([]), "{kind}");
    }
    let made =
        ["config/auto.conf", "linux/autoconf.h"].map(|it| format!("/usr/src/kernels/{{release}}.x86_64/include/{it}"));
    assert_eq!(each(&found["contents"], "/path"), made);

    let text = diff(&a, &b);
    text.prints(&format!("  ~ {STOCK}.ipvs_18bit → {STOCK}.ipvs_20bit: kernel-devel.x86_64 "));
    text.prints("  ~ CONFIG_IP_VS_TAB_BITS 18 → 20 (/usr/src/kernels/{release}.x86_64/.config, /boot/config-");
    text.prints(&format!("  ~ {module} (kernel.x86_64): other "));
    // The exit code tells only when it is asked.
    let strict = || sandbox.kbuild().args(["diff", "--exit-code"]).arg(&a);
    strict().arg(&b).exits(9).says("error: the builds differ");
    assert_eq!(strict().arg(&a).exits(0).stdout, "no differences\n");
    assert!(differences(&a, &a).as_object().unwrap().values().all(|list| *list == json!([])));
}

#[test]
fn modules_that_stand_alone_are_compared_though_the_value_is_in_their_name() {
    if !require("rpmbuild") {
        return;
    }
    let (sandbox, el6) = (Sandbox::new(), Distribution::el6());
    let srpm = sandbox.input("kernel.src.rpm", fs_err::read(el6.srpm()).unwrap());
    let devel = el6.binary("kernel-devel");
    sandbox.ipvs(&srpm, "18,20").args(["--route", "module", "--kernel-devel"]).arg(&devel).exits(0);
    let out = sandbox.out();
    let mut builds: Vec<_> = fs_err::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).collect();
    builds.sort();
    let [a, b] = builds.as_slice() else { panic!("{builds:?}") };
    let found = differences(a, b);
    assert_eq!(each(&found["packages"], "/package"), ["kmod-ip_vs-{bits}bit.x86_64"]);
    assert_eq!(each(&found["packages"], "/a/nvra"), [format!("kmod-ip_vs-18bit-{STOCK}.x86_64")]);
    let module = "/lib/modules/{release}.x86_64/extra/ip_vs/ip_vs.ko";
    assert_eq!(each(&found["modules"], "/path"), [module]);
    assert_eq!((&found["files"], &found["relations"]), (&json!([]), &json!([])));
    // Both say the value.
    let texts = ["/etc/depmod.d/kmod-ip_vs-{release}.x86_64.conf", "/usr/share/doc/kmod-ip_vs-{bits}bit-2.6.32/README"];
    assert_eq!(each(&found["contents"], "/path"), texts);
}

/// The kernel package of a build, to be changed and packed again.
struct Opened {
    dir: tempfile::TempDir,
}

impl Opened {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("root")).unwrap();
        extract(&Built::toy().package("kernel"), &dir.path().join("root"));
        Self { dir }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn file(&self, name: &str) -> PathBuf {
        find(&self.root(), name)
    }

    /// Replaces bytes wherever they are in a file; as many as there were.
    #[track_caller]
    fn change(&self, name: &str, from: &[u8], to: &[u8]) {
        assert_eq!(from.len(), to.len());
        let path = self.file(name);
        let mut bytes = fs_err::read(&path).unwrap();
        let places: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
        assert!(!places.is_empty(), "no {from:x?} in {name}");
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        fs_err::write(path, bytes).unwrap();
    }

    #[track_caller]
    fn packed(&self) -> PathBuf {
        repack(&self.root())
    }
}

#[test]
fn what_was_changed_in_a_package_is_found_and_only_that() {
    if !require("rpmbuild") {
        return;
    }
    let original = Opened::new();
    let changed = Opened::new();
    let root = changed.root();
    fs_err::remove_file(changed.file("ip_vs_rr.ko")).unwrap();
    fs_err::copy(changed.file("ip_vs.ko"), changed.file("ip_vs.ko").with_file_name("ip_vs_new.ko")).unwrap();
    changed.change("libcrc32c.ko", b"SMP mod_unload", b"UP! mod_unload");
    fs_err::write(root.join("boot/extra"), "").unwrap();
    fs_err::set_permissions(changed.file("ip_vs.ko"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let found = differences(&original.packed(), &changed.packed());
    let dir = "/lib/modules/{release}.x86_64/kernel";
    let expected = [
        format!("{dir}/lib/libcrc32c.ko"),
        format!("{dir}/net/netfilter/ipvs/ip_vs_new.ko"),
        format!("{dir}/net/netfilter/ipvs/ip_vs_rr.ko"),
    ];
    assert_eq!(each(&found["modules"], "/path"), expected);
    let crc = &found["modules"][0];
    assert!(crc["b"]["vermagic"].as_str().unwrap().contains("UP! mod_unload"), "{crc}");
    // Its code is the same, only what it says of itself is not.
    assert_eq!(crc["parts"], json!([]));
    assert!(found["modules"][1]["a"].is_null() && found["modules"][2]["b"].is_null(), "{found}");
    let files: Vec<_> = found["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (file["path"].as_str().unwrap().rsplit('/').next().unwrap(), &file["a"], &file["b"]))
        .collect();
    let (new, none) = (json!("file 644"), Value::Null);
    let modes = [json!("file 644"), json!("file 744"), json!("file 755"), json!("file 600")];
    let [("extra", gone, there), ("ip_vs.ko", before, after), ("ip_vs_new.ko", _, _), ("ip_vs_rr.ko", _, taken)] =
        files.as_slice()
    else {
        panic!("{files:#?}")
    };
    assert_eq!((*gone, *there, *after, *taken), (&none, &new, &modes[3], &none));
    assert!(modes[..3].contains(before), "{before}");
    for kind in ["config", "symvers", "relations", "facts"] {
        assert_eq!(found[kind], json!([]), "{kind}");
    }
    assert_eq!(found["contents"], json!([]));
}

#[test]
fn a_compression_makes_no_other_module_and_symbols_are_compared_by_checksum() {
    if !require("rpmbuild") || !require("xz") {
        return;
    }
    let original = Opened::new();
    let changed = Opened::new();
    let packed = Command::new("xz").arg("--check=crc32").arg(changed.file("ip_vs.ko")).status().unwrap();
    assert!(packed.success());
    let symvers = fs_err::read_dir(changed.root().join("boot"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("symvers-"))
        .unwrap();
    let plain = Command::new("gzip").args(["-dc"]).arg(&symvers).output().unwrap().stdout;
    let mut lines: Vec<String> = String::from_utf8(plain).unwrap().lines().map(str::to_owned).collect();
    let gone = lines.pop().unwrap();
    let other = format!("0x0000abcd{}", &lines[0][lines[0].find('\t').unwrap()..]);
    let name = other.split('\t').nth(1).unwrap().to_owned();
    let before = std::mem::replace(&mut lines[0], other);
    fs_err::remove_file(&symvers).unwrap();
    fs_err::write(symvers.with_extension(""), lines.join("\n")).unwrap();
    let again = Command::new("gzip").arg("-n").arg(symvers.with_extension("")).status().unwrap();
    assert!(again.success());

    let found = differences(&original.packed(), &changed.packed());
    assert_eq!(found["modules"], json!([]));
    assert_eq!(each(&found["symvers"], "/path"), ["/boot/symvers-{release}.x86_64"]);
    let symbols = found["symvers"][0]["changes"].as_array().unwrap();
    assert_eq!(symbols.len(), 2, "{symbols:?}");
    let of = |name: &str| symbols.iter().find(|change| change["name"] == name).unwrap();
    assert_eq!(of(&name)["a"], before.split('\t').next().unwrap());
    assert_eq!(of(&name)["b"], "0x0000abcd");
    assert!(of(gone.split('\t').nth(1).unwrap())["b"].is_null());
}

#[test]
fn packages_may_be_named_and_what_they_require_is_compared() {
    if !require("rpmbuild") {
        return;
    }
    let built = Built::toy();
    let (kernel, devel, headers) =
        (built.package("kernel"), built.package("kernel-devel"), built.package("kernel-headers"));
    let sandbox = Sandbox::new();
    // Packed again by a spec that says nothing of kernel-firmware.
    let opened = Opened::new();
    let outcome = sandbox
        .kbuild()
        .arg("diff")
        .args([&kernel, &devel])
        .arg("--")
        .args([&opened.packed(), &devel, &headers])
        .exits(0);
    outcome.prints("  - kernel.x86_64 requires kernel-firmware >= {release}\n");
    outcome.prints("  - kernel.x86_64 provides kernel-uname-r = {release}.x86_64\n");
    outcome.prints(&format!("  + kernel-headers-{STOCK}.ipvs_20bit.x86_64\n"));
    assert!(!outcome.stdout.contains("modules:") && !outcome.stdout.contains("config:"), "{outcome}");
    outcome.says("how they were made is not compared");
}

#[test]
fn what_is_no_build_is_wrong_usage() {
    let sandbox = Sandbox::new();
    let empty = tempfile::tempdir().unwrap();
    let run = |args: &[&Path]| sandbox.kbuild().arg("diff").args(args).refused(2);
    run(&[empty.path(), empty.path()]).says("expected packages (`.rpm`");
    run(&[Path::new("missing"), empty.path()]).says("missing");
    run(&[empty.path()]).says("expected two builds");
    if !require("rpmbuild") {
        return;
    }
    // Parts of two builds in one directory.
    let kernel = Built::toy().package("kernel");
    let opened = Opened::new();
    let own = opened.packed();
    fs_err::copy(&kernel, empty.path().join("a.rpm")).unwrap();
    fs_err::copy(own, empty.path().join("b.rpm")).unwrap();
    run(&[empty.path(), &kernel]).says("are both a package kernel.x86_64").says("hint: ");
}

#[test]
fn a_damaged_package_is_no_difference_but_an_error() {
    if !require("rpmbuild") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let kernel = Built::toy().package("kernel");
    let bytes = fs_err::read(&kernel).unwrap();
    let damaged = dir.path().join("kernel.rpm");
    fs_err::write(&damaged, &bytes[..bytes.len() - 500]).unwrap();
    Sandbox::new().kbuild().arg("diff").arg(&kernel).arg(&damaged).refused(9).says("kernel.rpm");
}
