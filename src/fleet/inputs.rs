//! What a cell's results depend on, as named parts: if none has changed, there is nothing to do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Cell;
use super::cell::Source;
use super::keys::OF_NO_MATTER;
use crate::digest;

/// The options whose values are files that go into what is made.
const FILES: [&str; 7] = ["patch", "recipe", "sign-cert", "sign-key", "kernel", "kernel-devel", "templates"];

/// What a cell depends on: the name of each thing, for people, and its content or digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Inputs(BTreeMap<String, String>);

impl Inputs {
    /// Returns what a cell depends on. `kbuild` is the program's version, `recipe` says what the digest of a built-in recipe is, and
    /// `content` that of a file, or of a directory with all that is in it; what cannot be read has none.
    #[must_use]
    pub fn of(
        cell: &Cell,
        kbuild: &str,
        recipe: &dyn Fn(&str) -> Option<String>,
        content: &mut dyn FnMut(&str) -> Option<String>,
    ) -> Self {
        let mut parts = BTreeMap::from([("kbuild itself".to_owned(), kbuild.to_owned())]);
        let mut add = |name: &str, value: String| parts.insert(name.to_owned(), value);
        let mut file = |path: &str| content(path).unwrap_or_else(|| "missing".into());
        match &cell.source {
            Source::Release(release) => add("the release", release.clone()),
            Source::Srpm(url) if url.contains("://") => add("the source package", url.clone()),
            Source::Srpm(path) => add("the source package", file(path)),
        };
        add("the table", cell.bits.to_string());
        add("the route", cell.route.clone());
        add("the architecture", cell.arch.clone().unwrap_or_else(|| "this machine's".into()));
        if let Some(sha256) = cell.recipe.as_deref().and_then(recipe) {
            add("the recipe", sha256);
        }
        for setting in cell.settings.iter().filter(|setting| !OF_NO_MATTER.contains(&setting.option.as_str())) {
            let name = format!("`{}`", setting.option);
            let value: Vec<String> = setting
                .values
                .iter()
                .map(|value| {
                    if FILES.contains(&setting.option.as_str()) && value.starts_with('/') {
                        file(value)
                    } else {
                        value.clone()
                    }
                })
                .collect();
            // The key itself is in nobody's file.
            let value =
                if setting.option == "sign-key" { digest::sha256(value.concat().as_bytes()) } else { value.join("\n") };
            add(&name, value);
        }
        Self(parts)
    }

    /// Names what is not the same in the other one.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let names = self.0.keys().chain(other.0.keys().filter(|name| !self.0.contains_key(*name)));
        names.filter(|name| self.0.get(*name) != other.0.get(*name)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::Setting;
    use super::*;

    #[test]
    fn what_matters_counts_and_nothing_else() {
        let source = Source::Srpm("/k.src.rpm".into());
        let base = Cell {
            name: "n".into(),
            group: "g".into(),
            source,
            bits: 20.try_into().unwrap(),
            arch: None,
            route: "kernel".into(),
            recipe: Some("el6".into()),
            settings: vec![Setting { option: "patch".into(), values: vec!["/p".into()] }],
        };
        let of = |cell: &Cell, content: &str| {
            Inputs::of(cell, "1", &|_| Some("r".into()), &mut |path| Some(format!("{content}{path}")))
        };
        let with = |option: &str, value: &str| {
            let mut cell = base.clone();
            cell.settings.push(Setting { option: option.into(), values: vec![value.into()] });
            cell
        };
        let plain = of(&base, "a");
        assert_eq!(plain.differences(&plain), [""; 0]);
        assert_eq!(plain.differences(&of(&base, "b")), ["`patch`", "the source package"]);
        assert_eq!(plain.differences(&of(&with("jobs", "4"), "a")), [""; 0]);
        assert_eq!(plain.differences(&of(&with("set", "CONFIG_X=y"), "a")), ["`set`"]);
        let other = Cell { bits: 18.try_into().unwrap(), ..base.clone() };
        assert_eq!(plain.differences(&of(&other, "a")), ["the table"]);
        let gone = Inputs::of(&base, "1", &|_| None, &mut |_| None);
        assert_eq!(plain.differences(&gone), ["`patch`", "the recipe", "the source package"]);
    }
}
