//! An account for one test, removed with it. Only root can make one.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::unistd::User;

/// Part of the name of every account of these tests.
const PREFIX: &str = "kbuild-it-";

/// The name of an account that exists or not, and that is removed at the end if it then exists.
#[derive(Debug)]
pub(crate) struct TestUser {
    pub(crate) name: String,
}

impl TestUser {
    /// Returns a name that nobody has. The account is not made.
    pub(crate) fn named() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{PREFIX}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        assert!(User::from_name(&name).unwrap().is_none(), "`{name}` exists");
        Self { name }
    }

    /// Makes the account.
    pub(crate) fn create(&self) {
        sweep();
        let made = Command::new("/usr/sbin/useradd")
            .args(["-r", "-U", "-M", "-d", "/nonexistent", "-s", "/usr/sbin/nologin", &self.name])
            .output()
            .unwrap();
        assert!(made.status.success(), "useradd: {}", String::from_utf8_lossy(&made.stderr));
    }

    /// Whether the account exists.
    pub(crate) fn exists(&self) -> bool {
        User::from_name(&self.name).unwrap().is_some()
    }

    /// Returns uid and gid of the account, which must exist.
    #[track_caller]
    pub(crate) fn ids(&self) -> (u32, u32) {
        let user = User::from_name(&self.name).unwrap().unwrap_or_else(|| panic!("`{}` does not exist", self.name));
        (user.uid.as_raw(), user.gid.as_raw())
    }
}

impl Drop for TestUser {
    fn drop(&mut self) {
        if matches!(User::from_name(&self.name), Ok(Some(_))) {
            remove(&self.name);
        }
    }
}

fn remove(name: &str) {
    let removed = Command::new("/usr/sbin/userdel").arg(name).output();
    if let Ok(output) = removed
        && !output.status.success()
    {
        eprintln!("userdel {name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Removes the accounts of test processes that were killed.
fn sweep() {
    for line in fs_err::read_to_string("/etc/passwd").unwrap().lines() {
        let Some(name) = line.split(':').next().filter(|name| name.starts_with(PREFIX)) else { continue };
        let Ok(pid) = name[PREFIX.len()..].split('-').next().unwrap_or_default().parse::<u32>() else { continue };
        if !std::path::Path::new("/proc").join(pid.to_string()).is_dir() {
            remove(name);
        }
    }
}
