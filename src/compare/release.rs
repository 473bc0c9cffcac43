//! Releases taken out of names and contents, so that two builds that differ in little look alike in the rest.

use regex::bytes::Regex;

use crate::rpm::nvr::Nvr;

/// What stands where version and release stood.
pub const PLACEHOLDER: &str = "{release}";
/// A release as short as `1` is everywhere; nothing shorter than this is replaced by itself.
const SHORTEST: usize = 8;

/// The releases of one build.
#[derive(Debug, Clone, Default)]
pub struct Releases {
    /// Matches any of them; nothing if there is none that can be told.
    pattern: Option<Regex>,
}

impl Releases {
    /// Takes the names of all packages of a build.
    #[must_use]
    pub fn new<'a>(packages: impl IntoIterator<Item = &'a Nvr>) -> Self {
        let mut words: Vec<String> = Vec::new();
        for nvr in packages {
            words.push(format!("{}-{}", nvr.version, nvr.release));
            // As `EXTRAVERSION` in a Makefile has it.
            words.push(nvr.release.clone());
        }
        words.retain(|word| word.len() >= SHORTEST);
        words.sort_by(|a, b| (b.len(), a).cmp(&(a.len(), b)));
        words.dedup();
        if words.is_empty() {
            return Self::default();
        }
        let any = words.iter().map(|word| regex::escape(word)).collect::<Vec<_>>().join("|");
        // Escaped words always make a pattern, and one of a few dozen is not too large.
        Self { pattern: Regex::new(&any).ok() }
    }

    /// Returns bytes with a placeholder for every release.
    #[must_use]
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> std::borrow::Cow<'a, [u8]> {
        match &self.pattern {
            Some(pattern) => pattern.replace_all(bytes, PLACEHOLDER.as_bytes()),
            None => bytes.into(),
        }
    }

    /// Returns a text with a placeholder for every release.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }
}

/// How the package of the route `module` is called, before and after the value.
const MODULE: (&str, &str) = ("kmod-ip_vs-", "bit");

/// Returns a text with a placeholder for the value in the name of the route `module`'s package: packages of two values are
/// the same package.
#[must_use]
pub fn name(text: &str) -> String {
    let (before, after) = MODULE;
    let mut parts = text.split(before);
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let has_value = rest.len() < part.len() && rest.starts_with(after);
        name.push_str(before);
        name.push_str(if has_value { "{bits}" } else { "" });
        name.push_str(if has_value { rest } else { part });
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nvr(name: &str, version: &str, release: &str) -> Nvr {
        Nvr { name: name.into(), version: version.into(), release: release.into() }
    }

    #[test]
    fn releases_go_wherever_they_stand() {
        let packages = [nvr("kernel", "2.6.32", "220.el6.ipvs_20bit"), nvr("bpftool", "7.0.0", "220.el6.ipvs_20bit")];
        let releases = Releases::new(&packages);
        for (text, expected) in [
            ("/boot/config-2.6.32-220.el6.ipvs_20bit.x86_64", "/boot/config-{release}.x86_64"),
            ("/lib/modules/2.6.32-220.el6.ipvs_20bitdebug/x", "/lib/modules/{release}debug/x"),
            ("/usr/lib/debug/bpftool-7.0.0-220.el6.ipvs_20bit.debug", "/usr/lib/debug/bpftool-{release}.debug"),
            ("EXTRAVERSION = -220.el6.ipvs_20bit", "EXTRAVERSION = -{release}"),
            ("/boot/config-2.6.32-220.el6.x86_64", "/boot/config-2.6.32-220.el6.x86_64"),
        ] {
            assert_eq!(releases.text(text), expected);
        }
        assert_eq!(&*releases.bytes(b"\xff\x00220.el6.ipvs_20bit\x00"), b"\xff\x00{release}\x00");
    }

    #[test]
    fn what_is_too_short_stays() {
        let releases = Releases::new(&[nvr("ipvs-conn-tab-bits", "20", "1")]);
        assert_eq!(releases.text("/x/20-1"), "/x/20-1");
        assert_eq!(Releases::new([]).text("x"), "x");
    }

    #[test]
    fn packages_of_other_values_are_the_same_package() {
        assert_eq!(name("kmod-ip_vs-20bit"), name("kmod-ip_vs-8bit"));
        assert_eq!(name("/doc/kmod-ip_vs-20bit-2.6.32/README"), "/doc/kmod-ip_vs-{bits}bit-2.6.32/README");
        assert_eq!(name("kmod-ip_vs-20bit(x86-64) = 1"), "kmod-ip_vs-{bits}bit(x86-64) = 1");
        for other in ["kmod-ip_vs-bit", "kmod-ip_vs-xbit", "kmod-20bit", "kernel"] {
            assert_eq!(name(other), other);
        }
    }
}
