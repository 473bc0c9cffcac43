//! `kbuild ipvs --check-reproducible`: the same build once more in another directory, and the packages compared.

use super::Edge;
use super::args::Build;
use super::ipvs::is_package;
use crate::error::Error;
use crate::pipeline::manifest::Manifest;
use crate::plan::Plan;
use crate::proof::difference;
use crate::sys::files;

/// The name of both directories of the second build, below those of the first.
const AGAIN: &str = "again";

/// Returns the arguments for the second build of a plan.
pub(super) fn again(args: &Build, plan: &Plan) -> Build {
    let mut again = args.clone();
    again.bits = vec![plan.bits];
    again.work = Some(plan.layout.again());
    again.out = plan.layout.out.join(AGAIN);
    again.signing.kept_in = Some(plan.layout.work.clone());
    again.running.check_reproducible = false;
    again.running.fresh = true;
    again.running.resume_build = false;
    again
}

/// Compares the packages of both builds; returns what is to be said, and removes the second ones if they are the same.
pub(super) fn compare(edge: &Edge, first: &Plan, manifest: &Manifest) -> Result<String, Error> {
    let (one, other) = (&first.layout.out, first.layout.out.join(AGAIN));
    let packages: Vec<&String> = manifest.files.iter().map(|file| &file.name).filter(|name| is_package(name)).collect();
    let mut differ = Vec::new();
    for name in &packages {
        match difference::first(&one.join(name), &other.join(name)) {
            Ok(None) => {}
            Ok(Some(difference)) => {
                edge.reporter.warn(format!("{name} is another one in the second build: {difference}"));
                differ.push(format!("{name}: {difference}"));
            }
            Err(error) => return Err(Error::Pipeline(error.into())),
        }
    }
    if differ.is_empty() {
        let failed = |source| Error::Host { what: "the second build cannot be removed".into(), source };
        files::remove_tree(&other).map_err(failed)?;
        return Ok(format!(
            "\nbuilt twice, in different directories: all {} packages are the same, byte for byte\n",
            packages.len()
        ));
    }
    Err(Error::NotReproducible { differ, of: packages.len(), other })
}
