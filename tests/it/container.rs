//! The run stage of Containerfile, family by family: which repositories are written, and what would be installed. What needs
//! an image is done by `scripts/container-check`; the bases of EL are only tried like this.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::repository;

/// A base image, as far as its own name and its repositories go.
struct Base(TempDir);

impl Base {
    fn new(files: &[(&str, &str)]) -> Self {
        let base = Self(tempfile::tempdir().unwrap());
        fs_err::create_dir_all(base.path().join("etc/yum.repos.d")).unwrap();
        for (path, text) in files {
            fs_err::write(base.path().join(path), text).unwrap();
        }
        base
    }

    /// One that says what it is as systemd has it.
    fn of(id: &str, number: &str) -> Self {
        Self::new(&[("etc/os-release", &format!("NAME=\"X\"\nID=\"{id}\"\nVERSION_ID=\"{number}\"\n"))])
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs a step that only prints what it would run, and returns that.
    #[track_caller]
    fn prints(&self, step: &str, options: &[&str]) -> String {
        let done = self.run(step, options);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    fn run(&self, step: &str, options: &[&str]) -> std::process::Output {
        let script = repository().join("scripts/container-base");
        let mut command = Command::new(script);
        command.args(["--print", "--root"]).arg(self.path()).args(options).arg(step);
        command.env_remove("FAMILY").env("EXTRA", "a-package-of-mine");
        command.output().unwrap()
    }

    fn repository(&self, name: &str) -> String {
        fs_err::read_to_string(self.path().join("etc/yum.repos.d").join(name)).unwrap()
    }
}

/// Returns what the repositories of a file are called, and where they are.
fn urls(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("baseurl=")).collect()
}

#[test]
fn releases_that_left_the_mirrors_get_the_vault() {
    let six = Base::new(&[
        ("etc/redhat-release", "CentOS release 6.10 (Final)\n"),
        ("etc/yum.repos.d/CentOS-Base.repo", "[base]\nmirrorlist=http://mirrorlist.centos.org/?release=6\n"),
    ]);
    assert_eq!(six.prints("repositories", &[]), "");
    assert_eq!(
        urls(&six.repository("vault.repo")),
        ["os", "updates", "extras"].map(|part| format!("http://vault.centos.org/6.10/{part}/$basearch/"))
    );
    assert_eq!(
        urls(&six.repository("epel-archive.repo")),
        ["https://archives.fedoraproject.org/pub/archive/epel/6/$basearch/"]
    );
    // What nobody answers for is gone, and what is fetched is checked.
    assert!(!six.path().join("etc/yum.repos.d/CentOS-Base.repo").exists());
    let text = six.repository("vault.repo");
    assert_eq!(text.matches("gpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-CentOS-6\n").count(), 3, "{text}");
    let tools = six.prints("tools", &[]);
    assert!(tools.starts_with("yum -y install rpm-build ") && tools.ends_with(" a-package-of-mine\n"), "{tools}");
    assert_eq!(six.prints("family", &[]), "kbuild doctor --recipe el6\n");

    let seven = Base::of("centos", "7");
    assert_eq!(seven.prints("repositories", &[]), "");
    assert_eq!(
        urls(&seven.repository("vault.repo")),
        ["os", "updates", "extras"].map(|part| format!("http://vault.centos.org/7.9.2009/{part}/$basearch/"))
    );
    assert!(seven.repository("vault.repo").contains("RPM-GPG-KEY-CentOS-7"));
    assert!(urls(&seven.repository("epel-archive.repo"))[0].contains("/epel/7/"));
    assert_eq!(seven.prints("family", &[]), "kbuild doctor --recipe el7\n");
}

#[test]
fn centos_8_is_in_the_vault_and_its_rebuilds_have_mirrors() {
    let own = "[baseos]\nmirrorlist=http://mirrorlist.centos.org/?release=$stream\n\
               #baseurl=http://mirror.centos.org/$contentdir/$stream/BaseOS/$basearch/os/\n";
    let eight = Base::of("centos", "8");
    fs_err::write(eight.path().join("etc/yum.repos.d/CentOS-Stream-BaseOS.repo"), own).unwrap();
    let said = eight.prints("repositories", &[]);
    assert!(said.contains("dnf config-manager --set-enabled powertools\n"), "{said}");
    let text = eight.repository("CentOS-Stream-BaseOS.repo");
    assert_eq!(urls(&text), ["http://vault.centos.org/$contentdir/$stream/BaseOS/$basearch/os/"]);
    assert!(text.contains("\n#mirrorlist="), "{text}");

    for (id, number, builder, family) in [
        ("almalinux", "8.10", "powertools", "el8"),
        ("rocky", "9.4", "crb", "el9"),
        ("almalinux", "10.0", "crb", "el10"),
        ("centos", "10", "crb", "el10"),
    ] {
        let base = Base::of(id, number);
        let said = base.prints("repositories", &[]);
        assert!(said.contains(&format!("dnf config-manager --set-enabled {builder}\n")), "{id} {number}: {said}");
        assert_eq!(fs_err::read_dir(base.path().join("etc/yum.repos.d")).unwrap().count(), 0);
        assert_eq!(base.prints("family", &[]), format!("kbuild doctor --recipe {family}\n"));
        let tools = base.prints("tools", &["--boot"]);
        assert!(
            tools.starts_with("dnf -y install ")
                && tools.contains(" createrepo_c ccache ")
                && tools.contains(" qemu-kvm"),
            "{tools}"
        );
    }
}

#[test]
fn debian_builds_for_several_families_and_an_unknown_system_is_refused() {
    let debian = Base::of("debian", "12");
    assert_eq!(debian.prints("repositories", &[]), "");
    assert_eq!(debian.prints("clean", &[]), "apt-get clean\nrm -rf /var/lib/apt/lists\n");
    let tools = debian.prints("tools", &[]);
    assert!(tools.starts_with("apt-get update\nenv DEBIAN_FRONTEND=noninteractive apt-get install "), "{tools}");
    assert!(!tools.contains("qemu"), "{tools}");
    assert!(debian.prints("tools", &["--boot"]).contains(" qemu-system-x86"));
    let families = debian.prints("family", &[]);
    assert_eq!(families, "kbuild doctor --recipe el6\nkbuild doctor --recipe el8\nkbuild doctor --recipe el9\n");

    for base in [Base::of("alpine", "3.20"), Base::new(&[]), Base::of("centos", "5")] {
        let refused = base.run("repositories", &[]);
        assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    }
    assert_eq!(debian.run("everything", &[]).status.code(), Some(2));
}

#[test]
fn every_family_that_the_container_names_has_a_recipe() {
    let text = fs_err::read_to_string(repository().join("Containerfile")).unwrap();
    for name in ["el6", "el7", "el8", "el9", "el10"] {
        assert!(text.contains(&format!("#                     {name} ")), "{name} has no base");
        assert!(kbuild::recipe::builtin::names().contains(&name), "{name}");
    }
    // The user that works in it is none that may do everything.
    assert!(text.contains("useradd -r -u 10001 ") && text.contains("\nUSER 10001\n"));
}
