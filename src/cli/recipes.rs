//! `kbuild recipes`: what is known of each family, and whether a recipe of one's own is valid.

use std::fmt::Write;
use std::path::Path;

use super::args::Recipes;
use super::{Edge, Output};
use crate::error::Error;
use crate::recipe::{Recipe, builtin, table};

pub(super) fn run(edge: &Edge, what: &Recipes) -> Result<Output, Error> {
    let json = edge.format == super::render::Format::Json;
    match what {
        Recipes::List { markdown: true } => Ok(Output::text(table::markdown(&builtin::all()?))),
        Recipes::List { .. } => Ok(Output::text(if json { as_json(&builtin::all()?) } else { list(&builtin::all()?) })),
        Recipes::Show { name } => {
            let recipe = super::prepare::named(name)?;
            Ok(Output::text(match builtin::text(name) {
                _ if json => as_json(&recipe),
                Some(text) => text.to_owned(),
                None => show(&recipe),
            }))
        }
        Recipes::Check { file } => check(file),
    }
}

fn as_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// A recipe of one's own, complete with what it inherits.
fn show(recipe: &Recipe) -> String {
    toml::to_string_pretty(recipe).unwrap_or_default()
}

fn list(recipes: &[Recipe]) -> String {
    let mut text = String::new();
    for recipe in recipes {
        let becomes = table::becomes(recipe, &recipe.example.nvr);
        // Writing to a String does not fail.
        let _ = writeln!(text, "{:8} {}", recipe.name, recipe.title);
        let _ = writeln!(text, "{:8} {} -> {becomes}", "", recipe.example.nvr);
        let _ = writeln!(text, "{:8} {}", "", recipe.arches.join(" "));
    }
    text
}

fn check(file: &Path) -> Result<Output, Error> {
    let text = fs_err::read_to_string(file).map_err(|source| Error::Input { what: "the recipe".into(), source })?;
    let recipe = Recipe::parse(&text, &file.display().to_string())?;
    let inherited = recipe.extends.as_ref().map(|name| format!(" on top of {name}")).unwrap_or_default();
    Ok(Output::text(format!("{} is a valid recipe: {}{inherited}\n", file.display(), recipe.name)))
}
