//! Kubernetes: an Indexed Job, each of whose pods builds the shard that its index names.

use serde_json::json;

use super::super::cell::Source;
use super::super::keys::PATHS;
use super::quoted::{block, scalar};
use super::{Error, Wanted};
use crate::plan::template::fill_angled;

/// What a `ConfigMap` may hold (kubernetes.io, "Concepts": 1 MiB), less what is around it.
const MOST: usize = 1_000_000;

/// The exit codes of kbuild after which the same again gives the same: usage, the request, the source package, an edit, the proof.
const FINAL: [u8; 5] = [2, 3, 6, 7, 9];

const JOB: &str = include_str!("../../../templates/kubernetes-job.yaml");

/// Returns the job.
pub(super) fn job(wanted: &Wanted<'_>) -> Result<String, Error> {
    let image = wanted.image.ok_or(Error::NoImage { engine: "Kubernetes" })?;
    if wanted.text.len() > MOST {
        return Err(Error::TooLarge { size: wanted.text.len(), most: MOST });
    }
    let paths = left_behind(wanted);
    if !paths.is_empty() {
        return Err(Error::NotThere { paths });
    }
    if let Some(out) = wanted.out.filter(|out| !out.starts_with('/')) {
        return Err(Error::Out { out: out.into() });
    }
    let values = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "file": wanted.file,
        "cells": wanted.cells(),
        "name": wanted.name(),
        "fleet": block(wanted.text, 2),
        "shards": wanted.shards(),
        "codes": FINAL,
        "image": scalar(image),
        "out": scalar_path(wanted.out.unwrap_or("/results")),
    });
    Ok(fill_angled("kubernetes-job.yaml", JOB, &values)?)
}

/// Returns an absolute path, which is a scalar of its own kind only if it has strange letters.
fn scalar_path(path: &str) -> String {
    let quoted = scalar(&format!("x{path}"));
    quoted.strip_prefix('x').map_or_else(|| super::quoted::string(path), str::to_owned)
}

/// Returns what the fleet names relative to its file, or beside it: what is there on this machine and in no pod.
fn left_behind(wanted: &Wanted<'_>) -> Vec<String> {
    let is_here = |path: &str| std::path::Path::new(path).starts_with(wanted.dir);
    let mut paths: Vec<String> = Vec::new();
    let mut found = |path: &str| {
        if is_here(path) && !paths.iter().any(|known| known == path) {
            paths.push(path.to_owned());
        }
    };
    for planned in &wanted.overview.cells {
        if let Source::Srpm(path) = &planned.cell.source {
            found(path);
        }
        let options = planned.cell.settings.iter();
        let of_files = |option: &str| PATHS.contains(&option) || option == "mirror" || option == "recipe";
        let named = options.filter(|setting| of_files(&setting.option)).flat_map(|setting| &setting.values);
        named.for_each(|path| found(path));
    }
    paths
}
