//! The report: the whole fleet as data, and on one page.
//!
//! Nothing here reads a file or judges a cell: how far a cell is, is [`State`]'s to say, and what came of it is in its record and its
//! manifest.

pub mod commands;
pub mod curve;
pub mod entry;
pub mod link;
pub mod matrix;
pub mod page;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Cell, State};
use curve::Curve;
use entry::Entry;
use matrix::Matrix;

/// The version of report.json's format.
pub const SCHEMA: u32 = 1;
/// The name of the page.
pub const PAGE: &str = "report.html";
/// The name of the same as data.
pub const DATA: &str = "report.json";

/// What report.json holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Report {
    /// Version of this format.
    pub schema: u32,
    /// Version of kbuild.
    pub kbuild: String,
    /// When it was written (UTC, RFC 3339).
    pub written: String,
    /// The fleet file.
    pub file: PathBuf,
    /// Where the results are.
    pub out: PathBuf,
    /// How many cells there are in each state that one is in.
    pub counts: Vec<Count>,
    /// What all cells have and took together.
    pub sums: Sums,
    /// The cells by release and size.
    pub matrix: Matrix,
    /// What each size of the table costs.
    pub curve: Curve,
    /// All cells, in the order in which they are built.
    pub cells: Vec<Entry>,
}

/// How many cells there are in a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Count {
    /// The state, in one word.
    pub state: String,
    /// How many.
    pub cells: usize,
}

/// What all cells have and took together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sums {
    /// Packages.
    pub packages: usize,
    /// Their bytes.
    pub bytes: u64,
    /// How long the cells took one after the other, in seconds.
    pub seconds: f64,
    /// What they took of processors, in seconds, as far as it was measured.
    pub cpu_seconds: f64,
    /// Compilations that were taken from a cache.
    pub hits: u64,
    /// Compilations that were not in it.
    pub misses: u64,
    /// Files of other kernels' trees that were put back instead of being made again.
    pub put_back: u64,
}

/// Where a report comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Version of kbuild.
    pub kbuild: String,
    /// When it is written (UTC, RFC 3339).
    pub written: String,
    /// The fleet file.
    pub file: PathBuf,
    /// Where the results are.
    pub out: PathBuf,
}

impl Report {
    /// Puts the entries of all cells together; `cells` are these cells, in the same order.
    #[must_use]
    pub fn new(origin: Origin, cells: &[Cell], entries: Vec<Entry>) -> Self {
        Self {
            schema: SCHEMA,
            kbuild: origin.kbuild,
            written: origin.written,
            file: origin.file,
            out: origin.out,
            counts: counts(&entries),
            sums: Sums::of(&entries),
            matrix: Matrix::of(cells),
            curve: Curve::of(&entries),
            cells: entries,
        }
    }
}

impl Sums {
    fn of(entries: &[Entry]) -> Self {
        let mut sums = Self::default();
        for entry in entries {
            sums.packages += entry.packages.len();
            sums.bytes += entry.bytes;
            sums.seconds += entry.seconds.unwrap_or_default();
            sums.cpu_seconds += entry.cpu_seconds.unwrap_or_default();
            if let Some(cache) = &entry.cache {
                sums.hits += cache.hits;
                sums.misses += cache.misses;
                sums.put_back += cache.put_back.unwrap_or_default();
            }
        }
        sums
    }
}

/// Counts cells by state, in the order of [`STATES`].
fn counts(entries: &[Entry]) -> Vec<Count> {
    let count = |word: &str| entries.iter().filter(|entry| entry.state.word() == word).count();
    let counts = STATES.map(|(state, _)| Count { state: state.to_owned(), cells: count(state) });
    counts.into_iter().filter(|count| count.cells > 0).collect()
}

/// The words of [`State`], what needs somebody's attention first, each with what it says.
pub const STATES: [(&str, &str); 6] = [
    ("failed", "did not come out; the reason is with the cell"),
    ("lost", "was built, but files are missing"),
    ("begun", "runs, or was killed"),
    ("changed", "was built from something else than what the fleet asks for now"),
    ("new", "was not begun yet"),
    ("done", "is there, built from what the fleet asks for now"),
];

/// Whether somebody should look at a cell.
#[must_use]
pub fn wants_attention(state: &State) -> bool {
    matches!(state, State::Failed { .. } | State::Lost { .. })
}

#[cfg(test)]
mod tests;
