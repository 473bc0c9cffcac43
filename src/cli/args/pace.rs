//! Arguments about what a build takes of the machine, which change nothing of what comes out.

use clap::Args;

/// What a build takes of the machine.
#[derive(Debug, Clone, Args)]
pub struct Pace {
    /// Let others on the machine go first: what is added to the nice value of whatever builds (0 to 19, as for nice). The
    /// default adds nothing, as make and rpmbuild do; in any case it is scheduled as batch work (`SCHED_BATCH`), which
    /// keeps a machine responsive at no cost
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=19))]
    pub nice: u8,
}
