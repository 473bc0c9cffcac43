//! With which key the kernel's modules are signed.
//!
//! Since Linux 3.7 the kernel's build signs its modules with an X.509 key (`CONFIG_MODULE_SIG`), and makes one for itself if
//! there is none, by `openssl req -new -nodes … -x509`: `signing_key.priv` and `signing_key.x509` in the tree's top up to 4.2
//! (kernel/Makefile), `certs/signing_key.pem` since 4.3 (certs/Makefile, if `CONFIG_MODULE_SIG_KEY` has its default). `make
//! mrproper` deletes it. So each build would differ. kbuild answers that one call with a key that stays the same: one that
//! the user gave, or one that was made once for the work directory.

pub mod x509;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::commands::environment;
use super::decide::Frame;
use super::host::Builder;
use super::layout::text;
use super::request::Input;
use super::step::TextFile;
use super::{Layout, Source};
use crate::command::Command;
use crate::edit::config::{self, Setting};

pub use x509::Certificate;

/// How a key is made; it fits what the kernel's own file says (default `x509.genkey` of Linux 3.7 and later).
const GENKEY: &str = include_str!("../../templates/x509.genkey");
/// Whether modules are signed.
const SIG: &str = "CONFIG_MODULE_SIG";
/// Which key signs them, since Linux 4.3.
const SIG_KEY: &str = "CONFIG_MODULE_SIG_KEY";
/// The key that the build makes for itself.
const OWN: &str = "certs/signing_key.pem";
/// Whether that one is of an elliptic curve, since Linux 5.13.
const ECDSA: &str = "CONFIG_MODULE_SIG_KEY_TYPE_ECDSA";
/// Modules are signed with X.509 keys since then; before that Red Hat's kernels had keys of gpg.
const X509_SINCE: (u32, u32) = (3, 7);
/// A signature is PKCS#7 since then, and names its key by issuer and number.
pub(super) const PKCS7_SINCE: (u32, u32) = (4, 3);

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// A key of the user's own.
    pub given: Option<Given>,
    /// The kernel's build makes a key for itself, and nobody keeps it.
    pub throw_away: bool,
    /// The work directory whose kept key counts, if it is another one.
    pub kept_in: Option<PathBuf>,
}

/// A key of the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The private key.
    pub key: Input,
    /// Its certificate.
    pub cert: Input,
    /// What that says.
    pub certificate: Certificate,
    /// Whether it has a subject key identifier.
    pub has_key_id: bool,
}

/// With which key modules are signed, as a part of a plan. Of the private key it has the place and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Signing {
    /// Where the building user reads the private key.
    pub key: PathBuf,
    /// Where it reads the certificate.
    pub cert: PathBuf,
    /// What the certificate says; nothing if the key is yet to be made.
    pub certificate: Option<Certificate>,
    /// What the building user has to get before; nothing if it reads them where they are.
    pub handed: Vec<Handed>,
    /// How the key is made if it is not there; nothing for one that was given.
    pub make: Option<Make>,
}

impl Signing {
    /// Whether the user gave the key.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.make.is_none()
    }
}

/// A file that whoever started kbuild hands to the building user, who alone may read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Handed {
    /// Where it is.
    pub from: Input,
    /// Where it goes.
    pub to: PathBuf,
}

/// How a key is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Make {
    /// What openssl goes by.
    pub genkey: TextFile,
    /// Makes it; key and certificate appear beside their places first.
    pub command: Command,
    /// Where the private key appears.
    pub key: PathBuf,
    /// Where the certificate appears.
    pub cert: PathBuf,
}

/// Why a key that was given is not used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel's modules are not signed.
    #[error("no configuration of `{srpm}` says {SIG}=y, so there is nothing to sign")]
    NotSigned {
        /// The source package.
        srpm: String,
    },
    /// They are signed in another way.
    #[error("modules of Linux {version} are signed with a GnuPG key, which the spec makes for each build")]
    Gpg {
        /// The kernel's version.
        version: String,
    },
    /// The configuration names a key of its own.
    #[error("`{file}` says {SIG_KEY}=\"{key}\": with that key modules are signed")]
    OwnKey {
        /// The config source, or `--set`.
        file: String,
        /// What it names.
        key: String,
    },
    /// The configuration asks for a key of another kind.
    #[error("`{file}` says {ECDSA}=y, and `--sign-key` takes RSA keys only")]
    Ecdsa {
        /// The config source, or `--set`.
        file: String,
    },
    /// Key or certificate is not what it should be.
    #[error(transparent)]
    Pair(#[from] x509::Error),
}

impl Error {
    /// Returns what to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotSigned { .. } => format!("leave out `--sign-key`, or add `--set {SIG}=y`"),
            Self::Gpg { .. } => "leave out `--sign-key`: X.509 keys came with Linux 3.7".into(),
            Self::OwnKey { .. } => format!("leave out `--sign-key`, or add `--set '{SIG_KEY}=\"{OWN}\"'`"),
            Self::Ecdsa { .. } => {
                format!("leave out `--sign-key`, or add `--set CONFIG_MODULE_SIG_KEY_TYPE_RSA=y --set {ECDSA}=n`")
            }
            Self::Pair(error) => error.hint(),
        }
    }
}

/// What the configuration of a kernel says of its own key.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Configured {
    /// Modules are not signed.
    Not,
    /// The build makes a key for itself.
    Makes,
    /// The key is somebody else's.
    Own { file: String, key: String },
    /// The build makes one of an elliptic curve.
    Curve { file: String },
}

/// Decides with which key the route `kernel` signs, and what is to be said of it.
///
/// # Errors
/// A key was given that would not be used, or cannot be.
pub(super) fn decide(frame: &Frame<'_>, source: &Source) -> Result<(Option<Signing>, Option<String>), Error> {
    let Frame { request, arch, .. } = frame;
    let asked = &request.signing;
    let version = &source.header.nvr.version;
    let srpm = source.header.nvr.to_string();
    if !at_least(version, X509_SINCE) {
        return match &asked.given {
            Some(_) => Err(Error::Gpg { version: version.clone() }),
            None => Ok((None, None)),
        };
    }
    let refused = match configured(&source.texts, arch, &request.set) {
        Configured::Makes => None,
        Configured::Not => Some(Error::NotSigned { srpm }),
        Configured::Own { file, key } => Some(Error::OwnKey { file, key }),
        Configured::Curve { file } => Some(Error::Ecdsa { file }),
    };
    match (refused, &asked.given) {
        (Some(error), Some(_)) => Err(error),
        (Some(Error::NotSigned { .. }), None) => Ok((None, None)),
        (Some(error @ Error::Ecdsa { .. }), None) => {
            let differ = "signatures by an elliptic curve differ in each build, so no key is kept";
            Ok((None, Some(format!("{}: {differ}", first(&error)))))
        }
        (Some(error), None) => Ok((None, Some(error.to_string()))),
        (None, None) if asked.throw_away => Ok((None, None)),
        (None, None) => Ok((Some(kept(frame)), None)),
        (None, Some(given)) => {
            if !given.has_key_id && !at_least(version, PKCS7_SINCE) {
                let (cert, subject) = (text(&given.cert.path), given.certificate.subject.clone());
                return Err(x509::Error::NoKeyId { cert, subject }.into());
            }
            Ok((Some(self::given(frame, given)), None))
        }
    }
}

/// The first half of what an error says: what the configuration says.
fn first(error: &Error) -> String {
    let text = error.to_string();
    text.split(", and ").next().unwrap_or_default().to_owned()
}

/// A key that was given.
pub(super) fn given(frame: &Frame<'_>, given: &Given) -> Signing {
    let layout = &frame.layout;
    let certificate = Some(given.certificate.clone());
    match frame.host.builder {
        Builder::Me => Signing {
            key: given.key.path.clone(),
            cert: given.cert.path.clone(),
            certificate,
            handed: Vec::new(),
            make: None,
        },
        Builder::Other(_) | Builder::Missing(_) => Signing {
            key: layout.given_key(),
            cert: layout.given_cert(),
            certificate,
            handed: vec![
                Handed { from: given.key.clone(), to: layout.given_key() },
                Handed { from: given.cert.clone(), to: layout.given_cert() },
            ],
            make: None,
        },
    }
}

/// The key that is kept in the work directory.
fn kept(frame: &Frame<'_>) -> Signing {
    let Frame { request, host, user, layout, .. } = frame;
    let work = request.signing.kept_in.as_ref().unwrap_or(&layout.work);
    let home = Layout::of(work);
    let (genkey, key, cert) = (home.genkey(), home.unfinished(&home.kept_key()), home.unfinished(&home.kept_cert()));
    // As the kernel's own Makefiles call it; a hundred years are the kernel's, too.
    let command = Command::new(host.tool("openssl"))
        .args(["req", "-new", "-nodes", "-utf8", "-sha256", "-days", "36500", "-batch", "-x509"])
        .args(["-config".into(), text(&genkey), "-outform".into(), "PEM".into()])
        .args(["-out".into(), text(&cert), "-keyout".into(), text(&key)])
        .with_env(environment(host, user, layout))
        .in_dir(layout.work.clone());
    Signing {
        key: home.kept_key(),
        cert: home.kept_cert(),
        certificate: host.kept_certificate.clone(),
        handed: Vec::new(),
        make: Some(Make { genkey: TextFile { path: genkey, text: GENKEY.to_owned() }, command, key, cert }),
    }
}

/// Reads what the configuration says: `--set`, or the config sources of the architecture, or all if none is of one.
fn configured(texts: &BTreeMap<String, Vec<u8>>, arch: &str, set: &[Setting]) -> Configured {
    let says = |symbol: &str| -> Vec<(String, String)> {
        if let Some(setting) = set.iter().find(|setting| setting.symbol() == symbol) {
            return vec![("--set".to_owned(), setting.value().to_owned())];
        }
        let values = |(file, text): (&String, &Vec<u8>)| Some((file.clone(), config::value(text, symbol)?));
        let all: Vec<_> = texts.iter().filter_map(values).collect();
        let own: Vec<_> = all.iter().filter(|(file, _)| super::configs::is_of(file, arch)).cloned().collect();
        if own.is_empty() { all } else { own }
    };
    if !says(SIG).iter().any(|(_, value)| value == "y") {
        return Configured::Not;
    }
    let plain = |value: &str| value.trim_matches('"').to_owned();
    if let Some((file, key)) = says(SIG_KEY).into_iter().find(|(_, key)| !["", OWN].contains(&plain(key).as_str())) {
        return Configured::Own { file, key: plain(&key) };
    }
    match says(ECDSA).into_iter().find(|(_, value)| value == "y") {
        Some((file, _)) => Configured::Curve { file },
        None => Configured::Makes,
    }
}

/// Whether a kernel's version is at least that one.
pub(super) fn at_least(version: &str, least: (u32, u32)) -> bool {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= least
}

#[cfg(test)]
mod tests;
