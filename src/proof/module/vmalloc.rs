//! Finds the table's size in code, for kernels in which it is a constant: the size that `ip_vs_conn_init` passes to
//! `vmalloc`.
//!
//! That function may have been inlined into the module's entry. The number of entries that is printed right after the
//! allocation is compared, where it can be followed.

use std::collections::BTreeSet;
use std::ops::Range;

use super::constants::{Call, Mode, Text};
use super::image::{Image, Place, Relocation, Section, Symbol, plain};
use super::{Allocation, Error, FUNCTION, Finding, Kind, LARGEST, Location, Machine, SMALLEST};

const ALLOCATOR: &str = "vmalloc";
const PRINT: [&str; 2] = ["printk", "_printk"];
/// What the function may have been inlined into, and the section of both.
const ENTRY: [&str; 2] = ["init_module", "ip_vs_init"];
const ENTRY_SECTION: &str = ".init.text";
/// A jump's field is relative to its end, four bytes on.
const FIELD: u64 = 4;

/// A call of `vmalloc` that may be the table's.
struct Candidate {
    allocation: Allocation,
    /// The number of entries that the function prints.
    printed: Option<u64>,
}

/// The size of the table from the constant that is allocated.
pub(super) fn find(image: &Image<'_>) -> Result<Finding, Error> {
    let mode = match image.machine() {
        Machine::X86_64 => Mode::Bits64,
        Machine::I686 => Mode::Bits32,
        machine => return Err(Error::UnsupportedMachine { machine }),
    };
    // All kernels in which the size is a constant keep a `struct list_head` for each bucket: two pointers.
    let bucket = 2 * image.word();
    decide(candidates(image, mode)?, bucket)
}

fn decide(candidates: Vec<Candidate>, bucket: u64) -> Result<Finding, Error> {
    let mut tables: Vec<(Candidate, u32)> = Vec::new();
    let mut unknown = Vec::new();
    let mut others = Vec::new();
    for candidate in candidates {
        let Some(bytes) = candidate.allocation.bytes else {
            unknown.push(candidate.allocation);
            continue;
        };
        match bits(bytes, bucket) {
            Some(bits) if tables.iter().any(|(_, known)| *known == bits) => {}
            Some(bits) => tables.push((candidate, bits)),
            None => others.push(candidate.allocation),
        }
    }
    match (tables.as_slice(), unknown.as_slice(), others.as_slice()) {
        ([(candidate, bits)], [], _) => finding(candidate, *bits, bucket),
        ([], [allocation], _) => Err(Error::UnknownConstant { allocation: allocation.clone() }),
        ([], [], [allocation, ..]) => Err(Error::NotATable { allocation: allocation.clone(), bucket }),
        ([], [], []) => Err(Error::NoTable),
        _ => {
            let tables = tables.into_iter().map(|(candidate, _)| candidate.allocation);
            Err(Error::Ambiguous { allocations: tables.chain(unknown).collect() })
        }
    }
}

fn finding(candidate: &Candidate, bits: u32, bucket: u64) -> Result<Finding, Error> {
    let Candidate { allocation, printed } = candidate;
    let basis = match printed {
        Some(printed) if *printed == 1 << bits => format!("prints {printed} entries"),
        Some(printed) => {
            return Err(Error::Inconsistent { allocation: allocation.clone(), printed: *printed });
        }
        None => format!("{bucket} bytes for each bucket are assumed"),
    };
    let evidence = format!("{allocation}, which is {bucket} · 2^{bits}; {basis}");
    Ok(Finding { kind: Kind::CompileTime, bits, bucket: Some(bucket), evidence })
}

/// The bits of a table of so many bytes, if it can be one.
fn bits(bytes: u64, bucket: u64) -> Option<u32> {
    let entries = bytes.checked_div(bucket).filter(|entries| entries * bucket == bytes)?;
    let bits = entries.is_power_of_two().then(|| entries.trailing_zeros())?;
    (SMALLEST..=LARGEST).contains(&bits).then_some(bits)
}

/// The calls of `vmalloc` in the function, or else in what it may have been inlined into.
fn candidates(image: &Image<'_>, mode: Mode) -> Result<Vec<Candidate>, Error> {
    let standalone = !image.functions(FUNCTION).is_empty();
    let mut candidates = Vec::new();
    for section in image.sections()?.iter().filter(|section| section.code) {
        let relocations = image.relocations(section)?;
        if !relocations.iter().any(|relocation| relocation.name == ALLOCATOR) {
            continue;
        }
        let code = Code::new(image, mode, section, &relocations)?;
        for relocation in relocations.iter().filter(|relocation| relocation.name == ALLOCATOR) {
            let function = code.function(relocation.at);
            let name = function.map(|function| plain(function.name));
            let wanted = if standalone {
                name == Some(FUNCTION)
            } else {
                section.name == ENTRY_SECTION || name.is_some_and(|name| ENTRY.contains(&name))
            };
            if wanted {
                candidates.push(code.candidate(function, relocation.at));
            }
        }
    }
    Ok(candidates)
}

/// A section of code with what is known about it.
struct Code<'a> {
    mode: Mode,
    section: &'a Section<'a>,
    relocations: &'a [Relocation<'a>],
    relocated: BTreeSet<u64>,
    functions: Vec<Symbol<'a>>,
    entries: BTreeSet<u64>,
}

impl<'a> Code<'a> {
    fn new(
        image: &Image<'a>,
        mode: Mode,
        section: &'a Section<'a>,
        relocations: &'a [Relocation<'a>],
    ) -> Result<Self, Error> {
        let relocated = relocations.iter().map(|relocation| relocation.at).collect();
        let mut functions = image.functions_in(section);
        // Of several names for one place, the one that says most.
        functions.sort_by_key(|function| (function.place.offset, !plain(function.name).starts_with("ip_vs")));
        let mut code = Self { mode, section, relocations, relocated, functions, entries: BTreeSet::new() };
        code.entries = entries(image, section)?;
        let jumps = code.text().targets(0..code.end());
        code.entries.extend(jumps);
        Ok(code)
    }

    fn text(&self) -> Text<'_> {
        Text { mode: self.mode, bytes: self.section.bytes, relocated: &self.relocated }
    }

    fn end(&self) -> u64 {
        self.section.bytes.len() as u64
    }

    /// The function that covers an offset.
    fn function(&self, offset: u64) -> Option<Symbol<'a>> {
        let covers = |function: &&Symbol<'a>| self.range(function).contains(&offset);
        self.functions.iter().find(covers).copied()
    }

    fn range(&self, function: &Symbol<'_>) -> Range<u64> {
        let start = function.place.offset;
        let next = || self.functions.iter().map(|other| other.place.offset).find(|offset| *offset > start);
        let end = match function.size {
            0 => next().unwrap_or(self.end()),
            size => start.saturating_add(size),
        };
        start..end.min(self.end())
    }

    /// Follows the code up to a call of `vmalloc`, given by its field.
    fn candidate(&self, function: Option<Symbol<'_>>, field: u64) -> Candidate {
        let range = function.map_or(0..self.end(), |function| self.range(&function));
        let start = range.start;
        let calls = self.text().calls(range, &self.entries);
        let call = calls.iter().find(|call| call.field == field);
        let at = call.map_or(field, |call| call.at);
        let allocation = Allocation {
            function: function.map(|function| function.name.to_owned()),
            offset: at - start,
            location: Location { section: self.section.name.to_owned(), offset: at },
            bytes: call.and_then(|call| call.arguments[0]),
        };
        let printed = calls.iter().filter(|call| self.prints(call)).find_map(entries_printed);
        Candidate { allocation, printed }
    }

    fn prints(&self, call: &Call) -> bool {
        self.relocations.iter().any(|relocation| relocation.at == call.field && PRINT.contains(&relocation.name))
    }
}

/// The number of entries in `printk("… (size=%d, memory=%ldKbytes)\n", entries, entries * sizeof(bucket) / 1024)`, told
/// from other messages by the second number. A kernel may print 16 bytes for a bucket of 8.
fn entries_printed(call: &Call) -> Option<u64> {
    let [_, Some(entries), Some(kbytes)] = call.arguments else {
        return None;
    };
    let bytes = kbytes.checked_mul(1024)?;
    let fits = [8, 16].iter().any(|bucket| entries.checked_mul(*bucket) == Some(bytes));
    (entries.is_power_of_two() && fits).then_some(entries)
}

/// Where other sections lead into this one: code that was split off or fixes a fault up, tables of jumps.
fn entries(image: &Image<'_>, section: &Section<'_>) -> Result<BTreeSet<u64>, Error> {
    let mut entries = BTreeSet::new();
    for from in &image.sections()? {
        let table = ["__jump_table", "__ex_table"].contains(&from.name) || from.name.starts_with(".rodata");
        if !from.code && !table {
            continue;
        }
        for relocation in image.relocations(from)? {
            if let Some(Place { offset, .. }) = relocation.to.filter(|to| to.section == section.index) {
                entries.insert(offset);
                if from.code {
                    entries.insert(offset.wrapping_add(FIELD));
                }
            }
        }
    }
    Ok(entries)
}
