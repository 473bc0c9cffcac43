//! What the tests share: a place of their own, kbuild in it, the toy kernel, stand-ins for programs, accounts.

pub(crate) mod built;
pub(crate) mod chromium;
pub(crate) mod chroot;
pub(crate) mod daemon;
pub(crate) mod distribution;
pub(crate) mod dnf;
pub(crate) mod fake;
pub(crate) mod kbuild;
pub(crate) mod keyring;
pub(crate) mod module;
pub(crate) mod package;
pub(crate) mod processes;
pub(crate) mod rawrpm;
pub(crate) mod sandbox;
pub(crate) mod server;
pub(crate) mod signed;
pub(crate) mod slurm;
pub(crate) mod source;
pub(crate) mod tmpfs;
pub(crate) mod toy;
pub(crate) mod user;
pub(crate) mod validators;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a build may take before it counts as stuck: it takes a few seconds.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Whether we are root. What only root can test begins with
/// `if !require_root() { return; }`: it is skipped aloud, or fails where everything must run.
#[must_use]
pub(crate) fn require_root() -> bool {
    is_root() || missing("root")
}

/// Whether a program is on PATH; like [`require_root`].
#[must_use]
pub(crate) fn require(program: &str) -> bool {
    which(program).is_some() || missing(&format!("`{program}`"))
}

/// Whether a file is there; like [`require_root`].
#[must_use]
pub(crate) fn require_file(path: &Path) -> bool {
    path.is_file() || missing(&format!("`{}`", path.display()))
}

pub(crate) fn missing(what: &str) -> bool {
    assert!(std::env::var_os("KBUILD_REQUIRE_ALL").is_none_or(|all| all != "1"), "this test needs {what}");
    // Not through `eprintln!`, which the test harness keeps to itself when a test passes.
    let _ = writeln!(std::io::stderr(), "skipped: needs {what}");
    false
}

/// Whether the tests run as root.
pub(crate) fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// Finds a program on PATH.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Waits until something has happened; fails after a minute.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < Duration::from_mins(1), "waited a minute in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
