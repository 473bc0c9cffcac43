//! Lays out the pristine copy and, from it, the working rpmbuild tree.
//!
//! The pristine copy is never edited, so that edits do not stack up. It is made anew in every run: unpacking checks each
//! file's digest, and takes no longer than it would to check an old copy's.

use std::path::Path;

use super::{Context, Error};
use crate::event::Stage;
use crate::rpm::source;
use crate::sys::files;

pub(super) fn run(context: &mut Context<'_>, srpm: &Path, spec: &str) -> Result<(), Error> {
    let layout = &context.plan.layout;
    let failed = |source| Error::io("the working tree cannot be laid out", source);
    let pristine = layout.pristine();
    files::remove_tree(&pristine).map_err(failed)?;
    fs_err::create_dir_all(&pristine).map_err(failed)?;
    source::unpack(srpm, &pristine, &mut context.bytes(Stage::Unpack, "unpacking"))?;

    files::remove_tree(&layout.topdir()).map_err(failed)?;
    for dir in layout.topdir_parts() {
        fs_err::create_dir_all(&dir).map_err(failed)?;
    }
    for entry in fs_err::read_dir(&pristine).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let target = if name == spec { layout.spec(spec) } else { layout.sources().join(&name) };
        // A link is enough: edits replace files and never write into them.
        files::link_or_copy(&entry.path(), &target).map_err(failed)?;
    }
    Ok(())
}
