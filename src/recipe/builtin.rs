//! The recipes that come with the program.

use super::{Error, Recipe};

/// Name and text of each.
const TEXTS: [(&str, &str); 1] = [("el6", include_str!("../../recipes/el6.toml"))];

/// Returns all built-in recipes.
///
/// # Errors
/// One of them is not valid: a bug, which the tests catch.
pub fn all() -> Result<Vec<Recipe>, Error> {
    TEXTS.iter().map(|(name, text)| Recipe::parse(text, &format!("{name} (built in)"))).collect()
}

/// Returns the names of the built-in recipes.
#[must_use]
pub fn names() -> Vec<&'static str> {
    TEXTS.iter().map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_recipe_that_comes_with_the_program_is_valid() {
        let recipes = super::all().unwrap();
        assert_eq!(recipes.iter().map(|recipe| recipe.name.as_str()).collect::<Vec<_>>(), super::names());
    }
}
