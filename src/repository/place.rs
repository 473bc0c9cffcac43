//! The directory: what is where in it, how new packages and metadata come to their places, and what a run that was killed has
//! left.
//!
//! ```text
//! Packages/NAME.rpm            a name is never given to other content: that goes to Packages/DIGEST/NAME.rpm
//! repodata/                    the metadata with its record, and the files of the metadata before it
//! kbuild/packages.json         the record, for people; kbuild/BUILD/: manifest, provenance, SBOM
//! NAME.repo, RPM-GPG-KEY-NAME
//! .kbuild-new/                 what is being made, and the list of packages that were moved in for it
//! .kbuild-old/                 the metadata before this one, for whoever reads it at the moment
//! .repodata-N/                 the metadata, if `repodata` is a link because the file system cannot exchange directories
//! ```

use std::io;
use std::path::{Path, PathBuf};

use super::change::Offered;
use super::record::{Published, RECORD, Record, SCHEMA};
use super::{Error, metadata};
use crate::event::Reporter;
use crate::rpm::decompress;
use crate::sys::clock;
use crate::sys::exchange::exchange;
use crate::sys::files;
use crate::sys::lock::{self, Lock};
use crate::sys::stamp::Stamp;

/// The index of the metadata.
pub(super) const REPOMD: &str = "repomd.xml";
/// The largest index, record or list that is read.
const LARGEST: u64 = 1 << 30;
/// How the names of metadata begin that `repodata` is a link to.
const LINKED: &str = ".repodata-";

/// The directory of a repository.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) dir: PathBuf,
    /// What makes the directory for metadata another one in each run: a createrepo that a killed run has left writes on.
    run: String,
}

fn failed(source: io::Error) -> Error {
    Error::io("the repository cannot be written", source)
}

/// When a file was changed last, in seconds since 1970.
pub(super) fn modified(path: &Path) -> io::Result<u64> {
    Ok(u64::try_from(Stamp::of(path)?.nanoseconds() / 1_000_000_000).unwrap_or_default())
}

impl Place {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), run: format!("metadata-{}-{}", std::process::id(), clock::nanoseconds()) }
    }

    fn repodata(&self) -> PathBuf {
        self.dir.join("repodata")
    }

    fn staging(&self) -> PathBuf {
        self.dir.join(".kbuild-new")
    }

    fn old(&self) -> PathBuf {
        self.dir.join(".kbuild-old")
    }

    fn journal(&self) -> PathBuf {
        self.staging().join("moved-in.json")
    }

    /// Where a package is copied to and signed.
    pub(super) fn staged(&self, file: &str) -> PathBuf {
        self.staging().join("packages").join(file)
    }

    /// Where createrepo puts the new metadata.
    pub(super) fn new_repodata(&self) -> PathBuf {
        self.staging().join(&self.run).join("repodata")
    }

    /// Where the record is for people, and what is kept of each build.
    pub(super) fn provenance(&self) -> PathBuf {
        self.dir.join("kbuild")
    }

    /// A path of the record; one that leads elsewhere leads nowhere.
    pub(super) fn path(&self, location: &str) -> PathBuf {
        if files::stays_below(Path::new(location)) { self.dir.join(location) } else { self.staging().join("nowhere") }
    }

    /// Makes the directory if it is missing, and keeps every other kbuild out of it until the lock is dropped.
    pub(super) fn enter(&self) -> Result<Lock, Error> {
        fs_err::create_dir_all(&self.dir).map_err(failed)?;
        Ok(lock::directory(&self.dir, false)?)
    }

    /// Reads the record of what is published, if something is.
    pub(super) fn record(&self) -> Result<Option<Record>, Error> {
        // A program that makes metadata may have taken the one in repodata away.
        let places = [self.repodata().join(RECORD), self.provenance().join(RECORD)];
        for path in places {
            let text = match files::read_plain(&path, LARGEST) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io("the record cannot be read", error)),
            };
            let wrong = |why: String| Error::Record { path: path.clone(), why };
            let record: Record = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
            if record.schema != SCHEMA {
                return Err(wrong(format!("expected schema {SCHEMA}, found {}", record.schema)));
            }
            return Ok(Some(record));
        }
        if fs_err::symlink_metadata(self.repodata()).is_ok() {
            return Err(Error::Foreign { dir: self.dir.clone() });
        }
        Ok(None)
    }

    /// Removes what a run that was killed has left, and what its time is over of.
    pub(super) fn recover(&self, record: Option<&Record>) -> Result<(), Error> {
        let published = |place: &String| {
            record.is_some_and(|record| record.packages.iter().any(|package| package.location == *place))
        };
        let moved_in =
            fs_err::read(self.journal()).ok().and_then(|text| serde_json::from_slice::<Vec<String>>(&text).ok());
        let gone = record.map(|record| record.gone.clone()).unwrap_or_default();
        for place in moved_in.into_iter().flatten().chain(gone).filter(|place| !published(place)) {
            self.remove(&place)?;
        }
        files::remove_tree(&self.staging()).map_err(failed)?;
        let builds = fs_err::read_dir(self.provenance()).into_iter().flatten().flatten().map(|entry| entry.path());
        for dir in builds.chain([self.dir.clone(), self.provenance()]) {
            files::sweep(&dir, None).map_err(failed)?;
        }
        let generation = record.map_or(0, |record| record.generation);
        for entry in fs_err::read_dir(&self.dir).map_err(failed)?.flatten() {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(LINKED)?.parse::<u64>().ok());
            if number.is_some_and(|number| number != generation && number + 1 != generation) {
                files::remove_tree(&entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Removes a package, and the directory that was made for it alone.
    fn remove(&self, location: &str) -> Result<(), Error> {
        let path = self.path(location);
        match fs_err::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        if let Some(parent) = path.parent().filter(|parent| *parent != self.dir && parent.starts_with(&self.dir)) {
            // One that is not empty stays.
            let _ = fs_err::remove_dir(parent);
        }
        Ok(())
    }

    /// Compares published packages with the record, by size and time, and by content where these are others.
    ///
    /// Those that are not what was published are taken out of the record if they are offered anew; returns the record, and
    /// where these were.
    ///
    /// # Errors
    /// One is not what was published, and is not offered.
    pub(super) fn sound(
        &self,
        record: Option<&Record>,
        offered: &[Offered],
    ) -> Result<(Option<Record>, Vec<String>), Error> {
        let Some(record) = record else { return Ok((None, Vec::new())) };
        let mut sound = record.clone();
        let mut damaged = Vec::new();
        sound.packages.clear();
        for package in &record.packages {
            match self.as_it_is(package) {
                Ok(package) => sound.packages.push(package),
                Err(_) if offered.iter().any(|offer| offer.file == package.file) => {
                    damaged.push(package.location.clone());
                }
                Err(error) => return Err(error),
            }
        }
        Ok((Some(sound), damaged))
    }

    /// Returns a published package with the time that its file has now.
    pub(super) fn as_it_is(&self, package: &Published) -> Result<Published, Error> {
        let path = self.path(&package.location);
        let changed = |found: String| Error::Changed { path: path.clone(), expected: package.sha256.clone(), found };
        let Ok(details) = fs_err::metadata(&path) else { return Err(changed("no file".into())) };
        let modified = modified(&path).map_err(failed)?;
        if details.len() != package.size || modified != package.modified {
            let (_, found) = files::sha256(&path).map_err(failed)?;
            if found != package.sha256 {
                return Err(changed(found));
            }
        }
        Ok(Published { modified, ..package.clone() })
    }

    /// Whether there is metadata, and its signature if it has to have one.
    pub(super) fn is_whole(&self, signed: bool) -> bool {
        let has = |name: &str| fs_err::metadata(self.repodata().join(name)).is_ok();
        has(REPOMD) && has(RECORD) && (!signed || has("repomd.xml.asc"))
    }

    /// Makes the directory for what is being made.
    pub(super) fn begin(&self) -> Result<(), Error> {
        for dir in ["packages", self.run.as_str(), "extra"].map(|name| self.staging().join(name)) {
            fs_err::create_dir_all(dir).map_err(failed)?;
        }
        Ok(())
    }

    /// Returns where a package goes: where no other content ever was as long as somebody may ask for that.
    pub(super) fn free(&self, package: &Published) -> String {
        let plain = format!("Packages/{}", package.file);
        if fs_err::symlink_metadata(self.dir.join(&plain)).is_err() {
            return plain;
        }
        format!("Packages/{}/{}", package.sha256.get(..16).unwrap_or_default(), package.file)
    }

    /// Moves packages to their places. What is moved is written down first.
    pub(super) fn move_in(&self, packages: &[Published]) -> Result<(), Error> {
        let places: Vec<&str> = packages.iter().map(|package| package.location.as_str()).collect();
        let text = serde_json::to_vec(&places).map_err(|error| failed(error.into()))?;
        files::replace_text(&self.journal(), &text).map_err(failed)?;
        for package in packages {
            let (from, to) = (self.staged(&package.file), self.path(&package.location));
            files::settle(&from).map_err(failed)?;
            fs_err::create_dir_all(to.parent().unwrap_or(&self.dir)).map_err(failed)?;
            fs_err::rename(from, to).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes the list of packages for createrepo; returns where it is, and where the metadata goes.
    pub(super) fn list(&self, text: &str) -> Result<(PathBuf, PathBuf), Error> {
        let list = self.staging().join("packages.list");
        files::replace_text(&list, text.as_bytes()).map_err(failed)?;
        Ok((list, self.staging().join(&self.run)))
    }

    /// Returns what the new index names, or the present one, if there is one.
    fn parts(repodata: &Path) -> Result<Vec<metadata::Part>, Error> {
        match fs_err::read_to_string(repodata.join(REPOMD)) {
            Ok(text) => Ok(metadata::parts(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::io("the metadata cannot be read", error)),
        }
    }

    /// Returns what others have put into the present metadata and is not in the new one, such as `modules`: kind and file,
    /// under the name that it had before a digest was put before it.
    pub(super) fn extras(&self) -> Result<Vec<(String, PathBuf)>, Error> {
        let new = Self::parts(&self.new_repodata())?;
        let mut extras = Vec::new();
        for part in Self::parts(&self.repodata())?.into_iter().filter(metadata::Part::is_extra) {
            if new.iter().any(|each| each.kind == part.kind) {
                continue;
            }
            let copy = self.staging().join("extra").join(part.plain_name());
            fs_err::copy(self.repodata().join(&part.file), &copy).map_err(failed)?;
            extras.push((part.kind, copy));
        }
        Ok(extras)
    }

    /// Returns what the new metadata says of the packages themselves.
    pub(super) fn primary(&self) -> Result<String, Error> {
        let failed = |source| Error::io("the new metadata cannot be read", source);
        let parts = Self::parts(&self.new_repodata())?;
        let primary = parts.iter().find(|part| part.kind == "primary");
        let primary = primary.ok_or_else(|| failed(io::Error::other("it has no `primary`")))?;
        let input = fs_err::File::open(self.new_repodata().join(&primary.file)).map_err(failed)?;
        let text = decompress::bytes(input, LARGEST).map_err(failed)?;
        String::from_utf8(text).map_err(|error| failed(io::Error::other(error)))
    }

    /// Puts the files of the present metadata beside those of the new one: whoever has read the present index asks for them.
    pub(super) fn keep_old_parts(&self) -> Result<(), Error> {
        for part in Self::parts(&self.repodata())? {
            let (from, to) = (self.repodata().join(&part.file), self.new_repodata().join(&part.file));
            if fs_err::metadata(&to).is_err() && fs_err::metadata(&from).is_ok() {
                files::link_or_copy(&from, &to).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Puts the new metadata in the place of the present one, in one step.
    pub(super) fn swap(&self, generation: u64, reporter: &dyn Reporter) -> Result<(), Error> {
        let (new, present) = (self.new_repodata(), self.repodata());
        files::settle(&new).map_err(failed)?;
        files::remove_tree(&self.old()).map_err(failed)?;
        match fs_err::symlink_metadata(&present) {
            Ok(details) if details.is_symlink() => self.link(generation),
            Ok(_) if exchange(&new, &present).map_err(failed)? => fs_err::rename(&new, self.old()).map_err(failed),
            Ok(_) => {
                reporter.warn(format!(
                    "the file system of `{}` cannot exchange directories, so `repodata` becomes a link now: for a moment, and \
                     this once, there is none",
                    self.dir.display()
                ));
                fs_err::rename(&present, self.old()).map_err(failed)?;
                self.link(generation)
            }
            Err(_) if self.exchanges()? => fs_err::rename(&new, &present).map_err(failed),
            Err(_) => self.link(generation),
        }
    }

    /// Whether directories can be exchanged here.
    fn exchanges(&self) -> Result<bool, Error> {
        let [one, other] = ["one", "other"].map(|name| self.staging().join(name));
        for dir in [&one, &other] {
            fs_err::create_dir_all(dir).map_err(failed)?;
        }
        exchange(&one, &other).map_err(failed)
    }

    /// Makes `repodata` a link to the new metadata: a link can be replaced in one step anywhere.
    fn link(&self, generation: u64) -> Result<(), Error> {
        let name = format!("{LINKED}{generation}");
        let link = self.staging().join("link");
        files::remove_tree(&self.dir.join(&name)).map_err(failed)?;
        fs_err::rename(self.new_repodata(), self.dir.join(&name)).map_err(failed)?;
        fs_err::os::unix::fs::symlink(&name, &link).map_err(failed)?;
        fs_err::rename(&link, self.repodata()).map_err(failed)
    }

    /// Cleans up after the new metadata has come to its place.
    pub(super) fn end(&self, record: &Record) -> Result<(), Error> {
        let text = fs_err::read(self.repodata().join(RECORD)).map_err(failed)?;
        fs_err::create_dir_all(self.provenance()).map_err(failed)?;
        files::replace_text(&self.provenance().join(RECORD), &text).map_err(failed)?;
        self.recover(Some(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn record(generation: u64, packages: &[&str], gone: &[&str]) -> Record {
        let published = |location: &&str| Published {
            file: location.rsplit('/').next().unwrap_or_default().into(),
            nvr: crate::rpm::nvr::Nvr { name: "kernel".into(), version: "1".into(), release: "1".into() },
            arch: "x86_64".into(),
            location: (*location).into(),
            size: 1,
            modified: 0,
            built: "b".into(),
            sha256: "0123456789abcdef0123".into(),
            signed: None,
            image: true,
            install_only: true,
            builds: std::collections::BTreeSet::new(),
        };
        Record {
            schema: SCHEMA,
            kbuild: String::new(),
            generation,
            published: String::new(),
            key: None,
            builds: BTreeMap::new(),
            packages: packages.iter().map(published).collect(),
            retired: Vec::new(),
            gone: gone.iter().map(ToString::to_string).collect(),
        }
    }

    struct Scratch(tempfile::TempDir);

    impl Scratch {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn place(&self) -> Place {
            Place::new(self.0.path())
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }

        fn has(&self, path: &str) -> bool {
            fs_err::symlink_metadata(self.0.path().join(path)).is_ok()
        }
    }

    #[test]
    fn what_was_moved_in_for_nothing_goes_and_nothing_else() {
        let scratch = Scratch::new();
        for file in ["Packages/a.rpm", "Packages/b.rpm", "Packages/mine.rpm", "Packages/old.rpm", "Packages/00/c.rpm"] {
            scratch.write(file, "x");
        }
        scratch.write(".kbuild-new/moved-in.json", r#"["Packages/a.rpm","Packages/b.rpm","Packages/00/c.rpm","../x"]"#);
        for generation in 1..=4 {
            scratch.write(&format!(".repodata-{generation}/x"), "x");
        }
        scratch
            .place()
            .recover(Some(&record(3, &["Packages/a.rpm"], &["Packages/old.rpm", "Packages/a.rpm"])))
            .unwrap();
        let there: Vec<bool> = ["Packages/a.rpm", "Packages/mine.rpm", ".repodata-2", ".repodata-3"]
            .into_iter()
            .chain(["Packages/b.rpm", "Packages/old.rpm", "Packages/00", ".kbuild-new", ".repodata-1", ".repodata-4"])
            .map(|path| scratch.has(path))
            .collect();
        assert_eq!(there, [true, true, true, true, false, false, false, false, false, false]);
    }

    #[test]
    fn a_name_is_never_given_to_other_content() {
        let scratch = Scratch::new();
        let record = record(1, &["Packages/a.rpm"], &[]);
        assert_eq!(scratch.place().free(&record.packages[0]), "Packages/a.rpm");
        scratch.write("Packages/a.rpm", "x");
        assert_eq!(scratch.place().free(&record.packages[0]), "Packages/0123456789abcdef/a.rpm");
    }

    #[test]
    fn metadata_changes_places_as_directories_and_as_links() {
        for linked in [false, true] {
            let scratch = Scratch::new();
            if linked {
                scratch.write("elsewhere/repomd.xml", "0");
                std::os::unix::fs::symlink("elsewhere", scratch.0.path().join("repodata")).unwrap();
            }
            for generation in 1..=3_u64 {
                let place = scratch.place();
                fs_err::create_dir_all(place.new_repodata()).unwrap();
                fs_err::write(place.new_repodata().join(REPOMD), generation.to_string()).unwrap();
                fs_err::write(place.new_repodata().join(RECORD), "{}").unwrap();
                place.swap(generation, &Silent).unwrap();
                place.end(&record(generation, &[], &[])).unwrap();
                let index = fs_err::read_to_string(scratch.0.path().join("repodata/repomd.xml")).unwrap();
                assert_eq!(index, generation.to_string());
                assert!(!scratch.has(".kbuild-new"));
            }
            let old = if linked { ".repodata-2/repomd.xml" } else { ".kbuild-old/repomd.xml" };
            assert_eq!(fs_err::read_to_string(scratch.0.path().join(old)).unwrap(), "2");
            assert!(!scratch.has(".repodata-1"));
        }
    }

    struct Silent;

    impl Reporter for Silent {
        fn report(&self, _: &crate::event::Event) {}
    }
}
