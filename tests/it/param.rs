//! The route `param`: a package that sets the module parameter, made by real rpmbuild, read by real rpm and modprobe.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::built::manifest;
use crate::support::kbuild::Kbuild;
use crate::support::package::{all, content, names, repack, rpm};
use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;
use crate::support::{repository, require, require_root, which};

/// The first release of el6 with the parameter, one that has no source package anywhere.
const RELEASE: &str = "2.6.32-431.29.2.el6";
const PACKAGE: &str = "ipvs-conn-tab-bits-20-1.noarch.rpm";
const FILE: &str = "etc/modprobe.d/ipvs-conn-tab-bits.conf";

/// `kbuild SUBCOMMAND --route ROUTE` for a release that nobody can fetch.
fn named<'a>(sandbox: &'a Sandbox, subcommand: &str, route: &str, bits: &str) -> Kbuild<'a> {
    let kbuild = sandbox
        .kbuild()
        .args([subcommand, "--route", route, "--bits", bits, "--release", RELEASE, "--offline", "--work"])
        .arg(sandbox.work())
        .arg("--out")
        .arg(sandbox.out())
        .arg("--store")
        .arg(sandbox.path().join("store"));
    if crate::support::is_root() { kbuild.args(["--user", &sandbox.user().name]) } else { kbuild }
}

/// A small system for `rpm --root`: a shell, and a grubby that writes down how it was called, if wanted.
struct Root {
    dir: tempfile::TempDir,
}

impl Root {
    fn new() -> Self {
        let root = Self { dir: tempfile::tempdir().unwrap() };
        let busybox = which("busybox").unwrap();
        // A package, since the scripts of others require it.
        let shell = tempfile::tempdir().unwrap();
        let files = shell.path().join("root");
        fs_err::create_dir_all(files.join("bin")).unwrap();
        fs_err::copy(busybox, files.join("bin/sh")).unwrap();
        root.takes(&["-i"], &[repack(&files)]);
        // A plain file does for what scripts write there.
        fs_err::create_dir(root.path().join("dev")).unwrap();
        fs_err::write(root.path().join("dev/null"), "").unwrap();
        root
    }

    fn program(&self, name: &str, content: &[u8]) {
        let path = self.path().join("bin").join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, content).unwrap();
        fs_err::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn with_grubby(self, exit: i32) -> Self {
        self.program("grubby", format!("#!/bin/sh\necho \"$@\" >> /grubby.calls\nexit {exit}\n").as_bytes());
        self
    }

    fn grubby_calls(&self) -> Vec<String> {
        let text = fs_err::read_to_string(self.path().join("grubby.calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn run(&self, args: &[&str], packages: &[PathBuf]) -> Output {
        rpm(Path::new("/root")).arg("--root").arg(self.path()).args(args).args(packages).output().unwrap()
    }

    #[track_caller]
    fn takes(&self, args: &[&str], packages: &[PathBuf]) -> String {
        let done = self.run(args, packages);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{said}");
        said
    }
}

#[test]
fn the_release_alone_is_enough_and_the_results_are_as_for_a_kernel() {
    let sandbox = Sandbox::new();
    let rpmbuild = sandbox.fake("rpmbuild", &format!("exec {} \"$@\"", which("rpmbuild").unwrap().display()));
    let outcome = named(&sandbox, "ipvs", "param", "20").fakes([&rpmbuild]).exits(0);
    outcome.prints(PACKAGE).prints("line 3 sets conn_tab_bits=20").says("nothing is fetched");
    assert!(!sandbox.path().join("store").exists(), "something was fetched");
    assert_eq!(names(&sandbox.out()), [PACKAGE]);
    let package = sandbox.out().join(PACKAGE);
    let text = content(&package, "ipvs-conn-tab-bits.conf");
    assert!(text.ends_with("\noptions ip_vs conn_tab_bits=20\n"), "{text}");

    let manifest = manifest(&sandbox.out());
    assert_eq!(manifest["route"], "param");
    assert_eq!(manifest["status"]["is"], "done");
    assert_eq!(manifest["nvr"], "ipvs-conn-tab-bits-20-1");
    assert_eq!(manifest["uname-r"], format!("{RELEASE}.x86_64"));
    assert!(manifest["source"].is_null() && manifest["release"].is_null(), "{manifest}");
    let listed: Vec<_> = manifest["files"].as_array().unwrap().iter().map(|file| &file["name"]).collect();
    assert!(listed.iter().any(|name| *name == PACKAGE), "{listed:?}");
    let sums = Command::new("sha256sum").args(["-c", "--strict", "SHA256SUMS"]).current_dir(sandbox.out()).output();
    assert!(sums.unwrap().status.success());
    let install = fs_err::read_to_string(sandbox.out().join("INSTALL.md")).unwrap();
    for word in
        [PACKAGE, "modprobe -r", "dracut -f", "8 to 20", "They do not check the value", "rpm -e ipvs-conn-tab-bits"]
    {
        assert!(install.contains(word), "{word} in {install}");
    }
    // rpmbuild ran, and never as root.
    let builds = rpmbuild.builds();
    assert!(!builds.is_empty());
    for call in builds {
        assert!(call.uids().iter().all(|uid| *uid != 0), "{:?}", call.uids());
    }
}

#[test]
fn the_same_request_gives_the_same_bytes() {
    let digests: Vec<String> = (0..2)
        .map(|_| {
            let sandbox = Sandbox::new();
            named(&sandbox, "ipvs", "param", "20").exits(0);
            kbuild::digest::sha256(&fs_err::read(sandbox.out().join(PACKAGE)).unwrap())
        })
        .collect();
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn modprobe_reads_what_rpm_installs_and_another_value_takes_its_place() {
    if !require_root() || !require("busybox") || !require("modprobe") {
        return;
    }
    let root = Root::new();
    let options = || {
        let shown =
            Command::new("modprobe").arg("-C").arg(root.path().join("etc/modprobe.d")).arg("-c").output().unwrap();
        let text = String::from_utf8(shown.stdout).unwrap();
        text.lines().filter(|line| line.starts_with("options ip_vs")).map(str::to_owned).collect::<Vec<_>>()
    };
    for bits in ["20", "18", "19"] {
        let sandbox = Sandbox::new();
        named(&sandbox, "ipvs", "param", bits).exits(0);
        let install = fs_err::read_to_string(sandbox.out().join("INSTALL.md")).unwrap();
        assert!(install.contains("rpm -U --oldpackage"), "{install}");
        root.takes(&["-U", "--oldpackage"], &all(&sandbox.out()));
        assert_eq!(options(), [format!("options ip_vs conn_tab_bits={bits}")]);
    }
    root.takes(&["-e", "ipvs-conn-tab-bits"], &[]);
    assert!(!root.path().join(FILE).exists());
}

#[test]
fn tuning_is_a_package_of_its_own_with_what_a_director_needs() {
    if !require_root() || !require("busybox") {
        return;
    }
    let sandbox = Sandbox::new();
    named(&sandbox, "ipvs", "param", "20").arg("--tune").exits(0);
    assert_eq!(names(&sandbox.out()), [PACKAGE, "ipvs-conn-tab-bits-tuning-20-1.noarch.rpm"]);
    let root = Root::new();
    root.takes(&["-i"], &all(&sandbox.out()));
    let read = |path: &str| fs_err::read_to_string(root.path().join(path)).unwrap();
    let words = |text: String| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(
        words(read("etc/sysctl.d/90-ipvs-director.conf")),
        ["net.core.netdev_max_backlog = 60000", "net.ipv4.tcp_synack_retries = 2"]
    );
    assert_eq!(
        words(read("etc/security/limits.d/90-ipvs-director-limits.conf")),
        ["root soft nofile 65535", "root hard nofile 65535", "daemon soft nofile 65535", "daemon hard nofile 65535"]
    );
    let install = fs_err::read_to_string(sandbox.out().join("INSTALL.md")).unwrap();
    assert!(install.contains("/etc/security/limits.d/90-ipvs-director-limits.conf"), "{install}");
    let listed = root.run(&["-qd", "ipvs-conn-tab-bits-tuning"], &[]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("bonding.txt"));
}

fn built_in(bits: &str) -> (Sandbox, Vec<PathBuf>) {
    let sandbox = Sandbox::new();
    named(&sandbox, "ipvs", "param", bits).arg("--built-in").exits(0).prints("by grubby");
    let packages = all(&sandbox.out());
    (sandbox, packages)
}

#[test]
fn a_built_in_ipvs_gets_the_kernel_argument_which_goes_with_the_package() {
    if !require_root() || !require("busybox") {
        return;
    }
    let (first, second) = (built_in("20"), built_in("18"));
    let root = Root::new().with_grubby(0);
    let set = |bits: &str| {
        [
            "--update-kernel=ALL --remove-args=ip_vs.conn_tab_bits".to_owned(),
            format!("--update-kernel=ALL --args=ip_vs.conn_tab_bits={bits}"),
        ]
    };
    let mut expected = set("20").to_vec();
    root.takes(&["-U"], &first.1);
    assert_eq!(root.grubby_calls(), expected);
    // Another version takes its place: the old one's script must not take the new argument away.
    root.takes(&["-U", "--oldpackage"], &second.1);
    expected.extend(set("18"));
    assert_eq!(root.grubby_calls(), expected);
    root.takes(&["-e", "ipvs-conn-tab-bits-builtin"], &[]);
    expected.push("--update-kernel=ALL --remove-args=ip_vs.conn_tab_bits=18".to_owned());
    assert_eq!(root.grubby_calls(), expected);
    assert!(!root.path().join("etc/modprobe.d").exists(), "modprobe is never asked for what is built in");
}

#[test]
fn without_a_grubby_that_works_the_package_says_what_to_do_and_goes_in() {
    if !require_root() || !require("busybox") {
        return;
    }
    let (_sandbox, packages) = built_in("20");
    for (root, why) in [(Root::new(), "there is no grubby"), (Root::new().with_grubby(1), "grubby failed")] {
        let said = root.takes(&["-i"], &packages);
        assert!(said.contains(why) && said.contains("add ip_vs.conn_tab_bits=20"), "{said}");
        let said = root.takes(&["-e", "ipvs-conn-tab-bits-builtin"], &[]);
        assert!(said.contains(why) && said.contains("remove ip_vs.conn_tab_bits=20"), "{said}");
    }
}

#[test]
fn rpmlint_has_nothing_to_say() {
    if !require("rpmlint") {
        return;
    }
    for more in [&[][..], &["--tune"], &["--built-in"], &["--built-in", "--tune"]] {
        let sandbox = Sandbox::new();
        named(&sandbox, "ipvs", "param", "20").args(more).exits(0);
        let mut rpmlint = Command::new("rpmlint");
        let spec = sandbox.work().join("rpmbuild/SPECS/ipvs-conn-tab-bits.spec");
        let run =
            rpmlint.arg("-c").arg(repository().join("tests/rpmlint.toml")).args(all(&sandbox.out())).arg(spec).output();
        let run = run.unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(said.contains("; 0 errors, 0 warnings") || said.contains(": 0 errors, 0 warnings"), "{more:?}: {said}");
        assert!(run.status.success(), "{said}");
    }
}

#[test]
fn what_the_kernel_would_not_do_is_refused_before_anything_is_made() {
    let sandbox = Sandbox::new();
    let before = sandbox.snapshot();
    let refused = |bits: &str, release: &str, code: i32, says: &[&str]| {
        let outcome = named(&sandbox, "ipvs", "param", bits).instead("--release", release).refused(code);
        for text in says {
            outcome.says(text);
        }
    };
    refused("21", RELEASE, 3, &["outside the range of this kernel, 8..20 (recipe el6)"]);
    refused("7", "3.10.0-1160.el7", 3, &["outside the range"]);
    refused("20", "2.6.32-358.23.2.el6", 3, &["el6 has it since 2.6.32-431.el6", "`--route module` works"]);
    refused("20", "2.6.18-308.13.1.el5", 3, &["no kernel of el5 has the parameter"]);
    refused("20", "5.10.0-60.oe1", 3, &["no recipe covers"]);
    for option in
        ["--boot", "--set=CONFIG_X=y", "--with=firmware", "--buildid=.x", "--mode=ba", "--jobs=2", "--until=edit"]
    {
        let outcome = named(&sandbox, "ipvs", "param", "20").arg(option).refused(2);
        outcome.says("means nothing to `--route param`: no kernel is built");
    }
    named(&sandbox, "plan", "kernel", "20").arg("--tune").refused(2).says("`--tune` means nothing to `--route kernel`");
    assert_eq!(sandbox.snapshot(), before);
}

#[test]
fn auto_takes_the_parameter_where_there_is_one_and_else_a_kernel() {
    let sandbox = Sandbox::new();
    let plan = named(&sandbox, "plan", "auto", "20").args(["--format", "json"]).exits(0).plans();
    assert_eq!(plan[0]["route"], "param");
    let srpm = sandbox.srpm(&Toy::unmodified());
    let plan = sandbox.plan(&srpm, "20").args(["--route", "auto", "--format", "json"]).exits(0).plans();
    assert_eq!(plan[0]["route"], "kernel");
    assert_eq!(plan[0]["routes"][0]["verdict"]["is"], "fails");
    let srpm = sandbox.srpm(&Toy::with_parameter().pack());
    let plan = sandbox.plan(&srpm, "20").args(["--route", "auto", "--format", "json"]).exits(0).plans();
    assert_eq!(plan[0]["route"], "param");
    // More than the table was asked for.
    let more = sandbox.plan(&srpm, "20").args(["--route", "auto", "--set", "CONFIG_IP_VS_DEBUG=y", "--format", "json"]);
    assert_eq!(more.exits(0).plans()[0]["route"], "kernel");
    // A kernel is what is made when nothing is said, with a word about the cheaper way.
    let outcome = sandbox.plan(&srpm, "20").exits(0);
    outcome.prints("* kernel  works").prints("`--route param` would do").prints("no reboot (ip_vs is loaded anew)");
}

#[test]
fn a_source_package_says_itself_that_ipvs_is_built_in() {
    let sandbox = Sandbox::new();
    let toy = Toy::with_parameter().replace("config-generic", "CONFIG_IP_VS=m\n", "CONFIG_IP_VS=y\n");
    let srpm = sandbox.srpm(&toy.pack());
    let outcome = sandbox.plan(&srpm, "20").args(["--route", "param", "--format", "json"]).exits(0);
    let plan = &outcome.plans()[0];
    assert_eq!(plan["nvr"]["name"], "ipvs-conn-tab-bits-builtin");
    assert_eq!(plan["routes"][0]["takes"], "reboot");
    assert_eq!(plan["source"]["nvr"]["release"], RELEASE.split_once('-').unwrap().1);
}

#[test]
fn verify_says_what_a_package_sets_and_of_the_module_that_it_was_not_seen() {
    let sandbox = Sandbox::new();
    named(&sandbox, "ipvs", "param", "20").exits(0);
    let verify = |bits: &str| sandbox.kbuild().args(["verify", "--bits", bits]).arg(sandbox.out());
    verify("20").exits(0).prints("holds: line 3 sets conn_tab_bits=20").prints("level 4  ip_vs.ko  not checked");
    verify("18").exits(9).prints("DIFFERS: expected conn_tab_bits=18");

    // Anybody's package: the last setting counts, and one that sets nothing proves nothing.
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs_err::create_dir_all(root.join("etc/modprobe.d")).unwrap();
    let file = root.join("etc/modprobe.d/x.conf");
    fs_err::write(&file, "options ip_vs conn_tab_bits=20\noptions ip_vs conn_tab_bits=18\n").unwrap();
    let package = sandbox.input("x.rpm", fs_err::read(repack(&root)).unwrap());
    let verify = |bits: &str| sandbox.kbuild().args(["verify", "--bits", bits]).arg(&package);
    verify("20").exits(9).prints("line 1 sets conn_tab_bits=20, then line 2 sets conn_tab_bits=18");
    verify("18").exits(0);
    fs_err::write(&file, "options bonding mode=4\n").unwrap();
    let package = sandbox.input("y.rpm", fs_err::read(repack(&root)).unwrap());
    sandbox.kbuild().args(["verify", "--bits", "20"]).arg(&package).exits(9).says("could not be proved");
}

#[test]
fn the_plan_shows_every_file_of_the_package_and_makes_none() {
    let sandbox = Sandbox::new();
    let before = sandbox.snapshot();
    let outcome = named(&sandbox, "plan", "param", "20").arg("--tune").exits(0);
    outcome
        .prints("* param   works: el6 has the parameter conn_tab_bits since 2.6.32-431.el6")
        .prints("seconds, no reboot (ip_vs is loaded anew), kernel and modules stay as signed")
        .prints("| options ip_vs conn_tab_bits=20")
        .prints("| net.core.netdev_max_backlog = 60000")
        .prints("They do not check the value when ip_vs is loaded");
    assert_eq!(sandbox.snapshot(), before);
}

#[test]
fn a_failed_rpmbuild_leaves_its_words_and_exit_code_8() {
    let sandbox = Sandbox::new();
    let rpmbuild = sandbox.fake("rpmbuild", "echo 'error: Unable to open x'; exit 1");
    let outcome = named(&sandbox, "ipvs", "param", "20").fakes([&rpmbuild]).exits(8);
    outcome.says("rpmbuild ended with exit code 1").says("error: Unable to open x");
    assert_eq!(manifest(&sandbox.out())["status"]["is"], "failed");
}
