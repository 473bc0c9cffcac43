//! Who signed a package, as far as it can be told with the keys at hand.

use rpm::PackageMetadata;
use rpm::signature::pgp::Verifier;
use serde::{Deserialize, Serialize};

/// A public key offered for verification, with where it came from.
#[derive(Debug, Clone)]
pub struct Key {
    origin: String,
    armoured: String,
}

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
            Ok(_) => Ok(Self { origin, armoured }),
            Err(error) => Err(KeyError { origin, why: error.to_string() }),
        }
    }
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
        let Ok(verifier) = Verifier::from_asc(&key.armoured) else { continue };
        match metadata.verify_signature(verifier) {
            Ok(()) => return Signature::Good { key: key.origin.clone(), signer },
            Err(rpm::Error::KeyNotFoundError { .. }) => {}
            Err(error) => bad = Some(error.to_string()),
        }
    }
    match bad {
        Some(why) => Signature::Bad { why },
        None => Signature::NoKey { signer },
    }
}
