//! A fleet as pipelines of GitLab CI, which gitlab-ci-local runs with its shell executor.
//!
//! It says that a pipeline has passed whose child has failed, and it tries nothing again: only what is left counts.

use std::path::{Path, PathBuf};

use super::{Place, Srpms, all_but_one_are_done, all_cells, failing, record, said};
use crate::support::{missing, require, require_root};

/// gitlab-ci-local, where `scripts/test` puts it.
fn gitlab_ci_local() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("engines");
    let dir = std::env::var_os("KBUILD_ENGINES").map_or_else(beside, PathBuf::from);
    Some(dir.join("node_modules/.bin/gitlab-ci-local")).filter(|program| program.is_file())
}

/// A project in git whose pipeline is what kbuild wrote for a parent.
struct Project {
    place: Place,
    program: PathBuf,
}

impl Project {
    /// `None` where something is missing.
    fn new(more: &[&str]) -> Option<Self> {
        if !require_root() || !require("rpmbuild") || !require("rsync") || !require("git") || !require("node") {
            return None;
        }
        let Some(program) = gitlab_ci_local() else {
            let _ = missing("gitlab-ci-local (scripts/test installs it)");
            return None;
        };
        // What the jobs see is what git has: the source packages are beside the fleet file.
        let place = Place::new("project", Srpms::Beside, "");
        let project = Self { place, program };
        let parent = project.kbuild("export", &["gitlab", "--parent"], more);
        fs_err::write(project.dir().join(".gitlab-ci.yml"), parent).unwrap();
        for words in [
            &["init", "--quiet"][..],
            &["add", "--all"],
            &["-c", "user.name=t", "-c", "user.email=t@t.example", "commit", "--quiet", "--message=fleet"],
        ] {
            let done = project.place.command("git").args(words).current_dir(project.dir()).output().unwrap();
            assert!(done.status.success(), "{}", said(&done));
        }
        Some(project)
    }

    fn dir(&self) -> PathBuf {
        self.place.sandbox.path().join("project")
    }

    /// kbuild, started in the project as its jobs start it: what it prints.
    fn kbuild(&self, what: &str, words: &[&str], more: &[&str]) -> String {
        let mut command = self.place.command("kbuild");
        let done = command.args(["fleet", what]).args(words).args(more).current_dir(self.dir()).output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
        String::from_utf8(done.stdout).unwrap()
    }

    /// Runs the pipeline, the child included, and returns its log.
    fn run(&self) -> String {
        let done = self
            .place
            .command("timeout")
            .arg("240")
            .arg(&self.program)
            .args(["--shell-isolation", "--concurrency", "2"])
            .env("GCL_TIMESTAMPS", "false")
            .current_dir(self.dir())
            .output()
            .unwrap();
        assert_ne!(done.status.code(), Some(124), "it did not end: {}", said(&done));
        said(&done)
    }
}

/// How often rpmbuild was started for cells, by what their logs say.
fn builds(log: &str) -> usize {
    log.lines().filter(|line| line.contains("is built: ")).count()
}

#[test]
fn a_parent_writes_its_child_which_builds_all_cells_and_brings_them_together() {
    let Some(project) = Project::new(&[]) else { return };
    let log = project.run();
    for cell in all_cells() {
        let mark = if cell == failing() { "FAIL" } else { "PASS" };
        let ends = log.lines().any(|line| line.contains(mark) && line.contains(&cell));
        assert!(ends, "{mark} {cell} is not in\n{log}");
    }
    assert_eq!(builds(&log), 6, "{log}");
    let results = project.dir().join("fleet-out");
    all_but_one_are_done(&results, false);
    assert_eq!(record(&results, &failing())["runner"]["engine"], "GitLab");
    assert!(log.contains("5 of 6 cells are done"), "{log}");
    assert!(results.join("report.html").is_file(), "{log}");
}

#[test]
fn shards_share_the_cells_and_what_the_runner_still_has_is_not_built_again() {
    let Some(project) = Project::new(&["--shards", "2"]) else { return };
    project.place.mend();
    let log = project.run();
    assert_eq!(builds(&log), 6, "{log}");
    let results = project.dir().join("fleet-out");
    all_but_one_are_done(&results, true);
    // The cells of a shard go on in one tree.
    let words = |cell: &String| record(&results, cell)["command"].as_str().unwrap().to_owned();
    let shards: Vec<bool> = all_cells().iter().map(|cell| words(cell).contains("/shard-1-of-2")).collect();
    assert_eq!(shards, [true, true, true, false, false, false]);

    // What jobs left is copied here; a checkout does not have it.
    for dir in ["fleet-out", "fleet-cells"] {
        fs_err::remove_dir_all(project.dir().join(dir)).unwrap();
    }
    let log = project.run();
    let taken: Vec<String> = all_cells().into_iter().filter(|cell| !log.contains(&format!("taken   {cell}"))).collect();
    assert_eq!((builds(&log), taken), (0, vec![]), "{log}");
    all_but_one_are_done(&results, true);
}
