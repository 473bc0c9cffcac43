//! The validators of others, which judge what kbuild writes for other programs (`tests/validate.py`), and the examples.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{missing, repository};

/// Whether the validators are there, as `scripts/test` installs them; like [`super::require`].
#[must_use]
pub(crate) fn require_validators() -> bool {
    python().is_file() || missing("the validators of tests/validators.txt (scripts/test installs them)")
}

fn python() -> PathBuf {
    program("python")
}

/// A program that came with them.
pub(crate) fn program(name: &str) -> PathBuf {
    let beside = || Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("validators");
    std::env::var_os("KBUILD_VALIDATORS").map_or_else(beside, PathBuf::from).join("bin").join(name)
}

/// A validator that is a program of its own.
#[track_caller]
pub(crate) fn tool(name: &str) -> Command {
    let path = program(name);
    assert!(path.is_file(), "`{}` is not there: scripts/test installs it", path.display());
    let mut command = Command::new(path);
    command.env_remove("GITHUB_ACTIONS").stdin(std::process::Stdio::null());
    command
}

/// Reads all documents of a YAML text.
#[track_caller]
pub(crate) fn yaml(text: &str) -> Vec<serde_json::Value> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("document.yaml");
    fs_err::write(&file, text).unwrap();
    let script =
        "import json, sys, yaml\njson.dump(list(yaml.safe_load_all(open(sys.argv[1], encoding='utf-8'))), sys.stdout)";
    let read = Command::new(python()).args(["-c", script]).arg(&file).output().unwrap();
    assert!(read.status.success(), "{}\n{text}", String::from_utf8_lossy(&read.stderr));
    serde_json::from_slice(&read.stdout).unwrap()
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
