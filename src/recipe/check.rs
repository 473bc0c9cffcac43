//! From a text to a [`Recipe`]: all problems at once, each with its place and what to do about it.

use std::ops::Range;

use regex::Regex;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::keys::{Key, Kind, OWN_MACROS, TOP};
use super::{Error, Problem, Recipe, builtin};
use crate::digest;
use crate::nearest::nearest;

/// How many recipes may extend one another.
const DEEPEST: usize = 4;

pub(super) fn check(text: &str, origin: &str) -> Result<Recipe, Error> {
    let failed = |problems| Error { verdict: format!("the recipe `{origin}` is not valid"), problems };
    let mut found = Found::new(text);
    let document = found.parsed();
    if !found.problems.is_empty() {
        return Err(failed(found.in_order()));
    }
    let (parent, parents_digests) = match inherited(&document, &mut found) {
        Some((table, digests)) => (table, digests),
        None => (Table::new(), String::new()),
    };
    found.table("", TOP, &document, &(0..0), Some(&parent));
    found.range(&document);
    if !found.problems.is_empty() {
        return Err(failed(found.in_order()));
    }
    let plain = |message: String| failed(vec![Problem { place: None, text: message }]);
    let own: Table = toml::from_str(text).map_err(|error| plain(error.to_string()))?;
    let mut recipe: Recipe =
        Value::Table(over(own, parent)).try_into().map_err(|error: toml::de::Error| plain(error.to_string()))?;
    recipe.sha256 = digest::sha256(format!("{text}{parents_digests}").as_bytes());
    Ok(recipe)
}

/// Returns what a recipe inherits, and the digests of where from.
fn inherited(document: &DeTable<'_>, found: &mut Found<'_>) -> Option<(Table, String)> {
    let named = document.get("extends")?;
    let mut name = named.get_ref().as_str()?.to_owned();
    let (mut all, mut digests) = (Table::new(), String::new());
    for _ in 0..DEEPEST {
        let Some(text) = builtin::text(&name) else {
            let known = builtin::names().join(", ");
            found.orphan = true;
            found.say(&named.span(), &format!("no built-in recipe is called `{name}`"), &format!("one of {known}"));
            return None;
        };
        // That one has been checked by itself.
        let mut table: Table = toml::from_str(text).ok()?;
        digests.push_str(&digest::sha256(text.as_bytes()));
        let next = table.remove("extends");
        all = over(all, table);
        match next {
            Some(Value::String(next)) => name = next,
            _ => return Some((all, digests)),
        }
    }
    found.orphan = true;
    found.say(&named.span(), "recipes extend one another in a circle, or too deep", "extend one that extends none");
    None
}

/// Lays one table over another: tables key by key, everything else as a whole.
fn over(upper: Table, lower: Table) -> Table {
    let mut all = lower;
    for (key, value) in upper {
        let value = match (value, all.remove(&key)) {
            (Value::Table(upper), Some(Value::Table(lower))) => Value::Table(over(upper, lower)),
            (value, _) => value,
        };
        all.insert(key, value);
    }
    all
}

/// What is wrong so far.
pub(crate) struct Found<'a> {
    text: &'a str,
    pub(crate) problems: Vec<Problem>,
    /// Whether what it extends is not to be had, so that nothing can be said of what is missing.
    orphan: bool,
}

impl<'a> Found<'a> {
    /// Begins with a text in which nothing is wrong yet.
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, problems: Vec::new(), orphan: false }
    }

    /// Parses the text as TOML and checks it against these keys.
    pub(crate) fn document(&mut self, keys: &'static [Key]) -> DeTable<'a> {
        let document = self.parsed();
        if self.problems.is_empty() {
            self.table("", keys, &document, &(0..0), None);
        }
        document
    }

    /// Parses the text as TOML, as far as it is.
    fn parsed(&mut self) -> DeTable<'a> {
        let (document, complaints) = DeTable::parse_recoverable(self.text);
        for complaint in complaints {
            let span = complaint.span().unwrap_or(0..0);
            self.say(&span, complaint.message(), "write it as TOML does: https://toml.io");
        }
        document.into_inner()
    }

    /// Notes a problem, rendered with its line as the TOML parser renders its own.
    pub(crate) fn say(&mut self, span: &Range<usize>, what: &str, help: &str) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let number = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = self.text.lines().nth(number - 1).unwrap_or_default();
        let column = before.get(start..).unwrap_or_default().chars().count();
        let width = self.text.get(span.clone()).unwrap_or_default().lines().next().unwrap_or_default().chars().count();
        let width = width.clamp(1, line.chars().count().saturating_sub(column).max(1));
        let margin = number.to_string().len();
        let marks = "^".repeat(width);
        let text = format!(
            "line {number}, column {}: {what}\n{:margin$} |\n{number} | {line}\n{:margin$} | {:column$}{marks}\n\
             {:margin$} = help: {help}\n",
            column + 1,
            "",
            "",
            "",
            "",
        );
        self.problems.push(Problem { place: Some((number, column + 1)), text });
    }

    pub(crate) fn in_order(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.place);
        self.problems
    }

    /// Checks a table at `path` against its keys; `parent` is what it inherits.
    fn table(
        &mut self,
        path: &str,
        keys: &'static [Key],
        table: &DeTable<'_>,
        span: &Range<usize>,
        parent: Option<&Table>,
    ) {
        let full = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        for (name, value) in table {
            let inherits = parent.and_then(|parent| parent.get(name.get_ref().as_ref()));
            if let Some(key) = keys.iter().find(|key| key.name == name.get_ref().as_ref()) {
                self.value(&full(key.name), key.kind, key.help, value, inherits);
            } else {
                let what = format!("unknown key `{}`", full(name.get_ref()));
                self.say(&name.span(), &what, &meant(name.get_ref(), keys));
            }
        }
        let inherits = |key: &&Key| parent.is_some_and(|parent| parent.contains_key(key.name));
        let missing = |key: &&Key| key.required && !table.contains_key(key.name) && !inherits(key);
        for key in keys.iter().filter(|key| !self.orphan && missing(key)).collect::<Vec<_>>() {
            let what = format!("`{}` is missing", full(key.name));
            self.say(span, &what, &format!("`{}` {}", key.name, key.help));
        }
    }

    /// Checks one value.
    fn value(
        &mut self,
        path: &str,
        kind: Kind,
        help: &'static str,
        value: &Spanned<DeValue<'_>>,
        parent: Option<&Value>,
    ) {
        let span = value.span();
        let (of_all, key) = (help, path.rsplit('.').next().unwrap_or(path));
        let help = format!("`{}` {help}", key.split('[').next().unwrap_or(key));
        let mut wrong = |expected: &str| {
            let what = format!("`{path}`: expected {expected}, found {}", in_words(value.get_ref()));
            self.say(&span, &what, &help);
        };
        match (kind, value.get_ref()) {
            (Kind::Table(keys), DeValue::Table(table)) => {
                self.table(path, keys, table, &span, parent.and_then(Value::as_table));
            }
            (Kind::Map(inner), DeValue::Table(table)) => {
                for (name, value) in table {
                    self.value(&format!("{path}.{}", name.get_ref()), *inner, of_all, value, None);
                }
            }
            (Kind::Defines, DeValue::Table(table)) => {
                for (name, value) in table {
                    let macro_name: &str = name.get_ref();
                    if OWN_MACROS.contains(&macro_name) {
                        let what = format!("{path}.{macro_name}: kbuild gives rpmbuild this macro itself");
                        self.say(&name.span(), &what, "leave it out");
                    }
                    self.value(&format!("{path}.{macro_name}"), Kind::Text, of_all, value, None);
                }
            }
            (Kind::Table(_) | Kind::Map(_) | Kind::Defines, _) => wrong("a table"),
            (Kind::Some(_), DeValue::Array(list)) if list.iter().next().is_none() => wrong("at least one"),
            (Kind::List(inner) | Kind::Some(inner), DeValue::Array(list)) => {
                for (index, value) in list.iter().enumerate() {
                    self.value(&format!("{path}[{index}]"), *inner, of_all, value, None);
                }
            }
            (Kind::List(_) | Kind::Some(_), _) => wrong("a list"),
            (Kind::Bool, DeValue::Boolean(_)) => {}
            (Kind::Bool, _) => wrong("true or false"),
            (Kind::Number(min, max), value) => {
                let number = value.as_integer().and_then(|text| u64::from_str_radix(text.as_str(), text.radix()).ok());
                if !number.is_some_and(|number| (min..=max).contains(&number)) {
                    wrong(&if min == max { format!("{min}") } else { format!("a number from {min} to {max}") });
                }
            }
            (kind, DeValue::String(text)) => {
                if let Err(expected) = text_of(kind, text) {
                    wrong(&expected);
                }
            }
            _ => wrong("a text in quotes"),
        }
    }

    /// Checks the one rule between two keys.
    fn range(&mut self, document: &DeTable<'_>) {
        let option = document.get("option").and_then(|option| option.get_ref().as_table());
        let Some(range) = option.and_then(|option| option.get("range")) else { return };
        let bound = |name: &str| {
            let table = range.get_ref().as_table()?;
            table.get(name)?.get_ref().as_integer()?.as_str().parse::<u64>().ok()
        };
        if let (Some(min), Some(max)) = (bound("min"), bound("max"))
            && min > max
        {
            let what = format!("`option.range`: expected min <= max, found {min} and {max}");
            self.say(&range.span(), &what, "`range` is both ends, both included");
        }
    }
}

/// Whether a text is a mode as rpm's Fopen takes it to write a payload: `w`, a level, `T` and threads, a kind (rpm 4.18,
/// macros.in and rpmio/rpmio.c).
fn is_payload(text: &str) -> bool {
    let Some((flags, kind)) = text.strip_prefix('w').and_then(|rest| rest.split_once('.')) else { return false };
    let (level, threads) = flags.split_once('T').unwrap_or((flags, ""));
    let numbers = [level, threads].into_iter().all(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    numbers && matches!(kind, "ufdio" | "gzdio" | "bzdio" | "lzdio" | "xzdio" | "zstdio")
}

/// Checks a text of one of the kinds that are texts; says what was expected if it is not.
fn text_of(kind: Kind, text: &str) -> Result<(), String> {
    let fits = |fits: bool, expected: &str| if fits { Ok(()) } else { Err(expected.to_owned()) };
    match kind {
        Kind::Word => fits(
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte)),
            "letters, digits, `-`, `_`, `.` and `+`",
        ),
        Kind::Switch => fits(
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
            "letters, digits and `_`",
        ),
        Kind::FileGlob if text.contains('/') => Err("a glob of a name, without a directory".to_owned()),
        Kind::Payload => fits(is_payload(text), "a payload of rpm, such as `w2.xzdio` or `w9.gzdio`"),
        Kind::OneOf(words) => fits(words.contains(&text), &format!("`{}`", words.join("` or `"))),
        Kind::Template(names) => placeholders(text, names),
        Kind::Glob | Kind::FileGlob => {
            placeholders(text, &["arch", "version"])?;
            super::glob(text, "x86_64", "1.2.3").map(|_| ()).map_err(|error| format!("a glob ({})", error.kind()))
        }
        Kind::Regex => Regex::new(text).map(|_| ()).map_err(|_| "a regular expression".to_owned()),
        Kind::Fingerprint => fits(
            text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')),
            "40 upper-case hexadecimal digits",
        ),
        Kind::Sha256 => fits(
            text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
            "64 lower-case hexadecimal digits",
        ),
        Kind::Nvr => fits(text.rsplitn(3, '-').count() == 3, "name, version and release"),
        _ => fits(!text.is_empty(), "a text"),
    }
}

/// Checks that a text has no placeholders but these.
fn placeholders(text: &str, known: &[&str]) -> Result<(), String> {
    let Ok(pattern) = Regex::new(r"\{([a-z_]+)\}") else { return Ok(()) };
    let strange =
        pattern.captures_iter(text).filter_map(|found| Some(found.get(1)?.as_str())).find(|name| !known.contains(name));
    match strange {
        None => Ok(()),
        Some(name) => Err(format!("no placeholder but {{{}}}, and not {{{name}}}", known.join("}, {"))),
    }
}

fn in_words(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("`{text}`"),
        DeValue::Integer(number) => number.to_string(),
        other => format!("{} {}", if other.is_array() { "an" } else { "a" }, other.type_str()),
    }
}

/// Names the key that was probably meant, or all of them.
fn meant(name: &str, keys: &[Key]) -> String {
    match nearest(name, keys.iter().map(|key| key.name)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("expected one of {}", keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EL6: &str = include_str!("../../recipes/el6.toml");

    fn problems(text: &str) -> Vec<Problem> {
        Recipe::parse(text, "my.toml").unwrap_err().problems
    }

    #[test]
    fn all_problems_come_at_once_in_order_with_line_and_help() {
        let text = EL6
            .replace("schema = 1", "schema = 9")
            .replace("title =", "titel =")
            .replace("min = 8", "min = 28")
            .replace("C1DAC5", "xyz")
            .replace("buildid = \"after-dist\"", "buildid = \"somewhere\"")
            .replace("add = ", "ad = ")
            .replace("arches = [", "arches = [1, ");
        let shown: Vec<String> = problems(&text).into_iter().map(|problem| problem.text).collect();
        let all = shown.join("\n");
        for wanted in [
            "`schema`: expected 1, found 9",
            "unknown key `titel`",
            "help: did you mean `title`?",
            "`title` is missing",
            "help: `title` says what the recipe covers, for people",
            "`arches[0]`: expected a text in quotes, found 1",
            "`spec.buildid`: expected `after-dist` or `before-dist`, found `somewhere`",
            "`option.range`: expected min <= max, found 28 and 20",
            "expected 40 upper-case hexadecimal digits, found `xyz",
        ] {
            assert!(all.contains(wanted), "no {wanted} in\n{all}");
        }
        let number = text.lines().position(|line| line.starts_with("titel")).unwrap() + 1;
        assert!(all.contains(&format!("line {number}, column 1: unknown key")), "{all}");
        assert!(all.contains(&format!("{number} | titel = ")), "{all}");
        let places: Vec<_> = problems(&text).iter().map(|problem| problem.place.unwrap()).collect();
        assert!(places.is_sorted(), "{places:?}");
    }

    #[test]
    fn what_is_no_toml_is_told_all_at_once_too() {
        let found = problems("a = \nb = ]\n");
        assert!(found.len() >= 2, "{found:?}");
        assert_eq!(found[0].place.unwrap().0, 1);
    }

    #[test]
    fn a_recipe_may_say_only_what_differs() {
        let text = "schema = 1\nname = \"mine\"\ntitle = \"Mine\"\nextends = \"el6\"\n[option]\nexempt = [\"*xen*\"]\n";
        let recipe = Recipe::parse(text, "mine.toml").unwrap();
        let el6 = Recipe::parse(EL6, "el6.toml").unwrap();
        assert_eq!((recipe.spec, recipe.option.sources), (el6.spec, el6.option.sources));
        assert_eq!(recipe.option.exempt, ["*xen*"]);
        assert_ne!(recipe.sha256, el6.sha256);
        let wrong = problems(&text.replace("\"el6\"", "\"el66\""));
        assert!(wrong[0].text.contains("no built-in recipe is called `el66`"), "{}", wrong[0].text);
    }

    #[test]
    fn placeholders_and_patterns_are_checked() {
        let wrong = |from: &str, to: &str, expected: &str| {
            let text = EL6.replacen(from, to, 1);
            assert_ne!(text, EL6, "{from}");
            let found = problems(&text);
            assert!(found[0].text.contains(expected), "{}", found[0].text);
        };
        wrong("{version}-{release}.{arch}", "{version}-{relase}.{arch}", "and not {relase}");
        wrong("kernel-*/linux-*", "kernel-[/linux-*", "expected a glob");
        wrong("dist = \"el6", "dist = \"(el6", "expected a regular expression");
    }

    #[test]
    fn a_family_is_told_by_name_and_dist() {
        let recipe = Recipe::parse(EL6, "el6").unwrap();
        for release in ["220.13.1.el6", "71.29.1.el6_0", "754.35.1.el6.centos.plus"] {
            assert!(recipe.covers("kernel", release), "{release}");
            assert!(!recipe.covers("kernel-lt", release), "{release}");
        }
        for release in ["220.el60", "123.el7", "el6", "1"] {
            assert!(!recipe.covers("kernel", release), "{release}");
        }
        assert_eq!(recipe.marked("71.29.1.el6_0", ".x"), "71.29.1.el6_0.x");
        assert_eq!(recipe.dist("71.29.1.el6_0"), Some(7));
    }
}
