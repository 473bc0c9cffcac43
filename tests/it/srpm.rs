//! `kbuild ipvs --mode srpm`: a source package that somebody else's build system makes the promised kernel of.
//!
//! What mock would do with it is done by `rpmbuild --rebuild`, with the very options that kbuild prints for mock.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::built::manifest;
use crate::support::package::{self, names};
use crate::support::require;
use crate::support::sandbox::Sandbox;
use crate::support::toy::{Srpm, Toy};

const NVR: &str = "kernel-2.6.32-220.13.1.el6.ipvs_20bit";

/// Makes a source package for 20 bits of a toy, and returns it with the line of JSON that says so.
#[track_caller]
fn made(sandbox: &Sandbox, toy: &Srpm, args: &[&str]) -> (PathBuf, Value) {
    let srpm = sandbox.srpm(toy);
    let built = sandbox.ipvs(&srpm, "20").args(["--mode", "srpm", "--format", "json"]).args(args).exits(0);
    let last = built.json_lines().pop().unwrap();
    (package::only(&sandbox.out()), last)
}

/// The options of rpmbuild in the command that is printed for mock: all between the chroot and `--rebuild`.
fn options(result: &Value) -> Vec<String> {
    let mock = result["submissions"].as_array().unwrap().iter().find(|each| each["system"] == "mock").unwrap();
    let words = shlex::split(mock["commands"][0].as_str().unwrap()).unwrap();
    assert_eq!(words[..2], ["mock", "-r"], "{words:?}");
    let end = words.iter().position(|word| word == "--rebuild").unwrap();
    words[3..end].to_vec()
}

/// Builds a source package as a chroot of its distribution would: rpmbuild with those options, and what the chroot itself
/// defines. Returns the directory of the packages.
#[track_caller]
fn rebuilt(srpm: &Path, top: &Path, options: &[String], chroot: &[&str]) -> PathBuf {
    let done = Command::new("rpmbuild")
        .args(["--rebuild", "--nodeps", "--target=x86_64", "--define", "_buildshell /bin/bash", "--define"])
        .arg(format!("_topdir {}", top.display()))
        .args(chroot.iter().flat_map(|define| ["--define", define]))
        .args(options)
        .arg(srpm)
        .env("HOME", top)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}", said.lines().rev().take(40).collect::<Vec<_>>().join("\n"));
    top.join("RPMS/x86_64")
}

fn proof(out: &Path) -> Vec<(u64, String)> {
    let manifest = manifest(out);
    let findings = manifest["proof"].as_array().unwrap().clone();
    findings
        .iter()
        .map(|each| (each["level"].as_u64().unwrap(), each["verdict"]["is"].as_str().unwrap().to_owned()))
        .collect()
}

#[test]
fn the_source_package_says_what_was_planned_and_builds_to_20_bits() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let (srpm, result) = made(&sandbox, &Toy::unmodified(), &["--profile", "fleet"]);
    assert_eq!(names(&sandbox.out()), [format!("{NVR}.src.rpm")]);
    let manifest = manifest(&sandbox.out());
    assert_eq!(manifest["request"]["mode"], "srpm");
    assert_eq!(manifest["request"]["settings"], json!(["CONFIG_IP_VS_TAB_BITS=20"]));

    // Level 1 holds, and nothing more is claimed.
    let proof = proof(&sandbox.out());
    let levels: Vec<(u64, &str)> = proof.iter().map(|(level, verdict)| (*level, verdict.as_str())).collect();
    assert!(levels.iter().filter(|each| **each == (1, "holds")).count() >= 5, "{levels:?}");
    assert!(levels.ends_with(&[2, 3, 4, 5].map(|level| (level, "not-checked"))), "{levels:?}");

    let unpacked = tempfile::tempdir().unwrap();
    package::extract(&srpm, unpacked.path());
    let read = |name: &str| fs_err::read_to_string(unpacked.path().join(name)).unwrap();
    assert!(read("config-generic").contains("\nCONFIG_IP_VS_TAB_BITS=20\n"));
    assert!(read("kernel.spec").contains("\n%define buildid .ipvs_20bit\n"));

    // How to have it built is among the results, and how to install it is not.
    let submit = fs_err::read_to_string(sandbox.out().join("SUBMIT.md")).unwrap();
    assert!(!sandbox.out().join("INSTALL.md").exists());
    for each in result["submissions"].as_array().unwrap() {
        for command in each["before"].as_array().unwrap().iter().chain(each["commands"].as_array().unwrap()) {
            assert!(submit.contains(&format!("\n    {}\n", command.as_str().unwrap())), "{command} in {submit}");
        }
    }
    let checked = Command::new("sha256sum").args(["--quiet", "-c", "SHA256SUMS"]).current_dir(sandbox.out()).status();
    assert!(checked.unwrap().success());

    let options = options(&result);
    assert_eq!(
        options,
        ["--with", "firmware", "--with", "baseonly", "--without", "debuginfo", "--without", "perf", "--without", "doc"]
    );
    let top = tempfile::tempdir_in("/var/tmp").unwrap();
    let packages = rebuilt(&srpm, top.path(), &options, &[]);
    let found = names(&packages);
    for name in ["kernel", "kernel-devel", "kernel-firmware", "kernel-headers"] {
        assert!(
            found.iter().any(|file| *file == format!("{name}-{}.x86_64.rpm", &NVR["kernel-".len()..])),
            "{found:?}"
        );
    }
    sandbox.kbuild().args(["verify", "--bits", "20"]).arg(&packages).exits(0).prints("ip_vs.ko");
    sandbox.kbuild().args(["verify", "--bits", "18"]).arg(&packages).exits(9);
}

#[test]
fn people_are_told_how_to_have_it_built() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let planned = sandbox.plan(&srpm, "20").args(["--mode", "srpm"]).exits(0);
    planned.prints("makes     a source package with the edits").prints(" -bs --nodeps ");
    planned.prints(&format!("mock -r eol/centos-6-x86_64 --with firmware --rebuild {NVR}.src.rpm\n"));
    // A machine that has rpmbuild and nothing of what a kernel takes will do.
    planned.prints("none is needed beside the programs");
    let built = sandbox.ipvs(&srpm, "20").args(["--mode", "srpm"]).exits(0);
    built.prints("proof that it asks for 2^20 = 1048576 buckets");
    built.prints("ip_vs.ko  not checked: a source package was asked for");
    for line in [
        format!("  mock  mock -r eol/centos-6-x86_64 --with firmware --rebuild {NVR}.src.rpm\n"),
        "  koji  koji edit-tag BUILD-TAG -x 'rpm.macro._with_firmware=--with-firmware'\n".to_owned(),
        "  copr  copr-cli edit-chroot --rpmbuild-with firmware PROJECT/CHROOT\n".to_owned(),
        "  obs   osc checkout PROJECT\n".to_owned(),
    ] {
        built.prints(&line);
    }
    built.prints("SUBMIT.md");
}

#[test]
fn where_the_spec_takes_the_hosts_dist_the_command_has_it() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let (srpm, result) = made(&sandbox, &Toy::of("el8").pack(), &["--profile", "fleet"]);
    let planned = manifest(&sandbox.out())["nvr"].as_str().unwrap().to_owned();
    assert!(planned.ends_with(".el8_2.ipvs_20bit"), "{planned}");
    let options = options(&result);
    let at = options.iter().position(|word| word == "--define").unwrap_or_else(|| panic!("{options:?}"));
    assert_eq!(options[at + 1], "dist .el8_2");

    let kernels = |options: &[String]| {
        let top = tempfile::tempdir_in("/var/tmp").unwrap();
        // The chroot has a number, and a %dist of its own, which is newer than the kernel.
        let packages = rebuilt(&srpm, top.path(), options, &["rhel 8", "dist .el8"]);
        let found = names(&packages);
        let proved = sandbox.kbuild().args(["verify", "--bits", "20"]).arg(&packages).start().ends();
        (found.contains(&format!("{planned}.x86_64.rpm")), proved.code())
    };
    assert_eq!(kernels(&options), (true, Some(0)));
    // And without it another release comes out: the line is not there for show.
    let mut without = options.clone();
    without.drain(at..at + 2);
    assert!(!kernels(&without).0);
    // A spec that has its own says nothing of it.
    let sandbox = Sandbox::new();
    let (_, result) = made(&sandbox, &Toy::unmodified(), &[]);
    assert!(!result["submissions"].to_string().contains("dist "), "{}", result["submissions"]);
}

#[test]
fn patches_and_options_are_in_it_and_the_same_request_makes_the_same() {
    if !require("rpmbuild") {
        return;
    }
    let patch = "--- a/Makefile\n+++ b/Makefile\n@@ -1,1 +1,2 @@\n+# a line of our own\n VERSION = 2\n";
    let sandbox = Sandbox::new();
    let file = sandbox.input("own.patch", patch);
    let srpm = sandbox.srpm(&Toy::unmodified());
    let make = |work: &str, out: &str| {
        let (work, out) = (sandbox.path().join(work), sandbox.path().join(out));
        let build = sandbox.ipvs(&srpm, "18,20").instead("--work", work).instead("--out", &out);
        build.args(["--mode", "srpm", "--set", "CONFIG_X25=m", "--patch"]).arg(&file).exits(0);
        out
    };
    let (first, second, elsewhere) = (make("work", "one"), make("work", "two"), make("other", "three"));
    for bits in ["18", "20"] {
        let found = |out: &Path| package::only(&out.join(format!("ipvs_{bits}bit")));
        let (first, second, elsewhere) = (found(&first), found(&second), found(&elsewhere));
        assert!(package::content(&first, "config-generic").contains(&format!("\nCONFIG_IP_VS_TAB_BITS={bits}\n")));
        assert!(package::content(&first, "linux-kernel-test.patch").contains("+# a line of our own\n"));
        let sha256 = |path: &Path| kbuild::digest::sha256(&fs_err::read(path).unwrap());
        assert_eq!(sha256(&first), sha256(&second), "{bits}");
        // rpm 4.16 and later write the spec with all its paths into the header: what is in it is the same.
        let inside = |path: &Path| kbuild::rpm::source::digests(path).unwrap();
        assert_eq!(inside(&first), inside(&elsewhere), "{bits}");
    }
}

#[test]
fn rpm_of_el5_can_read_its_own() {
    if !require("rpmbuild") {
        return;
    }
    let algorithm = |family: &str| {
        let sandbox = Sandbox::new();
        let (srpm, _) = made(&sandbox, &Toy::of(family).pack(), &[]);
        let query = ["-qp", "--queryformat", "%{FILEDIGESTALGO} %{PAYLOADCOMPRESSOR}"];
        let said = package::rpm(&sandbox.home()).args(query).arg(srpm).output().unwrap();
        String::from_utf8(said.stdout).unwrap()
    };
    // MD5, which headers of rpm 4.4 do not even name, or SHA-256.
    assert!(["(none) gzip", "1 gzip"].contains(&algorithm("el5").as_str()), "{}", algorithm("el5"));
    assert_eq!(algorithm("el6"), "8 gzip");
}

#[test]
fn a_source_package_that_is_not_what_was_planned_is_found_out() {
    if !require("rpmbuild") {
        return;
    }
    let real = crate::support::which("rpmbuild").unwrap();
    for (spoil, file) in [
        ("sed -i s/TAB_BITS=20/TAB_BITS=12/ SOURCES/config-generic", "config-generic"),
        ("echo >> SOURCES/config-nodebug", "config-nodebug"),
        ("sed -i 's/^Source0:.*/&\\nSource99: strange/' SPECS/kernel.spec; echo x > SOURCES/strange", "strange"),
    ] {
        let sandbox = Sandbox::new();
        let srpm = sandbox.srpm(&Toy::unmodified());
        let script = format!("case \" $* \" in *' -bs '*) {spoil} ;; esac; exec {} \"$@\"", real.display());
        let rpmbuild = sandbox.fake("rpmbuild", &script);
        let outcome = sandbox.ipvs(&srpm, "20").fakes([&rpmbuild]).args(["--mode", "srpm"]).exits(9);
        outcome.says(&format!("{file} in the source package"));
        assert!(names(&sandbox.out()).is_empty(), "{:?}", names(&sandbox.out()));
        assert!(proof(&sandbox.out()).contains(&(1, "differs".to_owned())));
    }
}

#[test]
fn what_means_nothing_to_a_source_package_is_refused() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let before = sandbox.snapshot();
    let refused = |args: &[&str], option: &str| {
        let outcome = sandbox.ipvs(&srpm, "20").args(["--mode", "srpm"]).args(args).refused(2);
        outcome.says(&format!("`{option}` means nothing to `--mode srpm`"));
    };
    for option in ["--boot", "--jobs=2", "--cache=local", "--resume-build", "--throw-away-key"] {
        refused(&[option], option.split('=').next().unwrap());
    }
    for route in ["module", "param", "tree"] {
        refused(&["--route", route], "--route");
    }
    refused(&["--route", "auto"], "--route auto");
    assert_eq!(sandbox.snapshot(), before);
}
