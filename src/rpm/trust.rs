//! Who signed a package: what its signatures say, and whether somebody vouches for the keys that made them.
//!
//! A key counts if its primary fingerprint is pinned: by the recipe, which knows the distribution's, or by the user. A
//! package may have a signature of its header and one of header and payload; each one that is there must hold.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use rpm::{DigestAlgorithm, IndexSignatureTag, IndexTag, PackageMetadata};
use serde::{Deserialize, Serialize};

use super::headers;
use super::openpgp::{PackageSignature, PublicKey, Refused};

/// A public key at hand.
#[derive(Debug, Clone)]
pub struct Key {
    /// Where it came from.
    pub origin: String,
    /// The key.
    pub key: PublicKey,
    /// Who says that it counts; without, it only helps to say whose signature it is.
    pub pinned_by: Option<PinnedBy>,
}

/// Who says that a key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PinnedBy {
    /// The recipe: it is the distribution's key.
    Recipe,
    /// The user.
    User,
}

/// What the signature of a package is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Signature {
    /// Made by a key that is pinned.
    Good {
        /// Where the key came from.
        key: String,
        /// What the signature says of its signer: fingerprint or key id.
        signer: String,
        /// The primary key's fingerprint.
        pinned: String,
        /// Who pinned it.
        pinned_by: PinnedBy,
        /// What it was made with, such as `RSA-4096, SHA-256, version 4`.
        algorithm: String,
        /// Why it is weak by now, if it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weak: Option<String>,
    },
    /// There is none.
    Unsigned,
    /// There is one, but no key for it.
    NoKey {
        /// What the signature says of its signer: fingerprint or key id.
        signer: String,
    },
    /// There is one that fits its key, but nobody says that this key counts.
    NotPinned {
        /// What the signature says of its signer: fingerprint or key id.
        signer: String,
        /// Where the key came from.
        key: String,
        /// The primary key's fingerprint.
        fingerprint: String,
    },
    /// It is not what its signer signed, or the signer had no right to.
    Bad {
        /// Why.
        why: String,
    },
}

/// What a signature is made over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Covers {
    /// The header; its digests stand for the payload.
    Header,
    /// Header and payload, as packages up to el7 have it, too.
    All,
}

/// Judges the signatures of a package with these keys.
///
/// # Errors
/// It cannot be read.
pub fn signature(path: &Path, keys: &[Key]) -> io::Result<Signature> {
    let metadata = headers::open(path).map_err(io::Error::other)?;
    judge(path, &metadata, keys)
}

/// The same, with the package's headers at hand.
pub(super) fn judge(path: &Path, metadata: &PackageMetadata, keys: &[Key]) -> io::Result<Signature> {
    let offsets = metadata.get_package_segment_offsets();
    // The bytes of the file itself are what was signed: not what was read out of them and written again.
    let signed = |covers| -> io::Result<Box<dyn Read>> {
        let mut file = fs_err::File::open(path)?.into_file();
        file.seek(SeekFrom::Start(offsets.header))?;
        Ok(match covers {
            Covers::Header => Box::new(file.take(offsets.payload - offsets.header)),
            Covers::All => Box::new(BufReader::with_capacity(1 << 18, file)),
        })
    };
    let packets = match packets(metadata) {
        Ok(packets) => packets,
        Err(why) => return Ok(Signature::Bad { why }),
    };
    let mut verdicts = Vec::new();
    for (covers, packet) in &packets {
        verdicts.push(one(packet, keys, &|| signed(*covers))?);
    }
    let good = |verdict: &Signature| matches!(verdict, Signature::Good { .. });
    let whole = packets.iter().zip(&verdicts).any(|((covers, _), verdict)| *covers == Covers::All && good(verdict));
    let mut verdict = strongest(verdicts);
    if let Signature::Good { weak, .. } = &mut verdict
        && let Some(digest) = weak_payload(metadata).filter(|_| !whole)
    {
        let more = format!("its payload is known by {digest} digests only");
        *weak = Some(weak.take().map_or_else(|| more.clone(), |weak| format!("{weak}; {more}")));
    }
    Ok(verdict)
}

/// A wrong signature outweighs a right one, and a right one outweighs one that nobody can check.
fn strongest(verdicts: Vec<Signature>) -> Signature {
    let rank = |verdict: &Signature| match verdict {
        Signature::Bad { .. } => 4,
        Signature::Good { .. } => 3,
        Signature::NotPinned { .. } => 2,
        Signature::NoKey { .. } => 1,
        Signature::Unsigned => 0,
    };
    // Of equals the first: the one of the header.
    verdicts.into_iter().rev().max_by_key(rank).unwrap_or(Signature::Unsigned)
}

fn one(packet: &[u8], keys: &[Key], open: &dyn Fn() -> io::Result<Box<dyn Read>>) -> io::Result<Signature> {
    let packet = match PackageSignature::parse(packet) {
        Ok(Some(packet)) => packet,
        Ok(None) => return Ok(Signature::NoKey { signer: "a key of a version that is not known".into() }),
        Err(why) => return Ok(Signature::Bad { why }),
    };
    let Some(signer) = packet.signer() else {
        return Ok(Signature::Bad { why: "it names nobody who made it".into() });
    };
    let mut verdict = Signature::NoKey { signer: signer.clone() };
    for Key { origin, key, pinned_by } in keys.iter().filter(|key| key.key.is(&signer)) {
        match (packet.verify(key, open()?), pinned_by) {
            (Ok(algorithm), Some(pinned_by)) => {
                return Ok(Signature::Good {
                    key: origin.clone(),
                    signer,
                    pinned: key.fingerprint(),
                    pinned_by: *pinned_by,
                    algorithm: algorithm.name,
                    weak: algorithm.weak,
                });
            }
            (Ok(_), None) => {
                let (key, fingerprint) = (origin.clone(), key.fingerprint());
                verdict = Signature::NotPinned { signer: signer.clone(), key, fingerprint };
            }
            (Err(Refused::Wrong(why)), _) => verdict = Signature::Bad { why: format!("{why} (key from {origin})") },
            (Err(Refused::OtherKey), _) => {}
        }
    }
    Ok(verdict)
}

/// Returns the signature packets of a package and what each is made over: `RPMSIGTAG_OPENPGP` (rpm 6), `_RSA` and `_DSA`
/// (the header), `_PGP` and `_GPG` (header and payload; rpmtag.h of rpm 4.18).
fn packets(metadata: &PackageMetadata) -> Result<Vec<(Covers, Vec<u8>)>, String> {
    let of_header = metadata.raw_signatures().map_err(|error| format!("it cannot be read ({error})"))?;
    let mut packets: Vec<_> = of_header.into_iter().map(|packet| (Covers::Header, packet.into_owned())).collect();
    for (tag, covers) in [
        // The crate returns the first of these two only.
        (IndexSignatureTag::RPMSIGTAG_DSA, Covers::Header),
        (IndexSignatureTag::RPMSIGTAG_PGP, Covers::All),
        (IndexSignatureTag::RPMSIGTAG_GPG, Covers::All),
    ] {
        if let Ok(packet) = metadata.signature.get_entry_data_as_binary(tag)
            && packets.iter().all(|(_, earlier)| earlier != packet)
        {
            packets.push((covers, packet.to_vec()));
        }
    }
    Ok(packets)
}

/// Returns the digest that ties the payload to the header, if it is weak: packages of rpm before 4.14 have none of the
/// payload, and up to el5 their files have MD5.
fn weak_payload(metadata: &PackageMetadata) -> Option<&'static str> {
    let strong = [IndexTag::RPMTAG_PAYLOADSHA256, IndexTag::RPMTAG_PAYLOAD_SHA512];
    if strong.iter().any(|tag| metadata.header.get_entry_data_as_string_array(*tag).is_ok()) {
        return None;
    }
    match metadata.get_file_digest_algorithm() {
        Ok(DigestAlgorithm::Md5) | Err(_) => Some("MD5"),
        Ok(_) => None,
    }
}
