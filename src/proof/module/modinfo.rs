//! What a module declares about itself in `.modinfo`.

use super::Error;
use super::image::{Image, Place};

const SECTION: &str = ".modinfo";
/// Holds the kernel's `struct module`, filled in by the build up to the name.
const THIS_MODULE: &str = ".gnu.linkonce.this_module";

/// All pairs of `.modinfo`, in the module's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modinfo {
    pairs: Vec<(String, String)>,
}

impl Modinfo {
    /// All pairs of key and value, in the module's order.
    #[must_use]
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The first value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    /// All values of a key.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(found, _)| found == key).map(|(_, value)| value.as_str())
    }

    /// The modules whose symbols this one uses: they must be loaded before it.
    #[must_use]
    pub fn depends(&self) -> Vec<&str> {
        self.all("depends").flat_map(|value| value.split(',')).filter(|name| !name.is_empty()).collect()
    }

    /// The modules that this one asks to have loaded before it (`softdep=pre: …`).
    #[must_use]
    pub fn softdeps(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for value in self.all("softdep") {
            let mut before = false;
            for word in value.split_whitespace() {
                match word {
                    "pre:" => before = true,
                    "post:" => before = false,
                    name if before => names.push(name),
                    _ => {}
                }
            }
        }
        names
    }

    /// Whether a parameter of this name is declared.
    #[must_use]
    pub fn has_parameter(&self, name: &str) -> bool {
        let declares = |value: &str| value.split_once(':').is_some_and(|(found, _)| found == name);
        self.all("parm").chain(self.all("parmtype")).any(declares)
    }
}

/// Reads `.modinfo`.
pub(super) fn read(image: &Image<'_>) -> Result<Modinfo, Error> {
    let section = image.section(SECTION)?.ok_or(Error::NotAModule)?;
    // Authors' names in old modules are not always UTF-8.
    let pairs = section.bytes.split(|byte| *byte == 0).filter_map(|entry| {
        let entry = String::from_utf8_lossy(entry);
        entry.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
    });
    Ok(Modinfo { pairs: pairs.collect() })
}

/// The module's name: declared since Linux 4.13, before that only in its `struct module`.
pub(super) fn name(image: &Image<'_>, info: &Modinfo) -> Option<String> {
    if let Some(name) = info.get("name") {
        return Some(name.to_owned());
    }
    let section = image.section(THIS_MODULE).ok()??;
    // In every kernel the name follows the state, padded to a word, and a list_head of two.
    let name = image.text(Place { section: section.index, offset: 3 * image.word() })?;
    if name.is_empty() { None } else { Some(String::from_utf8_lossy(name).into_owned()) }
}
