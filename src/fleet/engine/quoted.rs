//! Words as YAML has them.

use std::fmt::Write;

/// Words that YAML takes for something else, in one of its versions.
const OTHER: [&str; 12] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "t", "f", "nan"];

/// Returns a text as a scalar of YAML on one line, outside of brackets: as it is if it means nothing else there, or else as JSON
/// does.
pub(super) fn scalar(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || " ._/=+~\"$:@-".contains(letter);
    let is_plain = text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !text.contains(": ")
        && !text.contains("  ")
        && !text.ends_with([':', ' '])
        && !OTHER.contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { string(text) }
}

/// Returns a text as a quoted string of YAML, which is JSON's with more letters written as numbers.
pub(super) fn string(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // What ends a line in one of YAML's versions, or may not be there at all.
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => escape(&mut quoted, letter),
            _ if letter.is_control() => escape(&mut quoted, letter),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

fn escape(quoted: &mut String, letter: char) {
    // Writing to a String does not fail.
    let _ = write!(quoted, "\\u{:04x}", u32::from(letter));
}

/// Returns a whole text as a value of YAML, below a key that has `indent` blanks before it: as a block that people can read if it can
/// be one.
pub(super) fn block(text: &str, indent: usize) -> String {
    let is_plain =
        |line: &str| !line.chars().any(|letter| letter.is_control() && letter != '\t' || letter == '\u{feff}');
    let first = text.lines().next().unwrap_or_default();
    let fits = text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !first.is_empty()
        && !first.starts_with([' ', '\t'])
        && !text.contains(['\r', '\u{85}', '\u{2028}', '\u{2029}', '\u{fffe}', '\u{ffff}'])
        && text.lines().all(is_plain);
    if !fits {
        return string(text);
    }
    let margin = " ".repeat(indent + 2);
    text.lines().fold(String::from("|"), |block, line| {
        if line.is_empty() { block + "\n" } else { format!("{block}\n{margin}{line}") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_as_they_are_or_quoted() {
        for plain in [
            "kbuild fleet run --file a/b.toml --cell \"$KBUILD_CELL\"",
            "quay.io/x/y:1@sha256:ab",
            "el6-1-2+3~4-20-kernel",
        ] {
            assert_eq!(scalar(plain), plain);
        }
        for (text, quoted) in [
            ("", "\"\""),
            ("No", "\"No\""),
            ("12", "\"12\""),
            ("a: b", "\"a: b\""),
            ("a #b", "\"a #b\""),
            ("a'b", "\"a'b\""),
            ("{a", "\"{a\""),
            ("*a\\\"", "\"*a\\\\\\\"\""),
            ("a\nb\u{7f}\u{2028}é", "\"a\\nb\\u007f\\u2028é\""),
        ] {
            assert_eq!(scalar(text), quoted, "{text:?}");
        }
    }

    #[test]
    fn a_file_is_a_block_that_people_can_read_or_else_a_string() {
        assert_eq!(block("a = 1\n\n[b]\n\tc = 2\n", 2), "|\n    a = 1\n\n    [b]\n    \tc = 2");
        for text in ["", "a", " a\n", "\na\n", "a\n\n", "a\r\n", "a\u{7}\n", "a\u{2028}\n"] {
            assert!(block(text, 2).starts_with('"'), "{text:?}");
        }
    }
}
