//! Who signed a package, as far as it can be told with the keys at hand.

use rpm::PackageMetadata;
use rpm::signature::pgp::Verifier;
use serde::{Deserialize, Serialize};

/// A public key offered for verification, with where it came from.
#[derive(Debug, Clone)]
pub struct Key {
    origin: String,
    armoured: String,
    /// The one fingerprint that counts, if a recipe pins it.
    pinned: Option<String>,
}

/// The last line of an armoured key.
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// Why a file is no key.
#[derive(Debug, thiserror::Error)]
#[error("`{origin}` holds no ASCII-armoured OpenPGP public key: {why}")]
pub struct KeyError {
    origin: String,
    why: String,
}

impl Key {
    /// Takes a key from the ASCII-armoured content of the file `origin`.
    ///
    /// # Errors
    /// There is no usable key in it.
    pub fn new(origin: String, armoured: String) -> Result<Self, KeyError> {
        match Verifier::from_asc(&armoured) {
            Ok(_) => Ok(Self { origin, armoured, pinned: None }),
            Err(error) => Err(KeyError { origin, why: error.to_string() }),
        }
    }

    /// Takes the key with this primary fingerprint (40 hexadecimal digits) from a file that may hold others; `None` if
    /// it is not in it.
    #[must_use]
    pub fn pinned(origin: &str, text: &str, fingerprint: &str) -> Option<Self> {
        // A file may hold several blocks, one after the other.
        text.split_inclusive(END).find_map(|block| {
            let pinned = Some(fingerprint.to_owned());
            let key = Self { origin: origin.to_owned(), armoured: block.to_owned(), pinned };
            key.verifier().is_some().then_some(key)
        })
    }

    fn verifier(&self) -> Option<Verifier> {
        let verifier = Verifier::from_asc(&self.armoured).ok()?;
        match &self.pinned {
            Some(fingerprint) => verifier.with_key(&bytes(fingerprint)?).ok(),
            None => Some(verifier),
        }
    }
}

/// Reads hexadecimal digits.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// What the signature of a package is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Signature {
    /// Made by one of the keys that were offered.
    Good {
        /// The file that the key came from.
        key: String,
        /// What the signature says of its signer: fingerprint or key id.
        signer: String,
        /// The primary key's fingerprint, if the recipe pins it; else somebody said that the key is to be trusted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pinned: Option<String>,
    },
    /// There is none.
    Unsigned,
    /// There is one, but no key for it.
    NoKey {
        /// What the signature says of its signer: fingerprint or key id.
        signer: String,
    },
    /// One of the keys should have made it, but did not.
    Bad {
        /// Why.
        why: String,
    },
}

/// Judges the header signature of a package against the keys.
pub(crate) fn judge(metadata: &PackageMetadata, keys: &[Key]) -> Signature {
    let signatures = match metadata.signatures() {
        Ok(signatures) => signatures,
        Err(error) => return Signature::Bad { why: error.to_string() },
    };
    let Some(first) = signatures.first() else { return Signature::Unsigned };
    let signer = first.fingerprint().or(first.key_id()).unwrap_or("unknown").to_owned();
    let mut bad = None;
    for key in keys {
        let Some(verifier) = key.verifier() else { continue };
        match metadata.verify_signature(verifier) {
            Ok(()) => {
                return Signature::Good { key: key.origin.clone(), signer, pinned: key.pinned.clone() };
            }
            Err(rpm::Error::KeyNotFoundError { .. }) => {}
            Err(error) => bad = Some(error.to_string()),
        }
    }
    match bad {
        Some(why) => Signature::Bad { why },
        None => Signature::NoKey { signer },
    }
}
