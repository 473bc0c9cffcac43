//! Why the route `module` is not taken although IPVS is a module.

use crate::ipvs::module::Unsuitable;
use crate::plan::devel;
use crate::plan::template;

/// Why there is no plan for `ip_vs.ko` alone.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel is not one for this.
    #[error("`ip_vs.ko` alone cannot be built for `{nvr}`")]
    Unsuitable {
        /// The kernel.
        nvr: String,
        /// Why.
        #[source]
        source: Unsuitable,
    },
    /// The kernel-devel is not the right one, or not whole.
    #[error(transparent)]
    Devel(#[from] devel::Error),
    /// There is no kernel-devel.
    #[error("the route `module` needs the kernel-devel of `{nvr}`")]
    NoDevel {
        /// The kernel.
        nvr: String,
    },
    /// A patch of the source package changes IPVS, and the spec does not say when it is applied.
    #[error("`{patch}` changes IPVS, and no line of `{spec}` says how it is applied")]
    Unapplied {
        /// The patch.
        patch: String,
        /// The spec.
        spec: String,
    },
    /// A patch of the source package moves files of IPVS.
    #[error("`{patch}` renames or copies `{path}`, which cannot be done to IPVS alone")]
    Rename {
        /// The patch.
        patch: String,
        /// The file.
        path: String,
    },
    /// Headers that IPVS includes are nowhere.
    #[error("IPVS includes {}, which neither `{devel}` nor the kernel's tarball has", list(headers))]
    NoHeaders {
        /// The headers.
        headers: Vec<String>,
        /// The kernel-devel.
        devel: String,
    },
    /// The machine cannot compile for another.
    #[error("a module for {arch} cannot be compiled on {host}: it takes the kernel's own compiler")]
    Cross {
        /// What was asked for.
        arch: String,
        /// This machine.
        host: String,
    },
    /// The kernel's modules are signed in a way that kbuild does not do.
    #[error("`{devel}` has no scripts/sign-file, and modules of Linux {version} are signed in another way")]
    Unsignable {
        /// The kernel-devel.
        devel: String,
        /// The kernel's version.
        version: String,
    },
    /// A boot was asked for, and the kernel to boot is not there.
    #[error("`--boot` needs the distribution's own kernel: this route builds none")]
    NothingToBoot,
    /// The requirement of a recipe, or a template, gives no text.
    #[error("the package's files cannot be written")]
    Template(#[from] template::Error),
}

fn list(headers: &[String]) -> String {
    headers.iter().map(|header| format!("<{header}>")).collect::<Vec<_>>().join(", ")
}

impl Error {
    /// Returns what to do, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unsuitable { .. } | Self::Rename { .. } => "`--route kernel` builds all of it".into(),
            Self::Devel(error) => return error.hint(),
            Self::NoDevel { .. } => "pass it as `--kernel-devel RPM|DIR`, or name a mirror that has it".into(),
            Self::Unapplied { .. } => {
                "`--route kernel` lets the spec apply it; kbuild does not guess whether it counts".into()
            }
            Self::NoHeaders { .. } => "is the source package that of this kernel-devel?".into(),
            Self::Cross { arch, .. } => format!("run kbuild on {arch}, or in an emulated container of it"),
            Self::Unsignable { .. } => {
                "leave out `--sign-key`: these kernels load modules that are not signed, unless told not to".into()
            }
            Self::NothingToBoot => "pass the distribution's kernel packages as `--kernel RPM`".into(),
            Self::Template(_) => return None,
        })
    }

    /// Returns the documented exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unsuitable { .. } | Self::NoHeaders { .. } | Self::NothingToBoot => 3,
            Self::Devel(error) => error.exit_code(),
            Self::Cross { .. } | Self::Unsignable { .. } => 4,
            Self::NoDevel { .. } => 5,
            Self::Unapplied { .. } | Self::Rename { .. } => 7,
            Self::Template(_) => 70,
        }
    }
}
