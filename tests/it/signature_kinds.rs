//! Every kind of signature that distributions have made, by the real gpg and gpg1: right, another's, too late, and over
//! something that was changed since.

use std::path::{Path, PathBuf};

use crate::support::keyring::{Keyring, Manner};
use crate::support::rawrpm::{self, RawRpm};
use crate::support::require;
use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;

/// What is planned with a package and one key, which is pinned.
struct Judge<'a> {
    sandbox: &'a Sandbox,
    key: PathBuf,
    fingerprint: String,
}

impl<'a> Judge<'a> {
    fn new(sandbox: &'a Sandbox, keyring: &Keyring) -> Self {
        let fingerprint = keyring.fingerprint();
        let key = sandbox.input(&format!("{fingerprint}.asc"), keyring.public());
        Self { sandbox, key, fingerprint }
    }

    #[track_caller]
    fn takes(&self, srpm: &Path, shown: &str) {
        let plan = self.sandbox.plan(srpm, "20").without("--allow-unsigned").arg("--key").arg(&self.key);
        plan.args(["--trust", &self.fingerprint]).exits(0).prints(shown);
    }

    /// Refused, whatever is allowed.
    #[track_caller]
    fn refuses(&self, srpm: &Path, said: &str) {
        let plan = self.sandbox.plan(srpm, "20").arg("--key").arg(&self.key);
        plan.args(["--trust", &self.fingerprint]).refused(6).says(said);
    }

    /// Refused unless unsigned packages are allowed.
    #[track_caller]
    fn doubts(&self, srpm: &Path, said: &str) {
        let plan = || self.sandbox.plan(srpm, "20").arg("--key").arg(&self.key).args(["--trust", &self.fingerprint]);
        plan().without("--allow-unsigned").refused(6).says(said);
        plan().exits(0).prints("nobody known has signed it");
    }
}

/// Goes through all that can be wrong with one kind of signature.
fn kind(keyring: &Keyring, manner: Manner, algorithm: &str, weak: Option<&str>) {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    keyring.sign_so(&srpm, manner, None);
    let judge = Judge::new(&sandbox, keyring);
    let weak = weak.map_or_else(String::new, |weak| format!(" (weak: {weak})"));
    let shown = format!("with {algorithm}{weak}\nkey       {}, pinned by you, from", keyring.fingerprint());
    judge.takes(&srpm, &shown);

    let stranger = Keyring::new();
    Judge::new(&sandbox, &stranger).doubts(&srpm, "whose key is not here");

    let whole = RawRpm::read(&srpm);
    let write = |name: &str, raw: &RawRpm| sandbox.input(name, raw.bytes.clone());
    // Of the header a byte of the last text in it, of the payload the last byte; every digest that is not signed is made
    // to fit.
    let mut header = whole.clone();
    let at = header.bytes[..header.payload]
        .windows(8)
        .rposition(|part| part == b"Linux\0\0\0" || part.ends_with(b"linux\0"));
    let at = at.unwrap_or(header.payload - 24);
    header.bytes[at] ^= 0x20;
    header.mend();
    judge.refuses(&write("header.src.rpm", &header), "the signature of `header.src.rpm` is wrong");
    let mut payload = whole.clone();
    let last = payload.bytes.len() - 1;
    payload.bytes[last] ^= 1;
    payload.mend();
    judge.refuses(&write("payload.src.rpm", &payload), "payload");

    // Without the signature of the header that of header and payload still counts; without both there is none.
    let mut bare = whole.clone();
    assert!(bare.hide(rawrpm::RSA) || bare.hide(rawrpm::DSA));
    let bare = write("bare.src.rpm", &bare);
    if manner.whole {
        judge.takes(&bare, &shown);
    } else {
        judge.doubts(&bare, "it has no signature");
    }
    let stripped = sandbox.input("stripped.src.rpm", whole.bytes);
    let done =
        std::process::Command::new("rpmsign").env("HOME", sandbox.home()).arg("--delsign").arg(&stripped).output();
    assert!(done.unwrap().status.success());
    judge.doubts(&stripped, "it has no signature");
}

fn have() -> bool {
    require("gpg") && require("rpmsign")
}

const V4: Manner = Manner { digest: "sha256", version: 4, whole: false };
const V3: Manner = Manner { digest: "sha256", version: 3, whole: true };

#[test]
fn rsa_and_sha256_in_version_4_as_el8_has_it() {
    if have() {
        kind(&Keyring::new(), V4, "RSA-2048, SHA-256, version 4", None);
    }
}

#[test]
fn rsa_and_sha1_in_version_4() {
    if have() {
        kind(&Keyring::new(), Manner { digest: "sha1", ..V4 }, "RSA-2048, SHA-1, version 4", Some("SHA-1"));
    }
}

#[test]
fn rsa_and_sha256_in_version_3_of_header_and_payload_as_el6_and_el7_have_it() {
    if have() && require("gpg1") {
        kind(&Keyring::of_old("RSA", 2048), V3, "RSA-2048, SHA-256, version 3", None);
    }
}

#[test]
fn rsa_of_1024_bits_and_sha1_in_version_3() {
    if have() && require("gpg1") {
        let manner = Manner { digest: "sha1", whole: false, ..V3 };
        let weak = Some("RSA-1024 and SHA-1");
        kind(&Keyring::of_old("RSA", 1024), manner, "RSA-1024, SHA-1, version 3", weak);
    }
}

#[test]
fn dsa_and_sha1_in_version_3_of_header_and_payload_as_el5_has_it() {
    if have() && require("gpg1") {
        let weak = Some("DSA-1024 and SHA-1");
        kind(&Keyring::of_old("DSA", 1024), Manner { digest: "sha1", ..V3 }, "DSA-1024, SHA-1, version 3", weak);
    }
}

#[test]
fn dsa_and_sha1_in_version_4() {
    if have() && require("gpg1") {
        let manner = Manner { digest: "sha1", version: 4, whole: true };
        let weak = Some("DSA-1024 and SHA-1");
        kind(&Keyring::of_old("DSA", 1024), manner, "DSA-1024, SHA-1, version 4", weak);
    }
}

#[test]
fn elliptic_curves_as_young_distributions_have_them() {
    if have() {
        kind(&Keyring::of("ed25519", "never", None), V4, "Ed25519, SHA-256, version 4", None);
    }
}

#[test]
fn a_key_counts_while_it_has_not_expired() {
    if !have() {
        return;
    }
    let sandbox = Sandbox::new();
    // Good for ten years, and used in the second.
    let keyring = Keyring::of("rsa2048", "10y", Some("20100101T000000"));
    let srpm = sandbox.srpm(&Toy::unmodified());
    keyring.sign_so(&srpm, V4, Some("20110101T000000"));
    // It has expired since: what it signed before is as good as ever.
    Judge::new(&sandbox, &keyring).takes(&srpm, "with RSA-2048");
    // It is known by now that it was to expire before that.
    let fingerprint = keyring.fingerprint();
    keyring.gpg(&["--faked-system-time", "20100201T000000", "--quick-set-expire", &fingerprint, "3m"]);
    Judge::new(&sandbox, &keyring).refuses(&srpm, "it is from 2011-01-01, and its key expired on 2010-05-02");

    // A signature from before its key was made.
    let young = Keyring::of("rsa2048", "never", Some("20200101T000000"));
    let srpm = sandbox.input("early.src.rpm", fs_err::read(Toy::unmodified().path).unwrap());
    young.sign_so(&srpm, V4, Some("20200101T000001"));
    Judge::new(&sandbox, &young).takes(&srpm, "with RSA-2048");
}

#[test]
fn a_key_that_was_revoked_counts_for_nothing() {
    if !have() {
        return;
    }
    let sandbox = Sandbox::new();
    let keyring = Keyring::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    keyring.sign(&srpm);
    Judge::new(&sandbox, &keyring).takes(&srpm, "with RSA-2048");
    let certificate = keyring.path().join("openpgp-revocs.d").join(format!("{}.rev", keyring.fingerprint()));
    let text = fs_err::read_to_string(&certificate).unwrap().replace(":-----BEGIN", "-----BEGIN");
    fs_err::write(&certificate, text).unwrap();
    keyring.gpg(&["--import", certificate.to_str().unwrap()]);
    Judge::new(&sandbox, &keyring).refuses(&srpm, "its key was revoked");
}

#[test]
fn a_subkey_signs_for_its_primary_key() {
    if !have() {
        return;
    }
    let sandbox = Sandbox::new();
    let keyring = Keyring::of("rsa2048", "never", None);
    let primary = keyring.fingerprint();
    keyring.gpg(&["--quick-add-key", &primary, "rsa2048", "sign", "never"]);
    let srpm = sandbox.srpm(&Toy::unmodified());
    // gpg takes the newest key that signs.
    keyring.sign(&srpm);
    let judge = Judge::new(&sandbox, &keyring);
    judge.takes(&srpm, &format!("key       {primary}, pinned by you"));
    let plan = sandbox.plan(&srpm, "20").arg("--key").arg(&judge.key).args(["--trust", &primary]).exits(0);
    assert!(!plan.stdout.contains(&format!("by {} with", primary.to_lowercase())), "{plan}");
}
