//! `examples/` and Containerfile: valid in the eyes of others, and with command lines that kbuild takes.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::sandbox::Sandbox;
use crate::support::validators::{program, require_validators};
use crate::support::{repository, require, which};

fn example(name: &str) -> PathBuf {
    repository().join("examples").join(name)
}

/// Whether a program of the validators finds a file good; what it says otherwise is in the panic of a test.
fn judge(name: &str, args: &[&str], file: &Path) -> Result<(), String> {
    let path = format!("{}:{}", program(name).parent().unwrap().display(), std::env::var("PATH").unwrap());
    let judged = Command::new(program(name)).args(args).arg(file).env("PATH", path).output().unwrap();
    let said = String::from_utf8_lossy(&judged.stdout).into_owned() + &String::from_utf8_lossy(&judged.stderr);
    if judged.status.success() { Ok(()) } else { Err(said) }
}

/// A copy of a file with a text replaced that it has.
fn spoilt(file: &Path, from: &str, to: &str) -> (tempfile::TempDir, PathBuf) {
    let text = fs_err::read_to_string(file).unwrap();
    assert!(text.contains(from), "`{from}` in {}", file.display());
    let dir = tempfile::tempdir().unwrap();
    // actionlint and zizmor look at files of a repository's workflows only.
    let path = dir.path().join(".github/workflows").join(file.file_name().unwrap());
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, text.replacen(from, to, 1)).unwrap();
    (dir, path)
}

#[test]
fn each_is_valid_in_the_eyes_of_others_and_a_spoilt_one_is_not() {
    if !require_validators() {
        return;
    }
    let gitlab = ["--builtin-schema", "vendor.gitlab-ci"];
    let github = ["--builtin-schema", "vendor.github-workflows"];
    let kubernetes = ["--strict", "-k", "1.33"];
    for (file, name, args, (from, to)) in [
        ("gitlab-ci.yml", "check-jsonschema", &gitlab[..], ("  timeout: 6h\n", "  tiemout: 6h\n")),
        ("github-workflow.yml", "check-jsonschema", &github, ("runs-on:", "runs-in:")),
        ("github-workflow.yml", "actionlint", &[], ("inputs.release", "inputs.relaese")),
        ("github-workflow.yml", "zizmor", &["--offline", "--quiet"], ("--bits \"$BITS\"", "--bits ${{ inputs.bits }}")),
        ("kubernetes-job.yaml", "kubernetes-validate", &kubernetes, ("backoffLimit:", "backofLimit:")),
    ] {
        // As it is, where it would be.
        let (_dir, good) = spoilt(&example(file), "\n", "\n");
        judge(name, args, &good).unwrap_or_else(|said| panic!("{name} of {file}: {said}"));
        let (_dir, bad) = spoilt(&example(file), from, to);
        assert!(judge(name, args, &bad).is_err(), "{name} takes a spoilt {file}");
    }
}

#[test]
fn the_containerfile_is_valid_in_the_eyes_of_others() {
    if !require_validators() {
        return;
    }
    // BASE has its tag from whoever names it (DL3006), versions of packages are the distribution's (DL3008), and options are split
    // on purpose (SC2086).
    let ignored = ["DL3006", "DL3008", "SC2086"];
    let args: Vec<&str> = ignored.iter().flat_map(|rule| ["--ignore", *rule]).collect();
    let file = repository().join("Containerfile");
    judge("hadolint", &args, &file).unwrap_or_else(|said| panic!("{said}"));
    let (_dir, bad) = spoilt(&file, "USER 10001", "USER root");
    assert!(judge("hadolint", &args, &bad).is_err(), "it takes root as the last user");
}

#[test]
fn scripts_are_clean() {
    if !require("shellcheck") {
        return;
    }
    let mut scripts: Vec<PathBuf> =
        fs_err::read_dir(repository().join("scripts")).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.push(example("slurm.sh"));
    scripts.push(repository().join("tests/kernels/pack"));
    for script in scripts {
        let first = fs_err::read_to_string(&script).unwrap().lines().next().unwrap().to_owned();
        assert!(first.starts_with("#!/bin/") || first.starts_with("# shellcheck shell="), "{}", script.display());
        let checked = Command::new("shellcheck")
            .args(["--external-sources", "--severity", "warning"])
            .arg(&script)
            .current_dir(repository())
            .output()
            .unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }
}

/// Returns the commands of an example, in order, as its engine would hand them to a shell.
fn commands(name: &str) -> Vec<String> {
    let read = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let said = Command::new(program("python")).args(["-c", read]).arg(example(name)).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let document: Value = serde_json::from_slice(&said.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    match name {
        "gitlab-ci.yml" => ["kernel", "proof"]
            .iter()
            .flat_map(|job| document[*job]["script"].as_array().unwrap().iter().map(text).collect::<Vec<_>>())
            .collect(),
        "github-workflow.yml" => {
            let steps = document["jobs"]["kernel"]["steps"].as_array().unwrap();
            steps.iter().filter(|step| step["run"].is_string()).map(|step| text(&step["run"])).collect()
        }
        _ => {
            let container = &document["spec"]["template"]["spec"]["containers"][0];
            let words: Vec<String> = container["args"].as_array().unwrap().iter().map(text).collect();
            vec![format!("kbuild {}", words.join(" "))]
        }
    }
}

#[test]
fn their_command_lines_are_kbuilds() {
    if !require_validators() {
        return;
    }
    let sandbox = Sandbox::new();
    // As it is, but that nothing is built and no server is asked.
    let script = format!(
        "#!/bin/bash\nargs=(); for word; do [[ $word != ipvs ]] || {{ args+=(plan --offline --store {}); continue; }}; \
         args+=(\"$word\"); done\nexec {} \"${{args[@]}}\"\n",
        sandbox.path().join("store").display(),
        env!("CARGO_BIN_EXE_kbuild")
    );
    let kbuild = sandbox.path().join("bin/kbuild");
    fs_err::write(&kbuild, script).unwrap();
    fs_err::set_permissions(&kbuild, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", kbuild.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let run = |program: &str, args: &[&str]| {
        let mut command = Command::new(which(program).unwrap());
        command.args(args).current_dir(sandbox.home()).env_clear().env("PATH", &path).env("HOME", sandbox.home());
        command.env("RELEASE", "2.6.32-220.13.1.el6").env("BITS", "20").env("SLURM_CPUS_PER_TASK", "2");
        let done = command.output().unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let mut seen = 0;
    for name in ["gitlab-ci.yml", "github-workflow.yml", "kubernetes-job.yaml"] {
        for command in commands(name) {
            let (code, said) = run("sh", &["-euc", &command]);
            // Offline, the source package cannot be had; and without it, there is nothing to verify.
            let (expected, words) = if command.contains(" ipvs ") {
                (5, "")
            } else {
                (2, "`kbuild-out` is neither a package nor a directory")
            };
            assert!(code == Some(expected) && said.contains(words), "{name}: {command}: {code:?}: {said}");
            seen += 1;
        }
    }
    assert_eq!(seen, 5);
    let slurm = example("slurm.sh");
    let (code, said) = run("bash", &[slurm.to_str().unwrap(), "2.6.32-220.13.1.el6", "20"]);
    assert_eq!(code, Some(5), "{said}");
    assert_eq!(run("bash", &[slurm.to_str().unwrap()]).0, Some(1));
    // An option that kbuild has not would be seen.
    assert_eq!(run("sh", &["-euc", "kbuild ipvs --release \"$RELEASE\" --bits \"$BITS\" --profil fleet"]).0, Some(2));
}
