//! Whether a package is whole: its length, and the digest of its payload as it lies in the file.
//!
//! The digests of single files say nothing of the bytes between them, and a header's digest nothing of what follows it.
//! The signature header has the length of all that follows it; the header of rpm 4.14 and later has the SHA-256 of the
//! compressed payload; older packages have an MD5 of header and payload (`RPMSIGTAG_MD5`).

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use md5::Md5;
use rpm::{IndexSignatureTag, IndexTag, PackageMetadata};
use sha2::{Digest, Sha256};

use crate::digest::hex;

/// What was measured of a package that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    /// Size of the file in bytes.
    pub(super) size: u64,
    /// SHA-256 of the file.
    pub(super) sha256: String,
}

/// Why a package is not whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// It could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It has another length than its signature header says.
    #[error("it has {found} bytes, and its header says {expected}: it is cut off, or something was added")]
    Length {
        /// What the header says.
        expected: u64,
        /// What the file has.
        found: u64,
    },
    /// Its payload is not the one that was packed.
    #[error("its payload has the digest {found}, and its header says {expected}")]
    Payload {
        /// What the header says.
        expected: String,
        /// What was read.
        found: String,
    },
}

/// Reads the whole file and compares it with what its headers say; `progress` gets bytes done and bytes in all.
pub(super) fn check(
    path: &Path,
    metadata: &PackageMetadata,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Whole, Broken> {
    let offsets = metadata.get_package_segment_offsets();
    let mut file = fs_err::File::open(path)?;
    let size = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    if let Some(expected) = length(metadata).map(|rest| offsets.header + rest)
        && expected != size
    {
        return Err(Broken::Length { expected, found: size });
    }
    let payload = metadata.header.get_entry_data_as_string_array(IndexTag::RPMTAG_PAYLOADSHA256).ok();
    let payload = payload.and_then(|digests| digests.first().map(ToString::to_string));
    let legacy = metadata.signature.get_entry_data_as_binary(IndexSignatureTag::RPMSIGTAG_MD5).ok();

    let (mut whole, mut packed, mut old) = (Sha256::new(), Sha256::new(), Md5::new());
    let mut input = BufReader::with_capacity(1 << 20, file.into_file());
    let mut done = 0;
    // The three parts of the file: what precedes the header, the header, the payload.
    for (end, digests) in [(offsets.header, 0), (offsets.payload, 1), (size, 2)] {
        let mut part = (&mut input).take(end.saturating_sub(done));
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let count = part.read(&mut buffer)?;
            let bytes = buffer.get(..count).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            whole.update(bytes);
            if digests == 2 && payload.is_some() {
                packed.update(bytes);
            }
            if digests >= 1 && payload.is_none() {
                old.update(bytes);
            }
            done += count as u64;
            progress(done, size);
        }
    }
    let compared = match (payload, legacy) {
        (Some(expected), _) => Some((expected, hex(&packed.finalize()))),
        (None, Some(expected)) => Some((hex(expected), hex(&old.finalize()))),
        (None, None) => None,
    };
    if let Some((expected, found)) = compared
        && expected != found
    {
        return Err(Broken::Payload { expected, found });
    }
    Ok(Whole { size: done, sha256: hex(&whole.finalize()) })
}

/// Returns the number of bytes of header and payload, if the signature header has it.
fn length(metadata: &PackageMetadata) -> Option<u64> {
    let long = metadata.signature.get_entry_data_as_u64(IndexSignatureTag::RPMSIGTAG_LONGSIZE).ok();
    long.or_else(|| metadata.signature.get_entry_data_as_u32(IndexSignatureTag::RPMSIGTAG_SIZE).ok().map(u64::from))
}
