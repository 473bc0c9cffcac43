//! The key that modules are signed with: made once for a work directory, or handed over for one run, and given to the
//! kernel's build when that would make one for itself.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::masquerade::{self, Mask};
use super::{Context, Error};
use crate::command::Command;
use crate::event::{Event, Reporter, Stage};
use crate::plan::layout::{CERTIFICATE, text};
use crate::plan::signing::x509::{self, Text};
use crate::plan::signing::{Certificate, Make, Signing};
use crate::plan::{Layout, Plan};
use crate::sys::{clock, exec, files};

/// What stands before openssl on `PATH`.
const SCRIPT: &str = include_str!("../../templates/mask-openssl");
/// How the files begin in which a kernel's build has the private key: `signing_key.priv`, `certs/signing_key.pem`, and the
/// copies of them that specs put aside until the packages are made.
const IN_TREE: &str = "signing_key.";

/// With which key modules were signed, as the manifest has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Signed {
    /// Its certificate.
    pub certificate: Certificate,
    /// Where the key is from.
    pub key: Origin,
}

/// Where a key is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The user gave it.
    Given,
    /// It is kept in the work directory.
    Kept,
}

/// Makes the key that is to be kept, if it is not there, and says what it is. The pair is judged once more: it may be another
/// one by now.
pub(super) fn ready(plan: &Plan, reporter: &dyn Reporter) -> Result<Option<Signed>, Error> {
    let builds = plan.steps.iter().any(|step| step.stage() == Stage::Build);
    let Some(signing) = plan.signing.as_ref().filter(|_| builds) else { return Ok(None) };
    if let Some(make) = &signing.make {
        let there = |path: &Path| path.try_exists().map_err(failed);
        if !(there(&signing.cert)? && there(&signing.key)?) {
            self::make(signing, make, reporter)?;
        }
    }
    let certificate = judged(signing)?;
    // A kept key is made again where it is gone; a given one is the one that was judged.
    let planned = signing.certificate.as_ref().filter(|_| signing.is_given());
    if let Some(expected) = planned.filter(|expected| **expected != certificate) {
        let (expected, found) = (expected.sha256.clone(), certificate.sha256);
        return Err(Error::Changed { path: signing.cert.clone(), expected, found });
    }
    let key = if signing.is_given() { Origin::Given } else { Origin::Kept };
    Ok(Some(Signed { certificate, key }))
}

fn make(signing: &Signing, make: &Make, reporter: &dyn Reporter) -> Result<(), Error> {
    if let Some(dir) = make.genkey.path.parent() {
        fs_err::create_dir_all(dir).map_err(failed)?;
    }
    files::replace_text(&make.genkey.path, make.genkey.text.as_bytes()).map_err(failed)?;
    // openssl before 1.1 would leave it to the umask who can read the key.
    files::replace(&make.key, &mut &b""[..], 0o600).map_err(failed)?;
    reporter.report(&Event::Exec { command: make.command.to_string() });
    exec::read(&make.command)?;
    // The certificate comes last: where it is, its key is, too.
    fs_err::rename(&make.key, &signing.key).map_err(failed)?;
    fs_err::rename(&make.cert, &signing.cert).map_err(failed)?;
    reporter.note(format!("made a key to sign modules with, kept for later builds: `{}`", signing.key.display()));
    Ok(())
}

fn judged(signing: &Signing) -> Result<Certificate, Error> {
    let (key, cert) = (fs_err::read(&signing.key).map_err(failed)?, fs_err::read(&signing.cert).map_err(failed)?);
    let (key_file, cert_file) = (text(&signing.key), text(&signing.cert));
    let (key, cert) = (Text { file: &key_file, bytes: &key }, Text { file: &cert_file, bytes: &cert });
    x509::pair(key, cert, clock::seconds()).map_err(|source| Error::Key { source, kept: !signing.is_given() })
}

/// Returns what stands before openssl while the plan's kernel is built.
pub(super) fn mask(plan: &Plan, signed: Option<&Signed>, command: &Command) -> Option<Mask> {
    let (signing, signed) = (plan.signing.as_ref()?, signed?);
    let openssl = masquerade::unmasked(command, "openssl")?;
    let values = [
        ("openssl", text(&openssl)),
        ("key", text(&signing.key)),
        ("cert", text(&signing.cert)),
        ("mark", text(&plan.layout.key_asked_for())),
        ("whose", signed.certificate.to_string()),
    ];
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Some(Mask::new("openssl", SCRIPT, &values))
}

/// Forgets that a build asked for a key.
pub(super) fn begin(layout: &Layout) -> Result<(), Error> {
    match fs_err::remove_file(layout.key_asked_for()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}

/// Takes back what the manifest says of the key if the build that has ended did not ask for one.
pub(super) fn settle(context: &mut Context<'_>) {
    if context.manifest.signing.is_some() && !context.plan.layout.key_asked_for().is_file() {
        let said = "the kernel's build asked for no key to sign modules with: nothing is said of who signed them";
        context.reporter.warn(said.into());
        context.manifest.signing = None;
    }
}

/// Puts the certificate among the results: who enrols it, or checks a module, needs it.
pub(super) fn hand_over(context: &mut Context<'_>) -> Result<(), Error> {
    let (Some(signing), Some(_)) = (&context.plan.signing, &context.manifest.signing) else { return Ok(()) };
    let file = text(&signing.cert);
    let bytes = fs_err::read(&signing.cert).map_err(failed)?;
    let der = x509::der(Text { file: &file, bytes: &bytes })
        .map_err(|source| Error::Key { source, kept: !signing.is_given() })?;
    let written = context.out.put(CERTIFICATE, der.len() as u64, &mut der.as_slice()).map_err(failed)?;
    context.manifest.add(CERTIFICATE, written);
    Ok(())
}

/// Takes away what a run had of a key that was given: the copies that were handed over, and those in the kernel's tree.
pub(super) fn end(plan: &Plan) {
    forget(&plan.layout);
    if plan.signing.as_ref().is_some_and(Signing::is_given) {
        for dir in [plan.layout.build(), plan.layout.kept()] {
            let in_tree = |name: &str| name.starts_with(IN_TREE) && !name.contains("x509");
            for file in files::named(&dir, &in_tree) {
                // What cannot be removed is not readable by others either.
                let _ = fs_err::remove_file(file);
            }
        }
    }
}

/// Takes away the copies of a key that were handed over, also those that a run left that was killed.
pub(super) fn forget(layout: &Layout) {
    let _ = files::remove_tree(&layout.given());
}

fn failed(source: std::io::Error) -> Error {
    Error::io("the key to sign modules with cannot be had", source)
}
