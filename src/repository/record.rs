//! What a repository knows of itself: packages.json, which lies in repodata and so changes in one step with it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ipvs::bits::Bits;
use crate::plan::Route;
use crate::rpm::nvr::Nvr;

/// The version of the record's format.
pub const SCHEMA: u32 = 1;
/// The name of the record, in repodata and, for people, in kbuild/.
pub const RECORD: &str = "packages.json";

/// What is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Record {
    /// Version of this format.
    pub schema: u32,
    /// Version of kbuild.
    pub kbuild: String,
    /// How many times something was published here, from 1.
    pub generation: u64,
    /// When this was (UTC, RFC 3339).
    pub published: String,
    /// The primary fingerprint of the key that signs; nothing where nothing is signed.
    pub key: Option<String>,
    /// The kernels, by name, version, release and architecture.
    pub builds: BTreeMap<String, Build>,
    /// The packages, in order of file name.
    pub packages: Vec<Published>,
    /// Files that the metadata names no more: they stay for those who still have the metadata before this one.
    pub retired: Vec<String>,
    /// Files whose time is over: they go as soon as this record counts.
    pub gone: Vec<String>,
}

/// One run of `kbuild ipvs` whose packages are here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Build {
    /// Name, version and release of the kernel, or of the one package.
    pub nvr: Nvr,
    /// Architecture.
    pub arch: String,
    /// The way that was taken.
    pub route: Route,
    /// The table's bits.
    pub bits: Bits,
    /// What its `uname -r` says.
    pub uname_r: String,
    /// The distribution's kernel that it was built from, if a source package was used.
    pub base: Option<Nvr>,
    /// SHA-256 of its manifest.json, which is in kbuild/ below the name of the build.
    pub manifest: String,
    /// What each level of the proof said: how many looks, all of which held.
    pub proof: BTreeMap<u8, usize>,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Published {
    /// Its file name, as rpm makes it of name, version, release and architecture.
    pub file: String,
    /// Name, version and release.
    pub nvr: Nvr,
    /// Architecture.
    pub arch: String,
    /// Where it is, below the repository.
    pub location: String,
    /// Its size in bytes.
    pub size: u64,
    /// When the file was changed last, in seconds since 1970.
    pub modified: u64,
    /// SHA-256 as it was built and proved.
    pub built: String,
    /// SHA-256 as it is here, signed.
    pub sha256: String,
    /// The primary fingerprint of the key that signed it; nothing if it is not signed.
    pub signed: Option<String>,
    /// Whether a kernel's image is in it.
    pub image: bool,
    /// Whether dnf installs it beside earlier ones.
    pub install_only: bool,
    /// The builds that it came out of; several where those of more than one architecture have it in common.
    pub builds: BTreeSet<String>,
}

impl Build {
    /// Returns the name under which the record and kbuild/ have it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}.{}", self.nvr, self.arch)
    }

    /// Returns what a line of kernels has in common: name, architecture, and distribution as `%dist` has it (`el6`).
    #[must_use]
    pub fn line(&self) -> (String, String, String) {
        (self.nvr.name.clone(), self.arch.clone(), dist(&self.nvr.release).unwrap_or_default().to_owned())
    }
}

/// Returns the distribution in a release: `el6` of `220.13.1.el6.ipvs_20bit`, `el8` of `193.el8_2`.
#[must_use]
pub fn dist(release: &str) -> Option<&str> {
    release.split(['.', '_', '+']).find_map(|part| {
        let digits = part.strip_prefix("el").or_else(|| part.strip_prefix("fc"))?;
        let length = digits.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(digits.len());
        (length > 0).then(|| part.get(..2 + length))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_is_read_out_of_the_release() {
        for (release, expected) in [
            ("220.13.1.el6.ipvs_20bit", Some("el6")),
            ("284.11.1.ipvs_20bit.el9_2", Some("el9")),
            ("193.28.1.el8_2.ipvs_20bit", Some("el8")),
            ("306.14.el8uek", Some("el8")),
            ("200.fc38", Some("fc38")),
            ("1.elrepo", None),
            ("1", None),
        ] {
            assert_eq!(dist(release), expected, "{release}");
        }
    }
}
