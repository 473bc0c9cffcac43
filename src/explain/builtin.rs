//! The signatures that come with the program: every file of signatures/, found when the program is compiled (build.rs).

use super::check;
use super::signature::Table;
use crate::recipe::Error;

/// Name and text of each file, in order of name.
const TEXTS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/signatures.rs"));

/// A built-in signature is not valid: a bug, which the tests catch.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// A file is not as it should be.
    #[error("signatures that came with the program are broken")]
    File(#[from] Error),
    /// The patterns cannot be used together.
    #[error("signatures that came with the program are too large")]
    Patterns(#[from] regex::Error),
    /// One follows from another that is not there.
    #[error("`{name}` follows from `{missing}`, which is no signature that came with the program")]
    Follows {
        /// The one.
        name: String,
        /// The other.
        missing: String,
    },
    /// Two have the same name.
    #[error("two signatures that came with the program are called `{0}`")]
    Twice(String),
}

/// Returns all built-in signatures, ready to be matched.
///
/// # Errors
/// One of them is not valid.
pub fn table() -> Result<Table, Broken> {
    let mut all = Vec::new();
    for (name, text) in TEXTS {
        all.extend(check::parse(text, &format!("{name} (built in)"))?);
    }
    for (index, one) in all.iter().enumerate() {
        if all.iter().skip(index + 1).any(|other| other.name == one.name) {
            return Err(Broken::Twice(one.name.clone()));
        }
    }
    for one in &all {
        if let Some(missing) = one.follows.iter().find(|name| !all.iter().any(|other| other.name == **name)) {
            return Err(Broken::Follows { name: one.name.clone(), missing: missing.clone() });
        }
    }
    Ok(Table::new(all)?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_signature_that_comes_with_the_program_is_valid() {
        let table = super::table().unwrap_or_else(|error| panic!("{}", crate::error::chain(&error)));
        assert!(table.signatures().count() >= 35);
        for signature in table.signatures() {
            let name = &signature.name;
            assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')), "{name}");
            assert!(signature.cause.ends_with('.'), "{name}: the cause is a sentence");
            assert!(!signature.fix.trim().is_empty() && !signature.source.trim().is_empty(), "{name}");
        }
    }
}
