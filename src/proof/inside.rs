//! Everything in packages that two builds can differ in, read as streams; `compare` has the comparison.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::module::{fit, parts};
use super::packages::{is_config, module_name};
use crate::compare::release::{self, Releases};
use crate::compare::{Inside, Package, Side, Version, options};
use crate::digest;
use crate::rpm::facts::{self, Facts, Kind};
use crate::rpm::{binary, decompress};
use crate::sys::files::Hashed;

/// The largest file that is read, in bytes; of larger ones only the digest in the header is compared.
const LARGEST: u64 = 64 << 20;

/// Why builds cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A package cannot be read.
    #[error(transparent)]
    Package(#[from] binary::Error),
    /// There are two packages of one name: which of them is meant?
    #[error("`{}` and `{}` are both a package {name}: expected one build, found parts of two", first.display(), second.display())]
    Twice {
        /// Name and architecture.
        name: String,
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The file cannot be read.
    #[error("a package cannot be read")]
    Io(#[from] io::Error),
}

/// A package with what its header says.
struct Known<'a> {
    path: &'a Path,
    facts: Facts,
}

/// Reads the packages of two builds, as far as they can differ: packages that are the same byte for byte, that one build has
/// alone, or that are for debuggers, are not unpacked; `seen` is told of the others before they are.
///
/// # Errors
/// A package cannot be read, or a build has two of one name.
pub fn read(a: &[PathBuf], b: &[PathBuf], seen: &mut dyn FnMut(&Path)) -> Result<(Side, Side), Error> {
    let (a, b) = (known(a)?, known(b)?);
    let mut sides = [Side::default(), Side::default()];
    for (side, (own, other)) in sides.iter_mut().zip([(&a, &b), (&b, &a)]) {
        let releases = Releases::new(own.values().map(|known| &known.facts.nvr));
        for (name, package) in own {
            let pair = other.get(name).filter(|_| !is_for_debuggers(&package.facts.nvr.name));
            let differs = pair.map_or(Ok(false), |other| differ(package.path, other.path))?;
            let inside = if differs {
                seen(package.path);
                inside(package, &releases)?
            } else {
                Inside::default()
            };
            side.packages.insert(name.clone(), summary(package, &releases, inside)?);
        }
    }
    let [a, b] = sides;
    Ok((a, b))
}

fn known(paths: &[PathBuf]) -> Result<BTreeMap<String, Known<'_>>, Error> {
    let mut all: BTreeMap<String, Known<'_>> = BTreeMap::new();
    for path in paths {
        let facts = facts::read(path)?;
        let name = format!("{}.{}", release::name(&facts.nvr.name), facts.arch);
        if let Some(first) = all.get(&name) {
            return Err(Error::Twice { name, first: first.path.to_owned(), second: path.clone() });
        }
        all.insert(name, Known { path, facts });
    }
    Ok(all)
}

fn is_for_debuggers(name: &str) -> bool {
    name.contains("-debuginfo") || name.ends_with("-debugsource")
}

/// Whether two files differ.
fn differ(a: &Path, b: &Path) -> io::Result<bool> {
    let digest = |path| {
        let mut input = Hashed::new(fs_err::File::open(path)?);
        io::copy(&mut input, &mut io::sink())?;
        io::Result::Ok(input.finish())
    };
    Ok(fs_err::metadata(a)?.len() != fs_err::metadata(b)?.len() || digest(a)? != digest(b)?)
}

fn summary(package: &Known<'_>, releases: &Releases, inside: Inside) -> Result<Package, Error> {
    let Facts { nvr, epoch, arch, installed, provides, requires, files, .. } = &package.facts;
    let epoch = epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
    let entry = |entry: &facts::Entry| {
        let what = match &entry.kind {
            Kind::File => "file".to_owned(),
            Kind::Directory => "directory".to_owned(),
            Kind::Link { to } => return (path(&entry.path, releases), format!("link to {}", releases.text(to))),
            Kind::Other => "special".to_owned(),
        };
        (path(&entry.path, releases), format!("{what} {:o}", entry.mode & 0o7777))
    };
    Ok(Package {
        version: Version {
            nvra: format!("{nvr}.{arch}"),
            evr: format!("{epoch}{}-{}", nvr.version, nvr.release),
            compressed: fs_err::metadata(package.path)?.len(),
            installed: *installed,
        },
        provides: provides.iter().map(|each| path(&each.to_string(), releases)).collect(),
        requires: requires.iter().map(|each| path(&each.to_string(), releases)).collect(),
        // Their names are digests of what is in other files.
        files: files.iter().filter(|each| !each.path.contains("/.build-id/")).map(entry).collect(),
        inside,
    })
}

/// A path or a relation with placeholders for the release and for what the name of the route `module`'s package has of the
/// value.
fn path(text: &str, releases: &Releases) -> String {
    release::name(&releases.text(text))
}

/// Reads the payload.
fn inside(package: &Known<'_>, releases: &Releases) -> Result<Inside, Error> {
    let mut found = Inside::default();
    let sizes: BTreeMap<&str, &facts::Entry> =
        package.facts.files.iter().map(|entry| (entry.path.as_str(), entry)).collect();
    for entry in package.facts.files.iter().filter(|entry| entry.size > LARGEST) {
        found.contents.extend(entry.digest.clone().map(|digest| (path(&entry.path, releases), digest)));
    }
    let wanted = |name: &str| sizes.get(name).is_some_and(|entry| entry.size <= LARGEST);
    binary::visit(package.path, &wanted, |name, input| {
        let mut raw = Vec::new();
        input.take(LARGEST).read_to_end(&mut raw)?;
        // What is no compressed file after all, or too large, is compared as it is.
        let bytes = decompress::bytes(raw.as_slice(), LARGEST).unwrap_or(raw);
        take(&mut found, name, &bytes, releases);
        Ok(())
    })?;
    Ok(found)
}

fn take(found: &mut Inside, name: &str, bytes: &[u8], releases: &Releases) {
    let normal = path(name, releases);
    let text = || releases.text(&String::from_utf8_lossy(bytes));
    if is_config(name) {
        found.configs.insert(normal, options(&text()));
    } else if is_symvers(name) {
        found.symvers.insert(without_ending(&normal).to_owned(), fit::checksums(&text()));
    } else if let Some(module) = module_name(name).and_then(|_| parts::read(bytes, releases).ok()) {
        let bare = normal.rfind(".ko").and_then(|at| normal.get(..at + 3)).unwrap_or(&normal);
        found.modules.insert(bare.to_owned(), module);
    } else if !name.contains("/.build-id/") {
        found.contents.insert(normal, digest::sha256(&releases.bytes(bytes)));
    }
}

/// Whether a file is a list of exported symbols: `/boot/symvers-*`, `/lib/modules/*/symvers*` (el9 on), and kernel-devel's.
fn is_symvers(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or_default();
    file == "Module.symvers" || file.starts_with("symvers-") || without_ending(file) == "symvers"
}

fn without_ending(path: &str) -> &str {
    [".gz", ".xz", ".zst"].iter().find_map(|ending| path.strip_suffix(ending)).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_symbols_are_told_by_their_paths() {
        for path in [
            "/boot/symvers-2.6.32-220.el6.x86_64.gz",
            "/lib/modules/5.14.0-284.el9.x86_64/symvers.gz",
            "/lib/modules/6.12.0-124.el10.x86_64/symvers.xz",
            "/usr/src/kernels/2.6.32-220.el6.x86_64/Module.symvers",
        ] {
            assert!(is_symvers(path), "{path}");
        }
        for path in ["/boot/System.map-1", "/usr/bin/symvers2", "/usr/share/symvers.txt"] {
            assert!(!is_symvers(path), "{path}");
        }
    }

    #[test]
    fn values_in_the_names_of_packages_are_taken_out_of_paths() {
        let releases = Releases::default();
        assert_eq!(
            path("/usr/share/doc/kmod-ip_vs-20bit/README", &releases),
            "/usr/share/doc/kmod-ip_vs-{bits}bit/README"
        );
        assert_eq!(path("kmod-ip_vs-18bit = 2.6.32", &releases), "kmod-ip_vs-{bits}bit = 2.6.32");
        assert_eq!(path("/boot/config", &releases), "/boot/config");
    }
}
