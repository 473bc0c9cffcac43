//! ccache for one build: set up, its server looked after, its statistics read.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Error, Record, failed, missing, path};
use crate::command::Command;
use crate::compiler::Settings;
use crate::compiler::cache::{self, Server, Statistics};
use crate::event::Reporter;
use crate::pipeline::manner::Compiling;
use crate::plan::Layout;
use crate::sys::{exec, net, probe, user};

/// How often the server of a remote storage is asked whether it is there.
const LOOK: Duration = Duration::from_secs(3);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// The digests of the compilers whose objects are in a cache, a line each.
const COMPILERS: &str = "kbuild-compilers";

/// ccache for one build.
#[derive(Debug)]
pub(super) struct Caching {
    server: Option<(Server, String)>,
    mark: PathBuf,
    looked: Instant,
    log: Option<PathBuf>,
    before: Before,
}

/// What was in the cache of this machine before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    OtherCompilers,
    This,
}

impl Caching {
    pub(super) fn new(
        layout: &Layout,
        command: &Command,
        compiling: &Compiling,
        settings: &mut Settings,
        record: &mut Record,
        reporter: &dyn Reporter,
    ) -> Result<Self, Error> {
        let ccache = probe::find(path(command), "ccache").ok_or_else(|| missing("ccache"))?;
        let printed = exec::read(&Command::new(&ccache).arg("--version").with_env(command.env.clone()))?;
        let version = cache::version(&printed).unwrap_or_default();
        let name = printed.lines().next().unwrap_or("ccache").replace(" version ", " ");
        let dir = layout.cache();
        fs_err::create_dir_all(&dir).map_err(failed)?;
        let before = remember(&dir.join(COMPILERS), &settings.identity).map_err(failed)?;
        let log = layout.logs().join("ccache.log");
        let told = cache::told(version, &dir, &log, compiling.remote.as_ref(), compiling.read_only);
        let remote = compiling.remote.as_ref().filter(|_| !told.remote.is_empty());
        if let (Some(remote), true) = (&compiling.remote, told.remote.is_empty()) {
            reporter.warn(format!("{name} knows no remote storage, ccache 4.4 and later do: {remote} is not used"));
        }
        let shared = remote.map(|remote| format!(", and {remote}")).unwrap_or_default();
        reporter.note(format!("{name} keeps what is compiled in {}{shared}", dir.display()));
        record.ccache = Some(name);
        record.remote = remote.map(ToString::to_string);
        settings.ccache = Some(ccache);
        settings.env = told.env;
        settings.remote = told.remote;
        let server = remote.and_then(|remote| Some((remote.server()?, remote.to_string())));
        let mut caching =
            Self { server, mark: settings.without_remote(), looked: Instant::now(), log: told.log, before };
        caching.ask(reporter);
        let broken = remote.and_then(|remote| Some((remote, unusable(remote.directory()?, compiling.read_only)?)));
        if let Some((remote, why)) = broken {
            caching.leave_out();
            reporter.warn(format!("{remote} cannot be used: {why}; the build goes on without it"));
        }
        Ok(caching)
    }

    pub(super) fn tick(&mut self, reporter: &dyn Reporter) {
        if self.looked.elapsed() >= LOOK {
            self.ask(reporter);
        }
    }

    /// Asks the server whether it is there, and leaves it out while it is not.
    fn ask(&mut self, reporter: &dyn Reporter) {
        let Some((server, shown)) = &self.server else { return };
        let was_there = fs_err::symlink_metadata(&self.mark).is_err();
        let is_there = net::answers(&server.address, server.question.as_bytes(), PATIENCE);
        self.looked = Instant::now();
        match (was_there, is_there) {
            (true, false) => {
                self.leave_out();
                reporter.warn(format!("{shown} does not answer: the build goes on without it"));
            }
            (false, true) => {
                let _ = fs_err::remove_file(&self.mark);
                reporter.note(format!("{shown} answers"));
            }
            _ => {}
        }
    }

    /// Leaves the remote storage out from now on. If the mark cannot be made, each compilation waits for it; nothing else comes of it.
    fn leave_out(&self) {
        let _ = fs_err::write(&self.mark, "");
    }

    /// What became of each compilation, as ccache wrote it down; empty if it did not.
    pub(super) fn log(&self) -> String {
        self.log.as_ref().and_then(|log| fs_err::read_to_string(log).ok()).unwrap_or_default()
    }

    pub(super) fn finish(self, record: &mut Record) {
        let log = self.log();
        if log.is_empty() {
            return;
        }
        let statistics = Statistics::of_log(&log);
        record.statistics = Some(statistics);
        if statistics.rate().is_some_and(|rate| rate < 0.5) {
            record.why = Some(self.before.why(record.remote.is_some()));
        }
    }
}

impl Before {
    fn why(self, shared: bool) -> String {
        let also = if shared { ", and the shared storage did not have it" } else { "" };
        let why = match self {
            Self::Nothing => "the cache was empty: this build filled it",
            Self::OtherCompilers => "the cache held what other compilers made",
            Self::This => "sources, options or flags are not those of what the cache held",
        };
        format!("{why}{also}")
    }
}

/// Says why a directory cannot be the storage, if so: ccache does not.
fn unusable(dir: &Path, read_only: bool) -> Option<String> {
    if read_only {
        // Only who may enter it is told what is in it.
        return fs_err::metadata(dir.join(".")).err().map(|error| match error.kind() {
            ErrorKind::PermissionDenied => "the building user may not enter that directory".into(),
            _ => "there is no such directory".into(),
        });
    }
    probe::unusable(dir, &user::me()).map(|(why, _)| why)
}

/// Adds a compiler to the list of those whose objects are in the cache, and says which were there.
fn remember(list: &Path, identity: &str) -> std::io::Result<Before> {
    let known = fs_err::read_to_string(list).unwrap_or_default();
    if known.lines().any(|line| line == identity) {
        return Ok(Before::This);
    }
    crate::sys::files::replace_text(list, format!("{known}{identity}\n").as_bytes())?;
    Ok(if known.is_empty() { Before::Nothing } else { Before::OtherCompilers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_remembers_whose_objects_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("list");
        let known = |identity| remember(&list, identity).unwrap();
        assert_eq!(
            ["a", "a", "b", "a"].map(known),
            [Before::Nothing, Before::This, Before::OtherCompilers, Before::This]
        );
        let why = Before::Nothing.why(true);
        assert_eq!(why, "the cache was empty: this build filled it, and the shared storage did not have it");
    }
}
