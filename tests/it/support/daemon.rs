//! Servers on loopback that a build may use: redis, distcc.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::wait_until;

/// A server with a directory of its own.
#[derive(Debug)]
pub(crate) struct Daemon {
    dir: TempDir,
    child: Child,
    port: u16,
}

impl Daemon {
    /// redis-server, with a password if one is given.
    pub(crate) fn redis(password: Option<&str>) -> Self {
        let (dir, port) = place();
        let mut command = Command::new("redis-server");
        command.args("--bind 127.0.0.1 --appendonly no --daemonize no".split(' '));
        command.args(["--save", "", "--port", &port.to_string(), "--dir"]).arg(dir.path());
        command.args(password.into_iter().flat_map(|password| ["--requirepass", password]));
        Self::start(dir, port, command)
    }

    /// distccd. A strange one has another compiler in the place of this machine's: one that takes its own view of inlining.
    pub(crate) fn distccd(strange: bool) -> Self {
        let (dir, port) = place();
        let log = dir.path().join("log");
        fs_err::write(&log, "").unwrap();
        fs_err::set_permissions(&log, PermissionsExt::from_mode(0o666)).unwrap();
        let mut command = Command::new(if strange { "unshare" } else { "distccd" });
        if strange {
            let asked = Command::new("gcc").arg("-print-prog-name=cc1").output().unwrap().stdout;
            let cc1 = PathBuf::from(String::from_utf8(asked).unwrap().trim());
            let (copy, script) = (dir.path().join("cc1"), dir.path().join("script"));
            fs_err::copy(&cc1, &copy).unwrap();
            fs_err::write(&script, format!("#!/bin/sh\nexec {} \"$@\" -fno-inline -fno-ipa-icf -O1\n", copy.display()))
                .unwrap();
            fs_err::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
            let mount = format!("mount --bind {} {} && exec distccd \"$@\"", script.display(), cc1.display());
            command.args(["--mount", "sh", "-c", &mount, "sh"]);
        }
        command
            .args(
                "--no-detach --daemon --allow 127.0.0.1 --listen 127.0.0.1 --enable-tcp-insecure --log-level info"
                    .split(' '),
            )
            .args(["--jobs", "2", "--port", &port.to_string(), "--log-file"])
            .arg(&log);
        if super::is_root() {
            command.args(["--user", "nobody"]);
        }
        Self::start(dir, port, command)
    }

    fn start(dir: TempDir, port: u16, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // distccd's children are ended with it.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let daemon = Self { dir, child: command.spawn().unwrap(), port };
        wait_until("the server answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        daemon
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What distccd wrote down.
    pub(crate) fn log(&self) -> String {
        fs_err::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// How many keys redis holds.
    pub(crate) fn keys(&self, password: Option<&str>) -> u64 {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string(), "dbsize"]);
        if let Some(password) = password {
            command.env("REDISCLI_AUTH", password);
        }
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let digits: String = output.chars().filter(char::is_ascii_digit).collect();
        digits.parse().unwrap_or_else(|_| panic!("{output}"))
    }

    /// Makes it accept connections and answer nothing; everything else about it stays.
    pub(crate) fn hang(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().unwrap();
    }

    fn signal(&self, signal: Signal) {
        let group = Pid::from_raw(-i32::try_from(self.child.id()).unwrap());
        // One that has ended by itself is found out by the test.
        let _ = kill(group, signal);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// A directory that every user can enter, and a port that was free a moment ago.
fn place() -> (TempDir, u16) {
    let dir = tempfile::Builder::new()
        .prefix("kbuild-it-")
        .permissions(PermissionsExt::from_mode(0o755))
        .tempdir_in("/var/tmp")
        .unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    (dir, port)
}

/// An empty directory that several users share.
pub(crate) fn shared() -> (TempDir, PathBuf) {
    let (dir, _) = place();
    let path = dir.path().join("shared");
    fs_err::create_dir(&path).unwrap();
    fs_err::set_permissions(&path, PermissionsExt::from_mode(0o1777)).unwrap();
    (dir, path)
}
