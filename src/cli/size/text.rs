//! What `kbuild size` says, for people: the answer, the table, a curve.

use std::fmt::Write;

use super::{Answer, Hashing};
use crate::cli::render::units;
use crate::ipvs::size::{Row, Sizing};

/// Characters of the longest bar of the curve.
const BAR: usize = 48;

/// Returns the whole answer.
pub(super) fn answer(answer: &Answer) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = head(&mut text, answer);
    let _ = table(&mut text, &answer.sizing, answer.memory_is_limited());
    let _ = curve(&mut text, &answer.sizing);
    for note in &answer.notes {
        let _ = write!(text, "\nnote: {note}");
    }
    if !answer.notes.is_empty() {
        text.push('\n');
    }
    text
}

fn head(text: &mut String, answer: &Answer) -> std::fmt::Result {
    let Sizing { connections, advice, room, .. } = &answer.sizing;
    writeln!(text, "connections  {connections}: {}", answer.origin)?;
    let kernel = &answer.kernel;
    writeln!(
        text,
        "kernel       {}: {} B for a bucket ({}), {} B for a connection ({}), {} bits ({})",
        kernel.release.as_ref().map_or_else(|| "not named".to_owned(), ToString::to_string),
        answer.costs.bucket_bytes,
        kernel.bucket_from,
        answer.costs.entry_bytes,
        kernel.entry_from,
        answer.costs.range,
        kernel.range_from,
    )?;
    writeln!(text, "hashing      {}", hashing(&answer.hashing))?;
    if let Some(room) = room {
        let rate = room.rate.map(|rate| format!(", {rate:.0} new ones per second")).unwrap_or_default();
        writeln!(
            text,
            "memory       {} carry {} connections with a bucket each{rate}",
            units::bytes(room.memory),
            room.connections
        )?;
    }
    writeln!(text)?;
    writeln!(text, "nearest      2^{} = {} buckets", advice.nearest, advice.nearest.buckets())?;
    writeln!(text, "not below    2^{} = {} buckets", advice.not_below, advice.not_below.buckets())?;
    writeln!(text, "recommended  2^{} = {} buckets: {}", advice.bits, advice.bits.buckets(), advice.why)?;
    writeln!(text)
}

fn hashing(hashing: &Hashing) -> String {
    match hashing {
        Hashing::Uniform { why } => format!("uniform hashing is assumed: {why}"),
        Hashing::Computed { hash, seed } => {
            format!(
                "{hash} of each connection, as this kernel does; seed {seed} in place of the one drawn at boot, which \
                 changes single chains and not their statistics"
            )
        }
        Hashing::Counted { bits } => format!("chains as counted at {bits} bits; elsewhere uniform hashing is assumed"),
    }
}

fn table(text: &mut String, sizing: &Sizing, limited: bool) -> std::fmt::Result {
    let real = sizing.rows.iter().any(|row| row.actual.is_some());
    write!(
        text,
        "{:>4} {:>10} {:>12} {:>11} {:>11} {:>11} {:>11} {:>7}",
        "bits", "buckets", "table", "entries", "together", "chain", "look-up", "empty"
    )?;
    if real {
        write!(text, " {:>8} {:>9} {:>13} {:>11}", "longest", "look-ups", "real look-up", "real empty")?;
    }
    writeln!(text)?;
    for row in &sizing.rows {
        line(text, row, real)?;
        let Row { bits, fits, .. } = row;
        let marks = [
            (*bits == sizing.advice.nearest, "nearest"),
            (*bits == sizing.advice.not_below, "not below"),
            (*bits == sizing.advice.bits, "recommended"),
            (limited && *fits == Some(false), "too large for the memory"),
        ];
        let marks: Vec<&str> = marks.into_iter().filter_map(|(holds, mark)| holds.then_some(mark)).collect();
        if !marks.is_empty() {
            write!(text, "  {}", marks.join(", "))?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn line(text: &mut String, row: &Row, real: bool) -> std::fmt::Result {
    write!(
        text,
        "{:>4} {:>10} {:>12} {:>11} {:>11} {:>11.3} {:>11.3} {:>6.1}%",
        row.bits,
        row.buckets,
        kib(row.table_bytes),
        units::bytes(row.entry_bytes),
        units::bytes(row.table_bytes.saturating_add(row.entry_bytes)),
        row.chain,
        row.look_up,
        row.empty * 100.0
    )?;
    match &row.actual {
        Some(actual) => write!(
            text,
            " {:>8} {:>9} {:>13.3} {:>10.1}%",
            actual.longest,
            actual.look_ups,
            actual.look_up,
            actual.empty * 100.0
        ),
        None if real => write!(text, " {:>8} {:>9} {:>13} {:>11}", "-", "-", "-", "-"),
        None => Ok(()),
    }
}

/// As the kernel says it in `memory=`: in KiB, whatever the size.
fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes >> 10)
}

/// The look-up by bits, as bars on a logarithmic scale.
fn curve(text: &mut String, sizing: &Sizing) -> std::fmt::Result {
    let value = |row: &Row| row.actual.as_ref().map_or(row.look_up, |actual| actual.look_up);
    let most = sizing.rows.iter().map(value).fold(10.0, f64::max).log10();
    writeln!(text, "\nentries per look-up, on a logarithmic scale")?;
    for row in &sizing.rows {
        let share = value(row).log10() / most;
        let length = (1..=BAR).take_while(|step| at(*step) <= share).count();
        let mark = if row.bits == sizing.advice.bits { "  <- recommended" } else { "" };
        writeln!(text, "{:>4} |{} {:.3}{mark}", row.bits, "#".repeat(length), value(row))?;
    }
    Ok(())
}

/// The part of a bar that a number of its characters makes, from the middle of the last one on.
fn at(step: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a bar has few characters")]
    let (step, bar) = (step as f64, BAR as f64);
    (step - 0.5) / bar
}
