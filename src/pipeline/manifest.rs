//! manifest.json: what was asked, what it was made from, what was done, what came out, and the proof.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::out::Out;
use super::signing::Signed;
use super::{Error, compilers};
use crate::edit::Change;
use crate::edit::config::Setting;
use crate::event::Stage;
use crate::explain::Cause;
use crate::ipvs::bits::Bits;
use crate::plan::layout::MANIFEST;
use crate::plan::request::{Mode, ProfileName};
use crate::plan::step::Edit;
use crate::plan::{ModuleUsed, Plan, RecipeUsed, ReleaseUsed, Route, SourceUsed, Step};
use crate::proof::Finding;
use crate::sys::clock;
use crate::times::Times;

/// The version of the manifest's format.
pub const SCHEMA: u32 = 1;

/// The content of manifest.json.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    /// Version of this format.
    pub schema: u32,
    /// Version of kbuild.
    pub kbuild: String,
    /// How far the run got.
    pub status: Status,
    /// When it began (UTC, RFC 3339).
    pub started: String,
    /// The way that was taken.
    pub route: Route,
    /// What was asked.
    pub request: Asked,
    /// Name, version and release of the kernel, or of the one package.
    pub nvr: String,
    /// How its release was known, if it is a kernel of our own.
    pub release: Option<ReleaseRecord>,
    /// What its `uname -r` says.
    pub uname_r: String,
    /// The recipe.
    pub recipe: RecipeUsed,
    /// The source package, if one was used.
    pub source: Option<SourceUsed>,
    /// What `ip_vs.ko` alone was built from, if that was the route.
    #[serde(default)]
    pub module: Option<ModuleUsed>,
    /// With which key modules were signed, if that was not left to the kernel's build.
    #[serde(default)]
    pub signing: Option<Signed>,
    /// The edits, line by line.
    pub edits: Vec<EditRecord>,
    /// The building user.
    pub user: String,
    /// Programs and what they call themselves.
    pub tools: BTreeMap<String, String>,
    /// How it was compiled, if not by the compiler alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiled: Option<compilers::Record>,
    /// The stages so far.
    pub stages: Vec<StageRecord>,
    /// Where the time of the whole run went, once it has ended.
    #[serde(default)]
    pub times: Option<Times>,
    /// The proof so far.
    pub proof: Vec<Finding>,
    /// Packages that the spec said it would make; empty where it could not be asked.
    pub promised: Vec<String>,
    /// The results, in order of name.
    pub files: Vec<FileRecord>,
    /// The command line that asks for the same again.
    pub reproduce: String,
}

/// How the release was known before the build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReleaseRecord {
    /// When it was planned.
    pub planned: ReleaseUsed,
    /// What rpm said of the edited spec; nothing where it could not read it.
    pub asked: Option<String>,
}

/// How far a run got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Status {
    /// Not to its end; if nothing is running, it was killed.
    Running,
    /// To its end.
    Done,
    /// A stage failed.
    Failed {
        /// Why.
        error: String,
        /// The exit code of kbuild.
        exit_code: u8,
        /// What stopped the build, if its output shows a known cause.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Box<Cause>>,
    },
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Asked {
    /// The value.
    pub bits: Bits,
    /// Architecture.
    pub arch: String,
    /// `bb` or `ba`.
    pub mode: Mode,
    /// Which packages.
    pub profile: ProfileName,
    /// All options that the configs must show.
    pub settings: Vec<Setting>,
}

/// One edited file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EditRecord {
    /// The file.
    pub file: String,
    /// Its SHA-256 afterwards.
    pub sha256: String,
    /// The lines that changed.
    pub changes: Vec<Change>,
    /// What was done.
    pub edits: Vec<Edit>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StageRecord {
    /// Which.
    pub stage: Stage,
    /// How long it took.
    pub seconds: f64,
    /// Whether it failed.
    pub failed: bool,
    /// Whether what it makes was taken from an earlier run instead.
    #[serde(default)]
    pub taken: bool,
}

/// One result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileRecord {
    /// Its name below the directory of results.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: String,
}

impl Manifest {
    /// Returns the manifest of a run that begins now.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let edits = plan.steps.iter().find_map(|step| match step {
            Step::Edit { edits } => Some(edits.as_slice()),
            _ => None,
        });
        let settings = plan.steps.iter().find_map(|step| match step {
            Step::Build { gate, .. } => Some(gate.expected.clone()),
            Step::Pack { settings, .. } => Some(settings.clone()),
            _ => None,
        });
        Self {
            schema: SCHEMA,
            kbuild: plan.kbuild.clone(),
            status: Status::Running,
            started: clock::now(),
            route: plan.route,
            request: Asked {
                bits: plan.bits,
                arch: plan.arch.clone(),
                mode: plan.mode,
                profile: plan.profile,
                settings: settings.unwrap_or_default(),
            },
            nvr: plan.nvr.to_string(),
            release: plan.release.clone().map(|planned| ReleaseRecord { planned, asked: None }),
            uname_r: plan.uname_r.clone(),
            recipe: plan.recipe.clone(),
            source: plan.source.clone(),
            module: plan.module.clone(),
            signing: None,
            edits: edits
                .unwrap_or_default()
                .iter()
                .map(|edit| EditRecord {
                    file: edit.file.clone(),
                    sha256: edit.sha256.clone(),
                    changes: edit.changes.clone(),
                    edits: edit.edits.clone(),
                })
                .collect(),
            user: plan.user.name.clone(),
            tools: BTreeMap::new(),
            compiled: None,
            stages: Vec::new(),
            times: None,
            proof: Vec::new(),
            promised: Vec::new(),
            files: Vec::new(),
            reproduce: plan.reproduce.clone(),
        }
    }

    /// Returns the manifest that an earlier run left among its results, if there is one.
    #[must_use]
    pub fn read(out: &Path) -> Option<Self> {
        serde_json::from_slice(&fs_err::read(out.join(MANIFEST)).ok()?).ok()
    }

    /// Notes a result.
    pub fn add(&mut self, name: &str, (size, sha256): (u64, String)) {
        self.files.retain(|file| file.name != name);
        self.files.push(FileRecord { name: name.to_owned(), size, sha256 });
        self.files.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Puts the manifest among the results, in place of the earlier one.
    pub(super) fn write(&self, out: &mut dyn Out) -> Result<(), Error> {
        let failed = |source| Error::io("the manifest cannot be written", source);
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        out.put(MANIFEST, text.len() as u64, &mut text.as_slice()).map_err(failed)?;
        Ok(())
    }
}
