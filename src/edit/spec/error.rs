//! Why a spec cannot be made to carry the buildid.

use super::Place;

/// Why no line is found that carries the buildid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The source package has no such spec.
    #[error("the source package has no `{file}`")]
    NoSpec {
        /// The file.
        file: String,
    },
    /// More lines than one could carry it.
    #[error("{} lines could carry `{buildid}` ({}), expected exactly one {what}", places.len(), list(places))]
    Several {
        /// The buildid.
        buildid: String,
        /// What they are.
        what: &'static str,
        /// The lines.
        places: Vec<Place>,
    },
    /// A line that should carry it cannot be edited.
    #[error("line {} of `{}` cannot be edited: expected {expected}, found `{found}`", at.line, at.file)]
    Unclear {
        /// The line.
        at: Place,
        /// What was expected.
        expected: &'static str,
        /// The line as it reads.
        found: String,
    },
    /// No Release tag is read.
    #[error("`{file}` has no Release tag that is read, expected exactly one")]
    NoRelease {
        /// The spec.
        file: String,
    },
    /// The release does not become what it should.
    #[error(
        "line {} of `{}` as `{after}` makes the release {}, expected {expected}",
        at.line, at.file, found.as_ref().map_or_else(|| "one that is unknown".to_owned(), |found| format!("`{found}`"))
    )]
    Effect {
        /// The line.
        at: Place,
        /// The edited line.
        after: String,
        /// What the release should become.
        expected: String,
        /// What it became.
        found: Option<String>,
    },
    /// The spec without our edit already has the buildid in its release more than once, or otherwise than at one place.
    #[error("the release `{release}` of the source package has `{buildid}` in it {count} times, expected at most once")]
    Taken {
        /// The release.
        release: String,
        /// The buildid.
        buildid: String,
        /// How often.
        count: usize,
    },
}

fn list(places: &[Place]) -> String {
    places.iter().map(|place| format!("line {} of `{}`", place.line, place.file)).collect::<Vec<_>>().join(", ")
}
