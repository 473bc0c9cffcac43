//! What a work directory remembers of the last run, and of the packages that it holds.
//!
//! ```text
//! built.json     the fingerprint of the packages below RPMS, with their digests: written when rpmbuild has ended well,
//!                removed before anything there is touched
//! last.json      the last run: its manifest, where its results are, why it built anew
//! ```

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::manifest::{FileRecord, Manifest, ReleaseRecord};
use super::signing::Signed;
use super::{Error, Manner, build, compilers};
use crate::command::Command;
use crate::event::{Reporter, Stage};
use crate::plan::fingerprint::Fingerprint;
use crate::plan::{Layout, Plan, Step};
use crate::proof::Finding;
use crate::sys::{clock, files};

/// The version of both files' format; one of another version counts as not there.
const SCHEMA: u32 = 1;

/// The packages that a work directory holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Built {
    schema: u32,
    /// When they were finished (UTC, RFC 3339).
    pub finished: String,
    /// What they depend on.
    pub fingerprint: Fingerprint,
    /// The packages, by their path below the topdir.
    pub packages: Vec<FileRecord>,
    /// What the stages up to the build told the manifest.
    release: Option<ReleaseRecord>,
    promised: Vec<String>,
    proof: Vec<Finding>,
    #[serde(default)]
    signing: Option<Signed>,
}

/// The last run in a work directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Last {
    schema: u32,
    /// Where its results are.
    pub out: PathBuf,
    /// Why packages were built anew or taken from before; nothing where there was no choice.
    pub why: Option<String>,
    /// What it did.
    pub manifest: Manifest,
}

/// Where the packages of a run come from.
pub(super) enum Packages {
    /// An earlier run made them, of the same.
    Taken { built: Box<Built>, why: String },
    /// This run makes them.
    Made { why: Option<String> },
}

impl Packages {
    /// Decides whether the packages that are there are those that the plan would make, and says so.
    pub(super) fn choose(plan: &Plan, now: Option<&Fingerprint>, manner: &Manner, reporter: &dyn Reporter) -> Self {
        let layout = &plan.layout;
        let (Some(now), Some(built)) = (now, Built::read(layout)) else { return Self::Made { why: None } };
        let differences = built.fingerprint.differences(now);
        let against = if manner.fresh {
            Some("`--fresh` was given".to_owned())
        } else if differences.is_empty() {
            built.damage(layout).map(|package| format!("`{package}` is not what was built on {}", built.finished))
        } else {
            Some(format!("not the same as in the build of {}: {}", built.finished, differences.join(", ")))
        };
        if let Some(against) = against {
            let why = format!("built anew: {against}");
            reporter.note(why.clone());
            return Self::Made { why: Some(why) };
        }
        let why = format!("taken from the build of {}: nothing that they depend on has changed", built.finished);
        reporter.note(format!("the packages are {why}"));
        Self::Taken { built: Box::new(built), why }
    }

    /// Returns the reason, if there was a choice.
    pub(super) fn why(&self) -> Option<&str> {
        match self {
            Self::Taken { why, .. } => Some(why),
            Self::Made { why } => why.as_deref(),
        }
    }

    /// Whether a stage would only make again what is there.
    pub(super) fn make_needless(&self, stage: Stage) -> bool {
        matches!(self, Self::Taken { .. }) && matches!(stage, Stage::Unpack | Stage::Edit | Stage::Build)
    }
}

impl Built {
    /// Returns what a work directory holds, if there is something.
    #[must_use]
    pub fn read(layout: &Layout) -> Option<Self> {
        let built: Self = serde_json::from_slice(&fs_err::read(layout.built()).ok()?).ok()?;
        (built.schema == SCHEMA).then_some(built)
    }

    /// Names a package that is missing or is not what was built, if there is one.
    #[must_use]
    pub fn damage(&self, layout: &Layout) -> Option<String> {
        self.packages.iter().find_map(|package| {
            let found = files::sha256(&layout.topdir().join(&package.name));
            (found.as_ref().ok() != Some(&(package.size, package.sha256.clone()))).then(|| package.name.clone())
        })
    }

    /// Tells the manifest what the stages told it that are not repeated.
    pub(super) fn tell(&self, manifest: &mut Manifest) {
        manifest.release.clone_from(&self.release);
        manifest.promised.clone_from(&self.promised);
        manifest.proof.clone_from(&self.proof);
        manifest.signing.clone_from(&self.signing);
    }
}

/// Returns what the packages of a plan depend on, programs of this machine included, which are noted in the manifest.
pub(super) fn fingerprint(plan: &Plan, manifest: &mut Manifest) -> Option<Fingerprint> {
    let mut fingerprint = Fingerprint::of(plan)?;
    let bare = compilers::bare(&plan.layout, build_command(plan)?);
    build::tools(manifest, &bare);
    for (program, version) in &manifest.tools {
        fingerprint.add(program, version);
    }
    // What it calls itself stays the same through many updates.
    if let Some(identity) = compilers::identified(&bare).ok().flatten() {
        fingerprint.add("compiler", &identity);
    }
    if let Some(signed) = &manifest.signing {
        fingerprint.signed_with(&signed.certificate);
    }
    Some(fingerprint)
}

/// Returns the command that builds packages, if a plan has one.
#[must_use]
pub fn build_command(plan: &Plan) -> Option<&Command> {
    plan.steps.iter().find_map(|step| match step {
        Step::Build { command, .. } => Some(command),
        _ => None,
    })
}

/// Forgets the packages, because they are about to be touched.
pub(super) fn forget(layout: &Layout) -> Result<(), Error> {
    match fs_err::remove_file(layout.built()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}

/// Remembers the packages that were just built.
pub(super) fn remember(layout: &Layout, fingerprint: &Fingerprint, manifest: &Manifest) -> Result<(), Error> {
    let topdir = layout.topdir();
    let mut packages = Vec::new();
    for path in [layout.rpms(), layout.srpms()].iter().flat_map(|dir| files::with_ending(dir, ".rpm")) {
        let (size, sha256) = files::sha256(&path).map_err(failed)?;
        let name = path.strip_prefix(&topdir).unwrap_or(&path).display().to_string();
        packages.push(FileRecord { name, size, sha256 });
    }
    let built = Built {
        schema: SCHEMA,
        finished: clock::now(),
        fingerprint: fingerprint.clone(),
        packages,
        release: manifest.release.clone(),
        promised: manifest.promised.clone(),
        proof: manifest.proof.clone(),
        signing: manifest.signing.clone(),
    };
    write(&layout.built(), &built)
}

impl Last {
    /// Returns what is known of the last run, if there was one.
    #[must_use]
    pub fn read(layout: &Layout) -> Option<Self> {
        let last: Self = serde_json::from_slice(&fs_err::read(layout.last()).ok()?).ok()?;
        (last.schema == SCHEMA).then_some(last)
    }
}

/// Writes down how far the run is. Only `kbuild status` reads it, so a failure is no error.
pub(super) fn last(layout: &Layout, manifest: &Manifest, why: Option<&str>) {
    let (out, why) = (layout.out.clone(), why.map(str::to_owned));
    let _ = write(&layout.last(), &Last { schema: SCHEMA, out, why, manifest: manifest.clone() });
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
    files::replace_text(path, &text).map_err(failed)
}

fn failed(source: std::io::Error) -> Error {
    Error::io("the work directory's notes cannot be written", source)
}
