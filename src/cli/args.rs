//! The command line. Types only: what the arguments mean is decided in `prepare`.

pub mod compile;
pub mod diff;
pub mod doctor;
pub mod explain;
pub mod fleet;
pub mod host;
pub mod manner;
pub mod module;
pub mod pace;
pub mod preflight;
pub mod repo;
pub mod routes;
pub mod signing;
pub mod size;
pub mod work;

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};

use super::render::{Format, Verbosity};
use crate::edit::config::Setting;
use crate::event::Stage;
use crate::ipvs::bits::Bits;
use crate::plan::request::{Mode, ProfileName};
pub use diff::Diff;
pub use doctor::Doctor;
pub use explain::Explain;
use host::Host;
pub use preflight::Preflight;
pub use repo::Repo;
use routes::Routes;
use size::Size;

/// What stands below the help text.
const AFTER: &str = "\
Exit codes: 0 done; 2 usage; 3 request or recipe not valid; 4 host not ready; 5 source package not fetched or opened; 6 source package not good; \
7 edit did not apply; 8 build failed; 9 packages or proof differ from the promise; 70 a bug in kbuild; 128+n ended by \
signal n.

Example: kbuild ipvs --bits 20 --srpm kernel-2.6.32-220.13.1.el6.src.rpm --boot";

/// Rebuild a distribution kernel with the IPVS connection-table size you ask for, and prove it from the packages.
#[derive(Debug, Parser)]
#[command(name = "kbuild", version, after_help = AFTER, max_term_width = 100)]
pub struct Arguments {
    /// How to talk.
    #[command(flatten)]
    pub output: Talk,
    /// What to do.
    #[command(subcommand)]
    pub command: Subcommand,
}

/// How to talk.
#[derive(Debug, Args)]
pub struct Talk {
    /// How to report: for people, as plain lines, or as JSON lines on stdout
    #[arg(long, global = true, value_enum, default_value_t = Format::Human, value_name = "FORMAT")]
    pub format: Format,
    /// Show the commands that are run, too
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Show warnings and results only
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

impl Talk {
    /// Returns how much to say.
    #[must_use]
    pub fn verbosity(&self) -> Verbosity {
        match (self.verbose, self.quiet) {
            (true, _) => Verbosity::Verbose,
            (_, true) => Verbosity::Quiet,
            _ => Verbosity::Normal,
        }
    }
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Build kernel packages with a connection table of 2^N buckets, and prove it
    Ipvs(Build),
    /// Print what `kbuild ipvs` would do with the same arguments, without doing it
    Plan(Build),
    /// Fetch the source package of a release, and check it
    Fetch(Fetch),
    /// Prove from packages that anybody built what table their kernel has (levels 3 and 4)
    Verify(Verify),
    /// Boot the kernel of packages that anybody built and see what table it has (level 5)
    Boot(Boot),
    /// Compare two builds: packages, options, symbols, modules, files, and how they were made
    Diff(Diff),
    /// Publish proved packages in a signed repository that dnf and yum install from
    Repo(Repo),
    /// Look whether this machine can build a kernel: everything that is missing, at once
    Doctor(Doctor),
    /// Say why a build failed, from its log: of rpmbuild, mock, koji or a CI job
    Explain(Explain),
    /// Show what is known of each family of kernels, or check a recipe of your own
    #[command(subcommand)]
    Recipes(Recipes),
    /// Work out how large the table should be, from connections, a rate, or a director's own list
    Size(Size),
    /// On a director: what its kernel and its table are, and the one next step to the table that it should have
    Host(Host),
    /// Show what a work directory holds, what the last run did there, and what the next one would take from it
    Status(work::Status),
    /// Remove what builds left in a work directory
    Clean(work::Clean),
    /// Build many kernels from one file, with any engine: check, plan, run, status, collect, report, export
    Fleet(fleet::Fleet),
    /// Print the completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// Arguments of `ipvs` and `plan`.
#[derive(Debug, Clone, Args)]
pub struct Build {
    /// Size of the table, as a power of two; several make one build each
    #[arg(long, value_name = "N", required = true, value_delimiter = ',')]
    pub bits: Vec<Bits>,
    /// The kernel's source package: a file or a URL
    #[arg(long, value_name = "FILE|URL", required_unless_present = "release", conflicts_with = "release")]
    pub srpm: Option<PathBuf>,
    /// The release whose source package is to be fetched, such as 2.6.32-220.13.1.el6
    #[arg(long, value_name = "R")]
    pub release: Option<String>,
    /// The way to the table.
    #[command(flatten)]
    pub routes: Routes,
    /// What the route `module` takes.
    #[command(flatten)]
    pub module: module::Module,
    /// With which key modules are signed.
    #[command(flatten)]
    pub signing: signing::Signing,
    /// Where from, and what is trusted.
    #[command(flatten)]
    pub origin: Origin,
    /// Architecture [default: this machine's]
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// Binary packages only, or a source package, too
    #[arg(long, value_enum, default_value_t = ModeArgument::Bb, value_name = "MODE")]
    pub mode: ModeArgument,
    /// All packages, or only what a fleet installs
    #[arg(long, value_enum, default_value_t = ProfileArgument::Full, value_name = "PROFILE")]
    pub profile: ProfileArgument,
    /// Turn an option of the spec on
    #[arg(long, value_name = "X", value_parser = conditional)]
    pub with: Vec<String>,
    /// Turn an option of the spec off
    #[arg(long, value_name = "X", value_parser = conditional)]
    pub without: Vec<String>,
    /// Set another option of the kernel
    #[arg(long, value_name = "CONFIG_X=V")]
    pub set: Vec<Setting>,
    /// Apply a patch to the kernel, through the hook that the spec has for it
    #[arg(long, value_name = "FILE")]
    pub patch: Vec<PathBuf>,
    /// What is added to the release; `{bits}` stands for the value [default: .ipvs_{bits}bit]
    #[arg(long, value_name = "S")]
    pub buildid: Option<String>,
    /// Who builds when root starts kbuild; made if missing [default: mockbuild]
    #[arg(long, value_name = "NAME", value_parser = account)]
    pub user: Option<String>,
    /// Parallel compilations [default: one per processor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub jobs: Option<u32>,
    /// Where to work, with room for a kernel [default: /var/cache/kbuild as root, else ~/.cache/kbuild]
    #[arg(long, value_name = "DIR")]
    pub work: Option<PathBuf>,
    /// Where the results go; with several values, into a directory each below it
    #[arg(long, value_name = "DIR", default_value = "kbuild-out")]
    pub out: PathBuf,
    /// Stop after a stage
    #[arg(long, value_enum, value_name = "STAGE")]
    pub until: Option<StageArgument>,
    /// How it runs.
    #[command(flatten)]
    pub running: manner::Running,
    /// What it takes of the machine.
    #[command(flatten)]
    pub pace: pace::Pace,
    /// What is looked at before.
    #[command(flatten)]
    pub preflight: Preflight,
    /// Boot the result in QEMU and see what it says (level 5)
    #[arg(long)]
    pub boot: bool,
    /// What is known of the kernel's family: a name or a file [default: by the release]
    #[arg(long, value_name = "NAME|FILE")]
    pub recipe: Option<String>,
    /// Templates of your own, by the names that kbuild's have: install.md
    #[arg(long, value_name = "DIR")]
    pub templates: Option<PathBuf>,
}

/// Where source packages come from, and what is trusted.
#[derive(Debug, Clone, Args)]
pub struct Origin {
    /// Look here first: a copy of the vault, or a directory with the package; may be given several times
    #[arg(long, value_name = "URL|DIR", env = "KBUILD_MIRROR", value_delimiter = ',')]
    pub mirror: Vec<String>,
    /// Ask no server: take what is in the store
    #[arg(long)]
    pub offline: bool,
    /// Where fetched source packages are kept [default: /var/cache/kbuild-store as root, else ~/.cache/kbuild-store]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// How long a server may be silent
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub silence: u64,
    /// Keep note of the source packages used here; one that has changed since is refused
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Accept no source package that is not in the lock file [default file: kbuild.lock]
    #[arg(long)]
    pub locked: bool,
    /// A public key; it counts if the recipe or `--trust` pins it
    #[arg(long, value_name = "FILE")]
    pub key: Vec<PathBuf>,
    /// Pin a key of your own choice, by its primary fingerprint
    #[arg(long, value_name = "FINGERPRINT", value_parser = fingerprint)]
    pub trust: Vec<String>,
    /// Where the distributions' public keys are; only those whose fingerprint the recipe pins are used
    #[arg(long, value_name = "DIR", default_values = ["/etc/pki/rpm-gpg", "/usr/share/distribution-gpg-keys"])]
    pub keys: Vec<PathBuf>,
    /// Take a source package that nobody known has signed
    #[arg(long)]
    pub allow_unsigned: bool,
}

/// Arguments of `fetch`.
#[derive(Debug, Args)]
pub struct Fetch {
    /// The release, such as 2.6.32-220.13.1.el6, with or without the package's name before it
    #[arg(long, value_name = "R")]
    pub release: String,
    /// Where from, and what is trusted.
    #[command(flatten)]
    pub origin: Origin,
    /// Put it here, too
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print where it would be looked for, and why, and fetch nothing
    #[arg(long)]
    pub print_urls: bool,
}

/// What to do with recipes.
#[derive(Debug, clap::Subcommand)]
pub enum Recipes {
    /// List the built-in recipes
    List {
        /// As the table that README.md has
        #[arg(long)]
        markdown: bool,
    },
    /// Print a recipe
    Show {
        /// A built-in recipe, or a file
        #[arg(value_name = "NAME|FILE")]
        name: String,
    },
    /// Check a recipe: all its problems at once, each with its line
    Check {
        /// The recipe
        file: PathBuf,
    },
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Packages, or directories that hold them
    #[arg(required = true, value_name = "DIR|RPM")]
    pub packages: Vec<PathBuf>,
    /// What the kernel must have
    #[arg(long, value_name = "N")]
    pub bits: Bits,
}

/// Arguments of `boot`.
#[derive(Debug, Args)]
pub struct Boot {
    /// Packages, or directories that hold them
    #[arg(required = true, value_name = "DIR|RPM")]
    pub packages: Vec<PathBuf>,
    /// What the guest must report
    #[arg(long, value_name = "N")]
    pub bits: Bits,
    /// How long the guest may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 180)]
    pub limit: u64,
    /// Where the guest's console goes
    #[arg(long, value_name = "FILE", default_value = "kbuild-boot.log")]
    pub log: PathBuf,
}

/// `--mode`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ModeArgument {
    /// Binary packages
    Bb,
    /// Binary packages and a source package
    Ba,
}

impl From<ModeArgument> for Mode {
    fn from(mode: ModeArgument) -> Self {
        match mode {
            ModeArgument::Bb => Self::Bb,
            ModeArgument::Ba => Self::Ba,
        }
    }
}

/// `--profile`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ProfileArgument {
    /// Everything that the distribution builds
    Full,
    /// What a fleet installs: no debug kernel, no debuginfo, no tools
    Fleet,
}

impl From<ProfileArgument> for ProfileName {
    fn from(profile: ProfileArgument) -> Self {
        match profile {
            ProfileArgument::Full => Self::Full,
            ProfileArgument::Fleet => Self::Fleet,
        }
    }
}

/// `--until`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum StageArgument {
    /// The source package is checked
    Verify,
    /// The working tree is there
    Unpack,
    /// It is edited
    Edit,
    /// The packages are built
    Build,
    /// They are proved
    Prove,
}

impl From<StageArgument> for Stage {
    fn from(stage: StageArgument) -> Self {
        match stage {
            StageArgument::Verify => Self::Verify,
            StageArgument::Unpack => Self::Unpack,
            StageArgument::Edit => Self::Edit,
            StageArgument::Build => Self::Build,
            StageArgument::Prove => Self::Prove,
        }
    }
}

/// A name that an account can have; `useradd` would take one with a dash in front for an option.
fn account(text: &str) -> Result<String, String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if begins && text.len() <= 32 && text.bytes().all(legal) {
        Ok(text.to_owned())
    } else {
        Err("expected the name of an account, such as `mockbuild`".into())
    }
}

/// A primary key's fingerprint, as gpg prints it: with blanks or without.
pub(super) fn fingerprint(text: &str) -> Result<String, String> {
    let digits: String = text.chars().filter(|sign| !sign.is_whitespace()).collect::<String>().to_uppercase();
    if matches!(digits.len(), 40 | 64) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(digits)
    } else {
        Err("expected the 40 hexadecimal digits that `gpg --fingerprint` prints".into())
    }
}

/// A name for `--with` and `--without`: rpm makes a macro of it.
fn conditional(text: &str) -> Result<String, String> {
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if good { Ok(text.to_owned()) } else { Err("expected letters, digits and `_`, such as `firmware`".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_exit_code_is_in_the_help() {
        for (code, _) in crate::error::EXIT_CODES {
            assert!(AFTER.contains(&format!(" {code}")), "{code}");
        }
    }
}
