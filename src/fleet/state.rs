//! What is to be done about a cell, by what is there of it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Cell;
use super::inputs::Inputs;
use super::record::{Record, Status};
use crate::pipeline::manifest::{Manifest, Status as Outcome};

/// How far a cell is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum State {
    /// Its results are there, and what they depend on is the same.
    Done,
    /// It was never begun.
    New,
    /// Its results are there, but something that they depend on is another thing now.
    Changed {
        /// What.
        what: Vec<String>,
    },
    /// Results that were written down are missing.
    Lost {
        /// Which.
        file: String,
    },
    /// It failed.
    Failed {
        /// The exit code of kbuild.
        exit_code: i32,
        /// Why.
        error: String,
    },
    /// It was begun and did not come to an end; it may be running.
    Begun,
}

impl State {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Returns it in one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::New => "new",
            Self::Changed { .. } => "changed",
            Self::Lost { .. } => "lost",
            Self::Failed { .. } => "failed",
            Self::Begun => "begun",
        }
    }

    /// Says what is behind the word, if something is.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        match self {
            Self::Done | Self::New => None,
            Self::Changed { what } => Some(what.join(", ")),
            Self::Lost { file } => Some(format!("`{file}` is not there any more")),
            Self::Failed { exit_code, error } => {
                Some(format!("exit code {exit_code}: {}", error.lines().next().unwrap_or_default()))
            }
            Self::Begun => Some("it runs, or was killed".into()),
        }
    }

    /// Returns how far a cell is, by what is in its directory.
    #[must_use]
    pub fn of(cell: &Cell, inputs: &Inputs, out: &Path) -> Self {
        let dir = cell.out(out);
        let Some(record) = Record::read(&dir) else { return Self::New };
        let manifest = if record.status == Status::Done { Manifest::read(&dir) } else { None };
        Self::judged(&record, manifest.as_ref(), inputs, &dir)
    }

    /// Returns how far a cell is whose record and manifest are in a directory.
    #[must_use]
    pub fn judged(record: &Record, manifest: Option<&Manifest>, inputs: &Inputs, dir: &Path) -> Self {
        let what = record.inputs.differences(inputs);
        match &record.status {
            _ if !what.is_empty() => Self::Changed { what },
            Status::Running | Status::Interrupted { .. } => Self::Begun,
            Status::Failed { exit_code, error } => Self::Failed { exit_code: *exit_code, error: error.clone() },
            Status::Done => match missing(manifest, dir) {
                Some(file) => Self::Lost { file },
                None => Self::Done,
            },
        }
    }
}

/// Returns a result that the manifest names and that is not there with its size, if there is one.
fn missing(manifest: Option<&Manifest>, dir: &Path) -> Option<String> {
    let Some(manifest) = manifest.filter(|manifest| manifest.status == Outcome::Done) else {
        return Some("manifest.json".into());
    };
    let is_there = |name: &str, size: u64| fs_err::metadata(dir.join(name)).is_ok_and(|found| found.len() == size);
    manifest.files.iter().find(|file| !is_there(&file.name, file.size)).map(|file| file.name.clone())
}
