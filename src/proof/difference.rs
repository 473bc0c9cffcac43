//! The first difference between two packages that should be the same, down to the section of an ELF file.

use std::io::Read;
use std::path::Path;

use super::module::image;
use crate::rpm::binary::{self, Content, Error};
use crate::rpm::decompress;

/// The largest file that is looked into, decompressed, in bytes: a kernel with debugging information.
const LARGEST: u64 = 2 << 30;
/// Tags of a header that builds write by themselves, by the names that `rpm --querytags` has (rpm 4.18, include/rpm/rpmtag.h).
const TAGS: [(u32, &str); 14] = [
    (1000, "NAME"),
    (1001, "VERSION"),
    (1002, "RELEASE"),
    (1006, "BUILDTIME"),
    (1007, "BUILDHOST"),
    (1009, "SIZE"),
    (1011, "VENDOR"),
    (1015, "PACKAGER"),
    (1034, "FILEMTIMES"),
    (1094, "COOKIE"),
    (1122, "OPTFLAGS"),
    (1125, "PAYLOADCOMPRESSOR"),
    (1146, "SOURCEPKGID"),
    (5099, "SPEC"),
];
/// Digests and sizes of the payload, which differ whenever something in it does.
const OF_PAYLOAD: [u32; 4] = [5092, 5097, 5112, 1046];

/// Returns in words what differs first between two packages; nothing if they are the same, byte for byte.
///
/// # Errors
/// One of them cannot be read.
pub fn first(a: &Path, b: &Path) -> Result<Option<String>, Error> {
    if binary::sha256(a)? == binary::sha256(b)? {
        return Ok(None);
    }
    let (one, other) = (binary::content(a)?, binary::content(b)?);
    if let Some(file) = other_file(&one, &other) {
        return Ok(Some(file));
    }
    let differs = |(file, digest): &(&String, &String)| other.files.get(*file) != Some(digest);
    if let Some((file, _)) = one.files.iter().find(differs) {
        return Ok(Some(format!("{file}: {}", in_file(&extract(a, file)?, &extract(b, file)?))));
    }
    Ok(Some(in_header(&one, &other).unwrap_or_else(|| "how the payload is packed, with the same files in it".into())))
}

/// Names a file that only one of them has.
fn other_file(one: &Content, other: &Content) -> Option<String> {
    let only = |a: &Content, b: &Content| a.files.keys().find(|file| !b.files.contains_key(*file)).cloned();
    let first = only(one, other).map(|file| format!("{file}: only in the first"));
    first.or_else(|| only(other, one).map(|file| format!("{file}: only in the second")))
}

fn in_header(one: &Content, other: &Content) -> Option<String> {
    let tags = one.entries.keys().chain(other.entries.keys()).filter(|tag| !OF_PAYLOAD.contains(tag));
    let tag = tags.filter(|tag| one.entries.get(tag) != other.entries.get(tag)).min()?;
    let name =
        TAGS.iter().find(|(number, _)| number == tag).map_or_else(|| tag.to_string(), |(_, name)| (*name).to_owned());
    let shown = |content: &Content| content.entries.get(tag).map_or_else(|| "nothing".to_owned(), |data| shown(data));
    Some(format!("the header's {name}: {} and {}", shown(one), shown(other)))
}

/// A short piece of data as text, or as hexadecimal digits.
fn shown(data: &[u8]) -> String {
    let short = data.get(..data.len().min(32)).unwrap_or_default();
    let text = short.strip_suffix(b"\0").unwrap_or(short);
    let more = if short.len() < data.len() { "…" } else { "" };
    if !text.is_empty() && text.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        format!("`{}{more}`", String::from_utf8_lossy(text))
    } else {
        format!("{}{more}", crate::digest::hex(short))
    }
}

/// Returns a file of a package, decompressed.
fn extract(package: &Path, wanted: &str) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    binary::visit(package, &|file| file == wanted, |_, input: &mut dyn Read| {
        content = decompress::bytes(input, LARGEST)?;
        Ok(())
    })?;
    Ok(content)
}

/// Says where two contents of a file differ first.
fn in_file(one: &[u8], other: &[u8]) -> String {
    if let (Some(ours), Some(theirs)) = (image::sections(one), image::sections(other))
        && let Some(((name, a), (other, b))) = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs)
    {
        return if name == other {
            format!("section {name}, {}", place(a, b))
        } else {
            format!("section {name} in the first, {other} in the second")
        };
    }
    if one == other { "how it is compressed".to_owned() } else { place(one, other) }
}

fn place(one: &[u8], other: &[u8]) -> String {
    let Some(at) = one.iter().zip(other).position(|(a, b)| a != b) else {
        return format!("{} and {} bytes long, and the same as far as both go", one.len(), other.len());
    };
    let from = |data: &[u8]| shown(data.get(at..data.len().min(at + 16)).unwrap_or_default());
    format!("byte {at}: {} and {}", from(one), from(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_difference() {
        assert_eq!(in_file(b"abc", b"abd"), "byte 2: `c` and `d`");
        assert_eq!(in_file(b"ab", b"abd"), "2 and 3 bytes long, and the same as far as both go");
        assert_eq!(in_file(b"ab", b"ab"), "how it is compressed");
        assert_eq!(place(b"\x01\x02", b"\x01\x03"), "byte 1: 02 and 03");
    }

    #[test]
    fn an_elf_file_is_told_apart_by_section() {
        let elf = fs_err::read("/proc/self/exe").unwrap();
        let sections = image::sections(&elf).unwrap();
        let (_, text) = sections.iter().find(|(name, _)| name == ".rodata").unwrap();
        let at = text.as_ptr() as usize - elf.as_ptr() as usize + 7;
        let mut other = elf.clone();
        other[at] ^= 1;
        let said = in_file(&elf, &other);
        assert!(said.starts_with("section .rodata, byte 7: "), "{said}");
    }
}
