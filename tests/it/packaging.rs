//! What goes into kbuild's own packages: its manual pages, and what Cargo.toml says of a .deb and an .rpm. The packages
//! themselves are made and installed by `scripts/package-check`.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::support::repository;
use crate::support::sandbox::Sandbox;

#[test]
fn every_subcommand_has_a_manual_page() {
    let sandbox = Sandbox::new();
    let dir = sandbox.path().join("man/one");
    let said = sandbox.kbuild().args(["man", "--out"]).arg(&dir).exits(0);
    let names: BTreeSet<String> =
        fs_err::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(said.stdout.lines().count(), names.len(), "{said}");
    let help = sandbox.kbuild().arg("--help").exits(0);
    let commands = help.stdout.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    // What is wrapped is set deeper.
    let listed = commands.lines().filter_map(|line| line.strip_prefix("  ")).filter(|rest| !rest.starts_with(' '));
    let subcommands: Vec<&str> = listed.filter_map(|line| line.split(' ').next()).collect();
    assert!(subcommands.len() > 10, "{subcommands:?}");
    for subcommand in subcommands.into_iter().filter(|name| *name != "help") {
        let text = fs_err::read_to_string(dir.join(format!("kbuild-{subcommand}.1"))).unwrap();
        assert!(text.contains(&format!(".TH kbuild-{subcommand} 1")), "{text}");
        assert!(text.contains(".SH SYNOPSIS\n") && text.contains(".SH OPTIONS\n"), "{text}");
    }
    for name in ["kbuild.1", "kbuild-recipes-check.1"] {
        assert!(names.contains(name), "{names:?}");
    }
    let text = fs_err::read_to_string(dir.join("kbuild-ipvs.1")).unwrap();
    assert!(text.contains("\\-\\-bits") && text.contains("srpm"), "{text}");
    // Where nothing can be written, that is said.
    let file = sandbox.input("file", "");
    sandbox.kbuild().args(["man", "--out"]).arg(file.join("below")).refused(4).says("the manual page");
}

/// Returns where each file of a package comes from and goes.
fn assets(list: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pair = |each: &Value| match each {
        Value::Table(table) => (text(&table["source"]), text(&table["dest"]).trim_start_matches('/').to_owned()),
        each => (text(&each[0]), text(&each[1])),
    };
    list.as_array().unwrap().iter().map(pair).collect()
}

#[test]
fn both_packages_have_the_same_and_it_is_there() {
    let text = fs_err::read_to_string(repository().join("Cargo.toml")).unwrap();
    let whole: Table = text.parse().unwrap();
    let metadata = &whole["package"]["metadata"];
    let (deb, rpm) = (assets(&metadata["deb"]["assets"]), assets(&metadata["generate-rpm"]["assets"]));
    let made_by = fs_err::read_to_string(repository().join("scripts/package")).unwrap();
    for (source, _) in deb.iter().chain(&rpm) {
        let (dir, name) = source.rsplit_once('/').unwrap_or((".", source));
        if let Some(name) = source.strip_prefix("target/package/") {
            let name = name.split('/').next().unwrap();
            assert!(made_by.contains(&format!("$parts/{name}")), "scripts/package does not make {source}");
        } else if source != "target/release/kbuild" {
            let there = fs_err::read_dir(repository().join(dir)).unwrap();
            let fits = |found: &str| name.strip_prefix('*').map_or(found == name, |end| found.ends_with(end));
            assert!(
                there.map(|entry| entry.unwrap().file_name()).any(|found| fits(found.to_str().unwrap())),
                "{source}"
            );
        }
    }
    let sources =
        |assets: &[(String, String)]| assets.iter().map(|(source, _)| source.clone()).collect::<BTreeSet<_>>();
    assert_eq!(sources(&deb), sources(&rpm));
    // Only the places that each distribution has for them differ.
    let places = |assets: &[(String, String)]| assets.iter().map(|(_, to)| to.clone()).collect::<BTreeSet<_>>();
    let differing: Vec<String> = places(&deb).symmetric_difference(&places(&rpm)).cloned().collect();
    assert!(differing.iter().all(|path| path.contains("zsh") || path.contains("LICENSE")), "{differing:?}");
    assert!(deb.contains(&("target/release/kbuild".into(), "usr/bin/".into())));
}
