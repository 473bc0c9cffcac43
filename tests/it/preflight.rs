//! What is looked at before a build: nothing is laid out where something would stop it, and what builds took is remembered.

use std::path::Path;

use serde_json::Value;

use crate::support::fake::Fake;
use crate::support::kbuild::Kbuild;
use crate::support::sandbox::Sandbox;
use crate::support::tmpfs::Tmpfs;
use crate::support::toy::Toy;
use crate::support::{require, require_root};

/// A stand-in for Debian's list of what is installed: the words in a file.
fn installed(sandbox: &Sandbox, names: &str) -> (Fake, std::path::PathBuf) {
    let list = sandbox.input("installed", names);
    let script = format!("for name in $(cat {}); do echo \"installed $name\"; done", list.display());
    (sandbox.fake("dpkg-query", &script), list)
}

/// The same kbuild with these stand-ins before everything else on PATH.
fn before<'a>(kbuild: Kbuild<'a>, fake: &Fake) -> Kbuild<'a> {
    let dir = fake.path.parent().unwrap();
    kbuild.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", dir.display()))
}

fn on_debian() -> bool {
    let debian = Path::new("/var/lib/dpkg/status").is_file();
    assert!(debian || std::env::var("KBUILD_REQUIRE_ALL").is_err(), "these tests want a Debian");
    debian
}

#[test]
fn a_build_that_cannot_end_well_is_refused_with_all_of_it_before_anything_is_laid_out() {
    if !on_debian() || !require_root() || !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let (dpkg, _) = installed(&sandbox, "make");
    let Some(mounted) = Tmpfs::mount(sandbox.path().join("small"), "64m,noexec") else {
        eprintln!("skipped: no file system can be mounted here");
        return;
    };
    let build = || before(sandbox.ipvs(&srpm, "20").instead("--work", mounted.path()), &dpkg);
    let outcome = build().exits(4);
    outcome.says("error: this machine cannot build it: 2 problems\n  - packages: missing: libc6-dev");
    outcome.says("\n  - work directory: ").says("is mounted noexec (tmpfs)").says("--work DIR");
    outcome.says("hint: install what is missing with `apt-get ").says(" libc6-dev ").says("--ignore-preflight");
    assert_eq!(fs_err::read_dir(mounted.path()).unwrap().count(), 0);
    assert!(!sandbox.out().exists() && !sandbox.user().exists());
    // The same below the plan, which is none of a build.
    let planned = before(sandbox.plan(&srpm, "20").instead("--work", mounted.path()), &dpkg).exits(0);
    let (_, table) = planned.stdout.split_once("\nthis machine\n").unwrap();
    assert!(table.lines().any(|line| line.starts_with("problem  packages        missing: libc6-dev")), "{planned}");
    assert!(table.lines().any(|line| line.starts_with("problem  work directory ")), "{planned}");
    assert_eq!(table.matches("apt-get install").count(), 1, "one command: {planned}");
}

#[test]
fn a_finding_that_is_wrong_can_be_ignored() {
    if !on_debian() || !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let (dpkg, _) = installed(&sandbox, "make");
    let build = || before(sandbox.ipvs(&srpm, "20").args(["--until", "edit"]), &dpkg);
    build().exits(4);
    let outcome = build().arg("--ignore-preflight").exits(0);
    outcome.says("warning: ignored: packages: missing: libc6-dev");
}

#[test]
fn what_is_missing_is_installed_first_if_that_is_asked_for() {
    if !on_debian() || !require_root() || !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let (dpkg, there) = installed(&sandbox, "make");
    let script =
        format!("shift; for word; do case $word in -*) ;; *) echo \"$word\" >> {} ;; esac; done", there.display());
    let apt = sandbox.fake("apt-get", &script);
    let build = before(sandbox.ipvs(&srpm, "20").args(["--until", "edit", "--install-deps"]), &dpkg);
    build.exits(0).says(" libc6-dev ");
    let last = apt.calls().pop().unwrap();
    assert_eq!(last.args[..3], ["install", "-y", "--no-install-recommends"]);
    assert!(last.args.contains(&"libc6-dev".to_owned()), "{:?}", last.args);
    assert_eq!(last.uids(), [0, 0, 0, 0]);
    // Nobody else can, and it is said what would have been done.
    let ordinary = Sandbox::of_ordinary_user();
    let srpm = ordinary.srpm(&Toy::unmodified());
    let (dpkg, _) = installed(&ordinary, "make");
    let build = before(ordinary.ipvs(&srpm, "20").arg("--install-deps"), &dpkg);
    build.exits(4).says("only root can: `apt-get ");
    // A package manager that fails.
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let (dpkg, _) = installed(&sandbox, "make");
    sandbox.fake("apt-get", "echo 'E: Unable to locate package' >&2; exit 100");
    let outcome = before(sandbox.ipvs(&srpm, "20").arg("--install-deps"), &dpkg).exits(4);
    outcome.says("the missing packages cannot be installed").says("Unable to locate package");
}

#[test]
fn the_route_param_is_asked_for_rpmbuild_only() {
    if !on_debian() || !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let (dpkg, _) = installed(&sandbox, "nothing");
    let kbuild = sandbox.kbuild().args(["plan", "--bits", "20", "--route", "param", "--release", "3.10.0-1160.el7"]);
    let outcome = before(kbuild.arg("--work").arg(sandbox.work()).arg("--out").arg(sandbox.out()), &dpkg).exits(0);
    let (_, table) = outcome.stdout.split_once("\nthis machine\n").unwrap();
    assert!(table.contains("none is needed beside the programs") && !table.contains("problem"), "{outcome}");
}

#[test]
fn what_a_build_took_is_measured_and_counts_the_next_time() {
    if !require("rpmbuild") || !require("gcc") {
        return;
    }
    // Root's first plan would make the account, too.
    let sandbox = Sandbox::of_ordinary_user();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let plan = || sandbox.plan(&srpm, "20").arg("--ignore-preflight").exits(0).stdout;
    let first = plan();
    assert!(first.contains("needed (by the recipe)") && !first.contains("an earlier build"), "{first}");
    sandbox.ipvs(&srpm, "20").arg("--ignore-preflight").args(["--jobs", "3"]).exits(0);
    let text = fs_err::read(sandbox.work().join("measured.json")).unwrap();
    let measured: Value = serde_json::from_slice(&text).unwrap();
    let measured = &measured["el6/full/x86_64"];
    assert_eq!(measured["source"], fs_err::metadata(&srpm).unwrap().len());
    assert_eq!(measured["jobs"], 3);
    for what in ["disk", "files"] {
        assert!(measured[what].as_u64().unwrap() > 0, "{what}: {measured:#}");
    }
    let second = plan();
    assert!(second.contains("needed (by an earlier build)"), "{second}");
    assert!(second.contains("\nearlier  an earlier build here took "), "{second}");
    // Measures are no part of the plan itself.
    let of = |text: &str| text.split_once("\nthis machine\n").unwrap().0.to_owned();
    assert_eq!(of(&first), of(&second));
    let doctor = sandbox.kbuild().args(["doctor", "--allow-unsigned", "--srpm"]).arg(&srpm);
    let outcome = doctor.arg("--work").arg(sandbox.work()).start().ends();
    assert!(outcome.stdout.contains("needed (by an earlier build)"), "{outcome}");
}
