//! `kbuild fleet`: many kernels from one file.

mod collect;
mod export;
mod overview;
mod report;
mod run;

use std::path::{Path, PathBuf};

use clap::Parser;

use super::args::fleet::{Fleet as Arguments, Part, What};
use super::args::{self, Subcommand};
use super::render::Format;
use super::{Edge, Output, prepare, request};
use crate::error::{self, Error};
use crate::fleet::cell::Cell;
use crate::fleet::file::{self, Fault, Fleet, Reading};
use crate::fleet::order;
use crate::fleet::shard::{self, Asked, Shard};
use crate::recipe::{Recipe, builtin};
use crate::sys::stand_in;

pub(super) fn run(edge: &Edge, arguments: &Arguments) -> Result<Output, Error> {
    let mut fleet = read(edge, &arguments.file)?;
    fleet.out = prepare::absolute(arguments.out.as_ref().unwrap_or(&fleet.out))?;
    fleet.work = fleet.work.as_deref().map(prepare::absolute).transpose()?;
    match &arguments.what {
        What::Check => Ok(checked(edge, arguments, &fleet)),
        What::Plan(part) => {
            let cells = chosen(&fleet, part)?.0;
            let overview = overview::of(&fleet, &cells)?;
            Ok(overview::shown(edge, &overview))
        }
        What::Status => {
            let overview = overview::of(&fleet, &fleet.cells)?;
            Ok(overview::shown(edge, &overview))
        }
        What::Run(what) => run::run(edge, &fleet, what),
        What::Collect(what) => collect::run(edge, &fleet, &what.from),
        What::Report(what) => report::run(edge, &fleet, &arguments.file, what.to.as_deref()),
        What::Export(what) => export::run(edge, &fleet, arguments, what),
    }
}

/// Says of a file that it is good.
fn checked(edge: &Edge, arguments: &Arguments, fleet: &Fleet) -> Output {
    let (file, count) = (arguments.file.display(), fleet.cells.len());
    Output::text(match edge.format {
        Format::Json => serde_json::json!({ "cells": count }).to_string() + "\n",
        Format::Human | Format::Plain => format!("{file} is a fleet of {count} cells\n"),
    })
}

/// Reads a fleet file.
fn read(edge: &Edge, path: &Path) -> Result<Fleet, Error> {
    let input = |source| Error::Input { what: "the fleet".into(), source };
    let text = fs_err::read_to_string(path).map_err(input)?;
    let path = prepare::absolute(path)?;
    let recipes = builtin::all()?;
    let origin = path.display().to_string();
    let dir = path.parent().unwrap_or(&path);
    let judged = std::cell::RefCell::new(std::collections::HashMap::new());
    let judge = |cell: &Cell| {
        // Cells of a group differ in what the file's own check looks at: one of each kind is enough, of a thousand.
        let kind = (cell.group.clone(), cell.route.clone(), cell.arch.clone());
        judged.borrow_mut().entry(kind).or_insert_with(|| judge(edge, cell)).clone()
    };
    let fleet = file::read(&text, &Reading { origin: &origin, dir, recipes: &recipes, judge: &judge })?;
    doubt(edge, &fleet, &recipes);
    Ok(fleet)
}

/// Warns of sizes that a family does not take by its recipe. Only the kernel's own sources know, so it is no refusal yet.
fn doubt(edge: &Edge, fleet: &Fleet, recipes: &[Recipe]) {
    let mut said = Vec::new();
    for cell in &fleet.cells {
        let recipe = recipes.iter().find(|recipe| Some(&recipe.name) == cell.recipe.as_ref());
        let Some(recipe) = recipe.filter(|recipe| !recipe.option.range.contains(cell.bits)) else { continue };
        if said.contains(&(&recipe.name, cell.bits)) {
            continue;
        }
        said.push((&recipe.name, cell.bits));
        edge.reporter.warn(format!(
            "`{}`: {} bits are outside of {}, which recipe {} knows of; `kbuild ipvs` refuses them if the kernel's own sources do not \
             say otherwise",
            cell.name, cell.bits, recipe.option.range, recipe.name
        ));
    }
}

/// Judges a cell as the command line of `kbuild ipvs` would be.
fn judge(edge: &Edge, cell: &Cell) -> Result<(), Fault> {
    let words = ["kbuild".to_owned()].into_iter().chain(cell.command("/".as_ref(), "/".as_ref()));
    let parsed = match args::Arguments::try_parse_from(words) {
        Ok(parsed) => parsed,
        Err(complaint) => {
            let text = complaint.to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            return Err(Fault { what: first, help: "`kbuild ipvs --help` says what each option takes".into() });
        }
    };
    let Subcommand::Ipvs(build) = parsed.command else { return Ok(()) };
    request::all(edge, &build).map(drop).map_err(|fault| {
        let help = fault.hint().unwrap_or_else(|| "the options of a group are those of `kbuild ipvs`".into());
        Fault { what: error::chain(&fault), help }
    })
}

/// Returns the cells that are asked for, in their order, and the shard that they are, if they are one.
fn chosen(fleet: &Fleet, part: &Part) -> Result<(Vec<Cell>, Option<Shard>), Error> {
    if let Some(asked) = part.shard {
        let shard = match asked {
            Asked::One(shard) => shard,
            Asked::Auto => shard::of_engine(&stand_in::environment()).map_err(Error::Usage)?,
        };
        return Ok((order::part(&fleet.cells, shard).to_vec(), Some(shard)));
    }
    for name in &part.cell {
        if !fleet.cells.iter().any(|cell| cell.name == *name) {
            let meant = crate::nearest::nearest(name, fleet.cells.iter().map(|cell| cell.name.as_str()));
            let meant = meant.map(|meant| format!(": did you mean `{meant}`?")).unwrap_or_default();
            return Err(Error::Usage(format!("no cell is called `{name}`{meant}; `kbuild fleet plan` shows them all")));
        }
    }
    let wanted = |cell: &&Cell| part.cell.is_empty() || part.cell.contains(&cell.name);
    Ok((fleet.cells.iter().filter(wanted).cloned().collect(), None))
}

/// Returns where cells are built.
fn work(fleet: &Fleet, asked: Option<&Path>) -> Result<PathBuf, Error> {
    match asked {
        Some(work) => prepare::absolute(work),
        None => Ok(fleet.work.clone().unwrap_or_else(|| crate::sys::probe::facts().default_work)),
    }
}

/// Returns the call of kbuild for a cell, as it may be shown.
fn shown(words: &[String]) -> String {
    let words = words.iter().map(|word| crate::command::quote(&args::compile::shown(word, false)));
    words.fold(String::from("kbuild"), |line, word| format!("{line} {word}"))
}
