//! A campaign of faults: kbuild is killed at any moment, its disks are full, its clock jumps, its tools disappear; after
//! each the same packages come out, bit for bit, and nothing is left behind.
//!
//! The tests run it in a short form; `scripts/chaos` says how many times each fault is to come, and prints what came of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::kbuild::{Kbuild, Outcome};
use crate::support::package::names;
use crate::support::sandbox::Sandbox;
use crate::support::server::Nginx;
use crate::support::tmpfs::Tmpfs;
use crate::support::toy::{STOCK, Toy};
use crate::support::{missing, require, require_root, wait_until};

/// The stages at whose beginning a signal is aimed, and how long each may take, in milliseconds.
const STAGES: [(&str, u64); 8] = [
    ("start", 40),
    ("fetch", 300),
    ("inspect", 40),
    ("verify", 20),
    ("unpack", 30),
    ("build", 1600),
    ("prove", 60),
    ("collect", 25),
];

type Digests = BTreeMap<String, String>;

/// How many times a fault is to come: from the environment, or the short form's.
fn times(name: &str, short: u64) -> u64 {
    std::env::var(format!("KBUILD_CHAOS_{name}")).ok().map_or(short, |text| text.parse().unwrap())
}

/// Numbers that come in the same order for the same seed (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn new(salt: u64) -> Self {
        Self(times("SEED", 20_26) ^ (salt << 32) ^ 0x9E37_79B9_7F4A_7C15)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Counts what happened, and says so at the end.
#[derive(Default)]
struct Counts(BTreeMap<String, u64>);

impl Counts {
    fn add(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    /// Past the test harness, which keeps what a test prints to itself when it passes.
    fn print(&self, title: &str) {
        let counts: Vec<_> = self.0.iter().map(|(what, times)| format!("{what} {times}")).collect();
        let _ = writeln!(std::io::stderr(), "chaos: {title}: {}", counts.join(", "));
    }
}

/// The packages by name and digest.
fn digests(out: &Path) -> Digests {
    let digest = |name: String| {
        let content = fs_err::read(out.join(&name)).unwrap();
        (name, kbuild::digest::sha256(&content))
    };
    names(out).into_iter().map(digest).collect()
}

/// Checks that no process runs and that nothing half-written is there.
#[track_caller]
fn nothing_is_left(sandbox: &Sandbox, outcome: &Outcome) {
    sandbox.no_process_is_left();
    let files = walkdir::WalkDir::new(sandbox.path()).into_iter().flatten().map(walkdir::DirEntry::into_path);
    let half = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with(".kbuild-new") || path.extension().is_some_and(|ending| ending == "part")
    };
    let left: Vec<_> = files.filter(half).collect();
    assert!(left.is_empty(), "left behind: {left:?}\n{outcome}");
}

/// The stage that kbuild was in when it said this.
fn stage_of(said: &str) -> &str {
    let known = STAGES.map(|(name, _)| name);
    let mut heads = said.lines().filter_map(|line| line.split_once("] ")?.1.split_once(": ").map(|(head, _)| head));
    heads.rfind(|head| known.contains(head) || *head == "edit").unwrap_or("start")
}

/// A vault with the toy, which takes its time.
fn vault() -> Nginx {
    let vault = Nginx::start("limit_rate 150k;");
    let srpm = Toy::unmodified().path;
    vault.put(&format!("centos/6.2/updates/Source/SPackages/{}", srpm.file_name().unwrap().display()), &srpm);
    vault
}

/// A build from that vault, with a store of its own.
fn build<'a>(sandbox: &'a Sandbox, vault: &Nginx) -> Kbuild<'a> {
    let kbuild = sandbox.ipvs(Path::new(""), "20").without("--srpm").without("");
    let kbuild = kbuild.args(["--release", STOCK, "--profile", "fleet", "--store"]).arg(sandbox.path().join("store"));
    kbuild.args(["--mirror", &format!("{}/centos", vault.url())])
}

/// Signals kbuild at random moments of random stages; each time the next run must give the same packages.
fn signals(signal: Signal, number: u64, salt: u64) {
    if !require("rpmbuild") || !require("nginx") {
        return;
    }
    let vault = vault();
    let reference = Sandbox::new();
    build(&reference, &vault).exits(0);
    let expected = digests(&reference.out());
    assert_eq!(expected.len(), 4);

    let sandboxes = [Sandbox::new(), Sandbox::of_ordinary_user()];
    let (mut dice, mut counts) = (Dice::new(salt), Counts::default());
    for turn in 0..number {
        let sandbox = &sandboxes[usize::try_from(turn % 2).unwrap()];
        // Each stage has its turn, and each of them is run.
        let (stage, long) = STAGES[usize::try_from(turn / 2 % STAGES.len() as u64).unwrap()];
        if matches!(stage, "start" | "fetch") {
            let _ = fs_err::remove_dir_all(sandbox.path().join("store"));
        }
        let mut running = build(sandbox, &vault).args(["--wait", "--fresh"]).start();
        if stage != "start" {
            let head = format!("] {stage}: ");
            // Not `wait_until`: the last stages take less than a look takes there.
            while !running.so_far().contains(&head) && running.runs() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        std::thread::sleep(Duration::from_millis(dice.below(long)));
        if running.runs() {
            running.signal(signal);
        }
        let outcome = running.ends();
        let ended = outcome.code() == Some(0);
        counts.add(if ended { "too late" } else { stage_of(&outcome.stderr) });
        if !ended && signal == Signal::SIGTERM {
            // Before there is something to end in order, a signal ends it as it ends any program.
            assert!(matches!(outcome.code(), Some(143) | None), "{outcome}");
            sandbox.no_process_is_left();
        }
        // Killed, root cannot take its building process along at once: that one notices, and the next kbuild waits for it.
        let again = build(sandbox, &vault);
        let again = if signal == Signal::SIGKILL { again.arg("--wait") } else { again };
        // Every other pair in the tree that was left.
        let again = if turn % 4 >= 2 { again.arg("--resume-build") } else { again };
        let again = again.exits(0);
        assert!(digests(&sandbox.out()) == expected, "other packages after {outcome}\n{again}");
        nothing_is_left(sandbox, &again);
        counts.add("the same packages");
    }
    counts.print(&format!("{number} x {signal}"));
    assert_eq!(counts.of("the same packages"), number);
}

#[test]
fn kill_at_any_moment() {
    signals(Signal::SIGKILL, times("KILLS", 16), 1);
}

#[test]
fn term_at_any_moment() {
    signals(Signal::SIGTERM, times("TERMS", 16), 2);
}

/// Builds with a small file system at one place, larger and larger, until it is large enough.
fn fills(place: &str) {
    if !require("rpmbuild") || !require("nginx") || !require_root() {
        return;
    }
    let vault = vault();
    let reference = Sandbox::new();
    build(&reference, &vault).exits(0);
    let expected = digests(&reference.out());

    let sandbox = Sandbox::new();
    sandbox.user().create();
    let (uid, gid) = sandbox.user().ids();
    let at = sandbox.path().join(place);
    let Some(small) = Tmpfs::mount(at, "16k") else {
        assert!(!missing("the right to mount"));
        return;
    };
    if place == "work" {
        std::os::unix::fs::chown(small.path(), Some(uid), Some(gid)).unwrap();
    }
    let mut counts = Counts::default();
    let mut size = 16;
    loop {
        small.resize(&format!("{size}k"));
        // The preflight would see that it is too small, and this is about what happens if it fills up all the same.
        let outcome = build(&sandbox, &vault).args(["--min-free", "1", "--ignore-preflight"]).start().ends();
        sandbox.no_process_is_left();
        match outcome.code() {
            Some(0) => break,
            Some(4 | 8) => {
                let said = &outcome.stderr;
                let full = ["No space left", "are left on its file system"];
                assert!(full.iter().any(|word| said.contains(word)), "does not say what is full: {outcome}");
                counts.add(stage_of(said));
            }
            _ => panic!("another exit code than 4 or 8 for a full disk: {outcome}"),
        }
        size += times("STEP", 48);
        assert!(size < 16 << 10, "it is never enough: {outcome}");
    }
    counts.add(format!("enough with KiB {size}, the same packages"));
    assert_eq!(digests(&sandbox.out()), expected);
    counts.print(&format!("{place} on a full disk"));
    assert!(counts.0.len() > 1, "it was never full");
}

#[test]
fn the_work_directory_is_full() {
    fills("work");
}

#[test]
fn the_directory_for_results_is_full() {
    fills("out");
}

#[test]
fn the_store_is_full() {
    fills("store");
}

#[test]
fn a_store_that_cannot_be_written_gives_what_it_has() {
    if !require("rpmbuild") || !require("nginx") || !require_root() {
        return;
    }
    let vault = vault();
    let sandbox = Sandbox::new();
    let Some(store) = Tmpfs::mount(sandbox.path().join("store"), "4m") else {
        assert!(!missing("the right to mount"));
        return;
    };
    store.resize("4m,ro");
    let outcome = build(&sandbox, &vault).refused(4);
    outcome.says("Read-only file system");
    store.resize("4m,rw");
    build(&sandbox, &vault).exits(0);
    let expected = digests(&sandbox.out());
    store.resize("4m,ro");
    build(&sandbox, &vault).arg("--fresh").exits(0);
    assert_eq!(digests(&sandbox.out()), expected);
    store.resize("4m,rw");
}

#[test]
fn the_clock_jumps_back_during_a_build_and_between_two() {
    if !require("rpmbuild") || !require("faketime") {
        return;
    }
    let sandbox = Sandbox::new();
    let clock = sandbox.path().join("record/clock");
    fs_err::write(&clock, "+0").unwrap();
    // Everybody may set this clock: the building account does.
    fs_err::set_permissions(&clock, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let script = format!(
        "exec faketime -f +0 env -u FAKETIME FAKETIME_TIMESTAMP_FILE={} FAKETIME_NO_CACHE=1 /usr/bin/rpmbuild \"$@\"",
        clock.display()
    );
    let rpmbuild = sandbox.fake("rpmbuild", &script);
    let jump = format!("date; grep -q jump {0}.on && echo -400d > {0}; date", clock.display());
    fs_err::write(clock.with_extension("on"), "").unwrap();
    let srpm = sandbox.srpm(&Toy::new().script("%build", &jump).pack());
    let build = || sandbox.ipvs(&srpm, "20").fakes([&rpmbuild]).args(["--profile", "fleet"]);
    build().exits(0);
    let expected = digests(&sandbox.out());

    let sees = |year: i16| {
        let log = fs_err::read_to_string(sandbox.out().join("logs/04-build.log")).unwrap();
        assert!(log.contains(&format!(" {year}")), "no {year} in {log}");
    };
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let before = now.checked_sub(jiff::SignedDuration::from_hours(24 * 400)).unwrap();
    sees(now.year());
    // In the middle of %build.
    fs_err::write(clock.with_extension("on"), "jump").unwrap();
    build().arg("--fresh").exits(0);
    sees(now.year());
    sees(before.year());
    assert_eq!(digests(&sandbox.out()), expected);
    // Now all files of the last build are from the future.
    build().arg("--fresh").exits(0);
    sees(before.year());
    assert_eq!(digests(&sandbox.out()), expected);
    // And kbuild's own clock, too: what it has noted is from the future.
    build().through(&["faketime", "-f", "-800d"]).exits(0).says("the packages are taken from the build of");
    assert_eq!(digests(&sandbox.out()), expected);
}

#[test]
fn two_builds_at_once_do_not_harm_each_other() {
    if !require("rpmbuild") {
        return;
    }
    let srpm_of = |sandbox: &Sandbox| sandbox.srpm(&Toy::unmodified());
    let reference = Sandbox::new();
    reference.ipvs(&srpm_of(&reference), "20").exits(0);
    let expected = digests(&reference.out());
    let sandbox = Sandbox::new();
    let srpm = srpm_of(&sandbox);
    let mut counts = Counts::default();
    for _ in 0..times("PAIRS", 2) {
        // In one place: the second is kept out, or waits.
        let pair = [sandbox.ipvs(&srpm, "20").arg("--fresh").start(), sandbox.ipvs(&srpm, "20").arg("--fresh").start()];
        let mut codes = pair.map(|running| running.ends().code().unwrap());
        codes.sort_unstable();
        assert!(codes == [0, 4] || codes == [0, 0], "{codes:?}");
        counts.add(if codes == [0, 4] { "one kept out" } else { "one after the other" });
        let pair = [sandbox.ipvs(&srpm, "20").arg("--wait").start(), sandbox.ipvs(&srpm, "20").arg("--wait").start()];
        for running in pair {
            running.exits(0);
        }
        assert_eq!(digests(&sandbox.out()), expected);
        // In two places, with one directory for the results.
        let other = || sandbox.ipvs(&srpm, "20").arg("--wait").instead("--work", sandbox.path().join("work2"));
        let pair = [sandbox.ipvs(&srpm, "20").args(["--wait", "--fresh"]).start(), other().arg("--fresh").start()];
        for running in pair {
            running.exits(0);
        }
        assert_eq!(digests(&sandbox.out()), expected);
        counts.add("both waited");
    }
    counts.print("two builds at once");
}

#[test]
fn a_tool_that_disappears_during_a_build_is_named() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let record = sandbox.path().join("record");
    let tools = sandbox.path().join("tools");
    fs_err::create_dir(&tools).unwrap();
    for dir in ["/usr/bin", "/usr/sbin"] {
        for entry in fs_err::read_dir(dir).unwrap().flatten() {
            let _ = fs_err::os::unix::fs::symlink(entry.path(), tools.join(entry.file_name()));
        }
    }
    let script = format!("touch {0}/building; while [ ! -e {0}/go ]; do /bin/sleep 0.05; done", record.display());
    let srpm = sandbox.srpm(&Toy::new().script("%build", &script).pack());
    let build = || sandbox.ipvs(&srpm, "20").args(["--profile", "fleet"]).env("PATH", &tools);
    let mut counts = Counts::default();
    for tool in ["gcc", "make", "gzip", "strip", "perl"] {
        for marker in ["building", "go"] {
            let _ = fs_err::remove_file(record.join(marker));
        }
        let running = build().arg("--fresh").start();
        wait_until("%build to start", || record.join("building").exists());
        let place = tools.join(tool);
        let target = fs_err::read_link(&place).unwrap();
        fs_err::remove_file(&place).unwrap();
        fs_err::write(record.join("go"), "").unwrap();
        let outcome = running.ends();
        fs_err::os::unix::fs::symlink(target, &place).unwrap();
        sandbox.no_process_is_left();
        match outcome.code() {
            // It had done all that it does before.
            Some(0) => counts.add("not needed any more"),
            Some(8) => {
                outcome.says(tool);
                counts.add("named");
            }
            _ => panic!("{tool}: {outcome}"),
        }
    }
    assert!(counts.of("named") >= 2, "{:?}", counts.0);
    build().exits(0);
    assert_eq!(names(&sandbox.out()).len(), 4);
    counts.print("tools that disappear");
}
