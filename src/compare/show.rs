//! What differs, as text for people.

use std::collections::BTreeMap;
use std::fmt;

use super::{Differences, FileChange, ModuleChange, PackageChange, Pair};

/// How many lines of a kind are shown; JSON has them all.
const MOST: usize = 20;

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "no differences");
        }
        section(f, "manifest", &self.facts.iter().map(pair).collect::<Vec<_>>())?;
        section(f, "packages", &packages(&self.packages))?;
        section(f, "config", &values(&self.config))?;
        section(f, "exported symbols", &values(&self.symvers))?;
        section(f, "modules", &self.modules.iter().map(module).collect::<Vec<_>>())?;
        let relations = self.relations.iter().flat_map(|change| {
            let line = |sign, what: &String| format!("{sign} {} {} {what}", change.package, change.kind);
            let gone = change.a.iter().map(move |what| line('-', what));
            gone.chain(change.b.iter().map(move |what| line('+', what)))
        });
        section(f, "provides and requires", &relations.collect::<Vec<_>>())?;
        let files = self.files.iter().map(|change| {
            let (path, package) = (&change.path, &change.package);
            match (&change.a, &change.b) {
                (Some(_), None) => format!("- {path} ({package})"),
                (None, _) => format!("+ {path} ({package})"),
                (Some(a), Some(b)) => format!("~ {path} ({package}): {a} → {b}"),
            }
        });
        section(f, "files", &files.collect::<Vec<_>>())?;
        let contents = self.contents.iter().map(|change| format!("~ {} ({})", change.path, change.package));
        section(f, "other content", &contents.collect::<Vec<_>>())
    }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(f, "{title}:")?;
    for line in lines.iter().take(MOST) {
        writeln!(f, "  {line}")?;
    }
    match lines.len().checked_sub(MOST) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(f, "  … and {more} more: `--format json` has them all"),
    }
}

fn pair(Pair { name, a, b }: &Pair) -> String {
    match (a, b) {
        (Some(a), None) => format!("- {name} {a}"),
        (None, Some(b)) => format!("+ {name} {b}"),
        (a, b) => {
            let text = |side: &Option<String>| side.clone().unwrap_or_default();
            format!("~ {name} {} → {}", text(a), text(b))
        }
    }
}

/// Packages that changed from one release to another are one line each only where their size differs, too.
fn packages(changes: &[PackageChange]) -> Vec<String> {
    let mut releases: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    let mut lines = Vec::new();
    let mut sizes = Vec::new();
    for change in changes {
        match (&change.a, &change.b) {
            (Some(a), None) => lines.push(format!("- {}", a.nvra)),
            (None, Some(b)) => lines.push(format!("+ {}", b.nvra)),
            (None, None) => {}
            (Some(a), Some(b)) => {
                if a.evr != b.evr {
                    releases.entry((&a.evr, &b.evr)).or_default().push(&change.package);
                }
                let size = |what: &str, a: u64, b: u64| (a != b).then(|| format!("{what} {a} → {b}"));
                let parts =
                    [size("compressed", a.compressed, b.compressed), size("installed", a.installed, b.installed)];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                if !parts.is_empty() {
                    sizes.push(format!("~ {}: {} bytes", change.package, parts.join(", ")));
                }
            }
        }
    }
    for ((a, b), packages) in releases {
        lines.push(format!("~ {a} → {b}: {}", packages.join(" ")));
    }
    lines.extend(sizes);
    lines
}

/// The same change in several files is one line.
fn values(changes: &[FileChange]) -> Vec<String> {
    let mut places: BTreeMap<&Pair, Vec<&str>> = BTreeMap::new();
    for change in changes {
        for value in &change.changes {
            places.entry(value).or_default().push(&change.path);
        }
    }
    places.into_iter().map(|(value, paths)| format!("{} ({})", pair(value), paths.join(", "))).collect()
}

fn module(change: &ModuleChange) -> String {
    let (path, package) = (&change.path, &change.package);
    match (&change.a, &change.b) {
        (Some(_), None) => format!("- {path} ({package})"),
        (None, _) => format!("+ {path} ({package})"),
        (Some(a), Some(b)) => {
            let mut parts = Vec::new();
            if a.size != b.size {
                parts.push(format!("{} → {} bytes", a.size, b.size));
            }
            if a.vermagic != b.vermagic {
                parts.push(format!("vermagic `{}` → `{}`", a.vermagic, b.vermagic));
            }
            if !change.parts.is_empty() {
                parts.push(format!("other {}", change.parts.join(" ")));
            }
            format!("~ {path} ({package}): {}", parts.join(", "))
        }
    }
}
