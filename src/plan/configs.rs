//! Which config sources are edited, and what is merged over them: the recipe's ways, tried on the files of the source
//! package.

use regex::bytes::Regex;

use super::{Error, Source};
use crate::edit::config;
use crate::ipvs::bits::{MODULE, OPTION};
use crate::recipe::{self, ConfigSource, Recipe};

/// The way that fits a source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Configs {
    /// Which way it is and what in the package says that it works, for people.
    pub(super) why: String,
    /// The files that are edited.
    pub(super) edit: Vec<String>,
    /// Whether the option is added where a file does not have it.
    pub(super) add: bool,
    /// The files that are merged over each other, strongest first.
    pub(super) precedence: Vec<String>,
    /// Files that would be edited but are of a kernel without IPVS.
    pub(super) without_ipvs: Vec<String>,
}

/// Returns the first of the recipe's ways that fits the source package.
///
/// # Errors
/// None fits, or the files of the one that does are not there or do not have the option.
pub(super) fn choose(recipe: &Recipe, source: &Source, arch: &str) -> Result<Configs, Error> {
    let mut reasons = Vec::new();
    for way in &recipe.option.sources {
        match fits(way, source, arch) {
            Ok(proof) => return configs(recipe, way, &proof, source, arch),
            Err(reason) => reasons.push(format!("{}: {reason}", way.name)),
        }
    }
    Err(Error::NoWay { srpm: source.header.nvr.to_string(), recipe: recipe.name.clone(), reasons })
}

/// Says what in the package shows that this way works, or what is missing for it.
fn fits(way: &ConfigSource, source: &Source, arch: &str) -> Result<String, String> {
    if let Some(missing) = way.has.iter().find(|pattern| matching(pattern, source, arch).is_empty()) {
        return Err(format!("there is no `{missing}`"));
    }
    let Some(pattern) = &way.spec else { return Ok(String::new()) };
    let line = Regex::new(pattern).ok().and_then(|pattern| source.spec_line(&pattern));
    let (file, number) = line.ok_or_else(|| format!("no line of the spec matches `{pattern}`"))?;
    Ok(format!(" (`{file}`, line {number})"))
}

fn configs(recipe: &Recipe, way: &ConfigSource, proof: &str, source: &Source, arch: &str) -> Result<Configs, Error> {
    let mut chosen = Configs {
        why: format!("{}{proof}", way.name),
        edit: Vec::new(),
        add: way.add,
        precedence: each(&way.precedence, source, arch),
        without_ipvs: Vec::new(),
    };
    let files = each(&way.edit, source, arch);
    if files.is_empty() && !way.edit.is_empty() {
        let file = way.edit.join("`, `").replace("{arch}", arch).replace("{version}", &source.header.nvr.version);
        return Err(Error::NoFile { srpm: source.header.nvr.to_string(), file, recipe: recipe.name.clone() });
    }
    for file in files {
        let text = source.texts.get(&file).map(Vec::as_slice).unwrap_or_default();
        let has_ipvs = config::value(text, MODULE).is_some_and(|value| value != "n");
        if way.add || has_ipvs || !config::values(text, OPTION).is_empty() {
            chosen.edit.push(file);
        } else {
            chosen.without_ipvs.push(file);
        }
    }
    if chosen.edit.is_empty() && !chosen.without_ipvs.is_empty() {
        // The first one says in its own words that the option is not there.
        chosen.edit = chosen.without_ipvs.drain(..1).collect();
    }
    Ok(chosen)
}

impl Configs {
    /// Returns those of the edited files that are the architecture's own, or all if files are not by architecture:
    /// another option than the table size may not exist on the others.
    pub(super) fn of_arch(&self, arch: &str) -> Vec<String> {
        let own: Vec<String> = self.edit.iter().filter(|file| is_of(file, arch)).cloned().collect();
        if own.is_empty() { self.edit.clone() } else { own }
    }

    /// Returns the files that are merged over the edited ones, strongest first.
    pub(super) fn stronger(&self) -> impl Iterator<Item = &String> {
        self.precedence.iter().take_while(|file| !self.edit.contains(file))
    }

    /// Returns the file that builds IPVS into the kernel for this architecture, where its table cannot be proved.
    pub(super) fn built_in(&self, source: &Source, arch: &str) -> Option<String> {
        let value = |file: &String| config::value(source.texts.get(file)?, MODULE);
        let own = self.of_arch(arch);
        let decides = self.stronger().find(|file| value(file).is_some());
        decides
            .into_iter()
            .chain(own.iter().filter(|_| decides.is_none()))
            .find(|file| value(file).is_some_and(|value| value == "y"))
            .cloned()
    }

    /// Returns those of the files that are merged over the edited ones and set the option to something else, with
    /// what they set.
    pub(super) fn overrides(&self, source: &Source, wanted: &str) -> Vec<(String, String)> {
        self.stronger()
            .filter_map(|file| {
                let value = config::value(source.texts.get(file)?, OPTION)?;
                (value != wanted).then(|| (file.clone(), value))
            })
            .collect()
    }
}

/// Whether a file's name has the architecture as a part of its own: `kernel-x86_64-debug.config`.
pub(super) fn is_of(file: &str, arch: &str) -> bool {
    file.match_indices(arch).any(|(at, _)| {
        let before = file.get(..at).and_then(|text| text.chars().next_back());
        let after = file.get(at + arch.len()..).and_then(|text| text.chars().next());
        [before, after].into_iter().flatten().all(|sign| !sign.is_ascii_alphanumeric() && sign != '_')
    })
}

/// Returns the files that match any of the patterns, in the order of the patterns, each once.
fn each(patterns: &[String], source: &Source, arch: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for pattern in patterns {
        for file in matching(pattern, source, arch) {
            if !all.contains(&file) {
                all.push(file);
            }
        }
    }
    all
}

fn matching(pattern: &str, source: &Source, arch: &str) -> Vec<String> {
    let Ok(glob) = recipe::glob(pattern, arch, &source.header.nvr.version) else { return Vec::new() };
    source.texts.keys().filter(|file| glob.is_match(file)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_are_parts_of_a_name() {
        assert!(is_of("kernel-x86_64-debug.config", "x86_64"));
        assert!(is_of("config-x86_64", "x86_64"));
        assert!(!is_of("kernel-3.10.0-ppc64le.config", "ppc64"));
        assert!(is_of("kernel-3.10.0-ppc64-debug.config", "ppc64"));
        assert!(!is_of("config-generic", "x86_64"));
    }
}
