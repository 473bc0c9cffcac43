//! The programs that a publication takes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Error, Signing, signer};
use crate::plan;
use crate::sys::probe;

/// Where the programs are, and what they are told of the user's keys.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) createrepo: PathBuf,
    modifyrepo: Option<PathBuf>,
    /// Nothing that can be run where nothing is signed.
    pub(super) gpg: PathBuf,
    pub(super) gpgconf: Option<PathBuf>,
    pub(super) rpmsign: PathBuf,
    pub(super) env: BTreeMap<String, String>,
}

impl Programs {
    /// Finds them.
    ///
    /// # Errors
    /// Some are missing: all of those at once; or rpmsign is too old.
    pub(super) fn find(signing: &Signing) -> Result<Self, Error> {
        let env = probe::for_gpg();
        let path = env.get("PATH").cloned().unwrap_or_default();
        let mut missing = Vec::new();
        // createrepo is the first of its name, in Python; el7 and older have it.
        let createrepo = probe::tool(&path, "createrepo_c").or_else(|| probe::tool(&path, "createrepo"));
        let mut need = |found: Option<PathBuf>, name: &str| {
            if found.is_none() {
                missing.push(name.to_owned());
            }
            found.unwrap_or_default()
        };
        let createrepo = need(createrepo, "createrepo_c");
        let signs = *signing != Signing::Unsigned;
        let mut to_sign = |name| if signs { need(probe::tool(&path, name), name) } else { PathBuf::new() };
        let (gpg, rpmsign) = (to_sign("gpg"), to_sign("rpmsign"));
        if !missing.is_empty() {
            return Err(plan::Error::NoTools { programs: missing }.into());
        }
        let of_the_same_make = if is_c(&createrepo) { "modifyrepo_c" } else { "modifyrepo" };
        let programs = Self {
            modifyrepo: probe::tool(&path, of_the_same_make),
            createrepo,
            gpg,
            gpgconf: probe::tool(&path, "gpgconf"),
            rpmsign,
            env,
        };
        if signs {
            signer::check_rpmsign(&programs)?;
        }
        Ok(programs)
    }

    /// Returns what puts more into metadata.
    ///
    /// # Errors
    /// It is missing.
    pub(super) fn modifyrepo(&self) -> Result<&Path, Error> {
        let missing = || plan::Error::NoTools { programs: vec!["modifyrepo_c".into()] }.into();
        self.modifyrepo.as_deref().ok_or_else(missing)
    }
}

/// Whether a createrepo is the one in C.
pub(super) fn is_c(createrepo: &Path) -> bool {
    createrepo.file_name().is_some_and(|name| name.to_string_lossy().ends_with("_c"))
}
