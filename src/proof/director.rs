//! Looks at a director: what its kernel is, how IPVS is there, which table it has and what it carries.
//!
//! Only files are read, all below one root, so a copy of a machine's files can be looked at like a machine. Nothing is
//! run and nothing is changed. What cannot be read is noted and is no failure.

mod files;
mod modules;

use std::io::{self, BufRead, BufReader, Read};

use crate::ipvs::bits::Bits;
use crate::ipvs::present;
use crate::ipvs::size::connections::{List, Malformed};
use crate::plan::director::{Director, Presence, Seen};
use crate::proof::console;
use crate::sys::tree::Tree;
use files::Look;

/// Where a kernel lists its connections.
pub const LIST: &str = "proc/net/ip_vs_conn";
/// Bytes of a line that are read: the longest that a kernel prints has some 700 (a persistence engine's data).
const LINE: u64 = 4096;

/// Why a list of connections was not read.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// Its file could not be read.
    #[error(transparent)]
    Read(io::Error),
    /// A line is no connection.
    #[error("line {line}: {fault}")]
    Malformed {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        fault: Malformed,
    },
}

/// Reads a list of connections.
///
/// # Errors
/// It cannot be read, is empty, or has a line that is no connection.
pub fn connections(input: &mut dyn BufRead) -> Result<List, ListError> {
    let mut list = List::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.take(LINE).read_until(b'\n', &mut line).map_err(ListError::Read)?;
        if read == 0 && list.lines() > 0 {
            return Ok(list);
        }
        // The data of a persistence engine need not be UTF-8. What is empty from the start is no list.
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        list.line(text).map_err(|fault| ListError::Malformed { line: list.lines(), fault })?;
    }
}

/// Looks at a director. Returns what was seen, and its connections.
#[must_use]
pub fn look(tree: &Tree) -> (Director, Option<List>) {
    let mut look = Look::new(tree);
    let mut director = Director { release: release(&mut look), container: container(&mut look), ..Director::default() };
    modules::look(&mut look, &mut director);
    table(&mut look, &mut director);
    configured(&mut look, &mut director);
    director.entry_bytes = entry_bytes(&mut look);
    let list = list(&mut look, tree);
    director.connections = list.as_ref().map(|list| list.keys().len() as u64);
    director.unread = look.unread;
    (director, list)
}

/// The kernel that runs; in a tree without /proc, the one whose modules are there, if they are of one alone.
fn release(look: &mut Look<'_>) -> Option<crate::ipvs::size::era::Release> {
    let named = look.text("proc/sys/kernel/osrelease").map(|text| text.trim().to_owned());
    let named = named.or_else(|| match look.names("lib/modules")?.as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    })?;
    named.parse().map_err(|error| look.unread.push(format!("the release of the kernel: {error}"))).ok()
}

/// The sign that this is a container: what podman and docker leave, and what systemd is told.
fn container(look: &mut Look<'_>) -> Option<String> {
    ["run/.containerenv", ".dockerenv", "run/systemd/container"]
        .into_iter()
        .find(|path| look.has(path))
        .map(|path| format!("/{path}"))
}

/// The table that is there.
fn table(look: &mut Look<'_>, director: &mut Director) {
    const HEADING: &str = "proc/net/ip_vs";
    const VALUE: &str = "sys/module/ip_vs/parameters/conn_tab_bits";
    director.value = look.text(VALUE).and_then(|text| text.trim().parse().ok());
    let heading = look.text(HEADING).and_then(|text| present::heading(&text));
    if director.loaded.is_none() && heading.is_some() {
        director.loaded = Some(true);
    }
    director.buckets = heading.map(|buckets| Seen::by(buckets, format!("/{HEADING}")));
    // Logs of an earlier boot do not count, so they are asked only if IPVS works now.
    if director.buckets.is_none() && director.loaded == Some(true) {
        director.buckets = ["var/log/dmesg", "var/log/messages"].into_iter().find_map(|path| {
            let text = look.text(path)?;
            let size = console::read_console(&text).table_size?;
            Some(Seen::by(size, format!("/{path}")))
        });
    }
    if director.buckets.is_none()
        && let Some(value) = director.value
    {
        director.buckets = Some(Seen::by(value.buckets(), format!("/{VALUE}")));
    }
}

/// What is set for the next time: by modprobe's files, or for a kernel with IPVS built in by its command line.
fn configured(look: &mut Look<'_>, director: &mut Director) {
    const COMMAND_LINE: &str = "proc/cmdline";
    let argument = look.text(COMMAND_LINE).and_then(|text| present::argument(&text).map(str::to_owned));
    let argument = argument.map(|value| Seen::by(value, format!("/{COMMAND_LINE}")));
    director.configured = match director.ipvs {
        Presence::BuiltIn { .. } => argument,
        // modprobe reads the command line, too, after its files.
        _ => argument.or_else(|| options(look)),
    };
}

/// The option in modprobe's files. A file hides those of its name in later directories; all others are read by name.
fn options(look: &mut Look<'_>) -> Option<Seen<String>> {
    let mut files = std::collections::BTreeMap::new();
    for dir in ["etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d", "usr/lib/modprobe.d", "lib/modprobe.d"]
    {
        for name in look.names(dir).unwrap_or_default() {
            // module-init-tools of el5 takes files without an ending.
            if name.strip_suffix(".conf").is_some() || !name.contains('.') {
                files.entry(name.clone()).or_insert_with(|| format!("{dir}/{name}"));
            }
        }
    }
    let all = std::iter::once("etc/modprobe.conf".to_owned()).chain(files.into_values());
    let found = all.filter_map(|path| {
        let (line, value) = present::options(&look.text(&path)?)?;
        Some(Seen::by(value, format!("/{path}:{line}")))
    });
    found.last()
}

/// Bytes of an entry, as the kernel's allocator says: to root in slabinfo, to everybody in /sys.
fn entry_bytes(look: &mut Look<'_>) -> Option<Seen<u64>> {
    const SLABS: &str = "proc/slabinfo";
    const SLAB: &str = "sys/kernel/slab/ip_vs_conn/slab_size";
    let of_sys = look.text_quietly(SLAB).and_then(|text| text.trim().parse().ok());
    if let Some(bytes) = of_sys {
        return Some(Seen::by(bytes, format!("/{SLAB}")));
    }
    let text = look.text_quietly(SLABS)?;
    // name, active objects, objects, size of one.
    let line = text.lines().find(|line| line.split_whitespace().next() == Some("ip_vs_conn"))?;
    let bytes = line.split_whitespace().nth(3)?.parse().ok()?;
    Some(Seen::by(bytes, format!("/{SLABS}")))
}

fn list(look: &mut Look<'_>, tree: &Tree) -> Option<List> {
    let path = look.find(LIST)?;
    let read = fs_err::File::open(path)
        .map_err(ListError::Read)
        .and_then(|file| connections(&mut BufReader::with_capacity(1 << 20, file)));
    match read {
        Ok(list) => Some(list),
        Err(ListError::Read(error)) => {
            look.unread.push(error.to_string());
            None
        }
        Err(error) => {
            look.unread.push(format!("`{}`, {error}", tree.path(LIST).display()));
            None
        }
    }
}

/// The bits that a text holds, if it holds some.
fn bits(text: &str) -> Option<Bits> {
    text.trim().parse().ok()
}
