//! Lines of a log as a program printed them: without colours, and without what CI systems and builders put before them.

use std::sync::LazyLock;

use regex::Regex;

/// How much of a line is kept, in bytes.
const LONGEST: usize = 8 * 1024;
/// How many things may stand before a line: a CI system's stamp, a builder's, kbuild's own bar.
const PREFIXES: usize = 4;

/// Sequences that steer a terminal: CSI, OSC, and the short ones.
static ESCAPES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])").ok());

/// What may stand before a line.
static BEFORE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)^(?:
        # ISO stamps (GitHub, GitLab with its stream number, Jenkins, plain)
          \[?\d{4}-\d\d-\d\d[T\ ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:\ ?(?:Z|UTC|[+-]\d\d:?\d\d))?\]?(?:\ \d\d[OE](?:[+\ ]|$)|\ |$)
        | \[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?\ {1,2}
        # OBS and the kernel: seconds since the start
        | \[\ *\d+(?:\.\d+)?s?\]\ 
        # mock's root.log, and build.log with --verbose
        | (?:DEBUG|INFO|WARNING|ERROR|TRACE)\ [\w.]+\.py:\d+:\ {0,2}
        # syslog and the journal
        | (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\ [\ \d]\d\ \d\d:\d\d:\d\d\ \S+\ [\w./@-]+(?:\[\d+\])?:\ 
        # docker build, and compose
        | \#\d+\ \d+\.\d+\ 
        | [A-Za-z][\w.-]*[-_]\d+\ +\|\ 
        # kbuild's own excerpts
        | \ \ \|\ 
        # GitHub's and Azure's marks
        | \#\#\[(?:error|warning|debug|command)\]
        )",
    )
    .ok()
});

/// Cuts a stream of bytes into lines of bounded length.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    rest: Vec<u8>,
}

impl Splitter {
    /// Takes more bytes and hands over every line that is complete.
    pub(super) fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8])) {
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            let room = LONGEST.saturating_sub(self.rest.len());
            self.rest.extend_from_slice(part.get(..room).unwrap_or(part));
            if parts.peek().is_some() {
                take(&self.rest);
                self.rest.clear();
            }
        }
    }

    /// Hands over what stands after the last end of a line.
    pub(super) fn finish(&mut self, take: impl FnOnce(&[u8])) {
        if !self.rest.is_empty() {
            take(&self.rest);
            self.rest.clear();
        }
    }
}

/// Returns the lines that a terminal would have shown one over the other (CR), each clean; empty ones left out.
pub(super) fn clean(raw: &str) -> Vec<String> {
    let whole = raw.get(..raw.floor_char_boundary(LONGEST)).unwrap_or(raw);
    whole.split('\r').map(one).filter(|line| !line.trim().is_empty()).collect()
}

fn one(text: &str) -> String {
    let text = match &*ESCAPES {
        Some(escapes) if text.contains('\u{1b}') => escapes.replace_all(text, "").into_owned(),
        _ => text.to_owned(),
    };
    let mut rest = text.as_str();
    for _ in 0..PREFIXES {
        let Some(found) = BEFORE.as_ref().and_then(|before| before.find(rest)) else { break };
        rest = rest.get(found.end()..).unwrap_or_default();
    }
    rest.chars().filter(|sign| *sign == '\t' || !sign.is_control()).collect::<String>().trim_end().to_owned()
}

/// What kind of line it is, as far as that tells whether it can be a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What a program said.
    Message,
    /// A command that a shell shows before it runs (`set -x`).
    Trace,
    /// Text of a program: a compiler's excerpt, a command that would print a message; or a mere warning.
    Code,
    /// A kernel's short word for a step that goes well: `  CC      init/main.o`.
    Step,
}

static TRACE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\++ ").ok());
static CODE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"^warning: |:\d+: warning: |^ *\d* \| |(?-u:\b)(?:echo|printf)\s+(?:-\w+\s+)?["']|^[-+ ] *(?://|#\s*define|pr_\w+\()"#).ok()
});
static STEP: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^  [A-Z][A-Z0-9_+-]* +(?:\[[A-Z]+\] +)?[^\s:]+(?: - due to.*)?$").ok());

impl Kind {
    pub(super) fn of(line: &str) -> Self {
        let is = |pattern: &Option<Regex>| pattern.as_ref().is_some_and(|pattern| pattern.is_match(line));
        match line {
            _ if is(&STEP) => Self::Step,
            _ if is(&TRACE) => Self::Trace,
            _ if is(&CODE) => Self::Code,
            _ => Self::Message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_a_line_is_taken_off() {
        for raw in [
            "error: x",
            "2024-05-01T10:00:00.1234567Z error: x",
            "2024-05-01T10:00:00.123456Z 00O error: x",
            "2024-05-01T10:00:00.123456Z 01E+error: x",
            "[2023-06-12T16:58:36.032Z] error: x",
            "2023-06-12 16:58:36,032 error: x",
            "[10:11:12] error: x",
            "10:11:12 error: x",
            "[   20s] error: x",
            "[ 1234.567890] error: x",
            "DEBUG util.py:446:  error: x",
            "Jan  2 03:04:05 build7 kernel: error: x",
            "#8 12.345 error: x",
            "builder-1  | error: x",
            "  | error: x",
            "##[error]error: x",
            "2024-05-01T10:00:00.1234567Z ##[error]error: x",
            "\u{1b}[31;1merror: x\u{1b}[0;m",
            "\u{1b}[0Kerror: x\u{1b}]0;title\u{7}",
            "error: x\u{0}\u{8}",
            "[   20s] [   19s] \u{1b}[1merror: x",
        ] {
            assert_eq!(clean(raw), ["error: x"], "{raw:?}");
        }
        assert_eq!(clean("10%\r20%\rerror: x\r"), ["10%", "20%", "error: x"]);
        assert_eq!(clean("section_start:1560896352:step\r\u{1b}[0Ktext"), ["section_start:1560896352:step", "text"]);
        assert_eq!(clean("\tfoo is needed by bar"), ["\tfoo is needed by bar"]);
    }

    #[test]
    fn lines_come_whole_however_they_are_fed_and_never_too_long() {
        let text = b"one\ntwo\xff\n\nfour";
        for size in 1..=text.len() {
            let (mut splitter, mut seen) = (Splitter::default(), Vec::new());
            for part in text.chunks(size) {
                splitter.feed(part, |line| seen.push(line.to_vec()));
            }
            splitter.finish(|line| seen.push(line.to_vec()));
            assert_eq!(seen, [&b"one"[..], b"two\xff", b"", b"four"], "in parts of {size}");
        }
        let (mut splitter, mut seen) = (Splitter::default(), Vec::new());
        for _ in 0..100 {
            splitter.feed(&[b'x'; 4096], |line| seen.push(line.len()));
        }
        splitter.feed(b"\nshort\n", |line| seen.push(line.len()));
        assert_eq!(seen, [LONGEST, 5]);
    }

    #[test]
    fn commands_and_code_are_no_messages() {
        for (line, kind) in [
            ("+ echo error", Kind::Trace),
            ("++ cat x", Kind::Trace),
            ("  CC [M]  mm/oom_kill.o", Kind::Step),
            ("  CC      fs/quota/quota.o", Kind::Step),
            ("   12 |   panic(\"No space left on device\");", Kind::Code),
            ("      |   ^~~~~", Kind::Code),
            ("if [ -z \"$x\" ]; then echo \"pesigning failed\"; exit 1; fi", Kind::Code),
            ("warning: File not found: /x", Kind::Code),
            ("a.c:1:2: warning: no", Kind::Code),
            ("  LD: out of memory", Kind::Message),
            ("make: *** [x] Error 1", Kind::Message),
        ] {
            assert_eq!(Kind::of(line), kind, "{line}");
        }
    }
}
