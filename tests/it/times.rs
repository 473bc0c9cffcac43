//! Where the time went: the table, the events, the manifest, the trace; and what a build takes of the machine.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::built::{Built, manifest};
use crate::support::package::{all, names, rpm};
use crate::support::require;
use crate::support::sandbox::Sandbox;
use crate::support::toy::{Srpm, Toy};
use crate::support::validators::{judge, require_validators};

fn seconds(value: &Value) -> f64 {
    value["seconds"].as_f64().unwrap()
}

#[test]
fn the_table_ends_the_build_and_the_manifest_has_the_same() {
    if !require("rpmbuild") {
        return;
    }
    let built = Built::toy();
    let table = built.stderr.split("where the time went").nth(1).expect("there is no table");
    let lines: Vec<&str> = table.lines().collect();
    let row = |name: &str| {
        lines.iter().any(|line| line.contains(&format!("]   {name} ")) || line.contains(&format!("]     {name} ")))
    };
    for name in [
        "inspect",
        "verify",
        "unpack",
        "edit",
        "build",
        "ask",
        "prep",
        "configure",
        "files",
        "clean",
        "prove",
        "collect",
        "all",
    ] {
        assert!(row(name), "no row for {name}: {table}");
    }

    let manifest = built.manifest();
    let times = &manifest["times"];
    let stages = times["stages"].as_array().unwrap();
    let named: Vec<_> = stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(named, ["inspect", "verify", "unpack", "edit", "build", "prove", "collect"]);
    // The same as the manifest has had of every stage.
    for record in manifest["stages"].as_array().unwrap() {
        let stage = stages.iter().find(|stage| stage["stage"] == record["stage"]).unwrap();
        assert!((seconds(stage) - seconds(record)).abs() < 1e-9, "{stage} {record}");
        assert!(stage["cpu-seconds"].as_f64().unwrap() >= 0.0);
    }
    // The parts are the stage: nothing is left out, and nothing is counted twice.
    let rpmbuild = stages.iter().find(|stage| stage["stage"] == "build").unwrap();
    let parts = times["parts"].as_array().unwrap();
    let sum: f64 = parts.iter().map(seconds).sum();
    assert!((sum - seconds(rpmbuild)).abs() < 0.01, "{sum} {rpmbuild}");
    for part in ["prep", "configure", "script", "files", "clean"] {
        let found = parts.iter().find(|found| found["part"] == part).unwrap_or_else(|| panic!("no {part}: {parts:?}"));
        assert!(seconds(found) > 0.0, "{found}");
    }
    // A toy compiles something.
    let busy = rpmbuild["cpu-seconds"].as_f64().unwrap();
    assert!(busy > 0.2, "{rpmbuild}");
}

#[test]
fn a_spec_that_sleeps_is_seen_to_sleep_where_it_does() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::new().script("%prep", "sleep 2").pack());
    let lines = sandbox.ipvs(&srpm, "20").args(["--format", "json"]).exits(0).json_lines();
    let times = lines.iter().find(|line| line["event"] == "times").expect("no such event");
    let parts = times["times"]["parts"].as_array().unwrap();
    let prep = parts.iter().find(|part| part["part"] == "prep").unwrap();
    assert!(seconds(prep) >= 2.0, "{prep}");
    let cpu = prep["cpu-seconds"].as_f64().unwrap();
    assert!(cpu < 1.5, "sleeping takes no processor: {prep}");
    for other in parts.iter().filter(|part| part["part"] == "script") {
        assert!(seconds(other) < 60.0);
    }
    // Nothing of it is told twice.
    assert_eq!(lines.iter().filter(|line| line["event"] == "times").count(), 1);
    assert_eq!(lines.iter().filter(|line| line["event"] == "variants").count(), 0);
}

#[test]
fn several_values_are_compared() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let outcome = sandbox.ipvs(&srpm, "18,20").arg("--until=unpack").args(["--format", "json"]).exits(0);
    let lines = outcome.json_lines();
    let variants = lines.iter().find(|line| line["event"] == "variants").expect("no such event");
    let variants = variants["variants"].as_array().unwrap();
    let bits: Vec<_> = variants.iter().map(|variant| variant["bits"].as_u64().unwrap()).collect();
    assert_eq!(bits, [18, 20]);
    assert!(variants.iter().all(|variant| seconds(variant) > 0.0), "{variants:?}");
    // What is done once for all of them is told once.
    let of = |dir: &str| manifest(&sandbox.out().join(dir))["times"]["stages"].to_string();
    assert!(of("ipvs_18bit").contains("inspect") && !of("ipvs_20bit").contains("inspect"));
}

#[test]
fn a_build_that_fails_says_where_its_time_went() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::new().script("%prep", "exit 3").pack());
    sandbox.ipvs(&srpm, "20").exits(8).says("where the time went");
    let times = &manifest(&sandbox.out())["times"];
    assert!(times["parts"].to_string().contains("prep"), "{times}");
    assert!(sandbox.out().join("trace.json").is_file());
}

#[test]
fn the_trace_is_read_by_others_and_a_wrong_one_is_not() {
    if !require("rpmbuild") || !require_validators() {
        return;
    }
    let text = fs_err::read_to_string(Built::toy().out.join("trace.json")).unwrap();
    assert_eq!(judge("trace", &text), None);
    let trace: Value = serde_json::from_str(&text).unwrap();
    let build = trace["traceEvents"].as_array().unwrap().iter().position(|event| event["name"] == "build").unwrap();
    let wrong = [
        ("phase", Value::from("X")),
        ("ph", "Q".into()),
        ("ts", (-1.0).into()),
        ("dur", 1e12.into()),
        ("tid", 99.into()),
    ];
    for (field, value) in wrong {
        let mut trace = trace.clone();
        trace["traceEvents"][build][field] = value;
        assert!(judge("trace", &trace.to_string()).is_some(), "a wrong {field} was accepted");
    }
}

#[test]
fn what_builds_is_batch_work_and_as_nice_as_asked() {
    if !require("rpmbuild") {
        return;
    }
    let own = nice_and_policy(&fs_err::read_to_string("/proc/self/stat").unwrap()).0;
    for (nice, given) in [(0, None), (7, Some("7"))] {
        let sandbox = Sandbox::new();
        let srpm = sandbox.srpm(&Toy::new().script("%prep", "cat /proc/self/stat > %{_topdir}/stat").pack());
        let args = given.into_iter().flat_map(|given| ["--nice", given]);
        sandbox.ipvs(&srpm, "20").args(args).exits(0);
        let stat = fs_err::read_to_string(sandbox.work().join("rpmbuild/stat")).unwrap();
        assert_eq!(nice_and_policy(&stat), ((own + nice).min(19), BATCH), "{stat}");
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let plan = |args: &[&str]| sandbox.plan(&srpm, "20").args(args).exits(0);
    plan(&["--nice", "7"]).prints("batch work (SCHED_BATCH), nice 7").prints("    nice -n 7 /");
    plan(&[]).prints("batch work (SCHED_BATCH), nice 0");
    sandbox.plan(&srpm, "20").args(["--nice", "20"]).exits(2);
}

/// `SCHED_BATCH` (include/uapi/linux/sched.h).
const BATCH: i32 = 3;

/// Fields 19 and 41 of `/proc/PID/stat` (proc(5)).
fn nice_and_policy(stat: &str) -> (i32, i32) {
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split_whitespace().collect();
    (fields[16].parse().unwrap(), fields[38].parse().unwrap())
}

/// Builds for a profile with so many jobs; returns how each package is compressed, and its digest.
fn compressed(srpm: &Srpm, profile: &str, jobs: &str) -> BTreeMap<String, (String, String)> {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(srpm);
    // The toy names what a real kernel takes, and takes nothing of it.
    sandbox.ipvs(&srpm, "20").args(["--ignore-preflight", "--profile", profile, "--jobs", jobs]).exits(0);
    assert!(!names(&sandbox.out()).is_empty());
    all(&sandbox.out()).iter().map(|package| look(&sandbox.home(), package)).collect()
}

fn look(home: &Path, package: &Path) -> (String, (String, String)) {
    let asked = rpm(home).args(["-qp", "--queryformat", "%{PAYLOADCOMPRESSOR} %{PAYLOADFLAGS}"]).arg(package).output();
    let how = String::from_utf8(asked.unwrap().stdout).unwrap();
    let name = package.file_name().unwrap().to_string_lossy().into_owned();
    (name, (how, kbuild::digest::sha256(&fs_err::read(package).unwrap())))
}

#[test]
fn packages_are_compressed_as_their_family_reads_them() {
    if !require("rpmbuild") || !require("rpm") {
        return;
    }
    // What the recipe says; and from el8 on, what the spec says itself.
    let cases =
        [("el5", "full", "gzip 9"), ("el6", "full", "xz 2"), ("el7", "fleet", "xz 2T0"), ("el8", "fleet", "xz 3T")];
    for (family, profile, expected) in cases {
        for (name, (how, _)) in compressed(&Toy::of(family).pack(), profile, "2") {
            assert_eq!(how, expected, "{name}");
        }
    }
}

#[test]
fn the_number_of_jobs_changes_no_package() {
    if !require("rpmbuild") || !require("rpm") {
        return;
    }
    let srpm = Toy::of("el6").pack();
    assert_eq!(compressed(&srpm, "fleet", "1"), compressed(&srpm, "fleet", "5"));
}
