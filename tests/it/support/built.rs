//! What several tests look at, made once: nextest runs every test in a process of its own, so it is kept in files.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::sandbox::Sandbox;
use super::toy::{self, Srpm, Toy};

/// Returns a directory that `make` has filled: now, or before for the same key.
///
/// The key must hold everything that the content depends on. Directories of other keys are removed.
pub(crate) fn cached(name: &str, key: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let place = base.join(format!("{name}-{key}"));
    fs_err::create_dir_all(base).unwrap();
    // One test at a time makes it; the others wait here.
    let lock = fs_err::File::create(base.join(format!("{name}.lock"))).unwrap().into_file();
    lock.lock().unwrap();
    if !place.is_dir() {
        for entry in fs_err::read_dir(base).unwrap() {
            let path = entry.unwrap().path();
            let of_this_name = path.file_name().unwrap().to_string_lossy().starts_with(&format!("{name}-"));
            if of_this_name && path.is_dir() {
                fs_err::remove_dir_all(path).unwrap();
            }
        }
        let unfinished = base.join(format!("{name}.new"));
        let _ = fs_err::remove_dir_all(&unfinished);
        fs_err::create_dir(&unfinished).unwrap();
        make(&unfinished);
        fs_err::rename(unfinished, &place).unwrap();
    }
    place
}

/// The results of a build that several tests look at.
#[derive(Debug)]
pub(crate) struct Built {
    /// What was in `--out`.
    pub(crate) out: PathBuf,
    /// What kbuild printed on stdout.
    pub(crate) stdout: String,
    /// What kbuild printed on stderr.
    pub(crate) stderr: String,
}

impl Built {
    /// The unmodified toy, built for 20 bits with all its packages.
    pub(crate) fn toy() -> Self {
        build("toy", "20", Toy::unmodified)
    }

    /// The same for 18 bits.
    pub(crate) fn smaller() -> Self {
        build("smaller", "18", Toy::unmodified)
    }

    /// A later release of it, built for 20 bits.
    pub(crate) fn later() -> Self {
        let later =
            || Toy::new().replace("kernel.spec", "%define distro_build 220.13.1", "%define distro_build 279.5.2");
        build("later", "20", || later().pack())
    }

    /// The toy of el5, built for 20 bits.
    pub(crate) fn el5() -> Self {
        build("el5", "20", || Toy::of("el5").pack())
    }

    /// The toy of the era of the parameter, built for 20 bits for a fleet.
    pub(crate) fn parameter() -> Self {
        build("parameter", "20", || Toy::with_parameter().pack())
    }

    /// Returns the package of this name, such as `kernel-devel`.
    #[track_caller]
    pub(crate) fn package(&self, name: &str) -> PathBuf {
        let wanted = format!("{name}-2.6.32-");
        let mut found = super::package::all(&self.out);
        found.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with(&wanted));
        let [package] = found.as_slice() else { panic!("expected one {wanted}*.rpm: {found:?}") };
        package.clone()
    }

    /// Returns the manifest.
    pub(crate) fn manifest(&self) -> serde_json::Value {
        manifest(&self.out)
    }
}

/// Returns the manifest in a directory of results.
#[track_caller]
pub(crate) fn manifest(out: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs_err::read(out.join("manifest.json")).unwrap()).unwrap()
}

fn build(name: &str, bits: &str, srpm: impl FnOnce() -> Srpm) -> Built {
    let program = fs_err::metadata(env!("CARGO_BIN_EXE_kbuild")).unwrap();
    let sources = Toy::unmodified();
    let kept = sources.path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
    let key = format!("{}-{}.{}-{kept}", program.len(), program.mtime(), program.mtime_nsec());
    let dir = cached(name, &key, |dir| {
        let sandbox = Sandbox::new();
        let path = sandbox.srpm(&srpm());
        // What el5 calls its programs Debian does not have.
        let build = sandbox.ipvs(&path, bits);
        let build = if name == "el5" { build.arg("--ignore-preflight") } else { build };
        let outcome = build.exits(0);
        toy::copy(&sandbox.out(), &dir.join("out"));
        fs_err::write(dir.join("stdout"), outcome.stdout).unwrap();
        fs_err::write(dir.join("stderr"), outcome.stderr).unwrap();
    });
    let read = |name: &str| fs_err::read_to_string(dir.join(name)).unwrap();
    Built { stdout: read("stdout"), stderr: read("stderr"), out: dir.join("out") }
}
