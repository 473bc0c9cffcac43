//! What is inside the files of a source package: the kernel's tarball, read as a stream, and what patches change.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::super::decompress;

/// The largest file of a kernel tree that is kept in memory.
const LARGEST_TREE_FILE: u64 = 4 << 20;
/// How large a kernel tree may be. Real ones have up to 1.5 GB.
const LARGEST_TREE: u64 = 16 << 30;

/// Which files of a kernel's tarball are kept: asked of every path, and then of those that are wanted with their content.
#[expect(missing_debug_implementations, reason = "functions have none")]
pub struct InTree<'a> {
    /// Whether a file is worth reading, by its path below the tarball's top directory.
    pub wanted: &'a dyn Fn(&str) -> bool,
    /// Whether it is worth keeping.
    pub keep: &'a dyn Fn(&str, &[u8]) -> bool,
}

/// Reads the wanted files out of a (compressed) tar stream, whose digest the caller checks.
pub(super) fn read_tree(input: &mut dyn Read, in_tree: &InTree<'_>) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut archive = tar::Archive::new(decompress::reader_of_checked(input)?.take(LARGEST_TREE));
    for entry in archive.entries()? {
        let entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let Some((_, inner)) = path.trim_start_matches("./").split_once('/') else { continue };
        if (in_tree.wanted)(inner) && entry.header().entry_type().is_file() {
            let mut text = Vec::new();
            entry.take(LARGEST_TREE_FILE).read_to_end(&mut text)?;
            if (in_tree.keep)(inner, &text) {
                found.insert(inner.to_owned(), text);
            }
        }
    }
    Ok(found)
}

/// Returns the paths that the headers of a patch may name, without their first directory: `a/net/x.c` names `net/x.c`.
pub(super) fn patched(text: &[u8]) -> impl Iterator<Item = &str> {
    let heads: [&[u8]; 4] = [b"--- ", b"+++ ", b"rename from ", b"rename to "];
    text.split(|byte| *byte == b'\n').filter_map(move |line| {
        let head = heads.iter().find(|head| line.starts_with(head))?;
        let path = std::str::from_utf8(line.get(head.len()..)?).ok()?.split(['\t', ' ']).next()?;
        // git's renames have no first directory of their own.
        if head.starts_with(b"rename") { Some(path) } else { Some(path.split_once('/')?.1) }
    })
}
