//! cell.json: what became of a cell, beside its results.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Cell;
use super::inputs::Inputs;
use super::shard::Runner;
use crate::sys::files;

/// The name of that file.
pub const RECORD: &str = "cell.json";
/// The name of what `kbuild ipvs` printed for it.
pub const LOG: &str = "cell.log";
/// The version of its format.
pub const SCHEMA: u32 = 1;

/// What became of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Record {
    /// Version of this format.
    pub schema: u32,
    /// Version of kbuild.
    pub kbuild: String,
    /// The cell.
    pub cell: Cell,
    /// What its results depend on.
    pub inputs: Inputs,
    /// The call of kbuild, quoted for a shell, without passwords.
    pub command: String,
    /// Who ran it, if an engine did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<Runner>,
    /// How often it was begun with these inputs.
    pub attempt: u32,
    /// When it was begun the last time (UTC, RFC 3339).
    pub started: String,
    /// How long it took, in seconds; of one that is running or was killed, nothing.
    pub seconds: f64,
    /// How it ended.
    pub status: Status,
}

/// How a cell ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Status {
    /// It did not: it is running, or was killed.
    Running,
    /// Well.
    Done,
    /// Not well.
    Failed {
        /// The exit code of kbuild.
        exit_code: i32,
        /// Why.
        error: String,
    },
    /// A signal asked it to stop.
    Interrupted {
        /// Which.
        signal: i32,
    },
}

impl Record {
    /// Returns the record in a directory of results, if there is one that can be read.
    #[must_use]
    pub fn read(dir: &Path) -> Option<Self> {
        let record: Self = serde_json::from_slice(&fs_err::read(dir.join(RECORD)).ok()?).ok()?;
        (record.schema == SCHEMA).then_some(record)
    }

    /// Writes it into a directory of results, which is made if it is missing.
    ///
    /// # Errors
    /// It could not be written; an earlier one is whole then.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        fs_err::create_dir_all(dir)?;
        let mut text = serde_json::to_vec_pretty(self).map_err(io::Error::from)?;
        text.push(b'\n');
        files::replace_text(&dir.join(RECORD), &text)
    }
}
