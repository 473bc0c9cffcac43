//! Whether rpmbuild unpacks and compiles in memory (`--tmpfs`): only where that has room for it, beside what the compilers take.
//! Where it has not, a build works on the disk as ever, and says why.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::host::{Host, Place};
use super::preflight::{self, Measured, Room, Survey, Takes, megabytes};
use super::{Layout, Request, Route, Subject};
use crate::recipe::Recipe;

/// A directory that is to be in memory, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// The directory that was named, and whether the building user can use it.
    pub place: Place,
    /// Its file system.
    pub room: Option<Room>,
    /// Memory that can still be had, in bytes.
    pub available: Option<u64>,
    /// What earlier builds in the work directory took, by their kind.
    pub measured: BTreeMap<String, Measured>,
}

/// Returns the directory for rpmbuild's trees if it is to be in memory and can be; else why it cannot, if that was asked for.
pub(super) fn decide(
    request: &Request,
    recipe: &Recipe,
    subject: Subject<'_>,
    arch: &str,
    route: Route,
    host: &Host,
) -> (Option<PathBuf>, Option<String>) {
    let (Some(memory), Subject::Source(source), Route::Kernel) = (&host.memory, subject, route) else {
        return (None, None);
    };
    let none = BTreeMap::new();
    let survey = Survey {
        jobs: request.jobs.unwrap_or(host.cpus + request.more_jobs),
        measured: memory.measured.get(&Measured::kind(&recipe.name, request.profile, arch)).copied(),
        ..Survey::default()
    };
    let of = preflight::Subject {
        recipe,
        route,
        profile: request.profile,
        size: Some(source.header.size),
        requires: None,
        missing: &[],
        texts: &none,
        tree: &none,
    };
    match memory.refuses(preflight::takes(&survey, &of)) {
        None => (Some(Layout::of(&host.work.path).memory_below(&memory.place.path)), None),
        Some(why) => {
            let (dir, work) = (memory.place.path.display(), host.work.path.display());
            (None, Some(format!("`--tmpfs={dir}`: {why}; this builds in {work}")))
        }
    }
}

impl Memory {
    /// Says why a build cannot be there, if so.
    fn refuses(&self, takes: Option<Takes>) -> Option<String> {
        if let Some(refused) = &self.place.refused {
            return Some(format!("it cannot be used: {}", refused.why));
        }
        let Some(room) = &self.room else { return Some("nothing is known of its file system".into()) };
        if room.kind != "tmpfs" && room.kind != "ramfs" {
            let kind = if room.kind.is_empty() { "a file system that does not say its kind" } else { &room.kind };
            return Some(format!("it is not in memory ({kind}, expected tmpfs)"));
        }
        if room.noexec {
            return Some(
                "it is mounted noexec, and a build runs programs that it has made (docker run --tmpfs /build:exec,size=… \
                 gives one that will do)"
                    .into(),
            );
        }
        let Some(Takes { bytes, files, compilers, measured }) = takes else {
            return Some("how much this build takes is not known".into());
        };
        let how = if measured { "by an earlier build" } else { "by the recipe" };
        let needed = megabytes(bytes);
        if room.free < bytes {
            return Some(format!("it has {} free, about {needed} are needed ({how})", megabytes(room.free)));
        }
        if let Some(inodes) = room.inodes.filter(|inodes| *inodes < files) {
            return Some(format!("it has room for {inodes} files, about {files} are needed ({how})"));
        }
        match self.available {
            Some(available) if available >= bytes.saturating_add(compilers) => None,
            Some(available) => Some(format!(
                "{} of memory can be had, about {needed} are needed for the trees and {} for the compilers ({how})",
                megabytes(available),
                megabytes(compilers)
            )),
            None => Some("how much memory can be had is not known".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::host::Refused;
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_build_is_in_memory_only_where_all_of_it_fits() {
        let takes = Takes { bytes: 10 * GIB, files: 1000, compilers: GIB, measured: false };
        let well = Memory {
            place: Place { path: "/dev/shm".into(), refused: None },
            room: Some(Room { kind: "tmpfs".into(), free: 10 * GIB, inodes: Some(1000), ..Room::default() }),
            available: Some(11 * GIB),
            measured: BTreeMap::new(),
        };
        assert_eq!(well.refuses(Some(takes)), None);
        let room = |change: &dyn Fn(&mut Room)| {
            let mut memory = well.clone();
            memory.room.iter_mut().for_each(change);
            memory
        };
        let refused = Refused { why: "no".into(), hint: "other".into() };
        let cases = [
            (
                Memory { place: Place { path: "/x".into(), refused: Some(refused) }, ..well.clone() },
                "cannot be used: no",
            ),
            (Memory { room: None, ..well.clone() }, "nothing is known of its file system"),
            (room(&|room| room.kind = "ext4".into()), "not in memory (ext4, expected tmpfs)"),
            (room(&|room| room.noexec = true), "mounted noexec"),
            (room(&|room| room.free -= 1), "it has 10 GB free, about 10 GB are needed (by the recipe)"),
            (room(&|room| room.inodes = Some(999)), "room for 999 files, about 1000"),
            (Memory { available: Some(11 * GIB - 1), ..well.clone() }, "of memory can be had"),
            (Memory { available: None, ..well.clone() }, "how much memory"),
        ];
        for (memory, expected) in cases {
            let why = memory.refuses(Some(takes)).unwrap_or_default();
            assert!(why.contains(expected), "{why:?}, expected {expected:?}");
        }
        assert!(well.refuses(None).is_some());
        // What is not limited is enough.
        assert_eq!(room(&|room| room.inodes = None).refuses(Some(takes)), None);
    }
}
