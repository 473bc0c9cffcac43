//! `kbuild fleet export`.

use std::path::Path;

use crate::cli::Output;
use crate::cli::args::fleet::Export;
use crate::error::Error;
use crate::fleet::Fleet;

pub(super) fn run(_fleet: &Fleet, _what: &Export, _file: &Path) -> Result<Output, Error> {
    Err(Error::Usage("not yet".into()))
}
