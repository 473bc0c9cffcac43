//! Files: atomic replacement, links or copies, digests, trees.

use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use sha2::{Digest, Sha256};

use crate::digest::hex;

/// How the names of files begin that are being written.
const UNFINISHED: &str = ".kbuild-new-";

/// A reader that counts and hashes what passes through it.
#[derive(Debug)]
pub struct Hashed<R> {
    inner: R,
    hasher: Sha256,
    size: u64,
}

impl<R: Read> Hashed<R> {
    /// Wraps a reader.
    #[must_use]
    pub fn new(inner: R) -> Self {
        Self { inner, hasher: Sha256::new(), size: 0 }
    }

    /// Returns size and SHA-256 of what has passed so far.
    #[must_use]
    pub fn finish(self) -> (u64, String) {
        (self.size, hex(&self.hasher.finalize()))
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        self.size += count as u64;
        Ok(count)
    }
}

/// Reads a plain file of at most so many bytes that somebody else may have put there: no link is followed, and nothing is
/// waited for.
///
/// # Errors
/// It is not there, is no plain file, is larger, or cannot be read.
pub fn read_plain(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    use fs_err::os::unix::fs::OpenOptionsExt;
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    let file = fs_err::OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    let details = file.metadata()?;
    if !details.is_file() || details.len() > largest {
        return Err(io::Error::other(format!("`{}` is no plain file of a reasonable size", path.display())));
    }
    let mut text = Vec::new();
    file.take(largest).read_to_end(&mut text)?;
    Ok(text)
}

/// Returns how many bytes of the file system everything below a directory takes, and how many files that is. What cannot be
/// looked at, or is gone by then, does not count.
#[must_use]
pub fn usage(dir: &Path) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    let entries = walkdir::WalkDir::new(dir).into_iter().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).fold((0, 0), |(bytes, count), details| {
        // A file with several names counts once, in parts.
        let links = details.nlink().max(1);
        let parts = if details.is_dir() { 1 } else { links };
        (bytes + details.blocks() * 512 / parts, count + 1)
    })
}

/// Replaces a file by a temporary one beside it, so that a reader sees the old content or the new, never half.
///
/// Returns size and SHA-256 of what was written.
///
/// # Errors
/// Reading or writing failed; the old file is untouched.
pub fn replace(path: &Path, input: &mut dyn Read, mode: u32) -> io::Result<(u64, String)> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot write `{}`: {error}", path.display()));
    let prefix = format!("{UNFINISHED}{}-", path.file_name().unwrap_or_default().display());
    let mut temporary = tempfile::Builder::new().prefix(&prefix).tempfile_in(dir).map_err(named)?;
    let mut input = Hashed::new(input);
    io::copy(&mut input, &mut temporary)?;
    temporary.flush().map_err(named)?;
    temporary.as_file().set_permissions(PermissionsExt::from_mode(mode)).map_err(named)?;
    temporary.persist(path).map_err(|error| named(error.error))?;
    Ok(input.finish())
}

/// Removes the temporary files that [`replace`] left in a directory when it was killed: those of one name, or of all.
/// Nobody else may be writing them.
///
/// # Errors
/// One could not be removed.
pub fn sweep(dir: &Path, name: Option<&str>) -> io::Result<()> {
    let begins = name.map_or_else(|| UNFINISHED.to_owned(), |name| format!("{UNFINISHED}{name}-"));
    let Ok(entries) = fs_err::read_dir(dir) else { return Ok(()) };
    for entry in entries.flatten() {
        let unfinished = entry.file_name().as_encoded_bytes().starts_with(begins.as_bytes());
        if unfinished && entry.file_type()?.is_file() {
            fs_err::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Returns the small text files below a directory with their content, in order of path; what cannot be read is left out.
pub fn texts(dir: &Path, largest: u64) -> impl Iterator<Item = (PathBuf, String)> + use<> {
    let entries = walkdir::WalkDir::new(dir).max_depth(3).follow_links(true).sort_by_file_name().into_iter().flatten();
    entries.filter_map(move |entry| {
        let small = entry.metadata().is_ok_and(|details| details.is_file() && details.len() <= largest);
        let text = small.then(|| fs_err::read_to_string(entry.path()).ok()).flatten()?;
        Some((entry.into_path(), text))
    })
}

/// Returns the plain files below a directory whose names are wanted; what cannot be read is left out.
pub fn named(dir: &Path, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(dir).into_iter().flatten();
    let files = entries.filter(|entry| entry.file_type().is_file() && entry.file_name().to_str().is_some_and(wanted));
    files.map(walkdir::DirEntry::into_path).collect()
}

/// Replaces a small file by a text.
///
/// # Errors
/// As [`replace`].
pub fn replace_text(path: &Path, text: &[u8]) -> io::Result<()> {
    replace(path, &mut &*text, 0o644).map(drop)
}

/// Returns size and SHA-256 of a file.
///
/// # Errors
/// It could not be read.
pub fn sha256(path: &Path) -> io::Result<(u64, String)> {
    let mut file = Hashed::new(fs_err::File::open(path)?);
    io::copy(&mut file, &mut io::sink())?;
    Ok(file.finish())
}

/// Whether a path leads to something below the directory that it is joined to, and to nothing else.
#[must_use]
pub fn stays_below(path: &Path) -> bool {
    !path.as_os_str().is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Links a file to a second name, or copies it where links cannot be had.
///
/// # Errors
/// Neither worked.
pub fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs_err::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(_) => fs_err::copy(from, to).map(drop),
    }
}

/// Returns when everything below a path is on the disk, and not only on its way there (fsync(2)).
///
/// # Errors
/// Something cannot be opened or written.
pub fn settle(path: &Path) -> io::Result<()> {
    for entry in walkdir::WalkDir::new(path).contents_first(true) {
        let entry = entry?;
        if !entry.file_type().is_symlink() {
            fs_err::File::open(entry.path())?.sync_all()?;
        }
    }
    Ok(())
}

/// Removes a directory with all that is in it; one that is not there is fine.
///
/// Directories without write permission, as read-only source trees have them, are made writable first.
///
/// # Errors
/// Something could not be removed.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match fs_err::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => {
            for entry in walkdir::WalkDir::new(path).into_iter().flatten().filter(|entry| entry.file_type().is_dir()) {
                fs_err::set_permissions(entry.path(), PermissionsExt::from_mode(0o700))?;
            }
            fs_err::remove_dir_all(path)
        }
    }
}

/// The same by as many threads as there are processors: a kernel's tree has a hundred thousand files.
///
/// # Errors
/// Something could not be removed.
pub fn remove_at_once(path: &Path) -> io::Result<()> {
    let dirs = walkdir::WalkDir::new(path).min_depth(DEEP).max_depth(DEEP).into_iter().flatten();
    let dirs = dirs.filter(|entry| entry.file_type().is_dir()).map(walkdir::DirEntry::into_path);
    let waiting = std::sync::Mutex::new(dirs.collect::<Vec<_>>());
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.pop());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(dir) = next() {
                    // What could not be removed is met again, and told, below.
                    let _ = remove_tree(&dir);
                }
            });
        }
    });
    remove_tree(path)
}

/// How deep the directories are that are removed at the same time: `BUILD/kernel-2.6.32/linux-2.6.32/drivers/net` and its like.
const DEEP: usize = 4;

/// Has the system read all files below a directory, so that they are in memory when somebody needs them; returns at once.
pub fn read_ahead(dir: PathBuf) {
    std::thread::spawn(move || {
        let entries = walkdir::WalkDir::new(dir).into_iter().flatten().filter(|entry| entry.file_type().is_file());
        for file in entries.filter_map(|entry| fs_err::File::open(entry.path()).ok()) {
            // Whoever needs it reads it himself where this is not done.
            let _ = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_WILLNEED);
        }
    });
}

/// Removes a file, a link, or a directory with all that is in it.
///
/// # Errors
/// Something could not be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    if fs_err::symlink_metadata(path)?.is_dir() { remove_tree(path) } else { fs_err::remove_file(path) }
}

/// Returns how many bytes a file or a directory with all that is in it takes on the disk; a file with several names counts
/// once.
#[must_use]
pub fn size_of_tree(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut seen = std::collections::HashSet::new();
    let entries = walkdir::WalkDir::new(path).into_iter().flatten().filter_map(|entry| entry.metadata().ok());
    let new = entries.filter(|details| details.nlink() < 2 || seen.insert((details.dev(), details.ino())));
    new.map(|details| details.blocks() * 512).sum()
}

/// Moves all that is in a directory into another one: by renaming, or, to another file system, by copying.
///
/// # Errors
/// Something could not be moved; what was moved stays where it is then.
pub fn move_content(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match fs_err::rename(entry.path(), &target) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy_tree(&entry.path(), &target)?,
            Err(error) => return Err(error),
        }
    }
    remove_tree(from)
}

/// Copies a file, a link, or a directory with all that is in it.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        let target = match entry.path().strip_prefix(from) {
            Ok(inside) if !inside.as_os_str().is_empty() => to.join(inside),
            _ => to.to_owned(),
        };
        if entry.file_type().is_dir() {
            fs_err::create_dir(&target)?;
        } else if entry.file_type().is_symlink() {
            fs_err::os::unix::fs::symlink(fs_err::read_link(entry.path())?, &target)?;
        } else {
            fs_err::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Returns the paths of all files below a directory, relative to it; links are followed as far as they lead somewhere.
#[must_use]
pub fn below(dir: &Path, deepest: usize) -> Vec<String> {
    walkdir::WalkDir::new(dir)
        .follow_links(true)
        .max_depth(deepest)
        .into_iter()
        .flatten()
        .filter(|entry| !entry.file_type().is_dir())
        .filter_map(|entry| Some(entry.path().strip_prefix(dir).ok()?.to_str()?.to_owned()))
        .collect()
}

/// Returns all files below a directory that have this ending, sorted.
#[must_use]
pub fn with_ending(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = walkdir::WalkDir::new(dir)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file() && entry.file_name().to_string_lossy().ends_with(ending))
        .map(walkdir::DirEntry::into_path)
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_replacement_leaves_the_old_file_and_no_litter() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest.json");
        replace_text(&path, b"old").unwrap();
        assert!(replace(&path, &mut Broken, 0o644).is_err());
        assert_eq!(fs_err::read(&path).unwrap(), b"old");
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
        let (size, sha256_of_new) = replace(&path, &mut &b"new!"[..], 0o600).unwrap();
        assert_eq!((size, sha256_of_new), (4, hex(&Sha256::digest("new!"))));
    }

    #[test]
    fn a_read_only_tree_can_be_removed() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs_err::create_dir_all(tree.join("a/b")).unwrap();
        fs_err::write(tree.join("a/b/c"), "x").unwrap();
        fs_err::set_permissions(tree.join("a/b"), PermissionsExt::from_mode(0o500)).unwrap();
        remove_tree(&tree).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.try_exists().unwrap());
        for dir in ["a/b/c/d/e", "a/b/c/f", "g", "a/b/c/read-only/h"] {
            fs_err::create_dir_all(tree.join(dir)).unwrap();
            fs_err::write(tree.join(dir).join("file"), "x").unwrap();
        }
        fs_err::set_permissions(tree.join("a/b/c/read-only"), PermissionsExt::from_mode(0o500)).unwrap();
        fs_err::os::unix::fs::symlink(dir.path(), tree.join("a/b/c/link")).unwrap();
        remove_at_once(&tree).unwrap();
        remove_at_once(&tree).unwrap();
        assert!(!tree.try_exists().unwrap() && dir.path().is_dir());
    }
}
