//! What is known of a family of kernels, as data: recipes/*.toml, built in, replaceable with `--recipe FILE`.

pub mod builtin;
mod check;
mod raw;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range as Span;

use serde::{Deserialize, Serialize};

use crate::ipvs::bits::Range;

/// A checked recipe. What each part means is explained in recipes/el6.toml.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Recipe {
    /// Short name, as on the command line.
    pub name: String,
    /// What it covers, for people.
    pub title: String,
    /// The part of the release that tells the family, such as `el6`.
    pub dist: String,
    /// Architectures that can be built.
    pub arches: Vec<String>,
    /// The spec and its places to edit.
    pub spec: Spec,
    /// Where the option lives and what can override it.
    pub option: OptionPlace,
    /// How rpmbuild is called.
    pub build: Build,
    /// What each profile adds to that.
    pub profiles: BTreeMap<String, Profile>,
    /// What comes out.
    pub packages: Packages,
    /// Keys that sign the family's source packages.
    pub keys: Vec<PinnedKey>,
    /// SHA-256 of the recipe's text.
    pub sha256: String,
}

/// The spec and its places to edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Spec {
    /// File name in the source package.
    pub file: String,
    /// Where the release carries the buildid.
    pub buildid: BuildidPlace,
    /// File that the spec applies as a patch when it is not empty.
    pub patch_hook: String,
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

/// Where the option lives and what can override it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OptionPlace {
    /// Files that are edited; each has the option exactly once.
    pub files: Vec<String>,
    /// Files merged over each other, strongest first; `{arch}` stands for the architecture.
    pub precedence: Vec<String>,
    /// Glob of the merged configs below BUILD; `{arch}` stands for the architecture.
    pub resolved: String,
    /// Values that the family's kernels accept, unless their own sources say otherwise.
    pub range: Range,
    /// The first release in which the size is a module parameter.
    pub parameter_since: Option<String>,
}

/// How rpmbuild is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Build {
    /// `--with` of every build.
    #[serde(default)]
    pub with: Vec<String>,
    /// `--define`s of every build, name to value.
    #[serde(default)]
    pub defines: BTreeMap<String, String>,
}

/// What a profile adds to [`Build`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Profile {
    /// More `--with`.
    #[serde(default)]
    pub with: Vec<String>,
    /// `--without`.
    #[serde(default)]
    pub without: Vec<String>,
}

/// What comes out of a build, and how it is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Packages {
    /// Packages that every build must yield.
    pub required: Vec<String>,
    /// Packages installed beside older ones, with `rpm -i`.
    pub install: Vec<String>,
    /// Packages that replace older ones, with `rpm -U`.
    pub update: Vec<String>,
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

/// Why a text is no recipe: all its problems at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The file, or `built in`.
    pub origin: String,
    /// What is wrong, each rendered with its line.
    pub problems: Vec<String>,
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the recipe `{}` is not valid", self.origin)?;
        for problem in &self.problems {
            write!(f, "\n{}", problem.trim_end())?;
        }
        Ok(())
    }
}

impl Recipe {
    /// Parses and checks a recipe; `origin` is the file's name for messages.
    ///
    /// # Errors
    /// It is not TOML, has unknown or missing keys, or values that cannot be; all of them at once where TOML allows.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Error> {
        check::check(text, origin)
    }

    /// Whether this recipe is for a release such as `220.13.1.el6`.
    #[must_use]
    pub fn covers(&self, release: &str) -> bool {
        release
            .split('.')
            .any(|part| part == self.dist || part.strip_prefix(&self.dist).is_some_and(|rest| rest.starts_with('_')))
    }
}

/// Renders a problem with its line, as the TOML parser renders its own.
fn snippet(text: &str, span: &Span<usize>, message: &str) -> String {
    let before = text.get(..span.start).unwrap_or(text);
    let number = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let width = span.len().clamp(1, line.len().saturating_sub(column).max(1));
    let margin = number.to_string().len();
    format!(
        "TOML value error at line {number}, column {}\n{:margin$} |\n{number} | {line}\n{:margin$} | {:column$}{}\n{message}\n",
        column + 1,
        "",
        "",
        "",
        "^".repeat(width),
    )
}
