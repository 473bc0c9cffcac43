//! What the machine has left while a build runs.

use std::path::Path;

use nix::sys::statvfs::statvfs;

/// Returns how many bytes an ordinary user can still write to the file system of a directory.
#[must_use]
pub fn room(dir: &Path) -> Option<u64> {
    let system = statvfs(dir).ok()?;
    Some(system.blocks_available().saturating_mul(system.fragment_size()))
}
