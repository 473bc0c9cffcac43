//! Accounts, as the machine knows them.
//!
//! A statically linked kbuild knows those in /etc/passwd only: to look elsewhere, it would have to load libraries of the system's,
//! which were made for another C library.

use std::io;

use nix::unistd::{Uid, User};

/// The list of accounts, the only one that a static program looks into.
const PASSWD: &str = "/etc/passwd";

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
    if cfg!(target_feature = "crt-static") {
        return listed(|entry| entry.name == name);
    }
    Ok(User::from_name(name)?.map(Into::into))
}

/// Returns the first account of the list that is wanted.
fn listed(wanted: impl Fn(&Entry) -> bool) -> io::Result<Option<Entry>> {
    match fs_err::read(PASSWD) {
        Ok(text) => Ok(entries(&String::from_utf8_lossy(&text)).find(wanted)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a list of accounts (passwd(5)): name, password, user, group, and what is of no interest here.
fn entries(text: &str) -> impl Iterator<Item = Entry> + '_ {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        Some(Entry { name: name.to_owned(), uid: uid.parse().ok()?, gid: gid.parse().ok()? })
    })
}

/// Returns the account that this process runs as; one without an entry is called by its number.
#[must_use]
pub fn me() -> Entry {
    let uid = Uid::effective();
    let found = if cfg!(target_feature = "crt-static") {
        listed(|entry| entry.uid == uid.as_raw()).ok().flatten()
    } else {
        User::from_uid(uid).ok().flatten().map(Entry::from)
    };
    match found {
        Some(entry) => entry,
        None => {
            Entry { name: uid.as_raw().to_string(), uid: uid.as_raw(), gid: nix::unistd::Gid::effective().as_raw() }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_from_the_list_and_what_is_no_account_is_passed_over() {
        let text = "root:x:0:0:root:/root:/bin/bash\n+nis\n\n# a comment\nbad:x:many:1::/:\n\
                    mockbuild:x:998:997:kernel builds:/nonexistent:/sbin/nologin\nshort:x:5:6\n";
        let found: Vec<Entry> = entries(text).collect();
        let entry = |name: &str, uid, gid| Entry { name: name.to_owned(), uid, gid };
        assert_eq!(found, [entry("root", 0, 0), entry("mockbuild", 998, 997), entry("short", 5, 6)]);
    }

    #[test]
    fn the_list_has_root() {
        let root = listed(|entry| entry.uid == 0).unwrap().unwrap();
        assert_eq!((root.name.as_str(), find("root").unwrap()), ("root", Some(root.clone())));
    }
}
