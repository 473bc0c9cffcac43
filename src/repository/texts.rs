//! What lies beside packages and metadata: the .repo file, the public key, and where each build comes from.

use std::path::Path;

use serde::Serialize;

use super::change::Changes;
use super::record::Record;
use super::{Error, Run};
use crate::plan::layout::{CERTIFICATE, MANIFEST, PROVENANCE, SBOM};
use crate::plan::template;
use crate::sys::files;

/// What is kept of a build's results beside its packages.
const KEPT: [&str; 4] = [MANIFEST, PROVENANCE, SBOM, CERTIFICATE];
/// A public key is some kilobytes.
const LARGEST_KEY: u64 = 1 << 20;

/// How clients reach a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Its address, without a slash at the end.
    pub base_url: String,
    /// Its name, of letters, digits and `-_.:`.
    pub name: String,
}

impl Reach {
    /// Returns the name of the file for /etc/yum.repos.d.
    #[must_use]
    pub fn repo_file(&self) -> String {
        format!("{}.repo", self.name)
    }

    /// Returns the address of that file.
    #[must_use]
    pub fn repo_url(&self) -> String {
        format!("{}/{}", self.base_url, self.repo_file())
    }

    /// Returns the name of the public key's file.
    #[must_use]
    pub fn key_file(&self) -> String {
        format!("RPM-GPG-KEY-{}", self.name)
    }
}

/// What the template of the .repo file may say.
#[derive(Serialize)]
struct Values<'a> {
    name: &'a str,
    base_url: &'a str,
    signed: bool,
    updated_in_place: Vec<&'a str>,
}

/// Returns the .repo file.
fn repo_file(reach: &Reach, signed: bool, updated_in_place: Vec<&str>) -> Result<String, template::Error> {
    let values = Values { name: &reach.name, base_url: &reach.base_url, signed, updated_in_place };
    template::fill("kbuild.repo", include_str!("../../templates/kbuild.repo"), &values)
}

impl Run<'_> {
    /// Writes the .repo file and the public key, where they are not the same already.
    pub(super) fn texts(&self, changes: &Changes, there: Option<&Record>) -> Result<(), Error> {
        let reach = &self.asked.reach;
        if let Some(signer) = self.signer {
            let path = self.asked.dir.join(reach.key_file());
            let mut text = signer.public.clone();
            // Whoever has the metadata before this one checks it with the key before this one.
            let other = there.and_then(|record| record.key.as_ref()).is_some_and(|key| *key != signer.fingerprint);
            if other && let Ok(before) = files::read_plain(&path, LARGEST_KEY) {
                let before = String::from_utf8_lossy(&before);
                if !before.contains(text.trim()) {
                    text += &before;
                }
            }
            write(&path, &text)?;
        }
        let text = repo_file(reach, self.signer.is_some(), changes.updated_in_place().into_iter().collect())?;
        write(&self.asked.dir.join(reach.repo_file()), &text)
    }

    /// Keeps where the builds come from beside their packages, and no longer that of builds that went.
    pub(super) fn provenance(&self, changes: &Changes, there: Option<&Record>, anew: bool) -> Result<(), Error> {
        for (id, (_, from)) in self.found.builds.iter().filter(|(id, _)| changes.builds.contains_key(*id)) {
            let to = self.place.provenance().join(id);
            if !anew && fs_err::metadata(to.join(MANIFEST)).is_ok() {
                // The record is of the manifest that is there.
                continue;
            }
            fs_err::create_dir_all(&to).map_err(failed)?;
            for name in KEPT {
                match fs_err::read(from.join(name)) {
                    Ok(text) if fs_err::read(to.join(name)).is_ok_and(|before| before == text) => {}
                    Ok(text) => files::replace_text(&to.join(name), &text).map_err(failed)?,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(failed(error)),
                }
            }
        }
        let before = there.iter().flat_map(|record| record.builds.keys());
        for id in before.filter(|id| !changes.builds.contains_key(*id) && files::stays_below(Path::new(id))) {
            files::remove_tree(&self.place.provenance().join(id)).map_err(failed)?;
        }
        Ok(())
    }
}

fn failed(source: std::io::Error) -> Error {
    Error::io("what lies beside the packages cannot be written", source)
}

/// Writes a text unless it is there.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    if fs_err::read(path).is_ok_and(|before| before == text.as_bytes()) {
        return Ok(());
    }
    files::replace_text(path, text.as_bytes()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repo_file_says_what_is_signed_and_what_is_not() {
        let reach = Reach { base_url: "http://repo.example/el6".into(), name: "ipvs".into() };
        let plain = |text: String| -> Vec<String> {
            text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
        };
        let signed = plain(repo_file(&reach, true, Vec::new()).unwrap());
        assert_eq!(
            signed,
            [
                "[ipvs]",
                "name=Kernels with another IPVS table (ipvs)",
                "baseurl=http://repo.example/el6",
                "enabled=1",
                "gpgcheck=1",
                "repo_gpgcheck=1",
                "gpgkey=http://repo.example/el6/RPM-GPG-KEY-ipvs",
                "metadata_expire=15m",
            ]
        );
        let unsigned = plain(repo_file(&reach, false, Vec::new()).unwrap());
        assert_eq!(unsigned[4..], ["gpgcheck=0", "repo_gpgcheck=0", "metadata_expire=15m"]);
        let told = repo_file(&reach, true, vec!["kernel-lt"]).unwrap();
        assert!(told.contains("\n#     installonlypkgs=kernel-lt kernel "), "{told}");
        assert!(told.ends_with('\n'));
    }
}
