//! Source packages that somebody made to do harm: nothing but plain files comes out of them, nothing lands elsewhere, and
//! nothing ends kbuild.

use std::os::unix::fs::PermissionsExt;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::Command;

use kbuild::rpm::openpgp;
use kbuild::rpm::source::{self, InTree, Want};
use kbuild::rpm::trust::{self, Key, PinnedBy, Signature};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::keyring::{Keyring, Manner};
use crate::support::package;
use crate::support::rawrpm::{self, RawRpm};
use crate::support::require;
use crate::support::sandbox::Sandbox;

/// A source package whose payload is not compressed, so that what is changed in it is its archive.
fn plain(dir: &Path) -> PathBuf {
    let top = dir.join("top");
    fs_err::create_dir_all(top.join("SOURCES")).unwrap();
    fs_err::write(top.join("SOURCES/config-generic"), "CONFIG_IP_VS_TAB_BITS=12\n".repeat(40)).unwrap();
    fs_err::write(top.join("SOURCES/second"), "x".repeat(301)).unwrap();
    let spec = "Name: kernel\nVersion: 2.6.32\nRelease: 220.el6\nSummary: None\nLicense: GPLv2\nBuildArch: noarch\n\
                Source0: config-generic\nSource1: second\n%description\nNone.\n%files\n";
    fs_err::write(top.join("kernel.spec"), spec).unwrap();
    for file in ["SOURCES/config-generic", "SOURCES/second", "kernel.spec"] {
        fs_err::set_permissions(top.join(file), PermissionsExt::from_mode(0o644)).unwrap();
    }
    let done = Command::new("rpmbuild")
        .env("HOME", &top)
        .args(["-bs", "--define", "_source_payload w0.ufdio", "--define"])
        .arg(format!("_topdir {}", top.display()))
        .arg(top.join("kernel.spec"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    package::only(&top)
}

/// One thing done to the bytes of a package.
#[derive(Debug, Clone)]
enum Harm {
    /// A byte becomes another.
    Byte(prop::sample::Index, u8),
    /// Four bytes become a number that is on some edge.
    Number(prop::sample::Index, u32),
    /// Eight digits of the archive become others.
    Digits(prop::sample::Index, u32),
    /// A name in it becomes one of the same length.
    Name(usize),
    /// The end is missing.
    Cut(prop::sample::Index),
    /// Some bytes stand there twice.
    Twice(prop::sample::Index, usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let edge = prop::sample::select(vec![
        0,
        1,
        2,
        7,
        0x7fff_ffff,
        0x8000_0000,
        u32::MAX,
        u32::MAX - 1,
        1 << 20,
        0o120_777,
        0o60_666,
    ]);
    let place = any::<prop::sample::Index>;
    prop_oneof![
        3 => (place(), any::<u8>()).prop_map(|(at, byte)| Harm::Byte(at, byte)),
        4 => (place(), edge.clone()).prop_map(|(at, number)| Harm::Number(at, number)),
        4 => (place(), edge).prop_map(|(at, number)| Harm::Digits(at, number)),
        2 => (0..NAMES.len()).prop_map(Harm::Name),
        1 => place().prop_map(Harm::Cut),
        1 => (place(), 1..400_usize).prop_map(|(at, length)| Harm::Twice(at, length)),
    ]
}

/// Names of the length of `config-generic` that nobody should follow.
const NAMES: [&[u8; 14]; 5] =
    [b"../../../../xx", b"/tmp/kb-escape", b"./../escape/xx", b"config/generic", b"..\0fig-generic"];

fn apply(raw: &RawRpm, harms: &[Harm], in_payload: bool) -> Vec<u8> {
    let mut bytes = raw.bytes.clone();
    // The signature header and the header are small beside the payload: half of all harm is theirs.
    let first = if in_payload { raw.payload } else { 96 };
    for harm in harms {
        let last = if in_payload { bytes.len() } else { raw.payload.min(bytes.len()) };
        if last < first + 16 {
            break;
        }
        let place = |index: &prop::sample::Index, length: usize| first + index.index(last - first - length);
        match harm {
            Harm::Byte(index, byte) => bytes[place(index, 1)] = *byte,
            Harm::Number(index, number) => {
                // Entries of an index lie at multiples of four.
                let at = place(index, 8).next_multiple_of(4);
                bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
            }
            Harm::Digits(index, number) => {
                let heads: Vec<_> =
                    bytes.windows(6).enumerate().filter(|(_, part)| *part == b"070701").map(|(at, _)| at).collect();
                let Some(head) = heads.get(index.index(heads.len().max(1))) else { continue };
                let field = head + 6 + 8 * index.index(13);
                if let Some(digits) = bytes.get_mut(field..field + 8) {
                    digits.copy_from_slice(format!("{number:08x}").as_bytes());
                }
            }
            Harm::Name(name) => {
                let places: Vec<_> = bytes
                    .windows(14)
                    .enumerate()
                    .filter(|(_, part)| *part == b"config-generic")
                    .map(|(at, _)| at)
                    .collect();
                for at in places {
                    bytes[at..at + 14].copy_from_slice(NAMES[*name]);
                }
            }
            Harm::Cut(index) => {
                let at = place(index, 1);
                bytes.truncate(at);
            }
            Harm::Twice(index, length) => {
                let length = *length.min(&(last - first - 1));
                let at = place(index, length);
                let part = bytes[at..at + length].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

/// Everything below a directory, with its type.
fn below(dir: &Path) -> Vec<(PathBuf, std::fs::Metadata)> {
    let entries = walkdir::WalkDir::new(dir).min_depth(1).into_iter().flatten();
    entries.map(|entry| (entry.path().to_owned(), entry.path().symlink_metadata().unwrap())).collect()
}

/// Runs all that reads source packages over one, as if everything before had let it pass.
fn read_all(package: &Path, keys: &[Key], dir: &Path) -> bool {
    let _ = source::header(package, &mut |_, _| {});
    let _ = trust::signature(package, keys);
    let nothing = InTree { wanted: &|_| true, keep: &|_, _| true };
    let kept = source::read(package, &|_| Want::Text, &nothing, &mut |_, _| {});
    let inside = dir.join("a/b/c/d");
    fs_err::create_dir_all(&inside).unwrap();
    let unpacked = source::unpack(package, &inside, &mut |_, _| {});
    for (path, details) in below(dir) {
        let above = inside.starts_with(&path);
        assert!(above || (details.is_file() && path.parent() == Some(&inside)), "{}: {details:?}", path.display());
        let mode = details.permissions().mode();
        assert!(above || mode & 0o7002 == 0, "{}: mode {mode:o}", path.display());
        assert!(above || details.len() < 1 << 20, "{}: {} bytes", path.display(), details.len());
    }
    assert!(!Path::new("/tmp/kb-escape").exists());
    kept.is_ok() && unpacked.is_ok()
}

fn fuzz(cases: u32, in_payload: bool, signed: bool) {
    let sandbox = Sandbox::new();
    let srpm = plain(sandbox.path());
    let mut keys = Vec::new();
    if signed {
        let keyring = Keyring::new();
        keyring.sign(&srpm);
        let key = openpgp::public_keys(keyring.public().as_bytes()).remove(0);
        keys.push(Key { origin: "test".into(), key, pinned_by: Some(PinnedBy::User) });
    }
    let raw = RawRpm::read(&srpm);
    let untouched = tempfile::tempdir().unwrap();
    assert!(read_all(&srpm, &keys, untouched.path()));

    let mut runner = TestRunner::new_with_rng(
        Config { cases, failure_persistence: None, ..Config::default() },
        prop::test_runner::TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha),
    );
    let package = sandbox.path().join("hostile.src.rpm");
    let outcome = runner.run(&prop::collection::vec(harm(), 1..5), |harms| {
        fs_err::write(&package, apply(&raw, &harms, in_payload)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        // A panic is a failure like any other: it ends kbuild with 70.
        let done = panic::catch_unwind(panic::AssertUnwindSafe(|| read_all(&package, &keys, dir.path())));
        prop_assert!(done.is_ok(), "it panicked");
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Runs the reader of signatures over packets and keys with bytes that somebody wrote by hand.
fn fuzz_signature(keyring: &Keyring, manner: Manner, tag: u32) {
    let sandbox = Sandbox::new();
    let srpm = plain(sandbox.path());
    keyring.sign_so(&srpm, manner, None);
    let raw = RawRpm::read(&srpm);
    let packet = raw.packet(tag);
    let public = keyring.path().join("public");
    keyring.gpg(&["--output", public.to_str().unwrap(), "--export"]);
    let public = fs_err::read(public).unwrap();
    let package = sandbox.path().join("hostile.src.rpm");
    let judge = |public: &[u8]| {
        let keys = openpgp::public_keys(public).into_iter();
        let keys = keys.map(|key| Key { origin: "test".into(), key, pinned_by: Some(PinnedBy::User) });
        trust::signature(&package, &keys.collect::<Vec<_>>()).unwrap()
    };
    fs_err::write(&package, &raw.bytes).unwrap();
    let good = judge(&public);
    assert!(matches!(good, Signature::Good { .. }), "{good:?}");

    let bytes = || prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 1500, failure_persistence: None, ..Config::default() },
        prop::test_runner::TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha),
    );
    let outcome = runner.run(&(bytes(), bytes(), any::<bool>()), |(in_packet, in_key, both)| {
        let (mut changed, mut key) = (raw.clone(), public.clone());
        for (index, byte) in in_packet {
            changed.bytes[packet.start + index.index(packet.len())] = byte;
        }
        for (index, byte) in in_key.into_iter().filter(|_| both) {
            let at = index.index(key.len());
            key[at] = byte;
        }
        fs_err::write(&package, &changed.bytes).unwrap();
        let done = panic::catch_unwind(panic::AssertUnwindSafe(|| judge(&key)));
        prop_assert!(done.is_ok(), "it panicked");
        // What holds although it was changed says the same of the same signer: its unhashed part is not signed.
        if let Ok(Signature::Good { pinned, .. }) = done {
            prop_assert_eq!(pinned, keyring.fingerprint());
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn signatures_and_keys_that_somebody_wrote_by_hand() {
    if require("rpmbuild") && require("rpmsign") && require("gpg") && require("gpg1") {
        fuzz_signature(&Keyring::new(), Manner { digest: "sha256", version: 4, whole: false }, rawrpm::RSA);
        let old = Manner { digest: "sha1", version: 3, whole: false };
        fuzz_signature(&Keyring::of_old("DSA", 1024), old, rawrpm::DSA);
    }
}

#[test]
fn headers_that_somebody_wrote_by_hand() {
    if require("rpmbuild") && require("rpmsign") && require("gpg") {
        fuzz(2500, false, true);
    }
}

#[test]
fn archives_that_somebody_wrote_by_hand() {
    if require("rpmbuild") {
        fuzz(2500, true, false);
    }
}

#[test]
fn what_no_source_package_has_is_refused_by_name() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let raw = RawRpm::read(&plain(sandbox.path()));
    // In the order of the header: config-generic, kernel.spec, second.
    let regular = 0o100_644_u16.to_be_bytes().repeat(3);
    let modes = raw.bytes.windows(6).position(|part| part == regular).unwrap();
    let name = raw.bytes[..raw.payload].windows(15).rposition(|part| part == b"config-generic\0").unwrap();
    let refused = |label: &str, at: usize, bytes: &[u8], said: &str| {
        let mut wrong = raw.clone();
        wrong.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        wrong.mend();
        let package = sandbox.input(&format!("{label}.src.rpm"), wrong.bytes);
        sandbox.plan(&package, "20").refused(6).says(said);
    };
    for (label, mode) in [
        ("link", 0o120_777_u16),
        ("block", 0o060_666),
        ("character", 0o020_666),
        ("pipe", 0o010_666),
        ("directory", 0o040_777),
    ] {
        refused(label, modes, &mode.to_be_bytes(), "`config-generic` in `");
        refused(label, modes, &mode.to_be_bytes(), "not a regular file");
    }
    for (label, other) in [("above", b"../../../../xx"), ("root", b"/tmp/kb-escape"), ("below", b"sub/../generic")] {
        refused(label, name, other, "outside the package's one directory");
    }
    refused("dots", name, b"..\0", "outside the package's one directory");
}

#[test]
fn what_runs_with_the_rights_of_others_is_unpacked_without_them() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let mut raw = RawRpm::read(&plain(sandbox.path()));
    let regular = 0o100_644_u16.to_be_bytes().repeat(3);
    let modes = raw.bytes.windows(6).position(|part| part == regular).unwrap();
    raw.bytes[modes..modes + 2].copy_from_slice(&0o106_777_u16.to_be_bytes());
    raw.mend();
    let package = sandbox.input("suid.src.rpm", raw.bytes);
    let dir = sandbox.path().join("unpacked");
    fs_err::create_dir(&dir).unwrap();
    source::unpack(&package, &dir, &mut |_, _| {}).unwrap();
    let mode = fs_err::metadata(dir.join("config-generic")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o775, "{mode:o}");
}
