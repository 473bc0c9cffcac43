//! Why there is no plan. Each of these comes before anything was done.

use std::path::PathBuf;

use super::{routes, signing};
use crate::edit::{self, spec};
use crate::ipvs::bits::{Bits, MODULE, Range};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel does not accept the value.
    #[error("{bits} bits are outside the range of this kernel, {range} ({origin})")]
    Range {
        /// The value.
        bits: Bits,
        /// What it accepts.
        range: Range,
        /// Who says so.
        origin: String,
    },
    /// No recipe is for this release, and the content follows none either.
    #[error(
        "no recipe is for `{nvr}`, and its content does not tell how to build it: there is not {missing}{}",
        bullets(found)
    )]
    Unknown {
        /// The source package.
        nvr: String,
        /// What was found in it, a line each.
        found: Vec<String>,
        /// What would have been needed.
        missing: String,
    },
    /// The route is not taken.
    #[error(transparent)]
    Route(#[from] routes::Error),
    /// IPVS is not a module.
    #[error("`{file}` of `{srpm}` says {MODULE}=y, expected =m: what proves the table is ip_vs.ko")]
    BuiltIn {
        /// The source package.
        srpm: String,
        /// The config source.
        file: String,
    },
    /// The option is in the kernel's tree and in no file of the source package.
    #[error("`{nvr}` keeps the option in its tarball: {}", list(paths))]
    InTree {
        /// The source package.
        nvr: String,
        /// Where in the tree.
        paths: Vec<String>,
        /// The file through which the spec takes a patch, if it has one.
        hook: Option<String>,
    },
    /// No way of the recipe to set the option fits the source package.
    #[error("`{srpm}` does not set the option as the recipe `{recipe}` knows it{}", bullets(reasons))]
    NoWay {
        /// The source package.
        srpm: String,
        /// The recipe.
        recipe: String,
        /// Each way, and what it lacks.
        reasons: Vec<String>,
    },
    /// There are several specs, and the recipe does not say which.
    #[error("`{srpm}` has several specs: {specs}, expected exactly one")]
    Specs {
        /// The source package.
        srpm: String,
        /// Their names.
        specs: String,
    },
    /// The spec has no such conditional.
    #[error("`{spec}` knows no `{option} {name}`, and rpmbuild would ignore it without a word")]
    Switch {
        /// The spec.
        spec: String,
        /// `--with` or `--without`.
        option: String,
        /// The name given.
        name: String,
        /// What was probably meant, or all that there is.
        meant: String,
    },
    /// A conditional is switched on and off at once.
    #[error("`{option} {name}` contradicts `{other} {name}`, which {origin} says")]
    Contradiction {
        /// `--with` or `--without`, as the command line says it.
        option: String,
        /// The conditional.
        name: String,
        /// The opposite.
        other: String,
        /// Who says the opposite.
        origin: String,
    },
    /// The spec's release cannot be told beforehand.
    #[error("the release that `{spec}` would give the kernel cannot be told: {why}")]
    Release {
        /// The spec.
        spec: String,
        /// Why not.
        why: String,
    },
    /// The source package does not carry all that its spec needs.
    #[error("`{srpm}` does not carry {}", list(left_out))]
    LeftOut {
        /// The source package.
        srpm: String,
        /// What its spec names.
        left_out: Vec<String>,
    },
    /// Only source packages in the lock file are accepted.
    #[error("`{srpm}` is not in the lock file, and `--locked` was said")]
    NotLocked {
        /// The source package.
        srpm: String,
    },
    /// A source package of a known name has another content.
    #[error("`{srpm}` is not the package that the lock file names: expected {known}, found {found}")]
    Republished {
        /// The source package.
        srpm: String,
        /// The digests in the lock file.
        known: String,
        /// Its digest.
        found: String,
    },
    /// A source package of a known name and content has another signer.
    #[error("`{srpm}` is signed by another than the lock file says: expected {known}, found {found}")]
    OtherSigner {
        /// The source package.
        srpm: String,
        /// The signer in the lock file.
        known: String,
        /// Its signer.
        found: String,
    },
    /// A release that is none.
    #[error("`{text}` is no release, expected one such as `2.6.32-220.13.1.el6`")]
    NotARelease {
        /// What was given.
        text: String,
    },
    /// No recipe covers a release, so nobody knows where its source package is.
    #[error("no recipe covers `{release}`, so it is not known where its source package is")]
    NoFamily {
        /// The release.
        release: String,
    },
    /// The spec has no hook for patches.
    #[error("the recipe `{recipe}` knows no hook through which a patch could go")]
    NoHook {
        /// The recipe.
        recipe: String,
    },
    /// The recipe has no such architecture.
    #[error("the recipe `{recipe}` cannot build for `{arch}`, only for {known}")]
    Arch {
        /// The recipe.
        recipe: String,
        /// The architecture asked for.
        arch: String,
        /// Those that it has.
        known: String,
    },
    /// The guest's architecture is not one that can be booted.
    #[error("a kernel for `{arch}` cannot be booted here, only one for {BOOTABLE}")]
    BootArch {
        /// The architecture.
        arch: String,
    },
    /// `uname -r` would be longer than the kernel allows.
    #[error("`{uname_r}` has {length} characters, and a kernel's name has at most {LONGEST_UNAME}")]
    UnameTooLong {
        /// What it would be.
        uname_r: String,
        /// Its length.
        length: usize,
    },
    /// A file that the recipe names is not in the source package.
    #[error("`{srpm}` has no `{file}`, so the recipe `{recipe}` does not fit it")]
    NoFile {
        /// The source package.
        srpm: String,
        /// The file.
        file: String,
        /// The recipe.
        recipe: String,
    },
    /// An edit does not apply.
    #[error("the edit does not apply")]
    Edit(#[from] edit::Error),
    /// The spec cannot be made to carry the buildid.
    #[error("the release cannot be marked")]
    Spec(#[from] spec::Error),
    /// Nobody known has signed the package.
    #[error("`{srpm}` is not signed by a key that can be checked ({why})")]
    Unsigned {
        /// The source package.
        srpm: String,
        /// What is known of its signature.
        why: String,
    },
    /// The recipe pins other digests for a package of this name.
    #[error("`{srpm}` is not the package that the recipe pins: expected sha256 {known}, found {found}")]
    NotPinned {
        /// The source package.
        srpm: String,
        /// What the recipe says.
        known: String,
        /// What the package has.
        found: String,
    },
    /// The signature is wrong.
    #[error("the signature of `{srpm}` is wrong: {why}")]
    BadSignature {
        /// The source package.
        srpm: String,
        /// Why.
        why: String,
    },
    /// The key that was given is not used.
    #[error(transparent)]
    Signing(#[from] signing::Error),
    /// Programs are missing: all of them at once.
    #[error("not found on PATH: {}", list(programs))]
    NoTools {
        /// The programs.
        programs: Vec<String>,
    },
    /// The directory for results holds those of another build.
    #[error("`{}` holds the results of {found}, and this build makes {nvr}", path.display())]
    OtherResults {
        /// The directory.
        path: PathBuf,
        /// What its manifest says.
        found: String,
        /// What would be built.
        nvr: String,
    },
}

/// The architecture whose kernels `--boot` boots.
pub const BOOTABLE: &str = "x86_64";
/// `uts_len` of the kernel's Makefile: a longer release stops the build (el6 2.6.32 and later).
pub const LONGEST_UNAME: usize = 64;

fn bullets(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |text, line| text + "\n  - " + line)
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl Error {
    /// Returns the documented exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Range { .. }
            | Self::Unknown { .. }
            | Self::NoWay { .. }
            | Self::Specs { .. }
            | Self::BuiltIn { .. }
            | Self::Switch { .. }
            | Self::Contradiction { .. }
            | Self::Release { .. }
            | Self::NoHook { .. }
            | Self::NotARelease { .. }
            | Self::NoFamily { .. }
            | Self::Arch { .. }
            | Self::BootArch { .. }
            | Self::UnameTooLong { .. }
            | Self::Signing(_)
            | Self::NoFile { .. } => 3,
            Self::NoTools { .. } | Self::OtherResults { .. } => 4,
            Self::Unsigned { .. }
            | Self::BadSignature { .. }
            | Self::NotPinned { .. }
            | Self::LeftOut { .. }
            | Self::NotLocked { .. }
            | Self::Republished { .. }
            | Self::OtherSigner { .. } => 6,
            Self::Edit(_) | Self::Spec(_) | Self::InTree { .. } => 7,
            Self::Route(error) => error.exit_code(),
        }
    }
}
