//! What a kernel's own IPVS sources say: the range of the option, and whether the size is a module parameter.
//!
//! Read from the tree's text, so that a recipe's knowledge is checked against the kernel at hand.

use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use super::bits::Range;

/// The tree's files worth reading, by the end of their path. `net/ipv4/ipvs` is where 2.6.18 (el5) has them.
pub const FILES: [&str; 5] = [
    "net/netfilter/ipvs/Kconfig",
    "net/netfilter/ipvs/ip_vs_conn.c",
    "net/ipv4/ipvs/Kconfig",
    "net/ipv4/ipvs/ip_vs_conn.c",
    "include/net/ip_vs.h",
];

/// How the table size gets into the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A constant of the compilation (el5, el6 before 2.6.32-431): only a rebuild changes it.
    CompileTime,
    /// The option is the default of the module parameter `conn_tab_bits`.
    Parameter,
}

/// What was found in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TreeFacts {
    /// The range that Kconfig, or the clamp in `ip_vs.h`, allows; with the file that says so.
    pub range: Option<(Range, String)>,
    /// Constant or parameter; `None` when `ip_vs_conn.c` was not found.
    pub kind: Option<Kind>,
}

/// Returns the facts in the given files, each a path and its content.
#[must_use]
pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> TreeFacts {
    let mut facts = TreeFacts { range: None, kind: None };
    let mut clamp = None;
    for (path, text) in files {
        if path.ends_with("/Kconfig") {
            facts.range = facts.range.or_else(|| Some((kconfig_range(text)?, path.to_owned())));
        } else if path.ends_with("ip_vs.h") {
            clamp = header_clamp(text).map(|range| (range, path.to_owned()));
        } else if path.ends_with("ip_vs_conn.c") {
            facts.kind = Some(kind(text));
        }
    }
    facts.range = facts.range.or(clamp);
    facts
}

/// Returns the range that the `IP_VS_TAB_BITS` entry of a Kconfig file allows on a 64-bit kernel.
///
/// `range 8 20` stands without a condition up to 6.4; from 6.5 it is `range 8 20 if !64BIT` and `range 8 27 if 64BIT`.
#[must_use]
pub fn kconfig_range(text: &[u8]) -> Option<Range> {
    let text = String::from_utf8_lossy(text);
    let mut inside = false;
    let mut found = None;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["config" | "menuconfig", name] => inside = *name == "IP_VS_TAB_BITS",
            ["range", min, max, condition @ ..] if inside => {
                let holds = matches!(condition, [] | ["if", "64BIT"]);
                if holds && let (Ok(min), Ok(max)) = (min.parse(), max.parse()) {
                    found = Some(Range { min, max });
                }
            }
            _ => {}
        }
    }
    found
}

/// Returns the range to which `ip_vs.h` of 2.6.18 clamps the option: there Kconfig has no range.
#[must_use]
pub fn header_clamp(text: &[u8]) -> Option<Range> {
    let bound = |sign: &str| -> Option<u8> {
        let pattern = format!(r"(?m)^#\s*if\s+CONFIG_IP_VS_TAB_BITS\s*{sign}\s*(\d+)");
        let found = Regex::new(&pattern).ok()?.captures(text)?;
        std::str::from_utf8(found.get(1)?.as_bytes()).ok()?.parse().ok()
    };
    Some(Range { min: bound("<")?, max: bound(">")? })
}

/// Tells whether `ip_vs_conn.c` declares the module parameter.
#[must_use]
pub fn kind(ip_vs_conn: &[u8]) -> Kind {
    let declares =
        Regex::new(r"module_param_named\s*\(\s*conn_tab_bits\b").is_ok_and(|pattern| pattern.is_match(ip_vs_conn));
    if declares { Kind::Parameter } else { Kind::CompileTime }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_all_eras() {
        let old = b"config IP_VS_TAB_BITS\n\tint \"table size\"\n\trange 8 20\n\tdefault 12\n\nconfig IP_VS_SH_TAB_BITS\n\tint\n\trange 4 20\n";
        assert_eq!(kconfig_range(old), Some(Range { min: 8, max: 20 }));
        let new = b"config IP_VS_TAB_BITS\n\trange 8 20 if !64BIT\n\trange 8 27 if 64BIT\n";
        assert_eq!(kconfig_range(new), Some(Range { min: 8, max: 27 }));
        assert_eq!(kconfig_range(b"config IP_VS_SH_TAB_BITS\n\trange 4 20\n"), None);
        assert_eq!(kconfig_range(b"config IP_VS_TAB_BITS\n\tint \"no range, as in 2.6.18\"\n"), None);
    }

    #[test]
    fn the_clamp_of_2_6_18() {
        let header =
            b"#if CONFIG_IP_VS_TAB_BITS < 8\n#define IP_VS_CONN_TAB_BITS 8\n#endif\n#if CONFIG_IP_VS_TAB_BITS > 20\n";
        assert_eq!(header_clamp(header), Some(Range { min: 8, max: 20 }));
        assert_eq!(header_clamp(b"#define IP_VS_CONN_TAB_BITS CONFIG_IP_VS_TAB_BITS\n"), None);
    }

    #[test]
    fn kinds() {
        assert_eq!(kind(b"module_param_named(conn_tab_bits, ip_vs_conn_tab_bits, int, 0444);"), Kind::Parameter);
        assert_eq!(kind(b"vmalloc(IP_VS_CONN_TAB_SIZE*sizeof(struct list_head))"), Kind::CompileTime);
    }
}
