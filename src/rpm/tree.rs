//! The kernel tree in a kernel-devel package: headers, makefiles and tools that modules are built with.
//!
//! The package is hostile until proved otherwise: nothing is written outside the directory that was named, and no link
//! leads out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use rpm::{FileEntry, FileType, PackageReader};

use super::digest::Hashing;
use super::headers;
use super::integrity::{self, Broken};
use super::source::{self, Header};
use super::trust;

/// Where every family has its trees, each in a directory of its own.
const TREES: &str = "/usr/src/kernels/";
/// What a tree may have in all. Real ones have some 100 MB.
const LARGEST: u64 = 4 << 30;
/// The largest text of a tree that is kept. `Module.symvers` has up to some 3 MB.
const LARGEST_TEXT: u64 = 64 << 20;

/// Why a kernel-devel package is not used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read, is no RPM, or is damaged.
    #[error(transparent)]
    Package(#[from] source::Error),
    /// It is a source package.
    #[error("`{}` is a source package, expected kernel-devel for one architecture", path.display())]
    Source {
        /// The package.
        path: PathBuf,
    },
    /// It has no tree, or several.
    #[error("`{}` is not a kernel-devel package: expected one {TREES}*/.config, found {found}", path.display())]
    NoTree {
        /// The package.
        path: PathBuf,
        /// How many there are.
        found: usize,
    },
}

/// A tree, as far as its package's header and a few texts tell.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Where it is in the package, such as `/usr/src/kernels/2.6.32-220.el6.x86_64/`.
    pub top: String,
    /// Its files and links, by their paths below the top.
    pub files: BTreeSet<String>,
    /// The texts that were asked for, by the same paths.
    pub texts: BTreeMap<String, Vec<u8>>,
}

/// Reads and checks the headers of a kernel-devel package, and hashes the whole file; returns its architecture, too.
///
/// # Errors
/// It cannot be read, is no RPM, is damaged, or is a source package.
pub fn header(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(Header, String), Error> {
    let bad = |source| source::Error::Header { path: path.to_owned(), source: Box::new(source) };
    let metadata = source::opened(path)?;
    if metadata.is_source_package() {
        return Err(Error::Source { path: path.to_owned() });
    }
    let nvr = headers::nvr(&metadata).map_err(bad)?;
    let arch = metadata.get_arch().map_err(bad)?.to_owned();
    let signature =
        trust::judge(path, &metadata, &[]).map_err(|source| source::Error::Open { path: path.to_owned(), source })?;
    let whole = integrity::measure(path, &metadata, progress).map_err(|broken| match broken {
        Broken::Io(source) => source::Error::Open { path: path.to_owned(), source },
        broken => source::Error::Payload { path: path.to_owned(), source: Box::new(broken) },
    })?;
    let epoch = source::epoch(&metadata);
    let (files, left_out) = (Vec::new(), Vec::new());
    let header = Header { nvr, size: whole.size, sha256: whole.sha256, signature, files, left_out, epoch };
    Ok((header, arch))
}

/// Reads the tree's list of files, and the texts that are wanted (by path below the top).
///
/// # Errors
/// The package has no tree, is damaged, or one of the texts is not what the header says.
pub fn read(path: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Tree, Error> {
    let mut reader = reader(path)?;
    let top = top(path, &reader)?;
    let mut tree = Tree { top, files: BTreeSet::new(), texts: BTreeMap::new() };
    let entries = reader.metadata.get_file_entries().unwrap_or_default();
    for entry in &entries {
        if let Some(below) = below(&tree.top, entry)
            && entry.file_type() != FileType::Dir
        {
            tree.files.insert(below);
        }
    }
    drop(entries);
    let mut left = tree.files.iter().filter(|file| wanted(file)).count();
    while left > 0 {
        let Some(mut file) = next(path, &mut reader)? else { break };
        if let Some(name) = below(&tree.top, &file.metadata).filter(|name| wanted(name)) {
            left -= 1;
            if file.metadata.file_type() == FileType::Regular && file.has_payload() {
                let mut text = Vec::new();
                let digest = file.metadata.digest().cloned();
                let mut input = Hashing::new(&mut file, digest.as_ref().map(rpm::FileDigest::algorithm));
                input.by_ref().take(LARGEST_TEXT).read_to_end(&mut text).map_err(|error| broken(path, error))?;
                let (_, found) = input.finish().map_err(|error| broken(path, error))?;
                same(path, &name, digest.as_ref(), found)?;
                tree.texts.insert(name, text);
            }
        }
        file.finish().map_err(|error| broken(path, error))?;
    }
    Ok(tree)
}

/// Unpacks the tree into an existing directory, without rpm's database: plain files, and links that stay inside.
///
/// # Errors
/// The package is damaged, has no tree, has something else than files, directories and links, or a link that leads out
/// of the tree; or a file cannot be written.
pub fn unpack(path: &Path, dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Error> {
    let mut reader = reader(path)?;
    let top = top(path, &reader)?;
    let total: u64 = reader.metadata.get_file_entries().unwrap_or_default().iter().map(|each| each.size() as u64).sum();
    if total > LARGEST {
        return Err(broken(
            path,
            io::Error::other(format!("its files have {total} bytes, expected at most {LARGEST}")),
        ));
    }
    let hostile = |file: &str, what: &str| source::Error::Hostile {
        path: path.to_owned(),
        file: file.to_owned(),
        what: what.to_owned(),
    };
    let (mut done, mut links, mut later) = (0, Vec::new(), Vec::new());
    let mut by_digest: BTreeMap<String, PathBuf> = BTreeMap::new();
    while let Some(mut file) = next(path, &mut reader)? {
        let Some(name) = below(&top, &file.metadata) else {
            file.finish().map_err(|error| broken(path, error))?;
            continue;
        };
        if !name.split('/').all(|part| !matches!(part, "" | "." | "..")) || name.contains('\0') {
            return Err(hostile(&name, "outside the tree").into());
        }
        let target = dir.join(&name);
        let write = |source| source::Error::Write { path: target.clone(), source };
        match file.metadata.file_type() {
            FileType::Dir => fs_err::create_dir_all(&target).map_err(write)?,
            FileType::SymbolicLink => {
                let to = file.metadata.linkto().unwrap_or_default();
                let to = inside(&top, &name, to)
                    .ok_or_else(|| hostile(&name, &format!("a link out of the tree, to `{to}`")))?;
                links.push((target, to));
            }
            FileType::Regular if !file.has_payload() => {
                later.push((target, name, file.metadata.digest().map(|digest| digest.as_hex().to_owned())));
            }
            FileType::Regular => {
                fs_err::create_dir_all(target.parent().unwrap_or(dir)).map_err(write)?;
                let digest = file.metadata.digest().cloned();
                let mode = u32::from(file.metadata.permissions()) & 0o755 | 0o600;
                let mut output =
                    fs_err::OpenOptions::new().write(true).create_new(true).open(&target).map_err(write)?;
                let mut input = Hashing::new(&mut file, digest.as_ref().map(rpm::FileDigest::algorithm));
                io::copy(&mut input, &mut output).map_err(|error| broken(path, error))?;
                let (read, found) = input.finish().map_err(|error| broken(path, error))?;
                same(path, &name, digest.as_ref(), found)?;
                output.set_permissions(PermissionsExt::from_mode(mode)).map_err(write)?;
                if let Some(digest) = digest {
                    by_digest.insert(digest.as_hex().to_owned(), target.clone());
                }
                done += read;
                progress(done, total);
            }
            _ => return Err(hostile(&name, "neither a file, nor a directory, nor a link").into()),
        }
        file.finish().map_err(|error| broken(path, error))?;
    }
    // A further name of a file whose content the payload has once.
    for (target, name, digest) in later {
        let write = |source| source::Error::Write { path: target.clone(), source };
        let Some(same) = digest.and_then(|digest| by_digest.get(&digest)) else {
            return Err(hostile(&name, "a file without content").into());
        };
        fs_err::create_dir_all(target.parent().unwrap_or(dir)).map_err(write)?;
        fs_err::copy(same, &target).map_err(write)?;
    }
    // Last of all, so that nothing is ever written through one of them.
    for (target, to) in links {
        let write = |source| source::Error::Write { path: target.clone(), source };
        fs_err::create_dir_all(target.parent().unwrap_or(dir)).map_err(write)?;
        fs_err::os::unix::fs::symlink(&to, &target).map_err(write)?;
    }
    Ok(())
}

fn reader(path: &Path) -> Result<PackageReader, Error> {
    Ok(headers::reader(path)
        .map_err(|source| source::Error::Header { path: path.to_owned(), source: Box::new(source) })?)
}

fn next<'a>(path: &Path, reader: &'a mut PackageReader) -> Result<Option<rpm::StreamingRpmFile<'a>>, Error> {
    reader.next_file().map_err(|error| broken(path, error))
}

fn broken(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    source::Error::Payload { path: path.to_owned(), source: source.into() }.into()
}

fn same(path: &Path, file: &str, expected: Option<&rpm::FileDigest<'_>>, found: Option<String>) -> Result<(), Error> {
    match (expected, found) {
        (Some(expected), Some(found)) if expected.as_hex() != found => {
            let (expected, file) = (expected.as_hex().to_owned(), file.to_owned());
            Err(source::Error::Digest { path: path.to_owned(), file, expected, found }.into())
        }
        _ => Ok(()),
    }
}

/// Finds the one directory below `/usr/src/kernels` that has a `.config`.
fn top(path: &Path, reader: &PackageReader) -> Result<String, Error> {
    let entries = reader.metadata.get_file_entries().unwrap_or_default();
    let mut tops: Vec<String> = entries
        .iter()
        .filter_map(|entry| {
            let full = entry.path().to_string_lossy().into_owned();
            let tree = full.strip_prefix(TREES)?.strip_suffix("/.config")?;
            (!tree.contains('/')).then(|| format!("{TREES}{tree}/"))
        })
        .collect();
    match (tops.pop(), tops.len()) {
        (Some(top), 0) => Ok(top),
        (found, more) => Err(Error::NoTree { path: path.to_owned(), found: more + usize::from(found.is_some()) }),
    }
}

fn below(top: &str, entry: &FileEntry<'_>) -> Option<String> {
    let full = entry.path().to_string_lossy().into_owned();
    full.strip_prefix(top).filter(|below| !below.is_empty()).map(str::to_owned)
}

/// Returns a link's target as one relative to the link, if it stays in the tree whatever other links there are: `..` only
/// at its beginning, and not above the top.
fn inside(top: &str, link: &str, to: &str) -> Option<PathBuf> {
    let depth = link.split('/').count() - 1;
    let relative = match to.strip_prefix(top) {
        Some(below) => format!("{}{below}", "../".repeat(depth)),
        None if to.starts_with('/') => return None,
        None => to.to_owned(),
    };
    let (mut up, mut down) = (0, false);
    for part in Path::new(&relative).components() {
        match part {
            Component::ParentDir if !down => up += 1,
            Component::Normal(_) => down = true,
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (up <= depth && !relative.is_empty()).then(|| PathBuf::from(relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside() {
        let top = "/usr/src/kernels/1/";
        let case = |link: &str, to: &str, expected: Option<&str>| {
            assert_eq!(inside(top, link, to), expected.map(PathBuf::from), "{link} -> {to}");
        };
        // include/asm of 2.6.18, scripts/dtc/include-prefixes/arm of 4.18.
        case("include/asm", "asm-x86_64", Some("asm-x86_64"));
        case("scripts/dtc/include-prefixes/arm", "../../../arch/arm/boot/dts", Some("../../../arch/arm/boot/dts"));
        case("source", "/usr/src/kernels/1/include", Some("include"));
        case("a/b", "/usr/src/kernels/1/include", Some("../include"));
        case("build", "/etc", None);
        case("build", "/usr/src/kernels/2/x", None);
        case("x", "..", None);
        case("a/x", "../../y", None);
        case("a/x", "b/../../y", None);
        case("x", "", None);
    }
}
