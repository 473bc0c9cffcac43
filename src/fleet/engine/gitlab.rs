//! GitLab CI: a child pipeline with a job for each cell or shard, and the jobs of the parent that make it and start it.

use serde_json::json;

use super::quoted::scalar;
use super::{CELLS, Error, Wanted};
use crate::command::quote;
use crate::plan::template::fill_angled;

/// The most jobs that `parallel` and `parallel:matrix` make (docs.gitlab.com, "CI/CD YAML syntax reference").
const MOST: usize = 200;
/// The most jobs that one can need, those of a matrix counted one by one (docs.gitlab.com, "GitLab application limits": `needs`).
const MOST_NEEDS: usize = 50;

const CHILD: &str = include_str!("../../../templates/gitlab-ci.yml");
const PARENT: &str = include_str!("../../../templates/gitlab-parent.yml");

/// Returns the child pipeline.
pub(super) fn child(wanted: &Wanted<'_>) -> Result<String, Error> {
    let jobs = wanted.jobs();
    let shards = wanted.shards.map(|_| wanted.shards());
    let count = shards.map_or(jobs.len(), |shards| usize::try_from(shards).unwrap_or(usize::MAX));
    if count > MOST {
        return Err(Error::TooMany { engine: "GitLab", found: count, most: MOST });
    }
    let part = match shards {
        None => "--cell \"$KBUILD_CELL\"".to_owned(),
        Some(1) => "--shard 1/1".to_owned(),
        Some(_) => "--shard auto".to_owned(),
    };
    let [collect, report] = wanted.together();
    let values = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "file": wanted.file,
        "command": command(wanted),
        "image": wanted.image.map(scalar),
        "cells": jobs.iter().map(|job| scalar(&job.name)).collect::<Vec<_>>(),
        "shards": shards.unwrap_or(0),
        "builds": !jobs.is_empty(),
        "needs": count <= MOST_NEEDS,
        "hours": wanted.hours(),
        "run": scalar(&wanted.call("run", Some(CELLS), &part)),
        "collect": scalar(&collect),
        "report": scalar(&report),
        "dir": CELLS,
        "kept": wanted.kept().map(|path| scalar(&format!("{}/", path.trim_end_matches('/')))),
    });
    Ok(fill_angled("gitlab-ci.yml", CHILD, &values)?)
}

/// Returns the jobs of the parent.
pub(super) fn parent(wanted: &Wanted<'_>) -> Result<String, Error> {
    let child = format!("{}.yml", wanted.name());
    let values = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "file": wanted.file,
        "image": wanted.image.map(scalar),
        "child": scalar(&child),
        "plan": scalar(&format!("{} --to {}", command(wanted), quote(&child))),
    });
    Ok(fill_angled("gitlab-parent.yml", PARENT, &values)?)
}

/// Returns the command that writes the child pipeline.
fn command(wanted: &Wanted<'_>) -> String {
    let shards = wanted.shards.map(|shards| format!(" --shards {shards}")).unwrap_or_default();
    let image = wanted.image.map(|image| format!(" --image {}", quote(image))).unwrap_or_default();
    wanted.call("export gitlab", wanted.out, "") + &shards + &image
}
