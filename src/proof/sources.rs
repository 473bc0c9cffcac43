//! Level 1 on a source package: the edited files are what was planned, and every other file is the distribution's.

use std::collections::BTreeMap;

use super::{Finding, Verdict};

/// Why the levels from 2 on say nothing of a source package.
const NOT_BUILT: &str = "a source package was asked for";

/// What is looked at by the levels that need a build.
const LATER: [(u8, &str); 4] =
    [(2, "the configs that %prep resolves"), (3, "the configs in the packages"), (4, "ip_vs.ko"), (5, "a boot")];

/// Compares a source package with the plan and with the distribution's own: each by file name and SHA-256. `planned` are the
/// edited files.
#[must_use]
pub fn examine(
    planned: &BTreeMap<String, String>,
    original: &BTreeMap<String, String>,
    made: &BTreeMap<String, String>,
) -> Vec<Finding> {
    let level_1 = |file: &str, verdict| Finding::new(1, format!("{file} in the source package"), verdict);
    let mut findings: Vec<Finding> =
        planned.iter().map(|(file, sha256)| level_1(file, compared(sha256, made.get(file), "as planned"))).collect();
    let kept = original.iter().filter(|(file, _)| !planned.contains_key(*file));
    let mut same = 0_usize;
    for (file, sha256) in kept {
        match compared(sha256, made.get(file), "") {
            Verdict::Holds { .. } => same += 1,
            differs => findings.push(level_1(file, differs)),
        }
    }
    let strange = made.keys().filter(|file| !original.contains_key(*file));
    findings.extend(strange.map(|file| {
        let (expected, found) = ("no such file".to_owned(), "a file that the distribution's has not".to_owned());
        level_1(file, Verdict::Differs { expected, found })
    }));
    let evidence = format!("{same} files as in the distribution's own");
    findings.push(Finding::new(1, "all else in the source package", Verdict::Holds { evidence }));
    findings
}

/// What is not checked before somebody builds it.
#[must_use]
pub fn later() -> Vec<Finding> {
    LATER.map(|(level, what)| Finding::new(level, what, Verdict::NotChecked { why: NOT_BUILT.into() })).into()
}

fn compared(expected: &str, found: Option<&String>, how: &str) -> Verdict {
    match found {
        Some(found) if found == expected => Verdict::Holds { evidence: format!("sha256 {found}, {how}") },
        Some(found) => Verdict::Differs { expected: format!("sha256 {expected}"), found: format!("sha256 {found}") },
        None => Verdict::Differs { expected: format!("sha256 {expected}"), found: "no such file".into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned())).collect()
    }

    #[test]
    fn edited_files_are_compared_with_the_plan_and_all_others_with_the_distribution() {
        let original = files(&[("config", "old"), ("kernel.spec", "old"), ("linux.tar", "a"), ("x.patch", "b")]);
        let planned = files(&[("config", "new"), ("kernel.spec", "new")]);
        let made = |list: &[(&str, &str)]| {
            let mut made = original.clone();
            made.extend(planned.clone());
            made.extend(files(list));
            made
        };
        let wrong = |made: &BTreeMap<String, String>| -> Vec<String> {
            let found = examine(&planned, &original, made);
            found.into_iter().filter(|each| each.verdict.holds() != Some(true)).map(|each| each.subject).collect()
        };
        assert_eq!(wrong(&made(&[])), [""; 0]);
        assert!(
            examine(&planned, &original, &made(&[]))[2].to_string().contains("2 files as in the distribution's own")
        );
        assert_eq!(wrong(&made(&[("config", "old")])), ["config in the source package"]);
        assert_eq!(wrong(&made(&[("linux.tar", "c")])), ["linux.tar in the source package"]);
        assert_eq!(wrong(&made(&[("evil.patch", "d")])), ["evil.patch in the source package"]);
        let mut without = made(&[]);
        without.remove("x.patch");
        assert_eq!(wrong(&without), ["x.patch in the source package"]);
    }

    #[test]
    fn nothing_beyond_level_1_is_claimed() {
        assert_eq!(later().iter().map(|each| each.level).collect::<Vec<_>>(), [2, 3, 4, 5]);
        assert!(later().iter().all(|each| each.verdict.holds().is_none()));
    }
}
