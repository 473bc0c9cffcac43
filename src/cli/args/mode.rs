//! `--mode`: what rpmbuild makes.

use clap::ValueEnum;

use crate::plan::request::Mode;

/// `--mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeArgument {
    /// Binary packages
    Bb,
    /// Binary packages and a source package
    Ba,
    /// The source package with the edits alone, for mock, koji, copr or OBS
    Srpm,
}

impl From<ModeArgument> for Mode {
    fn from(mode: ModeArgument) -> Self {
        match mode {
            ModeArgument::Bb => Self::Bb,
            ModeArgument::Ba => Self::Ba,
            ModeArgument::Srpm => Self::Srpm,
        }
    }
}
