//! The toy kernel as a source package: as it is, or changed for one test.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::built::cached;
use super::repository;

/// Name, version and release of the unmodified toy.
pub(crate) const STOCK: &str = "2.6.32-220.13.1.el6";

/// A packed source package.
#[derive(Debug)]
pub(crate) struct Srpm {
    pub(crate) path: PathBuf,
    /// The directory of a package that is not shared, removed with it.
    _dir: Option<TempDir>,
}

/// A copy of the toy kernel that is to be changed.
#[must_use]
#[derive(Debug)]
pub(crate) struct Toy {
    dir: TempDir,
}

impl Toy {
    /// The source package of the toy as it is: packed once for all tests.
    pub(crate) fn unmodified() -> Srpm {
        let dir = cached("srpm", &sources(), |dir| {
            pack(&repository().join("tests/kernels/el6-toy"), dir);
        });
        Srpm { path: only_file(&dir), _dir: None }
    }

    /// A copy of el6's to be changed.
    pub(crate) fn new() -> Self {
        Self::of("el6")
    }

    /// A copy of a family's to be changed.
    pub(crate) fn of(family: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(&repository().join("tests/kernels").join(format!("{family}-toy")), &dir.path().join("toy"));
        Self { dir }
    }

    /// The names of its own files, those of the kernel's tree left out.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs_err::read_dir(self.dir.path().join("toy")).unwrap().map(|entry| entry.unwrap());
        let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
        let mut names: Vec<_> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Gives the option another value in every file that has it, as a distribution of another mind would.
    pub(crate) fn stock(self, bits: u32) -> Self {
        let mut changed = 0;
        for name in self.files() {
            let path = self.file(&name);
            let Ok(text) = fs_err::read_to_string(&path) else { continue };
            let stock = "\nCONFIG_IP_VS_TAB_BITS=12\n";
            changed += text.matches(stock).count();
            fs_err::write(path, text.replace(stock, &format!("\nCONFIG_IP_VS_TAB_BITS={bits}\n"))).unwrap();
        }
        assert!(changed > 0, "no file has the option with its stock value");
        self
    }

    /// A copy of the era in which the size is a parameter of the module (2.6.32-431 on).
    pub(crate) fn with_parameter() -> Self {
        Self::new().replace("kernel.spec", "%define ipvs_param 0", "%define ipvs_param 1").replace(
            "kernel.spec",
            "%define distro_build 220.13.1",
            "%define distro_build 431.29.2",
        )
    }

    /// Replaces a text, which must be there exactly once.
    #[track_caller]
    pub(crate) fn replace(self, file: &str, from: &str, to: &str) -> Self {
        let path = self.file(file);
        let text = fs_err::read_to_string(&path).unwrap();
        assert_eq!(text.matches(from).count(), 1, "`{from}` in {file}");
        fs_err::write(path, text.replace(from, to)).unwrap();
        self
    }

    /// Adds text at the end of a file.
    pub(crate) fn append(self, file: &str, more: &str) -> Self {
        let path = self.file(file);
        let text = fs_err::read_to_string(&path).unwrap();
        fs_err::write(path, text + more).unwrap();
        self
    }

    /// Gives a file a mode; one that the toys share becomes its own first.
    pub(crate) fn mode(self, file: &str, mode: u32) -> Self {
        let (path, shared) = (self.file(file), repository().join("tests/kernels/el6").join(file));
        if !path.exists() {
            fs_err::copy(shared, &path).unwrap();
        }
        fs_err::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        self
    }

    /// Adds a file.
    pub(crate) fn write(self, file: &str, text: &str) -> Self {
        let path = self.file(file);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
        self
    }

    /// Runs a script at the beginning of a part of the spec such as `%build`.
    #[track_caller]
    pub(crate) fn script(self, part: &str, script: &str) -> Self {
        self.replace("kernel.spec", &format!("\n{part}\n"), &format!("\n{part}\n{script}\n"))
    }

    /// Packs it.
    #[track_caller]
    pub(crate) fn pack(self) -> Srpm {
        let out = self.dir.path().join("out");
        pack(&self.dir.path().join("toy"), &out);
        Srpm { path: only_file(&out), _dir: Some(self.dir) }
    }

    /// Returns the copy's own file; one of the tree that the toys share becomes one first.
    fn file(&self, file: &str) -> PathBuf {
        let path = self.dir.path().join("toy").join(file);
        let shared = ["toy", "el10"].map(|dir| repository().join("tests/kernels").join(dir).join(file));
        if let Some(shared) = shared.iter().find(|shared| !path.exists() && shared.is_file()) {
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::copy(shared, &path).unwrap();
        }
        path
    }
}

#[track_caller]
fn pack(toy: &Path, out: &Path) {
    let packed = Command::new(repository().join("tests/kernels/pack")).arg(toy).arg(out).output().unwrap();
    assert!(packed.status.success(), "pack: {}", String::from_utf8_lossy(&packed.stderr));
}

/// What the toy is made of: the key under which its package is kept.
fn sources() -> String {
    let kernels = repository().join("tests/kernels");
    let mut all = fs_err::read(kernels.join("pack")).unwrap();
    for dir in ["el6", "el6-toy", "toy"] {
        for entry in walkdir::WalkDir::new(kernels.join(dir)).sort_by_file_name() {
            let entry = entry.unwrap();
            all.extend_from_slice(entry.path().as_os_str().as_encoded_bytes());
            if entry.file_type().is_file() {
                all.extend(fs_err::read(entry.path()).unwrap());
            }
        }
    }
    kbuild::digest::sha256(&all)
}

fn only_file(dir: &Path) -> PathBuf {
    let files: Vec<_> = fs_err::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("expected one file: {files:?}") };
    file.clone()
}

/// Copies a tree of plain files.
pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs_err::create_dir_all(target).unwrap();
        } else {
            fs_err::copy(entry.path(), target).unwrap();
        }
    }
}
