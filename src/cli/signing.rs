//! Which key modules are signed with: the one that was named, or the one that a work directory keeps.

use std::path::Path;

use super::args::signing::Signing;
use super::prepare::absolute;
use crate::error::Error;
use crate::plan::layout::text;
use crate::plan::request::Input;
use crate::plan::signing::x509::{self, Text};
use crate::plan::signing::{self, Asked, Certificate, Given};
use crate::plan::{self, Layout};
use crate::sys::{clock, files};

/// The largest file that is taken for a key or a certificate.
const LARGEST: u64 = 64 << 10;

/// Reads the key and the certificate that were named, and judges them.
///
/// # Errors
/// They cannot be read, or no kernel's build can sign with them.
pub(super) fn asked(args: &Signing) -> Result<Asked, Error> {
    let given = match (&args.sign_key, &args.sign_cert) {
        (Some(key), Some(cert)) => Some(given(&absolute(key)?, &absolute(cert)?)?),
        _ => None,
    };
    Ok(Asked { given, throw_away: args.throw_away_key, kept_in: args.kept_in.clone() })
}

fn given(key_file: &Path, cert_file: &Path) -> Result<Given, Error> {
    let read = |what: &str, path: &Path| {
        fs_err::read(path).map_err(|source| Error::Input { what: format!("the {what} to sign with"), source })
    };
    let (key, cert) = (read("private key", key_file)?, read("certificate", cert_file)?);
    let (key_name, cert_name) = (text(key_file), text(cert_file));
    let cert_text = Text { file: &cert_name, bytes: &cert };
    let certificate = x509::pair(Text { file: &key_name, bytes: &key }, cert_text, clock::seconds())
        .map_err(|error| plan::Error::Signing(signing::Error::Pair(error)))?;
    Ok(Given {
        has_key_id: x509::has_key_id(cert_text),
        key: Input { path: key_file.to_owned(), size: key.len() as u64 },
        cert: Input { path: cert_file.to_owned(), size: cert.len() as u64 },
        certificate,
    })
}

/// Returns the certificate of the key that a work directory keeps. It belongs to the building user, and root reads it: what
/// is no certificate counts as none.
pub(super) fn kept(work: &Path) -> Option<Certificate> {
    let file = Layout::of(work).kept_cert();
    let bytes = files::read_plain(&file, LARGEST).ok()?;
    x509::certificate(Text { file: &text(&file), bytes: &bytes }).ok()
}
