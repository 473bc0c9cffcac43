//! What the machine has, as plain data. Gathered by `sys::probe`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::in_memory::Memory;
use super::preflight::{DIRECTORY, Finding, Weight};
use super::request::BaseConfig;
use super::signing::Certificate;

/// The machine and who uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Who started kbuild.
    pub me: Account,
    /// Who is to build, as far as the account exists.
    pub builder: Builder,
    /// Such as `x86_64`.
    pub arch: String,
    /// Processors that can be used.
    pub cpus: u32,
    /// Whether installed packages are in an rpm database, so that rpmbuild can check `BuildRequires`.
    pub rpm_database: bool,
    /// Whether `/bin/sh` is bash, as the scriptlets of kernel specs expect.
    pub sh_is_bash: bool,
    /// Programs by name, as absolute paths; a missing one has no entry.
    pub tools: BTreeMap<String, PathBuf>,
    /// `PATH` without its relative entries.
    pub path: String,
    /// The work directory, and whether it can be used.
    pub work: Place,
    /// The directory for results, and whether it can be used.
    pub out: Place,
    /// The directory for the source tree of the route `tree`, and whether it can be used.
    pub tree: Option<Place>,
    /// The directory in memory that is to hold rpmbuild's trees, if that is asked for.
    pub memory: Option<Memory>,
    /// What `uname -r` says here.
    pub running: String,
    /// `/boot/config-*` of the running kernel, if it can be read.
    pub running_config: Option<BaseConfig>,
    /// The kernel whose results are already there, as their manifest names it.
    pub out_holds: Option<String>,
    /// The certificate of the module-signing key that the work directory keeps, if there is one.
    pub kept_certificate: Option<Certificate>,
}

impl Host {
    /// Returns where a program is; its bare name if it is not here. Nothing of such a plan is run: `preflight` sees to that.
    #[must_use]
    pub fn tool(&self, name: &str) -> PathBuf {
        self.tools.get(name).cloned().unwrap_or_else(|| PathBuf::from(name))
    }
}

/// A user account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// Numeric user; `None` for an account that is yet to be created.
    pub uid: Option<u32>,
    /// Numeric group; `None` for an account that is yet to be created.
    pub gid: Option<u32>,
}

/// Who is to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Builder {
    /// Whoever started kbuild.
    Me,
    /// Another account, which exists.
    Other(Account),
    /// An account that does not exist yet.
    Missing(String),
}

/// A directory that is to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where, as an absolute path.
    pub path: PathBuf,
    /// Why it cannot be used, if so, and what to do.
    pub refused: Option<Refused>,
}

impl Place {
    /// Returns what is wrong with it, as a finding.
    #[must_use]
    pub fn refused_as_finding(&self) -> Option<Finding> {
        let refused = self.refused.as_ref()?;
        let found = format!("cannot use `{}`: {}", self.path.display(), refused.why);
        Some(Finding::new(Weight::Problem, DIRECTORY, found, Some(refused.hint.clone())))
    }
}

/// Why a directory cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The reason, as what follows "cannot use `DIR`: ".
    pub why: String,
    /// What to do.
    pub hint: String,
}
