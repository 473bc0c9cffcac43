//! What builds took: objects, room, files, time and memory, measured while they run and kept in the work directory, by
//! recipe, profile and architecture. The progress display and the next preflight go by it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::command::Command;
use crate::plan::preflight::Measured;
use crate::plan::{Layout, Plan};
use crate::sys::{files, processes};

/// How often the memory of a build is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// The largest list that is read: some hundred kinds of builds.
const LARGEST: u64 = 64 << 10;

type List = BTreeMap<String, Measured>;

/// Returns what an earlier build of a kind took in this work directory.
///
/// The list belongs to the building user, and root reads it: no link is followed, nothing is waited for, and what is no such
/// list counts as none.
#[must_use]
pub fn read(work: &Path, key: &str) -> Option<Measured> {
    read_all(work).remove(key)
}

/// Returns what earlier builds took here, by their kind, as [`read`] does.
#[must_use]
pub fn read_all(work: &Path) -> BTreeMap<String, Measured> {
    all(&Layout::of(work).measured())
}

fn all(file: &Path) -> List {
    let text = files::read_plain(file, LARGEST).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Measures one build.
#[derive(Debug)]
pub(super) struct Meter {
    file: PathBuf,
    key: String,
    places: Vec<PathBuf>,
    group: i32,
    started: Instant,
    looked: Instant,
    seen: Measured,
}

impl Meter {
    /// Begins to measure.
    pub(super) fn new(plan: &Plan, command: &Command) -> Self {
        let now = Instant::now();
        let source = plan.source.as_ref().map_or(0, |source| source.size);
        Self {
            file: plan.layout.measured(),
            key: Measured::kind(&plan.recipe.name, plan.profile, &plan.arch),
            places: plan.layout.memory.iter().cloned().chain([plan.layout.topdir()]).collect(),
            group: 0,
            started: now,
            looked: now,
            seen: Measured { source, jobs: jobs(command), ..Measured::default() },
        }
    }

    /// Returns what an earlier build of this kind took.
    pub(super) fn earlier(&self) -> Option<Measured> {
        all(&self.file).remove(&self.key)
    }

    /// Says which process group is measured.
    pub(super) fn started(&mut self, group: i32) {
        self.group = group;
    }

    /// Looks at the memory if it is time to.
    pub(super) fn tick(&mut self) {
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.seen.memory = self.seen.memory.max(processes::memory(self.group));
        }
    }

    /// Looks at the room: called between the parts of a spec, of which each leaves more than the one before, until the last
    /// clears it away.
    pub(super) fn room(&mut self) {
        let (disk, count) = self
            .places
            .iter()
            .map(|place| files::usage(place))
            .fold((0, 0), |sum, each| (sum.0 + each.0, sum.1 + each.1));
        self.seen.disk = self.seen.disk.max(disk);
        self.seen.files = self.seen.files.max(count);
    }

    /// Notes what the build took. Only estimates depend on it, so a failure is no error.
    pub(super) fn finish(mut self, objects: u64) {
        self.room();
        self.seen.objects = objects;
        self.seen.seconds = self.started.elapsed().as_secs();
        let mut list = all(&self.file);
        list.insert(self.key, self.seen);
        if let Ok(text) = serde_json::to_vec_pretty(&list) {
            let _ = files::replace_text(&self.file, &text);
        }
    }
}

/// Returns how many processes a build command lets compile at the same time: rpmbuild hands `_smp_mflags` to make.
fn jobs(command: &Command) -> u32 {
    let flags = command.args.iter().find_map(|arg| arg.strip_prefix("_smp_mflags -j"));
    flags.and_then(|count| count.parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::request::ProfileName;

    #[test]
    fn measures_are_kept_by_kind_and_anything_else_counts_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("measured.json");
        let kind = |profile| Measured::kind("el6", profile, "x86_64");
        let meter = |profile, source| Meter {
            file: file.clone(),
            key: kind(profile),
            places: vec![dir.path().to_owned()],
            group: 0,
            started: Instant::now(),
            looked: Instant::now(),
            seen: Measured { source, jobs: 2, ..Measured::default() },
        };
        fs_err::write(dir.path().join("object"), vec![1; 100_000]).unwrap();
        assert_eq!(meter(ProfileName::Full, 5).earlier(), None);
        meter(ProfileName::Full, 5).finish(7);
        meter(ProfileName::Fleet, 6).finish(8);
        let full = read(dir.path(), &kind(ProfileName::Full)).unwrap();
        assert_eq!((full.objects, full.source, full.jobs), (7, 5, 2));
        assert!(full.disk >= 100_000 && full.files >= 2, "{full:?}");
        assert_eq!(meter(ProfileName::Fleet, 6).earlier().unwrap().objects, 8);
        // What the building user may have put there.
        for content in ["{\"el6/", "[]", "{\"el6/full/x86_64\": {\"disk\": -1}}"] {
            fs_err::write(&file, content).unwrap();
            assert_eq!(read(dir.path(), &kind(ProfileName::Full)), None, "{content}");
        }
        fs_err::remove_file(&file).unwrap();
        let secret = dir.path().join("secret");
        fs_err::write(&secret, format!("{{\"{}\": {{}}}}", kind(ProfileName::Full))).unwrap();
        fs_err::os::unix::fs::symlink(&secret, &file).unwrap();
        assert_eq!(read(dir.path(), &kind(ProfileName::Full)), None);
        fs_err::remove_file(&file).unwrap();
        nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read(dir.path(), &kind(ProfileName::Full)), None);
    }
}
