//! Which recipe a source package is built by: the one asked for, the one that covers its release, or, for a family that
//! nobody wrote a recipe for, one whose ways its content follows in every point.

use super::request::Patch;
use super::{Error, Source, configs};
use crate::edit::config;
use crate::ipvs::bits::OPTION;
use crate::recipe::{Build, BuildidPlace, ConfigSource, DistPlace, Profile, Recipe, Spec};
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
/// edits, and all recipes that fit agree on it; or if the option is in the kernel's tree, the user's patches set it there,
/// and the spec has a hook for them.
///
/// # Errors
/// Something is missing or not certain; says what was found.
pub fn by_content(recipes: &[Recipe], source: &Source, arch: &str, patches: &[Patch]) -> Result<Choice, Error> {
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
        let hook = source.texts.contains_key(HOOK).then(|| HOOK.to_owned());
        let set_in = paths.iter().find(|path| patches.iter().any(|each| sets_option(&each.text, path)));
        return match (recipes.first(), &hook, set_in) {
            (Some(recipe), Some(_), Some(path)) => Ok(in_tree(recipe, source, arch, path)),
            _ => Err(Error::InTree { nvr: source.header.nvr.to_string(), paths, hook }),
        };
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
    let Some((recipe, configs)) = fitting.first() else {
        return Err(unknown("a spec that treats its config sources as one of the known families does"));
    };
    if fitting.iter().any(|(_, other)| other.edit != configs.edit) {
        let names = fitting.iter().map(|(recipe, _)| recipe.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(unknown(&format!(
            "a sign that tells which of {names} it follows: they set the option in different files"
        )));
    }
    let like = &recipe.name;
    Ok(Choice {
        why: format!("detected by content: {OPTION} is set as in {like}, {}", configs.why),
        assumed: vec![
            format!("profiles, `--with` and what is installed how are those of {like}"),
            "which packages come out is the spec's own word: no recipe says what must".to_owned(),
            format!("the merged configs are below BUILD where {like} leaves them"),
        ],
        recipe: without_promises(recipe),
    })
}

/// The name of the hook that the families leave for a patch.
const HOOK: &str = "linux-kernel-test.patch";

/// Whether a patch sets the option in this file of the tree.
fn sets_option(diff: &str, path: &str) -> bool {
    let mut inside = false;
    diff.lines().any(|line| {
        if let Some(file) = line.strip_prefix("+++ ") {
            inside = file.split_whitespace().next().is_some_and(|file| file.ends_with(path));
        }
        inside && line.starts_with(&format!("+{OPTION}="))
    })
}

/// A family that keeps its configuration in the kernel's tree, where the user's patch changes it.
fn in_tree(like: &Recipe, source: &Source, arch: &str, path: &str) -> Choice {
    let mut recipe = without_promises(like);
    "other".clone_into(&mut recipe.name);
    recipe.arches = vec![arch.to_owned()];
    "{version}-{release}.{arch}".clone_into(&mut recipe.uname_r);
    recipe.spec = Spec {
        file: source.specs().next().cloned().unwrap_or_default(),
        buildid: BuildidPlace::AfterDist,
        dist: DistPlace::Host,
        patch_hook: Some(HOOK.to_owned()),
    };
    recipe.option.resolved =
        ["*/linux-*/configs/*.config", "*/linux-*/.config", "linux-*/.config", "*/.config"].map(str::to_owned).into();
    recipe.option.exempt.clear();
    recipe.option.sources = vec![ConfigSource {
        name: format!("`{path}` in the kernel's tree, by `--patch` through {HOOK}"),
        has: Vec::new(),
        spec: None,
        edit: Vec::new(),
        add: false,
        precedence: Vec::new(),
    }];
    recipe.build = Build {
        with: Vec::new(),
        without: Vec::new(),
        defines: std::collections::BTreeMap::new(),
        number: None,
        payload: None,
        mock: None,
    };
    recipe.profiles.values_mut().for_each(|profile| *profile = Profile::default());
    Choice {
        why: format!("detected by content: {OPTION} is in `{path}` of the kernel's tree, and `--patch` sets it there"),
        assumed: vec![
            format!("the spec applies {HOOK}; the prep gate will see whether it did"),
            "the merged config is the .config in the top of the tree, or in configs/".to_owned(),
            "profiles change nothing: all that the spec makes is made".to_owned(),
        ],
        recipe,
    }
}

/// What is known of another family's packages and signers says nothing about this one's.
fn without_promises(recipe: &Recipe) -> Recipe {
    let mut recipe = recipe.clone();
    recipe.packages.required.clear();
    recipe.trust.keys.clear();
    recipe.option.outside = None;
    recipe.build.mock = None;
    recipe.profiles.values_mut().for_each(|profile| profile.packages.clear());
    recipe
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_sets_the_option_only_in_the_file_that_it_is_about() {
        let path = "arch/x86/configs/toy_defconfig";
        let hunk = "@@ -1 +1 @@\n-CONFIG_IP_VS_TAB_BITS=12\n+CONFIG_IP_VS_TAB_BITS=20\n";
        let diff = |file: &str| format!("--- a/{file}\n+++ b/{file}\t2026-01-01\n{hunk}");
        assert!(sets_option(&diff(path), path));
        assert!(!sets_option(&diff("arch/arm/configs/toy_defconfig"), path));
        assert!(!sets_option(&format!("{}--- a/x\n+++ b/x\n{hunk}", diff(path).replace("+CONFIG", " CONFIG")), path));
        assert!(sets_option(&format!("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n{}", diff(path)), path));
    }
}
