//! What came of a publication, as data.

use std::path::PathBuf;

use serde::Serialize;

use super::Run;
use super::change::{Changes, Next};
use super::record::{Build, Record};
use crate::edit::spec::compare_versions;
use crate::ipvs::bits::Bits;
use crate::rpm::nvr::Nvr;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The repository.
    pub dir: PathBuf,
    /// Whether it was only said what would change.
    pub dry_run: bool,
    /// Whether there is new metadata, or would be.
    pub changed: bool,
    /// How many times something was published here.
    pub generation: u64,
    /// The primary fingerprint of the key that signs.
    pub key: Option<String>,
    /// Files of packages that came.
    pub added: Vec<String>,
    /// Files of packages that took the place of others.
    pub replaced: Vec<String>,
    /// Files of packages that were there and have got another signature.
    pub resigned: Vec<String>,
    /// Files of packages that went, with their releases.
    pub pruned: Vec<String>,
    /// Files of packages of releases that are too old to come.
    pub too_old: Vec<String>,
    /// Packages that builds have in common, and which one was not taken.
    pub left_out: Vec<String>,
    /// How many packages there are that were there before.
    pub unchanged: usize,
    /// The kernels that are there, oldest first.
    pub kernels: Vec<Kernel>,
    /// The file for /etc/yum.repos.d.
    pub repo_file: PathBuf,
    /// Where clients find that.
    pub repo_url: String,
}

/// A kernel, or what sets the table of one, that is there to be installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kernel {
    /// What dnf is told to install.
    pub nvr: Nvr,
    /// Architecture.
    pub arch: String,
    /// The table's bits.
    pub bits: Bits,
    /// Whether it came now.
    pub new: bool,
}

impl Run<'_> {
    /// Tells what a publication does.
    pub(super) fn report(&self, changes: &Changes, there: Option<&Record>, anew: bool) -> Report {
        let files =
            |wanted: fn(&Next) -> Option<&String>| changes.packages.iter().filter_map(wanted).cloned().collect();
        let added: Vec<String> = files(|next| match next {
            Next::Comes(offer, _) => Some(&offer.file),
            _ => None,
        });
        let new = |build: &Build| there.is_none_or(|record| !record.builds.contains_key(&build.id()));
        let kernels = changes.builds.values().map(|build| Kernel {
            nvr: build.nvr.clone(),
            arch: build.arch.clone(),
            bits: build.bits,
            new: new(build),
        });
        let mut kernels: Vec<Kernel> = kernels.collect();
        kernels.sort_by(|a, b| {
            let text = |kernel: &Kernel| format!("{}-{}", kernel.nvr.version, kernel.nvr.release);
            let versions = compare_versions(&text(a), &text(b));
            a.nvr.name.cmp(&b.nvr.name).then(versions).then(a.arch.cmp(&b.arch))
        });
        let before = there.map_or(0, |record| record.generation);
        Report {
            dir: self.asked.dir.clone(),
            dry_run: self.asked.dry_run,
            changed: anew,
            generation: before + u64::from(anew),
            key: self.signer.map(|signer| signer.fingerprint.clone()),
            added,
            replaced: files(|next| match next {
                Next::Replaces(offer, ..) => Some(&offer.file),
                _ => None,
            }),
            resigned: files(|next| match next {
                Next::Resign(package) => Some(&package.file),
                _ => None,
            }),
            pruned: changes.pruned.iter().map(|package| package.file.clone()).collect(),
            too_old: changes.too_old.clone(),
            left_out: changes.left_out.clone(),
            unchanged: changes.packages.iter().filter(|next| matches!(next, Next::Stays(_))).count(),
            kernels,
            repo_file: self.asked.dir.join(self.asked.reach.repo_file()),
            repo_url: self.asked.reach.repo_url(),
        }
    }
}
