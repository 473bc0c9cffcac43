//! Whether a machine can build a kernel: everything that would stop a build, or would make it fail after hours, found
//! before it starts and told at once.

mod era;
mod machine;
mod packages;
mod ready;
mod room;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Route;
use super::request::ProfileName;
use crate::recipe::Recipe;
pub(super) use packages::on_both;
pub use packages::{Install, NAMESAKES};
pub(super) use ready::builder;
pub use ready::{Ready, programs, ready};
pub(super) use room::{Takes, takes};

/// What was found out about a machine.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// What the distribution calls itself.
    pub distribution: Option<String>,
    /// The container that it is.
    pub container: Option<Container>,
    /// Who is there.
    pub people: People,
    /// Versions of programs by name, such as `gcc` and `12.2.0`; a missing program has no entry.
    pub versions: BTreeMap<String, String>,
    /// Programs on PATH, of those that packages are named after.
    pub programs: BTreeSet<String>,
    /// Whether the compiler makes position-independent programs unless it is told not to.
    pub default_pie: bool,
    /// What installs packages, and what is installed.
    pub packages: Option<Installed>,
    /// The work directory.
    pub work: PathBuf,
    /// Its file system.
    pub room: Option<Room>,
    /// Memory that can still be had, in bytes.
    pub memory: Option<u64>,
    /// Entropy in bits, where it can run out.
    pub entropy: Option<u32>,
    /// Whether only signed kernels start here.
    pub secure_boot: Option<bool>,
    /// Processes that compile at the same time.
    pub jobs: u32,
    /// What an earlier build of this kind took in this work directory.
    pub measured: Option<Measured>,
}

/// The container that kbuild runs in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Which kind.
    pub kind: String,
    /// The image that it was made of, where that is said.
    pub image: Option<String>,
}

/// Who started kbuild, and who builds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    /// Who started it.
    pub me: String,
    /// Its number.
    pub uid: u32,
    /// Whether it has an entry in the account database.
    pub known: bool,
    /// Who builds.
    pub builder: String,
    /// Whether that account is yet to be made.
    pub to_be_made: bool,
}

/// What a host has installed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installed {
    /// The package manager: `apt-get`, `dnf` or `yum`.
    pub manager: String,
    /// Names of packages, and of what they provide.
    pub names: BTreeSet<String>,
    /// Whether it has to ask its servers first which packages there are (`apt-get update`).
    pub stale: bool,
}

/// A file system to work on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Room {
    /// Such as `ext4`.
    pub kind: String,
    /// All its bytes.
    pub size: u64,
    /// Bytes left.
    pub free: u64,
    /// Files left; `None` for no limit.
    pub inodes: Option<u64>,
    /// Programs on it cannot be run.
    pub noexec: bool,
    /// Nothing can be written.
    pub read_only: bool,
    /// `a` and `A` are one file.
    pub folds_case: bool,
}

/// What a build took, as it was measured: kept in the work directory, by recipe, profile and architecture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Measured {
    /// Objects compiled.
    pub objects: u64,
    /// The size of the source package in bytes.
    pub source: u64,
    /// The most room that rpmbuild's directories took, in bytes.
    pub disk: u64,
    /// The most files that were in them.
    pub files: u64,
    /// How long rpmbuild took, in seconds.
    pub seconds: u64,
    /// The most memory that its processes had together, in bytes; none if it was too short to be seen.
    pub memory: u64,
    /// Processes that compiled at the same time.
    pub jobs: u32,
}

impl Measured {
    /// Names a kind of build, among those whose measures are kept.
    #[must_use]
    pub fn kind(recipe: &str, profile: ProfileName, arch: &str) -> String {
        format!("{recipe}/{}/{arch}", profile.name())
    }
}

/// What is known of the kernel that is to be built.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its family.
    pub recipe: &'a Recipe,
    /// The way to it.
    pub route: Route,
    /// Which packages are built.
    pub profile: ProfileName,
    /// The size of its source package in bytes, if that is at hand.
    pub size: Option<u64>,
    /// What its spec names as `BuildRequires`; `None` where no spec is at hand, and the recipe's word counts.
    pub requires: Option<&'a [String]>,
    /// Programs that the plan takes and that are not there.
    pub missing: &'a [String],
    /// The plain files of the source package.
    pub texts: &'a BTreeMap<String, Vec<u8>>,
    /// Files of its tree.
    pub tree: &'a BTreeMap<String, Vec<u8>>,
}

impl Subject<'_> {
    /// Whether rpmbuild runs the kernel's own spec.
    fn is_kernel(&self) -> bool {
        matches!(self.route, Route::Kernel | Route::Tree)
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// As it should be.
    Fine,
    /// Worth knowing.
    Note,
    /// It may fail.
    Risk,
    /// It will fail.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Finding {
    /// How bad it is.
    pub weight: Weight,
    /// What was looked at, in a word or two.
    pub what: String,
    /// What was found, and expected if that is another thing.
    pub found: String,
    /// What to do: a command, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    pub(super) fn new(weight: Weight, what: &str, found: String, fix: Option<String>) -> Self {
        Self { weight, what: what.to_owned(), found, fix }
    }

    /// Whether kbuild itself can go on although this is a problem: it cannot without a program that it has to start, or
    /// without a directory or an account.
    #[must_use]
    pub fn can_be_ignored(&self) -> bool {
        ![PROGRAMS, USER, DIRECTORY].contains(&self.what.as_str())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.found)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fine => "ok",
            Self::Note => "note",
            Self::Risk => "risk",
            Self::Problem => "problem",
        })
    }
}

/// All that was found, and what installs what is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Everything that was looked at.
    pub findings: Vec<Finding>,
    /// What brings everything that is missing.
    pub install: Option<Install>,
    /// What an earlier build took, if there was one like this.
    pub measured: Option<Measured>,
}

impl Judgement {
    /// Returns the problems: all of them, or those that cannot be ignored.
    pub fn problems(&self, ignore: bool) -> impl Iterator<Item = &Finding> {
        let counts =
            move |finding: &&Finding| finding.weight == Weight::Problem && !(ignore && finding.can_be_ignored());
        self.findings.iter().filter(counts)
    }
}

/// What findings about programs that kbuild starts are called.
pub const PROGRAMS: &str = "programs";
/// What findings about accounts are called.
pub const USER: &str = "user";
/// What findings about directories that cannot be used at all are called.
pub const DIRECTORY: &str = "directory";
const MEGABYTE: u64 = 1_000_000;

/// Judges a machine for a build.
#[must_use]
pub fn judge(survey: &Survey, ready: &Ready, subject: &Subject<'_>) -> Judgement {
    let mut findings = vec![machine::host(survey)];
    findings.extend(machine::people(survey, ready));
    findings.push(machine::programs(survey));
    let (of_packages, install) = packages::judge(survey, subject);
    findings.extend(of_packages);
    findings.extend(ready.directories.iter().cloned());
    findings.extend(room::judge(survey, subject));
    findings.extend(machine::memory(survey, subject));
    findings.extend(machine::entropy(survey, subject));
    findings.extend(era::judge(survey, subject));
    findings.extend(machine::secure_boot(survey));
    Judgement { findings, install, measured: room::alike(survey, subject) }
}

/// Returns the parameters that the spec gives gpg to make a key: a source of its own (`genkey`, 2.6.32-220.13.1).
fn genkey<'a>(subject: &Subject<'a>) -> Option<(&'a str, &'a [u8])> {
    let mut texts = subject.texts.iter();
    texts.find(|(_, text)| contains(text, b"Key-Type:")).map(|(name, text)| (name.as_str(), text.as_slice()))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

pub(super) fn megabytes(bytes: u64) -> String {
    if bytes >= 10_000 * MEGABYTE {
        format!("{} GB", bytes / (1000 * MEGABYTE))
    } else {
        format!("{} MB", bytes / MEGABYTE)
    }
}

#[cfg(test)]
mod tests;
