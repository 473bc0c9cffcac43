//! What the processes of a group are doing, from /proc: a kernel built with `make -s` prints nothing for hours.

use std::path::Path;

/// Returns the source file that a compiler or assembler in this process group is working on, if there is one.
#[must_use]
pub fn compiling(group: i32) -> Option<String> {
    let group = group.to_string();
    fs_err::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let dir = entry.path();
        let stat = fs_err::read_to_string(dir.join("stat")).ok()?;
        // The name in parentheses may hold anything; state, parent and group follow the last one.
        let (head, tail) = stat.rsplit_once(") ")?;
        let name = head.split_once('(')?.1;
        let mut fields = tail.split(' ');
        let in_group = fields.nth(2)? == group;
        if !in_group || !matches!(name, "cc1" | "cc1plus" | "as") {
            return None;
        }
        let arguments = fs_err::read(dir.join("cmdline")).ok()?;
        arguments.split(|byte| *byte == 0).rev().find_map(source)
    })
}

fn source(argument: &[u8]) -> Option<String> {
    let argument = std::str::from_utf8(argument).ok()?;
    let ending = Path::new(argument).extension()?.to_str()?;
    matches!(ending, "c" | "S" | "cc").then(|| argument.to_owned())
}
