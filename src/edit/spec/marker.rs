//! The lines that a buildid can be written to, told by their text alone.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::text::{is_space, part};
use super::{Keyword, Place};
use crate::edit::{lines, split_end};

/// A line about `buildid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Commented out, or without a value: the place for ours.
    Marker(Keyword),
    /// A definition with a value.
    Active,
}

/// Prose such as `# define buildid to something` is no marker: there is nothing behind the value, and the value begins
/// as one does (`.local`, `.1` in every spec seen).
static MARKER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^[ \t]*(?:(#[# \t]*)(?:%[ \t]+|%%[ \t]*|%)?|%)(define|global)[ \t]+buildid[ \t]*(?:[ \t](?:\.|%\{)[^\s\\]*)?[ \t\r]*$")
        .ok()
});
/// `%define buildid VALUE`, wherever it stands in its line.
static ACTIVE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:^|[^%])(?:%%)*%\{?(?:define|global)[ \t]+buildid[ \t]+(?:\{[ \t]*)?([^\s}\\][^\r]*)").ok()
});
/// A definition that is a line of its own, perhaps in a comment.
static COMMENT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[ \t]*#[# \t]*(%(?:define|global)[ \t])").ok());
static RELEASE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i-u)^Release[ \t]*:[ \t]*[^\s]").ok());
static USE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"%(?:\{[!?]*|[!?]*)buildid\b").ok());

fn matches(pattern: &LazyLock<Option<Regex>>, line: &[u8]) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(line))
}

/// Returns what a line says of `buildid`, without looking at whether it is read.
pub(super) fn line(body: &[u8]) -> Option<Line> {
    // Almost all lines of a spec end here.
    if !body.windows(b"buildid".len()).any(|window| window == b"buildid") {
        return None;
    }
    let found = MARKER.as_ref()?.captures(body);
    if let Some(found) = found {
        let keyword = if found.get(2).is_some_and(|word| word.as_bytes() == b"global") {
            Keyword::Global
        } else {
            Keyword::Define
        };
        if !matches(&ACTIVE, body) {
            return Some(Line::Marker(keyword));
        }
    }
    matches(&ACTIVE, body).then_some(Line::Active)
}

/// Returns the lines of a preamble that say something of `buildid`, or what else is looked for.
pub(super) fn places<T>(file: &str, text: &[u8], last: usize, wanted: impl Fn(&[u8]) -> Option<T>) -> Vec<(Place, T)> {
    lines(text)
        .take(last)
        .enumerate()
        .filter_map(|(index, line)| {
            let place = Place { file: file.to_owned(), line: index + 1 };
            Some((place, wanted(split_end(line).0)?))
        })
        .collect()
}

/// Whether a line uses `%{?buildid}`, in a comment or not at all excepted.
pub(super) fn uses(body: &[u8]) -> bool {
    !body.trim_ascii_start().starts_with(b"#") && matches(&USE, body)
}

/// Whether a line is the Release tag.
pub(super) fn is_release(body: &[u8]) -> bool {
    matches(&RELEASE, body)
}

/// Returns a line with something added behind the value that it gives to `buildid`, out of its comment; `None` where it
/// is not one simple definition with this value.
pub(super) fn extended(body: &[u8], value: &str, suffix: &str) -> Option<Vec<u8>> {
    let found: Vec<_> = ACTIVE.as_ref()?.captures_iter(body).collect();
    let [found] = found.as_slice() else { return None };
    let start = found.get(1)?.start();
    let end = start + value.len();
    if value.is_empty() || part(body, start, end) != value.as_bytes() {
        return None;
    }
    let comment = COMMENT.as_ref()?.captures(body).and_then(|found| found.get(1));
    let begin = comment.map_or(0, |comment| comment.start());
    Some([part(body, begin, end), suffix.as_bytes(), part(body, end, body.len())].concat())
}

/// Returns a Release line with something added to its value.
pub(super) fn appended(body: &[u8], suffix: &str) -> Option<Vec<u8>> {
    if !is_release(body) {
        return None;
    }
    let end = body.iter().rposition(|byte| !is_space(*byte)).map(|last| last + 1)?;
    let (value, blank) = body.split_at(end);
    Some(if value.ends_with(suffix.as_bytes()) { body.to_vec() } else { [value, suffix.as_bytes(), blank].concat() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_of_every_spelling() {
        for marker in [
            "#% define buildid",
            "# % define buildid .local",
            "# % define buildid ",
            "# define buildid .local",
            "#define buildid .local",
            "#define buildid .1",
            "#\t%\tdefine\tbuildid\t.local\t",
            "# %%define buildid .local",
            "  ## define buildid .local",
            "# %define buildid ",
            "%define buildid",
            "# define buildid .local\r",
        ] {
            assert_eq!(line(marker.as_bytes()), Some(Line::Marker(Keyword::Define)), "{marker}");
        }
        assert_eq!(line(b"#global buildid .local"), Some(Line::Marker(Keyword::Global)));
        for active in
            ["%define buildid .a", "# %define buildid .a", "%{!?buildid:%global buildid .b}", "x %define buildid {.c}"]
        {
            assert_eq!(line(active.as_bytes()), Some(Line::Active), "{active}");
        }
        for other in [
            "# define buildid to something of your own",
            "# please define buildid",
            "#define buildid_x .a",
            "% define buildid .local",
            "define buildid .local",
            "# uses %{?buildid}",
            "# % define  dist .el6",
            "# define buildid .a .b",
        ] {
            assert_eq!(line(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn values_are_extended_in_their_place() {
        let extended = |line: &str, value: &str| {
            extended(line.as_bytes(), value, ".x").map(|line| String::from_utf8(line).unwrap())
        };
        for (before, value, after) in [
            ("%define buildid .a", ".a", "%define buildid .a.x"),
            ("%global\tbuildid  .a\t\r", ".a", "%global\tbuildid  .a.x\t\r"),
            (" # %define buildid .a ", ".a", "%define buildid .a.x "),
            ("%{!?buildid:%define buildid .a}", ".a", "%{!?buildid:%define buildid .a.x}"),
            ("%define buildid {.a}", ".a", "%define buildid {.a.x}"),
            ("%define buildid .%{rhel}a", ".%{rhel}a", "%define buildid .%{rhel}a.x"),
        ] {
            assert_eq!(extended(before, value).as_deref(), Some(after), "{before}");
        }
        assert_eq!(extended("%define buildid .a", ".b"), None);
        assert_eq!(
            extended("%define buildid .a %define buildid .a", ".a").as_deref(),
            Some("%define buildid .a.x %define buildid .a")
        );
        assert_eq!(extended("%define other .a", ".a"), None);
    }

    #[test]
    fn releases_are_appended_to() {
        let appended = |line: &str| appended(line.as_bytes(), ".x").map(|line| String::from_utf8(line).unwrap());
        assert_eq!(appended("Release:\t%{pkg_release} \r").as_deref(), Some("Release:\t%{pkg_release}.x \r"));
        assert_eq!(appended("release : 1.x").as_deref(), Some("release : 1.x"));
        assert_eq!(appended("Release:"), None);
        assert_eq!(appended(" Release: 1"), None);
        assert_eq!(appended("%{?x:Release: 1}"), None);
    }
}
