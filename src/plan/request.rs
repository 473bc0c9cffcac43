//! What the user asked for: checked as far as it can be without looking at machine or source package.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::instructions::Templates;
use super::routes::Route;
use super::signing;
use crate::edit::config::Setting;
use crate::event::Stage;
use crate::ipvs::bits::Bits;
use crate::rpm::nvr::BuildId;

/// One build: one value of bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The value.
    pub bits: Bits,
    /// The way to it; `None` for the cheapest that works.
    pub route: Option<Route>,
    /// What the route `param` is to do.
    pub param: Param,
    /// What the route `tree` is to do.
    pub tree: Tree,
    /// What the route `module` is to do.
    pub module: Module,
    /// With which key modules are to be signed.
    pub signing: signing::Asked,
    /// The source package, as an absolute path.
    pub srpm: PathBuf,
    /// Architecture; `None` for the machine's.
    pub arch: Option<String>,
    /// `-bb`, `-ba` or `-bs`.
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
    /// More of them by default: those of other hosts that compile.
    pub more_jobs: u32,
    /// Programs that its way to compile takes, beside the compiler.
    pub helpers: Vec<&'static str>,
    /// What is added to the nice value of what builds.
    pub nice: u8,
    /// Where the results go, as an absolute path.
    pub out: PathBuf,
    /// The last stage to run; `None` for all.
    pub until: Option<Stage>,
    /// Boot the result.
    pub boot: bool,
    /// The user's own templates.
    pub templates: Templates,
    /// The command line that asks for the same again.
    pub reproduce: String,
}

impl Request {
    /// Returns the options given that a parameter cannot meet: they change more of the kernel than its table.
    #[must_use]
    pub fn beyond_parameter(&self) -> Vec<&'static str> {
        let given = [("--set", !self.set.is_empty()), ("--patch", !self.patches.is_empty()), ("--boot", self.boot)];
        given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }
}

/// What the route `param` is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Param {
    /// Bring the settings of a director along.
    pub tune: bool,
    /// IPVS is built into the kernel.
    pub built_in: bool,
}

/// What the route `tree` is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// Where the tree goes, as an absolute path.
    pub dir: PathBuf,
    /// The configuration to start from; `None` for the source package's own.
    pub config: Option<BaseConfig>,
    /// The root of the system into which the kernel is installed; `None` if it is not.
    pub install: Option<PathBuf>,
}

/// What the route `module` is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Module {
    /// Take another compiler than the kernel's, too.
    pub any_compiler: bool,
    /// The distribution's own kernel packages: to compare with, and to boot.
    pub kernels: Vec<Input>,
}

/// A package that is used beside the source package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Input {
    /// Where it is, as an absolute path.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

impl Input {
    /// Its file name.
    #[must_use]
    pub fn file(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// A configuration to start from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BaseConfig {
    /// Where it is from, for messages.
    pub origin: String,
    /// Its text.
    pub text: String,
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
    /// That source package alone (`-bs`): somebody else's build system builds it.
    Srpm,
}

impl Mode {
    /// Returns rpmbuild's flag.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::Bb => "-bb",
            Self::Ba => "-ba",
            Self::Srpm => "-bs",
        }
    }

    /// Whether anything is compiled.
    #[must_use]
    pub fn compiles(self) -> bool {
        self != Self::Srpm
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
