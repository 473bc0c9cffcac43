//! Where the time of a run went, as data: its stages, the parts of rpmbuild's run, and what a cache of compilations did.
//!
//! Pure: what is measured comes with its time, in seconds since the run began, from whoever watches.

pub mod line;
pub mod seen;
pub mod timeline;
pub mod trace;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::Stage;

/// What rpmbuild and the programs below it do. The order is that of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// What comes before rpmbuild: programs asked for their versions, rpm for what the spec will make.
    Ask,
    /// `%prep`: sources unpacked and patched, configs merged.
    Prep,
    /// `make mrproper`, `make oldconfig` and their like, wherever the spec has them.
    Configure,
    /// Objects compiled, and archived or linked to larger objects.
    Compile,
    /// `vmlinux` linked, its symbols listed and sorted.
    Link,
    /// `modpost`: what modules need of each other.
    Modpost,
    /// Modules linked, installed, stripped, signed; depmod.
    Modules,
    /// In a `make` that does not say what it does, while no program of it was seen that would tell.
    Make,
    /// `make headers_install` and `headers_check`.
    Headers,
    /// perf and the other programs of the tree's `tools/`.
    Tools,
    /// Documentation.
    Docs,
    /// The spec's own commands in `%build`, `%install` and `%check`: files copied into the build root, mostly.
    Script,
    /// `find-debuginfo`.
    Debuginfo,
    /// The `brp-*` scripts that go over the build root: strip, compress, check.
    Brp,
    /// Files of packages listed and digested, dependencies found (`Processing files: …`).
    Files,
    /// `check-files`: what is in the build root and in no package.
    CheckFiles,
    /// Packages compressed and written.
    Payload,
    /// `%clean`, and BUILD removed.
    Clean,
    /// What nothing was seen of.
    Unknown,
}

impl Part {
    /// The name in tables, the manifest and the trace.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Prep => "prep",
            Self::Configure => "configure",
            Self::Compile => "compile",
            Self::Link => "link",
            Self::Modpost => "modpost",
            Self::Modules => "modules",
            Self::Make => "make",
            Self::Headers => "headers",
            Self::Tools => "tools",
            Self::Docs => "docs",
            Self::Script => "script",
            Self::Debuginfo => "debuginfo",
            Self::Brp => "brp",
            Self::Files => "files",
            Self::CheckFiles => "check-files",
            Self::Payload => "payload",
            Self::Clean => "clean",
            Self::Unknown => "unknown",
        }
    }

    /// What it is, where the name alone does not say so.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::Ask => "what rpm makes of the spec",
            Self::Link => "vmlinux",
            Self::Modules => "linked, installed, signed",
            Self::Make => "it did not say what it does",
            Self::Script => "the spec's own commands",
            Self::Files => "packages' files listed, dependencies",
            Self::Payload => "packages written",
            Self::Unknown => "nothing was seen of it",
            _ => "",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the time of one run went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Times {
    /// The stages, in the order in which they ran.
    pub stages: Vec<StageTime>,
    /// What the stage `build` was made of, in the order of [`Part`]; empty where rpmbuild did not run.
    pub parts: Vec<PartTime>,
    /// What a cache of compilations did, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StageTime {
    /// Which.
    pub stage: Stage,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What it took of processors, in seconds: user and system, kbuild's own and its children's (getrusage). Nothing where
    /// that was not measured.
    pub cpu_seconds: Option<f64>,
    /// Whether what it makes was taken from an earlier run instead.
    #[serde(default)]
    pub taken: bool,
}

/// One part of rpmbuild's run, in all its pieces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PartTime {
    /// Which.
    pub part: Part,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What the build's process group took of processors, in seconds, by what /proc showed when a part began and when it
    /// ended; nothing for what nothing was seen of.
    pub cpu_seconds: Option<f64>,
}

/// What a cache of compilations did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cache {
    /// Compilations that were taken from it.
    pub hits: u64,
    /// Compilations that were not in it.
    pub misses: u64,
    /// Why there were so few hits: said where less than half of the compilations were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Cache {
    /// Returns the hits among a hundred compilations, rounded down; nothing where there was none.
    #[must_use]
    pub fn percent(&self) -> Option<u64> {
        self.hits.saturating_mul(100).checked_div(self.hits.saturating_add(self.misses))
    }

    /// Whether the reason for the misses is worth a line: less than half were hits.
    #[must_use]
    pub fn is_poor(&self) -> bool {
        self.percent().is_some_and(|percent| percent < 50)
    }
}

/// What one of several values cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Variant {
    /// The value.
    pub bits: u8,
    /// All its stages, in seconds.
    pub seconds: f64,
    /// The same on processors, as far as it was measured.
    pub cpu_seconds: Option<f64>,
    /// The part of it that was compilation; nothing where that was not seen.
    pub compile_seconds: Option<f64>,
    /// What a cache of compilations did, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
}

impl Variant {
    /// Returns what a run for a value cost.
    #[must_use]
    pub fn of(bits: u8, times: &Times) -> Self {
        Self {
            bits,
            seconds: times.seconds(),
            cpu_seconds: times.cpu_seconds(),
            compile_seconds: times.parts.iter().find(|part| part.part == Part::Compile).map(|part| part.seconds),
            cache: times.cache.clone(),
        }
    }
}

impl Times {
    /// All stages together, in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.stages.iter().map(|stage| stage.seconds).sum()
    }

    /// The same on processors; nothing if it was measured for none.
    #[must_use]
    pub fn cpu_seconds(&self) -> Option<f64> {
        sum(self.stages.iter().map(|stage| stage.cpu_seconds))
    }
}

/// Adds up what was measured; nothing if nothing was.
fn sum(numbers: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    numbers.flatten().fold(None, |sum, number| Some(sum.unwrap_or_default() + number))
}

/// Everything that was measured of a run, in seconds since it began.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    /// The stages.
    pub stages: Vec<StageSpan>,
    /// The parts of rpmbuild's run, piece by piece, one after the other.
    pub parts: Vec<Span>,
    /// Compilations that were announced: when, and the object. When they ended is not known.
    pub objects: Vec<(f64, String)>,
    /// Compilations that were measured from their beginning to their end.
    pub compilations: Vec<trace::Compilation>,
    /// What a cache of compilations did.
    pub cache: Option<Cache>,
}

/// A stage with its place in the run.
#[derive(Debug, Clone, PartialEq)]
pub struct StageSpan {
    /// When it began.
    pub start: f64,
    /// The rest.
    pub time: StageTime,
}

/// A piece of a part.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Which.
    pub part: Part,
    /// When it began.
    pub start: f64,
    /// When it ended.
    pub end: f64,
    /// What it took of processors.
    pub cpu: Option<f64>,
}

impl Recording {
    /// Adds up where the time went. What no part accounts for within the stage `build` is unknown, and stays so.
    #[must_use]
    pub fn times(&self) -> Times {
        let stages: Vec<StageTime> = self.stages.iter().map(|stage| stage.time.clone()).collect();
        let mut parts: Vec<PartTime> = Vec::new();
        for span in &self.parts {
            let seconds = span.end - span.start;
            match parts.iter_mut().find(|part| part.part == span.part) {
                Some(part) => {
                    part.seconds += seconds;
                    part.cpu_seconds = sum([part.cpu_seconds, span.cpu].into_iter());
                }
                None => parts.push(PartTime { part: span.part, seconds, cpu_seconds: span.cpu }),
            }
        }
        let known: f64 = parts.iter().map(|part| part.seconds).sum();
        let build = stages.iter().find(|time| time.stage == Stage::Build && !time.taken);
        let rest = build.map_or(0.0, |build| build.seconds - known);
        if !parts.is_empty() && rest > 0.0 {
            match parts.iter_mut().find(|part| part.part == Part::Unknown) {
                Some(part) => part.seconds += rest,
                None => parts.push(PartTime { part: Part::Unknown, seconds: rest, cpu_seconds: None }),
            }
        }
        parts.sort_by_key(|part| part.part);
        Times { stages, parts, cache: self.cache.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(stage: Stage, start: f64, seconds: f64) -> StageSpan {
        StageSpan { start, time: StageTime { stage, seconds, cpu_seconds: Some(1.0), taken: false } }
    }

    fn span(part: Part, start: f64, end: f64, cpu: Option<f64>) -> Span {
        Span { part, start, end, cpu }
    }

    #[test]
    fn pieces_are_added_up_and_the_rest_is_unknown() {
        let mut recording = Recording {
            stages: vec![stage(Stage::Verify, 0.0, 1.0), stage(Stage::Build, 1.0, 10.0)],
            parts: vec![
                span(Part::Compile, 2.0, 5.0, Some(6.0)),
                span(Part::Prep, 1.5, 2.0, Some(0.25)),
                span(Part::Compile, 5.5, 6.0, None),
            ],
            ..Recording::default()
        };
        let times = recording.times();
        let parts: Vec<_> = times.parts.iter().map(|part| (part.part, part.seconds, part.cpu_seconds)).collect();
        let expected = [(Part::Prep, 0.5, Some(0.25)), (Part::Compile, 3.5, Some(6.0)), (Part::Unknown, 6.0, None)];
        assert_eq!(parts, expected);
        assert_eq!((times.seconds(), times.cpu_seconds()), (11.0, Some(2.0)));
        let variant = Variant::of(20, &times);
        assert_eq!((variant.seconds, variant.compile_seconds), (11.0, Some(3.5)));
        // A stage of which no program told anything has no parts.
        recording.parts.clear();
        assert_eq!(recording.times().parts, []);
    }

    #[test]
    fn a_cache_is_poor_below_one_half() {
        let cache = |hits, misses| Cache { hits, misses, why: None };
        assert_eq!(cache(0, 0).percent(), None);
        assert!(!cache(0, 0).is_poor() && !cache(1, 1).is_poor() && cache(1, 2).is_poor());
        assert_eq!(cache(999, 1).percent(), Some(99));
    }
}
