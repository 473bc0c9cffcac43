//! One cell of the report: what its record, its manifest and its instructions say.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::commands::{self, Commands};
use super::link;
use crate::event::Stage;
use crate::explain::Cause;
use crate::fleet::record::{LOG, RECORD, Record};
use crate::fleet::shard::Runner;
use crate::fleet::{Cell, State};
use crate::ipvs::bits::Bits;
use crate::ipvs::size::era::{self, Release, Word};
use crate::pipeline::manifest::{Manifest, Status};
use crate::plan::layout::{CERTIFICATE, INSTALL, MANIFEST, PROVENANCE, SBOM, SUMS, TRACE};
use crate::plan::routes::Route;
use crate::proof::{Finding, Verdict};

/// What is linked beside packages and logs, in this order.
const LINKED: [&str; 9] = [MANIFEST, LOG, INSTALL, SUMS, PROVENANCE, SBOM, CERTIFICATE, TRACE, RECORD];

/// What is in the place of a cell's results.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// What became of it.
    pub record: Option<Record>,
    /// What kbuild says of the build.
    pub manifest: Option<Manifest>,
    /// INSTALL.md.
    pub instructions: Option<String>,
    /// The names of all files there, below the cell's directory.
    pub names: Vec<String>,
}

/// A cell with all that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// The release, or the source package.
    pub source: String,
    /// The recipe that covers it, if its name tells.
    pub recipe: Option<String>,
    /// The table.
    pub bits: Bits,
    /// 2^bits.
    pub buckets: u64,
    /// Bytes of a bucket of such a kernel, if its release tells.
    pub bucket_bytes: Option<u64>,
    /// Architecture; nothing if that of the machine was asked for and nothing was built.
    pub arch: Option<String>,
    /// The route as it was asked for.
    pub route: String,
    /// The route that was taken.
    pub taken: Option<Route>,
    /// How far it is.
    pub state: State,
    /// What is behind that, in one line.
    pub why: Option<String>,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// The five levels of the proof; empty if nothing was built.
    pub proof: Vec<Level>,
    /// Name, version and release of the kernel, or of the one package.
    pub nvr: Option<String>,
    /// What `uname -r` says of it.
    pub uname_r: Option<String>,
    /// The packages.
    pub packages: Vec<Package>,
    /// Bytes of all packages.
    pub bytes: u64,
    /// How often it was begun with the same inputs; 0 if it never was.
    pub attempt: u32,
    /// When it was begun the last time (UTC, RFC 3339).
    pub started: Option<String>,
    /// How long it took, in seconds.
    pub seconds: Option<f64>,
    /// What it took of processors, in seconds, as far as that was measured.
    pub cpu_seconds: Option<f64>,
    /// Its stages.
    pub stages: Vec<StageTook>,
    /// What a cache of compilations did, if there was one.
    pub cache: Option<Cache>,
    /// Who ran it, if an engine did.
    pub runner: Option<Runner>,
    /// The directory of its results.
    pub dir: PathBuf,
    /// Its files, but for packages.
    pub links: Vec<Link>,
    /// What INSTALL.md says of installing and rolling back.
    pub commands: Commands,
    /// The call of kbuild that builds it, quoted for a shell, without passwords.
    pub command: String,
}

/// Why a cell failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Failure {
    /// The exit code of kbuild.
    pub exit_code: i32,
    /// Its words.
    pub error: String,
    /// What stopped the build, if its output shows a known cause.
    pub cause: Option<Cause>,
}

/// One level of the proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Level {
    /// 1 to 5.
    pub level: u8,
    /// What came of it.
    pub is: Standing,
    /// How many things were looked at.
    pub findings: usize,
    /// What was seen in the first one that is as asked.
    pub evidence: Option<String>,
    /// What is not as asked.
    pub differs: Vec<String>,
    /// What could not be looked at, and why.
    pub not_checked: Vec<String>,
}

/// What came of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// All that was looked at is as asked.
    Holds,
    /// Something is not.
    Differs,
    /// Something could not be looked at; never counts as passed.
    NotChecked,
    /// Nothing was looked at: it is no part of such a build, or that did not get so far.
    None,
}

impl Standing {
    /// The words for it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Differs => "differs",
            Self::NotChecked => "not checked",
            Self::None => "not looked at",
        }
    }
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Package {
    /// Its file.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// Where it is from the page, if it is there.
    pub href: Option<String>,
}

/// One stage of a build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StageTook {
    /// Which.
    pub stage: Stage,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What it took of processors, in seconds, if that was measured.
    pub cpu_seconds: Option<f64>,
    /// Whether what it makes was taken from an earlier run instead.
    pub taken: bool,
}

/// What a cache of compilations did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cache {
    /// Compilations that were taken from it.
    pub hits: u64,
    /// Compilations that were not in it.
    pub misses: u64,
    /// Files of an earlier kernel's tree that were put back instead of being made again.
    pub put_back: Option<u64>,
    /// Why there were so few hits.
    pub why: Option<String>,
}

/// A file of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Link {
    /// Its name below the cell's directory.
    pub name: String,
    /// Where it is from the page; nothing if the page is elsewhere.
    pub href: Option<String>,
}

impl Entry {
    /// Puts together what is known of a cell. `command` is the call of kbuild that would be made now, `dir` the directory of its results, and
    /// `way` that from the page to there, as [`link::way`] gives it.
    #[must_use]
    pub fn new(cell: &Cell, state: State, command: String, found: Found, dir: &Path, way: Option<&str>) -> Self {
        let Found { record, manifest, instructions, names } = found;
        // One that was refused at once left the manifest of an earlier attempt, which says nothing of it.
        let manifest =
            manifest.filter(|manifest| record.as_ref().is_some_and(|record| manifest.started >= record.started));
        let href = |name: &str| way.map(|way| format!("{way}{}", link::encoded(name.as_bytes())));
        let arch = cell.arch.clone().or_else(|| Some(manifest.as_ref()?.request.arch.clone()));
        let times = manifest.as_ref().and_then(|manifest| manifest.times.as_ref());
        let stages = times.map(|times| times.stages.as_slice()).unwrap_or_default();
        let packages: Vec<Package> = manifest
            .iter()
            .flat_map(|manifest| &manifest.files)
            .filter(|file| Path::new(&file.name).extension().is_some_and(|ending| ending == "rpm"))
            .map(|file| {
                let is_there = names.contains(&file.name);
                Package {
                    name: file.name.clone(),
                    bytes: file.size,
                    sha256: file.sha256.clone(),
                    href: href(&file.name).filter(|_| is_there),
                }
            })
            .collect();
        let is_built = manifest.as_ref().is_some_and(|manifest| manifest.status == Status::Done);
        Self {
            name: cell.name.clone(),
            group: cell.group.clone(),
            source: cell.source.to_string(),
            recipe: cell.recipe.clone().or_else(|| Some(manifest.as_ref()?.recipe.name.clone())),
            bits: cell.bits,
            buckets: cell.bits.buckets(),
            bucket_bytes: bucket_bytes(cell, arch.as_deref()),
            arch,
            route: cell.route.clone(),
            taken: manifest.as_ref().map(|manifest| manifest.route),
            why: state.why(),
            failure: failure(&state, manifest.as_ref()),
            state,
            proof: manifest.as_ref().map(|manifest| levels(&manifest.proof)).unwrap_or_default(),
            nvr: manifest.as_ref().map(|manifest| manifest.nvr.clone()),
            uname_r: manifest.as_ref().map(|manifest| manifest.uname_r.clone()),
            bytes: packages.iter().map(|package| package.bytes).sum(),
            packages,
            attempt: record.as_ref().map_or(0, |record| record.attempt),
            started: record.as_ref().map(|record| record.started.clone()),
            seconds: record.as_ref().map(|record| record.seconds).filter(|seconds| *seconds > 0.0),
            cpu_seconds: stages.iter().filter_map(|stage| stage.cpu_seconds).reduce(|sum, each| sum + each),
            stages: stages
                .iter()
                .map(|stage| StageTook {
                    stage: stage.stage,
                    seconds: stage.seconds,
                    cpu_seconds: stage.cpu_seconds,
                    taken: stage.taken,
                })
                .collect(),
            cache: manifest.as_ref().and_then(cache),
            runner: record.as_ref().and_then(|record| record.runner.clone()),
            dir: dir.to_owned(),
            links: linked(&names).into_iter().map(|name| Link { href: href(&name), name }).collect(),
            commands: instructions.filter(|_| is_built).map(|text| commands::of(&text)).unwrap_or_default(),
            command: record.map_or(command, |record| record.command),
        }
    }
}

fn failure(state: &State, manifest: Option<&Manifest>) -> Option<Failure> {
    let State::Failed { exit_code, error } = state else { return None };
    let cause = manifest.and_then(|manifest| match &manifest.status {
        Status::Failed { cause, .. } => cause.as_deref().cloned(),
        Status::Running | Status::Done => None,
    });
    Some(Failure { exit_code: *exit_code, error: error.clone(), cause })
}

fn cache(manifest: &Manifest) -> Option<Cache> {
    let compiled = manifest.compiled.as_ref()?;
    let statistics = compiled.statistics.as_ref();
    Some(Cache {
        hits: statistics.map_or(0, |statistics| statistics.hits),
        misses: statistics.map_or(0, |statistics| statistics.misses),
        put_back: compiled.put_back,
        why: compiled.why.clone(),
    })
}

/// Returns the bytes of a bucket of a kernel, if its release tells of which age it is.
fn bucket_bytes(cell: &Cell, arch: Option<&str>) -> Option<u64> {
    let release: Release = cell.source.word().parse().ok()?;
    let word = arch.and_then(Word::of).or_else(|| release.word()).unwrap_or(Word::Bits64);
    Some(era::of(&release).bucket.on(word))
}

/// Returns the five levels of a proof.
#[must_use]
pub fn levels(proof: &[Finding]) -> Vec<Level> {
    (1..=5)
        .map(|number| {
            let mut level = Level {
                level: number,
                is: Standing::None,
                findings: 0,
                evidence: None,
                differs: Vec::new(),
                not_checked: Vec::new(),
            };
            for finding in proof.iter().filter(|finding| finding.level == number) {
                level.findings += 1;
                match &finding.verdict {
                    Verdict::Holds { evidence } => {
                        level.evidence.get_or_insert_with(|| format!("{}: {evidence}", finding.subject));
                    }
                    Verdict::Differs { expected, found } => {
                        level.differs.push(format!("{}: expected {expected}, found {found}", finding.subject));
                    }
                    Verdict::NotChecked { why } => level.not_checked.push(format!("{}: {why}", finding.subject)),
                }
            }
            level.is = match (level.findings, level.differs.is_empty(), level.not_checked.is_empty()) {
                (0, ..) => Standing::None,
                (_, false, _) => Standing::Differs,
                (_, true, false) => Standing::NotChecked,
                (_, true, true) => Standing::Holds,
            };
            level
        })
        .collect()
}

/// Returns the files that are linked, of those that are there: those with a name of their own, then the logs.
fn linked(names: &[String]) -> Vec<String> {
    let is_there = |name: &&str| names.iter().any(|each| each == name);
    let mut linked: Vec<String> = LINKED.iter().copied().filter(is_there).map(str::to_owned).collect();
    let mut logs: Vec<String> = names.iter().filter(|name| name.starts_with("logs/")).cloned().collect();
    logs.sort();
    linked.append(&mut logs);
    linked
}
