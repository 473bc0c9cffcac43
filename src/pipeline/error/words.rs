//! What errors say that take more than one line.

use std::path::Path;

use super::super::gate::Origin;
use super::super::watchdog::Reason;
use crate::explain::{Cause, show};
use crate::proof::Finding;

pub(super) fn ended(reason: Reason, phase: &str) -> String {
    let why = match reason {
        Reason::Time { limit } => format!("it took {} s, which is as long as it may", limit.as_secs()),
        Reason::Silence { limit } => format!("it printed nothing and computed nothing for {} s", limit.as_secs()),
        Reason::Room { left, least } => {
            // Where there is hardly any, MiB would all be 0.
            let (size, unit) = if least < 1 << 20 { (10, "KiB") } else { (20, "MiB") };
            format!("only {} {unit} are left on its file system, expected at least {}", left >> size, least >> size)
        }
    };
    format!("the build was stopped in {phase}: {why}")
}

pub(super) fn gated(origin: &Origin) -> &'static str {
    match origin {
        Origin::NothingRead => "no merged config was found after %prep",
        _ => "%prep resolved the option otherwise than asked",
    }
}

pub(super) fn excerpt(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}

pub(super) fn explained(cause: Option<&Cause>, log: &Path) -> String {
    cause.map(|cause| format!("\n\n{}", show::in_short(cause, &log.display().to_string()))).unwrap_or_default()
}

pub(super) fn headline(found: &[Finding]) -> &'static str {
    if found.iter().any(|finding| finding.verdict.holds() == Some(false)) {
        "the packages do not hold what was asked"
    } else {
        "what was asked could not be proved"
    }
}

pub(super) fn findings(found: &[Finding]) -> String {
    found.iter().map(|finding| format!("  {finding}")).collect::<Vec<_>>().join("\n")
}
