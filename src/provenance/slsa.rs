//! `provenance.json`: an in-toto Statement v1 whose predicate is SLSA provenance v1.
//!
//! <https://in-toto.io/Statement/v1> and <https://slsa.dev/spec/v1.0/provenance> say what each field means, and
//! docs/provenance.md what kbuild puts into those that are its own to define.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Artifact, Build, Error, purl};
use crate::digest;
use crate::plan::step::{Edit, Step};
use crate::plan::{Plan, Route};

/// Type of the statement.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// Type of its predicate.
const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// What the parameters of a build by kbuild mean: docs/provenance.md. The number is raised when their meaning changes.
pub const BUILD_TYPE: &str = "urn:kbuild:build-type:ipvs:v1";
/// Who built: kbuild, on a machine of its user's, for which nobody else vouches.
pub const BUILDER: &str = "urn:kbuild:builder:local:v1";

#[derive(Serialize)]
struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: Vec<Resource>,
    #[serde(rename = "predicateType")]
    predicate_type: &'static str,
    predicate: Provenance<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Provenance<'a> {
    build_definition: Definition,
    run_details: Details<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    build_type: &'static str,
    external_parameters: Map<String, Value>,
    internal_parameters: Value,
    resolved_dependencies: Vec<Resource>,
}

#[derive(Serialize)]
struct Details<'a> {
    builder: Builder<'a>,
    metadata: Metadata<'a>,
    byproducts: Vec<Resource>,
}

#[derive(Serialize)]
struct Builder<'a> {
    id: &'static str,
    version: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    invocation_id: String,
    started_on: &'a str,
    finished_on: &'a str,
}

/// A `ResourceDescriptor` of in-toto: at least one of URI and digest.
#[derive(Debug, Default, Serialize)]
struct Resource {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    digest: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    annotations: Map<String, Value>,
}

impl Resource {
    fn new(name: &str, sha256: &str) -> Self {
        Self { name: Some(name.to_owned()), digest: [("sha256", sha256.to_owned())].into(), ..Self::default() }
    }

    fn of(artifact: &Artifact) -> Self {
        Self::new(&artifact.file, &artifact.sha256)
    }

    fn role(mut self, role: &str) -> Self {
        self.annotations.insert("role".into(), role.into());
        self
    }
}

/// Returns the statement about a build as JSON, with a line end; nothing if the build made nothing to state something of.
///
/// # Errors
/// The source package's name makes no package URL.
pub fn statement(build: &Build<'_>) -> Result<Option<Vec<u8>>, Error> {
    let packages = build.packages.iter().map(|package| Resource::of(&package.artifact));
    let subject: Vec<Resource> = packages.chain(build.products.iter().map(Resource::of)).collect();
    if subject.is_empty() {
        return Ok(None);
    }
    let definition = Definition {
        build_type: BUILD_TYPE,
        external_parameters: asked(build)?,
        internal_parameters: internal(build)?,
        resolved_dependencies: dependencies(build)?,
    };
    // Two runs of the same differ in when they began.
    let run = json!([build.started, &subject, &definition]);
    let statement = Statement {
        kind: STATEMENT,
        subject,
        predicate_type: PREDICATE,
        predicate: Provenance {
            run_details: Details {
                builder: Builder { id: BUILDER, version: [("kbuild", build.plan.kbuild.as_str())].into() },
                metadata: Metadata {
                    invocation_id: format!("urn:kbuild:run:{}", digest::sha256(run.to_string().as_bytes())),
                    started_on: build.started,
                    finished_on: build.finished,
                },
                byproducts: build.byproducts.iter().map(Resource::of).collect(),
            },
            build_definition: definition,
        },
    };
    let mut text = serde_json::to_vec_pretty(&statement)?;
    text.push(b'\n');
    Ok(Some(text))
}

/// What was asked. A verifier compares these with what it expects, so nothing that changes the result is left out: what has
/// no key of its own is in the command line.
fn asked(build: &Build<'_>) -> Result<Map<String, Value>, Error> {
    let Plan { route, bits, nvr, buildid, arch, mode, profile, source, reproduce, uname_r, .. } = build.plan;
    let mut asked = Map::new();
    let mut say = |key: &str, value: Value| asked.insert(key.to_owned(), value);
    say("route", serde_json::to_value(route)?);
    say("bits", bits.get().into());
    say("arch", arch.as_str().into());
    say("kernel", uname_r.as_str().into());
    if *route == Route::Kernel {
        say("mode", serde_json::to_value(mode)?);
        say("profile", serde_json::to_value(profile)?);
    }
    if let Some(buildid) = buildid {
        say("buildid", buildid.as_str().into());
    }
    if let Some(source) = source {
        say("source", source.file.as_str().into());
    }
    say("settings", build.settings.iter().map(ToString::to_string).collect());
    say("nvr", nvr.to_string().into());
    say("commandLine", reproduce.as_str().into());
    Ok(asked)
}

/// What kbuild chose by itself.
fn internal(build: &Build<'_>) -> Result<Value, Error> {
    let plan = build.plan;
    let edits = plan.steps.iter().find_map(|step| match step {
        Step::Edit { edits } => Some(edits.as_slice()),
        _ => None,
    });
    let edited: Vec<Resource> =
        edits.unwrap_or_default().iter().map(|edit| Resource::new(&edit.file, &edit.sha256)).collect();
    Ok(json!({
        "recipe": { "name": plan.recipe.name, "why": plan.recipe.why, "way": plan.recipe.way },
        "release": serde_json::to_value(&plan.release)?,
        "editedFiles": edited,
        "appliedPatches": plan.module.as_ref().map(|module| &module.patches),
        "tools": build.tools,
        "user": plan.user.name,
    }))
}

/// Everything that went into the build and was not kbuild's own.
fn dependencies(build: &Build<'_>) -> Result<Vec<Resource>, Error> {
    let plan = build.plan;
    let mut all = Vec::new();
    if let Some(source) = &plan.source {
        let mut resource = Resource::new(&source.file, &source.sha256).role("source package");
        resource.uri = Some(purl(&source.nvr, None, "src")?);
        resource.annotations.insert("signature".into(), serde_json::to_value(&source.signature)?);
        resource.annotations.insert("vouchedBy".into(), serde_json::to_value(source.vouched_by)?);
        all.push(resource);
    }
    let recipe = &plan.recipe;
    all.push(Resource::new(&format!("{}.toml", recipe.name), &recipe.sha256).role("recipe"));
    if let Some(module) = &plan.module {
        let devel = &module.devel;
        let mut resource = Resource { name: Some(devel.name.clone()), ..Resource::default() }.role("kernel-devel");
        match &devel.sha256 {
            Some(sha256) => {
                resource.digest.insert("sha256", sha256.clone());
            }
            // A directory has no digest. It is named by what it is of, not by where it was.
            None => resource.uri = Some(format!("urn:kbuild:headers-tree:{}", devel.uname_r)),
        }
        resource.annotations.insert("signature".into(), serde_json::to_value(&devel.signature)?);
        all.push(resource);
    }
    all.extend(build.inputs.iter().map(|input| Resource::of(input).role("kernel package, to compare with")));
    if let Some(certificate) = build.certificate {
        let mut resource = Resource::new(&certificate.subject, &certificate.sha256).role("module-signing certificate");
        resource.annotations.insert("notAfter".into(), certificate.not_after.as_str().into());
        all.push(resource);
    }
    all.extend(patches(plan).map(|(name, text)| Resource::new(name, &digest::sha256(text.as_bytes())).role("patch")));
    Ok(all)
}

/// The patches that the user gave: names and texts.
fn patches(plan: &Plan) -> impl Iterator<Item = (&str, &str)> {
    let edits = plan.steps.iter().flat_map(|step| match step {
        Step::Edit { edits } => edits.as_slice(),
        _ => &[],
    });
    let patches = edits.flat_map(|edit| &edit.edits).flat_map(|edit| match edit {
        Edit::Patch { patches } => patches.as_slice(),
        _ => &[],
    });
    patches.map(|patch| (patch.name.as_str(), patch.text.as_str()))
}
