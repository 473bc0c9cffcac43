//! Opens packages: their headers are checked before anything reads them. The only place where the rpm crate gets a file.
//!
//! The crate trusts the offsets and counts of a header, and ends the program, or takes all memory, where they are wrong.
//! The rules are those of `hdrblobVerifyInfo` (rpm 4.18, lib/header.c).

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use fs_err::File;
use rpm::{PackageMetadata, PackageReader};

use super::nvr::Nvr;

/// Length of the lead, of the fixed part of a header, and of an entry of its index.
const LEAD: u64 = 96;
const FIXED: usize = 16;
const ENTRY: usize = 16;
/// How many entries and how many bytes of data a header may have. Real ones have some hundred, and some megabytes.
const MOST_ENTRIES: usize = 0xffff;
const MOST_DATA: usize = 64 << 20;

/// Reads the headers of a package.
///
/// # Errors
/// The file cannot be read, or its headers are damaged or cut off.
pub(super) fn open(path: &Path) -> Result<PackageMetadata, rpm::Error> {
    check_file(path)?;
    PackageMetadata::open(path)
}

/// Reads the headers of a package and compares them with their digests. Packages of el5 and older have no digest of the
/// header beside SHA-1; some have none at all.
///
/// # Errors
/// As [`open`], or they are not what they were.
pub(super) fn verified(path: &Path) -> Result<PackageMetadata, rpm::Error> {
    let metadata = open(path)?;
    match metadata.verify_digests() {
        Ok(()) | Err(rpm::Error::NoHeaderDigestError) => Ok(metadata),
        Err(problem) => Err(problem),
    }
}

/// Returns name, version and release as the header has them.
///
/// # Errors
/// One of them is missing.
pub(super) fn nvr(metadata: &PackageMetadata) -> Result<Nvr, rpm::Error> {
    Ok(Nvr {
        name: metadata.get_name()?.to_owned(),
        version: metadata.get_version()?.to_owned(),
        release: metadata.get_release()?.to_owned(),
    })
}

/// Opens a package with its payload.
///
/// # Errors
/// As [`open`].
pub(super) fn reader(path: &Path) -> Result<PackageReader, rpm::Error> {
    check_file(path)?;
    PackageReader::parse(BufReader::new(File::open(path)?.into_file()))
}

fn check_file(path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(LEAD))?;
    let mut input = BufReader::new(file.into_file());
    let signature = check(&mut input).map_err(|error| named("the signature header", &error))?;
    let padding = signature.next_multiple_of(8) - signature;
    input.seek_relative(i64::try_from(padding).unwrap_or_default())?;
    check(&mut input).map_err(|error| named("the header", &error))?;
    Ok(())
}

/// Returns the data of each entry of a package's header by its tag, as it is in the file.
///
/// # Errors
/// As [`open`].
pub(super) fn entries(path: &Path) -> io::Result<BTreeMap<u32, Vec<u8>>> {
    check_file(path)?;
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(LEAD))?;
    let mut input = BufReader::new(file.into_file());
    let signature = check(&mut input)?;
    let padding = signature.next_multiple_of(8) - signature;
    input.seek_relative(i64::try_from(padding).unwrap_or_default())?;
    let (index, store) = read(&mut input)?;
    let entry = |entry: &[u8]| {
        let [tag, kind, offset, count] = [0, 4, 8, 12].map(|at| number(entry, at));
        let rest = store.get(offset..).unwrap_or_default();
        let data = length(kind, count, rest).and_then(|length| rest.get(..length)).unwrap_or_default();
        (u32::try_from(tag).unwrap_or_default(), data.to_vec())
    };
    Ok(index.chunks_exact(ENTRY).map(entry).collect())
}

fn named(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Reads the index and the data of a header.
fn read(input: &mut impl Read) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut fixed = [0; FIXED];
    input.read_exact(&mut fixed)?;
    if !fixed.starts_with(b"\x8e\xad\xe8\x01") {
        return Err(invalid("it does not begin as a header does".into()));
    }
    let (entries, data) = (number(&fixed, 8), number(&fixed, 12));
    if entries > MOST_ENTRIES || data > MOST_DATA {
        return Err(invalid(format!("it says that it has {entries} entries and {data} bytes")));
    }
    let mut index = vec![0; entries * ENTRY];
    input.read_exact(&mut index)?;
    let mut store = vec![0; data];
    input.read_exact(&mut store)?;
    Ok((index, store))
}

/// Reads a header and checks that each entry lies within it; returns its length in bytes.
fn check(input: &mut impl Read) -> io::Result<usize> {
    let (index, store) = read(input)?;
    let data = store.len();
    for entry in index.chunks_exact(ENTRY) {
        let [tag, kind, offset, count] = [0, 4, 8, 12].map(|at| number(entry, at));
        let rest = store.get(offset..).unwrap_or_default();
        if !fits(kind, count, rest) {
            return Err(invalid(format!("entry {tag} (type {kind}, {count} at {offset} of {data}) is not within it")));
        }
    }
    Ok(FIXED + index.len() + data)
}

/// Whether so many items of a type are at the beginning of `rest`.
fn fits(kind: usize, count: usize, rest: &[u8]) -> bool {
    count != 0 && length(kind, count, rest).is_some_and(|length| length <= rest.len())
}

/// Returns how many bytes so many items of a type take at the beginning of `rest`; nothing where they are not there.
fn length(kind: usize, count: usize, rest: &[u8]) -> Option<usize> {
    let size = match kind {
        0 => 0,
        1 | 2 | 7 => 1,
        3 => 2,
        4 => 4,
        5 => 8,
        6 if count != 1 => return None,
        // Texts that each end with a zero byte.
        6 | 8 | 9 => {
            return memchr::memchr_iter(0, rest).nth(count.checked_sub(1)?).map(|at| at + 1);
        }
        _ => return None,
    };
    count.checked_mul(size)
}

fn number(bytes: &[u8], at: usize) -> usize {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).unwrap_or_default();
    u32::from_be_bytes(four) as usize
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with one entry: tag 1000.
    fn header(kind: u32, offset: u32, count: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x8e\xad\xe8\x01\0\0\0\0".to_vec();
        for number in [1, u32::try_from(data.len()).unwrap(), 1000, kind, offset, count] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(data);
        bytes
    }

    #[test]
    fn what_lies_within_its_header_is_taken() {
        for (kind, offset, count, data) in
            [(6, 0, 1, &b"kernel\0"[..]), (8, 2, 2, b"xxa\0b\0"), (4, 0, 2, b"12345678"), (7, 4, 4, b"12345678")]
        {
            assert_eq!(check(&mut header(kind, offset, count, data).as_slice()).unwrap(), 32 + data.len());
        }
    }

    #[test]
    fn what_does_not_is_refused() {
        for (kind, offset, count, data) in [
            (6, 0, 1, &b"kernel"[..]),
            (6, 0, 2, b"a\0b\0"),
            (8, 0, 3, b"a\0b\0"),
            (8, 0, 0, b"a\0"),
            (4, 1, 2, b"12345678"),
            (4, u32::MAX, 1, b"12345678"),
            (5, 0, u32::MAX, b"12345678"),
            (3, 0, 0, b"12"),
            (10, 0, 1, b"12"),
        ] {
            let error = check(&mut header(kind, offset, count, data).as_slice()).unwrap_err().to_string();
            assert!(error.contains("entry 1000"), "{kind} {offset} {count}: {error}");
        }
        let mut huge = header(6, 0, 1, b"x\0");
        huge[8..16].copy_from_slice(&[0xff; 8]);
        assert!(check(&mut huge.as_slice()).unwrap_err().to_string().contains("4294967295 entries"));
        assert!(check(&mut &b"\x8e\xad\xe8\x02"[..]).is_err());
        assert!(check(&mut &header(6, 0, 1, b"x\0")[..30]).is_err());
    }
}
