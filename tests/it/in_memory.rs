//! `--tmpfs`: rpmbuild's trees are in memory where that has room for them, and nothing else changes.

use std::path::{Path, PathBuf};

use crate::support::package::names;
use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;
use crate::support::{missing, require};

/// What every Linux has mounted there, unless it is a container that was given something else.
const SHM: &str = "/dev/shm";

/// Whether a build can be in memory here.
fn ready() -> bool {
    let mounts = fs_err::read_to_string("/proc/mounts").unwrap();
    let fits = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        words[1] == SHM && words[2] == "tmpfs" && !words[3].split(',').any(|option| option == "noexec")
    };
    require("rpmbuild") && (mounts.lines().any(fits) || missing("a tmpfs at /dev/shm without noexec"))
}

/// The directory in memory of a sandbox's work directory.
fn place(sandbox: &Sandbox) -> PathBuf {
    kbuild::plan::Layout::of(&sandbox.work()).memory_below(Path::new(SHM))
}

fn packages(sandbox: &Sandbox) -> Vec<(String, String)> {
    let digest = |name: &String| kbuild::digest::sha256(&fs_err::read(sandbox.out().join(name)).unwrap());
    names(&sandbox.out()).iter().map(|name| (name.clone(), digest(name))).collect()
}

#[test]
fn a_kernel_that_is_built_in_memory_is_the_same_and_frees_it() {
    if !ready() {
        return;
    }
    let on_disk = Sandbox::new();
    on_disk.ipvs(&on_disk.srpm(&Toy::unmodified()), "20").exits(0);
    for sandbox in [Sandbox::new(), Sandbox::of_ordinary_user()] {
        let toy = Toy::new().script("%build", "case $PWD in /dev/shm/kbuild-*) ;; *) exit 1;; esac").pack();
        sandbox.ipvs(&sandbox.srpm(&toy), "20").arg("--tmpfs").exits(0).says("is in memory (tmpfs");
        assert!(!place(&sandbox).exists());
        fs_err::remove_dir_all(sandbox.out()).unwrap();
        sandbox.ipvs(&sandbox.srpm(&Toy::unmodified()), "20").arg(format!("--tmpfs={SHM}")).exits(0);
        assert_eq!(packages(&sandbox), packages(&on_disk));
        assert!(!place(&sandbox).exists());
        assert!(!sandbox.work().join("rpmbuild/BUILD").exists());
    }
}

#[test]
fn what_a_failed_build_leaves_in_memory_is_told_and_can_be_freed() {
    if !ready() {
        return;
    }
    let sandbox = Sandbox::new();
    let toy = Toy::new().script("%build", "false").pack();
    let srpm = sandbox.srpm(&toy);
    sandbox.ipvs(&srpm, "20").arg("--tmpfs").exits(8);
    let place = place(&sandbox);
    assert!(place.join("BUILD").is_dir());
    let work = |command: &str| sandbox.kbuild().arg(command).arg("--work").arg(sandbox.work());
    work("status").exits(0).prints(&format!("in {}, which `kbuild clean` frees", place.display()));
    work("clean").exits(0).prints(&place.display().to_string());
    assert!(!place.exists());

    // The next run does the same if it is not in memory any more.
    sandbox.ipvs(&srpm, "20").arg("--tmpfs").exits(8);
    assert!(place.exists());
    sandbox.ipvs(&srpm, "20").exits(8);
    assert!(!place.exists());
}

#[test]
fn several_kernels_go_on_in_a_tree_in_memory() {
    if !ready() {
        return;
    }
    let sandbox = Sandbox::new();
    let outcome =
        sandbox.ipvs(&sandbox.srpm(&Toy::unmodified()), "18,20").args(["--tmpfs", "--profile", "fleet"]).exits(0);
    outcome.says("of the earlier kernel were put back");
    assert!(place(&sandbox).join("BUILD").is_dir());
    sandbox.kbuild().arg("clean").arg("--work").arg(sandbox.work()).exits(0);
    assert!(!place(&sandbox).exists());
}

#[test]
fn where_memory_will_not_do_it_is_built_on_the_disk_and_says_why() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let elsewhere = sandbox.path().join("elsewhere");
    fs_err::create_dir(&elsewhere).unwrap();
    fs_err::set_permissions(&elsewhere, std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
    let elsewhere = format!("--tmpfs={}", elsewhere.display());
    let outcome = sandbox.ipvs(&srpm, "20").arg(&elsewhere).exits(0);
    outcome.says("it is not in memory (").says(&format!("this builds in {}", sandbox.work().display()));
    sandbox
        .kbuild()
        .args(["plan", "--srpm", srpm.to_str().unwrap(), "--bits", "20", "--route", "param", "--tmpfs"])
        .exits(2);
}
