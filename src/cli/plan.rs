//! `kbuild plan`: what would be done.

use super::args::{Build, Preflight};
use super::prepare::Prepared;
use super::render::Format;
use super::{Edge, Output, preflight, prepare};
use crate::error::Error;

pub(super) fn run(edge: &Edge, args: &Build) -> Result<Output, Error> {
    let Prepared { plans, judgement, .. } = prepare::plans(edge, args)?;
    // A plan for another machine is a plan; one with programs or directories in it that are not there is none.
    if let Some(error) = preflight::refused(Preflight { ignore_preflight: true, ..args.preflight }, &judgement) {
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
