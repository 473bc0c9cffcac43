//! Source packages: checked before anything of them is used, read as a stream.

mod contents;
mod inside;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rpm::{FileEntry, FileFlags, FileType, IndexTag, PackageMetadata};

use super::decompress;
use super::digest::Hashing;
use super::headers;
use super::integrity::{self, Broken};
use super::nvr::Nvr;
use super::trust::{self, Signature};
use crate::digest::hex;
pub use contents::digests;
pub use inside::InTree;
use inside::{patched, read_tree};

/// The largest text (spec, config, script) that is kept in memory. Real specs have up to about 5 MB.
const LARGEST_TEXT: u64 = 32 << 20;
/// How much all texts together may have.
const ALL_TEXTS: u64 = 256 << 20;
/// How much all files of a source package together may have. Real ones have up to 250 MB.
const LARGEST_PAYLOAD: u64 = 8 << 30;

/// Why a source package is not used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened or read at all.
    #[error("cannot read `{}`", path.display())]
    Open {
        /// The package.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It does not begin as an RPM does.
    #[error("`{}` is not an RPM package: it begins with {found}", path.display())]
    NotAnRpm {
        /// The package.
        path: PathBuf,
        /// The first bytes in words.
        found: String,
    },
    /// The header is damaged or cut off.
    #[error("the header of `{}` is damaged or cut off", path.display())]
    Header {
        /// The package.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<rpm::Error>,
    },
    /// It is an RPM, but with binaries.
    #[error("`{}` is a binary package ({arch}), expected a source package (`.src.rpm`)", path.display())]
    Binary {
        /// The package.
        path: PathBuf,
        /// Its architecture.
        arch: String,
    },
    /// The payload is damaged or cut off.
    #[error("the payload of `{}` is damaged or cut off", path.display())]
    Payload {
        /// The package.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file is not what the header says.
    #[error("`{file}` in `{}` has digest {found}, expected {expected}", path.display())]
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
    /// A file that a source package must not have.
    #[error("`{file}` in `{}` is {what}, expected a plain file with a plain name", path.display())]
    Hostile {
        /// The package.
        path: PathBuf,
        /// The file in it.
        file: String,
        /// What it is.
        what: String,
    },
    /// A file could not be written while unpacking.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What the header of a source package says, and what its signature is worth.
#[derive(Debug, Clone)]
pub struct Header {
    /// Name, version and release.
    pub nvr: Nvr,
    /// Size of the package in bytes.
    pub size: u64,
    /// SHA-256 of the whole package, in hexadecimal.
    pub sha256: String,
    /// The signature.
    pub signature: Signature,
    /// The files in it, by name.
    pub files: Vec<String>,
    /// Sources and patches that its spec names and that it does not carry (`NoSource:`): `ELRepo` leaves the kernel's
    /// tarball out.
    pub left_out: Vec<String>,
    /// The time of the newest entry of its changelog, in seconds since 1970; without a changelog, when it was built.
    pub epoch: u64,
}

/// Reads and checks the header of a source package and hashes the whole file; `progress` gets the bytes hashed so far
/// and the size. Its signature is judged without any key: [`trust::signature`] takes
/// them.
///
/// # Errors
/// It cannot be read, is no RPM, is damaged, or is a binary package.
pub fn header(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Header, Error> {
    let open = |source| Error::Open { path: path.to_owned(), source };
    let bad = |source| Error::Header { path: path.to_owned(), source: Box::new(source) };
    let metadata = opened(path)?;
    if !metadata.is_source_package() {
        let arch = metadata.get_arch().unwrap_or("unknown architecture").to_owned();
        return Err(Error::Binary { path: path.to_owned(), arch });
    }
    let nvr = headers::nvr(&metadata).map_err(bad)?;
    let entries = metadata.get_file_entries().map_err(bad)?;
    let files = entries.iter().map(|entry| plain_name(path, entry)).collect::<Result<Vec<_>, _>>()?;
    let left_out = left_out(&metadata, &entries);
    let epoch = epoch(&metadata);
    let signature = trust::judge(path, &metadata, &[]).map_err(open)?;
    let whole = integrity::measure(path, &metadata, progress).map_err(|broken| match broken {
        Broken::Io(source) => open(source),
        broken => Error::Payload { path: path.to_owned(), source: Box::new(broken) },
    })?;
    Ok(Header { nvr, size: whole.size, sha256: whole.sha256, signature, files, left_out, epoch })
}

/// Returns how old the package's content is: see [`Header::epoch`].
pub(super) fn epoch(metadata: &PackageMetadata) -> u64 {
    let changes = metadata.get_changelog_entries().unwrap_or_default();
    let newest = changes.iter().map(|change| change.timestamp).max();
    newest.or_else(|| metadata.get_build_time().ok()).unwrap_or_default()
}

/// Reads the headers of a package of any kind, and checks them.
pub(super) fn opened(path: &Path) -> Result<PackageMetadata, Error> {
    let open = |source| Error::Open { path: path.to_owned(), source };
    let bad = |source| Error::Header { path: path.to_owned(), source: Box::new(source) };
    let mut file = fs_err::File::open(path).map_err(open)?;
    let details = file.metadata().map_err(open)?;
    if !details.is_file() {
        let what = if details.is_dir() { "it is a directory" } else { "it is not a file" };
        return Err(open(io::Error::other(what)));
    }
    let mut start = Vec::new();
    Read::by_ref(&mut file).take(4).read_to_end(&mut start).map_err(open)?;
    if start != b"\xed\xab\xee\xdb" {
        return Err(Error::NotAnRpm { path: path.to_owned(), found: in_words(&start) });
    }
    headers::verified(path).map_err(bad)
}

/// Returns the sources and patches that the header names and the payload lacks: rpm lists them as ghosts, or not at all.
fn left_out(metadata: &PackageMetadata, entries: &[FileEntry<'_>]) -> Vec<String> {
    let name = |entry: &FileEntry<'_>| entry.basename().to_owned();
    let ghosts: Vec<String> =
        entries.iter().filter(|entry| entry.flags().contains(FileFlags::GHOST)).map(name).collect();
    let files: Vec<String> = entries.iter().map(name).collect();
    let named = [IndexTag::RPMTAG_SOURCE, IndexTag::RPMTAG_PATCH]
        .into_iter()
        .filter_map(|tag| metadata.header.get_entry_data_as_string_array(tag).ok())
        .flatten()
        .map(str::to_owned);
    named.filter(|name| ghosts.contains(name) || !files.contains(name)).collect()
}

fn in_words(start: &[u8]) -> String {
    if start.is_empty() { "nothing: it is empty".into() } else { format!("the bytes {}", hex(start)) }
}

/// What to do with a file of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Check its digest only.
    Check,
    /// Check it and keep its text, unless it is far too large for one.
    Text,
    /// Check it and, since it is a tarball of the kernel, keep the files of the tree that are asked for.
    Tree,
    /// Check it and, since it is a patch, keep it if it changes a file of the tree that is asked for.
    Patch,
}

/// What was kept while the payload was read.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Texts by file name.
    pub texts: BTreeMap<String, Vec<u8>>,
    /// Files of the kernel tree by their path without the top directory.
    pub tree: BTreeMap<String, Vec<u8>>,
    /// Patches that change a file of the tree that was asked for, by file name and decompressed.
    pub patches: BTreeMap<String, Vec<u8>>,
}

/// Reads the payload once, checks every file's digest, and keeps what is wanted.
///
/// `in_tree` says which files are wanted from a tarball, by path below its top directory, and which of those are kept, by
/// path and content; `progress` gets the bytes read so far (decompressed
/// payload) and the total.
///
/// # Errors
/// The payload is damaged or cut off, a digest does not match, or a file is not a plain file.
pub fn read(
    path: &Path,
    want: &dyn Fn(&str) -> Want,
    in_tree: &InTree<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Contents, Error> {
    let mut contents = Contents::default();
    let mut kept = 0;
    walk(path, progress, |name, _, input| match want(name) {
        Want::Check => Ok(()),
        Want::Text => {
            let mut text = Vec::new();
            let size = input.take(LARGEST_TEXT + 1).read_to_end(&mut text)? as u64;
            if size > LARGEST_TEXT {
                return Ok(());
            }
            kept += size;
            if kept > ALL_TEXTS {
                return Err(io::Error::other(format!("its texts have more than {ALL_TEXTS} bytes")));
            }
            contents.texts.insert(name.to_owned(), text);
            Ok(())
        }
        Want::Tree => {
            contents.tree.extend(read_tree(input, in_tree)?);
            Ok(())
        }
        Want::Patch => {
            let text = decompress::bytes(input, LARGEST_TEXT)?;
            if patched(&text).any(|path| (in_tree.wanted)(path)) {
                contents.patches.insert(name.to_owned(), text);
            }
            Ok(())
        }
    })?;
    Ok(contents)
}

/// Unpacks the whole payload into an existing directory as plain files with the modes that they had (a spec may run its
/// sources: `process_configs.sh` of el8), less what would let others write them; returns their names.
///
/// # Errors
/// As [`read`], or a file cannot be written.
pub fn unpack(path: &Path, dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    let mut failed = None;
    let outcome = walk(path, progress, |name, permissions, input| {
        let target = dir.join(name);
        let write = |input: &mut dyn Read| -> io::Result<()> {
            let mut file = fs_err::OpenOptions::new().write(true).create_new(true).open(&target)?;
            io::copy(input, &mut file)?;
            file.flush()?;
            let mode = u32::from(permissions) & 0o775 | 0o600;
            file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))
        };
        names.push(name.to_owned());
        write(input).map_err(|source| {
            let message = source.to_string();
            failed = Some(Error::Write { path: target.clone(), source });
            io::Error::other(message)
        })
    });
    // What could not be written is the cause, and the broken stream its effect.
    failed.map_or(outcome, Err)?;
    Ok(names)
}

/// Goes through the payload, hands each file (name, permissions, content) to `visit`, and checks its digest afterwards.
fn walk(
    path: &Path,
    progress: &mut dyn FnMut(u64, u64),
    mut visit: impl FnMut(&str, u16, &mut dyn Read) -> io::Result<()>,
) -> Result<(), Error> {
    let mut files = 0;
    let mut reader =
        headers::reader(path).map_err(|source| Error::Header { path: path.to_owned(), source: Box::new(source) })?;
    let entries = reader.metadata.get_file_entries().unwrap_or_default();
    let expected = entries.len();
    let total = entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.size() as u64));
    drop(entries);
    if total > LARGEST_PAYLOAD {
        let why = format!("its files have {total} bytes: more than {LARGEST_PAYLOAD}");
        return Err(Error::Payload { path: path.to_owned(), source: why.into() });
    }
    let mut done = 0;
    loop {
        let broken =
            |source: Box<dyn std::error::Error + Send + Sync>| Error::Payload { path: path.to_owned(), source };
        let Some(mut file) = reader.next_file().map_err(|error| broken(Box::new(error)))? else { break };
        let name = plain_name(path, &file.metadata)?;
        let permissions = file.metadata.permissions();
        let (size, digest) = (file.metadata.size() as u64, file.metadata.digest().cloned());
        let mut input = Hashing::new(
            Counting { inner: &mut file, done: &mut done, total, progress },
            digest.as_ref().map(rpm::FileDigest::algorithm),
        );
        visit(&name, permissions, &mut input).map_err(|error| broken(Box::new(error)))?;
        let (read, found) = input.finish().map_err(|error| broken(Box::new(error)))?;
        if read != size {
            return Err(broken(format!("`{name}` has {read} bytes, expected {size}").into()));
        }
        // Without a digest nothing would tie the file to the header, which is what is signed.
        let (expected, found) = (digest.as_ref().map_or("one", rpm::FileDigest::as_hex), found.unwrap_or_default());
        if expected != found {
            let (file, expected) = (name, expected.to_owned());
            return Err(Error::Digest { path: path.to_owned(), file, expected, found });
        }
        file.finish().map_err(|error| broken(Box::new(error)))?;
        files += 1;
    }
    if files != expected {
        let why = format!("it has {files} files, and the header promises {expected}");
        return Err(Error::Payload { path: path.to_owned(), source: why.into() });
    }
    Ok(())
}

/// Returns the file's name, which in a source package has no directory and is a regular file's.
fn plain_name(path: &Path, entry: &FileEntry<'_>) -> Result<String, Error> {
    let full = entry.path();
    let shown = full.to_string_lossy().into_owned();
    let hostile = |what: &str| Error::Hostile { path: path.to_owned(), file: shown.clone(), what: what.to_owned() };
    if entry.file_type() != FileType::Regular {
        return Err(hostile("not a regular file"));
    }
    let name = shown.trim_start_matches('/');
    let name = name.strip_prefix("./").unwrap_or(name);
    if name.is_empty() || name.contains('/') || name == "." || name == ".." || name.contains('\0') {
        return Err(hostile("outside the package's one directory"));
    }
    Ok(name.to_owned())
}

/// Tells `progress` how many payload bytes have passed.
struct Counting<'a, R> {
    inner: R,
    done: &'a mut u64,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        *self.done += count as u64;
        (self.progress)(*self.done, self.total);
        Ok(count)
    }
}
