//! What the release becomes: worked out by evaluating the spec before and after the edit, and never taken on trust where
//! that is possible.

use super::{Choice, Error, ReleaseUsed, Request, Source};
use crate::edit::spec::{self, Carried, Carrier, Context, Dist, Sources};
use crate::recipe::{DistPlace, Recipe};
use crate::rpm::nvr::Nvr;

/// The release of the packages, and the edit that gives it to them.
#[derive(Debug, Clone)]
pub(super) struct Released {
    pub(super) nvr: Nvr,
    pub(super) used: ReleaseUsed,
    pub(super) carried: Carried,
}

/// Works out the release; `name` is the spec's.
pub(super) fn decide(
    request: &Request,
    choice: &Choice,
    source: &Source,
    name: &str,
    arch: &str,
) -> Result<Released, Error> {
    let recipe = &choice.recipe;
    let header = &source.header.nvr;
    let sources = Sources::new(name, &source.texts);
    let mut context = context(request, recipe, arch, &header.release);
    let dist = match spec::dist_of(&sources, &context, header) {
        Dist::AsItIs => None,
        Dist::Define { value, .. } => Some(value),
        Dist::Unknown => (recipe.spec.dist == DistPlace::Host).then(|| from_release(recipe, &header.release)).flatten(),
    };
    if let Some(dist) = &dist {
        context.defines.insert("dist".into(), dist.clone());
    }
    let carried = spec::carry(&sources, &context, request.buildid.as_str(), header)?;
    if !carried.evaluated && choice.is_detected() {
        let unknown: Vec<String> = carried.unknown.iter().map(ToString::to_string).collect();
        let why = if unknown.is_empty() { "it comes out as another".to_owned() } else { unknown.join("; ") };
        return Err(Error::Release { spec: name.to_owned(), why });
    }
    let release = carried.release.clone().unwrap_or_else(|| recipe.marked(&header.release, request.buildid.as_str()));
    Ok(Released {
        nvr: Nvr { release, ..header.clone() },
        used: ReleaseUsed { evaluated: carried.evaluated, carrier: carrier(&carried), dist },
        carried,
    })
}

/// Says in which line the buildid goes, and what that line is.
fn carrier(carried: &Carried) -> String {
    let how = match carried.how {
        _ if carried.before.as_ref() == Some(&carried.after) => "it is there already",
        Carrier::Marker => "the marker that the spec leaves for it",
        Carrier::Extended => "a definition that was in force is extended",
        Carrier::Inserted => "a definition is put in: the spec uses one and has no place for it",
        Carrier::ReleaseLine => "the Release line: nothing in the spec uses a buildid",
    };
    format!("`{}` line {}: {how}", carried.file, carried.line)
}

/// What rpmbuild will be told, as far as the spec can see it.
fn context(request: &Request, recipe: &Recipe, arch: &str, release: &str) -> Context {
    let profile = recipe.profiles.get(request.profile.name()).cloned().unwrap_or_default();
    let all = |each: [&[String]; 3]| each.concat();
    Context {
        target: arch.to_owned(),
        defines: recipe.defines(release),
        with: all([&recipe.build.with, &profile.with, &request.with]),
        without: all([&recipe.build.without, &profile.without, &request.without]),
    }
}

/// Returns the `%dist` in a release, by the recipe's word: from the family's part on.
fn from_release(recipe: &Recipe, release: &str) -> Option<String> {
    release.get(recipe.dist(release)?..).map(str::to_owned)
}
