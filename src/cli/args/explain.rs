//! Arguments of `explain`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 a cause is named; 3 the log tells of no failure, or cannot be read; 8 it failed for \
no reason that is known."
)]
pub struct Explain {
    /// The log, plain or compressed; `-` for stdin
    #[arg(value_name = "LOG")]
    pub log: PathBuf,
}
