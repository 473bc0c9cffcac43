//! Stand-ins for programs, which write down how they were called.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::processes::field;
use super::sandbox::Sandbox;

/// A stand-in.
#[derive(Debug)]
pub(crate) struct Fake {
    /// The program that it stands in for.
    pub(crate) name: String,
    /// The stand-in.
    pub(crate) path: PathBuf,
    record: PathBuf,
}

/// One call of a stand-in.
#[derive(Debug)]
pub(crate) struct Call {
    /// The arguments, without the program's own name.
    pub(crate) args: Vec<String>,
    /// The whole environment.
    pub(crate) env: BTreeMap<String, String>,
    /// The working directory.
    pub(crate) cwd: PathBuf,
    /// `/proc/PID/status` of the process.
    pub(crate) status: String,
    /// `/proc/PID/status` of the process that called it.
    pub(crate) parent: String,
}

impl Call {
    /// The real, effective, saved and file system uid.
    pub(crate) fn uids(&self) -> Vec<u32> {
        numbers(field(&self.status, "Uid"))
    }

    /// The real, effective, saved and file system gid.
    pub(crate) fn gids(&self) -> Vec<u32> {
        numbers(field(&self.status, "Gid"))
    }

    /// The supplementary groups.
    pub(crate) fn groups(&self) -> Vec<u32> {
        numbers(field(&self.status, "Groups"))
    }
}

fn numbers(text: &str) -> Vec<u32> {
    text.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

/// What a stand-in writes down: each call into a directory of its own, in order of name. Bash keeps the environment
/// that it was given in /proc, whatever it does to its own. Asked what it knows, it knows nothing.
const RECORD: &str = r#"#!/bin/bash
call=RECORD/$EPOCHREALTIME.$$
/bin/mkdir "$call"
printf '%s\0' "$@" > "$call/args"
/bin/cat "/proc/$$/environ" > "$call/env"
/bin/readlink "/proc/$$/cwd" > "$call/cwd"
/bin/cat "/proc/$$/status" > "$call/status"
/bin/cat "/proc/$PPID/status" > "$call/parent"
[ "$*" = --help ] && exit 0
"#;

impl Sandbox {
    /// Makes a stand-in that writes down how it was called and then runs a bash script, which sees the same arguments.
    pub(crate) fn fake(&self, name: &str, script: &str) -> Fake {
        let record = self.path().join("record").join(name);
        fs_err::create_dir(&record).unwrap();
        fs_err::set_permissions(&record, PermissionsExt::from_mode(0o1777)).unwrap();
        let path = self.path().join("bin").join(name);
        let text = RECORD.replace("RECORD", record.to_str().unwrap()) + script + "\n";
        fs_err::write(&path, text).unwrap();
        fs_err::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        Fake { name: name.to_owned(), path, record }
    }
}

impl Fake {
    /// Returns the calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let mut dirs: Vec<_> = fs_err::read_dir(&self.record).unwrap().map(|entry| entry.unwrap().path()).collect();
        dirs.sort();
        let words = |bytes: Vec<u8>| -> Vec<String> {
            let text = String::from_utf8(bytes).unwrap();
            text.split_terminator('\0').map(str::to_owned).collect()
        };
        dirs.iter()
            .map(|dir| Call {
                args: words(fs_err::read(dir.join("args")).unwrap()),
                env: words(fs_err::read(dir.join("env")).unwrap())
                    .iter()
                    .map(|pair| pair.split_once('=').unwrap())
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                cwd: fs_err::read_to_string(dir.join("cwd")).unwrap().trim_end().into(),
                status: fs_err::read_to_string(dir.join("status")).unwrap(),
                parent: fs_err::read_to_string(dir.join("parent")).unwrap(),
            })
            .collect()
    }

    /// Returns the calls that were more than the question for the version, or for what it knows.
    pub(crate) fn builds(&self) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.args != ["--version"] && call.args != ["--help"]);
        calls
    }
}
