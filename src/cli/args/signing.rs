//! Arguments about the key that modules are signed with.

use std::path::PathBuf;

use clap::Args;

/// With which key the kernel's modules are signed.
#[derive(Debug, Clone, Default, Args)]
pub struct Signing {
    /// The private key that signs the modules (PEM, RSA, not encrypted), with `--sign-cert` [default: one that is made once
    /// and kept in the work directory; route module: none]
    #[arg(long, value_name = "FILE", requires = "sign_cert")]
    pub sign_key: Option<PathBuf>,
    /// Its certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "sign_key")]
    pub sign_cert: Option<PathBuf>,
    /// Keep no key: the kernel's build makes one for itself, as the distribution's does, so no two builds are the same
    #[arg(long, conflicts_with = "sign_key")]
    pub throw_away_key: bool,
    /// The work directory whose kept key counts, if it is another one.
    #[arg(skip)]
    pub kept_in: Option<PathBuf>,
}
