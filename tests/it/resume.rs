//! A second run repeats only what changed, and says why; `kbuild status` and `kbuild clean`.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::built::manifest;
use crate::support::kbuild::{Kbuild, Outcome};
use crate::support::package::names;
use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;
use crate::support::{require, wait_until};

const TAKEN: &str = "note: the packages are taken from the build of ";
const ANEW: &str = "note: built anew: not the same as in the build of ";

/// The stages that the manifest calls taken from before.
fn taken(sandbox: &Sandbox) -> Vec<String> {
    let manifest = manifest(&sandbox.out());
    let stages = manifest["stages"].as_array().unwrap();
    stages.iter().filter(|stage| stage["taken"] == true).map(|stage| stage["stage"].as_str().unwrap().into()).collect()
}

/// Results by name and content; of the manifest what does not depend on when and how it was made.
fn results(sandbox: &Sandbox) -> (Vec<(String, String)>, Value) {
    let digest = |name: &String| kbuild::digest::sha256(&fs_err::read(sandbox.out().join(name)).unwrap());
    let packages = names(&sandbox.out()).iter().map(|name| (name.clone(), digest(name))).collect();
    let manifest = manifest(&sandbox.out());
    let told = ["proof", "promised", "release", "edits", "tools"].map(|key| manifest[key].clone());
    (packages, told.into())
}

#[track_caller]
fn says_not(outcome: &Outcome, text: &str) {
    assert!(!outcome.stderr.contains(text), "says `{text}`\n{outcome}");
}

fn fleet<'a>(sandbox: &'a Sandbox, srpm: &std::path::Path) -> Kbuild<'a> {
    sandbox.ipvs(srpm, "20").args(["--profile", "fleet"])
}

#[test]
fn what_has_not_changed_is_not_built_again_and_proved_all_the_same() {
    if !require("rpmbuild") {
        return;
    }
    for sandbox in [Sandbox::new(), Sandbox::of_ordinary_user()] {
        let srpm = sandbox.srpm(&Toy::unmodified());
        let first = fleet(&sandbox, &srpm).exits(0);
        says_not(&first, TAKEN);
        let before = results(&sandbox);
        // How many compile at a time changes no package.
        let second = fleet(&sandbox, &srpm).args(["--jobs", "7"]).exits(0);
        second.says(TAKEN).says("prove: reading the packages");
        says_not(&second, "rpmbuild -bb");
        assert_eq!(taken(&sandbox), ["unpack", "edit", "build"]);
        assert_eq!(results(&sandbox), before);
        // The log of the build is that of the build.
        let log = fs_err::read_to_string(sandbox.out().join("logs/04-build.log")).unwrap();
        assert!(log.contains("Executing(%build)"), "{log}");
    }
}

#[test]
fn what_has_changed_is_named_and_built_again() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    fleet(&sandbox, &srpm).exits(0);
    let set = fleet(&sandbox, &srpm).args(["--set", "CONFIG_X25=m"]).exits(0);
    set.says(ANEW).says("the edit of `config-generic`, the options that are asked for");
    assert_eq!(taken(&sandbox), [""; 0]);
    let out = sandbox.path().join("out18");
    let small = |srpm| fleet(&sandbox, srpm).instead("--bits", "18").instead("--out", &out);
    small(&srpm).exits(0).says(ANEW).says("the edit of `kernel.spec`");
    small(&srpm).args(["--with", "firmware"]).exits(0).says(ANEW).says("rpmbuild's command line");
    small(&srpm).args(["--with", "firmware", "--fresh"]).exits(0).says("note: built anew: `--fresh` was given");
    let other = sandbox.srpm(&Toy::new().append("config-debug", "CONFIG_OTHER=y\n").pack());
    small(&other).args(["--with", "firmware"]).exits(0).says(ANEW).says("the source package");
}

#[test]
fn a_package_that_was_changed_since_is_not_taken() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    fleet(&sandbox, &srpm).exits(0);
    let before = results(&sandbox);
    let packages = sandbox.work().join("rpmbuild/RPMS/x86_64");
    let name = names(&packages).into_iter().find(|name| name.starts_with("kernel-devel")).unwrap();
    let mut content = fs_err::read(packages.join(&name)).unwrap();
    *content.last_mut().unwrap() ^= 1;
    fs_err::write(packages.join(&name), content).unwrap();
    let status = sandbox.kbuild().args(["status", "--work"]).arg(sandbox.work()).exits(0);
    assert!(status.stdout.contains("next run  builds anew: `RPMS/x86_64/kernel-devel-"), "{status}");
    let again = fleet(&sandbox, &srpm).exits(0);
    again.says(&format!("note: built anew: `RPMS/x86_64/{name}` is not what was built on "));
    assert_eq!(results(&sandbox), before);
}

#[test]
fn a_run_that_stopped_after_the_build_goes_on_there() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    fleet(&sandbox, &srpm).args(["--until", "build"]).exits(0);
    assert_eq!(names(&sandbox.out()), [""; 0]);
    fleet(&sandbox, &srpm).exits(0).says(TAKEN);
    assert_eq!(names(&sandbox.out()).len(), 4);
}

#[test]
fn another_route_in_the_same_place_takes_the_packages_away() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    fleet(&sandbox, &srpm).exits(0);
    let tree = sandbox.path().join("tree");
    sandbox.ipvs(&srpm, "20").args(["--route", "tree", "--tree"]).arg(&tree).exits(0);
    says_not(&fleet(&sandbox, &srpm).exits(0), TAKEN);
}

#[test]
fn status_tells_what_was_done_and_what_comes_next() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::of_ordinary_user();
    let status = || sandbox.kbuild().args(["status", "--work"]).arg(sandbox.work()).exits(0);
    let says = |text: &str| {
        let outcome = status();
        assert!(outcome.stdout.contains(text), "no `{text}`\n{outcome}");
    };
    says("no kbuild has worked in ");
    let marker = sandbox.path().join("record/building");
    let script = format!("if [ ! -e {0} ]; then touch {0}; sleep 300; fi", marker.display());
    let srpm = sandbox.srpm(&Toy::new().script("%build", &script).pack());
    let running = fleet(&sandbox, &srpm).start();
    wait_until("%build to start", || marker.is_file());
    says("now       a kbuild works here\nlast      kernel-2.6.32-220.13.1.el6.ipvs_20bit with 20 bits, begun 20");
    running.signal(Signal::SIGKILL);
    running.ends();
    says("now       left by a kbuild that was killed, and ended by the next: ");
    says("  killed: it did not come to its end\n");
    says("next run  builds: there are no packages to take\n");
    fleet(&sandbox, &srpm).exits(0).says("ended what a kbuild that was killed had left running");
    says("now       nothing runs here\n");
    says("  done\n");
    says("next run  takes the 4 packages built on 20");
    fleet(&sandbox, &srpm).exits(0);
    says("  build    taken from before\n");
    let json = sandbox.kbuild().args(["status", "--format", "json", "--work"]).arg(sandbox.work()).exits(0);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["busy"], &json["built"]["number"]), (&false.into(), &4.into()), "{json}");
}

#[test]
fn clean_removes_what_runs_made_and_nothing_else() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let clean = |args: &[&str]| sandbox.kbuild().args(["clean", "--work"]).arg(sandbox.work()).args(args).exits(0);
    assert!(clean(&[]).stdout.starts_with("no kbuild has worked in "));
    let srpm = sandbox.srpm(&Toy::unmodified());
    fleet(&sandbox, &srpm).exits(0);
    let mine = sandbox.work().join("mine");
    fs_err::write(&mine, "kept").unwrap();
    let there = |name: &str| sandbox.work().join(name).exists();
    for (args, said) in [
        (["--older-than", "1h"], "is kept: its last run began 20"),
        (["--over", "1TiB"], "is kept: it holds "),
        (["--dry-run", "--over=1"], "would be freed"),
    ] {
        let outcome = clean(&args);
        assert!(outcome.stdout.contains(said), "{outcome}");
        assert!(there("rpmbuild") && there("built.json"), "{outcome}");
    }
    let outcome = clean(&[]);
    assert!(outcome.stdout.ends_with(" freed\n"), "{outcome}");
    let mut left: Vec<_> = fs_err::read_dir(sandbox.work()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".kbuild-lock", "measured.json", "mine"]);
    // Results are not the work's.
    assert_eq!(names(&sandbox.out()).len(), 4);
    fleet(&sandbox, &srpm).exits(0);
}

/// A build that is interrupted in `%install`, long after it had compiled, the first time that it is run.
fn interrupted(sandbox: &Sandbox) -> std::path::PathBuf {
    let marker = sandbox.path().join("record/installing");
    let script = format!(
        "if [ ! -e {0} ]; then sleep 3; find $RPM_BUILD_DIR -name .config -execdir touch stamp \\; ; touch {0}; sleep 300; fi",
        marker.display()
    );
    let srpm = sandbox.srpm(&Toy::new().script("%install", &script).pack());
    let running = fleet(sandbox, &srpm).start();
    wait_until("%install to start", || marker.is_file());
    running.signal(Signal::SIGTERM);
    running.exits(143);
    srpm
}

#[test]
fn an_interrupted_build_goes_on_and_gives_the_same_packages() {
    if !require("rpmbuild") {
        return;
    }
    for sandbox in [Sandbox::new(), Sandbox::of_ordinary_user()] {
        let srpm = interrupted(&sandbox);
        let resumed = fleet(&sandbox, &srpm).arg("--resume-build").exits(0);
        resumed.says("what the interrupted build had compiled is put back after %prep");
        let log = fs_err::read_to_string(sandbox.out().join("logs/04-build.log")).unwrap();
        let line = log.lines().find(|line| line.ends_with(" files of the interrupted build are put back"));
        let number = line.and_then(|line| line.split(' ').nth(1)).unwrap_or_else(|| panic!("nothing was: {log}"));
        assert!(number.parse::<u32>().unwrap() >= 5, "{number}");
        // A whole rpmbuild: %prep is in its log.
        assert!(log.contains("Executing(%prep)"), "{log}");
        let (packages, _) = results(&sandbox);
        for name in ["kept", "masquerade", "begun.json"] {
            assert!(!sandbox.work().join(name).exists(), "{name}");
        }
        fleet(&sandbox, &srpm).arg("--fresh").exits(0);
        assert_eq!(results(&sandbox).0, packages);
    }
}

#[test]
fn what_cannot_be_resumed_begins_anew_and_says_why() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = interrupted(&sandbox);
    let other = fleet(&sandbox, &srpm).args(["--resume-build", "--set", "CONFIG_X25=m"]).exits(0);
    other.says("note: the interrupted build was another one (the edit of `config-generic`");
    let none = fleet(&sandbox, &srpm).arg("--resume-build").exits(0);
    none.says("note: there is no interrupted build to go on with: it begins anew");
    fleet(&sandbox, &srpm).args(["--resume-build", "--fresh"]).refused(2);
}
