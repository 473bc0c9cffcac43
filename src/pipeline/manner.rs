//! How a plan is to be run: what changes nothing of what comes out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::compiler::cache::{Cache, Remote};
use crate::times::StageTime;

/// How a plan is to be run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manner {
    /// Take nothing of an earlier run.
    pub fresh: bool,
    /// Go on with a build of the same that was interrupted.
    pub resume: bool,
    /// Wait for another kbuild in the same place, instead of giving up.
    pub wait: bool,
    /// When a build is ended.
    pub limits: Limits,
    /// How the kernel is compiled.
    pub compiling: Compiling,
    /// What was done for it before: its source package fetched and read.
    #[serde(default)]
    pub before: Vec<StageTime>,
}

/// How the kernel is compiled.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Compiling {
    /// So that the next kernel can go on in the finished tree, and in that of the last one.
    pub trees: bool,
    /// Through ccache.
    pub cached: bool,
    /// What ccache shares with other machines.
    pub remote: Option<Remote>,
    /// Put nothing there.
    pub read_only: bool,
    /// Other hosts that compile, as distcc names them.
    pub hosts: Vec<String>,
}

impl Compiling {
    /// Compiles with a cache, and takes its other settings from the default.
    #[must_use]
    pub fn with(cache: Cache) -> Self {
        let (trees, cached) = (cache != Cache::Off, !matches!(cache, Cache::Off | Cache::Tree));
        let remote = if let Cache::Remote(remote) = cache { Some(remote) } else { None };
        Self { trees, cached, remote, ..Self::default() }
    }
}

/// When a build is ended although nothing is wrong with it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Limits {
    /// It may take as long as this.
    pub total: Option<Duration>,
    /// It may be silent and still as long as this.
    pub silence: Option<Duration>,
    /// So many bytes must be left on the file system that it works on.
    pub room: u64,
}
