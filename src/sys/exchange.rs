//! Two paths of one file system that change places in one step.

use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Lets two files or directories change places, so that at no time one of them is missing (renameat2(2) with
/// `RENAME_EXCHANGE`). Returns whether that could be had: old kernels and some file systems (NFS, FUSE) have no such call.
///
/// # Errors
/// One of them is not there, or they must not be renamed.
pub fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(io::Error::new(
            io::Error::from(error).kind(),
            format!("`{}` and `{}` cannot change places: {error}", one.display(), other.display()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_change_places_and_one_that_is_missing_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        for path in [&one, &other] {
            fs_err::create_dir(path).unwrap();
        }
        fs_err::write(one.join("x"), "").unwrap();
        assert!(exchange(&one, &other).unwrap());
        assert!(other.join("x").is_file() && !one.join("x").is_file());
        assert!(exchange(&one, &dir.path().join("missing")).is_err());
    }
}
