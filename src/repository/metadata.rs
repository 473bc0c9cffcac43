//! The metadata: which of its forms every client can read, how createrepo is told, and whether what it wrote is of the very
//! packages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::record::{Published, dist};
use crate::command::Command;

/// The kinds of metadata that createrepo makes of packages; all others are somebody's who put them there.
const MADE: [&str; 3] = ["primary", "filelists", "other"];

/// The digests in the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checksum {
    /// What yum of el5 knows: it runs on Python 2.4, and SHA-256 came with the hashlib of 2.5.
    Sha1,
    /// What every later client knows.
    Sha256,
}

impl Checksum {
    /// Returns the digests that the clients of all these packages know.
    pub(super) fn of<'a>(releases: impl IntoIterator<Item = &'a str>) -> Self {
        if releases.into_iter().any(|release| dist(release) == Some("el5")) { Self::Sha1 } else { Self::Sha256 }
    }

    /// Returns its name for createrepo, and in the metadata.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha",
            Self::Sha256 => "sha256",
        }
    }
}

/// Returns the command that makes metadata for the packages in a list, all of them below `dir`, in `out/repodata`.
///
/// Everything is compressed with gzip, which every client reads: `createrepo_c` from 1.0 on would take zstd, which dnf of el8 and
/// yum do not know. There is no database: only yum of el5 and el6 would take one, and they do without. What `dir` already
/// has is taken for packages whose size and time are the same, if `reuse`.
pub(super) fn command(
    createrepo: &Path,
    env: &BTreeMap<String, String>,
    (dir, out, list): (&Path, &Path, &Path),
    checksum: Checksum,
    reuse: bool,
) -> Command {
    let text = |path: &Path| path.display().to_string();
    let mut command = Command::new(createrepo)
        .args(["--quiet", "--no-database", "--checksum", checksum.name()])
        .with_env(env.clone());
    // The first createrepo, in Python, compresses with gzip unless told otherwise.
    if super::programs::is_c(createrepo) {
        command = command.args(["--general-compress-type", "gz"]);
    }
    if reuse {
        command = command.args(["--update", "--update-md-path"]).arg(text(dir));
    }
    command.args(["--pkglist".to_owned(), text(list), "--outputdir".to_owned(), text(out), text(dir)])
}

/// Returns the command that puts a file into metadata as a kind of its own.
pub(super) fn carry(
    modifyrepo: &Path,
    env: &BTreeMap<String, String>,
    (kind, file, repodata): (&str, &Path, &Path),
    checksum: Checksum,
) -> Command {
    Command::new(modifyrepo)
        .args(["--mdtype", kind, "--compress-type", "gz", "--checksum", checksum.name()])
        .args([file.display().to_string(), repodata.display().to_string()])
        .with_env(env.clone())
}

/// A file that repomd.xml names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// What it is: `primary`, `modules`.
    pub(super) kind: String,
    /// Its name in repodata.
    pub(super) file: String,
}

impl Part {
    /// Whether it is neither made of packages nor a form of what is.
    pub(super) fn is_extra(&self) -> bool {
        let of =
            |made: &str| self.kind.strip_prefix(made).is_some_and(|rest| ["", "_db", "_zck", "_gz"].contains(&rest));
        !MADE.iter().any(|made| of(made))
    }

    /// Its name without the digest before it.
    pub(super) fn plain_name(&self) -> &str {
        match self.file.split_once('-') {
            Some((digest, name)) if digest.len() >= 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
            _ => &self.file,
        }
    }
}

#[expect(clippy::expect_used, reason = "the tests compile them")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

/// Returns the files that repomd.xml names.
pub(super) fn parts(repomd: &str) -> Vec<Part> {
    static DATA: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?s)<data\s[^>]*?type="([^"]+)".*?</data>"#));
    static PLACE: LazyLock<Regex> = LazyLock::new(|| pattern(r#"<location\s[^>]*?href="repodata/([^"/]+)""#));
    let of = |data: regex::Captures<'_>| {
        let file = PLACE.captures(data.get(0)?.as_str())?.get(1)?.as_str().to_owned();
        Some(Part { kind: data.get(1)?.as_str().to_owned(), file })
    };
    DATA.captures_iter(repomd).filter_map(of).collect()
}

/// Says in what metadata and packages differ: each package must be there once, where it is and, where the digests are ours,
/// with its own.
pub(super) fn wrong(primary: &str, packages: &[&Published], checksum: Checksum) -> Vec<String> {
    static PACKAGE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)<package\s.*?</package>"));
    static DIGEST: LazyLock<Regex> = LazyLock::new(|| pattern(r"<checksum\s[^>]*>([0-9a-f]+)</checksum>"));
    static PLACE: LazyLock<Regex> = LazyLock::new(|| pattern(r#"<location\s[^>]*?href="([^"]+)""#));
    let mut left: BTreeMap<&str, &Published> = packages.iter().map(|each| (each.location.as_str(), *each)).collect();
    let mut problems = Vec::new();
    let mut strange = BTreeSet::new();
    for package in PACKAGE.find_iter(primary).map(|found| found.as_str()) {
        let value = |pattern: &Regex| Some(pattern.captures(package)?.get(1)?.as_str().to_owned());
        let place = value(&PLACE).unwrap_or_default().replace("&amp;", "&");
        let Some(published) = left.remove(place.as_str()) else {
            strange.insert(place);
            continue;
        };
        let digest = value(&DIGEST).unwrap_or_default();
        if checksum == Checksum::Sha256 && digest != published.sha256 {
            problems.push(format!("{place}: expected sha256 {}, found {digest}", published.sha256));
        }
    }
    problems.extend(left.into_keys().map(|place| format!("{place}: it is not in it")));
    problems.extend(strange.into_iter().map(|place| format!("{place}: it was not to be in it")));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `createrepo_c` 0.17 writes it.
    const REPOMD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>1700000000</revision>
  <data type="primary">
    <checksum type="sha256">aa</checksum>
    <location href="repodata/0123456789abcdef0123456789abcdef-primary.xml.gz"/>
  </data>
  <data type="filelists_db">
    <location href="repodata/x-filelists.sqlite.bz2"/>
  </data>
  <data type="modules">
    <location href="repodata/0123456789abcdef0123456789abcdef-modules.yaml.gz"/>
  </data>
</repomd>"#;

    #[test]
    fn parts_are_read_and_those_of_others_told() {
        let parts = parts(REPOMD);
        let told: Vec<_> = parts.iter().map(|part| (part.kind.as_str(), part.plain_name(), part.is_extra())).collect();
        assert_eq!(
            told,
            [
                ("primary", "primary.xml.gz", false),
                ("filelists_db", "x-filelists.sqlite.bz2", false),
                ("modules", "modules.yaml.gz", true)
            ]
        );
    }

    #[test]
    fn el5_decides_the_digests() {
        assert_eq!(Checksum::of(["308.13.1.el5.ipvs_20bit", "220.el6"]), Checksum::Sha1);
        assert_eq!(Checksum::of(["220.el6", "1.el50", "123.el7"]), Checksum::Sha256);
        assert_eq!(Checksum::of([]), Checksum::Sha256);
    }

    fn published(file: &str, sha256: &str) -> Published {
        Published {
            file: file.into(),
            nvr: crate::rpm::nvr::Nvr { name: "kernel".into(), version: "1".into(), release: "1".into() },
            arch: "x86_64".into(),
            location: format!("Packages/{file}"),
            size: 1,
            modified: 1,
            built: String::new(),
            sha256: sha256.into(),
            signed: None,
            image: true,
            install_only: true,
            builds: BTreeSet::new(),
        }
    }

    #[test]
    fn metadata_is_compared_with_the_packages() {
        let primary = |digest: &str, place: &str| {
            format!(
                "<package type=\"rpm\">\n  <checksum type=\"sha256\" pkgid=\"YES\">{digest}</checksum>\n  \
                 <location href=\"{place}\"/>\n</package>"
            )
        };
        let package = published("a.rpm", "aa");
        let found = |text: &str| wrong(text, &[&package], Checksum::Sha256);
        assert_eq!(found(&primary("aa", "Packages/a.rpm")), [] as [String; 0]);
        assert_eq!(found(&primary("ab", "Packages/a.rpm")), ["Packages/a.rpm: expected sha256 aa, found ab"]);
        assert_eq!(found(""), ["Packages/a.rpm: it is not in it"]);
        assert_eq!(
            found(&(primary("aa", "Packages/a.rpm") + &primary("aa", "b.rpm"))),
            ["b.rpm: it was not to be in it"]
        );
    }

    #[test]
    fn commands_are_told_what_the_oldest_client_reads() {
        let places = (Path::new("/srv"), Path::new("/srv/new"), Path::new("/srv/new/list"));
        let told = |program: &str, checksum, reuse| {
            command(Path::new(program), &BTreeMap::new(), places, checksum, reuse).to_string()
        };
        assert_eq!(
            told("/usr/bin/createrepo_c", Checksum::Sha256, true),
            "/usr/bin/createrepo_c --quiet --no-database --checksum sha256 --general-compress-type gz --update \
             --update-md-path /srv --pkglist /srv/new/list --outputdir /srv/new /srv"
        );
        assert_eq!(
            told("/usr/bin/createrepo", Checksum::Sha1, false),
            "/usr/bin/createrepo --quiet --no-database --checksum sha --pkglist /srv/new/list --outputdir /srv/new /srv"
        );
    }
}
