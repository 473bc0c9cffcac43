//! Looks at the machine: the one place that reads the environment.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::user::{self, Entry};

/// Programs that a plan may name.
pub(crate) const TOOLS: [&str; 14] = [
    "rpmbuild",
    "rpmspec",
    "useradd",
    "qemu-system-x86_64",
    "busybox",
    "make",
    "depmod",
    "installkernel",
    "gcc",
    "strip",
    "patch",
    "openssl",
    "ccache",
    "distcc",
];
/// Those of them that are where only root looks.
const OF_ROOT: [&str; 3] = ["useradd", "depmod", "installkernel"];

/// What can be known without a request.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Who runs this.
    pub me: Entry,
    /// The machine's architecture as rpm calls it.
    pub arch: String,
    /// Processors that can be used.
    pub cpus: u32,
    /// Whether installed packages are in an rpm database.
    pub rpm_database: bool,
    /// Whether `/bin/sh` is bash.
    pub sh_is_bash: bool,
    /// Programs found.
    pub tools: BTreeMap<String, PathBuf>,
    /// `PATH` without its relative entries.
    pub path: String,
    /// Where work goes if the user says nothing.
    pub default_work: PathBuf,
    /// What `uname -r` says here.
    pub running: String,
}

/// Gathers the facts.
#[must_use]
pub fn facts() -> Facts {
    let me = user::me();
    let path = path();
    Facts {
        arch: std::env::consts::ARCH.to_owned(),
        cpus: std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1)),
        rpm_database: rpm_database(),
        sh_is_bash: fs_err::canonicalize("/bin/sh").is_ok_and(|shell| shell.ends_with("bash")),
        tools: tools(&path),
        default_work: default_work(me.uid),
        running: fs_err::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        path,
        me,
    }
}

fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the place where the environment is read")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the configuration files in order, and whether the user named the one and only.
#[must_use]
pub fn config_files() -> (Vec<PathBuf>, bool) {
    if let Some(named) = variable("KBUILD_CONFIG") {
        return (vec![PathBuf::from(named)], true);
    }
    let home = || variable("HOME").map(|home| PathBuf::from(home).join(".config"));
    let users = variable("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    let dirs = users.into_iter().chain([PathBuf::from("/etc")]);
    (dirs.map(|dir| dir.join("kbuild/config.toml")).collect(), false)
}

/// Whether colours are unwanted, as <https://no-color.org> has it.
#[must_use]
pub fn no_colour() -> bool {
    variable("NO_COLOR").is_some()
}

fn path() -> String {
    let path = variable("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into());
    path.split(':').filter(|entry| entry.starts_with('/')).collect::<Vec<_>>().join(":")
}

/// Returns what gpg finds its keys and its agent by, and the agent whoever has to be asked for a passphrase.
#[must_use]
pub fn for_gpg() -> BTreeMap<String, String> {
    let names =
        ["HOME", "GNUPGHOME", "GPG_TTY", "XDG_RUNTIME_DIR", "DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"];
    let set = names.iter().filter_map(|name| Some(((*name).to_owned(), variable(name)?)));
    set.chain([("PATH".to_owned(), path()), ("LANG".to_owned(), "C.UTF-8".to_owned())]).collect()
}

/// Returns the variables that tell programs of a proxy, and those to find programs by.
#[must_use]
pub fn for_package_managers() -> BTreeMap<String, String> {
    let proxies = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy"];
    let set = proxies.iter().filter_map(|name| Some(((*name).to_owned(), variable(name)?)));
    set.chain([
        ("PATH".to_owned(), path() + ":/usr/sbin:/sbin"),
        ("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned()),
    ])
    .collect()
}

/// Returns the program of this name in the directories of a `PATH`, or where root's programs are.
#[must_use]
pub fn find(path: &str, name: &str) -> Option<PathBuf> {
    let runs = |file: &PathBuf| access(file, AccessFlags::X_OK).is_ok() && file.is_file();
    path.split(':').chain(["/usr/sbin", "/sbin"]).map(|dir| Path::new(dir).join(name)).find(runs)
}

/// Finds each program: `KBUILD_RPMBUILD=/path` and the like first, then `PATH`, then where root's programs are.
fn tools(path: &str) -> BTreeMap<String, PathBuf> {
    TOOLS.iter().filter_map(|name| Some(((*name).to_owned(), tool(path, name)?))).collect()
}

/// Finds one program in the same way.
#[must_use]
pub fn tool(path: &str, name: &str) -> Option<PathBuf> {
    let runs = |file: &PathBuf| access(file, AccessFlags::X_OK).is_ok() && file.is_file();
    let override_name = format!("KBUILD_{}", name.to_uppercase().replace('-', "_"));
    let named = variable(&override_name).map(PathBuf::from);
    let of_root = OF_ROOT.contains(&name).then_some(["/usr/sbin", "/sbin"]);
    let dirs = path.split(':').chain(of_root.into_iter().flatten());
    named.or_else(|| dirs.map(|dir| Path::new(dir).join(name)).find(runs))
}

/// A host has its packages in an rpm database if rpm's directory holds one that is not empty; on Debian the directory
/// is missing, or empty after `rpm` was installed.
fn rpm_database() -> bool {
    ["/var/lib/rpm", "/usr/lib/sysimage/rpm"].iter().any(|dir| {
        ["Packages", "rpmdb.sqlite", "Packages.db"]
            .iter()
            .any(|file| fs_err::metadata(Path::new(dir).join(file)).is_ok_and(|details| details.len() > 0))
    }) && fs_err::metadata("/var/lib/dpkg/status").is_err()
}

fn default_work(uid: u32) -> PathBuf {
    if uid == 0 {
        return PathBuf::from("/var/cache/kbuild");
    }
    let cache = variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let home = || variable("HOME").map(|home| Path::new(&home).join(".cache"));
    cache.or_else(home).unwrap_or_else(|| std::env::temp_dir().join(format!("kbuild-{uid}"))).join("kbuild")
}

/// Says why an account could not make or use a directory, if so: the reason and what to do.
///
/// Looks at permission bits as the kernel would for that account (its main group only: supplementary groups are
/// dropped before a build), and asks the kernel itself where it is our own.
#[must_use]
pub fn unusable(dir: &Path, account: &Entry) -> Option<(String, String)> {
    let mine = account.uid == user::me().uid;
    let mut parents = dir.ancestors();
    let (nearest, exists) = loop {
        let Some(at) = parents.next() else { return Some(("it has no parent".into(), "name another one".into())) };
        match fs_err::symlink_metadata(at) {
            Ok(_) => break (at, at == dir),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Some((error.to_string(), "name another directory".into())),
        }
    };
    let shown = nearest.display();
    let Ok(details) = fs_err::metadata(nearest) else {
        return Some((format!("`{shown}` cannot be followed"), "name another directory".into()));
    };
    if !details.is_dir() {
        return Some((format!("`{shown}` is not a directory"), "name another directory".into()));
    }
    // The account must get to the directory: through every parent that is there.
    for at in nearest.ancestors().skip(usize::from(exists)) {
        let enterable = fs_err::metadata(at).is_ok_and(|details| allowed(&details, account, 0o1));
        if !enterable {
            return Some((
                format!("`{}` cannot enter `{}`", account.name, at.display()),
                "name a directory that this user can reach, such as one below /var/cache or /var/tmp".into(),
            ));
        }
    }
    // Root makes a missing directory and gives it away; an existing one must be the account's to write.
    let writer = if exists { account } else { &user::me() };
    let writable = if mine || !exists {
        access(nearest, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
    } else {
        allowed(&details, account, 0o3) && access(nearest, AccessFlags::W_OK).is_ok()
    };
    (!writable).then(|| {
        (
            format!("`{}` cannot write to `{shown}`", writer.name),
            format!("name another directory, or `chown {} {shown}`", account.name),
        )
    })
}

/// Whether a directory is what kernel-devel packages install: Makefiles, headers and scripts of a kernel, without its
/// sources. Every source tree has `init/main.c`.
#[must_use]
pub fn is_headers_tree(dir: &Path) -> bool {
    let has = |name: &str| fs_err::metadata(dir.join(name)).is_ok();
    has("Makefile") && has("include") && has("scripts") && !has("init/main.c")
}

fn allowed(details: &std::fs::Metadata, account: &Entry, bits: u32) -> bool {
    let mode = details.permissions().mode();
    let shift = match (details.uid() == account.uid, details.gid() == account.gid) {
        (true, _) => 6,
        (false, true) => 3,
        (false, false) => 0,
    };
    account.uid == 0 || (mode >> shift) & bits == bits
}

/// Returns a path as an absolute one without `..`, whether it exists or not: whatever is compared with it, such as `$PWD` of a build,
/// has none either.
///
/// # Errors
/// The present directory is gone.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    let joined = std::path::absolute(path)?;
    let mut found = PathBuf::new();
    for part in joined.components() {
        if part == Component::ParentDir {
            // What is above a link's target is not above the link.
            found = fs_err::canonicalize(&found).unwrap_or(found);
            found.pop();
        } else {
            found.push(part);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_no_way_back_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let top = fs_err::canonicalize(dir.path()).unwrap();
        fs_err::create_dir_all(top.join("a/b")).unwrap();
        fs_err::os::unix::fs::symlink("a/b", top.join("link")).unwrap();
        let of = |text: &str| absolute(&top.join(text)).unwrap();
        assert_eq!(of("a/../c/./d"), top.join("c/d"));
        assert_eq!(of("link/../e"), top.join("a/e"));
        assert_eq!(of("no/such/../../f"), top.join("f"));
        assert_eq!(of("link/f"), top.join("link/f"));
        assert_eq!(absolute(Path::new("/../..")).unwrap(), Path::new("/"));
    }
}
