//! From a text to signatures: all problems at once, each with its place, as recipes are checked.

use std::collections::BTreeSet;

use regex::Regex;
use serde::Deserialize;
use toml::Spanned;

use super::hit::placeholders;
use super::keys::TOP;
use super::signature::Signature;
use crate::recipe::check::Found;
use crate::recipe::{Error, Problem};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    #[serde(rename = "schema")]
    _schema: u32,
    signature: Vec<Spanned<Signature>>,
}

/// Parses and checks a file of signatures; `origin` is its name for messages.
///
/// # Errors
/// It is not TOML, has unknown or missing keys, patterns that are none, a name twice, or placeholders that nothing
/// fills: all of them at once.
pub(super) fn parse(text: &str, origin: &str) -> Result<Vec<Signature>, Error> {
    let failed = |problems| Error { verdict: format!("the signatures `{origin}` are not valid"), problems };
    let mut found = Found::new(text);
    found.document(TOP);
    if !found.problems.is_empty() {
        return Err(failed(found.in_order()));
    }
    let file: File =
        toml::from_str(text).map_err(|error| failed(vec![Problem { place: None, text: error.to_string() }]))?;
    let mut names = BTreeSet::new();
    for row in &file.signature {
        let (span, signature) = (row.span(), row.get_ref());
        let name = &signature.name;
        if !names.insert(name.clone()) {
            found.say(&span, &format!("the name `{name}` is taken"), "give each signature a name of its own");
        }
        for (pattern, group) in unfilled(signature) {
            let what = format!("`{name}`: nothing fills {{{group}}} when `{pattern}` matches");
            found.say(&span, &what, "name a group so in every pattern, or give it a value in `default`");
        }
        for name in signature.default.keys().filter(|name| !used(signature).contains(name.as_str())) {
            found.say(&span, &format!("`{}`: {{{name}}} stands nowhere", signature.name), "leave its default out");
        }
    }
    if found.problems.is_empty() {
        Ok(file.signature.into_iter().map(Spanned::into_inner).collect())
    } else {
        Err(failed(found.in_order()))
    }
}

/// Returns the placeholders of a signature's texts.
fn used(signature: &Signature) -> BTreeSet<&str> {
    [&signature.title, &signature.cause, &signature.fix].into_iter().flat_map(|text| placeholders(text)).collect()
}

/// Returns the placeholders that stay empty, each with a pattern after which it does.
fn unfilled(signature: &Signature) -> Vec<(&str, &str)> {
    let mut unfilled = Vec::new();
    for name in used(signature).into_iter().filter(|name| !signature.default.contains_key(*name)) {
        for pattern in &signature.says {
            let has = |pattern: &str| {
                Regex::new(pattern).is_ok_and(|pattern| pattern.capture_names().flatten().any(|group| group == name))
            };
            if !has(pattern) {
                unfilled.push((pattern.as_str(), name));
            }
        }
    }
    unfilled
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "schema = 1\n[[signature]]\nname = \"one\"\ntitle = \"t\"\nweight = \"cause\"\nsays = ['^(?P<tool>\\w+): gone$']\n\
                       cause = \"{tool} is gone.\"\nfix = \"dnf install {tool}\"\nsource = \"s\"\n";

    fn problems(text: &str) -> String {
        parse(text, "my.toml").unwrap_err().to_string()
    }

    #[test]
    fn what_is_valid_is_taken_and_what_is_wrong_is_told_with_its_line() {
        assert_eq!(parse(ONE, "my.toml").unwrap().len(), 1);
        for (from, to, said) in [
            ("weight = \"cause\"", "weight = \"heavy\"", "`signature[0].weight`: expected `machine` or `cause`"),
            ("title", "titel", "did you mean `title`?"),
            ("gone$'", "gone($'", "expected a regular expression"),
            ("fix = \"dnf install {tool}\"", "fix = \"dnf install {package}\"", "nothing fills {package}"),
            ("source =", "default = { x = \"y\" }\nsource =", "{x} stands nowhere"),
            ("schema = 1", "schema = 2", "expected 1, found 2"),
            ("says = ['^(?P<tool>\\w+): gone$']", "says = []", "expected at least one"),
        ] {
            let text = ONE.replacen(from, to, 1);
            assert_ne!(text, ONE, "{from}");
            let shown = problems(&text);
            assert!(shown.contains(said) && shown.contains("line "), "{said} is not in\n{shown}");
        }
        let twice = format!("{ONE}{}", ONE.replace("schema = 1\n", ""));
        assert!(problems(&twice).contains("the name `one` is taken"));
    }
}
