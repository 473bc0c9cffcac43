//! `kbuild plan`: what would be done.

use super::args::{Build, Preflight};
use super::prepare::Prepared;
use super::render::Format;
use super::{Edge, Output, preflight, prepare};
use crate::error::Error;
use crate::plan::preflight::PROGRAMS;

pub(super) fn run(edge: &Edge, args: &Build) -> Result<Output, Error> {
    let Prepared { plans, judgement, .. } = prepare::plans(edge, args)?;
    // A plan for another machine is a plan, with the bare names of programs that are not here. One with directories in it that
    // cannot be used is none; and for want of a program nothing was fetched that a plan could be made of.
    let mut against = judgement.clone();
    against.findings.retain(|finding| plans.is_empty() || finding.what != PROGRAMS);
    if let Some(error) = preflight::refused(Preflight { ignore_preflight: true, ..args.preflight }, &against) {
        return Err(error);
    }
    let text = match edge.format {
        Format::Json => {
            let json = serde_json::to_string_pretty(&plans)
                .map_err(|error| Error::Host { what: "the plan cannot be written".into(), source: error.into() })?;
            format!("{json}\n")
        }
        Format::Human | Format::Plain => {
            let plans = plans.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n————\n\n");
            format!("{plans}\nthis machine\n{}{}", preflight::table(&judgement), preflight::earlier(&judgement))
        }
    };
    Ok(Output::text(text))
}
