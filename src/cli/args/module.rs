//! Arguments of the route `module`.

use std::path::PathBuf;

use clap::Args;

/// What the route `module` takes.
#[derive(Debug, Clone, Default, Args)]
pub struct Module {
    /// Route module: the kernel-devel of the release, as a package or as a headers tree such as /usr/src/kernels/R
    /// [default: fetched like the source package]
    #[arg(long, value_name = "RPM|DIR")]
    pub kernel_devel: Option<PathBuf>,
    /// Route module: the distribution's own kernel packages, to compare with and to boot; may be given several times
    #[arg(long, value_name = "RPM")]
    pub kernel: Vec<PathBuf>,
    /// Route module: compile with another gcc than the kernel's, too
    #[arg(long)]
    pub any_compiler: bool,
}
