//! Plain lines for logs: each stamped with the time since the start of the run, none longer than a page is wide.
//!
//! Progress comes as a heartbeat, also when nothing is heard from a stage for a while: CI systems end what is silent.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::meter::Meter;
use super::{Verbosity, table, units, words};
use crate::event::{Event, Reporter, Stage};

/// The longest text after the stamp.
const WIDTH: usize = 180;
/// The shortest heartbeat, so that the thread sleeps.
const SHORTEST: Duration = Duration::from_millis(5);

/// The time since the start of the run.
type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// Writes one line per event, and heartbeats while a stage runs.
pub(super) struct Plain<W: Write + Send + 'static> {
    shared: Arc<Shared<W>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared<W> {
    state: Mutex<State<W>>,
    closing: Condvar,
    clock: Clock,
    heartbeat: Duration,
    verbosity: Verbosity,
}

struct State<W> {
    out: W,
    running: Option<Running>,
    closed: bool,
}

struct Running {
    stage: Stage,
    started: Duration,
    /// When the next heartbeat is due.
    due: Duration,
    meter: Option<Meter>,
    /// Whether the meter has changed since it was last shown.
    fresh: bool,
    /// The phases that have been named.
    phases: Vec<String>,
}

impl<W: Write + Send + 'static> Plain<W> {
    /// Returns the renderer; the run starts now. While a stage runs there is a line at least every `heartbeat`, and
    /// its progress is shown no more often than that.
    pub(super) fn new(out: W, verbosity: Verbosity, heartbeat: Duration) -> Self {
        let start = Instant::now();
        let mut plain = Self::with_clock(out, verbosity, heartbeat, Box::new(move || start.elapsed()));
        if verbosity > Verbosity::Quiet {
            let shared = Arc::clone(&plain.shared);
            // Without a thread the log is silent at times: no reason to fail.
            plain.thread = thread::Builder::new().name("heartbeat".to_owned()).spawn(move || shared.beat()).ok();
        }
        plain
    }

    /// Returns a renderer that shows only what it is told of: nothing happens between two events.
    fn with_clock(out: W, verbosity: Verbosity, heartbeat: Duration, clock: Clock) -> Self {
        let state = Mutex::new(State { out, running: None, closed: false });
        let heartbeat = heartbeat.max(SHORTEST);
        let shared = Arc::new(Shared { state, closing: Condvar::new(), clock, heartbeat, verbosity });
        Self { shared, thread: None }
    }
}

impl<W: Write + Send + 'static> Reporter for Plain<W> {
    fn report(&self, event: &Event) {
        self.shared.report(event);
    }
}

impl<W: Write + Send + 'static> Drop for Plain<W> {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.closing.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl<W: Write> Shared<W> {
    fn state(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the thread does: it sleeps until the next heartbeat may be due, until the renderer goes away.
    fn beat(&self) {
        let mut state = self.state();
        while !state.closed {
            let now = (self.clock)();
            state.heartbeat(now, self.heartbeat);
            let due = state.running.as_ref().map(|running| running.due.saturating_sub(now));
            let sleep = due.unwrap_or(self.heartbeat).max(SHORTEST);
            let woken = self.closing.wait_timeout(state, sleep);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn report(&self, event: &Event) {
        if !self.verbosity.shows(event) {
            return;
        }
        let mut state = self.state();
        let now = (self.clock)();
        match event {
            Event::BuildStarted { nvr, bits, index, of } => {
                state.print(now, "", &words::heading(nvr, *bits, *index, *of));
            }
            Event::Note { text } => state.print(now, "note: ", text),
            Event::Warning { text } => state.print(now, "warning: ", text),
            Event::StageStarted { stage, what } => {
                let what = if what.is_empty() { "started" } else { what };
                state.print(now, &format!("{stage}: "), what);
                state.running = Some(Running::new(*stage, now, now + self.heartbeat));
            }
            Event::Progress { stage, .. } => {
                state.progress(*stage, event, now);
                state.heartbeat(now, self.heartbeat);
            }
            Event::Exec { command } => state.print(now, "exec: ", command),
            Event::Proved { level, subject, verdict, holds } => {
                let mark = match holds {
                    Some(true) => "ok",
                    Some(false) => "FAILED",
                    None => "skipped",
                };
                let text = format!("{}: {}", words::line(subject), words::line(verdict));
                state.print(now, &format!("proof: level {level} {mark}: "), &text);
            }
            Event::StageFinished { stage, seconds } => state.end(now, *stage, "done in", *seconds),
            Event::StageFailed { stage, seconds } => {
                state.end(now, *stage, "failed after", *seconds);
            }
            Event::Times { times } => state.table(now, &table::times(times)),
            Event::Variants { variants } => state.table(now, &table::variants(variants)),
        }
    }
}

impl Running {
    fn new(stage: Stage, started: Duration, due: Duration) -> Self {
        Self { stage, started, due, meter: None, fresh: false, phases: Vec::new() }
    }

    /// The text of a heartbeat: the progress if there was any since the last one.
    fn line(&self, now: Duration) -> String {
        let took = now.saturating_sub(self.started);
        let mut parts = Vec::new();
        let what = self.meter.as_ref().map(Meter::what).filter(|what| !what.is_empty());
        if let Some(meter) = self.meter.as_ref().filter(|_| self.fresh) {
            parts.extend(meter.phase().map(str::to_owned));
            parts.extend(meter.figures(took));
            parts.extend(what.map(str::to_owned));
        }
        if parts.is_empty() {
            parts.extend(["still running".to_owned(), units::duration(took)]);
            parts.extend(what.map(|what| format!("last: {what}")));
        }
        parts.join(", ")
    }
}

impl<W: Write> State<W> {
    /// Takes note of progress; a phase is named when it is first heard of.
    fn progress(&mut self, stage: Stage, event: &Event, now: Duration) {
        let Some(running) = self.running.as_mut().filter(|running| running.stage == stage) else {
            return;
        };
        let at = now.saturating_sub(running.started);
        running.meter = Meter::after(running.meter.take(), event, at);
        running.fresh = true;
        let phase = running.meter.as_ref().and_then(Meter::phase);
        if let Some(phase) = phase.filter(|phase| !running.phases.iter().any(|known| known == phase)) {
            let phase = phase.to_owned();
            running.phases.push(phase.clone());
            self.print(now, &format!("{stage}: "), &phase);
        }
    }

    /// Prints a heartbeat if one is due.
    fn heartbeat(&mut self, now: Duration, every: Duration) {
        let Some(running) = self.running.as_mut().filter(|running| now >= running.due) else {
            return;
        };
        let (stage, text) = (running.stage, running.line(now));
        running.due = now + every;
        running.fresh = false;
        self.print(now, &format!("{stage}: "), &text);
    }

    fn end(&mut self, now: Duration, stage: Stage, how: &str, seconds: f64) {
        self.running = None;
        let took = units::duration(units::seconds(seconds));
        self.print(now, &format!("{stage}: "), &format!("{how} {took}"));
    }

    /// Prints the lines of a table.
    fn table(&mut self, now: Duration, lines: &[String]) {
        let mut block = String::new();
        for line in lines {
            // Writing to a String does not fail.
            let _ = writeln!(block, "[{:>6.1}s] {}", now.as_secs_f64(), words::shorten(line, WIDTH));
        }
        let _ = self.out.write_all(block.as_bytes()).and_then(|()| self.out.flush());
    }

    /// Prints a text; further lines are set under the first. That nobody reads it is no reason to fail.
    fn print(&mut self, now: Duration, head: &str, text: &str) {
        let room = WIDTH.saturating_sub(head.len());
        let lines = words::lines(text);
        let mut block = String::new();
        for (n, line) in lines.iter().flat_map(|line| words::wrap(line, room)).enumerate() {
            let head = if n == 0 { head.to_owned() } else { " ".repeat(head.len()) };
            let _ = writeln!(block, "[{:>6.1}s] {head}{line}", now.as_secs_f64());
        }
        let _ = self.out.write_all(block.as_bytes()).and_then(|()| self.out.flush());
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::event::Unit;

    /// A writer that can be read while it is written to.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Log {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        /// Waits until the log is as wanted; fails after ten seconds.
        fn wait_for(&self, wanted: impl Fn(&str) -> bool) -> String {
            for _ in 0..1000 {
                if wanted(&self.text()) {
                    return self.text();
                }
                thread::sleep(Duration::from_millis(10));
            }
            panic!("the log stayed\n{}", self.text());
        }
    }

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Renders events at times in milliseconds, with a heartbeat of 30 seconds.
    fn rendered(verbosity: Verbosity, events: &[(u64, Event)]) -> String {
        let (log, time) = (Log::default(), Arc::new(AtomicU64::new(0)));
        let now = Arc::clone(&time);
        let clock = Box::new(move || Duration::from_millis(now.load(Ordering::SeqCst)));
        let plain = Plain::with_clock(log.clone(), verbosity, Duration::from_secs(30), clock);
        for (millis, event) in events {
            time.store(*millis, Ordering::SeqCst);
            plain.report(event);
        }
        drop(plain);
        log.text()
    }

    fn started(stage: Stage, what: &str) -> Event {
        Event::StageStarted { stage, what: what.into() }
    }

    fn objects(phase: &str, done: u64, total: Option<u64>, what: &str) -> Event {
        let (phase, what) = (Some(phase.into()), what.into());
        let (stage, estimated, unit) = (Stage::Build, true, Unit::Objects);
        Event::Progress { stage, phase, done, total, estimated, unit, what }
    }

    fn script() -> Vec<(u64, Event)> {
        let proved = |level, subject: &str, verdict: &str, holds| Event::Proved {
            level,
            subject: subject.into(),
            verdict: verdict.into(),
            holds,
        };
        vec![
            (0, Event::BuildStarted { nvr: "kernel-5.14.0-1".into(), bits: 20, index: 1, of: 2 }),
            (0, Event::Note { text: "the recipe is el9".into() }),
            (100, started(Stage::Verify, "reading the source package")),
            (900, Event::StageFinished { stage: Stage::Verify, seconds: 0.8 }),
            (1_000, started(Stage::Build, "")),
            (1_100, Event::Exec { command: "/usr/bin/rpmbuild -bb kernel.spec".into() }),
            (1_200, objects("%prep", 0, None, "")),
            (20_000, objects("%build", 0, Some(5600), "CC init/main.o")),
            (25_000, objects("%build", 50, Some(5600), "CC a.o")),
            (30_000, objects("%build", 1400, Some(5600), "CC net/ipv4/ip.o")),
            (31_000, objects("%build", 1400, Some(5600), "CC net/ipv4/ip.o")),
            (40_000, objects("%build", 1500, Some(5600), "CC b.o")),
            (45_000, Event::Warning { text: "little space\nin /var".into() }),
            (3_000_000, Event::StageFailed { stage: Stage::Build, seconds: 2_999.0 }),
            (3_000_000, proved(3, "/boot/config-5.14.0-1", "20", Some(true))),
            (3_000_000, proved(4, "ip_vs.ko", "12", Some(false))),
            (3_000_000, proved(5, "boot", "no qemu", None)),
        ]
    }

    const LINES: &str = "\
[   0.0s] kernel-5.14.0-1: bits 20, build 1 of 2
[   0.0s] note: the recipe is el9
[   0.1s] verify: reading the source package
[   0.9s] verify: done in 0.8s
[   1.0s] build: started
[   1.2s] build: %prep
[  20.0s] build: %build
[  31.0s] build: %build, 1400/~5600 objects, 25%, eta ~33s, CC net/ipv4/ip.o
[  45.0s] warning: little space
[  45.0s]          in /var
[3000.0s] build: failed after 49m 59s
[3000.0s] proof: level 3 ok: /boot/config-5.14.0-1: 20
[3000.0s] proof: level 4 FAILED: ip_vs.ko: 12
[3000.0s] proof: level 5 skipped: boot: no qemu
";

    #[test]
    fn exact_lines() {
        assert_eq!(rendered(Verbosity::Normal, &script()), LINES);
    }

    #[test]
    fn quiet_is_warnings_only() {
        let quiet = "[  45.0s] warning: little space\n[  45.0s]          in /var\n";
        assert_eq!(rendered(Verbosity::Quiet, &script()), quiet);
    }

    #[test]
    fn verbose_shows_commands() {
        let exec = "[   1.1s] exec: /usr/bin/rpmbuild -bb kernel.spec\n";
        let verbose = rendered(Verbosity::Verbose, &script());
        assert!(verbose.contains(exec), "{verbose}");
        assert_eq!(verbose.replace(exec, ""), LINES);
    }

    #[test]
    fn lines_stay_short_and_plain_whatever_is_reported() {
        let nasty = format!("\u{1b}[31m{} {}\r\nnext\t\u{7}", "word ".repeat(100), "x".repeat(1000));
        let text = || nasty.clone();
        let log = rendered(
            Verbosity::Verbose,
            &[
                (0, Event::BuildStarted { nvr: text(), bits: 20, index: 1, of: 1 }),
                (0, Event::Note { text: text() }),
                (0, Event::Warning { text: text() }),
                (0, Event::Exec { command: text() }),
                (0, started(Stage::Build, &nasty)),
                (99_000_000, objects(&nasty, 5, Some(u64::MAX), &nasty)),
                (0, Event::Proved { level: 1, subject: text(), verdict: text(), holds: None }),
            ],
        );
        assert!(log.lines().count() > 30, "{log}");
        for line in log.lines() {
            assert!(line.starts_with('['), "{line}");
            assert!(line.chars().count() < 200, "{line}");
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }

    #[test]
    fn progress_of_another_stage_is_not_mixed_in() {
        let lines = rendered(
            Verbosity::Normal,
            &[
                (0, objects("%prep", 0, None, "too early")),
                (0, started(Stage::Unpack, "unpacking")),
                (60_000, objects("%prep", 0, None, "elsewhere")),
            ],
        );
        assert_eq!(lines, "[   0.0s] unpack: unpacking\n[  60.0s] unpack: still running, 1m 00s\n");
    }

    #[test]
    fn silence_is_broken_by_the_heartbeat() {
        let log = Log::default();
        let plain = Plain::new(log.clone(), Verbosity::Normal, Duration::from_millis(50));
        thread::sleep(Duration::from_millis(120));
        assert_eq!(log.text(), "", "nothing runs yet");
        plain.report(&started(Stage::Build, "rpmbuild"));
        plain.report(&objects("%build", 7, None, "CC net/ipv4/ip.o"));
        let is_idle =
            |line: &str| line.contains("] build: still running, ") && line.ends_with("s, last: CC net/ipv4/ip.o");
        let text = log.wait_for(|text| text.lines().filter(|line| is_idle(line)).count() >= 2);
        let news: Vec<_> = text.lines().filter(|line| line.contains("7 objects")).collect();
        assert_eq!(news.len(), 1, "{text}");
        assert!(news[0].ends_with("] build: %build, 7 objects, CC net/ipv4/ip.o"), "{text}");

        plain.report(&Event::StageFinished { stage: Stage::Build, seconds: 1.0 });
        let ended = log.text();
        thread::sleep(Duration::from_millis(120));
        assert_eq!(log.text(), ended, "nothing runs any more");
    }

    #[test]
    fn many_events_do_not_make_many_lines() {
        let mut events = vec![(0, started(Stage::Build, "rpmbuild"))];
        events.extend((0..=90_000).map(|n| (n, objects("%build", n, Some(90_000), "CC a.o"))));
        let lines = rendered(Verbosity::Normal, &events);
        assert_eq!(lines.lines().count(), 1 + 1 + 3, "{lines}");
    }

    #[test]
    fn the_thread_ends_with_the_renderer() {
        let plain = Plain::new(Log::default(), Verbosity::Normal, Duration::from_hours(1));
        plain.report(&started(Stage::Build, "rpmbuild"));
        let shared = Arc::downgrade(&plain.shared);
        let start = Instant::now();
        drop(plain);
        assert!(shared.upgrade().is_none(), "the thread still holds the state");
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    /// Like a pipe whose reader has gone.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_panic() {
        let plain = Plain::new(Closed, Verbosity::Verbose, Duration::from_millis(5));
        for (_, event) in script() {
            plain.report(&event);
        }
        plain.report(&started(Stage::Build, "rpmbuild"));
        thread::sleep(Duration::from_millis(50));
        assert!(plain.thread.as_ref().is_some_and(|thread| !thread.is_finished()));
    }
}
