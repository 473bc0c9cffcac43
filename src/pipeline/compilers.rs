//! The program before gcc, put there for a build, and what came of it.

mod caching;
pub mod digests;
mod hosts;
pub mod tree;

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;
use super::manner::Compiling;
use crate::command::Command;
use crate::compiler::cache::{self, Statistics};
use crate::compiler::{self, NAMES, PACK, Settings, TEXT};
use crate::digest;
use crate::event::Reporter;
use crate::plan::Layout;
use crate::plan::layout::text;
use crate::sys::{clock, exec, files, probe, stamp};
use crate::times::trace::Compilation;
use caching::Caching;

/// Parts of gcc that are programs of their own, beside its driver.
const PARTS: [&str; 2] = ["cc1", "as"];

/// The programs before the compilers of one build.
#[derive(Debug)]
pub struct Compilers {
    caching: Option<Caching>,
    measured: PathBuf,
    record: Record,
}

/// How a kernel was compiled, if not by the compiler alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Record {
    /// What ccache calls itself.
    pub ccache: Option<String>,
    /// The remote storage, without its password.
    pub remote: Option<String>,
    /// Other hosts that compiled, too.
    pub hosts: Vec<String>,
    /// What came of the cache, where ccache says so.
    pub statistics: Option<Statistics>,
    /// How many files of an earlier kernel's tree were put back instead of being made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put_back: Option<u64>,
    /// Why less than half was found in it.
    pub why: Option<String>,
}

impl Compilers {
    /// Puts the program before the compilers that are on a command's `PATH`, where [`environment`](compiler::environment) says
    /// that it is found; nothing if there are none. `shared` tells builds apart whose trees others may take.
    ///
    /// # Errors
    /// It cannot be put there, or ccache or distcc are wanted and not there.
    pub fn new(
        layout: &Layout,
        command: &Command,
        compiling: &Compiling,
        shared: Option<&str>,
        reporter: &dyn Reporter,
    ) -> Result<Option<Self>, Error> {
        let dir = layout.compilers();
        files::remove_tree(&dir).map_err(failed)?;
        let path = path(command);
        let compilers: BTreeMap<String, PathBuf> =
            NAMES.iter().filter_map(|name| Some(((*name).to_owned(), find(path, name)?))).collect();
        let Some(gcc) = compilers.get("gcc").or_else(|| compilers.values().next()) else { return Ok(None) };
        fs_err::create_dir_all(&dir).map_err(failed)?;
        // What is in it has the password of a remote storage.
        fs_err::set_permissions(&dir, PermissionsExt::from_mode(0o700)).map_err(failed)?;
        let (identity, parts) = identity(gcc, command)?;
        let mut settings = Settings {
            dir: dir.clone(),
            run: format!("{}-{}", clock::now(), std::process::id()),
            identity,
            parts,
            host: if compiling.trees { installed(command) } else { String::new() },
            maps: is_without_debuginfo(command) && knows_maps(gcc, command),
            hides: compiling.trees,
            shared: shared.filter(|_| compiling.remote.is_some()).map(str::to_owned),
            read_only: compiling.read_only,
            ..Settings::default()
        };
        let mut record = Record::default();
        let caching = if compiling.cached {
            Some(Caching::new(layout, command, compiling, &mut settings, &mut record, reporter)?)
        } else {
            None
        };
        if !compiling.hosts.is_empty() {
            hosts::join(layout, command, gcc, &compiling.hosts, &mut settings, &mut record, reporter)?;
        }
        for name in compilers.keys() {
            // By this process, since the program may lie where the building user cannot enter.
            symlink(format!("/proc/{}/exe", std::process::id()), dir.join(name)).map_err(failed)?;
        }
        for second in [TEXT, PACK] {
            fs_err::create_dir(dir.join(second)).map_err(failed)?;
            symlink(format!("/proc/{}/exe", std::process::id()), dir.join(second).join(NAMES[0])).map_err(failed)?;
        }
        settings.compilers = compilers;
        let written = serde_json::to_vec(&settings).map_err(|error| failed(error.into()))?;
        files::replace_text(&compiler::settings_file(&dir), &written).map_err(failed)?;
        Ok(Some(Self { caching, measured: settings.measured(), record }))
    }

    /// Looks after the cache while the build runs.
    pub fn tick(&mut self, reporter: &dyn Reporter) {
        if let Some(caching) = &mut self.caching {
            caching.tick(reporter);
        }
    }

    /// Returns the compilations that were measured, of a run that began then, in nanoseconds since 1970.
    #[must_use]
    pub fn compilations(&self, began: u128) -> Vec<Compilation> {
        let measured = fs_err::read_to_string(&self.measured).unwrap_or_default();
        let log = self.caching.as_ref().map(Caching::log).unwrap_or_default();
        cache::compilations(&measured, &log, began)
    }

    /// Returns how it was compiled; nothing if that was by the compiler alone.
    #[must_use]
    pub fn finish(mut self) -> Option<Record> {
        if let Some(caching) = self.caching {
            caching.finish(&mut self.record);
        }
        (self.record != Record::default()).then_some(self.record)
    }
}

/// The compiler of that name on a path; a link to ccache or distcc stands for another.
fn find(path: &str, name: &str) -> Option<PathBuf> {
    let stands_for_another = |real: &Path| real.file_name().is_some_and(|name| name == "ccache" || name == "distcc");
    path.split(':')
        .map(|dir| Path::new(dir).join(name))
        .find(|file| fs_err::canonicalize(file).is_ok_and(|real| real.is_file() && !stands_for_another(&real)))
}

/// Returns a command that finds the compilers themselves, and not what stood before them in the last build.
#[must_use]
pub fn bare(layout: &Layout, command: &Command) -> Command {
    let own = text(&layout.compilers());
    let mut bare = command.clone();
    let dirs: Vec<&str> = path(command).split(':').filter(|dir| *dir != own).collect();
    bare.env.insert("PATH".into(), dirs.join(":"));
    bare
}

/// Returns a digest of everything that the compiler of a [`bare`] command consists of; nothing if there is none.
///
/// # Errors
/// A part of it cannot be read.
pub fn identified(bare: &Command) -> Result<Option<String>, Error> {
    find(path(bare), NAMES[0]).map(|gcc| Ok(identity(&gcc, bare)?.0)).transpose()
}

/// Returns a digest of the names and versions of all packages that are installed.
fn installed(command: &Command) -> String {
    let ask = |program: &str, arg: &str| {
        let program = probe::find(path(command), program)?;
        exec::read(&Command::new(program).arg(arg).with_env(command.env.clone())).ok()
    };
    let all = [ask("rpm", "-qa"), ask("dpkg-query", "--show")].into_iter().flatten().collect::<String>();
    let mut lines: Vec<&str> = all.lines().collect();
    lines.sort_unstable();
    digest::sha256(lines.join("\n").as_bytes())
}

/// Returns a digest of everything that a compiler consists of: driver, compiler, assembler, plugins, headers, and what it says of
/// itself; and the programs and plugins among them, with the time of the last change to each.
fn identity(gcc: &Path, command: &Command) -> Result<(String, Vec<(PathBuf, i128)>), Error> {
    let ask = |arg: &str| exec::read(&Command::new(gcc).arg(arg).with_env(command.env.clone())).unwrap_or_default();
    let mut all = ["-dumpversion", "-dumpmachine", "--version", "-dumpspecs"].map(&ask).concat();
    let parts = PARTS.iter().map(|part| PathBuf::from(ask(&format!("-print-prog-name={part}")).trim()));
    // gcc repeats the name of what it does not have.
    let of_gcc = |dir: &str, ending: &str| {
        let dir = PathBuf::from(ask(&format!("-print-file-name={dir}")).trim());
        if dir.is_absolute() { files::with_ending(&dir, ending) } else { Vec::new() }
    };
    // Rules that a call names may have gcc load those that are there (redhat-rpm-config: annobin).
    let plugins = of_gcc("plugin", ".so");
    let mut programs = Vec::new();
    for part in std::iter::once(gcc.to_owned()).chain(parts).chain(plugins) {
        // A name alone is looked for on PATH, as gcc does.
        let file = if part.is_absolute() { Some(part) } else { probe::find(path(command), &text(&part)) };
        if let Some(file) = file {
            // First, so that whatever replaces it while it is read is noticed later.
            let changed = stamp::changed(&file).map_err(failed)?;
            all.push_str(&files::sha256(&file).map_err(failed)?.1);
            programs.push((file, changed));
        }
    }
    for header in of_gcc("include", ".h") {
        all.push_str(&files::sha256(&header).map_err(failed)?.1);
    }
    Ok((digest::sha256(all.as_bytes()), programs))
}

/// Whether no package of debugging information is made: what makes one looks for the tree's own place in it.
#[must_use]
pub fn is_without_debuginfo(command: &Command) -> bool {
    command.args.windows(2).any(|pair| pair == ["--without", "debuginfo"])
}

/// Whether the compiler can leave a directory out of debugging information.
fn knows_maps(gcc: &Path, command: &Command) -> bool {
    let args = ["-fdebug-prefix-map=/a=/b", "-c", "-x", "c", "/dev/null", "-o", "/dev/null"];
    exec::read(&Command::new(gcc).args(args).with_env(command.env.clone())).is_ok()
}

fn path(command: &Command) -> &str {
    command.env.get("PATH").map(String::as_str).unwrap_or_default()
}

fn missing(program: &str) -> Error {
    failed(std::io::Error::new(std::io::ErrorKind::NotFound, format!("no {program} is on PATH")))
}

fn failed(source: std::io::Error) -> Error {
    Error::io("what is to stand before the compiler cannot be set up", source)
}
