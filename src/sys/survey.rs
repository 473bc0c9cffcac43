//! What a machine has beyond programs: room, memory, entropy, what it runs in, what is installed.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

use super::exec;
use crate::command::Command;

/// The file system that a directory is on, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// Such as `ext4` or `overlay`; empty if the kernel does not say.
    pub kind: String,
    /// All its bytes.
    pub size: u64,
    /// Bytes that an ordinary user can still write.
    pub free: u64,
    /// Files that can still be made; `None` where there is no limit.
    pub inodes: Option<u64>,
    /// Programs on it cannot be run.
    pub noexec: bool,
    /// Nothing can be written.
    pub read_only: bool,
    /// `a` and `A` are one file.
    pub folds_case: bool,
}

/// Looks at the file system of a directory, or of the nearest one above it that is there.
#[must_use]
pub fn file_system(dir: &Path) -> Option<FileSystem> {
    let nearest = dir.ancestors().find(|dir| dir.is_dir())?;
    let known = statvfs(nearest).ok()?;
    let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let real = fs_err::canonicalize(nearest).unwrap_or_else(|_| nearest.to_owned());
    let flags = known.flags();
    // What has no limit says that it has no files at all.
    let inodes = (known.files() > 0).then(|| known.files_available());
    Some(FileSystem {
        kind: kind(&mounts, &real).unwrap_or_default(),
        size: known.blocks().saturating_mul(known.fragment_size()),
        free: known.blocks_available().saturating_mul(known.fragment_size()),
        inodes,
        noexec: flags.contains(FsFlags::ST_NOEXEC),
        read_only: flags.contains(FsFlags::ST_RDONLY),
        folds_case: folds_case(nearest),
    })
}

/// Returns the type of the file system that a path is on, by `/proc/self/mountinfo` (proc(5)): the last mount of the
/// longest place that holds it.
fn kind(mounts: &str, path: &Path) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let (place, rest) = (line.split(' ').nth(4)?, line.split_once(" - ")?.1);
        let place = PathBuf::from(place.replace("\\040", " "));
        path.starts_with(&place).then(|| (place.components().count(), rest.split(' ').next().unwrap_or_default()))
    });
    mounts.max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind.to_owned())
}

/// Asks under another spelling for what is there.
fn folds_case(dir: &Path) -> bool {
    let Some(name) = dir.file_name().and_then(|name| name.to_str()) else { return false };
    let other: String = name
        .chars()
        .map(
            |letter| {
                if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
            },
        )
        .collect();
    let inode = |path: &Path| fs_err::metadata(path).ok().map(|details| details.ino());
    other != name && inode(dir).is_some() && inode(dir) == inode(&dir.with_file_name(other))
}

/// Returns how much memory can still be had, in bytes: what the kernel says, or what the control group leaves.
#[must_use]
pub fn memory() -> Option<u64> {
    let text = fs_err::read_to_string("/proc/meminfo").ok()?;
    let of_kernel = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?.trim();
    let of_kernel = of_kernel.strip_suffix(" kB")?.parse::<u64>().ok()? * 1024;
    let number = |path: &str| fs_err::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let left = |limit: &str, used: &str| Some(number(limit)?.saturating_sub(number(used).unwrap_or(0)));
    let of_group = left("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current")
        .or_else(|| left("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"));
    Some(of_group.map_or(of_kernel, |of_group| of_group.min(of_kernel)))
}

/// Returns how much entropy the kernel has gathered, in bits, on kernels where that can run out (before 5.18).
#[must_use]
pub fn entropy() -> Option<u32> {
    let size: u32 = number("/proc/sys/kernel/random/poolsize")?;
    // Since 5.18 pool and fill are always 256.
    (size > 256).then(|| number("/proc/sys/kernel/random/entropy_avail")).flatten()
}

fn number(path: &str) -> Option<u32> {
    fs_err::read_to_string(path).ok()?.trim().parse().ok()
}

/// Returns what the distribution calls itself.
#[must_use]
pub fn distribution() -> Option<String> {
    let release = fs_err::read_to_string("/etc/os-release").ok();
    let pretty = release.as_deref().and_then(|text| {
        text.lines().find_map(|line| Some(line.strip_prefix("PRETTY_NAME=")?.trim_matches('"').to_owned()))
    });
    // el5 and el6 have no os-release.
    pretty.or_else(|| Some(fs_err::read_to_string("/etc/redhat-release").ok()?.trim().to_owned()))
}

/// Returns which kind of container this is, if it is one, and the image that it was made of, where that is said.
#[must_use]
pub fn container() -> Option<(String, Option<String>)> {
    container_by(&|path| fs_err::read_to_string(path).ok(), &|path| Path::new(path).try_exists().unwrap_or(false))
}

/// Podman and Buildah say the image in /run/.containerenv, and image builders may have said it in os-release (`IMAGE_ID`,
/// `IMAGE_VERSION`; os-release(5)); systemd-nspawn and others say their name in /run/systemd/container.
fn container_by(
    read: &dyn Fn(&str) -> Option<String>,
    there: &dyn Fn(&str) -> bool,
) -> Option<(String, Option<String>)> {
    let value = |text: &str, key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        let value = value.trim().trim_matches(['"', '\'']);
        (!value.is_empty()).then(|| value.to_owned())
    };
    let of_podman = there("/run/.containerenv").then(|| read("/run/.containerenv").unwrap_or_default());
    let kind = if there("/var/run/secrets/kubernetes.io") {
        "Kubernetes".to_owned()
    } else if let Some(text) = &of_podman {
        let engine = value(text, "engine");
        // engine="podman-4.3.1"
        let name = engine.as_deref().and_then(|engine| engine.split('-').next()).filter(|name| !name.is_empty());
        match name {
            Some("podman") => "Podman".to_owned(),
            Some("buildah") => "Buildah".to_owned(),
            Some(name) => name.to_owned(),
            None => "Podman or Buildah".to_owned(),
        }
    } else if there("/.dockerenv") {
        "Docker".to_owned()
    } else {
        let name = read("/run/systemd/container")?.trim().to_owned();
        (!name.is_empty()).then_some(name)?
    };
    let of_release = || {
        let text = read("/etc/os-release")?;
        let name = value(&text, "IMAGE_ID")?;
        Some(value(&text, "IMAGE_VERSION").map_or(name.clone(), |version| format!("{name} {version}")))
    };
    let image = of_podman.as_deref().and_then(|text| value(text, "image")).or_else(of_release);
    Some((kind, image))
}

/// Whether the machine lets only signed kernels start; `None` if it does not say.
#[must_use]
pub fn secure_boot() -> Option<bool> {
    let dir = fs_err::read_dir("/sys/firmware/efi/efivars").ok()?;
    let variable = dir.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with("SecureBoot-"))?;
    // Four bytes of attributes, then the value.
    fs_err::read(variable.path()).ok()?.get(4).map(|value| *value == 1)
}

/// Which packages are installed, and what installs more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The package manager: `apt-get`, `dnf` or `yum`.
    pub manager: String,
    /// Names of packages, on rpm hosts also of what they provide.
    pub names: BTreeSet<String>,
    /// Whether its lists of what there is are missing, as in images from which they were removed.
    pub stale: bool,
}

/// Asks the host's package manager what is installed; `None` if there is none that is known.
#[must_use]
pub fn installed(find: &dyn Fn(&str) -> Option<PathBuf>) -> Option<Installed> {
    let list = |program: &str, args: &[&str]| {
        let program = find(program)?.display().to_string();
        exec::read(&Command::new(program).args(args.iter().copied())).ok()
    };
    if Path::new("/var/lib/dpkg/status").is_file() {
        let text =
            list("dpkg-query", &["-W", "-f", "${db:Status-Status} ${Package}\\n${db:Status-Status} ${Provides}\\n"])?;
        let lines = text.lines().filter_map(|line| line.strip_prefix("installed "));
        // Provides: a, b (= 1)
        let names = lines.flat_map(|line| line.split(", ")).filter_map(|name| name.split(' ').next());
        let names = names.map(str::to_owned).collect();
        return Some(Installed { manager: "apt-get".into(), names, stale: !has_lists("/var/lib/apt/lists") });
    }
    let text = list("rpm", &["-qa", "--queryformat", "%{NAME}\\n[%{PROVIDENAME}\\n]"])?;
    let manager = ["dnf", "yum"].into_iter().find(|name| find(name).is_some())?;
    Some(Installed { manager: manager.into(), names: text.lines().map(str::to_owned).collect(), stale: false })
}

/// Whether apt has lists of packages: `…_Packages`, some of them packed.
fn has_lists(dir: &str) -> bool {
    fs_err::read_dir(dir).is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().contains("_Packages")))
    })
}

/// Whether a compiler makes position-independent programs if nothing else is said: it defines `__PIE__` then.
#[must_use]
pub fn makes_pie(gcc: &Path) -> bool {
    let command = Command::new(gcc).args(["-dM", "-E", "-x", "c", "/dev/null"]);
    exec::read(&command).is_ok_and(|text| text.lines().any(|line| line.starts_with("#define __PIE__ ")))
}

/// Returns the first version in what a program prints, such as `12.2.0`.
#[must_use]
pub fn version(program: &Path, args: &[&str]) -> Option<String> {
    let text = exec::read(&Command::new(program).args(args.iter().copied())).ok()?;
    first_version(&text)
}

fn first_version(text: &str) -> Option<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_digit() || letter == '.'));
    let mut versions = words.map(|word| word.trim_matches('.')).filter(|word| word.contains('.'));
    versions.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_that_holds_a_path_is_the_innermost_and_the_last() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / /var rw shared:1 - xfs /dev/sdb rw\n\
                      3 2 0:6 / /var/tmp rw - tmpfs tmpfs rw\n4 2 0:7 / /var/tmp rw - overlay overlay rw\n\
                      5 2 0:8 / /a\\040b rw - btrfs x rw\n";
        let kind = |path: &str| kind(mounts, Path::new(path));
        assert_eq!(kind("/home/x").as_deref(), Some("ext4"));
        assert_eq!(kind("/var/cache/kbuild").as_deref(), Some("xfs"));
        assert_eq!(kind("/var/tmp/x").as_deref(), Some("overlay"));
        assert_eq!(kind("/variable").as_deref(), Some("ext4"));
        assert_eq!(kind("/a b/c").as_deref(), Some("btrfs"));
    }

    #[test]
    fn a_container_is_known_by_its_marks() {
        let podman = "engine=\"podman-4.3.1\"\nname=\"ci\"\nimage=\"registry.example/el6:6.10\"\n";
        let named = "PRETTY_NAME=x\nIMAGE_ID=\"builder\"\nIMAGE_VERSION=\"7\"\n";
        for (files, kind, image) in [
            (&[("/run/.containerenv", podman)][..], "Podman", Some("registry.example/el6:6.10")),
            (&[("/run/.containerenv", "")], "Podman or Buildah", None),
            (
                &[("/var/run/secrets/kubernetes.io", ""), ("/run/.containerenv", podman)],
                "Kubernetes",
                Some("registry.example/el6:6.10"),
            ),
            (&[("/.dockerenv", ""), ("/etc/os-release", named)], "Docker", Some("builder 7")),
            (&[("/run/systemd/container", "systemd-nspawn\n")], "systemd-nspawn", None),
        ] {
            let read = |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
            let found = container_by(&read, &|path| read(path).is_some());
            assert_eq!(found, Some((kind.to_owned(), image.map(str::to_owned))), "{files:?}");
        }
        assert_eq!(container_by(&|path| (path == "/etc/os-release").then(|| named.to_owned()), &|_| false), None);
    }

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (text, version) in [
            ("gcc (Debian 12.2.0-14) 12.2.0\n", "12.2.0"),
            ("This is perl 5, version 36, subversion 0 (v5.36.0) built for x86_64", "5.36.0"),
            ("GNU Make 4.3\n", "4.3"),
            ("gpg (GnuPG) 2.2.40\nlibgcrypt 1.10.1\n", "2.2.40"),
            ("RPM version 4.18.0\n", "4.18.0"),
        ] {
            assert_eq!(first_version(text).as_deref(), Some(version), "{text}");
        }
        assert_eq!(first_version("no version here. None"), None);
    }

    #[test]
    fn this_machine_is_looked_at() {
        let here = file_system(Path::new("/var/tmp/does/not/exist")).unwrap();
        assert!(!here.kind.is_empty() && here.free > 0, "{here:?}");
        assert!(!here.folds_case, "{here:?}");
        assert!(memory().unwrap() > 1 << 20);
    }
}
