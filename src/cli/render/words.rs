//! Text from elsewhere made fit to be printed, and the sentences that renderers share.

use std::iter::Peekable;
use std::str::Chars;

/// The lines of a text, without escape sequences, control characters and blank lines.
///
/// Texts quote build logs and packages: what they hold must not steer a terminal or break a log into wrong lines.
pub(super) fn lines(text: &str) -> Vec<String> {
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\n' | '\r' => clean.push('\n'),
            '\t' => clean.push(' '),
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    clean.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The text as one clean line.
pub(super) fn line(text: &str) -> String {
    lines(text).join(" ").trim_start().to_owned()
}

/// The line, cut to at most `width` characters.
pub(super) fn shorten(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    line.chars().take(width.saturating_sub(3)).chain("...".chars()).collect()
}

/// The line as lines of at most `width` characters, broken at spaces where there are any.
pub(super) fn wrap(line: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut current, mut columns) = (String::new(), 0);
    for word in line.split(' ') {
        if columns > 0 && columns + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut current));
            columns = 0;
        } else if columns > 0 {
            current.push(' ');
            columns += 1;
        }
        for c in word.chars() {
            if columns >= width {
                lines.push(std::mem::take(&mut current));
                columns = 0;
            }
            current.push(c);
            columns += 1;
        }
    }
    lines.push(current);
    lines
}

/// The line that heads a build.
pub(super) fn heading(nvr: &str, bits: u8, index: usize, of: usize) -> String {
    let nvr = line(nvr);
    if of > 1 { format!("{nvr}: bits {bits}, build {index} of {of}") } else { format!("{nvr}: bits {bits}") }
}

/// Skips what follows an escape character and belongs to it.
fn skip_escape(chars: &mut Peekable<Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
            chars.next_if(|c| matches!(c, '@'..='~'));
        }
        Some(']') => {
            // Ends with BEL, or with an escape character and a backslash; never goes beyond the line.
            while chars.next_if(|c| !matches!(c, '\u{7}' | '\u{1b}' | '\n')).is_some() {}
            chars.next_if_eq(&'\u{7}');
        }
        Some(_) => {
            while chars.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            chars.next_if(|c| matches!(c, '0'..='~'));
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        for (text, clean) in [
            ("plain", vec!["plain"]),
            ("two\nlines\n", vec!["two", "lines"]),
            ("10%\r20%\r\n\n30%", vec!["10%", "20%", "30%"]),
            ("\u{1b}[1;31mred\u{1b}[0m", vec!["red"]),
            ("\u{1b}[?25lhidden", vec!["hidden"]),
            ("\u{1b}]0;title\u{7}after", vec!["after"]),
            ("\u{1b}]0;title\u{1b}\\after", vec!["after"]),
            ("\u{1b}(Bafter", vec!["after"]),
            ("\u{1b}[12\nkept", vec!["kept"]),
            ("a\tb\u{0}\u{8}\u{9b}c", vec!["a bc"]),
            ("end\u{1b}", vec!["end"]),
            ("  indented", vec!["  indented"]),
        ] {
            assert_eq!(lines(text), clean, "{text:?}");
        }
        assert_eq!(line(" a\n b"), "a  b");
    }

    #[test]
    fn long_lines_are_cut_or_wrapped() {
        assert_eq!(shorten("CC net/ipv4/ip.o", 16), "CC net/ipv4/ip.o");
        assert_eq!(shorten("CC net/ipv4/ip.o", 10), "CC net/...");
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("one  two", 20), ["one  two"]);
        assert_eq!(wrap("abcdefgh ij", 5), ["abcde", "fgh", "ij"]);
        assert_eq!(wrap("ab ünïcödé", 7), ["ab", "ünïcödé"]);
    }

    #[test]
    fn headings() {
        assert_eq!(heading("kernel-5.14.0-1.x86_64", 20, 1, 1), "kernel-5.14.0-1.x86_64: bits 20");
        assert_eq!(heading("kernel-5.14.0-1", 20, 2, 3), "kernel-5.14.0-1: bits 20, build 2 of 3");
    }
}
