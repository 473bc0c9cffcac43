//! What a group leaves out.

use std::ops::Range;

use toml::de::DeTable;

use super::Cell;
use super::file::word;
use crate::recipe::check::Found;

/// Cells that are not wanted: all that have what is named.
pub(super) struct Skip {
    release: Option<String>,
    bits: Option<String>,
    arch: Option<String>,
    route: Option<String>,
    pub(super) span: Range<usize>,
}

impl Skip {
    pub(super) fn fits(&self, cell: &Cell) -> bool {
        let source = cell.source.to_string();
        let is =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|wanted| found == Some(wanted));
        let is_source =
            self.release.as_deref().is_none_or(|wanted| source == wanted || source.ends_with(&format!("/{wanted}")));
        is_source
            && is(&self.bits, Some(&cell.bits.to_string()))
            && is(&self.arch, cell.arch.as_deref())
            && is(&self.route, Some(&cell.route))
    }
}

/// Reads what a group leaves out, and notes what is wrong with it.
pub(super) fn read(group: &DeTable<'_>, found: &mut Found<'_>) -> Vec<Skip> {
    let list = group.get("skip").and_then(|skip| skip.get_ref().as_array());
    let mut skips = Vec::new();
    for each in list.into_iter().flatten() {
        let text = |key: &str| each.get_ref().as_table()?.get(key).and_then(|value| word(value.get_ref()));
        let skip = Skip {
            release: text("release"),
            bits: text("bits"),
            arch: text("arch"),
            route: text("route"),
            span: each.span(),
        };
        if skip.release.is_none() && skip.bits.is_none() && skip.arch.is_none() && skip.route.is_none() {
            found.say(
                &skip.span,
                "this leaves out every cell of the group",
                "name what the cells have that are not wanted",
            );
        } else {
            skips.push(skip);
        }
    }
    skips
}
