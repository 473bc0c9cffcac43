//! `kbuild diff`: what differs between two builds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::args::Diff;
use super::render::Format;
use super::{Edge, Output};
use crate::compare::compare;
use crate::error::Error;
use crate::pipeline::manifest::Manifest;
use crate::proof::{inside, packages};

pub(super) fn run(edge: &Edge, args: &Diff) -> Result<Output, Error> {
    let (first, second) = match (args.first.as_slice(), args.second.as_slice()) {
        ([a, b], []) => (std::slice::from_ref(a), std::slice::from_ref(b)),
        (_, []) => {
            let text = "expected two builds: `kbuild diff A B`, or the packages of each, `kbuild diff A... -- B...`";
            return Err(Error::Usage(text.into()));
        }
        sides => sides,
    };
    let mut seen = |package: &Path| edge.reporter.note(format!("reading `{}`", package.display()));
    let (mut a, mut b) = inside::read(&packages::find(first)?, &packages::find(second)?, &mut seen)?;
    (a.facts, b.facts) = (facts(first), facts(second));
    // Of two directories that only one has a manifest, it would seem that everything it says differs.
    if a.facts.is_empty() || b.facts.is_empty() {
        edge.reporter.note("not both have a manifest.json: how they were made is not compared".into());
        (a.facts, b.facts) = (BTreeMap::new(), BTreeMap::new());
    }
    let found = compare(&a, &b);
    let text = match edge.format {
        Format::Json => format!(
            "{}\n",
            serde_json::json!({ "event": "difference", "same": found.is_empty(), "differences": found })
        ),
        Format::Human | Format::Plain => found.to_string(),
    };
    let error = (args.exit_code && !found.is_empty()).then_some(Error::Differ);
    Ok(Output { text, error })
}

/// What the manifest of a directory of results says of how they were made.
fn facts(build: &[PathBuf]) -> BTreeMap<String, String> {
    let [dir] = build else { return BTreeMap::new() };
    Manifest::read(dir).map(|manifest| said(&manifest)).unwrap_or_default()
}

fn said(manifest: &Manifest) -> BTreeMap<String, String> {
    let asked = &manifest.request;
    let mut facts: BTreeMap<String, String> = [
        ("kbuild", manifest.kbuild.clone()),
        ("route", manifest.route.to_string()),
        ("bits", asked.bits.to_string()),
        ("arch", asked.arch.clone()),
        ("mode", asked.mode.flag().to_owned()),
        ("profile", asked.profile.name().to_owned()),
        ("recipe", manifest.recipe.name.clone()),
        ("recipe sha256", manifest.recipe.sha256.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let mut say = |name: &str, value: String| facts.insert(name.to_owned(), value);
    for setting in &asked.settings {
        say(&format!("setting {}", setting.symbol()), setting.value().to_owned());
    }
    if let Some(source) = &manifest.source {
        say("source", source.file.clone());
        say("source sha256", source.sha256.clone());
    }
    if let Some(module) = &manifest.module {
        say("kernel-devel", module.devel.name.clone());
        say("kernel-devel sha256", module.devel.sha256.clone().unwrap_or_default());
    }
    for (tool, version) in &manifest.tools {
        say(&format!("tool {tool}"), version.clone());
    }
    facts
}
