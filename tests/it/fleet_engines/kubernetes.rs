//! A fleet as an Indexed Job of Kubernetes: judged by a strict schema check, and its container's command run as written for each
//! index, as the user and with the directories that the pod has.

use std::fmt::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use super::{Place, Srpms, all_but_one_are_done, said};
use crate::support::validators::{require_validators, tool, yaml};
use crate::support::{require, require_root};

/// Judges a manifest by the schema of a version of Kubernetes: what is wrong with it.
fn judge(manifest: &str, version: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("job.yaml");
    fs_err::write(&file, manifest).unwrap();
    let judged = tool("kubernetes-validate").args(["--strict", "-k", version]).arg(file).output().unwrap();
    match judged.status.code() {
        Some(0) => None,
        Some(1) if !said(&judged).contains("Traceback") => Some(said(&judged)),
        code => panic!("the validator itself failed with {code:?}: {}", said(&judged)),
    }
}

/// Exports a job.
fn manifest(place: &Place, more: &[&str]) -> String {
    let export =
        place.fleet("export", "fleet/fleet.toml").args(["kubernetes", "--image", "r.example/kbuild:1"]).args(more);
    export.exits(0).stdout
}

#[test]
fn the_schema_takes_it_and_refuses_what_is_wrong() {
    if !require("rpmbuild") || !require_validators() {
        return;
    }
    let place = Place::new("fleet", Srpms::Elsewhere, "");
    let good = manifest(&place, &[]);
    for version in ["1.29", "1.37"] {
        assert_eq!(judge(&good, version), None, "{version}: {good}");
    }
    assert_eq!(judge(&manifest(&place, &["--shards", "2", "--out", "/srv/a b"]), "1.33"), None);
    for (from, to) in
        [("completionMode:", "completionsMode:"), ("backoffLimitPerIndex: 2", "backoffLimitPerIndex: two")]
    {
        assert!(good.contains(from), "{good}");
        assert!(judge(&good.replacen(from, to, 1), "1.33").is_some(), "{to}");
    }
    // What a fleet file says reaches the pod as it is.
    let documents = yaml(&good);
    let text = fs_err::read_to_string(place.sandbox.path().join("fleet/fleet.toml")).unwrap();
    assert_eq!(documents[0]["data"]["fleet.toml"], text.as_str());
    let kinds: Vec<&Value> = documents.iter().map(|document| &document["kind"]).collect();
    assert_eq!(kinds, ["ConfigMap", "PersistentVolumeClaim", "Job"]);
}

/// A directory that is the root of a pod's file system: this machine's, but for what the pod mounts.
struct Pod {
    root: PathBuf,
}

impl Pod {
    fn new(place: &Place) -> Self {
        let root = place.sandbox.path().join("root");
        for dir in ["usr", "proc", "dev", "var", "tmp", "etc", "in"] {
            fs_err::create_dir_all(root.join(dir)).unwrap();
        }
        for entry in fs_err::read_dir("/").unwrap().map(|entry| entry.unwrap()) {
            if let Ok(target) = fs_err::read_link(entry.path()) {
                symlink(target, root.join(entry.file_name())).unwrap();
            }
        }
        // Accounts as an image has them, and nothing else.
        for (name, text) in [
            ("passwd", "root:x:0:0:root:/root:/bin/sh\n"),
            ("group", "root:x:0:\n"),
            ("nsswitch.conf", "passwd: files\ngroup: files\n"),
        ] {
            fs_err::write(root.join("etc").join(name), text).unwrap();
        }
        for dir in ["alternatives", "ld.so.cache", "rpm"] {
            let path = Path::new("/etc").join(dir);
            if path.exists() {
                let copied =
                    std::process::Command::new("cp").arg("-a").arg(&path).arg(root.join("etc")).status().unwrap();
                assert!(copied.success());
            }
        }
        Self { root }
    }

    /// Runs a container's command in it with these directories mounted, as this user without any rights.
    fn run(
        &self,
        place: &Place,
        mounts: &[(PathBuf, String)],
        user: u64,
        env: &[(String, String)],
        words: &[String],
    ) -> Output {
        let root = self.root.display();
        let mut script = String::from("set -e\n");
        let mut mount = |from: &Path, to: &str| {
            writeln!(script, "mkdir -p '{root}{to}'\nmount --rbind '{}' '{root}{to}'", from.display()).unwrap();
        };
        for dir in ["/usr", "/proc", "/dev"] {
            mount(Path::new(dir), dir);
        }
        // Where the source packages and kbuild itself are.
        let sandbox = place.sandbox.path();
        let own: Vec<(PathBuf, String)> =
            ["in", "bin"].map(|dir| (sandbox.join(dir), sandbox.join(dir).display().to_string())).into();
        for (from, to) in mounts.iter().chain(&own) {
            mount(from, to);
        }
        let as_user =
            format!("setpriv --reuid={user} --regid={user} --clear-groups --no-new-privs --bounding-set=-all");
        writeln!(script, "exec chroot '{root}' {as_user} \"$@\"").unwrap();
        let mut command = place.command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh", "env"]);
        command.args(env.iter().map(|(name, value)| format!("{name}={value}"))).args(words);
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", sandbox.join("bin").display()));
        command.output().unwrap()
    }
}

#[test]
fn the_command_of_every_index_builds_its_shard() {
    if !require_root() || !require("rpmbuild") || !require("setpriv") || !require_validators() {
        return;
    }
    let place = Place::new("fleet", Srpms::Elsewhere, "");
    // The pod's user builds.
    let file = place.sandbox.path().join("fleet/fleet.toml");
    let text = fs_err::read_to_string(&file).unwrap();
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with("user = ")).collect();
    let text = text.join("\n") + "\n";
    fs_err::write(&file, text).unwrap();
    fs_err::copy(env!("CARGO_BIN_EXE_kbuild"), place.sandbox.path().join("bin/kbuild")).unwrap();

    let documents = yaml(&manifest(&place, &["--shards", "4"]));
    let [map, _, job] = &documents[..] else { panic!("{documents:?}") };
    let spec = &job["spec"];
    let pod = &spec["template"]["spec"];
    let container = &pod["containers"][0];
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let words = texts(&container["command"]);
    let variables = container["env"].as_array().unwrap().iter();
    let variables: Vec<(String, String)> = variables
        .map(|each| (each["name"].as_str().unwrap().to_owned(), each["value"].as_str().unwrap().to_owned()))
        .chain([("HOSTNAME".into(), "pod".into()), ("KUBERNETES_SERVICE_HOST".into(), "10.0.0.1".into())])
        .collect();
    let user = pod["securityContext"]["runAsUser"].as_u64().unwrap();

    // Volumes: the ConfigMap's files, the claim that all share, and directories of each pod's own.
    let volumes = place.sandbox.path().join("volumes");
    let open = |dir: &PathBuf| {
        fs_err::create_dir_all(dir).unwrap();
        fs_err::set_permissions(dir, PermissionsExt::from_mode(0o775)).unwrap();
        std::os::unix::fs::chown(dir, None, Some(u32::try_from(user).unwrap())).unwrap();
    };
    let volume = |name: &str, index: u64| -> PathBuf {
        let known = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == name);
        let known = known.unwrap_or_else(|| panic!("no volume is called {name}"));
        let dir =
            if known.get("emptyDir").is_some() { volumes.join(format!("{name}-{index}")) } else { volumes.join(name) };
        open(&dir);
        if known.get("configMap").is_some() {
            for (name, text) in map["data"].as_object().unwrap() {
                fs_err::write(dir.join(name), text.as_str().unwrap()).unwrap();
            }
        }
        dir
    };
    let system = Pod::new(&place);
    let completions = spec["completions"].as_u64().unwrap();
    assert_eq!((completions, spec["parallelism"].as_u64()), (4, Some(4)));
    let mut codes = Vec::new();
    for index in 0..completions {
        let mounts = container["volumeMounts"].as_array().unwrap().iter();
        let mounts: Vec<(PathBuf, String)> = mounts
            .map(|mount| {
                (volume(mount["name"].as_str().unwrap(), index), mount["mountPath"].as_str().unwrap().to_owned())
            })
            .collect();
        let mut env = variables.clone();
        env.push(("JOB_COMPLETION_INDEX".into(), index.to_string()));
        let done = system.run(&place, &mounts, user, &env, &words);
        let code = done.status.code().unwrap();
        assert!([0, 8].contains(&code), "{}", said(&done));
        codes.push(code);
    }
    assert_eq!(codes, [0, 0, 0, 8]);
    // A build that failed may have had no memory: another pod tries it again. What kbuild refuses, it would refuse again.
    let rules = spec["podFailurePolicy"]["rules"].as_array().unwrap();
    let codes: Vec<u64> =
        rules[1]["onExitCodes"]["values"].as_array().unwrap().iter().map(|code| code.as_u64().unwrap()).collect();
    assert_eq!((rules[0]["action"].as_str(), rules[1]["action"].as_str()), (Some("Ignore"), Some("FailIndex")));
    assert!(
        codes.iter().all(|code| kbuild::error::EXIT_CODES.iter().any(|(known, _)| u64::from(*known) == *code)),
        "{codes:?}"
    );
    let results = volumes.join("results");
    all_but_one_are_done(&results, false);
}
