//! What is looked at before a build begins, and what follows from it: everything at once, and nothing laid out before.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::{self, Build};
use super::prepare::Prepared;
use super::render::units::{bytes, duration};
use super::{Edge, machine};
use crate::command::Command;
use crate::error::Error;
use crate::pipeline::measured;
use crate::plan::host::Host;
use crate::plan::preflight::{
    self, Container, Finding, Installed, Judgement, Measured, NAMESAKES, People, Ready, Room, Subject, Survey, Weight,
};
use crate::plan::{Plan, Request, Route, Source, build_requires};
use crate::recipe::Recipe;
use crate::sys::probe::{self, Facts};
use crate::sys::{exec, survey, user};

/// Programs whose versions matter, and how each is asked.
const VERSIONS: [(&str, &[&str]); 6] = [
    ("gcc", &["-dumpfullversion", "-dumpversion"]),
    ("make", &["--version"]),
    ("perl", &["-v"]),
    ("gpg", &["--version"]),
    ("rpmbuild", &["--version"]),
    ("python3", &["--version"]),
];

/// Where a build would be: as far as it is known before there is a plan.
pub(super) struct Machine<'a> {
    facts: &'a Facts,
    args: &'a Build,
    work: &'a Path,
    host: Host,
    ready: Ready,
}

impl<'a> Machine<'a> {
    /// Looks at what the requests alone ask for.
    ///
    /// # Errors
    /// The account database cannot be read.
    pub(super) fn new(facts: &'a Facts, args: &'a Build, work: &'a Path, requests: &[Request]) -> Result<Self, Error> {
        let mut host = None;
        let mut ready = Ready::default();
        for request in requests {
            let of_one = machine::host(facts, args, work, &request.out)?;
            let found = preflight::ready(request, &of_one);
            ready.user = found.user;
            ready.missing = found.missing;
            for directory in found.directories {
                if !ready.directories.contains(&directory) {
                    ready.directories.push(directory);
                }
            }
            host.get_or_insert(of_one);
        }
        let host = host.ok_or_else(|| Error::Usage("say which `--bits`".into()))?;
        Ok(Self { facts, args, work, host, ready })
    }

    /// What the requests alone ask for.
    pub(super) fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Judges the machine for the plans that were made.
    pub(super) fn judged(
        &self,
        mut prepared: Prepared,
        request: &Request,
        recipe: &Recipe,
        source: Option<&Source>,
    ) -> Prepared {
        prepared.judgement = self.judge(request, recipe, source, prepared.plans.first());
        prepared
    }

    /// Judges the machine, by what was read of the kernel and what is planned for it.
    pub(super) fn judge(
        &self,
        request: &Request,
        recipe: &Recipe,
        source: Option<&Source>,
        plan: Option<&Plan>,
    ) -> Judgement {
        let none = BTreeMap::new();
        let arch = request.arch.as_deref().unwrap_or(&self.facts.arch);
        let given = [&request.with, &request.without].map(Vec::as_slice);
        let requires = source.and_then(|source| build_requires(recipe, source, request.profile, given, arch));
        let missing =
            plan.map_or_else(|| self.ready.missing.clone(), |plan| preflight::programs(plan, request, &self.host));
        let subject = Subject {
            recipe,
            route: plan.map(|plan| plan.route).or(request.route).unwrap_or(Route::Kernel),
            profile: request.profile,
            size: source.map(|source| source.header.size),
            requires: requires.as_deref(),
            missing: &missing,
            texts: source.map_or(&none, |source| &source.texts),
            tree: source.map_or(&none, |source| &source.tree),
        };
        let key = Measured::kind(&recipe.name, request.profile, arch);
        let mut survey = self.look(Some(key));
        if let Some(memory) = plan.and_then(|plan| plan.layout.memory.clone()) {
            survey.room = room(&memory);
            survey.work = memory;
        }
        preflight::judge(&survey, &self.ready, &subject)
    }

    fn look(&self, key: Option<String>) -> Survey {
        let people = machine::people(self.facts, &self.host.builder);
        look(self.facts, self.work, self.args.jobs, people, key)
    }
}

/// Looks at the file system of a directory.
pub(super) fn room(dir: &Path) -> Option<Room> {
    survey::file_system(dir).map(|system| Room {
        kind: system.kind,
        size: system.size,
        free: system.free,
        inodes: system.inodes,
        noexec: system.noexec,
        read_only: system.read_only,
        folds_case: system.folds_case,
    })
}

/// Looks at the machine; `key` names the kind of build whose earlier measures count.
pub(super) fn look(facts: &Facts, work: &Path, jobs: Option<u32>, people: People, key: Option<String>) -> Survey {
    let find = |name: &str| probe::find(&facts.path, name);
    let versions = VERSIONS
        .iter()
        .filter_map(|(name, args)| Some(((*name).to_owned(), survey::version(&find(name)?, args)?)))
        .collect();
    let programs = NAMESAKES.iter().copied().chain(["rpmbuild"]);
    Survey {
        distribution: survey::distribution(),
        container: survey::container().map(|(kind, image)| Container { kind, image }),
        people,
        versions,
        programs: programs
            .filter(|name| facts.tools.contains_key(*name) || find(name).is_some())
            .map(str::to_owned)
            .collect(),
        default_pie: find("gcc").is_some_and(|gcc| survey::makes_pie(&gcc)),
        packages: survey::installed(&find).map(|installed| Installed {
            manager: installed.manager,
            names: installed.names,
            stale: installed.stale,
        }),
        work: work.to_owned(),
        room: room(work),
        memory: survey::memory(),
        entropy: survey::entropy(),
        secure_boot: survey::secure_boot(),
        jobs: jobs.unwrap_or(facts.cpus),
        measured: key.and_then(|key| measured::read(work, &key)),
    }
}

/// Says what was found before a build, and refuses it if there is a problem.
///
/// # Errors
/// Something was found that would stop the build, and it is not to be ignored, or cannot be.
pub(super) fn enforce(edge: &Edge, args: args::Preflight, judgement: &Judgement) -> Result<(), Error> {
    refused(args, judgement).map_or(Ok(()), Err)?;
    for finding in &judgement.findings {
        let fix = finding.fix.as_ref().map(|fix| format!(" -> {fix}")).unwrap_or_default();
        match finding.weight {
            Weight::Fine => {}
            Weight::Note => edge.reporter.note(format!("{finding}{fix}")),
            Weight::Risk => edge.reporter.warn(format!("{finding}{fix}")),
            Weight::Problem => edge.reporter.warn(format!("ignored: {finding}{fix}")),
        }
    }
    Ok(())
}

/// Returns the refusal that follows from what was found, if one does.
pub(super) fn refused(args: args::Preflight, judgement: &Judgement) -> Option<Error> {
    let problems: Vec<Finding> = judgement.problems(args.ignore_preflight).cloned().collect();
    let install = judgement.install.as_ref().map(ToString::to_string);
    (!problems.is_empty()).then_some(Error::Preflight { problems, install })
}

/// Runs what installs everything that is missing; returns whether there was something.
///
/// # Errors
/// Nobody but root can, or the package manager failed.
pub(super) fn install(edge: &Edge, judgement: &Judgement) -> Result<bool, Error> {
    let Some(install) = &judgement.install else { return Ok(false) };
    let failed = |why: String| {
        let source = std::io::Error::other(why);
        Err(Error::Host { what: "the missing packages cannot be installed".into(), source })
    };
    if user::me().uid != 0 {
        return failed(format!("only root can: `{install}`"));
    }
    for words in install.commands() {
        let Some((name, args)) = words.split_first() else { continue };
        let program = probe::find(&probe::facts().path, name).unwrap_or_else(|| PathBuf::from(name));
        let command = Command::new(program).args(args.iter().cloned()).with_env(probe::for_package_managers());
        edge.reporter.note(words.join(" "));
        if let Err(error) = exec::read(&command) {
            let old = if install.update { "" } else { "\nthe lists of packages may be old: `apt-get update`" };
            return failed(format!("{error}{old}"));
        }
    }
    Ok(true)
}

/// What was found, a line or two each. The command that installs what is missing stands once, however many findings have
/// it.
pub(super) fn table(judgement: &Judgement) -> String {
    let mut text = String::new();
    let install = judgement.install.as_ref().map(ToString::to_string);
    let mut said = false;
    for Finding { weight, what, found, fix } in &judgement.findings {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{weight:8} {what:15} {found}");
        let Some(fix) = fix else { continue };
        let again = Some(fix) == install.as_ref() && std::mem::replace(&mut said, true);
        if !again {
            let _ = writeln!(text, "{:8} {:15} -> {fix}", "", "");
        }
    }
    text
}

/// Says what an earlier build like this took, if there was one here.
pub(super) fn earlier(judgement: &Judgement) -> String {
    let Some(earlier) = judgement.measured else { return String::new() };
    let took = duration(Duration::from_secs(earlier.seconds));
    let mut text = format!("earlier  an earlier build here took {took}, {} of room", bytes(earlier.disk));
    if earlier.memory > 0 {
        let _ = write!(text, " and {} of memory with {} jobs", bytes(earlier.memory), earlier.jobs);
    }
    text + "\n"
}
