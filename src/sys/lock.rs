//! One kbuild per work directory: an advisory lock that ends with the process that holds it.

use std::fs::TryLockError;
use std::path::{Path, PathBuf};

use fs_err::OpenOptions;

/// A held lock. Dropping it releases it.
#[derive(Debug)]
pub struct Lock {
    #[expect(dead_code, reason = "held for its lock, which ends when the file is closed")]
    file: std::fs::File,
}

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds it.
    #[error("another kbuild works in `{}`", dir.display())]
    Busy {
        /// The work directory.
        dir: PathBuf,
    },
    /// The lock file could not be opened or locked.
    #[error("cannot lock `{}`", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Takes a lock, waiting for whoever has it; `waiting` is told so once.
///
/// # Errors
/// The lock file cannot be made.
pub fn wait(file: &Path, waiting: &mut dyn FnMut()) -> Result<Lock, Error> {
    let io = |source| Error::Io { path: file.to_owned(), source };
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(file).map_err(io)?.into_file();
    match opened.try_lock() {
        Ok(()) => return Ok(Lock { file: opened }),
        Err(TryLockError::WouldBlock) => waiting(),
        Err(TryLockError::Error(source)) => return Err(io(source)),
    }
    opened.lock().map_err(io)?;
    Ok(Lock { file: opened })
}

/// Takes the lock of a directory, with no file in it; waits for whoever has it if `wait` says so.
///
/// # Errors
/// Another process holds it, or the directory cannot be opened.
pub fn directory(dir: &Path, wait: bool) -> Result<Lock, Error> {
    let io = |source| Error::Io { path: dir.to_owned(), source };
    let opened = fs_err::File::open(dir).map_err(io)?.into_file();
    match opened.try_lock() {
        Ok(()) => Ok(Lock { file: opened }),
        Err(TryLockError::WouldBlock) if wait => opened.lock().map(|()| Lock { file: opened }).map_err(io),
        Err(TryLockError::WouldBlock) => Err(Error::Busy { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Whether somebody holds the lock of a file, by `/proc/locks` (proc(5)): asked in this way nobody is kept out.
#[must_use]
pub fn held(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let Ok(details) = fs_err::metadata(file) else { return false };
    // `1: FLOCK  ADVISORY  WRITE 4242 fd:01:131090 0 EOF`, with device numbers in hexadecimal.
    let (major, minor) = (nix::sys::stat::major(details.dev()), nix::sys::stat::minor(details.dev()));
    let this = format!("{major:02x}:{minor:02x}:{}", details.ino());
    let locks = fs_err::read_to_string("/proc/locks").unwrap_or_default();
    locks.lines().any(|line| line.contains(" FLOCK ") && line.split_ascii_whitespace().any(|word| word == this))
}

/// Takes the lock of a work directory without waiting.
///
/// # Errors
/// Another process holds it, or the lock file cannot be made.
pub fn take(dir: &Path, file: &Path) -> Result<Lock, Error> {
    let io = |source| Error::Io { path: file.to_owned(), source };
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(file).map_err(io)?.into_file();
    match opened.try_lock() {
        Ok(()) => Ok(Lock { file: opened }),
        Err(TryLockError::WouldBlock) => Err(Error::Busy { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}
