//! `kbuild explain`: why the build failed whose log this is.

use std::io::{self, Read};
use std::path::Path;

use super::args::Explain;
use super::render::Format;
use super::{Edge, Output};
use crate::error::Error;
use crate::explain::{Explainer, Report, builtin, show};
use crate::rpm::decompress;

/// How much of the log is read at a time, in bytes.
const CHUNK: usize = 256 * 1024;

pub(super) fn run(edge: &Edge, args: &Explain) -> Result<Output, Error> {
    let stdin = args.log == Path::new("-");
    let name = if stdin { "stdin".to_owned() } else { args.log.display().to_string() };
    let failed = |source| Error::Input { what: "the log".into(), source };
    let input: Box<dyn Read> =
        if stdin { Box::new(io::stdin().lock()) } else { Box::new(fs_err::File::open(&args.log).map_err(failed)?) };
    let report = read(input).map_err(|error| match error {
        ReadError::Io(source) => failed(source),
        ReadError::Bug(bug) => bug.into(),
    })?;
    let text = match edge.format {
        Format::Json => format!("{}\n", serde_json::json!({ "event": "explanation", "log": name, "report": report })),
        Format::Human | Format::Plain => show::report(&report, &name),
    };
    let error = report.causes.is_empty().then_some(Error::Unexplained { log: name, outcome: report.outcome });
    Ok(Output { text, error })
}

enum ReadError {
    Io(io::Error),
    Bug(builtin::Broken),
}

fn read(input: Box<dyn Read>) -> Result<Report, ReadError> {
    let table = builtin::table().map_err(ReadError::Bug)?;
    let mut explainer = Explainer::new(&table);
    let mut buffer = vec![0; CHUNK];
    let mut input = decompress::reader(input).map_err(ReadError::Io)?;
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(explainer.finish()),
            Ok(count) => explainer.feed(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ReadError::Io(error)),
        }
    }
}
