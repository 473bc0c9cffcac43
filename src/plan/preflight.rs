//! Whether a machine can build a kernel: everything that would stop a build, or would make it fail after hours, found
//! before it starts and told at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::request::ProfileName;
use crate::recipe::Recipe;

/// What was found out about a machine.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// What the distribution calls itself.
    pub distribution: Option<String>,
    /// Which kind of container it is.
    pub container: Option<String>,
    /// Versions of programs by name, such as `gcc` and `12.2.0`; a missing program has no entry.
    pub versions: BTreeMap<String, String>,
    /// Whether the compiler makes position-independent programs unless it is told not to.
    pub default_pie: bool,
    /// What installs packages, and the names of those that are there.
    pub packages: Option<(String, BTreeSet<String>)>,
    /// The work directory.
    pub work: PathBuf,
    /// Its file system.
    pub room: Option<Room>,
    /// Memory that can still be had, in bytes.
    pub memory: Option<u64>,
    /// Entropy in bits, where it can run out.
    pub entropy: Option<u32>,
    /// Whether only signed kernels start here.
    pub secure_boot: Option<bool>,
    /// Processes that compile at the same time.
    pub jobs: u32,
}

/// A file system to work on.
#[derive(Debug, Clone, Default)]
pub struct Room {
    /// Such as `ext4`.
    pub kind: String,
    /// Bytes left.
    pub free: u64,
    /// Files left; `None` for no limit.
    pub inodes: Option<u64>,
    /// Programs on it cannot be run.
    pub noexec: bool,
    /// `a` and `A` are one file.
    pub folds_case: bool,
}

/// What is known of the kernel that is to be built.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its family.
    pub recipe: &'a Recipe,
    /// Which packages are built.
    pub profile: ProfileName,
    /// The size of its source package in bytes, if that is at hand.
    pub size: Option<u64>,
    /// The plain files of the source package.
    pub texts: &'a BTreeMap<String, Vec<u8>>,
    /// Files of its tree.
    pub tree: &'a BTreeMap<String, Vec<u8>>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// As it should be.
    Fine,
    /// Worth knowing.
    Note,
    /// It may fail.
    Risk,
    /// It will fail.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Finding {
    /// How bad it is.
    pub weight: Weight,
    /// What was looked at, in a word or two.
    pub what: String,
    /// What was found, and expected if that is another thing.
    pub found: String,
    /// What to do: a command, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fine => "ok",
            Self::Note => "note",
            Self::Risk => "risk",
            Self::Problem => "problem",
        })
    }
}

/// What the finding about packages is called.
pub const PACKAGES: &str = "packages";
/// The smallest room in which a build is tried, as a part of what it is estimated to need.
const LEAST: u64 = 4;
/// How many files a kernel's build makes for each megabyte of room: some 130 000 in 10 GB.
const FILES_PER_MEGABYTE: u64 = 13;
/// Below this, gpg of el5 and el6 waits for more when it makes a key.
const ENOUGH_ENTROPY: u32 = 1000;
const MEGABYTE: u64 = 1_000_000;

/// Judges a machine for a build.
#[must_use]
pub fn judge(survey: &Survey, subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = vec![machine(survey), programs(survey), packages(survey, subject.recipe)];
    findings.extend(room(survey, subject));
    findings.extend(memory(survey, subject.recipe));
    findings.extend(entropy(survey, subject));
    findings.extend(era(survey, subject));
    findings.extend(secure_boot(survey));
    findings
}

fn finding(weight: Weight, what: &str, found: String, fix: Option<String>) -> Finding {
    Finding { weight, what: what.to_owned(), found, fix }
}

fn machine(survey: &Survey) -> Finding {
    let name = survey.distribution.as_deref().unwrap_or("a system that does not say its name");
    let within = survey.container.as_deref().map(|kind| format!(", in a container ({kind})")).unwrap_or_default();
    finding(Weight::Fine, "host", format!("{name}{within}"), None)
}

fn programs(survey: &Survey) -> Finding {
    let list: Vec<_> = survey.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    finding(Weight::Fine, "programs", if list.is_empty() { "none".into() } else { list.join(", ") }, None)
}

fn packages(survey: &Survey, recipe: &Recipe) -> Finding {
    let Some((manager, names)) = &survey.packages else {
        let found = "no package manager that is known here: expected apt-get, dnf or yum".into();
        return finding(Weight::Note, PACKAGES, found, None);
    };
    let needed = if manager == "apt-get" { &recipe.requires.apt } else { &recipe.requires.dnf };
    let missing: Vec<&str> = needed.iter().map(String::as_str).filter(|name| !names.contains(*name)).collect();
    if missing.is_empty() {
        return finding(Weight::Fine, PACKAGES, format!("all {} are installed", needed.len()), None);
    }
    let fix = format!("{manager} install -y {}", missing.join(" "));
    finding(Weight::Problem, PACKAGES, format!("missing: {}", missing.join(", ")), Some(fix))
}

fn room(survey: &Survey, subject: &Subject<'_>) -> Vec<Finding> {
    let Some(room) = &survey.room else { return Vec::new() };
    let at = survey.work.display();
    let elsewhere = || Some("--work DIR".to_owned());
    let mut findings = Vec::new();
    if room.noexec {
        let found = format!("{at} is mounted noexec ({}), and a build runs programs that it has made", room.kind);
        findings.push(finding(Weight::Problem, "work directory", found, elsewhere()));
    }
    if room.folds_case {
        let found =
            format!("{at} does not tell `xt_TCPMSS.c` from `xt_tcpmss.c` ({}), and a kernel has both", room.kind);
        findings.push(finding(Weight::Problem, "work directory", found, elsewhere()));
    }
    if room.kind == "tmpfs" {
        let found = format!("{at} is in memory (tmpfs): what is written there is not left for the compiler");
        findings.push(finding(Weight::Note, "work directory", found, None));
    }
    let free = format!("{} free at {at} ({})", megabytes(room.free), room.kind);
    let Some(needed) = needed(subject) else {
        findings.push(finding(Weight::Fine, "room", free, None));
        return findings;
    };
    let found = format!("{free}, about {} needed", megabytes(needed));
    findings.push(match room.free {
        free if free < needed / LEAST => finding(Weight::Problem, "room", found, elsewhere()),
        free if free < needed => finding(Weight::Risk, "room", found, elsewhere()),
        _ => finding(Weight::Fine, "room", found, None),
    });
    let files = needed / MEGABYTE * FILES_PER_MEGABYTE;
    if let Some(inodes) = room.inodes.filter(|inodes| *inodes < files) {
        let found = format!("room for {inodes} files at {at}, about {files} needed");
        let weight = if inodes < files / LEAST { Weight::Problem } else { Weight::Risk };
        findings.push(finding(weight, "inodes", found, elsewhere()));
    }
    findings
}

/// Returns how much room a build needs in bytes: a multiple of its source package, which the recipe knows.
fn needed(subject: &Subject<'_>) -> Option<u64> {
    let factor = subject.recipe.needs.disk.get(subject.profile.name())?;
    Some(subject.size?.saturating_mul(*factor))
}

fn memory(survey: &Survey, recipe: &Recipe) -> Option<Finding> {
    let memory = survey.memory?;
    let needed = u64::from(survey.jobs) * recipe.needs.memory * MEGABYTE;
    let found = format!("{} for {} jobs, about {} needed", megabytes(memory), survey.jobs, megabytes(needed));
    let fits = (memory / (recipe.needs.memory * MEGABYTE)).max(1);
    Some(if memory < needed {
        finding(Weight::Risk, "memory", found, Some(format!("--jobs {fits}")))
    } else {
        finding(Weight::Fine, "memory", found, None)
    })
}

/// Kernels up to el6 make a key for their modules with gpg, which waits for entropy.
fn entropy(survey: &Survey, subject: &Subject<'_>) -> Option<Finding> {
    let entropy = survey.entropy.filter(|entropy| *entropy < ENOUGH_ENTROPY)?;
    genkey(subject)?;
    let found = format!("{entropy} bits of entropy: gpg waits for more when it makes the key that signs the modules");
    Some(finding(Weight::Risk, "entropy", found, Some("rngd -r /dev/urandom".into())))
}

/// Returns the parameters that the spec gives gpg to make a key: a source of its own (`genkey`, 2.6.32-220.13.1).
fn genkey<'a>(subject: &Subject<'a>) -> Option<(&'a str, &'a [u8])> {
    let mut texts = subject.texts.iter();
    texts.find(|(_, text)| contains(text, b"Key-Type:")).map(|(name, text)| (name.as_str(), text.as_slice()))
}

/// What the kernel's own sources say of the tools that are too young for it.
fn era(survey: &Survey, subject: &Subject<'_>) -> Vec<Finding> {
    let Subject { tree, .. } = subject;
    let major = |program: &str| -> Option<u32> { survey.versions.get(program)?.split('.').next()?.parse().ok() };
    let older = || Some("build in a container of the kernel's own release".to_owned());
    let mut findings = Vec::new();
    // include/linux/compiler-gcc.h includes compiler-gccN.h by the compiler's own number (gone in 4.2).
    let known: Vec<u32> = tree
        .keys()
        .filter_map(|path| path.strip_prefix("include/linux/compiler-gcc")?.strip_suffix(".h")?.parse().ok())
        .collect();
    if let (Some(youngest), Some(gcc)) = (known.iter().max(), major("gcc"))
        && !known.contains(&gcc)
    {
        let found = format!("gcc {gcc}, and this kernel knows gcc up to {youngest} (include/linux/compiler-gcc*.h)");
        findings.push(finding(Weight::Problem, "compiler", found, older()));
    }
    let of_arch = ["arch/x86/Makefile", "arch/x86_64/Makefile"].iter().filter_map(|path| tree.get(*path));
    if survey.default_pie
        && of_arch.into_iter().any(|makefile| contains(makefile, b"-mcmodel=kernel"))
        && let Some(makefile) = tree.get("Makefile")
        && ![&b"no-pie"[..], b"no-PIE"].iter().any(|word| contains(makefile, word))
    {
        let found =
            "gcc makes position-independent code unless it is told not to, and this kernel's Makefile does not \
                     tell it: `code model kernel does not support PIC mode`"
                .into();
        findings.push(finding(Weight::Problem, "compiler", found, older()));
    }
    // perl 5.22 made `defined(@array)` an error; kernel/timeconst.pl had it up to 3.8.
    let perl = survey.versions.get("perl").and_then(|version| version.split('.').nth(1)?.parse::<u32>().ok());
    if let (Some(script), Some(22..)) = (tree.get("kernel/timeconst.pl"), perl)
        && contains(script, b"defined(@")
    {
        let found = "kernel/timeconst.pl says `defined(@array)`, which perl refuses since 5.22".into();
        findings.push(finding(Weight::Problem, "perl", found, older()));
    }
    if let (Some((name, text)), Some(2..)) = (genkey(subject), major("gpg"))
        && !contains(text, b"%no-protection")
    {
        let found = format!("`{name}` makes gpg 2 ask for a passphrase, and a build has no terminal to ask at");
        findings.push(finding(Weight::Risk, "gpg", found, older()));
    }
    findings
}

fn secure_boot(survey: &Survey) -> Option<Finding> {
    let found = "Secure Boot is on: kernels and modules that the distribution has not signed do not start on such a \
                 machine unless their key is enrolled there";
    survey.secure_boot?.then(|| finding(Weight::Note, "secure boot", found.into(), None))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn megabytes(bytes: u64) -> String {
    if bytes >= 10_000 * MEGABYTE {
        format!("{} GB", bytes / (1000 * MEGABYTE))
    } else {
        format!("{} MB", bytes / MEGABYTE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::builtin;

    fn el6() -> Recipe {
        builtin::all().unwrap().into_iter().find(|recipe| recipe.name == "el6").unwrap()
    }

    /// A machine on which all is well.
    fn good() -> Survey {
        let versions = [("gcc", "4.4.7"), ("perl", "5.10.1"), ("gpg", "1.4.23"), ("make", "3.81")];
        Survey {
            versions: versions.map(|(name, version)| (name.to_owned(), version.to_owned())).into(),
            packages: Some(("yum".into(), el6().requires.dnf.into_iter().collect())),
            room: Some(Room { kind: "ext4".into(), free: 100_000 * MEGABYTE, ..Room::default() }),
            memory: Some(8000 * MEGABYTE),
            jobs: 2,
            ..Survey::default()
        }
    }

    type Files = BTreeMap<String, Vec<u8>>;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
    }

    fn worst(survey: &Survey, texts: &Files, tree: &Files) -> Vec<(Weight, String)> {
        let recipe = el6();
        let size = Some(80 * MEGABYTE);
        let subject = Subject { recipe: &recipe, profile: ProfileName::Fleet, size, texts, tree };
        let found = judge(survey, &subject).into_iter().filter(|finding| finding.weight > Weight::Note);
        found.map(|finding| (finding.weight, finding.what)).collect()
    }

    fn none() -> Files {
        Files::new()
    }

    #[test]
    fn a_good_machine_has_no_problem() {
        let tree =
            files(&[("include/linux/compiler-gcc4.h", ""), ("kernel/timeconst.pl", "defined(@x)"), ("Makefile", "")]);
        let texts = files(&[("genkey", "Key-Type: DSA\n")]);
        assert_eq!(worst(&good(), &texts, &tree), []);
    }

    #[test]
    fn each_thing_that_stops_a_build_is_found_and_all_at_once() {
        let room = |change: fn(&mut Room)| {
            let mut survey = good();
            change(survey.room.as_mut().unwrap());
            worst(&survey, &none(), &none())
        };
        let problem = |what: &str| vec![(Weight::Problem, what.to_owned())];
        let risk = |what: &str| vec![(Weight::Risk, what.to_owned())];
        assert_eq!(room(|room| room.noexec = true), problem("work directory"));
        assert_eq!(room(|room| room.folds_case = true), problem("work directory"));
        assert_eq!(room(|room| room.free = 100 * MEGABYTE), problem("room"));
        assert_eq!(room(|room| room.free = 5000 * MEGABYTE), risk("room"));
        assert_eq!(room(|room| room.inodes = Some(1000)), problem("inodes"));
        assert_eq!(worst(&Survey { memory: Some(500 * MEGABYTE), ..good() }, &none(), &none()), risk("memory"));
        let bare = Survey { packages: Some(("yum".into(), BTreeSet::new())), ..good() };
        assert_eq!(worst(&bare, &none(), &none()), problem("packages"));
        let all = Survey { memory: Some(1), room: Some(Room { noexec: true, ..Room::default() }), ..bare };
        assert_eq!(worst(&all, &none(), &none()).len(), 4);
    }

    #[test]
    fn what_is_missing_is_installed_by_one_command() {
        let survey = Survey { packages: Some(("dnf".into(), ["gcc", "make"].map(str::to_owned).into())), ..good() };
        let fix = packages(&survey, &el6()).fix.unwrap();
        assert!(fix.starts_with("dnf install -y rpm-build ") && !fix.contains(" gcc "), "{fix}");
    }

    #[test]
    fn tools_that_are_too_young_for_the_kernel_are_told_by_its_own_sources() {
        let mut young = good();
        young.versions = [("gcc", "12.2.0"), ("perl", "5.36.0"), ("gpg", "2.2.40")]
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .into();
        young.default_pie = true;
        let one = |texts: &[(&str, &str)], tree: &[(&str, &str)]| worst(&young, &files(texts), &files(tree));
        assert_eq!(one(&[], &[("include/linux/compiler-gcc4.h", "")]), [(Weight::Problem, "compiler".into())]);
        assert_eq!(one(&[], &[("include/linux/compiler-gcc.h", ""), ("include/linux/compiler-gcc12.h", "")]), []);
        let x86 = ("arch/x86/Makefile", "KBUILD_CFLAGS += -mcmodel=kernel\n");
        assert_eq!(one(&[], &[x86, ("Makefile", "CFLAGS = -O2\n")]), [(Weight::Problem, "compiler".into())]);
        assert_eq!(one(&[], &[("Makefile", "CFLAGS = -O2\n")]), []);
        assert_eq!(one(&[], &[x86, ("Makefile", "KBUILD_CFLAGS += $(call cc-option,-fno-PIE)\n")]), []);
        assert_eq!(one(&[], &[("kernel/timeconst.pl", "if (!defined(@val)) {")]), [(Weight::Problem, "perl".into())]);
        assert_eq!(one(&[("genkey", "%pubring x\nKey-Type: DSA\n")], &[]), [(Weight::Risk, "gpg".into())]);
        assert_eq!(one(&[("genkey", "%no-protection\nKey-Type: DSA\n")], &[]), []);
    }

    #[test]
    fn entropy_matters_where_the_spec_makes_a_key() {
        let survey = Survey { entropy: Some(120), ..good() };
        assert_eq!(
            worst(&survey, &files(&[("genkey", "Key-Type: DSA\n")]), &none()),
            [(Weight::Risk, "entropy".into())]
        );
        assert_eq!(worst(&survey, &none(), &none()), []);
    }
}
