//! A place for one test: home, work, results, inputs and stand-ins, all below one directory that is removed at the end.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use walkdir::WalkDir;

use super::kbuild::{Kbuild, Who};
use super::toy::Srpm;
use super::user::TestUser;
use super::{is_root, processes};

/// A place for one test.
#[derive(Debug)]
pub(crate) struct Sandbox {
    dir: TempDir,
    /// Who is to build when root starts kbuild, or who starts it. `None` where the tests do not run as root.
    user: Option<TestUser>,
    who: Who,
}

impl Sandbox {
    /// A place where kbuild is started by whoever runs the tests. As root it builds as an account that does not exist
    /// yet.
    pub(crate) fn new() -> Self {
        let dir = directory();
        let user = is_root().then(TestUser::named);
        Self { dir, user, who: Who::Me }
    }

    /// A place where kbuild is started by an ordinary user: one made for the test where the tests run as root.
    pub(crate) fn of_ordinary_user() -> Self {
        let mut sandbox = Self::new();
        if let Some(user) = &sandbox.user {
            user.create();
            let (uid, gid) = user.ids();
            for dir in [sandbox.path().to_owned(), sandbox.home()] {
                std::os::unix::fs::chown(dir, Some(uid), Some(gid)).unwrap();
            }
            // The build directory may lie where this user cannot enter.
            let program = sandbox.path().join("bin/kbuild");
            fs_err::copy(env!("CARGO_BIN_EXE_kbuild"), &program).unwrap();
            sandbox.who = Who::Ordinary { uid, gid, program };
        }
        sandbox
    }

    /// The directory; absolute, and everybody can enter it.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// `HOME` of kbuild.
    pub(crate) fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// `--work`, which does not exist at first.
    pub(crate) fn work(&self) -> PathBuf {
        self.path().join("work")
    }

    /// `--out`, which does not exist at first.
    pub(crate) fn out(&self) -> PathBuf {
        self.path().join("out")
    }

    /// Who starts kbuild.
    pub(crate) fn who(&self) -> &Who {
        &self.who
    }

    /// The account of this test: [`TestUser`] says whether it exists.
    ///
    /// # Panics
    /// The tests do not run as root.
    pub(crate) fn user(&self) -> &TestUser {
        self.user.as_ref().unwrap()
    }

    /// The uid of the account of this test, if it exists.
    fn uid(&self) -> Option<u32> {
        self.user.as_ref().filter(|user| user.exists()).map(|user| user.ids().0)
    }

    /// Waits until nothing that kbuild started here is left.
    #[track_caller]
    pub(crate) fn no_process_is_left(&self) {
        processes::none_left(self.path(), self.uid());
    }

    /// Copies a source package into the sandbox, where everybody can read it.
    pub(crate) fn srpm(&self, srpm: &Srpm) -> PathBuf {
        self.input(srpm.path.file_name().unwrap().to_str().unwrap(), fs_err::read(&srpm.path).unwrap())
    }

    /// Writes a file that everybody can read.
    pub(crate) fn input(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join("in").join(name);
        fs_err::write(&path, content).unwrap();
        path
    }

    /// kbuild without arguments.
    pub(crate) fn kbuild(&self) -> Kbuild<'_> {
        Kbuild::new(self, self.who.clone())
    }

    /// `kbuild ipvs` with everything that belongs to this place: work, out, user, and a toy that nobody has signed.
    pub(crate) fn ipvs(&self, srpm: &Path, bits: &str) -> Kbuild<'_> {
        self.build("ipvs", srpm, bits)
    }

    /// `kbuild plan` for the same as [`Sandbox::ipvs`].
    pub(crate) fn plan(&self, srpm: &Path, bits: &str) -> Kbuild<'_> {
        self.build("plan", srpm, bits)
    }

    fn build(&self, subcommand: &str, srpm: &Path, bits: &str) -> Kbuild<'_> {
        let kbuild = self
            .kbuild()
            .args([subcommand, "--bits", bits, "--allow-unsigned", "--srpm"])
            .arg(srpm)
            .arg("--work")
            .arg(self.work())
            .arg("--out")
            .arg(self.out());
        match (&self.user, &self.who) {
            (Some(user), Who::Me) => kbuild.args(["--user", &user.name]),
            _ => kbuild,
        }
    }

    /// Everything in the sandbox with mode, owner and size, to see whether something was left behind.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, (u32, u32, u64)> {
        WalkDir::new(self.path())
            .into_iter()
            .map(|entry| {
                let entry = entry.unwrap();
                let details = entry.metadata().unwrap();
                let size = if details.is_dir() { 0 } else { details.len() };
                (entry.path().to_owned(), (details.permissions().mode(), details.uid(), size))
            })
            .collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // A failed test may leave a build running; the account cannot be removed before.
        processes::kill_all_of(self.path(), self.uid());
    }
}

fn directory() -> TempDir {
    // Not below /tmp, which may be small, and not below a directory of root's.
    let dir = tempfile::Builder::new()
        .prefix("kbuild-it-")
        .permissions(PermissionsExt::from_mode(0o755))
        .tempdir_in("/var/tmp")
        .unwrap();
    for name in ["home", "in", "bin", "record"] {
        fs_err::create_dir(dir.path().join(name)).unwrap();
        let mode = if name == "record" { 0o1777 } else { 0o755 };
        fs_err::set_permissions(dir.path().join(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    dir
}
