//! The buildid edit of kernel.spec.
//!
//! The distribution leaves a marker for a local buildid near the top of the spec, commented out, in many spellings:
//! `# % define buildid .local` (el6 2.6.32-71 to -754, lines 17 to 19), `#% define buildid` (el5 2.6.18-308, line 74),
//! `# define buildid .local` (el8 4.18.0-80 on). A `%define` inside a comment is live all the same: rpm expands macros
//! there. A spec of a fork may have an active `%define buildid` with a value of its own, which is extended.

use regex::bytes::{Captures, Regex};

use super::{Edited, Error, lines, replace_line, split_end};

/// What a buildid line in the spec is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    /// Commented out: the place for ours.
    Marker,
    /// In force, with this value.
    Active { keyword: String, value: String },
}

/// Gives the spec the buildid: in place of the marker, or behind the value that is already in force.
///
/// # Arguments
/// `file` is the name for messages, `buildid` the value with its leading dot, such as `.ipvs_20bit`.
///
/// # Errors
/// There is no such line, or more than one, or nothing in the spec uses `buildid`.
pub fn set_buildid(file: &str, text: &[u8], buildid: &str) -> Result<Edited, Error> {
    let found = buildid_lines(text);
    let new = match found.as_slice() {
        [(_, Line::Marker)] => format!("%define buildid {buildid}"),
        // Applied to its own result, the edit changes nothing.
        [(_, Line::Active { keyword, value })] if value.ends_with(buildid) => {
            format!("%{keyword} buildid {value}")
        }
        [(_, Line::Active { keyword, value })] => format!("%{keyword} buildid {value}{buildid}"),
        [] => {
            let what = "that defines `buildid`, commented out or not".to_owned();
            return Err(Error::Missing { file: file.to_owned(), what });
        }
        several => {
            let what = "that define `buildid`".to_owned();
            let lines = several.iter().map(|(number, _)| *number).collect();
            return Err(Error::Several { file: file.to_owned(), what, lines });
        }
    };
    if !uses_buildid(text) {
        return Err(Error::BuildidUnused { file: file.to_owned(), buildid: buildid.to_owned() });
    }
    let number = found.first().map(|(number, _)| *number).unwrap_or_default();
    Ok(replace_line(text, number, &new))
}

fn buildid_lines(text: &[u8]) -> Vec<(usize, Line)> {
    let Ok(pattern) = Regex::new(r"^[ \t]*(#[# \t]*)?(%[ \t]*)?(define|global)[ \t]+buildid(?:[ \t]+([^\s]*))?[ \t]*$")
    else {
        return Vec::new();
    };
    lines(text)
        .enumerate()
        .filter_map(|(index, line)| {
            let found = pattern.captures(split_end(line).0)?;
            let part = |number: usize| part(&found, number);
            let live = part(2) == "%";
            let kind = match (part(1).is_empty(), live) {
                (_, true) => Line::Active { keyword: part(3), value: part(4) },
                (false, false) => Line::Marker,
                // `define buildid` or `% define buildid` outside a comment is no macro and no marker.
                (true, false) => return None,
            };
            Some((index + 1, kind))
        })
        .collect()
}

fn part(found: &Captures<'_>, number: usize) -> String {
    found.get(number).map(|group| String::from_utf8_lossy(group.as_bytes()).into_owned()).unwrap_or_default()
}

/// Whether any line that is not a comment expands `%{?buildid}` or `%{buildid}`.
fn uses_buildid(text: &[u8]) -> bool {
    let Ok(pattern) = Regex::new(r"%\{?\??buildid\b") else { return false };
    lines(text).any(|line| !line.trim_ascii_start().starts_with(b"#") && pattern.is_match(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAIL: &str = "%define pkg_release %{distro_build}%{?dist}%{?buildid}\n";

    #[track_caller]
    fn case(line: &str, expected: &str) {
        let text = format!("Summary: The Linux kernel\n{line}\n{TAIL}");
        let edited = set_buildid("kernel.spec", text.as_bytes(), ".ipvs_20bit").unwrap();
        let second = String::from_utf8(edited.text.clone()).unwrap().lines().nth(1).unwrap().to_owned();
        assert_eq!(second, expected);
        let again = set_buildid("kernel.spec", &edited.text, ".ipvs_20bit").unwrap();
        assert_eq!(again.text, edited.text);
    }

    #[test]
    fn every_marker_spelling_becomes_our_define() {
        for marker in [
            "#% define buildid",
            "# % define buildid .local",
            "# % define buildid ",
            "# define buildid .local",
            "#define buildid .local",
            "#define buildid .1",
            "#global buildid .local",
            "#\t% define buildid .local",
        ] {
            case(marker, "%define buildid .ipvs_20bit");
        }
    }

    #[test]
    fn an_active_define_is_extended_even_inside_a_comment() {
        case("%define buildid .fork", "%define buildid .fork.ipvs_20bit");
        case("%global buildid .fork", "%global buildid .fork.ipvs_20bit");
        case("# %define buildid .local", "%define buildid .local.ipvs_20bit");
    }

    #[test]
    fn none_two_and_unused_are_refused() {
        let error = |text: &str| set_buildid("kernel.spec", text.as_bytes(), ".x").unwrap_err().to_string();
        assert!(error(TAIL).starts_with("`kernel.spec` has no line that defines `buildid`"));
        let two = format!("# % define buildid .local\n%define buildid .a\n{TAIL}");
        assert_eq!(error(&two), "`kernel.spec` has 2 lines that define `buildid` (lines 1, 2), expected exactly one");
        assert!(error("# % define buildid .local\n# uses %{?buildid}\n").contains("never uses `%{?buildid}`"));
        assert!(error(&format!("% define buildid .local\n{TAIL}")).contains("has no line"));
    }

    proptest! {
        #[test]
        fn twice_is_once_and_other_lines_stay(
            head in proptest::collection::vec(any::<u8>(), 0..200),
            tail in proptest::collection::vec(any::<u8>(), 0..200),
            marker in "#[ \t]{0,2}(% ?)?(define|global)[ \t]{1,2}buildid( \\.[a-z0-9]{1,6})?[ \t]{0,2}",
        ) {
            let mut text = head;
            text.push(b'\n');
            text.extend_from_slice(marker.as_bytes());
            text.push(b'\n');
            text.extend_from_slice(TAIL.as_bytes());
            text.extend_from_slice(&tail);
            prop_assume!(buildid_lines(&text).len() == 1);
            let once = set_buildid("kernel.spec", &text, ".ipvs_20bit").unwrap();
            let twice = set_buildid("kernel.spec", &once.text, ".ipvs_20bit").unwrap();
            prop_assert_eq!(&once.text, &twice.text);
            prop_assert!(twice.changes.is_empty());
            let differing = lines(&text).zip(lines(&once.text)).filter(|(a, b)| a != b).count();
            prop_assert_eq!(differing, 1);
        }
    }
}
