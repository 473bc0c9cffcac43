//! Why nothing was published.

use std::path::PathBuf;

use crate::plan::{self, template};
use crate::rpm::binary;
use crate::sys::{exec, lock};

/// Why nothing was published. The repository is what it was before.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// kbuild got a signal.
    #[error("stopped by signal {signal}; the repository is as it was")]
    Cancelled {
        /// Its number.
        signal: i32,
    },
    /// A place that was named is not there.
    #[error("`{}` is neither a package nor a directory", path.display())]
    Missing {
        /// The place.
        path: PathBuf,
    },
    /// There are no results where they were looked for.
    #[error("there are no results of `kbuild ipvs` in `{}`: no manifest.json is in it or below", path.display())]
    Nothing {
        /// The directory.
        path: PathBuf,
    },
    /// Nothing was named that has packages, and there is nothing yet.
    #[error("`{}` holds nothing yet, and there are no packages to publish", dir.display())]
    Empty {
        /// The repository.
        dir: PathBuf,
    },
    /// Packages without proof.
    #[error("not proved, so not published:{}", listed(problems))]
    Unproved {
        /// Each, and why.
        problems: Vec<String>,
    },
    /// Packages of the same name have other content.
    #[error("packages of the same name are not the same:{}", listed(problems))]
    Conflict {
        /// Each, and how they differ.
        problems: Vec<String>,
    },
    /// Somebody else's repository.
    #[error("`{}` holds a repository that kbuild did not make", dir.display())]
    Foreign {
        /// The repository.
        dir: PathBuf,
    },
    /// The record cannot be read.
    #[error("`{}` is not what this kbuild writes: {why}", path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A published package is no longer what was published.
    #[error("`{}` was changed after it was published: expected sha256 {expected}, found {found}", path.display())]
    Changed {
        /// The package.
        path: PathBuf,
        /// What the record says.
        expected: String,
        /// What was found.
        found: String,
    },
    /// The key cannot be used.
    #[error("{what}")]
    Key {
        /// Why not.
        what: String,
    },
    /// A program of this machine cannot sign without a terminal.
    #[error("rpmsign of rpm {found} cannot sign without a terminal: expected rpm 4.12 or newer")]
    OldRpm {
        /// Its version.
        found: String,
    },
    /// gpg or rpmsign failed.
    #[error("cannot sign `{what}`: {why}")]
    Signing {
        /// What was to be signed.
        what: String,
        /// What the program said.
        why: String,
    },
    /// What was signed does not bear the key's signature.
    #[error("`{}` is not signed by {key} after it was signed with it: {found}", path.display())]
    NotSigned {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What its signature is instead.
        found: String,
    },
    /// createrepo failed.
    #[error("`{command}` ended with {how}{}", listed(lines))]
    Metadata {
        /// The command line.
        command: String,
        /// Its exit code or signal.
        how: String,
        /// The end of what it printed.
        lines: Vec<String>,
    },
    /// The metadata that createrepo wrote does not tell of these very packages.
    #[error("the metadata that was made is not of the packages that were published:{}", listed(problems))]
    OtherMetadata {
        /// What is wrong.
        problems: Vec<String>,
    },
    /// Programs are missing.
    #[error(transparent)]
    Tools(#[from] plan::Error),
    /// A program could not be run.
    #[error(transparent)]
    Program(#[from] exec::Error),
    /// Another kbuild publishes there.
    #[error("cannot have the repository for itself")]
    Lock(#[from] lock::Error),
    /// A package cannot be read.
    #[error(transparent)]
    Package(#[from] binary::Error),
    /// The template of the .repo file.
    #[error(transparent)]
    Template(#[from] template::Error),
    /// A file.
    #[error("{what}")]
    Io {
        /// What could not be done.
        what: String,
        /// Why; names the path.
        #[source]
        source: std::io::Error,
    },
}

/// A line each, below what stands before.
fn listed(lines: &[String]) -> String {
    lines.iter().flat_map(|line| ["\n  ".to_owned(), line.trim_end().replace('\n', "\n  ")]).collect()
}

impl Error {
    /// Wraps an I/O error with what could not be done.
    pub(super) fn io(what: &str, source: std::io::Error) -> Self {
        Self::Io { what: what.to_owned(), source }
    }

    /// Returns the documented exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Cancelled { signal } => 128_u8.saturating_add(u8::try_from(*signal).unwrap_or_default()),
            Self::Tools(error) => error.exit_code(),
            Self::Missing { .. } | Self::Nothing { .. } | Self::Empty { .. } => 2,
            Self::Conflict { .. } | Self::Foreign { .. } | Self::Record { .. } => 3,
            Self::OldRpm { .. }
            | Self::Metadata { .. }
            | Self::Program(_)
            | Self::Lock(_)
            | Self::Template(_)
            | Self::Io { .. } => 4,
            Self::Key { .. } | Self::Signing { .. } | Self::NotSigned { .. } => 6,
            Self::Unproved { .. } | Self::Changed { .. } | Self::OtherMetadata { .. } | Self::Package(_) => 9,
        }
    }

    /// Returns what to do, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Nothing { .. } | Self::Empty { .. } => {
                "name the `--out` directories of builds, or one that they are all below".into()
            }
            Self::Unproved { .. } => "build it again with `kbuild ipvs`, and name the whole directory that it wrote (`--out`): the \
                 proof is in its manifest.json. `kbuild verify` looks at two of its levels only, so a package alone does not do"
                .into(),
            Self::Conflict { .. } => "give the new build another `--buildid`, so that both can be installed and told apart; \
                 `--replace` puts it in the place of a published one"
                .into(),
            Self::Foreign { .. } => "name another directory: dnf takes any number of repositories".into(),
            Self::Record { .. } => "use the kbuild that wrote it, or begin with another directory".into(),
            Self::Changed { .. } => {
                "remove that file and publish its results again with `--replace`; find out who changed it first".into()
            }
            Self::Key { .. } => {
                "`gpg --list-secret-keys` shows the keys that there are; `--sign-with` takes a fingerprint".into()
            }
            Self::OldRpm { .. } => "publish on a newer host, such as el8 or Debian: the packages are the same".into(),
            Self::Signing { .. } => "a key in a file must have no passphrase; for one that has, use `--sign-with` and a \
                 gpg-agent that knows it (gpg-preset-passphrase), or a terminal to ask at (`export GPG_TTY=$(tty)`)"
                .into(),
            Self::Tools(error) => return error.hint(),
            Self::Lock(lock::Error::Busy { .. }) => "wait for it to end".into(),
            _ => return None,
        })
    }
}
