//! Builds that are ended although nothing is wrong with them: too long, too still, no room left.

use crate::support::built::manifest;
use crate::support::kbuild::Outcome;
use crate::support::package::names;
use crate::support::sandbox::Sandbox;
use crate::support::tmpfs::Tmpfs;
use crate::support::toy::Toy;
use crate::support::{missing, require, require_root};

/// Builds a toy whose `%build` runs a script first, with further arguments; it must be stopped there.
#[track_caller]
fn is_stopped(sandbox: &Sandbox, script: &str, args: &[&str], code: i32) -> Outcome {
    let srpm = sandbox.srpm(&Toy::new().script("%build", script).pack());
    let outcome = sandbox.ipvs(&srpm, "20").args(args).exits(code);
    outcome.says("error: the build was stopped in %build: ");
    assert_eq!(outcome.stdout, "", "{outcome}");
    assert_eq!(names(&sandbox.out()), [""; 0], "{outcome}");
    assert_eq!(manifest(&sandbox.out())["status"]["exit-code"], code, "{outcome}");
    // The log is among the results, and the tree is there to be looked at.
    assert!(sandbox.out().join("logs/04-build.log").is_file(), "{outcome}");
    assert!(sandbox.work().join("rpmbuild/BUILD").is_dir(), "{outcome}");
    sandbox.no_process_is_left();
    outcome
}

#[test]
fn a_build_that_takes_too_long_is_ended() {
    if require("rpmbuild") {
        // It is not silent: it computes.
        let args = ["--timeout", "4", "--silence-timeout", "1h"];
        let outcome = is_stopped(&Sandbox::new(), "while :; do :; done", &args, 8);
        outcome
            .says("it took 4 s, which is as long as it may")
            .says("hint: give it a longer `--timeout`, and let it go on with `--resume-build`");
    }
}

#[test]
fn a_build_that_does_nothing_is_ended() {
    if require("rpmbuild") {
        let outcome = is_stopped(&Sandbox::new(), "sleep 300", &["--silence-timeout", "4s"], 8);
        outcome.says("it printed nothing and computed nothing for 4 s").says("`--silence-timeout`");
    }
}

#[test]
fn a_build_that_only_prints_or_only_computes_is_not_silent() {
    if require("rpmbuild") {
        let prints = "for i in 1 2 3 4 5 6 7 8; do sleep 1; echo $i; done";
        let computes = "end=$((SECONDS + 8)); while [ $SECONDS -lt $end ]; do :; done";
        for script in [prints, computes] {
            let sandbox = Sandbox::new();
            let srpm = sandbox.srpm(&Toy::new().script("%build", script).pack());
            sandbox.ipvs(&srpm, "20").args(["--profile", "fleet", "--silence-timeout", "5"]).exits(0);
        }
    }
}

#[test]
fn a_build_is_stopped_before_its_disk_is_full() {
    if !require("rpmbuild") || !require_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let Some(small) = Tmpfs::mount(sandbox.work(), "64m") else {
        assert!(!missing("the right to mount"));
        return;
    };
    let (uid, gid) = {
        sandbox.user().create();
        sandbox.user().ids()
    };
    std::os::unix::fs::chown(small.path(), Some(uid), Some(gid)).unwrap();
    // A megabyte every tenth of a second.
    let fill = "i=0; while :; do dd if=/dev/zero of=fill.$i bs=1M count=1 status=none; i=$((i+1)); sleep 0.1; done";
    let outcome = is_stopped(&sandbox, fill, &["--min-free", "24MiB"], 4);
    outcome.says(" MiB are left on its file system, expected at least 24").says("hint: make room there");
    assert!(!outcome.stderr.contains("No space left"), "{outcome}");
}

#[test]
fn root_feeds_entropy_where_it_is_short_and_stops_with_the_build() {
    if !require("rpmbuild") || !require_root() || !require("unshare") {
        return;
    }
    let sandbox = Sandbox::new();
    // This machine's kernel does not run out of entropy: one that does, as its files in /proc say.
    let (size, left) = (sandbox.input("poolsize", "4096\n"), sandbox.input("entropy_avail", "120\n"));
    let tools = sandbox.path().join("bin");
    sandbox.fake("rngd", "exec /bin/sleep 300");
    let mounts = format!(
        "cd /proc/sys/kernel/random && mount --bind {} poolsize && mount --bind {} entropy_avail && exec \"$@\"",
        size.display(),
        left.display()
    );
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let srpm = sandbox.srpm(&Toy::unmodified());
    let build = || sandbox.ipvs(&srpm, "20").args(["--profile", "fleet"]);
    let through = ["unshare", "-m", "sh", "-c", &mounts, "sh"];
    let outcome = build().through(&through).env("PATH", &path).exits(0);
    outcome.says("note: there is little entropy: rngd feeds it from /dev/urandom while this builds");
    let calls: Vec<_> = fs_err::read_dir(sandbox.path().join("record/rngd")).unwrap().collect();
    assert_eq!(calls.len(), 1);
    sandbox.no_process_is_left();
    // Where there is enough of it, nobody is started.
    build().env("PATH", &path).exits(0).does_not_say("entropy: rngd");
    assert_eq!(fs_err::read_dir(sandbox.path().join("record/rngd")).unwrap().count(), 1);
}
