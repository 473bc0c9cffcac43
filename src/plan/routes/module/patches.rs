//! The patches of a source package that change IPVS: in the order in which the spec applies them, or a refusal.
//!
//! The spec is not run. What it does to a patch is read from its lines: `%patchN`, `%patch -P N`, `ApplyPatch FILE`,
//! `ApplyOptionalPatch FILE` (el5 to Fedora have their own shell functions of these names), and what takes all patches
//! (`%autosetup`, `%autopatch`, `git am %{patches}`).

use std::collections::BTreeMap;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::super::super::step::Bytes;
use super::Error;
use crate::edit::diff::{self, Diff};
use crate::ipvs::module::is_source;

/// The part of a patch that changes IPVS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Applied {
    /// The patch's file name in the source package.
    pub name: String,
    /// Directories to take off its paths: `patch -pN`.
    pub strip: usize,
    /// Whether it is undone instead (`-R`).
    pub reverse: bool,
    /// Who says so: spec and line.
    pub by: String,
    /// The files that it changes.
    pub changes: Vec<String>,
    /// The part itself.
    pub text: Bytes,
}

/// What is done with the patches that change IPVS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patches {
    /// Those that the spec applies, in its order.
    pub applied: Vec<Applied>,
    /// Lines about them: conditions, and patches that the spec leaves out.
    pub notes: Vec<String>,
}

/// A line of the spec that applies patches.
struct Application {
    line: usize,
    /// Whether the line is a comment: the patch is there and not applied.
    comment: bool,
    /// Whether it stands in a `%if`.
    conditional: bool,
    what: What,
    strip: usize,
    reverse: bool,
}

enum What {
    Number(String),
    File(String),
    All,
}

/// Finds which of the patches the spec applies, and how. `specs` are the spec and what it includes, by name; `patches`
/// those that may change IPVS.
///
/// # Errors
/// No line of the spec says anything of a patch, or a patch renames files of IPVS.
pub(super) fn find(specs: &BTreeMap<&str, String>, patches: &BTreeMap<String, Vec<u8>>) -> Result<Patches, Error> {
    let tags: Vec<(String, String)> = specs.values().flat_map(|text| tags(text)).collect();
    let lines: Vec<(&str, Application)> = specs
        .iter()
        .flat_map(|(spec, text)| applications(text).into_iter().map(move |application| (*spec, application)))
        .collect();
    let mut found = Vec::new();
    let mut notes = Vec::new();
    for (name, text) in patches {
        let diff = diff::parse(text);
        if touched(&diff, 1).is_empty()
            && touched(&diff, 0).is_empty()
            && !diff.moved.iter().any(|path| is_source(path))
        {
            continue;
        }
        if let Some(path) = diff.moved.iter().find(|path| is_source(path)) {
            return Err(Error::Rename { patch: name.clone(), path: path.clone() });
        }
        let numbers: Vec<&String> =
            tags.iter().filter(|(_, file)| is_named(file, name)).map(|(number, _)| number).collect();
        let mine = |application: &&(&str, Application)| match &application.1.what {
            What::All => !numbers.is_empty(),
            What::Number(number) => numbers.contains(&number),
            What::File(file) => is_named(file, name),
        };
        let Some((spec, line)) =
            lines.iter().filter(mine).find(|(_, line)| !line.comment).or_else(|| lines.iter().find(mine))
        else {
            let spec = specs.keys().next().copied().unwrap_or_default().to_owned();
            return Err(Error::Unapplied { patch: name.clone(), spec });
        };
        let by = format!("`{spec}`, line {}", line.line);
        let changes = touched(&diff, line.strip);
        if changes.is_empty() {
            notes.push(format!("`{name}` changes nothing of IPVS with -p{}, as {by} applies it", line.strip));
            continue;
        }
        if line.comment {
            notes.push(format!("`{name}` changes {} and is not applied: {by} is a comment", changes.join(", ")));
            continue;
        }
        if line.conditional {
            notes.push(format!("`{name}` is applied, as {by} says under a condition that is taken to hold"));
        }
        let order = numbers.first().and_then(|number| number.parse::<u64>().ok()).unwrap_or(u64::MAX);
        let applied = Applied {
            name: name.clone(),
            strip: line.strip,
            reverse: line.reverse,
            by,
            changes: changes.iter().map(ToString::to_string).collect(),
            text: Bytes::new(part(text, &diff, line.strip)),
        };
        found.push(((line.line, order), applied));
    }
    found.sort_by_key(|(order, _)| *order);
    Ok(Patches { applied: found.into_iter().map(|(_, applied)| applied).collect(), notes })
}

/// The files of IPVS that a diff changes.
fn touched(diff: &Diff, strip: usize) -> Vec<&str> {
    diff.sections.iter().filter_map(|section| section.path(strip)).filter(|path| is_source(path)).collect()
}

/// The part of a diff that changes IPVS.
fn part(text: &[u8], diff: &Diff, strip: usize) -> Vec<u8> {
    let ours = diff.sections.iter().filter(|section| section.path(strip).is_some_and(is_source));
    ours.filter_map(|section| text.get(section.range.clone())).flatten().copied().collect()
}

/// `Patch12: linux-2.6-x.patch`: numbers and file names. A tag without a number counts on from the one before.
fn tags(spec: &str) -> Vec<(String, String)> {
    let Ok(pattern) = Regex::new(r"(?mi)^Patch(\d*)\s*:\s*(\S+)") else { return Vec::new() };
    let mut next: u64 = 0;
    pattern
        .captures_iter(spec)
        .filter_map(|found| {
            let number: u64 = found.get(1)?.as_str().parse().unwrap_or(next);
            next = number + 1;
            let file = found.get(2)?.as_str();
            Some((number.to_string(), file.rsplit('/').next().unwrap_or(file).to_owned()))
        })
        .collect()
}

/// Whether a name in the spec, which may have macros in it, is that of a file.
fn is_named(written: &str, file: &str) -> bool {
    let written = written.rsplit('/').next().unwrap_or(written).trim_matches('"');
    let Ok(macros) = Regex::new(r"%\\?\{[^}]*\}|%\w+|\$\\?\{[^}]*\}|\$\w+") else { return written == file };
    let mut pattern = String::from("^");
    let mut last = 0;
    for found in macros.find_iter(written) {
        pattern.push_str(&regex::escape(written.get(last..found.start()).unwrap_or_default()));
        pattern.push_str(".+");
        last = found.end();
    }
    pattern.push_str(&regex::escape(written.get(last..).unwrap_or_default()));
    pattern.push('$');
    // A name that is nothing but a variable says nothing.
    pattern != "^.+$" && Regex::new(&pattern).is_ok_and(|pattern| pattern.is_match(file))
}

/// Returns the lines that apply patches.
fn applications(spec: &str) -> Vec<Application> {
    let mut depth: usize = 0;
    let mut all = Vec::new();
    for (index, whole) in spec.lines().enumerate() {
        let bare = whole.trim_start();
        let comment = bare.starts_with('#');
        let line = bare.trim_start_matches(['#', ' ', '\t']);
        let first = line.split_whitespace().next().unwrap_or_default();
        match first {
            "%if" | "%ifarch" | "%ifnarch" | "%ifos" | "%ifnos" if !comment => depth += 1,
            "%endif" if !comment => depth = depth.saturating_sub(1),
            _ => {}
        }
        let Some((what, default)) = what(line, first) else { continue };
        let mut words = line.split_whitespace();
        let strip = words
            .clone()
            .find_map(|word| word.strip_prefix("-p").filter(|rest| !rest.is_empty())?.parse().ok())
            .unwrap_or(default);
        let reverse = words.any(|word| word == "-R");
        all.push(Application { line: index + 1, comment, conditional: depth > 0, what, strip, reverse });
    }
    all
}

/// What a line applies, and how many directories are taken off if it does not say so.
fn what(line: &str, first: &str) -> Option<(What, usize)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if matches!(first, "ApplyPatch" | "ApplyOptionalPatch") {
        // Their own default is in `patch_command='patch -p1 …'`.
        return Some((What::File((*words.get(1)?).to_owned()), 1));
    }
    if matches!(first, "%autosetup" | "%autopatch") {
        return Some((What::All, 0));
    }
    if line.contains("git am") && line.contains("%{patches}") {
        return Some((What::All, 1));
    }
    let rest = first.strip_prefix("%patch")?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(rest) {
        return Some((What::Number(rest.to_owned()), 0));
    }
    if !rest.is_empty() {
        return None;
    }
    let glued = words.iter().find_map(|word| word.strip_prefix("-P").filter(|number| digits(number)));
    let after = words.iter().position(|word| *word == "-P").and_then(|at| words.get(at + 1));
    let bare = words.get(1).filter(|word| digits(word));
    let number = glued.or(after.copied()).or(bare.copied()).filter(|number| digits(number)).unwrap_or("0");
    Some((What::Number(number.trim_start_matches('0').to_owned()).normal(), 0))
}

impl What {
    /// `%patch -P 0` is patch 0.
    fn normal(self) -> Self {
        match self {
            Self::Number(number) if number.is_empty() => Self::Number("0".into()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(path: &str) -> Vec<u8> {
        format!(
            "--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-old\n+new\n--- a/mm/x.c\n+++ b/mm/x.c\n@@ -1 +1 @@\n-a\n+b\n"
        )
        .into_bytes()
    }

    fn found(spec: &str, names: &[&str]) -> Result<Patches, Error> {
        let patches = names.iter().map(|name| ((*name).to_owned(), patch("net/netfilter/ipvs/ip_vs_conn.c"))).collect();
        find(&BTreeMap::from([("kernel.spec", spec.to_owned())]), &patches)
    }

    #[track_caller]
    fn order(spec: &str, names: &[&str]) -> Vec<(String, usize)> {
        found(spec, names).unwrap().applied.into_iter().map(|each| (each.name, each.strip)).collect()
    }

    #[test]
    fn the_specs_order_counts_not_the_files() {
        let spec = "Patch1: a.patch\nPatch2: b.patch\n%prep\n%patch2 -p1\n%patch1 -p0 -b .a\n";
        assert_eq!(
            order(&spec.replace("-p0", "-p1"), &["a.patch", "b.patch"]),
            [("b.patch".into(), 1), ("a.patch".into(), 1)]
        );
        let newer = "Patch: a.patch\nPatch: b.patch\n%prep\n%patch -P 1 -p1\n%patch -P0 -p1\n";
        assert_eq!(order(newer, &["a.patch", "b.patch"]), [("b.patch".into(), 1), ("a.patch".into(), 1)]);
        let el6 = "Patch1: b.patch\nPatch9: a-%{rpmversion}.patch\n%prep\nApplyPatch a-%{rpmversion}.patch\nApplyOptionalPatch b.patch\n";
        assert_eq!(order(el6, &["a-2.6.32.patch", "b.patch"]), [("a-2.6.32.patch".into(), 1), ("b.patch".into(), 1)]);
        let git = "Patch2: a.patch\nPatch1: b.patch\n%prep\ngit am %{patches}\n";
        assert_eq!(order(git, &["a.patch", "b.patch"]), [("b.patch".into(), 1), ("a.patch".into(), 1)]);
        assert_eq!(order("Patch2: a.patch\n%prep\n%autosetup -p1 -n x\n", &["a.patch"]), [("a.patch".into(), 1)]);
    }

    #[test]
    fn only_the_part_that_changes_ipvs_is_taken() {
        let all = found("Patch1: a.patch\n%prep\n%patch1 -p1 -R\n", &["a.patch"]).unwrap();
        let [applied] = all.applied.as_slice() else { panic!("{all:?}") };
        assert!(applied.reverse && applied.by == "`kernel.spec`, line 3", "{applied:?}");
        assert_eq!(applied.changes, ["net/netfilter/ipvs/ip_vs_conn.c"]);
        let text = String::from_utf8(applied.text.to_vec()).unwrap();
        assert!(text.contains("+new") && !text.contains("mm/x.c"), "{text}");
        let mm = BTreeMap::from([("m.patch".to_owned(), patch("mm/y.c"))]);
        assert_eq!(find(&BTreeMap::from([("s", String::new())]), &mm).unwrap(), Patches::default());
    }

    #[test]
    fn none_is_ignored_without_a_word() {
        let error = found("Patch1: a.patch\n%prep\n", &["a.patch"]).unwrap_err();
        assert!(error.to_string().contains("`a.patch` changes IPVS"), "{error}");
        let comment = found("Patch1: a.patch\n%prep\n# ApplyPatch a.patch\n", &["a.patch"]).unwrap();
        assert!(comment.applied.is_empty() && comment.notes[0].contains("not applied"), "{comment:?}");
        let condition = found("Patch1: a.patch\n%prep\n%if 0\n%patch1 -p1\n%endif\n", &["a.patch"]).unwrap();
        assert!(condition.applied.len() == 1 && condition.notes[0].contains("condition"), "{condition:?}");
        let renames = b"rename from net/netfilter/ipvs/ip_vs_rr.c\nrename to net/netfilter/ipvs/x.c\n".to_vec();
        let patches = BTreeMap::from([("r.patch".to_owned(), renames)]);
        assert!(matches!(find(&BTreeMap::new(), &patches), Err(Error::Rename { .. })));
    }

    #[test]
    fn a_variable_alone_names_no_patch() {
        assert!(!is_named("$patch", "a.patch") && !is_named("%{PATCH1}", "a.patch"));
        assert!(is_named("patch-%{patchversion}-redhat.patch", "patch-6.12-redhat.patch"));
        assert!(!is_named("patch-%{patchversion}-redhat.patch", "other.patch"));
    }
}
