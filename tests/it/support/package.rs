//! Built packages: what rpm itself says of them, and how to make wrong ones.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the packages directly in a directory, sorted.
pub(crate) fn all(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs_err::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|ending| ending == "rpm"));
    found.sort();
    found
}

/// Returns the file names of the packages directly in a directory, sorted.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    all(dir).iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

/// Runs rpm with a home of its own, so that nobody's database or macros matter.
pub(crate) fn rpm(home: &Path) -> Command {
    let mut command = Command::new("rpm");
    command.env("HOME", home);
    command
}

/// Unpacks a package into an empty directory.
#[track_caller]
pub(crate) fn extract(package: &Path, dir: &Path) {
    let script = "rpm2cpio \"$1\" | cpio -idm --quiet --no-absolute-filenames";
    let done = Command::new("sh").args(["-c", script, "sh"]).arg(package).current_dir(dir).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Returns the content of the file in a package whose path ends with these parts.
#[track_caller]
pub(crate) fn content(package: &Path, ending: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    extract(package, dir.path());
    fs_err::read_to_string(find(dir.path(), ending)).unwrap()
}

/// Returns the one file below a directory whose path ends with these parts.
#[track_caller]
pub(crate) fn find(dir: &Path, ending: &str) -> PathBuf {
    one(dir, |path| path.ends_with(ending))
}

/// Returns the one package below a directory.
#[track_caller]
pub(crate) fn only(dir: &Path) -> PathBuf {
    one(dir, |path| path.extension().is_some_and(|ending| ending == "rpm"))
}

#[track_caller]
fn one(dir: &Path, wanted: impl Fn(&Path) -> bool) -> PathBuf {
    let mut files: Vec<_> = walkdir::WalkDir::new(dir).into_iter().map(|entry| entry.unwrap().into_path()).collect();
    files.retain(|path| path.is_file());
    let found: Vec<_> = files.iter().filter(|path| wanted(path)).collect();
    let [path] = found.as_slice() else { panic!("expected one: {found:?} of {files:?}") };
    (*path).clone()
}

/// Makes a package of the files below `root`, with the name and release of the toy's kernel built for 20 bits: what
/// somebody would get who changed a file and packed it again properly.
#[track_caller]
pub(crate) fn repack(root: &Path) -> PathBuf {
    repack_as(root, "kernel", "2.6.32", "220.13.1.el6.ipvs_20bit")
}

/// Makes a package of the files below `root`, by any name.
#[track_caller]
pub(crate) fn repack_as(root: &Path, name: &str, version: &str, release: &str) -> PathBuf {
    let top = root.parent().unwrap();
    let spec = top.join("kernel.spec");
    let text = format!(
        "Name: {name}\nVersion: {version}\nRelease: {release}\nSummary: A kernel\nLicense: GPLv2\n\
         %global debug_package %{{nil}}\n%global __os_install_post %{{nil}}\n%description\nA kernel.\n\
         %install\ncp -a {}/. %{{buildroot}}\n%files\n/*\n",
        root.display()
    );
    fs_err::write(&spec, text).unwrap();
    let built = Command::new("rpmbuild")
        .env("HOME", top)
        .args(["-bb", "--nodeps", "--target=x86_64", "--define"])
        .arg(format!("_topdir {}", top.join("rpmbuild").display()))
        .arg(spec)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    only(&top.join("rpmbuild/RPMS"))
}
