//! A repository that dnf and yum install from: signed, made of packages that are proved, and never seen half made.
//!
//! What is there and what is offered go into one pure decision (`change`). Then packages are signed beside their place and
//! moved there, under names that no metadata had before; metadata is made of all of them, compared with them, signed, and takes
//! the place of the old one in one step (`place`). What readers of the old metadata still ask for stays until the next time.

mod change;
mod error;
mod found;
mod metadata;
mod place;
mod programs;
pub mod record;
mod report;
mod signer;
mod texts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub use error::Error;
pub use report::{Kernel, Report};
pub use texts::Reach;

use crate::event::{Event, Reporter, Stage};
use crate::sys::signal::Cancel;
use crate::sys::{clock, exec, files};
use change::{Changes, Next, Offered, Wishes};
use found::{Found, Progress};
use metadata::Checksum;
use place::Place;
use programs::Programs;
use record::{Build, Published, RECORD, Record, SCHEMA};
use signer::Signer;

/// What signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signing {
    /// A key in gpg's keyring, by id, fingerprint or user.
    With(String),
    /// A secret key in a file.
    File(PathBuf),
    /// Nothing.
    Unsigned,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The repository.
    pub dir: PathBuf,
    /// Results of builds: directories, or single packages in them.
    pub from: Vec<PathBuf>,
    /// What signs.
    pub signing: Signing,
    /// How clients reach it.
    pub reach: Reach,
    /// How many releases of a line of kernels stay; all if there is no number.
    pub keep: Option<usize>,
    /// A package of the same name may take the place of another one.
    pub replace: bool,
    /// Only say what would change.
    pub dry_run: bool,
}

/// Publishes results, or only says what that would change.
///
/// # Errors
/// Something is not proved, or does not fit what is there, or cannot be signed or written; the repository is what it was then.
pub fn publish(asked: &Asked, reporter: &dyn Reporter, cancel: &Cancel) -> Result<Report, Error> {
    let started = Instant::now();
    let what = format!("{} {}", if asked.dry_run { "what would change in" } else { "into" }, asked.dir.display());
    reporter.report(&Event::StageStarted { stage: Stage::Publish, what });
    let outcome = all(asked, reporter, cancel);
    let seconds = started.elapsed().as_secs_f64();
    reporter.report(&match &outcome {
        Ok(_) => Event::StageFinished { stage: Stage::Publish, seconds },
        Err(_) => Event::StageFailed { stage: Stage::Publish, seconds },
    });
    outcome
}

fn all(asked: &Asked, reporter: &dyn Reporter, cancel: &Cancel) -> Result<Report, Error> {
    let programs = Programs::find(&asked.signing)?;
    let place = Place::new(&asked.dir);
    let _lock = if asked.dry_run { None } else { Some(place.enter()?) };
    let there = place.record()?;
    if !asked.dry_run {
        place.recover(there.as_ref())?;
    }
    if asked.from.is_empty() && there.is_none() {
        return Err(Error::Empty { dir: asked.dir.clone() });
    }
    let signer = Signer::open(&asked.signing, &programs, reporter)?;
    let key = signer.as_ref().map(|signer| signer.fingerprint.clone());
    let found = found::gather(&asked.from, &asked.dir, reporter, cancel)?;
    if found.offered.is_empty() && there.is_none() {
        return Err(Error::Empty { dir: asked.dir.clone() });
    }
    tell(&found, signer.is_some(), reporter);

    let (record, damaged) = place.sound(there.as_ref(), &found.offered)?;
    let builds: BTreeMap<String, Build> =
        found.builds.iter().map(|(id, (build, _))| (id.clone(), build.clone())).collect();
    let wishes = Wishes { keep: asked.keep, replace: asked.replace, key: key.clone() };
    let changes = change::decide(record.as_ref(), found.offered.clone(), &builds, &wishes)
        .map_err(|problems| Error::Conflict { problems })?;
    let in_place = changes.updated_in_place();
    if !in_place.is_empty() {
        let names = in_place.into_iter().collect::<Vec<_>>().join(", ");
        reporter.warn(format!(
            "{names}: dnf would update it in place, since it provides no name that is install-only by default; the .repo file \
             says what to put into dnf.conf"
        ));
    }
    let as_it_was = record.as_ref().is_some_and(|record| record.key == key) && place.is_whole(key.is_some());
    let anew = changes.any(record.as_ref()) || !damaged.is_empty() || !as_it_was;
    let run = Run { asked, place, programs: &programs, signer: signer.as_ref(), reporter, cancel, found: &found };
    let report = run.report(&changes, there.as_ref(), anew);
    if asked.dry_run {
        return Ok(report);
    }
    run.texts(&changes, there.as_ref())?;
    if anew {
        let made = run.make(&changes, record.as_ref(), there.as_ref(), damaged.is_empty());
        if let Err(error) = made {
            // What was begun is of no use to anybody, unless it was at the very end; the error is the one to report.
            let _ = run.place.record().and_then(|now| run.place.recover(now.as_ref()));
            return Err(error);
        }
    }
    run.provenance(&changes, there.as_ref(), anew)?;
    Ok(report)
}

/// Says what an operator should know of what was found.
fn tell(found: &Found, signed: bool, reporter: &dyn Reporter) {
    if !signed {
        reporter.warn(
            "nothing is signed: whoever can write to the repository, or stands between it and a client, decides what is \
             installed; `--sign-with KEY` or `--sign-key-file FILE` signs"
                .into(),
        );
    }
    if !found.sources.is_empty() {
        reporter.note(format!("source packages are not published: {}", found.sources.join(", ")));
    }
}

/// One publication.
struct Run<'a> {
    asked: &'a Asked,
    place: Place,
    programs: &'a Programs,
    signer: Option<&'a Signer<'a>>,
    reporter: &'a dyn Reporter,
    cancel: &'a Cancel,
    found: &'a Found,
}

impl Run<'_> {
    /// Makes the new repository beside the old one, and lets them change places; `reuse` says whether what the old metadata
    /// says of packages still counts.
    fn make(
        &self,
        changes: &Changes,
        record: Option<&Record>,
        there: Option<&Record>,
        reuse: bool,
    ) -> Result<(), Error> {
        self.place.begin()?;
        let packages = self.packages(changes)?;
        let kept: Vec<&str> = packages.iter().map(|package| package.location.as_str()).collect();
        let before = there.iter().flat_map(|record| &record.packages).map(|package| package.location.clone());
        let retired: Vec<String> = before.filter(|place| !kept.contains(&place.as_str())).collect();
        let gone = there.map(|record| record.retired.clone()).unwrap_or_default();
        let gone: Vec<String> = gone.into_iter().filter(|place| !kept.contains(&place.as_str())).collect();
        let next = Record {
            schema: SCHEMA,
            kbuild: env!("CARGO_PKG_VERSION").to_owned(),
            generation: there.map_or(1, |record| record.generation + 1),
            published: clock::now(),
            key: self.signer.map(|signer| signer.fingerprint.clone()),
            builds: changes.builds.clone(),
            packages,
            retired,
            gone,
        };
        self.metadata(&next, record.filter(|_| reuse))?;
        if let Some(signal) = self.cancel.signal() {
            return Err(Error::Cancelled { signal });
        }
        self.place.swap(next.generation, self.reporter)?;
        self.place.end(&next)
    }

    /// Signs what is new beside its place, and moves it there.
    fn packages(&self, changes: &Changes) -> Result<Vec<Published>, Error> {
        let size = |next: &Next| match next {
            Next::Stays(_) => 0,
            Next::Resign(package) => package.size,
            Next::Comes(offer, _) | Next::Replaces(offer, ..) => offer.size,
        };
        let total = changes.packages.iter().map(size).sum();
        let what = if self.signer.is_some() { "copying and signing" } else { "copying" };
        let mut progress = Progress { reporter: self.reporter, what, done: 0, total };
        let mut packages = Vec::new();
        let mut staged = Vec::new();
        for next in &changes.packages {
            if let Some(signal) = self.cancel.signal() {
                return Err(Error::Cancelled { signal });
            }
            let package = match next {
                Next::Stays(package) => {
                    packages.push(self.place.as_it_is(package)?);
                    continue;
                }
                Next::Resign(package) => {
                    self.stage(&self.place.path(&package.location), package.clone(), &package.sha256)?
                }
                Next::Comes(offer, builds) | Next::Replaces(offer, builds, _) => {
                    let package = Published { builds: builds.clone(), ..published(offer) };
                    self.stage(&offer.path, package, &offer.sha256)?
                }
            };
            progress.add(size(next));
            staged.push(package.clone());
            packages.push(package);
        }
        self.place.move_in(&staged)?;
        packages.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(packages)
    }

    /// Copies a package and signs the copy; it must be the one with this digest.
    fn stage(&self, from: &Path, mut package: Published, sha256: &str) -> Result<Published, Error> {
        let staged = self.place.staged(&package.file);
        let failed = |source| Error::io("a package cannot be copied", source);
        let mut input = fs_err::File::open(from).map_err(failed)?;
        let (size, found) = files::replace(&staged, &mut input, 0o644).map_err(failed)?;
        if found != sha256 {
            return Err(Error::Changed { path: from.to_owned(), expected: sha256.to_owned(), found });
        }
        (package.size, package.sha256) = (size, found);
        if let Some(signer) = self.signer {
            signer.package(&staged)?;
            (package.size, package.sha256) = files::sha256(&staged).map_err(failed)?;
            package.signed = Some(signer.fingerprint.clone());
        }
        package.modified = place::modified(&staged).map_err(failed)?;
        package.location = self.place.free(&package);
        Ok(package)
    }

    /// Makes the metadata of all packages, with what others have put into the old one, and signs it.
    fn metadata(&self, next: &Record, before: Option<&Record>) -> Result<(), Error> {
        let releases =
            |record: &Record| Checksum::of(record.packages.iter().map(|package| package.nvr.release.as_str()));
        let checksum = releases(next);
        if checksum == Checksum::Sha1 {
            let text = "packages of el5 are among them, so the digests in the metadata are SHA-1, which is all that its yum knows; \
                        a repository of its own for el5 leaves the others SHA-256";
            self.reporter.note(text.into());
        }
        let reuse = before.is_some_and(|before| releases(before) == checksum && self.place.is_whole(false));
        let list: String = next.packages.iter().flat_map(|package| [package.location.as_str(), "\n"]).collect();
        let (list, out) = self.place.list(&list)?;
        let env = &self.programs.env;
        let made = metadata::command(
            &self.programs.createrepo,
            env,
            (self.place.dir.as_path(), out.as_path(), list.as_path()),
            checksum,
            reuse,
        );
        self.run(&made)?;
        for (kind, file) in self.place.extras()? {
            let modifyrepo = self.programs.modifyrepo()?;
            self.run(&metadata::carry(
                modifyrepo,
                env,
                (kind.as_str(), file.as_path(), &self.place.new_repodata()),
                checksum,
            ))?;
        }
        let primary = self.place.primary()?;
        let packages: Vec<&Published> = next.packages.iter().collect();
        let problems = metadata::wrong(&primary, &packages, checksum);
        if !problems.is_empty() {
            return Err(Error::OtherMetadata { problems });
        }
        let mut text =
            serde_json::to_vec_pretty(next).map_err(|error| Error::io("the record cannot be written", error.into()))?;
        text.push(b'\n');
        let failed = |source| Error::io("the record cannot be written", source);
        files::replace_text(&self.place.new_repodata().join(RECORD), &text).map_err(failed)?;
        if let Some(signer) = self.signer {
            signer.file(&self.place.new_repodata().join(place::REPOMD))?;
        }
        self.place.keep_old_parts()
    }

    /// Runs a program that may take its time.
    fn run(&self, command: &crate::command::Command) -> Result<(), Error> {
        self.reporter.report(&Event::Exec { command: command.to_string() });
        let mut lines = Vec::new();
        let end = exec::watch(command, self.cancel, |moment| {
            if let exec::Moment::Line(line) = moment {
                lines.push(line.to_owned());
            }
            exec::Flow::Continue
        })?;
        let how = match end {
            exec::End::Exit(0) => return Ok(()),
            exec::End::Cancelled(signal) => return Err(Error::Cancelled { signal }),
            exec::End::Exit(code) => format!("exit code {code}"),
            exec::End::Killed(signal) => format!("signal {signal}"),
            exec::End::Stopped => "no word".to_owned(),
        };
        let lines = lines.split_off(lines.len().saturating_sub(20));
        Err(Error::Metadata { command: command.to_string(), how, lines })
    }
}

/// What is known of a package before it is signed and has a place.
fn published(offer: &Offered) -> Published {
    Published {
        file: offer.file.clone(),
        nvr: offer.nvr.clone(),
        arch: offer.arch.clone(),
        location: String::new(),
        size: offer.size,
        modified: 0,
        built: offer.sha256.clone(),
        sha256: offer.sha256.clone(),
        signed: None,
        image: offer.image,
        install_only: offer.install_only,
        builds: [offer.build.clone()].into(),
    }
}
