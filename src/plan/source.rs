//! What is in the source package, as plain data: read by `rpm::source`, judged here.

use std::collections::BTreeMap;

use regex::bytes::Regex;

use super::{Devel, Error, Voucher};
use crate::edit::config;
use crate::ipvs::bits::OPTION;
use crate::ipvs::sources;
use crate::recipe::{self, Recipe};
use crate::rpm::source::{Contents, Header, Want};

/// A source package with the texts that decisions are made on.
#[derive(Debug, Clone)]
pub struct Source {
    /// Header facts and signature.
    pub header: Header,
    /// What vouches for it.
    pub voucher: Voucher,
    /// Its plain files by name: spec, config sources, scripts.
    pub texts: BTreeMap<String, Vec<u8>>,
    /// Files of the kernel tree by path; empty if no tarball could be read.
    pub tree: BTreeMap<String, Vec<u8>>,
    /// Patches that may change IPVS, by name; empty if they were not asked for.
    pub patches: BTreeMap<String, Vec<u8>>,
    /// The kernel-devel, if one was asked for.
    pub devel: Option<Devel>,
}

/// Files that are not read for decisions: archives, patches, certificates, packages.
const PASSED_OVER: [&str; 14] =
    [".patch", ".diff", ".bz2", ".gz", ".xz", ".zst", ".tgz", ".tbz", ".zip", ".rpm", ".cer", ".der", ".pem", ".png"];

impl Source {
    /// Puts header and payload together.
    #[must_use]
    pub fn new(header: Header, voucher: Voucher, contents: Contents) -> Self {
        let Contents { texts, tree, patches } = contents;
        Self { header, voucher, texts, tree, patches, devel: None }
    }

    /// Returns the name of the spec.
    ///
    /// # Errors
    /// None of the package's files matches `pattern`, or several do.
    pub fn spec(&self, recipe: &Recipe) -> Result<String, Error> {
        let missing = || Error::NoFile {
            srpm: self.header.nvr.to_string(),
            file: recipe.spec.file.clone(),
            recipe: recipe.name.clone(),
        };
        let glob = recipe::glob(&recipe.spec.file, "", &self.header.nvr.version).map_err(|_| missing())?;
        let specs: Vec<&String> = self.specs().filter(|file| glob.is_match(file)).collect();
        match specs.as_slice() {
            [spec] => Ok((*spec).clone()),
            [] => Err(missing()),
            several => {
                let specs = several.iter().map(|spec| format!("`{spec}`")).collect::<Vec<_>>().join(", ");
                Err(Error::Specs { srpm: self.header.nvr.to_string(), specs })
            }
        }
    }

    /// Returns the names of everything that is a spec by its name.
    pub fn specs(&self) -> impl Iterator<Item = &String> {
        self.texts.keys().filter(|file| ends_with(file, ".spec"))
    }

    /// Returns the first line of a spec, or of what specs include, that matches and is no comment: file and number
    /// from 1.
    #[must_use]
    pub fn spec_line(&self, pattern: &Regex) -> Option<(&str, usize)> {
        let mut parts = self.texts.iter().filter(|(file, _)| is_spec(file));
        parts.find_map(|(file, text)| {
            let mut lines = text.split(|byte| *byte == b'\n').enumerate();
            let found = lines.find(|(_, line)| !line.trim_ascii_start().starts_with(b"#") && pattern.is_match(line));
            found.map(|(index, _)| (file.as_str(), index + 1))
        })
    }
}

/// Whether a file is a spec, or one that specs include.
pub(super) fn is_spec(file: &str) -> bool {
    ends_with(file, ".spec") || ends_with(file, ".inc")
}

/// Whether a file is a patch, by its name.
#[must_use]
pub fn is_patch(file: &str) -> bool {
    let packed = [".gz", ".bz2", ".xz", ".zst"];
    let bare = packed.iter().find_map(|ending| file.strip_suffix(ending)).unwrap_or(file);
    ends_with(bare, ".patch") || ends_with(bare, ".diff") || bare.starts_with("patch-")
}

pub(super) fn ends_with(file: &str, ending: &str) -> bool {
    file.len() > ending.len() && file.ends_with(ending)
}

/// Says which files of a source package are read for decisions: its plain files as texts, and from the kernel's own
/// tarball (`linux-*.tar*` in every family) the sources of IPVS.
#[must_use]
pub fn wanted(file: &str) -> Want {
    let archive = file.contains(".tar") || ends_with(file, ".tgz");
    if archive && (file.starts_with("linux") || file.starts_with("kernel.tar")) {
        Want::Tree
    } else if PASSED_OVER.iter().any(|ending| file.ends_with(ending)) && file != "linux-kernel-test.patch" {
        Want::Check
    } else {
        Want::Text
    }
}

/// Whether a file of the kernel's tree is worth reading: the sources of IPVS, or a configuration that the tree brings
/// with it.
#[must_use]
pub fn wanted_of_tree(path: &str) -> bool {
    sources::FILES.contains(&path) || is_defconfig(path) || is_of_an_era(path)
}

/// Whether a file of the tree tells which tools are too young for it (`preflight.rs`).
fn is_of_an_era(path: &str) -> bool {
    matches!(path, "Makefile" | "arch/x86/Makefile" | "arch/x86_64/Makefile" | "kernel/timeconst.pl")
        || path.starts_with("include/linux/compiler-gcc")
}

/// Whether a file of the kernel's tree is worth keeping, with this content.
#[must_use]
pub fn kept_of_tree(path: &str, text: &[u8]) -> bool {
    sources::FILES.contains(&path)
        || is_of_an_era(path)
        || (is_defconfig(path) && !config::values(text, OPTION).is_empty())
}

/// Whether a path in the tree is that of a configuration, such as `arch/x86/configs/openeuler_defconfig`.
#[must_use]
pub fn is_defconfig(path: &str) -> bool {
    path.starts_with("arch/") && path.contains("/configs/")
}
