//! The same request gives the same packages, byte for byte: in another directory, by another user, on another day.

use std::collections::BTreeMap;

use crate::support::package::names;
use crate::support::require;
use crate::support::sandbox::Sandbox;
use crate::support::toy::{Srpm, Toy};

/// Builds a toy on some day from today on, and returns the digest of each package.
fn built(srpm: &Srpm, days: u32, sandbox: &Sandbox) -> BTreeMap<String, String> {
    let srpm = sandbox.srpm(srpm);
    // Shifts the clock of rpmbuild and of all that it starts.
    let script = format!("exec faketime -f '+{days}d' /usr/bin/rpmbuild \"$@\"");
    let rpmbuild = sandbox.fake("rpmbuild", &script);
    // The toy names what a real kernel takes, and takes nothing of it.
    sandbox.ipvs(&srpm, "20").arg("--ignore-preflight").fakes([&rpmbuild]).exits(0);
    assert!(!rpmbuild.builds().is_empty());
    let digest = |name: String| {
        let content = fs_err::read(sandbox.out().join(&name)).unwrap();
        (name, kbuild::digest::sha256(&content))
    };
    names(&sandbox.out()).into_iter().map(digest).collect()
}

#[track_caller]
fn are_the_same(family: &str) {
    if !require("rpmbuild") || !require("faketime") {
        return;
    }
    let srpm = Toy::of(family).pack();
    let first = built(&srpm, 0, &Sandbox::new());
    let second = built(&srpm, 400, &Sandbox::of_ordinary_user());
    assert!(first.len() >= 4, "{first:?}");
    let differ: Vec<_> = first.iter().filter(|(name, digest)| second.get(*name) != Some(*digest)).collect();
    assert!(differ.is_empty() && first.len() == second.len(), "{differ:#?}");
}

#[test]
fn el6_twice_gives_the_same_packages() {
    are_the_same("el6");
}

#[test]
fn el7_twice_gives_the_same_packages() {
    are_the_same("el7");
}

#[test]
fn el9_twice_gives_the_same_packages() {
    are_the_same("el9");
}

#[test]
fn a_build_is_made_twice_and_compared() {
    if !require("rpmbuild") {
        return;
    }
    for sandbox in [Sandbox::new(), Sandbox::of_ordinary_user()] {
        let srpm = sandbox.srpm(&Toy::unmodified());
        let outcome = sandbox.ipvs(&srpm, "20").args(["--profile", "fleet", "--check-reproducible"]).exits(0);
        outcome.prints("\nbuilt twice, in different directories: all 4 packages are the same, byte for byte\n");
        assert!(!sandbox.out().join("again").exists());
        sandbox.no_process_is_left();
    }
}

#[test]
fn what_differs_is_named_down_to_the_section() {
    if !require("rpmbuild") || !require("objcopy") {
        return;
    }
    // Each build writes its directory into the module, as a careless Makefile would.
    let script = "printf 'srcdir=%s\\0' \"$PWD\" > info\n\
                  find $RPM_BUILD_ROOT -name ip_vs.ko | while read -r ko; do objcopy --add-section .where=info $ko; done";
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::new().script("%install", script).pack());
    let outcome = sandbox.ipvs(&srpm, "20").args(["--profile", "fleet", "--check-reproducible"]).exits(9);
    outcome.says("packages are not the same in two builds; the first difference of each:\n");
    outcome.says("ip_vs.ko: section .where, byte ").says(": `rpmbuild/BUILD/k` and `again/rpmbuild/B`");
    outcome.says("hint: the second build is in `");
    assert!(sandbox.out().join("again/manifest.json").is_file());
    // The first build is whole.
    outcome.prints("proof that it has 2^20 = 1048576 buckets");
}
