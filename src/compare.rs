//! Two builds side by side: what one has and the other has not, with the release taken out of every name. Pure: what is
//! in the packages is read in `proof::inside`.

pub mod release;
mod show;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// One of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Side {
    /// What its manifest says of how it was made, by name; empty if there is none.
    pub facts: BTreeMap<String, String>,
    /// Its packages, by name and architecture.
    pub packages: BTreeMap<String, Package>,
}

/// A package. All paths and texts in it have a placeholder where the release was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Package {
    /// What it is called, and how large it is.
    pub version: Version,
    /// What it provides.
    pub provides: BTreeSet<String>,
    /// What it requires.
    pub requires: BTreeSet<String>,
    /// Its paths, each with what is there: kind, mode, and where a link points.
    pub files: BTreeMap<String, String>,
    /// What was read of its payload; empty if nothing was.
    pub inside: Inside,
}

/// What a package is called, and how large it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Version {
    /// Name, version, release and architecture.
    pub nvra: String,
    /// Version and release, with the epoch if there is one.
    pub evr: String,
    /// Size of the package, in bytes.
    pub compressed: u64,
    /// Size of its files, in bytes.
    pub installed: u64,
}

/// What is in a package, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inside {
    /// The kernel configurations: options and values.
    pub configs: BTreeMap<String, BTreeMap<String, String>>,
    /// The lists of exported symbols: symbols and checksums.
    pub symvers: BTreeMap<String, BTreeMap<String, String>>,
    /// The kernel modules, without the ending of a compression.
    pub modules: BTreeMap<String, Module>,
    /// The digests of all other files, decompressed and without the release.
    pub contents: BTreeMap<String, String>,
}

/// A kernel module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Module {
    /// What it says of itself.
    pub facts: ModuleFacts,
    /// The digests of its sections that a kernel loads, with their relocations, and without the release.
    pub parts: BTreeMap<String, String>,
}

/// What a module says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ModuleFacts {
    /// Its size in bytes, decompressed.
    pub size: u64,
    /// Its vermagic, with a placeholder for the release.
    pub vermagic: String,
}

/// What differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Differences {
    /// How the two were made.
    pub facts: Vec<Pair>,
    /// Packages: one-sided, called otherwise, or of another size.
    pub packages: Vec<PackageChange>,
    /// Options of kernel configurations.
    pub config: Vec<FileChange>,
    /// Exported symbols and their checksums.
    pub symvers: Vec<FileChange>,
    /// Modules: one-sided, of another size, for another kernel, or with other content.
    pub modules: Vec<ModuleChange>,
    /// What packages provide and require.
    pub relations: Vec<RelationChange>,
    /// Paths: one-sided, or something else there.
    pub files: Vec<PathChange>,
    /// Other files with another content, where no more is known of it.
    pub contents: Vec<ContentChange>,
}

/// A value on both sides; nothing where there is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pair {
    /// Of what.
    pub name: String,
    /// In the first build.
    pub a: Option<String>,
    /// In the second.
    pub b: Option<String>,
}

/// A package that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PackageChange {
    /// Its name and architecture.
    pub package: String,
    /// In the first build, if it is there.
    pub a: Option<Version>,
    /// In the second.
    pub b: Option<Version>,
}

/// A file of named values that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FileChange {
    /// The package.
    pub package: String,
    /// The file.
    pub path: String,
    /// The values that differ.
    pub changes: Vec<Pair>,
}

/// A module that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ModuleChange {
    /// The package.
    pub package: String,
    /// The module.
    pub path: String,
    /// In the first build, if it is there.
    pub a: Option<ModuleFacts>,
    /// In the second.
    pub b: Option<ModuleFacts>,
    /// The sections that differ.
    pub parts: Vec<String>,
}

/// What a package has of a kind of relation on one side only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RelationChange {
    /// The package.
    pub package: String,
    /// `provides` or `requires`.
    pub kind: &'static str,
    /// In the first build only.
    pub a: Vec<String>,
    /// In the second only.
    pub b: Vec<String>,
}

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PathChange {
    /// The package.
    pub package: String,
    /// The path.
    pub path: String,
    /// What is there in the first build.
    pub a: Option<String>,
    /// What is there in the second.
    pub b: Option<String>,
}

/// A file with another content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ContentChange {
    /// The package.
    pub package: String,
    /// The file.
    pub path: String,
}

impl Differences {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares two builds.
#[must_use]
pub fn compare(a: &Side, b: &Side) -> Differences {
    let mut found = Differences { facts: pairs(&a.facts, &b.facts), ..Differences::default() };
    for (package, (a, b)) in both(&a.packages, &b.packages) {
        let (one, other) = (a.map(|each| &each.version), b.map(|each| &each.version));
        if one != other {
            let (a, b) = (one.cloned(), other.cloned());
            found.packages.push(PackageChange { package: package.clone(), a, b });
        }
        // Of a package that one side has not, there is nothing more to say.
        if let (Some(a), Some(b)) = (a, b) {
            found.package(package, a, b);
        }
    }
    found
}

impl Differences {
    fn package(&mut self, package: &str, a: &Package, b: &Package) {
        for (kind, a, b) in [("provides", &a.provides, &b.provides), ("requires", &a.requires, &b.requires)] {
            let (a, b): (Vec<_>, Vec<_>) = (a.difference(b).cloned().collect(), b.difference(a).cloned().collect());
            if !(a.is_empty() && b.is_empty()) {
                self.relations.push(RelationChange { package: package.to_owned(), kind, a, b });
            }
        }
        for Pair { name, a, b } in pairs(&a.files, &b.files) {
            self.files.push(PathChange { package: package.to_owned(), path: name, a, b });
        }
        let (a, b) = (&a.inside, &b.inside);
        self.config.extend(values(package, &a.configs, &b.configs));
        self.symvers.extend(values(package, &a.symvers, &b.symvers));
        for (path, (a, b)) in both(&a.modules, &b.modules) {
            if a != b {
                let none = BTreeMap::new();
                let parts = |module: Option<&Module>| module.map_or_else(|| none.clone(), |each| each.parts.clone());
                let parts = match (a, b) {
                    (Some(_), Some(_)) => pairs(&parts(a), &parts(b)).into_iter().map(|pair| pair.name).collect(),
                    _ => Vec::new(),
                };
                let (a, b) = (a.map(|each| each.facts.clone()), b.map(|each| each.facts.clone()));
                self.modules.push(ModuleChange { package: package.to_owned(), path: path.clone(), a, b, parts });
            }
        }
        for (path, sides) in both(&a.contents, &b.contents) {
            // A file that one side has not is among the paths.
            if let (Some(a), Some(b)) = sides
                && a != b
            {
                self.contents.push(ContentChange { package: package.to_owned(), path: path.clone() });
            }
        }
    }
}

/// Returns what differs between files of named values that both sides have.
fn values(
    package: &str,
    a: &BTreeMap<String, BTreeMap<String, String>>,
    b: &BTreeMap<String, BTreeMap<String, String>>,
) -> Vec<FileChange> {
    let mut found = Vec::new();
    for (path, sides) in both(a, b) {
        if let (Some(a), Some(b)) = sides
            && a != b
        {
            found.push(FileChange { package: package.to_owned(), path: path.clone(), changes: pairs(a, b) });
        }
    }
    found
}

/// Returns the values that differ.
fn pairs(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Vec<Pair> {
    let differing = both(a, b).into_iter().filter(|(_, (a, b))| a != b);
    differing.map(|(name, (a, b))| Pair { name: name.clone(), a: a.cloned(), b: b.cloned() }).collect()
}

/// Returns what is in either map, with its value in both.
fn both<'a, V>(
    a: &'a BTreeMap<String, V>,
    b: &'a BTreeMap<String, V>,
) -> BTreeMap<&'a String, (Option<&'a V>, Option<&'a V>)> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    names.into_iter().map(|name| (name, (a.get(name), b.get(name)))).collect()
}

/// Takes a kernel configuration apart: options and values, `n` for `# … is not set`.
#[must_use]
pub fn options(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| {
        let unset = line.strip_prefix("# ").and_then(|rest| rest.strip_suffix(" is not set"));
        unset.map(|symbol| (symbol, "n")).or_else(|| line.split_once('='))
    });
    let options = lines.filter(|(symbol, _)| symbol.starts_with("CONFIG_"));
    options.map(|(symbol, value)| (symbol.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn side(change: impl FnOnce(&mut Package)) -> Side {
        let mut package = Package {
            version: Version { nvra: "kernel-1-1.x86_64".into(), evr: "1-1".into(), compressed: 10, installed: 20 },
            provides: ["kernel = {release}".into()].into(),
            requires: ["kernel-firmware >= {release}".into()].into(),
            files: map(&[("/boot/vmlinuz-{release}", "file 755")]),
            inside: Inside {
                configs: [("/boot/config".into(), map(&[("CONFIG_A", "y"), ("CONFIG_B", "n")]))].into(),
                symvers: [("/boot/symvers".into(), map(&[("printk", "0x1")]))].into(),
                modules: [("ip_vs.ko".into(), Module { parts: map(&[(".text", "1")]), ..Module::default() })].into(),
                contents: map(&[("/boot/vmlinuz-{release}", "1")]),
            },
        };
        change(&mut package);
        Side { facts: map(&[("bits", "20")]), packages: [("kernel.x86_64".into(), package)].into() }
    }

    #[test]
    fn the_same_twice_does_not_differ() {
        let same = side(|_| ());
        assert!(compare(&same, &same).is_empty());
        assert!(compare(&Side::default(), &Side::default()).is_empty());
    }

    #[test]
    fn each_kind_of_difference_is_found_and_nothing_beside_it() {
        let one = side(|_| ());
        let found = |change: fn(&mut Package)| {
            let found = compare(&one, &side(change));
            assert!(!found.is_empty());
            let json = serde_json::to_value(found).unwrap();
            let filled = json.as_object().unwrap().iter().filter(|(_, list)| !list.as_array().unwrap().is_empty());
            let filled: Vec<_> = filled.map(|(name, list)| format!("{name} {list}")).collect();
            filled.join("\n")
        };
        assert_eq!(
            found(|package| package.version.compressed = 11),
            "packages [{\"package\":\"kernel.x86_64\",\
             \"a\":{\"nvra\":\"kernel-1-1.x86_64\",\"evr\":\"1-1\",\"compressed\":10,\"installed\":20},\
             \"b\":{\"nvra\":\"kernel-1-1.x86_64\",\"evr\":\"1-1\",\"compressed\":11,\"installed\":20}}]"
        );
        assert_eq!(
            found(|package| {
                package.inside.configs.insert("/boot/config".into(), map(&[("CONFIG_A", "y"), ("CONFIG_C", "1")]));
            }),
            "config [{\"package\":\"kernel.x86_64\",\"path\":\"/boot/config\",\"changes\":[\
             {\"name\":\"CONFIG_B\",\"a\":\"n\",\"b\":null},{\"name\":\"CONFIG_C\",\"a\":null,\"b\":\"1\"}]}]"
        );
        assert_eq!(
            found(|package| package.inside.symvers = [("/boot/symvers".into(), map(&[("printk", "0x2")]))].into()),
            "symvers [{\"package\":\"kernel.x86_64\",\"path\":\"/boot/symvers\",\"changes\":[\
             {\"name\":\"printk\",\"a\":\"0x1\",\"b\":\"0x2\"}]}]"
        );
        assert_eq!(
            found(|package| {
                let module = package.inside.modules.get_mut("ip_vs.ko").unwrap();
                module.parts = map(&[(".text", "2")]);
            }),
            "modules [{\"package\":\"kernel.x86_64\",\"path\":\"ip_vs.ko\",\
             \"a\":{\"size\":0,\"vermagic\":\"\"},\"b\":{\"size\":0,\"vermagic\":\"\"},\"parts\":[\".text\"]}]"
        );
        assert_eq!(
            found(|package| package.requires = ["x".into()].into()),
            "relations [{\"package\":\"kernel.x86_64\",\"kind\":\"requires\",\
             \"a\":[\"kernel-firmware >= {release}\"],\"b\":[\"x\"]}]"
        );
        assert_eq!(
            found(|package| package.files.extend(map(&[("/new", "file 644")]))),
            "files [{\"package\":\"kernel.x86_64\",\"path\":\"/new\",\"a\":null,\"b\":\"file 644\"}]"
        );
        assert_eq!(
            found(|package| package.inside.contents = map(&[("/boot/vmlinuz-{release}", "2")])),
            "contents [{\"package\":\"kernel.x86_64\",\"path\":\"/boot/vmlinuz-{release}\"}]"
        );
    }

    #[test]
    fn one_sided_packages_are_named_and_not_gone_through() {
        let found = compare(&side(|_| ()), &Side::default());
        assert_eq!(found.packages.len(), 1);
        assert_eq!(found.packages[0].b, None);
        assert_eq!(found.facts, [Pair { name: "bits".into(), a: Some("20".into()), b: None }]);
        assert!(found.files.is_empty() && found.contents.is_empty());
    }

    #[test]
    fn configurations_are_taken_apart() {
        let text = "# x86_64\n#\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"a=b\"\nMORE=1\n";
        assert_eq!(options(text), map(&[("CONFIG_A", "y"), ("CONFIG_B", "n"), ("CONFIG_C", "\"a=b\"")]));
    }
}
