//! A way that builds fail, as data: by which lines it is known, and what to do.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::{Regex, RegexSet, RegexSetBuilder};
use serde::{Deserialize, Serialize};

/// How much a signature explains: what is above makes what is below happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// The machine gave out (disk, memory, time): whatever else failed may have failed of that.
    Machine,
    /// A cause of its own.
    Cause,
    /// What is known only in general, such as a header that is missing.
    General,
    /// What shows at the end because something went wrong before, such as a file that was not made.
    Symptom,
}

/// One signature. Every pattern is a regular expression on one line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Signature {
    /// Its name, in kebab-case.
    pub name: String,
    /// What is wrong, in a few words; may have placeholders.
    pub title: String,
    /// How much it explains.
    pub weight: Weight,
    /// A line that one of these matches shows it.
    pub says: Vec<String>,
    /// A line that one of these matches does not.
    #[serde(default)]
    pub unless: Vec<String>,
    /// Each of these must match a line somewhere, too.
    #[serde(default)]
    pub also: Vec<String>,
    /// Matches lines around it, whose groups fill the placeholders; the group `items` collects.
    pub near: Option<String>,
    /// Signatures that it follows from: where one of those counts, it comes after.
    #[serde(default)]
    pub follows: Vec<String>,
    /// Whether commands that a shell shows (`set -x`) count as lines.
    #[serde(default)]
    pub trace: bool,
    /// Whether it counts only where something failed close by: what it says may be harmless.
    #[serde(default)]
    pub near_failure: bool,
    /// Whether it counts only where the log ends with it: a program that waits says nothing more.
    #[serde(default)]
    pub at_end: bool,
    /// What a placeholder becomes that no group filled.
    #[serde(default)]
    pub default: BTreeMap<String, String>,
    /// Names derived from a group's value, such as the package that has a tool.
    pub lookup: Option<Lookup>,
    /// Why that ends a build.
    pub cause: String,
    /// What to do, as a command for a shell.
    pub fix: String,
    /// Where the fact comes from.
    pub source: String,
}

/// Names derived from a group's value.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Lookup {
    /// The group.
    pub group: String,
    /// The placeholder that gets the name.
    pub gives: String,
    /// Values and names.
    pub names: BTreeMap<String, String>,
}

fn pattern(text: &str) -> Result<Regex, regex::Error> {
    Regex::new(&of_ascii_words(text))
}

/// Returns a pattern whose `\b` is the edge of a word of ASCII. The one of all languages takes the fast way from the crate `regex` in each
/// line that has another character ("Unicode word boundaries" in its documentation): localized logs took a hundred times as long.
fn of_ascii_words(pattern: &str) -> String {
    let mut rest = pattern.chars();
    let mut found = String::with_capacity(pattern.len());
    while let Some(char) = rest.next() {
        match (char, (char == '\\').then(|| rest.next()).flatten()) {
            ('\\', Some('b')) => found.push_str(r"(?-u:\b)"),
            (char, escaped) => found.extend(std::iter::once(char).chain(escaped)),
        }
    }
    found
}

/// A signature with its patterns ready.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) signature: Signature,
    says: OnceLock<Vec<Regex>>,
    unless: OnceLock<Option<RegexSet>>,
    pub(super) near: Option<Regex>,
}

impl Compiled {
    /// Its patterns; made when it is a candidate for the first time, since all of them together take 20 MiB.
    pub(super) fn says(&self) -> &[Regex] {
        self.says.get_or_init(|| self.signature.says.iter().filter_map(|each| pattern(each).ok()).collect())
    }

    /// The patterns of lines that are not meant, if there are some.
    pub(super) fn unless(&self) -> Option<&RegexSet> {
        let set = || RegexSet::new(self.signature.unless.iter().map(|each| of_ascii_words(each))).ok();
        self.unless.get_or_init(|| if self.signature.unless.is_empty() { None } else { set() }).as_ref()
    }
}

/// All signatures, ready to be matched.
#[derive(Debug)]
pub struct Table {
    pub(super) rows: Vec<Compiled>,
    /// All `says`, to find candidates in one go, and whose each is.
    pub(super) says: RegexSet,
    pub(super) owners: Vec<usize>,
    /// All `also`, and whose each is.
    pub(super) also: RegexSet,
    pub(super) also_owners: Vec<usize>,
    /// Whether any row looks at commands.
    pub(super) traces: bool,
}

impl Table {
    /// Makes a table of signatures, which the check has found valid.
    ///
    /// # Errors
    /// A pattern is none, or all of them together are too large.
    pub fn new(signatures: Vec<Signature>) -> Result<Self, regex::Error> {
        let (mut says, mut owners, mut also, mut also_owners) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut rows = Vec::new();
        for (index, signature) in signatures.into_iter().enumerate() {
            says.extend(signature.says.iter().cloned());
            owners.extend(signature.says.iter().map(|_| index));
            also.extend(signature.also.iter().cloned());
            also_owners.extend(signature.also.iter().map(|_| index));
            rows.push(Compiled {
                says: OnceLock::new(),
                unless: OnceLock::new(),
                near: signature.near.as_deref().map(pattern).transpose()?,
                signature,
            });
        }
        let set = |patterns: &[String]| {
            let patterns = patterns.iter().map(|each| of_ascii_words(each));
            RegexSetBuilder::new(patterns).size_limit(64 << 20).dfa_size_limit(8 << 20).build()
        };
        Ok(Self {
            says: set(&says)?,
            also: set(&also)?,
            traces: rows.iter().any(|row| row.signature.trace),
            rows,
            owners,
            also_owners,
        })
    }

    /// Returns the signatures, in order.
    pub fn signatures(&self) -> impl Iterator<Item = &Signature> {
        self.rows.iter().map(|row| &row.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edge_of_a_word_is_that_of_ascii() {
        assert_eq!(of_ascii_words(r"^\bno space\b$"), r"^(?-u:\b)no space(?-u:\b)$");
        // An escaped backslash and a letter.
        assert_eq!(of_ascii_words(r"C:\\bin\d"), r"C:\\bin\d");
        assert_eq!(of_ascii_words("\\"), "\\");
        assert!(pattern(r"\bplein\b").unwrap().is_match("disque « plein »"));
    }
}
