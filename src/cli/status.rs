//! `kbuild status`: what a work directory holds, what its last run did, and what the next one would take from it.

use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use serde::Serialize;

use super::args::work::Status;
use super::render::Format;
use super::render::units::bytes;
use super::{Edge, Output, prepare};
use crate::error::Error;
use crate::pipeline::in_memory;
use crate::pipeline::ledger::{Built, Last};
use crate::pipeline::manifest::{StageRecord, Status as Outcome};
use crate::plan::Layout;
use crate::plan::signing::Certificate;
use crate::sys::{files, lock, pressure, probe, processes};

/// What is known of a work directory.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Known {
    work: PathBuf,
    /// Bytes that it takes.
    size: u64,
    /// The directory in memory that holds rpmbuild's trees, and the bytes that it takes.
    memory: Option<(PathBuf, u64)>,
    /// Bytes left on its file system.
    free: Option<u64>,
    /// Whether a kbuild works there now.
    busy: bool,
    /// Processes there that no kbuild watches.
    left_running: Vec<String>,
    last: Option<Last>,
    built: Option<Packages>,
    /// Bytes of it that the compile cache takes, if there is one.
    cache: Option<u64>,
    /// The certificate of the module-signing key that is kept here.
    signing: Option<Certificate>,
}

/// The packages that are there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Packages {
    finished: String,
    number: usize,
    /// One that is missing or is not what was built.
    damaged: Option<String>,
}

pub(super) fn run(edge: &Edge, args: &Status) -> Result<Output, Error> {
    let work = prepare::absolute(args.work.as_deref().unwrap_or(&probe::facts().default_work))?;
    let layout = Layout::of(&work);
    let Ok(mark) = fs_err::metadata(layout.lock()) else {
        let none = format!("no kbuild has worked in {}\n", layout.work.display());
        return Ok(Output::text(if edge.format == Format::Json { "null\n".into() } else { none }));
    };
    let busy = lock::held(&layout.lock());
    let running = if busy { Vec::new() } else { processes::at_home(&layout.home(), mark.uid()) };
    let built = Built::read(&layout).filter(|_| !busy).map(|built| Packages {
        damaged: built.damage(&layout),
        number: built.packages.len(),
        finished: built.finished,
    });
    let known = Known {
        size: files::size_of_tree(&layout.work),
        memory: in_memory::left(&layout, mark.uid()).map(|dir| (dir.clone(), files::size_of_tree(&dir))),
        free: pressure::room(&layout.work),
        busy,
        left_running: running.into_iter().map(|process| format!("{} ({})", process.name, process.pid)).collect(),
        last: Last::read(&layout),
        cache: layout.cache().is_dir().then(|| files::size_of_tree(&layout.cache())),
        signing: super::signing::kept(&layout.work),
        built,
        work: layout.work,
    };
    Ok(Output::text(match edge.format {
        Format::Json => serde_json::to_string(&known).unwrap_or_default() + "\n",
        Format::Human | Format::Plain => text(&known),
    }))
}

fn text(known: &Known) -> String {
    let mut text = String::new();
    let free = known.free.map(|free| format!(", {} left there", bytes(free))).unwrap_or_default();
    // Writing to a String does not fail.
    let _ = writeln!(text, "work      {} ({}{free})", known.work.display(), bytes(known.size));
    if let Some((dir, size)) = &known.memory {
        let _ = writeln!(text, "memory    {} in {}, which `kbuild clean` frees", bytes(*size), dir.display());
    }
    let now = match (known.busy, known.left_running.as_slice()) {
        (true, _) => "a kbuild works here".to_owned(),
        (false, []) => "nothing runs here".to_owned(),
        (false, left) => format!("left by a kbuild that was killed, and ended by the next: {}", left.join(", ")),
    };
    let _ = writeln!(text, "now       {now}");
    if let Some(last) = &known.last {
        let manifest = &last.manifest;
        let bits = manifest.request.bits;
        let _ = writeln!(text, "last      {} with {bits} bits, begun {}", manifest.nvr, manifest.started);
        for stage in &manifest.stages {
            let _ = writeln!(text, "  {}", line(stage, last.why.as_deref()));
        }
        let how = match &manifest.status {
            Outcome::Done => "done".to_owned(),
            Outcome::Running if known.busy => "running".to_owned(),
            Outcome::Running => "killed: it did not come to its end".to_owned(),
            Outcome::Failed { error, exit_code, .. } => {
                format!("failed (exit code {exit_code}): {}", error.lines().next().unwrap_or_default())
            }
        };
        let _ = writeln!(text, "  {how}");
        let _ = writeln!(text, "results   {}", last.out.display());
    }
    if let Some(cache) = known.cache {
        let _ = writeln!(
            text,
            "cache     {} of compiled files, which `kbuild clean` keeps without `--cache`",
            bytes(cache)
        );
    }
    if let Some(certificate) = &known.signing {
        let _ = writeln!(text, "sign key  {certificate}");
    }
    let next = match &known.built {
        Some(Packages { damaged: Some(package), finished, .. }) => {
            format!("builds anew: `{package}` is not what was built on {finished}")
        }
        Some(Packages { number, finished, damaged: None }) => {
            format!("takes the {number} packages built on {finished}, if nothing that they depend on has changed")
        }
        None if known.busy => return text,
        None => "builds: there are no packages to take".to_owned(),
    };
    let _ = writeln!(text, "next run  {next}");
    text
}

fn line(stage: &StageRecord, why: Option<&str>) -> String {
    let name = stage.stage.name();
    match (stage.taken, stage.failed) {
        (true, _) => format!("{name:8} taken from before"),
        (false, true) => format!("{name:8} failed after {:.1} s", stage.seconds),
        (false, false) => {
            let why = why.filter(|_| stage.stage == crate::event::Stage::Build).map(|why| format!(", {why}"));
            format!("{name:8} {:.1} s{}", stage.seconds, why.unwrap_or_default())
        }
    }
}
