//! Hands the results over: packages, how to install them, checksums, logs.

use std::fmt::Write;
use std::path::Path;

use super::{Context, Error, prove};
use crate::event::{Event, Stage, Unit};
use crate::plan::instructions::{self, Instructions, Values};
use crate::plan::layout::{INSTALL, SUMS};
use crate::rpm::binary;
use crate::sys::files;

pub(super) fn run(
    context: &mut Context<'_>,
    install: &[String],
    update: &[String],
    instructions: &Instructions,
) -> Result<(), Error> {
    let mut packages = prove::built(context);
    packages.extend(files::with_ending(&context.plan.layout.srpms(), ".rpm"));
    let mut first = Vec::new();
    let mut second = Vec::new();
    for (index, package) in packages.iter().enumerate() {
        let header = binary::header(package)?;
        let name = file_name(package);
        context.reporter.report(&Event::Progress {
            stage: Stage::Collect,
            phase: None,
            done: index as u64,
            total: Some(packages.len() as u64),
            estimated: false,
            unit: Unit::Files,
            what: name.clone(),
        });
        put(context, &name, package)?;
        if header.arch != "src" && update.contains(&header.nvr.name) {
            first.push(name);
        } else if header.arch != "src" && install.contains(&header.nvr.name) {
            second.push(name);
        }
    }
    let plan = context.plan;
    let values = Values {
        kernel: plan.nvr.name.clone(),
        nvr: plan.nvr.to_string(),
        uname_r: plan.uname_r.clone(),
        bits: plan.bits.get(),
        buckets: plan.bits.buckets(),
        update: first,
        install: second,
        more: instructions.more.clone(),
    };
    let text = instructions::render(&instructions.name, &instructions.template, &values)
        .map_err(|error| Error::io("the installation instructions cannot be written", std::io::Error::other(error)))?;
    put_text(context, INSTALL, &text)?;
    logs(context)?;
    let mut sums = String::new();
    for file in context.manifest.files.iter().filter(|file| !file.name.starts_with("logs/") && file.name != SUMS) {
        // Writing to a String does not fail.
        let _ = writeln!(sums, "{}  {}", file.sha256, file.name);
    }
    put_text(context, SUMS, &sums)
}

/// Hands the logs over; also after a failure.
pub(super) fn logs(context: &mut Context<'_>) -> Result<(), Error> {
    for log in files::with_ending(&context.plan.layout.logs(), ".log") {
        put(context, &format!("logs/{}", file_name(&log)), &log)?;
    }
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn put(context: &mut Context<'_>, name: &str, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::io("a result cannot be handed over", source);
    let mut file = fs_err::File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let written = context.out.put(name, size, &mut file).map_err(failed)?;
    context.manifest.add(name, written);
    Ok(())
}

fn put_text(context: &mut Context<'_>, name: &str, text: &str) -> Result<(), Error> {
    let failed = |source| Error::io("a result cannot be handed over", source);
    let written = context.out.put(name, text.len() as u64, &mut text.as_bytes()).map_err(failed)?;
    context.manifest.add(name, written);
    Ok(())
}
