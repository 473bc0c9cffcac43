//! The route `module` on toys: `ip_vs.ko` alone, built by real make and real gcc against a real kernel-devel package, and
//! every reason not to.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::built::manifest;
use crate::support::chroot::Chroot;
use crate::support::distribution::Distribution;
use crate::support::fake::Fake;
use crate::support::kbuild::Kbuild;
use crate::support::package::{all, content, extract, names, repack, rpm};
use crate::support::sandbox::Sandbox;
use crate::support::signed;
use crate::support::toy::Toy;
use crate::support::{repository, require, require_root, which};

const RELEASE: &str = "2.6.32-220.13.1.el6.x86_64";
const PACKAGE: &str = "kmod-ip_vs-20bit-2.6.32-220.13.1.el6.x86_64.rpm";

/// `kbuild ipvs --route module` against a kernel-devel.
fn module<'a>(sandbox: &'a Sandbox, srpm: &Path, bits: &str, devel: &Path) -> Kbuild<'a> {
    let copy = sandbox.input(srpm.file_name().unwrap().to_str().unwrap(), fs_err::read(srpm).unwrap());
    sandbox.ipvs(&copy, bits).args(["--route", "module", "--kernel-devel"]).arg(devel)
}

/// The real program, which writes down how it was called.
fn watched(sandbox: &Sandbox, program: &str) -> Fake {
    sandbox.fake(program, &format!("exec {} \"$@\"", which(program).unwrap().display()))
}

#[test]
fn a_constant_of_the_module_is_changed_in_the_module_alone() {
    if !require("rpmbuild") {
        return;
    }
    let (sandbox, el6) = (Sandbox::new(), Distribution::el6());
    let make = watched(&sandbox, "make");
    let outcome = module(&sandbox, &el6.srpm(), "20", &el6.binary("kernel-devel")).fakes([&make]).exits(0);
    outcome.prints("20 bits compiled in: `ip_vs_conn_init` passes 0x1000000 to `vmalloc`");
    outcome.prints("vermagic  holds: `2.6.32-220.13.1.el6.x86_64 SMP mod_unload modversions `");
    outcome.prints("imported symbols  holds: all 5 have the checksums of the kernel's Module.symvers");
    outcome.prints("exported symbols  holds: all 2 have the checksums of the distribution's own ip_vs.ko");
    outcome.prints("include/net/ip_vs.h  holds: the source package's, patched, is the one of kernel-devel");
    assert_eq!(names(&sandbox.out()), [PACKAGE]);
    // One module was compiled, by nobody but the building user, and nothing is left of kernel-devel among the results.
    let calls = make.builds();
    let top = calls.iter().find(|call| call.args.iter().any(|arg| arg == "modules")).unwrap();
    assert!(top.uids().iter().all(|uid| *uid != 0), "{:?}", top.uids());
    assert!(top.args.iter().any(|arg| arg.starts_with("M=")), "{:?}", top.args);
    let objects = fs_err::read_to_string(sandbox.out().join("logs/04-build.log")).unwrap();
    assert!(objects.contains("ip_vs_conn.o") && !objects.contains("ip_vs_rr.o"), "{objects}");

    let manifest = manifest(&sandbox.out());
    assert_eq!((&manifest["route"], &manifest["status"]["is"]), (&"module".into(), &"done".into()));
    assert_eq!(manifest["uname-r"], RELEASE);
    assert_eq!(manifest["module"]["devel"]["uname-r"], RELEASE);
    let digest = kbuild::digest::sha256(&fs_err::read(el6.binary("kernel-devel")).unwrap());
    assert_eq!(manifest["module"]["devel"]["sha256"], digest);
    let sums = Command::new("sha256sum").args(["-c", "--strict", "SHA256SUMS"]).current_dir(sandbox.out()).output();
    assert!(sums.unwrap().status.success());
    let install = fs_err::read_to_string(sandbox.out().join("INSTALL.md")).unwrap();
    for word in [PACKAGE, "modinfo -k 2.6.32-220.13.1.el6.x86_64", "rpm -e kmod-ip_vs-20bit", "is not signed"] {
        assert!(install.contains(word), "{word} in {install}");
    }
    assert!(!fs_err::read_to_string(sandbox.work().join("logs/05-prove.log")).unwrap().is_empty());
}

#[test]
fn the_package_requires_its_kernel_and_nothing_else() {
    if !require("rpmbuild") {
        return;
    }
    for (distribution, requires) in [
        (Distribution::el6(), format!("kernel-uname-r = {RELEASE}")),
        (Distribution::el5(), "kernel-x86_64 = 2.6.18-308.13.1.el5".into()),
    ] {
        let sandbox = Sandbox::new();
        let srpm = distribution.srpm();
        module(&sandbox, &srpm, "20", &distribution.binary("kernel-devel")).exits(0);
        let package = &all(&sandbox.out())[0];
        let asked = rpm(&sandbox.home()).args(["-qp", "--requires"]).arg(package).output().unwrap();
        let text = String::from_utf8(asked.stdout).unwrap();
        let mut needs: Vec<_> = text.lines().filter(|line| !line.starts_with("rpmlib(")).collect();
        needs.sort_unstable();
        needs.dedup();
        assert_eq!(needs, ["/bin/sh", &requires]);
        // rpm 4.4 of el5 knows MD5, which has no name of its own, and gzip.
        let format = "%{FILEDIGESTALGO} %{PAYLOADCOMPRESSOR}";
        let asked = rpm(&sandbox.home()).args(["-qp", "--qf", format]).arg(package).output().unwrap();
        let algorithm = String::from_utf8(asked.stdout).unwrap();
        let old = srpm.to_string_lossy().contains("el5");
        assert_eq!(algorithm, if old { "(none) gzip" } else { "8 gzip" });
    }
}

#[test]
fn verify_tells_the_truth_of_a_module_that_stands_alone() {
    if !require("rpmbuild") {
        return;
    }
    let (sandbox, el6) = (Sandbox::new(), Distribution::el6());
    module(&sandbox, &el6.srpm(), "20", &el6.binary("kernel-devel")).exits(0);
    let verify =
        |bits: &str, what: &Path, code| sandbox.kbuild().args(["verify", "--bits", bits]).arg(what).exits(code);
    verify("20", &sandbox.out(), 0).prints("config  not checked: ip_vs.ko stands apart");
    verify("18", &sandbox.out(), 9).prints("DIFFERS: expected 18 bits, found 20 bits");
    // Packed again for another kernel, it would not be loaded there.
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs_err::create_dir(&root).unwrap();
    extract(&sandbox.out().join(PACKAGE), &root);
    fs_err::rename(root.join("lib/modules").join(RELEASE), root.join("lib/modules/2.6.32-279.el6.x86_64")).unwrap();
    verify("20", &repack(&root), 9).prints("DIFFERS: expected `2.6.32-279.el6.x86_64 …`");
}

#[test]
fn the_same_request_gives_the_same_bytes() {
    if !require("rpmbuild") {
        return;
    }
    let el6 = Distribution::el6();
    let digests: Vec<String> = (0..2)
        .map(|_| {
            let sandbox = Sandbox::new();
            module(&sandbox, &el6.srpm(), "20", &el6.binary("kernel-devel")).exits(0);
            kbuild::digest::sha256(&fs_err::read(sandbox.out().join(PACKAGE)).unwrap())
        })
        .collect();
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn rpmlint_has_nothing_to_say() {
    if !require("rpmbuild") || !require("rpmlint") {
        return;
    }
    let (sandbox, el6) = (Sandbox::new(), Distribution::el6());
    module(&sandbox, &el6.srpm(), "20", &el6.binary("kernel-devel")).exits(0);
    let spec = sandbox.work().join("rpmbuild/SPECS/kmod-ip_vs-20bit.spec");
    let mut rpmlint = Command::new("rpmlint");
    let run = rpmlint.arg("-c").arg(repository().join("tests/rpmlint.toml")).args(all(&sandbox.out())).arg(spec);
    let said = String::from_utf8(run.output().unwrap().stdout).unwrap();
    assert!(said.contains("; 0 errors, 0 warnings") || said.contains(": 0 errors, 0 warnings"), "{said}");
}

#[test]
fn it_stands_beside_the_kernels_own_and_leaves_no_trace() {
    if !require_root() || !["rpmbuild", "busybox", "depmod"].into_iter().all(require) {
        return;
    }
    let (sandbox, el6, root) = (Sandbox::new(), Distribution::el6(), Chroot::new());
    module(&sandbox, &el6.srpm(), "20", &el6.binary("kernel-devel")).exits(0);
    let package = sandbox.out().join(PACKAGE);
    // Not without the kernel that it is for.
    let alone = root.try_rpm(&["-i"], std::slice::from_ref(&package));
    assert!(!alone.status.success());
    let said = String::from_utf8_lossy(&alone.stderr).into_owned();
    assert!(said.contains(&format!("kernel-uname-r = {RELEASE} is needed by kmod-ip_vs-20bit")), "{said}");

    root.rpm(&["-i"], &[el6.binary("kernel"), el6.binary("kernel-firmware")]);
    root.depmod(RELEASE);
    let own = format!("/lib/modules/{RELEASE}/kernel/net/netfilter/ipvs/ip_vs.ko");
    assert_eq!(root.module(RELEASE), own);
    root.rpm(&["-i"], std::slice::from_ref(&package));
    assert_eq!(root.module(RELEASE), format!("/lib/modules/{RELEASE}/extra/ip_vs/ip_vs.ko"));
    assert!(root.path().join(own.trim_start_matches('/')).is_file(), "the kernel's own is gone");

    // On a director where it is loaded and in use: nothing is forced, what stays is named, and links of weak-modules go.
    root.write("bin/uname", &format!("#!/bin/sh\necho {RELEASE}\n"), 0o755);
    root.write("sbin/modprobe", "#!/bin/sh\necho \"$@\" >> /modprobe.calls\nexit 1\n", 0o755);
    root.write("sbin/weak-modules", "#!/bin/sh\nread path\necho \"$@ $path\" >> /weak.calls\n", 0o755);
    root.write("sys/module/ip_vs/holders/ip_vs_rr", "", 0o644);
    let said = root.rpm(&["-e", "kmod-ip_vs-20bit"], &[]);
    assert!(said.contains("ip_vs is in use and stays loaded with the table it has, and so do: ip_vs_rr"), "{said}");
    let calls = |name: &str| fs_err::read_to_string(root.path().join(name)).unwrap();
    assert_eq!(calls("modprobe.calls"), "-r ip_vs_rr\n-r ip_vs\n");
    assert_eq!(calls("weak.calls"), format!("--remove-modules /lib/modules/{RELEASE}/extra/ip_vs/ip_vs.ko\n"));
    assert_eq!(root.module(RELEASE), own);
    for left in [
        "etc/depmod.d/kmod-ip_vs-2.6.32-220.13.1.el6.x86_64.conf",
        "lib/modules/2.6.32-220.13.1.el6.x86_64/extra/ip_vs",
    ] {
        assert!(!root.path().join(left).exists(), "{left}");
    }
}

#[test]
fn a_kernel_devel_that_will_not_do_is_refused_before_anything_is_compiled() {
    if !require("rpmbuild") {
        return;
    }
    let (sandbox, el6) = (Sandbox::new(), Distribution::el6());
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let tree = el6.headers(dir.path());
    let make = watched(&sandbox, "make");
    let refused = |code: i32, says: &str| {
        module(&sandbox, &el6.srpm(), "20", &tree).fakes([&make]).refused(code).says(says);
    };
    let with = |file: &str, from: &str, to: &str, code: i32, says: &str| {
        let path = tree.join(file);
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} in {file}");
        fs_err::write(&path, text.replace(from, to)).unwrap();
        refused(code, says);
        fs_err::write(path, text).unwrap();
    };
    let uts = "include/linux/utsrelease.h";
    with(uts, "220.13.1", "279", 3, "is of the kernel 2.6.32-279.el6.x86_64, expected 2.6.32-220.13.1.el6.x86_64");
    with(".config", "CONFIG_X86_64=y", "CONFIG_ARM64=y", 3, "is for aarch64, expected x86_64");
    with(".config", "CONFIG_IP_VS=m", "CONFIG_IP_VS=y", 3, "IPVS is built into this kernel");
    with(".config", "CONFIG_IP_VS=m", "# CONFIG_IP_VS is not set", 3, "this kernel has no IPVS");
    let without = |file: &str, code: i32, says: &str| {
        fs_err::rename(tree.join(file), dir.path().join("away")).unwrap();
        refused(code, says);
        fs_err::rename(dir.path().join("away"), tree.join(file)).unwrap();
    };
    without("Module.symvers", 3, "has no Module.symvers");
    without(uts, 3, "does not say of which kernel it is");
    without("scripts/mod/modpost", 3, "is incomplete: it has no scripts/mod/modpost");
    let strange = Toy::new().replace(
        "linux/net/netfilter/ipvs/ip_vs_conn.c",
        "#include <net/ip_vs.h>\n",
        "#include <net/ip_vs.h>\n#include <linux/nowhere.h>\n",
    );
    let outcome = module(&sandbox, &strange.pack().path, "20", &tree).fakes([&make]).refused(3);
    outcome.says("IPVS includes <include/linux/nowhere.h>, which neither `");
    // A range is the kernel's own.
    module(&sandbox, &el6.srpm(), "21", &tree).refused(3).says("outside the range of this kernel, 8..20");
    // It is not a kernel-devel package at all.
    let kernel = el6.binary("kernel");
    module(&sandbox, &el6.srpm(), "20", &kernel).refused(6).says("is not a kernel-devel package");
    module(&sandbox, &el6.srpm(), "20", &el6.srpm()).refused(6).says("is a source package, expected kernel-devel");
    module(&sandbox, &el6.srpm(), "20", &dir.path().join("nothing")).refused(5).says("cannot read");
    // It is of another kernel than its name says.
    let el5 = Distribution::el5();
    module(&sandbox, &el6.srpm(), "20", &el5.binary("kernel-devel"))
        .refused(3)
        .says("is of the kernel 2.6.18-308.13.1.el5");
    assert_eq!(make.builds().len(), 0, "something was compiled");
    // A header that it lacks, and the kernel's tarball has, is taken from there.
    fs_err::rename(tree.join("include/linux/kernel.h"), dir.path().join("away")).unwrap();
    module(&sandbox, &el6.srpm(), "20", &tree).exits(0);
    assert!(sandbox.work().join("module/include/linux/kernel.h").is_file());
    fs_err::rename(dir.path().join("away"), tree.join("include/linux/kernel.h")).unwrap();
    // As it is, it is taken.
    module(&sandbox, &el6.srpm(), "20", &tree).exits(0).says("no signature can be checked");
}

#[test]
fn a_kernel_that_is_too_old_or_too_new_or_without_ipvs_is_refused() {
    if !require("rpmbuild") {
        return;
    }
    let (sandbox, el6) = (Sandbox::new(), Distribution::el6());
    let refused = |toy: Toy, says: &str| {
        module(&sandbox, &toy.pack().path, "20", &el6.binary("kernel-devel")).refused(3).says(says);
    };
    let conn = "linux/net/netfilter/ipvs/ip_vs_conn.c";
    refused(
        Toy::new().replace("kernel.spec", "%define rpmversion 2.6.32", "%define rpmversion 2.6.9"),
        "2.6.9 is too old",
    );
    let new = Toy::new().append(conn, "int sysctl_conn_lfactor;\n");
    refused(new, "too new for this: its table resizes itself");
    let unused = Toy::new().replace("linux/include/net/ip_vs.h", "CONFIG_IP_VS_TAB_BITS", "12");
    refused(unused, "too new for this: none of its IPVS sources uses CONFIG_IP_VS_TAB_BITS");
}

#[test]
fn the_compiler_must_be_the_kernels() {
    if !require("rpmbuild") {
        return;
    }
    let (sandbox, el6) = (Sandbox::new(), Distribution::el6());
    let (srpm, devel) = (el6.srpm(), el6.binary("kernel-devel"));
    let make = watched(&sandbox, "make");
    let gcc = sandbox.fake("gcc", "echo 4.4.7");
    let outcome = module(&sandbox, &srpm, "20", &devel).fakes([&make, &gcc]).refused(4);
    outcome.says("the kernel was compiled by gcc ").says(", found gcc 4.4.7").says("--any-compiler");
    assert_eq!(make.builds().len(), 0, "something was compiled");
    let outcome = module(&sandbox, &srpm, "20", &devel).fakes([&make, &gcc]).arg("--any-compiler").exits(0);
    outcome.says("warning: gcc 4.4.7 compiles for a kernel that gcc ");
    // None at all: a PATH with everything else.
    let bin = sandbox.path().join("bin/without-gcc");
    fs_err::create_dir(&bin).unwrap();
    for program in ["rpmbuild", "rpmspec", "make", "strip", "patch", "sh", "bash"] {
        symlink(which(program).unwrap(), bin.join(program)).unwrap();
    }
    let outcome = module(&sandbox, &srpm, "20", &devel).env("PATH", &bin).refused(4);
    outcome.says("`gcc`").says("install");
}

/// A toy with a patch to IPVS that its spec applies as the line says.
fn patched(file: &str, old: &str, new: &str, line: &str) -> Toy {
    let patch = format!("--- a/{file}\n+++ b/{file}\n@@ -1,3 +1,3 @@\n-{old}\n+{new}\n #include <net/ip_vs.h>\n \n");
    let toy = Toy::new().write("ipvs-fix.patch", &patch);
    let toy = toy.replace("kernel.spec", "Patch999999:", "Patch1: ipvs-fix.patch\nPatch999999:");
    toy.replace(
        "kernel.spec",
        "\nApplyOptionalPatch linux-kernel-test.patch\n",
        &format!("\n{line}\nApplyOptionalPatch linux-kernel-test.patch\n"),
    )
}

#[test]
fn the_source_packages_own_patches_are_applied_or_it_is_refused() {
    if !require("rpmbuild") {
        return;
    }
    let (sandbox, el6) = (Sandbox::new(), Distribution::el6());
    let devel = el6.binary("kernel-devel");
    let conn = "net/netfilter/ipvs/ip_vs_conn.c";
    let (first, fixed) = ("#include <linux/module.h>", "#include <linux/module.h> /* fixed by the distribution */");
    let good = patched(conn, first, fixed, "ApplyPatch ipvs-fix.patch").pack();
    let outcome = module(&sandbox, &good.path, "20", &devel).exits(0);
    outcome.says("edit: applying ipvs-fix.patch");
    let source = sandbox.work().join("module").join(conn);
    assert!(fs_err::read_to_string(source).unwrap().starts_with(fixed));
    assert_eq!(manifest(&sandbox.out())["module"]["patches"], serde_json::json!(["ipvs-fix.patch"]));
    let make = watched(&sandbox, "make");
    let refused = |toy: Toy, code: i32, says: &[&str]| {
        let outcome = module(&sandbox, &toy.pack().path, "20", &devel).fakes([&make]).refused(code);
        for text in says {
            outcome.says(text);
        }
    };
    let other = patched(conn, "#include <something/else.h>", fixed, "ApplyPatch ipvs-fix.patch");
    refused(other, 7, &["`ipvs-fix.patch` does not apply, which `kernel.spec`, line ", "Hunk #1 FAILED"]);
    let silent = patched(conn, first, fixed, "");
    refused(silent, 7, &["`ipvs-fix.patch` changes IPVS, and no line of `kernel.spec` says how it is applied"]);
    // kernel-devel has the header without the patch: they are not of one kernel.
    let header = Toy::new()
        .write("ip.patch", "--- a/include/net/ip_vs.h\n+++ b/include/net/ip_vs.h\n@@ -1,4 +1,5 @@\n #ifndef _NET_IP_VS_H\n #define _NET_IP_VS_H\n+/* newer */\n \n #include <linux/kernel.h>\n")
        .replace("kernel.spec", "Patch999999:", "Patch1: ip.patch\nPatch999999:")
        .replace("kernel.spec", "\nApplyOptionalPatch linux-kernel-test.patch\n", "\nApplyPatch ip.patch\nApplyOptionalPatch linux-kernel-test.patch\n");
    refused(header, 6, &["`include/net/ip_vs.h` of the source package, patched, is not the one of `kernel-devel"]);
    assert_eq!(make.builds().len(), 0, "something was compiled");
}

#[test]
fn a_hostile_kernel_devel_writes_nowhere() {
    if !require("rpmbuild") {
        return;
    }
    let (sandbox, el6) = (Sandbox::new(), Distribution::el6());
    for (target, says) in [("/etc/passwd", "a link out of the tree"), ("../../../../etc", "a link out of the tree")] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs_err::create_dir(&root).unwrap();
        let tree = el6.headers(&root);
        symlink(target, tree.join("outside")).unwrap();
        let package = repack(&root);
        let outcome = module(&sandbox, &el6.srpm(), "20", &package).refused(6);
        outcome.says("`outside` in ").says(says);
    }
}

#[test]
fn what_the_module_takes_from_elsewhere_must_be_the_kernels() {
    if !require("rpmbuild") {
        return;
    }
    let (sandbox, el6) = (Sandbox::new(), Distribution::el6());
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let tree = el6.headers(dir.path());
    // A tree whose tools take checksums from somewhere else than its Module.symvers.
    let symvers = fs_err::read_to_string(tree.join("Module.symvers")).unwrap();
    let modpost = fs_err::read_to_string(tree.join("scripts/mod/modpost")).unwrap();
    fs_err::write(tree.join("other.symvers"), symvers.replace("0x1c4f7f5e\tprintk", "0x12345678\tprintk")).unwrap();
    fs_err::write(tree.join("scripts/mod/modpost"), modpost.replace("symvers=$1", "symvers=other.symvers")).unwrap();
    let outcome = module(&sandbox, &el6.srpm(), "20", &tree).exits(9);
    outcome.says("imported symbols  DIFFERS: expected the checksums of the kernel's Module.symvers").says("printk");
    assert_eq!(names(&sandbox.out()), Vec::<String>::new(), "it was packaged all the same");
}

#[test]
fn kernel_devel_is_fetched_as_the_source_package_is() {
    if !require("rpmbuild") {
        return;
    }
    let (sandbox, el6) = (Sandbox::new(), Distribution::el6());
    let mirror = sandbox.path().join("mirror");
    for (package, place) in
        [(el6.srpm(), "6.2/updates/Source/SPackages"), (el6.binary("kernel-devel"), "6.2/updates/x86_64/Packages")]
    {
        fs_err::create_dir_all(mirror.join(place)).unwrap();
        fs_err::copy(&package, mirror.join(place).join(package.file_name().unwrap())).unwrap();
    }
    let lock = sandbox.path().join("home/kbuild.lock");
    let run = |more: &[&str]| {
        let kbuild = sandbox.ipvs(&PathBuf::new(), "20").without("--srpm").without("");
        let kbuild = kbuild.args(["--route", "module", "--release", "2.6.32-220.13.1.el6", "--mirror"]).arg(&mirror);
        kbuild.arg("--store").arg(sandbox.path().join("store")).arg("--lock").arg(&lock).args(more)
    };
    run(&[]).exits(0).says("kernel-devel-2.6.32-220.13.1.el6.x86_64.rpm is from file:");
    assert_eq!(names(&sandbox.out()), [PACKAGE]);
    let noted = fs_err::read_to_string(&lock).unwrap();
    assert!(
        noted.contains("kernel-2.6.32-220.13.1.el6\"") && noted.contains("kernel-devel-2.6.32-220.13.1.el6.x86_64\""),
        "{noted}"
    );
    // Nobody has signed it, and that is said of it, too.
    run(&["--locked"]).without("--allow-unsigned").exits(0);
    let unsigned = module(&sandbox, &el6.srpm(), "20", &el6.binary("kernel-devel")).without("--allow-unsigned");
    unsigned.refused(6).says("has no signature");
    // Changed under its name, it is refused.
    let changed = el6.headers(&sandbox.path().join("home"));
    fs_err::write(changed.join("more"), "").unwrap();
}

#[test]
fn options_of_other_routes_are_refused() {
    let sandbox = Sandbox::new();
    let srpm = PathBuf::from("x.src.rpm");
    let usage = |route: &str, option: &[&str], says: &str| {
        sandbox.ipvs(&srpm, "20").args(["--route", route]).args(option).refused(2).says(says);
    };
    usage("kernel", &["--kernel-devel", "x"], "`--kernel-devel` means nothing to `--route kernel`");
    usage("module", &["--with", "firmware"], "`--with` means nothing to `--route module`");
    usage("module", &["--sign-key", "x"], "--sign-cert");
}

#[test]
fn these_kernels_sign_their_modules_in_another_way() {
    if !require("rpmbuild") || !require("openssl") {
        return;
    }
    let (sandbox, el6) = (Sandbox::new(), Distribution::el6());
    let (key, cert) = signed::key(&sandbox.path().join("in"), "fleet", &["-newkey", "rsa:2048", "-nodes"]);
    let kbuild = module(&sandbox, &el6.srpm(), "20", &el6.binary("kernel-devel"));
    let outcome = kbuild.arg("--sign-key").arg(key).arg("--sign-cert").arg(cert).refused(4);
    outcome.says("has no scripts/sign-file, and modules of Linux 2.6.32 are signed in another way");
}

#[test]
fn auto_takes_the_module_where_there_is_no_parameter() {
    if !require("rpmbuild") {
        return;
    }
    let (sandbox, el6) = (Sandbox::new(), Distribution::el6());
    let srpm = sandbox.input("kernel-2.6.32-220.13.1.el6.src.rpm", fs_err::read(el6.srpm()).unwrap());
    let plan = sandbox.plan(&srpm, "20").args(["--route", "auto", "--format", "json", "--kernel-devel"]);
    let plans = plan.arg(el6.binary("kernel-devel")).exits(0).plans();
    assert_eq!(plans[0]["route"], "module");
    let told = sandbox.plan(&srpm, "20").args(["--route", "module", "--kernel-devel"]).arg(el6.binary("kernel-devel"));
    let outcome = told.exits(0);
    outcome
        .prints("* module  works")
        .prints("make -j")
        .prints("ip_vs.ko holds 20, and fits 2.6.32-220.13.1.el6.x86_64");
    let text = content(&el6.binary("kernel-devel"), "Module.symvers");
    assert!(text.contains("printk"), "{text}");
}
