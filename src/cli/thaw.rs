//! What the masquerade of make calls while a build is resumed: `kbuild thaw KEPT BUILD TREE`.

use std::ffi::OsString;
use std::path::Path;

use super::Output;
use crate::error::Error;
use crate::pipeline::resume;

/// Its name; no subcommand that anybody would be offered.
pub(super) const NAME: &str = "thaw";

pub(super) fn run(kept: &OsString, build: &OsString, tree: &OsString) -> Result<Output, Error> {
    let failed = |source| Error::Host { what: "what was compiled earlier cannot be put back".into(), source };
    let count = resume::thaw(Path::new(kept), Path::new(build), Path::new(tree)).map_err(failed)?;
    let said = |count| format!("kbuild: {count} files of the interrupted build are put back\n");
    Ok(Output::text(count.map(said).unwrap_or_default()))
}
