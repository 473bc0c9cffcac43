//! `kbuild doctor`: whether this machine can build a kernel, all findings at once.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::args::Doctor;
use super::fetch::{Obtained, Promised};
use super::render::Format;
use super::{Edge, Output, fetch, prepare, vouch};
use crate::command::Command;
use crate::error::Error;
use crate::event::Stage;
use crate::pipeline;
use crate::plan::preflight::{self, Finding, Room, Subject, Survey, Weight};
use crate::plan::source::{kept_of_tree, wanted, wanted_of_tree};
use crate::plan::{by_release, complete};
use crate::recipe::{Recipe, builtin};
use crate::rpm::source::{self, Contents, InTree};
use crate::sys::probe::{self, Facts};
use crate::sys::{exec, survey, user};

/// Programs whose versions matter, and how each is asked.
const PROGRAMS: [(&str, &[&str]); 6] = [
    ("gcc", &["-dumpfullversion", "-dumpversion"]),
    ("make", &["--version"]),
    ("perl", &["-v"]),
    ("gpg", &["--version"]),
    ("rpmbuild", &["--version"]),
    ("python3", &["--version"]),
];

pub(super) fn run(edge: &Edge, args: &Doctor) -> Result<Output, Error> {
    let facts = probe::facts();
    let package = package(edge, args, &facts)?;
    let recipe = match (&args.recipe, &package) {
        (Some(name), _) => prepare::named(name)?,
        (None, Some(package)) => package.recipe.clone(),
        (None, None) => return Err(Error::Usage("say `--release R`, `--srpm FILE|URL` or `--recipe NAME`".into())),
    };
    let work = prepare::absolute(args.work.as_deref().unwrap_or(&facts.default_work))?;
    let jobs = args.jobs.unwrap_or(facts.cpus);
    let none = BTreeMap::new();
    let judge = || {
        let subject = Subject {
            recipe: &recipe,
            profile: args.profile.into(),
            size: package.as_ref().map(|package| package.size),
            texts: package.as_ref().map_or(&none, |package| &package.contents.texts),
            tree: package.as_ref().map_or(&none, |package| &package.contents.tree),
        };
        preflight::judge(&look(&facts, &work, jobs), &subject)
    };
    let mut findings = judge();
    if args.install_deps {
        install(edge, &findings)?;
        findings = judge();
    }
    let text = match edge.format {
        Format::Json => findings.iter().filter_map(|each| Some(serde_json::to_string(each).ok()? + "\n")).collect(),
        Format::Human | Format::Plain => table(&findings),
    };
    let problems = findings.iter().filter(|finding| finding.weight == Weight::Problem).count();
    let error = (problems > 0).then_some(Error::NotReady { problems });
    Ok(Output { text, error })
}

/// A source package that was read.
struct Package {
    recipe: Recipe,
    size: u64,
    contents: Contents,
}

/// Reads the source package, if one was named.
fn package(edge: &Edge, args: &Doctor, facts: &Facts) -> Result<Option<Package>, Error> {
    let given = vouch::given(&args.origin)?;
    let named = args.srpm.as_deref();
    let obtained = match (named.and_then(Path::to_str).filter(|text| fetch::is_url(text)), named, &args.release) {
        (Some(url), _, _) => fetch::url(edge, url, &args.origin, facts)?,
        (None, Some(path), _) => Obtained { path: prepare::absolute(path)?, promised: None },
        (None, None, Some(release)) => fetch::release(edge, release, args.recipe.as_deref(), &args.origin, facts)?,
        (None, None, None) => return Ok(None),
    };
    let Obtained { path, promised } = obtained;
    let progress = |what: &str| pipeline::bytes(&*edge.reporter, Stage::Inspect, what.to_owned());
    let mut header = source::header(&path, &mut progress("hashing"))?;
    if let Some(promised) = &promised {
        promised.kept(&header, &path)?;
    }
    let recipe = match &args.recipe {
        Some(name) => Some(prepare::named(name)?),
        None => by_release(&builtin::all()?, &header.nvr).map(|choice| choice.recipe),
    };
    let of_a_server = promised.as_ref().is_some_and(Promised::of_a_server);
    vouch::vouched(edge, &mut header, &path, given, recipe.as_ref(), &args.origin, of_a_server)?;
    complete(&header)?;
    let in_tree = InTree { wanted: &wanted_of_tree, keep: &kept_of_tree };
    let contents = source::read(&path, &wanted, &in_tree, &mut progress("reading the kernel's own sources"))?;
    let recipe =
        recipe.ok_or_else(|| Error::Usage(format!("`{}` is of no family: say `--recipe NAME`", header.nvr)))?;
    Ok(Some(Package { recipe, size: header.size, contents }))
}

/// Looks at the machine.
fn look(facts: &Facts, work: &Path, jobs: u32) -> Survey {
    let find = |name: &str| probe::find(&facts.path, name);
    let versions = PROGRAMS
        .iter()
        .filter_map(|(name, args)| Some(((*name).to_owned(), survey::version(&find(name)?, args)?)))
        .collect();
    let room = survey::file_system(work).map(|system| Room {
        kind: system.kind,
        free: system.free,
        inodes: system.inodes,
        noexec: system.noexec,
        folds_case: system.folds_case,
    });
    Survey {
        distribution: survey::distribution(),
        container: survey::container().map(str::to_owned),
        versions,
        default_pie: find("gcc").is_some_and(|gcc| survey::makes_pie(&gcc)),
        packages: survey::installed(&find).map(|installed| (installed.manager, installed.names)),
        work: work.to_owned(),
        room,
        memory: survey::memory(),
        entropy: survey::entropy(),
        secure_boot: survey::secure_boot(),
        jobs,
    }
}

/// Runs the command that installs what is missing.
fn install(edge: &Edge, findings: &[Finding]) -> Result<(), Error> {
    let missing = findings.iter().find(|finding| finding.what == preflight::PACKAGES && finding.fix.is_some());
    let Some(fix) = missing.and_then(|finding| finding.fix.as_deref()) else { return Ok(()) };
    let failed = |why: String| {
        let source = std::io::Error::other(why);
        Err(Error::Host { what: "the missing packages cannot be installed".into(), source })
    };
    if user::me().uid != 0 {
        return failed(format!("only root can: `{fix}`"));
    }
    let mut words = fix.split(' ');
    let program = words.next().and_then(|name| probe::find(&probe::facts().path, name)).unwrap_or_else(PathBuf::new);
    let command = Command::new(program).args(words).with_env(probe::for_package_managers());
    edge.reporter.note(fix.to_owned());
    match exec::read(&command) {
        Ok(_) => Ok(()),
        Err(error) => failed(format!("{error}\nthe lists of packages may be old: `apt-get update`")),
    }
}

fn table(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { weight, what, found, fix } in findings {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{weight:8} {what:15} {found}");
        if let Some(fix) = fix {
            let _ = writeln!(text, "{:8} {:15} -> {fix}", "", "");
        }
    }
    text
}
