//! Asks the edited spec what it will make, and compares that with the plan before hours are spent.

use super::{Context, Error};
use crate::command::Command;
use crate::event::Event;
use crate::sys::exec;

pub(super) fn run(
    context: &mut Context<'_>,
    query: &Command,
    required: &[String],
    expected: &[String],
) -> Result<(), Error> {
    context.reporter.report(&Event::Exec { command: query.to_string() });
    let answer = match exec::read(query) {
        Ok(answer) => answer,
        Err(error) => {
            context.reporter.note(format!("the spec cannot be asked for its packages before the build: {error}"));
            return Ok(());
        }
    };
    let promised: Vec<Promised<'_>> = answer.lines().filter_map(Promised::parse).collect();
    let nvr = &context.plan.nvr;
    let planned = (nvr.version.as_str(), nvr.release.as_str());
    if let Some(kernel) = promised.iter().find(|each| each.name == nvr.name)
        && (kernel.version, kernel.release) != planned
    {
        let found = format!("{}-{}", kernel.version, kernel.release);
        return Err(Error::Release { expected: format!("{}-{}", nvr.version, nvr.release), found });
    }
    let lacks = |name: &&String| !promised.iter().any(|each| each.name == name.as_str());
    let missing: Vec<String> = required.iter().filter(lacks).cloned().collect();
    if !missing.is_empty() {
        return Err(Error::NotPromised { missing });
    }
    let fewer: Vec<&str> = expected.iter().filter(lacks).map(String::as_str).collect();
    if !fewer.is_empty() {
        context.reporter.note(format!("the spec will not make {}, which the recipe expects", fewer.join(", ")));
    }
    if promised.iter().any(|each| each.name == nvr.name)
        && let Some(release) = &mut context.manifest.release
    {
        release.asked = Some(format!("{}-{}", planned.0, planned.1));
    }
    context.manifest.promised = promised.iter().map(Promised::file).collect();
    Ok(())
}

/// A package that the spec says it will make.
struct Promised<'a> {
    name: &'a str,
    version: &'a str,
    release: &'a str,
    arch: &'a str,
}

impl<'a> Promised<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            [name, version, release, arch] => Some(Self { name, version, release, arch }),
            _ => None,
        }
    }

    fn file(&self) -> String {
        format!("{}-{}-{}.{}.rpm", self.name, self.version, self.release, self.arch)
    }
}
