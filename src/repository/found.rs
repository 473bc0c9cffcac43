//! Results of `kbuild ipvs` as they lie in directories, and whether what they say of themselves holds.
//!
//! A package counts as proved if the manifest beside it says that its build came to its end, that nothing of the proof differs
//! and that levels 3 and 4 were seen to hold, and that the package is this very file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Error;
use super::change::Offered;
use super::record::Build;
use crate::error::chain;
use crate::event::{Event, Reporter, Stage, Unit};
use crate::pipeline;
use crate::pipeline::manifest::{FileRecord, Manifest, Status};
use crate::plan::Route;
use crate::plan::layout::MANIFEST;
use crate::rpm::facts::{self, Kind, Relation};
use crate::rpm::nvr::Nvr;
use crate::sys::files;
use crate::sys::signal::Cancel;

/// What dnf installs beside earlier ones of the same name: packages that provide one of these (`installonlypkgs` in
/// dnf.conf(5) of dnf 4.14; yum of el5 to el7 has such a list of its own, with `kernel` in it).
const INSTALL_ONLY: [&str; 6] = [
    "kernel",
    "kernel-PAE",
    "installonlypkg(kernel)",
    "installonlypkg(kernel-module)",
    "installonlypkg(vm)",
    "multiversion(kernel)",
];

/// What was found and is proved.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) offered: Vec<Offered>,
    /// The builds by their names, and where the results of each are.
    pub(super) builds: BTreeMap<String, (Build, PathBuf)>,
    /// Source packages, which are not published.
    pub(super) sources: Vec<String>,
}

/// Which packages of a directory of results are wanted: all, or these.
type Wanted = BTreeMap<PathBuf, Option<BTreeSet<String>>>;

/// Finds results at and below these places, reads all of them and compares them with what their manifests say; `beside` is the
/// repository, in which there are none.
///
/// # Errors
/// There are none, or some are not proved: all of those at once.
pub(super) fn gather(
    from: &[PathBuf],
    beside: &Path,
    reporter: &dyn Reporter,
    cancel: &Cancel,
) -> Result<Found, Error> {
    let mut problems = Vec::new();
    let wanted = wanted(from, beside, &mut problems)?;
    let mut results = Vec::new();
    for (dir, only) in &wanted {
        match read(dir) {
            Ok(Some(manifest)) => results.push((dir, only.as_ref(), manifest)),
            Ok(None) => {}
            Err(why) => problems.push(why),
        }
    }
    let mut total = 0;
    for (_, only, manifest) in &results {
        total += packages(manifest, *only).map(|file| file.size).sum::<u64>();
    }
    let mut progress = Progress { reporter, what: "comparing with the manifests", done: 0, total };
    let mut found = Found::default();
    for (dir, only, manifest) in &results {
        let strays = strays(dir, manifest, *only);
        let nothing = strays.is_empty() && packages(manifest, *only).next().is_none();
        problems.extend(strays);
        match unproved(manifest) {
            // One cell of a fleet that failed is no reason to keep back all others.
            Some(why) if nothing => {
                reporter.warn(format!("`{}`: {why}; there are no packages in it to publish", dir.display()));
                continue;
            }
            Some(why) => {
                problems.push(format!("`{}`: {why}", dir.display()));
                continue;
            }
            None => {}
        }
        take(dir, manifest, *only, &mut found, &mut problems, &mut progress, cancel)?;
    }
    if !problems.is_empty() {
        return Err(Error::Unproved { problems });
    }
    Ok(found)
}

/// Finds the directories with a manifest.
fn wanted(from: &[PathBuf], beside: &Path, problems: &mut Vec<String>) -> Result<Wanted, Error> {
    let mut wanted = Wanted::new();
    for place in from {
        let Ok(details) = fs_err::metadata(place) else { return Err(Error::Missing { path: place.clone() }) };
        if details.is_dir() {
            let manifests = files::named(place, &|name| name == MANIFEST);
            let dirs: Vec<_> =
                manifests.iter().filter_map(|path| path.parent()).filter(|dir| !dir.starts_with(beside)).collect();
            if dirs.is_empty() {
                return Err(Error::Nothing { path: place.clone() });
            }
            wanted.extend(dirs.into_iter().map(|dir| (dir.to_owned(), None)));
            continue;
        }
        let dir = place.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if fs_err::metadata(dir.join(MANIFEST)).is_err() {
            let name = place.display();
            problems.push(format!("`{name}`: there is no {MANIFEST} of its build beside it that says what was proved"));
            continue;
        }
        let names = wanted.entry(dir.to_owned()).or_insert_with(|| Some(BTreeSet::new()));
        if let (Some(names), Some(name)) = (names, place.file_name()) {
            names.insert(name.to_string_lossy().into_owned());
        }
    }
    Ok(wanted)
}

/// Reads a manifest; nothing if the file of that name is somebody else's.
fn read(dir: &Path) -> Result<Option<Manifest>, String> {
    let path = dir.join(MANIFEST);
    let failed = |why: String| format!("`{}`: {why}", path.display());
    let text = fs_err::read(&path).map_err(|error| failed(error.to_string()))?;
    match serde_json::from_slice(&text) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(error) => match serde_json::from_slice::<serde_json::Value>(&text) {
            Ok(value) if value.get("kbuild").is_none() => Ok(None),
            _ => Err(failed(format!("it cannot be read ({error}): written by another version of kbuild, or damaged"))),
        },
    }
}

/// Says why the packages of a manifest do not count as proved, if so.
fn unproved(manifest: &Manifest) -> Option<String> {
    match &manifest.status {
        Status::Done => {}
        Status::Running => return Some("its build did not come to its end".into()),
        Status::Failed { error, .. } => {
            return Some(format!("its build failed: {}", error.lines().next().unwrap_or_default()));
        }
    }
    if manifest.route == Route::Tree {
        return Some("the route `tree` makes no packages".into());
    }
    pipeline::judge_recorded(manifest.route, &manifest.proof).err().map(|error| chain(&error))
}

/// The packages that a manifest lists, source packages among them.
fn packages<'a>(manifest: &'a Manifest, only: Option<&'a BTreeSet<String>>) -> impl Iterator<Item = &'a FileRecord> {
    let is_package = |file: &&FileRecord| Path::new(&file.name).extension().is_some_and(|ending| ending == "rpm");
    let files = manifest.files.iter().filter(is_package);
    files.filter(move |file| only.is_none_or(|names| names.contains(&file.name)))
}

/// Names what lies among the results, or was named, and is none of them.
fn strays(dir: &Path, manifest: &Manifest, only: Option<&BTreeSet<String>>) -> Vec<String> {
    let listed = |name: &String| manifest.files.iter().any(|file| file.name == *name);
    let there: BTreeSet<String> = if let Some(names) = only {
        names.clone()
    } else {
        let entries = fs_err::read_dir(dir).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "rpm")).collect()
    };
    let strays = there.into_iter().filter(|name| !listed(name));
    strays.map(|name| format!("`{}`: the {MANIFEST} beside it does not list it", dir.join(name).display())).collect()
}

/// Takes the packages of one directory, each compared with the manifest.
fn take(
    dir: &Path,
    manifest: &Manifest,
    only: Option<&BTreeSet<String>>,
    found: &mut Found,
    problems: &mut Vec<String>,
    progress: &mut Progress<'_>,
    cancel: &Cancel,
) -> Result<(), Error> {
    let arch = match manifest.route {
        Route::Param => "noarch",
        _ => manifest.request.arch.as_str(),
    };
    let mut build = Build {
        nvr: parsed(&manifest.nvr),
        arch: arch.to_owned(),
        route: manifest.route,
        bits: manifest.request.bits,
        uname_r: manifest.uname_r.clone(),
        base: manifest.source.as_ref().map(|source| source.nvr.clone()),
        manifest: String::new(),
        proof: BTreeMap::new(),
    };
    for finding in manifest.proof.iter().filter(|finding| finding.verdict.holds() == Some(true)) {
        *build.proof.entry(finding.level).or_default() += 1;
    }
    let failed = |source| Error::io("the manifest cannot be read again", source);
    build.manifest = files::sha256(&dir.join(MANIFEST)).map_err(failed)?.1;
    let id = build.id();
    if !files::stays_below(Path::new(&id)) || id.contains('/') {
        problems.push(format!("`{}`: its {MANIFEST} is of `{id}`, which is no name", dir.display()));
        return Ok(());
    }
    for file in packages(manifest, only) {
        if let Some(signal) = cancel.signal() {
            return Err(Error::Cancelled { signal });
        }
        let path = dir.join(&file.name);
        if !files::stays_below(Path::new(&file.name)) {
            problems.push(format!("`{}`: its {MANIFEST} lists `{}`", dir.display(), file.name));
            continue;
        }
        match files::sha256(&path) {
            Ok((size, sha256)) if (size, &sha256) == (file.size, &file.sha256) => {}
            Ok((size, sha256)) => {
                problems.push(format!(
                    "`{}`: the {MANIFEST} beside it says {} bytes and sha256 {}, found {size} and {sha256}",
                    path.display(),
                    file.size,
                    file.sha256
                ));
                continue;
            }
            Err(error) => {
                problems.push(format!("{error}: the {MANIFEST} in `{}` lists it", dir.display()));
                continue;
            }
        }
        progress.add(file.size);
        let facts = facts::read(&path)?;
        if facts.arch == "src" {
            found.sources.push(file.name.clone());
            continue;
        }
        found.offered.push(Offered {
            file: format!("{}.{}.rpm", facts.nvr, facts.arch),
            path,
            nvr: facts.nvr,
            arch: facts.arch,
            size: file.size,
            sha256: file.sha256.clone(),
            image: facts.files.iter().any(|entry| entry.kind == Kind::File && is_image(&entry.path)),
            install_only: is_install_only(&facts.provides),
            build: id.clone(),
        });
    }
    found.builds.insert(id, (build, dir.to_owned()));
    Ok(())
}

/// Name, version and release of a text that has them.
fn parsed(text: &str) -> Nvr {
    let mut parts = text.rsplitn(3, '-').map(str::to_owned);
    let (release, version) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    Nvr { name: parts.next().unwrap_or_default(), version, release }
}

/// Whether a path is a kernel's image: `/boot/vmlinuz-*`, and `/lib/modules/*/vmlinuz` from el8 on.
fn is_image(path: &str) -> bool {
    path.starts_with("/boot/vmlinuz-") || (path.contains("/lib/modules/") && path.ends_with("/vmlinuz"))
}

fn is_install_only(provides: &[Relation]) -> bool {
    provides.iter().any(|relation| INSTALL_ONLY.contains(&relation.name.as_str()))
}

/// Tells of bytes that are done.
pub(super) struct Progress<'a> {
    pub(super) reporter: &'a dyn Reporter,
    pub(super) what: &'a str,
    pub(super) done: u64,
    pub(super) total: u64,
}

impl Progress<'_> {
    /// So many more are.
    pub(super) fn add(&mut self, bytes: u64) {
        self.done += bytes;
        self.reporter.report(&Event::Progress {
            stage: Stage::Publish,
            phase: None,
            done: self.done,
            total: Some(self.total.max(self.done)),
            estimated: false,
            unit: Unit::Bytes,
            what: self.what.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_from_behind() {
        let nvr = parsed("kernel-ml-aufs-6.1.59-1.el9.ipvs_20bit");
        assert_eq!((nvr.name.as_str(), nvr.version.as_str()), ("kernel-ml-aufs", "6.1.59"));
        assert_eq!(nvr.release, "1.el9.ipvs_20bit");
    }

    #[test]
    fn images_are_told_by_their_paths() {
        assert!(is_image("/boot/vmlinuz-2.6.32-220.el6.x86_64"));
        assert!(is_image("/lib/modules/4.18.0-80.el8.x86_64/vmlinuz"));
        assert!(!is_image("/boot/config-2.6.32") && !is_image("/usr/share/vmlinuz"));
    }
}
