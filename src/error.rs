//! Why a command failed, for people and for scripts: one text, one hint, one documented exit code.

use std::fmt;
use std::path::PathBuf;

use crate::explain::{self, Cause, Outcome, show};
use crate::ipvs::size;
use crate::nearest::nearest;
use crate::pipeline::fetch;
use crate::plan::preflight::Finding;
use crate::proof::inside;
use crate::proof::packages::FindError;
use crate::recipe::builtin;
use crate::rpm::{source, tree};
use crate::{fleet, pipeline, plan, recipe, repository};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments do not fit together; clap's own complaints never get here.
    #[error("{0}")]
    Usage(String),
    /// A recipe or a fleet file is not valid.
    #[error(transparent)]
    Invalid(#[from] recipe::Error),
    /// A recipe that came with the program is not valid.
    #[error(transparent)]
    Bug(#[from] builtin::Broken),
    /// The signatures that came with the program are not valid.
    #[error(transparent)]
    Signatures(#[from] explain::builtin::Broken),
    /// No built-in recipe has this name, and no file either.
    #[error("no recipe is called `{name}`: expected one of {}, or a file", known.join(", "))]
    UnknownRecipe {
        /// What was asked for.
        name: String,
        /// Those built in.
        known: Vec<&'static str>,
    },
    /// A file that the user named cannot be read.
    #[error("cannot read {what}")]
    Input {
        /// Which.
        what: String,
        /// Why; names the path.
        #[source]
        source: std::io::Error,
    },
    /// A line of a director's list of connections is none.
    #[error("`{}`, line {line}: {fault}", path.display())]
    Connections {
        /// The list.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        fault: size::connections::Malformed,
    },
    /// There is no table of the kind that was asked for.
    #[error(transparent)]
    Size(#[from] size::Error),
    /// The source package is not used.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// A headers tree was named where a source package is needed.
    #[error("`{}` is a headers tree of kernel-devel, without sources: make there ends with \"No rule to make target `missing-syscalls'\"", path.display())]
    HeadersTree {
        /// The directory.
        path: PathBuf,
    },
    /// The kernel-devel package is not used.
    #[error(transparent)]
    Tree(#[from] tree::Error),
    /// The source package could not be fetched.
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    /// The machine cannot build a kernel.
    #[error("this machine cannot build it: {}", if *problems == 1 { "one problem".to_owned() } else { format!("{problems} problems") })]
    NotReady {
        /// How many.
        problems: usize,
    },
    /// Something was found before a build that would stop it.
    #[error("{}", told(problems))]
    Preflight {
        /// What.
        problems: Vec<Finding>,
        /// The command that installs what is missing.
        install: Option<String>,
    },
    /// Two builds of the same gave other packages.
    #[error("{} of {of} packages are not the same in two builds; the first difference of each:\n  {}", differ.len(), differ.join("\n  "))]
    NotReproducible {
        /// Each package, and where it differs first.
        differ: Vec<String>,
        /// How many packages there are.
        of: usize,
        /// Where those of the second build are.
        other: PathBuf,
    },
    /// What was fetched is not what was asked for.
    #[error("`{}` is not what was asked for: expected {expected}, found {found}", path.display())]
    OtherSource {
        /// Where it is.
        path: PathBuf,
        /// What was asked for.
        expected: String,
        /// What it is.
        found: String,
    },
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] plan::Error),
    /// The run ended early.
    #[error(transparent)]
    Pipeline(#[from] pipeline::Error),
    /// The log shows no cause that is known.
    #[error("{}: {log}", show::unknown(*outcome))]
    Unexplained {
        /// The log.
        log: String,
        /// How what it tells of ended.
        outcome: Outcome,
    },
    /// Two builds cannot be compared.
    #[error(transparent)]
    Compare(#[from] inside::Error),
    /// Two builds differ, and the user asked to be told by the exit code.
    #[error("the builds differ")]
    Differ,
    /// Nothing was published.
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// There are no packages to look at.
    #[error(transparent)]
    Find(#[from] FindError),
    /// An engine cannot build a fleet as it is.
    #[error(transparent)]
    Export(#[from] fleet::engine::Error),
    /// Cells of a fleet failed; the others did not.
    #[error("{} of {of} cells failed:{}", failed.len(), failed.iter().map(ToString::to_string).collect::<String>())]
    Cells {
        /// Which.
        failed: Vec<FailedCell>,
        /// How many there are.
        of: usize,
    },
    /// Results of a fleet are not what was built.
    #[error("results are not what was built, and were not taken: {}", files.join(", "))]
    Damaged {
        /// Which.
        files: Vec<String>,
    },
    /// The machine refused something that kbuild needs.
    #[error("{what}")]
    Host {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A cell of a fleet that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCell {
    /// Its name.
    pub name: String,
    /// The exit code of its build.
    pub exit_code: i32,
    /// Why.
    pub error: String,
}

impl fmt::Display for FailedCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.error.lines().next().unwrap_or_default();
        write!(f, "\n  {} (exit code {}): {first}", self.name, self.exit_code)
    }
}

/// The exit codes, as documented: number and meaning.
pub const EXIT_CODES: [(u8, &str); 11] = [
    (0, "done"),
    (2, "wrong usage, such as --bits abc"),
    (3, "request or recipe not valid, such as bits outside the kernel's range"),
    (4, "the host is not ready: tools, user, directories, lock"),
    (5, "the source package could not be fetched or opened"),
    (6, "the source package is not what it should be: not an RPM, cut off, unsigned, wrongly signed"),
    (7, "an edit did not apply"),
    (8, "the build failed"),
    (9, "the packages or their proof differ from the promise"),
    (70, "a bug in kbuild"),
    (128, "plus n: ended by signal n"),
];

impl Error {
    /// Returns the documented exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Bug(_) | Self::Signatures(_) | Self::Export(fleet::engine::Error::Template(_)) => 70,
            Self::Export(_) | Self::Usage(_) | Self::Find(_) | Self::Compare(inside::Error::Twice { .. }) => 2,
            Self::Invalid(_)
            | Self::UnknownRecipe { .. }
            | Self::Input { .. }
            | Self::Connections { .. }
            | Self::Size(_)
            | Self::Unexplained { outcome: Outcome::Succeeded, .. } => 3,
            Self::Unexplained { outcome: Outcome::Failed | Outcome::Unknown, .. } => 8,
            Self::Source(source::Error::Open { .. })
            | Self::Tree(tree::Error::Package(source::Error::Open { .. }))
            | Self::Fetch(fetch::Error::Nowhere { .. } | fetch::Error::Offline { .. }) => 5,
            Self::Source(_) | Self::Tree(_) | Self::OtherSource { .. } | Self::HeadersTree { .. } => 6,
            Self::Plan(error) => error.exit_code(),
            Self::Pipeline(error) => error.exit_code(),
            // All are the same, or else the first one counts.
            Self::Cells { failed, .. } => {
                failed.first().and_then(|failed| u8::try_from(failed.exit_code).ok()).unwrap_or(70)
            }
            Self::NotReproducible { .. }
            | Self::Compare(inside::Error::Package(_))
            | Self::Differ
            | Self::Damaged { .. } => 9,
            Self::Repository(error) => error.exit_code(),
            Self::Compare(inside::Error::Io(_))
            | Self::Host { .. }
            | Self::NotReady { .. }
            | Self::Preflight { .. }
            | Self::Fetch(_) => 4,
        }
    }

    /// Returns what stopped a build, where its output shows a known cause.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Pipeline(error) => error.cause(),
            _ => None,
        }
    }

    /// Returns what to do, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Export(error) => error.hint(),
            Self::Preflight { problems, install } => Some(preflight_hint(problems, install.as_deref())),
            Self::Plan(error) => error.hint(),
            Self::Pipeline(error) => error.hint(),
            Self::Repository(error) => error.hint(),
            Self::Size(error) => Some(error.hint()),
            Self::Connections { fault, .. } => Some(if fault.ipvsadm {
                "this is what ipvsadm prints: take /proc/net/ip_vs_conn, which has the addresses as the kernel hashes them"
                    .into()
            } else {
                "copy the whole of the director's /proc/net/ip_vs_conn; a copy that was cut off ends within a line"
                    .into()
            }),
            Self::Fetch(fetch::Error::Nowhere { .. }) => Some(
                "name a mirror that has it with `--mirror URL|DIR`, or the package itself with `--srpm FILE|URL`"
                    .into(),
            ),
            Self::Fetch(fetch::Error::Store(_)) => Some(
                "make room there, or name another directory with `--store DIR`; what has come is kept, and the next run \
                 goes on from it"
                    .into(),
            ),
            Self::Fetch(fetch::Error::Offline { .. }) => {
                Some("run `kbuild fetch` with the same release while there is a network".into())
            }
            Self::UnknownRecipe { name, known } => {
                nearest(name, known.iter().copied()).map(|meant| format!("did you mean `{meant}`?"))
            }
            Self::HeadersTree { .. } => Some(
                "kernel-devel serves to compile modules; for a kernel name its source package (`.src.rpm`), or let \
                 `--release R` fetch it"
                    .into(),
            ),
            Self::Unexplained { outcome: Outcome::Failed | Outcome::Unknown, .. } => Some(
                "the first error is usually the cause; what can be told from it can be made a signature (CONTRIBUTING.md)".into(),
            ),
            Self::NotReproducible { other, .. } => Some(format!(
                "the second build is in `{}`; the first one is proved and whole all the same",
                other.display()
            )),
            Self::Compare(inside::Error::Twice { .. }) => {
                Some("name the directory of one build, or its packages: `kbuild diff A1.rpm A2.rpm -- B1.rpm B2.rpm`".into())
            }
            Self::Cells { failed, .. } => failed.first().map(|failed| {
                format!("`kbuild explain` with its cell.log says more; `kbuild fleet run --cell {}` builds it again", failed.name)
            }),
            Self::Damaged { .. } => Some("move the files once more, or build these cells again".into()),
            Self::OtherSource { .. } => Some("try again, from another mirror".into()),
            Self::Source(source::Error::Binary { .. }) => {
                Some("take the package that ends in `.src.rpm`; for a built kernel there is `kbuild verify`".into())
            }
            Self::Source(
                source::Error::Payload { .. } | source::Error::Header { .. } | source::Error::Digest { .. },
            ) => Some("fetch the package again".into()),
            _ => None,
        }
    }
}

/// What stops a build: one thing, or a line each.
fn told(problems: &[Finding]) -> String {
    let head = "this machine cannot build it: ";
    match problems {
        [only] if only.can_be_ignored() => format!("{head}{only}"),
        [only] => only.found.clone(),
        several => {
            let lines: Vec<String> = several.iter().map(|finding| format!("\n  - {finding}")).collect();
            format!("{head}{} problems{}", several.len(), lines.concat())
        }
    }
}

/// What to do about all of it.
fn preflight_hint(problems: &[Finding], install: Option<&str>) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mends = |command: &&str| problems.iter().any(|finding| finding.fix.as_deref() == Some(*command));
    if let Some(command) = install.filter(mends) {
        lines.push(format!("install what is missing with `{command}`; as root, `--install-deps` does that"));
    }
    for fix in problems.iter().filter_map(|finding| finding.fix.as_deref()).filter(|fix| Some(*fix) != install) {
        if !lines.iter().any(|line| line == fix) {
            lines.push(fix.to_owned());
        }
    }
    if problems.iter().all(Finding::can_be_ignored) {
        lines.push("if that is wrong, `--ignore-preflight` builds all the same".to_owned());
    }
    lines.join("\n      ")
}

/// Returns an error's text with those of its causes, each said once.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
