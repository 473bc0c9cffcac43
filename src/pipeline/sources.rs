//! Stages of `--mode srpm`: makes the source package of the edited tree, and reads it back.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Context, Error, package, promise, proved};
use crate::command::Command;
use crate::plan::step::Planned;
use crate::proof::{Finding, Verdict, sources};
use crate::rpm::nvr::Nvr;
use crate::rpm::source;
use crate::sys::files;

pub(super) fn pack(
    context: &mut Context<'_>,
    query: Option<&Command>,
    command: &Command,
    required: &[String],
) -> Result<(), Error> {
    if let Some(query) = query {
        promise::run(context, query, required, &[])?;
    }
    package::rpmbuild(context, command, "the source package")
}

pub(super) fn prove(context: &mut Context<'_>, original: &Path, planned: &[Planned]) -> Result<(), Error> {
    let made = files::with_ending(&context.plan.layout.srpms(), ".rpm");
    let [made] = made.as_slice() else {
        return Err(Error::Missing { missing: vec![format!("{}.src.rpm", context.plan.nvr)] });
    };
    let nvr = source::header(made, &mut |_, _| ())?.nvr;
    let planned: BTreeMap<String, String> =
        planned.iter().map(|each| (each.file.clone(), each.sha256.clone())).collect();
    let mut findings = named(&context.plan.nvr, &nvr);
    findings.extend(sources::examine(&planned, &source::digests(original)?, &source::digests(made)?));
    let wrong: Vec<Finding> =
        findings.iter().filter(|finding| finding.verdict.holds() != Some(true)).cloned().collect();
    findings.extend(sources::later());
    for finding in &findings {
        context.reporter.report(&proved(finding));
    }
    context.manifest.proof.extend(findings);
    if wrong.is_empty() { Ok(()) } else { Err(Error::Proof { found: wrong }) }
}

/// Says so if the source package is called otherwise than planned.
fn named(planned: &Nvr, found: &Nvr) -> Vec<Finding> {
    let (expected, found) = (planned.to_string(), found.to_string());
    let differs = || {
        Finding::new(
            1,
            "the source package's name",
            Verdict::Differs { expected: expected.clone(), found: found.clone() },
        )
    };
    if expected == found { Vec::new() } else { vec![differs()] }
}
