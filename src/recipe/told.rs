//! What rpmbuild and mock are told of a family, as a release has it.

use std::collections::BTreeMap;

use regex::Regex;

use super::Recipe;

impl Recipe {
    /// Returns the `--define`s of every build, with the distribution's number as the release tells it.
    #[must_use]
    pub fn defines(&self, release: &str) -> BTreeMap<String, String> {
        let mut defines = self.build.defines.clone();
        if let (Some(name), Some(number)) = (&self.build.number, self.number(release)) {
            defines.insert(name.clone(), number);
        }
        defines
    }

    /// Returns the distribution's number, as the release tells it.
    fn number(&self, release: &str) -> Option<String> {
        let pattern = Regex::new(&format!("^(?:{})$", self.release.dist)).ok()?;
        let found = release.split('.').skip(1).find_map(|part| pattern.captures(part))?;
        found.get(1).map(|number| number.as_str().to_owned())
    }

    /// Returns the chroot of mock that builds a kernel of this release and architecture, if one is known.
    #[must_use]
    pub fn mock(&self, release: &str, arch: &str) -> Option<String> {
        // What mock-core-configs calls them.
        let arch = if arch == "i686" { "i386" } else { arch };
        let named = self.build.mock.as_ref()?.replace("{arch}", arch);
        if named.contains("{number}") { Some(named.replace("{number}", &self.number(release)?)) } else { Some(named) }
    }
}

#[cfg(test)]
mod tests {
    use crate::recipe::builtin;

    #[test]
    fn the_chroot_of_mock_is_that_of_the_release() {
        let mock = |family: &str, release: &str, arch: &str| {
            let recipe = builtin::all().unwrap().into_iter().find(|recipe| recipe.name == family).unwrap();
            recipe.mock(release, arch)
        };
        let of = |family: &str, release: &str| mock(family, release, "x86_64").unwrap_or_default();
        assert_eq!(of("el6", "220.13.1.el6"), "eol/centos-6-x86_64");
        assert_eq!(mock("el6", "220.13.1.el6", "i686").as_deref(), Some("eol/centos-6-i386"));
        assert_eq!(of("el8", "193.28.1.el8_2"), "almalinux-8-x86_64");
        assert_eq!(of("el9", "284.11.1.el9_2"), "almalinux-9-x86_64");
        assert_eq!(of("el10", "55.el10"), "almalinux-10-x86_64");
        assert_eq!(of("fedora", "301.fc41"), "fedora-41-x86_64");
        // mock-core-configs has none for el5 any more, and UEK is built on several releases.
        assert_eq!((of("el5", "308.13.1.el5"), of("uek", "1.el8uek")), (String::new(), String::new()));
    }
}
