//! The prep gate: a more specific config file that silently sets another value stops the build within seconds.

use std::time::Duration;

use crate::support::built::manifest;
use crate::support::package::names;
use crate::support::require;
use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;

/// A build that would take a minute: the gate must not wait for it.
const SLOW: &str = "sleep 60";

/// Checks that the build of a toy for 20 bits was stopped, and that `winner` was named.
#[track_caller]
fn stopped(toy: Toy, winner: &str) {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy.script("%build", SLOW).pack());
    let outcome = sandbox.ipvs(&srpm, "20").exits(9);
    assert!(outcome.took < Duration::from_secs(30), "{outcome}");
    outcome.says("error: %prep resolved the option otherwise than asked");
    outcome.says("expected CONFIG_IP_VS_TAB_BITS=20, found CONFIG_IP_VS_TAB_BITS=18");
    outcome.says(&format!("hint: `{winner}` is merged over the edited file and wins"));
    assert_eq!(outcome.stdout, "");
    sandbox.no_process_is_left();

    // Nothing was compiled, and nothing came of it.
    let log = fs_err::read_to_string(sandbox.out().join("logs/04-build.log")).unwrap();
    assert!(log.contains("%prep") && !log.contains("%install") && !log.contains("BUILDING A KERNEL"), "{log}");
    let compiled = |path: &std::path::Path| path.extension().is_some_and(|ending| ending == "o" || ending == "ko");
    for entry in walkdir::WalkDir::new(sandbox.work()) {
        let path = entry.unwrap().into_path();
        assert!(!compiled(&path), "{}", path.display());
    }
    assert_eq!(names(&sandbox.out()), [""; 0]);
    let manifest = manifest(&sandbox.out());
    assert_eq!(manifest["status"]["is"], "failed");
    assert_eq!(manifest["status"]["exit-code"], 9);
    let level_2: Vec<_> = manifest["proof"].as_array().unwrap().iter().filter(|each| each["level"] == 2).collect();
    assert!(level_2.iter().any(|each| each["verdict"]["is"] == "differs"), "{manifest}");
}

#[test]
fn a_value_in_the_strongest_file_stops_the_build_and_the_file_is_named() {
    if require("rpmbuild") {
        stopped(
            Toy::new().append("config-x86_64-nodebug-rhel", "CONFIG_IP_VS_TAB_BITS=18\n"),
            "config-x86_64-nodebug-rhel",
        );
    }
}

#[test]
fn a_value_that_only_the_debug_kernel_gets_stops_the_build_too() {
    if require("rpmbuild") {
        stopped(Toy::new().append("config-debug", "CONFIG_IP_VS_TAB_BITS=18\n"), "config-debug");
    }
}

#[test]
fn the_file_that_wins_is_named_not_the_one_that_it_beats() {
    if require("rpmbuild") {
        let toy = Toy::new()
            .append("config-generic-rhel", "CONFIG_IP_VS_TAB_BITS=16\n")
            .append("config-x86_64-generic", "CONFIG_IP_VS_TAB_BITS=18\n");
        stopped(toy, "config-x86_64-generic");
    }
}

#[test]
fn a_file_that_says_the_same_is_no_reason_to_stop() {
    if !require("rpmbuild") {
        return;
    }
    let toy = Toy::new().append("config-x86_64-nodebug-rhel", "CONFIG_IP_VS_TAB_BITS=20\n");
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy.pack());
    sandbox.ipvs(&srpm, "20").args(["--profile", "fleet"]).exits(0);
}

#[test]
fn the_plan_warns_of_the_file_before_anything_runs() {
    let toy = Toy::new().append("config-x86_64-nodebug-rhel", "CONFIG_IP_VS_TAB_BITS=18\n");
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy.pack());
    let planned = sandbox.plan(&srpm, "20").exits(0);
    planned.prints("warning: `config-x86_64-nodebug-rhel` sets CONFIG_IP_VS_TAB_BITS=18 and is merged over");
    let agreed = sandbox.plan(&srpm, "18").exits(0);
    assert!(!agreed.stdout.contains("merged over"), "{agreed}");
}

#[test]
fn a_kernel_without_ipvs_is_stopped_as_well() {
    if !require("rpmbuild") {
        return;
    }
    // The option depends on CONFIG_IP_VS: oldconfig drops it.
    let toy = Toy::new().replace("config-generic", "CONFIG_IP_VS=m", "# CONFIG_IP_VS is not set");
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy.script("%build", SLOW).pack());
    let outcome = sandbox.ipvs(&srpm, "20").exits(9);
    outcome.says("found CONFIG_IP_VS_TAB_BITS=n").says("hint: IPVS is off in this configuration");
    sandbox.no_process_is_left();
}

#[test]
fn a_prep_that_leaves_no_config_is_no_pass() {
    if !require("rpmbuild") {
        return;
    }
    let toy = Toy::new().script("%build", &format!("{SLOW}\n")).replace(
        "kernel.spec",
        "find . -name \"*.orig\" -exec rm -f {} +\n",
        "rm -rf configs\n",
    );
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy.pack());
    let outcome = sandbox.ipvs(&srpm, "20").exits(9);
    outcome.says("error: no merged config was found after %prep").says("not checked: %prep left no such file");
    outcome.says("option.resolved");
    sandbox.no_process_is_left();
}
