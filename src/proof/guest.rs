//! A boot of the built kernel in QEMU: the command, and the running of it. Everything but [`run`] is pure.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::console::tagged;
use super::initramfs::version;
use crate::command::Command;
use crate::ipvs::bits::Bits;
use crate::sys::exec::{self, End, Flow, Moment};
use crate::sys::signal::Cancel;

/// The kernel's name in the directory that QEMU runs in.
pub const KERNEL: &str = "vmlinuz";
/// The initramfs's name in the directory that QEMU runs in.
pub const INITRAMFS: &str = "initramfs.cpio.gz";

/// `panic=1`, because to old kernels a negative value means to wait for ever; `no_timer_check`, because emulated timers
/// fail that check on a busy host. The early console tells of what happens before there is a real one.
const KERNEL_ARGUMENTS: &str = "console=ttyS0,115200 earlyprintk=serial,ttyS0,115200 loglevel=7 panic=1 no_timer_check";

/// How long a guest may take to switch itself off after it has said everything.
const FAREWELL: Duration = Duration::from_secs(2);
/// How many of the last lines are kept for an error.
const LAST_LINES: usize = 5;

/// Returns the memory in MiB that a guest needs to hold a table of 2^bits buckets; QEMU touches only what is used.
///
/// Since 6.5 a kernel makes the table smaller than it was told when memory is short: it wants 2^(bits+12) bytes, where
/// its memory counts as the next power of two (4f325e26277b, "ipvs: dynamically limit the connection hash table"). The
/// 5.14 of el9 may carry that, too. The others need just the table, of at most 16 bytes a bucket.
#[must_use]
pub fn memory_mib(bits: Bits, uname_r: &str) -> u32 {
    let [major, minor, _] = version(uname_r);
    let needed = if (major, minor) >= (6, 5) || (major, minor) == (5, 14) {
        // Just over half of it counts as all; 1/32 is for the kernel's bookkeeping of the memory.
        (bits.buckets() << 11) / 32 * 33
    } else {
        bits.buckets() << 4
    };
    u32::try_from(needed >> 20).unwrap_or(u32::MAX).saturating_add(512)
}

/// Returns the QEMU command for a kernel and an initramfs that lie in `dir` as [`KERNEL`] and [`INITRAMFS`].
///
/// The serial console is all that comes out. One processor, no devices, no configuration of the host's, and always
/// TCG, which works everywhere and is fast enough.
#[must_use]
pub fn qemu(program: &Path, dir: &Path, uname_r: &str, memory_mib: u32, env: BTreeMap<String, String>) -> Command {
    let mut command = Command::new(program).with_env(env).in_dir(dir);
    if version(uname_r) >= [3, 0, 0] {
        // A recent busybox may need more than the first x86-64 had; an old kernel knows nothing newer.
        command = command.args(["-cpu", "max"]);
    }
    command
        .args(["-no-user-config", "-nodefaults", "-accel", "tcg", "-smp", "1", "-m", &format!("{memory_mib}M")])
        .args(["-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"])
        .args(["-kernel", KERNEL, "-initrd", INITRAMFS, "-append", KERNEL_ARGUMENTS])
}

/// How a boot ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// The guest said everything, or switched itself off before.
    Finished,
    /// The guest was ended because it took longer than this.
    TimeLimit(Duration),
    /// The guest was ended because kbuild got this signal.
    Cancelled(i32),
    /// QEMU gave up.
    QemuFailed {
        /// Its exit code, or the signal that ended it.
        end: String,
        /// The end of what it printed.
        last_lines: Vec<String>,
    },
}

/// Why a boot could not even be tried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The console's log could not be written.
    #[error("cannot keep the console's log")]
    Log(#[source] io::Error),
    /// QEMU could not be run.
    #[error("cannot boot the kernel")]
    Qemu(#[from] exec::Error),
}

/// Boots: runs the command of [`qemu`] until the guest has said everything, or `limit` has passed.
///
/// Every line of the console goes to the file `log` and to `on_line` as it comes.
///
/// # Errors
/// QEMU could not be started, or the log could not be written.
pub fn run(
    command: &Command,
    cancel: &Cancel,
    limit: Duration,
    log: &Path,
    on_line: &mut dyn FnMut(&str),
) -> Result<How, Error> {
    let mut file = fs_err::File::create(log).map_err(Error::Log)?;
    let mut written = Ok(());
    let started = Instant::now();
    let mut said_everything: Option<Instant> = None;
    let mut last_lines = VecDeque::new();

    let end = exec::watch(command, cancel, |moment| {
        if let Moment::Line(line) = moment {
            on_line(line);
            if written.is_ok() {
                written = writeln!(file, "{line}");
            }
            if matches!(tagged(line), Some(("end", _))) {
                said_everything.get_or_insert_with(Instant::now);
            }
            last_lines.push_back(line.to_owned());
            if last_lines.len() > LAST_LINES {
                last_lines.pop_front();
            }
        }
        let over = said_everything.map_or(started.elapsed() >= limit, |since| since.elapsed() >= FAREWELL);
        if over || written.is_err() { Flow::Stop } else { Flow::Continue }
    })?;

    written.map_err(Error::Log)?;
    let failed = |end| How::QemuFailed { end, last_lines: last_lines.into() };
    Ok(match end {
        End::Cancelled(signal) => How::Cancelled(signal),
        _ if said_everything.is_some() => How::Finished,
        End::Exit(0) => How::Finished,
        End::Stopped => How::TimeLimit(limit),
        End::Exit(code) => failed(format!("exit code {code}")),
        End::Killed(signal) => failed(format!("signal {signal}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(bits: u8) -> Bits {
        bits.try_into().unwrap()
    }

    #[test]
    fn memory_grows_with_the_table() {
        assert_eq!(memory_mib(bits(12), "2.6.32-220.el6.x86_64"), 512);
        assert_eq!(memory_mib(bits(20), "6.1.0-56-amd64"), 528);
        assert_eq!(memory_mib(bits(27), "6.1.0-56-amd64"), 2560);
        assert_eq!(memory_mib(bits(31), "3.10.0-1160.el7.x86_64"), 33_280);
        for clamped in ["5.14.0-284.11.1.el9_2.x86_64", "6.5.0", "6.12.0-211.37.1.el10_2.x86_64", "7.1.0-rc3"] {
            assert_eq!(memory_mib(bits(20), clamped), 2624, "{clamped}");
            // Less 1/50 for bookkeeping and 64 MiB for the kernel, it must be more than half of 2^(bits+12) bytes.
            for asked in 8..=27 {
                let memory = u64::from(memory_mib(bits(asked), clamped));
                assert!(memory - memory / 50 - 64 > (1 << (asked + 11)) >> 20, "{asked}");
            }
        }
    }

    #[test]
    fn the_command_is_plain() {
        let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin".to_owned())]);
        let (program, dir) = (Path::new("/usr/bin/qemu-system-x86_64"), Path::new("/w/boot"));
        let command = qemu(program, dir, "6.12.0-55.el10.x86_64", 2624, env.clone());
        assert_eq!(
            command.to_string(),
            "/usr/bin/qemu-system-x86_64 -cpu max -no-user-config -nodefaults -accel tcg -smp 1 -m 2624M -display none \
             -monitor none -serial stdio -no-reboot -kernel vmlinuz -initrd initramfs.cpio.gz -append \
             'console=ttyS0,115200 earlyprintk=serial,ttyS0,115200 loglevel=7 panic=1 no_timer_check'"
        );
        assert_eq!((command.cwd.as_path(), &command.env), (dir, &env));
        assert!(!qemu(program, dir, "2.6.32-220.el6.x86_64", 512, env).args.contains(&"-cpu".to_owned()));
    }

    /// Runs a shell in place of QEMU; returns how it ended, the log, the lines seen, and the seconds it took.
    fn ran(script: &str, limit: Duration, cancel: &Cancel) -> (How, String, Vec<String>, f64) {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("console.log");
        let env = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
        let command = Command::new("/bin/sh").args(["-c", script]).with_env(env);
        let mut lines = Vec::new();
        let started = Instant::now();
        let how = run(&command, cancel, limit, &log, &mut |line| lines.push(line.to_owned())).unwrap();
        (how, fs_err::read_to_string(log).unwrap(), lines, started.elapsed().as_secs_f64())
    }

    #[test]
    fn a_guest_that_hangs_after_the_end_is_ended() {
        let script = "printf 'one\\r\\nkbuild-guest: end\\r\\n'; sleep 60";
        let (how, log, lines, seconds) = ran(script, Duration::from_secs(50), &Cancel::default());
        assert_eq!((how, log.as_str()), (How::Finished, "one\nkbuild-guest: end\n"));
        assert_eq!(lines, ["one", "kbuild-guest: end"]);
        assert!((1.9..20.0).contains(&seconds), "{seconds}");
    }

    #[test]
    fn a_guest_that_takes_too_long_is_ended() {
        let limit = Duration::from_millis(300);
        let (how, log, _, seconds) = ran("echo up; sleep 60", limit, &Cancel::default());
        assert_eq!((how, log.as_str()), (How::TimeLimit(limit), "up\n"));
        assert!(seconds < 20.0, "{seconds}");
    }

    #[test]
    fn the_ends_of_qemu_are_told_apart() {
        let limit = Duration::from_secs(50);
        let (how, ..) = ran("echo kbuild-guest: uname 6; exit 0", limit, &Cancel::default());
        assert_eq!(how, How::Finished);
        let (how, ..) = ran("for i in 1 2 3 4 5 6; do echo $i >&2; done; exit 3", limit, &Cancel::default());
        let last_lines = ["2", "3", "4", "5", "6"].map(str::to_owned).to_vec();
        assert_eq!(how, How::QemuFailed { end: "exit code 3".to_owned(), last_lines });
        let (how, ..) = ran("kill -9 $$", limit, &Cancel::default());
        assert_eq!(how, How::QemuFailed { end: "signal 9".to_owned(), last_lines: vec![] });
        let cancel = Cancel::default();
        cancel.raise(15);
        let (how, ..) = ran("sleep 60", limit, &cancel);
        assert_eq!(how, How::Cancelled(15));
    }

    #[test]
    fn a_log_that_cannot_be_kept_is_an_error() {
        let missing = Path::new("/no/such/directory/console.log");
        let command = Command::new("/bin/true");
        let error = run(&command, &Cancel::default(), FAREWELL, missing, &mut |_| {}).unwrap_err();
        assert!(matches!(error, Error::Log(_)));
        let full =
            run(&Command::new("/bin/echo").arg("x"), &Cancel::default(), FAREWELL, Path::new("/dev/full"), &mut |_| {});
        assert!(matches!(full, Err(Error::Log(_))));
        let none =
            run(&Command::new("/no/such/qemu"), &Cancel::default(), FAREWELL, Path::new("/dev/null"), &mut |_| {});
        assert!(matches!(none, Err(Error::Qemu(exec::Error::Start { .. }))));
    }
}
