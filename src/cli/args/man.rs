//! The arguments of `kbuild man`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Write a page for the program and for each subcommand into this directory instead, which is made if it is missing
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
