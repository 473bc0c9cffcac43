//! Source packages that are not the toy's.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::package;

/// Makes a source package of a spec of this name, with this release, that has `config-generic` as its only source.
#[track_caller]
pub(crate) fn package(dir: &Path, spec: &str, release: &str) -> PathBuf {
    rpmbuild(dir, "-bs", spec, release)
}

/// Makes a binary package.
#[track_caller]
pub(crate) fn binary(dir: &Path) -> PathBuf {
    rpmbuild(dir, "-bb", "other.spec", "1.el6")
}

#[track_caller]
fn rpmbuild(dir: &Path, mode: &str, spec: &str, release: &str) -> PathBuf {
    let top = dir.join(format!("top-{spec}-{release}"));
    fs_err::create_dir_all(top.join("SOURCES")).unwrap();
    fs_err::write(top.join("SOURCES/config-generic"), "CONFIG_IP_VS_TAB_BITS=12\n").unwrap();
    let text = format!(
        "# % define buildid .local\nName: kernel\nVersion: 2.6.32\nRelease: {release}%{{?buildid}}\nSummary: None\n\
         License: GPLv2\nBuildArch: noarch\nSource0: config-generic\n%description\nNone.\n%files\n"
    );
    fs_err::write(top.join(spec), text).unwrap();
    let built = Command::new("rpmbuild")
        .env("HOME", &top)
        .args([mode, "--nodeps", "--define"])
        .arg(format!("_topdir {}", top.display()))
        .arg(top.join(spec))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    package::only(&top)
}
