//! kbuild, started as a user would start it, with an environment that holds nothing of the developer's.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::PATIENCE;
use super::sandbox::Sandbox;

/// Who starts kbuild.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    /// Whoever runs the tests.
    Me,
    /// An ordinary user, while the tests run as root.
    Ordinary {
        /// The user.
        uid: u32,
        /// Its group, and no other.
        gid: u32,
        /// A kbuild that it can reach.
        program: PathBuf,
    },
}

/// A command line of kbuild that is to be run.
#[must_use]
#[derive(Debug)]
pub(crate) struct Kbuild<'a> {
    sandbox: &'a Sandbox,
    who: Who,
    /// A program that starts kbuild, with its arguments.
    through: Vec<OsString>,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
}

impl<'a> Kbuild<'a> {
    pub(super) fn new(sandbox: &'a Sandbox, who: Who) -> Self {
        let mut env = BTreeMap::from([("HOME".into(), sandbox.home().into()), ("LANG".into(), "C.UTF-8".into())]);
        if let Some(path) = std::env::var_os("PATH") {
            env.insert("PATH".into(), path);
        }
        Self { sandbox, who, through: Vec::new(), args: Vec::new(), env }
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Takes out an argument that [`Sandbox::ipvs`] gave.
    #[track_caller]
    pub(crate) fn without(mut self, arg: &str) -> Self {
        let at = self.position(arg);
        self.args.remove(at);
        self
    }

    /// Changes the value of an argument that [`Sandbox::ipvs`] gave.
    #[track_caller]
    pub(crate) fn instead(mut self, arg: &str, value: impl AsRef<OsStr>) -> Self {
        let at = self.position(arg) + 1;
        self.args[at] = OsString::from(value.as_ref());
        self
    }

    #[track_caller]
    fn position(&self, arg: &str) -> usize {
        self.args.iter().position(|each| each == arg).unwrap_or_else(|| panic!("no `{arg}` in {:?}", self.args))
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.into(), value.as_ref().to_owned());
        self
    }

    /// Has another program start kbuild, as in `setpriv … kbuild …`.
    pub(crate) fn through(mut self, words: &[&str]) -> Self {
        self.through = words.iter().map(Into::into).collect();
        self
    }

    /// Uses stand-ins of [`Sandbox::fake`] instead of the programs of their names.
    pub(crate) fn fakes<'f>(self, fakes: impl IntoIterator<Item = &'f super::fake::Fake>) -> Self {
        fakes.into_iter().fold(self, |kbuild, fake| {
            let variable = format!("KBUILD_{}", fake.name.to_uppercase());
            kbuild.env(&variable, &fake.path)
        })
    }

    /// Starts kbuild and does not wait.
    pub(crate) fn start(self) -> Running {
        let program = match &self.who {
            Who::Me => Path::new(env!("CARGO_BIN_EXE_kbuild")),
            Who::Ordinary { program, .. } => program,
        };
        let (stdout, stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let mut words = self.through.iter().map(OsString::as_os_str).chain([program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command
            .args(words)
            .args(&self.args)
            .env_clear()
            .envs(&self.env)
            .current_dir(self.sandbox.path())
            .stdin(Stdio::null())
            .stdout(stdout.try_clone().unwrap())
            .stderr(stderr.try_clone().unwrap());
        if let Who::Ordinary { uid, gid, .. } = self.who {
            // The standard library drops the supplementary groups with the user.
            command.uid(uid).gid(gid);
        }
        let line = self.args.iter().fold(String::from("kbuild"), |line, arg| format!("{line} {}", arg.display()));
        Running { child: command.spawn().unwrap(), line, stdout, stderr, started: Instant::now() }
    }

    /// Runs kbuild, which must end with this exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Outcome {
        self.start().exits(code)
    }

    /// Runs kbuild, which must end with this exit code, say why on stderr, and nothing on stdout.
    #[track_caller]
    pub(crate) fn refused(self, code: i32) -> Outcome {
        let outcome = self.exits(code);
        outcome.says("error: ");
        assert_eq!(outcome.stdout, "", "{outcome}");
        outcome
    }
}

/// A running kbuild.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    line: String,
    stdout: File,
    stderr: File,
    started: Instant,
}

impl Running {
    /// Its process.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Sends it a signal, and only to it.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// What it has said on stderr so far.
    pub(crate) fn so_far(&self) -> String {
        let mut bytes = vec![0; 1 << 20];
        // At a place of our own: the child writes where the file's own is.
        let length = std::os::unix::fs::FileExt::read_at(&self.stderr, &mut bytes, 0).unwrap();
        bytes.truncate(length);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether it has not ended yet.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end, which must have this exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Outcome {
        let outcome = self.ends();
        assert_eq!(outcome.code(), Some(code), "another exit code than {code}\n{outcome}");
        outcome
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ends(mut self) -> Outcome {
        let mut stuck = false;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.started.elapsed() > PATIENCE {
                stuck = true;
                self.child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let took = self.started.elapsed();
        let outcome = Outcome {
            line: self.line.clone(),
            stdout: content(&mut self.stdout),
            stderr: content(&mut self.stderr),
            status,
            took,
        };
        assert!(!stuck, "kbuild did not end within {PATIENCE:?}\n{outcome}");
        outcome
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only a failed test leaves it running.
        if self.runs() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn content(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What kbuild did. Its `Display` is the whole transcript, for messages of assertions.
#[derive(Debug)]
pub(crate) struct Outcome {
    line: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    status: ExitStatus,
    pub(crate) took: Duration,
}

impl Outcome {
    /// Its exit code; `None` if a signal ended it.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Checks that stderr has this text.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "expected on stderr: {text}\n{self}");
        self
    }

    /// Checks that stderr does not have this text.
    #[track_caller]
    pub(crate) fn does_not_say(&self, text: &str) -> &Self {
        assert!(!self.stderr.contains(text), "not expected on stderr: {text}\n{self}");
        self
    }

    /// Checks that stdout has this text.
    #[track_caller]
    pub(crate) fn prints(&self, text: &str) -> &Self {
        assert!(self.stdout.contains(text), "expected on stdout: {text}\n{self}");
        self
    }

    /// Returns the plans that `kbuild plan --format json` printed, after whatever events come before them.
    #[track_caller]
    pub(crate) fn plans(&self) -> Value {
        let values = serde_json::Deserializer::from_str(&self.stdout).into_iter::<Value>();
        let last = values.map(|value| value.unwrap_or_else(|error| panic!("not JSON: {error}\n{self}"))).last();
        last.unwrap_or_else(|| panic!("stdout is empty\n{self}"))
    }

    /// Returns stdout as one JSON value per line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON: {error}: {line}\n{self}"));
        self.stdout.lines().map(parse).collect()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, signal) => format!("killed by signal {}", signal.unwrap_or_default()),
        };
        write!(
            f,
            "$ {}\n--- stdout\n{}--- stderr\n{}--- {end} after {:?}\n",
            self.line, self.stdout, self.stderr, self.took
        )
    }
}
