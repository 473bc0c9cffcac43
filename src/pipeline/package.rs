//! Stage of the routes `param` and `module`: writes a spec with its sources, and has rpmbuild make the package.

use std::io::Write;
use std::path::PathBuf;

use fs_err::OpenOptions;

use super::error::wrong_end;
use super::witness::Signatures;
use super::{Context, Error};
use crate::command::Command;
use crate::event::{Event, Stage};
use crate::plan::step::TextFile;
use crate::sys::exec::{self, Flow, Moment};
use crate::sys::files;

pub(super) fn run(
    context: &mut Context<'_>,
    texts: &[TextFile],
    copies: &[(PathBuf, PathBuf)],
    command: &Command,
) -> Result<(), Error> {
    let layout = &context.plan.layout;
    let failed = |source| Error::io("the package's files cannot be written", source);
    files::remove_tree(&layout.topdir()).map_err(failed)?;
    for dir in layout.topdir_parts() {
        fs_err::create_dir_all(&dir).map_err(failed)?;
    }
    for file in texts {
        files::replace_text(&file.path, file.text.as_bytes()).map_err(failed)?;
    }
    for (from, to) in copies {
        fs_err::copy(from, to).map_err(failed)?;
    }
    rpmbuild(context, command, "the package")
}

/// Runs rpmbuild where nothing is compiled; `phase` is what it makes, for messages.
pub(super) fn rpmbuild(context: &mut Context<'_>, command: &Command, phase: &str) -> Result<(), Error> {
    let version = Command { args: vec!["--version".into()], ..command.clone() };
    if let Some(first) = exec::read(&version).ok().as_deref().and_then(|text| text.lines().next()) {
        context.manifest.tools.insert("rpmbuild".into(), first.to_owned());
    }

    let path = context.plan.layout.log(Stage::Build);
    // The route `module` has compiled in this stage, and its output is there.
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|source| Error::io("the build log cannot be written", source))?;
    let signatures = Signatures::builtin()?;
    let mut witness = signatures.watch().after(&path);
    context.reporter.report(&Event::Exec { command: command.to_string() });
    let end = exec::watch(command, context.cancel, |moment| {
        if let Moment::Line(line) = moment {
            // Only for later reading.
            let _ = writeln!(log, "{line}");
            witness.take(line);
        }
        Flow::Continue
    })?;
    let Some(how) = wrong_end(end)? else { return Ok(()) };
    let log = context.plan.layout.out_log(Stage::Build);
    let said = witness.testify();
    Err(Error::Build { how, phase: phase.to_owned(), lines: said.lines, cause: said.cause, log })
}
