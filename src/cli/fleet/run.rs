//! `kbuild fleet run`: each cell is a call of `kbuild ipvs` of its own, so that one that fails takes no other with it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::overview::Contents;
use crate::cli::args::fleet::Run;
use crate::cli::render::Format;
use crate::cli::{Edge, Output};
use crate::command::Command;
use crate::error::{Error, FailedCell};
use crate::fleet::inputs::Inputs;
use crate::fleet::record::{LOG, Record, SCHEMA, Status};
use crate::fleet::{Cell, Fleet, State, shard};
use crate::pipeline::manifest::{Manifest, Status as Outcome};
use crate::sys::exec::{self, End, Flow, Moment};
use crate::sys::signal::Cancel;
use crate::sys::{clock, files, lock, stand_in};

/// How the program that runs is started once more.
const SELF: &str = "/proc/self/exe";

pub(super) fn run(edge: &Edge, fleet: &Fleet, what: &Run) -> Result<Output, Error> {
    let (cells, shard) = super::chosen(fleet, &what.part)?;
    let work = super::work(fleet, what.work.as_deref())?;
    // Those that run at the same time on one machine have places of their own.
    let place = |cell: &Cell| match (shard, what.part.cell.is_empty()) {
        (Some(shard), _) => work.join(format!("shard-{}-of-{}", shard.index(), shard.of())),
        (None, false) => work.join(&cell.name),
        (None, true) => work.clone(),
    };
    let host = |source| Error::Host { what: "cannot watch for signals".into(), source };
    let cancel = Cancel::install().map_err(host)?;
    let mut contents = Contents::new()?;
    let mut failed: Vec<FailedCell> = Vec::new();
    let mut text = String::new();
    let of = cells.len();
    for (index, cell) in cells.iter().enumerate() {
        let inputs = contents.inputs(cell);
        let state = State::of(cell, &inputs, &fleet.out);
        let line = if state.is_done() && !what.again {
            edge.reporter.note(format!("{} of {of}: {} is done", index + 1, cell.name));
            line(edge.format, cell, "taken", None)
        } else {
            let why = state.why().map(|why| format!(" ({why})")).unwrap_or_default();
            edge.reporter.note(format!("{} of {of}: {} is built: {}{why}", index + 1, cell.name, state.word()));
            let status = one(edge, fleet, cell, &inputs, &state, &place(cell), &cancel)?;
            if let Some(signal) = cancel.signal() {
                return Err(crate::pipeline::Error::Cancelled { signal }.into());
            }
            match status {
                Status::Failed { exit_code, error } => {
                    let line = line(edge.format, cell, "failed", Some(&error));
                    failed.push(FailedCell { name: cell.name.clone(), exit_code, error });
                    line
                }
                _ => line(edge.format, cell, "done", None),
            }
        };
        text.push_str(&line);
    }
    let error = (!failed.is_empty()).then_some(Error::Cells { failed, of });
    Ok(Output { text, error })
}

/// One line for what became of a cell.
fn line(format: Format, cell: &Cell, how: &str, why: Option<&str>) -> String {
    if format == Format::Json {
        return serde_json::json!({ "cell": cell.name, "status": how, "error": why }).to_string() + "\n";
    }
    let why = why.and_then(|why| why.lines().next()).map(|why| format!("  {why}")).unwrap_or_default();
    format!("{:7} {}{why}\n", how, cell.name)
}

/// Builds one cell, and writes down what became of it.
fn one(
    edge: &Edge,
    fleet: &Fleet,
    cell: &Cell,
    inputs: &Inputs,
    state: &State,
    work: &Path,
    cancel: &Cancel,
) -> Result<Status, Error> {
    let dir = cell.out(&fleet.out);
    let failed = |source| Error::Host { what: format!("the results of {} cannot be written", cell.name), source };
    let aside = aside(&dir);
    if matches!(state, State::Changed { .. }) {
        // Results of another kernel are not written over: they stay until the new ones are there.
        files::remove_tree(&aside).map_err(failed)?;
        fs_err::rename(&dir, &aside).map_err(failed)?;
    }
    fs_err::create_dir_all(&dir).map_err(failed)?;
    // Two that were given the same cell: the second one finds it done.
    let lock = lock::wait(&dir.join(".kbuild-cell-lock"), &mut || {
        edge.reporter.note(format!("waiting for another kbuild that builds {}", cell.name));
    });
    let _lock = lock.map_err(crate::pipeline::Error::from)?;
    if !matches!(state, State::Done) && State::of(cell, inputs, &fleet.out).is_done() {
        edge.reporter.note(format!("another kbuild has built {}", cell.name));
        return Ok(Status::Done);
    }
    let earlier = Record::read(&dir).filter(|record| record.inputs == *inputs);
    let mut command = cell.command(work, &fleet.out);
    if matches!(state, State::Begun) {
        command.push("--resume-build".into());
    }
    let mut record = Record {
        schema: SCHEMA,
        kbuild: env!("CARGO_PKG_VERSION").into(),
        cell: cell.clone(),
        inputs: inputs.clone(),
        command: super::shown(&command),
        runner: shard::runner(&stand_in::environment()),
        attempt: earlier.map_or(0, |earlier| earlier.attempt) + 1,
        started: clock::now(),
        seconds: 0.0,
        status: Status::Running,
    };
    record.write(&dir).map_err(failed)?;
    let started = Instant::now();
    record.status = built(edge, command, &dir, cancel)?;
    record.seconds = (started.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    record.write(&dir).map_err(failed)?;
    if record.status == Status::Done {
        files::remove_tree(&aside).map_err(failed)?;
    }
    Ok(record.status)
}

/// Where results are put aside that are to be replaced.
fn aside(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".replaced");
    dir.with_file_name(name)
}

/// Runs `kbuild ipvs`, and passes on what it says.
fn built(edge: &Edge, mut words: Vec<String>, dir: &Path, cancel: &Cancel) -> Result<Status, Error> {
    let failed = |source| Error::Host { what: "what a build says cannot be kept".into(), source };
    let here = || stand_in::directory().unwrap_or_else(|_| "/".into());
    words.push("--format=plain".into());
    let command = Command::new(SELF).args(words).with_env(stand_in::environment()).in_dir(here());
    let mut log = fs_err::File::create(dir.join(LOG)).map_err(failed)?;
    let began = clock::now();
    let mut last: Option<String> = None;
    let quiet = edge.is_quiet;
    let end = exec::watch(&command, cancel, |moment| {
        if let Moment::Line(line) = moment {
            // A log on a full disk ends no build.
            let _ = writeln!(log, "{line}");
            if let Some(error) = line.strip_prefix("error: ") {
                last = Some(error.to_owned());
            }
            if !quiet {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
        Flow::Continue
    });
    let end = end.map_err(crate::pipeline::Error::from)?;
    Ok(match end {
        End::Exit(0) => Status::Done,
        End::Cancelled(signal) => Status::Interrupted { signal },
        End::Exit(code) => {
            // A run that was refused leaves the manifest of an earlier one.
            let manifest = Manifest::read(dir).filter(|manifest| manifest.started >= began);
            let error = manifest.and_then(|manifest| match manifest.status {
                Outcome::Failed { error, .. } => Some(error),
                Outcome::Running | Outcome::Done => None,
            });
            let error = error.or(last).unwrap_or_else(|| format!("kbuild ended with exit code {code}: see {LOG}"));
            Status::Failed { exit_code: code, error }
        }
        End::Killed(signal) => {
            Status::Failed { exit_code: 128 + signal, error: format!("kbuild was ended by signal {signal}") }
        }
        End::Stopped => Status::Failed { exit_code: 70, error: "it was stopped".into() },
    })
}
