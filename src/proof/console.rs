//! What the console of a guest said, and what follows from it. Pure.
//!
//! The guest of [`initramfs`](super::initramfs) says what it finds in lines of its own.

use super::guest::How;
use crate::ipvs::bits::Bits;

/// Starts every line of the guest's own; its end and a blank, a word and what the word is about follow.
const TAG: &str = "kbuild-guest: ";
/// What the kernel says when it has made the table, up to the numbers.
const CONFIGURED: &str = "Connection hash table configured (size=";
/// What QEMU itself says when it is ended from outside.
const TERMINATED: &str = ": terminating on signal ";
/// What the kernel says when it gives up.
const PANIC: &str = "Kernel panic - not syncing";

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
pub(super) fn tagged(line: &str) -> Option<(&str, &str)> {
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
    use std::time::Duration;

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
}
