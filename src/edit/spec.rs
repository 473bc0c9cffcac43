//! The spec's buildid: what a spec makes of it, and the one line that has to change for the release to carry ours.
//!
//! [`evaluate`] reads the preamble of a spec as rpm does, on bytes and without doing anything that a macro could ask of
//! the machine; what only a machine could say stays unknown and is listed. [`carry()`] decides on that ground which line
//! carries the buildid, and proves it by evaluating the edited spec; [`apply_line`] is the edit, as data. [`dist_of`]
//! finds the `dist` that the source package was built with.
//!
//! The distribution leaves a marker for a local buildid near the top of the spec, commented out, in many spellings:
//! `# % define buildid .local` (el6 2.6.32-71 to -754, lines 17 to 19), `#% define buildid` (el5 2.6.18-308, line 74),
//! `# define buildid .local` (el8 4.18.0-80 on), `#global buildid .local` (el9 of elrepo, in an included file). A
//! `%define` inside a comment is live all the same: rpm expands macros there. A fork's spec may have an active
//! `%define buildid` with a value of its own, and other specs know no buildid at all.

mod builtin;
mod call;
mod carry;
mod dist;
mod error;
mod expand;
mod expression;
mod line;
mod lines;
mod macros;
mod marker;
mod preamble;
mod tags;
mod text;
mod version;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::carry::{Carried, Carrier, carry};
pub use self::dist::{Dist, dist_of};
pub use self::error::Error;
pub use self::line::apply_line;

/// Compares two texts of the form `[EPOCH:]VERSION[-RELEASE]` as rpm does.
#[must_use]
pub fn compare_versions(left: &str, right: &str) -> std::cmp::Ordering {
    version::compare(left.as_bytes(), right.as_bytes())
}

/// The texts that an evaluation may read.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    spec: &'a str,
    texts: &'a BTreeMap<String, Vec<u8>>,
    /// A file with another text than the package's.
    edited: Option<(&'a str, &'a [u8])>,
}

impl<'a> Sources<'a> {
    /// Returns the texts of a source package by file name, with the name of its spec.
    #[must_use]
    pub fn new(spec: &'a str, texts: &'a BTreeMap<String, Vec<u8>>) -> Self {
        Self { spec, texts, edited: None }
    }

    /// Returns the same texts with one of them replaced.
    fn with(self, file: &'a str, text: &'a [u8]) -> Self {
        Self { edited: Some((file, text)), ..self }
    }

    fn text(&self, file: &str) -> Option<&'a [u8]> {
        match self.edited {
            Some((edited, text)) if edited == file => Some(text),
            _ => self.texts.get(file).map(Vec::as_slice),
        }
    }
}

/// What rpmbuild is told beside the spec.
///
/// The macros of the build host (`dist`, `rhel`, `fedora` …) count as undefined unless they are among `defines`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The architecture of `--target`, such as `x86_64`.
    pub target: String,
    /// `--define 'NAME VALUE'`. A `%define` of the spec goes over it.
    pub defines: BTreeMap<String, String>,
    /// `--with NAME`.
    pub with: Vec<String>,
    /// `--without NAME`.
    pub without: Vec<String>,
}

impl Context {
    /// Returns a context with nothing but a target.
    #[must_use]
    pub fn new(target: &str) -> Self {
        Self { target: target.to_owned(), ..Self::default() }
    }
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

/// How `buildid` was defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keyword {
    /// `%define`
    Define,
    /// `%global`
    Global,
    /// `%undefine`
    Undefine,
}

/// A definition of `buildid` that was carried out, or its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The file.
    pub file: String,
    /// The line where it begins, from 1.
    pub line: usize,
    /// How.
    pub keyword: Keyword,
    /// The value as it stands there; empty for the end of a definition.
    pub value: String,
}

/// The kinds of things that an evaluation cannot know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The output of a shell command.
    Shell,
    /// The result of a Lua script.
    Lua,
    /// A macro that depends on the machine, such as `%{getenv:HOME}`.
    Machine,
    /// An expression with something unknown in it.
    Expression,
    /// A condition with something unknown in it, or one that is none: what its branches define is unknown.
    Condition,
    /// An include of a file that is not in the source package.
    Include,
    /// A line that begins with a macro that is not known.
    Line,
    /// Something that rpm 4.18 refuses. Older releases may not.
    Refused,
    /// More work than any spec takes.
    Limit,
}

/// Something that the evaluation met and cannot know. It may not matter for the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Unknown {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The kind of thing.
    pub what: What,
    /// The text, shortened.
    pub text: String,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::Shell => "the output of",
            What::Lua => "the result of the script",
            What::Machine => "what the machine says of",
            What::Expression => "the expression",
            What::Condition => "the condition",
            What::Include => "the include",
            What::Line => "the line",
            What::Refused => "what rpm 4.18 refuses,",
            What::Limit => "more work than any spec takes,",
        };
        write!(f, "`{}` line {}: {what} `{}`", self.file, self.line, self.text)
    }
}

/// What the preamble of a spec comes to.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// The Name tag; `None` where it is missing or depends on something unknown.
    pub name: Option<String>,
    /// The Version tag, likewise.
    pub version: Option<String>,
    /// The Release tag, likewise.
    pub release: Option<String>,
    /// What the `BuildRequires` tags name, as far as that is known, without versions and in order.
    pub build_requires: Vec<String>,
    /// The definitions of `buildid` that were carried out, in order.
    pub buildid: Vec<Definition>,
    /// Whether `buildid` was looked at to make the release.
    pub consults_buildid: bool,
    /// Where the Release tag is.
    pub release_tag: Option<Place>,
    /// What could not be known.
    pub unknown: Vec<Unknown>,
    /// The files that were included.
    pub included: Vec<String>,
    /// The value of the Release tag as it came out, with what is unknown in it.
    written_release: Option<String>,
    /// The last line of each file that belongs to the preamble.
    ends: BTreeMap<String, usize>,
    /// Whether `buildid` is defined at the end.
    active: bool,
    expander: expand::Expander,
}

impl Evaluated {
    fn new(expander: expand::Expander) -> Self {
        Self {
            name: None,
            version: None,
            release: None,
            build_requires: Vec::new(),
            buildid: Vec::new(),
            consults_buildid: false,
            release_tag: None,
            unknown: Vec::new(),
            included: Vec::new(),
            written_release: None,
            ends: BTreeMap::new(),
            active: false,
            expander,
        }
    }

    /// Returns what a macro expands to at the end of the preamble; `None` where it is undefined or unknown.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<String> {
        let mut expander = self.expander.clone();
        expander.table.get(name.as_bytes())?;
        let value = expander.expanded(format!("%{{{name}}}").as_bytes()).ok()?;
        let known = !expander.lost && !value.contains(&text::UNKNOWN) && !value.contains(&b'%');
        known.then(|| text::shown(&value))
    }

    /// Whether rpm 4.18 would refuse the preamble.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.unknown.iter().any(|unknown| unknown.what == What::Refused)
    }
}

/// Evaluates the preamble of a spec, down to its first section.
///
/// Conditions, definitions (lazy and at once, parametric, over several lines), includes, the built-in macros and those
/// in comments behave as in rpm 4.18. What cannot be known is listed in [`Evaluated::unknown`], and whatever depends on
/// it is `None`: where a condition is unknown, that holds for all that its branches define.
#[must_use]
pub fn evaluate(sources: &Sources<'_>, context: &Context) -> Evaluated {
    preamble::evaluate(sources, context)
}

#[cfg(test)]
mod tests;
