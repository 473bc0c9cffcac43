//! Applies the planned edits to the working tree, and proves level 1.

use super::{Context, Error};
use crate::digest;
use crate::plan::step::{FileEdit, apply_all};
use crate::proof::{Finding, Verdict};
use crate::sys::files;

pub(super) fn run(context: &mut Context<'_>, edits: &[FileEdit]) -> Result<(), Error> {
    for edit in edits {
        let failed = |source| Error::io("a file cannot be edited", source);
        let pristine = context.plan.layout.pristine().join(&edit.file);
        let text = fs_err::read(&pristine).map_err(failed)?;
        let edited = apply_all(&edit.edits, &edit.file, &text)?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs_err::metadata(&pristine).map_err(failed)?.permissions());
        files::replace(&edit.path, &mut edited.text.as_slice(), mode & 0o777).map_err(failed)?;

        // What counts is what is on disk now.
        let written = fs_err::read(&edit.path).map_err(failed)?;
        let found = digest::sha256(&written);
        if found != edit.sha256 {
            return Err(Error::EditDiffers { path: edit.path.clone(), expected: edit.sha256.clone(), found });
        }
        let evidence = match edit.changes.as_slice() {
            [] => "as the distribution ships it".to_owned(),
            changes => {
                let lines = changes.iter().map(|change| format!("line {} `{}`", change.line, change.after));
                lines.collect::<Vec<_>>().join(", ")
            }
        };
        context.proved(Finding::new(1, edit.file.clone(), Verdict::Holds { evidence }));
    }
    Ok(())
}
