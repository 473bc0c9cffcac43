//! Arguments about what a build takes of the machine, which change nothing of what comes out.

use std::path::PathBuf;

use clap::Args;

/// What a build takes of the machine.
#[derive(Debug, Clone, Args)]
pub struct Pace {
    /// Let others on the machine go first: what is added to the nice value of whatever builds (0 to 19, as for nice). The
    /// default adds nothing, as make and rpmbuild do; in any case it is scheduled as batch work (`SCHED_BATCH`), which
    /// keeps a machine responsive at no cost
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=19))]
    pub nice: u8,
    /// Unpack and compile in memory if there is room for it, and on the disk if not. In a container /dev/shm is seldom large
    /// enough; `docker run --tmpfs /build:exec,size=20g` makes a directory for this
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = "/dev/shm")]
    pub tmpfs: Option<PathBuf>,
}
