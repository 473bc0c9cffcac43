//! Processes that belong to a sandbox: every child of kbuild has the sandbox's paths in its arguments or environment,
//! or runs as the sandbox's account.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long processes may take to be gone.
const LONG: std::time::Duration = std::time::Duration::from_secs(30);

/// Returns the running processes that have this path in their arguments or environment, or run as this account: pid
/// and command line.
pub(crate) fn of(path: &Path, uid: Option<u32>) -> Vec<(i32, String)> {
    let needle = path.as_os_str().as_encoded_bytes();
    let mut running = Vec::new();
    for entry in fs_err::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        // A process may end while we look; a zombie has neither arguments nor environment.
        let read = |name: &str| fs_err::read(entry.path().join(name)).unwrap_or_default();
        let arguments = read("cmdline");
        let names_it = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        let status = String::from_utf8_lossy(&read("status")).into_owned();
        if field(&status, "State").starts_with('Z') {
            continue;
        }
        let owner = field(&status, "Uid").split_whitespace().next().and_then(|uid| uid.parse().ok());
        if names_it(&arguments) || names_it(&read("environ")) || (uid.is_some() && owner == uid) {
            let shown = String::from_utf8_lossy(&arguments).replace('\0', " ");
            running.push((pid, shown));
        }
    }
    running
}

/// Waits until no process of the sandbox is left.
#[track_caller]
pub(crate) fn none_left(path: &Path, uid: Option<u32>) {
    let started = std::time::Instant::now();
    loop {
        let left = of(path, uid);
        if left.is_empty() {
            return;
        }
        assert!(started.elapsed() < LONG, "still running: {left:?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Kills what a failed test left running, one by one.
pub(crate) fn kill_all_of(path: &Path, uid: Option<u32>) {
    for (pid, _) in of(path, uid) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Returns the value of a field such as `Uid` of a `/proc/PID/status`.
pub(crate) fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default().trim()
}
