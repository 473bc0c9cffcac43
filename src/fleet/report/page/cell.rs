//! All that the page says of one cell.

use serde::Serialize;

use super::super::entry::{Entry, Level};
use super::super::link;
use super::{Fact, Units, brief, cached, grouped, proof, sign};

/// A cell.
#[derive(Serialize)]
pub(super) struct View<'a> {
    name: &'a str,
    state: &'a str,
    why: &'a str,
    error: &'a str,
    cause: Option<CauseView<'a>>,
    levels: Vec<LevelView<'a>>,
    proof: String,
    brief: String,
    facts: Vec<Fact>,
    runner: Option<RunnerView<'a>>,
    packages: Vec<PackageView<'a>>,
    links: Vec<LinkView<'a>>,
    dir: String,
    install: &'a [String],
    roll_back: &'a [String],
    command: &'a str,
}

#[derive(Serialize)]
struct CauseView<'a> {
    title: &'a str,
    cause: &'a str,
    fix: &'a str,
    line: &'a str,
}

#[derive(Serialize)]
struct LevelView<'a> {
    level: u8,
    class: &'static str,
    sign: &'static str,
    words: &'static str,
    what: &'static str,
    evidence: &'a str,
    differs: &'a [String],
    not_checked: &'a [String],
}

#[derive(Serialize)]
struct RunnerView<'a> {
    text: String,
    href: Option<&'a str>,
}

#[derive(Serialize)]
struct PackageView<'a> {
    name: &'a str,
    size: String,
    sha256: &'a str,
    href: Option<&'a str>,
}

#[derive(Serialize)]
struct LinkView<'a> {
    name: &'a str,
    href: Option<&'a str>,
}

/// Returns what is said of a cell.
pub(super) fn view<'a>(entry: &'a Entry, units: &Units<'_>) -> View<'a> {
    let failure = entry.failure.as_ref();
    View {
        name: &entry.name,
        state: entry.state.word(),
        why: entry.why.as_deref().unwrap_or_default(),
        error: failure.map(|failure| failure.error.as_str()).unwrap_or_default(),
        cause: failure.and_then(|failure| failure.cause.as_ref()).map(|cause| CauseView {
            title: &cause.title,
            cause: &cause.cause,
            fix: &cause.fix,
            line: &cause.evidence.text,
        }),
        levels: entry.proof.iter().map(level).collect(),
        proof: proof(entry),
        brief: brief(entry, units),
        facts: facts(entry, units),
        runner: entry.runner.as_ref().map(|runner| {
            let job = runner.job.as_ref().map(|job| format!(", job {job}")).unwrap_or_default();
            let node = runner.node.as_ref().map(|node| format!(", on {node}")).unwrap_or_default();
            RunnerView {
                text: format!("{}{job}{node}", runner.engine),
                href: runner.url.as_deref().and_then(link::address),
            }
        }),
        packages: entry
            .packages
            .iter()
            .map(|package| PackageView {
                name: &package.name,
                size: (units.bytes)(package.bytes),
                sha256: &package.sha256,
                href: package.href.as_deref(),
            })
            .collect(),
        links: entry.links.iter().map(|link| LinkView { name: &link.name, href: link.href.as_deref() }).collect(),
        dir: entry.dir.display().to_string(),
        install: &entry.commands.install,
        roll_back: &entry.commands.roll_back,
        command: &entry.command,
    }
}

fn level(level: &Level) -> LevelView<'_> {
    let (class, sign) = sign(level.is);
    LevelView {
        level: level.level,
        class,
        sign,
        words: level.is.words(),
        what: match level.level {
            1 => "the edited sources",
            2 => "the configs that %prep resolved",
            3 => "the config files inside the packages",
            4 => "ip_vs.ko itself",
            _ => "a boot",
        },
        evidence: level.evidence.as_deref().unwrap_or_default(),
        differs: &level.differs,
        not_checked: &level.not_checked,
    }
}

/// What is known of a cell, thing by thing.
fn facts(entry: &Entry, units: &Units<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |name, value: Option<String>| facts.extend(value.map(|value| Fact { name, value }));
    add(
        "table",
        Some(match entry.bucket_bytes {
            Some(bytes) => {
                let table = (units.bytes)(bytes * entry.buckets);
                format!("{} bits, {} buckets, {table}", entry.bits, grouped(entry.buckets))
            }
            None => format!("{} bits, {} buckets", entry.bits, grouped(entry.buckets)),
        }),
    );
    add("release", Some(entry.source.clone()));
    add("recipe", entry.recipe.clone());
    add("architecture", entry.arch.clone());
    add(
        "route",
        Some(match entry.taken {
            Some(taken) if taken.name() != entry.route => format!("{}: {taken}", entry.route),
            _ => entry.route.clone(),
        }),
    );
    add("makes", entry.nvr.clone());
    add("uname -r", entry.uname_r.clone());
    add(
        "begun",
        entry.started.as_ref().map(|started| match entry.attempt {
            0 | 1 => started.clone(),
            attempt => format!("{started}, attempt {attempt}"),
        }),
    );
    add("time", entry.seconds.map(|seconds| units.seconds(seconds)));
    add("processor time", entry.cpu_seconds.map(|seconds| units.seconds(seconds)));
    // What would be shown as nought is left out.
    let stages = entry.stages.iter().filter(|stage| stage.taken || stage.seconds >= 0.05).map(|stage| {
        let taken = if stage.taken { ", taken from an earlier run" } else { "" };
        format!("{} {}{taken}", stage.stage, units.seconds(stage.seconds))
    });
    let stages: Vec<String> = stages.collect();
    add("stages", (!stages.is_empty()).then(|| stages.join(" · ")));
    if let Some(cache) = &entry.cache {
        add("compile cache", cached(cache.hits, cache.misses, cache.put_back));
        add("why so few", cache.why.clone());
    }
    facts
}
