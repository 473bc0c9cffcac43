//! The program before gcc, put there for a build, and what came of it.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Error;
use super::manner::Compiling;
use crate::command::Command;
use crate::compiler::cache::{self, Remote, Server, Statistics};
use crate::compiler::{NAMES, SETTINGS, Settings};
use crate::digest;
use crate::event::Reporter;
use crate::plan::Layout;
use crate::plan::layout::text;
use crate::sys::{exec, files, net, probe};

/// How often the server of a remote storage is asked whether it is there.
const LOOK: Duration = Duration::from_secs(3);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// Parts of gcc that are programs of their own, beside its driver.
const PARTS: [&str; 2] = ["cc1", "as"];

/// The programs before the compilers of one build.
pub(super) struct Compilers {
    /// The build's command, with them on its `PATH`.
    pub(super) command: Command,
    settings: Settings,
    remote: Option<(Server, String)>,
    looked: Instant,
    log: Option<PathBuf>,
    record: Record,
}

/// What the manifest says of the cache.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Record {
    /// What ccache calls itself.
    pub ccache: Option<String>,
    /// The remote storage, without its password.
    pub remote: Option<String>,
    /// Other hosts that compile.
    pub hosts: Vec<String>,
    /// What came of it, where ccache says so.
    pub statistics: Option<Statistics>,
    /// Why less than half was found.
    pub why: Option<String>,
}

impl Compilers {
    /// Puts the program before the compilers that are on a command's `PATH`.
    pub(super) fn new(
        layout: &Layout,
        command: &Command,
        compiling: &Compiling,
        reporter: &dyn Reporter,
    ) -> Result<Option<Self>, Error> {
        let path = command.env.get("PATH").map(String::as_str).unwrap_or_default();
        let compilers: BTreeMap<String, PathBuf> =
            NAMES.iter().filter_map(|name| Some(((*name).to_owned(), find(path, name)?))).collect();
        let Some(gcc) = compilers.values().next() else { return Ok(None) };
        let dir = layout.compilers();
        files::remove_tree(&dir).map_err(failed)?;
        fs_err::create_dir_all(&dir).map_err(failed)?;
        // What is in it has the password of a remote storage.
        fs_err::set_permissions(&dir, PermissionsExt::from_mode(0o700)).map_err(failed)?;
        let mut settings = Settings {
            dir: dir.clone(),
            run: std::process::id().to_string(),
            identity: identity(gcc, command)?,
            maps: is_without_debuginfo(command) && knows_maps(gcc, command),
            ..Settings::default()
        };
        let mut record = Record::default();
        let mut compilers_of = Self {
            command: command.clone(),
            remote: None,
            looked: Instant::now(),
            log: None,
            settings: Settings::default(),
            record: Record::default(),
        };
        if compiling.cached {
            cache_of(layout, command, compiling, path, &mut settings, &mut record, &mut compilers_of)?;
            let (known, place) = (record.ccache.as_deref().unwrap_or("ccache"), layout.cache());
            let shared = record.remote.as_ref().map(|remote| format!(", and {remote}")).unwrap_or_default();
            reporter.note(format!("{known} keeps what is compiled in {}{shared}", place.display()));
        }
        for name in compilers.keys() {
            // By this process, since the program may lie where the building user cannot enter.
            symlink(format!("/proc/{}/exe", std::process::id()), dir.join(name)).map_err(failed)?;
        }
        settings.compilers = compilers;
        let file = dir.join("settings.json");
        let written = serde_json::to_vec(&settings).map_err(|error| failed(error.into()))?;
        files::replace_text(&file, &written).map_err(failed)?;
        let env = &mut compilers_of.command.env;
        env.insert("PATH".into(), format!("{}:{path}", dir.display()));
        env.insert(SETTINGS.into(), text(&file));
        compilers_of.settings = settings;
        compilers_of.record = record;
        compilers_of.ask(reporter);
        Ok(Some(compilers_of))
    }

    /// Asks the server of the remote storage, if it is time to.
    pub(super) fn tick(&mut self, reporter: &dyn Reporter) {
        if self.remote.is_some() && self.looked.elapsed() >= LOOK {
            self.ask(reporter);
        }
    }

    fn ask(&mut self, reporter: &dyn Reporter) {
        let Some((server, shown)) = &self.remote else { return };
        let mark = self.settings.without_remote();
        let was_there = !mark.exists();
        let is_there = net::answers(&server.address, server.question.as_bytes(), PATIENCE);
        self.looked = Instant::now();
        // Without the mark every compilation would wait for it; that is all that can go wrong.
        match (was_there, is_there) {
            (true, false) => {
                let _ = fs_err::write(&mark, "");
                reporter.warn(format!("{shown} does not answer: the build goes on without it"));
            }
            (false, true) => {
                let _ = fs_err::remove_file(&mark);
                reporter.note(format!("{shown} answers again"));
            }
            _ => {}
        }
    }

    /// Says what came of it.
    pub(super) fn finish(mut self) -> Option<Record> {
        let log = self.log.as_ref().and_then(|log| fs_err::read_to_string(log).ok());
        self.record.statistics = log.map(|log| Statistics::of_log(&log));
        (self.record != Record::default()).then_some(self.record)
    }
}

fn cache_of(
    layout: &Layout,
    command: &Command,
    compiling: &Compiling,
    path: &str,
    settings: &mut Settings,
    record: &mut Record,
    compilers: &mut Compilers,
) -> Result<(), Error> {
    let missing = || failed(std::io::Error::new(std::io::ErrorKind::NotFound, "no ccache is on PATH"));
    let ccache = probe::find(path, "ccache").ok_or_else(missing)?;
    let asked = Command::new(&ccache).arg("--version").with_env(command.env.clone());
    let printed = exec::read(&asked)?;
    let version = cache::version(&printed).unwrap_or_default();
    record.ccache = printed.lines().next().map(|line| line.replace(" version ", " "));
    let place = layout.cache();
    fs_err::create_dir_all(&place).map_err(failed)?;
    let log = layout.logs().join("ccache.log");
    let told = cache::told(version, &place, &log, compiling.remote.as_ref(), compiling.read_only);
    if let (Some(remote), false) = (&compiling.remote, told.remote.is_empty()) {
        record.remote = Some(Remote::to_string(remote));
        compilers.remote = remote.server().map(|server| (server, remote.to_string()));
    }
    settings.ccache = Some(ccache);
    settings.env = told.env;
    settings.remote = told.remote;
    compilers.log = told.log;
    Ok(())
}

/// The compiler of that name on a path; one that is a link to ccache stands for another.
fn find(path: &str, name: &str) -> Option<PathBuf> {
    path.split(':').map(|dir| Path::new(dir).join(name)).find(|file| {
        let real = fs_err::canonicalize(file).ok();
        real.is_some_and(|real| real.is_file() && !real.file_name().is_some_and(|name| name == "ccache" || name == "distcc"))
    })
}

/// Returns a digest of everything that a compiler consists of: driver, compiler, assembler, and what it says of itself.
fn identity(gcc: &Path, command: &Command) -> Result<String, Error> {
    let ask = |args: &[&str]| {
        let asked = Command::new(gcc).args(args.iter().copied()).with_env(command.env.clone());
        exec::read(&asked).unwrap_or_default()
    };
    let mut all = ask(&["-dumpversion"]) + &ask(&["-dumpmachine"]) + &ask(&["--version"]) + &ask(&["-dumpspecs"]);
    let parts = PARTS.iter().map(|part| PathBuf::from(ask(&[&format!("-print-prog-name={part}")]).trim()));
    let path = command.env.get("PATH").map(String::as_str).unwrap_or_default();
    for part in std::iter::once(gcc.to_owned()).chain(parts) {
        // A name alone is looked for on PATH, as gcc does.
        let file = if part.is_absolute() { Some(part) } else { probe::find(path, &text(&part)) };
        if let Some(file) = file {
            all.push_str(&files::sha256(&file).map_err(failed)?.1);
        }
    }
    Ok(digest::sha256(all.as_bytes()))
}

/// Whether no package of debugging information is made: what makes one looks for the tree's own place in it.
fn is_without_debuginfo(command: &Command) -> bool {
    command.args.windows(2).any(|pair| pair == ["--without", "debuginfo"])
}

/// Whether the compiler can leave a directory out of debugging information.
fn knows_maps(gcc: &Path, command: &Command) -> bool {
    let args = ["-fdebug-prefix-map=/a=/b", "-c", "-x", "c", "/dev/null", "-o", "/dev/null"];
    exec::read(&Command::new(gcc).args(args).with_env(command.env.clone())).is_ok()
}

fn failed(source: std::io::Error) -> Error {
    Error::io("the compile cache cannot be set up", source)
}
