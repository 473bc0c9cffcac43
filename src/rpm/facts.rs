//! What the header of a built package says of it as a whole: origin, licence, relations, sizes, files.
//!
//! Wider than [`super::binary::Header`], which holds what the proof needs, and of the header only: the payload stays unread.

use std::fmt;
use std::path::Path;

use rpm::{DependencyFlags, FileType};
use serde::Serialize;

use super::binary::Error;
use super::headers;
use super::nvr::Nvr;

/// What a package says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Name, version and release.
    pub nvr: Nvr,
    /// The epoch, if it has one.
    pub epoch: Option<u32>,
    /// Architecture; `src` for a source package.
    pub arch: String,
    /// The licence, in the packager's words.
    pub license: Option<String>,
    /// File name of the source package that it was built from; nothing in a source package.
    pub source: Option<String>,
    /// Size of all its files together, in bytes.
    pub installed: u64,
    /// What it provides.
    pub provides: Vec<Relation>,
    /// What it requires.
    pub requires: Vec<Relation>,
    /// Everything in it, directories included, in the header's order.
    pub files: Vec<Entry>,
}

/// A capability that is provided or required, with the versions of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Relation {
    /// The capability.
    pub name: String,
    /// `<`, `<=`, `=`, `>=` or `>`; empty if any version will do.
    pub sense: &'static str,
    /// The version; empty if any will do.
    pub version: String,
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sense.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{} {} {}", self.name, self.sense, self.version)
        }
    }
}

/// One path of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is installed.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u16,
    /// Its size in bytes, of a plain file.
    pub size: u64,
    /// The digest that the header has of its content, in hexadecimal: MD5 up to el5, SHA-256 after; nothing where it has
    /// none.
    pub digest: Option<String>,
}

/// What a path of a package is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A plain file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link {
        /// Where it points.
        to: String,
    },
    /// A device, or anything else.
    Other,
}

/// Reads what the header of a package says.
///
/// # Errors
/// It is no RPM or damaged.
pub fn read(path: &Path) -> Result<Facts, Error> {
    let error = |source| Error::Unreadable { path: path.to_owned(), source: Box::new(source) };
    let metadata = headers::verified(path).map_err(error)?;
    let is_source = metadata.is_source_package();
    let arch = if is_source { "src" } else { metadata.get_arch().map_err(error)? };
    let relations = |found: Vec<rpm::Dependency>| {
        let mut all: Vec<Relation> = found.into_iter().map(relation).collect();
        all.sort();
        // `Requires(pre)` and `Requires` of the same are two entries.
        all.dedup();
        all
    };
    Ok(Facts {
        nvr: headers::nvr(&metadata).map_err(error)?,
        epoch: metadata.get_epoch().ok(),
        arch: arch.to_owned(),
        license: metadata.get_license().ok().map(str::to_owned),
        source: metadata.get_source_rpm().ok().filter(|_| !is_source).map(str::to_owned),
        installed: metadata.get_installed_size().map_err(error)?,
        provides: relations(metadata.get_provides().map_err(error)?),
        requires: relations(metadata.get_requires().map_err(error)?),
        files: metadata.get_file_entries().map_err(error)?.iter().map(entry).collect(),
    })
}

fn relation(found: rpm::Dependency) -> Relation {
    let has = |flag| found.flags.contains(flag);
    let sense = match (has(DependencyFlags::LESS), has(DependencyFlags::GREATER), has(DependencyFlags::EQUAL)) {
        (true, _, true) => "<=",
        (true, _, false) => "<",
        (_, true, true) => ">=",
        (_, true, false) => ">",
        (_, _, true) => "=",
        _ => "",
    };
    Relation { name: found.name, sense, version: found.version }
}

fn entry(entry: &rpm::FileEntry<'_>) -> Entry {
    let kind = match entry.file_type() {
        FileType::Regular => Kind::File,
        FileType::Dir => Kind::Directory,
        FileType::SymbolicLink => Kind::Link { to: entry.linkto().unwrap_or_default().to_owned() },
        _ => Kind::Other,
    };
    Entry {
        path: entry.path().to_string_lossy().into_owned(),
        size: if kind == Kind::File { entry.size() as u64 } else { 0 },
        kind,
        mode: entry.permissions(),
        digest: entry.digest().map(|digest| digest.as_hex().to_owned()),
    }
}
