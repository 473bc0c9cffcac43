//! Watches over a running build: how long it takes, whether it still does something, and what the machine has left.
//!
//! The judgement is pure ([`Watchdog::judge`]); what is judged is looked at every few seconds.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::manner::Limits;
use crate::event::{Event, Reporter};
use crate::sys::{pressure, processes, survey};

/// How often the machine is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// With less memory than this, in bytes, a machine is about to kill processes: a compiler of the kernel's takes as much.
const LEAST_MEMORY: u64 = 192 << 20;
/// With less room than this, in bytes, a file system is full: a single object of a kernel may be larger.
const FULL: u64 = 1 << 20;
/// Key generation waits while there is less entropy than this, in bits: the wake-up threshold of `random_read_wakeup_bits`
/// before Linux 5.6 (drivers/char/random.c); later kernels do not run out.
const LEAST_ENTROPY: u32 = 64;

/// Watches over one build.
#[derive(Debug)]
pub(super) struct Watchdog<'a> {
    limits: &'a Limits,
    work: PathBuf,
    group: i32,
    started: Instant,
    /// When it last printed something or used a processor.
    alive: Instant,
    used: u64,
    looked: Option<Instant>,
    warned: Warned,
}

/// What was said already: a warning that comes every two seconds is read by nobody.
#[derive(Debug, Default)]
struct Warned {
    memory: bool,
    entropy: bool,
}

/// What is seen of machine and build at one moment.
#[derive(Debug, Clone, Copy, Default)]
struct Sight {
    /// Since the build began.
    taken: Duration,
    /// Since it last did something.
    silent: Duration,
    /// Bytes left where it works.
    room: Option<u64>,
    /// Bytes of memory that can still be had.
    memory: Option<u64>,
    /// Entropy in bits, where it can run out.
    entropy: Option<u32>,
}

/// Why a build was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It took as long as it may.
    Time {
        /// How long.
        limit: Duration,
    },
    /// It printed nothing and used no processor for as long as it may.
    Silence {
        /// How long.
        limit: Duration,
    },
    /// There is hardly any room left.
    Room {
        /// Bytes left.
        left: u64,
        /// Bytes that must be left.
        least: u64,
    },
}

impl<'a> Watchdog<'a> {
    /// Begins to watch.
    pub(super) fn new(limits: &'a Limits, work: PathBuf) -> Self {
        let now = Instant::now();
        let warned = Warned::default();
        Self { limits, work, group: 0, started: now, alive: now, used: 0, looked: None, warned }
    }

    /// Says which process group is watched.
    pub(super) fn started(&mut self, group: i32) {
        self.group = group;
    }

    /// Takes note that something was printed.
    pub(super) fn line(&mut self) {
        self.alive = Instant::now();
    }

    /// Looks around if it is time to; returns why the build must end, if it must.
    pub(super) fn tick(&mut self, reporter: &dyn Reporter) -> Option<Reason> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return None;
        }
        self.looked = Some(Instant::now());
        // `make -s` prints nothing for hours, but it compiles.
        let used = processes::ticks(self.group);
        if used != self.used {
            self.used = used;
            self.alive = Instant::now();
        }
        let sight = Sight {
            taken: self.started.elapsed(),
            silent: self.alive.elapsed(),
            room: pressure::room(&self.work),
            memory: survey::memory(),
            entropy: survey::entropy(),
        };
        self.warn(&sight, reporter);
        Self::judge(self.limits, &sight)
    }

    /// Says after a failure what the programs that failed may not have said.
    pub(super) fn post_mortem(&self, reporter: &dyn Reporter) {
        if let Some(left) = pressure::room(&self.work).filter(|left| *left < FULL) {
            let text =
                format!("only {} KiB are left on its file system: it may have failed for want of room", left >> 10);
            reporter.report(&Event::Warning { text });
        }
    }

    fn warn(&mut self, sight: &Sight, reporter: &dyn Reporter) {
        if !self.warned.memory && sight.memory.is_some_and(|left| left < LEAST_MEMORY) {
            self.warned.memory = true;
            let text = "hardly any memory is left: if the build is killed, run it again with a smaller `--jobs`";
            reporter.report(&Event::Warning { text: text.into() });
        }
        // Silence and little entropy together: a key is being generated and waits.
        let waits = sight.silent > LOOK * 2 && sight.entropy.is_some_and(|bits| bits < LEAST_ENTROPY);
        if !self.warned.entropy && waits {
            self.warned.entropy = true;
            let text =
                "the build waits for entropy, which its module-signing key takes: run `rngd -r /dev/urandom` as root";
            reporter.report(&Event::Warning { text: text.into() });
        }
    }

    fn judge(limits: &Limits, sight: &Sight) -> Option<Reason> {
        if let Some(left) = sight.room.filter(|left| *left < limits.room) {
            return Some(Reason::Room { left, least: limits.room });
        }
        if let Some(limit) = limits.total.filter(|limit| sight.taken >= *limit) {
            return Some(Reason::Time { limit });
        }
        limits.silence.filter(|limit| sight.silent >= *limit).map(|limit| Reason::Silence { limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_ends_a_build_and_nothing_else_does() {
        let seconds = Duration::from_secs;
        let limits = Limits { total: Some(seconds(100)), silence: Some(seconds(10)), room: 1000 };
        let well =
            Sight { taken: seconds(99), silent: seconds(9), room: Some(1000), memory: Some(0), entropy: Some(0) };
        let cases = [
            (well, None),
            (Sight { taken: seconds(100), ..well }, Some(Reason::Time { limit: seconds(100) })),
            (Sight { silent: seconds(10), ..well }, Some(Reason::Silence { limit: seconds(10) })),
            (Sight { room: Some(999), ..well }, Some(Reason::Room { left: 999, least: 1000 })),
            // What cannot be seen is no reason.
            (Sight { room: None, ..well }, None),
        ];
        for (sight, expected) in cases {
            assert_eq!(Watchdog::judge(&limits, &sight), expected, "{sight:?}");
        }
        let none = Limits::default();
        assert_eq!(Watchdog::judge(&none, &Sight { taken: seconds(1_000_000), ..well }), None);
    }
}
