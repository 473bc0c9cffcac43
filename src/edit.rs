//! Text edits as pure functions: config sources, the spec's buildid, the spec's patch hook.
//!
//! Every edit works on bytes (a spec may hold anything in its changelog), changes only the lines it names, proves that
//! it applied, and gives the same result when applied to its own output.

pub mod config;
pub mod diff;
pub mod hook;
pub mod spec;

use serde::{Deserialize, Serialize};

/// A text after an edit, with what changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The new text.
    pub text: Vec<u8>,
    /// The lines that differ, in order; empty when the text already was as asked.
    pub changes: Vec<Change>,
}

/// One changed line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Change {
    /// Line number in the text before the edit, from 1; for an added line, the number it gets.
    pub line: usize,
    /// The line before; `None` when it was added.
    pub before: Option<String>,
    /// The line after.
    pub after: String,
}

/// Why an edit does not apply. `file` is the name that the caller gave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The line to be changed is not there.
    #[error("`{file}` has no line {what}, expected at least one")]
    Missing {
        /// The file.
        file: String,
        /// What was looked for.
        what: String,
    },
    /// A line reads otherwise than when the edit was planned.
    #[error("line {line} of `{file}`: expected `{expected}`, found {}", quoted(found.as_deref()))]
    Differs {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What it should read.
        expected: String,
        /// What it reads; `None` when the text is shorter.
        found: Option<String>,
    },
    /// The patch hook already holds something that is not ours.
    #[error("`{file}` already holds {bytes} bytes, expected the empty file of an unmodified source package")]
    HookTaken {
        /// The file.
        file: String,
        /// Its size.
        bytes: usize,
    },
}

fn quoted(line: Option<&str>) -> String {
    line.map_or_else(|| "no such line".to_owned(), |line| format!("`{line}`"))
}

/// Splits a text into lines that keep their ends, so that joining them gives the text back byte for byte.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

/// Returns a line without its end, and the end (`\n`, `\r\n` or nothing).
fn split_end(line: &[u8]) -> (&[u8], &[u8]) {
    let body = line.strip_suffix(b"\n").unwrap_or(line);
    let body = body.strip_suffix(b"\r").unwrap_or(body);
    line.split_at(body.len())
}

/// How a line ends after an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// As it did.
    Same,
    /// With LF alone, if it has an end.
    Unix,
}

/// Replaces one line and says what changed.
fn replace_line(text: &[u8], number: usize, new: &str, ending: End) -> Edited {
    let mut out = Vec::with_capacity(text.len() + new.len());
    let mut changes = Vec::new();
    for (index, line) in lines(text).enumerate() {
        if index + 1 != number {
            out.extend_from_slice(line);
            continue;
        }
        let (body, old_end) = split_end(line);
        let end = match ending {
            End::Unix if !old_end.is_empty() => b"\n",
            _ => old_end,
        };
        if (body, old_end) != (new.as_bytes(), end) {
            let before = Some(String::from_utf8_lossy(body).into_owned());
            changes.push(Change { line: number, before, after: new.to_owned() });
        }
        out.extend_from_slice(new.as_bytes());
        out.extend_from_slice(end);
    }
    Edited { text: out, changes }
}
