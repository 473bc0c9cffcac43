//! Going on with a build that was interrupted, in the tree that it left.
//!
//! rpmbuild itself is never shortened: packages of `--short-circuit` cannot be installed (`rpmlib(ShortCircuited)`, rpm 4.8
//! and later). A resumed build is a whole one, `%prep` and `make mrproper` included. Only then, before the first `make` that
//! compiles, is put back what the interrupted build had compiled (see [`thaw`]), and make finds that it has less to do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::Error;
use super::compilers::tree;
use super::manner::Compiling;
use super::masquerade::{self, Mask};
use crate::command::Command;
use crate::event::Reporter;
use crate::plan::Layout;
use crate::plan::fingerprint::Fingerprint;
use crate::plan::layout::text;
use crate::sys::clock;
use crate::sys::files;
use crate::sys::stamp::Stamp;

/// What stands before make on `PATH`.
const SCRIPT: &str = include_str!("../../templates/mask-make");
/// What was written this shortly before the last file may be half a file.
const LAST_MOMENT: Duration = Duration::from_secs(2);
/// The mark of a tree that was put back, in place of the tree.
const THAWED: &str = ".thawed";

/// What kind of build left the trees that were put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of the same that was interrupted.
    Interrupted,
    /// One of almost the same that was finished.
    Finished,
    /// Such a one on another machine, if it has shared its trees.
    Shared,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Interrupted, Self::Finished, Self::Shared];

    /// As a word of a command line.
    fn word(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::Finished => "finished",
            Self::Shared => "shared",
        }
    }

    /// Returns the kind of that word.
    #[must_use]
    pub fn of(word: &std::ffi::OsStr) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| word == kind.word())
    }
}

/// What is being built in the work directory.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Begun {
    fingerprint: Fingerprint,
}

/// Notes what is being built, before it is.
pub(super) fn begin(layout: &Layout, fingerprint: &Fingerprint) -> Result<(), Error> {
    let begun = serde_json::to_vec(&Begun { fingerprint: fingerprint.clone() });
    let begun = begun.map_err(|error| failed(error.into()))?;
    files::replace_text(&layout.begun(), &begun).map_err(failed)
}

/// Removes what only a resumed build needs.
pub(super) fn end(layout: &Layout) -> Result<(), Error> {
    for path in [layout.begun(), layout.kept()] {
        if fs_err::symlink_metadata(&path).is_ok() {
            files::remove(&path).map_err(failed)?;
        }
    }
    Ok(())
}

/// Puts aside the tree of an interrupted build of the same, if there is one; says so, or why not.
pub(super) fn keep(layout: &Layout, now: &Fingerprint, reporter: &dyn Reporter) -> Result<bool, Error> {
    let begun = fs_err::read(layout.begun()).ok().and_then(|text| serde_json::from_slice::<Begun>(&text).ok());
    let Some(begun) = begun else {
        reporter.note("there is no interrupted build to go on with: it begins anew".into());
        return Ok(false);
    };
    let differences = begun.fingerprint.differences(now);
    if !differences.is_empty() {
        let why = differences.join(", ");
        reporter.note(format!("the interrupted build was another one ({why}): it begins anew"));
        return Ok(false);
    }
    let (build, kept) = (layout.build(), layout.kept());
    // One that was put aside and not put back yet is further than what came after it.
    let waits = |dir: &Path| {
        let mut entries = fs_err::read_dir(dir).into_iter().flatten().flatten();
        entries.any(|entry| entry.file_name() != THAWED)
    };
    if !waits(&kept) {
        if !waits(&build) {
            reporter.note("the interrupted build left no tree to go on with: it begins anew".into());
            return Ok(false);
        }
        files::remove_tree(&kept).map_err(failed)?;
        fs_err::rename(&build, &kept).map_err(failed)?;
    }
    reporter
        .note("what the interrupted build had compiled is put back after %prep, where its source is the same".into());
    Ok(true)
}

/// Returns what stands before make, if trees were put aside for this build, those of an interrupted one of the same or else those
/// of a finished one that is almost the same, or if it keeps its own for the next one.
pub(super) fn mask(layout: &Layout, command: &Command, compiling: &Compiling) -> Option<Mask> {
    let trees = [(Kind::Interrupted, layout.kept()), (Kind::Finished, layout.finished())];
    let found = trees.into_iter().find(|(_, dir)| dir.is_dir());
    let (kind, kept) = match &found {
        Some((kind, kept)) => (kind.word(), text(kept)),
        None if compiling.remote.is_some() => (Kind::Shared.word(), text(&layout.finished())),
        None if compiling.trees => ("none", String::new()),
        None => return None,
    };
    let make = masquerade::unmasked(command, "make")?;
    // By this process, since the program may lie where the building user cannot enter.
    let kbuild = format!("/proc/{}/exe", std::process::id());
    let (make, build) = (text(&make), text(&layout.build()));
    let values = [("make", make.as_str()), ("kind", kind), ("kbuild", &kbuild), ("kept", &kept), ("build", &build)];
    Some(Mask::new("make", SCRIPT, &values))
}

/// Whether a build goes on with what another one compiled.
pub(super) fn is_taking(layout: &Layout) -> bool {
    [layout.kept(), layout.finished()].iter().any(|dir| dir.is_dir())
}

/// Puts back what was compiled in a tree: `kept` and `build` are the directories of all trees, then and now, and `tree` is
/// one of the latter.
///
/// Only if both have the same configuration. A file that both have with the same content gets its old time back, so that
/// make sees it as older than what was made from it; one that is another now keeps its new time, and what depends on it is
/// made again. What only the old tree has is moved into the new one, but for what was written in the last moment, which may
/// be half a file. Returns how many files were put back; nothing if there was no reason to.
///
/// # Errors
/// Something could not be read or moved.
pub fn thaw(kept: &Path, build: &Path, tree: &Path) -> std::io::Result<Option<u64>> {
    let Ok(below) = tree.strip_prefix(build) else { return Ok(None) };
    let old = kept.join(below);
    let config = |tree: &Path| fs_err::read(tree.join(".config")).ok();
    if config(&old).is_none() || config(&old) != config(tree) {
        return Ok(None);
    }
    tree::carry(&old, tree)?;
    let mut old_files = Vec::new();
    for entry in WalkDir::new(&old) {
        let entry = entry?;
        if !entry.file_type().is_dir() {
            old_files.push((Stamp::of(entry.path())?, entry.into_path()));
        }
    }
    let last = old_files.iter().map(|(stamp, _)| *stamp).max();
    // Whatever is made now must be newer than all of it: clocks are set back.
    if last.is_some_and(|last| last.nanoseconds() >= clock::nanoseconds()) {
        return Ok(None);
    }
    let mut count = 0;
    for (stamp, path) in old_files {
        let place: PathBuf = tree.join(path.strip_prefix(&old).unwrap_or(&path));
        match fs_err::symlink_metadata(&place) {
            Ok(details) if details.is_file() && path.is_file() && fs_err::read(&place)? == fs_err::read(&path)? => {
                stamp.set(&place)?;
            }
            Err(_) if last.is_some_and(|last| stamp.is_before(last, LAST_MOMENT)) => {
                if let Some(dir) = place.parent() {
                    fs_err::create_dir_all(dir)?;
                }
                fs_err::rename(&path, &place)?;
                count += 1;
            }
            _ => {}
        }
    }
    files::remove_tree(&old)?;
    fs_err::write(kept.join(THAWED), "")?;
    Ok(Some(count))
}

fn failed(source: std::io::Error) -> Error {
    Error::io("the interrupted build cannot be put aside", source)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree with files, each with its age in seconds.
    fn lay(dir: &Path, files: &[(&str, &str, u64)]) {
        for (name, text, age) in files {
            let path = dir.join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(&path, text).unwrap();
            Stamp::at(1_000_000 - age).set(&path).unwrap();
        }
    }

    #[test]
    fn what_was_compiled_is_put_back_where_its_source_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, build) = (dir.path().join("kept"), dir.path().join("BUILD"));
        let old = [("a.c", "a", 100), ("b.c", "b", 100), (".config", "X=y", 90), ("a.o", "A", 80), ("d/b.o", "B", 70)];
        lay(&kept.join("k/linux"), &old);
        lay(&kept.join("k/linux"), &[("last.o", "hal", 50), ("x.o", "x", 51)]);
        let tree = build.join("k/linux");
        lay(&tree, &[("a.c", "a", 10), ("b.c", "b2", 10), (".config", "X=y", 5)]);
        assert_eq!(thaw(&kept, &build, &tree).unwrap(), Some(2));
        let ages = [("a.c", 100), ("b.c", 10), (".config", 90), ("a.o", 80), ("d/b.o", 70)];
        for (name, age) in ages {
            assert_eq!(Stamp::of(&tree.join(name)).unwrap(), Stamp::at(1_000_000 - age), "{name}");
        }
        assert!(!tree.join("last.o").is_file() && !tree.join("x.o").is_file());
        // Once is enough.
        assert_eq!(thaw(&kept, &build, &tree).unwrap(), None);
    }

    #[test]
    fn another_configuration_or_another_place_gets_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, build) = (dir.path().join("kept"), dir.path().join("BUILD"));
        lay(&kept.join("linux"), &[(".config", "X=y", 90), ("a.o", "A", 80), ("b.o", "B", 10)]);
        let tree = build.join("linux");
        lay(&tree, &[(".config", "X=m", 5)]);
        assert_eq!(thaw(&kept, &build, &tree).unwrap(), None);
        assert!(kept.join("linux/a.o").is_file() && !tree.join("a.o").is_file());
        assert_eq!(thaw(&kept, &build, dir.path()).unwrap(), None);
    }
}
