//! `kbuild verify`: what table the kernel in these packages has.

use std::fmt::Write;

use super::args::Verify;
use super::render::Format;
use super::{Edge, Output};
use crate::error::Error;
use crate::pipeline;
use crate::proof::packages;

pub(super) fn run(edge: &Edge, args: &Verify) -> Result<Output, Error> {
    let packages = packages::find(&args.packages)?;
    let mut findings = Vec::new();
    let outcome = pipeline::verify_packages(&packages, args.bits, &mut |finding| findings.push(finding.clone()));
    let mut text = String::new();
    for finding in &findings {
        // Writing to a String does not fail.
        let _ = match edge.format {
            Format::Json => writeln!(text, "{}", serde_json::json!(finding)),
            Format::Human | Format::Plain => writeln!(text, "{finding}"),
        };
    }
    Ok(Output { text, error: outcome.err().map(Into::into) })
}
