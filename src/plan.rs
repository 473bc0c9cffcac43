//! Everything is decided here, as plain data, before anything is done. Pure: no effects, no clock, no environment.
//!
//! A [`Request`] (what the user asked), a recipe (what is known of the family), [`Source`] (what is in the source
//! package) and [`Host`] (what the machine has) make a [`Plan`]: a list of [`Step`]s with every path, argument and
//! environment variable written out. `kbuild plan` prints it, `kbuild ipvs` runs it.

mod choose;
mod commands;
mod configs;
mod decide;
pub mod devel;
pub mod director;
mod edits;
pub mod error;
pub mod fingerprint;
mod hint;
pub mod host;
pub mod in_memory;
pub mod instructions;
pub mod layout;
pub mod lockfile;
mod nice;
pub mod preflight;
mod release;
mod reproducible;
pub mod request;
pub mod resolve;
pub mod routes;
pub mod running;
mod show;
pub mod signing;
pub mod source;
pub mod step;
mod steps;
mod switches;
pub mod template;
pub mod trust;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use choose::{Choice, by_content, by_release};
pub use decide::{Subject, decide};
pub use devel::{Devel, DevelUsed};
pub use error::Error;
pub use host::Host;
pub use layout::Layout;
pub use release::build_requires;
pub use request::Request;
pub use routes::{Comparison, Route};
pub use signing::Signing;
pub use source::Source;
pub use step::Step;
pub use trust::{Instead, Voucher, complete, trusted};

use crate::command::Command;
use crate::ipvs::bits::Bits;
use crate::ipvs::sources::TreeFacts;
use crate::rpm::nvr::{BuildId, Nvr};
use crate::rpm::trust::Signature;
use host::Account;
use request::{Input, Mode, ProfileName};

/// The version of the plan's JSON form.
pub const SCHEMA: u32 = 1;

/// What will be done, in every detail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plan {
    /// Version of this format.
    pub schema: u32,
    /// Version of kbuild.
    pub kbuild: String,
    /// The way to it.
    pub route: Route,
    /// All ways, compared for this kernel, cheapest first.
    pub routes: Vec<Comparison>,
    /// The value asked for.
    pub bits: Bits,
    /// Name, version and release of what comes out: the kernel's, or those of the one package.
    pub nvr: Nvr,
    /// Where a release of our own comes from; nothing where the kernel stays the distribution's.
    pub release: Option<ReleaseUsed>,
    /// What `uname -r` says of the kernel that it is for.
    pub uname_r: String,
    /// The buildid in the release, if it is our own.
    pub buildid: Option<BuildId>,
    /// Architecture.
    pub arch: String,
    /// `-bb` or `-ba`.
    pub mode: Mode,
    /// Which packages.
    pub profile: ProfileName,
    /// The recipe.
    pub recipe: RecipeUsed,
    /// The source package; nothing where the release's name was enough.
    pub source: Option<SourceUsed>,
    /// What `ip_vs.ko` alone is built from, if that is the route.
    pub module: Option<ModuleUsed>,
    /// Packages that are used beside the source package.
    pub inputs: Vec<Input>,
    /// With which key modules are signed, if that is not left to the kernel's build.
    pub signing: Option<Signing>,
    /// Who runs rpmbuild.
    pub user: Account,
    /// Where everything is.
    pub layout: Layout,
    /// Commands that root runs first, before it gives up its rights.
    pub prepare: Vec<Command>,
    /// The stages.
    pub steps: Vec<Step>,
    /// What is installed at last, by whoever started kbuild.
    pub install: Option<Install>,
    /// Facts worth a line.
    pub notes: Vec<String>,
    /// What may go wrong later.
    pub warnings: Vec<String>,
    /// The command line that asks for the same again.
    pub reproduce: String,
}

/// Which recipe was used, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RecipeUsed {
    /// Its name.
    pub name: String,
    /// SHA-256 of its text.
    pub sha256: String,
    /// Why this one.
    pub why: String,
    /// What was taken for granted, if the family has no recipe of its own.
    pub assumed: Vec<String>,
    /// How the option is set, and what in the source package shows that this works.
    pub way: String,
}

/// How a compiled tree is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Install {
    /// The archive among the results.
    pub archive: String,
    /// The root of the system that it goes into.
    pub root: PathBuf,
    /// The tree that `build` and `source` beside the modules point to, as `make modules_install` has it.
    pub tree: PathBuf,
    /// The commands that follow: dependencies of modules, boot entry.
    pub commands: Vec<Command>,
}

/// How the release of the kernel packages is known before they are built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReleaseUsed {
    /// Whether the spec was evaluated, before and after the edit; if not, the release is the recipe's word.
    pub evaluated: bool,
    /// How the spec carries the buildid, for people.
    pub carrier: String,
    /// The `%dist` that rpmbuild is given, if the spec takes the host's.
    pub dist: Option<String>,
}

/// Which source package is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SourceUsed {
    /// Name, version and release.
    pub nvr: Nvr,
    /// File name.
    pub file: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the whole package.
    pub sha256: String,
    /// What its signature is worth.
    pub signature: Signature,
    /// What vouches for it.
    pub vouched_by: Voucher,
    /// What the kernel tree in it says of the option.
    pub tree: TreeFacts,
}

/// What `ip_vs.ko` alone is built from, beside the source package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ModuleUsed {
    /// The kernel-devel.
    pub devel: DevelUsed,
    /// The patches of the source package that change IPVS, in the order in which they are applied.
    pub patches: Vec<String>,
}

impl Plan {
    /// Returns the same plan with the steps after `last` left out.
    #[must_use]
    pub fn until(mut self, last: crate::event::Stage) -> Self {
        self.steps.retain(|step| step.stage() <= last);
        if last < crate::event::Stage::Tree {
            self.install = None;
        }
        self
    }
}
