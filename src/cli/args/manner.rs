//! Arguments about how a build runs, which change nothing of what comes out.

use std::time::Duration;

use clap::Args;

use super::compile::Compile;
use super::size::{lifetime, memory};
use crate::pipeline::manner::{Limits, Manner};

/// How a build runs.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Running {
    /// Start from nothing: take nothing of an earlier run
    #[arg(long)]
    pub fresh: bool,
    /// Go on with the interrupted build of the same that is in the work directory: what it had compiled is put back
    #[arg(long, conflicts_with = "fresh")]
    pub resume_build: bool,
    /// Build twice, in different directories, and compare the packages
    #[arg(long, conflicts_with = "until")]
    pub check_reproducible: bool,
    /// Wait for another kbuild that works in the same place, instead of giving up
    #[arg(long)]
    pub wait: bool,
    /// End the build when it has taken as long as this: seconds, or 90m, or 6h
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    pub timeout: Option<f64>,
    /// End the build when it has printed nothing and used no processor for as long as this
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    pub silence_timeout: Option<f64>,
    /// Stop the build before its file system has less room than this, so that it can go on later
    #[arg(long, value_name = "SIZE", value_parser = memory, default_value = "256MiB")]
    pub min_free: u64,
    /// How the kernel is compiled.
    #[command(flatten)]
    pub compile: Compile,
}

impl Running {
    /// Returns the manner of builds of so many values of bits.
    #[must_use]
    pub fn manner(&self, values: usize) -> Manner {
        let running = self;
        let time = |seconds: Option<f64>| seconds.map(Duration::from_secs_f64);
        let limits =
            Limits { total: time(running.timeout), silence: time(running.silence_timeout), room: running.min_free };
        let compiling = running.compile.compiling(values);
        let before = Vec::new();
        Manner { fresh: running.fresh, resume: running.resume_build, wait: running.wait, limits, compiling, before }
    }
}
