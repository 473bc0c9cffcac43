//! Edits of kernel config sources: one symbol, matched exactly.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ipvs::bits;

use super::{Change, Edited, End, Error, lines, replace_line, split_end};

/// A setting such as `CONFIG_IP_VS_TAB_BITS=20`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Setting {
    symbol: String,
    value: String,
}

/// Why a text is not a [`Setting`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// No `=`.
    #[error("expected `CONFIG_X=VALUE`, found `{0}`")]
    NoValue(String),
    /// The symbol is not one that kconfig could write.
    #[error("expected a symbol such as `CONFIG_IP_VS`, found `{0}`")]
    BadSymbol(String),
    /// The value is not `y`, `m`, `n`, a number or a quoted string.
    #[error("expected y, m, n, a number or a \"quoted string\" for `{symbol}`, found `{value}`")]
    BadValue {
        /// The symbol.
        symbol: String,
        /// The value given.
        value: String,
    },
}

impl Setting {
    /// Returns a setting with a number.
    #[must_use]
    pub fn number(symbol: &str, value: u64) -> Self {
        Self { symbol: symbol.to_owned(), value: value.to_string() }
    }

    /// Returns the symbol, with its `CONFIG_`.
    #[must_use]
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// Returns the value as kconfig writes it; `n` for a symbol that is not set.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Returns the line that says this in a config file.
    #[must_use]
    pub fn line(&self) -> String {
        if self.value == "n" {
            format!("# {} is not set", self.symbol)
        } else {
            format!("{}={}", self.symbol, self.value)
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.symbol, self.value)
    }
}

impl FromStr for Setting {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let (symbol, value) = text.split_once('=').ok_or_else(|| SettingError::NoValue(text.to_owned()))?;
        let name = symbol.strip_prefix("CONFIG_").unwrap_or_default();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(SettingError::BadSymbol(symbol.to_owned()));
        }
        let number = value.strip_prefix("0x").map_or_else(
            || bits::plain(value.strip_prefix('-').unwrap_or(value)).is_some(),
            |hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()) && u64::from_str_radix(hex, 16).is_ok(),
        );
        let quoted = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .is_some_and(|inner| !inner.contains(['"', '\\', '\n', '\r', '\0']));
        if matches!(value, "y" | "m" | "n") || number || quoted {
            Ok(Self { symbol: symbol.to_owned(), value: value.to_owned() })
        } else {
            Err(SettingError::BadValue { symbol: symbol.to_owned(), value: value.to_owned() })
        }
    }
}

impl TryFrom<String> for Setting {
    type Error = SettingError;

    fn try_from(text: String) -> Result<Self, SettingError> {
        text.parse()
    }
}

impl From<Setting> for String {
    fn from(setting: Setting) -> Self {
        setting.to_string()
    }
}

/// Returns the lines of a config text that set `symbol`, each with its number (from 1) and the value (`n` for
/// `# … is not set`).
///
/// The match is exact: `CONFIG_IP_VS_SH_TAB_BITS` is never taken for `CONFIG_IP_VS_TAB_BITS`.
#[must_use]
pub fn values(text: &[u8], symbol: &str) -> Vec<(usize, String)> {
    lines(text)
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, value_in(split_end(line).0, symbol)?)))
        .collect()
}

fn value_in(line: &[u8], symbol: &str) -> Option<String> {
    let line = line.trim_ascii_end();
    if let Some(rest) = line.strip_prefix(symbol.as_bytes()) {
        return Some(String::from_utf8_lossy(rest.strip_prefix(b"=")?).into_owned());
    }
    let rest = line.strip_prefix(b"#")?.trim_ascii_start().strip_prefix(symbol.as_bytes())?;
    (rest == b" is not set").then(|| "n".to_owned())
}

/// Returns the value that kconfig takes from a config text: the last one.
#[must_use]
pub fn value(text: &[u8], symbol: &str) -> Option<String> {
    values(text, symbol).pop().map(|(_, value)| value)
}

/// Sets a symbol wherever the text has it: kconfig takes the last line, a merge may take the first.
///
/// A line that ends in CR LF ends in LF afterwards: kconfig would take the CR for a part of the value, and drop it.
///
/// # Errors
/// The text does not have the symbol.
pub fn set_existing(file: &str, text: &[u8], setting: &Setting) -> Result<Edited, Error> {
    let found = values(text, setting.symbol());
    if found.is_empty() {
        let what = format!("`{}=…`", setting.symbol());
        return Err(Error::Missing { file: file.to_owned(), what });
    }
    let mut all = Edited { text: text.to_vec(), changes: Vec::new() };
    for (line, _) in found {
        let edited = replace_line(&all.text, line, &setting.line(), End::Unix);
        all.text = edited.text;
        all.changes.extend(edited.changes);
    }
    Ok(all)
}

/// Sets a symbol wherever the text has it, or as a new last line where it does not.
#[must_use]
pub fn set(file: &str, text: &[u8], setting: &Setting) -> Edited {
    if let Ok(edited) = set_existing(file, text, setting) {
        return edited;
    }
    let mut new = text.to_vec();
    if !new.is_empty() && !new.ends_with(b"\n") {
        new.push(b'\n');
    }
    new.extend_from_slice(setting.line().as_bytes());
    new.push(b'\n');
    let change = Change { line: lines(text).count() + 1, before: None, after: setting.line() };
    Edited { text: new, changes: vec![change] }
}

/// Whether a text looks like a kernel's config, or a part of one, and not like a script that mentions options.
#[must_use]
pub fn is_config(text: &[u8]) -> bool {
    let (mut settings, mut others) = (0_usize, 0_usize);
    for line in lines(text) {
        let line = split_end(line).0.trim_ascii();
        if line.starts_with(b"CONFIG_") || (line.starts_with(b"# CONFIG_") && line.ends_with(b" is not set")) {
            settings += 1;
        } else if !line.is_empty() && !line.starts_with(b"#") {
            others += 1;
        }
    }
    settings > others
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &[u8] = b"# x86_64\nCONFIG_IP_VS=m\nCONFIG_IP_VS_TAB_BITS=12\nCONFIG_IP_VS_SH_TAB_BITS=8\n# CONFIG_IP_VS_DEBUG is not set\n";

    fn bits(value: u64) -> Setting {
        Setting::number("CONFIG_IP_VS_TAB_BITS", value)
    }

    #[test]
    fn only_the_exact_symbol_is_replaced_in_place() {
        let edited = set_existing("config-generic", TEXT, &bits(20)).unwrap();
        assert_eq!(
            String::from_utf8(edited.text).unwrap(),
            String::from_utf8(TEXT.to_vec()).unwrap().replace("IP_VS_TAB_BITS=12", "IP_VS_TAB_BITS=20")
        );
        let change = Change {
            line: 3,
            before: Some("CONFIG_IP_VS_TAB_BITS=12".into()),
            after: "CONFIG_IP_VS_TAB_BITS=20".into(),
        };
        assert_eq!(edited.changes, [change]);
    }

    #[test]
    fn a_missing_line_is_named_and_all_of_several_are_set() {
        let error = set_existing("c", b"CONFIG_IP_VS_SH_TAB_BITS=8\n", &bits(20)).unwrap_err();
        assert_eq!(error.to_string(), "`c` has no line `CONFIG_IP_VS_TAB_BITS=…`, expected at least one");
        let twice = b"CONFIG_IP_VS_TAB_BITS=12\nX\n# CONFIG_IP_VS_TAB_BITS is not set\n";
        let edited = set_existing("c", twice, &bits(20)).unwrap();
        assert_eq!(edited.text, b"CONFIG_IP_VS_TAB_BITS=20\nX\nCONFIG_IP_VS_TAB_BITS=20\n");
        assert_eq!(edited.changes.iter().map(|change| change.line).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn configs_are_told_from_scripts_that_mention_them() {
        assert!(is_config(TEXT));
        assert!(is_config(b"CONFIG_A=y"));
        assert!(!is_config(b"#!/bin/sh\nset -e\ngrep -q x\nCONFIG_A=y\n"));
        assert!(!is_config(b""));
    }

    #[test]
    fn any_symbol_can_be_set_unset_or_added() {
        let case = |setting: &str, expected: &str| {
            let edited = set("c", TEXT, &setting.parse().unwrap());
            let text = String::from_utf8(edited.text).unwrap();
            assert!(text.contains(expected), "{setting}: {text}");
        };
        case("CONFIG_IP_VS_DEBUG=y", "\nCONFIG_IP_VS_DEBUG=y\n");
        case("CONFIG_IP_VS=n", "\n# CONFIG_IP_VS is not set\n");
        case("CONFIG_NEW=\"a b\"", "is not set\nCONFIG_NEW=\"a b\"\n");
        assert_eq!(set("c", b"A=1", &bits(9)).text, b"A=1\nCONFIG_IP_VS_TAB_BITS=9\n");
    }

    #[test]
    fn the_line_ends_as_kconfig_reads_it_and_other_lines_as_before() {
        let edited = set_existing("c", b"CONFIG_IP_VS_TAB_BITS=12\r\nA\r\n", &bits(20)).unwrap();
        assert_eq!(edited.text, b"CONFIG_IP_VS_TAB_BITS=20\nA\r\n");
        // A carriage return alone is a change, too: with it the value would be dropped.
        assert_eq!(set_existing("c", b"CONFIG_IP_VS_TAB_BITS=20\r\n", &bits(20)).unwrap().changes.len(), 1);
        let edited = set_existing("c", b"CONFIG_IP_VS_TAB_BITS=12", &bits(20)).unwrap();
        assert_eq!(edited.text, b"CONFIG_IP_VS_TAB_BITS=20");
    }

    #[test]
    fn settings_are_checked() {
        for bad in [
            "CONFIG_X",
            "X=y",
            "CONFIG_=y",
            "CONFIG_A-B=y",
            "CONFIG_X=yes",
            "CONFIG_X=",
            "CONFIG_X=\"",
            "CONFIG_X=010",
            "CONFIG_X=+9",
        ] {
            assert!(bad.parse::<Setting>().is_err(), "{bad}");
        }
        assert!("CONFIG_X=\"a\"b\"".parse::<Setting>().is_err());
        for good in ["CONFIG_X=y", "CONFIG_X=0x10", "CONFIG_X=-5", "CONFIG_X=\"\""] {
            assert_eq!(good.parse::<Setting>().unwrap().to_string(), good);
        }
    }

    #[test]
    fn the_last_value_wins() {
        assert_eq!(value(b"CONFIG_A=1\nCONFIG_A=2\n", "CONFIG_A").unwrap(), "2");
        assert_eq!(value(b"CONFIG_A=1\n# CONFIG_A is not set\n", "CONFIG_A").unwrap(), "n");
        assert_eq!(value(b"CONFIG_AB=1\n", "CONFIG_A"), None);
    }

    /// What kconfig takes from a config text: the last line that begins with the symbol and `=`, or says that it is not
    /// set (scripts/kconfig/confdata.c, `conf_read_simple`).
    fn reference(text: &[u8]) -> Option<Vec<u8>> {
        let mut last = None;
        for line in text.split(|byte| *byte == b'\n') {
            if let Some(value) = line.strip_prefix(b"CONFIG_IP_VS_TAB_BITS=") {
                last = Some(value.to_vec());
            } else if line.trim_ascii_end() == b"# CONFIG_IP_VS_TAB_BITS is not set" {
                last = None;
            }
        }
        last
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn twice_is_once_other_lines_stay_and_kconfig_reads_what_was_asked(
            parts in proptest::collection::vec(
                prop_oneof![
                    "CONFIG_IP_VS_(SH_|MH_)?TAB_(BITS|INDEX)=[0-9]{1,2}",
                    "CONFIG_IP_VS_TAB_BITS=([0-9]{1,2}|\"x\"|y)?[ \t]{0,2}",
                    "[ \t]{0,2}#? ?CONFIG_IP_VS_TAB_BITS( is not set|=12)?",
                    "[ -~]{0,30}",
                    "CONFIG_IP_VS_TAB_BITS_MORE=12",
                ].prop_map(String::into_bytes).boxed().prop_union(any::<Vec<u8>>().boxed()),
                0..8,
            ),
            ends in proptest::collection::vec(prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n")], 8),
            last_end in any::<bool>(),
            new in 0u64..64,
        ) {
            let mut text = Vec::new();
            for (index, part) in parts.iter().enumerate() {
                text.extend_from_slice(part);
                if index + 1 < parts.len() || last_end {
                    text.extend_from_slice(ends[index].as_bytes());
                }
            }
            let Ok(once) = set_existing("c", &text, &bits(new)) else {
                // Refused: then kconfig would have found nothing either.
                prop_assert_eq!(reference(&text), None);
                return Ok(());
            };
            let twice = set_existing("c", &once.text, &bits(new)).unwrap();
            prop_assert_eq!(&once.text, &twice.text);
            prop_assert!(twice.changes.is_empty());
            prop_assert_eq!(reference(&once.text), Some(new.to_string().into_bytes()));
            prop_assert_eq!(lines(&text).count(), lines(&once.text).count());
            for (number, (before, after)) in lines(&text).zip(lines(&once.text)).enumerate() {
                let changed = once.changes.iter().any(|change| change.line == number + 1);
                prop_assert_eq!(changed, before != after);
                prop_assert!(!changed || value_in(split_end(before).0, "CONFIG_IP_VS_TAB_BITS").is_some());
            }
        }
    }
}
