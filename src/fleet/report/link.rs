//! Links from a page to files that may be elsewhere.

use std::fmt::Write;
use std::path::{Component, Path};

/// Returns the way from a page's directory to another one, encoded for a link and ending with `/`; empty for the same directory, nothing
/// if they have only the root in common, since whoever shows the page does not show that. Both paths are absolute and without `..`.
#[must_use]
pub fn way(from: &Path, to: &Path) -> Option<String> {
    let (from, to): (Vec<_>, Vec<_>) = (from.components().collect(), to.components().collect());
    let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let has_common = from.iter().take(common).any(|part| matches!(part, Component::Normal(_)));
    if !has_common {
        return None;
    }
    let mut way = "../".repeat(from.len() - common);
    for part in to.iter().skip(common) {
        way += &encoded(part.as_os_str().as_encoded_bytes());
        way.push('/');
    }
    Some(way)
}

/// Encodes a path for a link (RFC 3986): all but unreserved letters and `/`.
#[must_use]
pub fn encoded(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(byte) {
            text.push(char::from(*byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Returns an address that somebody else named, if it is one that a page may link to.
#[must_use]
pub fn address(url: &str) -> Option<&str> {
    let is_web = ["https://", "http://"].iter().any(|scheme| url.to_ascii_lowercase().starts_with(scheme));
    is_web.then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_go_up_and_down() {
        let way = |from: &str, to: &str| way(from.as_ref(), to.as_ref());
        assert_eq!(way("/f/out", "/f/out").as_deref(), Some(""));
        assert_eq!(way("/f/out", "/f/out/a+b").as_deref(), Some("a%2Bb/"));
        assert_eq!(way("/f/repo/el6", "/f/out").as_deref(), Some("../../out/"));
        assert_eq!(way("/f", "/f/o u:t/c").as_deref(), Some("o%20u%3At/c/"));
        assert_eq!(way("/srv/repo", "/var/out"), None);
        assert_eq!(way("/", "/out"), None);
    }

    #[test]
    fn only_addresses_of_the_web_are_linked() {
        assert_eq!(address("https://ci.example/1?a=b"), Some("https://ci.example/1?a=b"));
        for wrong in ["javascript:alert(1)", "file:///etc/passwd", "//x", "", " https://x"] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
    }
}
