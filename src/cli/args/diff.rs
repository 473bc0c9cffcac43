//! Arguments of `diff`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `diff`.
#[derive(Debug, Args)]
#[command(
    override_usage = "kbuild diff [OPTIONS] A B\n       kbuild diff [OPTIONS] A... -- B...",
    after_help = "Releases are taken out of all names and contents before they are compared, so that a buildid alone makes \
no difference but the one in the packages' names. `-` is in A only, `+` in B only, `~` differs. Packages for debuggers are \
compared by their headers; files whose name is a build id are not compared at all.

Exit codes: 0 compared, whatever came of it; with --exit-code 9 if the builds differ; 2 A or B is no build."
)]
pub struct Diff {
    /// Two builds: directories of results, or a package each; or the packages of the first, and those of the second behind
    /// `--`
    #[arg(required = true, value_name = "DIR|RPM")]
    pub first: Vec<PathBuf>,
    /// The second build
    #[arg(last = true, value_name = "DIR|RPM")]
    pub second: Vec<PathBuf>,
    /// Exit with 9 if the builds differ, as `git diff --exit-code` does with 1
    #[arg(long)]
    pub exit_code: bool,
}
