//! What a program needs that stands before another one on `PATH`: its call, and the other one in its place.
//!
//! Unlike everything that `sys::exec` starts, the other one is whose child it would have been: with the caller's
//! environment, group and files.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

/// Returns a variable of the environment, as a path.
#[must_use]
pub fn variable(name: &str) -> Option<PathBuf> {
    read(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[expect(clippy::disallowed_methods, reason = "a stand-in has the environment of its caller")]
fn read(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Returns the whole environment; what is no UTF-8 is left out.
#[must_use]
pub fn environment() -> std::collections::BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Returns the working directory by the name that compilers use: `PWD` if that is it, else the kernel's word.
///
/// # Errors
/// It is gone.
pub fn directory() -> std::io::Result<PathBuf> {
    let here = fs_err::metadata(".")?;
    let same = |path: &PathBuf| fs_err::metadata(path).is_ok_and(|it| (it.dev(), it.ino()) == (here.dev(), here.ino()));
    match variable("PWD").filter(|path| path.is_absolute()).filter(same) {
        Some(path) => Ok(path),
        None => std::env::current_dir(),
    }
}

/// Returns the next program of that name on `PATH` that is not this one.
#[must_use]
pub fn next(name: &str) -> Option<PathBuf> {
    let mine = fs_err::metadata("/proc/self/exe").ok()?;
    let path = read("PATH")?;
    let mut found = std::env::split_paths(&path).map(|dir| dir.join(name));
    found.find(|file| {
        fs_err::metadata(file).is_ok_and(|it| it.is_file() && (it.dev(), it.ino()) != (mine.dev(), mine.ino()))
    })
}

/// Another program's call.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// Its file.
    pub program: &'a Path,
    /// Its arguments, without its name.
    pub arguments: Vec<OsString>,
    /// What is added to the environment.
    pub env: Vec<(&'a str, OsString)>,
}

impl Call<'_> {
    #[expect(clippy::disallowed_methods, reason = "a stand-in starts what it stands for")]
    fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(self.program);
        command.args(&self.arguments).envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Becomes the other program; returns only if that cannot be.
    #[must_use]
    pub fn replace(&self) -> std::io::Error {
        self.command().exec()
    }

    /// Runs it, and returns how it ended and what it complained of.
    ///
    /// # Errors
    /// It could not be started.
    pub fn run(&self) -> std::io::Result<(ExitStatus, Vec<u8>)> {
        let output = self.command().stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::piped()).spawn()?;
        let output = output.wait_with_output()?;
        Ok((output.status, output.stderr))
    }
}
