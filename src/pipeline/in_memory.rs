//! Where rpmbuild's trees are in memory (`--tmpfs`): the directory there, and the link to it in the work directory, by which the
//! next run, `kbuild status` and `kbuild clean` find it.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;

use super::Error;
use crate::plan::Layout;
use crate::sys::{files, user};

/// Makes the directory in memory that the layout has, and removes the one of an earlier run if that had another one.
///
/// # Errors
/// It is somebody else's, or something cannot be made or removed.
pub(super) fn enter(layout: &Layout) -> Result<(), Error> {
    let earlier = fs_err::read_link(layout.memory_link()).ok();
    if earlier != layout.memory {
        leave(layout)?;
    }
    let Some(dir) = &layout.memory else { return Ok(()) };
    match fs_err::symlink_metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::DirBuilder::new().mode(0o700).create(dir).map_err(failed)?;
        }
        Err(error) => return Err(failed(error)),
        // Where everybody may write, somebody else may have made it.
        Ok(there) if !there.is_dir() || there.uid() != user::me().uid => {
            let why = format!("`{}` is not a directory of {}", dir.display(), user::me().name);
            return Err(failed(io::Error::other(why)));
        }
        Ok(_) => {}
    }
    if earlier != layout.memory {
        fs_err::os::unix::fs::symlink(dir, layout.memory_link()).map_err(failed)?;
    }
    Ok(())
}

/// Frees the memory that a run in this work directory has left taken.
///
/// # Errors
/// Something cannot be removed.
pub(super) fn leave(layout: &Layout) -> Result<(), Error> {
    if let Some(dir) = left(layout, user::me().uid) {
        files::remove_tree(&dir).map_err(failed)?;
    }
    match fs_err::remove_file(layout.memory_link()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}

/// Returns the directory in memory that a run of this user has left. The link to it is the building user's, and root may ask: what is not of
/// the name that it must have, and of this user, counts as none.
#[must_use]
pub fn left(layout: &Layout, uid: u32) -> Option<PathBuf> {
    let dir = fs_err::read_link(layout.memory_link()).ok()?;
    let named = dir.file_name().is_some_and(|name| name == layout.memory_name().as_str());
    let there = fs_err::symlink_metadata(&dir).ok()?;
    (named && there.is_dir() && there.uid() == uid).then_some(dir)
}

fn failed(source: io::Error) -> Error {
    Error::io("the directory in memory cannot be used", source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_directory_of_its_own_name_and_user_is_taken_or_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (work, memory) = (dir.path().join("work"), dir.path().join("memory"));
        for dir in [&work, &memory] {
            fs_err::create_dir(dir).unwrap();
        }
        let on_disk = Layout::of(&work);
        let layout = Layout { memory: Some(on_disk.memory_below(&memory)), ..on_disk.clone() };
        enter(&layout).unwrap();
        fs_err::create_dir(layout.build()).unwrap();
        enter(&layout).unwrap();
        assert!(layout.build().is_dir(), "what an interrupted run left is there");
        let me = user::me().uid;
        assert_eq!(left(&on_disk, me), layout.memory);
        assert_eq!(left(&on_disk, me + 1), None);
        enter(&on_disk).unwrap();
        assert_eq!(fs_err::read_dir(&memory).unwrap().count(), 0);
        assert_eq!(left(&on_disk, me), None);

        let strange = dir.path().join("strange");
        fs_err::create_dir(&strange).unwrap();
        fs_err::os::unix::fs::symlink(&strange, layout.memory_link()).unwrap();
        assert_eq!(left(&on_disk, me), None);
        leave(&on_disk).unwrap();
        assert!(strange.is_dir());
        fs_err::os::unix::fs::symlink(&strange, layout.memory.as_ref().unwrap()).unwrap();
        assert!(enter(&layout).is_err(), "a link in its place is followed");
    }
}
