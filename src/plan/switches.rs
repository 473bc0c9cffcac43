//! `--with` and `--without`: a spec ignores a name that it does not know, so names are looked up in it beforehand.

use std::collections::BTreeSet;

use regex::bytes::Regex;

use super::source::ends_with;
use super::{Error, Request, Source};
use crate::nearest::nearest;
use crate::recipe::Recipe;

/// Refuses a name that the spec (or what it includes) does not know.
///
/// # Errors
/// The first such name.
pub(super) fn check(request: &Request, source: &Source, spec: &str) -> Result<(), Error> {
    let known = known(source, spec);
    let asked = request.with.iter().map(|name| ("--with", name));
    for (option, name) in asked.chain(request.without.iter().map(|name| ("--without", name))) {
        if !known.contains(name) {
            return Err(Error::Switch {
                spec: spec.to_owned(),
                option: option.to_owned(),
                name: name.clone(),
                meant: meant(name, &known),
            });
        }
    }
    Ok(())
}

/// Refuses a name that the command line switches one way and the other way at once, or the recipe the other way: a spec
/// that is told both does what its author thought of first.
///
/// # Errors
/// The first such name.
pub(super) fn agree(request: &Request, recipe: &Recipe) -> Result<(), Error> {
    let profile = recipe.profiles.get(request.profile.name()).cloned().unwrap_or_default();
    let (by_recipe, by_profile) =
        (format!("the recipe `{}`", recipe.name), format!("the profile `{}`", request.profile.name()));
    let against = |said: &[String], option: &str, other: &str, opposite: [(&[String], &str); 3]| {
        for (names, origin) in opposite {
            if let Some(name) = said.iter().find(|name| names.contains(name)) {
                let (option, other) = (option.to_owned(), other.to_owned());
                return Err(Error::Contradiction { option, name: name.clone(), other, origin: origin.to_owned() });
            }
        }
        Ok(())
    };
    let own = "the command line";
    let off = [(&*request.without, own), (&*recipe.build.without, &*by_recipe), (&*profile.without, &*by_profile)];
    let on: [(&[String], &str); 3] =
        [(&request.with, own), (&recipe.build.with, &by_recipe), (&profile.with, &by_profile)];
    against(&request.with, "--with", "--without", off)?;
    against(&request.without, "--without", "--with", on)
}

/// Returns the names of all conditionals: `%{?_with_x}`, `%{?_without_x}`, `%bcond_with x`, `%bcond x 1`.
fn known(source: &Source, spec: &str) -> BTreeSet<String> {
    let Ok(pattern) = Regex::new(r"\b_with(?:out)?_([A-Za-z0-9_]+)|%bcond(?:_with(?:out)?)?[ \t]+([A-Za-z0-9_]+)")
    else {
        return BTreeSet::new();
    };
    let parts = source.texts.iter().filter(|(file, _)| *file == spec || ends_with(file, ".inc"));
    parts
        .flat_map(|(_, text)| pattern.captures_iter(text).collect::<Vec<_>>())
        .filter_map(|found| found.get(1).or_else(|| found.get(2)))
        .map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned())
        .collect()
}

fn meant(name: &str, known: &BTreeSet<String>) -> String {
    match (nearest(name, known.iter().map(String::as_str)), known.len()) {
        (Some(meant), _) => format!("did you mean `{meant}`?"),
        (None, 0) => "it has no conditionals at all".to_owned(),
        (None, _) => format!("it has {}", known.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_named() {
        let known: BTreeSet<String> = ["debug", "debuginfo", "perf"].map(str::to_owned).into();
        assert_eq!(meant("debuginfos", &known), "did you mean `debuginfo`?");
        assert_eq!(meant("firmware", &known), "it has debug, debuginfo, perf");
    }
}
