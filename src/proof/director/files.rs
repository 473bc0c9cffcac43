//! Files that may be missing or closed: what is missing says nothing, what is closed is noted.

use std::io;
use std::path::PathBuf;

use crate::sys::tree::Tree;

/// A look at a tree.
pub(super) struct Look<'a> {
    tree: &'a Tree,
    /// What could not be read, and why.
    pub(super) unread: Vec<String>,
}

impl<'a> Look<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        Self { tree, unread: Vec::new() }
    }

    /// Takes a result; what is missing is none, everything else that went wrong is noted.
    fn note<T>(&mut self, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
            Err(error) => {
                self.unread.push(error.to_string());
                None
            }
        }
    }

    /// Returns the content of a file.
    pub(super) fn bytes(&mut self, path: &str) -> Option<Vec<u8>> {
        let read = self.tree.bytes(path);
        self.note(read)
    }

    /// Returns the content of a text file.
    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        let read = self.tree.text(path);
        self.note(read)
    }

    /// Returns the content of a text file that an ordinary user is not meant to read.
    pub(super) fn text_quietly(&self, path: &str) -> Option<String> {
        self.tree.text(path).ok()
    }

    /// Returns the names in a directory.
    pub(super) fn names(&mut self, path: &str) -> Option<Vec<String>> {
        let read = self.tree.names(path);
        self.note(read)
    }

    /// Whether something is there.
    pub(super) fn has(&mut self, path: &str) -> bool {
        let read = self.tree.has(path);
        self.note(read).unwrap_or_default()
    }

    /// Returns where a path leads, if something is there.
    pub(super) fn find(&mut self, path: &str) -> Option<PathBuf> {
        let read = self.tree.resolve(path);
        self.note(read)
    }
}
