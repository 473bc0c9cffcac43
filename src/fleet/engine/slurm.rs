//! Slurm: a script for sbatch, whose array has a task for each shard.

use serde_json::json;

use super::{Error, Wanted};
use crate::command::quote;
use crate::plan::template::fill_angled;

const SCRIPT: &str = include_str!("../../../templates/slurm.sh");

/// Returns the script.
pub(super) fn script(wanted: &Wanted<'_>) -> Result<String, Error> {
    let shards = wanted.shards();
    let values = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "file": wanted.file,
        "cells": wanted.cells(),
        "name": wanted.name(),
        "shards": shards,
        "last": shards - 1,
        "hours": wanted.hours(),
        "run": wanted.call("run", wanted.out, "--shard auto"),
        "commands": commands(wanted, "THIS-FILE"),
    });
    Ok(fill_angled("slurm.sh", SCRIPT, &values)?)
}

/// Returns the commands that start the array, and after it the job that looks at all of it.
pub(super) fn commands(wanted: &Wanted<'_>, script: &str) -> Vec<String> {
    let collect = wanted.call("collect", wanted.out, &quote(wanted.results));
    let report = wanted.call("report", wanted.out, "");
    vec![
        format!("job=$(sbatch --parsable {})", quote(script)),
        format!("sbatch --dependency=afterany:$job --wrap {}", quote(&format!("{collect} && {report}"))),
    ]
}
