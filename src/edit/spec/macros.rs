//! rpm's macros, as far as the preamble of a spec needs them: definitions, conditional and plain expansion, built-ins
//! that only work on text. What would run a program is never run; it becomes [`UNKNOWN`], which spreads to everything
//! made from it.
//!
//! Follows rpm 4.18 (rpmio/macro.c): `expandMacro`, `doDefine`. Texts are bytes, each held as the character of its number, so
//! that nothing is lost of a spec in any encoding.

use std::collections::BTreeMap;

use super::condition;

/// Stands in a text for what cannot be known without running something.
pub(super) const UNKNOWN: char = '\u{E000}';
/// How deep macros may lie within each other (rpm's own limit is 64).
const DEEPEST: usize = 64;
/// How many expansions and how many characters all macros of a spec may take together.
const MOST_STEPS: usize = 200_000;
const LONGEST: usize = 4 << 20;

/// A definition.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Body {
    /// A text, expanded when it is used.
    Text(String),
    /// One with arguments, which are not followed.
    Parametric,
}

/// A definition or its end, as it was executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Executed {
    /// `define`, `global` or `undefine`.
    pub(super) keyword: &'static str,
    /// The macro.
    pub(super) name: String,
}

/// The macros, and what happened to them.
#[derive(Debug, Default)]
pub(super) struct Macros {
    table: BTreeMap<String, Vec<Body>>,
    /// What was defined and undefined by the texts expanded since this was last taken.
    pub(super) executed: Vec<Executed>,
    /// What could not be followed since this was last taken.
    pub(super) unknown: Vec<String>,
    steps: usize,
    made: usize,
}

impl Macros {
    /// Defines a macro as the command line does.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.table.entry(name.to_owned()).or_default().push(Body::Text(value.to_owned()));
    }

    /// Whether a macro is defined.
    pub(super) fn has(&self, name: &str) -> bool {
        self.table.get(name).is_some_and(|bodies| !bodies.is_empty())
    }

    /// Returns a text with all its macros expanded; definitions in it take effect.
    pub(super) fn expand(&mut self, text: &str) -> String {
        self.expanded(text, 0)
    }

    fn note(&mut self, what: String) -> String {
        self.unknown.push(what);
        UNKNOWN.to_string()
    }

    fn expanded(&mut self, text: &str, depth: usize) -> String {
        self.steps += 1;
        if depth > DEEPEST || self.steps > MOST_STEPS || self.made > LONGEST {
            return self.note("macros that lie too deep within each other".into());
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            let after = from.get(1..).unwrap_or_default();
            rest = match after.chars().next() {
                None => {
                    out.push('%');
                    after
                }
                Some('%') => {
                    out.push('%');
                    after.get(1..).unwrap_or_default()
                }
                Some(open @ ('{' | '(' | '[')) => {
                    if let Some((inner, rest)) = matching(after) {
                        let made = match open {
                            '{' => self.braced(inner, depth),
                            '(' => self.note(format!("the output of `{}`", shown(inner))),
                            _ => self.bracketed(inner, depth),
                        };
                        out.push_str(&made);
                        rest
                    } else {
                        out.push('%');
                        after
                    }
                }
                Some(_) => self.plain(after, depth, &mut out),
            };
        }
        out.push_str(rest);
        self.made += out.len();
        out
    }

    /// Expands `%name` (the percent sign is gone), and returns what follows it.
    fn plain<'a>(&mut self, text: &'a str, depth: usize, out: &mut String) -> &'a str {
        let flags = text.len() - text.trim_start_matches(['?', '!']).len();
        let (sign, word) = text.split_at(flags);
        let length = word.len() - word.trim_start_matches(is_name).len();
        let (name, rest) = word.split_at(length);
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            out.push('%');
            return text;
        }
        match name {
            "define" | "global" if sign.is_empty() => self.define(name, rest, depth),
            "undefine" if sign.is_empty() => {
                let (line, rest) = line(rest);
                self.undefine(line.trim());
                rest
            }
            "bcond_with" | "bcond_without" | "bcond" if sign.is_empty() => {
                let (line, rest) = line(rest);
                self.bcond(name, line, depth);
                rest
            }
            _ if sign.contains('?') => {
                if self.has(name) != sign.contains('!') && !sign.contains('!') {
                    let made = self.value(name, depth);
                    out.push_str(&made);
                }
                rest
            }
            _ => match self.table.get(name).and_then(|bodies| bodies.last()) {
                None => {
                    // Not a macro: it stays as it stands.
                    out.push('%');
                    out.push_str(sign);
                    out.push_str(name);
                    rest
                }
                Some(Body::Text(_)) => {
                    let made = self.value(name, depth);
                    out.push_str(&made);
                    rest
                }
                Some(Body::Parametric) => {
                    let (_, rest) = line(rest);
                    let made = self.note(format!("what `%{name}` makes of its arguments"));
                    out.push_str(&made);
                    rest
                }
            },
        }
    }

    fn value(&mut self, name: &str, depth: usize) -> String {
        match self.table.get(name).and_then(|bodies| bodies.last()).cloned() {
            Some(Body::Text(body)) => self.expanded(&body, depth + 1),
            Some(Body::Parametric) => self.note(format!("what `%{name}` makes of its arguments")),
            None => String::new(),
        }
    }

    /// Expands what stands between `%{` and `}`.
    fn braced(&mut self, inner: &str, depth: usize) -> String {
        let flags = inner.len() - inner.trim_start_matches(['?', '!']).len();
        let (sign, word) = inner.split_at(flags);
        let length = word.len() - word.trim_start_matches(is_name).len();
        let (name, rest) = word.split_at(length);
        let (negated, asks) = (sign.contains('!'), sign.contains('?'));
        if asks {
            let defined = self.has(name);
            return match (rest.strip_prefix(':'), defined != negated) {
                (Some(body), true) => self.expanded(body, depth + 1),
                (None, true) if !negated => self.value(name, depth),
                _ => String::new(),
            };
        }
        let argument = rest.strip_prefix(':');
        let words = rest.trim();
        match (name, argument) {
            ("expand", Some(body)) => {
                let once = self.expanded(body, depth + 1);
                self.expanded(&once, depth + 1)
            }
            ("quote" | "shrink", Some(body)) => self.expanded(body, depth + 1),
            ("lower", Some(body)) => self.expanded(body, depth + 1).to_ascii_lowercase(),
            ("upper", Some(body)) => self.expanded(body, depth + 1).to_ascii_uppercase(),
            ("basename", Some(body)) => {
                let path = self.expanded(body, depth + 1);
                path.rsplit('/').next().unwrap_or_default().to_owned()
            }
            ("echo" | "warn" | "error" | "trace" | "dump", _) => String::new(),
            ("S" | "P", Some(number)) => {
                let kind = if name == "S" { "SOURCE" } else { "PATCH" };
                self.value(&format!("{kind}{}", number.trim()), depth)
            }
            ("with", None) => self.digit(&format!("with_{words}"), true),
            ("without", None) => self.digit(&format!("with_{words}"), false),
            ("defined", None) => self.digit(words, true),
            ("undefined", None) => self.digit(words, false),
            ("define" | "global", None) => {
                let _ = self.define(name, rest, depth);
                String::new()
            }
            _ if argument.is_none() && words.is_empty() && !name.is_empty() => {
                if self.has(name) {
                    self.value(name, depth)
                } else {
                    format!("%{{{inner}}}")
                }
            }
            _ if self.has(name) => self.note(format!("what `%{{{}}}` makes of its arguments", shown(inner))),
            (
                "lua" | "uncompress" | "getenv" | "getconfdir" | "load" | "gsub" | "sub" | "rep" | "len" | "url2path"
                | "u2p" | "suffix" | "exists" | "verbose" | "shescape" | "macrobody" | "dnl",
                _,
            ) => self.note(format!("`%{{{}}}`", shown(inner))),
            _ => format!("%{{{inner}}}"),
        }
    }

    fn digit(&self, name: &str, wanted: bool) -> String {
        if self.has(name) == wanted { "1" } else { "0" }.to_owned()
    }

    /// Evaluates what stands between `%[` and `]`.
    fn bracketed(&mut self, inner: &str, depth: usize) -> String {
        let expression = self.expanded(inner, depth + 1);
        match condition::value(&expression) {
            Some(value) => value.to_string(),
            None => self.note(format!("`%[{}]`", shown(inner))),
        }
    }

    /// Takes a definition (`text` follows the keyword), and returns what follows it.
    fn define<'a>(&mut self, keyword: &str, text: &'a str, depth: usize) -> &'a str {
        let text = text.trim_start_matches([' ', '\t']);
        let length = text.len() - text.trim_start_matches(is_name).len();
        let (name, rest) = text.split_at(length);
        let (parametric, rest) = match rest.strip_prefix('(') {
            Some(options) => (true, options.split_once(')').map_or("", |(_, rest)| rest)),
            None => (false, rest),
        };
        let (body, rest) = body(rest.trim_start_matches([' ', '\t']));
        if name.is_empty() {
            self.unknown.push("a definition without a name".into());
            return rest;
        }
        let keyword = if keyword == "global" { "global" } else { "define" };
        let body = match (parametric, keyword) {
            (true, _) => Body::Parametric,
            (false, "global") => Body::Text(self.expanded(&body, depth + 1)),
            (false, _) => Body::Text(body),
        };
        self.table.entry(name.to_owned()).or_default().push(body);
        self.executed.push(Executed { keyword, name: name.to_owned() });
        rest
    }

    fn undefine(&mut self, name: &str) {
        if let Some(bodies) = self.table.get_mut(name) {
            bodies.pop();
        }
        self.executed.push(Executed { keyword: "undefine", name: name.to_owned() });
    }

    fn bcond(&mut self, keyword: &str, arguments: &str, depth: usize) {
        let mut words = arguments.split_whitespace();
        let name = words.next().unwrap_or_default().to_owned();
        let on = match keyword {
            "bcond_with" => self.has(&format!("_with_{name}")),
            "bcond_without" => !self.has(&format!("_without_{name}")),
            _ => {
                let default = self.expanded(&words.collect::<Vec<_>>().join(" "), depth + 1);
                let default = condition::value(&default).is_some_and(|value| value.is_true());
                if default { !self.has(&format!("_without_{name}")) } else { self.has(&format!("_with_{name}")) }
            }
        };
        if on {
            self.set(&format!("with_{name}"), "1");
        }
    }
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Shortens a text for a message.
fn shown(text: &str) -> String {
    let line: String =
        text.chars().take(40).map(|letter| if letter.is_ascii_graphic() { letter } else { ' ' }).collect();
    line.trim().to_owned()
}

/// Splits a text at the end of its first line.
fn line(text: &str) -> (&str, &str) {
    text.split_at(text.find('\n').unwrap_or(text.len()))
}

/// Returns what stands between the bracket that a text begins with and its partner, and what follows that.
fn matching(text: &str) -> Option<(&str, &str)> {
    let open = text.chars().next()?;
    let close = match open {
        '{' => '}',
        '(' => ')',
        _ => ']',
    };
    let mut depth = 0_usize;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == open {
            depth += 1;
        } else if letter == close {
            depth -= 1;
            if depth == 0 {
                return Some((text.get(1..at)?, text.get(at + 1..)?));
            }
        }
    }
    None
}

/// Returns the body of a definition, and what follows it: up to the end of the line, unless that is escaped or lies
/// within braces.
fn body(text: &str) -> (String, &str) {
    if text.starts_with('{')
        && let Some((inner, rest)) = matching(text)
    {
        return (inner.trim_end().to_owned(), rest);
    }
    let mut made = String::new();
    let mut letters = text.char_indices().peekable();
    let (mut braces, mut parentheses) = (0_usize, 0_usize);
    let mut end = text.len();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\n' if braces == 0 && parentheses == 0 => {
                end = at;
                break;
            }
            '\\' => {
                // rpm drops the backslash, whatever follows it.
                made.extend(letters.next().map(|(_, next)| next));
                continue;
            }
            '%' => match letters.peek() {
                Some((_, '{')) => {
                    made.push('%');
                    letters.next();
                    made.push('{');
                    braces += 1;
                    continue;
                }
                Some((_, '(')) => {
                    made.push('%');
                    letters.next();
                    made.push('(');
                    parentheses += 1;
                    continue;
                }
                Some((_, '%')) => {
                    made.push('%');
                    letters.next();
                }
                _ => {}
            },
            '{' if braces > 0 => braces += 1,
            '}' if braces > 0 => braces -= 1,
            '(' if parentheses > 0 => parentheses += 1,
            ')' if parentheses > 0 => parentheses -= 1,
            _ => {}
        }
        made.push(letter);
    }
    (made.trim_end_matches([' ', '\t', '\n', '\r']).to_owned(), text.get(end..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(before: &str, text: &str, expected: &str) {
        let mut macros = Macros::default();
        macros.expand(before);
        assert_eq!(macros.expand(text), expected, "after {before}: {text}");
    }

    #[test]
    fn conditional_and_plain_expansion() {
        case("%define a 1", "%a %{a} %{?a} %{!?a:x} %{?a:y} %{?!a:z} %?a", "1 1 1  y  1");
        case("", "%a %{a} %{?a}%{!?a:x}%{?a:y} %% %{%} 5% %1 %", "%a %{a} x % %{%} 5% %1 %");
        case("%define a %{b}\n%define b 2", "%{a}", "2");
        case("%define b 1\n%global a %{b}\n%define b 2", "%{a}%{b}", "12");
        case("%define with_x %{?_without_x: 0} %{?!_without_x: 1}", "[%{with_x}]", "[  1]");
        case("%define a 1\n%define a 2\n%undefine a", "%{a}", "1");
        case("%{!?d:%define d .el7}", "%{d}", ".el7");
        case("%define a \\\none\\\ntwo", "%{a}", "\none\ntwo");
        case("%define a {x y}", "[%{a}]", "[x y]");
        case("%define a %{expand:%%define b 3}\n%a", "%{b}", "3");
        case("%define a  x \t\r", "[%{a}]", "[x]");
    }

    #[test]
    fn what_would_run_something_is_unknown_and_spreads() {
        let mut macros = Macros::default();
        macros.expand("%define a %(uname -r)\n%define b x%{a}\n%define f() y\n%global c %{lua: print(1)}");
        for text in ["%{b}", "%{c}", "%{f 1}", "%f 1", "%(x)"] {
            assert!(macros.expand(text).contains(UNKNOWN), "{text}");
        }
        assert!(!macros.unknown.is_empty());
        assert_eq!(macros.expand("%{?nothing}%[1 + 2]"), "3");
    }

    #[test]
    fn nothing_goes_on_for_ever() {
        let mut macros = Macros::default();
        macros.expand("%define a %{a}%{a}\n%define b %{b}");
        assert!(macros.expand("%{a}").contains(UNKNOWN));
        assert!(macros.expand("%{b}").contains(UNKNOWN));
        let mut macros = Macros::default();
        macros.expand(&format!(
            "%define a {}\n%define b {}\n%define c {}",
            "x".repeat(9999),
            "%{a}".repeat(999),
            "%{b}".repeat(999)
        ));
        assert!(macros.expand("%{c}%{c}").len() < 64 << 20);
    }

    #[test]
    fn conditionals_of_the_spec() {
        let mut macros = Macros::default();
        macros.set("_without_b", "--without-b");
        macros.expand("%bcond_with a\n%bcond_without b\n%bcond_without c\n%bcond d 1\n");
        assert_eq!(macros.expand("%{with a}%{with b}%{with c}%{with d}%{without a}"), "00111");
    }
}
