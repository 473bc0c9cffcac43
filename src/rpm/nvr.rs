//! Names of packages and the buildid in them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Name, version and release of a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Nvr {
    /// Such as `kernel`.
    pub name: String,
    /// Such as `2.6.32`.
    pub version: String,
    /// Such as `220.13.1.el6`.
    pub release: String,
}

impl fmt::Display for Nvr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.name, self.version, self.release)
    }
}

/// A buildid such as `.ipvs_20bit`: what is added to the release so that the packages are never taken for the
/// distribution's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BuildId(String);

/// Why a text is not a [`BuildId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a buildid of a dot and letters, digits, `.`, `_`, `+` or `~`, such as `.ipvs_20bit`, found `{0}`")]
pub struct BuildIdError(String);

impl BuildId {
    /// Returns the text, with its dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BuildId {
    type Err = BuildIdError;

    /// Parses a buildid. `-` would break the release, as rpm splits names at it.
    fn from_str(text: &str) -> Result<Self, BuildIdError> {
        let rest = text.strip_prefix('.').unwrap_or_default();
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._+~".contains(&byte);
        if rest.starts_with(|first: char| first.is_ascii_alphanumeric()) && rest.bytes().all(legal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BuildIdError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for BuildId {
    type Error = BuildIdError;

    fn try_from(text: String) -> Result<Self, BuildIdError> {
        text.parse()
    }
}

impl From<BuildId> for String {
    fn from(buildid: BuildId) -> Self {
        buildid.0
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buildids_are_checked() {
        for good in [".ipvs_20bit", ".a", ".1+b~c.d"] {
            assert_eq!(good.parse::<BuildId>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "ipvs", ".a-b", ".a b", "..a", ".a/b", ".%{x}"] {
            assert!(bad.parse::<BuildId>().is_err(), "{bad}");
        }
    }
}
