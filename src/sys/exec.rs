//! The only place that starts processes.
//!
//! A child gets the environment of its [`Command`] and nothing else, no stdin, and a process group of its own, so that
//! whatever it started ends with it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::batch;
use super::signal::Cancel;
use crate::command::Command;

/// How long a process group gets between TERM and KILL.
const GRACE: Duration = Duration::from_secs(10);
/// How often a running child is looked after.
const TICK: Duration = Duration::from_millis(100);
/// How much of a very long line is kept.
const LONGEST_LINE: usize = 64 * 1024;

/// What to do with the child after a line or a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Let it run.
    Continue,
    /// End it, with everything it started.
    Stop,
}

/// Something to look at while a child runs.
#[derive(Debug)]
pub enum Moment<'a> {
    /// The child has started; its process group.
    Started(i32),
    /// The child printed a line (stdout and stderr in one), without its end.
    Line(&'a str),
    /// Nothing special; comes about ten times a second.
    Tick,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Exit(i32),
    /// By a signal that was not ours.
    Killed(i32),
    /// Because the watcher said [`Flow::Stop`].
    Stopped,
    /// Because kbuild got this signal.
    Cancelled(i32),
}

/// Why a child could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started.
    #[error("cannot start `{command}`")]
    Start {
        /// The command line.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The child's output could not be read, or its end not be waited for.
    #[error("lost sight of `{command}`")]
    Wait {
        /// The command line.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The child failed.
    #[error("`{command}` ended with {status}: {output}")]
    Failed {
        /// The command line.
        command: String,
        /// Its exit status.
        status: String,
        /// The end of what it printed.
        output: String,
    },
}

fn prepare(command: &Command) -> duct::Expression {
    #[expect(clippy::disallowed_methods, reason = "this is the place where processes are started")]
    let expression = duct::cmd(&command.program, &command.args);
    expression.full_env(&command.env).dir(&command.cwd).stdin_null().unchecked().before_spawn(|child| {
        child.process_group(0);
        Ok(())
    })
}

/// Runs a child and hands every line that it prints, and regular ticks, to `watch`.
///
/// It runs as batch work, at the command's nice value. On [`Flow::Stop`] or a cancelled `cancel` the whole process group gets TERM, and KILL after ten seconds or on a
/// second signal. Returns how the child ended.
///
/// # Errors
/// The child could not be started or its output could not be read.
pub fn watch(command: &Command, cancel: &Cancel, mut watch: impl FnMut(Moment<'_>) -> Flow) -> Result<End, Error> {
    let start = |source| Error::Start { command: command.to_string(), source };
    let wait = |source| Error::Wait { command: command.to_string(), source };

    let handle = batch::start(command.nice, || prepare(command).stderr_to_stdout().reader()).map_err(start)?;
    let group = handle.pids().first().and_then(|pid| i32::try_from(*pid).ok()).unwrap_or_default();
    let mut flow = watch(Moment::Started(group));
    let mut ending: Option<Ending> = None;

    std::thread::scope(|scope| {
        let (sender, lines) = mpsc::sync_channel::<std::io::Result<String>>(1024);
        scope.spawn(|| {
            // Moved here, so that the channel closes when the output ends.
            let sender = sender;
            let mut output = BufReader::new(&handle);
            let mut line = Vec::new();
            loop {
                line.clear();
                match output.read_until(b'\n', &mut line) {
                    Ok(0) => break,
                    Ok(_) => {
                        while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                            line.pop();
                        }
                        line.truncate(LONGEST_LINE);
                        if sender.send(Ok(String::from_utf8_lossy(&line).into_owned())).is_err() {
                            break;
                        }
                    }
                    Err(error) => {
                        let _ = sender.send(Err(error));
                        break;
                    }
                }
            }
        });

        let mut last_tick = Instant::now();
        loop {
            match lines.recv_timeout(TICK) {
                Ok(Ok(line)) => {
                    if watch(Moment::Line(&line)) == Flow::Stop {
                        flow = Flow::Stop;
                    }
                }
                Ok(Err(error)) => {
                    kill(group, Signal::SIGKILL);
                    return Err(wait(error));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if last_tick.elapsed() >= TICK {
                last_tick = Instant::now();
                if ending.is_none() && watch(Moment::Tick) == Flow::Stop {
                    flow = Flow::Stop;
                }
            }
            end_if_asked(group, flow, cancel, &mut ending);
        }
        Ok(())
    })?;

    let output = handle.try_wait().map_err(wait)?;
    let status = match output {
        Some(output) => output.status,
        None => wait_for(&handle, group, cancel, flow, &mut ending).map_err(wait)?,
    };
    if ending.is_some() {
        // Whatever did not listen to TERM, and no longer holds the pipe, ends here.
        kill(group, Signal::SIGKILL);
    }
    Ok(match ending {
        Some(Ending { why: End::Exit(_), .. }) | None => ended(status),
        Some(Ending { why, .. }) => why,
    })
}

#[derive(Debug)]
struct Ending {
    why: End,
    since: Instant,
    signals: u32,
    killed: bool,
}

/// Sends TERM when there is a reason to, and KILL when TERM did not help.
fn end_if_asked(group: i32, flow: Flow, cancel: &Cancel, ending: &mut Option<Ending>) {
    match ending {
        None => {
            let why = match (cancel.signal(), flow) {
                (Some(signal), _) => End::Cancelled(signal),
                (None, Flow::Stop) => End::Stopped,
                (None, Flow::Continue) => return,
            };
            kill(group, Signal::SIGTERM);
            *ending = Some(Ending { why, since: Instant::now(), signals: cancel.count(), killed: false });
        }
        Some(ending) => {
            let again = cancel.count() > ending.signals.max(1);
            if !ending.killed && (again || ending.since.elapsed() > GRACE) {
                kill(group, Signal::SIGKILL);
                ending.killed = true;
            }
        }
    }
}

/// Waits for a child that has closed its output but not ended.
fn wait_for(
    handle: &duct::ReaderHandle,
    group: i32,
    cancel: &Cancel,
    flow: Flow,
    ending: &mut Option<Ending>,
) -> std::io::Result<ExitStatus> {
    loop {
        if let Some(output) = handle.try_wait()? {
            return Ok(output.status);
        }
        end_if_asked(group, flow, cancel, ending);
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn kill(group: i32, signal: Signal) {
    if group > 1 {
        // A group that is already gone is what we want.
        let _ = killpg(Pid::from_raw(group), signal);
    }
}

fn ended(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exit(code),
        (None, signal) => End::Killed(signal.unwrap_or_default()),
    }
}

/// Runs a short command and returns what it printed on stdout.
///
/// # Errors
/// It could not be started, or ended with anything but 0; the error holds the end of its stderr.
pub fn read(command: &Command) -> Result<String, Error> {
    let output = prepare(command)
        .stdout_capture()
        .stderr_capture()
        .run()
        .map_err(|source| Error::Start { command: command.to_string(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let printed = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let from = printed.char_indices().rev().nth(1023).map_or(0, |(at, _)| at);
    Err(Error::Failed {
        command: command.to_string(),
        status: match ended(output.status) {
            End::Exit(code) => format!("exit code {code}"),
            other => format!("{other:?}"),
        },
        output: printed.get(from..).unwrap_or_default().to_owned(),
    })
}

/// A program that runs beside the work, and ends with its process group when this is dropped.
#[derive(Debug)]
pub struct Beside {
    handle: duct::Handle,
}

impl Beside {
    /// Starts it; nobody reads what it prints.
    ///
    /// # Errors
    /// It could not be started.
    pub fn start(command: &Command) -> Result<Self, Error> {
        let start = |source| Error::Start { command: command.to_string(), source };
        Ok(Self { handle: prepare(command).stdout_null().stderr_null().start().map_err(start)? })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        for group in self.handle.pids().into_iter().filter_map(|pid| i32::try_from(pid).ok()) {
            kill(group, Signal::SIGKILL);
        }
        // One that has ended by itself is what we want.
        let _ = self.handle.wait();
    }
}

/// Keeps files that whoever started us had open from every process that we start: root's shell may have secrets there.
pub fn keep_open_files_to_ourselves() {
    close_fds::set_fds_cloexec(3, &[]);
}

/// Starts this very program again as another user, with a socket as its stdin, and returns it running.
///
/// Supplementary groups are dropped with the user. The child gets a process group of its own: [`Worker`] passes signals
/// on, so that a terminal's Ctrl-C does not count twice.
///
/// # Errors
/// It could not be started.
pub fn spawn_self_as(
    uid: u32,
    gid: u32,
    args: &[&str],
    env: &std::collections::BTreeMap<String, String>,
    stdin: std::os::fd::OwnedFd,
) -> std::io::Result<std::process::Child> {
    // Not by its path, which may lie where the other user cannot enter.
    #[expect(clippy::disallowed_methods, reason = "this is the place where processes are started")]
    let mut command = std::process::Command::new("/proc/self/exe");
    command
        .arg0("kbuild")
        .args(args)
        .env_clear()
        .envs(env)
        .current_dir("/")
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .process_group(0)
        .uid(uid)
        .gid(gid);
    command.spawn()
}

/// A child of [`spawn_self_as`] that gets every signal that we get.
#[derive(Debug)]
pub struct Worker {
    child: std::process::Child,
    done: Arc<AtomicBool>,
}

impl Worker {
    /// Takes charge of a child; signals that came before are passed on, too.
    #[must_use]
    pub fn new(child: std::process::Child, cancel: Cancel) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (over, pid) = (Arc::clone(&done), i32::try_from(child.id()).unwrap_or_default());
        std::thread::spawn(move || {
            let mut passed = 0;
            while !over.load(Ordering::SeqCst) {
                if let Some(signal) = cancel.signal().filter(|_| cancel.count() > passed) {
                    passed += 1;
                    if let (true, Ok(signal)) = (pid > 1, Signal::try_from(signal)) {
                        let _ = nix::sys::signal::kill(Pid::from_raw(pid), signal);
                    }
                }
                std::thread::sleep(TICK);
            }
        });
        Self { child, done }
    }

    /// Waits for the child and says how it ended, and whether a signal did that.
    #[must_use]
    pub fn wait(mut self) -> (String, bool) {
        let status = self.child.wait();
        self.done.store(true, Ordering::SeqCst);
        let killed = status.as_ref().is_ok_and(|status| status.signal().is_some());
        (status.map_or_else(|error| error.to_string(), |status| status.to_string()), killed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        Command::new("/bin/sh").args(["-c", script]).with_env([("PATH".into(), "/usr/bin:/bin".into())].into())
    }

    #[test]
    fn lines_come_in_order_and_the_exit_code_is_kept() {
        let mut seen = Vec::new();
        let end = watch(&sh("echo one; echo two >&2; printf three; exit 7"), &Cancel::default(), |moment| {
            if let Moment::Line(line) = moment {
                seen.push(line.to_owned());
            }
            Flow::Continue
        })
        .unwrap();
        assert_eq!(end, End::Exit(7));
        assert_eq!(seen, ["one", "two", "three"]);
    }

    #[test]
    fn a_child_is_batch_work_and_nice_and_kbuild_is_not() {
        let scheduling = || {
            let stat = fs_err::read_to_string("/proc/thread-self/stat").unwrap();
            let fields: Vec<String> = stat.rsplit_once(") ").unwrap().1.split(' ').map(str::to_owned).collect();
            // Fields 19 and 41 of /proc/PID/stat (proc(5)), of which the third comes first here.
            (fields[16].parse::<i32>().unwrap(), fields[38].parse::<u32>().unwrap())
        };
        let (nice, policy) = scheduling();
        for added in 0..=19 {
            let mut seen = Vec::new();
            // A grandchild, too.
            let command = Command { nice: added, ..sh("/bin/sh -c 'cut -d\" \" -f 19,41 /proc/self/stat'; :") };
            watch(&command, &Cancel::default(), |moment| {
                if let Moment::Line(line) = moment {
                    seen.push(line.to_owned());
                }
                Flow::Continue
            })
            .unwrap();
            // 3 is SCHED_BATCH (include/uapi/linux/sched.h).
            assert_eq!(seen, [format!("{} 3", (nice + i32::from(added)).min(19))]);
            assert_eq!(scheduling(), (nice, policy), "kbuild itself has changed");
        }
    }

    #[test]
    fn a_stop_ends_the_grandchildren_too() {
        let started = Instant::now();
        let mut grandchild = String::new();
        let end = watch(&sh("sleep 60 & echo $!; wait"), &Cancel::default(), |moment| match moment {
            Moment::Line(line) => {
                line.clone_into(&mut grandchild);
                Flow::Stop
            }
            _ => Flow::Continue,
        })
        .unwrap();
        assert_eq!(end, End::Stopped);
        assert!(started.elapsed() < Duration::from_secs(8));
        // It has its signal, but may not have been scheduled since.
        let gone = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            let stat = fs_err::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        });
        assert!(gone, "{grandchild} is still running");
    }

    #[test]
    fn a_signal_cancels_and_a_second_kills() {
        let cancel = Cancel::default();
        let mut lines = 0;
        let end = watch(&sh("trap '' TERM; echo up; while :; do sleep 0.1; done"), &cancel, |moment| {
            match moment {
                Moment::Line(_) => {
                    lines += 1;
                    cancel.raise(15);
                    let again = cancel.clone();
                    std::thread::spawn(move || {
                        std::thread::sleep(Duration::from_millis(400));
                        again.raise(15);
                    });
                }
                Moment::Started(_) | Moment::Tick => {}
            }
            Flow::Continue
        })
        .unwrap();
        assert_eq!(end, End::Cancelled(15));
        assert_eq!(lines, 1);
    }

    #[test]
    fn read_gives_stdout_or_the_end_of_stderr() {
        assert_eq!(read(&sh("echo out; echo err >&2")).unwrap(), "out\n");
        let error = read(&sh("echo broken >&2; exit 3")).unwrap_err().to_string();
        assert!(error.contains("exit code 3: broken"), "{error}");
        assert!(read(&Command::new("/no/such/program")).unwrap_err().to_string().starts_with("cannot start"));
    }
}
