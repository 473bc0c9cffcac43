//! GitHub Actions: a workflow whose matrix kbuild prints while it runs.

use serde_json::json;

use super::quoted::scalar;
use super::{CELLS, Error, Wanted};
use crate::command::quote;
use crate::plan::template::fill_angled;

/// The most jobs that a matrix makes (docs.github.com, "Workflow syntax": `jobs.<job_id>.strategy.matrix`).
const MOST: usize = 256;

const WORKFLOW: &str = include_str!("../../../templates/github-workflow.yml");

/// What tells kbuild in a container who runs it.
const VARIABLES: [&str; 5] =
    ["GITHUB_ACTIONS", "GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID", "RUNNER_NAME"];

/// Returns the workflow.
pub(super) fn workflow(wanted: &Wanted<'_>) -> Result<String, Error> {
    let shards = wanted.shards.map(|_| wanted.shards());
    if let Some(shards) = shards.and_then(|shards| usize::try_from(shards).ok()).filter(|shards| *shards > MOST) {
        return Err(Error::TooMany { engine: "GitHub", found: shards, most: MOST });
    }
    let part = if shards.is_some() { "--shard \"$KBUILD_PART\"" } else { "--cell \"$KBUILD_PART\"" };
    let more = format!("--matrix{}", wanted.shards.map(|shards| format!(" --shards {shards}")).unwrap_or_default());
    let [collect, report] = wanted.together();
    let line = |call: &str| literal(&in_image(wanted.image, call));
    // A pattern of paths; a fleet file elsewhere is no part of the repository.
    let watched = wanted.kept_file().filter(|file| !file.contains(['*', '?', '[', ']', '!', '+'])).map(scalar);
    let values = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "file": wanted.file,
        "command": wanted.call("export github", wanted.out, "")
            + &wanted.shards.map(|shards| format!(" --shards {shards}")).unwrap_or_default()
            + &wanted.image.map(|image| format!(" --image {}", quote(image))).unwrap_or_default(),
        "watched": watched,
        // An image runs on GitHub's own machines; kbuild itself is on those that are yours.
        "runs_on": if wanted.image.is_some() { "ubuntu-latest" } else { "[self-hosted, linux]" },
        "group": wanted.name(),
        "minutes": wanted.hours() * 60,
        "matrix": line(&wanted.call("export github", wanted.out, &more)),
        "run": line(&wanted.call("run", Some(CELLS), part)),
        "collect": line(&collect),
        "report": line(&report),
        "dir": CELLS,
        "kept": wanted.kept().map(|path| scalar(&literal(&format!("{}/", path.trim_end_matches('/'))))),
    });
    Ok(fill_angled("github-workflow.yml", WORKFLOW, &values)?)
}

/// Returns the matrix: what has to be built.
pub(super) fn matrix(wanted: &Wanted<'_>) -> Result<String, Error> {
    let jobs = wanted.jobs();
    if jobs.len() > MOST {
        return Err(Error::TooMany { engine: "GitHub", found: jobs.len(), most: MOST });
    }
    let entries: Vec<_> = jobs.into_iter().map(|job| json!({ "part": job.name })).collect();
    Ok(json!({ "include": entries }).to_string() + "\n")
}

/// Returns a call of kbuild in a container of an image. `container:` of a job would want an image that GitHub's own actions run in,
/// with a C library of 2.28 or later: el6's and el7's are older.
fn in_image(image: Option<&str>, call: &str) -> String {
    let Some(image) = image else { return call.to_owned() };
    let variables = VARIABLES.join(" --env ");
    let words = call.strip_prefix("kbuild ").unwrap_or(call);
    format!(
        "docker run --rm --user root --volume \"$PWD:$PWD\" --workdir \"$PWD\" --env {variables} --entrypoint kbuild {} {words}",
        quote(image)
    )
}

/// Returns a text in which GitHub sees no expression.
fn literal(text: &str) -> String {
    text.replace("${{", "${{ '${{' }}")
}

impl Wanted<'_> {
    /// Returns the fleet file's path if it is in the repository.
    fn kept_file(&self) -> Option<&str> {
        let elsewhere = self.file.starts_with('/') || self.file.split('/').any(|part| part == "..");
        (!elsewhere).then(|| self.file.trim_start_matches("./"))
    }
}
