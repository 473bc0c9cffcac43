//! Arguments about work directories: `status` and `clean`.

use std::path::PathBuf;

use clap::Args;

use super::size::{lifetime, memory};

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The work directory [default: /var/cache/kbuild as root, else ~/.cache/kbuild]
    #[arg(long, value_name = "DIR")]
    pub work: Option<PathBuf>,
}

/// Arguments of `clean`.
#[derive(Debug, Args)]
pub struct Clean {
    /// The work directory [default: /var/cache/kbuild as root, else ~/.cache/kbuild]
    #[arg(long, value_name = "DIR")]
    pub work: Option<PathBuf>,
    /// Only if the last run there began longer ago than this, such as 72h
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    pub older_than: Option<f64>,
    /// Only if it holds more than this, such as 40GiB
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub over: Option<u64>,
    /// The module-signing key that is kept there, too: later builds are signed with another one
    #[arg(long)]
    pub sign_key: bool,
    /// What the compile cache keeps there, too: the next kernel is compiled as a whole
    #[arg(long)]
    pub cache: bool,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}
