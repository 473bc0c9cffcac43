//! Makes sure that the source package is still the one that was planned for.

use std::path::Path;

use super::{Context, Error};
use crate::event::Stage;
use crate::rpm::source;

pub(super) fn run(context: &mut Context<'_>, srpm: &Path, size: u64, sha256: &str) -> Result<(), Error> {
    let mut progress = context.bytes(Stage::Verify, "hashing");
    // The signature was judged when the plan was made, on the same bytes: only those are compared here.
    let header = source::header(srpm, &mut progress)?;
    if header.sha256 == sha256 && header.size == size {
        return Ok(());
    }
    Err(Error::Changed { path: srpm.to_owned(), expected: sha256.to_owned(), found: header.sha256 })
}
