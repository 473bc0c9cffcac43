//! The parts of `%name`, `%{?name:…}` and the like.

use super::text::{closing, find, from, is_blank, is_name, part, span};

/// The parts of a `%…` call.
pub(super) struct Call<'a> {
    pub(super) name: &'a [u8],
    pub(super) negate: bool,
    pub(super) check: bool,
    pub(super) argument: Argument<'a>,
    /// Bytes behind the `%` that belong to the call, arguments of a bare `%name …` not counted.
    pub(super) end: usize,
    /// Where the text goes on when there is no such macro.
    pub(super) literal: usize,
    pub(super) braces: bool,
}

pub(super) enum Argument<'a> {
    None,
    /// Behind a colon.
    Text(&'a [u8]),
    /// Behind a blank, to the closing brace or to the end of the line.
    Words(&'a [u8]),
}

impl<'a> Call<'a> {
    /// Takes what stands behind a `%` apart; `None` where a brace is not closed.
    pub(super) fn parse(rest: &'a [u8]) -> Option<Self> {
        let braces = rest.first() == Some(&b'{');
        let start = usize::from(braces);
        let flags = span(from(rest, start), |byte| byte == b'!' || byte == b'?');
        let marks = part(rest, start, start + flags);
        let negate = marks.iter().fold(false, |negate, mark| negate != (*mark == b'!'));
        let check = marks.contains(&b'?');
        let begin = start + flags;
        if braces {
            let end = closing(rest, b'{', b'}')?;
            let name = from(rest, begin).split(|byte| b" :}".contains(byte)).next().unwrap_or_default();
            let behind = begin + name.len();
            let argument = match rest.get(behind) {
                Some(b':') => Argument::Text(part(rest, behind + 1, end - 1)),
                Some(b' ') => Argument::Words(part(rest, behind, end - 1)),
                _ => Argument::None,
            };
            return Some(Self { name, negate, check, argument, end, literal: 0, braces });
        }
        let minus = usize::from(rest.get(begin) == Some(&b'-'));
        let mut end = begin + minus + span(from(rest, begin + minus), is_name);
        end += match from(rest, end) {
            [b'*', b'*', ..] => 2,
            [b'*' | b'#', ..] => 1,
            _ => 0,
        };
        let argument = match rest.get(end) {
            Some(byte) if is_blank(*byte) => {
                let line = from(rest, end);
                Argument::Words(part(line, 0, find(line, b"\n").unwrap_or(line.len())))
            }
            _ => Argument::None,
        };
        Some(Self { name: part(rest, begin, end), negate, check, argument, end, literal: begin, braces })
    }
}
