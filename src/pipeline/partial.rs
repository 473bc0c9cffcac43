//! A file that is put together from parts, with the digest of what is in it so far.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use fs_err::{File, OpenOptions};
use sha2::{Digest, Sha256};

use crate::digest::hex;

/// The file.
#[derive(Debug)]
pub(super) struct Partial {
    file: File,
    hasher: Sha256,
    size: u64,
}

/// Which side of a copy broke.
#[derive(Debug)]
pub(super) enum Broken {
    /// The bytes did not come.
    Read(io::Error),
    /// They could not be kept.
    Write(io::Error),
    /// There are more than expected of any such file.
    TooLarge,
}

impl Partial {
    /// Opens the file with what an earlier run left in it, or creates it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut hasher = Sha256::new();
        file.seek(SeekFrom::Start(0))?;
        let size = io::copy(&mut file, &mut hasher)?;
        Ok(Self { file, hasher, size })
    }

    /// Returns how many bytes are in it.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Makes it empty.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.hasher = Sha256::new();
        self.size = 0;
        Ok(())
    }

    /// Adds all that comes, up to `largest` bytes in the file; `told` gets its size.
    pub(super) fn append(
        &mut self,
        input: &mut dyn Read,
        largest: u64,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), Broken> {
        let mut buffer = vec![0; 1 << 17];
        loop {
            let count = match input.read(&mut buffer) {
                Ok(0) => return self.file.flush().map_err(Broken::Write),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Broken::Read(error)),
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            self.file.write_all(bytes).map_err(Broken::Write)?;
            self.hasher.update(bytes);
            self.size += count as u64;
            told(self.size);
            if self.size > largest {
                return Err(Broken::TooLarge);
            }
        }
    }

    /// Returns its size and SHA-256.
    pub(super) fn finish(self) -> (u64, String) {
        (self.size, hex(&self.hasher.finalize()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;

    #[test]
    fn the_digest_is_that_of_the_whole_file_whatever_it_was_put_together_from() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.part");
        let mut first = Partial::open(&path).unwrap();
        first.append(&mut &b"wrong"[..], 99, &mut |_| {}).unwrap();
        first.clear().unwrap();
        first.append(&mut &b"one, "[..], 99, &mut |_| {}).unwrap();
        drop(first);
        let mut told = Vec::new();
        let mut second = Partial::open(&path).unwrap();
        assert_eq!(second.size(), 5);
        second.append(&mut &b"two"[..], 99, &mut |size| told.push(size)).unwrap();
        assert_eq!(told, [8]);
        assert_eq!(second.finish(), (8, sha256(b"one, two")));
        assert_eq!(fs_err::read(&path).unwrap(), b"one, two");
    }

    #[test]
    fn there_is_an_end_to_what_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = Partial::open(&dir.path().join("x.part")).unwrap();
        let outcome = file.append(&mut io::repeat(7), 1 << 20, &mut |_| {});
        assert!(matches!(outcome, Err(Broken::TooLarge)), "{outcome:?}");
    }
}
