//! From arguments to plans: reads what decisions need, then lets `plan` decide.

use std::path::{Path, PathBuf};

use super::Edge;
use super::args::Build;
use super::fetch::{self, Obtained, Promised};
use super::vouch::{self, Locked};
use crate::error::Error;
use crate::event::{Event, Stage};
use crate::ipvs::bits::{MODULE, OPTION};
use crate::pipeline::{self, manifest::Manifest};
use crate::plan::host::{Account, Builder, Host, Place, Refused};
use crate::plan::request::{Patch, Request};
use crate::plan::source::{kept_of_tree, wanted, wanted_of_tree};
use crate::plan::{self, Choice, Layout, Plan, Source, instructions};
use crate::recipe::{Recipe, builtin};
use crate::rpm::nvr::BuildId;
use crate::rpm::source::{self, Header, InTree};
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
    /// What is to be noted of it once it is used.
    pub(super) lock: Locked,
}

/// Makes a plan for each value asked for, and returns them with the source package. Nothing is done but that this is
/// fetched if need be: what is refused leaves no other trace.
pub(super) fn plans(edge: &Edge, args: &Build) -> Result<Prepared, Error> {
    let facts = probe::facts();
    let mut requests = requests(edge, args)?;
    let Some(first) = requests.first() else { return Ok(Prepared::default()) };

    // Cheap refusals first: the host, then the header, then the payload.
    let work = absolute(args.work.as_deref().unwrap_or(&facts.default_work))?;
    plan::host_ready(first, &host(&facts, args, &work, &first.out)?)?;

    let given = vouch::given(&args.origin)?;
    let srpm = source_package(edge, args, &facts)?;
    for request in &mut requests {
        request.srpm.clone_from(&srpm.path);
    }
    let Obtained { path: srpm, promised } = srpm;
    let started = std::time::Instant::now();
    let what = format!("reading {}", srpm.display());
    edge.reporter.report(&Event::StageStarted { stage: Stage::Inspect, what });
    let mut header = source::header(&srpm, &mut pipeline::bytes(&*edge.reporter, Stage::Inspect, "hashing".into()))?;
    if let Some(promised) = &promised {
        promised.kept(&header, &srpm)?;
    }
    let choice = choose(args.recipe.as_deref(), &header)?;
    let recipe = choice.as_ref().map(|choice| &choice.recipe);
    let of_a_server = promised.as_ref().is_some_and(Promised::of_a_server);
    let (voucher, lock) = vouch::vouched(edge, &mut header, &srpm, given, recipe, &args.origin, of_a_server)?;
    plan::complete(&header)?;
    let Some(first) = requests.first() else { return Ok(Prepared::default()) };
    let contents = source::read(
        &srpm,
        &wanted,
        &InTree { wanted: &wanted_of_tree, keep: &kept_of_tree },
        &mut pipeline::bytes(&*edge.reporter, Stage::Inspect, "reading the kernel's own sources".into()),
    )?;
    let source = Source::new(header, voucher, contents);
    let choice = if let Some(choice) = choice {
        choice
    } else {
        let arch = first.arch.as_deref().unwrap_or(&facts.arch);
        plan::by_content(&builtin::all()?, &source, arch, &first.patches)?
    };
    let seconds = started.elapsed().as_secs_f64();
    edge.reporter.report(&Event::StageFinished { stage: Stage::Inspect, seconds });

    let plans: Result<Vec<Plan>, Error> = requests
        .iter()
        .map(|request| {
            let host = host(&facts, args, &work, &request.out)?;
            Ok(plan::decide(request, &choice, &source, &host)?)
        })
        .collect();
    Ok(Prepared { plans: plans?, srpm, lock })
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    probe::absolute(path).map_err(|source| Error::Host { what: "cannot tell the present directory".into(), source })
}

fn requests(edge: &Edge, args: &Build) -> Result<Vec<Request>, Error> {
    let several = args.bits.len() > 1;
    let pattern = args.buildid.as_deref().unwrap_or(".ipvs_{bits}bit");
    if several && !pattern.contains("{bits}") {
        return Err(Error::Usage(format!(
            "several values need buildids of their own: write `--buildid` with `{{bits}}` in it, not `{pattern}`"
        )));
    }
    for (index, setting) in args.set.iter().enumerate() {
        let symbol = setting.symbol();
        if symbol == OPTION {
            return Err(Error::Usage(format!("`--set {setting}` contradicts `--bits`, which sets {symbol}")));
        }
        if symbol == MODULE && setting.value() != "m" {
            let expected = format!("expected {MODULE}=m: the proof of the table is ip_vs.ko");
            return Err(Error::Usage(format!("`--set {setting}` leaves no module, {expected}")));
        }
        if args.set.iter().take(index).any(|earlier| earlier.symbol() == symbol) {
            return Err(Error::Usage(format!("`--set` names {symbol} twice")));
        }
    }
    let patches = args.patch.iter().map(|path| patch(path)).collect::<Result<Vec<_>, _>>()?;
    for (index, patch) in patches.iter().enumerate() {
        if patches.iter().take(index).any(|earlier| earlier.text == patch.text) {
            return Err(Error::Usage(format!("`--patch` names `{}` twice: it applies once", patch.name)));
        }
    }
    let out = absolute(&args.out)?;
    let template = template(args.templates.as_deref())?;
    args.bits
        .iter()
        .enumerate()
        .map(|(index, bits)| {
            if args.bits.iter().take(index).any(|earlier| earlier == bits) {
                return Err(Error::Usage(format!("`--bits` names {bits} twice")));
            }
            let buildid: BuildId = pattern
                .replace("{bits}", &bits.to_string())
                .parse()
                .map_err(|error: crate::rpm::nvr::BuildIdError| Error::Usage(error.to_string()))?;
            Ok(Request {
                bits: *bits,
                // Known when it was fetched.
                srpm: PathBuf::new(),
                arch: args.arch.clone(),
                mode: args.mode.into(),
                profile: args.profile.into(),
                with: args.with.clone(),
                without: args.without.clone(),
                set: args.set.clone(),
                patches: patches.clone(),
                out: if several { out.join(buildid.as_str().trim_start_matches('.')) } else { out.clone() },
                buildid,
                jobs: args.jobs,
                until: args.until.map(Into::into),
                fresh: args.fresh,
                boot: args.boot,
                template: template.clone(),
                reproduce: edge.command_line.clone(),
            })
        })
        .collect()
}

/// Returns the source package: the file that was named, or what was fetched.
fn source_package(edge: &Edge, args: &Build, facts: &Facts) -> Result<Obtained, Error> {
    let named = args.srpm.as_deref();
    match (named.and_then(Path::to_str).filter(|text| fetch::is_url(text)), named, &args.release) {
        (Some(url), _, _) => fetch::url(edge, url, &args.origin, facts),
        (None, Some(path), _) => Ok(Obtained { path: absolute(path)?, promised: None }),
        (None, None, Some(release)) => fetch::release(edge, release, args.recipe.as_deref(), &args.origin, facts),
        (None, None, None) => Err(Error::Usage("say `--srpm FILE|URL` or `--release R`".into())),
    }
}

fn patch(path: &Path) -> Result<Patch, Error> {
    let input = |source| Error::Input { what: "the patch".into(), source };
    let text = fs_err::read_to_string(path).map_err(input)?;
    if !text.contains("\n+++ ") {
        let message = format!("`{}` is not a unified diff", path.display());
        return Err(input(std::io::Error::new(std::io::ErrorKind::InvalidData, message)));
    }
    Ok(Patch { name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text })
}

/// Returns the template of INSTALL.md: the built-in one, unless the user's directory has its own.
fn template(dir: Option<&Path>) -> Result<String, Error> {
    let Some(dir) = dir else { return Ok(instructions::BUILT_IN.to_owned()) };
    let input = |source| Error::Input { what: "the template".into(), source };
    let text = fs_err::read_to_string(dir.join(instructions::NAME)).map_err(input)?;
    instructions::check(&text).map_err(|error| input(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?;
    Ok(text)
}

/// Chooses the recipe: the one asked for, else the one that covers the release; `None` if its content has to tell.
fn choose(asked: Option<&str>, header: &Header) -> Result<Option<Choice>, Error> {
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
    Ok(Host {
        me: account(&facts.me),
        arch: facts.arch.clone(),
        cpus: facts.cpus,
        rpm_database: facts.rpm_database,
        sh_is_bash: facts.sh_is_bash,
        tools: facts.tools.clone(),
        path: facts.path.clone(),
        work: our_own(place(work, &worker), out),
        out: apart(place(out, &facts.me), work),
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
