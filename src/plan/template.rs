//! Templates, filled in: the only user of minijinja.
//!
//! Strict: a value that there is not is an error, with the template's name and the line.

use minijinja::syntax::{SyntaxConfig, SyntaxConfigBuilder};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::Serialize;

/// Why a template gives no text: what is wrong, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the template is not valid: {0}")]
pub struct Error(String);

/// Breaks a text into lines of at most `width` characters, where it has blanks.
pub(super) fn folded(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

/// Fills values into a template; `name` is for messages.
///
/// # Errors
/// It is no template, or names a value that there is not.
pub fn fill(name: &str, template: &str, values: &impl Serialize) -> Result<String, Error> {
    filled(name, template, values, SyntaxConfig::builder().keep_trailing_newline(true), AutoEscape::None)
}

/// Fills values into a page of HTML: what they hold is escaped, unless the template calls it `safe`. A line with nothing but a tag of
/// the template's leaves no line behind.
///
/// # Errors
/// As [`fill`].
pub fn page(name: &str, template: &str, values: &impl Serialize) -> Result<String, Error> {
    let mut syntax = SyntaxConfig::builder();
    let syntax = syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    filled(name, template, values, syntax, AutoEscape::Html)
}

/// Fills values into a template of a text in which braces and percent signs have a meaning of their own, such as a workflow or a
/// script of a shell: `<< value >>`, and `<% if … %>` on lines that leave nothing behind.
///
/// # Errors
/// As [`fill`].
pub fn fill_angled(name: &str, template: &str, values: &impl Serialize) -> Result<String, Error> {
    let mut syntax = SyntaxConfig::builder();
    syntax.variable_delimiters("<<", ">>").block_delimiters("<%", "%>").comment_delimiters("<#", "#>");
    let syntax = syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    filled(name, template, values, syntax, AutoEscape::None)
}

fn filled(
    name: &str,
    template: &str,
    values: &impl Serialize,
    syntax: &SyntaxConfigBuilder,
    escape: AutoEscape,
) -> Result<String, Error> {
    let failed = |error: minijinja::Error| Error(format!("{error}"));
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(move |_| escape.clone());
    environment.set_syntax(syntax.build().map_err(failed)?);
    environment.add_template(name, template).map_err(failed)?;
    environment.get_template(name).map_err(failed)?.render(Value::from(Serde(values))).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_escapes_what_is_filled_in_and_a_text_does_not() {
        let values = std::collections::BTreeMap::from([("x", "<script>\"&'")]);
        let template = "<p title=\"{{ x }}\">\n    {% if x %}\n{{ x }}\n    {% endif %}\n{{ x|safe }}\n";
        let escaped = "&lt;script&gt;&quot;&amp;&#x27;";
        let expected = format!("<p title=\"{escaped}\">\n{escaped}\n<script>\"&'\n");
        assert_eq!(page("x", template, &values).unwrap(), expected);
        assert_eq!(fill("x.html", "{{ x }}", &values).unwrap(), "<script>\"&'");
        assert!(page("x", "{{ y }}", &values).is_err());
    }

    #[test]
    fn braces_are_left_alone_between_angles() {
        let values = serde_json::json!({ "names": ["a", "b"], "none": false });
        let text = "${{ x }} {% y %}\n  <% for name in names %>\n  - << name >>\n  <% endfor %>\n<% if none %>\nno\n<% endif %>\nend\n";
        assert_eq!(fill_angled("t", text, &values).unwrap(), "${{ x }} {% y %}\n  - a\n  - b\nend\n");
        let error = fill_angled("t", "a\n<< other >>\n", &values).unwrap_err().to_string();
        assert!(error.contains("t:2"), "{error}");
    }

    #[test]
    fn lines_are_broken_at_blanks() {
        assert_eq!(folded("one two  three", 7), "one two\nthree");
        assert_eq!(folded("unbreakable x", 3), "unbreakable\nx");
        assert_eq!(folded("", 3), "");
    }
}
