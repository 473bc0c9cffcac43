//! One cell: a release with a table, and how it is made.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ipvs::bits::Bits;

/// One kernel, or package, of a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cell {
    /// Its name, which is that of its directory, too: group, release, architecture if one is named, bits and route.
    pub name: String,
    /// Its group.
    pub group: String,
    /// What it is made from.
    pub source: Source,
    /// The table.
    pub bits: Bits,
    /// Architecture; `None` for that of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// The way to the table, as `--route` has it.
    pub route: String,
    /// The recipe that covers its release; `None` where the source package has to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// Further options of `kbuild ipvs`, in order of name.
    pub settings: Vec<Setting>,
}

/// What a cell is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A release whose source package is fetched.
    Release(String),
    /// A source package: a path or a URL.
    Srpm(String),
}

impl Source {
    /// Returns it as the word of a name.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Release(release) => release.clone(),
            Self::Srpm(srpm) => {
                let file = srpm.rsplit('/').next().unwrap_or(srpm);
                let stem = file.strip_suffix(".src.rpm").unwrap_or(file);
                let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-+~".contains(letter);
                stem.chars().map(|letter| if plain(letter) { letter } else { '_' }).collect()
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(text) | Self::Srpm(text) => f.write_str(text),
        }
    }
}

/// One option with its values, as the command line has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Setting {
    /// Its name, without dashes.
    pub option: String,
    /// Its values; none for one that takes none.
    pub values: Vec<String>,
}

impl Setting {
    /// Returns it as words of a command line.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        if self.values.is_empty() {
            return vec![format!("--{}", self.option)];
        }
        self.values.iter().map(|value| format!("--{}={value}", self.option)).collect()
    }
}

impl Cell {
    /// Returns the name that a cell of this kind has.
    #[must_use]
    pub fn name(group: &str, source: &Source, arch: Option<&str>, bits: Bits, route: &str) -> String {
        let arch = arch.map(|arch| format!("-{arch}")).unwrap_or_default();
        format!("{group}-{}{arch}-{bits}-{route}", source.word())
    }

    /// Returns the words of `kbuild ipvs` for it, but for where it works and where the results go.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let source = match &self.source {
            Source::Release(release) => format!("--release={release}"),
            Source::Srpm(srpm) => format!("--srpm={srpm}"),
        };
        let mut words = vec![format!("--bits={}", self.bits), source, format!("--route={}", self.route)];
        words.extend(self.arch.as_ref().map(|arch| format!("--arch={arch}")));
        words.extend(self.settings.iter().flat_map(Setting::words));
        words
    }

    /// Returns the whole command line, without the program: `kbuild ipvs …`.
    #[must_use]
    pub fn command(&self, work: &Path, out: &Path) -> Vec<String> {
        let mut words = vec!["ipvs".to_owned()];
        words.extend(self.words());
        let is_compiled = self.setting("mode").is_none_or(|mode| mode != ["srpm"]);
        if self.route == "kernel" && is_compiled && self.setting("cache").is_none() {
            // The next cell in this place goes on in its tree.
            words.push("--cache=tree".into());
        }
        words.push(format!("--work={}", work.display()));
        words.push(format!("--out={}", self.out(out).display()));
        words
    }

    /// Returns where its results are, below those of the fleet.
    #[must_use]
    pub fn out(&self, out: &Path) -> PathBuf {
        out.join(&self.name)
    }

    /// Returns the values of an option, if it is set.
    #[must_use]
    pub fn setting(&self, option: &str) -> Option<&[String]> {
        self.settings.iter().find(|setting| setting.option == option).map(|setting| setting.values.as_slice())
    }

    /// Returns which packages it makes, as recipes call that.
    #[must_use]
    pub fn profile(&self) -> &str {
        self.setting("profile").and_then(|values| values.first()).map_or("full", String::as_str)
    }

    /// Whether another cell differs from this one in its table alone, so that the two can go on in one tree.
    #[must_use]
    pub fn is_variant(&self, other: &Self) -> bool {
        self.group == other.group
            && self.source == other.source
            && self.arch == other.arch
            && self.route == other.route
            && self.settings == other.settings
    }
}

#[cfg(test)]
impl Cell {
    /// A cell of a release for tests, with nothing set.
    pub(crate) fn of(group: &str, release: &str, bits: u8, route: &str) -> Self {
        let source = Source::Release(release.into());
        let bits = bits.try_into().unwrap();
        Self {
            name: Self::name(group, &source, None, bits, route),
            group: group.into(),
            source,
            bits,
            arch: None,
            route: route.into(),
            recipe: None,
            settings: vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_a_command_line() {
        let source = Source::Srpm("https://x.example/a b/kernel-1-2.el6.src.rpm".into());
        let bits = Bits::try_from(20).unwrap();
        let cell = Cell {
            name: Cell::name("g", &source, Some("x86_64"), bits, "kernel"),
            group: "g".into(),
            source,
            bits,
            arch: Some("x86_64".into()),
            route: "kernel".into(),
            recipe: None,
            settings: vec![
                Setting { option: "boot".into(), values: vec![] },
                Setting { option: "set".into(), values: vec!["CONFIG_A=y".into(), "CONFIG_B=m".into()] },
            ],
        };
        assert_eq!(cell.name, "g-kernel-1-2.el6-x86_64-20-kernel");
        let words = cell.command("/w".as_ref(), "/o".as_ref());
        assert_eq!(
            words,
            [
                "ipvs",
                "--bits=20",
                "--srpm=https://x.example/a b/kernel-1-2.el6.src.rpm",
                "--route=kernel",
                "--arch=x86_64",
                "--boot",
                "--set=CONFIG_A=y",
                "--set=CONFIG_B=m",
                "--cache=tree",
                "--work=/w",
                "--out=/o/g-kernel-1-2.el6-x86_64-20-kernel"
            ]
        );
        assert_eq!(Source::Srpm("/x/a b?.src.rpm".into()).word(), "a_b_");
    }
}
