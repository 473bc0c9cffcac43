//! The configuration file: what would otherwise be said on every command line.
//!
//! `$KBUILD_CONFIG` alone, if it is set; else the user's `~/.config/kbuild/config.toml` and then
//! `/etc/kbuild/config.toml`. What the command line says comes before all of them.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::args::{self, Origin};
use super::prepare;
use crate::error::Error;
use crate::sys::probe;

/// The version of the format.
const SCHEMA: u32 = 1;

/// The content of a configuration file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Settings {
    schema: u32,
    /// More `--mirror`, in order.
    #[serde(default)]
    mirrors: Vec<String>,
    /// More `--trust`.
    #[serde(default)]
    trust: Vec<String>,
    /// `--store`, if it is not said.
    store: Option<PathBuf>,
}

/// Adds what the configuration files say to what the command line says.
///
/// # Errors
/// One of them is not valid, or the one that was named cannot be read.
pub(super) fn apply(origin: &mut Origin) -> Result<(), Error> {
    origin.mirror =
        origin.mirror.iter().filter(|mirror| !mirror.is_empty()).map(|text| mirror(text)).collect::<Result<_, _>>()?;
    let (files, named) = probe::config_files();
    for file in files {
        let text = match fs_err::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !named => continue,
            Err(source) => return Err(Error::Input { what: "the configuration".into(), source }),
        };
        let settings = parse(&text).map_err(|why| invalid(&file, &why))?;
        for text in &settings.mirrors {
            origin.mirror.push(mirror(text).map_err(|error| invalid(&file, &error.to_string()))?);
        }
        origin.trust.extend(settings.trust);
        origin.store = origin.store.take().or(settings.store);
    }
    Ok(())
}

/// Returns a mirror as the plan takes it: a URL, or the absolute path of a directory.
fn mirror(text: &str) -> Result<String, Error> {
    if ["http://", "https://", "file:"].iter().any(|scheme| text.starts_with(scheme)) {
        return Ok(text.to_owned());
    }
    if text.contains("://") {
        let why = format!("a mirror is a directory, or begins with http://, https:// or file:, unlike `{text}`");
        return Err(Error::Usage(why));
    }
    Ok(prepare::absolute(Path::new(text))?.display().to_string())
}

fn parse(text: &str) -> Result<Settings, String> {
    let mut settings: Settings = toml::from_str(text).map_err(|error| error.to_string())?;
    if settings.schema != SCHEMA {
        return Err(format!("expected schema {SCHEMA}, found {}", settings.schema));
    }
    for fingerprint in &mut settings.trust {
        let wrong = |why| format!("trust: `{fingerprint}`: {why}");
        *fingerprint = args::fingerprint(fingerprint).map_err(wrong)?;
    }
    Ok(settings)
}

fn invalid(file: &Path, why: &str) -> Error {
    let source = io::Error::new(io::ErrorKind::InvalidData, format!("`{}`: {why}", file.display()));
    Error::Input { what: "the configuration".into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_is_checked() {
        let settings = parse("schema = 1\nmirrors = [\"http://x\", \"/srv\"]\n").unwrap();
        assert_eq!(settings.mirrors, ["http://x", "/srv"]);
        let spaced = "C1DA C52D 1664 E8A4 386D  BA43 0946 FCA2 C105 B9DE";
        let settings = parse(&format!("schema = 1\ntrust = [\"{spaced}\"]\n")).unwrap();
        assert_eq!(settings.trust, ["C1DAC52D1664E8A4386DBA430946FCA2C105B9DE"]);
        for (text, said) in [
            ("mirrors = []", "schema"),
            ("schema = 2", "expected schema 1, found 2"),
            ("schema = 1\nmirror = []", "unknown field `mirror`"),
            ("schema = 1\ntrust = [\"xyz\"]", "trust: `xyz`: expected the 40 hexadecimal digits"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
    }
}
