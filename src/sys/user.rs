//! Accounts, as the machine knows them.

use std::io;

use nix::unistd::{Uid, User};

/// Name, user and group of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Login name.
    pub name: String,
    /// Numeric user.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
}

impl From<User> for Entry {
    fn from(user: User) -> Self {
        Self { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }
    }
}

/// Looks an account up by name.
///
/// # Errors
/// The account database could not be read.
pub fn find(name: &str) -> io::Result<Option<Entry>> {
    Ok(User::from_name(name)?.map(Into::into))
}

/// Returns the account that this process runs as; one without an entry is called by its number.
#[must_use]
pub fn me() -> Entry {
    let uid = Uid::effective();
    match User::from_uid(uid) {
        Ok(Some(user)) => user.into(),
        _ => Entry { name: uid.as_raw().to_string(), uid: uid.as_raw(), gid: nix::unistd::Gid::effective().as_raw() },
    }
}

/// Makes a directory that belongs to an account, with whatever it lies in; it is there when it is that account's, so that
/// two who make it at once do not meet one of nobody's. One that somebody else has made in the meantime is fine.
///
/// # Errors
/// It could not be made, or the owner not be changed.
pub fn make_dir(dir: &std::path::Path, uid: u32, gid: u32) -> io::Result<()> {
    let parent = dir.parent().unwrap_or(dir);
    fs_err::create_dir_all(parent)?;
    let new = tempfile::Builder::new().prefix(".kbuild-new-").tempdir_in(parent)?;
    fs_err::set_permissions(new.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    give(new.path(), uid, gid)?;
    match fs_err::rename(new.path(), dir) {
        Ok(()) => {
            // It is no longer where it would be removed.
            let _ = new.keep();
            Ok(())
        }
        Err(_) if dir.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Gives a directory that was just made to an account, without following a link in its place.
fn give(dir: &std::path::Path, uid: u32, gid: u32) -> io::Result<()> {
    use fs_err::os::unix::fs::OpenOptionsExt;
    let opened = fs_err::OpenOptions::new()
        .read(true)
        .custom_flags((nix::fcntl::OFlag::O_DIRECTORY | nix::fcntl::OFlag::O_NOFOLLOW).bits())
        .open(dir)?;
    std::os::unix::fs::fchown(opened.into_file(), Some(uid), Some(gid))
}
