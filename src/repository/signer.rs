//! The key that signs: found in gpg's keyring, or taken from a file into one that is thrown away; and whether what it signed is
//! signed.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Error, Programs, Signing};
use crate::command::Command;
use crate::edit::spec::compare_versions;
use crate::event::{Event, Reporter};
use crate::rpm::openpgp;
use crate::rpm::trust::{self, Key, PinnedBy, Signature};
use crate::sys::files;
use crate::sys::lock::{self, Lock};
use crate::sys::stamp::Stamp;
use crate::sys::{clock, exec};

/// How the names of throw-away keyrings begin.
const THROW_AWAY: &str = "kbuild-gnupg-";
/// How old a keyring is before it can have been left.
const YOUNG: Duration = Duration::from_mins(1);
/// From this version on rpmsign leaves the passphrase to gpg's agent (rpm 4.12 release notes); before, it asks at the terminal.
const WITHOUT_TERMINAL: &str = "4.12";

/// A key that can sign.
pub(super) struct Signer<'a> {
    reporter: &'a dyn Reporter,
    programs: &'a Programs,
    env: BTreeMap<String, String>,
    /// Its primary fingerprint.
    pub(super) fingerprint: String,
    /// What gpg is told for it.
    name: String,
    /// The public key, armored.
    pub(super) public: String,
    keys: Vec<Key>,
    _keyring: Option<Keyring>,
}

/// A secret key as gpg lists it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Secret {
    fingerprint: String,
    /// Whether the primary key itself signs, and is there.
    primary: bool,
    /// Whether any part of it signs, and is there.
    signs: bool,
    /// Why it counts no more: `expired`, `revoked`, `disabled`.
    void: Option<&'static str>,
}

impl<'a> Signer<'a> {
    /// Makes a key ready; nothing where nothing is to be signed.
    ///
    /// # Errors
    /// There is none of that name, more than one, or it cannot sign.
    pub(super) fn open(
        signing: &Signing,
        programs: &'a Programs,
        reporter: &'a dyn Reporter,
    ) -> Result<Option<Self>, Error> {
        let (name, keyring) = match signing {
            Signing::Unsigned => return Ok(None),
            Signing::With(name) => (Some(name.as_str()), None),
            Signing::File(path) => (None, Some(Keyring::with(path, programs)?)),
        };
        let mut env = programs.env.clone();
        if let Some(keyring) = &keyring {
            env.insert("GNUPGHOME".into(), keyring.dir.path().display().to_string());
        }
        let gpg =
            |args: &[&str]| Command::new(&programs.gpg).arg("--batch").args(args.iter().copied()).with_env(env.clone());
        let list = gpg(&["--with-colons", "--fixed-list-mode", "--with-fingerprint", "--list-secret-keys"]);
        let list = match name {
            Some(name) => list.arg("--").arg(name),
            None => list,
        };
        let shown = name.map_or_else(|| "the file".to_owned(), |name| format!("`{name}`"));
        // gpg says nothing more than that there is none; what it says is in the error all the same.
        let listing = exec::read(&list)
            .map_err(|error| Error::Key { what: format!("there is no secret key for {shown}: {}", said(&error)) })?;
        let secret = one(&listing, &shown).map_err(|what| Error::Key { what })?;
        let public =
            exec::read(&gpg(&["--armor", "--export-options", "export-minimal", "--export", &secret.fingerprint]))?;
        let keys: Vec<Key> = openpgp::public_keys(public.as_bytes())
            .into_iter()
            .map(|key| Key { origin: "gpg".into(), key, pinned_by: Some(PinnedBy::User) })
            .collect();
        if keys.is_empty() {
            let what = format!("the public key {} cannot be read as gpg exports it", secret.fingerprint);
            return Err(Error::Key { what });
        }
        // rpm before 4.14 knows no subkeys.
        let name = if secret.primary { format!("{}!", secret.fingerprint) } else { secret.fingerprint.clone() };
        Ok(Some(Self {
            reporter,
            programs,
            env,
            fingerprint: secret.fingerprint,
            name,
            public,
            keys,
            _keyring: keyring,
        }))
    }

    /// Signs a package, unless this key has already.
    ///
    /// # Errors
    /// It cannot be signed, or is not signed by this key afterwards.
    pub(super) fn package(&self, path: &Path) -> Result<(), Error> {
        if self.has_signed(path)?.is_none() {
            return Ok(());
        }
        // What is a macro to rpm must not be one here.
        let define = |name: &str, value: &str| ["--define".to_owned(), format!("{name} {}", value.replace('%', "%%"))];
        let mut command = Command::new(&self.programs.rpmsign)
            .arg("--addsign")
            .args(define("_gpg_name", &self.name))
            .args(define("__gpg", &self.programs.gpg.display().to_string()))
            .args(define("_gpg_digest_algo", "sha256"));
        if let Some(home) = self.env.get("GNUPGHOME") {
            command = command.args(define("_gpg_path", home));
        }
        self.run(&command.arg(path.display().to_string()), path)?;
        match self.has_signed(path)? {
            None => Ok(()),
            Some(found) => Err(Error::NotSigned { path: path.to_owned(), key: self.fingerprint.clone(), found }),
        }
    }

    /// Signs a file: beside it, `.asc`.
    ///
    /// # Errors
    /// It cannot be signed, or gpg does not know its own signature again.
    pub(super) fn file(&self, path: &Path) -> Result<(), Error> {
        let (file, signature) = (path.display().to_string(), format!("{}.asc", path.display()));
        let gpg = || Command::new(&self.programs.gpg).arg("--batch").with_env(self.env.clone());
        let sign = gpg().args(["--yes", "--detach-sign", "--armor", "--digest-algo", "sha256", "-u"]).arg(&self.name);
        self.run(&sign.args(["--output", &signature, "--", &file]), path)?;
        self.run(&gpg().args(["--verify", "--", &signature, &file]), path)
    }

    /// Says what the signature of a package is, if it is not this key's.
    fn has_signed(&self, path: &Path) -> Result<Option<String>, Error> {
        let failed = |source| Error::io("the signature of a package cannot be read", source);
        Ok(match trust::signature(path, &self.keys).map_err(failed)? {
            Signature::Good { .. } => None,
            Signature::Unsigned => Some("it is not signed".into()),
            Signature::NoKey { signer } | Signature::NotPinned { signer, .. } => {
                Some(format!("{signer} has signed it"))
            }
            Signature::Bad { why } => Some(why),
        })
    }

    fn run(&self, command: &Command, what: &Path) -> Result<(), Error> {
        self.reporter.report(&Event::Exec { command: command.to_string() });
        let what = what.file_name().unwrap_or_default().to_string_lossy().into_owned();
        exec::read(command).map(drop).map_err(|error| Error::Signing { what, why: said(&error) })
    }
}

/// What a program said that failed, or why it could not.
fn said(error: &exec::Error) -> String {
    match error {
        exec::Error::Failed { output, status, .. } if output.is_empty() => status.clone(),
        exec::Error::Failed { output, .. } => output.clone(),
        other => crate::error::chain(other),
    }
}

/// Refuses an rpmsign that would wait at a terminal.
///
/// # Errors
/// It is too old.
pub(super) fn check_rpmsign(programs: &Programs) -> Result<(), Error> {
    let text = exec::read(&Command::new(&programs.rpmsign).arg("--version").with_env(programs.env.clone()))?;
    let version = text.split_whitespace().last().unwrap_or_default();
    if version.starts_with(|sign: char| sign.is_ascii_digit()) && compare_versions(version, WITHOUT_TERMINAL).is_lt() {
        return Err(Error::OldRpm { found: version.to_owned() });
    }
    Ok(())
}

/// Returns the one secret key of a listing, if it can sign.
fn one(listing: &str, shown: &str) -> Result<Secret, String> {
    let found = secrets(listing);
    let usable: Vec<&Secret> = found.iter().filter(|key| key.signs && key.void.is_none()).collect();
    match (usable.as_slice(), found.as_slice()) {
        ([key], _) => Ok((*key).clone()),
        ([], []) => Err(format!("there is no secret key for {shown}")),
        ([], [key, ..]) => Err(match key.void {
            Some(why) => format!("the key {} is {why}", key.fingerprint),
            None => format!(
                "the key {} cannot sign: its secret part is not here, or it is not for signing",
                key.fingerprint
            ),
        }),
        (several, _) => {
            let all: Vec<&str> = several.iter().map(|key| key.fingerprint.as_str()).collect();
            Err(format!("there is more than one secret key for {shown}: {}", all.join(", ")))
        }
    }
}

/// Reads what `gpg --with-colons --list-secret-keys` prints (doc/DETAILS of `GnuPG` 2.2): field 2 is the validity, 12 what a
/// key may do, in lower case what this very key may, 15 whether its secret part is here.
fn secrets(listing: &str) -> Vec<Secret> {
    let mut keys: Vec<Secret> = Vec::new();
    let mut primary = false;
    for line in listing.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let field = |number: usize| fields.get(number - 1).copied().unwrap_or_default();
        let signs = || field(12).contains('s') && field(15) != "#" && !matches!(field(2), "e" | "r" | "d" | "i");
        match field(1) {
            "sec" => {
                let void = match field(2) {
                    "e" => Some("expired"),
                    "r" => Some("revoked"),
                    "d" => Some("disabled"),
                    "i" => Some("not valid"),
                    _ => None,
                };
                primary = true;
                keys.push(Secret { fingerprint: String::new(), primary: signs(), signs: signs(), void });
            }
            "ssb" => {
                primary = false;
                if let Some(key) = keys.last_mut() {
                    key.signs |= signs();
                }
            }
            "fpr" if primary => {
                primary = false;
                if let Some(key) = keys.last_mut() {
                    field(10).clone_into(&mut key.fingerprint);
                }
            }
            _ => {}
        }
    }
    keys
}

/// A keyring for one run, with its agent.
struct Keyring {
    dir: tempfile::TempDir,
    gpgconf: Option<PathBuf>,
    env: BTreeMap<String, String>,
    /// As long as it is held, whoever finds the directory knows that it is in use.
    _lock: Lock,
}

impl Keyring {
    /// Makes one with the secret key of a file, which is on no disk where the system has a file system in memory.
    fn with(file: &Path, programs: &Programs) -> Result<Self, Error> {
        let failed = |source| Error::io("no keyring can be made for the time of this run", source);
        fs_err::File::open(file).map_err(|source| Error::io("the key cannot be read", source))?;
        let place = [Path::new("/dev/shm"), &std::env::temp_dir()].map(Path::to_owned);
        for place in &place {
            sweep(place, programs);
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(THROW_AWAY).permissions(PermissionsExt::from_mode(0o700));
        let dir = place.iter().find_map(|place| builder.tempdir_in(place).ok());
        let dir =
            dir.ok_or_else(|| failed(std::io::Error::other("neither /dev/shm nor the temporary directory takes it")))?;
        let lock = lock::directory(dir.path(), false)?;
        let mut env = programs.env.clone();
        env.insert("GNUPGHOME".into(), dir.path().display().to_string());
        let keyring = Self { gpgconf: programs.gpgconf.clone(), env: env.clone(), dir, _lock: lock };
        let import = Command::new(&programs.gpg).args(["--batch", "--import", "--"]);
        exec::read(&import.arg(file.display().to_string()).with_env(env)).map_err(|error| Error::Key {
            what: format!("`{}` holds no key that gpg takes: {}", file.display(), said(&error)),
        })?;
        Ok(keyring)
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        end_agent(self.gpgconf.as_deref(), &self.env);
    }
}

/// Ends the agent that gpg started for a keyring.
fn end_agent(gpgconf: Option<&Path>, env: &BTreeMap<String, String>) {
    if let Some(gpgconf) = gpgconf {
        // Without its directory it ends by itself, only later.
        let _ = exec::read(&Command::new(gpgconf).args(["--kill", "all"]).with_env(env.clone()));
    }
}

/// Removes the keyrings that runs left which were killed.
fn sweep(place: &Path, programs: &Programs) {
    for entry in fs_err::read_dir(place).into_iter().flatten().flatten() {
        let path = entry.path();
        if !entry.file_name().to_string_lossy().starts_with(THROW_AWAY)
            || !entry.file_type().is_ok_and(|kind| kind.is_dir())
        {
            continue;
        }
        // One that was made just now may not be locked yet.
        let made = Stamp::of(&path).map_or(u128::MAX, Stamp::nanoseconds);
        if made.saturating_add(YOUNG.as_nanos()) > clock::nanoseconds() {
            continue;
        }
        // One that somebody uses is locked, and one of another user cannot be opened.
        let Ok(_held) = lock::directory(&path, false) else { continue };
        let mut env = programs.env.clone();
        env.insert("GNUPGHOME".into(), path.display().to_string());
        end_agent(programs.gpgconf.as_deref(), &env);
        let _ = files::remove_tree(&path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
sec:u:3072:1:AAAAAAAAAAAAAAAA:1700000000:::u:::scESC:::+:::23::0:
fpr:::::::::1111111111111111111111111111111111111111:
grp:::::::::2222222222222222222222222222222222222222:
uid:u::::1700000000::X::Kernels <k@example.com>::::::::::0:
ssb:u:3072:1:BBBBBBBBBBBBBBBB:1700000000::::::e:::+:::23:
fpr:::::::::3333333333333333333333333333333333333333:
";

    #[test]
    fn the_primary_key_is_told_from_its_subkeys() {
        let key = one(GOOD, "`k`").unwrap();
        assert_eq!(key.fingerprint, "1".repeat(40));
        assert!(key.primary && key.signs);
        // The primary key is kept elsewhere, and a subkey signs.
        let offline = GOOD.replace("scESC:::+", "scESC:::#").replace("::::::e:::+", "::::::s:::+");
        let key = one(&offline, "`k`").unwrap();
        assert!(!key.primary && key.signs);
    }

    #[test]
    fn keys_that_do_not_do_are_refused_with_the_reason() {
        let refused = |listing: &str| one(listing, "`k`").unwrap_err();
        assert_eq!(refused(""), "there is no secret key for `k`");
        assert!(refused(&GOOD.replace("sec:u", "sec:e")).ends_with("is expired"));
        assert!(refused(&GOOD.replace("sec:u", "sec:r")).ends_with("is revoked"));
        assert!(refused(&GOOD.replace("scESC:::+", "scESC:::#")).contains("its secret part is not here"));
        let two = format!("{GOOD}{}", GOOD.replace('1', "4"));
        assert!(refused(&two).contains(&format!("{}, {}", "1".repeat(40), "4".repeat(40))), "{}", refused(&two));
    }
}
