//! `kbuild fetch`, and the fetching that other subcommands need.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::args::{Fetch, Origin};
use super::vouch::{self, Given};
use super::{Edge, Output, prepare, render};
use crate::error::Error;
use crate::event::{Event, Stage};
use crate::pipeline::fetch;
use crate::pipeline::{self, store::Store};
use crate::plan;
use crate::plan::resolve::{self, Candidate, Wanted};
use crate::recipe::{Recipe, builtin};
use crate::rpm::nvr::Nvr;
use crate::rpm::source::{self, Header, InTree, Want};
use crate::sys::files;
use crate::sys::probe::{self, Facts};

/// A source package at hand.
#[derive(Debug)]
pub(super) struct Obtained {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What it must turn out to be, if it was fetched.
    pub(super) promised: Option<Promised>,
}

/// What a fetched package must turn out to be.
#[derive(Debug)]
pub(super) struct Promised {
    nvr: Option<Nvr>,
    sha256: String,
    file: String,
    url: String,
    store: Store,
}

impl Promised {
    /// Whether it is from a server, and not from a directory of this machine.
    pub(super) fn of_a_server(&self) -> bool {
        self.url.starts_with("http")
    }

    /// Checks a package's header and digest against what was asked for; what is another thing is forgotten.
    pub(super) fn kept(&self, header: &Header, path: &Path) -> Result<(), Error> {
        let wrong = |expected: String, found: String| {
            self.store.forget(&self.file);
            Err(Error::OtherSource { path: path.to_owned(), expected, found })
        };
        match &self.nvr {
            _ if header.sha256 != self.sha256 => wrong(format!("sha256 {}", self.sha256), header.sha256.clone()),
            Some(nvr) if *nvr != header.nvr => wrong(nvr.to_string(), header.nvr.to_string()),
            _ => Ok(()),
        }
    }
}

/// Whether an argument is a URL and not a file.
pub(super) fn is_url(text: &str) -> bool {
    ["http://", "https://", "file:"].iter().any(|scheme| text.starts_with(scheme))
}

/// Fetches the source package of a release.
pub(super) fn release(
    edge: &Edge,
    release: &str,
    recipe: Option<&str>,
    origin: &Origin,
    facts: &Facts,
) -> Result<Obtained, Error> {
    let wanted = wanted(release, recipe)?;
    let candidates = resolve::candidates(&wanted, &origin.mirror);
    obtain(edge, &wanted.file(), Some(wanted.nvr), &candidates, origin, facts)
}

/// Fetches the source package at a URL.
pub(super) fn url(edge: &Edge, url: &str, origin: &Origin, facts: &Facts) -> Result<Obtained, Error> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+~^-".contains(&byte);
    if !file.ends_with("src.rpm") || file.starts_with('.') || !file.bytes().all(plain) {
        return Err(Error::Usage(format!("expected a URL that ends in the name of a source package, found `{url}`")));
    }
    let candidate = Candidate { url: url.to_owned(), why: "asked for".into() };
    obtain(edge, file, None, &[candidate], origin, facts)
}

pub(super) fn wanted(release: &str, recipe: Option<&str>) -> Result<Wanted, Error> {
    let recipes = match recipe {
        Some(name) => vec![prepare::named(name)?],
        None => builtin::all()?,
    };
    Ok(resolve::wanted(release, &recipes)?)
}

pub(super) fn obtain(
    edge: &Edge,
    file: &str,
    nvr: Option<Nvr>,
    candidates: &[Candidate],
    origin: &Origin,
    facts: &Facts,
) -> Result<Obtained, Error> {
    let default = facts.default_work.with_file_name("kbuild-store");
    let store = Store::new(prepare::absolute(origin.store.as_deref().unwrap_or(&default))?);
    let started = Instant::now();
    edge.reporter.report(&Event::StageStarted { stage: Stage::Fetch, what: file.to_owned() });
    let what = fetch::Fetch {
        file,
        candidates,
        store: &store,
        silence: Duration::from_secs(origin.silence),
        offline: origin.offline,
    };
    let (path, stored) = match fetch::fetch(&what, &*edge.reporter) {
        Ok(found) => found,
        Err(error) => {
            edge.reporter.report(&Event::StageFailed { stage: Stage::Fetch, seconds: started.elapsed().as_secs_f64() });
            return Err(error.into());
        }
    };
    edge.reporter.note(format!("{file} is from {}, sha256 {}", stored.url, stored.sha256));
    edge.reporter.report(&Event::StageFinished { stage: Stage::Fetch, seconds: started.elapsed().as_secs_f64() });
    let promised = Promised { nvr, sha256: stored.sha256, file: file.to_owned(), url: stored.url, store };
    Ok(Obtained { path, promised: Some(promised) })
}

pub(super) fn run(edge: &Edge, args: &Fetch) -> Result<Output, Error> {
    if args.print_urls {
        let wanted = wanted(&args.release, None)?;
        let candidates = resolve::candidates(&wanted, &args.origin.mirror);
        return Ok(Output::text(if edge.format == render::Format::Json {
            let list: Vec<_> = candidates
                .iter()
                .map(|candidate| serde_json::json!({ "url": candidate.url, "why": candidate.why }))
                .collect();
            format!("{}\n", serde_json::Value::from(list))
        } else {
            candidates.iter().map(|candidate| format!("{candidate}\n")).collect::<Vec<_>>().concat()
        }));
    }
    let facts = probe::facts();
    let given = vouch::given(&args.origin)?;
    let recipe = wanted(&args.release, None)?.recipe;
    let obtained = release(edge, &args.release, None, &args.origin, &facts)?;
    let path = checked(edge, &obtained, given, &recipe, &args.origin)?;
    let path = match &args.out {
        Some(out) => beside(&path, &prepare::absolute(out)?)?,
        None => path,
    };
    Ok(Output::text(format!("{}\n", path.display())))
}

/// Reads the whole package: header, signature, every file's digest.
fn checked(edge: &Edge, obtained: &Obtained, given: Given, recipe: &Recipe, origin: &Origin) -> Result<PathBuf, Error> {
    let path = &obtained.path;
    let progress = |what: &str| pipeline::bytes(&*edge.reporter, Stage::Inspect, what.to_owned());
    edge.reporter.report(&Event::StageStarted { stage: Stage::Inspect, what: format!("reading {}", path.display()) });
    let started = Instant::now();
    let mut header = source::header(path, &mut progress("hashing"))?;
    if let Some(promised) = &obtained.promised {
        promised.kept(&header, path)?;
    }
    let of_a_server = obtained.promised.as_ref().is_some_and(Promised::of_a_server);
    let (voucher, lock) = vouch::vouched(edge, &mut header, path, given, Some(recipe), origin, of_a_server)?;
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    if let Some(warning) = voucher.warning(&file) {
        edge.reporter.warn(warning);
    }
    plan::complete(&header)?;
    let nothing = InTree { wanted: &|_| false, keep: &|_, _| false };
    source::read(path, &|_| Want::Check, &nothing, &mut progress("checking every file"))?;
    lock.record()?;
    edge.reporter.report(&Event::StageFinished { stage: Stage::Inspect, seconds: started.elapsed().as_secs_f64() });
    Ok(path.clone())
}

/// Puts the package into a directory of the user's.
fn beside(path: &Path, out: &Path) -> Result<PathBuf, Error> {
    let failed = |source| Error::Host { what: "the source package cannot be put there".into(), source };
    let target = out.join(path.file_name().unwrap_or_default());
    fs_err::create_dir_all(out).map_err(failed)?;
    let mut input = fs_err::File::open(path).map_err(failed)?;
    files::replace(&target, &mut input, 0o644).map_err(failed)?;
    Ok(target)
}
