//! Small tools for bytes: what rpm takes for blanks, where a bracket closes, which words a text has.

/// Stands for whatever a shell, Lua or the build host would have put there. A C string cannot hold it, so rpm never
/// sees one; a value with this byte in it is unknown.
pub(super) const UNKNOWN: u8 = 0;

/// Space and tab: what ends a macro's name and is trimmed from its body.
pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// rpm's own idea of white space.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// What may stand in the name of a macro.
pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Returns how many bytes at the start are such.
pub(super) fn span(text: &[u8], such: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|byte| !such(*byte)).unwrap_or(text.len())
}

/// Returns a text from a position on; nothing beyond its end.
pub(super) fn from(text: &[u8], at: usize) -> &[u8] {
    text.get(at..).unwrap_or_default()
}

/// Returns a part of a text; nothing where there is no such part.
pub(super) fn part(text: &[u8], start: usize, end: usize) -> &[u8] {
    text.get(start..end).unwrap_or_default()
}

/// Returns a text without the white space at its start.
pub(super) fn trim_start(text: &[u8]) -> &[u8] {
    from(text, span(text, is_space))
}

/// Returns a text without the white space at its end.
pub(super) fn trim_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1);
    part(text, 0, end)
}

/// Splits a text at white space.
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| is_space(*byte)).filter(|word| !word.is_empty())
}

/// Returns where a text is found in another one.
pub(super) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() { None } else { text.windows(wanted.len()).position(|window| window == wanted) }
}

/// Returns the position behind the bracket that closes the one at the start (`matchchar` of rpm 4.18: a backslash
/// hides the next byte).
pub(super) fn closing(text: &[u8], open: u8, close: u8) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        if *byte == b'\\' {
            at += 1;
        } else if *byte == close {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return Some(at);
            }
        } else if *byte == open {
            depth += 1;
        }
    }
    None
}

/// Returns a text for people and for data; bytes that are not UTF-8 are replaced.
pub(super) fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// Returns the names that a text might define or undefine: `%define NAME`, `%{global NAME …}`, `rpm.define("NAME …")`,
/// `%bcond_with NAME` (which defines `with_NAME`).
pub(super) fn names_defined(text: &[u8]) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let word = span(from(text, at), is_name);
        if word == 0 {
            at += 1;
            continue;
        }
        let prefix: &[u8] = match part(text, at, at + word) {
            b"define" | b"global" | b"undefine" => b"",
            b"bcond" | b"bcond_with" | b"bcond_without" => b"with_",
            _ => {
                at += word;
                continue;
            }
        };
        at += word;
        let gap = span(from(text, at), |byte| is_blank(byte) || b":(\"'{[".contains(&byte));
        let name = span(from(text, at + gap), is_name);
        if gap > 0 && name > 0 {
            names.push([prefix, part(text, at + gap, at + gap + name)].concat());
        }
        at += gap;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_close_as_in_rpm() {
        assert_eq!(closing(b"{a{b}c}d", b'{', b'}'), Some(7));
        assert_eq!(closing(br"{a\}c}d", b'{', b'}'), Some(6));
        assert_eq!(closing(b"{a{b}c", b'{', b'}'), None);
        assert_eq!(closing(b"{a\\", b'{', b'}'), None);
    }

    #[test]
    fn names_that_may_be_defined_are_found() {
        let names = |text: &str| {
            names_defined(text.as_bytes())
                .iter()
                .map(|name| String::from_utf8_lossy(name).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("%define a 1\n  %{global b 2}\n%{!?c:%undefine c}\n"), ["a", "b", "c"]);
        assert_eq!(names("%bcond_with x\nrpm.define(\"y 1\")\nredefine z 1"), ["with_x", "y"]);
        assert_eq!(names("define"), [""; 0]);
    }
}
