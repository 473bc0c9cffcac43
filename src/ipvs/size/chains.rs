//! How connections are spread over the buckets of a table: how many chains there are of each length.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ipvs::bits::plain;

/// The number of buckets by the length of their chain; empty buckets are not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Chains(BTreeMap<u64, u64>);

/// Why a text is not a distribution of chains.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A part is not a length and a number.
    #[error("expected LENGTH:BUCKETS such as `2:5614`, found `{0}`")]
    NotAPair(String),
    /// Empty buckets follow from the size of the table.
    #[error("expected chains of one connection and more, found `{0}`: empty buckets follow from --bits")]
    Empty(String),
    /// Two numbers for one length.
    #[error("the chains of length {0} are there twice")]
    Twice(u64),
    /// More than any table holds.
    #[error("these are more connections than any kernel has")]
    TooMany,
}

/// More connections than memory of any machine can hold: sums stay far below the largest number.
pub const MOST: u64 = 1 << 40;

impl FromStr for Chains {
    type Err = Error;

    /// Parses `5:16,4:126`: 16 chains of 5 connections, 126 of 4.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut chains = BTreeMap::new();
        for part in text.split(',').map(str::trim) {
            let refuse = || Error::NotAPair(part.to_owned());
            let (length, buckets) = part.split_once(':').ok_or_else(refuse)?;
            let number = |text: &str| plain(text.trim()).ok_or_else(refuse);
            let (length, buckets) = (number(length)?, number(buckets)?);
            if length == 0 {
                return Err(Error::Empty(part.to_owned()));
            }
            if chains.insert(length, buckets).is_some() {
                return Err(Error::Twice(length));
            }
        }
        // What is looked up grows with the square: that sum must be a number, too.
        let sums = chains.iter().try_fold((0_u64, 0_u64), |(sum, squares), (length, buckets)| {
            let connections = length.checked_mul(*buckets)?;
            let square = connections.checked_mul(length.checked_add(1)?)?;
            Some((sum.checked_add(connections).filter(|sum| *sum <= MOST)?, squares.checked_add(square)?))
        });
        chains.retain(|_, buckets| *buckets > 0);
        sums.map(|_| Self(chains)).ok_or(Error::TooMany)
    }
}

impl Chains {
    /// Returns the chains of a table of 2^`bits` buckets. The hashes must have gone through [`in_order`].
    #[must_use]
    pub fn of(reversed: &[u32], bits: u8) -> Self {
        let bucket = |hash: &u32| hash.checked_shr(u32::BITS - u32::from(bits)).unwrap_or(0);
        let mut chains = BTreeMap::new();
        for chain in reversed.chunk_by(|one, other| bucket(one) == bucket(other)) {
            *chains.entry(chain.len() as u64).or_default() += 1;
        }
        Self(chains)
    }

    /// Returns the number of buckets of each length, shortest first.
    pub fn lengths(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().map(|(length, buckets)| (*length, *buckets))
    }

    /// Returns the number of connections.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.lengths().map(|(length, buckets)| length * buckets).sum()
    }

    /// Returns the number of buckets that are not empty.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.values().sum()
    }

    /// Returns the length of the longest chain; 0 if there is none.
    #[must_use]
    pub fn longest(&self) -> u64 {
        self.0.last_key_value().map_or(0, |(length, _)| *length)
    }

    /// Returns the entries that are looked at when every connection is looked up once: the first of a chain costs one,
    /// the last costs its length, so a chain costs L(L+1)/2.
    #[must_use]
    pub fn look_ups(&self) -> u64 {
        self.lengths().map(|(length, buckets)| length * (length + 1) / 2 * buckets).sum()
    }
}

/// Puts hashes into the order in which those of one bucket stand together, whatever the size of the table: a bucket is
/// the lowest bits of a hash, so they are turned around and sorted.
#[must_use]
pub fn in_order(hashes: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let mut reversed: Vec<u32> = hashes.into_iter().map(u32::reverse_bits).collect();
    reversed.sort_unstable();
    reversed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of a real site: 35 652 connections in a table of 16 bits.
    const SAMPLE: &str = "5:16,4:126,3:980,2:5614,1:20900";

    #[test]
    fn the_sample_of_a_real_site() {
        let chains: Chains = SAMPLE.parse().unwrap();
        assert_eq!(chains.connections(), 35_652);
        assert_eq!(chains.look_ups(), 45_122);
        assert_eq!((chains.longest(), chains.used()), (5, 27_636));
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        let refused = |text: &str| text.parse::<Chains>().unwrap_err();
        for bad in ["", "5", "5:", ":16", "5:16,", "5:16;4:1", "a:1", "-1:2", "1:+2", "5:16:2", "01:2"] {
            assert!(matches!(refused(bad), Error::NotAPair(_)), "{bad}");
        }
        assert_eq!(refused("0:37900"), Error::Empty("0:37900".into()));
        assert_eq!(refused("2:1,2:1"), Error::Twice(2));
        for much in [
            "1:1099511627777",
            "4294967296:4294967296",
            "18446744073709551615:1",
            "1048577:1048577",
            "1048575:1048576,1048574:2",
        ] {
            assert_eq!(refused(much), Error::TooMany, "{much}");
        }
        assert_eq!(" 2:1, 1:3,7:0 ".parse(), "2:1,1:3".parse::<Chains>());
    }

    proptest! {
        /// Counted bucket by bucket, as the kernel fills its table.
        #[test]
        fn chains_are_those_of_a_table_that_is_filled(hashes in prop::collection::vec(any::<u32>(), 0..300), bits in 1_u8..=12) {
            let mut table = vec![0_u64; 1 << bits];
            for hash in &hashes {
                table[*hash as usize & ((1 << bits) - 1)] += 1;
            }
            let mut expected = BTreeMap::new();
            for length in table.into_iter().filter(|length| *length > 0) {
                *expected.entry(length).or_insert(0) += 1;
            }
            let chains = Chains::of(&in_order(hashes.iter().copied()), bits);
            prop_assert_eq!(chains.connections(), hashes.len() as u64);
            prop_assert_eq!(chains, Chains(expected));
        }
    }
}
