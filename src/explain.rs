//! What a failed build says about its cause: a log goes in, causes with their evidence come out.
//!
//! What is known is data: a table of signatures (`signatures/`), checked and built in as recipes are. The log is read
//! once, as a stream of any length, in bounded memory. What no signature fits is not guessed at: then the first error
//! and the last lines are all there is. Pure: whoever has the log hands its bytes or lines in.

pub mod builtin;
mod check;
mod hit;
mod keys;
mod line;
mod matcher;
mod outcome;
pub mod show;
pub mod signature;

use serde::{Deserialize, Serialize};

pub use matcher::Explainer;
pub use outcome::Outcome;

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// Its text, without what a terminal or a CI system put around it.
    pub text: String,
}

/// One cause of a failure, with what shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cause {
    /// The signature's name.
    pub name: String,
    /// What is wrong, in a few words.
    pub title: String,
    /// Why that ends a build, in one or two sentences.
    pub cause: String,
    /// What to do, as a command for a shell.
    pub fix: String,
    /// Where the fact comes from.
    pub source: String,
    /// The line that shows it.
    pub evidence: Line,
    /// The part of the spec that ran then, such as `%prep`; nothing where the log does not tell.
    pub phase: Option<String>,
}

/// What a log says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Report {
    /// How many lines it has.
    pub lines: u64,
    /// How what it tells of ended.
    pub outcome: Outcome,
    /// What stopped the build, the cause first and what followed from it after it; none if nothing is known.
    pub causes: Vec<Cause>,
    /// The first lines that look like an error, whatever is known of them.
    pub first_errors: Vec<Line>,
    /// The last lines that are not empty.
    pub last_lines: Vec<Line>,
}
