//! What is changed in a signed package is noticed, wherever it is: single bits at random, thousands of them.

use std::collections::BTreeMap;
use std::path::Path;

use kbuild::rpm::openpgp;
use kbuild::rpm::source::{self, InTree, Want};
use kbuild::rpm::trust::{self, Key, PinnedBy, Signature};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::support::keyring::{Keyring, Manner};
use crate::support::rawrpm::RawRpm;
use crate::support::require;
use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;

/// What kbuild makes of a package.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Refused always.
    Damaged,
    /// Refused as wrongly signed, always.
    WronglySigned,
    /// Refused unless unsigned packages are allowed.
    NotSigned,
    /// Used: name, version and release, and the files.
    Used(String, BTreeMap<String, Vec<u8>>),
}

fn judge(package: &Path, keys: &[Key]) -> Verdict {
    let Ok(header) = source::header(package, &mut |_, _| {}) else { return Verdict::Damaged };
    match trust::signature(package, keys) {
        Err(_) => return Verdict::Damaged,
        Ok(Signature::Bad { .. }) => return Verdict::WronglySigned,
        Ok(Signature::Good { .. }) => {}
        Ok(Signature::Unsigned | Signature::NoKey { .. } | Signature::NotPinned { .. }) => return Verdict::NotSigned,
    }
    let nothing = InTree { wanted: &|_| false, keep: &|_, _| false };
    match source::read(package, &|_| Want::Text, &nothing, &mut |_, _| {}) {
        Ok(contents) => Verdict::Used(header.nvr.to_string(), contents.texts),
        Err(_) => Verdict::Damaged,
    }
}

/// How many bits are flipped.
const FLIPS: usize = 2000;

/// Flips one bit after the other in a package signed in this manner (and makes the digests fit again that are not signed,
/// as somebody would who cannot sign), and says of each region how many were noticed, and how. One that is not noticed has to lie outside of all that is signed, and to change nothing that is used.
fn flip(keyring: &Keyring, manner: Manner, mended: bool) {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    keyring.sign_so(&srpm, manner, None);
    let keys: Vec<Key> = openpgp::public_keys(keyring.public().as_bytes())
        .into_iter()
        .map(|key| Key { origin: "test".into(), key, pinned_by: Some(PinnedBy::User) })
        .collect();
    let sound = judge(&srpm, &keys);
    assert!(matches!(&sound, Verdict::Used(_, texts) if !texts.is_empty()), "{sound:?}");

    let raw = RawRpm::read(&srpm);
    let changed = sandbox.input("changed.src.rpm", "");
    let mut runner = TestRunner::deterministic();
    let bits = 0..raw.bytes.len() * 8;
    let mut noticed: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut missed = Vec::new();
    for _ in 0..FLIPS {
        let bit = bits.clone().new_tree(&mut runner).unwrap().current();
        let at = bit / 8;
        let mut one = raw.clone();
        one.bytes[at] ^= 1 << (bit % 8);
        if mended && at >= raw.header {
            one.mend();
        }
        fs_err::write(&changed, one.bytes).unwrap();
        let region = match at {
            0..96 => "lead",
            _ if at < raw.header => "signature header",
            _ if at < raw.payload => "header",
            _ => "payload",
        };
        let verdict = judge(&changed, &keys);
        let how = match verdict {
            Verdict::Damaged => "refused as damaged",
            Verdict::WronglySigned => "refused as wrongly signed",
            Verdict::NotSigned => "refused as not signed",
            Verdict::Used(..) if verdict == sound && at < raw.header => {
                "harmless: outside of all that is signed, and the same is used"
            }
            Verdict::Used(..) => {
                missed.push(format!("byte {at} ({region}), bit {}: {verdict:?}", bit % 8));
                "missed"
            }
        };
        *noticed.entry((region, how)).or_default() += 1;
    }
    let table: Vec<_> = noticed.iter().map(|((region, how), count)| format!("{count:5}  {region}: {how}")).collect();
    eprintln!("{manner:?}, digests mended: {mended}, {FLIPS} bits of {} bytes:\n{}", raw.bytes.len(), table.join("\n"));
    assert!(missed.is_empty(), "{missed:#?}");
    // The bits were everywhere.
    for region in ["signature header", "header", "payload"] {
        assert!(noticed.keys().any(|(each, _)| *each == region), "{region}");
    }
}

const V4: Manner = Manner { digest: "sha256", version: 4, whole: false };
const V3: Manner = Manner { digest: "sha1", version: 3, whole: true };

#[test]
fn two_thousand_bits_in_a_package_of_today() {
    if require("gpg") && require("rpmsign") {
        flip(&Keyring::new(), V4, false);
    }
}

#[test]
fn two_thousand_bits_in_a_package_as_el5_has_it() {
    if require("gpg1") && require("rpmsign") {
        flip(&Keyring::of_old("DSA", 1024), V3, false);
    }
}

#[test]
fn two_thousand_bits_whose_digests_were_mended() {
    if require("gpg") && require("rpmsign") {
        flip(&Keyring::new(), V4, true);
    }
}

#[test]
fn two_thousand_bits_whose_digests_were_mended_as_el5_has_them() {
    if require("gpg1") && require("rpmsign") {
        flip(&Keyring::of_old("DSA", 1024), V3, true);
    }
}
