//! `ip_vs.ko` built alone: which files of the kernel's tree it takes, and for which kernels that works.

use std::collections::{BTreeMap, BTreeSet};

use regex::bytes::Regex;

use super::bits::OPTION;

/// Where the kernel's tree has IPVS: since 2.6.28 (el6 on), and before that (2.6.18 of el5).
pub const DIRS: [&str; 2] = ["net/netfilter/ipvs/", "net/ipv4/ipvs/"];
/// IPVS's own headers outside of its directory.
pub const HEADERS: [&str; 3] = ["include/net/ip_vs.h", "include/linux/ip_vs.h", "include/uapi/linux/ip_vs.h"];
/// The oldest kernel whose makefiles are known to build a module against the headers of kernel-devel as this route does:
/// that of el5.
const OLDEST: [u32; 3] = [2, 6, 18];

/// Whether a file of the kernel's tree is part of IPVS.
#[must_use]
pub fn is_source(path: &str) -> bool {
    let inside = DIRS.iter().any(|dir| path.strip_prefix(dir).is_some_and(|file| !file.contains('/')));
    inside || HEADERS.contains(&path)
}

/// Why a kernel's `ip_vs.ko` is not built alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsuitable {
    /// Its tree has no IPVS.
    #[error("its tarball has no IPVS: neither net/netfilter/ipvs nor net/ipv4/ipvs with Makefile and ip_vs_conn.c")]
    NoIpvs,
    /// It is older than any that this was made for.
    #[error("Linux {0} is too old for this: expected 2.6.18 (el5) or later")]
    TooOld(String),
    /// Its sources do not use the option.
    #[error("Linux {0} is too new for this: none of its IPVS sources uses {OPTION}")]
    NoOption(String),
    /// Its table grows and shrinks, and the option is only its limit.
    ///
    /// `conn_lfactor` came with the table that resizes itself (net-next of April 2026, 7.1).
    #[error("Linux {0} is too new for this: its table resizes itself (conn_lfactor), and {OPTION} is only its limit")]
    Resizable(String),
}

/// Returns the directory of IPVS in a kernel's tree, of which the files are given by path.
///
/// # Errors
/// There is none, or the kernel (`version`, such as `2.6.32`) is too old or too new.
pub fn directory(version: &str, tree: &BTreeMap<String, Vec<u8>>) -> Result<&'static str, Unsuitable> {
    if numbers(version) < OLDEST.to_vec() {
        return Err(Unsuitable::TooOld(version.to_owned()));
    }
    let has = |path: String| tree.contains_key(&path);
    let dir = DIRS
        .into_iter()
        .find(|dir| has(format!("{dir}Makefile")) && has(format!("{dir}ip_vs_conn.c")))
        .ok_or(Unsuitable::NoIpvs)?;
    let uses = |word: &str| {
        let mut code = tree.iter().filter(|(path, _)| is_source(path) && !path.ends_with("Kconfig"));
        code.any(|(_, text)| text.windows(word.len()).any(|part| part == word.as_bytes()))
    };
    if uses("conn_lfactor") {
        return Err(Unsuitable::Resizable(version.to_owned()));
    }
    if !uses(OPTION) {
        return Err(Unsuitable::NoOption(version.to_owned()));
    }
    Ok(dir)
}

/// `2.6.32` as numbers; what is none counts as 0.
fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

/// A header that a source file includes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Include {
    /// `<net/ip_vs.h>`.
    Kernel(String),
    /// `"own.h"`, beside the file.
    Beside(String),
}

/// Returns the headers that a source file includes, whatever conditions they stand under.
#[must_use]
pub fn includes(text: &[u8]) -> BTreeSet<Include> {
    let Ok(pattern) = Regex::new(r#"(?m)^[ \t]*#[ \t]*include[ \t]*(?:<([^>\n]+)>|"([^"\n]+)")"#) else {
        return BTreeSet::new();
    };
    let text_of = |found: Option<regex::bytes::Match<'_>>| {
        found.map(|found| String::from_utf8_lossy(found.as_bytes()).into_owned())
    };
    pattern
        .captures_iter(text)
        .filter_map(|found| {
            text_of(found.get(1)).map(Include::Kernel).or_else(|| text_of(found.get(2)).map(Include::Beside))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory_of(version: &str, files: &[(&str, &str)]) -> Result<&'static str, Unsuitable> {
        let tree = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
        directory(version, &tree)
    }

    #[test]
    fn the_directory_of_each_era() {
        let new = [("net/netfilter/ipvs/Makefile", ""), ("net/netfilter/ipvs/ip_vs_conn.c", "CONFIG_IP_VS_TAB_BITS")];
        assert_eq!(directory_of("2.6.32", &new), Ok("net/netfilter/ipvs/"));
        let old = [
            ("net/ipv4/ipvs/Makefile", ""),
            ("net/ipv4/ipvs/ip_vs_conn.c", "IP_VS_CONN_TAB_SIZE"),
            ("include/net/ip_vs.h", "#if CONFIG_IP_VS_TAB_BITS < 8"),
        ];
        assert_eq!(directory_of("2.6.18", &old), Ok("net/ipv4/ipvs/"));
        assert_eq!(directory_of("2.6.9", &old), Err(Unsuitable::TooOld("2.6.9".into())));
        assert_eq!(directory_of("2.6.18", &old[..1]), Err(Unsuitable::NoIpvs));
        assert_eq!(directory_of("2.6.18", &old[..2]), Err(Unsuitable::NoOption("2.6.18".into())));
        let resizable = [new[0], ("net/netfilter/ipvs/ip_vs_conn.c", "CONFIG_IP_VS_TAB_BITS conn_lfactor")];
        assert_eq!(directory_of("7.1.0", &resizable), Err(Unsuitable::Resizable("7.1.0".into())));
    }

    #[test]
    fn sources_are_told_by_their_paths() {
        for path in ["net/netfilter/ipvs/ip_vs_core.c", "net/ipv4/ipvs/Makefile", "include/net/ip_vs.h"] {
            assert!(is_source(path), "{path}");
        }
        for path in ["net/netfilter/ipvs", "net/netfilter/ipvs/x/y.c", "net/netfilter/core.c", "include/net/ip.h"] {
            assert!(!is_source(path), "{path}");
        }
    }

    #[test]
    fn includes_are_found_wherever_they_stand() {
        let text =
            b"#include <linux/module.h>\n#ifdef X\n # include \"own.h\"\n#endif\n// no\nx = \"#include <y.h>\";\n";
        let expected = [Include::Kernel("linux/module.h".into()), Include::Beside("own.h".into())];
        assert_eq!(includes(text), BTreeSet::from(expected));
    }
}
