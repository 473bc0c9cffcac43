//! The details of the route `module`'s steps: what is laid out, patched and compiled.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::super::routes::module::Applied;
use crate::command::Command;
use crate::ipvs::bits::Bits;

/// Where a kernel-devel is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum DevelPlace {
    /// It is unpacked from a package.
    Package {
        /// The package, where the building user reads it.
        package: PathBuf,
        /// Its SHA-256.
        sha256: String,
        /// Where it is unpacked.
        tree: PathBuf,
    },
    /// It is used where it is.
    Directory {
        /// The directory.
        tree: PathBuf,
    },
}

impl DevelPlace {
    /// The top of its tree.
    #[must_use]
    pub fn tree(&self) -> &std::path::Path {
        match self {
            Self::Package { tree, .. } | Self::Directory { tree } => tree,
        }
    }
}

/// A file of a source tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SourceFile {
    /// Its path below the top of the tree.
    pub path: String,
    /// Its content.
    pub content: Bytes,
}

/// A patch, and how it is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PatchRun {
    /// Which, and who says so.
    pub patch: Applied,
    /// Where it is written.
    pub path: PathBuf,
    /// What applies it.
    pub command: Command,
}

/// A file that must have a content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SameFile {
    /// Its path below the top of the tree.
    pub path: String,
    /// The SHA-256 that it must have.
    pub sha256: String,
    /// Whose it is.
    pub of: String,
}

/// How `ip_vs.ko` is compiled, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Compilation {
    /// The kernel that it is for, as `uname -r` says it.
    pub uname_r: String,
    /// Asks the compiler for its version.
    pub version: Command,
    /// The version of gcc that compiled the kernel, where it says so.
    pub gcc: Option<String>,
    /// Whether another compiler is taken, too.
    pub any_compiler: bool,
    /// Compiles.
    pub make: Command,
    /// The module that comes out.
    pub built: PathBuf,
    /// What its build says that it exports.
    pub exports: PathBuf,
    /// Takes away what only debuggers need.
    pub strip: Command,
    /// Signs it.
    pub sign: Option<Signing>,
    /// The kernel's configuration.
    pub config: PathBuf,
    /// The kernel's exported symbols.
    pub symvers: PathBuf,
    /// Packages that may have the distribution's own `ip_vs.ko`.
    pub kernels: Vec<PathBuf>,
    /// What it must hold.
    pub bits: Bits,
}

/// How a module is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Signing {
    /// By the kernel's own program, in place.
    SignFile {
        /// What signs.
        command: Command,
    },
    /// By openssl, whose signature is put behind the module.
    Openssl {
        /// What makes the signature.
        command: Command,
        /// Where the signature is.
        signature: PathBuf,
    },
}

/// Bytes that are text for people: UTF-8 where they are, else each byte as the character of its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bytes {
    /// UTF-8.
    Text(String),
    /// Anything else, such as the names of authors in 2.6.18.
    Latin1(String),
}

impl Bytes {
    /// Takes bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Latin1(error.into_bytes().into_iter().map(char::from).collect()),
        }
    }

    /// Returns the bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            // Nothing else was put in.
            Self::Latin1(text) => text.chars().map(|letter| u8::try_from(letter).unwrap_or(b'?')).collect(),
        }
    }
}
