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

/// Returns the name under which a package is looked for in the other build: that of the route `module` has the value in its
/// name.
#[must_use]
pub fn name(name: &str) -> String {
    let value = name.strip_prefix("kmod-ip_vs-").and_then(|rest| rest.strip_suffix("bit"));
    match value {
        Some(bits) if !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit()) => {
            "kmod-ip_vs-{bits}bit".into()
        }
        _ => name.to_owned(),
    }
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
        for other in ["kmod-ip_vs-bit", "kmod-ip_vs-xbit", "kmod-20bit", "kernel"] {
            assert_eq!(name(other), other);
        }
    }
}
