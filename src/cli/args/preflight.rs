//! Arguments about what is looked at before a build begins.

use clap::Args;

/// What is looked at before a build begins.
#[derive(Debug, Clone, Copy, Args)]
pub struct Preflight {
    /// Install what is missing first, with the host's package manager (as root)
    #[arg(long)]
    pub install_deps: bool,
    /// Build although something was found that would stop it: the findings become warnings
    #[arg(long)]
    pub ignore_preflight: bool,
}
