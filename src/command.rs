//! A command line as plain data: decided in a plan, printed there, and later run exactly so by `sys::exec`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A program with its arguments, its whole environment, and its working directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Command {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Arguments, without the program's own name.
    pub args: Vec<String>,
    /// The whole environment of the child: nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// Working directory of the child.
    pub cwd: PathBuf,
    /// What is added to the nice value of whoever starts it, 0 to 19.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nice: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(nice: &u8) -> bool {
    *nice == 0
}

impl Command {
    /// Returns a command without arguments and with an empty environment, to run in `/`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), args: Vec::new(), env: BTreeMap::new(), cwd: PathBuf::from("/"), nice: 0 }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets the whole environment.
    #[must_use]
    pub fn with_env(mut self, env: BTreeMap<String, String>) -> Self {
        self.env = env;
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn in_dir(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = cwd.into();
        self
    }
}

/// Quotes one word for a POSIX shell. A NUL byte, which no argument can hold, is dropped.
#[must_use]
pub fn quote(word: &str) -> String {
    match shlex::try_quote(word) {
        Ok(quoted) => quoted.into_owned(),
        Err(_) => quote(&word.replace('\0', "")),
    }
}

/// The program and its arguments, quoted for a shell; environment and directory are not part of it.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nice > 0 {
            write!(f, "nice -n {} ", self.nice)?;
        }
        f.write_str(&quote(&self.program.to_string_lossy()))?;
        for arg in &self.args {
            write!(f, " {}", quote(arg))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_a_shell_would_run() {
        let command = Command::new("/usr/bin/rpmbuild").arg("-bb").args(["--define", "_smp_mflags -j2"]);
        assert_eq!(command.to_string(), "/usr/bin/rpmbuild -bb --define '_smp_mflags -j2'");
        assert_eq!(quote("a\0b"), "ab");
        assert_eq!(Command { nice: 10, ..Command::new("/bin/make") }.to_string(), "nice -n 10 /bin/make");
    }
}
