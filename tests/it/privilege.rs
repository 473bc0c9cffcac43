//! Nothing that builds has ever root's rights, and nothing of the caller's home or environment has a say.

use crate::support::processes::field;
use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;
use crate::support::{require, require_root, wait_until, which};

/// Writes who runs this part of the spec into the log.
const WHO: &str = "sed -n 's/^\\(Uid\\|Gid\\|Groups\\|CapEff\\|CapPrm\\):/who \\1:/p' /proc/self/status";

#[test]
fn neither_rpmbuild_nor_anything_that_it_starts_has_roots_rights() {
    if !require_root() || !require("rpmbuild") {
        return;
    }
    let parts = ["%prep", "%build", "%install", "%clean"];
    let toy = parts.iter().fold(Toy::new(), |toy, part| toy.script(part, WHO));
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy.pack());
    let real = |name| which(name).unwrap();
    let rpmbuild = sandbox.fake("rpmbuild", &format!("exec {} \"$@\"", real("rpmbuild").display()));
    let rpmspec = sandbox.fake("rpmspec", &format!("exec {} \"$@\"", real("rpmspec").display()));
    let build = sandbox.ipvs(&srpm, "20").fakes([&rpmbuild, &rpmspec]).args(["--profile", "fleet"]);
    // Root is often in more groups than its own.
    build.through(&["setpriv", "--groups=0,1,4"]).exits(0);
    let (uid, gid) = sandbox.user().ids();

    let mut calls = rpmbuild.calls();
    calls.extend(rpmspec.calls());
    assert!(calls.len() >= 2, "{calls:?}");
    for call in &calls {
        assert_eq!(call.uids(), [uid; 4], "{call:?}");
        assert_eq!(call.gids(), [gid; 4], "{call:?}");
        assert!(call.groups().iter().all(|group| *group == gid), "{call:?}");
        assert_eq!(field(&call.status, "CapEff"), "0000000000000000");
        // Nor has the process that started it.
        let parent = |name| field(&call.parent, name).split_whitespace().collect::<Vec<_>>();
        assert!(parent("Uid").iter().all(|id| *id == uid.to_string()), "{}", call.parent);
        assert!(parent("Gid").iter().all(|id| *id == gid.to_string()), "{}", call.parent);
        assert!(parent("Groups").iter().all(|group| *group == gid.to_string()));
    }

    let log = fs_err::read_to_string(sandbox.out().join("logs/04-build.log")).unwrap();
    let who: Vec<Vec<&str>> = log
        .lines()
        .filter_map(|line| line.strip_prefix("who "))
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(who.len(), 5 * parts.len(), "{log}");
    for line in who {
        let (name, values) = line.split_first().unwrap();
        let expected = match *name {
            "Uid:" => uid.to_string(),
            "Gid:" | "Groups:" => gid.to_string(),
            _ => "0000000000000000".to_owned(),
        };
        assert!(values.iter().all(|value| *value == expected), "{name} {values:?}");
    }
}

#[test]
fn files_that_root_has_open_are_not_handed_to_the_build() {
    if !require_root() || !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let list = "for fd in /proc/$$/fd/*; do echo \"open $(readlink $fd)\"; done";
    let srpm = sandbox.srpm(&Toy::new().script("%build", list).pack());
    let secret = sandbox.input("secret", "");
    fs_err::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    // A CI runner may have left one open.
    let script = format!("exec 9>>{}; exec \"$0\" \"$@\"", secret.display());
    let build = sandbox.ipvs(&srpm, "20").args(["--profile", "fleet"]);
    build.through(&["bash", "-c", &script]).exits(0);
    let log = fs_err::read_to_string(sandbox.out().join("logs/04-build.log")).unwrap();
    let open: Vec<_> = log.lines().filter_map(|line| line.strip_prefix("open ")).collect();
    assert!(open.contains(&"/dev/null"), "{open:?}");
    let root = open.iter().find(|file| file.contains("secret") || file.starts_with("socket:"));
    assert_eq!(root, None, "{open:?}");
}

#[test]
fn the_worker_refuses_to_run_as_root_or_by_hand() {
    let sandbox = Sandbox::new();
    if require_root() {
        sandbox.kbuild().arg("worker").refused(4).says("not by hand: it runs as root");
    }
    let sandbox = Sandbox::of_ordinary_user();
    let outcome = sandbox.kbuild().arg("worker").refused(4);
    outcome.says("not by hand");
}

#[test]
fn dot_files_of_the_caller_have_no_effect() {
    if !require("rpmbuild") {
        return;
    }
    for sandbox in [Sandbox::new(), Sandbox::of_ordinary_user()] {
        let poison = "%_topdir /nonexistent/poison\n%__make /bin/false\n%_smp_mflags -j77\n%dist .poison\n";
        for dir in [sandbox.home(), sandbox.home().join(".config/rpm")] {
            fs_err::create_dir_all(&dir).unwrap();
            fs_err::write(dir.join(".rpmmacros"), poison).unwrap();
            fs_err::write(dir.join("macros"), poison).unwrap();
            fs_err::write(dir.join(".rpmrc"), "poison\n").unwrap();
            fs_err::write(dir.join(".bashrc"), "exit 1\n").unwrap();
        }
        let srpm = sandbox.srpm(&Toy::unmodified());
        let bashrc = sandbox.home().join(".bashrc");
        sandbox
            .ipvs(&srpm, "20")
            .args(["--profile", "fleet"])
            .env("BASH_ENV", &bashrc)
            .env("ENV", &bashrc)
            .env("RPM_CONFIGDIR", sandbox.home())
            .env("MAKEFLAGS", "-n")
            .env("CC", "/bin/false")
            .env("ARCH", "arm")
            .env("LC_ALL", "de_DE.UTF-8")
            .exits(0);
    }
}

#[test]
fn a_name_that_is_no_account_name_never_reaches_useradd() {
    if !require_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let rpmbuild = sandbox.fake("rpmbuild", "exit 1");
    let useradd = sandbox.fake("useradd", "exit 1");
    let before = sandbox.snapshot();
    // The first would be an option of useradd's.
    for name in ["-D", "--badname", "a:b", "a b", "../x", ""] {
        let kbuild = sandbox.ipvs(&srpm, "20").fakes([&rpmbuild, &useradd]);
        let outcome = kbuild.without("--user").without(&sandbox.user().name).arg(format!("--user={name}")).start();
        let outcome = outcome.ends();
        assert!(matches!(outcome.code(), Some(2..=4)), "{outcome}");
        assert!(useradd.calls().is_empty(), "`{name}` was given to useradd\n{outcome}");
    }
    assert_eq!(sandbox.snapshot(), before);
}

#[test]
fn a_source_package_that_goes_away_between_two_kernels_ends_the_run() {
    if !require_root() || !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let running = sandbox.ipvs(&srpm, "18,20").args(["--profile", "fleet"]).start();
    wait_until("the first kernel to be built", || sandbox.work().join("rpmbuild/BUILD").is_dir());
    fs_err::remove_file(&srpm).unwrap();
    // Root cannot send it, and its builder waits for it: neither may wait for the other.
    running.exits(4).says("a package that is to be used cannot be handed over");
}
