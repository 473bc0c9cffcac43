//! The store of source packages: each under the digest of its content, found by its name, shared between builds and safe
//! for several processes.
//!
//! ```text
//! sha256/<digest>/<file>     what was fetched, complete
//! names/<file>.json          which digest a name had, and where it came from
//! parts/<file>.part          what is being fetched, with <file>.json beside it: from where, which version
//! locks/<file>               held while a file is being fetched
//! ```

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::sys::files;
use crate::sys::lock::{self, Lock};

/// Where source packages are kept.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

/// A source package in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Stored {
    /// SHA-256 of its content.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// Where it came from.
    pub url: String,
}

/// What is known of a part of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Part {
    /// Where it comes from.
    pub(super) url: String,
    /// Which version of the file it is a part of, as the server names it.
    pub(super) version: Option<String>,
}

impl Store {
    /// A store in this directory, which need not exist yet.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Returns a package by its file name, if it is there: its path and what is known of it.
    #[must_use]
    pub fn find(&self, file: &str) -> Option<(PathBuf, Stored)> {
        let stored: Stored = serde_json::from_slice(&fs_err::read(self.name(file)).ok()?).ok()?;
        let path = self.path(file, &stored.sha256);
        let whole = fs_err::metadata(&path).is_ok_and(|details| details.len() == stored.size);
        whole.then_some((path, stored))
    }

    /// Forgets a package whose content is not what its name promises.
    pub fn forget(&self, file: &str) {
        let _ = fs_err::remove_file(self.name(file));
    }

    /// Waits until no other process fetches this file.
    pub(super) fn lock(&self, file: &str, waiting: &mut dyn FnMut()) -> Result<Lock, lock::Error> {
        let path = self.dir.join("locks").join(file);
        let io = |source| lock::Error::Io { path: path.clone(), source };
        fs_err::create_dir_all(self.dir.join("locks")).map_err(io)?;
        let lock = lock::wait(&path, waiting)?;
        // What one that was killed had begun to note.
        for dir in ["names", "parts"] {
            files::sweep(&self.dir.join(dir), Some(&format!("{file}.json"))).map_err(io)?;
        }
        Ok(lock)
    }

    /// Returns where a file is put together.
    pub(super) fn part(&self, file: &str) -> io::Result<PathBuf> {
        let dir = self.dir.join("parts");
        fs_err::create_dir_all(&dir)?;
        Ok(dir.join(format!("{file}.part")))
    }

    /// Returns what is known of the part that is there.
    pub(super) fn known(&self, file: &str) -> Option<Part> {
        serde_json::from_slice(&fs_err::read(self.dir.join("parts").join(format!("{file}.json"))).ok()?).ok()
    }

    /// Notes what the part is a part of.
    pub(super) fn note(&self, file: &str, part: &Part) -> io::Result<()> {
        write(&self.dir.join("parts").join(format!("{file}.json")), part)
    }

    /// Takes a complete file into the store, and returns its path.
    pub(super) fn take(&self, file: &str, part: &Path, stored: &Stored) -> io::Result<PathBuf> {
        let path = self.path(file, &stored.sha256);
        for dir in [path.parent(), self.name(file).parent()].into_iter().flatten() {
            fs_err::create_dir_all(dir)?;
        }
        fs_err::rename(part, &path)?;
        write(&self.name(file), stored)?;
        let _ = fs_err::remove_file(self.dir.join("parts").join(format!("{file}.json")));
        Ok(path)
    }

    fn path(&self, file: &str, sha256: &str) -> PathBuf {
        self.dir.join("sha256").join(sha256).join(file)
    }

    fn name(&self, file: &str) -> PathBuf {
        self.dir.join("names").join(format!("{file}.json"))
    }
}

fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(value)?;
    files::replace(path, &mut text.as_slice(), 0o644).map(|_| ())
}
