//! Going on in the finished tree of an earlier kernel that differs in nothing but what varies: another table, another buildid.
//!
//! As with [`resume`](super::resume), rpmbuild is a whole one; only before the first `make` that compiles, what was compiled
//! for the other kernel is put back, and the kernel's own make, fixdep and kconfig find what has to be made again. That they
//! find all of it is not left to them alone: what the program before gcc saw compiled with an option that varies is never
//! put back. Which trees will do is decided by `compiler::finished`. Where builds share a storage, the tree may be one of another
//! machine ([`pack`]).

pub mod pack;
pub(super) mod trees;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use pack::Packed;

use super::compilers::digests::{self, Files, Seen};
use super::compilers::tree;
use super::ledger::Built;
use super::{Context, Error};
use crate::command::Command;
use crate::compiler::{KEPT, Settings, finished};
use crate::event::Reporter;
use crate::plan::Layout;
use crate::plan::fingerprint::Fingerprint;
use crate::plan::layout::text;
use crate::sys::files;
use crate::sys::stamp::Stamp;
use crate::sys::{exec, threads};

/// What is known of the trees that were put aside.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Aside {
    finished: String,
    fingerprint: Fingerprint,
}

/// Puts the trees of the last build aside if what is built now differs from it in nothing that the whole tree depends on;
/// removes those that were put aside before and will not do either.
pub(super) fn keep(
    layout: &Layout,
    built: Option<&Built>,
    now: &Fingerprint,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    trees::make_room(layout)?;
    let (trees, aside) = (layout.build(), layout.finished());
    if let Some(built) = built.filter(|built| built.fingerprint.is_variant(now) && !is_empty(&trees)) {
        end(layout)?;
        let note = Aside { finished: built.finished.clone(), fingerprint: built.fingerprint.clone() };
        let note = serde_json::to_vec(&note).map_err(|error| failed(error.into()))?;
        files::replace_text(&layout.finished_note(), &note).map_err(failed)?;
        fs_err::rename(&trees, &aside).map_err(failed)?;
    }
    let note = fs_err::read(layout.finished_note()).ok();
    let note = note.and_then(|text| serde_json::from_slice::<Aside>(&text).ok());
    match note.filter(|note| note.fingerprint.is_variant(now) && !is_empty(&aside)) {
        Some(note) => {
            reporter.note(format!(
                "what the build of {} compiled is put back after %prep, as far as it does not see the difference",
                note.finished
            ));
            files::read_ahead(aside);
        }
        None => end(layout)?,
    }
    Ok(())
}

/// Puts what others can take of the trees into the shared storage, if there is one and it has not been taken from there. That
/// it cannot be done is said, and fails nothing.
pub(super) fn share(context: &Context<'_>, command: &Command) {
    let layout = &context.plan.layout;
    let compiling = &context.manner.compiling;
    if compiling.remote.is_none() || compiling.read_only || count(layout).is_some() {
        return;
    }
    for top in tree::tops(&layout.build()) {
        let kbuild = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
        let words = [SHARE.to_owned(), text(&layout.build()), text(&top)];
        let share = Command::new(kbuild).args(words).with_env(command.env.clone()).in_dir(top.clone());
        if let Err(error) = exec::read(&share) {
            let name = top.file_name().unwrap_or_default().display().to_string();
            context.reporter.warn(format!("what was compiled in `{name}` is not shared as a whole: {error}"));
        }
    }
}

/// The word of the command line by which a tree is shared: `kbuild share BUILD TREE`.
pub const SHARE: &str = "share";

/// Removes what was put aside, and the sources where there is no room for them.
pub(super) fn end(layout: &Layout) -> Result<(), Error> {
    trees::make_room(layout)?;
    for path in [layout.finished_note(), layout.finished()] {
        if fs_err::symlink_metadata(&path).is_ok() {
            files::remove(&path).map_err(failed)?;
        }
    }
    Ok(())
}

/// Returns how many files were put back in this build.
pub(super) fn count(layout: &Layout) -> Option<u64> {
    fs_err::read_to_string(layout.finished().join(COUNT)).ok()?.trim().parse().ok()
}

/// The mark of trees that were put back, in place of them: how many files that were.
const COUNT: &str = ".put-back";

fn is_there(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok()
}

fn is_empty(dir: &Path) -> bool {
    let mut entries = fs_err::read_dir(dir).into_iter().flatten().flatten();
    !entries.any(|entry| entry.file_name() != COUNT)
}

/// What is to be done to a tree.
#[derive(Debug, Default)]
struct Thaw {
    /// Files of the new tree, by their path there, that get the time which they had.
    times: Vec<(String, Stamp)>,
    /// All files of the new tree that were not made.
    sources: Files,
    /// Files that are moved.
    moves: Vec<(PathBuf, PathBuf)>,
}

/// Puts back what was compiled in the finished tree of another kernel: `aside` and `build` are the directories of all trees,
/// then and now, and `tree` is one of the latter, in which nothing was made yet.
///
/// A file that both have with the same content gets its old time back, so that make sees it as older than what was made from
/// it. Returns how many files were moved; nothing if there was no tree that would do.
///
/// # Errors
/// Something could not be read or moved.
pub fn thaw(settings: &Settings, aside: &Path, build: &Path, tree: &Path) -> io::Result<Option<u64>> {
    let Some(old) = tree.strip_prefix(build).ok().and_then(|below| counterpart(aside, build, below)) else {
        return Ok(None);
    };
    if !will_do(settings, &old, tree)? {
        return Ok(None);
    }
    let Some(packed) = Packed::of(&old)? else { return Ok(None) };
    let Some(thaw) = decide(&old, &packed, tree)? else { return Ok(None) };
    // Where the old tree was when it was compiled, and what that was in.
    let places = [(&packed.tree, tree), (&packed.build, build)];
    // What is known goes on, before anything is there that it speaks of.
    tree::carry(&old, tree)?;
    for (path, stamp) in &thaw.times {
        stamp.set(&tree.join(path))?;
    }
    thaw.sources.note_again(tree, &thaw.times)?;
    let is_command = |from: &Path| from.extension().is_some_and(|ending| ending == "cmd");
    let commands: Vec<&PathBuf> = thaw.moves.iter().map(|(from, _)| from).filter(|from| is_command(from)).collect();
    let move_all = |from: &&PathBuf| places.iter().try_for_each(|(then, now)| moved_with(from, then, now));
    for moved in threads::at_once(&commands, &move_all) {
        moved.unwrap_or_else(|| Err(io::Error::other("a thread that writes commands failed")))?;
    }
    let mut dirs = BTreeSet::new();
    for (from, to) in &thaw.moves {
        if let Some(dir) = to.parent()
            && dirs.insert(dir)
        {
            fs_err::create_dir_all(dir)?;
        }
        fs_err::rename(from, to)?;
    }
    files::remove_tree(&old)?;
    let count = thaw.moves.len() as u64;
    fs_err::write(aside.join(COUNT), format!("{count}\n"))?;
    Ok(Some(count))
}

/// Where headers for programs wait for the make that would make them, in what is kept in a tree.
const WAITING: &str = "headers";

/// Puts back the headers for programs that wait in a tree, before the make that would make them. Returns how many files these are; nothing if
/// none waited.
///
/// # Errors
/// Something could not be moved.
pub fn export(tree: &Path) -> io::Result<Option<u64>> {
    let waiting = tree.join(KEPT).join(WAITING);
    if !is_there(&waiting) {
        return Ok(None);
    }
    let mut count = 0;
    for (path, _) in Files::of(&waiting)?.0 {
        let place = tree.join(&path);
        if !is_there(&place) {
            fs_err::create_dir_all(place.parent().unwrap_or(tree))?;
            fs_err::rename(waiting.join(&path), place)?;
            count += 1;
        }
    }
    files::remove_tree(&waiting)?;
    Ok(Some(count))
}

/// Has a command speak of the new tree where it speaks of the old one's place.
///
/// make compares commands, and until Linux 3.15 they hold the tree's whole path (`srctree := $(CURDIR)`). What is made does not:
/// the program before gcc takes it out, and where it cannot, trees are not put back.
fn moved_with(file: &Path, old: &Path, new: &Path) -> io::Result<()> {
    if old == new {
        return Ok(());
    }
    let (old, new) = (text(old), text(new));
    let command = fs_err::read_to_string(file)?;
    if !command.contains(&old) {
        return Ok(());
    }
    let ends =
        |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '~'));
    let mut moved = String::with_capacity(command.len());
    let mut rest = command.as_str();
    while let Some((before, after)) = rest.split_once(&old) {
        moved.push_str(before);
        moved.push_str(if ends(after) { &new } else { &old });
        rest = after;
    }
    moved.push_str(rest);
    // It is still what was written while a make compiled, and the next kernel may take it, too.
    let stamp = Stamp::of(file)?;
    fs_err::write(file, moved)?;
    stamp.set(file)
}

/// The tree of another release in the place of one: in each directory the one of the same name, or else the only one whose
/// name the new trees do not have.
fn counterpart(aside: &Path, build: &Path, below: &Path) -> Option<PathBuf> {
    let (mut old, mut new) = (aside.to_owned(), build.to_owned());
    for part in below {
        let same = old.join(part);
        old = if same.is_dir() {
            same
        } else {
            let entries = fs_err::read_dir(&old).ok()?.flatten();
            let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            let mut others = dirs.filter(|entry| !is_there(&new.join(entry.file_name())));
            let other = others.next().filter(|_| others.next().is_none())?;
            other.path()
        };
        new.push(part);
    }
    Some(old)
}

/// Whether one tree is in everything that make does not look at what the other one is.
fn will_do(settings: &Settings, old: &Path, new: &Path) -> io::Result<bool> {
    let config = |tree: &Path| fs_err::read_to_string(tree.join(".config")).ok();
    let (Some(before), Some(now)) = (config(old), config(new)) else { return Ok(false) };
    // kconfig compares with this file and marks each option that has changed.
    let is_marked = old.join(finished::AUTO_CONF).is_file();
    // Whatever the kernel's own options are, the build's tools have debugging information, and that the place of the tree.
    if !settings.maps || !is_marked || !finished::same_options(&before, &now) {
        return Ok(false);
    }
    let Some(ground) = tree::remembered(old) else { return Ok(false) };
    Ok(finished::same_ground(&ground, &tree::known(settings, new)?))
}

/// Returns what is to be done, or nothing if times are such that make would not see what is different.
fn decide(old: &Path, packed: &Packed, new: &Path) -> io::Result<Option<Thaw>> {
    let notes = tree::notes(old)?;
    let now = Files::of(new)?;
    let mut thaw = Thaw::default();
    let mut last = None;
    for (path, seen) in Files::of(old)?.0 {
        if now.get(&path).is_some() && !finished::is_made(&path) {
            continue;
        }
        let written = seen.state.written.nanoseconds();
        let place = if finished::is_taken(&path, written, &notes.spans, &notes.saw) {
            new.join(&path)
        } else if finished::is_exported(&path, written, &notes.exports) {
            new.join(KEPT).join(WAITING).join(&path)
        } else {
            continue;
        };
        thaw.moves.push((old.join(&path), place));
        last = last.max(Some(seen.state.written));
    }
    // When a source was written in the old tree, if its content is the same.
    let then = |(path, seen): &(String, Seen)| {
        let (written, then) = packed.others.get(path)?;
        let digest = seen.digest.or_else(|| digests::look(&new.join(path)).ok().map(|(digest, _)| digest));
        (digest == Some(*then)).then_some(Stamp::after(*written))
    };
    thaw.sources = Files(now.0.into_iter().filter(|(path, _)| !finished::is_made(path)).collect());
    // What could not be told is not the same.
    let all = threads::at_once(&thaw.sources.0, &then).into_iter().map(Option::flatten);
    for ((path, seen), then) in thaw.sources.0.iter().zip(all) {
        match then {
            Some(then) if then == seen.state.written => {}
            Some(then) => thaw.times.push((path.clone(), then)),
            // Clocks are set back, those of two machines differ, and archives hold old times. What is kept of the new tree (`KEPT`)
            // has just been written, so a clock that is behind is noticed even where all else is newer.
            None if last.is_some_and(|last| seen.state.written <= last) => return Ok(None),
            None => {}
        }
    }
    Ok(Some(thaw))
}

fn failed(source: io::Error) -> Error {
    Error::io("the earlier build's tree cannot be put aside", source)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "CONFIG_IP_VS=m\nCONFIG_IP_VS_TAB_BITS=";

    type Change = fn(&mut Trees);

    /// A tree with files, each with its time in seconds.
    fn lay(dir: &Path, files: &[(&str, &str, u64)]) {
        for (name, text, time) in files {
            let path = dir.join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(&path, text).unwrap();
            Stamp::at(*time).set(&path).unwrap();
        }
    }

    struct Trees {
        _dir: tempfile::TempDir,
        settings: Settings,
        aside: PathBuf,
        old: PathBuf,
        build: PathBuf,
        new: PathBuf,
    }

    impl Trees {
        /// What is kept of the finished tree of a kernel with 18 bits, and the tree of another, unpacked, with 20.
        fn new() -> Self {
            Self::after(|_| ())
        }

        /// The same where this happened to the finished tree before.
        fn after(change: impl FnOnce(&Path)) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let (aside, build) = (dir.path().join("finished"), dir.path().join("BUILD"));
            let (old, new) = (build.join("kernel-1/linux-1.el6.a"), build.join("kernel-1/linux-1.el6.b"));
            let settings = Settings { run: "1".into(), identity: "gcc".into(), maps: true, ..Settings::default() };
            lay(&build.join("kernel-1/vanilla-1"), &[("a.c", "a", 100)]);
            let sources = [("a.c", "a", 100), ("d/b.c", "b", 100), ("d/see.c", "s", 100), ("patched.h", "p", 150)];
            lay(&old, &sources);
            lay(&old, &[(".config", &format!("{CONFIG}18\n"), 160), ("Makefile", "EXTRAVERSION = a", 155)]);
            tree::known(&settings, &old).unwrap();
            tree::saw(&old, Path::new("d/see.o")).unwrap();
            lay(&old, &[(".kbuild/spans", "170.000000000 185.000000000\n", 185)]);
            lay(
                &old,
                &[(finished::AUTO_CONF, "18", 170), ("a.o", "A", 180), (".a.o.cmd", "gcc", 181), ("d/b.o", "B", 182)],
            );
            lay(
                &old,
                &[("d/.b.o.cmd", "gcc", 182), ("d/see.o", "S", 183), ("d/.see.o.cmd", "gcc", 183), ("d/odd", "O", 186)],
            );
            change(&old);
            pack::strip(&build, &dir.path().join("rest")).unwrap();
            fs_err::rename(&build, &aside).unwrap();
            let old = aside.join("kernel-1/linux-1.el6.a");
            lay(&build.join("kernel-1/vanilla-1"), &[("a.c", "a", 100)]);
            lay(&new, &sources);
            Stamp::at(250).set(&new.join("patched.h")).unwrap();
            lay(&new, &[(".config", &format!("{CONFIG}20\n"), 260), ("Makefile", "EXTRAVERSION = b", 255)]);
            Self { _dir: dir, settings: Settings { run: "2".into(), ..settings }, aside, old, build, new }
        }

        fn thaw(&self) -> Option<u64> {
            thaw(&self.settings, &self.aside, &self.build, &self.new).unwrap()
        }
    }

    #[test]
    fn what_was_compiled_without_the_option_is_put_back() {
        let trees = Trees::new();
        let is_kept = |name: &str| is_there(&trees.old.join(name));
        assert!(!["a.c", "d/see.o", "d/odd", "../vanilla-1"].into_iter().any(is_kept));
        // What kconfig wrote now says nothing of what the options were.
        lay(&trees.new, &[(finished::AUTO_CONF, "20", 265)]);
        assert_eq!(trees.thaw(), Some(5));
        assert_eq!(fs_err::read_to_string(trees.new.join(finished::AUTO_CONF)).unwrap(), "18");
        let there = |name: &str| is_there(&trees.new.join(name));
        assert!([finished::AUTO_CONF, "a.o", ".a.o.cmd", "d/b.o", "d/.b.o.cmd"].into_iter().all(there));
        assert!(!["d/see.o", "d/.see.o.cmd", "d/odd"].into_iter().any(there));
        for (name, time) in [("a.c", 100), ("patched.h", 150), (".config", 260), ("Makefile", 255), ("a.o", 180)] {
            assert_eq!(Stamp::of(&trees.new.join(name)).unwrap(), Stamp::at(time), "{name}");
        }
        assert_eq!(tree::notes(&trees.new).unwrap().saw, ["d/see"]);
        assert!(!is_there(&trees.old));
        // Once is enough.
        assert_eq!(trees.thaw(), None);
    }

    /// Writes down the digest of a source, as if it had been that text when it was looked at.
    fn note(top: &Path, path: &str, text: &str) {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let now = digests::Moment::now(top).unwrap();
        let mut files = Files::of(top).unwrap();
        let seen = &mut files.0.iter_mut().find(|(name, _)| name == path).unwrap().1;
        seen.digest = Some(sha256(text));
        files.note(top, &now).unwrap();
    }

    fn sha256(text: &str) -> crate::digest::Sha256 {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("text"), text).unwrap();
        digests::look(&dir.path().join("text")).unwrap().0
    }

    #[test]
    fn a_source_is_not_read_again_that_nobody_touched() {
        let time = |trees: &Trees| {
            assert_eq!(trees.thaw(), Some(5));
            Stamp::of(&trees.new.join("patched.h")).unwrap()
        };
        // Who reads it finds out.
        assert_eq!(time(&Trees::after(|old| note(old, "patched.h", "P"))), Stamp::at(250));
        let looked_at = |trees: Trees| {
            tree::known(&trees.settings, &trees.new).unwrap();
            trees
        };
        let trees = looked_at(Trees::new());
        note(&trees.new, "patched.h", "P");
        assert_eq!(time(&trees), Stamp::at(250));
        // What got its old time is still known.
        let trees = Trees::new();
        assert_eq!(time(&trees), Stamp::at(150));
        assert_eq!(Files::of(&trees.new).unwrap().get("patched.h").unwrap().digest, Some(sha256("p")));
        // What was touched is read.
        let touched = |top: &Path, time| {
            note(top, "patched.h", "P");
            lay(top, &[("patched.h", "p", time)]);
        };
        let trees = looked_at(Trees::after(|old| touched(old, 150)));
        touched(&trees.new, 250);
        assert_eq!(time(&trees), Stamp::at(150));
    }

    #[test]
    fn headers_for_programs_wait_for_their_make() {
        let made = ["usr/include/linux/a.h", "usr/include/linux/.a.h.cmd", "usr/include/b.h"];
        let trees = Trees::after(|old| {
            lay(old, &[(".kbuild/exports", "190.000000000 195.000000000\n", 195)]);
            lay(old, &[(made[0], "h", 192), (made[1], "sh", 192), (made[2], "h", 193), ("usr/include/c.h", "h", 196)]);
        });
        assert_eq!(trees.thaw(), Some(8));
        let there = |name: &str| is_there(&trees.new.join(name));
        assert!(!made.into_iter().any(there));
        lay(&trees.new, &[(made[2], "newer", 300)]);
        assert_eq!(export(&trees.new).unwrap(), Some(2));
        assert!(made.into_iter().all(there) && !there("usr/include/c.h"));
        assert_eq!(Stamp::of(&trees.new.join(made[0])).unwrap(), Stamp::at(192));
        assert_eq!(fs_err::read_to_string(trees.new.join(made[2])).unwrap(), "newer");
        // Once is enough, and the next kernel may take them, too.
        assert_eq!(export(&trees.new).unwrap(), None);
        assert_eq!(tree::notes(&trees.new).unwrap().exports.len(), 1);
    }

    #[test]
    fn a_tree_that_is_another_one_in_what_make_does_not_look_at_gives_nothing() {
        let changes: [(&str, Change); 10] = [
            ("the place of the tree in debugging information", |trees| trees.settings.maps = false),
            ("an option", |trees| lay(&trees.new, &[(".config", "CONFIG_IP_VS=y\n", 260)])),
            ("the compiler", |trees| trees.settings.identity = "clang".into()),
            ("another package", |trees| trees.settings.host = "bison-4".into()),
            ("a clock that is behind", |trees| {
                Stamp::at(9_999_999_998).set(&trees.old.join(finished::AUTO_CONF)).unwrap();
                for changed in [".config", "Makefile"] {
                    Stamp::at(9_999_999_999).set(&trees.new.join(changed)).unwrap();
                }
            }),
            ("a header that may hide another", |trees| lay(&trees.new, &[("include/a.h", "", 270)])),
            ("nobody looked", |trees| fs_err::remove_dir_all(trees.old.join(".kbuild")).unwrap()),
            ("no mark of the options", |trees| fs_err::remove_dir_all(trees.old.join("include")).unwrap()),
            ("a source with an old time", |trees| lay(&trees.new, &[("d/b.c", "B", 90)])),
            ("a clock that was set back", |trees| Stamp::at(165).set(&trees.new.join(".config")).unwrap()),
        ];
        for (what, change) in changes {
            let mut trees = Trees::new();
            change(&mut trees);
            assert_eq!(trees.thaw(), None, "{what}");
            assert!(is_there(&trees.old.join("a.o")) && !is_there(&trees.new.join("a.o")), "{what}");
        }
    }

    #[test]
    fn commands_speak_of_the_new_place() {
        let trees = Trees::new();
        let built_in = trees.build.join("kernel-1/linux-1.el6.a");
        let (old, new) = (text(&built_in), text(&trees.new));
        lay(&trees.old, &[(".a.o.cmd", &format!("gcc -I{old}/include -include {old}/k.h -L{old} {old}.x/y"), 181)]);
        assert_eq!(trees.thaw(), Some(5));
        let command = fs_err::read_to_string(trees.new.join(".a.o.cmd")).unwrap();
        assert_eq!(command, format!("gcc -I{new}/include -include {new}/k.h -L{new} {old}.x/y"));
        assert_eq!(Stamp::of(&trees.new.join(".a.o.cmd")).unwrap(), Stamp::at(181));
    }

    #[test]
    fn another_release_is_found_where_there_is_only_one() {
        let trees = Trees::new();
        let found = |below: &str| counterpart(&trees.aside, &trees.build, Path::new(below));
        assert_eq!(found("kernel-1/linux-1.el6.b"), Some(trees.old.clone()));
        lay(&trees.aside.join("kernel-1/vanilla-1"), &[("a.c", "a", 100)]);
        assert_eq!(found("kernel-1/vanilla-1"), Some(trees.aside.join("kernel-1/vanilla-1")));
        lay(&trees.aside.join("kernel-1/linux-1.el6.c"), &[("a.c", "a", 100)]);
        assert_eq!(found("kernel-1/linux-1.el6.b"), None);
    }
}
