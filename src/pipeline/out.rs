//! Where results go. They belong to whoever started kbuild, who may be another user than the one that builds.

use std::io::{self, Read};
use std::path::PathBuf;

use super::manifest::Manifest;
use crate::sys::files;
use crate::sys::lock::{self, Lock};

/// Takes results, one file at a time.
pub trait Out {
    /// Puts a file among the results, in place of one of the same name, and returns its size and SHA-256.
    ///
    /// `size` must be what `input` gives.
    ///
    /// # Errors
    /// The name is not one for results, or reading or writing failed.
    fn put(&mut self, name: &str, size: u64, input: &mut dyn Read) -> io::Result<(u64, String)>;
}

/// Writes results into a directory.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Names of results that an earlier run left here.
    earlier: Vec<String>,
    /// Wait for another kbuild that writes here.
    wait: bool,
    /// Held from the first result on.
    lock: Option<Lock>,
}

impl Directory {
    /// Returns results that go into a directory, which is made when the first one comes. Another kbuild that writes
    /// there is waited for, or makes that first one fail.
    #[must_use]
    pub fn new(path: PathBuf, wait: bool) -> Self {
        let earlier = Manifest::read(&path).map(|manifest| manifest.files).unwrap_or_default();
        Self { path, earlier: earlier.into_iter().map(|file| file.name).collect(), wait, lock: None }
    }

    /// Takes the directory for itself, and removes what a kbuild that was killed had begun to write.
    fn claim(&mut self) -> io::Result<()> {
        if self.lock.is_some() {
            return Ok(());
        }
        fs_err::create_dir_all(&self.path)?;
        self.lock = Some(lock::directory(&self.path, self.wait).map_err(io::Error::other)?);
        [self.path.clone(), self.path.join("logs")].iter().try_for_each(|dir| files::sweep(dir, None))
    }

    /// Removes what an earlier run for the same kernel left and this one did not make again.
    ///
    /// # Errors
    /// A file could not be removed.
    pub fn retire(&self, manifest: &Manifest) -> io::Result<()> {
        let kept = |name: &String| manifest.files.iter().any(|file| file.name == *name);
        for name in self.earlier.iter().filter(|name| !kept(name)) {
            match fs_err::remove_file(self.path.join(checked(name)?)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Out for Directory {
    fn put(&mut self, name: &str, size: u64, input: &mut dyn Read) -> io::Result<(u64, String)> {
        let target = self.path.join(checked(name)?);
        self.claim()?;
        fs_err::create_dir_all(target.parent().unwrap_or(&self.path))?;
        let written = files::replace(&target, &mut input.take(size), 0o644)?;
        if written.0 == size {
            Ok(written)
        } else {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("`{name}` was cut off")))
        }
    }
}

/// Returns the name if it is a plain one, or one in `logs/`: it may come from another user's process.
fn checked(name: &str) -> io::Result<&str> {
    let plain = name.strip_prefix("logs/").unwrap_or(name);
    let good = !plain.is_empty() && !plain.starts_with('.') && !plain.contains(['/', '\0']);
    good.then_some(name)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` is no name for a result")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        for good in ["manifest.json", "logs/04-build.log"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in ["", "..", "../x", "/etc/passwd", "logs/../x", "logs/", "a/b", ".x"] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_result_that_is_cut_off_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut out = Directory::new(dir.path().to_owned(), false);
        assert!(out.put("a", 5, &mut &b"1234"[..]).is_err());
        assert_eq!(out.put("b", 4, &mut &b"12345"[..]).unwrap().0, 4);
        assert_eq!(fs_err::read(dir.path().join("b")).unwrap(), b"1234");
    }
}
