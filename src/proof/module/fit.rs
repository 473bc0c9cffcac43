//! Whether a module fits a kernel: its vermagic, the symbols that it takes from the kernel, and those that it gives to
//! other modules, each with the checksum that the kernel has for it.
//!
//! What the kernel's loader would refuse is found here, before anything is packaged.

use std::collections::BTreeMap;

use super::image::Image;
use super::{Error, modinfo};
use crate::edit::config;
use crate::proof::{Finding, Verdict};

/// Names that no kernel exports and that its loader does not ask for (`ignore_undef_symbol` of scripts/mod/modpost.c).
const IGNORED: [&str; 4] = ["__this_module", "_GLOBAL_OFFSET_TABLE_", ".TOC.", "TOC."];
/// `struct modversion_info`: a checksum as long as a pointer, and the name in what is left of 64 bytes.
const VERSION_ENTRY: usize = 64;
/// How many symbols a finding names.
const NAMED: usize = 8;

/// What of a kernel a module has to fit.
#[derive(Debug, Clone, Copy)]
pub struct Kernel<'a> {
    /// What `uname -r` says of it.
    pub uname_r: &'a str,
    /// Its configuration.
    pub config: &'a [u8],
    /// Its `Module.symvers`.
    pub symvers: &'a str,
    /// Its own `ip_vs.ko`, if it is at hand, uncompressed.
    pub own: Option<&'a [u8]>,
}

/// A symbol as `Module.symvers` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Exported<'a> {
    checksum: u64,
    module: &'a str,
}

/// Compares a module, and what its own build exported (`Module.symvers` beside it), with a kernel.
///
/// # Errors
/// The module cannot be read.
pub fn compare(elf: &[u8], exports: Option<&str>, kernel: &Kernel<'_>) -> Result<Vec<Finding>, Error> {
    let image = Image::parse(elf)?;
    let vermagic = modinfo::read(&image)?.get("vermagic").unwrap_or_default().to_owned();
    let known = symvers(kernel.symvers);
    let checked = on(kernel.config, "CONFIG_MODVERSIONS");
    let mut findings = vec![magic(&vermagic, kernel), imported(&image, &known, checked)?];
    if let Some(own) = kernel.own {
        let theirs = modinfo::read(&Image::parse(own)?)?.get("vermagic").unwrap_or_default().to_owned();
        let verdict = if theirs == vermagic {
            Verdict::Holds { evidence: format!("`{vermagic}`, as the distribution's own ip_vs.ko") }
        } else {
            Verdict::Differs {
                expected: format!("`{theirs}`, as the distribution's own"),
                found: format!("`{vermagic}`"),
            }
        };
        findings.push(finding("vermagic", verdict));
    }
    if let Some(exports) = exports {
        findings.push(exported(&symvers(exports), &known, checked));
    }
    Ok(findings)
}

fn finding(what: &str, verdict: Verdict) -> Finding {
    Finding::new(4, format!("ip_vs.ko: {what}"), verdict)
}

fn on(text: &[u8], symbol: &str) -> bool {
    config::value(text, symbol).as_deref() == Some("y")
}

/// The vermagic against release and configuration. `include/linux/vermagic.h` puts it together: the release, then words
/// for options that change what modules must agree on; those that no option tells are left to the loader.
fn magic(vermagic: &str, kernel: &Kernel<'_>) -> Finding {
    let mut words = vermagic.split_whitespace();
    let release = words.next().unwrap_or_default();
    let words: Vec<&str> = words.collect();
    let mut expected = Vec::new();
    let mut wrong = release != kernel.uname_r;
    for (word, symbol) in
        [("SMP", "CONFIG_SMP"), ("mod_unload", "CONFIG_MODULE_UNLOAD"), ("modversions", "CONFIG_MODVERSIONS")]
    {
        let on = on(kernel.config, symbol);
        if on {
            expected.push(word);
        }
        wrong |= words.contains(&word) != on;
    }
    let verdict = if wrong {
        let expected = format!("`{} {}`", kernel.uname_r, expected.join(" "));
        Verdict::Differs { expected, found: format!("`{vermagic}`") }
    } else {
        Verdict::Holds { evidence: format!("`{vermagic}`, as kernel-devel's release and configuration say") }
    };
    finding("vermagic", verdict)
}

/// What the module takes from the kernel.
fn imported(image: &Image<'_>, known: &BTreeMap<&str, Exported<'_>>, checked: bool) -> Result<Finding, Error> {
    let names: Vec<&str> = image.undefined()?.into_iter().filter(|name| !IGNORED.contains(name)).collect();
    let nowhere: Vec<&str> = names.iter().copied().filter(|name| !known.contains_key(name)).collect();
    if !nowhere.is_empty() {
        let found = format!("{} that the kernel does not export: {}", nowhere.len(), list(&nowhere));
        return Ok(finding("imported symbols", Verdict::Differs { expected: "none".into(), found }));
    }
    let count = names.len();
    if !checked {
        let evidence = format!(
            "all {count} are in the kernel's Module.symvers; this kernel has no checksums of symbols (CONFIG_MODVERSIONS)"
        );
        return Ok(finding("imported symbols", Verdict::Holds { evidence }));
    }
    let versions = versions(image)?;
    let other = |name: &&str| {
        let theirs = known.get(name).map(|exported| exported.checksum);
        versions.get(*name).copied() != theirs
    };
    let wrong: Vec<&str> = names.iter().copied().filter(other).collect();
    Ok(finding(
        "imported symbols",
        if wrong.is_empty() {
            Verdict::Holds { evidence: format!("all {count} have the checksums of the kernel's Module.symvers") }
        } else {
            let found = format!("{} with another checksum, or none: {}", wrong.len(), list(&wrong));
            Verdict::Differs { expected: "the checksums of the kernel's Module.symvers".into(), found }
        },
    ))
}

/// What the module gives to others: the schedulers of the distribution were built against its own `ip_vs.ko`.
fn exported(ours: &BTreeMap<&str, Exported<'_>>, known: &BTreeMap<&str, Exported<'_>>, checked: bool) -> Finding {
    let is_ip_vs = |exported: &&Exported<'_>| exported.module.rsplit('/').next() == Some("ip_vs");
    let theirs: BTreeMap<&str, u64> = known
        .iter()
        .filter(|(_, exported)| is_ip_vs(exported))
        .map(|(name, exported)| (*name, exported.checksum))
        .collect();
    let missing: Vec<&str> = theirs.keys().copied().filter(|name| !ours.contains_key(name)).collect();
    let other: Vec<&str> = theirs
        .iter()
        .filter(|(name, checksum)| checked && ours.get(*name).is_some_and(|each| each.checksum != **checksum))
        .map(|(name, _)| *name)
        .collect();
    let expected = || "what the distribution's own ip_vs.ko exports".to_owned();
    finding(
        "exported symbols",
        match (theirs.is_empty(), missing.is_empty(), other.is_empty()) {
            (true, _, _) => Verdict::NotChecked { why: "the kernel's Module.symvers has no symbol of ip_vs".into() },
            (_, false, _) => Verdict::Differs { expected: expected(), found: format!("no {}", list(&missing)) },
            (_, _, false) => {
                Verdict::Differs { expected: expected(), found: format!("another checksum of {}", list(&other)) }
            }
            (false, true, true) if checked => Verdict::Holds {
                evidence: format!("all {} have the checksums of the distribution's own ip_vs.ko", theirs.len()),
            },
            (false, true, true) => Verdict::Holds {
                evidence: format!("all {} that the distribution's own ip_vs.ko exports", theirs.len()),
            },
        },
    )
}

fn list(names: &[&str]) -> String {
    let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if names.len() > NAMED { format!("{shown}, …") } else { shown }
}

/// Reads `Module.symvers`: checksum, symbol, module, and more that differs from era to era, between tabs.
fn symvers(text: &str) -> BTreeMap<&str, Exported<'_>> {
    text.lines()
        .filter_map(|line| {
            let mut columns = line.split('\t');
            let checksum = u64::from_str_radix(columns.next()?.trim().strip_prefix("0x")?, 16).ok()?;
            let name = columns.next()?.trim();
            Some((name, Exported { checksum, module: columns.next().unwrap_or_default().trim() }))
        })
        .collect()
}

/// Returns the symbols of a `Module.symvers` with their checksums as text.
#[must_use]
pub fn checksums(text: &str) -> BTreeMap<String, String> {
    let all = symvers(text).into_iter();
    all.map(|(name, exported)| (name.to_owned(), format!("{:#010x}", exported.checksum))).collect()
}

/// The checksums that the module was built with: `__versions`, and since Linux 6.14 for longer names
/// `__version_ext_crcs` and `__version_ext_names`.
fn versions<'a>(image: &Image<'a>) -> Result<BTreeMap<&'a str, u64>, Error> {
    let mut all = BTreeMap::new();
    if let Some(section) = image.section("__versions")? {
        let word = usize::try_from(image.word()).unwrap_or(8);
        for entry in section.bytes.chunks_exact(VERSION_ENTRY) {
            let (Some(checksum), Some(name)) = (image.long(entry), entry.get(word..).and_then(text)) else { continue };
            all.insert(name, checksum);
        }
    }
    if let (Some(checksums), Some(names)) =
        (image.section("__version_ext_crcs")?, image.section("__version_ext_names")?)
    {
        let names = names.bytes.split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
        for (checksum, name) in checksums.bytes.chunks_exact(4).zip(names) {
            if let Some(checksum) = image.int32(checksum) {
                all.insert(name, checksum.into());
            }
        }
    }
    Ok(all)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes.split(|byte| *byte == 0).next()?).ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symvers_of_all_eras() {
        let text = "0x12345678\tprintk\tvmlinux\tEXPORT_SYMBOL\n0xd3abaf4e\tregister_ip_vs_scheduler\tnet/netfilter/ipvs/ip_vs\tEXPORT_SYMBOL\t\n0x00000001\told\tvmlinux\nnonsense\n";
        let all = symvers(text);
        assert_eq!(all.len(), 3);
        assert_eq!(
            all["register_ip_vs_scheduler"],
            Exported { checksum: 0xd3ab_af4e, module: "net/netfilter/ipvs/ip_vs" }
        );
    }

    #[test]
    fn what_the_distributions_schedulers_need_must_be_there() {
        let kernel =
            symvers("0x1\ta\tnet/netfilter/ipvs/ip_vs\tX\n0x2\tb\tnet/netfilter/ipvs/ip_vs\tX\n0x3\tc\tvmlinux\tX\n");
        let case = |ours: &str, checked| exported(&symvers(ours), &kernel, checked).verdict;
        assert_eq!(case("0x1\ta\tx\tX\n0x2\tb\tx\tX\n", true).holds(), Some(true));
        assert!(case("0x1\ta\tx\tX\n", true).to_string().contains("found no b"));
        assert!(case("0x1\ta\tx\tX\n0x9\tb\tx\tX\n", true).to_string().contains("another checksum of b"));
        assert_eq!(case("0x1\ta\tx\tX\n0x9\tb\tx\tX\n", false).holds(), Some(true));
        assert_eq!(exported(&kernel, &symvers("0x3\tc\tvmlinux\tX\n"), true).verdict.holds(), None);
    }

    #[test]
    fn vermagic_is_the_release_and_the_options() {
        let config = b"CONFIG_SMP=y\nCONFIG_MODULE_UNLOAD=y\nCONFIG_MODVERSIONS=y\n";
        let kernel = Kernel { uname_r: "6.1.0", config, symvers: "", own: None };
        let case = |vermagic: &str| magic(vermagic, &kernel).verdict.holds();
        assert_eq!(case("6.1.0 SMP preempt mod_unload modversions "), Some(true));
        assert_eq!(case("6.1.1 SMP preempt mod_unload modversions "), Some(false));
        assert_eq!(case("6.1.0 SMP mod_unload "), Some(false));
        assert_eq!(case("6.1.0 mod_unload modversions "), Some(false));
    }
}
