//! What each size of the table costs: memory, chains and look-ups, with the sizes that the fleet has.

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::ipvs::bits::{Bits, Range};
use crate::ipvs::size::era::{self, Word};
use crate::ipvs::size::{self, Costs, Demand, Spread};

/// The numbers of connections that are shown: those of a small site, and ten times as many each.
pub const CONNECTIONS: [u64; 4] = [10_000, 100_000, 1_000_000, 10_000_000];

/// Memory, chains and look-ups of every size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Curve {
    /// Connections at the same time, for which chains and look-ups are given.
    pub connections: Vec<u64>,
    /// The buckets that the fleet's kernels have, for which memory is given.
    pub kinds: Vec<Kind>,
    /// Every size that kernels take, smallest first.
    pub sizes: Vec<Size>,
}

/// A kind of bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Kind {
    /// Bytes of one.
    pub bytes: u64,
    /// Whose kernels have it: names of recipes.
    pub families: Vec<String>,
}

/// One size of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Size {
    /// The size.
    pub bits: Bits,
    /// 2^bits.
    pub buckets: u64,
    /// How many cells of the fleet have it.
    pub cells: usize,
    /// Bytes of the table, for each kind of bucket.
    pub bytes: Vec<u64>,
    /// Connections for each bucket, for each number of connections.
    pub chain: Vec<f64>,
    /// Entries that a packet of a connection looks at on average, for each number of connections.
    pub look_up: Vec<f64>,
}

impl Curve {
    /// Works it out for the kernels of a fleet, under uniform hashing.
    #[must_use]
    pub fn of(entries: &[Entry]) -> Self {
        let kinds = kinds(entries);
        let common = era::guide().range(Word::Bits64);
        let largest = entries.iter().map(|entry| entry.bits.get()).max().unwrap_or_default();
        let smallest = entries.iter().map(|entry| entry.bits.get()).min().unwrap_or(common.min);
        let range = Range { min: smallest.min(common.min), max: largest.max(common.max) };
        let rows = CONNECTIONS.map(|connections| rows(connections, range));
        let at = |place: usize| rows.iter().filter_map(move |rows| rows.get(place));
        let bits = (range.min..=range.max).filter_map(|bits| Bits::try_from(bits).ok());
        let sizes = bits.enumerate().map(|(place, bits)| Size {
            bits,
            buckets: bits.buckets(),
            cells: entries.iter().filter(|entry| entry.bits == bits).count(),
            bytes: kinds.iter().map(|kind| kind.bytes * bits.buckets()).collect(),
            chain: at(place).map(|row| row.chain).collect(),
            look_up: at(place).map(|row| row.look_up).collect(),
        });
        let sizes = sizes.collect();
        Self { connections: CONNECTIONS.to_vec(), kinds, sizes }
    }
}

/// Returns the sizes for one number of connections, as `kbuild size` works them out.
fn rows(connections: u64, range: Range) -> Vec<size::Row> {
    let demand = Demand { connections, spread: Spread::Uniform, memory: None, lifetime: None };
    // Chains and look-ups do not depend on bytes.
    let costs = Costs { bucket_bytes: 1, entry_bytes: 1, range };
    size::size(&demand, costs).map(|sizing| sizing.rows).unwrap_or_default()
}

/// Returns the kinds of buckets, largest first; that of the operators' guide if nothing is known of any kernel.
fn kinds(entries: &[Entry]) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::new();
    for (bytes, family) in entries.iter().filter_map(|entry| Some((entry.bucket_bytes?, &entry.recipe))) {
        let family = family.clone().unwrap_or_else(|| "others".into());
        match kinds.iter_mut().find(|kind| kind.bytes == bytes) {
            Some(kind) if kind.families.contains(&family) => {}
            Some(kind) => kind.families.push(family),
            None => kinds.push(Kind { bytes, families: vec![family] }),
        }
    }
    if kinds.is_empty() {
        kinds.push(Kind { bytes: era::guide().bucket.on(Word::Bits64), families: vec!["the operators' guide".into()] });
    }
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.bytes));
    kinds
}
