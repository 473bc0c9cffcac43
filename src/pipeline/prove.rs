//! Compares the packages with what was promised, and proves levels 3 and 4 from what is in them.

use std::path::PathBuf;

use super::{Context, Error, proved};
use crate::edit::config::Setting;
use crate::ipvs::bits::Bits;
use crate::plan::Route;
use crate::proof::{Finding, Verdict, packages, setting as proof_of_setting};
use crate::rpm::binary::{self, Package};
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
    let mut findings = packages::examine(&Package::open_all(&built)?, expected, exempt, bits, &mut |finding| {
        reporter.report(&proved(finding));
    })?;
    if let Some(finding) = named_otherwise(&context.plan.uname_r, &findings) {
        reporter.report(&proved(&finding));
        findings.push(finding);
    }
    context.manifest.proof.extend(findings.iter().cloned());
    judge(findings)
}

/// Reads back how the packages of the route `param` set the parameter.
pub(super) fn setting(context: &mut Context<'_>, required: &[String], bits: Bits) -> Result<(), Error> {
    let built = built(context);
    let missing = missing(context, required, &built)?;
    if !missing.is_empty() {
        return Err(Error::Missing { missing });
    }
    let reporter = context.reporter;
    let findings =
        examine_setting(&Package::open_all(&built)?, bits, &mut |finding| reporter.report(&proved(finding)))?;
    context.manifest.proof.extend(findings.iter().cloned());
    judge_setting(findings)
}

/// Reads how packages without a kernel set the parameter; no finding at all if they do not.
fn examine_setting(
    packages: &[Package],
    bits: Bits,
    seen: &mut dyn FnMut(&Finding),
) -> Result<Vec<Finding>, binary::Error> {
    let mut findings = proof_of_setting::examine(packages, bits, seen)?;
    if !findings.is_empty() {
        let module = proof_of_setting::elsewhere();
        seen(&module);
        findings.push(module);
    }
    Ok(findings)
}

/// Says so if the planned kernel is none of those in the packages: instructions that name it would be wrong.
fn named_otherwise(uname_r: &str, findings: &[Finding]) -> Option<Finding> {
    let mut kernels: Vec<&str> = findings.iter().filter_map(|finding| finding.kernel.as_deref()).collect();
    kernels.sort_unstable();
    kernels.dedup();
    if kernels.is_empty() || kernels.contains(&uname_r) {
        return None;
    }
    let verdict = Verdict::Differs { expected: uname_r.to_owned(), found: kernels.join(", ") };
    Some(Finding::new(3, "the kernel's own name", verdict))
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

/// Passes only what was seen to hold, of every kernel that is in the packages.
fn judge(findings: Vec<Finding>) -> Result<(), Error> {
    let wrong = findings.iter().any(|finding| finding.verdict.holds() == Some(false));
    let config = findings.iter().any(|finding| finding.level == 3 && finding.verdict.holds() == Some(true));
    let module = findings.iter().any(|finding| finding.level == 4 && finding.verdict.holds() == Some(true));
    // What could not be checked of one kernel is not made good by another.
    let open = findings.iter().any(|finding| finding.kernel.is_some() && finding.verdict.holds().is_none());
    // A module that stands apart is all that there is of its kernel, whose config the distribution keeps.
    let alone = findings.iter().all(|finding| finding.kernel.is_none() && (finding.level == 4 || !config));
    if !wrong && !open && module && (config || alone) {
        return Ok(());
    }
    let found = findings.into_iter().filter(|finding| finding.verdict.holds() != Some(true)).collect();
    Err(Error::Proof { found })
}

/// Passes if the parameter is set, and everywhere to what was asked: of a kernel that is in none of the packages no more
/// can be known.
fn judge_setting(findings: Vec<Finding>) -> Result<(), Error> {
    let held = findings.iter().any(|finding| finding.verdict.holds() == Some(true));
    if held && findings.iter().all(|finding| finding.verdict.holds() != Some(false)) {
        return Ok(());
    }
    let found = findings.into_iter().filter(|finding| finding.verdict.holds() != Some(true)).collect();
    Err(Error::Proof { found })
}

/// Judges the proof that a manifest records, as the stage judged it that made it: nothing differs at any level, and levels
/// 3 and 4 were seen to hold, as far as the route's packages have something for them.
///
/// # Errors
/// Something differs, or what has to be seen was not.
pub fn recorded(route: Route, proof: &[Finding]) -> Result<(), Error> {
    let counts = |finding: &&Finding| finding.level <= 4 || finding.verdict.holds() == Some(false);
    let findings: Vec<Finding> = proof.iter().filter(counts).cloned().collect();
    let held = |level: u8| findings.iter().any(|each| each.level == level && each.verdict.holds() == Some(true));
    match route {
        Route::Param => judge_setting(findings),
        Route::Kernel if !held(3) => {
            let why = "no config in the packages was seen to hold".into();
            Err(Error::Proof { found: vec![Finding::new(3, "config", Verdict::NotChecked { why })] })
        }
        Route::Kernel | Route::Module | Route::Tree => judge(findings),
    }
}

/// Judges packages without a plan, as the stage judges those of a build: kernels by what is in them, and packages that
/// only set the parameter of a kernel elsewhere by what they set it to.
///
/// # Errors
/// Something differs, or nothing was seen to hold at level 3 or 4.
pub fn verify(packages: &[PathBuf], bits: Bits, seen: &mut dyn FnMut(&Finding)) -> Result<(), Error> {
    let packages = &Package::open_all(packages)?;
    if !packages::any_of_a_kernel(packages) {
        let findings = examine_setting(packages, bits, seen)?;
        if !findings.is_empty() {
            return judge_setting(findings);
        }
    }
    let expected = [Setting::number(crate::ipvs::bits::OPTION, bits.get().into())];
    let mut findings = packages::examine(packages, &expected, &[], bits, seen)?;
    // A kernel is right, and a package beside it sets its parameter to something else: that is what it would get.
    findings.extend(proof_of_setting::examine(packages, bits, seen)?);
    judge(findings)
}
