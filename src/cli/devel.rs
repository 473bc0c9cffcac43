//! The kernel-devel of a release: named as a package or a directory, or fetched like the source package; read as far as
//! decisions need it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::args::Build;
use super::fetch::{self, Obtained, Promised};
use super::vouch::{self, Locked};
use super::{Edge, prepare};
use crate::error::Error;
use crate::event::{Event, Stage};
use crate::pipeline;
use crate::plan::devel::{Devel, Origin, wanted};
use crate::plan::resolve::{self, Wanted};
use crate::plan::{self, Choice};
use crate::rpm::nvr::Nvr;
use crate::rpm::tree;
use crate::sys::files;
use crate::sys::probe::Facts;

/// How deep the directories of a headers tree are read.
const DEEPEST: usize = 12;
/// The largest text of a headers tree that is read.
const LARGEST: u64 = 64 << 20;

/// Returns the kernel-devel, checked as a source package is, and what is to be noted of it.
///
/// # Errors
/// It cannot be had or read, or is not to be trusted.
pub(super) fn obtain(
    edge: &Edge,
    args: &Build,
    choice: &Choice,
    kernel: &Nvr,
    arch: &str,
    facts: &Facts,
) -> Result<(Devel, Locked), Error> {
    let named = args.module.kernel_devel.as_deref().map(prepare::absolute).transpose()?;
    let (path, promised) = match named {
        Some(path) if path.is_dir() => return Ok((directory(path)?, Locked::default())),
        Some(path) => (path, None),
        None => {
            let wanted = Wanted { nvr: kernel.clone(), recipe: choice.recipe.clone() };
            let file = format!("{}.{arch}.rpm", resolve::devel(kernel));
            let candidates = resolve::devel_candidates(&wanted, arch, &args.origin.mirror);
            let Obtained { path, promised } =
                fetch::obtain(edge, &file, Some(resolve::devel(kernel)), &candidates, &args.origin, facts)?;
            (path, promised)
        }
    };
    let started = std::time::Instant::now();
    edge.reporter.report(&Event::StageStarted { stage: Stage::Inspect, what: format!("reading {}", path.display()) });
    let given = vouch::given(&args.origin)?;
    let (mut header, of) =
        tree::header(&path, &mut pipeline::bytes(&*edge.reporter, Stage::Inspect, "hashing".into()))?;
    if let Some(promised) = &promised {
        promised.kept(&header, &path)?;
    }
    let of_a_server = promised.as_ref().is_some_and(Promised::of_a_server);
    // Packages of all machines have one name, version and release: the lock file has the machine, too.
    let own = header.nvr.release.clone();
    header.nvr.release = format!("{own}.{of}");
    let (voucher, lock) =
        vouch::vouched(edge, &mut header, &path, given, Some(&choice.recipe), &args.origin, of_a_server)?;
    header.nvr.release = own;
    if let Some(warning) = voucher.warning(&path.file_name().unwrap_or_default().to_string_lossy()) {
        edge.reporter.warn(warning);
    }
    let read = tree::read(&path, &wanted)?;
    edge.reporter.report(&Event::StageFinished { stage: Stage::Inspect, seconds: started.elapsed().as_secs_f64() });
    let origin = Origin::Package { path, header: Box::new(header), arch: of };
    Ok((Devel { origin, files: read.files, texts: read.texts }, lock))
}

/// Reads a headers tree. One that was built apart from its sources (`O=`, and Debian's) names the other half in its
/// Makefile: `include /usr/src/linux-headers-6.1.0-1-common/Makefile`.
fn directory(path: PathBuf) -> Result<Devel, Error> {
    let failed = |source| Error::Input { what: "the headers tree".into(), source };
    let mut tops = vec![path.clone()];
    let makefile = fs_err::read_to_string(path.join("Makefile")).unwrap_or_default();
    let other = makefile.lines().filter_map(|line| line.strip_prefix("include ")?.trim().strip_suffix("/Makefile"));
    tops.extend(other.map(|other| path.join(other)));
    let mut all = Devel { origin: Origin::Directory { path }, files: BTreeSet::new(), texts: BTreeMap::new() };
    for top in &tops {
        for file in files::below(top, DEEPEST) {
            if wanted(&file) && !all.texts.contains_key(&file) {
                let path = top.join(&file);
                let size = fs_err::metadata(&path).map_err(failed)?.len();
                if size <= LARGEST {
                    all.texts.insert(file.clone(), fs_err::read(&path).map_err(failed)?);
                }
            }
            all.files.insert(file);
        }
    }
    Ok(all)
}

/// Returns the distribution's kernel packages that were named, for the plan.
///
/// # Errors
/// One cannot be read.
pub(super) fn kernels(paths: &[PathBuf]) -> Result<Vec<plan::request::Input>, Error> {
    let failed = |source| Error::Input { what: "the kernel package".into(), source };
    let input = |path: &PathBuf| {
        let path = prepare::absolute(path)?;
        let size = size(&path).map_err(failed)?;
        Ok(plan::request::Input { path, size })
    };
    paths.iter().map(input).collect()
}

fn size(path: &Path) -> std::io::Result<u64> {
    Ok(fs_err::metadata(path)?.len())
}
