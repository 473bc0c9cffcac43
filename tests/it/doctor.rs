//! `kbuild doctor`: everything that would stop a build, at once, on this machine as it is.

use std::path::PathBuf;
use std::process::Command;

use crate::support::sandbox::Sandbox;
use crate::support::tmpfs::Tmpfs;
use crate::support::toy::Toy;
use crate::support::{require, require_root};

#[test]
fn a_machine_that_can_build_has_no_problem() {
    if !require("rpmbuild") || !require("gcc") {
        return;
    }
    let sandbox = Sandbox::new();
    let doctor = |recipe: &str| sandbox.kbuild().args(["doctor", "--recipe", recipe, "--work"]).arg(sandbox.work());
    // Packages of the family may be missing here; nothing else may be wrong.
    let seen = doctor("el6").args(["--format", "json"]).start().ends();
    let findings: Vec<serde_json::Value> =
        seen.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |what: &str| findings.iter().find(|each| each["what"] == what).unwrap();
    for what in ["host", "programs", "room", "memory"] {
        assert_eq!(find(what)["weight"], "fine", "{findings:#?}");
    }
    let gcc = Command::new("gcc").arg("-dumpfullversion").output().unwrap().stdout;
    let gcc = format!("gcc {}", String::from_utf8(gcc).unwrap().trim());
    assert!(find("programs")["found"].as_str().unwrap().contains(&gcc), "{findings:#?}");
}

#[test]
fn what_is_wrong_is_told_all_at_once_with_what_to_do() {
    if !require_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let recipe = sandbox.input(
        "own.toml",
        "schema = 1\nname = \"own\"\ntitle = \"Own\"\nextends = \"el6\"\n[requires]\n\
         apt = [\"no-such-package\", \"coreutils\"]\ndnf = [\"no-such-package\", \"coreutils\"]\n",
    );
    let Some(mounted) = Tmpfs::mount(sandbox.path().join("small"), "1m,noexec") else {
        eprintln!("skipped: no file system can be mounted here");
        return;
    };
    let srpm = sandbox.srpm(&Toy::unmodified());
    let doctor = sandbox.kbuild().args(["doctor", "--allow-unsigned", "--jobs", "4000", "--srpm"]).arg(&srpm);
    let outcome = doctor.arg("--recipe").arg(recipe).arg("--work").arg(mounted.path()).exits(4);
    outcome.says("error: this machine cannot build it: 2 problems");
    let out = &outcome.stdout;
    assert!(out.contains("may do without: ") && out.contains(" no-such-package"), "{outcome}");
    assert!(out.contains("is mounted noexec (tmpfs)") && out.contains("-> --work DIR"), "{outcome}");
    assert!(out.contains("1 MB free at") && out.contains(" MB needed (by the recipe)"), "{outcome}");
    assert!(out.lines().any(|line| line.starts_with("risk") && line.contains("for 4000 jobs")), "{outcome}");
}

#[test]
fn a_kernel_that_is_too_old_for_the_tools_is_known_by_its_sources() {
    if !require("rpmbuild") || !require("gcc") || !require("perl") {
        return;
    }
    let sandbox = Sandbox::new();
    let toy = Toy::new()
        .write("linux/include/linux/compiler-gcc4.h", "/* gcc 4 */\n")
        .write("linux/kernel/timeconst.pl", "if (!defined(@val)) { exit 1; }\n");
    let srpm = sandbox.srpm(&toy.pack());
    let doctor = || sandbox.kbuild().args(["doctor", "--allow-unsigned", "--srpm"]).arg(&srpm);
    let outcome = doctor().arg("--work").arg(sandbox.work()).start().ends();
    let said = "this kernel knows gcc up to 4 (include/linux/compiler-gcc*.h)";
    assert!(outcome.stdout.contains(said), "{outcome}");
    assert!(outcome.stdout.contains("kernel/timeconst.pl says `defined(@array)`"), "{outcome}");
    outcome.says("error: this machine cannot build it");
}

#[test]
fn wrong_arguments_of_doctor() {
    let sandbox = Sandbox::new();
    sandbox.kbuild().arg("doctor").refused(2).says("--recipe");
    sandbox.kbuild().args(["doctor", "--recipe", "el66"]).refused(3).says("did you mean `el6`?");
    sandbox.kbuild().args(["doctor", "--srpm"]).arg(PathBuf::from("/no/such.src.rpm")).refused(5).says("No such file");
    sandbox.kbuild().args(["doctor", "--release", "el6"]).refused(3).says("is no release");
    sandbox.kbuild().args(["doctor", "--recipe", "el6", "--profile", "small"]).refused(2).says("--profile");
}
