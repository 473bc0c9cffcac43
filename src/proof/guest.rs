//! A boot of the built kernel in QEMU: the command, what the console said, and what follows from it.
//!
//! The guest of [`initramfs`](super::initramfs) says what it finds in lines of its own; everything here but [`run`] is
//! pure.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::initramfs::version;
use crate::command::Command;
use crate::ipvs::bits::Bits;
use crate::sys::exec::{self, End, Flow, Moment};
use crate::sys::signal::Cancel;

/// The kernel's name in the directory that QEMU runs in.
pub const KERNEL: &str = "vmlinuz";
/// The initramfs's name in the directory that QEMU runs in.
pub const INITRAMFS: &str = "initramfs.cpio.gz";

/// Starts every line of the guest's own; its end and a blank, a word and what the word is about follow.
const TAG: &str = "kbuild-guest: ";
/// What the kernel says when it has made the table, up to the numbers.
const CONFIGURED: &str = "Connection hash table configured (size=";
/// What QEMU itself says when it is ended from outside.
const TERMINATED: &str = ": terminating on signal ";
/// What the kernel says when it gives up.
const PANIC: &str = "Kernel panic - not syncing";

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

/// What a console said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The release of the kernel that ran.
    pub uname_r: Option<String>,
    /// The kernel's line about its table, without time stamp.
    pub configured_line: Option<String>,
    /// The number of buckets in that line; on kernels that resize their table (2026), the most that it can get.
    pub table_size: Option<u64>,
    /// The first line of `/proc/net/ip_vs`.
    pub proc_line: Option<String>,
    /// The number of buckets in that line, which is how many there are now.
    pub proc_size: Option<u64>,
    /// The value of the module's parameter `conn_tab_bits`, on kernels that have it.
    pub parameter: Option<u32>,
    /// Modules that could not be loaded, each with the reason.
    pub insmod_failures: Vec<String>,
    /// The kernel's last words.
    pub panic: Option<String>,
    /// The last line before the end that is not empty.
    pub last_line: Option<String>,
    /// Whether the guest said everything.
    pub finished: bool,
}

/// Reads the console of a boot. Lines of the kernel may stand before, between and in front of the guest's own.
#[must_use]
pub fn read_console(log: &str) -> Outcome {
    let mut outcome = Outcome::default();
    for line in log.lines() {
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        let line = line.trim();
        if !line.is_empty() && !line.contains(TERMINATED) {
            outcome.last_line = Some(line.to_owned());
        }
        if let Some((line, size)) = configured(line) {
            outcome.configured_line = Some(line);
            outcome.table_size = Some(size);
        }
        if let Some(at) = line.find(PANIC) {
            outcome.panic = outcome.panic.or_else(|| line.get(at..).map(str::to_owned));
        }
        match tagged(line) {
            Some(("uname", release)) => outcome.uname_r = Some(release.to_owned()),
            Some(("failed", what)) => outcome.insmod_failures.push(what.to_owned()),
            Some(("proc", line)) => {
                outcome.proc_size =
                    line.split_once("(size=").and_then(|(_, rest)| rest.strip_suffix(')')?.parse().ok());
                outcome.proc_line = Some(line.to_owned());
            }
            Some(("parameter", value)) => outcome.parameter = value.parse().ok(),
            Some(("end", _)) => {
                outcome.finished = true;
                break;
            }
            _ => {}
        }
    }
    outcome
}

/// Returns the word and the rest of a line of the guest's own.
fn tagged(line: &str) -> Option<(&str, &str)> {
    let (_, said) = line.split_once(TAG)?;
    let said = said.trim();
    Some(said.split_once(' ').unwrap_or((said, "")))
}

/// Returns the kernel's line about its table, whole and without what stands around it, and the size in it.
fn configured(line: &str) -> Option<(String, u64)> {
    let (_, rest) = line.split_once(CONFIGURED)?;
    let (numbers, _) = rest.split_once(')')?;
    let (size, memory) = numbers.split_once(", memory=")?;
    memory.strip_suffix("Kbytes")?.parse::<u64>().ok()?;
    Some((format!("IPVS: {CONFIGURED}{numbers})"), size.parse().ok()?))
}

/// What a boot proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The table is as large as asked.
    Holds {
        /// What the guest said.
        evidence: String,
    },
    /// The table has another size.
    Differs {
        /// The number of buckets.
        found: u64,
        /// What the guest said.
        evidence: String,
    },
    /// The boot says nothing about the table.
    NotBooted {
        /// Why.
        why: String,
    },
}

/// Judges a boot.
///
/// Where a kernel resizes its table, `/proc/net/ip_vs` tells the size of the moment, which may be smaller.
#[must_use]
pub fn judge(outcome: &Outcome, how: &How, bits: Bits) -> Verdict {
    if !outcome.finished {
        return Verdict::NotBooted { why: unfinished(outcome, how) };
    }
    let wanted = bits.buckets();
    let mut evidence = evidence(outcome);
    match (outcome.table_size, outcome.proc_size) {
        (None, None) => Verdict::NotBooted { why: silent(outcome) },
        (Some(size), _) if size != wanted => Verdict::Differs { found: size, evidence },
        (Some(_), None) => Verdict::Holds { evidence },
        (_, Some(now)) if now == wanted => Verdict::Holds { evidence },
        (_, Some(now)) if now < wanted && outcome.parameter == Some(bits.get().into()) => {
            evidence.push_str(" (this kernel lets the table grow to what conn_tab_bits says)");
            Verdict::Holds { evidence }
        }
        (_, Some(now)) => Verdict::Differs { found: now, evidence },
    }
}

fn evidence(outcome: &Outcome) -> String {
    let parts = [
        outcome.uname_r.as_ref().map(|release| format!("Linux {release}")),
        outcome.configured_line.clone(),
        outcome.proc_line.clone(),
        outcome.parameter.map(|value| format!("conn_tab_bits={value}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn unfinished(outcome: &Outcome, how: &How) -> String {
    let last =
        outcome.last_line.as_deref().map_or("it printed nothing".to_owned(), |line| format!("its last line: {line}"));
    match (&outcome.panic, how) {
        (_, How::Cancelled(signal)) => format!("the boot was ended by signal {signal}"),
        (Some(panic), _) => format!("the kernel ended itself: {panic}"),
        (None, How::QemuFailed { end, last_lines }) => {
            format!("QEMU ended with {end}: {}", last_lines.join(" | "))
        }
        (None, How::TimeLimit(limit)) => {
            format!("the guest was not done after {} s; {last}", limit.as_secs())
        }
        (None, How::Finished) => format!("the guest switched itself off too early; {last}"),
    }
}

fn silent(outcome: &Outcome) -> String {
    match outcome.insmod_failures.as_slice() {
        [] => "the kernel booted, but said nothing about the table".to_owned(),
        [only] => format!("the kernel booted, but could not load {only}"),
        // The rest mostly follows from the first.
        [first, rest @ ..] => format!("the kernel booted, but could not load {first}; nor {} more", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(bits: u8) -> Bits {
        bits.try_into().unwrap()
    }

    /// As Debian's 6.1 and QEMU print it, with the ends of lines that a serial console has.
    fn log(size: u64, parameter: u32) -> String {
        [
            "\u{1b}c\u{1b}[?7lProbing EDD (edd=off to disable)... ok",
            "[    0.000000] Linux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org)",
            "[    3.1] Run /init as init process",
            "",
            "kbuild-guest: uname 6.1.0-56-amd64",
            "kbuild-guest: insmod nf_conntrack.ko",
            "kbuild-guest: insmod ip_vs.ko",
            &format!("kbuild-guest: dmesg [    3.440758] IPVS: {CONFIGURED}{size}, memory=8192Kbytes)"),
            "kbuild-guest: dmesg [    3.441707] IPVS: ipvs loaded.",
            &format!("kbuild-guest: proc IP Virtual Server version 1.2.1 (size={size})"),
            &format!("kbuild-guest: parameter {parameter}"),
            "kbuild-guest: end",
            "[    3.591364] reboot: Power down",
            "",
        ]
        .join("\r\n")
    }

    #[test]
    fn a_console_is_read() {
        let expected = Outcome {
            uname_r: Some("6.1.0-56-amd64".to_owned()),
            configured_line: Some(
                "IPVS: Connection hash table configured (size=1048576, memory=8192Kbytes)".to_owned(),
            ),
            table_size: Some(1_048_576),
            proc_line: Some("IP Virtual Server version 1.2.1 (size=1048576)".to_owned()),
            proc_size: Some(1_048_576),
            parameter: Some(20),
            insmod_failures: vec![],
            panic: None,
            last_line: Some("kbuild-guest: end".to_owned()),
            finished: true,
        };
        assert_eq!(read_console(&log(1_048_576, 20)), expected);
        assert_eq!(read_console(&log(1_048_576, 20).replace('\r', "")), expected);
        assert_eq!(read_console(&log(1_048_576, 20).replace("\r\n", "\r\r\n")), expected);
    }

    #[track_caller]
    fn says(line: &str, size: Option<u64>) {
        let outcome = read_console(line);
        assert_eq!(outcome.table_size, size, "{line}");
        assert_eq!(outcome.configured_line.is_some(), size.is_some());
        if let Some(line) = outcome.configured_line {
            assert!(line.starts_with("IPVS: Connection") && line.ends_with("Kbytes)"), "{line}");
        }
    }

    #[test]
    fn the_kernels_line_is_found_anywhere_but_only_whole() {
        says("IPVS: Connection hash table configured (size=4096, memory=64Kbytes)", Some(4096));
        says("<6>IPVS: Connection hash table configured (size=4096, memory=64Kbytes)\r", Some(4096));
        says("[    5.0][   T12] IPVS: Connection hash table configured (size=256, memory=2Kbytes)", Some(256));
        says(
            "\u{fffd}\u{0}x IPVS: Connection hash table configured (size=4096, memory=64Kbytes)[ 3.2] more",
            Some(4096),
        );
        says("IPVS: Connection hash table configured (size=10", None);
        says("IPVS: Connection hash table configured (size=10[    3.5] clocksource: x (y), memory=64Kbytes)", None);
        says("IPVS: Connection hash table configured (size=4096, memory=64Kbytes", None);
        says("IPVS: Connection hash table configured (size=4096, memory=6)", None);
        says("IPVS: Connection hash table configured (size=, memory=64Kbytes)", None);
        says("IPVS: ipvs loaded.", None);
        says("", None);
    }

    #[test]
    fn a_torn_line_on_the_console_does_not_hide_the_one_from_dmesg() {
        let torn = "IPVS: Connection hash table configured (size=10[    3.5] e1000: up\n";
        assert_eq!(read_console(&(torn.to_owned() + &log(4096, 12))).table_size, Some(4096));
        let glued = log(4096, 12).replace("kbuild-guest: end", "[    3.5] e1000: kbuild-guest: end");
        assert!(read_console(&glued).finished);
    }

    #[test]
    fn the_first_panic_before_the_end_counts() {
        let panic = "[    1.9] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n\
                     [    2.0] ---[ end Kernel panic - not syncing: again ]---\r\n";
        let expected = Some("Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)");
        assert_eq!(read_console(panic).panic.as_deref(), expected);
        assert_eq!(read_console(&(log(4096, 12) + panic)).panic, None);
    }

    #[track_caller]
    fn judged(log: &str, how: &How, asked: u8, expected: &str) {
        let text = match judge(&read_console(log), how, bits(asked)) {
            Verdict::Holds { evidence } => format!("holds: {evidence}"),
            Verdict::Differs { found, evidence } => format!("differs, {found}: {evidence}"),
            Verdict::NotBooted { why } => format!("not booted: {why}"),
        };
        assert_eq!(text, expected);
    }

    #[test]
    fn sizes_are_judged() {
        let done = How::Finished;
        let said = |size, now, parameter| {
            format!(
                "Linux 6.1.0-56-amd64; IPVS: Connection hash table configured (size={size}, memory=8192Kbytes); \
                 IP Virtual Server version 1.2.1 (size={now}); conn_tab_bits={parameter}"
            )
        };
        let grows = " (this kernel lets the table grow to what conn_tab_bits says)";
        judged(&log(1_048_576, 20), &done, 20, &format!("holds: {}", said(1_048_576, 1_048_576, 20)));
        judged(&log(4096, 12), &done, 20, &format!("differs, 4096: {}", said(4096, 4096, 12)));
        // Whatever the parameter claims: what the kernel said it made counts.
        judged(&log(4096, 20), &done, 20, &format!("differs, 4096: {}", said(4096, 4096, 20)));

        let resized = log(1_048_576, 20).replace("1.2.1 (size=1048576)", "1.2.1 (size=256)");
        judged(&resized, &done, 20, &format!("holds: {}{grows}", said(1_048_576, 256, 20)));
        let contradiction = log(1_048_576, 12).replace("1.2.1 (size=1048576)", "1.2.1 (size=256)");
        judged(&contradiction, &done, 20, &format!("differs, 256: {}", said(1_048_576, 256, 12)));
        let more = log(4096, 12).replace("1.2.1 (size=4096)", "1.2.1 (size=8192)");
        judged(&more, &done, 12, &format!("differs, 8192: {}", said(4096, 8192, 12)));
    }

    #[test]
    fn one_source_is_enough() {
        let end = "kbuild-guest: end\n";
        let dmesg = format!("kbuild-guest: dmesg IPVS: {CONFIGURED}4096, memory=64Kbytes)\n{end}");
        let line = "IPVS: Connection hash table configured (size=4096, memory=64Kbytes)";
        judged(&dmesg, &How::Finished, 12, &format!("holds: {line}"));
        judged(&dmesg, &How::Finished, 13, &format!("differs, 4096: {line}"));
        let proc = format!("kbuild-guest: proc IP Virtual Server version 1.2.0 (size=4096)\n{end}");
        judged(&proc, &How::Finished, 12, "holds: IP Virtual Server version 1.2.0 (size=4096)");
        judged(&proc, &How::Finished, 13, "differs, 4096: IP Virtual Server version 1.2.0 (size=4096)");
        judged(end, &How::Finished, 12, "not booted: the kernel booted, but said nothing about the table");
    }

    #[test]
    fn what_kept_it_from_booting_is_named() {
        let cut = log(4096, 12).replace("kbuild-guest: end", "");
        let last = "its last line: [    3.591364] reboot: Power down";
        judged(&cut, &How::Finished, 12, &format!("not booted: the guest switched itself off too early; {last}"));
        let escapes = "\u{1b}cSea\u{7}BIOS\r\n\u{1b}\r\n";
        judged(
            escapes,
            &How::Finished,
            12,
            "not booted: the guest switched itself off too early; its last line: cSeaBIOS",
        );
        judged("", &How::Finished, 12, "not booted: the guest switched itself off too early; it printed nothing");

        let limit = How::TimeLimit(Duration::from_secs(90));
        let ended = "Probing EDD... ok\nqemu-system-x86_64: terminating on signal 15 from pid 8833 (kbuild)\n";
        judged(ended, &limit, 12, "not booted: the guest was not done after 90 s; its last line: Probing EDD... ok");
        judged(&cut, &How::Cancelled(15), 12, "not booted: the boot was ended by signal 15");

        let panic = "[ 1.9] Kernel panic - not syncing: No init found.\n";
        judged(
            panic,
            &How::Finished,
            12,
            "not booted: the kernel ended itself: Kernel panic - not syncing: No init found.",
        );
        judged(panic, &limit, 12, "not booted: the kernel ended itself: Kernel panic - not syncing: No init found.");

        let failed =
            How::QemuFailed { end: "exit code 1".to_owned(), last_lines: vec!["a".to_owned(), "b".to_owned()] };
        judged("a\nb\n", &failed, 12, "not booted: QEMU ended with exit code 1: a | b");

        let one = "kbuild-guest: failed ip_vs.ko: insmod: can't insert 'x': invalid module format \n";
        let why = "not booted: the kernel booted, but could not load \
                   ip_vs.ko: insmod: can't insert 'x': invalid module format";
        judged(&format!("{one}kbuild-guest: end\n"), &How::Finished, 12, why);
        judged(&format!("{one}{one}kbuild-guest: end\n"), &How::Finished, 12, &format!("{why}; nor 1 more"));
        // What failed did not matter after all.
        assert!(matches!(
            judge(&read_console(&(one.to_owned() + &log(4096, 12))), &How::Finished, bits(12)),
            Verdict::Holds { .. }
        ));
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
