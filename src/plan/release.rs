//! What the release becomes: worked out by evaluating the spec before and after the edit, and never taken on trust where
//! that is possible.

use super::request::ProfileName;
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
    let given = [&request.with, &request.without].map(Vec::as_slice);
    let (context, dist) = told(recipe, &sources, header, (request.profile, given), arch);
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

/// Returns what a spec names as `BuildRequires` when it is built with this profile and these `--with` and `--without`,
/// in alphabetical order; `None` if there is no spec, or more than one.
#[must_use]
pub fn build_requires(
    recipe: &Recipe,
    source: &Source,
    profile: ProfileName,
    given: [&[String]; 2],
    arch: &str,
) -> Option<Vec<String>> {
    let name = source.spec(recipe).ok()?;
    let sources = Sources::new(&name, &source.texts);
    let (context, _) = told(recipe, &sources, &source.header.nvr, (profile, given), arch);
    let mut names = spec::evaluate(&sources, &context).build_requires;
    names.sort_unstable();
    names.dedup();
    Some(names)
}

/// What rpmbuild will be told, as far as the spec can see it, and the `%dist` among it if that is given.
fn told(
    recipe: &Recipe,
    sources: &Sources<'_>,
    header: &Nvr,
    (profile, [with, without]): (ProfileName, [&[String]; 2]),
    arch: &str,
) -> (Context, Option<String>) {
    let of_profile = recipe.profiles.get(profile.name()).cloned().unwrap_or_default();
    let mut context = Context {
        target: arch.to_owned(),
        defines: recipe.defines(&header.release),
        with: [recipe.build.with.as_slice(), &of_profile.with, with].concat(),
        without: [recipe.build.without.as_slice(), &of_profile.without, without].concat(),
    };
    let dist = match spec::dist_of(sources, &context, header) {
        Dist::AsItIs => None,
        Dist::Define { value, .. } => Some(value),
        Dist::Unknown => (recipe.spec.dist == DistPlace::Host).then(|| from_release(recipe, &header.release)).flatten(),
    };
    if let Some(dist) = &dist {
        context.defines.insert("dist".into(), dist.clone());
    }
    (context, dist)
}

/// Returns the `%dist` in a release, by the recipe's word: from the family's part on.
fn from_release(recipe: &Recipe, release: &str) -> Option<String> {
    release.get(recipe.dist(release)?..).map(str::to_owned)
}
