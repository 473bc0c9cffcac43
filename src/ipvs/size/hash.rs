//! The hash by which kernels spread connections over buckets (`ip_vs_conn_hashkey` in `ip_vs_conn.c`, over
//! `include/linux/jhash.h`).
//!
//! The key is the protocol with the client's address and port, the same for both directions; templates of persistent
//! services have the port 0. Words are as a little-endian machine reads them.

use core::net::{IpAddr, Ipv6Addr};

use super::connections::Key;

/// What stands for `ip_vs_conn_rnd`, which the kernel draws at every boot (so nobody can aim at one chain). Any value is
/// as good as another: that is what the kernel relies on, too.
pub const SEED: u32 = 0x6b62_7569;

/// A way to hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// Bob Jenkins's lookup2, in `jhash.h` up to 2.6.36.
    Lookup2,
    /// His lookup3, from 2.6.37 on.
    Lookup3,
    /// The same with the length in the first value, in kernels of the 4 series on.
    Lookup3Length,
    /// Siphash under a key that is drawn for every table: not computed, and uniform by design.
    Keyed,
}

impl Hash {
    /// Returns the hash of a connection, of which a table takes the lowest bits; `None` where it is not computed.
    ///
    /// From 3.0 on the kernel also mixes in the address of the network namespace, which is the same for all of its
    /// connections: it moves chains and changes none.
    #[must_use]
    pub fn of(self, key: &Key) -> Option<u32> {
        let words = match self {
            Self::Lookup2 => lookup2_words,
            Self::Lookup3 => lookup3_words,
            Self::Lookup3Length => lookup3_words_with_length,
            Self::Keyed => return None,
        };
        let address = match key.client {
            IpAddr::V4(address) => u32::from_le_bytes(address.octets()),
            IpAddr::V6(address) => match self {
                Self::Lookup2 => lookup2_16(address),
                _ => lookup3_16(address),
            },
        };
        let port = u16::from_le_bytes(key.port.to_be_bytes());
        Some(words([address, port.into(), key.protocol.into()]))
    }

    /// Returns its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lookup2 => "jhash (lookup2)",
            Self::Lookup3 | Self::Lookup3Length => "jhash (lookup3)",
            Self::Keyed => "siphash",
        }
    }
}

/// `JHASH_GOLDEN_RATIO`.
const GOLDEN_RATIO: u32 = 0x9e37_79b9;
/// `JHASH_INITVAL`.
const INITVAL: u32 = 0xdead_beef;

/// Three words that are mixed.
#[derive(Clone, Copy)]
struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    fn same(value: u32) -> Self {
        Self { a: value, b: value, c: value }
    }

    fn add(&mut self, [a, b, c]: [u32; 3]) {
        self.a = self.a.wrapping_add(a);
        self.b = self.b.wrapping_add(b);
        self.c = self.c.wrapping_add(c);
    }

    /// `__jhash_mix` up to 2.6.36.
    fn mix2(&mut self) {
        let Self { a, b, c } = self;
        for [right, left, last] in [[13, 8, 13], [12, 16, 5], [3, 10, 15]] {
            *a = a.wrapping_sub(*b).wrapping_sub(*c) ^ (*c >> right);
            *b = b.wrapping_sub(*c).wrapping_sub(*a) ^ (*a << left);
            *c = c.wrapping_sub(*a).wrapping_sub(*b) ^ (*b >> last);
        }
    }

    /// `__jhash_mix` from 2.6.37 on.
    fn mix3(&mut self) {
        let Self { a, b, c } = self;
        for [one, two, three] in [[4, 6, 8], [16, 19, 4]] {
            *a = a.wrapping_sub(*c) ^ c.rotate_left(one);
            *c = c.wrapping_add(*b);
            *b = b.wrapping_sub(*a) ^ a.rotate_left(two);
            *a = a.wrapping_add(*c);
            *c = c.wrapping_sub(*b) ^ b.rotate_left(three);
            *b = b.wrapping_add(*a);
        }
    }

    /// `__jhash_final`.
    fn last3(&mut self) {
        let Self { a, b, c } = self;
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(14));
        *a = (*a ^ *c).wrapping_sub(c.rotate_left(11));
        *b = (*b ^ *a).wrapping_sub(a.rotate_left(25));
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(16));
        *a = (*a ^ *c).wrapping_sub(c.rotate_left(4));
        *b = (*b ^ *a).wrapping_sub(a.rotate_left(14));
        *c = (*c ^ *b).wrapping_sub(b.rotate_left(24));
    }
}

/// `jhash_3words` up to 2.6.36.
fn lookup2_words(words: [u32; 3]) -> u32 {
    let mut state = State { a: GOLDEN_RATIO, b: GOLDEN_RATIO, c: SEED };
    state.add(words);
    state.mix2();
    state.c
}

/// `jhash_3words` from 2.6.37 on.
fn lookup3_words(words: [u32; 3]) -> u32 {
    let mut state = State { a: INITVAL, b: INITVAL, c: SEED };
    state.add(words);
    state.last3();
    state.c
}

/// `jhash_3words` with `__jhash_nwords` (6.1.192).
fn lookup3_words_with_length(words: [u32; 3]) -> u32 {
    let mut state = State::same(SEED.wrapping_add(INITVAL).wrapping_add(3 << 2));
    state.add(words);
    state.last3();
    state.c
}

/// The four words of an address.
fn words(address: Ipv6Addr) -> ([u32; 3], u32) {
    let [s0, s1, s2, s3, s4, s5, s6, s7] = address.segments();
    let word = |first: u16, second: u16| u32::from(first.swap_bytes()) | (u32::from(second.swap_bytes()) << 16);
    ([word(s0, s1), word(s2, s3), word(s4, s5)], word(s6, s7))
}

/// `jhash` of 16 bytes up to 2.6.36.
fn lookup2_16(address: Ipv6Addr) -> u32 {
    let (first, rest) = words(address);
    let mut state = State { a: GOLDEN_RATIO, b: GOLDEN_RATIO, c: SEED };
    state.add(first);
    state.mix2();
    state.add([rest, 0, 16]);
    state.mix2();
    state.c
}

/// `jhash` of 16 bytes from 2.6.37 on.
fn lookup3_16(address: Ipv6Addr) -> u32 {
    let (first, rest) = words(address);
    let mut state = State::same(INITVAL.wrapping_add(16).wrapping_add(SEED));
    state.add(first);
    state.mix3();
    state.add([rest, 0, 0]);
    state.last3();
    state.c
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What C says that was compiled from `include/linux/jhash.h` of 6.1.192, and from the lookup2 of 2.6.18 in the same
    /// form, with this seed.
    #[test]
    fn the_hashes_are_those_of_the_kernel() {
        let v4 = Key { protocol: 6, client: "10.0.0.1".parse().unwrap(), port: 0x9eed };
        let v6 = Key { protocol: 17, client: "2001:db8::1".parse().unwrap(), port: 0x9eed };
        for (hash, of_v4, of_v6) in [
            (Hash::Lookup2, 0x0eca_f53f, 0xd5c2_5efc),
            (Hash::Lookup3, 0x02c2_6bb2, 0xf0e3_357d),
            (Hash::Lookup3Length, 0x4a42_b9f5, 0x9ec3_1031),
        ] {
            assert_eq!((hash.of(&v4), hash.of(&v6)), (Some(of_v4), Some(of_v6)), "{hash:?}");
        }
        assert_eq!(Hash::Keyed.of(&v4), None);
    }
}
