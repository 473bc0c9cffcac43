//! A report as text.

use std::fmt::Write;

use super::{Cause, Line, Outcome, Report};

/// Returns what a report says, for people; `log` is the log's name, which stands before line numbers.
#[must_use]
pub fn report(report: &Report, log: &str) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    for (index, cause) in report.causes.iter().enumerate() {
        if index == 1 {
            let _ = writeln!(text, "\nalso seen, perhaps because of it:");
        }
        if index == 0 {
            text.push_str(&in_full(cause, log));
        } else {
            let _ = writeln!(text, "  {log}:{}: {} ({})", cause.evidence.number, cause.title, cause.name);
        }
    }
    if report.causes.is_empty() {
        let _ = writeln!(text, "{}", unknown(report.outcome));
        if report.outcome != Outcome::Succeeded && !report.first_errors.is_empty() {
            let _ = writeln!(text, "\nthe first lines that look like an error:");
            report.first_errors.iter().for_each(|line| excerpt(&mut text, log, line));
        }
        if report.outcome != Outcome::Succeeded && !report.last_lines.is_empty() {
            let _ = writeln!(text, "\nthe last lines:");
            report.last_lines.iter().for_each(|line| excerpt(&mut text, log, line));
        }
    }
    text
}

/// What is said where no cause is known.
#[must_use]
pub fn unknown(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "nothing failed as far as this log goes",
        Outcome::Failed => "it failed, and no known cause is in this log",
        Outcome::Unknown => "no known cause is in this log, and no failure either",
    }
}

fn excerpt(text: &mut String, log: &str, line: &Line) {
    let _ = writeln!(text, "  {log}:{}: {}", line.number, line.text);
}

/// Returns a cause with its evidence.
#[must_use]
pub fn in_short(cause: &Cause, log: &str) -> String {
    let phase = cause.phase.as_ref().map(|phase| format!(", in {phase}")).unwrap_or_default();
    format!(
        "cause: {} ({}{phase})\n  {log}:{}: {}\n  {}",
        cause.title,
        cause.name,
        cause.evidence.number,
        cause.evidence.text.trim(),
        cause.cause
    )
}

/// Returns a cause with its evidence and what to do.
#[must_use]
pub fn in_full(cause: &Cause, log: &str) -> String {
    let mut text = in_short(cause, log);
    // Writing to a String does not fail.
    let _ = writeln!(text, "\nfix:");
    cause.fix.lines().for_each(|line| {
        let _ = writeln!(text, "  {line}");
    });
    let _ = writeln!(text, "source: {}", cause.source);
    text
}
