//! A small file system of its own, where one can be mounted.

use std::path::{Path, PathBuf};
use std::process::Command;

/// It is there as long as this is held.
#[derive(Debug)]
pub(crate) struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mounts it; `size` may be followed by more options, as in `1m,noexec`. `None` where that is not allowed.
    pub(crate) fn mount(at: PathBuf, size: &str) -> Option<Self> {
        fs_err::create_dir_all(&at).unwrap();
        let options = format!("mode=777,size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&at).output().ok()?;
        mounted.status.success().then_some(Self(at))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
