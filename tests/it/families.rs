//! Every family: its toy is built by real rpmbuild and proved, whatever the stock value; what wins over an edit is
//! caught; and a family that nobody wrote a recipe for is detected, or refused.

use std::path::Path;

use serde_json::Value;

use kbuild::recipe::{Recipe, builtin};

use crate::support::built::manifest;
use crate::support::kbuild::Kbuild;
use crate::support::package::names;
use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;
use crate::support::{repository, require};

fn recipe(name: &str) -> Recipe {
    builtin::all().unwrap().into_iter().find(|recipe| recipe.name == name).unwrap()
}

/// `kbuild ipvs` of a toy: its spec names what a real kernel of its family takes (dwarves, unifdef …), and the toy takes
/// nothing of it.
fn ipvs<'a>(sandbox: &'a Sandbox, srpm: &Path, bits: &str) -> Kbuild<'a> {
    sandbox.ipvs(srpm, bits).arg("--ignore-preflight")
}

/// The findings of a level, each with its subject and whether it holds.
fn level(manifest: &Value, level: u64) -> Vec<(String, bool)> {
    let all = manifest["proof"].as_array().unwrap().iter().filter(|finding| finding["level"] == level);
    all.map(|finding| (finding["subject"].as_str().unwrap().to_owned(), finding["verdict"]["is"] == "holds")).collect()
}

/// Builds a family's toy for 8 and for 20 bits, from its stock value and from another, and looks at all that comes out.
#[track_caller]
fn builds(family: &str) {
    if !require("rpmbuild") {
        return;
    }
    let recipe = recipe(family);
    for stock in [12, 15] {
        let sandbox = Sandbox::new();
        let srpm = sandbox.srpm(&Toy::of(family).stock(stock).pack());
        ipvs(&sandbox, &srpm, "8,20").exits(0);
        for bits in [8, 20] {
            let out = sandbox.out().join(format!("ipvs_{bits}bit"));
            let manifest = manifest(&out);
            assert_eq!(manifest["recipe"]["name"], family);
            assert_eq!(manifest["release"]["planned"]["evaluated"], true, "{manifest:#}");
            let nvr = manifest["nvr"].as_str().unwrap();
            let (version, release) = nvr.rsplit_once('-').unwrap();
            let (_, version) = version.rsplit_once('-').unwrap();
            assert_eq!(manifest["release"]["asked"], format!("{version}-{release}"));
            let expected = recipe.marked(&recipe.example.nvr, &format!(".ipvs_{bits}bit"));
            assert_eq!(nvr, expected, "the recipe's example is the toy");

            // All four levels were seen to hold, and nothing else was seen.
            for number in 1..=4 {
                let found = level(&manifest, number);
                assert!(!found.is_empty(), "level {number}: {manifest:#}");
                assert!(found.iter().all(|(_, holds)| *holds), "level {number}: {found:?}");
            }
            // The recipe says where they are.
            for (number, packages) in [(3, &recipe.packages.config), (4, &recipe.packages.module)] {
                for (subject, _) in level(&manifest, number) {
                    let package = subject.split(&format!("-{version}-")).next().unwrap();
                    let name = recipe.example.nvr.split(&format!("-{version}-")).next().unwrap();
                    let known = packages.iter().any(|known| known.replace("{name}", name) == package);
                    assert!(known, "{subject} is not in {packages:?}");
                }
            }
            // Every package is marked, and those that the recipe knows are there.
            let packages = names(&out);
            assert!(packages.iter().all(|package| package.contains(&format!(".ipvs_{bits}bit"))), "{packages:?}");
            let name = recipe.example.nvr.split(&format!("-{version}-")).next().unwrap();
            let full = &recipe.profiles["full"].packages;
            for known in recipe.packages.required.iter().chain(full) {
                let prefix = format!("{}-{version}-", known.replace("{name}", name));
                assert!(
                    packages.iter().any(|package| package.starts_with(&prefix)) || own_version(known),
                    "no {prefix} in {packages:?}"
                );
            }
        }
    }
}

/// Packages with a version of their own.
fn own_version(package: &str) -> bool {
    package == "bpftool"
}

#[test]
fn el5() {
    builds("el5");
}

#[test]
fn el6() {
    builds("el6");
}

#[test]
fn el7() {
    builds("el7");
}

#[test]
fn el8() {
    builds("el8");
}

#[test]
fn el9() {
    builds("el9");
}

#[test]
fn el10() {
    builds("el10");
}

#[test]
fn fedora() {
    builds("fedora");
}

#[test]
fn elrepo() {
    builds("elrepo");
}

#[test]
fn uek() {
    builds("uek");
}

#[test]
fn no_family_is_left_out() {
    let text = fs_err::read_to_string(repository().join("tests/it/families.rs")).unwrap();
    for name in builtin::names() {
        assert!(text.contains(&format!("builds(\"{name}\")")), "nothing builds {name}");
    }
}

#[test]
fn the_fleet_profile_of_every_family_leaves_out_what_a_fleet_does_not_install() {
    if !require("rpmbuild") {
        return;
    }
    for name in builtin::names() {
        let sandbox = Sandbox::new();
        let srpm = sandbox.srpm(&Toy::of(name).pack());
        ipvs(&sandbox, &srpm, "20").args(["--profile", "fleet"]).exits(0);
        let packages = names(&sandbox.out());
        for dropped in ["debuginfo", "-debug-", "perf", "-xen-", "-rt-"] {
            assert!(!packages.iter().any(|package| package.contains(dropped)), "{name}: {packages:?}");
        }
        assert!(!packages.is_empty());
    }
}

/// Builds a toy whose strongest config source says 18, and returns what was said when the gate stopped it.
#[track_caller]
fn stopped(toy: Toy, extra: &[&str], winner: &str) {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy.script("%build", "sleep 60").pack());
    let outcome = ipvs(&sandbox, &srpm, "20").args(extra).exits(9);
    outcome.says("error: %prep resolved the option otherwise than asked");
    outcome.says("found CONFIG_IP_VS_TAB_BITS=18").says(&format!("hint: `{winner}` is merged over the edited file"));
    assert!(outcome.took < std::time::Duration::from_secs(40), "{outcome}");
    sandbox.no_process_is_left();
    assert_eq!(names(&sandbox.out()), [""; 0]);
}

const PLANTED: &str = "CONFIG_IP_VS_TAB_BITS=18\n";

#[test]
fn el5_a_value_in_the_strongest_file_is_caught() {
    stopped(Toy::of("el5").append("config-rhel-x86_64-generic", PLANTED), &[], "config-rhel-x86_64-generic");
}

/// A recipe that edits the configs and not the hook that is merged over them.
fn without_the_hook(sandbox: &Sandbox, family: &str, edit: &str) -> String {
    let text = format!(
        "schema = 1\nname = \"files\"\ntitle = \"Files only\"\nextends = \"{family}\"\n[[option.sources]]\nname = \"files\"\n\
         edit = [\"{edit}\"]\nprecedence = [\"kernel-local\", \"{edit}\"]\n"
    );
    sandbox.input("files.toml", text).display().to_string()
}

#[test]
fn el9_el10_and_fedora_a_value_in_the_hook_is_caught_where_the_hook_is_not_edited() {
    for (family, edit) in
        [("el9", "kernel-*-rhel.config"), ("el10", "kernel-*-rhel.config"), ("fedora", "kernel-*-fedora.config")]
    {
        let place = Sandbox::new();
        let recipe = without_the_hook(&place, family, edit);
        stopped(Toy::of(family).append("kernel-local", PLANTED), &["--recipe", &recipe], "kernel-local");
    }
}

#[test]
fn el9_a_value_in_the_hook_is_what_the_edit_changes() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::of("el9").append("kernel-local", PLANTED).pack());
    ipvs(&sandbox, &srpm, "20").args(["--profile", "fleet"]).exits(0);
}

#[test]
fn el9_without_the_hook_the_configs_are_edited_and_survive_the_check() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let recipe = without_the_hook(&sandbox, "el9", "kernel-*-rhel.config");
    let srpm = sandbox.srpm(&Toy::of("el9").pack());
    ipvs(&sandbox, &srpm, "20").args(["--profile", "fleet", "--recipe", &recipe]).exits(0);
    let manifest = manifest(&sandbox.out());
    assert!(manifest["edits"].as_array().unwrap().len() > 2, "{manifest:#}");
}

#[test]
fn values_outside_the_range_of_each_kernel_are_refused_by_its_own_word() {
    for recipe in builtin::all().unwrap() {
        let sandbox = Sandbox::new();
        let srpm = sandbox.srpm(&Toy::of(&recipe.name).pack());
        let (most, origin) = match recipe.name.as_str() {
            "el5" => (20, "include/net/ip_vs.h of this kernel"),
            "el10" | "fedora" => (27, "net/netfilter/ipvs/Kconfig of this kernel"),
            _ => (20, "net/netfilter/ipvs/Kconfig of this kernel"),
        };
        for bits in [7, most + 1] {
            let outcome = sandbox.plan(&srpm, &bits.to_string()).refused(3);
            outcome.says(&format!("{bits} bits are outside the range of this kernel, 8..{most} ({origin})"));
        }
        sandbox.plan(&srpm, &most.to_string()).exits(0);
    }
}

#[test]
fn the_other_architectures_of_a_family_are_planned() {
    for recipe in builtin::all().unwrap() {
        let sandbox = Sandbox::new();
        let srpm = sandbox.srpm(&Toy::of(&recipe.name).pack());
        for arch in recipe.arches.iter().filter(|arch| *arch != "x86_64") {
            let outcome = sandbox.plan(&srpm, "20").args(["--arch", arch]);
            // A toy has the configs of some architectures only; the others are refused by name.
            let outcome = outcome.start().ends();
            let code = outcome.code();
            assert!(code == Some(0) || (code == Some(3) && outcome.stderr.contains(arch.as_str())), "{outcome}");
        }
        sandbox.plan(&srpm, "20").args(["--arch", "m68k"]).refused(3).says("cannot build for `m68k`, only for x86_64");
    }
}

/// A family that nobody knows, made from el8's: its dist, its mark, its version and the size of its table are its own.
fn fork() -> Toy {
    Toy::of("el8")
        .stock(20)
        .replace("kernel.spec", "# define buildid .local\n", "# define buildid .local\n%define buildid .fork\n")
        .replace("kernel.spec", "%define pkgrelease 193.28.1.el8_2\n", "%define pkgrelease 13.tk1\n")
        .replace("kernel.spec", "%define specrelease 193.28.1%{?dist}\n", "%define specrelease 13%{?dist}\n")
        .write("dist", ".tk1\n")
}

#[test]
fn a_fork_with_another_dist_is_detected_by_its_content() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&fork().pack());
    let planned = sandbox.plan(&srpm, "18").exits(0);
    planned.prints("detected by content: CONFIG_IP_VS_TAB_BITS is set as in el8");
    planned.prints("assumed   which packages come out is the spec's own word");
    planned.prints(".fork.ipvs_18bit");
    ipvs(&sandbox, &srpm, "18").exits(0);
    let manifest = manifest(&sandbox.out());
    assert!(manifest["nvr"].as_str().unwrap().contains(".fork.ipvs_18bit"), "{manifest:#}");
    assert!(level(&manifest, 4).iter().all(|(_, holds)| *holds));
}

#[test]
fn a_fork_whose_configs_nobody_would_read_is_refused() {
    let sandbox = Sandbox::new();
    // The option is in a second place that el8's way does not know.
    let toy = fork().write("local-of-ours", "CONFIG_IP_VS=m\nCONFIG_IP_VS_TAB_BITS=18\n");
    let toy = toy.replace(
        "kernel.spec",
        "Source42: process_configs.sh\n",
        "Source42: process_configs.sh\nSource47: local-of-ours\n",
    );
    let srpm = sandbox.srpm(&toy.pack());
    let outcome = sandbox.plan(&srpm, "20").refused(3);
    outcome.says("no recipe is for").says("local-of-ours").says("hint: say `--recipe NAME`");
}

#[test]
fn an_option_inside_the_tarball_is_named_with_its_path() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::of("defconfig").pack());
    let outcome = sandbox.plan(&srpm, "20").refused(7);
    outcome.says("keeps the option in its tarball: `arch/x86/configs/toy_defconfig`").says("--patch");
    // A patch that does something else is not the one.
    let other =
        sandbox.input("other.patch", "--- a/Makefile\n+++ b/Makefile\n@@ -1 +1 @@\n-VERSION = 5\n+VERSION = 6\n");
    sandbox.plan(&srpm, "20").arg("--patch").arg(&other).refused(7);
}

#[test]
fn an_option_inside_the_tarball_is_set_by_a_patch_through_the_hook() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::of("defconfig").pack());
    let defconfig = repository().join("tests/kernels/defconfig-toy/linux/arch/x86/configs/toy_defconfig");
    let text = fs_err::read_to_string(defconfig).unwrap();
    let number = text.lines().position(|line| line == "CONFIG_IP_VS_TAB_BITS=12").unwrap() + 1;
    let patch = |bits: u32| {
        format!(
            "--- a/arch/x86/configs/toy_defconfig\n+++ b/arch/x86/configs/toy_defconfig\n@@ -{number} +{number} @@\n\
             -CONFIG_IP_VS_TAB_BITS=12\n+CONFIG_IP_VS_TAB_BITS={bits}\n"
        )
    };
    let wrong = sandbox.input("18.patch", patch(18));
    let outcome = ipvs(&sandbox, &srpm, "20").arg("--patch").arg(&wrong).exits(9);
    outcome.says("expected CONFIG_IP_VS_TAB_BITS=20, found CONFIG_IP_VS_TAB_BITS=18");
    let right = sandbox.input("20.patch", patch(20));
    ipvs(&sandbox, &srpm, "20").arg("--patch").arg(&right).exits(0);
    let manifest = manifest(&sandbox.out());
    assert!(manifest["nvr"].as_str().unwrap().contains(".ipvs_20bit"), "{manifest:#}");
    for number in 1..=4 {
        assert!(level(&manifest, number).iter().all(|(_, holds)| *holds), "{manifest:#}");
    }
}
