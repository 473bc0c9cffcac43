//! Level 3 of packages that set the parameter `conn_tab_bits` for a kernel that they do not hold: what their files of
//! modprobe.d, and their scripts that call grubby, set it to.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Finding, Verdict};
use crate::ipvs::bits::Bits;
use crate::ipvs::setting::{self, Setting};
use crate::rpm::binary::{self, Package};

/// The largest file of modprobe.d that is read; real ones have some lines.
const LARGEST: u64 = 1 << 20;

/// Whether a path in a package is one that modprobe reads its options from (modprobe.d(5)).
#[must_use]
pub fn is_modprobe_d(path: &str) -> bool {
    let dirs = [
        "/etc/modprobe.d/",
        "/run/modprobe.d/",
        "/usr/local/lib/modprobe.d/",
        "/usr/lib/modprobe.d/",
        "/lib/modprobe.d/",
    ];
    let name = dirs.iter().find_map(|dir| path.strip_prefix(dir));
    name.is_some_and(|name| !name.contains('/') && Path::new(name).extension().is_some_and(|ending| ending == "conf"))
}

/// Looks at all packages; those that do not set the parameter give no finding. `seen` is told of each as it is made.
///
/// # Errors
/// A package cannot be read, or was changed after it was built.
pub fn examine(
    packages: &[Package],
    bits: Bits,
    seen: &mut dyn FnMut(&Finding),
) -> Result<Vec<Finding>, binary::Error> {
    let mut findings = Vec::new();
    for package in packages {
        let short = package.name();
        let texts = modprobe_d(package)?;
        let mut settings: Vec<(String, Vec<Setting>)> =
            texts.into_iter().map(|(path, text)| (format!("{short}: {path}"), setting::in_modprobe_d(&text))).collect();
        let script = package.header.post_install.as_deref().unwrap_or_default();
        settings.push((format!("{short}: %post, by grubby"), setting::by_grubby(script)));
        for (subject, settings) in settings.iter().filter(|(_, settings)| !settings.is_empty()) {
            // Only now: most packages set nothing, and a kernel's takes its time.
            package.check()?;
            let finding = Finding::new(3, subject, judge(settings, bits));
            seen(&finding);
            findings.push(finding);
        }
    }
    Ok(findings)
}

/// Returns what modprobe would hand to `ip_vs` where these packages are installed, such as `conn_tab_bits=20`: the
/// settings of all their files in order of file name, as modprobe reads them; empty if there are none.
///
/// # Errors
/// A package cannot be read.
pub fn options(packages: &[PathBuf]) -> Result<String, binary::Error> {
    let mut files: Vec<(String, String)> = Vec::new();
    for package in packages {
        files.extend(modprobe_d(&Package::open(package)?)?);
    }
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    files.sort_by_key(|(path, _)| name(path));
    let settings = files.iter().flat_map(|(_, text)| setting::in_modprobe_d(text));
    Ok(settings.map(|each| format!("conn_tab_bits={}", each.value)).collect::<Vec<_>>().join(" "))
}

/// Reads the files of modprobe.d in a package: path and text.
fn modprobe_d(package: &Package) -> Result<Vec<(String, String)>, binary::Error> {
    let mut texts = Vec::new();
    package.visit(&is_modprobe_d, |path, input| {
        let mut text = Vec::new();
        input.take(LARGEST).read_to_end(&mut text)?;
        texts.push((path.to_owned(), String::from_utf8_lossy(&text).into_owned()));
        Ok(())
    })?;
    Ok(texts)
}

/// What cannot be known of the module itself where none of the packages has it.
#[must_use]
pub fn elsewhere() -> Finding {
    let why = "it is the distribution's own, and in none of the packages; once it is loaded, \
               /sys/module/ip_vs/parameters/conn_tab_bits says what it took";
    Finding::new(4, "ip_vs.ko", Verdict::NotChecked { why: why.into() })
}

/// The last setting of a file counts.
fn judge(settings: &[Setting], bits: Bits) -> Verdict {
    let shown = |each: &Setting| format!("line {} sets conn_tab_bits={}", each.line, each.value);
    let all = settings.iter().map(shown).collect::<Vec<_>>().join(", then ");
    match settings.last() {
        Some(last) if last.value.parse() == Ok(bits) => Verdict::Holds { evidence: all },
        _ => Verdict::Differs { expected: format!("conn_tab_bits={bits}"), found: all },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_modprobe_reads_counts() {
        for path in ["/etc/modprobe.d/a.conf", "/usr/lib/modprobe.d/x.y.conf", "/lib/modprobe.d/a.conf"] {
            assert!(is_modprobe_d(path), "{path}");
        }
        for path in ["/etc/modprobe.d/a", "/etc/modprobe.d/a.conf.rpmsave", "/etc/modprobe.d/x/a.conf", "/opt/a.conf"] {
            assert!(!is_modprobe_d(path), "{path}");
        }
    }

    #[test]
    fn the_last_setting_counts() {
        let set = |line, value: &str| Setting { line, value: value.to_owned() };
        let bits = Bits::try_from(20).unwrap();
        assert_eq!(judge(&[set(1, "18"), set(2, "20")], bits).holds(), Some(true));
        let wrong = judge(&[set(1, "20"), set(2, "18")], bits);
        assert_eq!(
            wrong.to_string(),
            "DIFFERS: expected conn_tab_bits=20, found line 1 sets conn_tab_bits=20, then line 2 sets conn_tab_bits=18"
        );
        assert_eq!(judge(&[set(1, "0x14")], bits).holds(), Some(false));
        assert_eq!(judge(&[], bits).holds(), Some(false));
    }
}
