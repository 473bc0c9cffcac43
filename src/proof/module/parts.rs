//! What a module has for the kernel, section by section, so that two can be compared.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::image::Image;
use super::{Error, modinfo};
use crate::compare::release::Releases;
use crate::compare::{Module, ModuleFacts};
use crate::digest;

/// Sections that only linkers and debuggers read, or that name what is compared anyway: a build id differs with the release
/// alone.
const PASSED_OVER: [&str; 10] =
    [".note", ".debug", ".symtab", ".strtab", ".shstrtab", ".comment", ".gnu_debuglink", ".rel", ".modinfo", ".zdebug"];

/// Takes a module apart.
///
/// # Errors
/// It is no module, or damaged.
pub fn read(elf: &[u8], releases: &Releases) -> Result<Module, Error> {
    let image = Image::parse(elf)?;
    let info = modinfo::read(&image)?;
    let mut parts = BTreeMap::new();
    for section in image.sections()? {
        if section.name.is_empty() || PASSED_OVER.iter().any(|each| section.name.starts_with(each)) {
            continue;
        }
        let mut content = releases.bytes(section.bytes).into_owned();
        let mut relocations = String::new();
        for relocation in image.relocations(&section)? {
            // By name or by section name: numbers of sections change where nothing else does.
            let to = relocation.to.map(|place| (image.section_name(place.section), place.offset));
            // Writing to a String does not fail.
            let _ = write!(relocations, "{} {} {to:?};", relocation.at, relocation.name);
        }
        content.extend(relocations.bytes());
        // Several sections may have one name.
        let digest = digest::sha256(&content);
        parts.entry(section.name.to_owned()).and_modify(|all: &mut String| all.push_str(&digest)).or_insert(digest);
    }
    let words: Vec<String> = info
        .pairs()
        .iter()
        .filter(|(key, _)| key != "vermagic")
        .map(|(key, value)| format!("{key}={}", releases.text(value)))
        .collect();
    parts.insert(".modinfo".into(), digest::sha256(words.join("\0").as_bytes()));
    let vermagic = releases.text(info.get("vermagic").unwrap_or_default());
    Ok(Module { facts: ModuleFacts { size: elf.len() as u64, vermagic }, parts })
}
