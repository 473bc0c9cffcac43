//! How the module is signed, if it is to be: as its kernel checks it.

use super::super::super::devel::Devel;
use super::super::super::layout::text;
use super::super::super::step::{DevelPlace, Signing};
use super::{Error, tool};
use crate::command::Command;
use crate::plan::commands::environment;
use crate::plan::decide::Frame;

/// The kernel's own program for it (kernel-devel since el7).
const SIGN_FILE: &str = "scripts/sign-file";
/// Since Linux 4.3 a signature is PKCS#7, which openssl makes.
const PKCS7_SINCE: (u32, u32) = (4, 3);

/// Decides how `built` is signed; `None` if it is not.
pub(super) fn decide(
    frame: &Frame<'_>,
    devel: &Devel,
    place: &DevelPlace,
    built: &std::path::Path,
) -> Result<Option<Signing>, Error> {
    let Frame { request, host, user, layout, .. } = frame;
    let (key, cert) = match (&request.module.sign_key, &request.module.sign_cert) {
        (None, None) => return Ok(None),
        (Some(key), Some(cert)) => (text(key), text(cert)),
        (Some(_), None) => return Err(Error::HalfAKey { given: "--sign-key" }),
        (None, Some(_)) => return Err(Error::HalfAKey { given: "--sign-cert" }),
    };
    let hash = devel.option("CONFIG_MODULE_SIG_HASH").map(|hash| hash.trim_matches('"').to_owned());
    let hash = hash.filter(|hash| !hash.is_empty()).unwrap_or_else(|| "sha256".into());
    let command = |program: std::path::PathBuf| {
        Command::new(program).with_env(environment(host, user, layout)).in_dir(layout.module())
    };
    if devel.files.contains(SIGN_FILE) {
        let command = command(place.tree().join(SIGN_FILE)).args([hash, key, cert, text(built)]);
        return Ok(Some(Signing::SignFile { command }));
    }
    let version = &frame.subject.nvr().version;
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    let pkcs7 = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= PKCS7_SINCE;
    if !pkcs7 || !host.tools.contains_key("openssl") {
        return Err(Error::Unsignable { devel: devel.name(), version: version.clone() });
    }
    let signature = built.with_extension("ko.p7s");
    let command = command(tool(host, "openssl"))
        .args(["cms", "-sign", "-binary", "-noattr", "-nosmimecap", "-nocerts", "-outform", "DER", "-md"])
        .args([hash, "-signer".into(), cert, "-inkey".into(), key])
        .args(["-in".into(), text(built), "-out".into(), text(&signature)]);
    Ok(Some(Signing::Openssl { command, signature }))
}
