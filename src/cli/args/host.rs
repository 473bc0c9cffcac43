//! Arguments of `kbuild host`.

use std::path::PathBuf;

use clap::Args;

use crate::ipvs::size::chains::MOST;

/// Arguments of `host`.
#[derive(Debug, Args)]
pub struct Host {
    /// Look at the files below this directory instead: a copy of a director's, or its root as seen from a container
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Connections that it is to carry [default: those that it has now]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST))]
    pub connections: Option<u64>,
}
