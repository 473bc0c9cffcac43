//! `kbuild ipvs`: makes the plans and runs them one after the other.

use std::fmt::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::args::Build;
use super::prepare::Prepared;
use super::render::Format;
use super::vouch::Locked;
use super::{Edge, Output, preflight, prepare, reproducible, worker};
use crate::command::Command;
use crate::compiler::cache::Cache;
use crate::error::Error;
use crate::event::{Event, Stage};
use crate::pipeline::compilers::is_without_debuginfo;
use crate::pipeline::ledger::build_command;
use crate::pipeline::manifest::Manifest;
use crate::pipeline::manner::Compiling;
use crate::pipeline::out::Directory;
use crate::pipeline::{self, Manner, Workplace, handover};
use crate::plan::layout::{INSTALL, SUBMIT, text};
use crate::plan::submit::Submission;
use crate::plan::{Plan, Route, Step};
use crate::sys::exec::{self, Beside};
use crate::sys::signal::Cancel;
use crate::sys::{entropy, lock, probe, processes, survey, user};
use crate::times::Variant;

/// The directory that is locked while an account is made: that of the list of accounts.
const ACCOUNTS: &str = "/etc";

pub(super) fn run(edge: &Edge, args: &Build) -> Result<Output, Error> {
    let mut prepared = prepare::plans(edge, args)?;
    // What is there now makes another plan: programs have their paths in it.
    if args.preflight.install_deps && preflight::install(edge, &prepared.judgement)? {
        prepared = prepare::plans(edge, args)?;
    }
    let Prepared { plans, srpm, locks, judgement } = prepared;
    preflight::enforce(edge, args.preflight, &judgement)?;
    for plan in &plans {
        if let Some(install) = &plan.install {
            pipeline::install::ready(install, &plan.uname_r)?;
        }
    }
    locks.iter().try_for_each(Locked::record)?;
    // From here on there is something to end in an orderly way.
    let cancel = Cancel::install().map_err(|source| Error::Host { what: "cannot watch for signals".into(), source })?;
    let reporter = &*edge.reporter;
    let mut manner = args.running.manner(plans.len());
    manner.before = edge.before.take();
    if args.running.compile.cache.is_none() {
        share_between(&plans, &mut manner);
    }
    if let Some(plan) = plans.first() {
        plan.notes.iter().for_each(|note| reporter.note(note.clone()));
        plan.warnings.iter().for_each(|warning| reporter.warn(warning.clone()));
    }
    let mut output = String::new();
    let mut variants = Vec::new();
    for (index, plan) in plans.iter().enumerate() {
        reporter.report(&Event::BuildStarted {
            nvr: plan.nvr.to_string(),
            bits: plan.bits.get(),
            index: index + 1,
            of: plans.len(),
        });
        let manifest = match one(edge, plan, &manner, &srpm, &cancel) {
            Ok(manifest) => manifest,
            // What earlier values gave is there, and is said.
            Err(error) => return Ok(Output { text: output, error: Some(error.into()) }),
        };
        // They were done once, for all values.
        manner.before.clear();
        variants.extend(manifest.times.as_ref().map(|times| Variant::of(plan.bits.get(), times)));
        output.push_str(&result(edge.format, plan, &manifest));
        if args.running.check_reproducible {
            match twice(edge, args, plan, &manifest, &cancel) {
                Ok(said) if edge.format == Format::Json => reporter.note(said.trim().to_owned()),
                Ok(said) => output.push_str(&said),
                Err(error) => return Ok(Output { text: output, error: Some(error) }),
            }
        }
    }
    if plans.len() > 1 {
        reporter.report(&Event::Variants { variants });
    }
    Ok(Output::text(output))
}

/// Several kernels go on in one tree, unless somebody said otherwise; where debuginfo packages forbid that, ccache has what is the
/// same, if it is there.
fn share_between(plans: &[Plan], manner: &mut Manner) {
    let needs_cache = |command: &Command| {
        let path = command.env.get("PATH").map_or("", String::as_str);
        !is_without_debuginfo(command) && probe::find(path, "ccache").is_some()
    };
    if plans.len() > 1 && plans.iter().filter_map(build_command).any(needs_cache) {
        manner.compiling = Compiling { hosts: manner.compiling.hosts.clone(), ..Compiling::with(Cache::Local) };
    }
}

/// Runs one plan, as the user that it names.
fn one(edge: &Edge, plan: &Plan, manner: &Manner, srpm: &Path, cancel: &Cancel) -> Result<Manifest, pipeline::Error> {
    let reporter = &*edge.reporter;
    let mut out = Directory::new(plan.layout.out.clone(), manner.wait);
    let manifest = if plan.user.uid == Some(user::me().uid) {
        let workplace = Workplace::enter(plan, manner, reporter)?;
        pipeline::run(plan, manner, &workplace, reporter, cancel, &mut out)?
    } else {
        as_other_user(edge, manner, plan, srpm, cancel, &mut out)?
    };
    let failed = |source| pipeline::Error::io("results of an earlier run cannot be removed", source);
    out.retire(&manifest).map_err(failed)?;
    if let Some(install) = &plan.install {
        pipeline::install::run(install, &plan.uname_r, &plan.layout.out, reporter)?;
    }
    Ok(manifest)
}

/// Makes the same once more in another directory, and compares the packages.
fn twice(edge: &Edge, args: &Build, plan: &Plan, manifest: &Manifest, cancel: &Cancel) -> Result<String, Error> {
    let again = reproducible::again(args, plan);
    let Prepared { plans, srpm, .. } = prepare::plans(edge, &again)?;
    let manner = again.running.manner(plans.len());
    for (plan, number) in plans.iter().zip(2..) {
        edge.reporter.report(&Event::BuildStarted {
            nvr: plan.nvr.to_string(),
            bits: plan.bits.get(),
            index: number,
            of: 2,
        });
        one(edge, plan, &manner, &srpm, cancel)?;
    }
    reproducible::compare(edge, plan, manifest)
}

/// Root's part: makes the account and its work directory, then only passes on what a process of that account says.
fn as_other_user(
    edge: &Edge,
    manner: &Manner,
    plan: &Plan,
    srpm: &Path,
    cancel: &Cancel,
    out: &mut Directory,
) -> Result<Manifest, pipeline::Error> {
    let failed = |what: &str, source| pipeline::Error::io(what, source);
    let none = || std::io::Error::new(std::io::ErrorKind::NotFound, format!("no account `{}`", plan.user.name));
    let find = || user::find(&plan.user.name).map_err(|error| failed("the account is not there", error));
    let mut account = find()?;
    if account.is_none() {
        // Two at once would make two accounts of one name: useradd looks whether there is one before it locks the list.
        let _lock = lock::directory(Path::new(ACCOUNTS), true)?;
        account = find()?;
        if account.is_none() {
            for command in &plan.prepare {
                edge.reporter.report(&Event::Exec { command: command.to_string() });
                exec::read(command)?;
            }
            account = find()?;
        }
    }
    let account = account.ok_or_else(|| failed("the account was not made", none()))?;
    for dir in [Some(plan.layout.work.as_path()), tree(plan)].into_iter().flatten() {
        let what = format!("`{}` cannot be made", dir.display());
        if !dir.try_exists().map_err(|error| failed(&what, error))? {
            user::make_dir(dir, account.uid, account.gid).map_err(|error| failed(&what, error))?;
        }
    }

    let _feeder = feed(edge);
    let (ours, theirs) = UnixStream::pair().map_err(|error| failed("no connection can be made", error))?;
    let env = [("PATH".to_owned(), probe::facts().path)].into();
    let child = exec::spawn_self_as(account.uid, account.gid, &[worker::NAME], &env, OwnedFd::from(theirs))
        .map_err(|error| failed(&format!("cannot start the building process as `{}`", account.name), error))?;
    let worker = exec::Worker::new(child, cancel.clone());
    // The account may have been made just now: the plan gets its numbers.
    let mut plan = plan.clone();
    (plan.user.uid, plan.user.gid) = (Some(account.uid), Some(account.gid));
    let outcome = handover::order(ours, &plan, manner, srpm, &plan.inputs, &*edge.reporter, out);
    let (how, killed) = worker.wait();
    if killed {
        // What it had started does not know yet that nobody watches it any more.
        let _ = processes::end_at_home(&plan.layout.home(), account.uid);
    }
    match (outcome, cancel.signal()) {
        (Err(pipeline::Error::Worker { .. }), Some(signal)) => Err(pipeline::Error::Cancelled { signal }),
        (Err(pipeline::Error::Worker { .. }), None) => Err(pipeline::Error::Worker { how, killed }),
        (outcome, _) => outcome,
    }
}

/// Starts rngd for as long as the build takes, if the kernel's module-signing key would have to wait for entropy.
fn feed(edge: &Edge) -> Option<Beside> {
    if !entropy::is_short(survey::entropy()) {
        return None;
    }
    let rngd = probe::find(&probe::facts().path, "rngd");
    let started = rngd.as_deref().and_then(|rngd| Beside::start(&entropy::feeder(rngd)).ok());
    edge.reporter.note(match &started {
        Some(_) => "there is little entropy: rngd feeds it from /dev/urandom while this builds".into(),
        None => "there is little entropy, and no rngd to feed it (package rng-tools): generating a key may wait".into(),
    });
    started
}

/// The directory of the source tree, if that is what is made.
fn tree(plan: &Plan) -> Option<&Path> {
    plan.steps.iter().find_map(|step| match step {
        Step::Tree(tree) => Some(tree.dir.as_path()),
        _ => None,
    })
}

/// What hands a source package to those who build it, if that is what is made.
fn submissions(plan: &Plan) -> Option<&[Submission]> {
    plan.steps.iter().find_map(|step| match step {
        Step::Collect { instructions, .. } if !instructions.more.submissions.is_empty() => {
            Some(instructions.more.submissions.as_slice())
        }
        _ => None,
    })
}

/// What is said on stdout about a finished build.
fn result(format: Format, plan: &Plan, manifest: &Manifest) -> String {
    let out = text(&plan.layout.out);
    if format == Format::Json {
        let mut line = serde_json::json!({ "event": "result", "out": out, "manifest": manifest });
        if let (Some(submissions), Some(line)) = (submissions(plan), line.as_object_mut()) {
            line.insert("submissions".into(), serde_json::json!(submissions));
        }
        return format!("{line}\n");
    }
    let mut said = String::new();
    if plan.steps.last().is_some_and(|step| step.stage() != Stage::Collect) {
        let last = plan.steps.last().map(|step| step.stage().name()).unwrap_or_default();
        return format!("{} is done up to {last}; the tree is {}\n", plan.nvr, plan.layout.topdir().display());
    }
    let packages = manifest.files.iter().filter(|file| is_package(&file.name));
    // Writing to a String does not fail.
    if let Some(tree) = tree(plan) {
        let _ = writeln!(said, "the source tree of {} in {}", plan.nvr, tree.display());
    } else {
        let _ = writeln!(said, "{} in {out}\n", plan.nvr);
    }
    for file in packages {
        let _ = writeln!(said, "  {}", file.name);
    }
    if let Some(install) = &plan.install {
        let _ = writeln!(said, "installed below {}", install.root.display());
    }
    let claim = match plan.route {
        Route::Param => "sets the parameter for",
        _ if plan.mode.compiles() => "has",
        _ => "asks for",
    };
    let _ = writeln!(said, "\nproof that it {claim} 2^{} = {} buckets\n", plan.bits, plan.bits.buckets());
    for finding in &manifest.proof {
        let _ = writeln!(said, "  {finding}");
    }
    if let Some(submissions) = submissions(plan) {
        let _ = writeln!(said, "\nhave it built by one of these, with your own words for those in capitals\n");
        for each in submissions {
            for (index, command) in each.before.iter().chain(&each.commands).enumerate() {
                let _ = writeln!(said, "  {:5} {command}", if index == 0 { each.system.as_str() } else { "" });
            }
        }
        let _ = writeln!(said, "\nwhat each has to be told, and how to prove what comes back: {out}/{SUBMIT}");
        return said;
    }
    let bootable = matches!(plan.route, Route::Kernel | Route::Module);
    if bootable && !manifest.proof.iter().any(|finding| finding.level == 5) {
        let _ = writeln!(said, "  level 5  a boot  not checked: --boot was not asked for");
    }
    let _ = writeln!(said, "\nhow to install and roll back: {out}/{INSTALL}");
    said
}

pub(super) fn is_package(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "rpm")
}
