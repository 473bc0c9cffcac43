//! A distribution's kernel: the toy as its packager builds it, without a buildid.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::built::cached;
use super::package::{all, extract};
use super::repository;
use super::toy::{Srpm, Toy};

/// The packages of a toy's kernel, and its source package.
#[derive(Debug)]
pub(crate) struct Distribution {
    dir: PathBuf,
}

impl Distribution {
    /// el6's toy: the size is a constant.
    pub(crate) fn el6() -> Self {
        Self::of("el6", Toy::new)
    }

    /// el5's toy: IPVS is in net/ipv4/ipvs.
    pub(crate) fn el5() -> Self {
        Self::of("el5", || Toy::of("el5"))
    }

    fn of(family: &str, toy: impl FnOnce() -> Toy) -> Self {
        let kernels = repository().join("tests/kernels");
        let mut all = fs_err::read(kernels.join("pack")).unwrap();
        for dir in ["el6", "toy", &format!("{family}-toy")] {
            for entry in walkdir::WalkDir::new(kernels.join(dir)).sort_by_file_name() {
                let entry = entry.unwrap();
                all.extend_from_slice(entry.path().as_os_str().as_encoded_bytes());
                if entry.file_type().is_file() {
                    all.extend(fs_err::read(entry.path()).unwrap());
                }
            }
        }
        let key = kbuild::digest::sha256(&all);
        let dir = cached(&format!("distribution_{family}"), &key, |dir| {
            let srpm = toy().pack();
            fs_err::copy(&srpm.path, dir.join(srpm.path.file_name().unwrap())).unwrap();
            rebuild(&srpm, dir);
        });
        Self { dir }
    }

    /// The source package.
    pub(crate) fn srpm(&self) -> PathBuf {
        self.package(|name| name.ends_with(".src.rpm"))
    }

    /// The package of this name, such as `kernel-devel`.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        let digit = |rest: &str| rest.starts_with(|first: char| first.is_ascii_digit());
        self.package(|file| file.ends_with(".x86_64.rpm") && file.strip_prefix(&format!("{name}-")).is_some_and(digit))
    }

    #[track_caller]
    fn package(&self, wanted: impl Fn(&str) -> bool) -> PathBuf {
        let mut found = all(&self.dir);
        found.retain(|path| wanted(path.file_name().unwrap().to_str().unwrap()));
        let [package] = found.as_slice() else { panic!("expected one: {found:?} in {:?}", all(&self.dir)) };
        package.clone()
    }

    /// Unpacks kernel-devel below a directory, and returns its tree.
    pub(crate) fn headers(&self, dir: &Path) -> PathBuf {
        extract(&self.binary("kernel-devel"), dir);
        let trees = fs_err::read_dir(dir.join("usr/src/kernels")).unwrap();
        let mut trees: Vec<_> = trees.map(|entry| entry.unwrap().path()).collect();
        trees.sort();
        trees.swap_remove(0)
    }
}

fn rebuild(srpm: &Srpm, dir: &Path) {
    let top = tempfile::tempdir().unwrap();
    let made = Command::new("rpmbuild")
        .env("HOME", top.path())
        .args(["--rebuild", "--nodeps", "--target=x86_64", "--with", "baseonly", "--with", "firmware"])
        .args(["--without", "debug", "--without", "debuginfo", "--without", "perf", "--without", "xen", "--define"])
        .arg(format!("_topdir {}", top.path().display()))
        .args(["--define", "_buildshell /bin/bash"])
        .arg(&srpm.path)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for package in all(&top.path().join("RPMS/x86_64")) {
        fs_err::copy(&package, dir.join(package.file_name().unwrap())).unwrap();
    }
}
