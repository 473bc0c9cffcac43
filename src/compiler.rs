//! What stands before gcc on `PATH` while a kernel is compiled, as decisions: what a call of it is, and what the compiler is
//! given instead. Pure; the program itself is `cli::compiler`, and `pipeline::compilers` puts it there.
//!
//! A kernel with another table, or another buildid, is almost the same kernel. Yet every file of it is compiled with
//! `autoconf.h`, which holds all options, so a cache of compiled files finds none that it knows. So a file is first
//! compiled with a copy of `autoconf.h` from which the options that differ between such kernels are taken, and in which their
//! names are poisoned ([`autoconf::hide`]): if the preprocessor meets such a name anywhere, the compiler refuses, and the file
//! is compiled again as the kernel has it. Whatever compiles without the option cannot have seen it. The cache itself is
//! ccache's, under its ordinary rule: everything that the compiler reads is in the key.

pub mod autoconf;
pub mod cache;
pub mod call;
pub mod finished;
pub mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Names the file with the [`Settings`], in the environment of everything that rpmbuild starts.
pub const SETTINGS: &str = "KB_COMPILER";
/// Names that the compiler is masqueraded by.
pub const NAMES: [&str; 2] = ["gcc", "cc"];
/// The directory with the compiler's second name: there it makes preprocessed text where ccache expects an object.
pub const TEXT: &str = "text";
/// The directory with another second name: there it packs a tree where ccache expects an object.
pub const PACK: &str = "pack";
/// Names the tree that is to be packed.
pub const PACKED: &str = "KB_PACK";
/// What the wrapper keeps in the top of a kernel's tree. Kernel specs package `include` and `scripts`, but nothing of that
/// name.
pub const KEPT: &str = ".kbuild";

/// The file with the [`Settings`], in the directory of the program before gcc.
#[must_use]
pub fn settings_file(dir: &Path) -> PathBuf {
    dir.join("settings.json")
}

/// The file that has a byte for each compilation of a kernel's source that was begun, in the same directory: make may print nothing, and to
/// count objects in a tree takes longer than to compile some.
#[must_use]
pub fn begun(dir: &Path) -> PathBuf {
    dir.join("begun")
}

/// Returns what the environment has for that program to be found before those of `path`, a `PATH`.
#[must_use]
pub fn environment(dir: &Path, path: &str) -> [(String, String); 2] {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    [("PATH".into(), format!("{}:{path}", text(dir))), (SETTINGS.into(), text(&settings_file(dir)))]
}

/// What the program before gcc goes by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// This program's own directory, which is left out when others are looked for.
    pub dir: PathBuf,
    /// The compilers that it stands before, by their names.
    pub compilers: BTreeMap<String, PathBuf>,
    /// What tells this run from others.
    pub run: String,
    /// The digest of all that the compiler consists of, its headers included.
    pub identity: String,
    /// The files that the compiler consists of, with the time of the last change to each, in nanoseconds since 1970.
    pub parts: Vec<(PathBuf, i128)>,
    /// A digest of what is installed on this machine, if trees are kept: the build's own programs are made of that.
    pub host: String,
    /// Whether the compiler knows `-fdebug-prefix-map` (gcc 4.3 and later), and paths may be mapped.
    pub maps: bool,
    /// Whether it is to be found out which files see what varies.
    pub hides: bool,
    /// What tells builds apart whose trees others may take from the shared storage, if there is one.
    pub shared: Option<String>,
    /// Whether nothing is put there.
    pub read_only: bool,
    /// ccache, if there is a cache.
    pub ccache: Option<PathBuf>,
    /// What ccache is told by its environment.
    pub env: Vec<(String, String)>,
    /// The same while the remote storage does not answer: what is left out then.
    pub remote: Vec<String>,
    /// distcc, if other hosts compile, too.
    pub distcc: Option<PathBuf>,
    /// What distcc is told by its environment.
    pub hosts: Vec<(String, String)>,
}

impl Settings {
    /// The file in which it is written down how long each compilation took.
    #[must_use]
    pub fn measured(&self) -> PathBuf {
        self.dir.join("measured")
    }

    /// The file that has a byte for each compilation of a kernel's source that was begun.
    #[must_use]
    pub fn begun(&self) -> PathBuf {
        begun(&self.dir)
    }

    /// The file that is there while the remote storage does not answer.
    #[must_use]
    pub fn without_remote(&self) -> PathBuf {
        self.dir.join("remote-is-down")
    }
}
