//! Runs a plan: one stage after the other, each from its step and nothing else.
//!
//! Nothing is decided here. What goes wrong ends the run with an [`Error`] that names the place; what went well is in
//! the manifest, which is written anew after every stage.

mod boot;
mod build;
mod collect;
pub mod compilers;
mod edit;
pub mod error;
pub mod fetch;
pub mod finished;
pub mod gate;
pub mod handover;
pub mod in_memory;
pub mod install;
pub mod ledger;
mod log;
pub mod manifest;
pub mod manner;
mod masquerade;
pub mod measured;
mod module;
pub mod out;
mod package;
mod partial;
mod progress;
mod promise;
mod prove;
pub mod resume;
pub mod signing;
mod stopwatch;
pub mod store;
mod tree;
mod unpack;
mod verify;
mod watchdog;
mod witness;

use std::path::Path;

pub use boot::Boot as BootProof;
pub use error::Error;
pub use manner::Manner;
pub use prove::{recorded as judge_recorded, verify as verify_packages};

use crate::event::{Event, Reporter, Stage, Unit};
use crate::plan::fingerprint::Fingerprint;
use crate::plan::step::Moment;
use crate::plan::{Layout, Plan, Step};
use crate::proof::Finding;
use crate::sys::signal::Cancel;
use crate::sys::{files, lock, processes, user};
use ledger::{Built, Packages};
use log::Log;
use manifest::{Manifest, StageRecord, Status};
use out::Out;
use stopwatch::Stopwatch;

/// What every stage may use.
struct Context<'a> {
    plan: &'a Plan,
    manner: &'a Manner,
    reporter: &'a dyn Reporter,
    cancel: &'a Cancel,
    out: &'a mut dyn Out,
    manifest: &'a mut Manifest,
    stopwatch: &'a mut Stopwatch,
    /// What tells builds apart whose trees may be taken by others.
    shared: Option<String>,
}

impl Context<'_> {
    /// Returns the same context for a shorter time.
    fn reborrow(&mut self) -> Context<'_> {
        Context {
            plan: self.plan,
            manner: self.manner,
            reporter: self.reporter,
            cancel: self.cancel,
            out: &mut *self.out,
            manifest: &mut *self.manifest,
            stopwatch: &mut *self.stopwatch,
            shared: self.shared.clone(),
        }
    }

    fn proved(&mut self, finding: Finding) {
        self.reporter.report(&proved(&finding));
        self.manifest.proof.push(finding);
    }

    /// Returns a callback that reports bytes done.
    fn bytes(&self, stage: Stage, what: &str) -> impl FnMut(u64, u64) + use<'_> {
        let (reporter, what) = (self.reporter, what.to_owned());
        bytes(reporter, stage, what)
    }

    fn write_manifest(&mut self) -> Result<(), Error> {
        self.manifest.write(self.out)
    }
}

/// Returns a callback that reports bytes done, at most a few hundred times.
pub fn bytes(reporter: &dyn Reporter, stage: Stage, what: String) -> impl FnMut(u64, u64) + use<'_> {
    let mut last = 0;
    move |done, total| {
        if done - last.min(done) > total / 200 || done == total {
            last = done;
            reporter.report(&Event::Progress {
                stage,
                phase: None,
                done,
                total: Some(total),
                estimated: false,
                unit: Unit::Bytes,
                what: what.clone(),
            });
        }
    }
}

/// Returns the event that tells of a finding.
#[must_use]
pub fn proved(finding: &Finding) -> Event {
    Event::Proved {
        level: finding.level,
        subject: finding.subject.clone(),
        verdict: finding.verdict.to_string(),
        holds: finding.verdict.holds(),
    }
}

/// A work directory that is ours until this is dropped.
#[derive(Debug)]
pub struct Workplace {
    _lock: lock::Lock,
}

impl Workplace {
    /// Makes the work directory if it is missing, keeps every other kbuild out of it, and ends what one that was killed
    /// has left running there.
    ///
    /// # Errors
    /// It cannot be made, another kbuild is in it and is not to be waited for, or something in it cannot be ended.
    pub fn enter(plan: &Plan, manner: &Manner, reporter: &dyn Reporter) -> Result<Self, Error> {
        make(&plan.layout.work)?;
        Self::of(&plan.layout, user::me().uid, manner.wait, reporter)
    }

    /// The same for a work directory that is there and belongs to a user.
    ///
    /// # Errors
    /// As [`Workplace::enter`].
    pub fn of(layout: &Layout, uid: u32, wait: bool, reporter: &dyn Reporter) -> Result<Self, Error> {
        let lock = if wait {
            lock::wait(&layout.lock(), &mut || {
                reporter.note(format!("waiting for another kbuild in `{}`", layout.work.display()));
            })?
        } else {
            lock::take(&layout.work, &layout.lock())?
        };
        for dir in layout.copies().iter().chain([&layout.work]) {
            files::sweep(dir, None).map_err(|source| Error::io("an unfinished file cannot be removed", source))?;
        }
        // Whoever holds the lock has started none of them, and has handed no key over yet.
        signing::forget(layout);
        let orphans = processes::end_at_home(&layout.home(), uid)
            .map_err(|process| Error::Orphan { pid: process.pid, name: process.name })?;
        if !orphans.is_empty() {
            let names: Vec<_> = orphans.iter().map(|process| format!("{} ({})", process.name, process.pid)).collect();
            reporter.warn(format!("ended what a kbuild that was killed had left running: {}", names.join(", ")));
        }
        Ok(Self { _lock: lock })
    }
}

fn make(dir: &Path) -> Result<(), Error> {
    fs_err::create_dir_all(dir).map_err(|source| Error::io("the work directory cannot be made", source))
}

/// Runs the plan in this process and as this user, and returns the finished manifest.
///
/// # Errors
/// A stage failed; the manifest among the results says which, and the logs are there, too.
pub fn run(
    plan: &Plan,
    manner: &Manner,
    _: &Workplace,
    reporter: &dyn Reporter,
    cancel: &Cancel,
    out: &mut dyn Out,
) -> Result<Manifest, Error> {
    let layout = &plan.layout;
    for dir in [layout.tmp(), layout.guest()] {
        files::remove_tree(&dir).map_err(|source| Error::io("an old tree cannot be removed", source))?;
    }
    for dir in [layout.tmp(), layout.home(), layout.logs()] {
        make(&dir)?;
    }
    in_memory::enter(layout)?;
    let mut manifest = Manifest::new(plan);
    let mut stopwatch = Stopwatch::new(&manner.before);
    let mut context = Context {
        plan,
        manner,
        reporter,
        cancel,
        out,
        manifest: &mut manifest,
        stopwatch: &mut stopwatch,
        shared: None,
    };
    let (outcome, why) = all(&mut context);
    signing::end(plan);
    if let Err(error) = &outcome {
        context.manifest.status = Status::Failed {
            error: crate::error::chain(error),
            exit_code: error.exit_code(),
            cause: error.cause().cloned().map(Box::new),
        };
        // The stage's error is the one to report, even if the results cannot be written either.
        let _ = collect::logs(&mut context);
    } else {
        context.manifest.status = Status::Done;
    }
    let told = stopwatch::tell(&mut context);
    let written = context.write_manifest().and(told);
    ledger::last(layout, context.manifest, why.as_deref());
    outcome.and(written)?;
    let is_complete = plan.steps.last().is_some_and(|step| step.stage() == Stage::Collect);
    if is_complete && !manner.compiling.trees {
        in_memory::leave(layout)?;
    }
    Ok(manifest)
}

/// Runs everything; also says why packages were built anew or taken from before, if there was a choice.
fn all(context: &mut Context<'_>) -> (Result<(), Error>, Option<String>) {
    match signing::ready(context.plan, context.reporter) {
        Ok(signed) => context.manifest.signing = signed,
        Err(error) => return (Err(error), None),
    }
    let fingerprint = ledger::fingerprint(context.plan, context.manifest);
    context.shared = fingerprint.as_ref().map(|it| it.of_all_variants(&context.plan.layout));
    let packages = Packages::choose(context.plan, fingerprint.as_ref(), context.manner, context.reporter);
    let outcome = stages(&packages, fingerprint.as_ref(), context);
    (outcome, packages.why().map(str::to_owned))
}

/// Runs the steps; those that packages of an earlier run make needless are left out.
fn stages(packages: &Packages, fingerprint: Option<&Fingerprint>, context: &mut Context<'_>) -> Result<(), Error> {
    let layout = &context.plan.layout;
    if let Packages::Taken { built, .. } = packages {
        built.tell(context.manifest);
    } else {
        let built = Built::read(layout);
        ledger::forget(layout)?;
        let resumed = match fingerprint.filter(|_| context.manner.resume) {
            Some(fingerprint) => resume::keep(layout, fingerprint, context.reporter)?,
            None => false,
        };
        if !resumed {
            resume::end(layout)?;
            signing::begin(layout)?;
        }
        match fingerprint.filter(|_| !resumed && !context.manner.fresh && context.manner.compiling.trees) {
            Some(fingerprint) => finished::keep(layout, built.as_ref(), fingerprint, context.reporter)?,
            None => finished::end(layout)?,
        }
    }
    remove_logs(context.plan, packages)?;
    context.write_manifest()?;
    for step in &context.plan.steps {
        if packages.make_needless(step.stage()) {
            context.manifest.stages.push(StageRecord { stage: step.stage(), seconds: 0.0, failed: false, taken: true });
            context.stopwatch.taken(step.stage());
            continue;
        }
        let building = fingerprint.filter(|_| matches!(step, Step::Build { .. }));
        if let Some(fingerprint) = building {
            resume::begin(layout, fingerprint)?;
        }
        stage(step, context)?;
        if let Some(fingerprint) = building {
            ledger::remember(layout, fingerprint, context.manifest)?;
            resume::end(layout)?;
            finished::end(layout)?;
            signing::begin(layout)?;
            masquerade::off(layout)?;
        }
        ledger::last(layout, context.manifest, packages.why());
    }
    Ok(())
}

/// Removes the logs of earlier runs, but for those of stages that are not repeated.
fn remove_logs(plan: &Plan, packages: &Packages) -> Result<(), Error> {
    let kept: Vec<_> = Stage::ALL.iter().filter(|stage| packages.make_needless(**stage)).collect();
    let kept: Vec<_> = kept.into_iter().map(|stage| plan.layout.log(*stage)).collect();
    for log in files::with_ending(&plan.layout.logs(), ".log").into_iter().filter(|log| !kept.contains(log)) {
        fs_err::remove_file(log).map_err(|source| Error::io("an old log cannot be removed", source))?;
    }
    Ok(())
}

fn stage(step: &Step, context: &mut Context<'_>) -> Result<(), Error> {
    let stage = step.stage();
    if let Some(signal) = context.cancel.signal() {
        return Err(Error::Cancelled { signal });
    }
    let reporter = context.reporter;
    let raw = matches!(stage, Stage::Build | Stage::Boot | Stage::Tree);
    let log = if raw {
        None
    } else {
        let failed = |source| Error::io("a log cannot be written", source);
        Some(Log::new(&context.plan.layout.log(stage), reporter).map_err(failed)?)
    };
    let reporter = log.as_ref().map_or(reporter, |log| log as &dyn Reporter);
    reporter.report(&Event::StageStarted { stage, what: title(step, context.plan) });
    let running = context.stopwatch.start(stage);
    let outcome = perform(step, &mut Context { reporter, ..context.reborrow() });
    let seconds = context.stopwatch.end(&running);
    let failed = outcome.is_err();
    context.manifest.stages.push(StageRecord { stage, seconds, failed, taken: false });
    reporter.report(&if failed {
        Event::StageFailed { stage, seconds }
    } else {
        Event::StageFinished { stage, seconds }
    });
    outcome?;
    if stage != Stage::Collect {
        context.write_manifest()?;
    }
    Ok(())
}

fn perform(step: &Step, context: &mut Context<'_>) -> Result<(), Error> {
    match step {
        Step::Verify { srpm, size, sha256 } => verify::run(context, srpm, *size, sha256),
        Step::Unpack { srpm, spec } => unpack::run(context, srpm, spec),
        Step::Edit { edits } => edit::run(context, edits),
        Step::Build { query, command, gate, required, expected } => {
            if let Some(query) = query {
                promise::run(context, query, required, expected)?;
            }
            build::run(context, command, gate)
        }
        Step::Lay { devel, tree, files } => module::lay(context, devel, tree, files),
        Step::Patch { tree, patches, same } => module::patch(context, tree, patches, same),
        Step::Compile(what) => module::compile(context, what),
        Step::Package { files, copies, command } => package::run(context, files, copies, command),
        Step::ProveSetting { required, bits } => prove::setting(context, required, *bits),
        Step::Prove { required, exempt, expected, bits } => prove::run(context, required, exempt, expected, *bits),
        Step::Boot { qemu, busybox, bits, limit, with } => boot::run(context, qemu, busybox, *bits, *limit, with),
        Step::Tree(tree) => tree::run(context, tree),
        Step::Collect { install, update, instructions } => collect::run(context, install, update, instructions),
    }
}

/// What a stage is about to do, in a few words.
fn title(step: &Step, plan: &Plan) -> String {
    match step {
        Step::Verify { .. } => {
            format!("{} is still the same", plan.source.as_ref().map_or("", |source| source.file.as_str()))
        }
        Step::Unpack { .. } => format!("laying out {}", plan.layout.topdir().display()),
        Step::Edit { edits } => {
            let files: Vec<_> = edits.iter().map(|edit| edit.file.as_str()).collect();
            format!("setting {} bits in {}", plan.bits, files.join(", "))
        }
        Step::Build { gate, .. } => {
            let flag = match gate.moment {
                Moment::BeforeBuild => plan.mode.flag(),
                Moment::AtTheEnd => "-bp",
            };
            format!("rpmbuild {flag} as {}", plan.user.name)
        }
        Step::Lay { devel, .. } => format!("IPVS's sources, and {}", devel.tree().display()),
        Step::Patch { patches, .. } if patches.is_empty() => "no patch of the source package changes IPVS".into(),
        Step::Patch { patches, .. } => {
            let names: Vec<_> = patches.iter().map(|run| run.patch.name.as_str()).collect();
            format!("applying {}", names.join(", "))
        }
        Step::Compile(_) => format!("make ip_vs.ko as {}", plan.user.name),
        Step::Package { .. } => format!("rpmbuild -bb as {}", plan.user.name),
        Step::Prove { .. } | Step::ProveSetting { .. } => "reading the packages".into(),
        Step::Boot { .. } => "booting the kernel in QEMU".into(),
        Step::Tree(tree) if tree.compile.is_some() => format!("compiling {}", tree.dir.display()),
        Step::Tree(tree) => format!("preparing {}", tree.dir.display()),
        Step::Collect { .. } => format!("handing over to {}", plan.layout.out.display()),
    }
}
