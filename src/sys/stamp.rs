//! When files were written and changed, and whether one is still the same.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Returns when a file was changed or replaced last, in nanoseconds since 1970; of a link, the file that it leads to. Nobody can set that.
///
/// # Errors
/// It is not there.
pub fn changed(path: &Path) -> io::Result<i128> {
    fs_err::metadata(path).map(|details| changed_of(&details))
}

/// When a file was changed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(std::time::SystemTime);

impl Stamp {
    /// Returns a file's; of a link its own.
    ///
    /// # Errors
    /// It is not there.
    pub fn of(path: &Path) -> io::Result<Self> {
        fs_err::symlink_metadata(path)?.modified().map(Self)
    }

    /// Makes it a file's.
    ///
    /// # Errors
    /// The file cannot be written to.
    pub fn set(self, path: &Path) -> io::Result<()> {
        fs_err::File::options().write(true).open(path)?.into_file().set_modified(self.0)
    }

    /// Whether it lies before another one, and by more than this.
    #[must_use]
    pub fn is_before(self, other: Self, by: std::time::Duration) -> bool {
        self.0 + by < other.0
    }

    /// Returns how many nanoseconds after the beginning of 1970 it is; 0 for what was before.
    #[must_use]
    pub fn nanoseconds(self) -> u128 {
        self.0.duration_since(std::time::SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos())
    }

    /// So many nanoseconds after the beginning of 1970.
    #[must_use]
    pub fn after(nanoseconds: u128) -> Self {
        let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
        let since = std::time::Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(rest).unwrap_or(0));
        Self(std::time::SystemTime::UNIX_EPOCH + since)
    }

    /// So many seconds after the beginning of 1970.
    #[must_use]
    pub fn at(seconds: u64) -> Self {
        Self(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
    }
}

/// What a file has in common with itself as long as nobody writes to it, replaces it or sets its time: when that was done last
/// (`st_ctime`) is nobody's to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// When it was written last, which can be set.
    pub written: Stamp,
    /// When it was changed last, in nanoseconds since 1970.
    pub changed: i128,
    /// Its size in bytes.
    pub size: u64,
    /// Its number in the file system.
    pub inode: u64,
}

impl State {
    /// Returns a file's; of a link its own.
    ///
    /// # Errors
    /// It is not there.
    pub fn of(path: &Path) -> io::Result<Self> {
        Self::from(&fs_err::symlink_metadata(path)?)
    }

    /// Returns what the details of a file say.
    ///
    /// # Errors
    /// The system keeps no times.
    pub fn from(details: &Metadata) -> io::Result<Self> {
        let (written, changed) = (Stamp(details.modified()?), changed_of(details));
        Ok(Self { written, changed, size: details.len(), inode: details.ino() })
    }
}

fn changed_of(details: &Metadata) -> i128 {
    i128::from(details.ctime()) * 1_000_000_000 + i128::from(details.ctime_nsec())
}
