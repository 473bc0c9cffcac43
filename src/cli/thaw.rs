//! What the masquerade of make calls when a build goes on with what another one compiled: `kbuild thaw KIND KEPT BUILD TREE`, and with
//! the word `headers` for the kind before a make that makes headers for programs.

use std::ffi::OsString;
use std::path::Path;

use super::Output;
use super::{compiler, share};
use crate::error::Error;
use crate::pipeline::finished;
use crate::pipeline::resume::{self, Kind};

/// Its name; no subcommand that anybody would be offered.
pub(super) const NAME: &str = "thaw";

/// The word for what waits for a make of its own.
const HEADERS: &str = "headers";

pub(super) fn run(kind: &OsString, dirs: [&OsString; 3]) -> Result<Output, Error> {
    let failed = |source| Error::Host { what: "what was compiled earlier cannot be put back".into(), source };
    let [kept, build, tree] = dirs.map(Path::new);
    let said = |count, what| format!("kbuild: {count} files of {what} are put back\n");
    if kind == HEADERS {
        let count = finished::export(tree).map_err(failed)?;
        return Ok(Output::text(count.map(|count| said(count, "headers")).unwrap_or_default()));
    }
    let kind = Kind::of(kind).ok_or_else(|| Error::Usage("expected interrupted, finished or shared".into()))?;
    let (count, whose) = match kind {
        Kind::Interrupted => (resume::thaw(kept, build, tree).map_err(failed)?, "the interrupted build"),
        Kind::Shared => {
            let count = compiler::settings().map(|settings| share::thaw(&settings, kept, build, tree));
            match count.transpose() {
                Ok(count) => (count.flatten(), "a build that has shared its tree"),
                // What is there of it is right, and the rest is compiled.
                Err(error) => {
                    return Ok(Output::text(format!("kbuild: a tree that is shared cannot be taken: {error}\n")));
                }
            }
        }
        Kind::Finished => {
            // A spec that empties the environment compiles without the program before gcc: nobody knows what sees what varies.
            let settings = compiler::settings();
            let count = settings.map(|settings| finished::thaw(&settings, kept, build, tree));
            (count.transpose().map_err(failed)?.flatten(), "the earlier build")
        }
    };
    Ok(Output::text(count.map(|count| said(count, whose)).unwrap_or_default()))
}
