//! Why a run ended early.

mod words;

use std::path::PathBuf;

use super::gate::Origin;
use super::watchdog::Reason;
use crate::edit;
use crate::explain::{Cause, builtin};
use crate::plan::signing::x509;
use crate::proof::Finding;
use crate::rpm::{binary, source, tree};
use crate::sys::{exec, lock};
use words::{ended, excerpt, explained, findings, gated, headline};

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// kbuild got a signal.
    #[error("stopped by signal {signal}")]
    Cancelled {
        /// Its number.
        signal: i32,
    },
    /// Another kbuild has the work directory.
    #[error(transparent)]
    Lock(#[from] lock::Error),
    /// What a kbuild that was killed left running does not end.
    #[error("process {pid} ({name}), which an earlier kbuild left running in this work directory, cannot be ended")]
    Orphan {
        /// Its number.
        pid: i32,
        /// Its name.
        name: String,
    },
    /// The build was ended although nothing was wrong with it.
    #[error("{}", ended(*reason, phase))]
    Ended {
        /// Why.
        reason: Reason,
        /// The part of the spec that it was in.
        phase: String,
        /// The whole output.
        log: PathBuf,
    },
    /// A file or directory of the work or the results.
    #[error("{what}")]
    Io {
        /// What could not be done.
        what: String,
        /// Why; names the path.
        #[source]
        source: std::io::Error,
    },
    /// The key to sign modules with is not what it should be.
    #[error("{source}")]
    Key {
        /// Why not; names the place.
        source: x509::Error,
        /// Whether it is the one that the work directory keeps.
        kept: bool,
    },
    /// A program could not be run.
    #[error(transparent)]
    Exec(#[from] exec::Error),
    /// The source package is no longer good.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The source package is another one than was planned for.
    #[error("`{}` has changed since it was looked at: sha256 {found}, expected {expected}", path.display())]
    Changed {
        /// The source package.
        path: PathBuf,
        /// Its digest in the plan.
        expected: String,
        /// Its digest now.
        found: String,
    },
    /// An edit does not apply.
    #[error("the edit does not apply")]
    Edit(#[from] edit::Error),
    /// An edit gave another result than planned.
    #[error("`{}` came out otherwise than planned: sha256 {found}, expected {expected}", path.display())]
    EditDiffers {
        /// The edited file.
        path: PathBuf,
        /// Its digest in the plan.
        expected: String,
        /// Its digest now.
        found: String,
    },
    /// The spec would give the kernel another release.
    #[error("the edited spec gives the kernel the release `{found}`, expected `{expected}`")]
    Release {
        /// The planned release.
        expected: String,
        /// What the spec gives.
        found: String,
    },
    /// rpmbuild failed.
    #[error("rpmbuild ended with {how} in {phase}\n{}{}", excerpt(lines), explained(cause.as_deref(), log))]
    Build {
        /// Its exit code or signal.
        how: String,
        /// The part of the spec that it was in.
        phase: String,
        /// The lines of its output that matter most.
        lines: Vec<String>,
        /// What stopped it, if that is known.
        cause: Option<Box<Cause>>,
        /// The whole output.
        log: PathBuf,
    },
    /// A patch of the source package does not apply to IPVS.
    #[error("`{patch}` does not apply, which {by} applies\n{}", excerpt(lines))]
    Patch {
        /// The patch.
        patch: String,
        /// Who applies it.
        by: String,
        /// What `patch` said.
        lines: Vec<String>,
    },
    /// The source package's header is another one than kernel-devel's.
    #[error("`{path}` of the source package, patched, is not the one of `{devel}`: they are not of one kernel")]
    OtherHeader {
        /// The header.
        path: String,
        /// The kernel-devel.
        devel: String,
    },
    /// The compiler is another one than the kernel's.
    #[error("the kernel was compiled by gcc {expected}, found gcc {found}")]
    Compiler {
        /// The kernel's.
        expected: String,
        /// This machine's.
        found: String,
    },
    /// `%prep` left no tree that could be found.
    #[error("there is no kernel tree in `{}` after %prep: nothing matches {}", build.display(), patterns.join(" or "))]
    NoTree {
        /// rpmbuild's BUILD.
        build: PathBuf,
        /// Where its configs were expected.
        patterns: Vec<String>,
    },
    /// A kernel of that name is there, and it is not kbuild's.
    #[error("`{}` was not installed by kbuild, and would be replaced", path.display())]
    Installed {
        /// The directory of its modules.
        path: PathBuf,
    },
    /// make failed in the tree.
    #[error("`{command}` ended with {how}\n{}{}", excerpt(lines), explained(cause.as_deref(), log))]
    Make {
        /// The command line.
        command: String,
        /// Its exit code or signal.
        how: String,
        /// The lines of its output that matter most.
        lines: Vec<String>,
        /// What stopped it, if that is known.
        cause: Option<Box<Cause>>,
        /// The whole output.
        log: PathBuf,
    },
    /// What signs left no signature.
    #[error("`{}` has no signature although it was signed", path.display())]
    Unsigned {
        /// The module.
        path: PathBuf,
    },
    /// The kernel-devel package is no longer good.
    #[error(transparent)]
    Tree(#[from] tree::Error),
    /// The prep gate: the configs that %prep resolved are not as asked.
    #[error("{}, so the build was stopped\n{}", gated(origin), findings(found))]
    Gate {
        /// The configs that differ, or that nothing could be checked.
        found: Vec<Finding>,
        /// Where the wrong value comes from.
        origin: Origin,
    },
    /// The spec does not mean to make a package that the recipe requires.
    #[error("the spec would not make {}, which every build must yield", missing.join(", "))]
    NotPromised {
        /// The packages.
        missing: Vec<String>,
    },
    /// Packages that were promised did not come out.
    #[error("rpmbuild did not make {}", missing.join(", "))]
    Missing {
        /// The packages.
        missing: Vec<String>,
    },
    /// A built package cannot be read, or was changed after it was built.
    #[error(transparent)]
    Package(#[from] binary::Error),
    /// The packages are not what was asked.
    #[error("{}\n{}", headline(found), findings(found))]
    Proof {
        /// What differs, or could not be checked.
        found: Vec<Finding>,
    },
    /// The worker process ended without a word.
    #[error("the building process ended without a result ({how})")]
    Worker {
        /// How it ended.
        how: String,
        /// Whether somebody else's signal ended it, such as the kernel's when memory runs out.
        killed: bool,
    },
    /// What the worker process reported; already complete.
    #[error("{message}")]
    Reported {
        /// The whole text.
        message: String,
        /// What to do.
        hint: Option<String>,
        /// The exit code.
        exit_code: u8,
        /// What stopped the build, if that is known.
        cause: Option<Box<Cause>>,
    },
    /// The signatures of failures that came with the program are not valid.
    #[error(transparent)]
    Bug(#[from] builtin::Broken),
}

/// Returns in words how a program ended, unless all is well.
///
/// # Errors
/// The run was ended by a signal to kbuild.
pub(super) fn wrong_end(end: exec::End) -> Result<Option<String>, Error> {
    match end {
        exec::End::Exit(0) => Ok(None),
        exec::End::Cancelled(signal) => Err(Error::Cancelled { signal }),
        exec::End::Exit(code) => Ok(Some(format!("exit code {code}"))),
        exec::End::Killed(signal) => Ok(Some(format!("signal {signal}"))),
        exec::End::Stopped => Ok(Some("no word".into())),
    }
}

impl Error {
    /// Wraps an I/O error with what was being done.
    #[must_use]
    pub fn io(what: &str, source: std::io::Error) -> Self {
        Self::Io { what: what.to_owned(), source }
    }

    /// Returns what stopped a build, where its output shows a known cause.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Build { cause, .. } | Self::Make { cause, .. } | Self::Reported { cause, .. } => cause.as_deref(),
            _ => None,
        }
    }

    /// Returns what to do, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Lock(lock::Error::Busy { .. }) => {
                "wait for it to end (`--wait` does that), or use another `--work DIR`".into()
            }
            Self::Key { kept: true, .. } => "`kbuild clean --sign-key` takes it away, and the next build makes another".into(),
            Self::Key { source, .. } => source.hint(),
            Self::Ended { reason, log, .. } => match reason {
                Reason::Time { .. } => format!(
                    "give it a longer `--timeout`, and let it go on with `--resume-build`; the output is in {}",
                    log.display()
                ),
                Reason::Silence { .. } => format!(
                    "see what it waits for at the end of {}: entropy, a terminal, the network; or give it a longer \
                     `--silence-timeout`",
                    log.display()
                ),
                Reason::Room { .. } => {
                    "make room there and let it go on with `--resume-build`, or use another `--work DIR`; `--min-free SIZE` \
                     is what must be left"
                        .into()
                }
            },
            Self::Worker { killed: true, .. } => {
                "if memory ran out (`dmesg` says so), use a smaller `--jobs`; `--resume-build` goes on where it stopped".into()
            }
            Self::Orphan { .. } => "see what it waits for (`ps -o stat,wchan,cmd -p PID`)".into(),
            Self::Changed { .. } | Self::EditDiffers { .. } => "start again with `--fresh`".into(),
            Self::Make { lines, .. } if lines.iter().any(|line| line.contains("missing-syscalls")) => {
                "this is what make says in a headers tree of kernel-devel, or where the compiler does not work: see whether \
                 `gcc -v` runs for the building user"
                    .into()
            }
            Self::Build { log, cause, .. } | Self::Make { log, cause, .. } => {
                let fix = cause.as_ref().map(|cause| cause.fix.replace('\n', "\n      ") + "\n      ").unwrap_or_default();
                format!("{fix}the whole output is in {}", log.display())
            }
            Self::Compiler { expected, .. } => format!(
                "run kbuild in a container of the kernel's own distribution, which has gcc {expected}, or say \
                 `--any-compiler` if you know that this one will do"
            ),
            Self::Patch { .. } => "`--route kernel` lets the spec apply it".into(),
            Self::OtherHeader { .. } => {
                "take kernel-devel and source package of one release from one distribution; or `--route kernel`".into()
            }
            Self::Gate { origin, .. } => match origin {
                Origin::Stronger(file) => format!(
                    "`{file}` is merged over the edited file and wins: remove the option from it in the source package"
                ),
                Origin::Others(files) => format!(
                    "`{}` says so, and the recipe does not know that it is merged over the edited file",
                    files.join("`, `")
                ),
                Origin::IpvsOff => {
                    "IPVS is off in this configuration, and the option with it: set CONFIG_IP_VS=m in the source \
                     package, or `--set CONFIG_IP_VS=m`"
                        .into()
                }
                Origin::NothingRead => {
                    "the spec leaves its merged configs elsewhere: name the place in a recipe (`option.resolved`)"
                        .into()
                }
                Origin::Nowhere => {
                    "no config source sets this value: the kernel's own configuration changed or dropped it".into()
                }
            },
            Self::Installed { .. } => "choose another name with `--buildid`, or remove that kernel first".into(),
            Self::NotPromised { .. } => {
                "leave out the `--with` or `--without` that drops it, or pass a recipe that fits".into()
            }
            Self::Missing { .. } => "look into the build log for what was packaged".into(),
            Self::Reported { hint, .. } => return hint.clone(),
            _ => return None,
        })
    }

    /// Returns the documented exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Cancelled { signal } => u8::try_from(128 + signal).unwrap_or(255),
            Self::Lock(_)
            | Self::Source(source::Error::Write { .. })
            | Self::Tree(tree::Error::Package(source::Error::Write { .. }))
            | Self::Ended { reason: Reason::Room { .. }, .. }
            | Self::Orphan { .. }
            | Self::Io { .. }
            | Self::Exec(_)
            | Self::Key { kept: true, .. }
            | Self::Installed { .. }
            | Self::Compiler { .. } => 4,
            Self::Key { kept: false, .. } => 3,
            Self::Source(_) | Self::Changed { .. } | Self::Tree(_) | Self::OtherHeader { .. } => 6,
            Self::Edit(_) | Self::EditDiffers { .. } | Self::Release { .. } | Self::Patch { .. } => 7,
            Self::Worker { killed: true, .. }
            | Self::Ended { .. }
            | Self::Build { .. }
            | Self::Make { .. }
            | Self::NoTree { .. }
            | Self::Unsigned { .. } => 8,
            Self::Gate { .. }
            | Self::NotPromised { .. }
            | Self::Missing { .. }
            | Self::Package(_)
            | Self::Proof { .. } => 9,
            Self::Worker { .. } | Self::Bug(_) => 70,
            Self::Reported { exit_code, .. } => *exit_code,
        }
    }
}
