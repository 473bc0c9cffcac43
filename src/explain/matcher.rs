//! Reads a log once, line by line, and finds what stopped the build.
//!
//! Of each signature at most two hits are kept: the first, and the first in the part of the spec that ran last. A part
//! that another one followed ended well, so what it said is less likely to have stopped the build.

use std::collections::VecDeque;

use super::hit::Hit;
use super::line::{Kind, Splitter, clean};
use super::outcome::{Outcome, Sign, phase};
use super::signature::{Signature, Table, Weight};
use super::{Line, Report};

/// How many of the last lines are kept for a report.
const TAIL: usize = 12;
/// How many lines that look like an error are kept.
const ERRORS: usize = 6;
/// How many lines before a hit are looked at for what belongs to it.
const BEFORE: usize = 60;
/// How many lines after it.
const AFTER: u64 = 200;
/// How close a failure must be to what may be harmless.
const CLOSE: u64 = 80;
/// How far from the end what waits for ever may stand.
const END: u64 = 40;
/// How many causes are told.
const CAUSES: usize = 5;
/// The rank of what follows from something that is known, too.
const LAST: u8 = 6;
/// How long a kept line may be, in bytes.
const KEPT: usize = 2000;

/// A log that is being read.
#[derive(Debug)]
pub struct Explainer<'a> {
    table: &'a Table,
    splitter: Splitter,
    number: u64,
    stage: usize,
    phase: Option<String>,
    found: Vec<Found>,
    recent: VecDeque<String>,
    last_failure: Option<u64>,
    /// The last line in which rpmbuild says that a part failed.
    last_bad_exit: u64,
    /// Whether the last line is one after which everything is well.
    well_at_end: bool,
    went_well: bool,
    /// Whether the line stands in rpmbuild's list of warnings.
    warnings: bool,
    errors: Vec<Line>,
    tail: VecDeque<Line>,
}

/// What is known of one signature.
#[derive(Debug, Clone, Default)]
struct Found {
    /// The first hit of all.
    first: Option<Hit>,
    /// The first one in the part that runs, if that is another one.
    latest: Option<Hit>,
    /// Which of its `also` have been seen, by their place in the table.
    also: Vec<usize>,
}

impl<'a> Explainer<'a> {
    /// Begins a log.
    #[must_use]
    pub fn new(table: &'a Table) -> Self {
        Self {
            table,
            splitter: Splitter::default(),
            number: 0,
            stage: 0,
            phase: None,
            found: vec![Found::default(); table.rows.len()],
            recent: VecDeque::new(),
            last_failure: None,
            last_bad_exit: 0,
            well_at_end: false,
            went_well: false,
            warnings: false,
            errors: Vec::new(),
            tail: VecDeque::new(),
        }
    }

    /// Counts lines that stand in the log and are not read.
    pub fn skip(&mut self, lines: u64) {
        self.number += lines;
    }

    /// Takes the next bytes of the log, which may end in the middle of a line.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut splitter = std::mem::take(&mut self.splitter);
        splitter.feed(bytes, |line| self.line(&String::from_utf8_lossy(line)));
        self.splitter = splitter;
    }

    /// Takes the next line of the log, without its end.
    pub fn line(&mut self, raw: &str) {
        self.number += 1;
        for text in clean(raw) {
            self.clean_line(&Line { number: self.number, text });
        }
    }

    fn clean_line(&mut self, line: &Line) {
        let mut kind = Kind::of(&line.text);
        self.warnings = line.text == "RPM build warnings:" || (self.warnings && line.text.starts_with("    "));
        if self.warnings && kind == Kind::Message {
            kind = Kind::Code;
        }
        if kind != Kind::Step {
            if let Some(phase) = phase(&line.text) {
                self.stage += 1;
                self.phase = Some(phase.to_owned());
            }
            self.sign(line, kind);
            self.look_around(&line.text);
            if kind == Kind::Message || (kind == Kind::Trace && self.table.traces) {
                self.look_for_hits(line, kind);
            }
        }
        let kept = Line { number: line.number, text: cut(&line.text) };
        if kind != Kind::Step {
            if self.recent.len() == BEFORE {
                self.recent.pop_front();
            }
            self.recent.push_back(kept.text.clone());
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(kept);
    }

    /// Notes what a line says of the end.
    fn sign(&mut self, line: &Line, kind: Kind) {
        let sign = if kind == Kind::Code { None } else { Sign::of(&line.text) };
        // `+ exit 1` is a failure, but no line to show.
        if self.errors.len() < ERRORS && kind == Kind::Message && looks_like_an_error(&line.text) {
            self.errors.push(Line { number: line.number, text: cut(&line.text) });
        }
        self.well_at_end = sign == Some(Sign::WellIfLast);
        match sign {
            Some(Sign::Well) => {
                // What came before did not keep it from ending well.
                self.found.fill(Found::default());
                self.errors.clear();
                self.last_failure = None;
                self.went_well = true;
            }
            Some(Sign::Failure) => {
                self.last_failure = Some(line.number);
                if line.text.contains("Bad exit status") {
                    self.last_bad_exit = line.number;
                }
                let hits = self.found.iter_mut().flat_map(|found| [&mut found.first, &mut found.latest]).flatten();
                for hit in hits {
                    hit.confirmed |= line.number - hit.line.number <= CLOSE;
                }
            }
            Some(Sign::WellIfLast) | None => {}
        }
    }

    /// Lets recent hits look at this line for what belongs to them.
    fn look_around(&mut self, text: &str) {
        for (found, row) in self.found.iter_mut().zip(&self.table.rows) {
            if row.near.is_none() {
                continue;
            }
            for hit in [&mut found.first, &mut found.latest].into_iter().flatten() {
                if self.number - hit.line.number <= AFTER {
                    hit.after(row, text);
                }
            }
        }
    }

    fn look_for_hits(&mut self, line: &Line, kind: Kind) {
        let table = self.table;
        for index in table.also.matches(&line.text) {
            if let Some(found) = table.also_owners.get(index).and_then(|owner| self.found.get_mut(*owner))
                && !found.also.contains(&index)
            {
                found.also.push(index);
            }
        }
        for index in table.says.matches(&line.text) {
            let Some(&owner) = table.owners.get(index) else { continue };
            let (Some(row), Some(found)) = (table.rows.get(owner), self.found.get_mut(owner)) else { continue };
            if kind == Kind::Trace && !row.signature.trace {
                continue;
            }
            let place = match &found.first {
                None => &mut found.first,
                Some(first) if first.stage == self.stage && !row.signature.at_end => continue,
                Some(_) => &mut found.latest,
            };
            if place.as_ref().is_some_and(|hit| hit.stage == self.stage && !row.signature.at_end) {
                continue;
            }
            let Some(mut hit) = Hit::new(row, line, self.stage, self.phase.as_deref()) else { continue };
            self.recent.iter().rev().for_each(|text| hit.earlier(row, text));
            hit.line.text = cut(&hit.line.text);
            hit.confirmed = self.last_failure.is_some_and(|at| line.number - at <= CLOSE);
            *place = Some(hit);
        }
    }

    /// Ends the log and says what it tells.
    #[must_use]
    pub fn finish(mut self) -> Report {
        let mut splitter = std::mem::take(&mut self.splitter);
        splitter.finish(|line| self.line(&String::from_utf8_lossy(line)));
        let outcome = match self.last_failure {
            _ if self.well_at_end => Outcome::Succeeded,
            Some(_) => Outcome::Failed,
            None if self.went_well => Outcome::Succeeded,
            None => Outcome::Unknown,
        };
        let mut ranked: Vec<((u8, u64, usize), usize, &Hit)> = Vec::new();
        for (index, found) in self.found.iter().enumerate() {
            if let Some((hit, tier)) = self.counts(index, found) {
                ranked.push(((tier, hit.line.number, index), index, hit));
            }
        }
        let counting: Vec<&str> =
            ranked.iter().filter_map(|(_, index, _)| self.signature(*index)).map(|each| each.name.as_str()).collect();
        for ((tier, ..), index, _) in &mut ranked {
            let follows = self.signature(*index).map_or(&[][..], |signature| &signature.follows);
            if follows.iter().any(|name| counting.contains(&name.as_str())) {
                *tier = LAST;
            }
        }
        ranked.sort_by_key(|(rank, ..)| *rank);
        let mut causes = Vec::new();
        let mut lines = Vec::new();
        // Where the last thing said is that all went well, an error before it was none that mattered; but a failure after
        // something had gone well is told.
        let silent = outcome == Outcome::Succeeded && (self.well_at_end || ranked.is_empty());
        for (_, index, hit) in ranked.into_iter().filter(|_| !silent) {
            // One line shows one cause.
            if lines.contains(&hit.line.number) || causes.len() == CAUSES {
                continue;
            }
            if let Some(row) = self.table.rows.get(index) {
                lines.push(hit.line.number);
                causes.push(hit.cause(&row.signature));
            }
        }
        let (first_errors, last_lines) = (self.errors, self.tail.into());
        Report { lines: self.number, outcome, causes, first_errors, last_lines }
    }

    fn signature(&self, index: usize) -> Option<&Signature> {
        self.table.rows.get(index).map(|row| &row.signature)
    }

    /// Returns the hit of a signature that counts, and its rank among all: the smaller, the more it explains.
    fn counts<'s>(&'s self, index: usize, found: &'s Found) -> Option<(&'s Hit, u8)> {
        let row = self.table.rows.get(index)?;
        let signature = &row.signature;
        if found.also.len() < signature.also.len() {
            return None;
        }
        let last = [&found.latest, &found.first].into_iter().flatten().find(|hit| hit.stage == self.stage);
        let (hit, ended_well) = match (last, &found.first) {
            (Some(hit), _) => (hit, false),
            (None, Some(hit)) => (hit, true),
            (None, None) => return None,
        };
        let to_the_end = self.number - hit.line.number;
        if signature.near_failure && !(hit.confirmed || to_the_end <= CLOSE) {
            return None;
        }
        // Who waits for ever says nothing more; who ended had another reason.
        if signature.at_end && (to_the_end > END || self.last_bad_exit > hit.line.number) {
            return None;
        }
        let tier = match (signature.weight, ended_well) {
            (Weight::Machine, _) => 0,
            (Weight::Cause, false) => 1,
            (Weight::General, false) => 2,
            (Weight::Cause, true) => 3,
            (Weight::Symptom, _) => 4,
            (Weight::General, true) => 5,
        };
        Some((hit, tier))
    }
}

fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(KEPT)).unwrap_or_default().to_owned()
}

/// Whether a line looks like an error, whatever it is about.
fn looks_like_an_error(line: &str) -> bool {
    ["error:", "Error ", "ERROR", "*** ", "No space left", "No such file", "Hunk #", "not found", "Killed"]
        .iter()
        .any(|sign| line.contains(sign))
        || Sign::of(line) == Some(Sign::Failure)
}
