//! What the packages of a build depend on, by content: the same fingerprint, the same packages.
//!
//! It is kept as named parts and not as one digest, so that a difference can be told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::layout::text;
use super::signing::Certificate;
use super::step::{Edit, Moment, Step};
use super::{Layout, Plan, SourceUsed};
use crate::command::Command;
use crate::digest;
use crate::edit::config::Setting;

/// The macros that say how many processes work at a time, which changes no package.
const JOBS: [&str; 2] = ["_smp_mflags ", "_smp_build_ncpus "];

/// How the names of edits begin.
const EDIT: &str = "the edit of ";
/// How those begin that put patches of the user's own into a file.
const PATCHED: &str = "the patches in ";
/// The name of what is asked for.
const OPTIONS: &str = "the options that are asked for";

/// The name of the certificate.
const SIGNED: &str = "the module-signing key";
/// The name of what tells builds with a source package from those without.
const MODE: &str = "rpmbuild's mode";

/// What packages depend on: the name of each thing, for people, and its content or digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(BTreeMap<String, String>);

impl Fingerprint {
    /// Returns what the packages of a plan depend on; nothing for plans whose packages take no time, and for trees.
    #[must_use]
    pub fn of(plan: &Plan) -> Option<Self> {
        let SourceUsed { sha256, .. } = plan.source.as_ref()?;
        let mut parts: BTreeMap<String, String> = [
            ("kbuild itself", plan.kbuild.clone()),
            ("the recipe", plan.recipe.sha256.clone()),
            ("the source package", sha256.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let mut built = false;
        for step in &plan.steps {
            match step {
                Step::Edit { edits } => {
                    parts.extend(edits.iter().map(|edit| {
                        let patches = edit.edits.iter().any(|edit| matches!(edit, Edit::Patch { .. }));
                        let how = if patches { PATCHED } else { EDIT };
                        (format!("{how}`{}`", edit.file), edit.sha256.clone())
                    }));
                }
                Step::Build { command, gate, .. } if gate.moment == Moment::BeforeBuild => {
                    built = true;
                    parts.extend(of_command(command));
                    let wanted: Vec<String> = gate.expected.iter().map(Setting::line).collect();
                    parts.insert(OPTIONS.into(), wanted.join(", "));
                }
                _ => {}
            }
        }
        built.then_some(Self(parts))
    }

    /// Adds what is only known on the machine: a program and what it calls itself.
    pub fn add(&mut self, program: &str, version: &str) {
        self.0.insert(format!("the {program} of this machine"), version.to_owned());
    }

    /// Adds the certificate whose key signs the modules: the one that counts is only known when the key has been made.
    pub fn signed_with(&mut self, certificate: &Certificate) {
        self.0.insert(SIGNED.into(), certificate.sha256.clone());
    }

    /// Whether the other one's packages differ in what was edited only, in options, in the release (not in patches), and in whether there is a source package among them.
    #[must_use]
    pub fn is_variant(&self, other: &Self) -> bool {
        self.differences(other).iter().all(|name| name.starts_with(EDIT) || name == OPTIONS || name == MODE)
    }

    /// Returns a digest of what all variants have in common, wherever they are built: `layout` says where this one is, which is in
    /// arguments and environment. The key that signs is not part of it: each work directory may have its own.
    #[must_use]
    pub fn of_all_variants(&self, layout: &Layout) -> String {
        let [work, trees] = [&layout.work, layout.trees()].map(text);
        let varies = |name: &str| name.starts_with(EDIT) || [OPTIONS, MODE, SIGNED].contains(&name);
        let common = self.0.iter().filter(|(name, _)| !varies(name));
        let (work, trees) = (&work, &trees);
        let lines = common.flat_map(|(name, value)| {
            // Who builds is in no package.
            let lines = value.lines().filter(|line| !line.starts_with("USER=") && !line.starts_with("LOGNAME="));
            lines.map(move |line| format!("{name}={}", line.replace(work, "{work}").replace(trees, "{trees}")))
        });
        let lines: Vec<String> = lines.collect();
        digest::sha256(lines.join("\n").as_bytes())
    }

    /// Names what is not the same in the other one.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let names = self.0.keys().chain(other.0.keys().filter(|name| !self.0.contains_key(*name)));
        names.filter(|name| self.0.get(*name) != other.0.get(*name)).cloned().collect()
    }
}

fn of_command(command: &Command) -> [(String, String); 3] {
    let modes: Vec<&str> = command.args.iter().map(String::as_str).filter(|word| is_mode(word)).collect();
    let same = |word: &&String| !is_mode(word) && !JOBS.iter().any(|jobs| word.starts_with(jobs));
    let words: Vec<String> = command.args.iter().filter(same).map(|word| crate::command::quote(word)).collect();
    let program = command.program.display();
    let environment: Vec<String> = command.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    [
        ("rpmbuild's command line".into(), format!("{program} {}", words.join(" "))),
        ("rpmbuild's environment".into(), environment.join("\n")),
        (MODE.into(), modes.join(" ")),
    ]
}

/// Whether a word says whether a source package is made, too.
fn is_mode(word: &str) -> bool {
    matches!(word, "-bb" | "-ba")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_on_both_sides() {
        let of = |parts: &[(&str, &str)]| {
            Fingerprint(parts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        let (a, b) = (of(&[("x", "1"), ("y", "1"), ("z", "1")]), of(&[("w", "1"), ("x", "1"), ("y", "2")]));
        assert_eq!(a.differences(&b), ["y", "z", "w"]);
        assert_eq!(a.differences(&a), [""; 0]);
        let edited =
            |bits, source| of(&[("the edit of `config`", bits), (OPTIONS, bits), ("the source package", source)]);
        assert!(edited("1", "a").is_variant(&edited("2", "a")) && !edited("1", "a").is_variant(&edited("1", "b")));
        let at = |place: &str, name: &str| of(&[("env", &format!("HOME={place}/home\nUSER={place}")), (name, "1")]);
        let common = |of: &Fingerprint, work: &str| of.of_all_variants(&Layout::of(work.as_ref()));
        assert_eq!(common(&at("/a", OPTIONS), "/a"), common(&at("/b", SIGNED), "/b"));
        assert_ne!(common(&at("/a", OPTIONS), "/a"), common(&at("/a", "the recipe"), "/a"));
        let patched = of(&[
            ("the edit of `config`", "1"),
            (OPTIONS, "1"),
            ("the patches in `p`", "1"),
            ("the source package", "a"),
        ]);
        assert!(!edited("1", "a").is_variant(&patched));
    }

    #[test]
    fn the_number_of_jobs_does_not_count_and_everything_else_does() {
        let command = |args: &[&str]| Command::new("/usr/bin/rpmbuild").args(args.iter().copied());
        let parts = |args: &[&str]| of_command(&command(args));
        let one = parts(&["-bb", "--define", "_smp_mflags -j1", "k.spec"]);
        assert_eq!(one, parts(&["-bb", "--define", "_smp_mflags -j64", "k.spec"]));
        let ncpus = |count: &str| parts(&["-bb", "--define", &format!("_smp_build_ncpus {count}"), "k.spec"]);
        assert_eq!(ncpus("1"), ncpus("64"));
        assert_ne!(one, parts(&["-ba", "--define", "_smp_mflags -j1", "k.spec"]));
        let env = command(&["-bb"]).with_env([("PATH".to_owned(), "/opt".to_owned())].into());
        assert_ne!(of_command(&env), parts(&["-bb"]));
    }
}
