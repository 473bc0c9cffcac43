//! A build from the source package to the results: what comes out, what it is called, what the manifest says of it, and
//! what each argument changes.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::built::{Built, manifest};
use crate::support::package::{self, content, names};
use crate::support::sandbox::Sandbox;
use crate::support::toy::{STOCK, Toy};
use crate::support::{repository, require, require_root};

const RELEASE: &str = "2.6.32-220.13.1.el6.ipvs_20bit";

/// File names of the toy's packages for 20 bits.
fn packages(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{name}-{RELEASE}.x86_64.rpm")).collect()
}

const FLEET: [&str; 4] = ["kernel", "kernel-devel", "kernel-firmware", "kernel-headers"];

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|each| each.as_str().unwrap()).collect()
}

/// Returns the proof of a manifest as level, subject and verdict.
fn proof(manifest: &Value) -> Vec<(u64, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let finding =
        |each: &Value| (each["level"].as_u64().unwrap(), text(&each["subject"]), text(&each["verdict"]["is"]));
    manifest["proof"].as_array().unwrap().iter().map(finding).collect()
}

#[test]
fn the_names_of_all_packages_carry_the_value() {
    if !require("rpmbuild") {
        return;
    }
    let built = Built::toy();
    let expected = packages(&[
        "kernel",
        "kernel-debug",
        "kernel-debug-debuginfo",
        "kernel-debug-devel",
        "kernel-debuginfo",
        "kernel-debuginfo-common-x86_64",
        "kernel-devel",
        "kernel-firmware",
        "kernel-headers",
        "perf",
        "perf-debuginfo",
        "python-perf",
    ]);
    let found = names(&built.out);
    assert!(found.iter().all(|name| name.contains(".ipvs_20bit")), "{found:?}");
    assert_eq!(found.iter().collect::<BTreeSet<_>>(), expected.iter().collect());
    for name in &expected {
        assert!(built.stdout.contains(name), "{name} in {}", built.stdout);
    }
    assert!(built.stdout.contains("2^20 = 1048576 buckets"), "{}", built.stdout);
}

#[test]
fn the_checksums_are_right_and_cover_every_package() {
    if !require("rpmbuild") {
        return;
    }
    let built = Built::toy();
    let check = || Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(&built.out).output().unwrap();
    let checked = check();
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{said}{}", String::from_utf8_lossy(&checked.stderr));
    let mut expected = names(&built.out);
    expected.extend(["INSTALL.md", "provenance.json", "sbom.cdx.json"].map(str::to_owned));
    expected.sort();
    let mut listed: Vec<_> = said.lines().map(|line| line.strip_suffix(": OK").unwrap()).collect();
    listed.sort_unstable();
    assert_eq!(listed, expected);
}

#[test]
fn the_manifest_says_what_was_asked_done_and_proved() {
    if !require("rpmbuild") {
        return;
    }
    let built = Built::toy();
    let manifest = built.manifest();
    assert_eq!(manifest["schema"], 1);
    assert_eq!(manifest["kbuild"], env!("CARGO_PKG_VERSION"));
    assert_eq!(manifest["status"], json!({ "is": "done" }));
    assert_eq!(manifest["nvr"], format!("kernel-{RELEASE}"));
    assert_eq!(manifest["uname-r"], format!("{RELEASE}.x86_64"));
    let request = json!({
        "bits": 20, "arch": "x86_64", "mode": "bb", "profile": "full", "settings": ["CONFIG_IP_VS_TAB_BITS=20"],
    });
    assert_eq!(manifest["request"], request);

    let recipe = fs_err::read(repository().join("recipes/el6.toml")).unwrap();
    assert_eq!(manifest["recipe"]["name"], "el6");
    assert_eq!(manifest["recipe"]["sha256"], kbuild::digest::sha256(&recipe));

    let srpm = fs_err::read(Toy::unmodified().path).unwrap();
    let source = &manifest["source"];
    assert_eq!(source["file"], format!("kernel-{STOCK}.src.rpm"));
    assert_eq!(source["size"], srpm.len());
    assert_eq!(source["sha256"], kbuild::digest::sha256(&srpm));
    assert_eq!(source["signature"], json!({ "verdict": "unsigned" }));

    let edits = manifest["edits"].as_array().unwrap();
    let changed: Vec<_> = edits
        .iter()
        .map(|edit| (edit["file"].as_str().unwrap(), &edit["changes"][0]["before"], &edit["changes"][0]["after"]))
        .collect();
    assert_eq!(
        changed,
        [
            ("config-generic", &json!("CONFIG_IP_VS_TAB_BITS=12"), &json!("CONFIG_IP_VS_TAB_BITS=20")),
            ("kernel.spec", &json!("# % define buildid .local"), &json!("%define buildid .ipvs_20bit")),
        ]
    );

    let stages: Vec<_> = manifest["stages"].as_array().unwrap().iter().map(|stage| &stage["stage"]).collect();
    assert_eq!(stages, ["verify", "unpack", "edit", "build", "prove", "collect"]);
    assert!(manifest["stages"].as_array().unwrap().iter().all(|stage| stage["failed"] == false));
    assert!(manifest["tools"]["rpmbuild"].as_str().unwrap().contains("4."), "{}", manifest["tools"]);
    assert!(manifest["tools"]["gcc"].as_str().unwrap().starts_with("gcc"), "{}", manifest["tools"]);
    let promised: BTreeSet<_> = strings(&manifest["promised"]).into_iter().map(str::to_owned).collect();
    assert_eq!(promised, names(&built.out).into_iter().collect());
}

#[test]
fn the_manifest_has_the_proof_of_levels_1_to_4() {
    if !require("rpmbuild") {
        return;
    }
    let built = Built::toy();
    let proof = proof(&built.manifest());
    assert!(proof.iter().all(|(_, _, verdict)| verdict == "holds"), "{proof:?}");
    let subjects = |level| -> Vec<_> {
        let mut of_level: Vec<_> =
            proof.iter().filter(|each| each.0 == level).map(|each| each.1.rsplit('/').next().unwrap()).collect();
        of_level.sort_unstable();
        of_level
    };
    assert_eq!(subjects(1), ["config-generic", "kernel.spec"]);
    assert_eq!(subjects(2), ["kernel-2.6.32-x86_64-debug.config", "kernel-2.6.32-x86_64.config"]);
    let (plain, debug) = (format!("config-{RELEASE}.x86_64"), format!("config-{RELEASE}.x86_64.debug"));
    assert_eq!(subjects(3), [".config", ".config", plain.as_str(), debug.as_str()]);
    assert_eq!(subjects(4), ["ip_vs.ko", "ip_vs.ko"]);
    // Nothing is said of a boot as if it had happened.
    assert_eq!(subjects(5), [""; 0]);
    assert!(built.stdout.contains("level 5  a boot  not checked: --boot was not asked for"), "{}", built.stdout);
}

#[test]
fn the_manifest_lists_every_result_as_it_is_on_disk() {
    if !require("rpmbuild") {
        return;
    }
    let built = Built::toy();
    let manifest = built.manifest();
    let mut on_disk: BTreeSet<String> = walkdir::WalkDir::new(&built.out)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().strip_prefix(&built.out).unwrap().to_str().unwrap().to_owned())
        .collect();
    assert!(on_disk.remove("manifest.json"));
    let files = manifest["files"].as_array().unwrap();
    let listed: BTreeSet<String> = files.iter().map(|file| file["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, on_disk);
    assert!(listed.contains("logs/04-build.log"), "{listed:?}");
    for file in files {
        let content = fs_err::read(built.out.join(file["name"].as_str().unwrap())).unwrap();
        assert_eq!(file["size"], content.len(), "{file}");
        assert_eq!(file["sha256"], kbuild::digest::sha256(&content), "{file}");
    }
}

#[test]
fn the_command_line_in_the_manifest_asks_for_the_same_again() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let set = "CONFIG_CMDLINE=\"a b\"";
    sandbox.ipvs(&srpm, "20").args(["--until", "edit", "--set", set, "--jobs", "2"]).exits(0);
    let first = manifest(&sandbox.out());
    let words = shlex::split(first["reproduce"].as_str().unwrap()).unwrap();
    let [program, args @ ..] = words.as_slice() else { panic!("{first}") };
    assert_eq!(program, "kbuild");
    sandbox.kbuild().args(args).exits(0);
    let second = manifest(&sandbox.out());
    for part in ["request", "edits", "source", "recipe", "nvr", "reproduce"] {
        assert_eq!(first[part], second[part], "{part}");
    }
}

#[test]
fn the_instructions_name_the_firmware_before_the_kernel() {
    if !require("rpmbuild") {
        return;
    }
    let built = Built::toy();
    let text = fs_err::read_to_string(built.out.join("INSTALL.md")).unwrap();
    let at = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("no `{needle}` in {text}"));
    let (update, install) = (at("rpm -U"), at("rpm -i"));
    assert!(update < install, "{text}");
    let part = |name: &str| at(&format!("{name}-{RELEASE}.x86_64.rpm"));
    for name in ["kernel-firmware", "kernel-headers", "perf"] {
        assert!((update..install).contains(&part(name)), "{name} in {text}");
    }
    for name in ["kernel", "kernel-devel"] {
        assert!(part(name) > install, "{name} in {text}");
    }
    assert!(text.contains(&format!("grubby --set-default=/boot/vmlinuz-{RELEASE}.x86_64")), "{text}");
    assert!(text.contains("size=1048576"), "{text}");
    assert!(text.contains(&format!("rpm -e kernel-{RELEASE}")), "{text}");
    assert!(!text.contains("{{") && !text.contains("{%"), "{text}");
}

#[test]
fn results_belong_to_root_and_the_tree_to_the_account_that_it_made() {
    if !require_root() || !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    assert!(!sandbox.user().exists());
    sandbox.ipvs(&srpm, "20").args(["--profile", "fleet"]).exits(0);
    let (uid, gid) = sandbox.user().ids();
    assert!(uid != 0 && gid != 0);
    let owners = |dir| -> BTreeSet<(u32, u32)> {
        let details = walkdir::WalkDir::new(dir).into_iter().map(|entry| entry.unwrap().metadata().unwrap());
        details.map(|details| (details.uid(), details.gid())).collect()
    };
    assert_eq!(owners(sandbox.out()), [(0, 0)].into());
    assert_eq!(owners(sandbox.work()), [(uid, gid)].into());
    for package in package::all(&sandbox.out()) {
        assert_eq!(fs_err::metadata(&package).unwrap().mode() & 0o777, 0o644, "{}", package.display());
    }
    // The account cannot log in and has no home.
    let line = Command::new("getent").args(["passwd", &sandbox.user().name]).output().unwrap().stdout;
    let line = String::from_utf8(line).unwrap();
    assert!(line.trim_end().ends_with(":/nonexistent:/sbin/nologin"), "{line}");
}

#[test]
fn a_second_run_in_the_same_place_keeps_nothing_of_the_first() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    sandbox.ipvs(&srpm, "20").args(["--profile", "fleet"]).exits(0);
    // Another value: nothing of the first edit may be left.
    let second = sandbox.ipvs(&srpm, "18").args(["--profile", "fleet"]).instead("--out", sandbox.path().join("18"));
    second.exits(0);
    let found = names(&sandbox.path().join("18"));
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found.iter().all(|name| name.contains(".el6.ipvs_18bit.")), "{found:?}");
    sandbox.ipvs(&srpm, "20").args(["--profile", "fleet", "--fresh"]).exits(0);
}

#[test]
fn results_of_another_kernel_are_neither_mixed_with_these_nor_lost() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    sandbox.ipvs(&srpm, "18").exits(0);
    let before = sandbox.snapshot();
    let refused = sandbox.ipvs(&srpm, "20").refused(4);
    refused.says("holds the results of kernel-2.6.32-220.13.1.el6.ipvs_18bit").says("--out");
    assert_eq!(sandbox.snapshot(), before);
    // The same kernel again takes their place: who installs *.rpm gets nothing of the earlier run.
    sandbox.ipvs(&srpm, "18").args(["--profile", "fleet"]).exits(0);
    assert_eq!(names(&sandbox.out()).len(), FLEET.len());
    sandbox.kbuild().args(["verify", "--bits", "18"]).arg(sandbox.out()).exits(0);
}

#[test]
fn ba_gives_a_source_package_with_the_edits() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    sandbox.ipvs(&srpm, "20").args(["--mode", "ba", "--profile", "fleet"]).exits(0);
    let source = sandbox.out().join(format!("kernel-{RELEASE}.src.rpm"));
    assert!(source.is_file(), "{:?}", names(&sandbox.out()));
    assert_eq!(names(&sandbox.out()).len(), FLEET.len() + 1);
    let dir = tempfile::tempdir().unwrap();
    package::extract(&source, dir.path());
    let read = |name: &str| fs_err::read_to_string(dir.path().join(name)).unwrap();
    assert!(read("config-generic").contains("\nCONFIG_IP_VS_TAB_BITS=20\n"));
    assert!(read("kernel.spec").contains("\n%define buildid .ipvs_20bit\n"));
    assert_eq!(manifest(&sandbox.out())["request"]["mode"], "ba");
    // It is for rebuilding, not for installing.
    let text = fs_err::read_to_string(sandbox.out().join("INSTALL.md")).unwrap();
    assert!(!text.contains(".src.rpm"), "{text}");
}

#[test]
fn the_fleet_gets_kernel_devel_headers_and_firmware() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    sandbox.ipvs(&srpm, "20").args(["--profile", "fleet"]).exits(0);
    let found = names(&sandbox.out());
    assert_eq!(found.iter().collect::<BTreeSet<_>>(), packages(&FLEET).iter().collect());
    assert_eq!(manifest(&sandbox.out())["request"]["profile"], "fleet");
}

#[test]
fn several_values_give_a_directory_each() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let outcome = sandbox.ipvs(&srpm, "18,20").args(["--profile", "fleet"]).exits(0);
    let mut dirs: Vec<_> = fs_err::read_dir(sandbox.out())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    dirs.sort();
    assert_eq!(dirs, ["ipvs_18bit", "ipvs_20bit"]);
    for (bits, buckets) in [("18", "262144"), ("20", "1048576")] {
        let out = sandbox.out().join(format!("ipvs_{bits}bit"));
        let found = names(&out);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found.iter().all(|name| name.contains(&format!(".el6.ipvs_{bits}bit."))), "{found:?}");
        assert_eq!(manifest(&out)["request"]["bits"].to_string(), bits);
        outcome.prints(&format!("2^{bits} = {buckets} buckets"));
        sandbox.kbuild().args(["verify", "--bits", bits]).arg(&out).exits(0);
    }
}

#[test]
fn other_options_arrive_in_the_config_of_the_packages() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    // One that config-generic has, one that it does not have, one that is to be off, one of text.
    let set = ["CONFIG_HZ=250", "CONFIG_BRIDGE=m", "CONFIG_SYN_COOKIES=n", "CONFIG_CMDLINE=\"a b\""];
    let args = set.iter().flat_map(|setting| ["--set", *setting]);
    sandbox.ipvs(&srpm, "20").args(["--profile", "fleet"]).args(args).exits(0);
    for (name, ending) in [("kernel", &*format!("boot/config-{RELEASE}.x86_64")), ("kernel-devel", ".config")] {
        let config = content(&sandbox.out().join(format!("{name}-{RELEASE}.x86_64.rpm")), ending);
        let has = |line: &str| config.lines().any(|each| each == line);
        for line in [
            "CONFIG_IP_VS_TAB_BITS=20",
            "CONFIG_HZ=250",
            "CONFIG_BRIDGE=m",
            "# CONFIG_SYN_COOKIES is not set",
            "CONFIG_CMDLINE=\"a b\"",
        ] {
            assert!(has(line), "no `{line}` in {config}");
        }
        assert!(!has("CONFIG_HZ=1000"), "{config}");
    }
    let manifest = manifest(&sandbox.out());
    assert_eq!(strings(&manifest["request"]["settings"])[1..], set);
}

#[test]
fn an_option_that_a_stronger_file_decides_stops_the_build() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    // config-x86_64-generic-rhel says 4096.
    let outcome = sandbox.ipvs(&srpm, "20").args(["--set", "CONFIG_NR_CPUS=64"]).exits(9);
    outcome.says("CONFIG_NR_CPUS=64").says("config-x86_64-generic-rhel");
}

/// A patch of five lines: specs take one of nine lines or fewer for an empty file.
const SHORT: &str = "--- a/include/linux/ip_vs.h\n+++ b/include/linux/ip_vs.h\n@@ -1 +1 @@\n-#ifndef _IP_VS_H\n\
    +#ifndef _IP_VS_H /* patched */\n";

#[test]
fn patches_are_applied_even_a_short_one() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let first = sandbox.input("short.patch", SHORT);
    let build = || sandbox.ipvs(&srpm, "20").args(["--profile", "fleet"]).arg("--patch").arg(&first);
    build().exits(0);
    let headers = sandbox.out().join(format!("kernel-headers-{RELEASE}.x86_64.rpm"));
    assert!(content(&headers, "linux/ip_vs.h").contains("/* patched */"));
    assert!(manifest(&sandbox.out())["edits"].to_string().contains("lines of short.patch"));

    // A second one is applied after the first, to what that one made.
    let on_top = SHORT.replace(
        "-#ifndef _IP_VS_H\n+#ifndef _IP_VS_H /* patched */",
        "-#ifndef _IP_VS_H /* patched */\n+#ifndef _IP_VS_H /* twice */",
    );
    let second = sandbox.input("second.patch", on_top);
    build().arg("--patch").arg(second).exits(0);
    assert!(content(&headers, "linux/ip_vs.h").contains("/* twice */"));
}

#[test]
fn what_is_no_diff_is_refused_as_a_patch() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let rpmbuild = sandbox.fake("rpmbuild", "exit 1");
    let before = sandbox.snapshot();
    let text = sandbox.path().join("in/kernel-2.6.32-220.13.1.el6.src.rpm");
    for (patch, why) in
        [(text, "UTF-8"), (repository().join("Cargo.toml"), "unified diff"), ("/nonexistent".into(), "nonexistent")]
    {
        let outcome = sandbox.ipvs(&srpm, "20").fakes([&rpmbuild]).arg("--patch").arg(patch).refused(3);
        outcome.says("the patch").says(why);
    }
    assert_eq!(sandbox.snapshot(), before);
}

#[test]
fn a_patch_that_does_not_apply_fails_in_prep_and_is_named() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let patch = sandbox.input("wrong.patch", SHORT.replace("-#ifndef _IP_VS_H\n", "-#ifndef _SOMETHING_ELSE\n"));
    sandbox.ipvs(&srpm, "20").arg("--patch").arg(patch).exits(8).says("%prep").says("hunk FAILED");
}

#[test]
fn until_edit_stops_after_the_edit() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let rpmbuild = sandbox.fake("rpmbuild", "exit 1");
    let outcome = sandbox.ipvs(&srpm, "20").fakes([&rpmbuild]).args(["--until", "edit"]).exits(0);
    outcome.prints("up to edit");
    assert!(rpmbuild.calls().is_empty());
    let top = sandbox.work().join("rpmbuild");
    let read = |path: &str| fs_err::read_to_string(top.join(path)).unwrap();
    assert!(read("SOURCES/config-generic").contains("\nCONFIG_IP_VS_TAB_BITS=20\n"));
    assert!(read("SPECS/kernel.spec").contains("\n%define buildid .ipvs_20bit\n"));
    assert!(fs_err::read_dir(top.join("BUILD")).unwrap().next().is_none());
    // The pristine copy beside it is as the package has it.
    let pristine = fs_err::read_to_string(sandbox.work().join("pristine/config-generic")).unwrap();
    assert!(pristine.contains("\nCONFIG_IP_VS_TAB_BITS=12\n"));
    // Nothing among the results pretends to be one.
    assert_eq!(names(&sandbox.out()), [""; 0]);
    let stages = manifest(&sandbox.out())["stages"].as_array().unwrap().len();
    assert_eq!(stages, 3);
}

#[test]
fn a_kernel_with_the_parameter_is_built_and_its_default_proved() {
    if !require("rpmbuild") {
        return;
    }
    let built = Built::parameter();
    let manifest = built.manifest();
    assert_eq!(manifest["nvr"], "kernel-2.6.32-431.29.2.el6.ipvs_20bit");
    assert_eq!(manifest["source"]["tree"]["kind"], "parameter");
    let modules: Vec<_> = proof(&manifest).into_iter().filter(|finding| finding.0 == 4).collect();
    assert!(!modules.is_empty() && modules.iter().all(|finding| finding.2 == "holds"), "{modules:?}");
    assert!(built.stdout.contains("20 bits by default"), "{}", built.stdout);
    // Who has such a kernel need not rebuild it.
    assert!(built.stderr.contains("conn_tab_bits"), "{}", built.stderr);
}

#[test]
fn a_source_that_has_the_value_already_is_built_all_the_same() {
    if !require("rpmbuild") {
        return;
    }
    let toy = Toy::new().replace("config-generic", "CONFIG_IP_VS_TAB_BITS=12", "CONFIG_IP_VS_TAB_BITS=20").pack();
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy);
    sandbox.ipvs(&srpm, "20").args(["--profile", "fleet"]).exits(0).prints("as the distribution ships it");
    assert_eq!(names(&sandbox.out()).len(), 4);
    let manifest = manifest(&sandbox.out());
    assert_eq!(manifest["edits"][0]["changes"], json!([]));
}

#[test]
fn options_of_the_spec_can_be_turned_on_and_off() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let without = ["--without", "debug", "--without", "perf"];
    sandbox.ipvs(&srpm, "20").args(without).exits(0);
    let expected = packages(&[
        "kernel",
        "kernel-debuginfo",
        "kernel-debuginfo-common-x86_64",
        "kernel-devel",
        "kernel-firmware",
        "kernel-headers",
    ]);
    assert_eq!(names(&sandbox.out()).iter().collect::<BTreeSet<_>>(), expected.iter().collect());

    let plan = sandbox.plan(&srpm, "20").args(["--with", "baseonly", "--format", "json"]).exits(0).plans();
    let build = plan[0]["steps"].as_array().unwrap().iter().find(|step| step["stage"] == "build").unwrap();
    let args = strings(&build["command"]["args"]);
    // Firmware is the recipe's: the kernel requires it.
    let with: Vec<_> = args.windows(2).filter(|pair| pair[0] == "--with").map(|pair| pair[1]).collect();
    assert_eq!(with, ["firmware", "baseonly"]);
    sandbox.plan(&srpm, "20").args(["--with", "a b"]).exits(2);
}

#[test]
fn the_number_of_jobs_reaches_make() {
    if !require("rpmbuild") {
        return;
    }
    // What `%{?_smp_mflags}` becomes is seen in the log.
    let toy = Toy::new().script("%build", "echo \"jobs: %{?_smp_mflags}.\"").pack();
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy);
    sandbox.ipvs(&srpm, "20").args(["--profile", "fleet", "--jobs", "3"]).exits(0);
    let log = fs_err::read_to_string(sandbox.out().join("logs/04-build.log")).unwrap();
    assert!(log.lines().any(|line| line == "jobs: -j3."), "{log}");
    sandbox.ipvs(&srpm, "20").args(["--jobs", "0"]).exits(2);
}

#[test]
fn json_lines_and_nothing_else_end_with_the_result() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let outcome = sandbox.ipvs(&srpm, "20").args(["--profile", "fleet", "--format", "json"]).exits(0);
    assert_eq!(outcome.stderr, "", "{outcome}");
    let lines = outcome.json_lines();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events[0], "format");
    assert_eq!(lines[0]["version"], 1);
    assert_eq!(*events.last().unwrap(), "result");
    assert_eq!(events.iter().filter(|event| **event == "result").count(), 1);
    let result = lines.last().unwrap();
    assert_eq!(result["manifest"], manifest(&sandbox.out()));
    assert_eq!(result["out"], sandbox.out().to_str().unwrap());
    let finished: Vec<_> = lines
        .iter()
        .filter(|line| line["event"] == "stage-finished")
        .map(|line| line["stage"].as_str().unwrap())
        .collect();
    assert_eq!(finished, ["inspect", "verify", "unpack", "edit", "build", "prove", "collect"]);
    let levels: BTreeSet<_> =
        lines.iter().filter(|line| line["event"] == "proved").map(|line| line["level"].as_u64().unwrap()).collect();
    assert_eq!(levels, [1, 2, 3, 4].into());
}

#[test]
fn an_ordinary_user_builds_for_itself() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::of_ordinary_user();
    let srpm = sandbox.srpm(&Toy::unmodified());
    sandbox.ipvs(&srpm, "20").args(["--profile", "fleet"]).exits(0);
    assert_eq!(names(&sandbox.out()).len(), 4);
    let owner = fs_err::metadata(sandbox.path()).unwrap().uid();
    for dir in [sandbox.out(), sandbox.work()] {
        for entry in walkdir::WalkDir::new(dir) {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().uid(), owner, "{}", entry.path().display());
        }
    }
}

#[test]
fn paths_may_be_relative() {
    if !require("rpmbuild") {
        return;
    }
    for sandbox in [Sandbox::new(), Sandbox::of_ordinary_user()] {
        let srpm = sandbox.srpm(&Toy::unmodified());
        let below = srpm.strip_prefix(sandbox.path()).unwrap();
        let kbuild = sandbox.ipvs(below, "20").instead("--work", "./work").instead("--out", "in/../out");
        kbuild.args(["--profile", "fleet"]).exits(0);
        assert_eq!(names(&sandbox.out()).len(), 4);
    }
}

#[test]
fn files_of_somebody_else_in_the_work_directory_are_not_removed() {
    // As with `--work ~`, where ~/rpmbuild is everybody's own tree.
    let sandbox = Sandbox::of_ordinary_user();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let owner = fs_err::metadata(sandbox.path()).unwrap();
    let mine = ["rpmbuild/SPECS/mine.spec", "tmp/mine", "logs/mine.log", "pristine/mine", "srpm/mine", "home/mine"];
    for file in mine {
        let path = sandbox.work().join(file);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, "precious").unwrap();
    }
    for entry in walkdir::WalkDir::new(sandbox.work()) {
        std::os::unix::fs::chown(entry.unwrap().path(), Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let outcome = sandbox.ipvs(&srpm, "20").args(["--until", "edit"]).start().ends();
    let lost: Vec<_> = mine.iter().filter(|file| !sandbox.work().join(file).is_file()).collect();
    assert!(lost.is_empty(), "lost: {lost:?}\n{outcome}");
}

#[test]
fn what_an_earlier_run_left_broken_does_not_break_the_next() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::of_ordinary_user();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let run = || sandbox.ipvs(&srpm, "20").args(["--until", "edit"]);
    run().exits(0);
    let work = sandbox.work();
    // Half a file, a tree that cannot be removed at once, an unpacking that was interrupted.
    fs_err::write(work.join("measured.json"), "{\"el6/").unwrap();
    let stubborn = work.join("rpmbuild/BUILD/a/b");
    fs_err::create_dir_all(&stubborn).unwrap();
    fs_err::write(stubborn.join("file"), "").unwrap();
    let owner = fs_err::metadata(sandbox.path()).unwrap();
    for dir in [&stubborn, stubborn.parent().unwrap()] {
        std::os::unix::fs::chown(dir, Some(owner.uid()), Some(owner.gid())).unwrap();
        fs_err::set_permissions(dir, PermissionsExt::from_mode(0o500)).unwrap();
    }
    fs_err::remove_file(work.join("pristine/config-generic")).unwrap();
    run().exits(0);
    assert!(work.join("pristine/config-generic").is_file());
    assert!(!stubborn.exists());
    sandbox.ipvs(&srpm, "20").args(["--profile", "fleet"]).exits(0);
}

#[test]
fn a_pristine_copy_that_was_changed_is_not_built_from() {
    let sandbox = Sandbox::of_ordinary_user();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let run = || sandbox.ipvs(&srpm, "20").args(["--until", "edit"]);
    run().exits(0);
    let file = sandbox.work().join("pristine/config-generic");
    let text = fs_err::read_to_string(&file).unwrap();
    fs_err::write(&file, text + "CONFIG_OTHER=y\n").unwrap();
    // Made again, or refused with the way out.
    let outcome = run().start().ends();
    if outcome.code() == Some(0) {
        let built_from = fs_err::read_to_string(sandbox.work().join("rpmbuild/SOURCES/config-generic")).unwrap();
        assert!(!built_from.contains("CONFIG_OTHER"), "{outcome}");
    } else {
        assert_eq!(outcome.code(), Some(7), "{outcome}");
        outcome.says("came out otherwise than planned").says("hint: ").says("--fresh");
    }
}

#[test]
fn an_option_that_stands_twice_is_set_twice() {
    if !require("rpmbuild") {
        return;
    }
    let toy = Toy::new().append("config-generic", "CONFIG_IP_VS_TAB_BITS=14\n");
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy.pack());
    let outcome = sandbox.ipvs(&srpm, "20").args(["--profile", "fleet"]).exits(0);
    outcome.says("warning: `config-generic` has CONFIG_IP_VS_TAB_BITS 2 times");
}

#[test]
fn a_release_that_nothing_marks_is_marked_at_its_own_line() {
    if !require("rpmbuild") {
        return;
    }
    // No marker, and no use of a buildid: the Release line carries it.
    let toy = Toy::new().replace("kernel.spec", "# % define buildid .local\n", "").replace(
        "kernel.spec",
        "%define pkg_release %{distro_build}%{?dist}%{?buildid}\n",
        "%define pkg_release %{distro_build}%{?dist}\n",
    );
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy.pack());
    let planned = sandbox.plan(&srpm, "20").exits(0);
    planned.prints("+ Release: %{pkg_release}.ipvs_20bit");
    sandbox.ipvs(&srpm, "20").args(["--profile", "fleet"]).exits(0);
    assert!(names(&sandbox.out()).iter().all(|name| name.contains("220.13.1.el6.ipvs_20bit")));
}

#[test]
fn what_kbuild_built_can_be_built_again_from_its_own_source_package() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    sandbox.ipvs(&srpm, "20").args(["--profile", "fleet", "--mode", "ba"]).exits(0);
    let own = sandbox.out().join("kernel-2.6.32-220.13.1.el6.ipvs_20bit.src.rpm");
    let own = sandbox.input("own.src.rpm", fs_err::read(own).unwrap());
    sandbox.plan(&own, "20").exits(0).prints("kernel-2.6.32-220.13.1.el6.ipvs_20bit (").prints("it is there already");
    let other = sandbox.path().join("other");
    let extended = sandbox.plan(&own, "18").instead("--out", &other).exits(0);
    extended.prints("kernel-2.6.32-220.13.1.el6.ipvs_20bit.ipvs_18bit (");
}

#[test]
fn sources_keep_their_modes_and_the_edited_ones_too() {
    if !require("rpmbuild") {
        return;
    }
    let toy = Toy::new().mode("merge.pl", 0o755).mode("config-generic", 0o640).mode("config-nodebug", 0o4777);
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy.pack());
    sandbox.ipvs(&srpm, "20").args(["--until", "edit"]).exits(0);
    let mode = |file: &str| {
        let path = sandbox.work().join("rpmbuild/SOURCES").join(file);
        fs_err::metadata(path).unwrap().permissions().mode() & 0o7777
    };
    assert_eq!(mode("merge.pl"), 0o755);
    assert_eq!(mode("config-generic"), 0o640);
    // Nobody else may write what is about to be built, and nothing runs as somebody else.
    assert_eq!(mode("config-nodebug"), 0o775);
}
