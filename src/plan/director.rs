//! A director: what was seen of it, and the one next step to the table that it should have. Facts and decisions; nothing
//! here looks at a machine.

mod advise;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

use crate::ipvs::bits::Bits;
use crate::ipvs::size::era::Release;
pub use advise::{Advice, Next, advise};

/// What was seen of a director. What could not be read is `None`, and `unread` says why.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Director {
    /// What `uname -r` says.
    pub release: Option<Release>,
    /// The sign of a container, if there is one: its files are not those of the kernel that runs.
    pub container: Option<String>,
    /// How IPVS is there.
    pub ipvs: Presence,
    /// Whether it works now.
    pub loaded: Option<bool>,
    /// Modules that use `ip_vs` now.
    pub users: Vec<String>,
    /// `ip_vs.ko` for the kernel that runs.
    pub module: Option<String>,
    /// Whether there is a parameter `conn_tab_bits`.
    pub parameter: Option<Seen<bool>>,
    /// Its value now: on kernels that resize their table, the most that it can get.
    pub value: Option<Bits>,
    /// Buckets of the table that is there now.
    pub buckets: Option<Seen<u64>>,
    /// What is set for the next time that IPVS is loaded.
    pub configured: Option<Seen<String>>,
    /// What the module or the config would make of itself.
    pub built: Option<Seen<Bits>>,
    /// Connections now.
    pub connections: Option<u64>,
    /// Bytes that the kernel takes for a connection.
    pub entry_bytes: Option<Seen<u64>>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

/// A fact, and where it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Seen<T> {
    /// The fact.
    pub is: T,
    /// The file that says it.
    pub by: String,
}

impl<T> Seen<T> {
    /// A fact that a file says.
    pub fn by(is: T, by: impl Into<String>) -> Self {
        Self { is, by: by.into() }
    }
}

/// How IPVS is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Presence {
    /// As a module.
    Module {
        /// What says so.
        by: String,
    },
    /// In the kernel itself.
    BuiltIn {
        /// What says so.
        by: String,
    },
    /// Not at all.
    Absent {
        /// What says so.
        by: String,
    },
    /// Nothing says anything of it.
    #[default]
    Unknown,
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module { by } => write!(f, "a module ({by})"),
            Self::BuiltIn { by } => write!(f, "built in ({by})"),
            Self::Absent { by } => write!(f, "not there ({by})"),
            Self::Unknown => f.write_str("not known: neither config nor modules of this kernel can be read here"),
        }
    }
}
