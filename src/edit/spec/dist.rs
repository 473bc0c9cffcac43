//! The `dist` that a source package was built with.
//!
//! From el8 on (and in el6.0) `%dist` comes from the build host: 4.18.0-193.28.1.el8_2 rebuilt on another 8.x would be
//! 193.28.1.el8. Other specs define it themselves, and a `--define` is then of no use (el6 2.6.32-71.14.1 on).

use std::collections::BTreeMap;

use super::carry::fits;
use super::{Context, Evaluated, Sources, evaluate};
use crate::rpm::nvr::Nvr;

/// No release has this in it.
const PROBE: &str = ".kbuild_probe";

/// What has to be done for the unedited spec to give the source package's release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dist {
    /// Nothing: it does so whatever the build host says.
    AsItIs,
    /// `--define 'dist VALUE'`.
    Define {
        /// The value; `%{nil}` where a `dist` of the build host would make the release longer.
        value: String,
        /// Other values that would do, too. The one that begins as a distribution's does was taken before them, and
        /// the longest of those.
        others: Vec<String>,
    },
    /// No value does, or what the release is made of is unknown.
    Unknown,
}

/// Finds the `dist` with which the unedited spec gives the release of the source package.
///
/// The values tried are what the release has in the place of `dist`, and its ends, from each of its dots on. A `dist` in the context is set aside.
#[must_use]
pub fn dist_of(sources: &Sources<'_>, context: &Context, header: &Nvr) -> Dist {
    let with = |value: &str| {
        let mut defines: BTreeMap<_, _> = context.defines.clone();
        defines.insert("dist".to_owned(), value.to_owned());
        evaluate(sources, &Context { defines, ..context.clone() })
    };
    let right = |found: &Evaluated| found.release.as_ref() == Some(&header.release) && fits(found, &header.version);
    let foreign = with(PROBE);
    if right(&foreign) {
        return Dist::AsItIs;
    }
    let between = foreign.release.as_deref().and_then(|release| instead_of_probe(release, &header.release));
    let ends = header.release.match_indices('.').filter_map(|(at, _)| header.release.get(at..));
    // A source package that was built without any is found last: its host's would make the release longer.
    let tried: Vec<_> = between.filter(|value| !value.is_empty()).into_iter().chain(ends).chain(["%{nil}"]).collect();
    let mut values: Vec<String> = Vec::new();
    for value in tried {
        if !values.iter().any(|known| known == value) && right(&with(value)) {
            values.push(value.to_owned());
        }
    }
    // Stable: the longest stays first among its kind.
    values.sort_by_key(|value| !is_distribution(value));
    let mut values = values.into_iter();
    match values.next() {
        Some(value) => Dist::Define { value, others: values.collect() },
        None => Dist::Unknown,
    }
}

/// Returns what a release has in the place where another one has the probe: `.el7` for `1.el7uek` (UEK, whose releases
/// go on behind `dist`).
fn instead_of_probe<'a>(probed: &str, release: &'a str) -> Option<&'a str> {
    let (before, behind) = probed.split_once(PROBE)?;
    let value = release.strip_prefix(before)?.strip_suffix(behind)?;
    (value.is_empty() || value.starts_with('.')).then_some(value)
}

/// Whether a value begins as those of the families do: `.el8_2`, `.fc38`, `.elrepo`, `.uek`, `.amzn2`, `.xcpng8`.
fn is_distribution(value: &str) -> bool {
    [".el", ".fc", ".uek", ".amzn", ".oe", ".an", ".tl", ".xcpng"].iter().any(|known| value.starts_with(known))
}
