//! Fetches a source package: from the store, or from the first place that has it whole.
//!
//! A file that was cut off is resumed where it ended, if the server says that it is still the same version; a server
//! that does not know ranges starts again. What is worth retrying is retried, what is not goes on to the next place.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use fs_err::File;

use super::partial::{Broken, Partial};
use super::store::{Part, Store, Stored};
use crate::event::{Event, Reporter, Stage, Unit};
use crate::plan::resolve::Candidate;
use crate::sys::http::Client;
use crate::sys::lock;

/// How often a place is tried without a byte of progress.
const TRIES: u32 = 5;
/// How much a try counts where no server answered at all: it will hardly come up in a second.
const NO_ANSWER: u32 = 2;
/// How long to wait before the second try; doubled before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The largest source package that is taken. Real ones have up to 250 MB.
const LARGEST: u64 = 4 << 30;
/// What is said of a larger one.
const TOO_LARGE: &str = "it is larger than any source package";
/// How often progress is told, in bytes.
const STEP: u64 = 1 << 20;

/// Why a source package was not had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No place has it.
    #[error("`{file}` is in none of {} places{}", tried.len(), bullets(tried))]
    Nowhere {
        /// The file.
        file: String,
        /// Each place, and why not.
        tried: Vec<(String, String)>,
    },
    /// It is not in the store, and nothing else may be asked.
    #[error("`{file}` is not in the store, and `--offline` was said")]
    Offline {
        /// The file.
        file: String,
    },
    /// The store cannot be used.
    #[error("the store of source packages cannot be used")]
    Store(#[source] io::Error),
    /// Another process has the file.
    #[error(transparent)]
    Lock(#[from] lock::Error),
}

fn bullets(tried: &[(String, String)]) -> String {
    tried.iter().fold(String::new(), |text, (url, why)| format!("{text}\n  - {url}: {why}"))
}

/// What to do with a place that failed.
enum Failed {
    /// Go on to the next one.
    Next(String),
    /// Give up: no other place would help.
    Stop(Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Stop(Error::Store(error))
    }
}

/// A source package that was asked for.
#[derive(Debug)]
pub struct Fetch<'a> {
    /// Its file name.
    pub file: &'a str,
    /// Where it may be, in order.
    pub candidates: &'a [Candidate],
    /// Where it is kept.
    pub store: &'a Store,
    /// How long a server may be silent.
    pub silence: Duration,
    /// Ask nobody.
    pub offline: bool,
}

/// Returns the path of the source package and what is known of it.
///
/// # Errors
/// It is nowhere, or the store cannot be used.
pub fn fetch(what: &Fetch<'_>, reporter: &dyn Reporter) -> Result<(PathBuf, Stored), Error> {
    let Fetch { file, store, .. } = what;
    if let Some(found) = store.find(file) {
        return Ok(found);
    }
    if what.offline {
        return Err(Error::Offline { file: (*file).to_owned() });
    }
    let _lock = store.lock(file, &mut || reporter.note(format!("another kbuild fetches {file}: waiting for it")))?;
    // The other one may have it by now.
    if let Some(found) = store.find(file) {
        return Ok(found);
    }
    let client = Client::new(what.silence);
    let mut tried = Vec::new();
    for candidate in what.candidates {
        let outcome = match candidate.url.strip_prefix("file:") {
            Some(path) => copy(what, path.trim_start_matches("//"), &candidate.url, reporter),
            None => download(what, &client, &candidate.url, reporter),
        };
        match outcome {
            Ok(found) => return Ok(found),
            Err(Failed::Next(why)) => tried.push((candidate.url.clone(), why)),
            Err(Failed::Stop(error)) => return Err(error),
        }
    }
    Err(Error::Nowhere { file: (*file).to_owned(), tried })
}

/// Fetches something small, such as a key, into memory.
///
/// # Errors
/// It is not there, or is larger than `largest` bytes; in words.
pub fn small(url: &str, silence: Duration, largest: u64) -> Result<Vec<u8>, String> {
    let response = Client::new(silence).get(url, 0, None).map_err(|error| error.why)?;
    if response.status != 200 {
        return Err(format!("status {}", response.status));
    }
    let mut content = Vec::new();
    let size = response.body.take(largest + 1).read_to_end(&mut content).map_err(|error| error.to_string())? as u64;
    if size > largest { Err(format!("it has more than {largest} bytes")) } else { Ok(content) }
}

/// Takes a copy of a file of this machine.
fn copy(what: &Fetch<'_>, path: &str, url: &str, reporter: &dyn Reporter) -> Result<(PathBuf, Stored), Failed> {
    let mut input = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Failed::Next("no such file".into())),
        Err(error) => return Err(Failed::Next(error.to_string())),
    };
    let part = what.store.part(what.file)?;
    let mut partial = Partial::open(&part)?;
    partial.clear()?;
    let mut meter = Meter::new(what.file, 0, Some(input.metadata()?.len()), reporter);
    partial.append(&mut input, LARGEST, &mut |size| meter.tell(size)).map_err(|error| match error {
        Broken::Write(error) => Failed::from(error),
        Broken::Read(error) => Failed::Next(error.to_string()),
        Broken::TooLarge => Failed::Next(TOO_LARGE.into()),
    })?;
    keep(what, &part, partial, url)
}

/// Takes a file that is complete into the store.
fn keep(what: &Fetch<'_>, part: &Path, partial: Partial, url: &str) -> Result<(PathBuf, Stored), Failed> {
    let (size, sha256) = partial.finish();
    let stored = Stored { sha256, size, url: url.to_owned() };
    Ok((what.store.take(what.file, part, &stored)?, stored))
}

/// Downloads a file, in as many parts as it takes.
fn download(
    what: &Fetch<'_>,
    client: &Client,
    url: &str,
    reporter: &dyn Reporter,
) -> Result<(PathBuf, Stored), Failed> {
    let part = what.store.part(what.file)?;
    let mut partial = Partial::open(&part)?;
    let (mut attempts, mut tries, mut wait) = (0, 0, FIRST_WAIT);
    loop {
        let before = partial.size();
        let (why, counts) = match attempt(what, client, url, &mut partial, reporter)? {
            Attempt::Whole => return keep(what, &part, partial, url),
            Attempt::Again(why) => (why, 1),
            Attempt::NoAnswer(why) => (why, NO_ANSWER),
            Attempt::Never(why) => return Err(Failed::Next(why)),
        };
        if partial.size() > before {
            (attempts, tries, wait) = (0, 0, FIRST_WAIT);
        }
        attempts += 1;
        tries += counts;
        if tries >= TRIES {
            return Err(Failed::Next(format!("{why} ({attempts} tries)")));
        }
        reporter.note(format!("{url}: {why}; trying again"));
        thread::sleep(wait);
        wait *= 2;
    }
}

/// How one request ended.
enum Attempt {
    /// The file is complete.
    Whole,
    /// It is not, and the rest may come later.
    Again(String),
    /// No server answered.
    NoAnswer(String),
    /// This place does not have it.
    Never(String),
}

fn attempt(
    what: &Fetch<'_>,
    client: &Client,
    url: &str,
    partial: &mut Partial,
    reporter: &dyn Reporter,
) -> Result<Attempt, Failed> {
    let known = what.store.known(what.file).filter(|known| known.url == url && known.version.is_some());
    let have = if known.is_some() { partial.size() } else { 0 };
    let version = known.as_ref().and_then(|known| known.version.as_deref());
    let response = match client.get(url, have, version) {
        Ok(response) => response,
        Err(error) if error.transient => return Ok(Attempt::NoAnswer(error.why)),
        Err(error) => return Ok(Attempt::Never(error.why)),
    };
    match response.status {
        200 | 206 => {}
        416 if have > 0 && response.total == Some(have) => return Ok(Attempt::Whole),
        416 => {
            partial.clear()?;
            return Ok(Attempt::Again("the part that is here is not one of the file that is there".into()));
        }
        status @ (408 | 429 | 500..=599) => return Ok(Attempt::Again(format!("status {status}"))),
        status => return Ok(Attempt::Never(format!("status {status}"))),
    }
    if let Some(encoding) = response.encoding {
        return Ok(Attempt::Never(format!("the server packs it ({encoding}) although it was asked not to")));
    }
    if response.total.is_some_and(|total| total > LARGEST) {
        return Ok(Attempt::Never(TOO_LARGE.into()));
    }
    // A server that ignores the range, or whose file has changed, sends all of it.
    let resumes = response.status == 206 && response.start == have;
    if response.status == 206 && !resumes {
        return Ok(Attempt::Never(format!("it sends bytes from {} on, asked for {have}", response.start)));
    }
    if !resumes {
        partial.clear()?;
        what.store.note(what.file, &Part { url: url.to_owned(), version: response.version })?;
    }
    let mut body = response.body;
    let mut meter = Meter::new(what.file, partial.size(), response.total, reporter);
    let ended = partial.append(&mut body, LARGEST, &mut |size| meter.tell(size));
    let have = partial.size();
    match (ended, response.total) {
        (Err(Broken::TooLarge), _) => Ok(Attempt::Never(TOO_LARGE.into())),
        (Err(Broken::Read(error)), _) => Ok(Attempt::Again(format!("cut off after {have} bytes ({error})"))),
        (Err(Broken::Write(error)), _) => Err(error.into()),
        (Ok(()), Some(total)) if have < total => Ok(Attempt::Again(format!("cut off after {have} of {total} bytes"))),
        (Ok(()), Some(total)) if have > total => {
            partial.clear()?;
            Ok(Attempt::Never(format!("it sends {have} bytes where it promised {total}")))
        }
        (Ok(()), _) => Ok(Attempt::Whole),
    }
}

/// Tells how far a file is.
struct Meter<'a> {
    file: &'a str,
    told: u64,
    total: Option<u64>,
    reporter: &'a dyn Reporter,
}

impl<'a> Meter<'a> {
    fn new(file: &'a str, done: u64, total: Option<u64>, reporter: &'a dyn Reporter) -> Self {
        Self { file, told: done, total, reporter }
    }

    fn tell(&mut self, done: u64) {
        if done - self.told >= STEP || Some(done) == self.total {
            self.told = done;
            self.reporter.report(&Event::Progress {
                stage: Stage::Fetch,
                phase: None,
                done,
                total: self.total,
                estimated: false,
                unit: Unit::Bytes,
                what: self.file.to_owned(),
            });
        }
    }
}
