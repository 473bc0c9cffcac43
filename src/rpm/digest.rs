//! Digests computed while something is read.

use std::io::{self, Read};

use rpm::DigestAlgorithm;
use sha2::digest::DynDigest;

use crate::digest::hex;

/// A reader that hashes and counts what passes through it.
pub(crate) struct Hashing<R> {
    inner: R,
    hasher: Option<Box<dyn DynDigest>>,
    read: u64,
}

impl<R: Read> Hashing<R> {
    /// Wraps a reader; without an algorithm it only counts.
    pub(crate) fn new(inner: R, algorithm: Option<DigestAlgorithm>) -> Self {
        Self { inner, hasher: algorithm.and_then(hasher), read: 0 }
    }

    /// Reads what is left, and returns the number of bytes in all and the digest in hexadecimal.
    pub(crate) fn finish(mut self) -> io::Result<(u64, Option<String>)> {
        io::copy(&mut self, &mut io::sink())?;
        Ok((self.read, self.hasher.map(|hasher| hex(&hasher.finalize()))))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let (Some(hasher), Some(bytes)) = (&mut self.hasher, buffer.get(..count)) {
            hasher.update(bytes);
        }
        self.read += count as u64;
        Ok(count)
    }
}

/// File digests are MD5 up to el5 and SHA-256 from el6 on.
fn hasher(algorithm: DigestAlgorithm) -> Option<Box<dyn DynDigest>> {
    Some(match algorithm {
        DigestAlgorithm::Md5 => Box::new(md5::Md5::default()),
        DigestAlgorithm::Sha2_224 => Box::new(sha2::Sha224::default()),
        DigestAlgorithm::Sha2_256 => Box::new(sha2::Sha256::default()),
        DigestAlgorithm::Sha2_384 => Box::new(sha2::Sha384::default()),
        DigestAlgorithm::Sha2_512 => Box::new(sha2::Sha512::default()),
        _ => return None,
    })
}
