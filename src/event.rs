//! What can happen while kbuild works, in words: the one channel from the work to whoever watches it.
//!
//! Pure data. The renderers in `cli::render` turn it into a terminal display, plain lines for CI logs, or JSON lines.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::times::{Times, Variant};

/// A stage of the work, in the order in which stages run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Fetch the source package, before anything is known of it.
    Fetch,
    /// Read what decisions need, before there is a plan.
    Inspect,
    /// Read and check the source package: digests, signature, what is in it.
    Verify,
    /// Lay out the pristine copy and the working rpmbuild tree.
    Unpack,
    /// Apply the edits to config sources and spec.
    Edit,
    /// Run rpmbuild, with the prep gate.
    Build,
    /// Read the built packages: proof levels 3 and 4.
    Prove,
    /// Boot the built kernel: proof level 5.
    Boot,
    /// Move the prepared source tree, configure and compile it.
    Tree,
    /// Hand over packages, manifest, checksums and logs.
    Collect,
    /// Put results into a repository.
    Publish,
}

impl Stage {
    /// All stages of a plan, first to last.
    pub const ALL: [Self; 8] =
        [Self::Verify, Self::Unpack, Self::Edit, Self::Build, Self::Prove, Self::Boot, Self::Tree, Self::Collect];

    /// The name used on the command line, in log file names and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Inspect => "inspect",
            Self::Verify => "verify",
            Self::Unpack => "unpack",
            Self::Edit => "edit",
            Self::Build => "build",
            Self::Prove => "prove",
            Self::Boot => "boot",
            Self::Tree => "tree",
            Self::Collect => "collect",
            Self::Publish => "publish",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that happened. Times are seconds since the start of the stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Event {
    /// One build (one value of bits) begins.
    BuildStarted {
        /// Name-version-release that the packages will carry.
        nvr: String,
        /// The value asked for.
        bits: u8,
        /// Which build of how many this is, from 1.
        index: usize,
        /// How many builds there are.
        of: usize,
    },
    /// A fact worth a line: what was detected, assumed, or can be had cheaper.
    Note {
        /// The line.
        text: String,
    },
    /// Something that may go wrong later.
    Warning {
        /// The line.
        text: String,
    },
    /// A stage begins.
    StageStarted {
        /// Which.
        stage: Stage,
        /// What it is about to do, as a short sentence.
        what: String,
    },
    /// How far a stage is. Sent often; renderers limit the rate.
    Progress {
        /// Which.
        stage: Stage,
        /// Part of the stage, such as `%prep` or `%build`, if it has parts.
        phase: Option<String>,
        /// Units done.
        done: u64,
        /// Units in all, as far as can be known; an estimate if `estimated`.
        total: Option<u64>,
        /// Whether `total` is an estimate.
        estimated: bool,
        /// What a unit is: `bytes`, `objects`, `files`.
        unit: Unit,
        /// What is being worked on right now, such as a file name; may be empty.
        what: String,
    },
    /// A child process is started; shown with `-v`.
    Exec {
        /// The command line, quoted for a shell.
        command: String,
    },
    /// A level of the proof has an answer.
    Proved {
        /// The level, 1 to 5.
        level: u8,
        /// What was looked at.
        subject: String,
        /// `holds`, `differs` or `not checked`, with the evidence.
        verdict: String,
        /// Whether it is what was asked; `None` when it was not checked.
        holds: Option<bool>,
    },
    /// A stage is done.
    StageFinished {
        /// Which.
        stage: Stage,
        /// How long it took.
        seconds: f64,
    },
    /// A stage was ended by an error, which follows.
    StageFailed {
        /// Which.
        stage: Stage,
        /// How long it took.
        seconds: f64,
    },
    /// A build has ended, well or not, and this is where its time went.
    Times {
        /// The times.
        times: Times,
    },
    /// Builds for several values have ended, and this is what each cost.
    Variants {
        /// The values, in the order in which they were built.
        variants: Vec<Variant>,
    },
}

/// What [`Event::Progress`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Object files.
    Objects,
    /// Files.
    Files,
    /// Seconds, of a known limit.
    Seconds,
}

/// Whoever is told what happens.
pub trait Reporter: Send + Sync {
    /// Takes one event. Must not block for long and must not fail.
    fn report(&self, event: &Event);

    /// Reports a fact worth a line.
    fn note(&self, text: String) {
        self.report(&Event::Note { text });
    }

    /// Reports something that may go wrong later.
    fn warn(&self, text: String) {
        self.report(&Event::Warning { text });
    }
}
