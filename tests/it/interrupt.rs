//! TERM and INT to kbuild end everything that it started, and the next run works.

use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::support::built::manifest;
use crate::support::fake::Fake;
use crate::support::kbuild::Running;
use crate::support::package::names;
use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;
use crate::support::{require, require_root, wait_until};

/// A stand-in for rpmbuild that says when it is under way and then takes five minutes, with children and grandchildren.
fn slow(sandbox: &Sandbox) -> (Fake, PathBuf) {
    let ready = sandbox.path().join("record/ready");
    let script = format!(
        "[ \"$1\" = --version ] && exit 0\n(sleep 300 & sleep 300) &\n(trap '' TERM INT; sleep 300 > /dev/null 2>&1) \
         > /dev/null 2>&1 &\ntouch {}\nwait",
        ready.display()
    );
    (sandbox.fake("rpmbuild", &script), ready)
}

/// Starts a build that is under way when this returns.
fn under_way(sandbox: &Sandbox) -> Running {
    let (rpmbuild, ready) = slow(sandbox);
    let srpm = sandbox.srpm(&Toy::unmodified());
    let running = sandbox.ipvs(&srpm, "20").fakes([&rpmbuild]).start();
    wait_until("rpmbuild to start", || ready.is_file());
    running
}

#[track_caller]
fn is_ended_by(sandbox: &Sandbox, signal: Signal) {
    let running = under_way(sandbox);
    running.signal(signal);
    let code = 128 + signal as i32;
    let outcome = running.exits(code);
    outcome.says(&format!("error: stopped by signal {}", signal as i32));
    assert_eq!(outcome.stdout, "");
    sandbox.no_process_is_left();
    let status = &manifest(&sandbox.out())["status"];
    assert_eq!((&status["is"], &status["exit-code"]), (&"failed".into(), &code.into()), "{status}");

    // The next run works, in the same place.
    let srpm = sandbox.srpm(&Toy::unmodified());
    sandbox.ipvs(&srpm, "20").args(["--until", "edit"]).exits(0);
}

#[test]
fn term_ends_a_build_that_root_started() {
    if require_root() {
        is_ended_by(&Sandbox::new(), Signal::SIGTERM);
    }
}

#[test]
fn int_ends_a_build_that_root_started() {
    if require_root() {
        is_ended_by(&Sandbox::new(), Signal::SIGINT);
    }
}

#[test]
fn hup_ends_a_build_that_root_started() {
    if require_root() {
        is_ended_by(&Sandbox::new(), Signal::SIGHUP);
    }
}

#[test]
fn term_ends_a_build_of_an_ordinary_user() {
    is_ended_by(&Sandbox::of_ordinary_user(), Signal::SIGTERM);
}

#[test]
fn int_ends_a_build_of_an_ordinary_user() {
    is_ended_by(&Sandbox::of_ordinary_user(), Signal::SIGINT);
}

#[test]
fn a_real_rpmbuild_ends_too_and_the_next_build_is_whole() {
    if !require("rpmbuild") {
        return;
    }
    for sandbox in [Sandbox::new(), Sandbox::of_ordinary_user()] {
        let marker = sandbox.path().join("record/building");
        let script = format!("if [ ! -e {0} ]; then touch {0}; sleep 300; fi", marker.display());
        let srpm = sandbox.srpm(&Toy::new().script("%build", &script).pack());
        let build = || sandbox.ipvs(&srpm, "20").args(["--profile", "fleet"]);
        let running = build().start();
        wait_until("%build to start", || marker.is_file());
        running.signal(Signal::SIGTERM);
        running.exits(143);
        sandbox.no_process_is_left();
        assert_eq!(names(&sandbox.out()), [""; 0]);
        build().exits(0);
        assert_eq!(names(&sandbox.out()).len(), 4);
    }
}

#[test]
fn a_second_signal_ends_what_does_not_listen_to_the_first() {
    let sandbox = Sandbox::new();
    let ready = sandbox.path().join("record/ready");
    let script = format!(
        "[ \"$1\" = --version ] && exit 0\ntrap '' TERM\ntouch {}\nwhile :; do sleep 0.1; done",
        ready.display()
    );
    let rpmbuild = sandbox.fake("rpmbuild", &script);
    let srpm = sandbox.srpm(&Toy::unmodified());
    let running = sandbox.ipvs(&srpm, "20").fakes([&rpmbuild]).start();
    wait_until("rpmbuild to start", || ready.is_file());
    running.signal(Signal::SIGTERM);
    std::thread::sleep(std::time::Duration::from_millis(500));
    running.signal(Signal::SIGTERM);
    running.exits(143);
    sandbox.no_process_is_left();
}

#[test]
fn a_second_kbuild_is_kept_out_and_touches_nothing() {
    for sandbox in [Sandbox::new(), Sandbox::of_ordinary_user()] {
        let mut first = under_way(&sandbox);
        // A package of the same name with other content, for another place.
        let stock = sandbox.srpm(&Toy::unmodified());
        let other = Toy::new().append("config-debug", "CONFIG_OTHER=y\n").pack();
        let before = tree(&sandbox.work());
        fs_err::create_dir(sandbox.path().join("in/other")).unwrap();
        let srpm = sandbox.path().join("in/other").join(stock.file_name().unwrap());
        fs_err::copy(&other.path, &srpm).unwrap();
        let second = sandbox.ipvs(&srpm, "20").instead("--out", sandbox.path().join("out2")).refused(4);
        second.says(&format!("another kbuild works in `{}`", sandbox.work().display()));
        second.says("hint: wait for it to end (`--wait` does that), or use another `--work DIR`");
        assert!(!sandbox.path().join("out2").exists(), "{second}");
        assert!(first.runs());
        let after = tree(&sandbox.work());
        let changed: Vec<_> = after.iter().filter(|(path, content)| before.get(*path) != Some(*content)).collect();
        assert!(changed.is_empty() && before.len() == after.len(), "{:?}", changed.iter().map(|each| each.0));
        first.signal(Signal::SIGTERM);
        first.exits(143);
    }
}

#[test]
fn a_second_kbuild_that_is_to_wait_waits() {
    for sandbox in [Sandbox::new(), Sandbox::of_ordinary_user()] {
        let first = under_way(&sandbox);
        let srpm = sandbox.srpm(&Toy::unmodified());
        let mut second = sandbox.ipvs(&srpm, "20").args(["--until", "edit", "--wait"]).start();
        std::thread::sleep(std::time::Duration::from_secs(1));
        assert!(second.runs());
        first.signal(Signal::SIGTERM);
        first.exits(143);
        second.exits(0).says(&format!("waiting for another kbuild in `{}`", sandbox.work().display()));
    }
}

#[test]
fn the_next_run_ends_what_a_killed_kbuild_left_running() {
    let sandbox = Sandbox::of_ordinary_user();
    let running = under_way(&sandbox);
    running.signal(Signal::SIGKILL);
    assert_eq!(running.ends().code(), None);
    let srpm = sandbox.srpm(&Toy::unmodified());
    let next = sandbox.ipvs(&srpm, "20").args(["--until", "edit"]).exits(0);
    next.says("ended what a kbuild that was killed had left running: ").says("sleep (");
    sandbox.no_process_is_left();
}

#[test]
fn when_root_is_killed_the_building_process_ends_by_itself() {
    if !require_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let running = under_way(&sandbox);
    running.signal(Signal::SIGKILL);
    assert_eq!(running.ends().code(), None);
    sandbox.no_process_is_left();
    let srpm = sandbox.srpm(&Toy::unmodified());
    sandbox.ipvs(&srpm, "20").args(["--until", "edit"]).exits(0);
}

#[test]
fn when_the_building_process_is_killed_the_build_has_failed() {
    if !require_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let running = under_way(&sandbox);
    // The one that has no argument but its name.
    let workers = crate::support::processes::of(sandbox.path(), Some(sandbox.user().ids().0));
    let (worker, _) = workers.iter().find(|(_, command)| command.trim_end() == "kbuild worker").unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(*worker), Signal::SIGKILL).unwrap();
    let outcome = running.exits(8);
    outcome
        .says("error: the building process ended without a result (signal: 9 (SIGKILL))")
        .says("hint: if memory ran out");
    sandbox.no_process_is_left();
}

#[test]
fn nothing_half_written_stays_among_the_results() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let logs = sandbox.out().join("logs");
    fs_err::create_dir_all(&logs).unwrap();
    let left = [sandbox.out().join(".kbuild-new-aBc123"), logs.join(".kbuild-new-x")];
    let kept = sandbox.out().join(".kbuild-mine");
    left.iter().chain([&kept]).for_each(|path| fs_err::write(path, "half").unwrap());
    sandbox.ipvs(&srpm, "20").args(["--until", "edit"]).exits(0);
    assert!(left.iter().all(|path| !path.exists()) && kept.exists());
}

/// Every file below a directory with the digest of its content.
fn tree(dir: &std::path::Path) -> std::collections::BTreeMap<PathBuf, String> {
    let files = walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    files.map(|entry| (entry.path().to_owned(), kbuild::digest::sha256(&fs_err::read(entry.path()).unwrap()))).collect()
}
