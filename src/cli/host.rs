//! `kbuild host`: what this director has, and the one next step to the table that it should have.

use std::fmt::Write;

use serde::Serialize;

use super::args::host::Host;
use super::render::Format;
use super::{Edge, Output};
use crate::error::Error;
use crate::ipvs::bits::Bits;
use crate::ipvs::size::chains::in_order;
use crate::ipvs::size::connections::List;
use crate::ipvs::size::era::Word;
use crate::ipvs::size::{self, Demand, Row, Sizing, Spread};
use crate::plan::director::{Advice, Director, advise};
use crate::plan::running::{self, Terms};
use crate::proof::director;
use crate::recipe::builtin;
use crate::sys::tree::Tree;

/// What `kbuild host` answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Answer {
    director: Director,
    /// What the table is sized for, where that is known.
    connections: Option<u64>,
    /// The table that is there, and the one that should be.
    present: Option<Row>,
    recommended: Option<Row>,
    advice: Advice,
}

pub(super) fn run(edge: &Edge, args: &Host) -> Result<Output, Error> {
    let tree = Tree::below(&args.root);
    tree.names("/").map_err(|source| Error::Input { what: "the root of the director".into(), source })?;
    let (director, list) = director::look(&tree);
    let recipes = builtin::all()?;
    let of_release = director.release.as_ref().and_then(size::era::Release::word);
    // A release may leave the architecture out; the machine's own is only known here.
    let of_machine = tree.is_this_machine().then(|| Word::of(std::env::consts::ARCH)).flatten();
    let word = of_release.or(of_machine).unwrap_or(Word::Bits64);
    let mut terms = running::terms(&recipes, director.release.as_ref(), word);
    if let Some(seen) = &director.entry_bytes {
        terms.costs.entry_bytes = seen.is;
        terms.entry_from.clone_from(&seen.by);
    }
    let sizing = sizing(args, &terms, list.as_ref())?;
    let advice = advise(&director, &recipes, sizing.as_ref().map(|sizing| sizing.advice));
    let row = |bits: Option<Bits>| sizing.as_ref()?.rows.iter().find(|row| Some(row.bits) == bits).cloned();
    let present = row(director.buckets.as_ref().and_then(|seen| Bits::from_buckets(seen.is)));
    let recommended = row(advice.recommended.map(|advice| advice.bits));
    let connections = sizing.as_ref().map(|sizing| sizing.connections);
    let answer = Answer { director, connections, present, recommended, advice };
    Ok(Output::text(match edge.format {
        Format::Json => serde_json::to_string_pretty(&answer).unwrap_or_default() + "\n",
        Format::Human | Format::Plain => text(&answer),
    }))
}

/// The sizes for what the director carries: as given, or as it is now if it carries something.
fn sizing(args: &Host, terms: &Terms, list: Option<&List>) -> Result<Option<Sizing>, Error> {
    let mut demand = Demand { connections: 0, spread: Spread::Uniform, memory: None, lifetime: None };
    match (args.connections, list) {
        (Some(connections), _) => demand.connections = connections,
        (None, Some(list)) if !list.keys().is_empty() => {
            demand.connections = list.keys().len() as u64;
            let hash = terms.era.map(|era| era.hash);
            let hashes: Option<Vec<u32>> = hash.and_then(|hash| list.keys().iter().map(|key| hash.of(key)).collect());
            demand.spread = hashes.map_or(Spread::Uniform, |hashes| Spread::Hashed(in_order(hashes)));
        }
        _ => return Ok(None),
    }
    Ok(Some(size::size(&demand, terms.costs)?))
}

fn text(answer: &Answer) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = facts(&mut text, &answer.director);
    let _ = load(&mut text, answer);
    let _ = next(&mut text, answer);
    text
}

fn facts(text: &mut String, director: &Director) -> std::fmt::Result {
    let release = director.release.as_ref().map_or_else(|| "not known".to_owned(), ToString::to_string);
    let container = director.container.as_ref().map(|sign| format!(" (in a container: {sign})")).unwrap_or_default();
    writeln!(text, "kernel       {release}{container}")?;
    let loaded = match director.loaded {
        Some(true) => ", in use now",
        Some(false) => ", not loaded now",
        None => "",
    };
    writeln!(text, "ip_vs        {}{loaded}", director.ipvs)?;
    let parameter = match &director.parameter {
        Some(seen) if seen.is => format!("conn_tab_bits is there ({})", seen.by),
        Some(seen) => format!("no conn_tab_bits ({})", seen.by),
        None => "not seen: no ip_vs.ko here to look at".to_owned(),
    };
    writeln!(text, "parameter    {parameter}")?;
    if let Some(built) = &director.built {
        writeln!(text, "default      {} bits ({})", built.is, built.by)?;
    }
    if let Some(configured) = &director.configured {
        writeln!(text, "configured   {} bits ({})", configured.is, configured.by)?;
    }
    match (&director.buckets, director.value) {
        (Some(seen), Some(value)) if seen.is != value.buckets() => {
            writeln!(text, "table        {} buckets ({}), at most 2^{value}", seen.is, seen.by)
        }
        (Some(seen), _) => match Bits::from_buckets(seen.is) {
            Some(bits) => writeln!(text, "table        2^{bits} = {} buckets ({})", seen.is, seen.by),
            None => writeln!(text, "table        {} buckets ({})", seen.is, seen.by),
        },
        (None, _) if director.loaded == Some(false) => writeln!(text, "table        none: ip_vs is not loaded"),
        (None, _) => writeln!(text, "table        not seen"),
    }
}

fn load(text: &mut String, answer: &Answer) -> std::fmt::Result {
    let now = answer.director.connections;
    let now = now.map_or_else(|| "not seen".to_owned(), |connections| format!("{connections} now"));
    match (answer.connections, answer.director.connections) {
        (Some(given), now_is) if now_is != Some(given) => writeln!(text, "connections  {now}, {given} as given")?,
        _ => writeln!(text, "connections  {now}")?,
    }
    if let Some(present) = &answer.present {
        writeln!(text, "look-up      {:.3} entries at the present {} bits", look_up(present), present.bits)?;
    }
    if let (Some(row), Some(advice)) = (&answer.recommended, &answer.advice.recommended) {
        writeln!(
            text,
            "recommended  2^{} = {} buckets: {:.3} entries for a look-up (nearest 2^{}, not below 2^{})",
            row.bits,
            row.buckets,
            look_up(row),
            advice.nearest,
            advice.not_below
        )?;
    }
    Ok(())
}

/// The mean look-up, of the connections themselves where it is known.
fn look_up(row: &Row) -> f64 {
    row.actual.as_ref().map_or(row.look_up, |actual| actual.look_up)
}

fn next(text: &mut String, answer: &Answer) -> std::fmt::Result {
    let next = &answer.advice.next;
    writeln!(text)?;
    match &next.command {
        Some(command) => writeln!(text, "next         {command}\n             {}", next.why)?,
        None => writeln!(text, "next         {}", next.why)?,
    }
    for note in &next.notes {
        writeln!(text, "note: {note}")?;
    }
    for unread in &answer.director.unread {
        writeln!(text, "not read: {unread}")?;
    }
    Ok(())
}
