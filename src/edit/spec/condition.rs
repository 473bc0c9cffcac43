//! The expressions of `%if` and `%[…]`: integers, texts in quotes, versions (`v"1.2"`), and their operators.
//!
//! Follows rpm 4.18 (rpmio/expression.c): no mixing of kinds, nothing without quotes but numbers.

use std::cmp::Ordering;
use std::fmt;

/// How deep parentheses may lie within each other.
const DEEPEST: usize = 40;

/// What an expression comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
    /// A version, compared as rpm does.
    Version(String),
}

impl Value {
    /// Whether it counts as true.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Number(number) => *number != 0,
            Self::Text(text) | Self::Version(text) => !text.is_empty(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) | Self::Version(text) => text.fmt(f),
        }
    }
}

/// Returns what an expression comes to; `None` if it is none, or holds something unknown.
pub(super) fn value(text: &str) -> Option<Value> {
    let mut parser = Parser { rest: text.trim(), depth: 0 };
    let value = parser.ternary()?;
    parser.rest.trim_start().is_empty().then_some(value)
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    /// Takes the first of these signs that comes next.
    fn take(&mut self, signs: &[&'static str]) -> Option<&'static str> {
        self.rest = self.rest.trim_start();
        let sign = signs.iter().find(|sign| self.rest.starts_with(**sign))?;
        self.rest = self.rest.get(sign.len()..)?;
        Some(sign)
    }

    fn ternary(&mut self) -> Option<Value> {
        let condition = self.or()?;
        if self.take(&["?"]).is_none() {
            return Some(condition);
        }
        let yes = self.ternary()?;
        self.take(&[":"])?;
        let no = self.ternary()?;
        Some(if condition.is_true() { yes } else { no })
    }

    fn or(&mut self) -> Option<Value> {
        let mut left = self.and()?;
        while self.take(&["||"]).is_some() {
            let right = self.and()?;
            left = if left.is_true() { left } else { right };
        }
        Some(left)
    }

    fn and(&mut self) -> Option<Value> {
        let mut left = self.comparison()?;
        while self.take(&["&&"]).is_some() {
            let right = self.comparison()?;
            left = if left.is_true() { right } else { left };
        }
        Some(left)
    }

    fn comparison(&mut self) -> Option<Value> {
        let left = self.sum()?;
        let Some(sign) = self.take(&["==", "!=", "<=", ">=", "<", ">"]) else { return Some(left) };
        let right = self.sum()?;
        let order = match (&left, &right) {
            (Value::Number(left), Value::Number(right)) => left.cmp(right),
            (Value::Text(left), Value::Text(right)) => left.cmp(right),
            (Value::Version(left), Value::Version(right)) => versions(left, right),
            _ => return None,
        };
        let holds = match sign {
            "==" => order == Ordering::Equal,
            "!=" => order != Ordering::Equal,
            "<=" => order != Ordering::Greater,
            ">=" => order != Ordering::Less,
            "<" => order == Ordering::Less,
            _ => order == Ordering::Greater,
        };
        Some(Value::Number(holds.into()))
    }

    fn sum(&mut self) -> Option<Value> {
        let mut left = self.product()?;
        while let Some(sign) = self.take(&["+", "-"]) {
            left = match (left, self.product()?, sign) {
                (Value::Number(left), Value::Number(right), "+") => Value::Number(left.checked_add(right)?),
                (Value::Number(left), Value::Number(right), _) => Value::Number(left.checked_sub(right)?),
                (Value::Text(left), Value::Text(right), "+") => Value::Text(left + &right),
                _ => return None,
            };
        }
        Some(left)
    }

    fn product(&mut self) -> Option<Value> {
        let mut left = self.single()?;
        while let Some(sign) = self.take(&["*", "/"]) {
            left = match (left, self.single()?) {
                (Value::Number(left), Value::Number(right)) if sign == "*" => Value::Number(left.checked_mul(right)?),
                (Value::Number(left), Value::Number(right)) => Value::Number(left.checked_div(right)?),
                _ => return None,
            };
        }
        Some(left)
    }

    fn single(&mut self) -> Option<Value> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let found = self.unguarded();
        self.depth -= 1;
        found
    }

    fn unguarded(&mut self) -> Option<Value> {
        match self.take(&["!", "-", "(", "v\"", "\""]) {
            Some("!") => Some(Value::Number((!self.single()?.is_true()).into())),
            Some("-") => match self.single()? {
                Value::Number(number) => Some(Value::Number(number.checked_neg()?)),
                _ => None,
            },
            Some("(") => {
                let inner = self.ternary()?;
                self.take(&[")"])?;
                Some(inner)
            }
            Some(quote) => {
                let (text, rest) = self.rest.split_once('"')?;
                self.rest = rest;
                if text.contains(super::macros::UNKNOWN) {
                    return None;
                }
                let text = text.to_owned();
                Some(if quote == "\"" { Value::Text(text) } else { Value::Version(text) })
            }
            None => {
                let length = self.rest.len() - self.rest.trim_start_matches(|sign: char| sign.is_ascii_digit()).len();
                let (digits, rest) = self.rest.split_at(length);
                // A number with letters right behind it is none.
                if rest.starts_with(|sign: char| sign.is_alphanumeric() || sign == '_' || sign == '.') {
                    return None;
                }
                self.rest = rest;
                Some(Value::Number(digits.parse().ok()?))
            }
        }
    }
}

/// Compares two versions part by part: numbers as numbers, and a number is newer than letters (rpm's rpmvercmp).
fn versions(left: &str, right: &str) -> Ordering {
    let parts = |text: &str| -> Vec<String> {
        let mut parts: Vec<String> = Vec::new();
        let mut last = None;
        for letter in text.chars() {
            let kind = if letter.is_ascii_digit() {
                1
            } else if letter.is_ascii_alphabetic() {
                2
            } else {
                0
            };
            match parts.last_mut() {
                Some(part) if last == Some(kind) && kind > 0 => part.push(letter),
                _ if kind > 0 => parts.push(letter.to_string()),
                _ => {}
            }
            last = Some(kind);
        }
        parts
    };
    let (left, right) = (parts(left), parts(right));
    for (one, other) in left.iter().zip(&right) {
        let order = match (one.parse::<u64>(), other.parse::<u64>()) {
            (Ok(one), Ok(other)) => one.cmp(&other),
            (Ok(_), Err(_)) => Ordering::Greater,
            (Err(_), Ok(_)) => Ordering::Less,
            (Err(_), Err(_)) => one.cmp(other),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    left.len().cmp(&right.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_come_to_what_rpm_says() {
        for (text, expected) in [
            ("1", true),
            ("0", false),
            ("08 >= 8", true),
            ("0 >= 7 && 1", false),
            ("!0 || 0", true),
            ("! 1", false),
            ("\"a\" == \"a\"", true),
            ("\"\" != \"x\" && 3 > 2", true),
            ("(1 + 2) * 3 == 9", true),
            ("v\"4.18\" >= v\"4.9\"", true),
            ("1 ? 0 : 1", false),
            (" 1 ", true),
            ("-1 < 0", true),
        ] {
            assert_eq!(value(text).map(|value| value.is_true()), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_rpm_would_not_take_is_unknown() {
        for text in ["", "1 +", "a", "%{x}", "1 == \"1\"", "(1", "\"a", "1a", "1 2", "9 / 0", "1.2"] {
            assert_eq!(value(text), None, "{text}");
        }
        assert_eq!(value(&format!("{}1{}", "(".repeat(9999), ")".repeat(9999))), None);
        assert_eq!(value(&"!".repeat(99_999)), None);
    }
}
