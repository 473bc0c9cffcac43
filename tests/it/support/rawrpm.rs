//! A package as bytes: where its parts are, and changes that its own digests do not show.

use std::path::Path;

use md5::{Digest, Md5};

/// Length of the lead, which precedes the signature header.
const LEAD: usize = 96;
/// `RPMSIGTAG_SHA256`, `_MD5`, `_DSA`, `_RSA`.
const SHA256: u32 = 273;
const MD5: u32 = 1004;
pub(crate) const DSA: u32 = 267;
pub(crate) const RSA: u32 = 268;
/// `RPMSIGTAG_SHA1`: taken away, since nothing here computes it.
const SHA1: u32 = 269;

/// A package.
#[derive(Debug, Clone)]
pub(crate) struct RawRpm {
    pub(crate) bytes: Vec<u8>,
    /// Where the header begins.
    pub(crate) header: usize,
    /// Where the payload begins.
    pub(crate) payload: usize,
}

impl RawRpm {
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = fs_err::read(path).unwrap();
        let header = (LEAD + length(&bytes, LEAD)).next_multiple_of(8);
        let payload = header + length(&bytes, header);
        Self { bytes, header, payload }
    }

    /// Gives an entry of the signature header a tag that nobody looks for.
    pub(crate) fn hide(&mut self, tag: u32) -> bool {
        let Some(at) = self.entry(tag) else { return false };
        self.bytes[at..at + 4].copy_from_slice(&9999_u32.to_be_bytes());
        true
    }

    /// Makes the digests in the signature header right again, as somebody would who cannot sign.
    pub(crate) fn mend(&mut self) {
        self.hide(SHA1);
        if let Some(at) = self.data(SHA256) {
            let digest = kbuild::digest::sha256(&self.bytes[self.header..self.payload]);
            self.bytes[at..at + digest.len()].copy_from_slice(digest.as_bytes());
        }
        if let Some(at) = self.data(MD5) {
            let digest = Md5::digest(&self.bytes[self.header..]);
            self.bytes[at..at + digest.len()].copy_from_slice(&digest);
        }
    }

    /// Where the entry of a tag is in the signature header.
    fn entry(&self, tag: u32) -> Option<usize> {
        let entries = (0..number(&self.bytes, LEAD + 8)).map(|index| LEAD + 16 + 16 * index);
        entries.into_iter().find(|at| number(&self.bytes, *at) == tag as usize)
    }

    /// Where the bytes of a signature packet are.
    pub(crate) fn packet(&self, tag: u32) -> std::ops::Range<usize> {
        let (entry, data) = (self.entry(tag).unwrap(), self.data(tag).unwrap());
        data..data + number(&self.bytes, entry + 12)
    }

    fn data(&self, tag: u32) -> Option<usize> {
        let store = LEAD + 16 + 16 * number(&self.bytes, LEAD + 8);
        self.entry(tag).map(|at| store + number(&self.bytes, at + 8))
    }
}

/// The length of the header that begins there.
fn length(bytes: &[u8], at: usize) -> usize {
    16 + 16 * number(bytes, at + 8) + number(bytes, at + 12)
}

fn number(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}
