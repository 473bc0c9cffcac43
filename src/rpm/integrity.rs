//! Whether a package is whole: its length, and the digest of its payload as it lies in the file.
//!
//! The digests of single files say nothing of the bytes between them, and a header's digest nothing of what follows it.
//! The signature header has the length of all that follows it; the header of rpm 4.14 and later has the SHA-256 of the
//! compressed payload; older packages have an MD5 of header and payload (`RPMSIGTAG_MD5`).

use std::io::{self, Read};
use std::path::Path;

use md5::Md5;
use rpm::{IndexSignatureTag, IndexTag, PackageMetadata};
use sha2::{Digest, Sha256};

use crate::digest::hex;

/// How much of a file is read at a time.
const PART: usize = 256 << 10;

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

/// What a package's headers say of the rest of it.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    /// Where the header and the payload begin.
    header: u64,
    payload: u64,
    /// How many bytes header and payload have.
    length: Option<u64>,
    /// SHA-256 of the compressed payload, in hexadecimal.
    sha256: Option<String>,
    /// MD5 of header and payload.
    md5: Option<Vec<u8>>,
}

impl Expected {
    /// Reads it from the headers.
    pub(super) fn of(metadata: &PackageMetadata) -> Self {
        let offsets = metadata.get_package_segment_offsets();
        let sha256 = metadata.header.get_entry_data_as_string_array(IndexTag::RPMTAG_PAYLOADSHA256).ok();
        let md5 = metadata.signature.get_entry_data_as_binary(IndexSignatureTag::RPMSIGTAG_MD5).ok();
        Self {
            header: offsets.header,
            payload: offsets.payload,
            length: length(metadata),
            sha256: sha256.and_then(|digests| digests.first().map(ToString::to_string)),
            md5: md5.map(<[u8]>::to_vec),
        }
    }
}

/// Reads the whole file, compares it with what its headers say, and hashes it; `progress` gets bytes done and bytes in all.
pub(super) fn measure(
    path: &Path,
    metadata: &PackageMetadata,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Whole, Broken> {
    let mut whole = Sha256::new();
    let size = check(path, &Expected::of(metadata), Some(&mut whole), progress)?;
    Ok(Whole { size, sha256: hex(&whole.finalize()) })
}

/// The same, and returns its size in bytes; what is read goes to `whole`, if anybody wants to know more of it.
pub(super) fn check(
    path: &Path,
    expected: &Expected,
    mut whole: Option<&mut Sha256>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, Broken> {
    let mut file = fs_err::File::open(path)?;
    let size = file.metadata()?.len();
    if let Some(expected) = expected.length.map(|rest| expected.header + rest)
        && expected != size
    {
        return Err(Broken::Length { expected, found: size });
    }
    let (mut packed, mut old) = (Sha256::new(), Md5::new());
    let mut buffer = vec![0; PART];
    let mut done = 0;
    // The three parts of the file: what precedes the header, the header, the payload.
    for (end, digests) in [(expected.header, 0), (expected.payload, 1), (size, 2)] {
        let mut part = (&mut file).take(end.saturating_sub(done));
        loop {
            let count = part.read(&mut buffer)?;
            let bytes = buffer.get(..count).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            if let Some(whole) = &mut whole {
                whole.update(bytes);
            }
            if digests == 2 && expected.sha256.is_some() {
                packed.update(bytes);
            }
            if digests >= 1 && expected.sha256.is_none() {
                old.update(bytes);
            }
            done += count as u64;
            progress(done, size);
        }
    }
    let compared = match (&expected.sha256, &expected.md5) {
        (Some(expected), _) => Some((expected.clone(), hex(&packed.finalize()))),
        (None, Some(expected)) => Some((hex(expected), hex(&old.finalize()))),
        (None, None) => None,
    };
    if let Some((expected, found)) = compared
        && expected != found
    {
        return Err(Broken::Payload { expected, found });
    }
    Ok(done)
}

/// Returns the number of bytes of header and payload, if the signature header has it.
fn length(metadata: &PackageMetadata) -> Option<u64> {
    let long = metadata.signature.get_entry_data_as_u64(IndexSignatureTag::RPMSIGTAG_LONGSIZE).ok();
    long.or_else(|| metadata.signature.get_entry_data_as_u32(IndexSignatureTag::RPMSIGTAG_SIZE).ok().map(u64::from))
}
