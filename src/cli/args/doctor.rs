//! Arguments of `doctor`.

use std::path::PathBuf;

use clap::Args;

use super::{Origin, ProfileArgument};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The family that is to be built, or a recipe of your own [default: by the release]
    #[arg(long, value_name = "NAME|FILE", required_unless_present_any = ["release", "srpm"])]
    pub recipe: Option<String>,
    /// The release that is to be built, such as 2.6.32-220.13.1.el6: its source package is fetched and read
    #[arg(long, value_name = "R", conflicts_with = "srpm")]
    pub release: Option<String>,
    /// Or its source package
    #[arg(long, value_name = "FILE|URL")]
    pub srpm: Option<PathBuf>,
    /// Where from, and what is trusted.
    #[command(flatten)]
    pub origin: Origin,
    /// All packages, or only what a fleet installs
    #[arg(long, value_enum, default_value_t = ProfileArgument::Full, value_name = "PROFILE")]
    pub profile: ProfileArgument,
    /// Parallel compilations [default: one per processor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub jobs: Option<u32>,
    /// Where to work [default: /var/cache/kbuild as root, else ~/.cache/kbuild]
    #[arg(long, value_name = "DIR")]
    pub work: Option<PathBuf>,
    /// Install the packages that are missing, with the host's package manager
    #[arg(long)]
    pub install_deps: bool,
}
