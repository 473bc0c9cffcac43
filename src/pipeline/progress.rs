//! How far rpmbuild is: which part of the spec runs, what is being compiled, and how many objects there are.
//!
//! Kernel specs call `make -s`, which prints nothing. So the compile lines are counted where there are some, and
//! where there are none, objects in BUILD are counted and the compiler's own command line is looked at.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use walkdir::WalkDir;

use crate::event::{Event, Reporter, Stage, Unit};
use crate::sys::processes;

/// How often the display is told.
const SHOW: Duration = Duration::from_secs(1);
/// How often objects are counted at the most.
const COUNT: Duration = Duration::from_secs(5);

/// What is known of a running build.
#[derive(Debug)]
pub(super) struct Progress {
    build: PathBuf,
    group: i32,
    phase: Option<String>,
    what: String,
    /// Lines that tell of a compilation.
    lines: u64,
    counter: Counter,
    /// What an earlier build of this kind compiled; nobody guesses before there was one.
    estimate: Option<u64>,
    shown: Instant,
    counted: Instant,
    pause: Duration,
}

/// Adds up objects although a tree is cleaned between two flavours.
#[derive(Debug, Default)]
struct Counter {
    finished: u64,
    present: u64,
}

impl Counter {
    fn see(&mut self, present: u64) {
        // A tree that is cleaned (`make mrproper`) loses nearly all of its objects at once.
        if present < self.present / 2 {
            self.finished += self.present;
        }
        self.present = present;
    }

    fn total(&self) -> u64 {
        self.finished + self.present
    }
}

impl Progress {
    pub(super) fn new(build: PathBuf, estimate: Option<u64>) -> Self {
        let now = Instant::now();
        Self {
            build,
            group: 0,
            phase: None,
            what: String::new(),
            lines: 0,
            counter: Counter::default(),
            estimate,
            shown: now,
            counted: now,
            pause: COUNT,
        }
    }

    /// Says which process group is watched.
    pub(super) fn started(&mut self, group: i32) {
        self.group = group;
    }

    /// Takes a line of rpmbuild's output; returns the part of the spec that begins with it, if one does.
    pub(super) fn line(&mut self, line: &str) -> Option<&str> {
        if let Some(phase) = phase_in(line) {
            self.phase = Some(phase.to_owned());
            self.what.clear();
            return self.phase.as_deref();
        }
        if let Some(object) = compiled_in(line) {
            self.lines += 1;
            object.clone_into(&mut self.what);
        }
        None
    }

    /// Returns the part of the spec that runs.
    pub(super) fn phase(&self) -> Option<&str> {
        self.phase.as_deref()
    }

    /// Returns how many objects were seen.
    pub(super) fn objects(&self) -> u64 {
        self.lines.max(self.counter.total())
    }

    /// Looks around if it is time to, and tells the reporter.
    pub(super) fn tick(&mut self, reporter: &dyn Reporter) {
        if self.shown.elapsed() < SHOW {
            return;
        }
        self.shown = Instant::now();
        let silent = self.lines == 0;
        if silent && self.phase.as_deref() == Some("%build") {
            if self.counted.elapsed() > self.pause {
                self.count();
            }
            if let Some(source) = processes::compiling(self.group) {
                self.what = source;
            }
        }
        let done = self.objects();
        reporter.report(&Event::Progress {
            stage: Stage::Build,
            phase: self.phase.clone(),
            done,
            total: self.estimate.map(|estimate| estimate.max(done)),
            estimated: true,
            unit: Unit::Objects,
            what: self.what.clone(),
        });
    }

    /// Counts the objects in BUILD.
    pub(super) fn count(&mut self) {
        let started = Instant::now();
        let present = WalkDir::new(&self.build)
            .into_iter()
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|ending| ending == "o"))
            .count();
        self.counter.see(present as u64);
        self.counted = Instant::now();
        // Never more than a twentieth of the time, however large the tree.
        self.pause = COUNT.max(started.elapsed() * 20);
    }
}

/// Returns the part of the spec that a line of rpmbuild's announces, such as `%build`.
fn phase_in(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("Executing(")?;
    let (phase, rest) = rest.split_once(')')?;
    (phase.starts_with('%') && rest.starts_with(':')).then_some(phase)
}

/// Returns the object that a line of kbuild's (the kernel's make files) announces: `  CC [M]  net/ipv4/tcp.o`.
fn compiled_in(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    let verb = words.next()?;
    if !matches!(verb, "CC" | "AS" | "HOSTCC" | "CXX") || !line.starts_with("  ") {
        return None;
    }
    words.find(|word| !word.starts_with('['))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_spec_and_objects_are_recognised() {
        assert_eq!(phase_in("Executing(%build): /bin/sh -e /var/tmp/rpm-tmp.x"), Some("%build"));
        assert_eq!(phase_in("+ echo 'Executing(%build)'"), None);
        assert_eq!(compiled_in("  CC [M]  net/netfilter/ipvs/ip_vs_conn.o"), Some("net/netfilter/ipvs/ip_vs_conn.o"));
        assert_eq!(compiled_in("  CC      init/main.o"), Some("init/main.o"));
        assert_eq!(compiled_in("CC is set to gcc"), None);
        assert_eq!(compiled_in("  LD      vmlinux"), None);
    }

    #[test]
    fn a_cleaned_tree_does_not_lose_its_count() {
        let mut counter = Counter::default();
        for present in [10, 100, 95, 3, 50] {
            counter.see(present);
        }
        assert_eq!(counter.total(), 145);
    }
}
