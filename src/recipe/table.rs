//! What README.md says of the families, written from the recipes.

use std::fmt::Write;

use super::Recipe;

/// Returns a Markdown table: a line per recipe.
#[must_use]
pub fn markdown(recipes: &[Recipe]) -> String {
    let mut table = String::from(
        "| family | what is edited | what the release becomes | `--with firmware` | `%dist` |\n|---|---|---|---|---|\n",
    );
    for recipe in recipes {
        let mut files: Vec<String> = Vec::new();
        for source in &recipe.option.sources {
            let each = source.edit.iter().map(|file| format!("`{file}`")).collect::<Vec<_>>().join(", ");
            if !files.contains(&each) {
                files.push(each);
            }
        }
        let example = &recipe.example;
        // Writing to a String does not fail.
        let _ = writeln!(
            table,
            "| {} ({}) | {} | `{}` | {} | {} |",
            recipe.name,
            recipe.title,
            files.join("; else "),
            becomes(recipe, &example.nvr),
            example.firmware,
            example.dist
        );
    }
    table
}

/// Returns what a source package's release becomes for 20 bits.
#[must_use]
pub fn becomes(recipe: &Recipe, nvr: &str) -> String {
    match nvr.rsplit_once('-') {
        Some((rest, release)) => format!("{rest}-{}", recipe.marked(release, ".ipvs_20bit")),
        None => nvr.to_owned(),
    }
}
