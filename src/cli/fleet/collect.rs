//! `kbuild fleet collect`: the results of cells from wherever they were built, checked and brought together.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::overview::Contents;
use crate::cli::render::Format;
use crate::cli::{Edge, Output};
use crate::error::Error;
use crate::fleet::inputs::Inputs;
use crate::fleet::record::{RECORD, Record, Status};
use crate::fleet::{Fleet, State};
use crate::pipeline::manifest::Manifest;
use crate::sys::{files, lock};

/// How deep results are looked for: an archive of a CI system has a few directories around them.
const DEEPEST: usize = 12;

pub(super) fn run(edge: &Edge, fleet: &Fleet, from: &[PathBuf]) -> Result<Output, Error> {
    let failed = |source| Error::Host { what: "the results cannot be brought together".into(), source };
    fs_err::create_dir_all(&fleet.out).map_err(failed)?;
    let _lock = lock::directory(&fleet.out, true).map_err(crate::pipeline::Error::from)?;
    let out = fs_err::canonicalize(&fleet.out).map_err(failed)?;
    let mut contents = Contents::new()?;
    let mut found: BTreeMap<String, Vec<(PathBuf, Record)>> = BTreeMap::new();
    for dir in from {
        let dir = fs_err::canonicalize(dir).map_err(|source| Error::Input { what: "the results".into(), source })?;
        let entries = WalkDir::new(&dir).max_depth(DEEPEST).sort_by_file_name().into_iter().flatten();
        for entry in entries.filter(|entry| entry.file_name() == RECORD) {
            let Some(place) = entry.path().parent().filter(|place| !place.starts_with(&out)) else { continue };
            match Record::read(place) {
                Some(record) => found.entry(record.cell.name.clone()).or_default().push((place.to_owned(), record)),
                None => edge.reporter.warn(format!("`{}` cannot be read, and is left out", entry.path().display())),
            }
        }
    }
    let mut lines: Vec<(String, &str, String)> = Vec::new();
    let mut damaged = Vec::new();
    for cell in &fleet.cells {
        let inputs = contents.inputs(cell);
        let state = State::of(cell, &inputs, &fleet.out);
        let candidates = found.remove(&cell.name).unwrap_or_default();
        let best = candidates.iter().max_by_key(|(_, record)| rank(record, &inputs));
        let (how, why) = match best {
            _ if state.is_done() => ("there", String::new()),
            None if state == State::New => ("missing", "nothing of it was found".into()),
            None => (state.word(), state.why().unwrap_or_default()),
            Some((place, record)) => {
                if let Some(file) = damage(place, record) {
                    damaged.push(format!("{} ({})", file.display(), cell.name));
                    ("damaged", format!("{} is not what was built", file.display()))
                } else {
                    // Packages of an earlier state of the cell are worth more than the news that there are no others.
                    if record.status == Status::Done || !matches!(state, State::Changed { .. }) {
                        take(place, &cell.out(&fleet.out)).map_err(failed)?;
                    }
                    let state = State::of(cell, &inputs, &fleet.out);
                    (if state.is_done() { "taken" } else { state.word() }, state.why().unwrap_or_default())
                }
            }
        };
        lines.push((cell.name.clone(), how, why));
    }
    for (name, places) in &found {
        let places: Vec<String> = places.iter().map(|(place, _)| place.display().to_string()).collect();
        edge.reporter.warn(format!("`{name}` is no cell of this fleet, and is left out: {}", places.join(", ")));
    }
    let error = (!damaged.is_empty()).then_some(Error::Damaged { files: damaged });
    Ok(Output { text: shown(edge.format, &lines), error })
}

/// Orders what was found of one cell: what is done and depends on what it should, then what is newer.
fn rank(record: &Record, inputs: &Inputs) -> (bool, bool, String) {
    (record.status == Status::Done, record.inputs == *inputs, record.started.clone())
}

/// Returns a result that is not what was built, if there is one. What failed has none.
fn damage(place: &Path, record: &Record) -> Option<PathBuf> {
    if record.status != Status::Done {
        return None;
    }
    let Some(manifest) = Manifest::read(place) else { return Some(place.join("manifest.json")) };
    let is_whole =
        |path: &Path, size, sha256: &str| files::sha256(path).is_ok_and(|found| found == (size, sha256.to_owned()));
    let path = |name: &str| place.join(name);
    manifest
        .files
        .iter()
        .find(|file| !is_whole(&path(&file.name), file.size, &file.sha256))
        .map(|file| path(&file.name))
}

/// Puts a copy of a cell's results into their place, which has all of them or those that it had.
fn take(from: &Path, to: &Path) -> std::io::Result<()> {
    let parent = to.parent().unwrap_or(to);
    let new = tempfile::Builder::new().prefix(".kbuild-new-").tempdir_in(parent)?;
    for name in files::below(from, DEEPEST).into_iter().filter(|name| !name.starts_with(".kbuild-")) {
        let target = new.path().join(&name);
        fs_err::create_dir_all(target.parent().unwrap_or(parent))?;
        fs_err::copy(from.join(&name), target)?;
    }
    fs_err::set_permissions(new.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    if to.try_exists()? {
        let old = tempfile::Builder::new().prefix(".kbuild-old-").tempdir_in(parent)?;
        fs_err::rename(to, old.path().join("old"))?;
        fs_err::rename(new.keep(), to)?;
        return files::remove_tree(old.path());
    }
    fs_err::rename(new.keep(), to)
}

fn shown(format: Format, lines: &[(String, &str, String)]) -> String {
    let mut text = String::new();
    for (name, how, why) in lines {
        let line = match format {
            Format::Json => serde_json::json!({ "cell": name, "status": how, "why": why }).to_string(),
            Format::Human | Format::Plain => format!("{how:8} {name}  {why}"),
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if format != Format::Json {
        let done = lines.iter().filter(|(_, how, _)| ["there", "taken"].contains(how)).count();
        let _ = writeln!(text, "\n{done} of {} cells are done", lines.len());
    }
    text
}
