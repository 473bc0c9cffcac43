//! How far rpmbuild is: which part of the spec runs, what is being compiled, and how many objects there are.
//!
//! Kernel specs call `make -s`, which prints nothing. So the compile lines are counted where there are some, and
//! where there are none, what the program before gcc counts; where that does not run either, objects in BUILD. What is compiled the
//! compiler's own command line says.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use walkdir::WalkDir;

use crate::compiler;
use crate::event::{Event, Reporter, Stage, Unit};
use crate::plan::Layout;
use crate::sys::processes;
use crate::times::Span;
use crate::times::line::{COMPILING, Says, says};
use crate::times::seen;
use crate::times::timeline::Timeline;

/// How often the display is told.
const SHOW: Duration = Duration::from_secs(1);
/// How often objects are counted at the most.
const COUNT: Duration = Duration::from_secs(5);
/// How often the programs that run are looked at, while nothing else tells what is done.
const LOOK: Duration = Duration::from_millis(250);

/// What is known of a running build.
#[derive(Debug)]
pub(super) struct Progress {
    build: PathBuf,
    /// The file that has a byte for each compilation.
    begun: PathBuf,
    group: i32,
    phase: Option<String>,
    what: String,
    /// Lines that tell of a compilation.
    lines: u64,
    compiled: u64,
    counter: Counter,
    /// What an earlier build of this kind compiled; nobody guesses before there was one.
    estimate: Option<u64>,
    shown: Instant,
    counted: Instant,
    pause: Duration,
    /// The beginning of the run, from which times are counted.
    began: Instant,
    looked: Instant,
    timeline: Timeline,
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
    /// Begins to follow a build in a run that began at `began`.
    pub(super) fn new(layout: &Layout, estimate: Option<u64>, began: Instant) -> Self {
        let now = Instant::now();
        Self {
            build: layout.build(),
            begun: compiler::begun(&layout.compilers()),
            group: 0,
            phase: None,
            what: String::new(),
            lines: 0,
            compiled: 0,
            counter: Counter::default(),
            estimate,
            shown: now,
            counted: now,
            pause: COUNT,
            began,
            looked: now,
            timeline: Timeline::new(began.elapsed().as_secs_f64()),
        }
    }

    /// Says which process group is watched.
    pub(super) fn started(&mut self, group: i32) {
        self.group = group;
    }

    /// Takes a line of rpmbuild's output; returns the part of the spec that begins with it, if one does.
    pub(super) fn line(&mut self, line: &str) -> Option<&str> {
        let at = self.began.elapsed().as_secs_f64();
        let said = says(line)?;
        let group = self.group;
        self.timeline.line(at, &said, || Some(processes::cpu(group)));
        match said {
            Says::Section(phase) if phase.starts_with('%') => {
                self.phase = Some(phase.to_owned());
                self.what.clear();
                return self.phase.as_deref();
            }
            Says::Step { word, file, .. } if COMPILING.contains(&word) => {
                self.lines += 1;
                file.clone_into(&mut self.what);
            }
            _ => {}
        }
        None
    }

    /// Returns the parts of the build until now, and the compilations that were announced.
    pub(super) fn parts(&self) -> (Vec<Span>, Vec<(f64, String)>) {
        // The processes are gone: what the last part took of processors is not known.
        self.timeline.clone().finish(self.began.elapsed().as_secs_f64(), None)
    }

    /// Returns the part of the spec that runs.
    pub(super) fn phase(&self) -> Option<&str> {
        self.phase.as_deref()
    }

    /// Returns how many objects were seen.
    pub(super) fn objects(&self) -> u64 {
        self.lines.max(self.compiled).max(self.counter.total())
    }

    /// Looks around if it is time to, and tells the reporter.
    pub(super) fn tick(&mut self, reporter: &dyn Reporter) {
        let curious = self.timeline.is_curious() && self.looked.elapsed() >= LOOK;
        let due = self.shown.elapsed() >= SHOW;
        let silent = self.lines == 0 && self.phase.as_deref() == Some("%build");
        if curious || (due && silent) {
            self.looked = Instant::now();
            let at = self.began.elapsed().as_secs_f64();
            let (group, programs) = (self.group, processes::programs(self.group));
            self.timeline.seen(at, &programs, || Some(processes::cpu(group)));
            if let Some(source) = seen::compiling(&programs).filter(|_| silent) {
                source.clone_into(&mut self.what);
            }
        }
        if !due {
            return;
        }
        self.shown = Instant::now();
        if silent {
            self.compiled = fs_err::metadata(&self.begun).map_or(0, |begun| begun.len());
        }
        if silent && self.compiled == 0 && self.counted.elapsed() > self.pause {
            self.count();
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
        // Never more than a hundredth of the time, however large the tree.
        self.pause = COUNT.max(started.elapsed() * 100);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_spec_and_objects_are_counted() {
        let mut progress = Progress::new(&Layout::of("/nowhere".as_ref()), None, Instant::now());
        assert_eq!(progress.line("Executing(%build): /bin/sh -e /var/tmp/rpm-tmp.x"), Some("%build"));
        for line in ["+ echo 'Executing(%build)'", "  CC      init/main.o", "  LD      vmlinux", "  CC [M]  net/a.o"] {
            assert_eq!(progress.line(line), None, "{line}");
        }
        // rpm's own section at the end is none of the spec's.
        assert_eq!(progress.line("Executing(rmbuild): /bin/sh -e x"), None);
        assert_eq!((progress.phase(), progress.objects(), progress.what.as_str()), (Some("%build"), 2, "net/a.o"));
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
