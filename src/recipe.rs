//! What is known of a family of kernels, as data: recipes/*.toml, built in, replaceable with `--recipe FILE`.

pub mod builtin;
pub(crate) mod check;
pub(crate) mod keys;
pub mod packages;
pub mod table;
mod told;

use std::collections::BTreeMap;
use std::fmt;

use globset::{Glob, GlobBuilder, GlobMatcher};
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::ipvs::bits::Range;
use crate::rpm::nvr::Nvr;

/// A checked recipe. What each part means is explained in recipes/el6.toml and in `recipe/keys.rs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Recipe {
    /// Version of the format.
    schema: u32,
    /// Short name, as on the command line.
    pub name: String,
    /// What it covers, for people.
    pub title: String,
    /// The built-in recipe that says the rest.
    pub extends: Option<String>,
    /// Architectures that can be built.
    pub arches: Vec<String>,
    /// What `uname -r` says: `{version}`, `{release}`, `{arch}`.
    pub uname_r: String,
    /// Which source packages it is for.
    pub release: ReleaseRule,
    /// The spec and its places to edit.
    pub spec: Spec,
    /// Where the option lives and what can override it.
    pub option: OptionRule,
    /// How rpmbuild is called.
    pub build: Build,
    /// What each profile adds to that.
    pub profiles: BTreeMap<String, Profile>,
    /// What comes out.
    pub packages: Packages,
    /// What `--with` and `--without` can change.
    pub switches: Switches,
    /// What has to be installed to build, by package manager.
    pub requires: Requires,
    /// How much of a machine a build takes.
    pub needs: Needs,
    /// What the package with `ip_vs.ko` alone is to be.
    #[serde(default)]
    pub module: ModuleRule,
    /// Where source packages are to be had.
    pub vault: Vault,
    /// Keys that sign the family's source packages.
    pub trust: Trust,
    /// What the table in README.md says.
    pub example: Example,
    /// SHA-256 of the recipe's text, and of those that it extends.
    #[serde(skip)]
    pub sha256: String,
}

/// Which source packages a recipe is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReleaseRule {
    /// Their names, such as `kernel`.
    pub names: Vec<String>,
    /// Matches a whole part of the release, such as `el8_2`.
    pub dist: String,
}

/// The spec and its places to edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Spec {
    /// Glob of its name in the source package.
    pub file: String,
    /// Where the release carries the buildid.
    pub buildid: BuildidPlace,
    /// Who defines `%dist`.
    pub dist: DistPlace,
    /// File that the spec applies as a patch when it is not empty.
    pub patch_hook: Option<String>,
}

/// Where a family's release carries the buildid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildidPlace {
    /// `220.13.1.el6.ipvs_20bit` (el5 to el8).
    AfterDist,
    /// `284.11.1.ipvs_20bit.el9_2` (el9 on, Fedora).
    BeforeDist,
}

/// Who defines `%dist`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DistPlace {
    /// The spec itself.
    Spec,
    /// The host that builds: it has to be told the one of the source package.
    Host,
}

/// Where the option lives and what can override it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OptionRule {
    /// Values that the family's kernels accept, unless their own sources say otherwise.
    pub range: Range,
    /// The first release in which the size is a module parameter.
    pub parameter_since: Option<String>,
    /// What a kernel does with a value of the parameter outside the range, as sentences.
    pub outside: Option<String>,
    /// Globs of the merged configs below BUILD.
    pub resolved: Vec<String>,
    /// Globs of configs of flavours that are built without IPVS.
    #[serde(default)]
    pub exempt: Vec<String>,
    /// The ways to set it, best first.
    pub sources: Vec<ConfigSource>,
}

/// One way to set the option. In its globs `{arch}` and `{version}` stand for the kernel's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConfigSource {
    /// Which way this is, for people.
    pub name: String,
    /// Files that the source package must have.
    #[serde(default)]
    pub has: Vec<String>,
    /// Matches the line of the spec that makes this way work.
    pub spec: Option<String>,
    /// Files that are edited.
    pub edit: Vec<String>,
    /// Whether the option is added to a file that does not have it.
    #[serde(default)]
    pub add: bool,
    /// Files merged over each other, strongest first.
    pub precedence: Vec<String>,
}

/// How rpmbuild is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Build {
    /// `--with` of every build.
    #[serde(default)]
    pub with: Vec<String>,
    /// `--without` of every build.
    #[serde(default)]
    pub without: Vec<String>,
    /// `--define`s of every build, name to value.
    #[serde(default)]
    pub defines: BTreeMap<String, String>,
    /// The macro that holds the distribution's number, such as `rhel`.
    pub number: Option<String>,
    /// `_binary_payload`, unless the spec defines it; nothing for the building host's.
    #[serde(default)]
    pub payload: Option<String>,
    /// The chroot of mock that builds the family; `{arch}` and `{number}` stand for what they are called in it.
    #[serde(default)]
    pub mock: Option<String>,
}

/// What a profile adds to [`Build`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Profile {
    /// More `--with`.
    #[serde(default)]
    pub with: Vec<String>,
    /// More `--without`.
    #[serde(default)]
    pub without: Vec<String>,
    /// Packages that come out on `x86_64`, beside the required ones.
    #[serde(default)]
    pub packages: Vec<String>,
    /// `_binary_payload` in place of [`Build`]'s.
    #[serde(default)]
    pub payload: Option<String>,
}

/// What comes out of a build, and how it is installed. `{name}` stands for the source package's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Packages {
    /// Packages that every build must yield.
    pub required: Vec<String>,
    /// Packages installed beside older ones, with `rpm -i`.
    pub install: Vec<String>,
    /// Packages that replace older ones, with `rpm -U`.
    pub update: Vec<String>,
    /// Packages with the kernel's config.
    pub config: Vec<String>,
    /// Packages with `ip_vs.ko`.
    pub module: Vec<String>,
}

/// What `--with` and `--without` can change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Switches {
    /// Built unless left out.
    pub on: Vec<String>,
    /// Built only if asked for.
    pub off: Vec<String>,
}

/// What has to be installed to build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Requires {
    /// Packages of EL and Fedora.
    pub dnf: Vec<String>,
    /// Packages of Debian.
    pub apt: Vec<String>,
}

/// How much of a machine a build takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Needs {
    /// Room in the work directory by profile, as a multiple of the source package's size.
    pub disk: BTreeMap<String, u64>,
    /// Memory for each job, in megabytes.
    pub memory: u64,
}

/// What the package with `ip_vs.ko` alone is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ModuleRule {
    /// What it requires: `{name}`, `{version}`, `{release}`, `{arch}` and `{uname_r}` are the kernel's.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Whether the family's rpm reads only what rpm 4.4 does.
    #[serde(default)]
    pub old_rpm: bool,
}

/// Where source packages are to be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Vault {
    /// First number of a release to the point release, such as `220` to `6.2`.
    #[serde(default)]
    pub points: BTreeMap<String, String>,
    /// Where to look, in order.
    pub urls: Vec<String>,
    /// Where to look for kernel-devel, in order.
    #[serde(default)]
    pub devel: Vec<String>,
}

/// Keys that sign the family's source packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Trust {
    /// The keys.
    pub keys: Vec<PinnedKey>,
    /// Where the keys are to be had, in order.
    #[serde(default)]
    pub urls: Vec<String>,
    /// SHA-256 of source packages by name, version and release: all the contents that one is known to have had.
    #[serde(default)]
    pub sha256: BTreeMap<String, Vec<String>>,
}

/// A key that signs the family's source packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PinnedKey {
    /// Whose it is.
    pub name: String,
    /// Primary key fingerprint: 40 upper-case hexadecimal digits.
    pub fingerprint: String,
}

/// What the table in README.md says of a family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Example {
    /// A source package of the family.
    pub nvr: String,
    /// What `--with firmware` does.
    pub firmware: String,
    /// Where `%dist` comes from.
    pub dist: String,
}

/// One thing that is wrong with a recipe, or with another file of such keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, as line and column from 1, if it has a place.
    pub place: Option<(usize, usize)>,
    /// The line, the place in it, what was expected and found, and what to do: ready to print.
    pub text: String,
}

/// Why a text is no recipe, no signatures or no fleet file: all its problems at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What it is not, with its name: ``the recipe `el6.toml` is not valid``.
    pub verdict: String,
    /// What is wrong, in order of place.
    pub problems: Vec<Problem>,
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let problems = if count == 1 { "one problem".to_owned() } else { format!("{count} problems") };
        write!(f, "{}: {problems}", self.verdict)?;
        for problem in &self.problems {
            write!(f, "\n\n{}", problem.text.trim_end())?;
        }
        Ok(())
    }
}

impl Recipe {
    /// Parses and checks a recipe; `origin` is the file's name for messages.
    ///
    /// # Errors
    /// It is not TOML, has unknown or missing keys, or values that cannot be: all of them at once.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Error> {
        check::check(text, origin)
    }

    /// Whether this recipe is for a source package of this name with a release such as `220.13.1.el6`.
    #[must_use]
    pub fn covers(&self, name: &str, release: &str) -> bool {
        self.release.names.iter().any(|each| each == name) && self.dist(release).is_some()
    }

    /// Returns where the part of a release that tells the family begins: at its dot.
    #[must_use]
    pub fn dist(&self, release: &str) -> Option<usize> {
        let whole = Regex::new(&format!("^(?:{})$", self.release.dist)).ok()?;
        release.match_indices('.').map(|(at, _)| at).find(|at| {
            let rest = release.get(at + 1..).unwrap_or_default();
            whole.is_match(rest.split('.').next().unwrap_or_default())
        })
    }

    /// Returns the digests that a source package may have; none if it is not pinned.
    #[must_use]
    pub fn pinned_digests(&self, nvr: &Nvr) -> &[String] {
        self.trust.sha256.get(&nvr.to_string()).map_or(&[], Vec::as_slice)
    }

    /// Returns a release with the buildid where the family carries it.
    #[must_use]
    pub fn marked(&self, release: &str, buildid: &str) -> String {
        match (self.spec.buildid, self.dist(release)) {
            (BuildidPlace::BeforeDist, Some(at)) => {
                let (number, dist) = release.split_at(at);
                format!("{number}{buildid}{dist}")
            }
            (BuildidPlace::AfterDist, _) | (_, None) => format!("{release}{buildid}"),
        }
    }

    /// Returns what `uname -r` says of such a kernel.
    #[must_use]
    pub fn uname_r(&self, version: &str, release: &str, arch: &str) -> String {
        self.uname_r.replace("{version}", version).replace("{release}", release).replace("{arch}", arch)
    }
}

/// Returns a glob of a recipe with its placeholders filled in; `*` stops at no `/`.
///
/// # Errors
/// It is no glob, which the check of a recipe rules out.
pub fn glob(pattern: &str, arch: &str, version: &str) -> Result<GlobMatcher, globset::Error> {
    let filled = pattern.replace("{arch}", arch).replace("{version}", version);
    GlobBuilder::new(&filled).build().map(|glob: Glob| glob.compile_matcher())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builtin(name: &str) -> Recipe {
        builtin::all().unwrap().into_iter().find(|recipe| recipe.name == name).unwrap()
    }

    #[test]
    fn the_number_of_the_distribution_comes_from_the_release() {
        assert_eq!(builtin("fedora").defines("301.fc41").get("fedora").map(String::as_str), Some("41"));
        assert_eq!(builtin("el10").defines("211.37.1.el10_2").get("rhel").map(String::as_str), Some("10"));
        assert_eq!(builtin("el8").defines("80.el8").get("rhel").map(String::as_str), Some("8"));
        assert!(builtin("el6").defines("220.el6").is_empty());
    }

    #[test]
    fn each_release_has_one_recipe() {
        for (nvr, family) in [
            ("kernel-2.6.18-308.13.1.el5", "el5"),
            ("kernel-2.6.32-754.35.1.el6.centos.plus", "el6"),
            ("kernel-3.10.0-1160.119.1.el7_9.ciqcbr.3.1", "el7"),
            ("kernel-4.18.0-553.el8_10", "el8"),
            ("kernel-5.14.0-362.24.1.el9_3.0.1", "el9"),
            ("kernel-6.12.0-55.9.1.el10_0", "el10"),
            ("kernel-3.17.6-200.fc20", "fedora"),
            ("kernel-ml-5.2.0-1.el7.elrepo", "elrepo"),
            ("kernel-uek-5.15.0-206.153.7.el9uek", "uek"),
        ] {
            let (rest, release) = nvr.rsplit_once('-').unwrap();
            let (name, _) = rest.rsplit_once('-').unwrap();
            let recipes = builtin::all().unwrap();
            let covering: Vec<_> = recipes.iter().filter(|recipe| recipe.covers(name, release)).collect();
            assert_eq!(covering.iter().map(|recipe| recipe.name.as_str()).collect::<Vec<_>>(), [family], "{nvr}");
        }
    }
}
