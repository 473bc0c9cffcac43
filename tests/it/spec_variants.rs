//! The evaluation of specs and the buildid engine against real `rpmspec`: hundreds of specs made by machine, in which the
//! place of the buildid is spelled, placed, repeated, hidden and taken away in every way known, and some more.
//!
//! Nothing may be silently wrong: what the evaluation says is what rpmspec says, or it says nothing; and a release that
//! was promised is the one that comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use kbuild::edit::spec::{Carrier, Context, Dist, Sources, apply_line, carry, dist_of, evaluate};
use kbuild::rpm::nvr::Nvr;

use crate::support::require;

#[path = "../../src/edit/spec/tests/cases.rs"]
mod cases;

const OURS: &str = ".ipvs_20bit";
const INCLUDE: &str = "kernel-common.inc";

type Texts = BTreeMap<String, Vec<u8>>;

/// How a spec speaks of buildid.
const SPELLINGS: [&str; 26] = [
    "",
    // What the families ship.
    "#% define buildid",
    "# % define buildid .local",
    "# % define buildid ",
    "# define buildid .local",
    "#define buildid .local",
    "#define buildid .1",
    "#global buildid .local",
    // What somebody may make of them.
    "#\t%\tdefine\tbuildid\t.local",
    "  # define buildid .local",
    "# %%define buildid .local",
    "## global buildid .local",
    // In force, though some do not look it.
    "%define buildid .fork",
    "%global buildid .fork",
    "# %define buildid .local",
    "#%define buildid .local",
    "  %define\tbuildid  .fork",
    "%{!?buildid:%define buildid .fork}",
    "%{?nothing:%define buildid .fork}",
    "%define buildid {.fork}",
    "%define buildid .%{nil}fork",
    "%define buildid .a\n%define buildid .b",
    "%define buildid .a\n%undefine buildid",
    // Neither.
    "# define buildid to something of your own",
    "% define buildid .local",
    "%define buildid_of .local",
];

/// Where that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    First,
    BehindDist,
    Taken,
    NotTaken,
    Else,
    Included,
    BehindTheRelease,
    BehindABackslash,
}

const PLACES: [Where; 8] = [
    Where::First,
    Where::BehindDist,
    Where::Taken,
    Where::NotTaken,
    Where::Else,
    Where::Included,
    Where::BehindTheRelease,
    Where::BehindABackslash,
];

/// How the release is made: lines above, and its value.
const FLOWS: [(&str, &str); 12] = [
    ("%define pkg_release 1%{?dist}%{?buildid}\n", "%{pkg_release}"),
    ("%define specrelease 1%{?buildid}%{?dist}\n%define pkg_release %{specrelease}\n", "%{pkg_release}"),
    ("%global pkg_release 1%{?dist}uek%{?buildid}\n", "%{pkg_release}"),
    ("%define release 1%{dist}%{?buildid}\n", "%{release}"),
    ("", "1%{?buildid}%{?dist}"),
    ("", "1%{?dist}"),
    ("", "1%{?buildid}%{?dist}%{?buildid}"),
    ("%if 0%{?buildid:1}\n%define rel 1%{buildid}\n%else\n%define rel 1\n%endif\n", "%{rel}%{?dist}"),
    (
        "%if 0%{?orig_buildid:1}\n%if 0%{?buildid:1}\n%global srpm_buildid %{buildid}\n\
         %define buildid %{srpm_buildid}%{orig_buildid}\n%else\n%define buildid %{orig_buildid}\n%endif\n%endif\n\
         %define pkg_release 1%{?buildid}%{?dist}\n",
        "%{pkg_release}",
    ),
    ("%define suffix() %{?1:.%1}%{?buildid}\n", "1%{suffix a}%{?dist}"),
    // What only a shell can say.
    ("%define number %(echo 1)\n", "%{number}%{?buildid}%{?dist}"),
    ("%define number %(echo 1)\n", "%{number}%{?dist}"),
];

/// What else there is.
const COMPANY: [&str; 4] = ["", "# define buildid .other\n", "%define buildid .other\n", "%undefine buildid\n"];

/// How lines end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Lf,
    CrLf,
    /// Only the line about buildid has a CR.
    OneCr,
    /// Blanks before the end.
    Blanks,
}

const ENDS: [Ends; 4] = [Ends::Lf, Ends::CrLf, Ends::OneCr, Ends::Blanks];

#[derive(Debug, Clone, Copy)]
struct Variant {
    spelling: &'static str,
    place: Where,
    flow: usize,
    company: &'static str,
    ends: Ends,
    /// Whether `dist` comes from the host.
    host_dist: bool,
    /// Whether a `BuildArch` makes rpm read the spec twice.
    twice: bool,
}

impl Variant {
    fn texts(self) -> Texts {
        let (above, release) = FLOWS[self.flow];
        let mut words = self.spelling.to_owned();
        match self.ends {
            Ends::OneCr => words.push('\r'),
            Ends::Blanks => words.push_str(" \t"),
            Ends::Lf | Ends::CrLf => {}
        }
        let at =
            |place: &[Where], text: &str| if place.contains(&self.place) { text.to_owned() } else { String::new() };
        let line = format!("{words}\n");
        let mut spec = at(&[Where::First], &line);
        spec += &at(&[Where::BehindABackslash], &format!("# a comment that goes on \\\n{line}"));
        if self.flow == 8 {
            spec += "%if 0%{?buildid:1}\n%global orig_buildid %{buildid}\n%undefine buildid\n%endif\n";
        }
        spec += if self.host_dist { "Summary: The kernel\n" } else { "Summary: The kernel\n%define dist .el9_2\n" };
        spec += &at(&[Where::BehindDist], &line);
        spec += &at(&[Where::Taken], &format!("%if 1 && !0%{{?nothing}}\n{line}%endif\n"));
        spec += &at(&[Where::NotTaken], &format!("%ifarch noarch %{{ix86}}\n{line}%endif\n"));
        spec += &at(&[Where::Else], &format!("%if 0%{{?nothing}} > 3\n%define no 1\n%else\n{line}%endif\n"));
        spec += &at(&[Where::Included], "Source1: kernel-common.inc\n%include %{SOURCE1}\n");
        spec += self.company;
        spec += above;
        spec.extend(["Name: kernel\nVersion: 5.14.0\nRelease: ", release, "\n"]);
        spec += &at(&[Where::BehindTheRelease], &line);
        spec += if self.twice { "License: GPL\nBuildArch: x86_64\n" } else { "License: GPL\n" };
        spec += "%description\nA kernel.\n";
        let ended = |text: String| if self.ends == Ends::CrLf { text.replace('\n', "\r\n") } else { text };
        let mut spec = ended(spec).into_bytes();
        // rpm 4.18 takes bytes that are not UTF-8 where they do not end up in the header.
        let comment = if self.place == Where::First { spec.len() } else { 0 };
        spec.splice(comment..comment, b"# B\xe9la \xff\n".iter().copied());
        spec.extend_from_slice(b"%prep\n# B\xe9la\n# % define buildid .local\n%changelog\n");
        spec.extend_from_slice(b"* Mon Jan 01 2024 Bela <b@example.org>\n- # % define buildid .local\n- end");
        let mut texts = Texts::from([("kernel.spec".to_owned(), spec)]);
        if self.place == Where::Included {
            texts.insert(INCLUDE.to_owned(), ended(format!("# What is common\n{line}# and no more\n")).into_bytes());
        }
        texts
    }

    /// Whether the release depends on a shell.
    fn shell(self) -> bool {
        self.flow > 9
    }

    fn dist(self) -> Option<&'static str> {
        self.host_dist.then_some(".el9_2")
    }

    /// Whether the line is a lone marker or definition that is read, for a release that looks at buildid once.
    fn must_be_carried(self) -> bool {
        // Flow 8 would have ours twice when read twice, as the second time finds what the first put aside; and above its
        // first lines a definition is put aside and defined again, so that either could be extended.
        let aside = self.twice || matches!(self.place, Where::First | Where::BehindABackslash);
        let doubled = [6, 7].contains(&self.flow) || (self.flow == 8 && aside);
        let plain = !doubled && !self.shell() && self.company.is_empty();
        let read = !matches!(self.place, Where::NotTaken | Where::BehindTheRelease);
        let known = !self.spelling.contains(['{', '\n']) && !self.spelling.starts_with("% define");
        plain && read && known
    }
}

/// Every combination, thinned out evenly.
fn variants() -> Vec<Variant> {
    let mut all = Vec::new();
    for spelling in SPELLINGS {
        for place in PLACES {
            for flow in 0..FLOWS.len() {
                for company in COMPANY {
                    for ends in ENDS {
                        for (host_dist, twice) in [(false, false), (true, false), (false, true), (true, true)] {
                            all.push(Variant { spelling, place, flow, company, ends, host_dist, twice });
                        }
                    }
                }
            }
        }
    }
    // A prime that shares nothing with the loops: each value of each comes up, beside all values of the others.
    all.into_iter().step_by(151).collect()
}

/// What rpmspec makes of a spec: its release, or why it refuses.
fn rpmspec(top: &Path, texts: &Texts, dist: Option<&str>) -> Result<String, String> {
    for (name, text) in texts {
        let dir = if name == "kernel.spec" { "SPECS" } else { "SOURCES" };
        fs_err::create_dir_all(top.join(dir)).unwrap();
        fs_err::write(top.join(dir).join(name), text).unwrap();
    }
    let mut command = Command::new("rpmspec");
    command.env("HOME", top).args(["-q", "--srpm", "--target=x86_64", "--qf", "%{version}-%{release}"]);
    command.args(["--define", &format!("_topdir {}", top.display())]);
    if let Some(dist) = dist {
        command.args(["--define", &format!("dist {dist}")]);
    }
    let done = command.arg(top.join("SPECS/kernel.spec")).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    if done.status.success() { Ok(out.into_owned()) } else { Err(err.into_owned()) }
}

fn context(dist: Option<&str>) -> Context {
    let mut context = Context::new("x86_64");
    context.defines.extend(dist.map(|dist| ("dist".to_owned(), dist.to_owned())));
    context
}

/// Says how many there were; not through `eprintln!`, which the harness keeps to itself when a test passes.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[test]
fn every_variant_is_right_or_refused() {
    if !require("rpmspec") {
        return;
    }
    let top = tempfile::tempdir().unwrap();
    let (mut carried, mut refused, mut unusable, mut by_text) = (BTreeMap::new(), 0, 0, 0);
    let mut wrong = Vec::new();
    let variants = variants();
    for variant in &variants {
        let texts = variant.texts();
        let sources = Sources::new("kernel.spec", &texts);
        let context = context(variant.dist());
        let found = evaluate(&sources, &context);
        let pristine = rpmspec(top.path(), &texts, variant.dist());
        let Ok(pristine) = pristine else {
            // No such source package can exist; what matters is that it is not promised anything.
            unusable += 1;
            if !found.refused() {
                wrong.push(format!("{variant:?}: rpmspec refuses it: {pristine:?}, not we: {:?}", found.release));
            }
            continue;
        };
        let release = pristine.strip_prefix("5.14.0-").unwrap().to_owned();
        if found.release.as_ref() != (!variant.shell()).then_some(&release) || found.refused() {
            wrong.push(format!("{variant:?}: rpmspec says {release}, we say {:?}: {:?}", found.release, found.unknown));
        }
        let header = Nvr { name: "kernel".into(), version: "5.14.0".into(), release: release.clone() };
        match dist_of(&sources, &context, &header) {
            Dist::Define { value, others } if variant.host_dist && others.is_empty() && value == ".el9_2" => {}
            Dist::AsItIs if !variant.host_dist => {}
            Dist::Unknown if variant.shell() => {}
            other => wrong.push(format!("{variant:?}: dist is {other:?}")),
        }
        match carry(&sources, &context, OURS, &header) {
            Err(error) => {
                refused += 1;
                if variant.must_be_carried() {
                    wrong.push(format!("{variant:?}: refused: {error}"));
                }
            }
            Ok(line) => {
                let text = &texts[&line.file];
                let edited = apply_line(&line.file, text, line.line, line.before.as_deref(), &line.after).unwrap();
                assert_eq!(edited.changes.len(), 1, "{variant:?}");
                let mut after = texts.clone();
                after.insert(line.file.clone(), edited.text);
                let real = rpmspec(top.path(), &after, variant.dist());
                assert_eq!(line.evaluated, !variant.shell(), "{variant:?}");
                if !line.evaluated {
                    by_text += 1;
                    let once = |real: &String| real.matches(OURS).count() == 1 && real.replace(OURS, "") == pristine;
                    if line.release.is_some() || !real.as_ref().is_ok_and(once) {
                        wrong.push(format!("{variant:?}: {line:?} by its text, rpmspec: {real:?}"));
                    }
                    continue;
                }
                let promised = line.release.clone().map(|release| format!("5.14.0-{release}"));
                if real.as_ref().ok() != promised.as_ref() || !real.is_ok_and(|real| real.matches(OURS).count() == 1) {
                    wrong.push(format!(
                        "{variant:?}: {line:?} promised {promised:?}, rpmspec: {:?}",
                        rpmspec(top.path(), &after, variant.dist())
                    ));
                }
                *carried.entry(format!("{:?}", line.how)).or_insert(0) += 1;
            }
        }
    }
    let count: usize = carried.values().sum();
    say(&format!(
        "{} specs: {count} carried ({carried:?}), {refused} refused, {by_text} by their text alone, {unusable} that \
         rpmspec refuses",
        variants.len()
    ));
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(variants.len() >= 200 && count >= 200 && refused >= 20, "{count} {refused}");
    let ways: BTreeSet<_> = carried.into_keys().collect();
    let all = [Carrier::Marker, Carrier::Extended, Carrier::Inserted, Carrier::ReleaseLine];
    assert_eq!(ways, all.iter().map(|how| format!("{how:?}")).collect());
}

#[test]
fn the_tables_of_the_evaluation_hold_for_rpmspec() {
    if !require("rpmspec") {
        return;
    }
    let top = tempfile::tempdir().unwrap();
    let conditions = cases::CONDITIONS.iter().map(|(above, expected)| (*above, "%{?rr}", *expected));
    for (above, release, expected) in cases::MACROS.iter().copied().chain(conditions) {
        let spec = format!(
            "{above}Name: kernel\nVersion: 1.0\nRelease: {release}\nSummary: The kernel\nLicense: GPL\n%description\n"
        );
        let found = rpmspec(top.path(), &Texts::from([("kernel.spec".to_owned(), spec.into_bytes())]), None);
        assert_eq!(found, Ok(format!("1.0-{expected}")), "{above}{release}");
    }
}
