//! A line that a signature fits, what stood around it, and the text that becomes of both.

use std::collections::BTreeMap;

use super::signature::{Compiled, Signature};
use super::{Cause, Line};
use crate::command::quote;

/// How many different values a list has at the most.
const MOST_ITEMS: usize = 40;
/// The group that collects values.
const ITEMS: &str = "items";

/// A line that a signature fits.
#[derive(Debug, Clone)]
pub(super) struct Hit {
    pub(super) line: Line,
    /// How many parts of the spec had begun.
    pub(super) stage: usize,
    pub(super) phase: Option<String>,
    values: BTreeMap<String, String>,
    items: Vec<String>,
    /// Values from lines before it, which count where none after it has them.
    before: BTreeMap<String, String>,
    items_before: Vec<String>,
    /// Whether something failed close by.
    pub(super) confirmed: bool,
}

impl Hit {
    /// Returns the hit if this line is one.
    pub(super) fn new(row: &Compiled, line: &Line, stage: usize, phase: Option<&str>) -> Option<Self> {
        if row.unless().is_some_and(|unless| unless.is_match(&line.text)) {
            return None;
        }
        let pattern = row.says().iter().find(|pattern| pattern.is_match(&line.text))?;
        let mut hit = Self {
            line: line.clone(),
            stage,
            phase: phase.map(str::to_owned),
            values: BTreeMap::new(),
            items: Vec::new(),
            before: BTreeMap::new(),
            items_before: Vec::new(),
            confirmed: false,
        };
        read(pattern, &line.text, &mut hit.values, &mut hit.items);
        Some(hit)
    }

    /// Looks at a line that came after it.
    pub(super) fn after(&mut self, row: &Compiled, text: &str) {
        if let Some(near) = &row.near {
            read(near, text, &mut self.values, &mut self.items);
        }
    }

    /// Looks at a line that came before it; the nearest first.
    pub(super) fn earlier(&mut self, row: &Compiled, text: &str) {
        if let Some(near) = &row.near {
            read(near, text, &mut self.before, &mut self.items_before);
        }
    }

    /// Returns the cause that it shows.
    pub(super) fn cause(&self, signature: &Signature) -> Cause {
        let mut values = self.before.clone();
        values.extend(self.values.clone());
        let items = if self.items.is_empty() {
            let mut items = self.items_before.clone();
            items.reverse();
            items
        } else {
            self.items.clone()
        };
        if let Some(lookup) = &signature.lookup
            && let Some(name) = values.get(&lookup.group).and_then(|value| lookup.names.get(value))
        {
            values.insert(lookup.gives.clone(), name.clone());
        }
        let filling = Filling { values: &values, items: &items, default: &signature.default };
        Cause {
            name: signature.name.clone(),
            title: filling.sentence(&signature.title),
            cause: filling.sentence(&signature.cause),
            fix: filling.command(&signature.fix),
            source: signature.source.clone(),
            evidence: self.line.clone(),
            phase: self.phase.clone(),
        }
    }
}

/// Takes over the named groups of a match; what is there already stays.
fn read(pattern: &regex::Regex, text: &str, values: &mut BTreeMap<String, String>, items: &mut Vec<String>) {
    let Some(found) = pattern.captures(text) else { return };
    for name in pattern.capture_names().flatten() {
        let Some(value) = found.name(name).map(|value| value.as_str().trim().to_owned()) else { continue };
        if name != ITEMS {
            values.entry(name.to_owned()).or_insert(value);
        } else if items.len() < MOST_ITEMS && !items.contains(&value) {
            items.push(value);
        }
    }
}

/// Returns the placeholders of a text: `{tool}`, but not rpm's macros: `%{name}`.
pub(super) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('{').filter_map(|(at, _)| {
        let (before, rest) = text.split_at(at);
        let (name, _) = rest.strip_prefix('{')?.split_once('}')?;
        let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        (plain && !before.ends_with('%')).then_some(name)
    })
}

struct Filling<'a> {
    values: &'a BTreeMap<String, String>,
    items: &'a [String],
    default: &'a BTreeMap<String, String>,
}

impl Filling<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        let found = self.values.get(name).filter(|value| !value.is_empty()).or_else(|| self.default.get(name));
        found.map(String::as_str)
    }

    /// Fills a text that people read.
    fn sentence(&self, template: &str) -> String {
        placeholders(template).fold(template.to_owned(), |text, name| {
            let value = match (name, self.items) {
                (ITEMS, []) => self.value(ITEMS).unwrap_or_default().to_owned(),
                (ITEMS, items) => items.join(", "),
                (name, _) => self.value(name).unwrap_or_default().to_owned(),
            };
            text.replace(&format!("{{{name}}}"), &value)
        })
    }

    /// Fills a command. A word that holds a value is quoted as a whole: logs are written by strangers.
    fn command(&self, template: &str) -> String {
        let lines = template.lines().map(|line| {
            let words = line.split(' ').flat_map(|word| self.words(word));
            words.collect::<Vec<_>>().join(" ")
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn words(&self, word: &str) -> Vec<String> {
        let Some(name) = placeholders(word).next() else { return vec![word.to_owned()] };
        if name == ITEMS && !self.items.is_empty() {
            return self.items.iter().map(|item| quote(&word.replace("{items}", item))).collect();
        }
        // A default is the table's own word, and stays as it stands there.
        let found = placeholders(word).any(|name| self.values.get(name).is_some_and(|value| !value.is_empty()));
        let filled = self.sentence(word);
        vec![if found { quote(&filled) } else { filled }]
    }
}
