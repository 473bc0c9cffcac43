//! How what a log tells of ended, by the words with which rpmbuild, make, mock and CI systems end.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

/// How what a log tells of ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Well: no failure after the last part that went well.
    Succeeded,
    /// With a failure.
    Failed,
    /// The log does not say.
    Unknown,
}

/// What a line says of the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// Everything before it went well: rpmbuild cleans up, a CI system is content.
    Well,
    /// It went well if nothing follows: a script's last line, a package.
    WellIfLast,
    /// Something failed.
    Failure,
}

/// rpmbuild runs %clean only after the packages are written (rpm 4.18, build/build.c).
static WELL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)^(?:
          Executing\((?:%clean|--clean|rmbuild)\)
        | INFO:\ Done\(
        | Job\ succeeded\s*$
        | Finished:\ SUCCESS
        | BUILD\ SUCCESSFUL
        | BuildrootTask.*(?-u:\b)closed(?-u:\b)
        )",
    )
    .ok()
});
static WELL_IF_LAST: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?:\+ (?:RPM_EC=0|exit 0)$|Wrote: \S+\.rpm$|Finish(?:ed)?: (?:build|run)(?-u:\b))").ok()
});
static FAILURE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)^(?:
          (?:fatal\ )?error:\ | (?:ERROR|Error|FATAL|FAILED):\  | RPM\ build\ errors: | \+\ exit\ [1-9]\d*$
        | \S*g?make(?:\[\d+\])?:\ \*\*\*\ 
        | ERROR(?-u:\b).*(?-u:\b)failed | BUILD\ FAILED | Job\ failed | Finished:\ (?:FAILURE|ABORTED)
        | Process\ completed\ with\ exit\ code\ [1-9]
        )
        | (?-u:\b)Bad\ exit\ status\ from(?-u:\b) | ^\S+:\d+(?::\d+)?:\ (?:fatal\ )?error:\ ",
    )
    .ok()
});

impl Sign {
    pub(super) fn of(line: &str) -> Option<Self> {
        let is = |pattern: &Option<Regex>| pattern.as_ref().is_some_and(|pattern| pattern.is_match(line));
        if is(&WELL) {
            Some(Self::Well)
        } else if is(&WELL_IF_LAST) {
            Some(Self::WellIfLast)
        } else {
            is(&FAILURE).then_some(Self::Failure)
        }
    }
}

/// Returns the part of the spec that a line of rpmbuild's announces, such as `%build`.
pub(super) fn phase(line: &str) -> Option<&str> {
    let (phase, rest) = line.strip_prefix("Executing(")?.split_once(')')?;
    (phase.starts_with('%') && rest.starts_with(':')).then_some(phase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_end_are_known() {
        for (line, sign) in [
            ("Executing(%clean): /bin/sh -e /var/tmp/rpm-tmp.x", Some(Sign::Well)),
            ("Job succeeded", Some(Sign::Well)),
            ("Wrote: /r/RPMS/kernel-1.rpm", Some(Sign::WellIfLast)),
            ("+ exit 0", Some(Sign::WellIfLast)),
            ("+ exit 1", Some(Sign::Failure)),
            ("make[2]: *** [a.o] Error 1", Some(Sign::Failure)),
            ("error: Bad exit status from /var/tmp/rpm-tmp.x (%build)", Some(Sign::Failure)),
            ("    Bad exit status from /var/tmp/rpm-tmp.x (%build)", Some(Sign::Failure)),
            ("drivers/a.c:12:3: error: x", Some(Sign::Failure)),
            ("ERROR: Job failed: exit code 1", Some(Sign::Failure)),
            ("warning: File listed twice: /x", None),
            ("  CC      lib/errors.o", None),
        ] {
            assert_eq!(Sign::of(line), sign, "{line}");
        }
        assert_eq!(phase("Executing(%build): /bin/sh"), Some("%build"));
        assert_eq!(phase("+ echo 'Executing(%build):'"), None);
    }
}
