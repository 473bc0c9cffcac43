//! What programs and the names in `BuildRequires` are called on each kind of host: packages/*.toml, built in.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

/// The names on one kind of host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Packages {
    /// Packages by the name in a spec; none where every host has it.
    packages: BTreeMap<String, Vec<String>>,
    /// Packages by program.
    programs: BTreeMap<String, Vec<String>>,
}

/// The package managers of Debian; all others are of EL and Fedora.
const DEBIAN: &str = include_str!("../../packages/debian.toml");
const EL: &str = include_str!("../../packages/el.toml");

impl Packages {
    /// Returns the names on hosts with this package manager: `apt-get`, `dnf` or `yum`.
    #[must_use]
    pub fn of(manager: &str) -> &'static Self {
        static DEBIAN_NAMES: OnceLock<Packages> = OnceLock::new();
        static EL_NAMES: OnceLock<Packages> = OnceLock::new();
        let (cell, text) = if is_debian(manager) { (&DEBIAN_NAMES, DEBIAN) } else { (&EL_NAMES, EL) };
        // A test sees to it that both can be read.
        cell.get_or_init(|| {
            toml::from_str(text).unwrap_or(Self { packages: BTreeMap::new(), programs: BTreeMap::new() })
        })
    }

    /// Returns what a name in `BuildRequires` is here; `None` if that is not known.
    #[must_use]
    pub fn required(&self, name: &str) -> Option<&[String]> {
        self.packages.get(name).map(Vec::as_slice)
    }

    /// Returns the packages that bring a program.
    #[must_use]
    pub fn of_program(&self, name: &str) -> &[String] {
        self.programs.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Whether a package manager is Debian's.
#[must_use]
pub fn is_debian(manager: &str) -> bool {
    manager == "apt-get"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::probe::TOOLS;

    #[test]
    fn every_program_that_a_plan_may_name_has_a_package_on_both_kinds_of_host() {
        for manager in ["apt-get", "dnf"] {
            let publishing = ["createrepo_c", "modifyrepo_c", "rpmsign", "gpg"];
            for tool in TOOLS.iter().chain(&publishing).filter(|tool| **tool != "installkernel") {
                assert!(!Packages::of(manager).of_program(tool).is_empty(), "{manager}: {tool}");
            }
        }
        assert_eq!(Packages::of("apt-get").required("perl(ExtUtils::Embed)").unwrap(), ["libperl-dev"]);
        assert_eq!(Packages::of("apt-get").required("hmaccalc"), None);
    }
}
