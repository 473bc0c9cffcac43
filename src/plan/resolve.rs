//! From a release name to the places where its source package may be: the recipe's layout of vault and mirrors, the
//! user's own mirrors before them.

use std::fmt;

use super::Error;
use crate::recipe::Recipe;
use crate::rpm::nvr::Nvr;

/// A place to look, and why it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// `https://…`, `http://…` or `file:/…`.
    pub url: String,
    /// Why.
    pub why: String,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  ({})", self.url, self.why)
    }
}

/// A release that a recipe covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The source package.
    pub nvr: Nvr,
    /// Its recipe.
    pub recipe: Recipe,
}

impl Wanted {
    /// Returns the source package's file name.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{}.src.rpm", self.nvr)
    }
}

/// Reads a release as people write it: `2.6.32-220.13.1.el6`, with or without the package's name before it and an
/// architecture (as `uname -r` has it) or `.src.rpm` behind it.
///
/// # Errors
/// It is no version and release, or no recipe covers it.
pub fn wanted(text: &str, recipes: &[Recipe]) -> Result<Wanted, Error> {
    let bad = || Error::NotARelease { text: text.to_owned() };
    let text =
        ["src.rpm", "nosrc.rpm", "rpm"].iter().find_map(|end| text.strip_suffix(&format!(".{end}"))).unwrap_or(text);
    let arches = recipes.iter().flat_map(|recipe| &recipe.arches);
    let text = arches.into_iter().find_map(|arch| text.strip_suffix(&format!(".{arch}"))).unwrap_or(text);
    let (rest, release) = text.rsplit_once('-').ok_or_else(bad)?;
    let (name, version) = rest.rsplit_once('-').map_or((None, rest), |(name, version)| (Some(name), version));
    let plain = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_digit())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+~^".contains(&byte))
    };
    if !plain(version) || !plain(release) {
        return Err(bad());
    }
    let recipe = recipes.iter().find(|recipe| match name {
        Some(name) => recipe.covers(name, release),
        // Without a name it is the distribution's own kernel.
        None => recipe.covers("kernel", release),
    });
    let recipe = recipe.ok_or_else(|| Error::NoFamily { release: text.to_owned() })?.clone();
    let nvr =
        Nvr { name: name.unwrap_or("kernel").to_owned(), version: version.to_owned(), release: release.to_owned() };
    Ok(Wanted { nvr, recipe })
}

/// Returns the places to look in, in order: each mirror with every path of the recipe's layout and with the bare file
/// name, then the recipe's own.
#[must_use]
pub fn candidates(wanted: &Wanted, mirrors: &[String]) -> Vec<Candidate> {
    places(wanted, mirrors, "{srpm}", &wanted.file())
}

/// The places of a file, which URLs have where they say `placeholder`.
fn places(wanted: &Wanted, mirrors: &[String], placeholder: &str, file: &str) -> Vec<Candidate> {
    let filled = |url: &str, point: Option<&String>| filled(&url.replace(placeholder, file), wanted, point);
    let recipe = &wanted.recipe;
    let number = wanted.nvr.release.split('.').next().unwrap_or_default();
    let point = recipe.vault.points.get(number);
    let own: Vec<Candidate> = recipe
        .vault
        .urls
        .iter()
        .filter_map(|url| {
            let why = match point {
                Some(point) => format!("recipe {}: base number {number} is {point}", recipe.name),
                None => format!("recipe {}", recipe.name),
            };
            Some(Candidate { url: filled(url, point)?, why })
        })
        .collect();
    let mut all: Vec<Candidate> = Vec::new();
    for mirror in mirrors {
        let base = mirror.trim_end_matches('/');
        let base = if base.starts_with('/') { format!("file:{base}") } else { base.to_owned() };
        let why = format!("mirror {mirror}");
        if base.contains(placeholder) {
            all.extend(filled(&base, point).map(|url| Candidate { url, why }));
            continue;
        }
        let paths = own.iter().filter_map(|candidate| path(&candidate.url));
        for path in paths.chain([file]) {
            all.push(Candidate { url: format!("{base}/{path}"), why: why.clone() });
        }
    }
    all.extend(own);
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|candidate| seen.insert(candidate.url.clone()));
    all
}

/// Returns the kernel-devel of a kernel: `kernel-devel`, `kernel-lt-devel`, `kernel-uek-devel`.
#[must_use]
pub fn devel(kernel: &Nvr) -> Nvr {
    Nvr { name: format!("{}-devel", kernel.name), ..kernel.clone() }
}

/// Returns the places to look in for the kernel-devel of a release and machine, as [`candidates`] does for its source
/// package.
#[must_use]
pub fn devel_candidates(wanted: &Wanted, arch: &str, mirrors: &[String]) -> Vec<Candidate> {
    let mut recipe = wanted.recipe.clone();
    // Repositories of all 32-bit machines are called i386.
    let base = if arch == "i686" { "i386" } else { arch };
    let filled = |url: &String| url.replace("{arch}", arch).replace("{basearch}", base);
    recipe.vault.urls = recipe.vault.devel.iter().map(filled).collect();
    let file = format!("{}.{arch}.rpm", devel(&wanted.nvr));
    places(&Wanted { recipe, nvr: wanted.nvr.clone() }, mirrors, "{rpm}", &file)
}

/// Returns where the keys that sign a family's source packages may be: on each mirror under the path that they have at the
/// recipe's own place, then there.
#[must_use]
pub fn key_urls(recipe: &Recipe, mirrors: &[String]) -> Vec<String> {
    let servers = mirrors.iter().filter(|mirror| mirror.starts_with("http") && !mirror.contains('{'));
    let on_mirrors = servers.flat_map(|mirror| {
        let paths = recipe.trust.urls.iter().filter_map(|url| path(url));
        paths.map(move |path| format!("{}/{path}", mirror.trim_end_matches('/')))
    });
    on_mirrors.chain(recipe.trust.urls.iter().cloned()).collect()
}

/// Returns the path of a URL, without its server.
fn path(url: &str) -> Option<&str> {
    url.split_once("://")?.1.split_once('/').map(|(_, path)| path)
}

/// Fills in a URL of the recipe; `None` if it needs a point release and there is none.
fn filled(url: &str, wanted: &Wanted, point: Option<&String>) -> Option<String> {
    let Nvr { name, version, release } = &wanted.nvr;
    let mut url = url.replace("{srpm}", &wanted.file()).replace("{name}", name).replace("{version}", version);
    url = url.replace("{release}", release);
    if url.contains("{point}") || url.contains("{minor}") {
        let point = point?;
        let minor = point.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        url = url.replace("{point}", point).replace("{minor}", &minor);
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::builtin;

    fn urls(text: &str, mirrors: &[&str]) -> Vec<String> {
        let mirrors: Vec<String> = mirrors.iter().map(ToString::to_string).collect();
        let wanted = wanted(text, &builtin::all().unwrap()).unwrap();
        candidates(&wanted, &mirrors).into_iter().map(|candidate| candidate.url).collect()
    }

    #[test]
    fn a_release_is_read_as_people_write_it() {
        let recipes = builtin::all().unwrap();
        for text in [
            "2.6.32-220.13.1.el6",
            "kernel-2.6.32-220.13.1.el6",
            "kernel-2.6.32-220.13.1.el6.src.rpm",
            "2.6.32-220.13.1.el6.x86_64",
        ] {
            let wanted = wanted(text, &recipes).unwrap();
            assert_eq!(wanted.file(), "kernel-2.6.32-220.13.1.el6.src.rpm", "{text}");
            assert_eq!(wanted.recipe.name, "el6");
        }
        assert_eq!(wanted("kernel-lt-6.1.59-1.el9.elrepo", &recipes).unwrap().recipe.name, "elrepo");
        assert_eq!(wanted("kernel-uek-5.15.0-206.153.7.el9uek.x86_64", &recipes).unwrap().recipe.name, "uek");
        for bad in ["2.6.32", "el6", "", "-", "2.6.32-", "x-y", "2.6.32-../../etc.el6", "2.6.32-1/2.el6"] {
            assert!(matches!(wanted(bad, &recipes), Err(Error::NotARelease { .. })), "{bad}");
        }
        assert!(matches!(wanted("5.10.0-60.oe1", &recipes), Err(Error::NoFamily { .. })));
    }

    #[test]
    fn updates_before_os_vault_before_archive() {
        assert_eq!(
            urls("2.6.32-220.13.1.el6", &[]),
            [
                "https://vault.centos.org/6.2/updates/Source/SPackages/kernel-2.6.32-220.13.1.el6.src.rpm",
                "https://vault.centos.org/6.2/os/Source/SPackages/kernel-2.6.32-220.13.1.el6.src.rpm",
                "https://archive.kernel.org/centos-vault/6.2/updates/Source/SPackages/kernel-2.6.32-220.13.1.el6.src.rpm",
                "https://archive.kernel.org/centos-vault/6.2/os/Source/SPackages/kernel-2.6.32-220.13.1.el6.src.rpm",
            ]
        );
        assert_eq!(
            urls("2.6.18-308.13.1.el5", &[])[0],
            "https://vault.centos.org/5.8/updates/SRPMS/kernel-2.6.18-308.13.1.el5.src.rpm"
        );
        let el8 = urls("4.18.0-193.28.1.el8_2", &[]);
        assert!(el8[0].starts_with("https://vault.centos.org/8.2.2004/BaseOS/"), "{}", el8[0]);
        assert!(el8.iter().any(|url| url.contains("/rocky/8.2/BaseOS/")), "{el8:?}");
        assert_eq!(
            urls("6.11.4-301.fc41", &[]),
            ["https://kojipkgs.fedoraproject.org/packages/kernel/6.11.4/301.fc41/src/kernel-6.11.4-301.fc41.src.rpm"]
        );
    }

    #[test]
    fn mirrors_come_first_in_every_layout() {
        let file = "kernel-2.6.32-220.13.1.el6.src.rpm";
        let all = urls("2.6.32-220.13.1.el6", &["http://127.0.0.1:1/v/", "/srv/kernels", "http://x/{point}/{srpm}"]);
        assert_eq!(all[0], format!("http://127.0.0.1:1/v/6.2/updates/Source/SPackages/{file}"));
        assert!(all.contains(&format!("http://127.0.0.1:1/v/{file}")));
        assert!(all.contains(&format!("file:/srv/kernels/{file}")));
        let own = all.iter().position(|url| url.starts_with("https://vault")).unwrap();
        assert_eq!(all[own - 1], format!("http://x/6.2/{file}"));
    }

    #[test]
    fn an_unknown_base_number_leaves_what_needs_none() {
        assert_eq!(urls("2.6.32-999.el6", &["http://m"]), ["http://m/kernel-2.6.32-999.el6.src.rpm"]);
    }
}
