//! Reads the size of the connection table out of a built `ip_vs.ko`.
//!
//! Where the kernel has the parameter `conn_tab_bits`, the initial value of its variable is the answer; older kernels
//! compile the size in, and the constant that `ip_vs_conn_init` passes to `vmalloc` is. Works on the bytes of the
//! uncompressed module; must not guess: what cannot be followed is an error.

mod constants;
pub mod fit;
pub(super) mod image;
mod modinfo;
mod parameter;
#[cfg(test)]
mod tests;
mod vmalloc;

use std::fmt;

use image::Image;
pub use modinfo::Modinfo;

/// The name of the module that is read.
const NAME: &str = "ip_vs";
/// The parameter, where there is one.
const PARAMETER: &str = "conn_tab_bits";
/// The variable behind the parameter.
const VARIABLE: &str = "ip_vs_conn_tab_bits";
/// Allocates the connection table in every kernel.
const FUNCTION: &str = "ip_vs_conn_init";
/// What a table can have in any kernel: `1 << bits` must fit 32 bits.
const SMALLEST: u32 = 1;
const LARGEST: u32 = 31;

/// How the size of the table is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By the parameter `conn_tab_bits`; the module holds its initial value.
    Parameter,
    /// By a constant in the code.
    CompileTime,
}

/// What a module says about its connection table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How the size is set.
    pub kind: Kind,
    /// Base-2 logarithm of the number of buckets.
    pub bits: u32,
    /// Bytes of one bucket, where the number of buckets was computed from an allocation.
    pub bucket: Option<u64>,
    /// Where this was read: symbol, section, offset and value, as half a sentence.
    pub evidence: String,
}

/// Reads the size of the connection table out of an uncompressed `ip_vs.ko`.
pub fn inspect(elf: &[u8]) -> Result<Finding, Error> {
    let image = Image::parse(elf)?;
    let info = modinfo::read(&image)?;
    let declared = info.has_parameter(PARAMETER);
    let named = modinfo::name(&image, &info);
    if let Some(found) = &named
        && found != NAME
    {
        return Err(Error::NotIpVs { found: found.clone() });
    }
    if let Some(finding) = parameter::find(&image)? {
        return Ok(finding);
    }
    if declared {
        return Err(Error::NoVariable);
    }
    if named.is_none() && image.functions(FUNCTION).is_empty() {
        return Err(Error::Nameless);
    }
    vmalloc::find(&image)
}

/// Reads all of `.modinfo`: what the module needs, takes and was built for.
pub fn modinfo(elf: &[u8]) -> Result<Modinfo, Error> {
    modinfo::read(&Image::parse(elf)?)
}

/// A machine that a module is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// 32-bit x86.
    I686,
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
    /// 64-bit POWER, big-endian.
    Ppc64,
    /// 64-bit POWER, little-endian.
    Ppc64le,
    /// IBM Z.
    S390x,
    /// Any other, by its ELF number.
    Other(u16),
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I686 => f.write_str("i686"),
            Self::X86_64 => f.write_str("x86_64"),
            Self::Aarch64 => f.write_str("aarch64"),
            Self::Ppc64 => f.write_str("ppc64"),
            Self::Ppc64le => f.write_str("ppc64le"),
            Self::S390x => f.write_str("s390x"),
            Self::Other(number) => write!(f, "ELF machine {number}"),
        }
    }
}

/// A position in a section of the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The section's name.
    pub section: String,
    /// Bytes from the section's beginning.
    pub offset: u64,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:#x}", self.section, self.offset)
    }
}

/// A call of `vmalloc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// The function that calls, if a symbol covers the call.
    pub function: Option<String>,
    /// Bytes from the beginning of the function, or of the section, to the call.
    pub offset: u64,
    /// The call's place in the module.
    pub location: Location,
    /// The size passed, if it could be followed to a constant.
    pub bytes: Option<u64>,
}

impl fmt::Display for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.function {
            Some(function) => write!(f, "`{function}` passes ")?,
            None => write!(f, "code without a symbol passes ")?,
        }
        match self.bytes {
            Some(bytes) => write!(f, "{bytes:#x}")?,
            None => write!(f, "an unknown size")?,
        }
        write!(f, " to `vmalloc` at +{:#x} ({})", self.offset, self.location)
    }
}

/// Why a module did not tell the size of its connection table.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something else than an ELF file, a compressed module included.
    #[error("not an ELF file: starts with {}, expected 7f 45 4c 46", hex(start))]
    NotElf {
        /// The first bytes, at most four.
        start: Vec<u8>,
    },
    /// Cut off or damaged.
    #[error("{part} cannot be read: the file is cut off or damaged")]
    Malformed {
        /// The part that was being read.
        part: &'static str,
        /// What the ELF reader says.
        #[source]
        source: object::Error,
    },
    /// A symbol or a relocation leads out of its section.
    #[error("{location} lies outside of its section: the file is damaged")]
    Outside {
        /// Where it leads.
        location: Location,
    },
    /// A program, a library, a vmlinux.
    #[error("not a kernel module: an ELF file of type {found}, expected 1 (relocatable)")]
    NotRelocatable {
        /// The `e_type` in the header.
        found: u16,
    },
    /// An object file that is not a module.
    #[error("not a kernel module: no section `.modinfo`")]
    NotAModule,
    /// Another module.
    #[error("not `{NAME}`: the module is named `{found}`")]
    NotIpVs {
        /// Its name.
        found: String,
    },
    /// A module that says nothing of its name and has nothing of `ip_vs`.
    #[error("not `{NAME}`: the module has no name, no parameter `{PARAMETER}` and no function `{FUNCTION}`")]
    Nameless,
    /// Declared in `.modinfo`, but neither symbol nor `__param` leads to the variable.
    #[error("parameter `{PARAMETER}` is declared, but neither the symbol `{VARIABLE}` nor `__param` leads to it")]
    NoVariable,
    /// Symbol and `__param`, or several of one, lead to different variables.
    #[error("`{VARIABLE}` and parameter `{PARAMETER}` are not one variable: {}", list(places))]
    Disagree {
        /// Where they lead.
        places: Vec<Location>,
    },
    /// The variable is not an `int`.
    #[error("`{VARIABLE}` in {location} is {size} bytes long, expected 4")]
    OddVariable {
        /// The variable.
        location: Location,
        /// Its size by the symbol table.
        size: u64,
    },
    /// No table has this size.
    #[error("`{VARIABLE}` in {location} holds {value}, expected {SMALLEST} to {LARGEST}")]
    OutOfRange {
        /// The variable.
        location: Location,
        /// Its initial value.
        value: i32,
    },
    /// The machine's code cannot be read.
    #[error("no decoder for {machine}")]
    UnsupportedMachine {
        /// The module's machine.
        machine: Machine,
    },
    /// Neither a parameter nor an allocation.
    #[error("no table: neither a parameter `{PARAMETER}` nor a call of `vmalloc` in `{FUNCTION}` or `init_module`")]
    NoTable,
    /// The size passed to `vmalloc` was not followed to a constant.
    #[error("{allocation}")]
    UnknownConstant {
        /// The call.
        allocation: Allocation,
    },
    /// A constant, but not the size of a table.
    #[error("{allocation}, expected {bucket} · 2^bits")]
    NotATable {
        /// The call.
        allocation: Allocation,
        /// Bytes of one bucket.
        bucket: u64,
    },
    /// Several allocations, any of which may be the table.
    #[error("the table is one of {}: {}", allocations.len(), list(allocations))]
    Ambiguous {
        /// The calls.
        allocations: Vec<Allocation>,
    },
    /// The table that is allocated is not the one that is announced in the kernel log.
    #[error("{allocation}, but prints that the table has {printed} entries")]
    Inconsistent {
        /// The call of `vmalloc`.
        allocation: Allocation,
        /// The number of entries passed to `printk`.
        printed: u64,
    },
}

impl Error {
    /// Whether this is a limit of the reader and says nothing about the module: to be reported as not checked.
    #[must_use]
    pub fn is_not_checked(&self) -> bool {
        match self {
            Self::UnsupportedMachine { .. } | Self::UnknownConstant { .. } | Self::Ambiguous { .. } => true,
            Self::NotElf { .. }
            | Self::Malformed { .. }
            | Self::Outside { .. }
            | Self::NotRelocatable { .. }
            | Self::NotAModule
            | Self::NotIpVs { .. }
            | Self::Nameless
            | Self::NoVariable
            | Self::Disagree { .. }
            | Self::OddVariable { .. }
            | Self::OutOfRange { .. }
            | Self::NoTable
            | Self::NotATable { .. }
            | Self::Inconsistent { .. } => false,
        }
    }

    /// The next step, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let Self::NotElf { start } = self else {
            return None;
        };
        let tool = match start.as_slice() {
            [0x1f, 0x8b, ..] => "gzip",
            [0xfd, b'7', b'z', b'X'] => "xz",
            [0x28, 0xb5, 0x2f, 0xfd] => "zstd",
            _ => return None,
        };
        Some(format!("the module is compressed: decompress it with `{tool} -d`"))
    }
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    if bytes.is_empty() { "nothing".to_owned() } else { bytes.join(" ") }
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join("; ")
}
