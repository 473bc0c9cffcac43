//! The parts of a relocatable ELF object that the proof looks at; the only user of the `object` crate.
//!
//! Takes both word sizes and both byte orders. Every offset that comes from the file is checked before it is used.

use object::read::{Object, ObjectSection, ObjectSymbol, RelocationTarget};
use object::{SectionIndex, SectionKind, SymbolIndex, SymbolKind};

use super::{Error, Location, Machine};

const MAGIC: &[u8] = b"\x7fELF";
/// `e_type` of an object file.
const RELOCATABLE: u16 = 1;

/// A relocatable ELF object.
pub(super) struct Image<'a> {
    file: object::File<'a>,
    machine: Machine,
}

/// Returns the sections of any ELF file by name, with their bytes; nothing for other files.
pub(in crate::proof) fn sections(elf: &[u8]) -> Option<Vec<(String, &[u8])>> {
    let file = elf.starts_with(MAGIC).then(|| object::File::parse(elf).ok()).flatten()?;
    let ranges = file.sections().filter_map(|section| Some((section.name().ok()?.to_owned(), section.file_range()?)));
    ranges
        .map(|(name, (start, size))| {
            let start = usize::try_from(start).ok()?;
            Some((name, elf.get(start..start.checked_add(usize::try_from(size).ok()?)?)?))
        })
        .collect()
}

/// A position in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) section: usize,
    pub(super) offset: u64,
}

/// A symbol that has a place in the image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symbol<'a> {
    pub(super) name: &'a str,
    pub(super) place: Place,
    /// In bytes; 0 if the symbol table does not say.
    pub(super) size: u64,
}

/// Something that is filled in when the module is loaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relocation<'a> {
    /// Where it is filled in, within its section.
    pub(super) at: u64,
    /// The symbol's name; empty for a section's own symbol.
    pub(super) name: &'a str,
    /// The symbol's place and the addend, if the symbol is in the image.
    pub(super) to: Option<Place>,
}

/// The bytes of a section.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section<'a> {
    pub(super) index: usize,
    pub(super) name: &'a str,
    /// Holds instructions.
    pub(super) code: bool,
    /// Empty if the section takes no room in the file (`.bss`).
    pub(super) bytes: &'a [u8],
}

impl<'a> Image<'a> {
    /// Takes the file apart as far as the tables of sections and symbols.
    pub(super) fn parse(elf: &'a [u8]) -> Result<Self, Error> {
        if !elf.starts_with(MAGIC) {
            return Err(Error::NotElf { start: elf.iter().take(MAGIC.len()).copied().collect() });
        }
        let file = object::File::parse(elf).map_err(|source| Error::Malformed { part: "the ELF header", source })?;
        let half = |at: usize| {
            let bytes = elf.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
            if file.is_little_endian() { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) }
        };
        // `e_type` and `e_machine` are at the same place for every class of file.
        let found = half(16);
        if found != RELOCATABLE {
            return Err(Error::NotRelocatable { found });
        }
        let machine = match half(18) {
            3 => Machine::I686,
            21 if file.is_little_endian() => Machine::Ppc64le,
            21 => Machine::Ppc64,
            22 => Machine::S390x,
            62 => Machine::X86_64,
            183 => Machine::Aarch64,
            other => Machine::Other(other),
        };
        Ok(Self { file, machine })
    }

    pub(super) fn machine(&self) -> Machine {
        self.machine
    }

    /// Bytes of a pointer.
    pub(super) fn word(&self) -> u64 {
        if self.file.is_64() { 8 } else { 4 }
    }

    /// All sections that have a name.
    pub(super) fn sections(&self) -> Result<Vec<Section<'a>>, Error> {
        self.file.sections().map(|section| unpack(&section)).collect()
    }

    /// The first section of this name.
    pub(super) fn section(&self, name: &str) -> Result<Option<Section<'a>>, Error> {
        self.file.section_by_name(name).map(|section| unpack(&section)).transpose()
    }

    /// All relocations of a section.
    pub(super) fn relocations(&self, section: &Section<'a>) -> Result<Vec<Relocation<'a>>, Error> {
        let entry = self.file.section_by_index(SectionIndex(section.index)).map_err(bad("a section"))?;
        let mut relocations = Vec::new();
        for (at, relocation) in entry.relocations() {
            let RelocationTarget::Symbol(index) = relocation.target() else {
                continue;
            };
            // x86 of 32 bits keeps the addend in the place that is filled in.
            let addend = if relocation.has_implicit_addend() {
                let place = Place { section: section.index, offset: at };
                self.int(place)?.map_or(0, i64::from)
            } else {
                relocation.addend()
            };
            let symbol = self.file.symbol_by_index(index).map_err(bad("a relocation's symbol"))?;
            let to = symbol
                .section_index()
                .map(|section| Place { section: section.0, offset: symbol.address().wrapping_add_signed(addend) });
            let name = symbol.name().map_err(bad("a symbol's name"))?;
            relocations.push(Relocation { at, name, to });
        }
        relocations.sort_by_key(|relocation| relocation.at);
        Ok(relocations)
    }

    /// The variables of this name.
    pub(super) fn variables(&self, name: &str) -> Vec<Symbol<'a>> {
        self.symbols(|kind| !matches!(kind, SymbolKind::Text | SymbolKind::Section | SymbolKind::File))
            .filter(|symbol| symbol.name == name)
            .collect()
    }

    /// The functions of this name, with those that the compiler split off (`name.part.0`).
    pub(super) fn functions(&self, name: &str) -> Vec<Symbol<'a>> {
        self.symbols(|kind| kind == SymbolKind::Text).filter(|symbol| plain(symbol.name) == name).collect()
    }

    /// The functions in a section.
    pub(super) fn functions_in(&self, section: &Section<'a>) -> Vec<Symbol<'a>> {
        self.symbols(|kind| kind == SymbolKind::Text).filter(|symbol| symbol.place.section == section.index).collect()
    }

    /// The names that are filled in from kernel and other modules when the module is loaded, sorted.
    pub(super) fn undefined(&self) -> Result<Vec<&'a str>, Error> {
        let mut names = Vec::new();
        for symbol in self.file.symbols().filter(ObjectSymbol::is_undefined) {
            let name = symbol.name().map_err(bad("a symbol's name"))?;
            if symbol.index() != SymbolIndex(0) && !name.is_empty() {
                names.push(name);
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The file's integer of a pointer's size at the beginning of these bytes.
    pub(super) fn long(&self, bytes: &[u8]) -> Option<u64> {
        let little = self.file.is_little_endian();
        if self.file.is_64() {
            let bytes = *bytes.first_chunk::<8>()?;
            Some(if little { u64::from_le_bytes(bytes) } else { u64::from_be_bytes(bytes) })
        } else {
            self.int32(bytes).map(u64::from)
        }
    }

    /// The file's integer of 32 bits at the beginning of these bytes.
    pub(super) fn int32(&self, bytes: &[u8]) -> Option<u32> {
        let bytes = *bytes.first_chunk::<4>()?;
        Some(if self.file.is_little_endian() { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn symbols(&self, wanted: impl Fn(SymbolKind) -> bool) -> impl Iterator<Item = Symbol<'a>> {
        self.file.symbols().filter(move |symbol| symbol.index() != SymbolIndex(0) && wanted(symbol.kind())).filter_map(
            |symbol| {
                let place = Place { section: symbol.section_index()?.0, offset: symbol.address() };
                Some(Symbol { name: symbol.name().ok()?, place, size: symbol.size() })
            },
        )
    }

    /// The four bytes at a place in the file's byte order, or nothing if the section takes no room in the file.
    pub(super) fn int(&self, place: Place) -> Result<Option<i32>, Error> {
        let section = self.file.section_by_index(SectionIndex(place.section)).map_err(bad("a section"))?;
        let outside = || Error::Outside { location: self.location(place) };
        if section.kind() == SectionKind::UninitializedData {
            let end = place.offset.checked_add(4).ok_or_else(outside)?;
            return if end <= section.size() { Ok(None) } else { Err(outside()) };
        }
        let bytes = section.data().map_err(bad("a section"))?;
        let bytes = usize::try_from(place.offset).ok().and_then(|offset| bytes.get(offset..)?.first_chunk());
        let bytes = *bytes.ok_or_else(outside)?;
        Ok(Some(if self.file.is_little_endian() { i32::from_le_bytes(bytes) } else { i32::from_be_bytes(bytes) }))
    }

    /// The text that begins at a place and ends with a NUL.
    pub(super) fn text(&self, place: Place) -> Option<&'a [u8]> {
        let section = self.file.section_by_index(SectionIndex(place.section)).ok()?;
        let bytes = section.data().ok()?.get(usize::try_from(place.offset).ok()?..)?;
        bytes.get(..bytes.iter().position(|byte| *byte == 0)?)
    }

    /// A place in words.
    pub(super) fn location(&self, place: Place) -> Location {
        let section = self.file.section_by_index(SectionIndex(place.section)).ok();
        let name = section.as_ref().and_then(|section| section.name().ok());
        Location { section: name.unwrap_or("section without a name").to_owned(), offset: place.offset }
    }
}

/// A function's name without what the compiler added to it (`.isra.0`, `.part.0`, `.cold`).
pub(super) fn plain(name: &str) -> &str {
    name.split_once('.').map_or(name, |(plain, _)| plain)
}

fn unpack<'a>(section: &object::Section<'a, '_>) -> Result<Section<'a>, Error> {
    Ok(Section {
        index: section.index().0,
        name: section.name().map_err(bad("a section's name"))?,
        code: section.kind() == SectionKind::Text,
        bytes: section.data().map_err(bad("a section"))?,
    })
}

fn bad(part: &'static str) -> impl Fn(object::Error) -> Error {
    move |source| Error::Malformed { part, source }
}
