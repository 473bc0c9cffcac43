//! The edge: arguments in, lines and an exit code out. The only place that prints.

pub mod args;
mod before;
mod boot;
mod by_hand;
mod clean;
mod compiler;
mod devel;
mod diff;
mod doctor;
mod explain;
mod fetch;
mod fleet;
mod host;
mod ipvs;
mod machine;
mod plan;
mod preflight;
mod prepare;
mod recipes;
pub mod render;
mod repo;
mod reproducible;
mod request;
mod settings;
mod share;
mod signing;
mod size;
mod status;
mod thaw;
mod verify;
mod vouch;
mod worker;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::error::{self, Error};
use crate::event::Reporter;
use crate::sys::{exec, probe};
use args::{Arguments, Build, Doctor, Fetch, Subcommand};
use before::Before;
use render::Format;

/// What every subcommand may use.
struct Edge {
    format: Format,
    reporter: Box<dyn Reporter>,
    /// What was done before there was a plan.
    before: Before,
    /// The command line as it was given, quoted for a shell.
    command_line: String,
    /// Only warnings and results are to be shown.
    is_quiet: bool,
}

/// Runs kbuild with these arguments, the first being the program's name, and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(name) = compiler::name(arguments.first()) {
        let program = arguments.first().map_or(Path::new(name), Path::new);
        return compiler::run(name, program, arguments.get(1..).unwrap_or_default());
    }
    exec::keep_open_files_to_ourselves();
    if let [_, only] = arguments.as_slice()
        && only == worker::NAME
    {
        return finish(worker::run(), Format::Human);
    }
    if let [_, first, kind, kept, build, tree] = arguments.as_slice()
        && first == thaw::NAME
    {
        return finish(thaw::run(kind, [kept, build, tree]), Format::Human);
    }
    if let [_, first, build, tree] = arguments.as_slice()
        && first == share::NAME
    {
        return finish(share::run(build, tree), Format::Human);
    }
    if let [_, first, work, place, words @ ..] = arguments.as_slice()
        && first == by_hand::NAME
    {
        let reporter = render::reporter(Format::Plain, render::Verbosity::Normal, false, false);
        return finish(by_hand::run(&*reporter, work, place, words), Format::Human);
    }
    let parsed = match Arguments::try_parse_from(&arguments) {
        Ok(parsed) => parsed,
        Err(complaint) => {
            // A closed pipe is no reason to fail: the reader has seen enough.
            let _ = complaint.print();
            return ExitCode::from(if complaint.use_stderr() { 2 } else { 0 });
        }
    };
    let mut after_cache = false;
    let words = arguments.iter().skip(1).map(|word| {
        let shown = args::compile::shown(&word.to_string_lossy(), after_cache);
        after_cache = word == args::compile::CACHE;
        crate::command::quote(&shown)
    });
    let command_line = words.fold(String::from("kbuild"), |line, word| format!("{line} {word}"));
    let terminal = io::stderr().is_terminal();
    let format = parsed.output.format;
    // Only a build reports on stdout; where the result itself is JSON, nothing else may stand there.
    let talk = match (&parsed.command, format) {
        (Subcommand::Ipvs(_), _) | (_, Format::Human | Format::Plain) => format,
        (_, Format::Json) => Format::Plain,
    };
    let reporter = render::reporter(talk, parsed.output.verbosity(), terminal, !probe::no_colour());
    let (reporter, before) = Before::of(reporter);
    let is_quiet = parsed.output.quiet;
    let edge = Edge { format, reporter, before, command_line, is_quiet };
    let outcome = dispatch(&edge, parsed.command);
    let Edge { reporter, .. } = edge;
    // Ends the display, so that what follows stands below it.
    drop(reporter);
    finish(outcome, format)
}

/// Prints the result or the complaint, and returns the exit code.
fn finish(outcome: Result<Output, Error>, format: Format) -> ExitCode {
    match outcome.and_then(Output::print) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error, format);
            ExitCode::from(error.exit_code())
        }
    }
}

fn dispatch(edge: &Edge, mut command: Subcommand) -> Result<Output, Error> {
    if let Subcommand::Ipvs(Build { origin, .. })
    | Subcommand::Plan(Build { origin, .. })
    | Subcommand::Fetch(Fetch { origin, .. })
    | Subcommand::Doctor(Doctor { origin, .. }) = &mut command
    {
        settings::apply(origin)?;
    }
    match command {
        Subcommand::Ipvs(build) => ipvs::run(edge, &build),
        Subcommand::Plan(build) => plan::run(edge, &build),
        Subcommand::Fetch(what) => fetch::run(edge, &what),
        Subcommand::Verify(verify) => verify::run(edge, &verify),
        Subcommand::Boot(boot) => boot::run(edge, &boot),
        Subcommand::Diff(what) => diff::run(edge, &what),
        Subcommand::Repo(what) => repo::run(edge, &what),
        Subcommand::Doctor(what) => doctor::run(edge, &what),
        Subcommand::Explain(what) => explain::run(edge, &what),
        Subcommand::Recipes(what) => recipes::run(edge, &what),
        Subcommand::Size(what) => size::run(edge, &what),
        Subcommand::Host(what) => host::run(edge, &what),
        Subcommand::Status(what) => status::run(edge, &what),
        Subcommand::Clean(what) => clean::run(edge, &what),
        Subcommand::Fleet(what) => fleet::run(edge, &what),
        Subcommand::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "kbuild", &mut text);
            Ok(Output::text(String::from_utf8_lossy(&text).into_owned()))
        }
        Subcommand::Man => manual()
            .map(Output::text)
            .map_err(|source| Error::Host { what: "cannot write the manual page".into(), source }),
    }
}

/// Returns the manual page: one for the program with all its subcommands.
fn manual() -> io::Result<String> {
    let mut command = Arguments::command();
    command.build();
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    for subcommand in command.get_subcommands().filter(|each| each.get_name() != "help") {
        let mut options = Vec::new();
        clap_mangen::Man::new(subcommand.clone()).render_options_section(&mut options)?;
        let title = format!("KBUILD {}", subcommand.get_name().to_uppercase());
        let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
        let section = format!(".SH \"{title}\"\n{about}\n");
        text.extend(String::from_utf8_lossy(&options).replacen(".SH OPTIONS\n", &section, 1).into_bytes());
    }
    page.render_extra_section(&mut text)?;
    page.render_version_section(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
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
            "cause": error.cause(),
        });
        let _ = writeln!(io::stdout(), "{line}");
    }
}
