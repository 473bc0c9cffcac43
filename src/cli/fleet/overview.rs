//! All cells with what is to be done about each.

use std::collections::HashMap;
use std::path::Path;

use crate::cli::render::Format;
use crate::cli::render::units::duration;
use crate::cli::{Edge, Output};
use crate::error::Error;
use crate::fleet::cost::Known;
use crate::fleet::inputs::Inputs;
use crate::fleet::record::{Record, SCHEMA};
use crate::fleet::show::{Overview, Planned};
use crate::fleet::{Cell, Fleet, State};
use crate::recipe::builtin;
use crate::sys::files;

/// Digests of what cells depend on; each file is read once.
#[derive(Debug, Default)]
pub(super) struct Contents {
    recipes: HashMap<String, String>,
    files: HashMap<String, Option<String>>,
}

impl Contents {
    /// Begins with the recipes that come with the program.
    pub(super) fn new() -> Result<Self, Error> {
        let recipes = builtin::all()?.into_iter().map(|recipe| (recipe.name, recipe.sha256)).collect();
        Ok(Self { recipes, files: HashMap::new() })
    }

    /// Returns what a cell depends on.
    pub(super) fn inputs(&mut self, cell: &Cell) -> Inputs {
        let Self { recipes, files } = self;
        let mut content = |path: &str| files.entry(path.to_owned()).or_insert_with(|| digest(Path::new(path))).clone();
        Inputs::of(cell, env!("CARGO_PKG_VERSION"), &|name| recipes.get(name).cloned(), &mut content)
    }
}

/// Returns the digest of a file, or of the files of a directory with their names.
fn digest(path: &Path) -> Option<String> {
    if !path.is_dir() {
        return files::sha256(path).ok().map(|(_, sha256)| sha256);
    }
    let mut names = files::below(path, 8);
    names.sort();
    let lines = names.iter().map(|name| Some(format!("{name} {}\n", files::sha256(&path.join(name)).ok()?.1)));
    Some(crate::digest::sha256(lines.collect::<Option<String>>()?.as_bytes()))
}

/// Looks how far each of the cells is.
pub(super) fn of(fleet: &Fleet, cells: &[Cell]) -> Result<Overview, Error> {
    let mut contents = Contents::new()?;
    let mut known = Known::default();
    for cell in &fleet.cells {
        if let Some(record) = Record::read(&cell.out(&fleet.out)) {
            known.add(&record);
        }
    }
    let states: Vec<State> = cells.iter().map(|cell| State::of(cell, &contents.inputs(cell), &fleet.out)).collect();
    let to_do: Vec<&Cell> =
        cells.iter().zip(&states).filter(|(_, state)| !state.is_done()).map(|(cell, _)| cell).collect();
    let mut costs = known.estimate(&to_do).into_iter();
    let work = super::work(fleet, None)?;
    let planned = cells.iter().zip(states).map(|(cell, state)| Planned {
        cost: if state.is_done() { None } else { costs.next() },
        command: super::shown(&cell.command(&work, &fleet.out)),
        cell: cell.clone(),
        state,
    });
    Ok(Overview { schema: SCHEMA, out: fleet.out.clone(), cells: planned.collect() })
}

/// Shows it.
pub(super) fn shown(edge: &Edge, overview: &Overview) -> Output {
    Output::text(match edge.format {
        Format::Json => serde_json::to_string(overview).unwrap_or_default() + "\n",
        Format::Human | Format::Plain => overview.text(&duration),
    })
}
