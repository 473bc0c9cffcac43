//! The lines of a spec as rpm reads them: what belongs together, and what kind of line it is (parseSpec.c of rpm 4.18).

use std::sync::Arc;

use super::text::{from, is_blank, is_space, part, span, trim_end, trim_start};

/// A file being read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) file: Arc<str>,
    text: &'a [u8],
    at: usize,
    /// The number of the last line read, from 1.
    pub(super) line: usize,
}

impl<'a> Reading<'a> {
    pub(super) fn new(file: &str, text: &'a [u8]) -> Self {
        Self { file: Arc::from(file), text, at: 0, line: 0 }
    }

    /// Returns the next line with its end.
    pub(super) fn next(&mut self) -> Option<&'a [u8]> {
        let rest = from(self.text, self.at);
        if rest.is_empty() {
            return None;
        }
        let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        self.at += length;
        self.line += 1;
        Some(part(rest, 0, length))
    }
}

/// Counts what is open in the lines read so far: rpm joins lines until nothing is.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Open {
    braces: usize,
    parentheses: usize,
    brackets: usize,
    continued: bool,
}

impl Open {
    /// Counts one more line.
    pub(super) fn count(&mut self, line: &[u8]) {
        let mut at = 0;
        while let Some(byte) = line.get(at) {
            at += 1;
            match (byte, line.get(at)) {
                (b'\\', Some(next)) => {
                    self.continued |= *next == b'\n';
                    at += 1;
                }
                (b'\n', _) => self.continued = false,
                (b'%', Some(b'{')) => {
                    self.braces += 1;
                    at += 1;
                }
                (b'%', Some(b'(')) => {
                    self.parentheses += 1;
                    at += 1;
                }
                (b'%', Some(b'[')) => {
                    self.brackets += 1;
                    at += 1;
                }
                (b'%', Some(b'%')) => at += 1,
                (b'{', _) if self.braces > 0 => self.braces += 1,
                (b'}', _) => self.braces = self.braces.saturating_sub(1),
                (b'(', _) if self.parentheses > 0 => self.parentheses += 1,
                (b')', _) => self.parentheses = self.parentheses.saturating_sub(1),
                (b'[', _) if self.brackets > 0 => self.brackets += 1,
                (b']', _) => self.brackets = self.brackets.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Whether one more line belongs to this one.
    pub(super) fn any(self) -> bool {
        self.braces + self.parentheses + self.brackets > 0 || self.continued
    }
}

/// The lines that rpm's reader itself acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Directive {
    If,
    IfArch { not: bool },
    IfOs { not: bool },
    Elif,
    ElifArch,
    ElifOs,
    Else,
    EndIf,
    Include,
}

impl Directive {
    /// Whether a condition is chosen among those that were not yet taken.
    pub(super) fn is_elif(self) -> bool {
        matches!(self, Self::Elif | Self::ElifArch | Self::ElifOs)
    }
}

const DIRECTIVES: [(&[u8], Directive); 11] = [
    (b"%endif", Directive::EndIf),
    (b"%else", Directive::Else),
    (b"%if", Directive::If),
    (b"%ifarch", Directive::IfArch { not: false }),
    (b"%ifnarch", Directive::IfArch { not: true }),
    (b"%ifos", Directive::IfOs { not: false }),
    (b"%ifnos", Directive::IfOs { not: true }),
    (b"%include", Directive::Include),
    (b"%elifarch", Directive::ElifArch),
    (b"%elifos", Directive::ElifOs),
    (b"%elif", Directive::Elif),
];

/// Returns what kind of line this is, and what stands behind its word.
pub(super) fn directive(line: &[u8]) -> Option<(Directive, &[u8])> {
    let line = from(line, span(line, |byte| is_space(byte) && byte != b'\n'));
    DIRECTIVES.iter().find_map(|(word, directive)| {
        let rest = line.strip_prefix(*word)?;
        let next = rest.first().copied();
        let matches = match directive {
            Directive::Else | Directive::EndIf => next.is_none_or(|byte| !byte.is_ascii_alphabetic()),
            // The end of the line counts, too, as it is cut off where rpm looks for an argument.
            _ => next.is_none_or(|byte| is_blank(byte) || byte == b'\n' || byte == b'\r'),
        };
        matches.then_some((*directive, rest))
    })
}

/// Takes the next line off an expanded text: over escaped ends of lines where it is a condition or an include. Comments
/// and white space at the end are gone.
pub(super) fn take_line(text: &mut &[u8]) -> Vec<u8> {
    let joins = directive(text).is_some();
    let mut line = Vec::new();
    loop {
        let length = text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| at + 1);
        let piece = part(text, 0, length);
        *text = from(text, length);
        match piece.strip_suffix(b"\\\n") {
            Some(body) if joins => {
                line.extend_from_slice(body);
                line.extend_from_slice(b"  ");
            }
            _ => {
                line.extend_from_slice(piece);
                break;
            }
        }
        if text.is_empty() {
            break;
        }
    }
    if trim_start(&line).starts_with(b"#") {
        line.clear();
    }
    line.truncate(trim_end(&line).len());
    line
}

/// The words that begin a section (`partList` of rpm 4.18).
const SECTIONS: [&str; 35] = [
    "package",
    "prep",
    "generate_buildrequires",
    "conf",
    "build",
    "install",
    "check",
    "clean",
    "preun",
    "postun",
    "pretrans",
    "posttrans",
    "pre",
    "post",
    "files",
    "changelog",
    "description",
    "triggerpostun",
    "triggerprein",
    "triggerun",
    "triggerin",
    "trigger",
    "verifyscript",
    "sepolicy",
    "filetriggerin",
    "filetrigger",
    "filetriggerun",
    "filetriggerpostun",
    "transfiletriggerin",
    "transfiletrigger",
    "transfiletriggerun",
    "transfiletriggerpostun",
    "end",
    "patchlist",
    "sourcelist",
];

/// Whether a line begins a section, and so ends the preamble.
pub(super) fn begins_section(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"%") else { return false };
    let word = part(rest, 0, span(rest, |byte| !is_space(byte)));
    SECTIONS.iter().any(|section| section.as_bytes().eq_ignore_ascii_case(word))
}

/// Takes a tag line apart: its name in lower case, without a language or qualifiers, and its value.
pub(super) fn tag(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let length = span(line, |byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    let name = part(line, 0, length).to_ascii_lowercase();
    let mut rest = trim_start(from(line, length));
    if let Some(qualifiers) = rest.strip_prefix(b"(") {
        let end = qualifiers.iter().position(|byte| *byte == b')')?;
        rest = trim_start(from(qualifiers, end + 1));
    }
    let value = trim_start(rest.strip_prefix(b":")?);
    (length > 0).then(|| (name, trim_end(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_as_in_rpm() {
        for (line, open) in [
            ("%define a b\n", false),
            ("%define a b\\\n", true),
            ("%define a \\\\\n", false),
            ("%define a %{expand:\n", true),
            ("%{!?a: %{b} }\n", false),
            ("{ ( [\n", false),
            ("%(echo (\n", true),
            ("%%{\n", false),
            ("%[1 +\n", true),
        ] {
            let mut count = Open::default();
            count.count(line.as_bytes());
            assert_eq!(count.any(), open, "{line}");
        }
    }

    #[test]
    fn directives_sections_and_tags() {
        assert_eq!(directive(b"  %if 1\n"), Some((Directive::If, b" 1\n".as_slice())));
        assert_eq!(directive(b"%endif # x"), Some((Directive::EndIf, b" # x".as_slice())));
        assert_eq!(directive(b"%iffy 1"), None);
        assert_eq!(directive(b"%elseif"), None);
        assert_eq!(directive(b"%ifarch x86_64").unwrap().0, Directive::IfArch { not: false });
        assert_eq!(directive(b"%elifarch x").unwrap().0, Directive::ElifArch);
        assert!(begins_section(b"%description"));
        assert!(begins_section(b"%PREP"));
        assert!(begins_section(b"%package -n x"));
        assert!(!begins_section(b" %package x"));
        assert!(!begins_section(b"%prepare"));
        assert_eq!(tag(b"Release: 1 "), Some((b"release".to_vec(), b"1".as_slice())));
        assert_eq!(tag(b"Requires(pre,post) : a"), Some((b"requires".to_vec(), b"a".as_slice())));
        assert_eq!(tag(b" Release: 1"), None);
        assert_eq!(tag(b": 1"), None);
        assert_eq!(tag(b"word"), None);
    }

    #[test]
    fn a_line_is_taken_off() {
        let mut text: &[u8] = b"%if 1 \\\n && 1\r\nA: b \n # c\nrest\\\nx";
        assert_eq!(take_line(&mut text), b"%if 1    && 1");
        assert_eq!(take_line(&mut text), b"A: b");
        assert_eq!(take_line(&mut text), b"");
        assert_eq!(take_line(&mut text), b"rest\\");
        assert_eq!(take_line(&mut text), b"x");
        assert!(text.is_empty());
    }
}
