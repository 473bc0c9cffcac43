//! Which files are edited, and how: worked out on the texts of the source package, so that an edit that does not apply
//! is known before anything was done.

use std::path::PathBuf;

use super::step::{Edit, FileEdit, apply_all};
use super::{Error, Layout, Request, Source};
use crate::digest;
use crate::edit::config::Setting;
use crate::ipvs::bits::OPTION;
use crate::recipe::Recipe;

/// Plans the edits; `srpm` is the source package's file name, for messages.
pub(super) fn plan(
    request: &Request,
    recipe: &Recipe,
    source: &Source,
    layout: &Layout,
    srpm: &str,
) -> Result<Vec<FileEdit>, Error> {
    let size = Setting::number(OPTION, request.bits.get().into());
    let mut planned: Vec<(&str, PathBuf, Vec<Edit>)> = Vec::new();
    for file in &recipe.option.files {
        let more = request.set.iter().map(|setting| Edit::Set { setting: setting.clone() });
        let edits = std::iter::once(Edit::SetExisting { setting: size.clone() }).chain(more).collect();
        planned.push((file, layout.sources().join(file), edits));
    }
    let buildid = Edit::Buildid { buildid: request.buildid.clone() };
    planned.push((&recipe.spec.file, layout.spec(&recipe.spec.file), vec![buildid]));
    if !request.patches.is_empty() {
        let hook = &recipe.spec.patch_hook;
        let patch = Edit::Patch { patches: request.patches.clone() };
        planned.push((hook, layout.sources().join(hook), vec![patch]));
    }
    planned
        .into_iter()
        .map(|(file, path, edits)| {
            let text = source.texts.get(file).ok_or_else(|| Error::NoFile {
                srpm: srpm.to_owned(),
                file: file.to_owned(),
                recipe: recipe.name.clone(),
            })?;
            let edited = apply_all(&edits, file, text)?;
            let sha256 = digest::sha256(&edited.text);
            Ok(FileEdit { file: file.to_owned(), path, edits, changes: edited.changes, sha256 })
        })
        .collect()
}
