//! The machine and its accounts and directories, as far as a request is about them.

use std::path::Path;

use super::args::Build;
use super::{preflight, prepare, signing};
use crate::error::Error;
use crate::pipeline::manifest::Manifest;
use crate::pipeline::measured;
use crate::plan::Layout;
use crate::plan::host::{Account, Builder, Host, Place, Refused};
use crate::plan::in_memory::Memory;
use crate::plan::preflight::People;
use crate::plan::request::BaseConfig;
use crate::sys::probe::{self, Facts};
use crate::sys::survey;
use crate::sys::user::{self, Entry};

/// Who builds when root starts kbuild and names nobody.
const BUILDER: &str = "mockbuild";

/// Says who is to build, as far as the account exists.
///
/// # Errors
/// The account database cannot be read.
pub(super) fn builder(facts: &Facts, asked: Option<&str>) -> Result<Builder, Error> {
    let named = match asked {
        Some(name) if name == facts.me.name => None,
        Some(name) => Some(name),
        None if facts.me.uid == 0 => Some(BUILDER),
        None => None,
    };
    Ok(match named {
        None => Builder::Me,
        Some(name) => match user::find(name).map_err(unreadable)? {
            Some(entry) => Builder::Other(account(&entry)),
            None => Builder::Missing(name.to_owned()),
        },
    })
}

fn unreadable(source: std::io::Error) -> Error {
    Error::Host { what: "the account database cannot be read".into(), source }
}

/// The account that works: nobody has more rights than one that does not exist yet will have.
pub(super) fn worker(facts: &Facts, builder: &Builder) -> Entry {
    match builder {
        Builder::Me => facts.me.clone(),
        Builder::Other(account) => Entry {
            name: account.name.clone(),
            uid: account.uid.unwrap_or(u32::MAX),
            gid: account.gid.unwrap_or(u32::MAX),
        },
        Builder::Missing(name) => Entry { name: name.clone(), uid: u32::MAX, gid: u32::MAX },
    }
}

/// Who started kbuild, and who builds.
pub(super) fn people(facts: &Facts, builder: &Builder) -> People {
    let me = facts.me.name.clone();
    let (builder, to_be_made) = match builder {
        Builder::Me => (me.clone(), false),
        Builder::Other(account) => (account.name.clone(), false),
        Builder::Missing(name) => (name.clone(), true),
    };
    // One without an entry is called by its number.
    People { known: me != facts.me.uid.to_string(), me, uid: facts.me.uid, builder, to_be_made }
}

/// A directory that this account is to use.
pub(super) fn place(path: &Path, user: &Entry) -> Place {
    let refused = probe::unusable(path, user).map(|(why, hint)| Refused { why, hint });
    Place { path: path.to_owned(), refused }
}

/// Puts the facts about the machine together with what was asked.
pub(super) fn host(facts: &Facts, args: &Build, work: &Path, out: &Path) -> Result<Host, Error> {
    let builder = builder(facts, args.user.as_deref())?;
    let worker = worker(facts, &builder);
    let at_work = place(work, &worker);
    if let (Builder::Missing(name), Some(_)) = (&builder, &at_work.refused)
        && user::find(name).map_err(unreadable)?.is_some()
    {
        // Another kbuild has just made both.
        return host(facts, args, work, out);
    }
    Ok(Host {
        me: account(&facts.me),
        arch: facts.arch.clone(),
        cpus: facts.cpus,
        rpm_database: facts.rpm_database,
        sh_is_bash: facts.sh_is_bash,
        tools: facts.tools.clone(),
        path: facts.path.clone(),
        work: our_own(at_work),
        out: apart(place(out, &facts.me), work),
        tree: args
            .routes
            .tree
            .as_deref()
            .map(|dir| Ok::<_, Error>(room(&prepare::absolute(dir)?, &worker, work, out)))
            .transpose()?,
        memory: args.pace.tmpfs.as_deref().map(|dir| in_memory(dir, &worker, work)).transpose()?,
        running: facts.running.clone(),
        running_config: running_config(args, facts),
        out_holds: Manifest::read(out).map(|earlier| earlier.nvr),
        kept_certificate: signing::kept(args.signing.kept_in.as_deref().unwrap_or(work)),
        builder,
    })
}

/// What is known of the directory that is to hold rpmbuild's trees in memory.
fn in_memory(dir: &Path, worker: &Entry, work: &Path) -> Result<Memory, Error> {
    let dir = prepare::absolute(dir)?;
    Ok(Memory {
        room: preflight::room(&dir),
        available: survey::memory(),
        measured: measured::read_all(work),
        place: plainly_named(place(&dir, worker)),
    })
}

/// Refuses a work directory with files that are not kbuild's, such as a home directory with somebody's `rpmbuild`: a
/// build clears away what an earlier one left.
pub(super) fn our_own(work: Place) -> Place {
    let mut work = plainly_named(work);
    let mark = Layout::of(&work.path).lock();
    let strange = fs_err::read_dir(&work.path).is_ok_and(|mut entries| entries.next().is_some());
    if work.refused.is_none() && strange && fs_err::symlink_metadata(mark).is_err() {
        work.refused = Some(Refused {
            why: "it holds files that are not kbuild's".into(),
            hint: "name an empty directory, or one that does not exist yet".into(),
        });
    }
    work
}

/// Refuses a name that rpmbuild would not come through with.
fn plainly_named(mut place: Place) -> Place {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+,:@=~".contains(byte);
    if !place.path.as_os_str().as_encoded_bytes().iter().all(plain) {
        place.refused = Some(Refused {
            why: "rpm expands macros in this name, or a spec's scripts would split it".into(),
            hint: "name another directory with `--work`: letters, digits and a few signs, no blanks".into(),
        });
    }
    place
}

/// The directory of the route `tree`: one that is empty or missing, which the building user can write to.
fn room(dir: &Path, worker: &Entry, work: &Path, out: &Path) -> Place {
    let refused = |why: String, hint: &str| Some(Refused { why, hint: hint.to_owned() });
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+,@=~".contains(byte);
    let another = "name a directory with `--tree` that is empty or does not exist yet";
    let refused = if !dir.as_os_str().as_encoded_bytes().iter().all(plain) {
        refused("make of a kernel splits names at blanks and colons".into(), another)
    } else if probe::is_headers_tree(dir) {
        refused(
            "it is a headers tree of kernel-devel, without sources: make there ends with \"No rule to make target \
             `missing-syscalls'\""
                .into(),
            another,
        )
    } else if fs_err::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        refused("it is not empty".into(), another)
    } else if dir.starts_with(work) || dir.starts_with(out) {
        refused("it is in the directory for work or for results".into(), another)
    } else {
        probe::unusable(dir, worker).map(|(why, hint)| Refused { why, hint })
    };
    Place { path: dir.to_owned(), refused }
}

/// The configuration of the running kernel, where a tree is to be made and none was named.
fn running_config(args: &Build, facts: &Facts) -> Option<BaseConfig> {
    let wanted = args.routes.tree.is_some() && args.routes.config.is_none();
    let path = format!("/boot/config-{}", facts.running);
    let text = wanted.then(|| fs_err::read_to_string(&path).ok()).flatten()?;
    Some(BaseConfig { origin: path, text })
}

/// Refuses results below the work directory: a build clears that away, and it belongs to the building user.
fn apart(mut out: Place, work: &Path) -> Place {
    if out.path.starts_with(work) {
        out.refused = Some(Refused {
            why: format!("it is in the work directory `{}`", work.display()),
            hint: "name another directory with `--out`".into(),
        });
    }
    out
}

fn account(entry: &Entry) -> Account {
    Account { name: entry.name.clone(), uid: Some(entry.uid), gid: Some(entry.gid) }
}
