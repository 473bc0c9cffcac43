//! `kbuild compilers WORK WHERE PROGRAM ARGUMENT…`: one program with what stands before the compiler in a build, in the
//! directory and with the environment of whoever calls. For looking closely at that: the soundness campaign does.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use super::Output;
use crate::command::Command;
use crate::compiler::{self, cache::Cache};
use crate::error::Error;
use crate::event::Reporter;
use crate::pipeline::compilers::Compilers;
use crate::pipeline::manner::Compiling;
use crate::plan::Layout;
use crate::plan::layout::text;
use crate::sys::exec::{self, End, Flow, Moment};
use crate::sys::signal::Cancel;
use crate::sys::{probe, stand_in};

/// Its name; no subcommand that anybody would be offered.
pub(super) const NAME: &str = "compilers";

pub(super) fn run(
    reporter: &dyn Reporter,
    work: &OsString,
    place: &OsString,
    words: &[OsString],
) -> Result<Output, Error> {
    let failed = |what: &str| Error::Usage(what.to_owned());
    let host = |source| Error::Host { what: "the program cannot be run".into(), source };
    let [program, arguments @ ..] = words else { return Err(failed("expected a program after the cache")) };
    let cache: Cache = place.to_string_lossy().parse().map_err(|error| Error::Usage(format!("{error}")))?;
    let compiling = Compiling::with(cache);
    let layout = Layout::of(Path::new(work));
    for dir in [layout.logs(), layout.home()] {
        fs_err::create_dir_all(dir).map_err(host)?;
    }
    let env = stand_in::environment();
    let path = env.get("PATH").cloned().unwrap_or_default();
    let program = probe::find(&path, &text(Path::new(program))).ok_or_else(|| failed("no such program is on PATH"))?;
    let mut command = Command::new(program).with_env(env).in_dir(stand_in::directory().map_err(host)?);
    command.args = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let compilers = Compilers::new(&layout, &command, &compiling, None, reporter)?;
    let mut compilers = compilers.ok_or_else(|| failed("there is no compiler on PATH"))?;
    command.env.extend(compiler::environment(&layout.compilers(), &path));
    let end = exec::watch(&command, &Cancel::install().map_err(host)?, |moment| {
        match moment {
            Moment::Line(line) => drop(writeln!(std::io::stderr(), "{line}")),
            Moment::Tick => compilers.tick(reporter),
            Moment::Started(_) => {}
        }
        Flow::Continue
    });
    let end = end.map_err(crate::pipeline::Error::from)?;
    let record = serde_json::json!(compilers.finish());
    if end == End::Exit(0) {
        Ok(Output::text(format!("{record}\n")))
    } else {
        Err(failed(&format!("it ended with {end:?}")))
    }
}
