//! The walk through a spec's preamble: lines, conditions, includes and tags, up to the first section.
//!
//! Follows rpm 4.18 (build/parseSpec.c: `readLine`, `copyNextLineFromOFI`): a line goes on while it ends in a backslash
//! or has open `%{` or `%(`; comments are expanded as everything else is; a branch that is not taken is not expanded.

use std::collections::BTreeMap;
use std::fmt;

use super::condition;
use super::macros::{Executed, Macros, UNKNOWN};

/// How deep files may include each other.
const DEEPEST: usize = 8;
/// The sections at which the preamble ends.
const SECTIONS: [&str; 13] = [
    "%description",
    "%package",
    "%prep",
    "%build",
    "%install",
    "%check",
    "%clean",
    "%files",
    "%changelog",
    "%pre",
    "%post",
    "%generate_buildrequires",
    "%sourcelist",
];

/// A spec with the files that it may include.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The spec's name.
    pub spec: &'a str,
    /// The files of the source package by name, the spec among them.
    pub texts: &'a BTreeMap<String, Vec<u8>>,
}

/// What rpm is told beside the spec.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// The architecture that is built for, such as `x86_64`.
    pub arch: String,
    /// Macros of the command line, name to value.
    pub defines: BTreeMap<String, String>,
    /// Names given to `--with`.
    pub with: Vec<String>,
    /// Names given to `--without`.
    pub without: Vec<String>,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` line {}", self.file, self.line)
    }
}

/// Something in a spec that cannot be followed without running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Where.
    pub place: Place,
    /// What.
    pub what: String,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// What a spec's preamble says, as far as it can be followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evaluated {
    /// `Name`; `None` if it is missing or depends on something unknown.
    pub name: Option<String>,
    /// `Version`, likewise.
    pub version: Option<String>,
    /// `Release`, likewise.
    pub release: Option<String>,
    /// Where the `Release` line that counts is, and that line as it stands.
    pub release_at: Option<(Place, String)>,
    /// Where `buildid` was defined (`true`) or undefined (`false`), in order.
    pub buildid: Vec<(Place, bool)>,
    /// What could not be followed.
    pub unknown: Vec<Unknown>,
    /// The files that were read: the spec and what it includes.
    pub files: Vec<String>,
}

/// Evaluates the preamble of a spec.
#[must_use]
pub fn evaluate(sources: &Sources<'_>, context: &Context) -> Evaluated {
    let mut walk =
        Walk { sources, macros: macros(context), found: Evaluated::default(), arch: &context.arch, ended: false };
    walk.file(sources.spec, &Place { file: sources.spec.to_owned(), line: 0 }, 0);
    walk.found
}

/// The macros that are there before the spec is read.
fn macros(context: &Context) -> Macros {
    let mut macros = Macros::default();
    for (name, value) in [
        ("nil", ""),
        ("_target_os", "linux"),
        ("_os", "linux"),
        ("_topdir", "/topdir"),
        ("_sourcedir", "/topdir/SOURCES"),
        ("_specdir", "/topdir/SPECS"),
        ("ix86", "i386 i486 i586 i686 pentium3 pentium4 athlon geode"),
        ("power64", "ppc64 ppc64p7 ppc64le"),
        ("arm64", "aarch64"),
        ("_datadir", "/usr/share"),
        ("_prefix", "/usr"),
        ("_tmppath", "/var/tmp"),
    ] {
        macros.set(name, value);
    }
    macros.set("_target_cpu", &context.arch);
    macros.set("_arch", if context.arch.starts_with('i') { "i386" } else { &context.arch });
    for name in &context.with {
        macros.set(&format!("_with_{name}"), &format!("--with-{name}"));
    }
    for name in &context.without {
        macros.set(&format!("_without_{name}"), &format!("--without-{name}"));
    }
    for (name, value) in &context.defines {
        macros.set(name, value);
    }
    macros
}

struct Walk<'a> {
    sources: &'a Sources<'a>,
    macros: Macros,
    found: Evaluated,
    arch: &'a str,
    ended: bool,
}

/// A condition that is open.
struct Branch {
    /// Whether its lines are read.
    reading: bool,
    /// Whether one of its branches was taken, or none may be.
    taken: bool,
}

impl Walk<'_> {
    fn file(&mut self, name: &str, from: &Place, depth: usize) {
        let Some(bytes) = self.sources.texts.get(name).filter(|_| depth < DEEPEST) else {
            self.unknown(from, format!("it includes `{name}`, which cannot be read"));
            return;
        };
        if !self.found.files.iter().any(|file| file == name) {
            self.found.files.push(name.to_owned());
        }
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let mut branches: Vec<Branch> = Vec::new();
        let mut number = 1;
        let mut rest = text.as_str();
        while !rest.is_empty() && !self.ended {
            let (line, after) = rest.split_at(logical(rest));
            let place = Place { file: name.to_owned(), line: number };
            number += line.matches('\n').count();
            rest = after;
            let reading = branches.last().is_none_or(|branch| branch.reading);
            let expanded = if reading { self.expand(line, &place) } else { line.to_owned() };
            for part in expanded.split('\n') {
                if self.condition(part, &place, &mut branches) {
                    continue;
                }
                if branches.last().is_none_or(|branch| branch.reading) && !self.ended {
                    self.line(part, &place, line, depth);
                }
            }
        }
    }

    /// Expands a line and notes what that did.
    fn expand(&mut self, line: &str, place: &Place) -> String {
        let expanded = self.macros.expand(line);
        for Executed { keyword, name } in std::mem::take(&mut self.macros.executed) {
            if name == "buildid" {
                self.found.buildid.push((place.clone(), keyword != "undefine"));
            }
        }
        for what in std::mem::take(&mut self.macros.unknown) {
            self.unknown(place, what);
        }
        expanded
    }

    fn unknown(&mut self, place: &Place, what: String) {
        self.found.unknown.push(Unknown { place: place.clone(), what });
    }

    /// Takes a line that begins, turns or ends a condition; tells whether it was one.
    fn condition(&mut self, line: &str, place: &Place, branches: &mut Vec<Branch>) -> bool {
        let line = line.trim();
        let (word, rest) = line.split_at(line.find(|sign: char| sign.is_whitespace()).unwrap_or(line.len()));
        let outer = branches.last().is_none_or(|branch| branch.reading);
        match word {
            "%if" | "%ifarch" | "%ifnarch" | "%ifos" | "%ifnos" => {
                let holds = outer && self.holds(word, rest, place);
                branches.push(Branch { reading: holds, taken: holds || !outer });
            }
            "%elif" | "%elifarch" | "%elifos" => {
                let Some(branch) = branches.pop() else { return true };
                let outer = branches.last().is_none_or(|branch| branch.reading);
                // The text was expanded only if the line was read; here it may not have been.
                let text = if branch.taken || !outer { String::new() } else { self.expand(rest, place) };
                let holds = !branch.taken && outer && self.holds(&word.replacen("el", "", 1), &text, place);
                branches.push(Branch { reading: holds, taken: branch.taken || holds });
            }
            "%else" => {
                if let Some(branch) = branches.last_mut() {
                    branch.reading = !branch.taken;
                    branch.taken = true;
                }
            }
            "%endif" => {
                branches.pop();
            }
            _ => return false,
        }
        true
    }

    fn holds(&mut self, word: &str, text: &str, place: &Place) -> bool {
        match word {
            "%ifarch" => text.split([' ', '\t', ',']).any(|each| each == self.arch),
            "%ifnarch" => !text.split([' ', '\t', ',']).any(|each| each == self.arch),
            "%ifos" => text.split_whitespace().any(|each| each == "linux"),
            "%ifnos" => !text.split_whitespace().any(|each| each == "linux"),
            _ => {
                // A comment may follow the expression (rpm 4.15 on takes no other words there).
                if let Some(value) = condition::value(text) {
                    return value.is_true();
                }
                self.unknown(place, format!("the condition `{}`", text.trim().replace(UNKNOWN, "?")));
                false
            }
        }
    }

    /// Takes a line that is no condition: an include, a section, a tag, or nothing of interest.
    fn line(&mut self, line: &str, place: &Place, raw: &str, depth: usize) {
        let line = line.trim();
        if let Some(path) = line.strip_prefix("%include").filter(|rest| rest.starts_with([' ', '\t'])) {
            let name = path.trim().rsplit('/').next().unwrap_or_default().to_owned();
            self.file(&name, place, depth + 1);
            return;
        }
        let word = line.split_whitespace().next().unwrap_or_default();
        if SECTIONS.contains(&word) {
            self.ended = true;
            return;
        }
        let Some((tag, value)) = line.split_once(':') else { return };
        let value = value.trim();
        let known = (!value.contains([UNKNOWN, '%'])).then(|| value.to_owned());
        let tag = tag.trim_end().to_ascii_lowercase();
        match tag.as_str() {
            "name" => self.found.name = known,
            "version" => self.found.version = known,
            "release" => {
                self.found.release = known;
                self.found.release_at = Some((place.clone(), raw.trim_end_matches(['\n', '\r']).to_owned()));
            }
            _ => {
                let number = tag.strip_prefix("source").filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
                if let Some(number) = number {
                    let number = if number.is_empty() { "0" } else { number };
                    self.macros.set(&format!("SOURCE{number}"), &format!("/topdir/SOURCES/{value}"));
                }
                return;
            }
        }
        for name in [tag.clone(), tag.to_ascii_uppercase()] {
            self.macros.set(&name, value);
        }
    }
}

/// Returns the length of the line that a text begins with, as rpm counts: with all that an escaped line end or an open
/// bracket draws into it.
fn logical(text: &str) -> usize {
    let (mut braces, mut parentheses, mut brackets) = (0_usize, 0_usize, 0_usize);
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                letters.next();
            }
            '\n' if braces + parentheses + brackets == 0 => return at + 1,
            '%' => match letters.peek() {
                Some((_, '{')) => {
                    letters.next();
                    braces += 1;
                }
                Some((_, '(')) => {
                    letters.next();
                    parentheses += 1;
                }
                Some((_, '[')) => {
                    letters.next();
                    brackets += 1;
                }
                Some((_, '%')) => {
                    letters.next();
                }
                _ => {}
            },
            '{' if braces > 0 => braces += 1,
            '}' if braces > 0 => braces -= 1,
            '(' if parentheses > 0 => parentheses += 1,
            ')' if parentheses > 0 => parentheses -= 1,
            '[' if brackets > 0 => brackets += 1,
            ']' if brackets > 0 => brackets -= 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(text: &str, defines: &[(&str, &str)]) -> Evaluated {
        let texts = BTreeMap::from([
            ("kernel.spec".to_owned(), text.as_bytes().to_vec()),
            ("common.inc".to_owned(), b"%define buildid .i\nVersion: 6.1\n".to_vec()),
        ]);
        let context = Context {
            arch: "x86_64".into(),
            defines: defines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            with: vec!["firmware".into()],
            without: Vec::new(),
        };
        evaluate(&Sources { spec: "kernel.spec", texts: &texts }, &context)
    }

    #[track_caller]
    fn case(text: &str, defines: &[(&str, &str)], release: &str) {
        let found = eval(text, defines);
        assert_eq!(found.release.as_deref(), Some(release), "{found:#?}");
    }

    #[test]
    fn the_release_flows_as_in_each_family() {
        // 2.6.32-220.13.1.el6
        let el6 = "%define dist .el6\n# % define buildid .local\n%define rhel 1\n%if %{rhel}\n%define distro_build 220.13.1\n\
                   %endif\n%define pkg_release %{distro_build}%{?dist}%{?buildid}\nRelease: %{pkg_release}\n";
        case(el6, &[], "220.13.1.el6");
        case(el6, &[("buildid", ".x"), ("dist", ".el9")], "220.13.1.el6.x");
        // 4.18.0-193.28.1.el8_2
        let el8 = "# define buildid .local\n%define specrelease 193.28.1%{?dist}\n%define pkg_release %{specrelease}%{?buildid}\n\
                   Release: %{pkg_release}\n";
        case(el8, &[], "193.28.1");
        case(el8, &[("dist", ".el8_2"), ("buildid", ".x")], "193.28.1.el8_2.x");
        // 5.14.0-284.11.1.el9_2
        case(
            "%define specrelease 284.11.1%{?buildid}%{?dist}\nRelease: %{specrelease}\n",
            &[("dist", ".el9_2"), ("buildid", ".x")],
            "284.11.1.x.el9_2",
        );
        // Fedora 14 to 20: given on the command line and in the spec, both count.
        let fedora = "%if 0%{?buildid:1}\n%global orig_buildid %{buildid}\n%undefine buildid\n%endif\n%define buildid .s\n\
                      %if 0%{?orig_buildid:1}\n%if 0%{?buildid:1}\n%global srpm_buildid %{buildid}\n\
                      %define buildid %{srpm_buildid}%{orig_buildid}\n%else\n%define buildid %{orig_buildid}\n%endif\n%endif\n\
                      Release: 1%{?buildid}\n";
        case(fedora, &[], "1.s");
        case(fedora, &[("buildid", ".c")], "1.s.c");
    }

    #[test]
    fn conditions_includes_and_comments() {
        case("%ifarch %{ix86} x86_64\nRelease: 1\n%else\nRelease: 2\n%endif\n", &[], "1");
        case(
            "%ifnarch x86_64\nRelease: 1\n%elif 0\nRelease: 2\n%elif 1\nRelease: 3\n%else\nRelease: 4\n%endif\n",
            &[],
            "3",
        );
        case("%if 0\n%if 1\nRelease: 1\n%else\nRelease: 2\n%endif\n%else\nRelease: 3\n%endif\n", &[], "3");
        case("%if 0%{?_with_firmware:1}\nRelease: 1\n%endif\n", &[], "1");
        case("# %define a 7\n#% define a 8\nRelease: %{a}\n", &[], "7");
        case("Release: 1\n%description\nRelease: 2\n", &[], "1");
        let found = eval("Source1: %{nil}common.inc\n%include %{SOURCE1}\nRelease: 1%{?buildid}\n", &[]);
        assert_eq!(found.release.as_deref(), Some("1.i"));
        assert_eq!(found.version.as_deref(), Some("6.1"));
        assert_eq!(found.files, ["kernel.spec", "common.inc"]);
        assert_eq!(found.buildid, [(Place { file: "common.inc".into(), line: 1 }, true)]);
    }

    #[test]
    fn what_is_unknown_is_no_release() {
        for text in ["%define a %(date)\nRelease: %{a}\n", "Release: %{nowhere}\n", "Release: %{lua: x}\n"] {
            let found = eval(text, &[]);
            assert_eq!(found.release, None, "{text}");
        }
        let found = eval("%if %(test -e /x)\nRelease: 1\n%else\nRelease: 2\n%endif\n%include /no/such.inc\n", &[]);
        assert_eq!(found.unknown.len(), 3, "{found:#?}");
        assert_eq!(found.unknown[0].place, Place { file: "kernel.spec".into(), line: 1 });
    }

    #[test]
    fn definitions_over_several_lines_do_not_hide_what_follows() {
        case("%define a() \\\n%package x\\\nRelease: 9\\\n%{nil}\nRelease: 1\n", &[], "1");
        case("%define a %{expand:\nRelease: 9\n}\nRelease: 1\n%description\n", &[], "1");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(text in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let texts = BTreeMap::from([("s".to_owned(), text)]);
            let _ = evaluate(&Sources { spec: "s", texts: &texts }, &Context::default());
        }

        #[test]
        fn any_macros_end(text in "(%|\\{|\\}|define |global |a|b| |\\?|!|:|\n|\\\\|if |endif|else|[0-9]|\\(|\\)|\\[|\\]|Release: ){0,80}") {
            let texts = BTreeMap::from([("s".to_owned(), text.into_bytes())]);
            let _ = evaluate(&Sources { spec: "s", texts: &texts }, &Context::default());
        }
    }
}
