//! The steps of a plan: each holds every detail that its stage needs, so that a stage decides nothing.

pub mod module;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::instructions::Instructions;
use super::request::{BaseConfig, Patch};
use crate::command::Command;
use crate::edit::config::Setting;
use crate::edit::{self, Change, Edited, config, hook, spec};
use crate::event::Stage;
use crate::ipvs::bits::Bits;

pub use module::{Bytes, Compilation, DevelPlace, PatchRun, SameFile, Signing, SourceFile};

/// One stage with its details.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Step {
    /// Make sure that the package is still the one that was planned for.
    Verify {
        /// Where the building user reads it.
        srpm: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// Its SHA-256.
        sha256: String,
    },
    /// Unpack it into the pristine copy, and lay out the working tree from that.
    Unpack {
        /// The source package.
        srpm: PathBuf,
        /// The spec's file name: it goes to SPECS, everything else to SOURCES.
        spec: String,
    },
    /// Edit the working tree.
    Edit {
        /// The edits, in order.
        edits: Vec<FileEdit>,
    },
    /// Build.
    Build {
        /// Asks which packages the spec will make; `None` where the host has no tool for it.
        query: Option<Command>,
        /// The build.
        command: Command,
        /// What is checked as soon as %prep has ended.
        gate: Gate,
        /// Packages that the spec must promise.
        required: Vec<String>,
        /// Packages that the recipe expects beside those.
        expected: Vec<String>,
    },
    /// Make a source package of the edited tree, and nothing else.
    Pack {
        /// Asks which packages the spec will make; `None` where the host has no tool for it.
        query: Option<Command>,
        /// The command.
        command: Command,
        /// Packages that the spec must promise.
        required: Vec<String>,
        /// What the kernel's configs are to say.
        settings: Vec<Setting>,
    },
    /// Read the source package back, and compare it with the plan and with the distribution's.
    ProveSources {
        /// The distribution's own.
        original: PathBuf,
        /// The files that were edited.
        planned: Vec<Planned>,
    },
    /// Build a package of files that are written here and now.
    Package {
        /// The spec and its sources.
        files: Vec<TextFile>,
        /// Sources that are there already, and where they go.
        #[serde(default)]
        copies: Vec<(PathBuf, PathBuf)>,
        /// The build.
        command: Command,
    },
    /// Read back from the built packages how they set the parameter.
    ProveSetting {
        /// Packages that must be there.
        required: Vec<String>,
        /// What the parameter must be set to.
        bits: Bits,
    },
    /// Read the built packages.
    Prove {
        /// Packages that must be there.
        required: Vec<String>,
        /// Globs of configs of flavours that are built without IPVS.
        exempt: Vec<String>,
        /// What the configs must say.
        expected: Vec<Setting>,
        /// What `ip_vs.ko` must hold.
        bits: Bits,
    },
    /// Lay out what `ip_vs.ko` is built from.
    Lay {
        /// The kernel-devel.
        devel: DevelPlace,
        /// The top of the tree that is laid out.
        tree: PathBuf,
        /// IPVS's sources and what kbuild adds, by path below that top.
        files: Vec<SourceFile>,
    },
    /// Apply the source package's patches to it, and compare with kernel-devel.
    Patch {
        /// The top of the tree.
        tree: PathBuf,
        /// The patches, in the spec's order.
        patches: Vec<PatchRun>,
        /// Headers that must be those of kernel-devel.
        same: Vec<SameFile>,
    },
    /// Compile `ip_vs.ko`, and prove it.
    Compile(Box<Compilation>),
    /// Boot the built kernel.
    Boot {
        /// QEMU's program.
        qemu: PathBuf,
        /// A statically linked busybox.
        busybox: PathBuf,
        /// The value that the guest must report.
        bits: Bits,
        /// How long the guest may take, in seconds.
        limit: u64,
        /// Packages that are booted with those that were built: the distribution's kernel.
        #[serde(default)]
        with: Vec<PathBuf>,
    },
    /// Move the prepared tree where it is wanted, configure it, and compile it if that is wanted.
    Tree(Box<Tree>),
    /// Hand the results over.
    Collect {
        /// Packages installed beside older ones.
        install: Vec<String>,
        /// Packages that replace older ones.
        update: Vec<String>,
        /// INSTALL.md, or SUBMIT.md.
        instructions: Instructions,
    },
}

impl Step {
    /// Returns the stage that runs this step.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self {
            Self::Verify { .. } => Stage::Verify,
            Self::Unpack { .. } | Self::Lay { .. } => Stage::Unpack,
            Self::Edit { .. } | Self::Patch { .. } => Stage::Edit,
            Self::Build { .. } | Self::Pack { .. } | Self::Compile(_) | Self::Package { .. } => Stage::Build,
            Self::Prove { .. } | Self::ProveSources { .. } | Self::ProveSetting { .. } => Stage::Prove,
            Self::Boot { .. } => Stage::Boot,
            Self::Tree(_) => Stage::Tree,
            Self::Collect { .. } => Stage::Collect,
        }
    }
}

/// What a file of a source package must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Planned {
    /// Its name.
    pub file: String,
    /// The SHA-256 of its content.
    pub sha256: String,
}

/// What is done with the prepared tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tree {
    /// Where it goes.
    pub dir: PathBuf,
    /// Globs of the resolved configs below BUILD, of which the one with the shortest name is the kernel's own; the tree is
    /// the directory around it that has the kernel's Makefile.
    pub resolved: Vec<String>,
    /// Takes out what `%prep` may have made, as the specs do before they build; nothing where make is not needed.
    pub clean: Option<Command>,
    /// The configuration to start from; nothing for the resolved one.
    pub config: Option<BaseConfig>,
    /// The first line of the configuration, which tells the specs' scripts for which architecture it is.
    pub platform: String,
    /// What is set in the configuration.
    pub edits: Vec<Edit>,
    /// What `EXTRAVERSION` is set to in the Makefile, as the spec does it when it builds.
    pub extraversion: String,
    /// Brings a configuration that is not this tree's own up to date; the first target that the tree has.
    pub refresh: Option<Refresh>,
    /// What the configuration must say in the end.
    pub expected: Vec<Setting>,
    /// The compilation; nothing if only the tree is wanted.
    pub compile: Option<Compile>,
}

/// How a configuration is brought up to date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Refresh {
    /// make in the tree, without a target.
    pub make: Command,
    /// The targets that ask nothing, best first.
    pub targets: Vec<String>,
}

/// How the tree is compiled, and what is taken from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Compile {
    /// The commands, in order; the last one installs the modules below `stage`.
    pub commands: Vec<Command>,
    /// Where the modules are installed before they are handed over.
    pub stage: PathBuf,
    /// Where the kernel's image may be in the tree; the first one that is there counts.
    pub images: Vec<String>,
    /// The archive among the results, with all that is to be installed.
    pub archive: String,
    /// What `ip_vs.ko` must hold.
    pub bits: Bits,
}

/// A file that is written as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TextFile {
    /// Where.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
}

/// The edit of one file: what is done, and what it did when it was planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileEdit {
    /// File name in the source package.
    pub file: String,
    /// Where it is in the working tree.
    pub path: PathBuf,
    /// What is done, in order.
    pub edits: Vec<Edit>,
    /// The lines that change.
    pub changes: Vec<Change>,
    /// SHA-256 of the file afterwards.
    pub sha256: String,
}

/// One edit, as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Edit {
    /// Set an option wherever the file has it.
    SetExisting {
        /// The option and its value.
        setting: Setting,
    },
    /// Set an option, adding it if need be.
    Set {
        /// The option and its value.
        setting: Setting,
    },
    /// Change one line of the spec, or of a file that it includes.
    Line {
        /// Its number, from 1.
        line: usize,
        /// What it says; `None` if a line is put before it instead.
        before: Option<String>,
        /// What it is to say.
        after: String,
    },
    /// Fill the patch hook.
    Patch {
        /// The patches, in order.
        patches: Vec<Patch>,
    },
}

impl Edit {
    /// Applies the edit to a text; `file` is its name for messages.
    ///
    /// # Errors
    /// It does not apply.
    pub fn apply(&self, file: &str, text: &[u8]) -> Result<Edited, edit::Error> {
        match self {
            Self::SetExisting { setting } => config::set_existing(file, text, setting),
            Self::Set { setting } => Ok(config::set(file, text, setting)),
            Self::Line { line, before, after } => spec::apply_line(file, text, *line, before.as_deref(), after),
            Self::Patch { patches } => {
                let patches: Vec<_> = patches.iter().map(|patch| (patch.name.clone(), patch.text.clone())).collect();
                hook::fill(file, text, &patches)
            }
        }
    }
}

/// Applies several edits to a text, one after the other.
///
/// # Errors
/// One of them does not apply.
pub fn apply_all(edits: &[Edit], file: &str, text: &[u8]) -> Result<Edited, edit::Error> {
    let mut all = Edited { text: text.to_vec(), changes: Vec::new() };
    for edit in edits {
        let one = edit.apply(file, &all.text)?;
        all.text = one.text;
        all.changes.extend(one.changes);
    }
    Ok(all)
}

/// When %prep has ended, as rpmbuild's output shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// When it says that %build begins (`-bb`, `-ba`).
    BeforeBuild,
    /// When it has ended itself (`-bp`).
    AtTheEnd,
}

/// What is checked as soon as %prep has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Gate {
    /// When it is checked.
    pub moment: Moment,
    /// Globs of the resolved configs below BUILD; the first one that matches anything counts.
    pub resolved: Vec<String>,
    /// Globs of configs of flavours that are built without IPVS.
    pub exempt: Vec<String>,
    /// What each of them must say.
    pub expected: Vec<Setting>,
    /// The config sources that are merged over the edited ones, strongest first.
    pub stronger: Vec<String>,
}
