//! The digests of a tree's files, taken when they are looked at first, right after they were unpacked.
//!
//! When another kernel goes on in the tree, hours later, it has to be known whether its sources are those of the new one. They
//! were read once, and are not read again as long as the system says that nobody has touched them.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use fs_err::File;
use sha2::Digest;
use walkdir::WalkDir;

use crate::compiler::KEPT;
use crate::compiler::tree::Looking;
use crate::digest::{Sha256, hex};
use crate::sys::stamp::{Stamp, State};

/// Where they are written down in a tree, a line for each: digest, times in nanoseconds, size, inode, path.
const LIST: &str = "digests";
/// A file system goes by the kernel's tick: two changes within one have the same time.
const TICK: Duration = Duration::from_millis(20);
/// How much of a file is read at a time.
const PART: usize = 128 << 10;

/// A file of a tree.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What it is known by.
    pub state: State,
    /// What is in it, if that was written down, and nobody has touched it since.
    pub digest: Option<Sha256>,
}

/// The plain files of a tree, in the order of their paths there.
#[derive(Debug, Default)]
pub struct Files(pub Vec<(String, Seen)>);

impl Files {
    /// Returns all that are below a directory.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(top: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for entry in WalkDir::new(top) {
            let entry = entry?;
            let path = entry.path().strip_prefix(top).unwrap_or(entry.path());
            if entry.file_type().is_file()
                && let Some(path) = path.to_str()
            {
                files.push((path.to_owned(), Seen { state: State::from(&entry.metadata()?)?, digest: None }));
            }
        }
        files.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut files = Self(files);
        let list = match File::open(top.join(KEPT).join(LIST)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
            list => BufReader::new(list?),
        };
        for line in list.lines() {
            let line = line?;
            let Some((known, path)) = line.split_once('\t') else { continue };
            if let Some(seen) = files.find(path)
                && let Some(digest) = known.strip_suffix(&state(&seen.state))
            {
                let mut bytes = [0; 32];
                seen.digest = hex::decode_to_slice(digest, &mut bytes).is_ok().then_some(Sha256(bytes));
            }
        }
        Ok(files)
    }

    /// Returns one of them.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Seen> {
        let place = self.place(path)?;
        self.0.get(place).map(|(_, seen)| seen)
    }

    fn find(&mut self, path: &str) -> Option<&mut Seen> {
        let place = self.place(path)?;
        self.0.get_mut(place).map(|(_, seen)| seen)
    }

    fn place(&self, path: &str) -> Option<usize> {
        self.0.binary_search_by(|(other, _)| other.as_str().cmp(path)).ok()
    }

    /// Writes down in a tree what is in them, but for what was changed at that moment or later: whatever is written to such a file next may have the
    /// same time.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn note(&self, top: &Path, since: &Moment) -> io::Result<()> {
        let mut list = String::new();
        for (path, seen) in &self.0 {
            if let Some(digest) = seen.digest
                && seen.state.changed < since.0
                && !path.contains('\n')
            {
                let _ = writeln!(list, "{}{}\t{path}", hex(&digest.0), state(&seen.state));
            }
        }
        super::tree::put(&top.join(KEPT).join(LIST), list.as_bytes(), None)
    }

    /// Writes down again what is in them, after those of `set` have got these times and nothing else was done to any.
    ///
    /// # Errors
    /// One of them is not there, or it cannot be written down.
    pub fn note_again(mut self, top: &Path, set: &[(String, Stamp)]) -> io::Result<()> {
        std::thread::sleep(TICK);
        let now = Moment::now(top)?;
        for (path, stamp) in set {
            let Some(seen) = self.find(path) else { continue };
            let state = State::of(&top.join(path))?;
            let expected = State { written: *stamp, changed: state.changed, ..seen.state };
            seen.digest = seen.digest.filter(|_| state == expected);
            seen.state = state;
        }
        self.note(top, &now)
    }
}

/// What a file is known by, as it is written down.
fn state(state: &State) -> String {
    format!(" {} {} {} {}", state.written.nanoseconds(), state.changed, state.size, state.inode)
}

/// A moment by the clock of a tree's file system: no file that is changed later has an earlier time.
#[derive(Debug)]
pub struct Moment(i128);

impl Moment {
    /// Returns what a file would have now that is changed in the tree.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub fn now(top: &Path) -> io::Result<Self> {
        let dir = top.join(KEPT);
        fs_err::create_dir_all(&dir)?;
        let file = tempfile::Builder::new().prefix("now-").tempfile_in(dir)?;
        State::of(file.path()).map(|state| Self(state.changed))
    }
}

/// Returns the digest of a file, and whether it makes the assembler read another one. No more than a part of it is in memory.
///
/// # Errors
/// It cannot be read.
pub fn look(path: &Path) -> io::Result<(Sha256, bool)> {
    let mut file = File::open(path)?;
    let (mut digest, mut looking, mut part) = (sha2::Sha256::new(), Looking::default(), vec![0; PART]);
    loop {
        let count = file.read(&mut part)?;
        let part = part.get(..count).unwrap_or_default();
        if part.is_empty() {
            return Ok((Sha256(digest.finalize().into()), looking.has_found()));
        }
        digest.update(part);
        looking.look(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&Path);

    fn known(top: &Path) -> Vec<String> {
        let files = Files::of(top).unwrap().0.into_iter();
        files.filter(|(_, seen)| seen.digest.is_some()).map(|(path, _)| path).collect()
    }

    /// A tree of three files whose digests are written down.
    fn noted(top: &Path) {
        for name in ["a.c", "b.c", "c.c"] {
            fs_err::write(top.join(name), name).unwrap();
        }
        std::thread::sleep(TICK);
        let since = Moment::now(top).unwrap();
        let mut files = Files::of(top).unwrap();
        for (path, seen) in &mut files.0 {
            seen.digest = Some(look(&top.join(path)).unwrap().0);
        }
        files.note(top, &since).unwrap();
    }

    #[test]
    fn what_was_touched_is_not_known_any_more() {
        let changes: [(&str, Change); 5] = [
            ("written", |file| fs_err::write(file, "a.h").unwrap()),
            ("written, and its time put back", |file| {
                let stamp = Stamp::of(file).unwrap();
                fs_err::write(file, "a.h").unwrap();
                stamp.set(file).unwrap();
            }),
            ("longer", |file| fs_err::write(file, "a.c and more").unwrap()),
            ("replaced by another one with its time", |file| {
                let (other, stamp) = (file.with_extension("h"), Stamp::of(file).unwrap());
                fs_err::write(&other, "a.h").unwrap();
                stamp.set(&other).unwrap();
                fs_err::rename(other, file).unwrap();
            }),
            ("gone", |file| fs_err::remove_file(file).unwrap()),
        ];
        for (what, change) in changes {
            let dir = tempfile::tempdir().unwrap();
            noted(dir.path());
            assert_eq!(known(dir.path()), ["a.c", "b.c", "c.c"], "{what}");
            change(&dir.path().join("a.c"));
            assert_eq!(known(dir.path()), ["b.c", "c.c"], "{what}");
        }
    }

    #[test]
    fn what_was_changed_a_moment_ago_is_not_written_down() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("a.c"), "a").unwrap();
        let mut files = Files::of(dir.path()).unwrap();
        files.0[0].1.digest = Some(look(&dir.path().join("a.c")).unwrap().0);
        files.note(dir.path(), &Moment(files.0[0].1.state.changed)).unwrap();
        assert!(known(dir.path()).is_empty());
        files.note(dir.path(), &Moment(files.0[0].1.state.changed + 1)).unwrap();
        assert_eq!(known(dir.path()), ["a.c"]);
    }

    #[test]
    fn what_gets_its_old_time_is_still_known() {
        let dir = tempfile::tempdir().unwrap();
        noted(dir.path());
        let files = Files::of(dir.path()).unwrap();
        let digest = files.get("a.c").unwrap().digest;
        let stamp = Stamp::at(100);
        stamp.set(&dir.path().join("a.c")).unwrap();
        fs_err::write(dir.path().join("b.c"), "b.h").unwrap();
        stamp.set(&dir.path().join("b.c")).unwrap();
        fs_err::write(dir.path().join("c.c"), "another size").unwrap();
        stamp.set(&dir.path().join("c.c")).unwrap();
        let set = ["a.c", "c.c"].map(|path| (path.to_owned(), stamp));
        files.note_again(dir.path(), &set).unwrap();
        assert_eq!(known(dir.path()), ["a.c"]);
        assert_eq!(Files::of(dir.path()).unwrap().get("a.c").unwrap().digest, digest);
    }

    #[test]
    fn a_file_is_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.c");
        for size in [0, 1, PART - 3, PART, PART + 1, 3 * PART] {
            let mut text = vec![b' '; size];
            text.extend(b".incbin");
            fs_err::write(&file, &text).unwrap();
            let (digest, found) = look(&file).unwrap();
            assert_eq!((hex(&digest.0), found), (crate::digest::sha256(&text), true), "{size}");
        }
        fs_err::write(&file, ".inc").unwrap();
        assert!(!look(&file).unwrap().1);
    }
}
