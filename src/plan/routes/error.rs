//! Why a route is not taken.

use super::Route;
use crate::plan::template;

/// Why a route is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not lead to the table that was asked for.
    #[error("the route `{route}` does not work for this: {why}")]
    Fails {
        /// The route.
        route: Route,
        /// Why not.
        why: String,
        /// The cheapest that works.
        instead: Option<Route>,
    },
    /// It needs the source package, and only a name is at hand.
    #[error("the route `{route}` needs the source package of {nvr}")]
    NeedsSource {
        /// The route.
        route: Route,
        /// The kernel.
        nvr: String,
    },
    /// Only root can install into the running system.
    #[error("`{me}` cannot install a kernel into `/`: only root can")]
    InstallNeedsRoot {
        /// Who started kbuild.
        me: String,
    },
    /// A tree is compiled for the machine that it is on.
    #[error("a tree for `{arch}` cannot be compiled and installed on `{here}`")]
    Cross {
        /// The architecture asked for.
        arch: String,
        /// The machine's.
        here: String,
    },
    /// The route `module`, and why not.
    #[error(transparent)]
    Module(#[from] super::module::Error),
    /// A template of the program's own gives no text.
    #[error("the file that `templates/{name}` describes cannot be written")]
    Template {
        /// The template.
        name: String,
        /// Why.
        #[source]
        source: template::Error,
    },
}

impl Error {
    /// Returns what to do, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Fails { instead, .. } => {
                let instead = (*instead)?;
                format!("`--route {instead}` works; `kbuild plan --route {instead}` compares all of them")
            }
            Self::InstallNeedsRoot { .. } => {
                "start kbuild as root (it compiles as another user), name another root with `--install-root DIR`, or leave \
                 out `--install`"
                    .into()
            }
            Self::Cross { .. } => "leave out `--install`, or build packages with `--route kernel`".into(),
            Self::Module(error) => return error.hint(),
            Self::Template { .. } => return None,
            Self::NeedsSource { .. } => "pass it as `--srpm FILE|URL`, or let it be fetched with `--release R`".into(),
        })
    }

    /// Returns the documented exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Fails { .. } | Self::NeedsSource { .. } | Self::Cross { .. } => 3,
            Self::InstallNeedsRoot { .. } => 4,
            Self::Module(error) => error.exit_code(),
            // The program's own templates are tested: a bug.
            Self::Template { .. } => 70,
        }
    }
}
