//! `kbuild boot`: boots the kernel in these packages.

use std::time::Duration;

use super::args::Boot;
use super::render::Format;
use super::{Edge, Output};
use crate::error::Error;
use crate::event::{Event, Stage};
use crate::pipeline::{self, BootProof};
use crate::plan;
use crate::proof::packages;
use crate::sys::probe;
use crate::sys::signal::Cancel;

pub(super) fn run(edge: &Edge, args: &Boot) -> Result<Output, Error> {
    let cancel = Cancel::install().map_err(|source| Error::Host { what: "cannot watch for signals".into(), source })?;
    let packages = packages::find(&args.packages)?;
    let tools = probe::facts().tools;
    let programs: Vec<String> = ["qemu-system-x86_64", "busybox"]
        .iter()
        .filter(|name| !tools.contains_key(**name))
        .map(ToString::to_string)
        .collect();
    let (Some(qemu), Some(busybox)) = (tools.get("qemu-system-x86_64"), tools.get("busybox")) else {
        return Err(plan::Error::NoTools { programs }.into());
    };
    let dir = tempfile::tempdir()
        .map_err(|source| Error::Host { what: "no temporary directory can be made".into(), source })?;
    let log = probe::absolute(&args.log)
        .map_err(|source| Error::Host { what: "cannot tell the present directory".into(), source })?;
    edge.reporter.report(&Event::StageStarted { stage: Stage::Boot, what: "booting the kernel in QEMU".into() });
    let boot = BootProof {
        packages: &packages,
        uname_r: None,
        qemu,
        busybox,
        bits: args.bits,
        limit: Duration::from_secs(args.limit),
        dir: &dir.path().join("guest"),
        log: &log,
    };
    let finding = boot.run(&*edge.reporter, &cancel)?;
    let text = match edge.format {
        Format::Json => format!("{}\n", serde_json::json!(finding)),
        Format::Human | Format::Plain => format!("{finding}\n"),
    };
    let held = finding.verdict.holds() == Some(true);
    let error = (!held).then(|| pipeline::Error::Proof { found: vec![finding] }.into());
    Ok(Output { text, error })
}
