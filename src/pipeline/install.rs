//! Puts a compiled kernel into place: done by whoever started kbuild, from the archive among the results.
//!
//! The archive was written by the building user: only plain files below `lib/modules/UNAME/` are taken from it, and
//! nothing in it is started.

use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use crate::event::{Event, Reporter};
use crate::plan::Install;
use crate::sys::{exec, files};

/// What of the kernel goes to /boot, beside its modules.
const BOOT: [&str; 3] = ["vmlinuz", "System.map", "config"];

/// What marks a directory of modules as kbuild's.
const MARK: &str = ".kbuild";

/// Refuses to take the place of a kernel that kbuild has not installed: its package would be left without its files.
///
/// # Errors
/// There is one.
pub fn ready(install: &Install, uname_r: &str) -> Result<(), Error> {
    let target = target(install, uname_r);
    let foreign = fs_err::symlink_metadata(&target).is_ok() && fs_err::symlink_metadata(target.join(MARK)).is_err();
    if foreign { Err(Error::Installed { path: target }) } else { Ok(()) }
}

fn target(install: &Install, uname_r: &str) -> PathBuf {
    install.root.join("lib/modules").join(uname_r)
}

/// Installs the kernel of this name from the archive in `out`.
///
/// # Errors
/// The archive is not as expected, a file cannot be written, or a command failed.
pub fn run(install: &Install, uname_r: &str, out: &Path, reporter: &dyn Reporter) -> Result<(), Error> {
    let failed = |source| Error::io("the kernel cannot be installed", source);
    let archive = out.join(&install.archive);
    ready(install, uname_r)?;
    let target = target(install, uname_r);
    let beside = install.root.join("lib/modules").join(format!(".{uname_r}.kbuild"));
    files::remove_tree(&beside).map_err(failed)?;
    unpack(&archive, uname_r, &beside).map_err(failed)?;
    fs_err::write(beside.join(MARK), "").map_err(failed)?;
    // An earlier one of the same name makes room; nothing is mixed.
    files::remove_tree(&target).map_err(failed)?;
    fs_err::rename(&beside, &target).map_err(failed)?;
    for name in ["build", "source"] {
        fs_err::os::unix::fs::symlink(&install.tree, target.join(name)).map_err(failed)?;
    }
    // What installs boot entries copies the image itself, and moves away one that is there already.
    let by_system = install.commands.len() > 1;
    let boot = install.root.join("boot");
    fs_err::create_dir_all(&boot).map_err(failed)?;
    for name in BOOT.into_iter().filter(|name| !by_system || *name == "config") {
        let mut input = fs_err::File::open(target.join(name)).map_err(failed)?;
        files::replace(&boot.join(format!("{name}-{uname_r}")), &mut input, 0o644).map_err(failed)?;
    }
    for command in &install.commands {
        reporter.report(&Event::Exec { command: command.to_string() });
        exec::read(command)?;
    }
    reporter.note(format!("{uname_r} is installed below {}", install.root.display()));
    if !by_system {
        reporter.warn("its initramfs and its boot entry are for you to make: INSTALL.md says how".into());
    }
    Ok(())
}

/// Unpacks the files of one kernel into a new directory.
fn unpack(archive: &Path, uname_r: &str, dir: &Path) -> io::Result<()> {
    let strange = |path: &Path, why: &str| {
        io::Error::new(io::ErrorKind::InvalidData, format!("`{}` in `{}` {why}", path.display(), archive.display()))
    };
    let top = Path::new("lib/modules").join(uname_r);
    let mut archive_file = tar::Archive::new(fs_err::File::open(archive)?);
    fs_err::create_dir_all(dir)?;
    for entry in archive_file.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let inside: PathBuf = path.strip_prefix(&top).map_err(|_| strange(&path, "is not of this kernel"))?.to_owned();
        if !files::stays_below(&inside) {
            return Err(strange(&path, "leads out of its directory"));
        }
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(strange(&path, "is no plain file"));
        }
        let target = dir.join(inside);
        fs_err::create_dir_all(target.parent().unwrap_or(dir))?;
        files::replace(&target, &mut entry, 0o644)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(dir: &Path, entries: &[(&str, tar::EntryType)]) -> PathBuf {
        let path = dir.join("a.tar");
        let mut builder = tar::Builder::new(fs_err::File::create(&path).unwrap());
        for (name, kind) in entries {
            let mut header = tar::Header::new_gnu();
            // Written by hand: the crate refuses `..` itself.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(1);
            header.set_mode(0o644);
            header.set_entry_type(*kind);
            if *kind != tar::EntryType::Regular {
                header.set_size(0);
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            builder.append(&header, &b"x"[..usize::from(*kind == tar::EntryType::Regular)]).unwrap();
        }
        builder.finish().unwrap();
        path
    }

    #[test]
    fn only_plain_files_of_this_kernel_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("t");
        let file = tar::EntryType::Regular;
        let good = archive(dir.path(), &[("lib/modules/1/kernel/a.ko", file), ("lib/modules/1/vmlinuz", file)]);
        unpack(&good, "1", &target).unwrap();
        assert_eq!(fs_err::read(target.join("kernel/a.ko")).unwrap(), b"x");
        for (name, kind) in [
            ("lib/modules/1/../../../etc/cron.d/x", file),
            ("lib/modules/2/a.ko", file),
            ("etc/passwd", file),
            ("/lib/modules/1/a.ko", file),
            ("lib/modules/1/a.ko", tar::EntryType::Symlink),
            ("lib/modules/1/a.ko", tar::EntryType::Link),
            ("lib/modules/1", file),
        ] {
            let bad = archive(dir.path(), &[(name, kind)]);
            assert!(unpack(&bad, "1", &dir.path().join("u")).is_err(), "{name}");
        }
    }
}
