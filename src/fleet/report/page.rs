//! report.html: one page that needs nothing beside itself.
//!
//! What comes from elsewhere (errors, names, what a log says) is escaped by the template; pictures are the only thing that is not.

mod cell;

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use super::entry::{Entry, Standing};
use super::link::encoded;
use super::{Report, STATES, wants_attention};
use crate::plan::template::{self, Error};

/// The template.
const TEMPLATE: &str = include_str!("../../../templates/report.html");

/// How numbers are written.
#[derive(Clone, Copy)]
pub struct Units<'a> {
    /// A time.
    pub duration: &'a dyn Fn(Duration) -> String,
    /// A number of bytes.
    pub bytes: &'a dyn Fn(u64) -> String,
}

impl std::fmt::Debug for Units<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Units").finish_non_exhaustive()
    }
}

impl Units<'_> {
    fn seconds(&self, seconds: f64) -> String {
        (self.duration)(Duration::try_from_secs_f64(seconds).unwrap_or_default())
    }
}

/// A part of the curve as a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// What it shows.
    pub title: String,
    /// An SVG element that takes its colours from the page.
    pub svg: String,
}

/// What the template may say.
#[derive(Serialize)]
struct Page<'a> {
    report: Head<'a>,
    states: Vec<StateCount<'a>>,
    facts: Vec<Fact>,
    attention: Vec<&'a Short<'a>>,
    has_arch: bool,
    /// How many columns the matrix has, with those of the row's head.
    width: usize,
    columns: Vec<Column>,
    groups: Vec<Group<'a>>,
    pictures: &'a [Picture],
    curve: CurveView,
    cells: Vec<cell::View<'a>>,
}

#[derive(Serialize)]
struct Head<'a> {
    kbuild: &'a str,
    written: &'a str,
    file: String,
    out: String,
    cells: usize,
}

#[derive(Serialize)]
struct StateCount<'a> {
    word: &'a str,
    says: &'a str,
    cells: usize,
}

/// A thing and its value.
#[derive(Serialize)]
struct Fact {
    name: &'static str,
    value: String,
}

#[derive(Serialize)]
struct Column {
    bits: u8,
    buckets: String,
}

#[derive(Serialize)]
struct Group<'a> {
    name: &'a str,
    rows: Vec<RowView<'a>>,
}

#[derive(Serialize)]
struct RowView<'a> {
    source: &'a str,
    /// The source without the directories before it.
    short: &'a str,
    arch: &'a str,
    route: &'a str,
    cells: Vec<Option<&'a Short<'a>>>,
}

/// A cell in the matrix.
#[derive(Serialize)]
struct Short<'a> {
    name: &'a str,
    /// What its id is called in a link.
    anchor: String,
    state: &'a str,
    why: &'a str,
    marks: Vec<Mark>,
    /// The proof in words.
    proof: String,
    /// Size and time, as far as they are known.
    brief: String,
}

/// A level of the proof as one sign.
#[derive(Serialize)]
struct Mark {
    level: u8,
    /// Its name in the style sheet.
    class: &'static str,
    sign: &'static str,
}

#[derive(Serialize)]
struct CurveView {
    /// How many kinds of buckets there are.
    kinds: usize,
    /// How many numbers of connections there are.
    connections: usize,
    /// The heads of all columns: memory for each kind; chains and look-ups for each number of connections.
    columns: Vec<String>,
    sizes: Vec<SizeView>,
}

#[derive(Serialize)]
struct SizeView {
    bits: u8,
    buckets: String,
    cells: usize,
    values: Vec<String>,
}

/// Returns the page. The pictures are of the report's curve.
///
/// # Errors
/// The template is not valid, which is a bug.
pub fn render(report: &Report, pictures: &[Picture], units: &Units<'_>) -> Result<String, Error> {
    let shorts: HashMap<&str, Short<'_>> =
        report.cells.iter().map(|entry| (entry.name.as_str(), short(entry, units))).collect();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for row in &report.matrix.rows {
        let found = |name: &Option<String>| shorts.get(name.as_deref()?);
        let view = RowView {
            source: &row.source,
            short: row.source.rsplit('/').next().unwrap_or(&row.source),
            arch: row.arch.as_deref().unwrap_or_default(),
            route: &row.route,
            cells: row.cells.iter().map(found).collect(),
        };
        match groups.last_mut() {
            Some(group) if group.name == row.group => group.rows.push(view),
            _ => groups.push(Group { name: &row.group, rows: vec![view] }),
        }
    }
    let has_arch = report.matrix.rows.iter().any(|row| row.arch.is_some());
    let says = |word: &str| STATES.iter().find(|(state, _)| *state == word).map_or("", |(_, says)| says);
    let page = Page {
        report: Head {
            kbuild: &report.kbuild,
            written: &report.written,
            file: report.file.display().to_string(),
            out: report.out.display().to_string(),
            cells: report.cells.len(),
        },
        states: report
            .counts
            .iter()
            .map(|count| StateCount { word: &count.state, says: says(&count.state), cells: count.cells })
            .collect(),
        facts: sums(report, units),
        attention: report
            .cells
            .iter()
            .filter(|entry| wants_attention(&entry.state))
            .filter_map(|entry| shorts.get(entry.name.as_str()))
            .collect(),
        has_arch,
        width: report.matrix.bits.len() + if has_arch { 3 } else { 2 },
        columns: report
            .matrix
            .bits
            .iter()
            .map(|bits| Column { bits: bits.get(), buckets: grouped(bits.buckets()) })
            .collect(),
        groups,
        pictures,
        curve: curve(report, units),
        cells: report.cells.iter().map(|entry| cell::view(entry, units)).collect(),
    };
    template::page("report.html", TEMPLATE, &page)
}

/// What all cells have and took together.
fn sums(report: &Report, units: &Units<'_>) -> Vec<Fact> {
    let sums = &report.sums;
    let mut facts = vec![
        Fact { name: "packages", value: format!("{}, {}", grouped(sums.packages as u64), (units.bytes)(sums.bytes)) },
        Fact { name: "time in all", value: units.seconds(sums.seconds) },
    ];
    if sums.cpu_seconds > 0.0 {
        facts.push(Fact { name: "processor time", value: units.seconds(sums.cpu_seconds) });
    }
    if let Some(cached) = cached(sums.hits, sums.misses, Some(sums.put_back)) {
        facts.push(Fact { name: "compile cache", value: cached });
    }
    facts
}

/// What a cache did, in words; nothing if it was asked nothing.
fn cached(hits: u64, misses: u64, put_back: Option<u64>) -> Option<String> {
    let all = hits + misses;
    let percent = hits.saturating_mul(100).checked_div(all);
    let taken = percent.map(|percent| format!("{} of {} taken from it ({percent} %)", grouped(hits), grouped(all)));
    let put_back = put_back.filter(|files| *files > 0);
    let put_back = put_back.map(|files| format!("{} files of an earlier kernel's tree put back", grouped(files)));
    let parts: Vec<String> = taken.into_iter().chain(put_back).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn curve(report: &Report, units: &Units<'_>) -> CurveView {
    let curve = &report.curve;
    let kinds = curve.kinds.iter().map(|kind| format!("{} B a bucket: {}", kind.bytes, kind.families.join(", ")));
    let connections = curve.connections.iter().map(|connections| grouped(*connections));
    CurveView {
        kinds: curve.kinds.len(),
        connections: curve.connections.len(),
        columns: kinds.chain(connections.clone()).chain(connections).collect(),
        sizes: curve
            .sizes
            .iter()
            .map(|size| SizeView {
                bits: size.bits.get(),
                buckets: grouped(size.buckets),
                cells: size.cells,
                values: size
                    .bytes
                    .iter()
                    .map(|bytes| (units.bytes)(*bytes))
                    .chain(size.chain.iter().chain(&size.look_up).map(|number| rounded(*number)))
                    .collect(),
            })
            .collect(),
    }
}

/// What the matrix says of a cell.
fn short<'a>(entry: &'a Entry, units: &Units<'_>) -> Short<'a> {
    Short {
        name: &entry.name,
        anchor: format!("cell-{}", encoded(entry.name.as_bytes())),
        state: entry.state.word(),
        why: entry.why.as_deref().unwrap_or_default(),
        marks: entry
            .proof
            .iter()
            .map(|level| {
                let (class, sign) = sign(level.is);
                Mark { level: level.level, class, sign }
            })
            .collect(),
        proof: proof(entry),
        brief: brief(entry, units),
    }
}

/// The proof in words.
fn proof(entry: &Entry) -> String {
    let levels = entry.proof.iter().map(|level| format!("level {} {}", level.level, level.is.words()));
    levels.collect::<Vec<_>>().join(", ")
}

/// Size and time, as far as they are known.
fn brief(entry: &Entry, units: &Units<'_>) -> String {
    let size = (entry.bytes > 0).then(|| (units.bytes)(entry.bytes));
    let time = entry.seconds.map(|seconds| units.seconds(seconds));
    size.into_iter().chain(time).collect::<Vec<_>>().join(" · ")
}

/// A level as a class of the style sheet and a sign.
fn sign(standing: Standing) -> (&'static str, &'static str) {
    match standing {
        Standing::Holds => ("good", "✓"),
        Standing::Differs => ("bad", "✗"),
        Standing::NotChecked => ("warn", "?"),
        Standing::None => ("calm", "–"),
    }
}

/// A number with thin gaps between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            // U+202F: narrow, and no line is broken there.
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A number with as many digits as matter.
fn rounded(number: f64) -> String {
    match number {
        _ if number >= 100.0 => format!("{number:.0}"),
        _ if number >= 10.0 => format!("{number:.1}"),
        _ if number >= 1.0 => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}
