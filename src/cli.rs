//! The edge: arguments in, lines and an exit code out. The only place that prints.

pub mod args;
mod boot;
mod ipvs;
mod plan;
mod prepare;
pub mod render;
mod verify;
mod worker;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::error::{self, Error};
use crate::event::Reporter;
use crate::sys::probe;
use args::{Arguments, Subcommand};
use render::Format;

/// What every subcommand may use.
struct Edge {
    format: Format,
    reporter: Box<dyn Reporter>,
    /// The command line as it was given, quoted for a shell.
    command_line: String,
}

/// Runs kbuild with these arguments, the first being the program's name, and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let parsed = match Arguments::try_parse_from(&arguments) {
        Ok(parsed) => parsed,
        Err(complaint) => {
            // A closed pipe is no reason to fail: the reader has seen enough.
            let _ = complaint.print();
            return ExitCode::from(if complaint.use_stderr() { 2 } else { 0 });
        }
    };
    let mut words = arguments.iter().skip(1).map(|word| crate::command::quote(&word.to_string_lossy()));
    let command_line = words.by_ref().fold(String::from("kbuild"), |line, word| format!("{line} {word}"));
    let terminal = io::stderr().is_terminal();
    let format = parsed.output.format;
    let reporter = render::reporter(format, parsed.output.verbosity(), terminal, !probe::no_colour());
    let edge = Edge { format, reporter, command_line };
    let outcome = dispatch(&edge, parsed.command);
    let Edge { reporter, .. } = edge;
    // Ends the display, so that what follows stands below it.
    drop(reporter);
    match outcome.and_then(Output::print) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error, format);
            ExitCode::from(error.exit_code())
        }
    }
}

fn dispatch(edge: &Edge, command: Subcommand) -> Result<Output, Error> {
    match command {
        Subcommand::Ipvs(build) => ipvs::run(edge, &build),
        Subcommand::Plan(build) => plan::run(edge, &build),
        Subcommand::Verify(verify) => verify::run(edge, &verify),
        Subcommand::Boot(boot) => boot::run(edge, &boot),
        Subcommand::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "kbuild", &mut text);
            Ok(Output::text(String::from_utf8_lossy(&text).into_owned()))
        }
        Subcommand::Man => {
            let mut text = Vec::new();
            clap_mangen::Man::new(Arguments::command())
                .render(&mut text)
                .map_err(|source| Error::Host { what: "cannot write the manual page".into(), source })?;
            Ok(Output::text(String::from_utf8_lossy(&text).into_owned()))
        }
        Subcommand::Worker => worker::run(),
    }
}

/// What goes to stdout at the end, and whether that was a success after all.
#[derive(Debug)]
struct Output {
    text: String,
    error: Option<Error>,
}

impl Output {
    fn text(text: String) -> Self {
        Self { text, error: None }
    }

    fn print(self) -> Result<(), Error> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(self.text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::Host { what: "cannot write to stdout".into(), source })
            }
            _ => self.error.map_or(Ok(()), Err),
        }
    }
}

/// Says what went wrong and what to do, on stderr; with `--format json` also as the last line on stdout.
fn complain(error: &Error, format: Format) {
    let (text, hint) = (error::chain(error), error.hint());
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "error: {text}");
    if let Some(hint) = &hint {
        let _ = writeln!(stderr, "\nhint: {hint}");
    }
    if format == Format::Json {
        let line = serde_json::json!({
            "event": "error", "error": text, "hint": hint, "exit-code": error.exit_code(),
        });
        let _ = writeln!(io::stdout(), "{line}");
    }
}
