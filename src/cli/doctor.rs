//! `kbuild doctor`: whether this machine can build a kernel, all findings at once.

use std::collections::BTreeMap;
use std::path::Path;

use super::args::Doctor;
use super::render::Format;
use super::vouch::Judged;
use super::{Edge, Output, fetch, machine, preflight, prepare, vouch};
use crate::error::Error;
use crate::event::Stage;
use crate::pipeline;
use crate::plan::host::Builder;
use crate::plan::preflight::{Judgement, Measured, Ready, Subject};
use crate::plan::source::{kept_of_tree, wanted, wanted_of_tree};
use crate::plan::{self, Route, Source, build_requires};
use crate::recipe::Recipe;
use crate::rpm::source::{self, InTree};
use crate::sys::probe::{self, Facts};

pub(super) fn run(edge: &Edge, args: &Doctor) -> Result<Output, Error> {
    let facts = probe::facts();
    let package = package(edge, args, &facts)?;
    let recipe = match (&args.recipe, &package) {
        (Some(name), _) => prepare::named(name)?,
        (None, Some(package)) => package.recipe.clone(),
        (None, None) => return Err(Error::Usage("say `--release R`, `--srpm FILE|URL` or `--recipe NAME`".into())),
    };
    let work = prepare::absolute(args.work.as_deref().unwrap_or(&facts.default_work))?;
    let source = package.as_ref().map(|package| &package.source);
    let mut judgement = judge(args, &facts, &work, &recipe, source)?;
    if args.install_deps && preflight::install(edge, &judgement)? {
        judgement = judge(args, &probe::facts(), &work, &recipe, source)?;
    }
    let text = match edge.format {
        Format::Json => {
            let lines = judgement.findings.iter().filter_map(|each| serde_json::to_string(each).ok());
            lines.map(|line| line + "\n").collect()
        }
        Format::Human | Format::Plain => preflight::table(&judgement) + &preflight::earlier(&judgement),
    };
    let problems = judgement.problems(false).count();
    let error = (problems > 0).then_some(Error::NotReady { problems });
    Ok(Output { text, error })
}

/// Judges the machine as `kbuild ipvs` would for its default, kernel packages.
fn judge(
    args: &Doctor,
    facts: &Facts,
    work: &Path,
    recipe: &Recipe,
    source: Option<&Source>,
) -> Result<Judgement, Error> {
    let none = BTreeMap::new();
    let builder = machine::builder(facts, None)?;
    let place = machine::our_own(machine::place(work, &machine::worker(facts, &builder)));
    let making = matches!(builder, Builder::Missing(_)).then_some("useradd");
    let needed = ["rpmbuild"].into_iter().chain(making);
    let missing = needed.filter(|name| !facts.tools.contains_key(*name)).map(str::to_owned).collect();
    let ready = Ready { missing, directories: place.refused_as_finding().into_iter().collect(), ..Ready::default() };
    let profile = args.profile.into();
    let requires = source.and_then(|source| build_requires(recipe, source, profile, [&[], &[]], &facts.arch));
    let subject = Subject {
        recipe,
        route: Route::Kernel,
        profile,
        size: source.map(|source| source.header.size),
        requires: requires.as_deref(),
        missing: &ready.missing,
        texts: source.map_or(&none, |source| &source.texts),
        tree: source.map_or(&none, |source| &source.tree),
    };
    let key = Measured::kind(&recipe.name, profile, &facts.arch);
    let people = machine::people(facts, &builder);
    Ok(plan::preflight::judge(&preflight::look(facts, work, args.jobs, people, Some(key)), &ready, &subject))
}

/// A source package that was read.
struct Package {
    recipe: Recipe,
    source: Source,
}

/// Reads the source package, if one was named.
fn package(edge: &Edge, args: &Doctor, facts: &Facts) -> Result<Option<Package>, Error> {
    let (srpm, release, recipe) = (args.srpm.as_deref(), args.release.as_deref(), args.recipe.as_deref());
    if srpm.is_none() && release.is_none() {
        return Ok(None);
    }
    let given = vouch::given(&args.origin)?;
    let obtained = fetch::named(edge, srpm, release, recipe, &args.origin, facts)?;
    let Judged { header, choice, voucher, .. } = vouch::judged(edge, &obtained, given, recipe, &args.origin)?;
    let in_tree = InTree { wanted: &wanted_of_tree, keep: &kept_of_tree };
    let mut progress = pipeline::bytes(&*edge.reporter, Stage::Inspect, "reading the kernel's own sources".into());
    let contents = source::read(&obtained.path, &wanted, &in_tree, &mut progress)?;
    let no_family = || Error::Usage(format!("`{}` is of no family: say `--recipe NAME`", header.nvr));
    let recipe = choice.map(|choice| choice.recipe).ok_or_else(no_family)?;
    Ok(Some(Package { recipe, source: Source::new(header, voucher, contents) }))
}
