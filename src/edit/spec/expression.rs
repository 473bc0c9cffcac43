//! The expressions of `%if` and `%[…]`, after expression.c of rpm 4.18: whole numbers, texts and versions.
//!
//! Bare words, which rpm up to 4.15 took for texts, are refused as newer ones do; what cannot be known stays unknown.

use std::cmp::Ordering;

use super::expand::{Expander, Stop};
use super::text::{UNKNOWN, closing, from, is_name, is_space, part, span};
use super::version;

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// It depends on something that is not known here.
    Unknown,
    /// It is none, for rpm 4.18.
    Syntax(String),
    /// The evaluation ends.
    Stop(Stop),
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Number(i32),
    Text(Vec<u8>),
    Version(Vec<u8>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    End,
    Value(Value),
    /// An operator, bracket or separator.
    Sign(&'static str),
}

/// Whether a condition holds whose macros were expanded before.
pub(super) fn holds(expander: &mut Expander, text: &[u8]) -> Result<bool, Failure> {
    Ok(truth(&evaluate(expander, text, false)?))
}

/// Returns the value of an expression whose macros were expanded before.
pub(super) fn value(expander: &mut Expander, text: &[u8]) -> Result<Vec<u8>, Failure> {
    Ok(written(evaluate(expander, text, false)?))
}

/// Returns the value of an expression whose macros are expanded as they are reached.
pub(super) fn expanded(expander: &mut Expander, text: &[u8]) -> Result<Vec<u8>, Failure> {
    Ok(written(evaluate(expander, text, true)?))
}

fn evaluate(expander: &mut Expander, text: &[u8], expand: bool) -> Result<Value, Failure> {
    expander.burn(text.len())?;
    // A macro that is still there was not known; and what is unknown could be any part of an expression.
    if text.contains(&UNKNOWN) || (!expand && text.contains(&b'%')) {
        return Err(Failure::Unknown);
    }
    let mut parser = Parser { expander, text, at: 0, next: Token::End, expand, discard: false };
    parser.read()?;
    let value = parser.ternary()?;
    if parser.next == Token::End { Ok(value) } else { Err(syntax("something behind its end")) }
}

fn syntax(why: &str) -> Failure {
    Failure::Syntax(why.to_owned())
}

fn truth(value: &Value) -> bool {
    match value {
        Value::Number(number) => *number != 0,
        Value::Text(text) => !text.is_empty(),
        Value::Version(_) => false,
    }
}

fn written(value: Value) -> Vec<u8> {
    match value {
        Value::Number(number) => number.to_string().into_bytes(),
        Value::Text(text) | Value::Version(text) => text,
    }
}

/// `atoi` of C, which wraps.
fn number(digits: &[u8]) -> i32 {
    let (minus, digits) = digits.strip_prefix(b"-").map_or((false, digits), |rest| (true, rest));
    let value = digits
        .iter()
        .fold(0_i32, |value, digit| value.wrapping_mul(10).wrapping_add(i32::from(digit.saturating_sub(b'0'))));
    if minus { value.wrapping_neg() } else { value }
}

struct Parser<'a> {
    expander: &'a mut Expander,
    text: &'a [u8],
    at: usize,
    next: Token,
    expand: bool,
    /// The part that is read does not count (`0 && …`).
    discard: bool,
}

const SIGNS: [&str; 18] =
    ["==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "(", ")", "?", ":", ","];

impl Parser<'_> {
    fn rest(&self) -> &[u8] {
        from(self.text, self.at)
    }

    /// Reads the next token.
    fn read(&mut self) -> Result<(), Failure> {
        self.at += span(self.rest(), is_space);
        let rest = self.rest();
        let Some(first) = rest.first().copied() else {
            self.next = Token::End;
            return Ok(());
        };
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(sign.as_bytes())) {
            self.at += sign.len();
            self.next = Token::Sign(sign);
            return Ok(());
        }
        if first.is_ascii_digit() || (first == b'%' && self.expand) {
            let length = self.length(rest, |byte| !byte.is_ascii_digit())?;
            let digits = self.taken(0, length)?;
            let legal = digits.strip_prefix(b"-").unwrap_or(&digits).iter().all(u8::is_ascii_digit);
            if !legal {
                return Err(syntax("a macro that is no number"));
            }
            self.at += length;
            self.next = Token::Value(Value::Number(number(&digits)));
            return Ok(());
        }
        let version = rest.starts_with(b"v\"");
        if first == b'"' || version {
            let begin = 1 + usize::from(version);
            let length = self.length(from(rest, begin), |byte| byte == b'"')?;
            if rest.get(begin + length) != Some(&b'"') {
                return Err(syntax("a text that does not end"));
            }
            let text = self.taken(begin, length)?;
            self.at += begin + length + 1;
            self.next = Token::Value(if version { Value::Version(text) } else { Value::Text(text) });
            return Ok(());
        }
        if first.is_ascii_alphabetic() {
            let word = span(rest, |byte| is_name(byte) || byte == b'.' || byte == b':');
            // `%[lua:f(…)]`
            return Err(if rest.get(word) == Some(&b'(') { Failure::Unknown } else { syntax("a bare word") });
        }
        Err(syntax("an unexpected sign"))
    }

    /// Returns how long a number or text is: up to a byte that ends it, over the macros in it.
    fn length(&self, text: &[u8], ends: impl Fn(u8) -> bool) -> Result<usize, Failure> {
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            if *byte == b'%' && self.expand {
                let call = from(text, at + 1);
                at += 1 + match call.first() {
                    Some(b'%') => Some(1),
                    Some(b'{') => closing(call, b'{', b'}'),
                    Some(b'(') => closing(call, b'(', b')'),
                    Some(b'[') => closing(call, b'[', b']'),
                    _ => Some(span(call, |byte| is_name(byte) || b"?!-*#".contains(&byte))),
                }
                .ok_or_else(|| syntax("a macro that does not end"))?;
            } else if ends(*byte) {
                break;
            } else {
                at += 1;
            }
        }
        Ok(at.min(text.len()))
    }

    /// Returns a part of what is left, with its macros expanded; nothing where it does not count.
    fn taken(&mut self, start: usize, length: usize) -> Result<Vec<u8>, Failure> {
        let text = part(self.text, self.at + start, self.at + start + length);
        if self.discard {
            return Ok(Vec::new());
        }
        if !self.expand {
            return Ok(text.to_vec());
        }
        let value = self.expander.expanded(text)?;
        if value.contains(&UNKNOWN) || value.contains(&b'%') { Err(Failure::Unknown) } else { Ok(value) }
    }

    fn is(&self, signs: &[&str]) -> Option<&'static str> {
        match self.next {
            Token::Sign(sign) if signs.contains(&sign) => Some(sign),
            _ => None,
        }
    }

    fn ternary(&mut self) -> Result<Value, Failure> {
        let condition = self.logical()?;
        if self.is(&["?"]).is_none() {
            return Ok(condition);
        }
        let (holds, before) = (truth(&condition), self.discard);
        self.discard = before || !holds;
        self.read()?;
        let yes = self.nested(Self::ternary)?;
        if self.is(&[":"]).is_none() {
            return Err(syntax("a `?` without its `:`"));
        }
        self.discard = before || holds;
        self.read()?;
        let no = self.nested(Self::ternary)?;
        self.discard = before;
        same_type(&yes, &no)?;
        Ok(if holds { yes } else { no })
    }

    fn logical(&mut self) -> Result<Value, Failure> {
        let mut left = self.relational()?;
        while let Some(sign) = self.is(&["&&", "||"]) {
            let before = self.discard;
            let decided = truth(&left) == (sign == "||");
            self.discard = before || decided;
            self.read()?;
            let right = self.relational()?;
            same_type(&left, &right)?;
            if !decided {
                left = right;
            }
            self.discard = before;
        }
        Ok(left)
    }

    fn relational(&mut self) -> Result<Value, Failure> {
        let mut left = self.sum()?;
        while let Some(sign) = self.is(&["==", "!=", "<", "<=", ">", ">="]) {
            self.read()?;
            let right = self.sum()?;
            let order = match (&left, &right) {
                (Value::Number(left), Value::Number(right)) => left.cmp(right),
                (Value::Text(left), Value::Text(right)) => left.cmp(right),
                (Value::Version(left), Value::Version(right)) => version::compare(left, right),
                _ => return Err(syntax("values of different types")),
            };
            let holds = match sign {
                "==" => order == Ordering::Equal,
                "!=" => order != Ordering::Equal,
                "<" => order == Ordering::Less,
                "<=" => order != Ordering::Greater,
                ">" => order == Ordering::Greater,
                _ => order != Ordering::Less,
            };
            left = Value::Number(holds.into());
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Value, Failure> {
        let mut left = self.product()?;
        while let Some(sign) = self.is(&["+", "-"]) {
            self.read()?;
            let right = self.product()?;
            left = match (left, right, sign) {
                (Value::Number(left), Value::Number(right), "+") => Value::Number(left.wrapping_add(right)),
                (Value::Number(left), Value::Number(right), _) => Value::Number(left.wrapping_sub(right)),
                (Value::Text(left), Value::Text(right), "+") => {
                    self.expander.burn(left.len() + right.len())?;
                    Value::Text([left, right].concat())
                }
                _ => return Err(syntax("values that cannot be added")),
            };
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Value, Failure> {
        let mut left = self.primary()?;
        while let Some(sign) = self.is(&["*", "/"]) {
            self.read()?;
            let (Value::Number(one), Value::Number(other)) = (left, self.primary()?) else {
                return Err(syntax("values that cannot be multiplied"));
            };
            left = Value::Number(match sign {
                _ if self.discard => one,
                "*" => one.wrapping_mul(other),
                _ if other == 0 => return Err(syntax("a division by zero")),
                _ => one.wrapping_div(other),
            });
        }
        Ok(left)
    }

    fn primary(&mut self) -> Result<Value, Failure> {
        match std::mem::replace(&mut self.next, Token::End) {
            Token::Value(value) => {
                self.read()?;
                Ok(value)
            }
            Token::Sign("(") => {
                self.read()?;
                let value = self.nested(Self::ternary)?;
                if self.is(&[")"]).is_none() {
                    return Err(syntax("a `(` that is not closed"));
                }
                self.read()?;
                Ok(value)
            }
            Token::Sign("!") => {
                self.read()?;
                let value = self.nested(Self::primary)?;
                Ok(Value::Number((!truth(&value)).into()))
            }
            Token::Sign("-") => {
                self.read()?;
                match self.nested(Self::primary)? {
                    Value::Number(number) => Ok(Value::Number(number.wrapping_neg())),
                    _ => Err(syntax("a `-` before what is no number")),
                }
            }
            Token::End => Err(syntax("nothing where a value is expected")),
            Token::Sign(_) => Err(syntax("a sign where a value is expected")),
        }
    }

    /// Reads a part that may hold another one of its kind: macros and brackets share one limit, as both take the stack.
    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Failure>) -> Result<Value, Failure> {
        self.expander.enter()?;
        let value = read(self);
        self.expander.leave();
        value
    }
}

fn same_type(left: &Value, right: &Value) -> Result<(), Failure> {
    if std::mem::discriminant(left) == std::mem::discriminant(right) {
        Ok(())
    } else {
        Err(syntax("values of different types"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::spec::Context;

    fn run(text: &str) -> Result<bool, Failure> {
        holds(&mut Expander::new(&Context::new("x86_64")), text.as_bytes())
    }

    #[test]
    fn conditions_of_kernel_specs() {
        // The kinds that el5 to el10 and Fedora have.
        for yes in [
            "1",
            "01",
            "!0",
            "1 && 1",
            "0 || 1",
            "\"a\" == \"a\"",
            "\"a\" != \"b\"",
            "\"a\" < \"b\"",
            "07 >= 7 && (1 + 2 * 3) == 7",
            "7 / 2 == 3",
            "-1 < 0",
            "\"a\" + \"b\" == \"ab\"",
            "v\"4.18.0\" >= v\"4.9\"",
            "v\"1:1\" > v\"2\"",
            "1 ? 1 : 0",
            "\"x\"",
            "1\t||\t0",
            "!0 && !0",
            "(1) && ((1))",
        ] {
            assert_eq!(run(yes), Ok(true), "{yes}");
        }
        for no in ["0", "00", "\"\"", "!1", "1 && 0", "0 && (1/0)", "1 > 1", "\"a\" == \"A\"", "v\"1~rc\" >= v\"1\""] {
            assert_eq!(run(no), Ok(false), "{no}");
        }
        for bad in ["", "el6", "1 == \"a\"", "1 2", "(1", "\"a", "1 &", "1 = 1", "1/0", "-\"a\"", "\"a\" * 2", "$"] {
            assert!(matches!(run(bad), Err(Failure::Syntax(_))), "{bad}: {:?}", run(bad));
        }
        for unknown in ["%{fedora} > 3", "\0", "f(1)"] {
            assert_eq!(run(unknown), Err(Failure::Unknown), "{unknown}");
        }
    }

    #[test]
    fn brackets_without_end_do_not_take_the_stack() {
        for deep in ["(".repeat(100_000), "!".repeat(100_000), "-".repeat(100_000), "1?".repeat(100_000)] {
            assert!(matches!(run(&deep), Err(Failure::Stop(Stop::Refused(_)))));
        }
    }
}
