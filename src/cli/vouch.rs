//! Who vouches for a source package: looks for the signer's key, and for the package in the lock file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::Origin;
use super::{Edge, prepare};
use crate::error::Error;
use crate::pipeline::fetch;
use crate::plan::lockfile::{self, LockFile, Verdict};
use crate::plan::resolve;
use crate::plan::{Instead, Voucher, trusted};
use crate::recipe::Recipe;
use crate::rpm::openpgp::{self, PublicKey};
use crate::rpm::source::{self, Header};
use crate::rpm::trust::{self, Key, PinnedBy, Signature};
use crate::sys::files;

/// The largest key file that is read. Real ones have up to some ten kilobytes.
const LARGEST_KEY: u64 = 1 << 20;

/// A public key with the file that it is from.
type Found = (String, PublicKey);

/// What the user gave to judge source packages by.
#[derive(Debug)]
pub(super) struct Given {
    keys: Vec<Found>,
    /// The lock file's path and content.
    lock: Option<(PathBuf, LockFile)>,
}

/// Reads what the user gave, before anything is fetched or read.
pub(super) fn given(origin: &Origin) -> Result<Given, Error> {
    let mut keys = Vec::new();
    for path in &origin.key {
        let unusable = |source| Error::Input { what: "the key".into(), source };
        let found = openpgp::public_keys(&fs_err::read(path).map_err(unusable)?);
        if found.is_empty() {
            let why = format!("`{}` holds no OpenPGP public key", path.display());
            return Err(unusable(io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        keys.extend(found.into_iter().map(|key| (path.display().to_string(), key)));
    }
    Ok(Given { keys, lock: lock_file(origin)? })
}

/// Judges the signature of a package with all the keys that can be had, compares it with the lock file, and says what
/// vouches for it. `fetched` tells that it comes from a server, which may be asked for the key, too.
pub(super) fn vouched(
    edge: &Edge,
    header: &mut Header,
    srpm: &Path,
    given: Given,
    recipe: Option<&Recipe>,
    origin: &Origin,
    fetched: bool,
) -> Result<(Voucher, Locked), Error> {
    if let Signature::NoKey { signer } = &header.signature {
        let pins = Pins { recipe, user: &origin.trust };
        let mut keys = given.keys;
        keys.extend(installed(origin, signer, &pins));
        if fetched && !origin.offline && keys.iter().all(|(_, key)| pins.of(key).is_none()) {
            keys.extend(of_the_vault(edge, origin, &pins));
        }
        let keys: Vec<Key> =
            keys.into_iter().map(|(origin, key)| Key { origin, pinned_by: pins.of(&key), key }).collect();
        let open = |source| source::Error::Open { path: srpm.to_owned(), source };
        header.signature = trust::signature(srpm, &keys).map_err(open)?;
    }
    let file = srpm.file_name().unwrap_or_default().to_string_lossy();
    let lock = locked(given.lock, header, origin.locked)?;
    let instead = Instead {
        pinned: recipe.map_or(&[], |recipe| recipe.pinned_digests(&header.nvr)),
        locked: lock.known,
        allow_unsigned: origin.allow_unsigned,
    };
    Ok((trusted(&file, header, instead)?, lock))
}

/// Who says which keys count.
struct Pins<'a> {
    recipe: Option<&'a Recipe>,
    user: &'a [String],
}

impl Pins<'_> {
    fn of(&self, key: &PublicKey) -> Option<PinnedBy> {
        let fingerprint = key.fingerprint();
        let known =
            self.recipe.is_some_and(|recipe| recipe.trust.keys.iter().any(|pinned| pinned.fingerprint == fingerprint));
        let users = || self.user.contains(&fingerprint).then_some(PinnedBy::User);
        known.then_some(PinnedBy::Recipe).or_else(users)
    }
}

/// Returns the keys of the host that may have made the signature, or that are pinned.
fn installed<'a>(origin: &'a Origin, signer: &'a str, pins: &'a Pins<'a>) -> impl Iterator<Item = Found> + 'a {
    let files = origin.keys.iter().flat_map(|dir| files::texts(dir, LARGEST_KEY));
    let armoured = files.filter(|(_, text)| text.contains("BEGIN PGP PUBLIC KEY BLOCK"));
    let keys = armoured.flat_map(|(path, text)| {
        let path = path.display().to_string();
        openpgp::public_keys(text.as_bytes()).into_iter().map(move |key| (path.clone(), key))
    });
    keys.filter(|(_, key)| key.is(signer) || pins.of(key).is_some())
}

/// Asks where the source packages are for the keys that sign them: only pinned ones are taken, so that it does not matter
/// who answers.
fn of_the_vault(edge: &Edge, origin: &Origin, pins: &Pins<'_>) -> Vec<Found> {
    let Some(recipe) = pins.recipe else { return Vec::new() };
    let mut found = Vec::new();
    for url in resolve::key_urls(recipe, &origin.mirror) {
        match fetch::small(&url, Duration::from_secs(origin.silence), LARGEST_KEY) {
            Ok(content) => {
                let keys = openpgp::public_keys(&content).into_iter().filter(|key| pins.of(key).is_some());
                found.extend(keys.map(|key| (url.clone(), key)));
            }
            Err(why) => edge.reporter.note(format!("no key at {url}: {why}")),
        }
        if !found.is_empty() {
            break;
        }
    }
    found
}

/// What the lock file says of a source package, and what is to be written into it.
#[derive(Debug, Default)]
pub(super) struct Locked {
    /// Whether it names the package.
    known: bool,
    /// The file, and the package that is new in it.
    add: Option<(PathBuf, Header)>,
}

impl Locked {
    /// Writes the package into the file: it is used now.
    pub(super) fn record(&self) -> Result<(), Error> {
        let failed = |source| Error::Host { what: "the lock file cannot be written".into(), source };
        match &self.add {
            Some((path, header)) => {
                // Read anew: another package of this run may have been added since.
                let mut file = read(path, false)?;
                file.add(header);
                let text = file.text().map_err(|why| invalid(path, &why))?;
                files::replace(path, &mut text.as_bytes(), 0o644).map(|_| ()).map_err(failed)
            }
            None => Ok(()),
        }
    }
}

/// Compares a source package with the lock file, if one was named.
fn locked(lock: Option<(PathBuf, LockFile)>, header: &Header, only_known: bool) -> Result<Locked, Error> {
    let Some((path, file)) = lock else { return Ok(Locked::default()) };
    if file.judge(header, only_known)? == Verdict::Known {
        return Ok(Locked { known: true, add: None });
    }
    Ok(Locked { known: false, add: Some((path, header.clone())) })
}

/// Reads the lock file, if one was named.
fn lock_file(origin: &Origin) -> Result<Option<(PathBuf, LockFile)>, Error> {
    let named = origin.lock.as_deref().or(origin.locked.then_some(Path::new(lockfile::NAME)));
    let Some(path) = named else { return Ok(None) };
    let file = read(path, origin.locked)?;
    Ok(Some((prepare::absolute(path)?, file)))
}

/// Reads a lock file; one that is not there is empty, unless it must be there.
fn read(path: &Path, must: bool) -> Result<LockFile, Error> {
    match fs_err::read_to_string(path) {
        Ok(text) => LockFile::parse(&text).map_err(|why| invalid(path, &why)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must => Ok(LockFile::default()),
        Err(source) => Err(Error::Input { what: "the lock file".into(), source }),
    }
}

fn invalid(path: &Path, why: &str) -> Error {
    let source = io::Error::new(io::ErrorKind::InvalidData, format!("`{}`: {why}", path.display()));
    Error::Input { what: "the lock file".into(), source }
}
