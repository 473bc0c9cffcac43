//! What differs between kernels where a table is sized: how its buckets and entries are laid out, how it is hashed, and
//! which sizes it can have. Data; a release only chooses a row.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::hash::Hash;
use crate::ipvs::bits::Range;

/// A release as `uname -r` or a package has it, such as `2.6.32-220.13.1.el6.x86_64`: a version with something behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Release {
    text: String,
    /// The first three numbers of the version; what is missing is 0.
    version: [u32; 3],
}

/// Why a text is no release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a kernel's release such as 2.6.32-220.13.1.el6, found `{0}`")]
pub struct NoRelease(String);

impl Release {
    /// Returns the text as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the word of a machine that the end of the text names; a release may leave it out (el5 does).
    #[must_use]
    pub fn word(&self) -> Option<Word> {
        // A debug kernel says `.x86_64.debug` (el6, el7) or `.x86_64+debug` (el8 on).
        let mut parts = self.text.split(['.', '+', '-']).rev().take(3);
        parts.find_map(Word::of)
    }
}

impl FromStr for Release {
    type Err = NoRelease;

    fn from_str(text: &str) -> Result<Self, NoRelease> {
        let refuse = || NoRelease(text.to_owned());
        // A package's name may stand before it.
        let bare =
            text.find(|letter: char| letter.is_ascii_digit()).and_then(|at| text.get(at..)).ok_or_else(refuse)?;
        let named = text.strip_suffix(bare).unwrap_or_default();
        let legal = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+~".contains(&byte));
        if !legal || !(named.is_empty() || named.ends_with('-')) {
            return Err(refuse());
        }
        let numbers = bare.split(['-', '+', '_', '~']).next().unwrap_or_default();
        let mut version = [0; 3];
        let mut count = 0;
        for (place, number) in version.iter_mut().zip(numbers.split('.')) {
            let digits = number.bytes().take_while(u8::is_ascii_digit).count();
            let Some(Ok(value)) = number.get(..digits).map(str::parse) else { break };
            *place = value;
            count += 1;
        }
        if count < 2 {
            return Err(refuse());
        }
        Ok(Self { text: bare.to_owned(), version })
    }
}

impl From<Release> for String {
    fn from(release: Release) -> Self {
        release.text
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The width of a pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "u8")]
pub enum Word {
    /// Four bytes.
    Bits32,
    /// Eight bytes.
    Bits64,
}

impl From<Word> for u8 {
    fn from(word: Word) -> Self {
        match word {
            Word::Bits32 => 32,
            Word::Bits64 => 64,
        }
    }
}

impl Word {
    /// Returns the word of an architecture as rpm and the kernel call it; `None` if it is none that is known.
    #[must_use]
    pub fn of(arch: &str) -> Option<Self> {
        match arch {
            "i386" | "i486" | "i586" | "i686" | "x86" | "arm" | "armv7hl" | "ppc" | "s390" => Some(Self::Bits32),
            "x86_64" | "aarch64" | "ia64" | "ppc64" | "ppc64le" | "s390x" | "riscv64" => Some(Self::Bits64),
            _ => None,
        }
    }
}

/// A size in bytes that depends on the width of a pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes {
    bits64: u64,
    bits32: u64,
}

impl Bytes {
    /// Returns the size for a word.
    #[must_use]
    pub fn on(self, word: Word) -> u64 {
        match word {
            Word::Bits32 => self.bits32,
            Word::Bits64 => self.bits64,
        }
    }
}

/// What a bucket is: `struct list_head`, two pointers, or `struct hlist_head` and `struct hlist_bl_head`, one.
const LIST_HEAD: Bytes = Bytes { bits64: 16, bits32: 8 };
const HLIST_HEAD: Bytes = Bytes { bits64: 8, bits32: 4 };

/// `net/netfilter/ipvs/Kconfig`: `range 8 20` up to 6.4. 2.6.18 has no range there; `include/net/ip_vs.h` clamps to it.
const TO_20: Range = Range { min: 8, max: 20 };
/// `range 8 27 if 64BIT`, from 6.5 on (04292c695f82).
const TO_27: Range = Range { min: 8, max: 27 };

/// A time in which kernels laid the table out in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Era {
    /// The first upstream version that is like this.
    pub since: [u32; 3],
    /// Its bucket.
    pub bucket: Bytes,
    /// What the bucket is.
    pub bucket_is: &'static str,
    /// Its `struct ip_vs_conn`, with what the allocator adds.
    pub entry: Bytes,
    /// Where that size comes from.
    pub entry_from: &'static str,
    /// What it hashes with.
    pub hash: Hash,
    /// The bits that 64-bit kernels take.
    range: Range,
    /// Whether the table grows and shrinks by itself, so that `conn_tab_bits` is only its maximum.
    pub resizable: bool,
}

impl Era {
    /// Returns the bits that kernels of this era take; those of a distribution may differ by a backport.
    #[must_use]
    pub fn range(&self, word: Word) -> Range {
        match word {
            Word::Bits32 => TO_20,
            Word::Bits64 => self.range,
        }
    }
}

/// The eras, oldest first.
///
/// Entries come from a cache that is aligned to cache lines (`SLAB_HWCACHE_ALIGN` in `ip_vs_conn_init`), so sizes are
/// rounded up to 64 bytes. Most were counted member by member, and the counting was checked on 6.1.192, where
/// `ip_vs_conn_init` passes 0x120 = 288 to `kmem_cache_create` (Debian's 6.1.0-56-amd64, disassembled). A debug kernel has
/// larger ones. `kbuild host` reads the true size where the machine tells it.
pub const ERAS: [Era; 9] = [
    // include/net/ip_vs.h of 2.6.18: 184 bytes, 120 on 32-bit. The operators' guide counts the same 192 and 128.
    Era {
        since: [0, 0, 0],
        bucket: LIST_HEAD,
        bucket_is: "list_head",
        entry: Bytes { bits64: 192, bits32: 128 },
        entry_from: "2.6.18, counted; the operators' guide has it, too",
        hash: Hash::Lookup2,
        range: TO_20,
        resizable: false,
    },
    // IPv6 addresses. 2.6.32-220.el6, TIMER_STATS=y: about 264 bytes, 184 on 32-bit.
    Era {
        since: [2, 6, 28],
        bucket: LIST_HEAD,
        bucket_is: "list_head",
        entry: Bytes { bits64: 320, bits32: 192 },
        entry_from: "2.6.32-220.el6, counted",
        hash: Hash::Lookup2,
        range: TO_20,
        resizable: false,
    },
    // include/linux/jhash.h: lookup3 replaced lookup2.
    Era {
        since: [2, 6, 37],
        bucket: LIST_HEAD,
        bucket_is: "list_head",
        entry: Bytes { bits64: 320, bits32: 192 },
        entry_from: "2.6.32-220.el6, counted",
        hash: Hash::Lookup3,
        range: TO_20,
        resizable: false,
    },
    // ip_vs_conn_tab is of hlist_head. As 3.10 without its rcu_head: 320 bytes, 216 on 32-bit.
    Era {
        since: [2, 6, 39],
        bucket: HLIST_HEAD,
        bucket_is: "hlist_head",
        entry: Bytes { bits64: 320, bits32: 256 },
        entry_from: "3.10 with TIMER_STATS and without rcu_head, counted",
        hash: Hash::Lookup3,
        range: TO_20,
        resizable: false,
    },
    // 336 bytes with TIMER_STATS=y, 224 on 32-bit; el7 is taken for the same.
    Era {
        since: [3, 10, 0],
        bucket: HLIST_HEAD,
        bucket_is: "hlist_head",
        entry: Bytes { bits64: 384, bits32: 256 },
        entry_from: "3.10 with TIMER_STATS, counted",
        hash: Hash::Lookup3,
        range: TO_20,
        resizable: false,
    },
    // jhash_3words adds JHASH_INITVAL and the length to all three words: so in 4.18 and later; when exactly is of no
    // account here, as the chains are as long either way.
    Era {
        since: [4, 1, 0],
        bucket: HLIST_HEAD,
        bucket_is: "hlist_head",
        entry: Bytes { bits64: 384, bits32: 256 },
        entry_from: "3.10 with TIMER_STATS, counted",
        hash: Hash::Lookup3Length,
        range: TO_20,
        resizable: false,
    },
    // TIMER_STATS went with 4.11, the timer's argument with 4.15: 288 bytes, 192 on 32-bit (el8, el9).
    Era {
        since: [4, 15, 0],
        bucket: HLIST_HEAD,
        bucket_is: "hlist_head",
        entry: Bytes { bits64: 320, bits32: 192 },
        entry_from: "6.1.192, read from its ip_vs.ko",
        hash: Hash::Lookup3Length,
        range: TO_20,
        resizable: false,
    },
    Era {
        since: [6, 5, 0],
        bucket: HLIST_HEAD,
        bucket_is: "hlist_head",
        entry: Bytes { bits64: 320, bits32: 192 },
        entry_from: "6.1.192, read from its ip_vs.ko",
        hash: Hash::Lookup3Length,
        range: TO_27,
        resizable: false,
    },
    // 2fa7cc9c7025, in net-next for 7.1: a table for each network namespace, of hlist_bl_head, hashed with siphash under
    // a key of its own. The offsets that stand in struct ip_vs_conn there give 296 bytes, 208 on 32-bit.
    Era {
        since: [7, 1, 0],
        bucket: HLIST_HEAD,
        bucket_is: "hlist_bl_head",
        entry: Bytes { bits64: 320, bits32: 256 },
        entry_from: "net-next of April 2026, by the offsets in ip_vs.h",
        hash: Hash::Keyed,
        range: TO_27,
        resizable: true,
    },
];

/// Returns the era of a kernel.
#[must_use]
pub fn of(release: &Release) -> Era {
    let [mut era, ..] = ERAS;
    for each in ERAS {
        if each.since <= release.version {
            era = each;
        }
    }
    era
}

/// Returns what is taken where no kernel is named: what the operators' guide counts.
#[must_use]
pub fn guide() -> Era {
    let [first, ..] = ERAS;
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(text: &str) -> Release {
        text.parse().unwrap()
    }

    #[test]
    fn releases_are_read_in_all_their_forms() {
        for (text, version) in [
            ("2.6.18-308.13.1.el5", [2, 6, 18]),
            ("2.6.32-220.13.1.el6.x86_64", [2, 6, 32]),
            ("kernel-2.6.32-220.13.1.el6", [2, 6, 32]),
            ("kernel-lt-6.1.59-1.el9.elrepo", [6, 1, 59]),
            ("5.14.0-284.11.1.el9_2.x86_64+debug", [5, 14, 0]),
            ("6.1.0-56-amd64", [6, 1, 0]),
            ("7.1-rc2", [7, 1, 0]),
            ("7.1.0-rc1+", [7, 1, 0]),
            ("6.12", [6, 12, 0]),
        ] {
            assert_eq!(release(text).version, version, "{text}");
        }
        assert_eq!(release("kernel-2.6.32-71.el6").as_str(), "2.6.32-71.el6");
        for bad in ["", "el6", "20", "kernel", "2.x", "6.1 -1", "linux6.1", "6.1;reboot", "4294967296.1"] {
            assert_eq!(bad.parse::<Release>(), Err(NoRelease(bad.to_owned())), "{bad}");
        }
    }

    #[test]
    fn the_word_is_the_one_of_the_architecture_in_the_release() {
        for (text, word) in [
            ("2.6.32-220.13.1.el6.x86_64", Some(Word::Bits64)),
            ("2.6.32-220.13.1.el6.i686", Some(Word::Bits32)),
            ("2.6.32-220.13.1.el6.x86_64.debug", Some(Word::Bits64)),
            ("5.14.0-284.11.1.el9_2.aarch64+debug", Some(Word::Bits64)),
            ("2.6.18-308.13.1.el5", None),
            ("6.1.0-56-amd64", None),
        ] {
            assert_eq!(release(text).word(), word, "{text}");
        }
    }

    #[track_caller]
    fn case(text: &str, bucket: (&str, u64), entry: u64, hash: Hash, range: (u8, u8)) {
        let era = of(&release(text));
        assert_eq!((era.bucket_is, era.bucket.on(Word::Bits64)), bucket, "{text}");
        assert_eq!(era.entry.on(Word::Bits64), entry, "{text}");
        assert_eq!(era.hash, hash, "{text}");
        let found = era.range(Word::Bits64);
        assert_eq!((found.min, found.max), range, "{text}");
        assert_eq!(era.bucket.on(Word::Bits32) * 2, bucket.1, "{text}");
        assert_eq!(era.range(Word::Bits32), TO_20, "{text}");
    }

    #[test]
    fn every_kernel_has_its_era() {
        case("2.6.18-308.13.1.el5", ("list_head", 16), 192, Hash::Lookup2, (8, 20));
        case("2.6.32-220.13.1.el6", ("list_head", 16), 320, Hash::Lookup2, (8, 20));
        case("2.6.36", ("list_head", 16), 320, Hash::Lookup2, (8, 20));
        case("2.6.37", ("list_head", 16), 320, Hash::Lookup3, (8, 20));
        case("2.6.39-400.el6uek", ("hlist_head", 8), 320, Hash::Lookup3, (8, 20));
        case("3.10.0-514.26.2.el7", ("hlist_head", 8), 384, Hash::Lookup3, (8, 20));
        case("4.18.0-193.28.1.el8_2", ("hlist_head", 8), 320, Hash::Lookup3Length, (8, 20));
        case("5.14.0-284.11.1.el9_2", ("hlist_head", 8), 320, Hash::Lookup3Length, (8, 20));
        case("6.4.16", ("hlist_head", 8), 320, Hash::Lookup3Length, (8, 20));
        case("6.12.0-211.37.1.el10_2", ("hlist_head", 8), 320, Hash::Lookup3Length, (8, 27));
        case("7.0.9", ("hlist_head", 8), 320, Hash::Lookup3Length, (8, 27));
        case("7.1-rc1", ("hlist_bl_head", 8), 320, Hash::Keyed, (8, 27));
    }

    #[test]
    fn the_eras_are_in_order_and_whole_cache_lines() {
        assert!(ERAS.is_sorted_by(|one, next| one.since < next.since));
        for era in ERAS {
            assert_eq!((era.entry.bits64 % 64, era.entry.bits32 % 64), (0, 0), "{:?}", era.since);
        }
        let resizable: Vec<_> = ERAS.iter().filter(|era| era.resizable).map(|era| era.since).collect();
        assert_eq!(resizable, [[7, 1, 0]]);
    }

    #[test]
    fn without_a_kernel_it_is_as_the_guide_counts() {
        let era = guide();
        let whole = |word| era.bucket.on(word) + era.entry.on(word);
        assert_eq!((whole(Word::Bits64), whole(Word::Bits32)), (208, 136));
    }
}
