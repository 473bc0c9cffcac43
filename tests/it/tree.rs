//! The route `tree`: the prepared source tree where it is wanted, configured, and compiled and installed on request.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::built::manifest;
use crate::support::kbuild::Kbuild;
use crate::support::package::extract;
use crate::support::sandbox::Sandbox;
use crate::support::toy::{STOCK, Toy};
use crate::support::{is_root, require, require_root, which};

const UNAME_R: &str = "2.6.32-220.13.1.el6.ipvs_20bit.x86_64";

fn dir(sandbox: &Sandbox) -> PathBuf {
    sandbox.path().join("tree/linux")
}

/// `kbuild ipvs --route tree`; root gives the tree's directory to the builder.
fn tree<'a>(sandbox: &'a Sandbox, srpm: &Path) -> Kbuild<'a> {
    sandbox.ipvs(srpm, "20").args(["--route", "tree", "--tree"]).arg(dir(sandbox))
}

fn read(path: impl AsRef<Path>) -> String {
    fs_err::read_to_string(path.as_ref()).unwrap()
}

/// A root directory for `--install-root`.
fn root(sandbox: &Sandbox) -> PathBuf {
    let root = sandbox.path().join("root");
    fs_err::create_dir(&root).unwrap();
    if let crate::support::kbuild::Who::Ordinary { uid, gid, .. } = sandbox.who() {
        std::os::unix::fs::chown(&root, Some(*uid), Some(*gid)).unwrap();
    }
    root
}

fn findings(manifest: &Value, level: u64) -> Vec<&Value> {
    manifest["proof"].as_array().unwrap().iter().filter(|finding| finding["level"] == level).collect()
}

#[test]
fn the_tree_is_prepared_configured_and_given_to_who_compiles_it() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let outcome = tree(&sandbox, &srpm).exits(0);
    let dir = dir(&sandbox);
    outcome.prints(&format!("the source tree of kernel-{STOCK}.ipvs_20bit in {}", dir.display()));
    let config = read(dir.join(".config"));
    assert!(config.starts_with("# x86_64\n"), "{config}");
    assert_eq!(config.matches("# x86_64").count(), 1, "{config}");
    assert!(config.contains("\nCONFIG_IP_VS_TAB_BITS=20\n"), "{config}");
    assert!(read(dir.join("Makefile")).contains("\nEXTRAVERSION = -220.13.1.el6.ipvs_20bit.x86_64\n"));
    assert!(dir.join("net/netfilter/ipvs/ip_vs_conn.c").is_file());
    assert!(!dir.join("vmlinux").exists(), "it was compiled");
    if is_root() {
        assert_eq!(fs_err::metadata(dir.join("Makefile")).unwrap().uid(), sandbox.user().ids().0);
        assert_eq!(fs_err::metadata(sandbox.out().join("INSTALL.md")).unwrap().uid(), 0);
    }
    let manifest = manifest(&sandbox.out());
    assert_eq!(manifest["route"], "tree");
    assert_eq!(findings(&manifest, 2).len(), 3, "{manifest}");
    let install = read(sandbox.out().join("INSTALL.md"));
    assert!(install.contains(&format!("make -C {} modules_install install", dir.display())), "{install}");
    assert!(install.contains("missing-syscalls"), "{install}");
    // What was compiled by hand would have the name and the table.
    let log = read(sandbox.out().join("logs/04-build.log"));
    assert!(!log.contains("Executing(%build)"), "{log}");
}

/// Compiles and installs below a root of its own, and returns sandbox and root.
fn installed(sandbox: Sandbox, toy: Toy) -> (Sandbox, PathBuf) {
    let root = root(&sandbox);
    let srpm = sandbox.srpm(&toy.pack());
    tree(&sandbox, &srpm)
        .arg("--ignore-preflight")
        .args(["--install", "--install-root"])
        .arg(&root)
        .exits(0)
        .says("is installed below");
    (sandbox, root)
}

#[test]
fn it_is_compiled_by_the_builder_and_installed_by_whoever_asked() {
    if !require("depmod") {
        return;
    }
    let (sandbox, root) = installed(Sandbox::new(), Toy::new());
    let modules = root.join("lib/modules").join(UNAME_R);
    for path in [
        root.join("boot").join(format!("vmlinuz-{UNAME_R}")),
        root.join("boot").join(format!("System.map-{UNAME_R}")),
        modules.join("kernel/net/netfilter/ipvs/ip_vs.ko"),
        modules.join("kernel/net/netfilter/ipvs/ip_vs_rr.ko"),
        modules.join("modules.dep"),
    ] {
        let details = fs_err::metadata(&path).unwrap();
        assert!(details.is_file() && details.len() > 0, "{}", path.display());
        assert_eq!(details.uid(), nix::unistd::Uid::effective().as_raw(), "{}", path.display());
    }
    let config = read(root.join("boot").join(format!("config-{UNAME_R}")));
    assert!(config.contains("CONFIG_IP_VS_TAB_BITS=20"), "{config}");
    assert!(read(modules.join("modules.dep")).contains("kernel/net/netfilter/ipvs/ip_vs_rr.ko:"));
    assert_eq!(fs_err::read_link(modules.join("build")).unwrap(), dir(&sandbox));
    let manifest = manifest(&sandbox.out());
    let [module] = findings(&manifest, 4)[..] else { panic!("{manifest}") };
    assert!(module["verdict"]["evidence"].as_str().unwrap().starts_with("20 bits compiled in"), "{module}");
    // The archive is a result like any other.
    let archive = format!("kernel-{STOCK}.ipvs_20bit.x86_64.tar");
    assert!(read(sandbox.out().join("SHA256SUMS")).contains(&archive));
    let provenance: Value = serde_json::from_str(&read(sandbox.out().join("provenance.json"))).unwrap();
    assert_eq!(provenance["subject"][0]["name"], archive);
    // Without packages there is no bill of them.
    assert!(!sandbox.out().join("sbom.cdx.json").exists());
    // A second time into the same root: what was there makes room.
    fs_err::write(modules.join("kernel/old.ko"), "").unwrap();
    assert!(modules.join(".kbuild").is_file());
    fs_err::remove_dir_all(dir(&sandbox)).unwrap();
    let srpm = sandbox.srpm(&Toy::unmodified());
    tree(&sandbox, &srpm).args(["--install", "--install-root"]).arg(&root).exits(0);
    assert!(!modules.join("kernel/old.ko").exists());
}

#[test]
fn a_kernel_of_the_same_name_that_a_package_installed_is_left_alone() {
    let sandbox = Sandbox::new();
    let root = root(&sandbox);
    let module = root.join("lib/modules").join(UNAME_R).join("kernel/a.ko");
    fs_err::create_dir_all(module.parent().unwrap()).unwrap();
    fs_err::write(&module, "").unwrap();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let before = sandbox.snapshot();
    let outcome = tree(&sandbox, &srpm).args(["--install", "--install-root"]).arg(&root).refused(4);
    outcome.says("was not installed by kbuild").says("--buildid");
    assert_eq!(sandbox.snapshot(), before);
}

#[test]
fn an_ordinary_user_can_do_all_of_it_below_a_root_of_its_own() {
    if !require("depmod") {
        return;
    }
    let (_sandbox, root) = installed(Sandbox::of_ordinary_user(), Toy::new());
    assert!(root.join("boot").join(format!("vmlinuz-{UNAME_R}")).is_file());
}

#[test]
fn every_family_leaves_a_tree_that_compiles() {
    if !require("depmod") {
        return;
    }
    for family in ["el5", "el7", "el8", "el9", "el10", "fedora", "elrepo", "uek"] {
        let (sandbox, _) = installed(Sandbox::new(), Toy::of(family));
        let manifest = manifest(&sandbox.out());
        let [module] = findings(&manifest, 4)[..] else { panic!("{family}: {manifest}") };
        assert_eq!(module["verdict"]["is"], "holds", "{family}");
        assert_eq!(module["kernel"], manifest["uname-r"], "{family}");
    }
}

#[test]
fn a_configuration_that_was_given_is_brought_up_to_date_and_keeps_its_platform() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let config = sandbox.input(
        "my.config",
        "CONFIG_IP_VS=m\nCONFIG_IP_VS_TAB_BITS=12\nCONFIG_MINE=y\nCONFIG_LOCALVERSION=\"-mine\"\nCONFIG_LOCALVERSION_AUTO=y\n",
    );
    tree(&sandbox, &srpm).arg("--config").arg(&config).args(["--set", "CONFIG_IP_VS_DEBUG=y"]).exits(0);
    let text = read(dir(&sandbox).join(".config"));
    assert!(text.starts_with("# x86_64\n#\n# Automatically generated"), "{text}");
    for line in ["CONFIG_IP_VS_TAB_BITS=20", "CONFIG_MINE=y", "CONFIG_LOCALVERSION=\"\"", "CONFIG_IP_VS_DEBUG=y"] {
        assert!(text.lines().any(|each| each == line), "{line} in {text}");
    }
    let log = read(sandbox.out().join("logs/07-tree.log"));
    assert!(log.contains("olddefconfig") && log.contains("mrproper"), "{log}");
}

#[test]
fn a_configuration_without_ipvs_is_found_out_before_anything_is_compiled() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let config = sandbox.input("my.config", "CONFIG_NET=y\n# CONFIG_IP_VS is not set\n");
    let outcome = tree(&sandbox, &srpm).arg("--config").arg(&config).exits(9);
    outcome.says("DIFFERS: expected CONFIG_IP_VS_TAB_BITS=20, found CONFIG_IP_VS_TAB_BITS=n").says("has no IPVS");
    let no_config = sandbox.input("no.config", "hello\n");
    fs_err::remove_dir_all(dir(&sandbox)).unwrap();
    tree(&sandbox, &srpm).arg("--config").arg(&no_config).refused(3).says("is no kernel configuration");
}

#[test]
fn a_prep_that_resolves_another_value_leaves_no_tree() {
    let sandbox = Sandbox::new();
    let toy = Toy::new().append("config-x86_64-nodebug-rhel", "CONFIG_IP_VS_TAB_BITS=18\n");
    let srpm = sandbox.srpm(&toy.pack());
    tree(&sandbox, &srpm).exits(9).says("config-x86_64-nodebug-rhel");
    assert!(!dir(&sandbox).join("Makefile").exists());
}

#[test]
fn a_tree_that_does_not_compile_shows_the_error_and_installs_nothing() {
    let sandbox = Sandbox::new();
    let root = root(&sandbox);
    let toy = Toy::new().append("linux/init/main.c", "#error no such luck\n");
    let srpm = sandbox.srpm(&toy.pack());
    let outcome = tree(&sandbox, &srpm).args(["--install", "--install-root"]).arg(&root).exits(8);
    outcome.says("no such luck").says("ended with exit code 2").says("logs/07-tree.log");
    assert!(!root.join("boot").exists() && !root.join("lib").exists());
    assert_eq!(manifest(&sandbox.out())["status"]["is"], "failed");
    sandbox.no_process_is_left();
}

#[test]
fn the_missing_syscalls_of_make_are_explained() {
    let sandbox = Sandbox::new();
    let root = root(&sandbox);
    let make =
        sandbox.fake("make", "echo \"make[1]: *** No rule to make target \\`missing-syscalls'.  Stop.\"; exit 2");
    let srpm = sandbox.srpm(&Toy::unmodified());
    let kbuild = tree(&sandbox, &srpm).args(["--install", "--install-root"]).arg(&root).fakes([&make]);
    kbuild.exits(8).says("missing-syscalls").says("hint: this is what make says in a headers tree of kernel-devel");
}

/// A headers tree as kernel-devel of the toy installs it.
fn headers(sandbox: &Sandbox) -> PathBuf {
    let package = crate::support::built::Built::toy().package("kernel-devel");
    let dir = sandbox.path().join("devel");
    fs_err::create_dir(&dir).unwrap();
    extract(&package, &dir);
    dir.join("usr/src/kernels").join(UNAME_R)
}

#[test]
fn a_headers_tree_is_told_from_a_source_tree_and_from_a_source_package() {
    let sandbox = Sandbox::new();
    let headers = headers(&sandbox);
    let srpm = sandbox.srpm(&Toy::unmodified());
    let explained = "headers tree of kernel-devel, without sources: make there ends with \"No rule to make target \
                     `missing-syscalls'\"";
    tree(&sandbox, &srpm).instead("--tree", &headers).refused(4).says(explained);
    tree(&sandbox, &headers).refused(6).says(explained).says("--release R");
    sandbox.plan(&headers, "20").refused(6).says(explained);
}

#[test]
fn what_cannot_be_a_tree_is_refused_before_anything_is_made() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let full = sandbox.path().join("full");
    fs_err::create_dir(&full).unwrap();
    fs_err::write(full.join("a"), "").unwrap();
    let before = sandbox.snapshot();
    tree(&sandbox, &srpm).instead("--tree", &full).refused(4).says("it is not empty");
    tree(&sandbox, &srpm).instead("--tree", sandbox.path().join("a b")).refused(4).says("splits names at blanks");
    tree(&sandbox, &srpm).instead("--tree", sandbox.work().join("x")).refused(4).says("work");
    sandbox.ipvs(&srpm, "20").args(["--route", "tree"]).refused(2).says("--tree DIR");
    tree(&sandbox, &srpm).instead("--bits", "18,20").refused(2).says("one value");
    tree(&sandbox, &srpm).arg("--boot").refused(2).says("`--boot` means nothing to `--route tree`");
    sandbox.ipvs(&srpm, "20").arg("--install").refused(2).says("it is for `--route tree`");
    tree(&sandbox, &srpm).instead("--bits", "21").refused(3).says("outside the range");
    tree(&sandbox, &srpm).args(["--arch", "i686", "--install"]).refused(3).says("cannot be compiled and installed");
    assert_eq!(sandbox.snapshot(), before);
    let ordinary = Sandbox::of_ordinary_user();
    let srpm = ordinary.srpm(&Toy::unmodified());
    tree(&ordinary, &srpm).arg("--install").refused(4).says("only root can").says("--install-root");
}

#[test]
fn nothing_of_the_tree_ever_runs_as_root() {
    if !require_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let root = root(&sandbox);
    let make = sandbox.fake("make", &format!("exec {} \"$@\"", which("make").unwrap().display()));
    let depmod = sandbox.fake("depmod", "exit 0");
    let srpm = sandbox.srpm(&Toy::unmodified());
    let kbuild = tree(&sandbox, &srpm).args(["--install", "--install-root"]).arg(&root).fakes([&make, &depmod]);
    kbuild.exits(0);
    let user = sandbox.user().ids().0;
    let calls = make.calls();
    assert!(calls.len() >= 3, "{calls:?}");
    for call in calls {
        assert_eq!(call.uids(), [user; 4], "{:?}", call.args);
    }
    let [call] = &depmod.calls()[..] else { panic!("{:?}", depmod.calls()) };
    assert_eq!(call.args, ["-a", "-b", root.to_str().unwrap(), UNAME_R]);
}

#[test]
fn the_plan_shows_all_of_it() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let root = root(&sandbox);
    let before = sandbox.snapshot();
    let plan = sandbox.plan(&srpm, "20").args(["--route", "tree", "--install", "--install-root"]).arg(&root);
    let outcome = plan.arg("--tree").arg(dir(&sandbox)).exits(0);
    outcome
        .prints("* tree    works")
        .prints("rpmbuild -bp")
        .prints("EXTRAVERSION   -220.13.1.el6.ipvs_20bit.x86_64")
        .prints("with `# x86_64` on its first line")
        .prints("mrproper")
        .prints("modules_install 'INSTALL_MOD_PATH=")
        .prints("depmod -a -b");
    assert_eq!(sandbox.snapshot(), before);
}
