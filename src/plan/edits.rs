//! Which files are edited, and how: worked out on the texts of the source package, so that an edit that does not apply
//! is known before anything was done.

use super::routes::kernel::Ground;
use super::step::{Edit, FileEdit, apply_all};
use super::{Error, Source};
use crate::digest;
use crate::edit::config::Setting;
use crate::edit::spec::Carried;
use crate::ipvs::bits::OPTION;

/// Plans the edits.
pub(super) fn plan(ground: &Ground<'_>, source: &Source) -> Result<Vec<FileEdit>, Error> {
    let Ground { request, recipe, configs, .. } = ground;
    let size = Setting::number(OPTION, request.bits.get().into());
    let own = configs.of_arch(&ground.frame.arch);
    let mut planned: Vec<(&str, Vec<Edit>)> = Vec::new();
    for file in &configs.edit {
        let setting = size.clone();
        let mut edits = vec![if configs.add { Edit::Set { setting } } else { Edit::SetExisting { setting } }];
        if own.contains(file) {
            edits.extend(request.set.iter().map(|setting| Edit::Set { setting: setting.clone() }));
        }
        planned.push((file, edits));
    }
    let Carried { file, line, before, after, .. } = &ground.released.carried;
    planned.push((file, vec![Edit::Line { line: *line, before: before.clone(), after: after.clone() }]));
    if !request.patches.is_empty() {
        let hook = recipe.spec.patch_hook.as_deref();
        let hook = hook.ok_or_else(|| Error::NoHook { recipe: recipe.name.clone() })?;
        planned.push((hook, vec![Edit::Patch { patches: request.patches.clone() }]));
    }
    planned.into_iter().map(|(file, edits)| edit(ground, source, file, edits)).collect()
}

fn edit(ground: &Ground<'_>, source: &Source, file: &str, edits: Vec<Edit>) -> Result<FileEdit, Error> {
    let text = source.texts.get(file).ok_or_else(|| Error::NoFile {
        srpm: source.header.nvr.to_string(),
        file: file.to_owned(),
        recipe: ground.recipe.name.clone(),
    })?;
    let edited = apply_all(&edits, file, text)?;
    let sha256 = digest::sha256(&edited.text);
    let layout = &ground.frame.layout;
    // The spec lies in SPECS, everything else in SOURCES.
    let path = if file == ground.spec { layout.spec(file) } else { layout.sources().join(file) };
    Ok(FileEdit { file: file.to_owned(), path, edits, changes: edited.changes, sha256 })
}
