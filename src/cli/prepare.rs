//! From arguments to plans: reads what decisions need, then lets `plan` decide.

use std::path::{Path, PathBuf};

use super::Edge;
use super::args::Build;
use super::fetch;
use super::machine::host;
use super::preflight::Machine;
use super::vouch::{self, Judged, Locked};
use super::{devel, request};
use crate::error::Error;
use crate::event::{Event, Stage};
use crate::ipvs::module::is_source;
use crate::pipeline;
use crate::plan::preflight::Judgement;
use crate::plan::request::Request;
use crate::plan::routes::module;
use crate::plan::source::{is_patch, kept_of_tree, wanted, wanted_of_tree};
use crate::plan::{self, Choice, Devel, Plan, Route, Source, Subject, routes};
use crate::recipe::{Recipe, builtin};
use crate::rpm::source::{self, Header, InTree, Want};
use crate::sys::probe::{self, Facts};

/// What a build needs.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// A plan for each value.
    pub(super) plans: Vec<Plan>,
    /// The source package.
    pub(super) srpm: PathBuf,
    /// What is to be noted of it, and of kernel-devel, once they are used.
    pub(super) locks: Vec<Locked>,
    /// What was found out about the machine; there is no plan where that alone is a refusal.
    pub(super) judgement: Judgement,
}

/// Makes a plan for each value asked for, and returns them with the source package. Nothing is done but that this is
/// fetched if need be: what is refused leaves no other trace.
pub(super) fn plans(edge: &Edge, args: &Build) -> Result<Prepared, Error> {
    let facts = probe::facts();
    let mut requests = request::all(edge, args)?;
    let Some(first) = requests.first() else { return Ok(Prepared::default()) };

    let work = absolute(args.work.as_deref().unwrap_or(&facts.default_work))?;
    let machine = Machine::new(&facts, args, &work, &requests)?;
    if let Some((prepared, recipe)) = by_name(args, &facts, &requests, &work)? {
        return Ok(machine.judged(prepared, first, &recipe, None));
    }
    // What is refused anyhow is not fetched for.
    if let (false, Some(release)) = (machine.ready().is_ready(), &args.release) {
        let wanted = fetch::wanted(release, args.recipe.as_deref())?;
        return Ok(Prepared { judgement: machine.judge(first, &wanted.recipe, None, None), ..Prepared::default() });
    }
    let given = vouch::given(&args.origin)?;
    let obtained = fetch::named(
        edge,
        args.srpm.as_deref(),
        args.release.as_deref(),
        args.recipe.as_deref(),
        &args.origin,
        &facts,
    )?;
    let srpm = obtained.path.clone();
    for request in &mut requests {
        request.srpm.clone_from(&srpm);
    }
    let started = std::time::Instant::now();
    let what = format!("reading {}", srpm.display());
    edge.reporter.report(&Event::StageStarted { stage: Stage::Inspect, what });
    let Judged { header, choice, voucher, lock } =
        vouch::judged(edge, &obtained, given, args.recipe.as_deref(), &args.origin)?;
    let Some(first) = requests.first() else { return Ok(Prepared::default()) };
    // The route `module` builds from what is read here.
    let all = matches!(args.routes.route.route(), None | Some(Route::Module));
    let ours = |path: &str| all && is_source(path);
    let contents = source::read(
        &srpm,
        &|file| if all && is_patch(file) && wanted(file) == Want::Check { Want::Patch } else { wanted(file) },
        &InTree {
            wanted: &|path| ours(path) || wanted_of_tree(path),
            keep: &|path, text| ours(path) || kept_of_tree(path, text),
        },
        &mut pipeline::bytes(&*edge.reporter, Stage::Inspect, "reading the kernel's own sources".into()),
    )?;
    let mut source = Source::new(header, voucher, contents);
    let choice = if let Some(choice) = choice {
        choice
    } else {
        let arch = first.arch.as_deref().unwrap_or(&facts.arch);
        plan::by_content(&builtin::all()?, &source, arch, &first.patches)?
    };
    let seconds = started.elapsed().as_secs_f64();
    edge.reporter.report(&Event::StageFinished { stage: Stage::Inspect, seconds });

    let first = first.clone();
    let decide = |source: &Source, requests: &[Request]| -> Result<Vec<Plan>, Error> {
        let plan = |request: &Request| {
            let host = host(&facts, args, &work, &request.out)?;
            Ok(plan::decide(request, &choice, Subject::Source(source), &host)?)
        };
        requests.iter().map(plan).collect()
    };
    let mut locks = vec![lock];
    let plans = match decide(&source, &requests) {
        // All that can be refused without it was not: now it is worth fetching.
        Err(Error::Plan(plan::Error::Route(routes::Error::Module(module::Error::NoDevel { .. })))) => {
            let arch = requests.first().and_then(|request| request.arch.as_deref()).unwrap_or(&facts.arch);
            match devel::obtain(edge, args, &choice, &source.header.nvr, arch, &facts) {
                Ok((devel, lock)) => {
                    locks.push(lock);
                    more_headers(&srpm, &mut source, &devel)?;
                    source.devel = Some(devel);
                }
                // Nobody asked for this route: the next one is taken, and it is said.
                Err(error @ Error::Fetch(_)) if args.routes.route.route().is_none() => {
                    edge.reporter.note(format!("not `--route module`: {}", crate::error::chain(&error)));
                    for request in &mut requests {
                        request.route = Some(Route::Kernel);
                    }
                }
                Err(error) => return Err(error),
            }
            decide(&source, &requests)
        }
        plans => plans,
    };
    let prepared = Prepared { plans: plans?, srpm, locks, ..Prepared::default() };
    Ok(machine.judged(prepared, &first, &choice.recipe, Some(&source)))
}

/// Reads the headers that IPVS includes and kernel-devel lacks, if there are any: the tarball is read once more for them.
fn more_headers(srpm: &Path, source: &mut Source, devel: &Devel) -> Result<(), Error> {
    let missing = module::missing(source, devel);
    if missing.is_empty() {
        return Ok(());
    }
    let wanted_too = |path: &str| missing.iter().any(|each| each == path);
    let in_tree = InTree { wanted: &wanted_too, keep: &|_, _| true };
    let want = |file: &str| if wanted(file) == Want::Tree { Want::Tree } else { Want::Check };
    let contents = source::read(srpm, &want, &in_tree, &mut |_, _| ())?;
    source.tree.extend(contents.tree);
    Ok(())
}

/// Makes the plans of a route that needs no more than the release's name, or refuses one that works for no kernel of that
/// name: nothing is fetched then. `None` if the source package is needed, or says more than the recipe does.
fn by_name(
    args: &Build,
    facts: &Facts,
    requests: &[Request],
    work: &Path,
) -> Result<Option<(Prepared, Recipe)>, Error> {
    let asked = args.routes.route.route();
    let Some(release) = &args.release else { return Ok(None) };
    if matches!(asked, Some(Route::Kernel | Route::Tree)) {
        return Ok(None);
    }
    let wanted = fetch::wanted(release, args.recipe.as_deref())?;
    let why = match &args.recipe {
        Some(asked) => format!("asked for: {asked}"),
        None => format!("{} {} is {}", wanted.nvr.name, wanted.nvr.release, wanted.recipe.title),
    };
    let choice = Choice::certain(wanted.recipe, why);
    let mut plans = Vec::new();
    for request in requests {
        let host = host(facts, args, work, &request.out)?;
        match plan::decide(request, &choice, Subject::Named(&wanted.nvr), &host) {
            Ok(plan) => plans.push(plan),
            Err(plan::Error::Route(routes::Error::NeedsSource { .. })) => return Ok(None),
            // The kernel's own sources may allow more than the recipe knows of.
            Err(plan::Error::Range { .. }) if asked != Some(Route::Param) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some((Prepared { plans, ..Prepared::default() }, choice.recipe)))
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    probe::absolute(path).map_err(|source| Error::Host { what: "cannot tell the present directory".into(), source })
}

/// Chooses the recipe: the one asked for, else the one that covers the release; `None` if its content has to tell.
pub(super) fn choose(asked: Option<&str>, header: &Header) -> Result<Option<Choice>, Error> {
    match asked {
        Some(asked) => Ok(Some(Choice::certain(named(asked)?, format!("asked for: {asked}")))),
        None => Ok(plan::by_release(&builtin::all()?, &header.nvr)),
    }
}

/// Returns the recipe of a name, or in a file.
///
/// # Errors
/// There is none, or it is not valid.
pub(super) fn named(asked: &str) -> Result<Recipe, Error> {
    if let Some(recipe) = builtin::all()?.into_iter().find(|recipe| recipe.name == asked) {
        return Ok(recipe);
    }
    if !asked.contains(['/', '.']) {
        return Err(Error::UnknownRecipe { name: asked.to_owned(), known: builtin::names() });
    }
    let text = fs_err::read_to_string(asked).map_err(|source| Error::Input { what: "the recipe".into(), source })?;
    Ok(Recipe::parse(&text, asked)?)
}
