//! Unified diffs, taken apart: which files they change, and the part that changes some of them.

use std::ops::Range;

/// The part of a diff that changes one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its path before the change, as the diff has it; `/dev/null` for a new file.
    pub before: String,
    /// Its path after the change; `/dev/null` for one that goes.
    pub after: String,
    /// Its bytes in the diff: the two lines of its head, and its hunks.
    pub range: Range<usize>,
}

impl Section {
    /// Returns the path below the top of the tree, with as many directories taken off as `patch -pN` does.
    #[must_use]
    pub fn path(&self, strip: usize) -> Option<&str> {
        let named = if self.after == "/dev/null" { &self.before } else { &self.after };
        let mut rest = named.as_str();
        for _ in 0..strip {
            rest = rest.split_once('/')?.1.trim_start_matches('/');
        }
        Some(rest)
    }
}

/// What a diff does to files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// The changes, file by file.
    pub sections: Vec<Section>,
    /// Paths that are renamed or copied, which git's diffs say without a hunk.
    pub moved: Vec<String>,
}

/// Takes a diff apart.
///
/// Hunks are followed by the numbers in their heads, so that a removed line that begins with `--` is not taken for the
/// head of a file.
#[must_use]
pub fn parse(text: &[u8]) -> Diff {
    let mut diff = Diff::default();
    let lines = lines(text);
    let mut at = 0;
    while let Some((line, range)) = lines.get(at) {
        let after = lines.get(at + 1).and_then(|(next, _)| path(next, b"+++ "));
        if let (Some(before), Some(after)) = (path(line, b"--- "), after) {
            at += 2;
            while let Some((old, new)) = lines.get(at).and_then(|(line, _)| hunk(line)) {
                at = skip(&lines, at + 1, old, new);
            }
            let end = at.checked_sub(1).and_then(|last| lines.get(last)).map_or(text.len(), |(_, range)| range.end);
            diff.sections.push(Section { before, after, range: range.start..end });
            continue;
        }
        let moved = ["rename from ", "rename to ", "copy to "];
        if let Some(name) = moved.iter().find_map(|head| line.strip_prefix(head.as_bytes())) {
            diff.moved.push(String::from_utf8_lossy(name).into_owned());
        }
        at += 1;
    }
    diff
}

/// The lines of a text without their ends, and where they are with them.
fn lines(text: &[u8]) -> Vec<(&[u8], Range<usize>)> {
    let mut start = 0;
    text.split_inclusive(|byte| *byte == b'\n')
        .map(|line| {
            let range = start..start + line.len();
            start = range.end;
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            (line.strip_suffix(b"\r").unwrap_or(line), range)
        })
        .collect()
}

fn path(line: &[u8], head: &[u8]) -> Option<String> {
    let rest = String::from_utf8_lossy(line.strip_prefix(head)?).into_owned();
    // A tab, or two blanks and a date, may follow.
    let name = rest.split('\t').next().unwrap_or_default().split("  ").next().unwrap_or_default();
    let name = name.split(" 1970-01-01").next().unwrap_or_default().trim_end();
    (!name.is_empty()).then(|| name.to_owned())
}

/// `@@ -a,b +c,d @@` has b old and d new lines; 1 where the number is missing.
fn hunk(line: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(line.strip_prefix(b"@@ -")?.split(|byte| *byte == b'@').next()?).ok()?;
    let (old, new) = text.trim_end().split_once(" +")?;
    let count = |part: &str| part.split_once(',').map_or(Some(1), |(_, count)| count.parse().ok());
    Some((count(old)?, count(new)?))
}

/// Returns the line after a hunk's.
fn skip(lines: &[(&[u8], Range<usize>)], mut at: usize, mut old: u64, mut new: u64) -> usize {
    while let Some((line, _)) = lines.get(at) {
        match line.first() {
            // No newline at the end of the file.
            Some(b'\\') => {}
            _ if old == 0 && new == 0 => break,
            Some(b'-') => old = old.saturating_sub(1),
            Some(b'+') => new = new.saturating_sub(1),
            // Editors cut the blank off an empty line of context.
            Some(b' ') | None => (old, new) = (old.saturating_sub(1), new.saturating_sub(1)),
            Some(_) => break,
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "Some words.\n\ndiff --git a/net/x.c b/net/x.c\nindex 1..2 100644\n--- a/net/x.c\t2012-01-01\n\
                       +++ b/net/x.c\t2012-01-02\n@@ -1,3 +1,3 @@ int x;\n one\n--- two\n+++ zwei\n three\n\
                       --- a/net/y.c\n+++ b/net/y.c\n@@ -4 +4 @@\n-a\n+b\n\\ No newline at end of file\n-- \n2.1\n";

    #[test]
    fn files_are_told_apart_and_removed_lines_are_no_heads() {
        let diff = parse(TWO.as_bytes());
        let paths: Vec<_> = diff.sections.iter().filter_map(|section| section.path(1)).collect();
        assert_eq!(paths, ["net/x.c", "net/y.c"]);
        let text = |index: usize| TWO.get(diff.sections[index].range.clone()).unwrap();
        assert!(text(0).starts_with("--- a/net/x.c") && text(0).ends_with(" three\n"), "{}", text(0));
        assert_eq!(text(1), "--- a/net/y.c\n+++ b/net/y.c\n@@ -4 +4 @@\n-a\n+b\n\\ No newline at end of file\n");
    }

    #[test]
    fn new_files_files_that_go_and_renames_are_named() {
        let diff = parse(
            b"--- /dev/null\n+++ b/net/new.c\n@@ -0,0 +1 @@\n+x\n--- a/net/old.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n",
        );
        let paths: Vec<_> = diff.sections.iter().filter_map(|section| section.path(1)).collect();
        assert_eq!(paths, ["net/new.c", "net/old.c"]);
        assert_eq!(parse(b"rename from net/a.c\nrename to net/b.c\n").moved, ["net/a.c", "net/b.c"]);
        let deep = parse(b"--- linux-2.6.18/net/x.c.orig  2006-01-01\n+++ linux-2.6.18/net/x.c\n");
        assert_eq!(deep.sections[0].path(1), Some("net/x.c"));
        assert_eq!(deep.sections[0].path(0), Some("linux-2.6.18/net/x.c"));
        assert_eq!(deep.sections[0].before, "linux-2.6.18/net/x.c.orig");
    }
}
