//! Levels 3 and 4: config files and `ip_vs.ko`, read out of the packages as a stream.
//!
//! Needs no recipe: it works on packages that anybody built.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::module::{self, Kind};
use super::{Finding, Verdict};
use crate::edit::config::Setting;
use crate::ipvs::bits::Bits;
use crate::rpm::binary::{self, Package};
use crate::rpm::decompress;

/// The largest config or module that is read; real ones have some hundred kilobytes.
const LARGEST: u64 = 64 << 20;

/// Whether a path in a package is a kernel's config.
///
/// `/boot/config-*` in every family, `/lib/modules/*/config` from el8 on, `/usr/src/kernels/*/.config` in -devel.
#[must_use]
pub fn is_config(path: &str) -> bool {
    let path =
        path.strip_prefix("/usr/lib/modules/").map_or_else(|| path.to_owned(), |rest| format!("/lib/modules/{rest}"));
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["", "boot", name] => name.starts_with("config-"),
        ["", "lib", "modules", _, "config"] | ["", "usr", "src", "kernels", _, ".config"] => true,
        _ => false,
    }
}

/// Returns the kernel that a config is of: `/boot/config-X`, `/lib/modules/X/config`; not told by those of -devel.
#[must_use]
pub fn config_of(path: &str) -> Option<&str> {
    let below = path.strip_prefix("/usr").unwrap_or(path);
    path.strip_prefix("/boot/config-").or_else(|| below.strip_prefix("/lib/modules/")?.strip_suffix("/config"))
}

/// Returns the name of the kernel module that a path in a package is, such as `ip_vs`, and the kernel it is for.
#[must_use]
pub fn module_name(path: &str) -> Option<(&str, &str)> {
    let below = path.strip_prefix("/usr").unwrap_or(path).strip_prefix("/lib/modules/")?;
    let (uname_r, inside) = below.split_once('/')?;
    let file = inside.rsplit('/').next()?;
    let (name, ending) = file.split_once(".ko")?;
    // Those that cannot be read are named all the same: a module that nobody looked at is no proof.
    matches!(ending, "" | ".xz" | ".gz" | ".zst" | ".bz2" | ".lz4" | ".lzma" | ".lzo").then_some((name, uname_r))
}

/// Whether a module stands apart from those of its kernel, which depmod prefers to them (`search updates extra built-in
/// weak-updates` in /etc/depmod.d/dist.conf of EL, and an override).
#[must_use]
pub fn is_apart(path: &str) -> bool {
    let below = path.strip_prefix("/usr").unwrap_or(path).strip_prefix("/lib/modules/");
    let inside = below.and_then(|below| below.split_once('/')).map_or("", |(_, inside)| inside);
    ["extra/", "updates/", "weak-updates/"].iter().any(|dir| inside.starts_with(dir))
}

/// Whether any of the packages has a kernel's config or its `ip_vs.ko`.
#[must_use]
pub fn any_of_a_kernel(packages: &[Package]) -> bool {
    let is_of_a_kernel = |path: &String| is_config(path) || module_name(path).is_some_and(|(name, _)| name == "ip_vs");
    packages.iter().any(|package| package.header.files.iter().any(is_of_a_kernel))
}

/// Looks at all packages; `seen` is told of each finding as it is made.
///
/// # Errors
/// A package cannot be read, or was changed after it was built.
pub fn examine(
    packages: &[Package],
    expected: &[Setting],
    exempt: &[String],
    bits: Bits,
    seen: &mut dyn FnMut(&Finding),
) -> Result<Vec<Finding>, binary::Error> {
    let mut findings = Vec::new();
    let mut apart = Vec::new();
    Package::check_all(packages)?;
    for package in packages {
        let short = package.name();
        let wanted = |path: &str| {
            (is_config(path) && !super::is_exempt(exempt, path))
                || module_name(path).is_some_and(|(name, _)| name == "ip_vs")
        };
        package.visit(&wanted, |path, input| {
            let subject = format!("{short}: {path}");
            let finding = if is_config(path) {
                let mut text = Vec::new();
                input.take(LARGEST).read_to_end(&mut text)?;
                super::config(3, &subject, &text, expected).of(config_of(path))
            } else {
                let kernel = module_name(path).map(|(_, uname_r)| uname_r);
                let elf = decompress::bytes(input, LARGEST)?;
                if is_apart(path) {
                    apart.extend(for_its_kernel(&subject, &elf, kernel.unwrap_or_default()));
                }
                // A module that stands apart is all that there is of its kernel: the kernel's config says what the
                // distribution chose, and is in other packages.
                module(&subject, &elf, bits).of(kernel.filter(|_| !is_apart(path)))
            };
            seen(&finding);
            findings.push(finding);
            Ok(())
        })?;
    }
    let missing = unseen(&findings);
    for finding in apart.into_iter().chain(missing) {
        seen(&finding);
        findings.push(finding);
    }
    Ok(findings)
}

/// Returns what was not seen: of each kernel both its config and its `ip_vs.ko`, so that one kernel does not answer for
/// another.
fn unseen(findings: &[Finding]) -> Vec<Finding> {
    let kernels: BTreeSet<&str> = findings.iter().filter_map(|finding| finding.kernel.as_deref()).collect();
    let has = |level: u8, kernel: Option<&str>| {
        findings.iter().any(|each| each.level == level && (kernel.is_none() || each.kernel.as_deref() == kernel))
    };
    let mut missing = Vec::new();
    for (level, what) in [(3, "config"), (4, "ip_vs.ko")] {
        for kernel in &kernels {
            if !has(level, Some(kernel)) {
                let why = format!("the {what} of the kernel {kernel} is in none of the packages");
                missing.push(Finding::new(level, what, Verdict::NotChecked { why }).of(Some(kernel)));
            }
        }
        if kernels.is_empty() && !has(level, None) {
            let why = match level {
                3 if has(4, None) => "ip_vs.ko stands apart: kernel and config are the distribution's".to_owned(),
                _ => format!("a kernel's {what} is in none of the packages"),
            };
            missing.push(Finding::new(level, what, Verdict::NotChecked { why }));
        }
    }
    missing
}

/// Whether a module that stands apart is for the kernel in whose directory it is: else it is not loaded there.
fn for_its_kernel(subject: &str, elf: &[u8], kernel: &str) -> Option<Finding> {
    let vermagic = module::modinfo(elf).ok()?.get("vermagic").map(str::to_owned)?;
    let verdict = if vermagic.split_whitespace().next() == Some(kernel) {
        Verdict::Holds { evidence: format!("`{vermagic}`") }
    } else {
        Verdict::Differs { expected: format!("`{kernel} …`"), found: format!("`{vermagic}`") }
    };
    Some(Finding::new(4, format!("{subject}: vermagic"), verdict))
}

/// Level 4 on one module: `subject` says which.
#[must_use]
pub fn module(subject: &str, elf: &[u8], bits: Bits) -> Finding {
    let verdict = match module::inspect(elf) {
        Ok(found) if found.bits == u32::from(bits.get()) => Verdict::Holds {
            evidence: match found.kind {
                Kind::Parameter => format!("{} bits by default: {}", found.bits, found.evidence),
                Kind::CompileTime => format!("{} bits compiled in: {}", found.bits, found.evidence),
            },
        },
        Ok(found) => Verdict::Differs {
            expected: format!("{bits} bits"),
            found: format!("{} bits: {}", found.bits, found.evidence),
        },
        Err(error) if error.is_not_checked() => Verdict::NotChecked { why: error.to_string() },
        Err(error) => Verdict::Differs { expected: format!("{bits} bits"), found: error.to_string() },
    };
    Finding::new(4, subject, verdict)
}

/// Returns the packages that the arguments name: files as they are, directories with every `.rpm` directly in them or
/// below, source packages left out.
///
/// # Errors
/// An argument is neither, or a package in a directory cannot be read.
pub fn find(arguments: &[PathBuf]) -> Result<Vec<PathBuf>, FindError> {
    let mut found = Vec::new();
    for argument in arguments {
        if argument.is_dir() {
            let inside = crate::sys::files::with_ending(argument, ".rpm");
            found.extend(inside.into_iter().filter(|path| !is_source(path)));
        } else if argument.is_file() {
            found.push(argument.clone());
        } else {
            return Err(FindError::Missing(argument.clone()));
        }
    }
    if found.is_empty() { Err(FindError::Nothing(arguments.to_vec())) } else { Ok(found) }
}

fn is_source(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".src.rpm")
}

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Neither file nor directory.
    #[error("`{}` is neither a package nor a directory", .0.display())]
    Missing(PathBuf),
    /// No packages at all in these.
    #[error("expected packages (`.rpm`, no source packages), found none in {}", quoted(.0))]
    Nothing(Vec<PathBuf>),
}

fn quoted(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_and_modules_are_told_by_their_paths() {
        for path in [
            "/boot/config-2.6.32-220.13.1.el6.ipvs_20bit.x86_64",
            "/lib/modules/4.18.0-80.el8.x86_64/config",
            "/usr/lib/modules/5.14.0-70.el9.x86_64/config",
            "/usr/src/kernels/2.6.32-220.13.1.el6.x86_64/.config",
        ] {
            assert!(is_config(path), "{path}");
        }
        for path in ["/boot/vmlinuz-1", "/lib/modules/1/kernel/config", "/usr/src/kernels/1/x/.config", "/etc/config-1"]
        {
            assert!(!is_config(path), "{path}");
        }
        let found = module_name("/lib/modules/2.6.32.x86_64/kernel/net/netfilter/ipvs/ip_vs.ko");
        assert_eq!(found, Some(("ip_vs", "2.6.32.x86_64")));
        assert_eq!(module_name("/usr/lib/modules/5/kernel/net/ip_vs.ko.xz"), Some(("ip_vs", "5")));
        assert_eq!(module_name("/usr/lib/debug/lib/modules/5/kernel/net/ip_vs.ko.debug"), None);
        assert_eq!(module_name("/lib/modules/5/kernel/net/ip_vs.ko.debug"), None);
        assert_eq!(module_name("/lib/modules/5/kernel/net/ip_vs.ko.lz4"), Some(("ip_vs", "5")));
        assert_eq!(config_of("/boot/config-2.6.32-220.el6.x86_64"), Some("2.6.32-220.el6.x86_64"));
        assert_eq!(config_of("/usr/lib/modules/5.14.0+debug/config"), Some("5.14.0+debug"));
        assert_eq!(config_of("/usr/src/kernels/5.14.0/.config"), None);
    }

    #[test]
    fn no_kernel_answers_for_another() {
        let holds = || Verdict::Holds { evidence: String::new() };
        let mut findings = vec![
            Finding::new(3, "a", holds()).of(Some("1")),
            Finding::new(3, "b", holds()).of(Some("1.debug")),
            Finding::new(4, "c", holds()).of(Some("1.debug")),
        ];
        let missing = unseen(&findings);
        assert_eq!(missing.len(), 1);
        assert_eq!(
            missing[0].to_string(),
            "level 4  ip_vs.ko  not checked: the ip_vs.ko of the kernel 1 is in none of the packages"
        );
        findings.push(Finding::new(4, "d", holds()).of(Some("1")));
        assert_eq!(unseen(&findings), []);
        assert_eq!(unseen(&[]).len(), 2);
    }
}
