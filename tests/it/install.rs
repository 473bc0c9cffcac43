//! The packages install as INSTALL.md says, with rpm's own dependency check: the kernel with its firmware, and not
//! without.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::built::Built;
use crate::support::package::{all, only, rpm};
use crate::support::toy::{STOCK, Toy};
use crate::support::{require, require_root};

/// A root directory for `rpm --root`; its database is below its own /root, as on every host.
struct Root {
    dir: tempfile::TempDir,
}

impl Root {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn rpm<'a>(&self, arguments: impl IntoIterator<Item = &'a str>, packages: &[PathBuf]) -> Output {
        let mut command = rpm(Path::new("/root"));
        command.arg("--root").arg(self.path()).args(arguments).args(packages).output().unwrap()
    }

    #[track_caller]
    fn takes<'a>(&self, arguments: impl IntoIterator<Item = &'a str>, packages: &[PathBuf]) {
        let done = self.rpm(arguments, packages);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Names of the packages that are installed.
    fn installed(&self) -> Vec<String> {
        let listed = self.rpm(["-qa", "--queryformat", "%{NAME}-%{VERSION}-%{RELEASE}\n"], &[]);
        let mut names: Vec<_> = String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    #[track_caller]
    fn refuses_for_lack_of_firmware(&self, packages: &[PathBuf]) {
        let done = self.rpm(["-i"], packages);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success());
        assert!(
            said.contains("kernel-firmware >= 2.6.32-220.13.1.el6.ipvs_20bit is needed by kernel-2.6.32"),
            "{said}"
        );
        assert!(!self.path().join("boot").is_dir(), "it was installed all the same");
    }
}

/// Whether this can be tested here: `rpm --root` needs root.
fn can_install() -> bool {
    require_root() && require("rpm") && require("rpmbuild")
}

#[test]
fn a_kernel_goes_in_together_with_its_firmware() {
    if !can_install() {
        return;
    }
    let (built, root) = (Built::toy(), Root::new());
    root.takes(["-i"], &[built.package("kernel"), built.package("kernel-firmware")]);
    let release = "2.6.32-220.13.1.el6.ipvs_20bit.x86_64";
    for file in [
        format!("boot/vmlinuz-{release}"),
        format!("boot/config-{release}"),
        format!("lib/modules/{release}/kernel/net/netfilter/ipvs/ip_vs.ko"),
        "lib/firmware/toy/toy.bin".into(),
    ] {
        assert!(root.path().join(&file).is_file(), "{file}");
    }
    assert_eq!(root.installed(), ["kernel", "kernel-firmware"].map(|name| format!("{name}-{STOCK}.ipvs_20bit")));
}

#[test]
fn a_kernel_alone_is_refused_and_the_firmware_named() {
    if !can_install() {
        return;
    }
    Root::new().refuses_for_lack_of_firmware(&[Built::toy().package("kernel")]);
}

#[test]
fn a_kernel_with_the_firmware_of_the_stock_release_is_refused() {
    if !can_install() {
        return;
    }
    let top = tempfile::tempdir().unwrap();
    // As the distribution builds it: without a buildid.
    let made = Command::new("rpmbuild")
        .env("HOME", top.path())
        .args(["--rebuild", "--nodeps", "--target=x86_64", "--with", "firmware", "--without", "up"])
        .args(["--without", "debug", "--without", "headers", "--without", "perf", "--without", "debuginfo", "--define"])
        .arg(format!("_topdir {}", top.path().display()))
        .arg(Toy::unmodified().path)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let stock = only(&top.path().join("RPMS"));
    let name = stock.file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.starts_with(&format!("kernel-firmware-{STOCK}.")), "{name}");

    let root = Root::new();
    let kernel = Built::toy().package("kernel");
    root.refuses_for_lack_of_firmware(&[kernel.clone(), stock.clone()]);
    // Nor beside the stock firmware that is installed already, as on every director.
    let root = Root::new();
    root.takes(["-i"], &[stock]);
    root.refuses_for_lack_of_firmware(std::slice::from_ref(&kernel));
    root.takes(["-U"], &[Built::toy().package("kernel-firmware")]);
    root.takes(["-i"], &[kernel]);
}

/// Returns the arguments of the first `rpm` command of this kind in INSTALL.md.
fn instructed(text: &str, kind: &str) -> Vec<String> {
    let start = text.find(&format!("\n    rpm {kind}")).unwrap_or_else(|| panic!("no `rpm {kind}` in {text}"));
    let lines: Vec<&str> = text[start + 1..].split_inclusive('\n').collect();
    let last = lines.iter().position(|line| !line.trim_end().ends_with('\\')).unwrap();
    let command = lines[..=last].concat().replace("\\\n", " ");
    shlex::split(&command).unwrap().into_iter().skip(1).collect()
}

#[test]
fn the_commands_of_install_md_work_as_they_stand() {
    if !can_install() {
        return;
    }
    let (built, root) = (Built::toy(), Root::new());
    let text = fs_err::read_to_string(built.out.join("INSTALL.md")).unwrap();
    let mut named = Vec::new();
    for kind in ["-U", "-i"] {
        let words = instructed(&text, kind);
        let mut command = rpm(Path::new("/root"));
        let done = command.arg("--root").arg(root.path()).args(&words).current_dir(&built.out).output().unwrap();
        assert!(done.status.success(), "rpm {words:?}: {}", String::from_utf8_lossy(&done.stderr));
        named
            .extend(words.into_iter().filter(|word| Path::new(word).extension().is_some_and(|ending| ending == "rpm")));
    }
    named.sort();
    let debuginfo = |path: &&PathBuf| !path.to_string_lossy().contains("debuginfo");
    let packages = all(&built.out);
    let expected: Vec<_> =
        packages.iter().filter(debuginfo).map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(named, expected, "every package but those for debuggers");
    assert_eq!(root.installed().len(), expected.len());
}
