//! kbuild.lock: which source packages were used, by digest and signer, fit for committing beside what uses them.

use serde::{Deserialize, Serialize};

use super::Error;
use crate::rpm::source::Header;
use crate::rpm::trust::Signature;

/// The name that the file has if nobody says another.
pub const NAME: &str = "kbuild.lock";
/// The version of the format.
const SCHEMA: u32 = 1;
/// What stands above the entries.
const HEAD: &str = "# Source packages that kbuild used: commit this file, and say --locked to accept no others.\n";

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LockFile {
    schema: u32,
    /// The source packages, in order of name.
    #[serde(default, rename = "source")]
    sources: Vec<Entry>,
}

/// A source package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Entry {
    /// Name, version and release.
    name: String,
    /// SHA-256 of the packages that have this name: a vault has been seen to publish one anew.
    sha256: Vec<String>,
    /// Who signed it, as the signature says; empty for nobody.
    signer: String,
}

/// What a lock file says of a source package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is one of those that were used before.
    Known,
    /// It has not been used before.
    New,
}

impl LockFile {
    /// Reads a lock file.
    ///
    /// # Errors
    /// It is none, or one of a later version.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.schema == SCHEMA { Ok(file) } else { Err(format!("expected schema {SCHEMA}, found {}", file.schema)) }
    }

    /// Returns the file's text.
    ///
    /// # Errors
    /// It cannot be written as TOML.
    pub fn text(&self) -> Result<String, String> {
        let file = Self { schema: SCHEMA, ..self.clone() };
        toml::to_string(&file).map(|text| format!("{HEAD}{text}")).map_err(|error| error.to_string())
    }

    /// Says whether a package is one of those that were used before.
    ///
    /// # Errors
    /// It has the name of one of them and another digest or signer, or it is new and only known ones are accepted.
    pub fn judge(&self, header: &Header, only_known: bool) -> Result<Verdict, Error> {
        let name = header.nvr.to_string();
        match self.sources.iter().find(|entry| entry.name == name) {
            None if only_known => Err(Error::NotLocked { srpm: name }),
            None => Ok(Verdict::New),
            Some(entry) if !entry.sha256.contains(&header.sha256) => {
                Err(Error::Republished { srpm: name, known: entry.sha256.join(", "), found: header.sha256.clone() })
            }
            Some(entry) if entry.signer != signer(&header.signature) => Err(Error::OtherSigner {
                srpm: name,
                known: shown(&entry.signer),
                found: shown(&signer(&header.signature)),
            }),
            Some(_) => Ok(Verdict::Known),
        }
    }

    /// Adds a package that is not in it.
    pub fn add(&mut self, header: &Header) {
        let (name, sha256) = (header.nvr.to_string(), vec![header.sha256.clone()]);
        self.sources.push(Entry { name, sha256, signer: signer(&header.signature) });
        self.sources.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

fn signer(signature: &Signature) -> String {
    match signature {
        Signature::Good { signer, .. } | Signature::NoKey { signer } | Signature::NotPinned { signer, .. } => {
            signer.clone()
        }
        Signature::Unsigned | Signature::Bad { .. } => String::new(),
    }
}

fn shown(signer: &str) -> String {
    if signer.is_empty() { "nobody".to_owned() } else { signer.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpm::nvr::Nvr;

    fn header(sha256: &str, signature: Signature) -> Header {
        Header {
            nvr: Nvr { name: "kernel".into(), version: "2.6.32".into(), release: "220.el6".into() },
            size: 1,
            sha256: sha256.into(),
            signature,
            files: Vec::new(),
            left_out: Vec::new(),
            epoch: 0,
        }
    }

    #[test]
    fn what_was_used_is_known_and_what_differs_is_refused() {
        let first = header("aa", Signature::Unsigned);
        let mut file = LockFile::default();
        assert_eq!(file.judge(&first, false).unwrap(), Verdict::New);
        assert!(matches!(file.judge(&first, true), Err(Error::NotLocked { .. })));
        file.add(&first);
        let file = LockFile::parse(&file.text().unwrap()).unwrap();
        assert_eq!(file.judge(&first, true).unwrap(), Verdict::Known);
        let republished = file.judge(&header("bb", Signature::Unsigned), false).unwrap_err();
        assert!(republished.to_string().contains("expected aa, found bb"), "{republished}");
        let signed = header("aa", Signature::NoKey { signer: "0946fca2c105b9de".into() });
        let error = file.judge(&signed, false).unwrap_err().to_string();
        assert!(error.contains("expected nobody, found 0946fca2c105b9de"), "{error}");
    }

    #[test]
    fn several_digests_of_one_name_are_taken_and_other_files_are_not() {
        let text =
            "schema = 1\n[[source]]\nname = \"kernel-2.6.32-220.el6\"\nsha256 = [\"aa\", \"bb\"]\nsigner = \"\"\n";
        let file = LockFile::parse(text).unwrap();
        assert_eq!(file.judge(&header("bb", Signature::Unsigned), true).unwrap(), Verdict::Known);
        assert!(LockFile::parse(&text.replace("schema = 1", "schema = 2")).unwrap_err().contains("found 2"));
        assert!(LockFile::parse("x = 1").is_err());
        assert!(file.text().unwrap().starts_with("# Source packages"));
    }
}
