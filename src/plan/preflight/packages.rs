//! What has to be installed: programs that the plan takes, and what the spec at hand names as `BuildRequires`.

use std::collections::BTreeSet;
use std::fmt;

use super::{Finding, Installed, PROGRAMS, Subject, Survey, Weight};
use crate::recipe::packages::{Packages, is_debian};

/// What findings about packages are called.
const PACKAGES: &str = "packages";
/// Packages whose program has the same name: one on PATH counts, wherever it comes from.
pub const NAMESAKES: [&str; 12] =
    ["bc", "bison", "bzip2", "cpio", "flex", "gawk", "gcc", "git", "m4", "make", "patch", "rsync"];

/// The command that installs everything that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    /// `apt-get`, `dnf` or `yum`.
    pub manager: String,
    /// Whether `apt-get update` has to come first.
    pub update: bool,
    /// The packages.
    pub packages: Vec<String>,
}

impl Install {
    /// Returns the commands, each as program and arguments.
    #[must_use]
    pub fn commands(&self) -> Vec<Vec<String>> {
        let update = self.update.then(|| vec![self.manager.clone(), "update".to_owned()]);
        // What packages only recommend is a gigabyte and more on Debian: xmlto and asciidoc bring TeX.
        let bare = is_debian(&self.manager).then_some("--no-install-recommends");
        let words = [&self.manager, "install", "-y"].into_iter().chain(bare).map(str::to_owned);
        update.into_iter().chain([words.chain(self.packages.iter().cloned()).collect()]).collect()
    }
}

impl fmt::Display for Install {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |word: &String| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._:/".contains(&byte));
        let quoted = |word: &String| if plain(word) { word.clone() } else { format!("'{word}'") };
        let lines = self
            .commands()
            .iter()
            .map(|words| words.iter().map(quoted).collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>();
        f.write_str(&lines.join(" && "))
    }
}

/// What is missing, sorted by how much that matters.
#[derive(Debug, Default)]
struct Missing {
    /// A build without it fails.
    needed: BTreeSet<String>,
    /// Most builds do without it.
    wished: BTreeSet<String>,
    /// Names in `BuildRequires` of which it is not known what they are here.
    strange: BTreeSet<String>,
    /// Packages that were looked for.
    looked_for: usize,
}

/// Judges programs and packages; returns the one command that brings all that is missing, too.
pub(super) fn judge(survey: &Survey, subject: &Subject<'_>) -> (Vec<Finding>, Option<Install>) {
    let not_found = (!subject.missing.is_empty()).then(|| {
        let names: Vec<_> = subject.missing.iter().map(|name| format!("`{name}`")).collect();
        format!("not found on PATH: {}", names.join(", "))
    });
    let Some(installed) = &survey.packages else {
        let mut findings: Vec<Finding> = not_found
            .map(|found| Finding::new(Weight::Problem, PROGRAMS, found, Some(on_both(subject.missing))))
            .into_iter()
            .collect();
        let found = "no package manager that is known here: expected apt-get, dnf or yum".into();
        findings.push(Finding::new(Weight::Note, PACKAGES, found, None));
        return (findings, None);
    };
    let names = Packages::of(&installed.manager);
    let missing = missing(survey, installed, names, subject);
    let of_programs = subject.missing.iter().flat_map(|program| names.of_program(program)).cloned();
    let packages: BTreeSet<String> =
        of_programs.chain(missing.needed.iter().cloned()).chain(missing.wished.iter().cloned()).collect();
    let install = (!packages.is_empty()).then(|| Install {
        manager: installed.manager.clone(),
        update: installed.stale,
        packages: packages.into_iter().collect(),
    });
    let fix = install.as_ref().map(ToString::to_string);
    let mut findings = Vec::new();
    if let Some(found) = not_found {
        findings.push(Finding::new(Weight::Problem, PROGRAMS, found, fix.clone()));
    }
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    let Missing { needed, wished, strange, looked_for } = &missing;
    if !needed.is_empty() {
        findings.push(Finding::new(Weight::Problem, PACKAGES, format!("missing: {}", list(needed)), fix.clone()));
    }
    if !wished.is_empty() {
        let found = format!("missing, and the build may do without: {}", list(wished));
        findings.push(Finding::new(Weight::Note, PACKAGES, found, fix));
    }
    if needed.is_empty() && wished.is_empty() {
        let found = match looked_for {
            0 => "none is needed beside the programs".to_owned(),
            1 => "the one that is needed is installed".to_owned(),
            count => format!("all {count} are installed"),
        };
        findings.push(Finding::new(Weight::Fine, PACKAGES, found, None));
    }
    if !strange.is_empty() {
        let found = format!("BuildRequires that have no package of Debian's are not looked for: {}", list(strange));
        findings.push(Finding::new(Weight::Note, PACKAGES, found, None));
    }
    (findings, install)
}

fn missing(survey: &Survey, installed: &Installed, names: &Packages, subject: &Subject<'_>) -> Missing {
    let debian = is_debian(&installed.manager);
    let there = |package: &String| {
        installed.names.contains(package)
            || (NAMESAKES.contains(&package.as_str()) && survey.programs.contains(package))
            || (package == "rpm" && survey.programs.contains("rpmbuild"))
    };
    let mut missing = Missing::default();
    let add = |package: &String, needed: bool, missing: &mut Missing| {
        missing.looked_for += 1;
        if !there(package) {
            if needed { &mut missing.needed } else { &mut missing.wished }.insert(package.clone());
        }
    };
    if !subject.is_kernel() {
        return missing;
    }
    let known = if debian { &subject.recipe.requires.apt } else { &subject.recipe.requires.dnf };
    match subject.requires {
        // No spec is at hand: the recipe's word.
        None => known.iter().for_each(|package| add(package, true, &mut missing)),
        // rpmbuild refuses a build without any of these itself, but only after the source package was laid out.
        Some(required) if !debian => {
            let names = required.iter().filter(|name| !name.starts_with(['/', '(']));
            names.collect::<BTreeSet<_>>().into_iter().for_each(|name| add(name, true, &mut missing));
        }
        // rpmbuild gets --nodeps. What the recipe knows that a build runs is needed if the spec says so, too.
        Some(required) => {
            let mut of_spec = BTreeSet::new();
            for name in required {
                match names.required(name) {
                    Some(packages) => of_spec.extend(packages.iter()),
                    None => {
                        missing.strange.insert(name.clone());
                    }
                }
            }
            // Without these there is no kernel, whatever a spec says.
            let compiler = names.of_program("gcc").iter().chain(names.of_program("make"));
            let needed: BTreeSet<&String> =
                compiler.chain(of_spec.iter().copied().filter(|name| known.contains(name))).collect();
            for package in &needed {
                add(package, true, &mut missing);
            }
            // Of what the recipe knows, a spec may leave out what its distribution always has.
            let of_both: BTreeSet<&String> = of_spec.iter().copied().chain(known).collect();
            let wished = of_both.into_iter().filter(|name| !needed.contains(name));
            wished.for_each(|package| add(package, false, &mut missing));
        }
    }
    missing
}

/// Names the packages that bring programs, on both kinds of host.
pub(in crate::plan) fn on_both(programs: &[String]) -> String {
    let all = |manager: &str| {
        let names = Packages::of(manager);
        let packages: BTreeSet<&str> =
            programs.iter().flat_map(|program| names.of_program(program)).map(String::as_str).collect();
        packages.into_iter().collect::<Vec<_>>().join(" ")
    };
    format!("install with `apt-get install {}` (Debian) or `dnf install {}` (EL)", all("apt-get"), all("dnf"))
}
