//! The source tree keeps its own rules: which room may use which, what is pure, who owns a crate, how long a file may
//! be, and that the documents tell of what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex::Regex;

use crate::support::repository;

/// The rooms, top to bottom: each may use those below it.
const ROOMS: [&str; 15] = [
    "cli",
    "fleet",
    "repository",
    "pipeline",
    "proof",
    "provenance",
    "compare",
    "plan",
    "explain",
    "compiler",
    "recipe",
    "edit",
    "ipvs",
    "rpm",
    "sys",
];
/// What every room may use, and what uses nothing.
const VOCABULARY: [&str; 5] = ["command", "digest", "event", "nearest", "times"];
/// What decides and does nothing: no file, process, environment or clock.
const PURE: [&str; 13] = [
    "provenance",
    "compare",
    "plan",
    "explain",
    "compiler",
    "recipe",
    "edit",
    "ipvs",
    "event",
    "command",
    "digest",
    "nearest",
    "times",
];
/// Lines of a file, its tests not counted.
const LONGEST: usize = 400;

/// A source file with its comments and its tests taken out.
struct Source {
    /// Below the repository, such as `src/cli/args.rs`.
    path: String,
    /// The room or module of the top: `cli` of `src/cli.rs` and `src/cli/args.rs`.
    room: String,
    code: String,
    lines: usize,
}

fn sources() -> Vec<Source> {
    let files = files("src", "rs");
    assert!(files.len() > 50, "{}", files.len());
    files
        .into_iter()
        .filter(|path| !is_test(path))
        .map(|path| {
            let text = fs_err::read_to_string(repository().join(&path)).unwrap();
            let below = path.strip_prefix("src/").unwrap();
            let room = below.split(['/', '.']).next().unwrap().to_owned();
            let body = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
            let lines = body.lines().count();
            Source { room, code: without_comments(body), lines, path }
        })
        .collect()
}

/// Whether a file holds tests only.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Returns the files below a directory that have this ending, relative to the repository, sorted.
fn files(dir: &str, ending: &str) -> Vec<String> {
    let mut found: Vec<String> = walkdir::WalkDir::new(repository().join(dir))
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|each| each == ending))
        .map(|path| path.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned())
        .collect();
    found.sort();
    found
}

fn without_comments(text: &str) -> String {
    let code: Vec<_> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    code.join("\n") + "\n"
}

/// Returns the modules of the top that a text mentions: `crate::x`, `crate::{x, y}`.
fn mentioned(code: &str) -> BTreeSet<String> {
    let single = Regex::new(r"\bcrate::([a-z_]+)").unwrap();
    let list = Regex::new(r"\bcrate::\{([^;]*)\};").unwrap();
    let first = Regex::new(r"^[a-z_]+").unwrap();
    let mut found: BTreeSet<String> = single.captures_iter(code).map(|names| names[1].to_owned()).collect();
    for names in list.captures_iter(code) {
        let mut depth = 0;
        let parts = names[1].split(|letter| {
            depth += match letter {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            letter == ',' && depth == 0
        });
        found.extend(parts.filter_map(|part| Some(first.find(part.trim())?.as_str().to_owned())));
    }
    found
}

#[test]
fn mentions_are_found() {
    let code =
        "use crate::{pipeline, plan::{a, b}, recipe};\nuse crate::sys::exec;\nlet x = crate::error::chain(&e);\n";
    let expected = ["error", "pipeline", "plan", "recipe", "sys"].map(str::to_owned);
    assert_eq!(mentioned(code), expected.into());
    assert_eq!(without_comments("a // crate::cli\n/// crate::sys\nb\n"), "a \n\nb\n");
}

#[test]
fn every_room_uses_only_those_below_it() {
    let mut wrong = Vec::new();
    for source in sources() {
        let used = mentioned(&source.code);
        let allowed: BTreeSet<&str> = match source.room.as_str() {
            // They put everything together.
            "lib" | "main" | "error" => continue,
            room if VOCABULARY.contains(&room) => VOCABULARY.into(),
            room => {
                let at = ROOMS.iter().position(|each| *each == room).unwrap_or_else(|| panic!("a new room: {room}"));
                let mut allowed: BTreeSet<&str> = ROOMS[at..].iter().copied().chain(VOCABULARY).collect();
                let doing = ["pipeline", "repository"].contains(&room);
                if room == "cli" || (doing && !uses_more_of_error_than_chain(&source.code)) {
                    allowed.insert("error");
                }
                allowed
            }
        };
        let beyond: Vec<_> = used.iter().filter(|name| !allowed.contains(name.as_str())).collect();
        if !beyond.is_empty() {
            wrong.push(format!("{} uses {beyond:?}", source.path));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn uses_more_of_error_than_chain(code: &str) -> bool {
    code.matches("crate::error").count() != code.matches("crate::error::chain").count()
}

/// Fails with every file that mentions one of these words and may not.
#[track_caller]
fn only(words: &[&str], may: impl Fn(&Source) -> bool) {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !may(source)) {
        for (number, line) in source.code.lines().enumerate() {
            for word in words.iter().filter(|word| has_word(line, word)) {
                wrong.push(format!("{}:{}: {word}", source.path, number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether a line has a word that is not the end of a longer one or of a path.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == ':')
    })
}

#[test]
fn what_decides_has_no_effects() {
    let effects =
        ["std::fs", "fs_err", "std::process", "std::env::", "Instant", "SystemTime", "crate::sys", "std::net"];
    only(&effects, |source| !PURE.contains(&source.room.as_str()));
}

#[test]
fn crates_that_change_often_have_one_door_each() {
    // `rpm::x` without `crate::` before it, where no `use` made it the room of that name.
    only(&["rpm::"], |source| source.room == "rpm" || mentioned(&source.code).contains("rpm"));
    only(&["use rpm::"], |source| source.room == "rpm");
    only(&["use duct", "duct::"], |source| source.path == "src/sys/exec.rs");
    only(&["thread_priority::", "use thread_priority", "rustix::", "use rustix"], |source| {
        ["src/sys/batch.rs", "src/sys/exchange.rs"].contains(&source.path.as_str())
    });
    only(&["indicatif::", "use indicatif"], |source| source.path == "src/cli/render/terminal.rs");
    only(&["clap::", "use clap"], |source| source.room == "cli");
    only(&["nix::", "use nix"], |source| source.room == "sys");
    only(&["ureq::", "use ureq"], |source| source.path == "src/sys/http.rs");
    only(&["plotters::", "use plotters", "dejavu::"], |source| source.path == "src/cli/size/plot.rs");
    only(&["cyclonedx_bom::", "use cyclonedx_bom"], |source| source.room == "provenance");
    only(&["packageurl::", "use packageurl"], |source| source.room == "provenance");
    only(&["x509_cert::", "use x509_cert", "use rsa::"], |source| source.path == "src/plan/signing/x509.rs");
    only(&["minijinja::", "use minijinja"], |source| source.path == "src/plan/template.rs");
}

#[test]
fn only_the_command_line_prints() {
    let words = ["println!", "eprintln!", "print!", "eprint!", "dbg!", "io::stdout", "io::stderr", "std::io::stdout"];
    only(&words, |source| source.room == "cli");
}

#[test]
fn only_sys_starts_processes_and_reads_the_environment() {
    // A stand-in is not a parent: it becomes the program whose place it was called in.
    let starts = ["src/sys/exec.rs", "src/sys/stand_in.rs"];
    only(&["Command::new(\"", "std::process::Command", "duct::cmd"], |source| starts.contains(&source.path.as_str()));
    let looks = ["src/sys/probe.rs", "src/sys/stand_in.rs"];
    only(&["std::env::var", "env::var"], |source| looks.contains(&source.path.as_str()));
    only(&["SystemTime", "Timestamp::now"], |source| source.path == "src/sys/clock.rs");
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<_> = sources()
        .into_iter()
        .filter(|source| source.lines > LONGEST)
        .map(|source| format!("{}: {} lines", source.path, source.lines))
        .collect();
    assert!(long.is_empty(), "more than {LONGEST} lines without tests: {long:#?}");
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent: Vec<_> = files("src", "rs")
        .into_iter()
        .filter(|path| !fs_err::read_to_string(repository().join(path)).unwrap().starts_with("//! "))
        .collect();
    assert!(silent.is_empty(), "{silent:?}");
    let mod_files: Vec<_> = files("src", "rs").into_iter().filter(|path| path.ends_with("/mod.rs")).collect();
    assert!(mod_files.is_empty(), "{mod_files:?}");
}

#[test]
fn every_recipe_is_built_in_and_has_a_toy_and_every_template_is_used() {
    let names = kbuild::recipe::builtin::names();
    let mut recipes: Vec<String> = names.iter().map(|name| format!("recipes/{name}.toml")).collect();
    recipes.sort();
    assert_eq!(recipes, files("recipes", "toml"));
    assert!(!recipes.is_empty());
    for name in names {
        let toy = format!("tests/kernels/{name}-toy");
        assert!(repository().join(&toy).is_dir(), "there is no {toy}");
    }
    let code: String = sources().into_iter().map(|source| source.code).collect();
    for entry in fs_err::read_dir(repository().join("templates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(code.contains(&format!("/templates/{name}\")")), "templates/{name} is included nowhere");
    }
}

#[track_caller]
fn document(name: &str) -> String {
    fs_err::read_to_string(repository().join(name)).unwrap_or_else(|error| panic!("{name} is not written yet: {error}"))
}

#[test]
fn the_map_in_architecture_md_is_the_tree() {
    let text = document("ARCHITECTURE.md");
    // - `src/plan/decide.rs` – what it is
    let line = Regex::new(r"(?m)^\s*[-*] `(src/[^`]*\.rs)`(.*)$").unwrap();
    let mut mapped: BTreeMap<String, usize> = BTreeMap::new();
    for found in line.captures_iter(&text) {
        *mapped.entry(found[1].to_owned()).or_default() += 1;
        let words = found[2].split_whitespace().count();
        assert!(words > 1, "nothing is said of {}", &found[1]);
    }
    let twice: Vec<_> = mapped.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "more than once: {twice:?}");
    let mapped: BTreeSet<_> = mapped.into_keys().collect();
    let tree: BTreeSet<_> = files("src", "rs").into_iter().filter(|path| !is_test(path)).collect();
    let missing: Vec<_> = tree.difference(&mapped).collect();
    let gone: Vec<_> = mapped.difference(&tree).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not in the map: {missing:#?}\nonly in the map: {gone:#?}");
}

#[test]
fn the_changelog_has_the_version() {
    let text = document("CHANGELOG.md");
    let version = env!("CARGO_PKG_VERSION");
    let heading = |line: &str| line.starts_with('#') && line.split([' ', '[', ']', 'v']).any(|word| word == version);
    assert!(text.lines().any(heading), "no heading for {version}");
}

#[test]
fn the_readme_shows_the_demo_and_the_tests_and_they_are_there() {
    let text = document("README.md");
    for script in ["./scripts/demo", "./scripts/test"] {
        assert!(text.contains(script), "README.md does not show {script}");
        assert!(is_executable(&repository().join(script)), "{script} cannot be run");
    }
    // Files that the README points to exist.
    let link = Regex::new(r"\]\(([^)#:]+)(#[^)]*)?\)").unwrap();
    for found in link.captures_iter(&text) {
        assert!(repository().join(&found[1]).exists(), "README.md points to {}, which is not there", &found[1]);
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs_err::metadata(path).is_ok_and(|details| details.is_file() && details.permissions().mode() & 0o111 != 0)
}
