//! Runs rpmbuild, watches what it prints, and stops it at the prep gate if %prep resolved the wrong value.

use std::io::Write;
use std::path::{Path, PathBuf};

use fs_err::File;

use super::compilers::Compilers;
use super::finished::trees;
use super::manifest::Manifest;
use super::measured::Meter;
use super::progress::Progress;
use super::watchdog::Watchdog;
use super::witness::{Signatures, Testimony};
use super::{Context, Error, compilers, finished, gate, masquerade, resume, signing};
use crate::command::Command;
use crate::event::{Event, Stage};
use crate::plan::step::{Gate, Moment as When};
use crate::proof::Finding;
use crate::sys::exec::{self, End, Flow, Moment};
use crate::sys::probe;
use crate::times::Cache;

/// What rpmbuild says when it removes its trees, which is done here instead.
const CLEANING: &str = "Executing(rmbuild): kbuild";

pub(super) fn run(context: &mut Context<'_>, command: &Command, gate: &Gate) -> Result<(), Error> {
    tools(context.manifest, &compilers::bare(&context.plan.layout, command));
    let layout = &context.plan.layout;
    let log_path = layout.log(Stage::Build);
    let mut log = File::create(&log_path).map_err(|source| Error::io("the build log cannot be written", source))?;
    context.stopwatch.asked();
    let mut meter = Meter::new(context.plan, command);
    let mut progress = Progress::new(layout, meter.earlier().map(|earlier| earlier.objects), context.stopwatch.began());
    let mut resolved: Vec<Finding> = Vec::new();
    let signatures = Signatures::builtin()?;
    let mut witness = signatures.watch();
    let mut watchdog = Watchdog::new(&context.manner.limits, layout.build());
    let mut reason = None;
    let (reporter, mut sweeping) = (context.reporter, None);

    let (masked, is_resumed) = &masqueraded(context, command)?;
    let mut compilers = match gate.moment {
        When::BeforeBuild => {
            Compilers::new(layout, masked, &context.manner.compiling, context.shared.as_deref(), reporter)?
        }
        When::AtTheEnd => None,
    };
    let is_kept = context.manner.compiling.trees && compilers.is_some();
    let (command, is_ours) = &match gate.moment {
        When::BeforeBuild => trees::kept(masked),
        When::AtTheEnd => (masked.clone(), false),
    };
    reporter.report(&Event::Exec { command: command.to_string() });
    let end = exec::watch(command, context.cancel, |moment| match moment {
        Moment::Started(group) => {
            progress.started(group);
            meter.started(group);
            watchdog.started(group);
            Flow::Continue
        }
        Moment::Tick => {
            progress.tick(reporter);
            meter.tick();
            if let Some(compilers) = &mut compilers {
                compilers.tick(reporter);
            }
            reason = watchdog.tick(reporter);
            if reason.is_some() { Flow::Stop } else { Flow::Continue }
        }
        Moment::Line(line) => {
            // A log on a full disk must not end a build that has the room it needs elsewhere.
            let _ = writeln!(log, "{line}");
            watchdog.line();
            witness.take(line);
            let begins = progress.line(line).map(|phase| phase == "%build");
            if begins.is_some() {
                meter.room();
            }
            if begins == Some(true) && resolved.is_empty() {
                sweeping.get_or_insert_with(|| trees::sweep(layout));
                resolved = gate::check_beside(gate, &layout.build());
                for finding in &resolved {
                    reporter.report(&super::proved(finding));
                }
                if resolved.iter().any(|finding| finding.verdict.holds() != Some(true)) {
                    return Flow::Stop;
                }
            }
            Flow::Continue
        }
    })?;
    tell_cache(context, compilers);
    if end == End::Exit(0) && gate.moment == When::BeforeBuild {
        progress.line(CLEANING);
        leave(context, command, *is_ours, is_kept, sweeping)?;
    }
    context.stopwatch.parts(progress.parts());
    if gate.moment == When::AtTheEnd && end == End::Exit(0) {
        resolved = at_the_end(context, gate)?;
    }
    context.manifest.proof.extend(resolved.iter().cloned());
    if let Some(reason) = reason {
        let phase = progress.phase().unwrap_or("its preparation").to_owned();
        return Err(Error::Ended { reason, phase, log: layout.out_log(Stage::Build) });
    }
    match end {
        End::Exit(0) => {}
        End::Cancelled(signal) => return Err(Error::Cancelled { signal }),
        End::Stopped => {
            let found: Vec<Finding> =
                resolved.into_iter().filter(|finding| finding.verdict.holds() != Some(true)).collect();
            return Err(gated(gate, found, &layout.sources()));
        }
        End::Exit(_) | End::Killed(_) => {
            watchdog.post_mortem(reporter);
            return Err(failed(end, &progress, witness.testify(), layout.out_log(Stage::Build)));
        }
    }
    if resolved.is_empty() {
        // A spec without %build, or an rpmbuild that announces it otherwise: nothing was checked, and it says so.
        return Err(gated(gate, gate::check(gate, Path::new("")), &layout.sources()));
    }
    signing::settle(context);
    progress.count();
    // `-bp` alone is no measure of a build, and neither is the rest of one.
    if gate.moment == When::BeforeBuild && !*is_resumed && finished::count(&context.plan.layout).is_none() {
        meter.finish(progress.objects());
    }
    Ok(())
}

/// Removes rpmbuild's trees if that is left to kbuild, but for what is kept of them, which others may get; waits for the removal of an
/// earlier kernel's.
fn leave(
    context: &Context<'_>,
    command: &Command,
    is_ours: bool,
    is_kept: bool,
    sweeping: Option<trees::Sweeping>,
) -> Result<(), Error> {
    let layout = &context.plan.layout;
    if let Some(sweeping) = sweeping {
        trees::swept(layout, sweeping, context.reporter);
    }
    if is_ours {
        trees::clean(layout)?;
    }
    if is_kept {
        finished::share(context, command);
        trees::leave(layout, context.reporter)
    } else if is_ours {
        trees::remove(layout)
    } else {
        Ok(())
    }
}

/// Returns the command with all that stands before other programs while it runs, and whether it goes on with a build.
fn masqueraded(context: &Context<'_>, command: &Command) -> Result<(Command, bool), Error> {
    let put_back = resume::mask(&context.plan.layout, command, &context.manner.compiling);
    let is_resumed = resume::is_taking(&context.plan.layout);
    let key = signing::mask(context.plan, context.manifest.signing.as_ref(), command);
    let masks: Vec<_> = put_back.into_iter().chain(key).collect();
    Ok((masquerade::on(&context.plan.layout, command, &masks)?, is_resumed))
}

/// What the gate of a build without `%build` finds when it has ended.
fn at_the_end(context: &mut Context<'_>, gate: &Gate) -> Result<Vec<Finding>, Error> {
    let layout = &context.plan.layout;
    let resolved = gate::check(gate, &layout.build());
    for finding in &resolved {
        context.reporter.report(&super::proved(finding));
    }
    let wrong: Vec<_> = resolved.iter().filter(|finding| finding.verdict.holds() != Some(true)).cloned().collect();
    if wrong.is_empty() {
        return Ok(resolved);
    }
    context.manifest.proof.extend(resolved);
    Err(gated(gate, wrong, &layout.sources()))
}

/// Notes what came of a cache, where its time is told, too.
fn tell_cache(context: &mut Context<'_>, compilers: Option<Compilers>) {
    let began = context.stopwatch.beginning();
    context.stopwatch.compilations(compilers.as_ref().map(|it| it.compilations(began)).unwrap_or_default());
    let mut compiled = compilers.and_then(Compilers::finish);
    if let Some(count) = finished::count(&context.plan.layout) {
        let record = compiled.get_or_insert_default();
        record.put_back = Some(count);
        record.why =
            record.why.take().map(|_| "only what sees the difference to the earlier kernel was compiled".into());
        context.reporter.note(format!("{count} files of the earlier kernel were put back"));
    }
    context.manifest.compiled = compiled;
    let told =
        context.manifest.compiled.as_ref().and_then(|compiled| Some((compiled.statistics?, compiled.why.clone())));
    if let Some((statistics, why)) = told {
        context.stopwatch.cache(Cache { hits: statistics.hits, misses: statistics.misses, why });
    }
}

/// Notes what the programs call themselves.
pub(super) fn tools(manifest: &mut Manifest, command: &Command) {
    let path = command.env.get("PATH").map(String::as_str).unwrap_or_default();
    let others = ["gcc", "ld", "make"].into_iter().filter_map(|name| Some((name, probe::find(path, name)?)));
    for (name, program) in std::iter::once(("rpmbuild", command.program.clone())).chain(others) {
        // Asked before there is a topdir to ask in.
        let asked = Command::new(program).arg("--version").with_env(command.env.clone());
        if let Some(first) = exec::read(&asked).ok().as_deref().and_then(|text| text.lines().next()) {
            manifest.tools.insert(name.to_owned(), first.to_owned());
        }
    }
}

fn gated(gate: &Gate, found: Vec<Finding>, sources: &Path) -> Error {
    let origin = gate::origin(gate, &found, sources);
    Error::Gate { found, origin }
}

fn failed(end: End, progress: &Progress, said: Testimony, log: PathBuf) -> Error {
    let how = match end {
        End::Killed(signal) => format!("signal {signal}"),
        End::Exit(code) => format!("exit code {code}"),
        End::Cancelled(_) | End::Stopped => "before its end".into(),
    };
    let phase = progress.phase().unwrap_or("its preparation").to_owned();
    Error::Build { how, phase, lines: said.lines, cause: said.cause, log }
}
