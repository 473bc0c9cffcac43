//! `kbuild plan`: what would be done.

use super::args::Build;
use super::render::Format;
use super::{Edge, Output, prepare};
use crate::error::Error;

pub(super) fn run(edge: &Edge, args: &Build) -> Result<Output, Error> {
    let plans = prepare::plans(edge, args)?.plans;
    let text = match edge.format {
        Format::Json => {
            let json = serde_json::to_string_pretty(&plans)
                .map_err(|error| Error::Host { what: "the plan cannot be written".into(), source: error.into() })?;
            format!("{json}\n")
        }
        Format::Human | Format::Plain => plans.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n————\n\n"),
    };
    Ok(Output::text(text))
}
