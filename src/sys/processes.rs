//! Other processes, as /proc shows them (proc(5)).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::times::seen::Program;

/// How long processes get between TERM and KILL.
const GRACE: Duration = Duration::from_secs(5);

/// A process, from its `/proc/PID/stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its name, cut off after 15 characters.
    pub name: String,
    state: char,
    group: i32,
    /// Processor time of itself and of children that it has waited for, in ticks.
    ticks: u64,
}

impl Process {
    fn read(dir: &Path) -> Option<Self> {
        let pid = dir.file_name()?.to_str()?.parse().ok()?;
        Self::parse(pid, &fs_err::read_to_string(dir.join("stat")).ok()?)
    }

    fn parse(pid: i32, stat: &str) -> Option<Self> {
        // The name in parentheses may hold anything; what follows the last one is state, parent, group …
        let (head, tail) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
        // utime, stime, cutime and cstime are fields 14 to 17 of stat, and `tail` begins with the third.
        let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
        let state = fields.first()?.chars().next()?;
        let group = fields.get(2)?.parse().ok()?;
        Some(Self { pid, name: head.split_once('(')?.1.to_owned(), state, group, ticks })
    }
}

fn all() -> impl Iterator<Item = Process> {
    let entries = fs_err::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Process::read(&entry.path())).filter(|process| process.state != 'Z')
}

/// Returns the first process of a group with all that it and they have started (`/proc/PID/task/TID/children`; Linux 3.5 and later,
/// with `CONFIG_PROC_CHILDREN` since 4.2), as far as it is in the group. On a large machine there are thousands of other processes, which are
/// not looked at. Where that cannot be asked, all of the group.
fn family(group: i32) -> Vec<Process> {
    let mut found = Vec::new();
    let mut waiting = vec![group];
    while let Some(pid) = waiting.pop() {
        let dir = PathBuf::from(format!("/proc/{pid}"));
        let Some(process) = Process::read(&dir) else { continue };
        for task in fs_err::read_dir(dir.join("task")).into_iter().flatten().flatten() {
            match fs_err::read_to_string(task.path().join("children")) {
                Ok(children) => {
                    waiting.extend(children.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
                }
                // This thread has ended, or there is no such file here at all.
                Err(_) if task.path().is_dir() => return all().filter(|process| process.group == group).collect(),
                Err(_) => {}
            }
        }
        if process.group == group && process.state != 'Z' {
            found.push(process);
        }
    }
    found
}

/// Returns the programs that run in a process group: a kernel built with `make -s` prints nothing for hours.
#[must_use]
pub fn programs(group: i32) -> Vec<Program> {
    let program = |process: Process| {
        let args = fs_err::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        let args = args.split(|byte| *byte == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
        Program { name: process.name, args }
    };
    family(group).into_iter().map(program).collect()
}

/// Returns the processor time of a process group and of what it has waited for, in seconds. A process that has ended and
/// was not waited for yet is missing.
#[must_use]
pub fn cpu(group: i32) -> f64 {
    // Ticks of /proc/PID/stat (proc(5)); 100 a second wherever that cannot be asked.
    let each = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|each| u32::try_from(each).ok()).unwrap_or(100);
    let ticks = family(group).iter().fold(0_u64, |sum, process| sum.wrapping_add(process.ticks));
    Duration::from_millis(ticks.saturating_mul(1000)).as_secs_f64() / f64::from(each.max(1))
}

/// Returns the processor time of this process and of all children that it has waited for, in seconds (getrusage(2)).
#[must_use]
pub fn own_cpu() -> f64 {
    let seconds = |usage: Usage| {
        [usage.user_time(), usage.system_time()].map(|time| {
            // Neither is ever negative.
            let whole = Duration::from_secs(u64::try_from(time.tv_sec()).unwrap_or_default());
            (whole + Duration::from_micros(u64::try_from(time.tv_usec()).unwrap_or_default())).as_secs_f64()
        })
    };
    let all = [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN];
    all.into_iter().filter_map(|who| getrusage(who).ok()).flat_map(seconds).sum()
}

/// Returns a number that changes as long as a process group does something: the processor time of all its processes.
#[must_use]
pub fn ticks(group: i32) -> u64 {
    all().filter(|process| process.group == group).fold(0, |sum, process| sum.wrapping_add(process.ticks))
}

/// Returns the memory that a process group has, in bytes: what all its processes have in memory together. Pages that
/// several share count for each, so it is an upper bound.
#[must_use]
pub fn memory(group: i32) -> u64 {
    // VmRSS of /proc/PID/status, in kB.
    let resident = |process: Process| {
        let status = fs_err::read_to_string(format!("/proc/{}/status", process.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    all().filter(|process| process.group == group).filter_map(resident).sum::<u64>() * 1024
}

/// Returns a user's processes, but for this one, that have `home` as their `HOME`.
#[must_use]
pub fn at_home(home: &Path, uid: u32) -> Vec<Process> {
    let wanted = [b"HOME=", home.as_os_str().as_encoded_bytes()].concat();
    let me = i32::try_from(std::process::id()).unwrap_or_default();
    let mine = |process: &Process| {
        use std::os::unix::fs::MetadataExt;
        let owner = fs_err::metadata(format!("/proc/{}", process.pid)).map(|details| details.uid());
        process.pid != me && owner.is_ok_and(|owner| owner == uid)
    };
    let there = |process: &Process| {
        let environment = fs_err::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted)
    };
    all().filter(mine).filter(there).collect()
}

/// Ends every process that [`at_home`] finds: with TERM, and with KILL what is there five seconds later. Returns those
/// that were there at first.
///
/// # Errors
/// One is still there after ten seconds; it is returned.
pub fn end_at_home(home: &Path, uid: u32) -> Result<Vec<Process>, Process> {
    let first = at_home(home, uid);
    let started = Instant::now();
    let mut left = first.clone();
    while let Some(process) = left.first() {
        if started.elapsed() > GRACE * 2 {
            return Err(process.clone());
        }
        let signal = if started.elapsed() > GRACE { Signal::SIGKILL } else { Signal::SIGTERM };
        for process in &left {
            // One that has ended in the meantime is what we want.
            let _ = kill(Pid::from_raw(process.pid), signal);
        }
        std::thread::sleep(Duration::from_millis(50));
        left = at_home(home, uid);
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a) R 1 (b) S 1 42 42 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 99 0 0";
        let process = Process::parse(7, stat).unwrap();
        assert_eq!((process.name.as_str(), process.state, process.group, process.ticks), ("a) R 1 (b", 'S', 42, 100));
        assert_eq!(Process::parse(7, "7 (a"), None);
    }

    #[test]
    fn what_a_group_has_started_is_found_and_nothing_else() {
        use std::os::unix::process::CommandExt;
        #[expect(clippy::disallowed_methods, reason = "a test starts what is to be found")]
        let mut first = std::process::Command::new("/bin/sh")
            .args(["-c", "/bin/sh -c '/bin/sleep 61; :' & /bin/sleep 62; :"])
            .process_group(0)
            .spawn()
            .unwrap();
        let group = i32::try_from(first.id()).unwrap();
        let slept = |programs: Vec<Program>| {
            let mut args: Vec<String> = programs.into_iter().filter_map(|it| it.args.get(1).cloned()).collect();
            args.retain(|arg| arg.starts_with('6'));
            args.sort();
            args
        };
        let started = Instant::now();
        while slept(programs(group)) != ["61", "62"] && started.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(slept(programs(group)), ["61", "62"]);
        let mut family: Vec<i32> = family(group).iter().map(|process| process.pid).collect();
        let mut group_of_all: Vec<i32> =
            all().filter(|process| process.group == group).map(|process| process.pid).collect();
        family.sort_unstable();
        group_of_all.sort_unstable();
        assert_eq!(family, group_of_all);
        nix::sys::signal::killpg(Pid::from_raw(group), Signal::SIGKILL).unwrap();
        first.wait().unwrap();
    }

    #[test]
    fn only_what_has_this_home_is_ended() {
        let home = tempfile::tempdir().unwrap();
        let start = |home: &Path| {
            #[expect(clippy::disallowed_methods, reason = "a test starts what is to be ended")]
            let child = std::process::Command::new("/bin/sleep").arg("60").env("HOME", home).spawn();
            child.unwrap()
        };
        let mut orphan = start(home.path());
        let mut other = start(&home.path().join("not"));
        // Its parent, which is the test, has to fetch it before it is gone.
        let waits = std::thread::spawn(move || orphan.wait().unwrap());
        let found = end_at_home(home.path(), nix::unistd::Uid::effective().as_raw()).unwrap();
        assert_eq!(found.iter().map(|process| process.name.as_str()).collect::<Vec<_>>(), ["sleep"]);
        assert!(!waits.join().unwrap().success());
        assert_eq!(other.try_wait().unwrap(), None);
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
