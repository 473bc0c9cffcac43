//! The validators of others, which judge what kbuild writes for other programs (`tests/validate.py`), and the examples.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{missing, repository};

/// Whether the validators are there, as `scripts/test` installs them; like [`super::require`].
#[must_use]
pub(crate) fn require_validators() -> bool {
    python().is_file() || missing("the validators of tests/validators.txt (scripts/test installs them)")
}

/// A program that came with them.
pub(crate) fn program(name: &str) -> PathBuf {
    python().with_file_name(name)
}

fn python() -> PathBuf {
    let beside = || Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("validators");
    std::env::var_os("KBUILD_VALIDATORS").map_or_else(beside, PathBuf::from).join("bin/python")
}

/// Judges a document, of the kind `sbom`, `provenance` or `trace`: nothing if it is valid, else why it is not.
#[track_caller]
pub(crate) fn judge(kind: &str, document: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("document.json");
    fs_err::write(&file, document).unwrap();
    let judged = Command::new(python()).arg(repository().join("tests/validate.py")).arg(kind).arg(file).output();
    let judged = judged.unwrap();
    let said = String::from_utf8_lossy(&judged.stderr).into_owned();
    match judged.status.code() {
        Some(0) => None,
        Some(1) if !said.contains("Traceback") && !said.contains("ModuleNotFoundError") => Some(said),
        code => panic!("the validator itself failed with {code:?}: {said}"),
    }
}
