//! What is known of a kernel's tree, looked up in it once for a run, and what is written down there while it is compiled.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use walkdir::{DirEntry, WalkDir};

use super::digests::{self, Files, Moment};
use crate::compiler::finished::{self, Span};
use crate::compiler::tree::{self, Tree};
use crate::compiler::{KEPT, Settings};
use crate::digest;
use crate::sys::stamp::Stamp;
use crate::sys::threads;

/// Whether a directory is the top of a kernel's tree.
#[must_use]
pub fn is_one(top: &Path) -> bool {
    ["Makefile", "scripts/Makefile.build"].iter().all(|name| fs_err::metadata(top.join(name)).is_ok())
}

/// Returns the tops of the trees below rpmbuild's directory in which a kernel was compiled.
#[must_use]
pub fn tops(build: &Path) -> Vec<PathBuf> {
    let dirs = WalkDir::new(build).min_depth(1).max_depth(2).into_iter().flatten();
    dirs.map(DirEntry::into_path).filter(|dir| dir.join(KEPT).join(SPANS).is_file()).collect()
}

/// Returns what an earlier look at a tree found, whichever run that was.
#[must_use]
pub fn remembered(top: &Path) -> Option<Tree> {
    serde_json::from_slice(&fs_err::read(top.join(KEPT).join(TREE)).ok()?).ok()
}

/// Returns what is known of a tree. It is looked up once for a run, before anything is made in it.
///
/// ccache looks at every file that was read, but not whether there is now another of that name in a directory that
/// comes before (ccache's manual, "The direct mode"). Which headers are made that may hide others is said in the files
/// named Kbuild, which are read. All others are read, too, and their digests written down ([`digests`]).
///
/// # Errors
/// The tree cannot be read.
pub fn known(settings: &Settings, top: &Path) -> io::Result<Tree> {
    if let Some(tree) = remembered(top).filter(|tree| tree.run == settings.run) {
        return Ok(tree);
    }
    let began = Moment::now(top)?;
    let mut files = Files::of(top)?;
    // What is made is another one for each kernel, and no source.
    files.0.retain(|(path, _)| !finished::is_made(path) && !path.starts_with(&format!("{KEPT}/")));
    let looked = threads::at_once(&files.0, &|(path, _)| digests::look(&top.join(path)));
    let (mut names, mut reading) = (Sha256::new(), Vec::new());
    for ((path, seen), looked) in files.0.iter_mut().zip(looked) {
        let looked = looked.unwrap_or_else(|| Err(io::Error::other("a thread that reads the tree failed")));
        let ((dirs, name), is_included) = (path.rsplit_once('/').unwrap_or(("", path)), tree::is_included(path));
        let is_list = name == "Kbuild";
        let is_name = (is_list || is_included) && !dirs.split('/').any(|dir| dir == "generated");
        // What does not count can be unreadable, and is not known then.
        let (digest, reads) = match looked {
            Err(_) if !is_name => continue,
            looked => looked?,
        };
        seen.digest = Some(digest);
        if is_name {
            names.update(path.as_bytes());
            names.update([0]);
        }
        if is_list {
            names.update(digest.0);
        } else if is_name && reads {
            reading.push(name.to_owned());
        }
    }
    files.note(top, &began)?;
    let tree = Tree {
        run: settings.run.clone(),
        identity: settings.identity.clone(),
        names: digest::hex(&names.finalize()),
        host: settings.host.clone(),
        reading,
    };
    put(&top.join(KEPT).join(TREE), &serde_json::to_vec(&tree)?, None)?;
    Ok(tree)
}

/// What is known of a tree.
const TREE: &str = "tree.json";
/// The list of what saw, or may have seen, what varies.
const SAW: &str = "saw";
/// The times at which makes compiled, which the stand-in for make writes down.
const SPANS: &str = "spans";
/// The times at which makes made headers for programs, written down in the same way.
const EXPORTS: &str = "exports";
/// All of these: what has to be known of a tree for another kernel to go on in it.
pub const NOTES: [&str; 4] = [TREE, SAW, SPANS, EXPORTS];

/// What was written down in a tree while it was compiled; nothing of one in which nobody looked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// What saw, or may have seen, what varies.
    pub saw: Vec<String>,
    /// The times at which makes compiled.
    pub spans: Vec<Span>,
    /// The times at which makes made headers for programs.
    pub exports: Vec<Span>,
}

/// Writes down that what is compiled to `output` sees what varies, or may see it.
///
/// # Errors
/// It cannot be written down.
pub fn saw(top: &Path, output: &Path) -> io::Result<()> {
    finished::saw(output).map_or(Ok(()), |line| add(top, SAW, &format!("{line}\n")))
}

/// Returns what was written down in a tree.
///
/// # Errors
/// It cannot be read.
pub fn notes(top: &Path) -> io::Result<Notes> {
    Ok(Notes {
        saw: read(top, SAW)?.lines().map(str::to_owned).collect(),
        spans: finished::spans(&read(top, SPANS)?),
        exports: finished::spans(&read(top, EXPORTS)?),
    })
}

/// Adds all that is written down in one tree to what is in another one.
///
/// # Errors
/// It cannot be written down.
pub fn carry(from: &Path, to: &Path) -> io::Result<()> {
    [SAW, SPANS, EXPORTS].into_iter().try_for_each(|name| add(to, name, &read(from, name)?))
}

fn read(top: &Path, name: &str) -> io::Result<String> {
    match fs_err::read_to_string(top.join(KEPT).join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        text => text,
    }
}

fn add(top: &Path, name: &str, lines: &str) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    fs_err::create_dir_all(top.join(KEPT))?;
    let mut list = fs_err::File::options().append(true).create(true).open(top.join(KEPT).join(name))?;
    // One call: others write at the same time.
    list.write_all(lines.as_bytes())
}

/// Puts a file into place as a whole, with that time; others may do the same at once.
///
/// # Errors
/// It cannot be written.
pub fn put(place: &Path, text: &[u8], stamp: Option<Stamp>) -> io::Result<()> {
    let dir = place.parent().unwrap_or(place);
    fs_err::create_dir_all(dir)?;
    let unfinished: PathBuf = dir.join(format!("new-{}", std::process::id()));
    fs_err::write(&unfinished, text)?;
    if let Some(stamp) = stamp {
        stamp.set(&unfinished)?;
    }
    fs_err::rename(&unfinished, place)
}
