//! From arguments to plans: reads what decisions need, then lets `plan` decide.

use std::path::{Path, PathBuf};

use super::Edge;
use super::args::Build;
use super::fetch;
use super::vouch::{self, Judged, Locked};
use super::{devel, request};
use crate::error::Error;
use crate::event::{Event, Stage};
use crate::ipvs::module::is_source;
use crate::pipeline::{self, manifest::Manifest};
use crate::plan::host::{Account, Builder, Host, Place, Refused};
use crate::plan::request::{BaseConfig, Request};
use crate::plan::routes::module;
use crate::plan::source::{is_patch, kept_of_tree, wanted, wanted_of_tree};
use crate::plan::{self, Choice, Devel, Layout, Plan, Route, Source, Subject, routes};
use crate::recipe::{Recipe, builtin};
use crate::rpm::source::{self, Header, InTree, Want};
use crate::sys::probe::{self, Facts};
use crate::sys::user::{self, Entry};

/// Who builds when root starts kbuild and names nobody.
const BUILDER: &str = "mockbuild";

/// What a build needs.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// A plan for each value.
    pub(super) plans: Vec<Plan>,
    /// The source package.
    pub(super) srpm: PathBuf,
    /// What is to be noted of it, and of kernel-devel, once they are used.
    pub(super) locks: Vec<Locked>,
}

/// Makes a plan for each value asked for, and returns them with the source package. Nothing is done but that this is
/// fetched if need be: what is refused leaves no other trace.
pub(super) fn plans(edge: &Edge, args: &Build) -> Result<Prepared, Error> {
    let facts = probe::facts();
    let mut requests = request::all(edge, args)?;
    let Some(first) = requests.first() else { return Ok(Prepared::default()) };

    // Cheap refusals first: the host, then the header, then the payload.
    let work = absolute(args.work.as_deref().unwrap_or(&facts.default_work))?;
    plan::host_ready(first, &host(&facts, args, &work, &first.out)?)?;

    if let Some(prepared) = by_name(args, &facts, &requests, &work)? {
        return Ok(prepared);
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
    Ok(Prepared { plans: plans?, srpm, locks })
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
fn by_name(args: &Build, facts: &Facts, requests: &[Request], work: &Path) -> Result<Option<Prepared>, Error> {
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
    Ok(Some(Prepared { plans, ..Prepared::default() }))
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

/// Puts the facts about the machine together with what was asked.
fn host(facts: &Facts, args: &Build, work: &Path, out: &Path) -> Result<Host, Error> {
    let named = match &args.user {
        Some(name) if *name == facts.me.name => None,
        Some(name) => Some(name.as_str()),
        None if facts.me.uid == 0 => Some(BUILDER),
        None => None,
    };
    let unreadable = |source| Error::Host { what: "the account database cannot be read".into(), source };
    let builder = match named {
        None => Builder::Me,
        Some(name) => match user::find(name).map_err(unreadable)? {
            Some(entry) => Builder::Other(account(&entry)),
            None => Builder::Missing(name.to_owned()),
        },
    };
    // Nobody has more rights than an account that does not exist yet will have.
    let worker = match &builder {
        Builder::Me => facts.me.clone(),
        Builder::Other(account) => Entry {
            name: account.name.clone(),
            uid: account.uid.unwrap_or(u32::MAX),
            gid: account.gid.unwrap_or(u32::MAX),
        },
        Builder::Missing(name) => Entry { name: name.clone(), uid: u32::MAX, gid: u32::MAX },
    };
    let place = |path: &Path, user: &Entry| Place {
        path: path.to_owned(),
        refused: probe::unusable(path, user).map(|(why, hint)| Refused { why, hint }),
    };
    let at_work = place(work, &worker);
    if let (Builder::Missing(name), Some(_)) = (&builder, &at_work.refused)
        && user::find(name).map_err(unreadable)?.is_some()
    {
        // Another kbuild has just made both.
        return host(facts, args, work, out);
    }
    Ok(Host {
        me: account(&facts.me),
        arch: facts.arch.clone(),
        cpus: facts.cpus,
        rpm_database: facts.rpm_database,
        sh_is_bash: facts.sh_is_bash,
        tools: facts.tools.clone(),
        path: facts.path.clone(),
        work: our_own(at_work, out),
        out: apart(place(out, &facts.me), work),
        tree: args
            .routes
            .tree
            .as_deref()
            .map(|dir| Ok::<_, Error>(room(&absolute(dir)?, &worker, work, out)))
            .transpose()?,
        running: facts.running.clone(),
        running_config: running_config(args, facts),
        out_holds: Manifest::read(out).map(|earlier| earlier.nvr),
        builder,
    })
}

/// Refuses a work directory with files that are not kbuild's, such as a home directory with somebody's `rpmbuild`: a
/// build clears away what an earlier one left.
fn our_own(mut work: Place, out: &Path) -> Place {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+,:@=~".contains(byte);
    if !work.path.as_os_str().as_encoded_bytes().iter().all(plain) {
        work.refused = Some(Refused {
            why: "rpm expands macros in this name, or a spec's scripts would split it".into(),
            hint: "name another directory with `--work`: letters, digits and a few signs, no blanks".into(),
        });
    }
    let mark = Layout { work: work.path.clone(), out: out.to_owned() }.lock();
    let strange = fs_err::read_dir(&work.path).is_ok_and(|mut entries| entries.next().is_some());
    if work.refused.is_none() && strange && fs_err::symlink_metadata(mark).is_err() {
        work.refused = Some(Refused {
            why: "it holds files that are not kbuild's".into(),
            hint: "name an empty directory, or one that does not exist yet".into(),
        });
    }
    work
}

/// The directory of the route `tree`: one that is empty or missing, which the building user can write to.
fn room(dir: &Path, worker: &Entry, work: &Path, out: &Path) -> Place {
    let refused = |why: String, hint: &str| Some(Refused { why, hint: hint.to_owned() });
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+,@=~".contains(byte);
    let another = "name a directory with `--tree` that is empty or does not exist yet";
    let refused = if !dir.as_os_str().as_encoded_bytes().iter().all(plain) {
        refused("make of a kernel splits names at blanks and colons".into(), another)
    } else if probe::is_headers_tree(dir) {
        refused(
            "it is a headers tree of kernel-devel, without sources: make there ends with \"No rule to make target \
             `missing-syscalls'\""
                .into(),
            another,
        )
    } else if fs_err::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        refused("it is not empty".into(), another)
    } else if dir.starts_with(work) || dir.starts_with(out) {
        refused("it is in the directory for work or for results".into(), another)
    } else {
        probe::unusable(dir, worker).map(|(why, hint)| Refused { why, hint })
    };
    Place { path: dir.to_owned(), refused }
}

/// The configuration of the running kernel, where a tree is to be made and none was named.
fn running_config(args: &Build, facts: &Facts) -> Option<BaseConfig> {
    let wanted = args.routes.tree.is_some() && args.routes.config.is_none();
    let path = format!("/boot/config-{}", facts.running);
    let text = wanted.then(|| fs_err::read_to_string(&path).ok()).flatten()?;
    Some(BaseConfig { origin: path, text })
}

/// Refuses results below the work directory: a build clears that away, and it belongs to the building user.
fn apart(mut out: Place, work: &Path) -> Place {
    if out.path.starts_with(work) {
        out.refused = Some(Refused {
            why: format!("it is in the work directory `{}`", work.display()),
            hint: "name another directory with `--out`".into(),
        });
    }
    out
}

fn account(entry: &Entry) -> Account {
    Account { name: entry.name.clone(), uid: Some(entry.uid), gid: Some(entry.gid) }
}
