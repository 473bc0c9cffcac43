//! Watches what a long-running program prints, and says afterwards which lines matter and which cause they show.

use std::path::Path;

use super::Error;
use crate::explain::signature::Table;
use crate::explain::{Cause, Explainer, builtin};

/// The signatures, which live as long as what reads with them.
pub(super) struct Signatures(Table);

impl Signatures {
    /// Makes the built-in signatures ready.
    pub(super) fn builtin() -> Result<Self, Error> {
        Ok(Self(builtin::table()?))
    }

    /// Begins to watch.
    pub(super) fn watch(&self) -> Witness<'_> {
        Witness(Explainer::new(&self.0))
    }
}

/// What watches.
pub(super) struct Witness<'a>(Explainer<'a>);

/// What it has to say.
#[derive(Debug)]
pub(super) struct Testimony {
    /// The lines that matter most: those that look like the error, and the last ones.
    pub(super) lines: Vec<String>,
    /// What stopped it, if that is known.
    pub(super) cause: Option<Box<Cause>>,
}

impl Witness<'_> {
    /// Counts the lines that are in the log already, if there are some.
    pub(super) fn after(mut self, log: &Path) -> Self {
        let before = fs_err::read(log).unwrap_or_default().split_inclusive(|byte| *byte == b'\n').count();
        self.0.skip(before as u64);
        self
    }

    /// Takes a line.
    pub(super) fn take(&mut self, line: &str) {
        self.0.line(line);
    }

    /// Ends it after a failure.
    pub(super) fn testify(self) -> Testimony {
        let report = self.0.finish();
        let first = report.last_lines.first().map_or(u64::MAX, |line| line.number);
        let before = report.first_errors.into_iter().filter(|line| line.number < first);
        let mut lines: Vec<String> = before.map(|line| line.text).collect();
        if !lines.is_empty() {
            lines.push("…".into());
        }
        lines.extend(report.last_lines.into_iter().map(|line| line.text));
        Testimony { lines, cause: report.causes.into_iter().next().map(Box::new) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_is_shown_with_the_end_and_the_cause_with_its_place() {
        let signatures = Signatures::builtin().unwrap();
        let mut witness = signatures.watch();
        witness.take("+ echo error: not this");
        witness.take("a.c:1: error: this");
        for number in 0..40 {
            witness.take(&format!("line {number}"));
        }
        let shown = witness.testify();
        assert_eq!(shown.lines[..2], ["a.c:1: error: this", "…"]);
        assert_eq!(shown.lines.last().unwrap(), "line 39");
        assert_eq!(shown.lines.len(), 2 + 12);
        let cause = shown.cause.unwrap();
        assert_eq!((cause.name.as_str(), cause.evidence.number), ("compile-error", 2));
    }
}
