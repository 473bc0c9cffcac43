//! The display for a person at a terminal: finished stages as lines that stay, the running one as a live line below.
//!
//! The only user of indicatif, which draws the live line. Lines that stay are written directly, while it is away:
//! indicatif would pad them to the width of the window, which shows when the window is resized or text is copied.

use std::fmt;
use std::io::{self, Stderr, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::meter::Meter;
use super::{Verbosity, table, units, words};
use crate::event::{Event, Reporter, Stage};

/// Columns of the bar.
const BAR_WIDTH: usize = 16;
/// How often the live line is drawn when nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// The meter of the running stage, which the live line reads when it is drawn.
type Live = Arc<Mutex<Option<Meter>>>;

/// Makes the place where the live line of a stage is drawn.
type Target = Box<dyn Fn() -> ProgressDrawTarget + Send + Sync>;

/// Whether stderr is a terminal on which a live line can be drawn.
pub(super) fn can_draw() -> bool {
    !ProgressDrawTarget::stderr().is_hidden()
}

/// Writes lines, and draws the running stage below them.
pub(super) struct Terminal<W: Write> {
    state: Mutex<State<W>>,
    target: Target,
    verbosity: Verbosity,
    ink: Ink,
    /// How often the live line is drawn by itself; never if `None`.
    tick: Option<Duration>,
}

struct State<W> {
    out: W,
    running: Option<Running>,
}

struct Running {
    stage: Stage,
    what: String,
    bar: ProgressBar,
    meter: Live,
}

impl Terminal<Stderr> {
    /// Returns the renderer for stderr.
    pub(super) fn stderr(verbosity: Verbosity, colour: bool) -> Self {
        let target = Box::new(ProgressDrawTarget::stderr);
        Self::new(io::stderr(), target, verbosity, colour, Some(TICK))
    }
}

impl<W: Write> Terminal<W> {
    fn new(out: W, target: Target, verbosity: Verbosity, colour: bool, tick: Option<Duration>) -> Self {
        let state = Mutex::new(State { out, running: None });
        Self { state, target, verbosity, ink: Ink { colour }, tick }
    }

    fn state(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, stage: Stage, what: &str) -> Running {
        let what = words::line(what);
        let meter = Arc::new(Mutex::new(None));
        let bar = ProgressBar::with_draw_target(None, (self.target)());
        bar.set_style(self.style(stage, &meter, " {wide_msg}"));
        bar.set_message(format!(" {what}"));
        match self.tick {
            Some(tick) => bar.enable_steady_tick(tick),
            None => bar.tick(),
        }
        Running { stage, what, bar, meter }
    }

    /// The look of the live line, with a `rest` after the numbers.
    fn style(&self, stage: Stage, meter: &Live, rest: &str) -> ProgressStyle {
        let meter = Arc::clone(meter);
        let live = move |state: &ProgressState, out: &mut dyn fmt::Write| {
            let meter = meter.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = out.write_str(&live_line(stage, state.elapsed(), meter.as_ref()));
        };
        ProgressStyle::with_template(&format!("  {} {{live}}{rest}", self.ink.busy("{spinner}")))
            .unwrap_or_else(|_| ProgressStyle::default_spinner())
            .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
            .with_key("live", live)
    }

    /// Shows how far the running stage is: numbers in the live line, what is being worked on in a line below it.
    fn progress(&self, running: &Running, event: &Event) {
        let at = running.bar.elapsed();
        let mut meter = running.meter.lock().unwrap_or_else(PoisonError::into_inner);
        let first = meter.is_none();
        *meter = Meter::after(meter.take(), event, at);
        let (phase, what) = meter.as_ref().map_or((None, ""), |now| (now.phase(), now.what()));
        let what = if what.is_empty() { &running.what } else { what };
        let below = phase.map_or_else(|| what.to_owned(), |phase| format!("{phase}  {what}"));
        // The bar takes the meter when it draws.
        drop(meter);
        if first {
            running.bar.set_style(self.style(running.stage, &running.meter, "\n    {wide_msg}"));
        }
        running.bar.set_message(below);
    }
}

impl<W: Write + Send> Reporter for Terminal<W> {
    fn report(&self, event: &Event) {
        if !self.verbosity.shows(event) {
            return;
        }
        let mut state = self.state();
        match event {
            Event::BuildStarted { nvr, bits, index, of } => {
                let heading = words::heading(nvr, *bits, *index, *of);
                state.print(&[self.ink.strong(&heading)]);
            }
            Event::Note { text } => state.print(&headed("note:", "note:", text)),
            Event::Warning { text } => {
                state.print(&headed(&self.ink.warning("warning:"), "warning:", text));
            }
            Event::StageStarted { stage, what } => {
                if let Some(running) = state.running.take() {
                    running.bar.finish_and_clear();
                }
                state.running = Some(self.start(*stage, what));
            }
            Event::Progress { stage, .. } => {
                if let Some(running) = state.running.as_ref().filter(|now| now.stage == *stage) {
                    self.progress(running, event);
                }
            }
            Event::Exec { command } => {
                state.print(&[self.ink.faint(&format!("  exec: {}", words::line(command)))]);
            }
            Event::Proved { level, subject, verdict, holds } => {
                let mark = match holds {
                    Some(true) => self.ink.good("✓"),
                    Some(false) => self.ink.bad("✗"),
                    None => self.ink.faint("–"),
                };
                let (subject, verdict) = (words::line(subject), words::line(verdict));
                state.print(&[format!("    level {level}  {subject} : {verdict} {mark}")]);
            }
            Event::StageFinished { stage, seconds } => {
                state.end(&self.ink.good("✓"), *stage, *seconds);
            }
            Event::StageFailed { stage, seconds } => {
                state.end(&self.ink.bad("✗"), *stage, *seconds);
            }
            Event::Times { times } => state.print(&indented(&table::times(times))),
            Event::Variants { variants } => state.print(&indented(&table::variants(variants))),
        }
    }
}

impl<W: Write> Drop for Terminal<W> {
    fn drop(&mut self) {
        if let Some(running) = self.state().running.take() {
            running.bar.finish_and_clear();
        }
    }
}

impl<W: Write> State<W> {
    /// Ends the live line and leaves one that stays.
    fn end(&mut self, mark: &str, stage: Stage, seconds: f64) {
        let mut what = String::new();
        if let Some(running) = self.running.take() {
            running.bar.finish_and_clear();
            if running.stage == stage {
                what = running.what;
            }
        }
        let line = format!("  {mark} {}  {what}", stage_and_time(stage, units::seconds(seconds)));
        self.print(&[line.trim_end().to_owned()]);
    }

    /// Writes lines above the live one. That they cannot be written is no reason to fail.
    fn print(&mut self, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        let text = lines.join("\n") + "\n";
        let Self { out, running } = self;
        let mut write = || {
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        };
        match running {
            Some(running) => running.bar.suspend(write),
            None => write(),
        }
    }
}

/// The lines of a text after a head that looks like `shown` and is as wide as `head`.
fn headed(shown: &str, head: &str, text: &str) -> Vec<String> {
    let indent = " ".repeat(head.len());
    let heads = std::iter::once(shown).chain(std::iter::repeat(indent.as_str()));
    heads.zip(words::lines(text)).map(|(head, line)| format!("  {head} {line}")).collect()
}

/// The lines of a table below a line that is empty.
fn indented(table: &[String]) -> Vec<String> {
    std::iter::once(String::new()).chain(table.iter().map(|line| format!("  {line}").trim_end().to_owned())).collect()
}

/// The columns that live and finished stages have in common.
fn stage_and_time(stage: Stage, took: Duration) -> String {
    format!("{:<7} {:>7}", stage.name(), units::duration(took))
}

/// The live line after its spinner: stage, time, a bar if there is something to fill, numbers.
fn live_line(stage: Stage, elapsed: Duration, meter: Option<&Meter>) -> String {
    let bar = meter.and_then(|meter| meter.cells(BAR_WIDTH)).map(|full| {
        let rest = BAR_WIDTH.saturating_sub(full);
        format!("{}{}", "█".repeat(full), "░".repeat(rest))
    });
    let figures = meter.map(|meter| meter.figures(elapsed)).unwrap_or_default();
    let columns: Vec<_> = std::iter::once(stage_and_time(stage, elapsed)).chain(bar).chain(figures).collect();
    columns.join("  ")
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
struct Ink {
    colour: bool,
}

impl Ink {
    fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    fn warning(self, text: &str) -> String {
        self.paint("1;33", text)
    }

    fn busy(self, text: &str) -> String {
        self.paint("36", text)
    }

    fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use indicatif::TermLike;

    use super::*;
    use crate::event::Unit;

    const COLUMNS: u16 = 80;

    /// A terminal in memory: rows of characters and a cursor; knows line feeds and carriage returns, no escapes.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<Grid>>);

    #[derive(Debug, Default)]
    struct Grid {
        rows: Vec<Vec<char>>,
        row: usize,
        column: usize,
    }

    impl Grid {
        fn put(&mut self, text: &str) {
            for c in text.chars() {
                match c {
                    '\n' => (self.row, self.column) = (self.row + 1, 0),
                    '\r' => self.column = 0,
                    c => {
                        if self.column == usize::from(COLUMNS) {
                            (self.row, self.column) = (self.row + 1, 0);
                        }
                        let (row, column) = (self.row, self.column);
                        let line = self.line(row);
                        line.resize(line.len().max(column + 1), ' ');
                        line[column] = c;
                        self.column += 1;
                    }
                }
            }
        }

        fn line(&mut self, row: usize) -> &mut Vec<char> {
            self.rows.resize(self.rows.len().max(row + 1), Vec::new());
            &mut self.rows[row]
        }
    }

    impl Screen {
        fn grid<T>(&self, access: impl FnOnce(&mut Grid) -> T) -> T {
            access(&mut self.0.lock().unwrap())
        }

        /// The rows without the blanks at their ends; times of live lines (column 12 to 18) are blanked out.
        fn rows(&self) -> Vec<String> {
            let grid = self.0.lock().unwrap();
            let mut rows: Vec<String> = grid.rows.iter().map(String::from_iter).collect();
            for row in &mut rows {
                if row.chars().nth(2).is_some_and(|c| matches!(c, '\u{2801}'..='\u{28ff}')) {
                    *row = row
                        .chars()
                        .enumerate()
                        .map(|(n, c)| if n == 2 || (12..19).contains(&n) { '#' } else { c })
                        .collect();
                }
                row.truncate(row.trim_end().len());
            }
            while rows.last().is_some_and(String::is_empty) {
                rows.pop();
            }
            rows
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            COLUMNS
        }

        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            self.grid(|grid| grid.row = grid.row.saturating_sub(n));
            Ok(())
        }

        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            self.grid(|grid| grid.row += n);
            Ok(())
        }

        fn move_cursor_right(&self, n: usize) -> io::Result<()> {
            self.grid(|grid| grid.column += n);
            Ok(())
        }

        fn move_cursor_left(&self, n: usize) -> io::Result<()> {
            self.grid(|grid| grid.column = grid.column.saturating_sub(n));
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(&format!("{text}\n"))
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.grid(|grid| grid.put(text));
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.grid(|grid| {
                let row = grid.row;
                grid.line(row).clear();
                grid.column = 0;
            });
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_str(std::str::from_utf8(bytes).unwrap())?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn terminal(verbosity: Verbosity, colour: bool) -> (Screen, Terminal<Screen>) {
        let screen = Screen::default();
        let drawn = screen.clone();
        let target = Box::new(move || ProgressDrawTarget::term_like(Box::new(drawn.clone())));
        (screen.clone(), Terminal::new(screen, target, verbosity, colour, None))
    }

    fn started(stage: Stage, what: &str) -> Event {
        Event::StageStarted { stage, what: what.into() }
    }

    fn finished(stage: Stage, seconds: f64) -> Event {
        Event::StageFinished { stage, seconds }
    }

    fn objects(done: u64, what: &str) -> Event {
        let (phase, total, what) = (Some("%build".into()), Some(5600), what.into());
        let (stage, estimated, unit) = (Stage::Build, true, Unit::Objects);
        Event::Progress { stage, phase, done, total, estimated, unit, what }
    }

    fn proved(holds: Option<bool>, verdict: &str) -> Event {
        let subject = "/boot/config-5.14.0-1".into();
        Event::Proved { level: 3, subject, verdict: verdict.into(), holds }
    }

    #[test]
    fn the_running_stage_is_below_what_stays() {
        let (screen, terminal) = terminal(Verbosity::Normal, false);
        terminal.report(&Event::BuildStarted { nvr: "kernel-5.14.0-1".into(), bits: 20, index: 1, of: 2 });
        terminal.report(&started(Stage::Verify, "reading the source package"));
        let heading = "kernel-5.14.0-1: bits 20, build 1 of 2";
        assert_eq!(screen.rows(), [heading, "  # verify  #######  reading the source package"]);

        terminal.note("\n".into());
        terminal.note("the recipe is el9".into());
        terminal.warn("little space\nin /var".into());
        let notes = ["  note: the recipe is el9", "  warning: little space", "           in /var"];
        assert_eq!(
            screen.rows(),
            [&[heading], &notes[..], &["  # verify  #######  reading the source package"]].concat()
        );

        terminal.report(&finished(Stage::Verify, 0.8));
        let verified = "  ✓ verify     0.8s  reading the source package";
        assert_eq!(screen.rows(), [&[heading], &notes[..], &[verified]].concat());

        terminal.report(&started(Stage::Build, "running rpmbuild"));
        terminal.report(&objects(1400, "CC net/ipv4/ip.o"));
        let live = ["  # build   #######  ████░░░░░░░░░░░░  1400/~5600 objects  25%", "    %build  CC net/ipv4/ip.o"];
        assert_eq!(screen.rows(), [&[heading], &notes[..], &[verified], &live[..]].concat());
        terminal.report(&Event::Exec { command: "not shown".into() });
        terminal.report(&objects(1400, ""));
        let live = ["  # build   #######  ████░░░░░░░░░░░░  1400/~5600 objects  25%", "    %build  running rpmbuild"];
        assert_eq!(screen.rows(), [&[heading], &notes[..], &[verified], &live[..]].concat());

        terminal.report(&Event::StageFailed { stage: Stage::Build, seconds: 185.0 });
        let failed = "  ✗ build    3m 05s  running rpmbuild";
        assert_eq!(screen.rows(), [&[heading], &notes[..], &[verified, failed]].concat());
    }

    #[test]
    fn proofs_are_lines_with_a_mark() {
        let (screen, terminal) = terminal(Verbosity::Normal, false);
        terminal.report(&started(Stage::Prove, ""));
        terminal.report(&proved(Some(true), "20"));
        terminal.report(&proved(Some(false), "12"));
        terminal.report(&proved(None, "not checked"));
        terminal.report(&finished(Stage::Prove, 3.04));
        assert_eq!(
            screen.rows(),
            [
                "    level 3  /boot/config-5.14.0-1 : 20 ✓",
                "    level 3  /boot/config-5.14.0-1 : 12 ✗",
                "    level 3  /boot/config-5.14.0-1 : not checked –",
                "  ✓ prove      3.0s",
            ]
        );
    }

    #[test]
    fn quiet_is_warnings_only_and_verbose_shows_commands() {
        let run = |verbosity| {
            let (screen, terminal) = terminal(verbosity, false);
            terminal.report(&started(Stage::Verify, "reading"));
            terminal.report(&Event::Exec { command: "/usr/bin/rpm -q kernel".into() });
            terminal.note("something".into());
            terminal.warn("little space".into());
            terminal.report(&proved(Some(true), "20"));
            drop(terminal);
            screen.rows()
        };
        assert_eq!(run(Verbosity::Quiet), ["  warning: little space"]);
        let normal = ["  note: something", "  warning: little space", "    level 3  /boot/config-5.14.0-1 : 20 ✓"];
        assert_eq!(run(Verbosity::Normal), normal);
        assert_eq!(run(Verbosity::Verbose), [&["  exec: /usr/bin/rpm -q kernel"], &normal[..]].concat());
    }

    #[test]
    fn a_long_name_stays_in_its_line_and_a_dropped_display_leaves_nothing() {
        let (screen, terminal) = terminal(Verbosity::Normal, false);
        terminal.report(&started(Stage::Build, "running rpmbuild"));
        terminal.report(&objects(5601, &"very/".repeat(50)));
        let rows = screen.rows();
        assert_eq!(rows.len(), 2, "{rows:#?}");
        assert_eq!(rows[0], "  # build   #######  5601/~5600 objects");
        assert_eq!(rows[1].chars().count(), usize::from(COLUMNS));
        drop(terminal);
        assert_eq!(screen.rows(), [""; 0]);
    }

    #[test]
    fn the_widest_live_line_fits_eighty_columns() {
        let meter = Meter::after(None, &objects(0, ""), Duration::ZERO);
        let Event::Progress { stage, phase, estimated, unit, what, .. } = objects(0, "") else { panic!() };
        let (done, total) = (11_999, Some(35_600));
        let event = Event::Progress { stage, phase, done, total, estimated, unit, what };
        let at = Duration::from_mins(50);
        let line = live_line(Stage::Build, at, Meter::after(meter, &event, at).as_ref());
        assert_eq!(line, "build   50m 00s  █████░░░░░░░░░░░  11999/~35600 objects  33%  eta ~1h 38m");
        assert!(line.chars().count() + 4 < 80, "{}", line.chars().count());
    }

    #[test]
    fn colour_only_when_asked_for() {
        let (screen, terminal) = terminal(Verbosity::Normal, true);
        terminal.warn("little space".into());
        assert_eq!(screen.rows(), ["  \u{1b}[1;33mwarning:\u{1b}[0m little space"]);
        terminal.report(&finished(Stage::Verify, 1.0));
        assert_eq!(screen.rows()[1], "  \u{1b}[32m✓\u{1b}[0m verify     1.0s");
    }

    #[test]
    fn the_live_line_lives_without_events() {
        let screen = Screen::default();
        let drawn = screen.clone();
        let target = Box::new(move || ProgressDrawTarget::term_like(Box::new(drawn.clone())));
        let tick = Some(Duration::from_millis(5));
        let terminal = Terminal::new(screen.clone(), target, Verbosity::Normal, false, tick);
        terminal.report(&started(Stage::Boot, "booting"));
        let mut times = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            std::thread::sleep(Duration::from_millis(10));
            let row: Vec<char> = screen.grid(|grid| grid.rows.first().cloned().unwrap_or_default());
            times.extend(row.get(12..19).map(String::from_iter).filter(|time| time.ends_with('s')));
            if times.len() > 2 {
                break;
            }
        }
        assert!(times.len() > 2, "{times:?}");
        terminal.report(&finished(Stage::Boot, 0.4));
        assert_eq!(screen.rows(), ["  ✓ boot       0.4s  booting"]);
    }
}
