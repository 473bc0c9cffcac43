//! The table size as the kernel counts it: a power of two.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The option that holds the size at compile time (every kernel since 2.6.10 has it by this name).
pub const OPTION: &str = "CONFIG_IP_VS_TAB_BITS";

/// The option that IPVS itself hangs on, `m` in every distribution kernel that has it.
pub const MODULE: &str = "CONFIG_IP_VS";

/// The exponent of the table size: a kernel with `Bits(20)` has 2^20 buckets.
///
/// Holds 1 to 31; which part of that a kernel accepts is a [`Range`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Bits(u8);

/// Why a text or number is not a [`Bits`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a decimal number at all.
    #[error("expected a whole number of bits such as 20, found `{0}`")]
    NotANumber(String),
    /// A number that no kernel could take: the table would not fit an `int`.
    #[error("expected a number of bits from 1 to 31, found {0}")]
    Absurd(u64),
}

impl Bits {
    /// Returns the exponent.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }

    /// Returns the number of buckets, 2^bits.
    #[must_use]
    pub fn buckets(self) -> u64 {
        1 << self.0
    }

    /// Returns the bits of a table with exactly this many buckets, if that is a power of two in range.
    #[must_use]
    pub fn from_buckets(buckets: u64) -> Option<Self> {
        let bits = buckets.is_power_of_two().then(|| buckets.trailing_zeros())?;
        Self::try_from(u8::try_from(bits).ok()?).ok()
    }
}

impl TryFrom<u8> for Bits {
    type Error = Error;

    fn try_from(bits: u8) -> Result<Self, Error> {
        if (1..=31).contains(&bits) { Ok(Self(bits)) } else { Err(Error::Absurd(bits.into())) }
    }
}

impl From<Bits> for u8 {
    fn from(bits: Bits) -> Self {
        bits.0
    }
}

impl FromStr for Bits {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let number = plain(text).ok_or_else(|| Error::NotANumber(text.to_owned()))?;
        u8::try_from(number).map_err(|_| Error::Absurd(number))?.try_into()
    }
}

/// Returns a number that is written as kconfig writes it: digits alone, without a sign and without leading zeros (which
/// kconfig keeps as they are, so that the value in the packages would not be the one that was asked for).
#[must_use]
pub fn plain(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The values that a kernel accepts, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Range {
    /// The smallest.
    pub min: u8,
    /// The largest.
    pub max: u8,
}

impl Range {
    /// Whether the kernel accepts this value.
    #[must_use]
    pub fn contains(self, bits: Bits) -> bool {
        (self.min..=self.max).contains(&bits.get())
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_parsed_strictly() {
        assert_eq!("20".parse(), Ok(Bits(20)));
        for bad in ["abc", "", "-1", "20.0", " 20", "0x14", "+20", "020", "032"] {
            assert_eq!(bad.parse::<Bits>(), Err(Error::NotANumber(bad.to_owned())), "{bad}");
        }
        assert_eq!("0".parse::<Bits>(), Err(Error::Absurd(0)));
        assert_eq!("32".parse::<Bits>(), Err(Error::Absurd(32)));
        assert_eq!("4294967316".parse::<Bits>(), Err(Error::Absurd(4_294_967_316)));
    }

    #[test]
    fn buckets_and_back() {
        assert_eq!(Bits(20).buckets(), 1_048_576);
        assert_eq!(Bits::from_buckets(1_048_576), Some(Bits(20)));
        assert_eq!(Bits::from_buckets(1_048_577), None);
        assert_eq!(Bits::from_buckets(0), None);
        assert_eq!(Bits::from_buckets(1), None);
    }
}
