//! A small system for `rpm --root` with a shell and this machine's own kmod, so that scripts of packages run for real.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::package::{repack_as, rpm};
use super::which;

/// A small system.
#[derive(Debug)]
pub(crate) struct Chroot {
    dir: tempfile::TempDir,
}

impl Chroot {
    /// Makes one, with nothing installed.
    pub(crate) fn new() -> Self {
        let chroot = Self { dir: tempfile::tempdir().unwrap() };
        for dir in ["bin", "sbin", "dev", "etc/depmod.d", "lib/modules", "proc", "sys/module", "tmp"] {
            fs_err::create_dir_all(chroot.path().join(dir)).unwrap();
        }
        // A plain file does for what scripts write there.
        fs_err::write(chroot.path().join("dev/null"), "").unwrap();
        fs_err::copy(which("busybox").unwrap(), chroot.path().join("bin/busybox")).unwrap();
        for applet in ["uname", "ls", "echo"] {
            symlink("busybox", chroot.path().join("bin").join(applet)).unwrap();
        }
        chroot.with_libraries("kmod");
        for name in ["depmod", "modprobe", "modinfo"] {
            symlink("/bin/kmod", chroot.path().join("sbin").join(name)).unwrap();
        }
        // A package, since the scripts of others require it.
        let shell = tempfile::tempdir().unwrap();
        let files = shell.path().join("root");
        fs_err::create_dir_all(files.join("bin")).unwrap();
        fs_err::write(files.join("bin/sh"), "a shell").unwrap();
        chroot.rpm(&["-i"], &[repack_as(&files, "shell", "1", "1")]);
        // Not busybox's: it would run its own programs instead of those that a test puts there.
        chroot.with_libraries("sh");
        // As EL's dist.conf has it.
        chroot.write("etc/depmod.d/dist.conf", "search updates extra built-in weak-updates\n", 0o644);
        chroot
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Copies a program of this machine, and what it is linked with.
    fn with_libraries(&self, name: &str) {
        let program = which(name).unwrap();
        let listed = Command::new("ldd").arg(&program).output().unwrap();
        let text = String::from_utf8(listed.stdout).unwrap();
        let libraries = text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from);
        for library in libraries {
            let target = self.path().join(library.strip_prefix("/").unwrap());
            fs_err::create_dir_all(target.parent().unwrap()).unwrap();
            fs_err::copy(fs_err::canonicalize(&library).unwrap(), target).unwrap();
        }
        fs_err::copy(fs_err::canonicalize(&program).unwrap(), self.path().join("bin").join(name)).unwrap();
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &str, text: &str, mode: u32) {
        let path = self.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs_err::remove_file(&path);
        fs_err::write(&path, text).unwrap();
        fs_err::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    /// Runs rpm, whatever comes of it.
    pub(crate) fn try_rpm(&self, arguments: &[&str], packages: &[PathBuf]) -> Output {
        rpm(Path::new("/root")).arg("--root").arg(self.path()).args(arguments).args(packages).output().unwrap()
    }

    /// Runs rpm and returns what it and the scripts said.
    #[track_caller]
    pub(crate) fn rpm(&self, arguments: &[&str], packages: &[PathBuf]) -> String {
        let done = self.try_rpm(arguments, packages);
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success() && !said.contains("scriptlet failed"), "{said}");
        said
    }

    /// Runs depmod inside.
    #[track_caller]
    pub(crate) fn depmod(&self, release: &str) {
        self.run(&["/sbin/depmod", "-a", release]);
    }

    /// Returns the path of the `ip_vs` that modprobe would load.
    #[track_caller]
    pub(crate) fn module(&self, release: &str) -> String {
        self.run(&["/sbin/modinfo", "-k", release, "-n", "ip_vs"]).trim().to_owned()
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        let done = Command::new("chroot").arg(self.path()).args(words).output().unwrap();
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }
}
