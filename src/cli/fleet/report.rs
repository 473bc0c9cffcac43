//! `kbuild fleet report`: one page for people, and the same as data.

use std::fmt::Write;
use std::path::Path;

use super::overview::Contents;
use crate::cli::plot::panel::{self, Line, Panel};
use crate::cli::prepare;
use crate::cli::render::Format;
use crate::cli::render::units::{bytes, duration};
use crate::cli::{Edge, Output};
use crate::error::Error;
use crate::fleet::record::Record;
use crate::fleet::report::curve::{Curve, Size};
use crate::fleet::report::entry::{Entry, Found};
use crate::fleet::report::page::{self, Picture, Units};
use crate::fleet::report::{DATA, Origin, PAGE, Report, link};
use crate::fleet::{Fleet, State};
use crate::pipeline::manifest::Manifest;
use crate::plan::layout::INSTALL;
use crate::sys::{clock, files, lock};

/// How deep a cell's files lie: its logs are in a directory of their own.
const DEEPEST: usize = 2;

pub(super) fn run(edge: &Edge, fleet: &Fleet, file: &Path, to: Option<&Path>) -> Result<Output, Error> {
    let failed = |source| Error::Host { what: "the report cannot be written".into(), source };
    let to = to.map_or(Ok(fleet.out.clone()), prepare::absolute)?;
    fs_err::create_dir_all(&to).map_err(failed)?;
    // Without links and `..`, or what two places have in common cannot be seen.
    let to = fs_err::canonicalize(&to).map_err(failed)?;
    let out = fs_err::canonicalize(&fleet.out).unwrap_or_else(|_| fleet.out.clone());
    let report = of(fleet, file, &to, &out)?;
    let pictures = pictures(&report.curve).map_err(failed)?;
    let page = page::render(&report, &pictures, &Units { duration: &duration, bytes: &bytes });
    let page = page.map_err(std::io::Error::other).map_err(failed)?;
    let mut data = serde_json::to_string(&report).map_err(std::io::Error::from).map_err(failed)?;
    data.push('\n');
    {
        let _lock = lock::directory(&to, true).map_err(crate::pipeline::Error::from)?;
        [DATA, PAGE].iter().try_for_each(|name| files::sweep(&to, Some(name))).map_err(failed)?;
        files::replace_text(&to.join(DATA), data.as_bytes()).map_err(failed)?;
        files::replace_text(&to.join(PAGE), page.as_bytes()).map_err(failed)?;
    }
    Ok(Output::text(match edge.format {
        Format::Json => data,
        Format::Human | Format::Plain => said(&report, &to.join(PAGE)),
    }))
}

/// Reads what there is of each cell.
fn of(fleet: &Fleet, file: &Path, to: &Path, out: &Path) -> Result<Report, Error> {
    let mut contents = Contents::new()?;
    let work = super::work(fleet, None)?;
    let mut entries = Vec::with_capacity(fleet.cells.len());
    for cell in &fleet.cells {
        let dir = cell.out(out);
        let record = Record::read(&dir);
        let manifest = record.as_ref().and_then(|_| Manifest::read(&dir));
        let state = match &record {
            Some(record) => State::judged(record, manifest.as_ref(), &contents.inputs(cell), &dir),
            None => State::New,
        };
        let found = Found {
            instructions: record.as_ref().and_then(|_| fs_err::read_to_string(dir.join(INSTALL)).ok()),
            names: files::below(&dir, DEEPEST),
            record,
            manifest,
        };
        let command = super::shown(&cell.command(&work, &fleet.out));
        let way = link::way(to, &dir);
        entries.push(Entry::new(cell, state, command, found, &dir, way.as_deref()));
    }
    let origin = Origin {
        kbuild: env!("CARGO_PKG_VERSION").into(),
        written: clock::now(),
        file: prepare::absolute(file)?,
        out: out.to_owned(),
    };
    Ok(Report::new(origin, &fleet.cells, entries))
}

/// Draws the curve: memory, chains and look-ups.
fn pictures(curve: &Curve) -> std::io::Result<Vec<Picture>> {
    let marks: Vec<u8> = curve.sizes.iter().filter(|size| size.cells > 0).map(|size| size.bits.get()).collect();
    let line = |label: String, value: &dyn Fn(&Size) -> Option<f64>| {
        let points = curve.sizes.iter().filter_map(|size| Some((size.bits.get(), value(size)?)));
        Line { label, points: points.collect() }
    };
    let memory = curve
        .kinds
        .iter()
        .enumerate()
        .map(|(place, kind)| line(format!("{} B", kind.bytes), &|size| size.bytes.get(place).copied().map(real)));
    let loads = |of: &dyn Fn(&Size) -> &[f64]| -> Vec<Line> {
        let loads = curve.connections.iter().enumerate();
        loads.map(|(place, load)| line(thousands(*load), &|size| of(size).get(place).copied())).collect()
    };
    let picture = |title: &str, lines: Vec<Line>, base: f64, value: &dyn Fn(f64) -> String| {
        let svg = panel::svg(&Panel { lines, marks: &marks, base, value })?;
        std::io::Result::Ok(Picture { title: title.into(), svg })
    };
    Ok(vec![
        picture("Memory, by bytes of a bucket", memory.collect(), 2.0, &whole_bytes)?,
        picture("Mean chain, by connections", loads(&|size| &size.chain), 10.0, &plain)?,
        picture("Mean look-up, by connections", loads(&|size| &size.look_up), 10.0, &plain)?,
    ])
}

/// A number of connections in few letters: `10k`, `1M`.
fn thousands(number: u64) -> String {
    match number {
        _ if number.is_multiple_of(1_000_000) => format!("{}M", number / 1_000_000),
        _ if number.is_multiple_of(1000) => format!("{}k", number / 1000),
        _ => number.to_string(),
    }
}

fn plain(number: f64) -> String {
    if number >= 1.0 { format!("{number:.0}") } else { format!("{number}") }
}

#[expect(clippy::cast_precision_loss, reason = "a table is far below 2^52 bytes")]
fn real(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a label of an axis, which is above nought"
)]
fn whole_bytes(number: f64) -> String {
    bytes(number.round() as u64).replace(".0 ", " ")
}

/// What is said on stdout: how many cells are in which state, and where the page is.
fn said(report: &Report, page: &Path) -> String {
    let counts: Vec<String> = report.counts.iter().map(|count| format!("{} {}", count.cells, count.state)).collect();
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = writeln!(text, "{} cells: {}", report.cells.len(), counts.join(", "));
    let _ = writeln!(text, "{}", page.display());
    text
}
