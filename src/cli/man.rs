//! `kbuild man`: the manual, as one page or as a page for each subcommand, from the command line's own types.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use clap::CommandFactory;

use super::Output;
use super::args::Arguments;
use super::args::man::Man;
use crate::error::Error;

pub(super) fn run(args: &Man) -> Result<Output, Error> {
    let failed = |source| Error::Host { what: "cannot write the manual page".into(), source };
    match &args.out {
        Some(dir) => pages(dir).map_err(failed),
        None => whole().map(Output::text).map_err(failed),
    }
}

/// Writes `kbuild.1`, `kbuild-ipvs.1` and so on, and names them.
fn pages(dir: &Path) -> io::Result<Output> {
    fs_err::create_dir_all(dir)?;
    clap_mangen::generate_to(Arguments::command(), dir)?;
    let mut names = Vec::new();
    for entry in fs_err::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend((name.starts_with("kbuild") && name.ends_with(".1")).then_some(name));
    }
    names.sort_unstable();
    let mut text = String::new();
    for name in names {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{}", dir.join(name).display());
    }
    Ok(Output::text(text))
}

/// Returns one page for the program with all its subcommands.
fn whole() -> io::Result<String> {
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
