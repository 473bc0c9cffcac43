//! How the module is signed, if it is to be: as its kernel checks it.

use super::super::super::devel::Devel;
use super::super::super::layout::text;
use super::super::super::step::{DevelPlace, Signing};
use super::{Error, tool};
use crate::command::Command;
use crate::plan;
use crate::plan::commands::environment;
use crate::plan::decide::Frame;

/// The kernel's own program for it (kernel-devel since el7).
const SIGN_FILE: &str = "scripts/sign-file";

/// Decides how `built` is signed; `None` if it is not.
pub(super) fn decide(
    frame: &Frame<'_>,
    devel: &Devel,
    place: &DevelPlace,
    built: &std::path::Path,
) -> Result<Option<(Signing, plan::Signing)>, Error> {
    let Frame { request, host, user, layout, .. } = frame;
    let Some(given) = &request.signing.given else { return Ok(None) };
    let signing = plan::signing::given(frame, given);
    let (key, cert) = (text(&signing.key), text(&signing.cert));
    let hash = devel.option("CONFIG_MODULE_SIG_HASH").map(|hash| hash.trim_matches('"').to_owned());
    let hash = hash.filter(|hash| !hash.is_empty()).unwrap_or_else(|| "sha256".into());
    let command = |program: std::path::PathBuf| {
        Command::new(program).with_env(environment(host, user, layout)).in_dir(layout.module())
    };
    if devel.files.contains(SIGN_FILE) {
        let command = command(place.tree().join(SIGN_FILE)).args([hash, key, cert, text(built)]);
        return Ok(Some((Signing::SignFile { command }, signing)));
    }
    let version = &frame.subject.nvr().version;
    if !plan::signing::at_least(version, plan::signing::PKCS7_SINCE) || !host.tools.contains_key("openssl") {
        return Err(Error::Unsignable { devel: devel.name(), version: version.clone() });
    }
    let signature = built.with_extension("ko.p7s");
    let command = command(tool(host, "openssl"))
        .args(["cms", "-sign", "-binary", "-noattr", "-nosmimecap", "-nocerts", "-outform", "DER", "-md"])
        .args([hash, "-signer".into(), cert, "-inkey".into(), key])
        .args(["-in".into(), text(built), "-out".into(), text(&signature)]);
    Ok(Some((Signing::Openssl { command, signature }, signing)))
}
