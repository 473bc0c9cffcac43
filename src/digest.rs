//! Digests of bytes, as text. Pure.

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// A SHA-256, as the 32 bytes that it is; in JSON in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sha256(#[serde(with = "hex::serde")] pub [u8; 32]);

/// Returns bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

/// Returns the SHA-256 of bytes in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&sha2::Sha256::digest(bytes))
}
