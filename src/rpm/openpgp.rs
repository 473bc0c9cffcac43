//! `OpenPGP`: public keys, and the signatures that rpm keeps in a package's signature header. The only user of the pgp crate.
//!
//! Distributions have signed with DSA-1024 and SHA-1 (el5), with RSA and SHA-1 or SHA-256 in packets of version 3 (el6,
//! el7) and of version 4 (since). All of them are verified here; what is weak by now is called so.

use std::io::Read;

use pgp::composed::{Deserializable, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{Packet, PacketParser, RevocationCode, Signature, SignatureType, SignatureVersion, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{KeyDetails, PublicParams, Tag, VerifyingKey};

/// How an ASCII-armoured key ends.
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
/// RSA keys with fewer bits are weak (NIST SP 800-131A).
const STRONG_RSA: u16 = 2048;

/// A public key with its subkeys.
#[derive(Debug, Clone)]
pub struct PublicKey(SignedPublicKey);

/// A signature of a package.
#[derive(Debug, Clone)]
pub(super) struct PackageSignature(Signature);

/// What a signature was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Algorithm {
    /// In words, such as `DSA-1024, SHA-1, version 3`.
    pub(super) name: String,
    /// Why it is weak by now, if it is.
    pub(super) weak: Option<String>,
}

/// Why a key does not vouch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// Another key made the signature.
    OtherKey,
    /// It should have made it, and did not, or had no right to.
    Wrong(String),
}

/// Reads all public keys of a file: ASCII-armoured ones, one after the other, or binary ones. What is no key is passed
/// over.
#[must_use]
pub fn public_keys(content: &[u8]) -> Vec<PublicKey> {
    let Some(text) = std::str::from_utf8(content).ok().filter(|text| text.contains(END)) else {
        return SignedPublicKey::from_bytes_many(content).into_iter().flatten().flatten().map(PublicKey).collect();
    };
    let blocks = text.split_inclusive(END).filter_map(|block| SignedPublicKey::from_string_many(block).ok());
    blocks.flat_map(|(keys, _)| keys.flatten().map(PublicKey).collect::<Vec<_>>()).collect()
}

impl PublicKey {
    /// Returns the primary key's fingerprint: 40 upper-case hexadecimal digits (64 for keys of version 6).
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("{:X}", self.0.fingerprint())
    }

    /// Whether a signer, named by fingerprint or key id, is this key or one of its subkeys.
    #[must_use]
    pub fn is(&self, signer: &str) -> bool {
        let named = |key: &dyn KeyDetails| {
            let (fingerprint, id) = (format!("{:x}", key.fingerprint()), key.legacy_key_id().to_string());
            fingerprint.eq_ignore_ascii_case(signer) || id.eq_ignore_ascii_case(signer)
        };
        named(&self.0.primary_key) || self.0.public_subkeys.iter().any(|subkey| named(&subkey.key))
    }

    /// The primary key's own statements about itself: only those that it really signed.
    fn statements(&self) -> impl Iterator<Item = &Signature> {
        let key = &self.0.primary_key;
        let direct = self.0.details.direct_signatures.iter().filter(move |each| each.verify_key(key).is_ok());
        let of_users = self.0.details.users.iter().flat_map(move |user| {
            user.signatures.iter().filter(move |each| each.verify_certification(key, Tag::UserId, &user.id).is_ok())
        });
        direct.chain(of_users)
    }

    fn primary_rights(&self) -> Rights {
        let mut rights = Rights::of(&self.0.primary_key, self.statements());
        let revocations = &self.0.details.revocation_signatures;
        rights.revoked = revoked(revocations.iter().filter(|each| each.verify_key(&self.0.primary_key).is_ok()));
        rights
    }

    fn subkey_rights(&self, subkey: &SignedPublicSubKey) -> Rights {
        let primary = &self.0.primary_key;
        let own = |each: &&Signature| each.verify_subkey_binding(primary, &subkey.key).is_ok();
        let (bindings, revocations): (Vec<_>, Vec<_>) =
            subkey.signatures.iter().filter(own).partition(|each| each.typ() == Some(SignatureType::SubkeyBinding));
        // A subkey that signs has to say itself that it belongs to the primary key.
        let acknowledged = |each: &&&Signature| {
            each.embedded_signature().is_some_and(|back| back.verify_primary_key_binding(&subkey.key, primary).is_ok())
        };
        let mut rights = Rights::of(&subkey.key, bindings.iter().filter(acknowledged).copied());
        rights.may_sign &= rights.stated;
        rights.revoked = revoked(revocations.into_iter());
        rights
    }
}

/// What a key may do, and when, in seconds since 1970.
#[derive(Debug)]
struct Rights {
    /// Whether it has said anything about itself.
    stated: bool,
    may_sign: bool,
    created: u64,
    expires: Option<u64>,
    /// From when on its signatures are worth nothing.
    revoked: Option<u64>,
}

impl Rights {
    /// Takes the newest of a key's statements.
    fn of<'a>(key: &impl KeyDetails, statements: impl Iterator<Item = &'a Signature>) -> Self {
        let newest = statements.max_by_key(|each| created(each));
        let has_flags = |each: &Signature| {
            each.config().is_some_and(|config| {
                config.hashed_subpackets().any(|packet| matches!(packet.data, SubpacketData::KeyFlags(_)))
            })
        };
        let from = u64::from(key.created_at().as_secs());
        let lifetime =
            newest.and_then(Signature::key_expiration_time).map(|time| std::time::Duration::from(time).as_secs());
        Self {
            stated: newest.is_some(),
            // Keys of old say nothing of their purpose and sign.
            may_sign: newest.is_none_or(|each| !has_flags(each) || each.key_flags().sign()),
            created: from,
            expires: lifetime.filter(|seconds| *seconds > 0).map(|seconds| from + seconds),
            revoked: None,
        }
    }

    /// Says why a signature made at this time counts for nothing.
    fn refuse(&self, made: u64) -> Option<String> {
        if !self.may_sign {
            return Some("its key is not one that signs".into());
        }
        if made < self.created {
            return Some(format!("it is from {}, and its key from {}", day(made), day(self.created)));
        }
        if let Some(expires) = self.expires.filter(|expires| made >= *expires) {
            return Some(format!("it is from {}, and its key expired on {}", day(made), day(expires)));
        }
        if let Some(revoked) = self.revoked.filter(|revoked| made >= *revoked) {
            let when = if revoked == 0 { String::new() } else { format!(" on {}", day(revoked)) };
            return Some(format!("its key was revoked{when}"));
        }
        None
    }
}

/// Returns from when on a key counts for nothing: from the beginning unless the reason is harmless (RFC 9580, 5.2.3.31).
fn revoked<'a>(revocations: impl Iterator<Item = &'a Signature>) -> Option<u64> {
    let since = |each: &Signature| match each.revocation_reason_code() {
        Some(RevocationCode::KeySuperseded | RevocationCode::KeyRetired) => created(each),
        _ => 0,
    };
    revocations.map(since).min()
}

fn created(signature: &Signature) -> u64 {
    signature.created().map_or(0, |time| u64::from(time.as_secs()))
}

fn day(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.strftime("%Y-%m-%d").to_string())
}

impl PackageSignature {
    /// Reads a signature packet; `None` for one of a version that came later than kbuild.
    ///
    /// # Errors
    /// It is none, or one over something else than plain bytes.
    pub(super) fn parse(packet: &[u8]) -> Result<Option<Self>, String> {
        let first = PacketParser::new(packet).next();
        match first {
            Some(Ok(Packet::Signature(signature))) => match signature.typ() {
                Some(SignatureType::Binary) => Ok(Some(Self(signature))),
                Some(other) => Err(format!("expected a signature of plain bytes, found {other:?}")),
                None => Ok(None),
            },
            Some(Ok(other)) => {
                Err(format!("expected a signature packet, found {:?}", pgp::packet::PacketTrait::tag(&other)))
            }
            Some(Err(error)) => Err(format!("it cannot be read ({error})")),
            None => Err("it is empty".into()),
        }
    }

    /// Returns who it says has made it: a fingerprint or a key id, in lower-case hexadecimal digits.
    pub(super) fn signer(&self) -> Option<String> {
        let fingerprint = self.0.issuer_fingerprint().first().map(|fingerprint| format!("{fingerprint:x}"));
        fingerprint.or_else(|| self.0.issuer_key_id().first().map(ToString::to_string))
    }

    /// Verifies it over `data` with the key that made it, if that is this one or one of its subkeys.
    ///
    /// # Errors
    /// It is another's, wrong, or made when the key had no right to.
    pub(super) fn verify(&self, key: &PublicKey, data: impl Read) -> Result<Algorithm, Refused> {
        let ids = self.0.issuer_key_id();
        let fingerprints = self.0.issuer_fingerprint();
        // Where both are given both must be the key's.
        let made_by = |candidate: &dyn KeyDetails| {
            !(ids.is_empty() && fingerprints.is_empty())
                && ids.iter().all(|id| **id == candidate.legacy_key_id())
                && fingerprints.iter().all(|fingerprint| **fingerprint == candidate.fingerprint())
        };
        if made_by(&key.0.primary_key) {
            return self.verify_with(&key.0.primary_key, &key.primary_rights(), data);
        }
        match key.0.public_subkeys.iter().find(|subkey| made_by(&subkey.key)) {
            // What the primary key must not any more, its subkeys must not either.
            Some(subkey) => match key.primary_rights().revoked.filter(|revoked| created(&self.0) >= *revoked) {
                Some(_) => Err(Refused::Wrong("its primary key was revoked".into())),
                None => self.verify_with(&subkey.key, &key.subkey_rights(subkey), data),
            },
            None => Err(Refused::OtherKey),
        }
    }

    fn verify_with(&self, key: &impl VerifyingKey, rights: &Rights, data: impl Read) -> Result<Algorithm, Refused> {
        // Of a kind that came later than kbuild.
        if matches!(key.public_params(), PublicParams::Unknown { .. }) {
            return Err(Refused::OtherKey);
        }
        self.0.verify(key, data).map_err(|error| Refused::Wrong(error.to_string()))?;
        match rights.refuse(created(&self.0)) {
            Some(why) => Err(Refused::Wrong(why)),
            None => Ok(self.algorithm(key)),
        }
    }

    fn algorithm(&self, key: &impl KeyDetails) -> Algorithm {
        let hash = self.0.hash_alg().unwrap_or(HashAlgorithm::None);
        // Their first number says how large they are: the modulus n of RSA, the prime p of DSA (RFC 9580, 5.5.5).
        let bits = || {
            let bytes = key.public_params().to_bytes().unwrap_or_default();
            bytes.first_chunk().map_or(0, |length| u16::from_be_bytes(*length))
        };
        let (name, weak_key) = match key.algorithm() {
            PublicKeyAlgorithm::RSA | PublicKeyAlgorithm::RSASign => {
                let name = format!("RSA-{}", bits());
                (name.clone(), (bits() < STRONG_RSA).then_some(name))
            }
            PublicKeyAlgorithm::DSA => {
                let name = format!("DSA-{}", bits());
                (name.clone(), Some(name))
            }
            PublicKeyAlgorithm::EdDSALegacy => ("Ed25519".to_owned(), None),
            other => (format!("{other:?}"), None),
        };
        let (digest, weak_digest) = match hash {
            HashAlgorithm::Md5 => ("MD5".to_owned(), true),
            HashAlgorithm::Sha1 => ("SHA-1".to_owned(), true),
            HashAlgorithm::Ripemd160 => ("RIPEMD-160".to_owned(), true),
            HashAlgorithm::Sha256 => ("SHA-256".to_owned(), false),
            HashAlgorithm::Sha512 => ("SHA-512".to_owned(), false),
            other => (other.to_string(), false),
        };
        let version = match self.0.version() {
            SignatureVersion::V2 => "2",
            SignatureVersion::V3 => "3",
            SignatureVersion::V4 => "4",
            _ => "6",
        };
        let weak: Vec<String> = weak_key.into_iter().chain(weak_digest.then(|| digest.clone())).collect();
        Algorithm {
            name: format!("{name}, {digest}, version {version}"),
            weak: (!weak.is_empty()).then(|| weak.join(" and ")),
        }
    }
}
