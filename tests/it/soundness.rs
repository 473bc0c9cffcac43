//! A cache of compiled files changes nothing: after each of a series of random changes to a kernel, the packages of a build
//! with the cache that all earlier ones filled are those of a build without, and so are those of one that goes on in the tree of a kernel
//! with the same change and another table and release.
//!
//! `scripts/soundness` runs a long series, and does the same to Linux itself, object by object.

use std::collections::BTreeMap;
use std::io::Write;

use crate::support::built::manifest;
use crate::support::kbuild::Kbuild;
use crate::support::package::names;
use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;
use crate::support::{repository, require, which};

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    /// From 0 up to below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        // Knuth's MMIX generator; its high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What a kernel is changed in.
#[derive(Debug, Clone)]
struct Change {
    what: String,
    bits: u64,
    args: Vec<String>,
    /// The end of a file of the tree, by its name there.
    appended: Option<(&'static str, String)>,
    /// A text replaced in one.
    replaced: Option<(&'static str, &'static str, String)>,
    /// Flags that only another compiler has.
    compiler: Option<String>,
}

const KINDS: u64 = 9;
/// Those after which the short form goes on in a tree, too: what decides there is who sees the option and the release.
const IN_A_TREE: [u64; 5] = [0, 3, 6, 7, 8];

fn change(kind: u64, dice: &mut Dice) -> Change {
    let number = dice.roll(3);
    let mut change = Change {
        what: String::new(),
        bits: 16 + dice.roll(3),
        args: Vec::new(),
        appended: None,
        replaced: None,
        compiler: None,
    };
    let used = |text: &str| format!("static const int __attribute__((used)) soundness{number} = {text};\n");
    let sources =
        ["net/netfilter/ipvs/ip_vs_rr.c", "net/netfilter/ipvs/ip_vs_core.c", "init/main.c", "lib/libcrc32c.c"];
    let headers = ["include/linux/kernel.h", "include/linux/module.h", "include/net/ip_vs.h"];
    let pick = |dice: &mut Dice, from: &[&'static str]| from[usize::try_from(dice.roll(from.len() as u64)).unwrap()];
    change.what = match kind {
        0 => "the table".into(),
        1 => {
            let value = ["m", "y", "n"][usize::try_from(number).unwrap()];
            change.args = ["--set".into(), format!("CONFIG_X25={value}")].into();
            format!("an option, {value}")
        }
        2 => {
            let file = pick(dice, &headers);
            change.replaced = Some((file, "\n#endif", format!("\n{}#endif", used("7"))));
            format!("a header, {file}, {number}")
        }
        3 => {
            let file = pick(dice, &sources);
            change.appended = Some((file, used("8")));
            format!("a source, {file}, {number}")
        }
        4 => {
            let flag = ["-O1", "-Os", "-O2 -fno-inline"][usize::try_from(number).unwrap()];
            change.replaced = Some(("Makefile", "KFLAGS := -O2", format!("KFLAGS := {flag}")));
            format!("a flag, {flag}")
        }
        5 => {
            let flag = ["-fno-inline", "-O1", "-fno-ipa-icf -falign-functions=64"][usize::try_from(number).unwrap()];
            change.compiler = Some(flag.into());
            format!("another compiler, as {flag}")
        }
        // The two ways in which a file that could not see the option suddenly can.
        6 => {
            let file = pick(dice, &headers);
            change.replaced = Some((file, "\n#endif", format!("\n{}#endif", used("CONFIG_IP_VS_TAB_BITS"))));
            format!("a header that names the option, {file}")
        }
        7 => {
            // One of which make does not know it: neither it nor what it includes has the whole name.
            let file = "lib/libcrc32c.c";
            let pasted = "#define PASTED(x) CONFIG_##x\n#define VALUE(x) PASTED(x)\n".to_owned();
            change.appended = Some((file, pasted + &used("VALUE(IP_VS_TAB_BITS)")));
            format!("a source that puts the option's name together, {file}")
        }
        _ => {
            change.args = ["--buildid".into(), format!(".s{number}")].into();
            format!("the release, {number}")
        }
    };
    change
}

/// A patch that changes a file of the toy's tree from end to end.
fn patch(change: &Change) -> Option<String> {
    let original =
        |file: &str| fs_err::read_to_string(repository().join("tests/kernels/toy/linux").join(file)).unwrap();
    let (file, old, new) = match (&change.appended, &change.replaced) {
        (Some((file, more)), _) => (*file, original(file), original(file) + more),
        (_, Some((file, from, to))) => {
            let old = original(file);
            let at = old.rfind(from).unwrap_or_else(|| panic!("{from} in {file}"));
            let new = format!("{}{to}{}", &old[..at], &old[at + from.len()..]);
            (*file, old, new)
        }
        _ => return None,
    };
    let lines = |text: &str, mark: char| {
        text.lines().flat_map(|line| [mark.to_string(), line.into(), "\n".into()]).collect::<String>()
    };
    let (before, after) = (old.lines().count(), new.lines().count());
    let head = format!("--- a/{file}\n+++ b/{file}\n@@ -1,{before} +1,{after} @@\n");
    Some(head + &lines(&old, '-') + &lines(&new, '+'))
}

/// Builds a changed kernel and returns the digests of its packages.
fn build(sandbox: &Sandbox, change: &Change, more: &[&str]) -> BTreeMap<String, String> {
    let _ = fs_err::remove_dir_all(sandbox.out());
    let srpm = sandbox.srpm(&Toy::unmodified());
    let mut build: Kbuild<'_> = sandbox
        .ipvs(&srpm, &change.bits.to_string())
        .args(["--profile", "fleet", "--ignore-preflight"])
        .args(&change.args)
        .args(more);
    if let Some(text) = patch(change) {
        build = build.arg("--patch").arg(sandbox.input("soundness.patch", text));
    }
    if let Some(flags) = &change.compiler {
        let bin = sandbox.path().join("bin");
        let script = format!(
            "#!/bin/sh\ncase \" $* \" in *' -c '*) exec {0} \"$@\" {flags} ;; esac\nexec {0} \"$@\"\n",
            which("gcc").unwrap().display()
        );
        fs_err::write(bin.join("gcc"), script).unwrap();
        fs_err::set_permissions(bin.join("gcc"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        build = build.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
    }
    build.exits(0);
    let digest = |name: &String| kbuild::digest::sha256(&fs_err::read(sandbox.out().join(name)).unwrap());
    names(&sandbox.out()).iter().map(|name| (name.clone(), digest(name))).collect()
}

#[test]
fn the_cache_changes_nothing_whatever_is_changed() {
    if !require("rpmbuild") || !require("ccache") {
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (changes, seed) = (number("KBUILD_SOUNDNESS").unwrap_or(KINDS), number("KBUILD_SOUNDNESS_SEED").unwrap_or(1));
    let mut dice = Dice(seed);
    // One place and one cache for all, as a fleet's would be.
    let (cached, uncached, tree) = (Sandbox::new(), Sandbox::new(), Sandbox::new());
    let (mut hits, mut misses, mut put_back) = (0, 0, 0);
    for index in 0..changes {
        let change = change(index % KINDS, &mut dice);
        let with = build(&cached, &change, &["--fresh", "--cache", "local"]);
        let statistics = manifest(&cached.out())["compiled"]["statistics"].clone();
        hits += statistics["hits"].as_u64().unwrap();
        misses += statistics["misses"].as_u64().unwrap();
        let without = build(&uncached, &change, &["--fresh", "--cache", "off"]);
        assert_eq!(with, without, "change {index} (seed {seed}): {}, {} bits", change.what, change.bits);
        if changes > KINDS || IN_A_TREE.contains(&index) {
            let mut other = Change { bits: 16 + (change.bits - 15) % 3, ..change.clone() };
            other.args.retain(|word| !word.contains("buildid") && !word.starts_with(".s"));
            build(&tree, &other, &["--fresh", "--cache", "tree"]);
            let on = build(&tree, &change, &["--cache", "tree"]);
            assert_eq!(on, without, "change {index} (seed {seed}), in a tree: {}, {} bits", change.what, change.bits);
            let count = manifest(&tree.out())["compiled"]["put-back"].as_u64();
            put_back += count.unwrap_or_else(|| panic!("nothing was put back: {}", change.what));
        }
        let _ = writeln!(std::io::stderr(), "soundness: {index} {}: the same ({statistics})", change.what);
    }
    let counts = format!("{hits} objects from the cache, {misses} compiled, {put_back} files put back in trees");
    let _ = writeln!(std::io::stderr(), "soundness: {changes} changes, {counts}");
    assert!(hits > changes && misses > changes, "the cache had nothing to get wrong");
}
