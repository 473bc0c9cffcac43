//! How large the connection table should be: what each size costs in memory and in look-ups, and which one to take.
//!
//! The table is not a limit: with more connections than buckets, chains grow and look-ups slow down, nothing is refused.

pub mod chains;
pub mod connections;
pub mod era;
pub mod hash;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

use super::bits::{Bits, Range};
use chains::Chains;

/// The size that every kernel has by default (`default "12"` in Kconfig, from 2.6.18 to 6.12).
pub const DEFAULT: u8 = 12;

/// What a table is sized for.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    /// Connections at the same time.
    pub connections: u64,
    /// How they spread in fact, where that is known.
    pub spread: Spread,
    /// Bytes that table and entries may take together.
    pub memory: Option<u64>,
    /// Seconds that a connection stays in the table.
    pub lifetime: Option<f64>,
}

/// How connections are spread over the buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spread {
    /// Not known: uniform hashing is assumed.
    Uniform,
    /// The connections' own hashes, in the order of [`chains::in_order`].
    Hashed(Vec<u32>),
    /// Counted in a table of this size.
    Counted(Bits, Chains),
}

/// What a kernel makes of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Costs {
    /// Bytes of a bucket.
    pub bucket_bytes: u64,
    /// Bytes of a connection.
    pub entry_bytes: u64,
    /// The bits that it takes.
    pub range: Range,
}

/// One size of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Row {
    /// The size.
    pub bits: Bits,
    /// 2^bits.
    pub buckets: u64,
    /// Bytes of the table.
    pub table_bytes: u64,
    /// Bytes of the entries of all connections.
    pub entry_bytes: u64,
    /// Connections for each bucket: the entries that a packet of no connection passes.
    pub chain: f64,
    /// Entries that a packet of a connection looks at, on average over all connections.
    pub look_up: f64,
    /// Share of buckets that are empty, from 0 to 1.
    pub empty: f64,
    /// The same from the connections themselves.
    pub actual: Option<Actual>,
    /// Whether table and entries fit into the memory that was allowed.
    pub fits: Option<bool>,
}

/// What a table of real connections looks like.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Actual {
    /// Chains by length.
    pub chains: Chains,
    /// The longest.
    pub longest: u64,
    /// Entries looked at when every connection is looked up once.
    pub look_ups: u64,
    /// That for one connection.
    pub look_up: f64,
    /// Share of buckets that are empty.
    pub empty: f64,
}

/// Which size to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Advice {
    /// The power of two that is closest to the number of connections.
    pub nearest: Bits,
    /// The smallest one that is not below it.
    pub not_below: Bits,
    /// The one to take.
    pub bits: Bits,
    /// Why.
    pub why: Why,
}

/// Why a size is the one to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It is the smallest with a bucket for every connection.
    NotBelow,
    /// The kernel's default is large enough.
    Default,
    /// The kernel takes no larger one.
    Largest,
    /// A larger one does not fit into the memory.
    Memory,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotBelow => {
                "a bucket for every connection keeps the mean look-up below 1.5; one bit less saves half of the table, \
                 which is little beside the entries, and makes chains twice as long"
            }
            Self::Default => "the kernel's default has a bucket for every connection: nothing need be changed",
            Self::Largest => "the kernel takes no more; chains are longer than they could be, but nothing is refused",
            Self::Memory => "a larger table does not fit into the memory that is allowed beside the entries",
        })
    }
}

/// What fits into the memory that was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Room {
    /// Bytes that were allowed.
    pub memory: u64,
    /// Connections that fit, each with a bucket.
    pub connections: u64,
    /// New connections per second that this carries, where their lifetime is known.
    pub rate: Option<f64>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sizing {
    /// Connections at the same time.
    pub connections: u64,
    /// Which size to take.
    pub advice: Advice,
    /// What the memory carries, where it is limited.
    pub room: Option<Room>,
    /// All sizes that the kernel takes.
    pub rows: Vec<Row>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Not even the smallest table fits beside the entries.
    #[error(
        "{connections} connections do not fit: expected at most {memory} bytes, found {entries} bytes of entries and {table} of \
         the smallest table"
    )]
    NoRoom {
        /// The connections.
        connections: u64,
        /// Bytes allowed.
        memory: u64,
        /// Bytes of their entries.
        entries: u64,
        /// Bytes of the smallest table.
        table: u64,
        /// Connections that would fit.
        fit: u64,
    },
    /// More chains than a table has buckets.
    #[error("{used} chains are more than the {} buckets of a table of {bits} bits", bits.buckets())]
    MoreChainsThanBuckets {
        /// The chains.
        used: u64,
        /// The table.
        bits: Bits,
    },
}

impl Error {
    /// Returns what to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoRoom { fit, .. } => {
                format!("{fit} connections fit, each with a bucket; the table itself refuses none, memory does")
            }
            Self::MoreChainsThanBuckets { .. } => "give the --bits of the table that the chains were counted in".into(),
        }
    }
}

/// Returns the number of connections that a rate and a lifetime make, rounded up; the product of both.
#[must_use]
pub fn connections(rate: f64, lifetime: f64) -> u64 {
    whole((rate * lifetime).ceil())
}

/// Returns what fits into so much memory.
#[must_use]
pub fn room(memory: u64, costs: Costs, lifetime: Option<f64>) -> Room {
    let each = (costs.bucket_bytes + costs.entry_bytes).max(1);
    let rate = lifetime.map(|lifetime| real(memory) / real(each) / lifetime);
    Room { memory, connections: memory / each, rate }
}

/// Sizes a table.
///
/// # Errors
/// Not even the smallest table fits into the memory, or the chains that were counted do not fit into their table.
pub fn size(demand: &Demand, costs: Costs) -> Result<Sizing, Error> {
    if let Spread::Counted(bits, chains) = &demand.spread
        && chains.used() > bits.buckets()
    {
        return Err(Error::MoreChainsThanBuckets { used: chains.used(), bits: *bits });
    }
    let range = (costs.range.min..=costs.range.max).filter_map(|bits| Bits::try_from(bits).ok());
    let rows: Vec<Row> = range.map(|bits| row(demand, costs, bits)).collect();
    let room = demand.memory.map(|memory| room(memory, costs, demand.lifetime));
    let advice = advice(demand, costs, &rows)?;
    Ok(Sizing { connections: demand.connections, advice, room, rows })
}

fn row(demand: &Demand, costs: Costs, bits: Bits) -> Row {
    let buckets = bits.buckets();
    let (table_bytes, entry_bytes) = bytes(demand.connections, costs, bits);
    let (n, m) = (real(demand.connections), real(buckets));
    let chains = match &demand.spread {
        Spread::Hashed(hashes) => Some(Chains::of(hashes, bits.get())),
        Spread::Counted(counted, chains) if *counted == bits => Some(chains.clone()),
        Spread::Uniform | Spread::Counted(..) => None,
    };
    Row {
        bits,
        buckets,
        table_bytes,
        entry_bytes,
        chain: n / m,
        // Each of the others is before it in its chain with a chance of 1/2m.
        look_up: 1.0 + (n - 1.0).max(0.0) / (2.0 * m),
        // All n pass a bucket by: (1 - 1/m)^n.
        empty: (n * (-1.0 / m).ln_1p()).exp(),
        actual: chains.map(|chains| actual(chains, buckets)),
        fits: demand.memory.map(|memory| table_bytes.saturating_add(entry_bytes) <= memory),
    }
}

/// Bytes of the table and of the entries.
fn bytes(connections: u64, costs: Costs, bits: Bits) -> (u64, u64) {
    (bits.buckets() * costs.bucket_bytes, connections.saturating_mul(costs.entry_bytes))
}

fn actual(chains: Chains, buckets: u64) -> Actual {
    let look_ups = chains.look_ups();
    Actual {
        longest: chains.longest(),
        look_ups,
        look_up: real(look_ups) / real(chains.connections().max(1)),
        empty: 1.0 - real(chains.used()) / real(buckets),
        chains,
    }
}

/// Which size to take: a bucket for every connection, as far as kernel and memory allow, and not less than the default.
fn advice(demand: &Demand, costs: Costs, rows: &[Row]) -> Result<Advice, Error> {
    let (nearest, not_below) = (nearest(demand.connections), not_below(demand.connections));
    let wanted = not_below.get().max(DEFAULT);
    let (mut bits, mut why) = match wanted {
        wanted if wanted > costs.range.max => (costs.range.max, Why::Largest),
        wanted if not_below.get() <= DEFAULT => (wanted.max(costs.range.min), Why::Default),
        wanted => (wanted.max(costs.range.min), Why::NotBelow),
    };
    if let Some(memory) = demand.memory {
        let largest = rows.iter().filter(|row| row.fits == Some(true)).map(|row| row.bits.get()).max();
        let Some(largest) = largest else {
            let smallest = Bits::try_from(costs.range.min).unwrap_or(nearest);
            let (table, entries) = bytes(demand.connections, costs, smallest);
            let fit = room(memory, costs, None).connections;
            return Err(Error::NoRoom { connections: demand.connections, memory, entries, table, fit });
        };
        if largest < bits {
            (bits, why) = (largest, Why::Memory);
        }
    }
    // The range holds numbers that a kernel takes.
    Ok(Advice { nearest, not_below, bits: Bits::try_from(bits).unwrap_or(not_below), why })
}

/// Returns the smallest power of two that is not below a number; the largest that there is for what is above all.
fn not_below(connections: u64) -> Bits {
    let bits = connections.max(2).checked_next_power_of_two().map_or(u32::MAX, u64::trailing_zeros);
    bits_from(bits)
}

/// Returns the power of two that is closest to a number, the larger one of two.
fn nearest(connections: u64) -> Bits {
    let above = not_below(connections);
    match Bits::try_from(above.get() - 1) {
        Ok(below) if connections.abs_diff(below.buckets()) < connections.abs_diff(above.buckets()) => below,
        _ => above,
    }
}

/// The bits that a number stands for, within what there is.
fn bits_from(bits: u32) -> Bits {
    let within = u8::try_from(bits.clamp(1, 31)).unwrap_or(1);
    Bits::try_from(within).unwrap_or_else(|_| unreachable!("1 to 31 are bits"))
}

/// A whole number as a real one.
fn real(number: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "numbers above 2^53 need not be exact here")]
    let real = number as f64;
    real
}

/// A real number as a whole one; what is too large becomes the largest, what is below becomes 0.
fn whole(number: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast keeps to the ends")]
    let whole = number as u64;
    whole
}
