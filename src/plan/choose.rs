//! Which recipe a source package is built by: the one asked for, the one that covers its release, or, for a family that
//! nobody wrote a recipe for, one whose ways its content follows in every point.

use super::{Error, Source, configs};
use crate::edit::config;
use crate::ipvs::bits::OPTION;
use crate::recipe::Recipe;
use crate::rpm::nvr::Nvr;

/// A recipe, and why it was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The recipe.
    pub recipe: Recipe,
    /// Why this one.
    pub why: String,
    /// What was taken for granted about a family that has no recipe; empty for one that has.
    pub assumed: Vec<String>,
}

impl Choice {
    /// Returns a choice that takes nothing for granted.
    #[must_use]
    pub fn certain(recipe: Recipe, why: String) -> Self {
        Self { recipe, why, assumed: Vec::new() }
    }

    /// Whether the family is one that no recipe names.
    #[must_use]
    pub fn is_detected(&self) -> bool {
        !self.assumed.is_empty()
    }
}

/// Returns the recipe that covers a release, if one does.
#[must_use]
pub fn by_release(recipes: &[Recipe], nvr: &Nvr) -> Option<Choice> {
    let recipe = recipes.iter().find(|recipe| recipe.covers(&nvr.name, &nvr.release))?;
    let why = format!("{} {} is {}", nvr.name, nvr.release, recipe.title);
    Some(Choice::certain(recipe.clone(), why))
}

/// Finds a recipe by what is in the source package. Goes on only if all that carries the option is what the recipe
/// edits, and all recipes that fit agree on it.
///
/// # Errors
/// Something is missing or not certain; says what was found.
pub fn by_content(recipes: &[Recipe], source: &Source, arch: &str) -> Result<Choice, Error> {
    let unknown = |missing: &str| Error::Unknown {
        nvr: source.header.nvr.to_string(),
        found: found(source),
        missing: missing.to_owned(),
    };
    if source.specs().count() != 1 {
        return Err(unknown("exactly one spec"));
    }
    let carriers = carriers(source);
    if carriers.is_empty() {
        let paths: Vec<String> = source.tree.keys().filter(|path| super::source::is_defconfig(path)).cloned().collect();
        if paths.is_empty() {
            return Err(unknown(&format!("a config source with {OPTION}")));
        }
        let hook = source.texts.keys().find(|file| *file == "linux-kernel-test.patch").cloned();
        return Err(Error::InTree { nvr: source.header.nvr.to_string(), paths, hook });
    }
    let fitting: Vec<(&Recipe, configs::Configs)> = recipes
        .iter()
        .filter(|recipe| recipe.arches.iter().any(|each| each == arch) && source.spec(recipe).is_ok())
        .filter_map(|recipe| Some((recipe, configs::choose(recipe, source, arch).ok()?)))
        .filter(|(_, configs)| {
            let known =
                |file: &&String| configs.edit.contains(file) || (configs.add && configs.precedence.contains(file));
            carriers.iter().all(|file| known(&file))
        })
        .collect();
    let Some((recipe, configs)) = fitting.last() else {
        return Err(unknown("a spec that treats its config sources as one of the known families does"));
    };
    if fitting.iter().any(|(_, other)| other.edit != configs.edit) {
        let names = fitting.iter().map(|(recipe, _)| recipe.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(unknown(&format!(
            "a sign that tells which of {names} it follows: they set the option in different files"
        )));
    }
    let mut recipe = (*recipe).clone();
    let like = recipe.name.clone();
    let why = format!("detected by content: {} is set as in {like}, {}", OPTION, configs.why);
    let assumed = vec![
        format!("profiles, `--with` and what is installed how are those of {like}"),
        "which packages come out is the spec's own word: no recipe says what must".to_owned(),
        format!("the merged configs are below BUILD where {like} leaves them"),
    ];
    // What is known of that family's packages and signers says nothing about this one's.
    recipe.packages.required.clear();
    recipe.trust.keys.clear();
    for profile in recipe.profiles.values_mut() {
        profile.packages.clear();
    }
    Ok(Choice { recipe, why, assumed })
}

/// Returns the config sources that have the option.
fn carriers(source: &Source) -> Vec<String> {
    source
        .texts
        .iter()
        .filter(|(_, text)| !config::values(text, OPTION).is_empty() && config::is_config(text))
        .map(|(file, _)| file.clone())
        .collect()
}

/// Says what was found, for the message of a refusal.
fn found(source: &Source) -> Vec<String> {
    let list = |files: Vec<String>| if files.is_empty() { "none".to_owned() } else { files.join(", ") };
    vec![
        format!("specs: {}", list(source.specs().cloned().collect())),
        format!("config sources with {OPTION}: {}", list(carriers(source))),
        format!("files of the kernel's tree that were read: {}", list(source.tree.keys().cloned().collect())),
    ]
}
