//! A fleet as a workflow of GitHub Actions: judged by actionlint and zizmor, and its scripts run as written with GitHub's variables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use super::{Place, Srpms, all_but_one_are_done, all_cells, failing, record, said};
use crate::support::validators::{require_validators, tool, yaml};
use crate::support::{require, require_root};

/// Judges a workflow with both validators: what each says against it.
fn judge(workflow: &str) -> [Option<String>; 2] {
    let dir = tempfile::tempdir().unwrap();
    let workflows = dir.path().join(".github/workflows");
    fs_err::create_dir_all(&workflows).unwrap();
    let file = workflows.join("kernels.yml");
    fs_err::write(&file, workflow).unwrap();
    let verdict = |output: Output| match output.status.code() {
        Some(0) => None,
        Some(_) => Some(said(&output)),
        None => panic!("{}", said(&output)),
    };
    let actionlint = tool("actionlint").args(["-no-color"]).arg(&file).output().unwrap();
    let zizmor = tool("zizmor").args(["--offline", "--no-progress", "--persona=pedantic"]).arg(&file).output().unwrap();
    [verdict(actionlint), verdict(zizmor)]
}

/// Exports a workflow.
fn workflow(place: &Place, more: &[&str]) -> String {
    place.fleet("export", "repository/fleet.toml").arg("github").args(more).exits(0).stdout
}

#[test]
fn validators_take_every_workflow_and_refuse_what_is_wrong() {
    if !require("rpmbuild") || !require_validators() {
        return;
    }
    let place = Place::new("repository", Srpms::Beside, "");
    for more in [&[][..], &["--shards", "2"], &["--image", "r.example/kbuild@sha256:0123"], &["--out", "/srv/fleet"]] {
        assert_eq!(judge(&workflow(&place, more)), [None, None], "{more:?}: {}", workflow(&place, more));
    }
    let good = workflow(&place, &[]);
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{good}");
        judge(&good.replacen(from, to, 1))
    };
    let [actionlint, _] = with("needs: plan", "needs: plna");
    assert!(actionlint.unwrap().contains("plna"));
    let pinned = good.split("actions/checkout@").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let [_, zizmor] = with(&pinned, "v6");
    assert!(zizmor.unwrap().contains("unpinned-uses"));
    let [_, zizmor] = with("        with:\n          persist-credentials: false\n", "");
    assert!(zizmor.unwrap().contains("artipacked"));
}

/// What GitHub does with a workflow, as far as it is needed here.
struct Runner<'a> {
    place: &'a Place,
    workflow: Value,
    matrix: Value,
}

impl Runner<'_> {
    /// The scripts of a job in order, each with its variables.
    fn steps(&self, job: &str, leg: &Value) -> Vec<(String, BTreeMap<String, String>)> {
        let steps = self.workflow["jobs"][job]["steps"].as_array().unwrap().iter();
        let expanded =
            |value: &Value| value.as_str().unwrap().replace("${{ matrix.part }}", leg["part"].as_str().unwrap_or("?"));
        let variables = |step: &Value| -> BTreeMap<String, String> {
            let env = step["env"].as_object().into_iter().flatten();
            env.map(|(name, value)| (name.clone(), expanded(value))).collect()
        };
        let scripts = steps.filter(|step| step["run"].is_string());
        scripts.map(|step| (step["run"].as_str().unwrap().to_owned(), variables(step))).collect()
    }

    /// Runs a job in a checkout of its own, and returns that, what was said, whether it went well, and its outputs.
    fn job(&self, job: &str, leg: &Value, checkout: &Path, path: &str) -> (String, bool, String) {
        let place = self.place;
        fs_err::create_dir_all(checkout).unwrap();
        for entry in fs_err::read_dir(place.sandbox.path().join("repository")).unwrap() {
            let entry = entry.unwrap();
            fs_err::copy(entry.path(), checkout.join(entry.file_name())).unwrap();
        }
        let outputs = place.sandbox.path().join(format!("outputs-{job}"));
        fs_err::write(&outputs, "").unwrap();
        let mut log = String::new();
        for (script, variables) in self.steps(job, leg) {
            assert!(!script.contains("${{"), "an expression in a script: {script}");
            let file = place.sandbox.input("step.sh", &script);
            // As GitHub does if nobody names a shell.
            let mut command = place.command("bash");
            command.arg("-e").arg(file).envs(variables).current_dir(checkout);
            let path = format!("{path}{}", place.env()["PATH"]);
            let github = [("GITHUB_ACTIONS", "true"), ("GITHUB_SERVER_URL", "https://github.example"), ("PATH", &path)];
            command.envs(github).envs([
                ("GITHUB_REPOSITORY", "o/r"),
                ("GITHUB_RUN_ID", "7"),
                ("RUNNER_NAME", "runner"),
            ]);
            let done = command.env("GITHUB_OUTPUT", &outputs).output().unwrap();
            log += &said(&done);
            if !done.status.success() {
                return (log, false, String::new());
            }
        }
        (log, true, fs_err::read_to_string(outputs).unwrap())
    }
}

#[test]
fn the_scripts_of_all_legs_build_the_fleet() {
    if !require_root() || !require("rpmbuild") || !require_validators() {
        return;
    }
    let place = Place::new("repository", Srpms::Beside, "");
    // The workflow is written where the repository begins.
    let export = place
        .command("kbuild")
        .args(["fleet", "export", "github"])
        .current_dir(place.sandbox.path().join("repository"))
        .output();
    let [workflow] = &yaml(&String::from_utf8(export.unwrap().stdout).unwrap())[..] else {
        panic!("more than one document")
    };
    let mut runner = Runner { place: &place, workflow: workflow.clone(), matrix: Value::Null };
    let checkout = |name: &str| place.sandbox.path().join("checkouts").join(name);
    let (log, ok, outputs) = runner.job("plan", &Value::Null, &checkout("plan"), "");
    assert!(ok, "{log}");
    runner.matrix = serde_json::from_str(outputs.strip_prefix("matrix=").unwrap()).unwrap();
    let legs = runner.matrix["include"].as_array().unwrap();
    assert_eq!(legs.len(), 6, "{outputs}");

    let artifacts = checkout("collect").join("fleet-cells");
    for (index, leg) in legs.iter().enumerate() {
        let place = checkout(&index.to_string());
        let (log, ok, _) = runner.job("cell", leg, &place, "");
        assert_eq!(ok, leg["part"] != failing().as_str(), "{leg}: {log}");
        merge(&place.join("fleet-cells"), &artifacts);
    }
    let (log, ok, _) = runner.job("collect", &Value::Null, &checkout("collect"), "");
    assert!(log.contains("5 of 6 cells are done"), "{log}");
    let results = checkout("collect").join("fleet-out");
    all_but_one_are_done(&results, false);
    let runner_of = &record(&results, &all_cells()[0])["runner"];
    assert_eq!(
        (&runner_of["engine"], &runner_of["url"]),
        (&"GitHub Actions".into(), &"https://github.example/o/r/actions/runs/7".into())
    );
    assert!(ok && results.join("report.html").is_file(), "{log}");
}

/// Does what upload-artifact and download-artifact with `merge-multiple` do: everything but hidden files, in one place.
fn merge(from: &Path, to: &Path) {
    let hidden = |entry: &walkdir::DirEntry| entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.');
    for entry in walkdir::WalkDir::new(from).into_iter().filter_entry(|entry| !hidden(entry)) {
        let entry = entry.unwrap();
        let target: PathBuf = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs_err::create_dir_all(target).unwrap();
        } else {
            fs_err::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn an_image_is_started_with_what_it_needs() {
    if !require("rpmbuild") || !require_validators() {
        return;
    }
    let place = Place::new("repository", Srpms::Beside, "");
    // In place of the container there is this machine; what docker was called with is written down.
    let docker = place
        .sandbox
        .fake("docker", "until [[ $1 = --entrypoint ]]; do shift; done\nprogram=$2\nshift 3\nexec \"$program\" \"$@\"");
    let export = place
        .command("kbuild")
        .args(["fleet", "export", "github", "--shards", "2", "--image", "r.example/a b:1"])
        .current_dir(place.sandbox.path().join("repository"))
        .output();
    let [workflow] = &yaml(&String::from_utf8(export.unwrap().stdout).unwrap())[..] else {
        panic!("more than one document")
    };
    let runner = Runner { place: &place, workflow: workflow.clone(), matrix: Value::Null };
    let checkout = place.sandbox.path().join("checkout");
    let path = format!("{}:", docker.path.parent().unwrap().display());
    let (log, ok, outputs) = runner.job("plan", &Value::Null, &checkout, &path);
    assert!(ok && outputs == "matrix={\"include\":[{\"part\":\"1/2\"},{\"part\":\"2/2\"}]}\n", "{outputs}{log}");
    let here = checkout.display();
    let expected = format!(
        "run --rm --user root --volume {here}:{here} --workdir {here} --env GITHUB_ACTIONS --env GITHUB_SERVER_URL --env \
         GITHUB_REPOSITORY --env GITHUB_RUN_ID --env RUNNER_NAME --entrypoint kbuild r.example/a b:1 fleet export github --file \
         fleet.toml --matrix --shards 2"
    );
    assert_eq!(docker.calls()[0].args.join(" "), expected);
}
