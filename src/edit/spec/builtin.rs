//! The macros that rpm itself does, `%define` before all (`doDefine` of rpm 4.18).

use super::expand::{Expander, Stop};
use super::expression;
use super::macros::{Builtin, Entry, Kind};
use super::text::{UNKNOWN, closing, find, from, is_blank, is_name, part, shown, span};
use super::{Definition, Keyword, What};

fn ends_line(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// How a body is delimited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    /// To the end of the line.
    Line,
    /// The text ends where the body ends.
    All,
}

impl Expander {
    /// Does a built-in that takes the rest of the line; returns how much of it that was.
    pub(super) fn builtin_on_line(&mut self, builtin: Builtin, rest: &[u8], out: &mut Vec<u8>) -> Result<usize, Stop> {
        match builtin {
            Builtin::Define => self.define(rest, Keyword::Define, Body::Line),
            Builtin::Global => self.define(rest, Keyword::Global, Body::Line),
            Builtin::Ignore => {
                let end = span(rest, |byte| !ends_line(byte));
                Ok((end + 1).min(rest.len()))
            }
            _ => {
                self.anything(rest, out);
                Ok(rest.len())
            }
        }
    }

    /// Does a built-in with its arguments.
    pub(super) fn builtin(
        &mut self,
        builtin: Builtin,
        name: &[u8],
        arguments: &[Vec<u8>],
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let alone = matches!(builtin, Builtin::Silent | Builtin::Machine);
        let argument = match arguments.first() {
            Some(argument) => argument.as_slice(),
            None if alone => &[],
            None => return Err(Stop::Refused(format!("`%{}` without an argument", shown(name)))),
        };
        self.burn(argument.len())?;
        match builtin {
            Builtin::Define => self.define(argument, Keyword::Define, Body::All).map(|_| ())?,
            Builtin::Global => self.define(argument, Keyword::Global, Body::All).map(|_| ())?,
            Builtin::Undefine => self.undefine(argument)?,
            Builtin::Expand => self.expand(argument, out)?,
            Builtin::Expression => {
                let value = expression::value(self, argument);
                self.put_expression(value, argument, out)?;
            }
            Builtin::Numbered(prefix) => self.expand(&[prefix.as_bytes(), argument].concat(), out)?,
            Builtin::Error => return Err(Stop::Refused(format!("the error: {}", shown(argument)))),
            Builtin::Ignore | Builtin::Silent => {}
            Builtin::Word(change) => out.extend_from_slice(&change(argument)),
            Builtin::Body => match self.table.get(argument) {
                Some(entry) => out.extend_from_slice(&entry.body),
                None => return Err(Stop::Refused(format!("the body of `{}`, which is no macro", shown(argument)))),
            },
            Builtin::Lua => self.anything(argument, out),
            Builtin::Load => {
                self.note(What::Machine, argument);
                self.lost = true;
            }
            Builtin::Machine => {
                self.note(What::Machine, name);
                out.push(UNKNOWN);
            }
        }
        Ok(())
    }

    /// Lua: what it defines by name is unknown from here on, or everything is.
    fn anything(&mut self, text: &[u8], out: &mut Vec<u8>) {
        self.note(What::Lua, text);
        self.doubt(text);
        // `macros.x = …` (rpm 4.19), `rpm.load(…)`, `rpm.define(variable)`.
        self.lost |= [b"macros".as_slice(), b"rpm.load", b"rpm.expand"].iter().any(|word| find(text, word).is_some());
        let mut rest = text;
        while let Some(at) = find(rest, b"define") {
            rest = from(rest, at + b"define".len());
            let open = part(rest, 0, span(rest, |byte| is_blank(byte) || b"(\"'".contains(&byte)));
            self.lost |= !open.iter().any(|byte| b"\"'".contains(byte));
        }
        out.push(UNKNOWN);
    }

    fn undefine(&mut self, name: &[u8]) -> Result<(), Stop> {
        self.check_name(name)?;
        self.table.pop(name);
        self.record(name, Keyword::Undefine, b"");
        Ok(())
    }

    fn record(&mut self, name: &[u8], keyword: Keyword, value: &[u8]) {
        if name == b"buildid" {
            let (file, line) = (self.file.as_ref().to_owned(), self.line);
            self.definitions.push(Definition { file, line, keyword, value: shown(value) });
        }
    }

    fn check_name(&self, name: &[u8]) -> Result<(), Stop> {
        let legal = match name {
            [b'_'] | [] => false,
            [first, ..] => first.is_ascii_alphabetic() || *first == b'_',
        };
        let builtin = matches!(self.table.get(name).map(|entry| entry.kind), Some(Kind::Builtin(_) | Kind::Argument));
        if legal && !builtin { Ok(()) } else { Err(Stop::Refused(format!("a macro named `{}`", shown(name)))) }
    }

    /// Makes a definition; returns how much of the text it was.
    fn define(&mut self, text: &[u8], keyword: Keyword, until: Body) -> Result<usize, Stop> {
        let start = span(text, is_blank);
        let mut at = start + span(from(text, start), is_name);
        let name = part(text, start, at);
        let mut options = None;
        if text.get(at) == Some(&b'(') {
            let Some(end) = find(from(text, at), b")") else {
                return Err(Stop::Refused(format!("the macro `{}` whose options do not end", shown(name))));
            };
            options = Some(part(text, at + 1, at + end).to_vec());
            at += end + 1;
        }
        at += span(from(text, at), is_blank);
        let rest = from(text, at);
        let unterminated = || Stop::Refused(format!("the macro `{}` whose body does not end", shown(name)));
        let body = if until == Body::All {
            at = text.len();
            rest.to_vec()
        } else if rest.first() == Some(&b'{') {
            let end = closing(rest, b'{', b'}').ok_or_else(unterminated)?;
            at += end;
            part(rest, 1, end - 1).to_vec()
        } else {
            let (body, length) = body_of(rest).ok_or_else(unterminated)?;
            at += length;
            body
        };
        if until == Body::Line {
            at += span(from(text, at), ends_line);
        }
        self.burn(body.len())?;
        self.check_name(name)?;
        if body.is_empty() {
            // An error in rpm 4.18; a message and no definition in rpm 4.4 to 4.11.
            self.note(What::Refused, &[b"the macro `", name, b"` without a body"].concat());
            return Ok(at);
        }
        let mut entry = Entry { options, level: self.level, ..Entry::plain(name, &body) };
        if keyword == Keyword::Global {
            let before = std::mem::take(&mut self.consulted);
            let expanded = self.expanded(&body);
            entry.consulted = std::mem::replace(&mut self.consulted, before);
            entry.body = expanded?;
            entry.level = 0;
        }
        self.table.push(entry);
        self.record(name, keyword, &body);
        Ok(at)
    }
}

/// Returns the body that begins here, and how much of the text that was: to the end of the line, over escaped ends of
/// lines and what stands in brackets.
fn body_of(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let (mut braces, mut parentheses, mut brackets) = (0_usize, 0_usize, 0_usize);
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        if ends_line(*byte) && braces == 0 && parentheses == 0 {
            break;
        }
        let mut byte = *byte;
        match (byte, text.get(at + 1)) {
            (b'\\', Some(next)) => {
                at += 1;
                byte = *next;
            }
            (b'%', Some(next @ (b'{' | b'(' | b'[' | b'%'))) => {
                body.push(b'%');
                at += 1;
                byte = *next;
                match byte {
                    b'{' => braces += 1,
                    b'(' => parentheses += 1,
                    b'[' => brackets += 1,
                    _ => {}
                }
            }
            (b'{', _) if braces > 0 => braces += 1,
            (b'}', _) => braces = braces.saturating_sub(1),
            (b'(', _) if parentheses > 0 => parentheses += 1,
            (b')', _) => parentheses = parentheses.saturating_sub(1),
            (b'[', _) if brackets > 0 => brackets += 1,
            (b']', _) => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        body.push(byte);
        at += 1;
    }
    if braces + parentheses + brackets > 0 {
        return None;
    }
    let end = body.iter().rposition(|byte| !is_blank(*byte) && !ends_line(*byte)).map_or(0, |last| last + 1);
    body.truncate(end);
    Some((body, at))
}
