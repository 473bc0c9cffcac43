//! Compares the packages with what was promised, and proves levels 3 and 4 from what is in them.

use std::path::PathBuf;

use super::{Context, Error, proved};
use crate::edit::config::Setting;
use crate::ipvs::bits::Bits;
use crate::proof::{Finding, packages};
use crate::rpm::binary;
use crate::sys::files;

pub(super) fn run(
    context: &mut Context<'_>,
    required: &[String],
    exempt: &[String],
    expected: &[Setting],
    bits: Bits,
) -> Result<(), Error> {
    let built = built(context);
    let missing = missing(context, required, &built)?;
    if !missing.is_empty() {
        return Err(Error::Missing { missing });
    }
    let reporter = context.reporter;
    let findings = packages::examine(&built, expected, exempt, bits, &mut |finding| reporter.report(&proved(finding)))?;
    context.manifest.proof.extend(findings.iter().cloned());
    judge(findings)
}

/// Returns the built packages.
pub(super) fn built(context: &Context<'_>) -> Vec<PathBuf> {
    files::with_ending(&context.plan.layout.rpms(), ".rpm")
}

/// Names the packages that are required, or that the spec promised, and are not there; and those of another release.
fn missing(context: &Context<'_>, required: &[String], built: &[PathBuf]) -> Result<Vec<String>, Error> {
    let nvr = &context.plan.nvr;
    let mut names = Vec::new();
    for package in built {
        names.push(binary::header(package)?.nvr);
    }
    let mut missing: Vec<String> = required
        .iter()
        .map(|name| crate::rpm::nvr::Nvr { name: name.clone(), ..nvr.clone() })
        .filter(|wanted| !names.contains(wanted))
        .map(|wanted| wanted.to_string())
        .collect();
    let files: Vec<_> =
        built.iter().map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect();
    missing.extend(context.manifest.promised.iter().filter(|name| !files.contains(name)).cloned());
    Ok(missing)
}

/// Passes only what was seen to hold. A level 4 that no decoder exists for is left open, and said so.
fn judge(findings: Vec<Finding>) -> Result<(), Error> {
    let wrong = findings.iter().any(|finding| finding.verdict.holds() == Some(false));
    let config = findings.iter().any(|finding| finding.level == 3 && finding.verdict.holds() == Some(true));
    let module = findings.iter().any(|finding| finding.level == 4 && finding.verdict.holds() == Some(true));
    if !wrong && config && module {
        return Ok(());
    }
    let found = findings.into_iter().filter(|finding| finding.verdict.holds() != Some(true)).collect();
    Err(Error::Proof { found })
}

/// Judges packages without a plan, as the stage judges those of a build.
///
/// # Errors
/// Something differs, or nothing was seen to hold at level 3 or 4.
pub fn verify(packages: &[PathBuf], bits: Bits, seen: &mut dyn FnMut(&Finding)) -> Result<(), Error> {
    let expected = [Setting::number(crate::ipvs::bits::OPTION, bits.get().into())];
    judge(packages::examine(packages, &expected, &[], bits, seen)?)
}
