//! What the user asked for: checked as far as it can be without looking at machine or source package.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::edit::config::Setting;
use crate::event::Stage;
use crate::ipvs::bits::Bits;
use crate::rpm::nvr::BuildId;

/// One build: one value of bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The value.
    pub bits: Bits,
    /// The source package, as an absolute path.
    pub srpm: PathBuf,
    /// Architecture; `None` for the machine's.
    pub arch: Option<String>,
    /// `-bb` or `-ba`.
    pub mode: Mode,
    /// Which packages.
    pub profile: ProfileName,
    /// More `--with`.
    pub with: Vec<String>,
    /// More `--without`.
    pub without: Vec<String>,
    /// More options to set, beside the table size.
    pub set: Vec<Setting>,
    /// Patches for the spec's hook.
    pub patches: Vec<Patch>,
    /// The buildid.
    pub buildid: BuildId,
    /// Parallel jobs; `None` for one per processor.
    pub jobs: Option<u32>,
    /// Where the results go, as an absolute path.
    pub out: PathBuf,
    /// The last stage to run; `None` for all.
    pub until: Option<Stage>,
    /// Start from nothing even if an earlier tree is there.
    pub fresh: bool,
    /// Boot the result.
    pub boot: bool,
    /// The template of INSTALL.md.
    pub template: String,
    /// The command line that asks for the same again.
    pub reproduce: String,
}

/// A patch given by the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Patch {
    /// File name, for messages.
    pub name: String,
    /// Content.
    pub text: String,
}

/// What rpmbuild makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Binary packages (`-bb`).
    Bb,
    /// Binary packages and a source package with the edits (`-ba`).
    Ba,
}

impl Mode {
    /// Returns rpmbuild's flag.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::Bb => "-bb",
            Self::Ba => "-ba",
        }
    }
}

/// Which packages are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileName {
    /// Everything that the distribution builds.
    Full,
    /// What a fleet installs: no debug kernel, no debuginfo, no tools.
    Fleet,
}

impl ProfileName {
    /// Returns the name, as in recipes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Fleet => "fleet",
        }
    }
}
