//! dnf with a root of its own, which takes nothing from this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::package::rpm;

/// A machine that installs from a repository.
#[derive(Debug)]
pub(crate) struct Client {
    dir: tempfile::TempDir,
}

impl Client {
    /// One with this .repo file, and dnf's own defaults but for gpgcheck, which is on.
    pub(crate) fn new(repo_file: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("kbuild-it-").tempdir_in("/var/tmp").unwrap();
        for name in ["root", "repos.d", "vars", "plugins"] {
            fs_err::create_dir(dir.path().join(name)).unwrap();
        }
        let top = dir.path().display();
        let config = format!(
            "[main]\ngpgcheck=1\nplugins=0\nreposdir={top}/repos.d\nvarsdir={top}/vars\npluginpath={top}/plugins\n\
             cachedir={top}/cache\nlogdir={top}/log\npersistdir={top}/persist\n"
        );
        fs_err::write(dir.path().join("dnf.conf"), config).unwrap();
        let client = Self { dir };
        client.take(repo_file);
        client
    }

    /// Takes a .repo file as its one and only.
    pub(crate) fn take(&self, repo_file: &Path) {
        fs_err::copy(repo_file, self.dir.path().join("repos.d/kbuild.repo")).unwrap();
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// Runs dnf on metadata that is fetched anew, whatever comes of it.
    pub(crate) fn dnf(&self, words: &[&str]) -> Output {
        let mut command = Command::new("dnf");
        // Debian's rpm has its database in the home directory; in the root there is one, too.
        command.env_clear().envs([("HOME", "/root"), ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("LANG", "C.UTF-8")]);
        command.arg("-c").arg(self.dir.path().join("dnf.conf")).arg("--installroot").arg(self.root());
        command.args(["--releasever=6", "--assumeyes", "--refresh", "--setopt=install_weak_deps=0"]);
        command.args(words).output().unwrap()
    }

    /// Runs dnf, which must do it.
    #[track_caller]
    pub(crate) fn does(&self, words: &[&str]) -> String {
        let done = self.dnf(words);
        let said = said(&done);
        assert!(done.status.success(), "dnf {words:?}: {said}");
        said
    }

    /// Runs dnf, which must refuse and say one of these, and leaves what is installed as it is.
    #[track_caller]
    pub(crate) fn refuses(&self, words: &[&str], why: &[&str]) {
        let before = self.installed();
        let done = self.dnf(words);
        let said = said(&done);
        assert!(!done.status.success(), "dnf {words:?} did it: {said}");
        assert!(why.iter().any(|why| said.contains(why)), "expected one of {why:?} from dnf {words:?}: {said}");
        assert_eq!(self.installed(), before);
    }

    /// Names of the packages that are installed, sorted.
    pub(crate) fn installed(&self) -> Vec<String> {
        let mut query = rpm(Path::new("/root"));
        let listed =
            query.arg("--root").arg(self.root()).args(["-qa", "--queryformat", "%{NAME}-%{VERSION}-%{RELEASE}\n"]);
        let listed = String::from_utf8(listed.output().unwrap().stdout).unwrap();
        // The keys that dnf imports are in the database, too.
        let packages = listed.lines().filter(|name| !name.starts_with("gpg-pubkey-"));
        let mut names: Vec<String> = packages.map(str::to_owned).collect();
        names.sort();
        names
    }
}

fn said(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}
