//! What a source package holds, file by file.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Error, walk};
use crate::digest::hex;

/// Returns the SHA-256 of each file's content, by name; what the header says of each file is checked on the way.
///
/// # Errors
/// The payload is damaged or cut off, a digest does not match, or a file is not a plain file.
pub fn digests(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let mut found = BTreeMap::new();
    walk(path, &mut |_, _| (), |name, _, input| {
        let mut hash = Sha256::new();
        io::copy(input, &mut hash)?;
        found.insert(name.to_owned(), hex(&hash.finalize()));
        Ok(())
    })?;
    Ok(found)
}
