//! The command line: help, version, exit codes, completions, manual page, and where messages go.

use std::process::{Command, Stdio};

use kbuild::error::EXIT_CODES;

use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;
use crate::support::{repository, require};

const SUBCOMMANDS: [&str; 9] = ["ipvs", "plan", "verify", "boot", "repo", "size", "host", "completions", "man"];

#[test]
fn help_names_every_subcommand_and_every_subcommand_has_help() {
    let sandbox = Sandbox::new();
    let help = sandbox.kbuild().arg("--help").exits(0);
    assert_eq!(help.stderr, "");
    for subcommand in SUBCOMMANDS {
        help.prints(&format!("\n  {subcommand} "));
        let own = sandbox.kbuild().args([subcommand, "--help"]).exits(0);
        own.prints(&format!("Usage: kbuild {subcommand}"));
    }
    // Not for people.
    assert!(!help.stdout.contains("worker"), "{help}");
    let ipvs = sandbox.kbuild().args(["ipvs", "--help"]).exits(0);
    for option in ["--bits", "--srpm", "--mode", "--profile", "--with", "--without", "--set", "--patch", "--buildid"] {
        ipvs.prints(&format!("{option} <"));
    }
    for option in ["--user", "--jobs", "--work", "--out", "--until", "--recipe", "--key", "--arch", "--format"] {
        ipvs.prints(&format!("{option} <"));
    }
    for option in ["--fresh", "--boot", "--allow-unsigned", "--verbose", "--quiet"] {
        ipvs.prints(option);
    }
}

#[test]
fn version() {
    let outcome = Sandbox::new().kbuild().arg("--version").exits(0);
    assert_eq!(outcome.stdout, concat!("kbuild ", env!("CARGO_PKG_VERSION"), "\n"));
}

/// Returns the numbers in the first column of a table of exit codes in Markdown.
fn codes_in_table(text: &str) -> Vec<u8> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix('|')?.split('|').next())
        .filter_map(|cell| cell.trim().trim_matches('`').trim_end_matches("+n").parse().ok())
        .collect()
}

#[test]
fn help_and_readme_document_every_exit_code() {
    let codes: Vec<u8> = EXIT_CODES.iter().map(|(code, _)| *code).collect();
    let help = Sandbox::new().kbuild().arg("--help").exits(0).stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let listed = help.split_once("Exit codes: ").unwrap().1.split_once(". ").unwrap().0;
    let in_help: Vec<u8> = listed
        .split("; ")
        .map(|each| each.split(' ').next().unwrap().trim_end_matches("+n").parse().unwrap())
        .collect();
    let sorted = |mut codes: Vec<u8>| {
        codes.sort_unstable();
        codes
    };
    assert_eq!(sorted(in_help), codes, "--help");

    let readme = fs_err::read_to_string(repository().join("README.md"))
        .unwrap_or_else(|error| panic!("README.md documents the exit codes: {error}"));
    assert_eq!(sorted(codes_in_table(&readme)), codes, "the table in README.md");
}

#[test]
fn completions_for_every_shell() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let outcome = sandbox.kbuild().args(["completions", shell]).exits(0);
        for word in ["ipvs", "allow-unsigned", "verify"] {
            outcome.prints(word);
        }
        assert!(!outcome.stdout.contains("worker"), "the hidden subcommand is offered in {shell}");
    }
    sandbox.kbuild().args(["completions", "csh"]).refused(2);
}

#[test]
fn completions_of_bash_are_bash() {
    let sandbox = Sandbox::new();
    let script = sandbox.kbuild().args(["completions", "bash"]).exits(0).stdout;
    let path = sandbox.input("kbuild.bash", script);
    let checked = Command::new("bash").arg("-n").arg(path).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn the_manual_page_has_the_options_and_the_exit_codes() {
    let outcome = Sandbox::new().kbuild().arg("man").exits(0);
    outcome.prints(".TH kbuild 1").prints("Exit codes: ");
    // It is the only page that there is.
    for option in ["bits", "srpm", "allow\\-unsigned", "until"] {
        outcome.prints(&format!("\\-\\-{option}"));
    }
}

#[test]
fn every_refusal_is_on_stderr_and_stdout_is_empty() {
    let sandbox = Sandbox::new();
    let cases: [(&[&str], i32); 16] = [
        (&[], 2),
        (&["build"], 2),
        (&["ipvs"], 2),
        (&["ipvs", "--bits", "20"], 2),
        (&["ipvs", "--srpm", "x.src.rpm"], 2),
        (&["ipvs", "--bits", "abc", "--srpm", "x.src.rpm"], 2),
        (&["ipvs", "--bits", "20", "--srpm", "x.src.rpm", "--set", "CONFIG_X"], 2),
        (&["ipvs", "--bits", "20", "--srpm", "x.src.rpm", "--set", "X=y"], 2),
        (&["ipvs", "--bits", "20", "--srpm", "x.src.rpm", "--mode", "bp"], 2),
        (&["ipvs", "--bits", "20", "--srpm", "x.src.rpm", "--until", "never"], 2),
        (&["plan", "--bits", "20,20", "--srpm", "x.src.rpm"], 2),
        (&["plan", "--bits", "20", "--srpm", "x.src.rpm", "--frobnicate"], 2),
        (&["verify", "--bits", "20"], 2),
        (&["verify", "nowhere"], 2),
        (&["boot", "--bits", "20", "nowhere"], 2),
        (&["-q", "-v", "man"], 2),
    ];
    for (args, code) in cases {
        let outcome = sandbox.kbuild().args(args).exits(code);
        assert_eq!(outcome.stdout, "", "{outcome}");
        assert!(!outcome.stderr.is_empty(), "{outcome}");
        assert!(args.is_empty() || outcome.stderr.contains("error: "), "{outcome}");
    }
}

#[test]
fn an_unknown_recipe_is_refused_and_the_known_ones_are_named() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let plan = |recipe: &str| sandbox.plan(&srpm, "20").args(["--recipe", recipe]);
    plan("el99").refused(3).says("`el99`").says("el6");
    plan("el6").exits(0).prints("asked for");
    let missing = sandbox.path().join("in/missing.toml");
    plan(missing.to_str().unwrap()).refused(3).says("missing.toml");
    let text = fs_err::read_to_string(repository().join("recipes/el6.toml")).unwrap();
    let good = sandbox.input("good.toml", &text);
    plan(good.to_str().unwrap()).exits(0).prints("good.toml");
    let bad = sandbox.input("bad.toml", text.replace("schema = 1", "schema = 99"));
    plan(bad.to_str().unwrap()).refused(3).says("bad.toml").says("schema = 99");
}

#[test]
fn an_architecture_that_the_recipe_lacks_is_refused() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    sandbox.plan(&srpm, "20").args(["--arch", "aarch64"]).refused(3).says("aarch64").says("x86_64");
}

#[test]
fn with_json_the_error_is_the_last_line_on_stdout_too() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let outcome = sandbox.ipvs(&srpm, "21").args(["--format", "json"]).exits(3);
    outcome.says("error: ");
    let last = outcome.json_lines().pop().unwrap();
    assert_eq!(last["event"], "error");
    assert_eq!(last["exit-code"], 3);
    assert!(outcome.stderr.contains(last["error"].as_str().unwrap()), "{outcome}");
    assert!(last["hint"].as_str().unwrap().contains("8..20"), "{last}");
}

#[test]
fn quiet_says_warnings_only_and_verbose_says_commands() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let rpmbuild = sandbox.fake("rpmbuild", "exit 3");
    let run = |flag: &str| sandbox.ipvs(&srpm, "20").fakes([&rpmbuild]).arg(flag).exits(8);
    let quiet = run("--quiet");
    quiet.says("--allow-unsigned").says("error: rpmbuild ended with exit code 3");
    quiet.does_not_say("unpack").does_not_say("note:");
    run("--verbose").says(rpmbuild.path.to_str().unwrap()).says("rpmbuild -bb");
    run("--format=plain").does_not_say("rpmbuild -bb '").does_not_say("\u{1b}");
}

#[test]
fn a_reader_that_has_gone_is_no_panic() {
    // As in `kbuild completions bash | head -1`.
    let mut child = Command::new(env!("CARGO_BIN_EXE_kbuild"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_instructions_can_be_the_users_own() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    sandbox.input("install.md", "Ask Ann before you reboot into {{ uname_r }}.\n");
    let templates = sandbox.path().join("in");
    sandbox.ipvs(&srpm, "20").args(["--profile", "fleet", "--templates"]).arg(&templates).exits(0);
    let text = fs_err::read_to_string(sandbox.out().join("INSTALL.md")).unwrap();
    assert_eq!(text, "Ask Ann before you reboot into 2.6.32-220.13.1.el6.ipvs_20bit.x86_64.\n");

    sandbox.input("install.md", "\n{{ kernal }}\n");
    let refused = sandbox.plan(&srpm, "20").arg("--templates").arg(&templates).refused(3);
    refused.says("cannot read the template").says("install.md:2");
    sandbox.plan(&srpm, "20").args(["--templates", "/no/such/dir"]).refused(3).says("/no/such/dir/install.md");
}
