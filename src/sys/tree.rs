//! A directory tree that is looked at as if it were the root of a machine: a link in it leads nowhere else.

use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Links that are followed on the way to a file, as the kernel does (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;
/// Bytes of a file that is read whole: a vmlinuz-sized module at most.
const LARGEST: u64 = 256 << 20;

/// A tree.
#[derive(Debug, Clone)]
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// This machine's own root.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self { root: PathBuf::from("/") }
    }

    /// A tree below a directory.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Whether it is this machine's own root.
    #[must_use]
    pub fn is_this_machine(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Returns where the tree has a path, links not followed.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Returns where a path leads when every link is followed within the tree.
    ///
    /// # Errors
    /// A part of it is missing or cannot be looked at, or links go round in circles.
    pub fn resolve(&self, path: &str) -> io::Result<PathBuf> {
        let mut links = 0;
        let mut todo: Vec<std::ffi::OsString> = parts(Path::new(path));
        let mut at = PathBuf::new();
        while let Some(part) = todo.pop() {
            if part == ".." {
                at.pop();
                continue;
            }
            at.push(&part);
            let here = self.root.join(&at);
            if fs_err::symlink_metadata(&here)?.is_symlink() {
                links += 1;
                if links > MOST_LINKS {
                    return Err(io::Error::other(format!("`{}`: too many links", here.display())));
                }
                let target = fs_err::read_link(&here)?;
                if target.is_absolute() {
                    at = PathBuf::new();
                } else {
                    at.pop();
                }
                todo.extend(parts(&target));
            }
        }
        Ok(self.root.join(at))
    }

    /// Returns the content of a file.
    ///
    /// # Errors
    /// It cannot be read; the error names its path.
    pub fn bytes(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        fs_err::File::open(self.resolve(path)?)?.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Returns the content of a text file; what is not UTF-8 is replaced.
    ///
    /// # Errors
    /// As [`Tree::bytes`].
    pub fn text(&self, path: &str) -> io::Result<String> {
        self.bytes(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Returns the names in a directory, sorted.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn names(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs_err::read_dir(self.resolve(path)?)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// Whether there is something at a path.
    ///
    /// # Errors
    /// A directory on the way cannot be searched.
    pub fn has(&self, path: &str) -> io::Result<bool> {
        match self.resolve(path) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The parts of a path, last one first.
fn parts(path: &Path) -> Vec<std::ffi::OsString> {
    let named = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_within_the_tree() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::below(dir.path());
        fs_err::create_dir_all(dir.path().join("usr/lib/modules/6.1/extra")).unwrap();
        fs_err::create_dir_all(dir.path().join("etc")).unwrap();
        fs_err::write(dir.path().join("usr/lib/modules/6.1/extra/ip_vs.ko"), "module").unwrap();
        fs_err::write(dir.path().join("etc/passwd"), "ours").unwrap();
        symlink("usr/lib", dir.path().join("lib")).unwrap();
        // An absolute link, as weak-updates are; and links that would lead out.
        symlink("/lib/modules/6.1/extra", dir.path().join("weak")).unwrap();
        symlink("/etc/passwd", dir.path().join("absolute")).unwrap();
        symlink("../../../../../../../../../etc/passwd", dir.path().join("relative")).unwrap();
        symlink("round", dir.path().join("round")).unwrap();
        assert_eq!(tree.text("/weak/ip_vs.ko").unwrap(), "module");
        assert_eq!(tree.resolve("weak").unwrap(), dir.path().join("usr/lib/modules/6.1/extra"));
        for outside in ["absolute", "relative", "../../../../../../../../etc/passwd"] {
            assert_eq!(tree.text(outside).unwrap(), "ours", "{outside}");
        }
        assert!(tree.text("round").unwrap_err().to_string().contains("too many links"));
        assert_eq!(tree.names("lib/modules").unwrap(), ["6.1"]);
        assert!(tree.has("weak").unwrap() && !tree.has("weak/none").unwrap());
        assert!(!tree.has("etc/passwd/x").unwrap());
        let missing = tree.text("no/such").unwrap_err().to_string();
        assert!(missing.contains(dir.path().join("no").to_str().unwrap()), "{missing}");
    }
}
