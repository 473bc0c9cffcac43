//! What is in the source package, as plain data: read by `rpm::source`, judged here.

use std::collections::BTreeMap;

use crate::recipe::Recipe;
use crate::rpm::source::{Contents, Header, Want};

/// A source package with the texts that decisions are made on.
#[derive(Debug, Clone)]
pub struct Source {
    /// Header facts and signature.
    pub header: Header,
    /// Spec and config sources by file name.
    pub texts: BTreeMap<String, Vec<u8>>,
    /// Files of the kernel tree by path; empty if no tarball could be read.
    pub tree: BTreeMap<String, Vec<u8>>,
}

impl Source {
    /// Puts header and payload together.
    #[must_use]
    pub fn new(header: Header, contents: Contents) -> Self {
        Self { header, texts: contents.texts, tree: contents.tree }
    }
}

/// Says which files of a source package are read for decisions.
///
/// The spec, config sources and the patch hook are kept as texts; the kernel's own tarball (`linux-*.tar*`, the name
/// in every family) is searched for the IPVS sources.
#[must_use]
pub fn wanted(recipe: &Recipe, file: &str) -> Want {
    let config = file.starts_with("config-") || file.ends_with(".config");
    if file.starts_with("linux-") && file.contains(".tar") {
        Want::Tree
    } else if file == recipe.spec.file || file == recipe.spec.patch_hook || config {
        Want::Text
    } else {
        Want::Check
    }
}
