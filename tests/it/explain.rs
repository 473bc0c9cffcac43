//! `kbuild explain`, and the table behind it: each signature on its log, on that log mutilated, and on builds that fail
//! here and now; nothing on builds that go well; no guesses.

use std::io::Write as _;
use std::process::Command;

use kbuild::explain::{Explainer, Outcome, Report, builtin};
use serde::Deserialize;

use crate::support::kbuild::Outcome as Ran;
use crate::support::sandbox::Sandbox;
use crate::support::{missing, repository, require};

/// tests/explain/index.toml.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    log: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Entry {
    file: String,
    signature: String,
    made: String,
    how: Option<String>,
    stand_in: Option<String>,
    #[serde(default)]
    slow: bool,
}

fn index() -> Vec<Entry> {
    let text = fs_err::read_to_string(repository().join("tests/explain/index.toml")).unwrap();
    toml::from_str::<Index>(&text).unwrap().log
}

fn log(name: &str) -> Vec<u8> {
    fs_err::read(repository().join("tests/explain").join(name)).unwrap()
}

/// Explains a log that comes in pieces of an odd size.
fn explain(table: &kbuild::explain::signature::Table, log: &[u8]) -> Report {
    let mut explainer = Explainer::new(table);
    log.chunks(97).for_each(|chunk| explainer.feed(chunk));
    explainer.finish()
}

#[test]
fn every_signature_has_a_log_on_which_it_comes_first_with_the_line_and_a_command() {
    let table = builtin::table().unwrap();
    let entries = index();
    let mut wrong = Vec::new();
    for signature in table.signatures() {
        if !entries.iter().any(|entry| entry.signature == signature.name) {
            wrong.push(format!("{} has no log", signature.name));
        }
    }
    for entry in &entries {
        let bytes = log(&entry.file);
        let report = explain(&table, &bytes);
        let names: Vec<_> = report.causes.iter().map(|cause| cause.name.as_str()).collect();
        if names.first() != Some(&entry.signature.as_str()) {
            wrong.push(format!("{}: {names:?}", entry.file));
            continue;
        }
        let cause = &report.causes[0];
        let text = String::from_utf8_lossy(&bytes);
        let line = text.lines().nth(usize::try_from(cause.evidence.number).unwrap() - 1).unwrap();
        assert!(line.contains(cause.evidence.text.trim()), "{}: line {}", entry.file, cause.evidence.number);
        for said in [&cause.title, &cause.cause, &cause.fix] {
            let left = said.match_indices('{').any(|(at, _)| !said[..at].ends_with(['%', '-']));
            assert!(!left && !said.contains("  is ") && !said.contains("``"), "{}: {said}", entry.file);
        }
        // What a log says goes into a shell only as words.
        let commands = Command::new("bash").args(["-n", "-c", &cause.fix]).output().unwrap();
        assert!(commands.status.success(), "{}: {}", entry.file, cause.fix);
        assert_ne!(report.outcome, Outcome::Succeeded, "{}", entry.file);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_index_is_the_directory_and_says_how_each_log_was_made() {
    let mut files: Vec<String> = fs_err::read_dir(repository().join("tests/explain"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.strip_suffix(".log").is_some())
        .collect();
    files.sort();
    let entries = index();
    let mut listed: Vec<String> = entries.iter().map(|entry| entry.file.clone()).collect();
    listed.sort();
    assert_eq!(listed, files);
    let runs = runs();
    for entry in &entries {
        let run = runs.iter().any(|run| *run == entry.file.trim_end_matches(".log"));
        match entry.made.as_str() {
            "run" => assert!(run && entry.how.is_none(), "{}", entry.file),
            "written" => assert!(
                !run && entry.how.as_ref().is_some_and(|how| how.len() > 10) && entry.stand_in.is_none(),
                "{}",
                entry.file
            ),
            other => panic!("{}: {other}", entry.file),
        }
    }
    let readme = fs_err::read_to_string(repository().join("README.md")).unwrap();
    let count = builtin::table().unwrap().signatures().count();
    assert!(readme.contains(&format!("The {count} signatures")), "README.md does not say that there are {count}");
    let real = entries.iter().filter(|entry| entry.made == "run" && entry.stand_in.is_none()).count();
    assert!(real >= 60, "only {real} are of real runs from end to end");
}

/// What a CI system, a builder, a terminal or an editor makes of a log.
fn mutilations(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let each = |change: &dyn Fn(usize, &str) -> String| {
        text.lines().enumerate().map(|(at, line)| change(at, line)).collect::<String>().into_bytes()
    };
    let noise = "warning: line over 80\n  CC      mm/oom_kill.o\n\u{0}\u{7}garbage\n+ echo 'No space left on device'\n";
    let mut bytes = Vec::new();
    for line in text.lines() {
        bytes.extend_from_slice(b"\xff\xfe noise \xc3\n");
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    let reversed: Vec<&str> = text.lines().rev().collect();
    let compiled = "  CC [M]  drivers/net/e1000.o\n".repeat(3000);
    vec![
        ("GitLab", each(&|at, line| format!("2024-05-01T10:{:02}:00.1Z 01O \u{1b}[0;m{line}\u{1b}[0;m\n", at % 60))),
        ("GitHub", each(&|at, line| format!("2024-05-01T10:{:02}:00.1234567Z {line}\n", at % 60))),
        ("mock", each(&|_, line| format!("DEBUG util.py:446:  {line}\n"))),
        ("OBS", each(&|at, line| format!("[{at:5}s] {line}\n"))),
        ("progress on the same line", each(&|at, line| format!("{at}%\r\u{1b}[K{line}\n"))),
        ("Windows", each(&|_, line| format!("{line}\r\n"))),
        ("bytes that are no text", bytes),
        ("noise around", format!("{noise}{compiled}{text}{noise}").into_bytes()),
        ("order reversed", (reversed.join("\n") + "\n").into_bytes()),
        ("the last line cut off", text.as_bytes()[..text.len() - 1].to_vec()),
    ]
}

#[test]
fn mutilated_logs_give_the_same_cause() {
    let table = builtin::table().unwrap();
    let mut wrong = Vec::new();
    for entry in index() {
        let bytes = log(&entry.file);
        let text = String::from_utf8_lossy(&bytes);
        let mut cases = mutilations(&text);
        // Cut off right after the line that shows it, and right before.
        let whole = explain(&table, &bytes);
        let at = usize::try_from(whole.causes[0].evidence.number).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        // A test that says nothing is known by what rpm says after it.
        let needs_its_end = entry.signature == "prep-exit" || entry.signature == "disk-free-conflict";
        if !needs_its_end {
            cases.push(("the end is missing", (lines[..at].join("\n") + "\n").into_bytes()));
        }
        cases.push(("the beginning is missing", lines[at - 1..].join("\n").into_bytes()));
        for (how, mutilated) in cases {
            let report = explain(&table, &mutilated);
            let names: Vec<_> = report.causes.iter().map(|cause| cause.name.as_str()).collect();
            if names.first() != Some(&entry.signature.as_str()) {
                wrong.push(format!("{}, {how}: {names:?}", entry.file));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// tests/explain/variants.toml.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variants {
    variant: Vec<Variant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    signature: Option<String>,
    lines: Vec<String>,
}

#[test]
fn other_words_for_the_same_are_known_and_harmless_ones_are_not() {
    let table = builtin::table().unwrap();
    let text = fs_err::read_to_string(repository().join("tests/explain/variants.toml")).unwrap();
    let mut wrong = Vec::new();
    for variant in toml::from_str::<Variants>(&text).unwrap().variant {
        let report = explain(&table, (variant.lines.join("\n") + "\n").as_bytes());
        let first = report.causes.first().map(|cause| cause.name.clone());
        if first != variant.signature {
            wrong.push(format!("{:?} instead of {:?}: {:?}", first, variant.signature, variant.lines));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_cause_comes_before_what_follows_from_it() {
    let table = builtin::table().unwrap();
    let first = |text: &str| explain(&table, text.as_bytes()).causes.first().map(|cause| cause.name.clone());
    // A full disk in %install, which the spec did not notice, and a file that is missing at the end.
    let text = "Executing(%install): /bin/sh\ncp: error writing '/b/x': No space left on device\n\
                Executing(%check): /bin/sh\n+ exit 0\nProcessing files: kernel-1\nerror: File not found: /b/x\n";
    assert_eq!(first(text).as_deref(), Some("disk-full"));
    // The missing header, and not what make and rpm make of it.
    let text = "Executing(%build): /bin/sh\ntools/objtool/elf.c:9:10: fatal error: gelf.h: No such file or directory\n\
                make[2]: *** [elf.o] Error 1\nmake: *** No rule to make target 'vmlinux'.  Stop.\n\
                error: Bad exit status from /var/tmp/rpm-tmp.1 (%build)\n";
    assert_eq!(first(text).as_deref(), Some("libelf-headers-missing"));
    // A tool that %prep could do without is not why %build failed.
    let text = "Executing(%prep): /bin/sh\n/bin/sh: dot: command not found\n+ exit 0\nExecuting(%build): /bin/sh\n\
                net/a.c:1:1: error: expected ';' before '}' token\nerror: Bad exit status from /x (%build)\n";
    assert_eq!(first(text).as_deref(), Some("compile-error"));
    // What is said in rpm's list of warnings did not end the build.
    let text = "error: Architecture is not included: i386\n\nRPM build warnings:\n    File not found: /b/x\n";
    assert_eq!(first(text).as_deref(), Some("architecture-excluded"));
    // A first build in the same job that went well has no say.
    let text = "cp: error writing 'x': No space left on device\nerror: x\nExecuting(%clean): /bin/sh\n+ exit 0\n\
                error: Failed build dependencies:\n\tbc is needed by kernel-1.x86_64\n";
    assert_eq!(first(text).as_deref(), Some("build-requires"));
}

#[test]
fn values_from_the_log_are_in_the_command_and_cannot_run_there() {
    let table = builtin::table().unwrap();
    let text = "error: Failed build dependencies:\n\tbc is needed by kernel-1\n\telfutils-libelf-devel >= 1 is needed by kernel-1\n";
    let cause = &explain(&table, text.as_bytes()).causes[0];
    assert!(cause.cause.contains("misses bc, elfutils-libelf-devel >= 1"), "{}", cause.cause);
    let text = "tools/a.c:1:1: error: x\nmake: `$(touch /tmp/x)`: Permission denied\n\
                /usr/bin/ld: cannot find -lelf\nmake: *** [x] Error 1\n";
    let report = explain(&table, text.as_bytes());
    let library = report.causes.iter().find(|cause| cause.name == "library-missing").unwrap();
    assert!(library.fix.starts_with("dnf install elfutils-libelf-devel"), "{}", library.fix);
    let text = "error: Bad file: /b/SOURCES/$(reboot).patch: No such file or directory\n";
    let report = explain(&table, text.as_bytes());
    assert!(
        report.causes.iter().all(|cause| !cause.fix.contains("$(reboot)") || cause.fix.contains('\'')),
        "{report:?}"
    );
    let text = "make: *** No rule to make target `$(reboot);x', needed by `all'.  Stop.\n";
    let cause = &explain(&table, text.as_bytes()).causes[0];
    assert!(cause.fix.contains("'$(reboot)'"), "{}", cause.fix);
}

#[test]
fn builds_that_went_well_have_no_cause() {
    let table = builtin::table().unwrap();
    let good: Vec<_> = fs_err::read_dir(repository().join("tests/explain/good")).unwrap().collect();
    assert!(good.len() >= 3);
    for entry in good {
        let path = entry.unwrap().path();
        let report = explain(&table, &fs_err::read(&path).unwrap());
        assert!(report.causes.is_empty(), "{}: {:?}", path.display(), report.causes);
    }
    // A build by this very machine, of which kbuild keeps the log.
    if require("rpmbuild") {
        let built = crate::support::built::Built::toy();
        let report = explain(&table, &fs_err::read(built.out.join("logs/04-build.log")).unwrap());
        assert_eq!((report.outcome, report.causes.len()), (Outcome::Succeeded, 0), "{:?}", report.causes);
    }
}

#[test]
fn a_log_without_end_takes_no_more_memory() {
    let sandbox = Sandbox::new();
    let path = sandbox.path().join("in/long.log");
    let mut file = fs_err::File::create(&path).unwrap();
    let line = vec![b'x'; 1 << 20];
    for _ in 0..400 {
        file.write_all(&line).unwrap();
    }
    file.write_all(b"\ncp: error writing 'vmlinux': No space left on device\n").unwrap();
    let limited = ["bash", "-c", "ulimit -v 400000; exec \"$@\"", "-"];
    let outcome = sandbox.kbuild().through(&limited).arg("explain").arg(&path).exits(0);
    outcome.prints("no room left on a file system").prints(":2: cp: error writing");
}

/// Writes a log into a sandbox and explains it with the program.
fn explained(sandbox: &Sandbox, content: &[u8], code: i32, args: &[&str]) -> Ran {
    let path = sandbox.input("build.log", content);
    sandbox.kbuild().arg("explain").arg(path).args(args).exits(code)
}

#[test]
fn the_program_names_cause_place_and_fix() {
    let sandbox = Sandbox::new();
    let content = log("bc-missing.log");
    let outcome = explained(&sandbox, &content, 0, &[]);
    outcome.prints("cause: bc is not installed (bc-missing, in %build)\n").prints("build.log:");
    outcome.prints("fix:\n  dnf install bc").prints("source: ");
    assert_eq!(outcome.stderr, "", "{outcome}");

    let lines = explained(&sandbox, &content, 0, &["--format", "json"]).json_lines();
    assert_eq!((lines.len(), &lines[0]["event"]), (1, &"explanation".into()));
    let cause = &lines[0]["report"]["causes"][0];
    assert_eq!((&cause["name"], &cause["phase"]), (&"bc-missing".into(), &"%build".into()));
    assert!(cause["evidence"]["number"].as_u64().unwrap() > 1 && cause["fix"].is_string(), "{cause}");

    // Compressed, as builders keep them, and from a pipe.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&content).unwrap();
    explained(&sandbox, &packed.finish().unwrap(), 0, &[]).prints("bc is not installed");
    let path = sandbox.input("build.log", &content);
    let piped = ["bash", "-c", "cat \"$0\" | \"$@\"", path.to_str().unwrap()];
    sandbox.kbuild().through(&piped).args(["explain", "-"]).exits(0).prints("stdin:");
}

#[test]
fn what_is_not_known_is_not_guessed_at() {
    let sandbox = Sandbox::new();
    let text = "Executing(%build): /bin/sh -e x\n+ ./frobnicate --all\nfrobnicate: error: the moon is in the wrong house\n\
                make: *** [Makefile:3: all] Error 9\nerror: Bad exit status from /var/tmp/rpm-tmp.x (%build)\n";
    let outcome = explained(&sandbox, text.as_bytes(), 8, &[]);
    outcome.prints("it failed, and no known cause is in this log\n");
    outcome.prints("the first lines that look like an error:\n").prints("build.log:3: frobnicate: error: the moon");
    outcome.prints("the last lines:\n").prints("build.log:5: error: Bad exit status");
    outcome.says("error: it failed, and no known cause is in this log").says("hint: ");
    let lines = explained(&sandbox, text.as_bytes(), 8, &["--format", "json"]).json_lines();
    assert_eq!(lines[0]["report"]["causes"], serde_json::json!([]));
    assert_eq!((&lines[0]["report"]["outcome"], &lines[1]["exit-code"]), (&"failed".into(), &8.into()));

    explained(&sandbox, &log("good/toy.log"), 3, &[]).says("nothing failed as far as this log goes");
    explained(&sandbox, b"", 8, &[]).says("no known cause is in this log");
    sandbox.kbuild().args(["explain", "/no/such.log"]).exits(3).says("cannot read the log").says("/no/such.log");
    sandbox.kbuild().arg("explain").exits(2);
}

/// The names of the failing builds.
fn runs() -> Vec<String> {
    let listed = Command::new(repository().join("tests/explain/run")).arg("--list").output().unwrap();
    assert!(listed.status.success());
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Makes builds fail here and now, and explains what they say.
fn really_fail(wanted: impl Fn(usize, &Entry) -> bool) {
    if !require("rpmbuild") {
        return;
    }
    let table = builtin::table().unwrap();
    let (mut wrong, mut left_out) = (Vec::new(), Vec::new());
    let entries = index().into_iter().filter(|entry| entry.made == "run").enumerate();
    for (_, entry) in entries.filter(|(at, entry)| wanted(*at, entry)) {
        let run =
            Command::new(repository().join("tests/explain/run")).arg(entry.file.trim_end_matches(".log")).output();
        let run = run.unwrap();
        if run.status.code() == Some(77) {
            left_out.push(format!("{}: {}", entry.file, String::from_utf8_lossy(&run.stderr).trim()));
            continue;
        }
        let report = explain(&table, &run.stdout);
        if report.causes.first().map(|cause| cause.name.as_str()) != Some(entry.signature.as_str()) {
            wrong.push(format!("{}: {:?}\n{}", entry.file, report.causes, String::from_utf8_lossy(&run.stdout)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for name in left_out {
        missing(&name);
    }
}

// In four parts, so that they run side by side.
#[test]
fn builds_that_fail_here_and_now_are_explained_1() {
    really_fail(|at, entry| at % 4 == 0 && !entry.slow);
}

#[test]
fn builds_that_fail_here_and_now_are_explained_2() {
    really_fail(|at, entry| at % 4 == 1 && !entry.slow);
}

#[test]
fn builds_that_fail_here_and_now_are_explained_3() {
    really_fail(|at, entry| at % 4 == 2 && !entry.slow);
}

#[test]
fn builds_that_fail_here_and_now_are_explained_4() {
    really_fail(|at, entry| at % 4 == 3 && !entry.slow);
}

mod real_kernel {
    #[test]
    fn what_linux_itself_refuses_is_explained() {
        super::really_fail(|_, entry| entry.slow);
    }
}
