//! Arguments about routes: which one, and what only one of them takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::plan::Route;

/// The way to the table.
#[derive(Debug, Clone, Args)]
pub struct Routes {
    /// The way there: a kernel, the IPVS module alone, the module parameter, a source tree, or the cheapest package that
    /// works
    #[arg(long, value_enum, default_value_t = RouteArgument::Kernel, value_name = "ROUTE")]
    pub route: RouteArgument,
    /// Route param: bring along the sysctl and limits settings of a director
    #[arg(long)]
    pub tune: bool,
    /// Route param: IPVS is built into the kernel, so set the kernel's command line
    #[arg(long)]
    pub built_in: bool,
    /// Route tree: where the prepared source tree goes
    #[arg(long, value_name = "DIR")]
    pub tree: Option<PathBuf>,
    /// Route tree: the configuration to start from [default: that of the running kernel if it is this one, else the
    /// source package's]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Route tree: compile the tree, and install kernel and modules
    #[arg(long)]
    pub install: bool,
    /// Route tree: the root of the system to install into
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub install_root: PathBuf,
}

/// `--route` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RouteArgument {
    /// All packages of a kernel of your own
    Kernel,
    /// A package with the IPVS module alone, for the distribution's kernel
    Module,
    /// A package with the module parameter, for the distribution's kernel
    Param,
    /// The prepared source tree, for a single host
    Tree,
    /// The cheapest package that works
    Auto,
}

impl RouteArgument {
    /// Returns the route, or `None` for the cheapest that works.
    #[must_use]
    pub fn route(self) -> Option<Route> {
        Some(match self {
            Self::Kernel => Route::Kernel,
            Self::Module => Route::Module,
            Self::Param => Route::Param,
            Self::Tree => Route::Tree,
            Self::Auto => return None,
        })
    }
}
