//! The recipes that come with the program: every file of recipes/, found when the program is compiled (build.rs).

use super::{Error, Recipe};

/// Name and text of each, in order of name and number.
const TEXTS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/recipes.rs"));

/// A built-in recipe is not valid: a bug, which the tests catch.
#[derive(Debug, thiserror::Error)]
#[error("a recipe that came with the program is broken")]
pub struct Broken(#[from] Error);

/// Returns all built-in recipes, in order of name and number.
///
/// # Errors
/// One of them is not valid.
pub fn all() -> Result<Vec<Recipe>, Broken> {
    let parse = |(name, text): &(&str, &str)| Recipe::parse(text, &format!("{name} (built in)"));
    TEXTS.iter().map(|entry| parse(entry).map_err(Broken)).collect()
}

/// Returns the names of the built-in recipes.
#[must_use]
pub fn names() -> Vec<&'static str> {
    TEXTS.iter().map(|(name, _)| *name).collect()
}

/// Returns the text of a built-in recipe, comments included.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    TEXTS.iter().find(|(each, _)| *each == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_recipe_that_comes_with_the_program_is_valid_and_has_the_name_of_its_file() {
        let recipes = super::all().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(recipes.iter().map(|recipe| recipe.name.as_str()).collect::<Vec<_>>(), super::names());
    }
}
