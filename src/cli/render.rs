//! How the user sees what happens: one renderer per kind of reader, chosen once.
//!
//! - `terminal`: a person who watches; a live line for the running stage, on stderr.
//! - `plain`: a log that is read later; stamped lines on stderr.
//! - `json`: a program; one object per line on stdout.
//!
//! All of them ignore that nobody reads any more: a closed pipe is no reason to end a build.

use std::io;
use std::time::Duration;

use crate::event::{Event, Reporter};

mod json;
mod meter;
mod plain;
mod table;
mod terminal;
pub(super) mod units;
mod words;

/// How long the plain renderer lets a running stage be silent.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Who reads what kbuild prints while it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// A live display on a terminal, plain lines elsewhere.
    #[default]
    Human,
    /// Stamped lines without escape sequences, for logs.
    Plain,
    /// One JSON object per line, on stdout.
    Json,
}

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// Warnings only.
    Quiet,
    /// Everything but the commands that are run.
    #[default]
    Normal,
    /// Everything.
    Verbose,
}

impl Verbosity {
    /// Whether an event is printed.
    fn shows(self, event: &Event) -> bool {
        match event {
            Event::Warning { .. } => true,
            Event::Exec { .. } => self >= Self::Verbose,
            _ => self >= Self::Normal,
        }
    }
}

/// Returns the renderer for a format.
///
/// `stderr_is_terminal` and `colour` are facts that the caller found out; a terminal that cannot move its cursor gets
/// plain lines.
#[must_use]
pub fn reporter(format: Format, verbosity: Verbosity, stderr_is_terminal: bool, colour: bool) -> Box<dyn Reporter> {
    match format {
        Format::Json => Box::new(json::Json::new(io::stdout(), verbosity)),
        Format::Human if stderr_is_terminal && terminal::can_draw() => {
            Box::new(terminal::Terminal::stderr(verbosity, colour))
        }
        Format::Human | Format::Plain => Box::new(plain::Plain::new(io::stderr(), verbosity, HEARTBEAT)),
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn formats_are_named_as_documented() {
        let names: Vec<_> = Format::value_variants()
            .iter()
            .filter_map(|format| Some(format.to_possible_value()?.get_name().to_owned()))
            .collect();
        assert_eq!(names, ["human", "plain", "json"]);
    }
}
