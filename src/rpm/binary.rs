//! Built packages: what they are called, which files they have, and the few files that matter, read as a stream.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rpm::FileType;

use super::digest::Hashing;
use super::headers;
use super::integrity::{self, Broken, Expected};
use super::nvr::Nvr;
use crate::sys::{files, threads};

/// Why a built package cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no RPM, damaged or cut off.
    #[error("cannot read the package `{}`", path.display())]
    Unreadable {
        /// The package.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<rpm::Error>,
    },
    /// It is cut off, longer than it should be, or its payload is another one.
    #[error("the package `{}` was damaged or changed after it was built", path.display())]
    Changed {
        /// The package.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file in it is not what its header says.
    #[error("`{file}` in `{}` has digest {found}, and the header says {expected}: it was changed after the build", path.display())]
    Digest {
        /// The package.
        path: PathBuf,
        /// The file in it.
        file: String,
        /// What the header says.
        expected: String,
        /// What was read.
        found: String,
    },
}

/// What the header of a package says.
#[derive(Debug, Clone)]
pub struct Header {
    /// Name, version and release.
    pub nvr: Nvr,
    /// Architecture; `src` for a source package.
    pub arch: String,
    /// Paths of all files that are regular files in the payload.
    pub files: Vec<String>,
    /// The script that runs after it was installed, if it has one.
    pub post_install: Option<String>,
}

/// Reads the header of a package.
///
/// # Errors
/// It is no RPM or damaged.
pub fn header(path: &Path) -> Result<Header, Error> {
    Package::open(path).map(|package| package.header)
}

/// A package whose header was read and checked.
#[derive(Debug, Clone)]
pub struct Package {
    /// The file.
    pub path: PathBuf,
    /// What its header says.
    pub header: Header,
    expected: Expected,
}

impl Package {
    /// Opens a package.
    ///
    /// # Errors
    /// It is no RPM or damaged.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let error = |source| Error::Unreadable { path: path.to_owned(), source: Box::new(source) };
        let metadata = headers::verified(path).map_err(error)?;
        let arch = if metadata.is_source_package() { "src" } else { metadata.get_arch().map_err(error)? };
        let entries = metadata.get_file_entries().map_err(error)?;
        let header = Header {
            nvr: headers::nvr(&metadata).map_err(error)?,
            arch: arch.to_owned(),
            post_install: metadata.get_post_install_script().ok().map(|script| script.script),
            files: entries
                .iter()
                .filter(|entry| entry.file_type() == FileType::Regular)
                .map(|entry| entry.path().to_string_lossy().into_owned())
                .collect(),
        };
        Ok(Self { path: path.to_owned(), header, expected: Expected::of(&metadata) })
    }

    /// Opens several, at the same time.
    ///
    /// # Errors
    /// One of them is no RPM or damaged.
    pub fn open_all(paths: &[PathBuf]) -> Result<Vec<Self>, Error> {
        each(paths, |path| path, &|path| Self::open(path))
    }

    /// Reads packages as a whole, at the same time, and makes sure that each is as its headers say.
    ///
    /// # Errors
    /// One of them is cut off, or was changed after it was built.
    pub fn check_all(packages: &[Self]) -> Result<(), Error> {
        each(packages, |package| &package.path, &Self::check).map(drop)
    }

    /// Reads the whole package and makes sure that it is as its headers say.
    ///
    /// # Errors
    /// It is cut off, or was changed after it was built.
    pub fn check(&self) -> Result<(), Error> {
        match integrity::check(&self.path, &self.expected, None, &mut |_, _| ()) {
            Ok(_) => Ok(()),
            Err(Broken::Io(source)) => Err(unreadable(&self.path, rpm::Error::Io(source))),
            Err(broken) => Err(Error::Changed { path: self.path.clone(), source: Box::new(broken) }),
        }
    }

    /// Its file name, as findings name it.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Goes through the payload and hands the wanted files to `visit`; ends early once all wanted files were seen.
    ///
    /// # Errors
    /// The payload is damaged, a wanted file has another digest than the header says, or `visit` failed.
    pub fn visit(
        &self,
        wanted: &dyn Fn(&str) -> bool,
        mut visit: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
    ) -> Result<(), Error> {
        let path = &self.path;
        let error = |source| unreadable(path, source);
        let mut left = self.header.files.iter().filter(|file| wanted(file)).count();
        if left == 0 {
            return Ok(());
        }
        let mut reader = headers::reader(path).map_err(error)?;
        while left > 0 {
            let Some(mut file) = reader.next_file().map_err(error)? else { break };
            let name = file.metadata.path().to_string_lossy().into_owned();
            if file.has_payload() && file.metadata.file_type() == FileType::Regular && wanted(&name) {
                let digest = file.metadata.digest().cloned();
                let mut input = Hashing::new(&mut file, digest.as_ref().map(rpm::FileDigest::algorithm));
                visit(&name, &mut input).map_err(|problem| error(rpm::Error::Io(problem)))?;
                let (_, found) = input.finish().map_err(|problem| error(rpm::Error::Io(problem)))?;
                if let (Some(expected), Some(found)) = (digest, found)
                    && expected.as_hex() != found
                {
                    let expected = expected.as_hex().to_owned();
                    return Err(Error::Digest { path: path.clone(), file: name, expected, found });
                }
                left -= 1;
            }
            file.finish().map_err(|problem| error(rpm::Error::Io(problem)))?;
        }
        Ok(())
    }
}

/// Does the same with each, at the same time; the first error in their order counts.
fn each<T: Sync, A: Send>(
    all: &[T],
    path: impl Fn(&T) -> &PathBuf,
    ask: &(dyn Fn(&T) -> Result<A, Error> + Sync),
) -> Result<Vec<A>, Error> {
    let failed = |of: &T| unreadable(path(of), rpm::Error::Io(io::Error::other("a thread that reads it failed")));
    let answers = all.iter().zip(threads::at_once(all, ask));
    answers.map(|(of, answer)| answer.unwrap_or_else(|| Err(failed(of)))).collect()
}

fn unreadable(path: &Path, source: rpm::Error) -> Error {
    Error::Unreadable { path: path.to_owned(), source: Box::new(source) }
}

/// What tells a package's content from another's: digests of its files, and the entries of its header.
#[derive(Debug, Clone)]
pub struct Content {
    /// Each file with its digest; empty for what is not a regular file.
    pub files: BTreeMap<String, String>,
    /// The data of the entries of its header, by tag.
    pub entries: BTreeMap<u32, Vec<u8>>,
}

/// Reads from the header of a package what is in it.
///
/// # Errors
/// It is no RPM or damaged.
pub fn content(path: &Path) -> Result<Content, Error> {
    let error = |source| Error::Unreadable { path: path.to_owned(), source: Box::new(source) };
    let metadata = headers::open(path).map_err(error)?;
    let entries = metadata.get_file_entries().map_err(error)?;
    let digest = |entry: &rpm::FileEntry<'_>| entry.digest().map(|digest| digest.as_hex().to_owned());
    let files = entries
        .iter()
        .map(|entry| (entry.path().to_string_lossy().into_owned(), digest(entry).unwrap_or_default()))
        .collect();
    Ok(Content { files, entries: headers::entries(path).map_err(|source| error(rpm::Error::Io(source)))? })
}

/// Returns the SHA-256 of a whole package.
///
/// # Errors
/// It cannot be read.
pub fn sha256(path: &Path) -> Result<String, Error> {
    let error = |source| Error::Unreadable { path: path.to_owned(), source: Box::new(rpm::Error::Io(source)) };
    files::sha256(path).map(|(_, sha256)| sha256).map_err(error)
}

/// Opens a package and hands the wanted files to `visit`, as [`Package::visit`].
///
/// # Errors
/// As [`Package::open`] and [`Package::visit`].
pub fn visit(
    path: &Path,
    wanted: &dyn Fn(&str) -> bool,
    visit: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<(), Error> {
    Package::open(path)?.visit(wanted, visit)
}
