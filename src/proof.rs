//! The proof that a kernel has the table that was asked for, in five levels.
//!
//! 1. the edited sources; 2. the configs that %prep resolved; 3. the config files inside the built packages;
//! 4. `ip_vs.ko` itself; 5. a boot. A level that cannot be checked says so and why; it never counts as passed.

pub mod console;
pub mod difference;
pub mod director;
pub mod guest;
pub mod initramfs;
pub mod inside;
pub mod module;
pub mod packages;
pub mod setting;
pub mod sources;

use std::fmt;

use globset::Glob;
use serde::{Deserialize, Serialize};

use crate::edit::config::{self, Setting};

/// What one look at one thing showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Finding {
    /// 1 to 5.
    pub level: u8,
    /// What was looked at: a file, a file in a package, a guest.
    pub subject: String,
    /// The kernel that it is about, as `uname -r` says it, where a path tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// What it showed.
    pub verdict: Verdict,
}

/// What a look showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Verdict {
    /// It is as asked.
    Holds {
        /// What was seen.
        evidence: String,
    },
    /// It is not.
    Differs {
        /// What was asked.
        expected: String,
        /// What was seen.
        found: String,
    },
    /// It could not be looked at.
    NotChecked {
        /// Why not.
        why: String,
    },
}

impl Verdict {
    /// Whether it is as asked; `None` if it was not checked.
    #[must_use]
    pub fn holds(&self) -> Option<bool> {
        match self {
            Self::Holds { .. } => Some(true),
            Self::Differs { .. } => Some(false),
            Self::NotChecked { .. } => None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds { evidence } => write!(f, "holds: {evidence}"),
            Self::Differs { expected, found } => write!(f, "DIFFERS: expected {expected}, found {found}"),
            Self::NotChecked { why } => write!(f, "not checked: {why}"),
        }
    }
}

impl Finding {
    /// A finding about no kernel in particular.
    #[must_use]
    pub fn new(level: u8, subject: impl Into<String>, verdict: Verdict) -> Self {
        Self { level, subject: subject.into(), kernel: None, verdict }
    }

    /// The same, about a kernel.
    #[must_use]
    pub fn of(self, kernel: Option<&str>) -> Self {
        Self { kernel: kernel.map(str::to_owned), ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "level {}  {}  {}", self.level, self.subject, self.verdict)
    }
}

/// Whether a config's path or name is one of a flavour that is built without IPVS.
#[must_use]
pub fn is_exempt(patterns: &[String], path: &str) -> bool {
    patterns.iter().any(|pattern| Glob::new(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(path)))
}

/// Compares a config text with what is expected of it.
#[must_use]
pub fn config(level: u8, subject: &str, text: &[u8], expected: &[Setting]) -> Finding {
    let found: Vec<(String, bool)> = expected
        .iter()
        .map(|setting| {
            // kconfig writes `# CONFIG_X is not set`, or nothing at all when the dependencies of X are not met.
            let value = config::value(text, setting.symbol()).unwrap_or_else(|| "n".into());
            let same = value == setting.value();
            (format!("{}={value}", setting.symbol()), same)
        })
        .collect();
    let listed = |wrong_only: bool| {
        let shown = found.iter().filter(|(_, same)| !wrong_only || !same);
        shown.map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(" ")
    };
    let verdict = if found.iter().all(|(_, same)| *same) {
        Verdict::Holds { evidence: listed(false) }
    } else {
        let wrong = expected.iter().zip(&found).filter(|(_, (_, same))| !same);
        let expected = wrong.map(|(setting, _)| setting.to_string()).collect::<Vec<_>>().join(" ");
        Verdict::Differs { expected, found: listed(true) }
    };
    Finding::new(level, subject, verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_are_compared_symbol_by_symbol() {
        let expected = ["CONFIG_IP_VS_TAB_BITS=20".parse().unwrap(), "CONFIG_IP_VS_DEBUG=n".parse().unwrap()];
        let look = |text: &str| config(3, "x", text.as_bytes(), &expected).verdict;
        let held = look("CONFIG_IP_VS_TAB_BITS=20\n# CONFIG_IP_VS_DEBUG is not set\n");
        assert_eq!(held.to_string(), "holds: CONFIG_IP_VS_TAB_BITS=20 CONFIG_IP_VS_DEBUG=n");
        assert_eq!(look("CONFIG_IP_VS_TAB_BITS=20\n").holds(), Some(true));
        let wrong = look("CONFIG_IP_VS_TAB_BITS=18\nCONFIG_IP_VS_SH_TAB_BITS=20\n");
        assert_eq!(wrong.to_string(), "DIFFERS: expected CONFIG_IP_VS_TAB_BITS=20, found CONFIG_IP_VS_TAB_BITS=18");
        assert_eq!(look("").holds(), Some(false));
    }
}
