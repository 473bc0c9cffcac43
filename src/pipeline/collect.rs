//! Hands the results over: packages, how to install or to build them, where they come from, checksums, logs.

use std::fmt::Write;
use std::path::Path;

use super::manifest::FileRecord;
use super::{Context, Error, prove, signing};
use crate::event::{Event, Stage, Unit};
use crate::plan::Step;
use crate::plan::instructions::{self, Instructions, Values};
use crate::plan::layout::{CERTIFICATE, INSTALL, PROVENANCE, SBOM, SUBMIT, SUMS};
use crate::provenance::{self, Artifact, Build, Package, sbom, slsa};
use crate::rpm::facts;
use crate::sys::{clock, files};

pub(super) fn run(
    context: &mut Context<'_>,
    install: &[String],
    update: &[String],
    instructions: &Instructions,
) -> Result<(), Error> {
    let mut packages = prove::built(context);
    packages.extend(files::with_ending(&context.plan.layout.srpms(), ".rpm"));
    let products: Vec<Artifact> =
        context.manifest.files.iter().filter(|file| !file.name.starts_with("logs/")).map(artifact).collect();
    let mut known = Vec::new();
    let mut first = Vec::new();
    let mut second = Vec::new();
    for (index, package) in packages.iter().enumerate() {
        let facts = facts::read(package)?;
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
        let sha256 = put(context, &name, package)?;
        known.push(Package { artifact: Artifact { file: name.clone(), sha256 }, facts: facts.clone() });
        if facts.arch != "src" && update.contains(&facts.nvr.name) {
            first.push(name);
        } else if facts.arch != "src" && install.contains(&facts.nvr.name) {
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
        signed: context.manifest.signing.as_ref().map(|signed| signed.certificate.to_string()).unwrap_or_default(),
        more: instructions.more.clone(),
    };
    let text = instructions::render(&instructions.name, &instructions.template, &values)
        .map_err(|error| Error::io("the installation instructions cannot be written", std::io::Error::other(error)))?;
    put_text(context, instructions.file(), &text)?;
    signing::hand_over(context)?;
    documents(context, &known, &products)?;
    logs(context)?;
    let mut sums = String::new();
    for file in context.manifest.files.iter().filter(|file| !file.name.starts_with("logs/") && file.name != SUMS) {
        // Writing to a String does not fail.
        let _ = writeln!(sums, "{}  {}", file.sha256, file.name);
    }
    put_text(context, SUMS, &sums)
}

/// Writes where the results come from: what is in them, and how they were made.
fn documents(context: &mut Context<'_>, packages: &[Package], products: &[Artifact]) -> Result<(), Error> {
    let mut packages = packages.to_vec();
    packages.sort_by(|a, b| a.artifact.file.cmp(&b.artifact.file));
    let inputs = inputs(context)?;
    let failed = |error: provenance::Error| {
        Error::io("what the results come from cannot be written down", std::io::Error::other(error))
    };
    let finished = clock::now();
    let plan = context.plan;
    let manifest = context.manifest.clone();
    let mut build = Build {
        plan,
        settings: &manifest.request.settings,
        packages: &packages,
        products,
        byproducts: &[],
        inputs: &inputs,
        certificate: manifest.signing.as_ref().map(|signed| &signed.certificate),
        tools: &manifest.tools,
        started: &manifest.started,
        finished: &finished,
    };
    if let Some(text) = sbom::document(&build).map_err(failed)? {
        put_bytes(context, SBOM, &text)?;
    }
    let beside =
        context.manifest.files.iter().filter(|file| [INSTALL, SUBMIT, SBOM, CERTIFICATE].contains(&file.name.as_str()));
    let byproducts: Vec<Artifact> = beside.map(artifact).collect();
    build.byproducts = &byproducts;
    if let Some(text) = slsa::statement(&build).map_err(failed)? {
        put_bytes(context, PROVENANCE, &text)?;
    }
    Ok(())
}

/// Reads the digests of the packages that a module was compared with.
fn inputs(context: &Context<'_>) -> Result<Vec<Artifact>, Error> {
    let kernels = context.plan.steps.iter().flat_map(|step| match step {
        Step::Compile(what) => what.kernels.as_slice(),
        _ => &[],
    });
    kernels
        .map(|path| {
            let failed = |source| Error::io("a package that was used cannot be read again", source);
            let mut input = files::Hashed::new(fs_err::File::open(path).map_err(failed)?);
            std::io::copy(&mut input, &mut std::io::sink()).map_err(failed)?;
            Ok(Artifact { file: file_name(path), sha256: input.finish().1 })
        })
        .collect()
}

fn artifact(file: &FileRecord) -> Artifact {
    Artifact { file: file.name.clone(), sha256: file.sha256.clone() }
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

fn put(context: &mut Context<'_>, name: &str, path: &Path) -> Result<String, Error> {
    let failed = |source| Error::io("a result cannot be handed over", source);
    let mut file = fs_err::File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let written = context.out.put(name, size, &mut file).map_err(failed)?;
    let sha256 = written.1.clone();
    context.manifest.add(name, written);
    Ok(sha256)
}

fn put_text(context: &mut Context<'_>, name: &str, text: &str) -> Result<(), Error> {
    put_bytes(context, name, text.as_bytes())
}

fn put_bytes(context: &mut Context<'_>, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::io("a result cannot be handed over", source);
    let written = context.out.put(name, bytes.len() as u64, &mut &*bytes).map_err(failed)?;
    context.manifest.add(name, written);
    Ok(())
}
