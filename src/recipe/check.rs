//! From the raw shape to a [`Recipe`]: every rule that TOML cannot express, all problems at once.

use globset::Glob;
use toml::Spanned;

use super::raw::Raw;
use super::{Error, Recipe, snippet};
use crate::digest;

/// The version of the recipe format that this program reads.
const SCHEMA: u32 = 1;
/// Profiles that the command line knows.
const PROFILES: [&str; 2] = ["full", "fleet"];

pub(super) fn check(text: &str, origin: &str) -> Result<Recipe, Error> {
    let raw: Raw =
        toml::from_str(text).map_err(|error| Error { origin: origin.to_owned(), problems: vec![error.to_string()] })?;
    let mut problems = Vec::new();
    let mut say = |span, message: &str| problems.push(snippet(text, &span, message));

    if *raw.schema.get_ref() != SCHEMA {
        say(raw.schema.span(), &format!("this kbuild reads schema {SCHEMA}"));
    }
    for named in [&raw.name, &raw.dist] {
        word(named, &mut say);
    }
    if raw.arches.get_ref().is_empty() {
        say(raw.arches.span(), "expected at least one architecture");
    }
    let option = raw.option.get_ref();
    if option.files.is_empty() {
        say(raw.option.span(), "expected at least one file to edit in `files`");
    }
    if option.range.min > option.range.max || option.range.max > 31 {
        say(raw.option.span(), "expected a `range` with min <= max <= 31");
    }
    if Glob::new(&option.resolved.replace("{arch}", "x86_64")).is_err() {
        say(raw.option.span(), "expected a glob such as `kernel-*/linux-*/configs/*.config` in `resolved`");
    }
    for profile in PROFILES {
        if !raw.profiles.get_ref().contains_key(profile) {
            say(raw.profiles.span(), &format!("expected a table `profiles.{profile}`, even if empty"));
        }
    }
    if raw.packages.get_ref().required.is_empty() {
        say(raw.packages.span(), "expected at least the kernel's own package in `required`");
    }
    for key in raw.trust.keys.get_ref() {
        let hexadecimal = key.fingerprint.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
        if key.fingerprint.len() != 40 || !hexadecimal {
            let message = format!("expected 40 upper-case hexadecimal digits for the key `{}`", key.name);
            say(raw.trust.keys.span(), &message);
        }
    }
    if !problems.is_empty() {
        return Err(Error { origin: origin.to_owned(), problems });
    }
    Ok(Recipe {
        name: raw.name.into_inner(),
        title: raw.title,
        dist: raw.dist.into_inner(),
        arches: raw.arches.into_inner(),
        spec: raw.spec,
        option: raw.option.into_inner(),
        build: raw.build,
        profiles: raw.profiles.into_inner(),
        packages: raw.packages.into_inner(),
        keys: raw.trust.keys.into_inner(),
        sha256: digest::sha256(text.as_bytes()),
    })
}

fn word(value: &Spanned<String>, say: &mut impl FnMut(std::ops::Range<usize>, &str)) {
    let text = value.get_ref();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        say(value.span(), "expected letters, digits and `-`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EL6: &str = include_str!("../../recipes/el6.toml");

    #[test]
    fn all_problems_come_at_once_with_their_lines() {
        let text = EL6.replace("schema = 1", "schema = 9").replace("min = 8", "min = 28").replace("C1DAC5", "xyz");
        let error = Recipe::parse(&text, "my.toml").unwrap_err();
        assert_eq!(error.problems.len(), 3, "{error}");
        let shown = error.to_string();
        assert!(
            shown.starts_with("the recipe `my.toml` is not valid\nTOML value error at line 2, column 10"),
            "{shown}"
        );
        assert!(shown.contains("2 | schema = 9\n  |          ^\nthis kbuild reads schema 1"), "{shown}");
    }

    #[test]
    fn unknown_keys_are_named() {
        let error = Recipe::parse(&EL6.replace("title =", "titel ="), "my.toml").unwrap_err().to_string();
        assert!(error.contains("unknown field `titel`"), "{error}");
    }

    #[test]
    fn a_family_is_told_by_its_dist() {
        let recipe = Recipe::parse(EL6, "el6").unwrap();
        for release in ["220.13.1.el6", "71.29.1.el6_0", "754.35.1.el6.centos.plus"] {
            assert!(recipe.covers(release), "{release}");
        }
        for release in ["220.el60", "123.el7", "el5", "1"] {
            assert!(!recipe.covers(release), "{release}");
        }
    }
}
