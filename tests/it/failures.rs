//! Builds that fail: the lines that matter, where the log is, and what the manifest says.

use crate::support::built::manifest;
use crate::support::kbuild::Outcome;
use crate::support::package::names;
use crate::support::require;
use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;

/// Builds a toy that cannot be built; checks what is common to all failures.
#[track_caller]
fn fails(sandbox: &Sandbox, toy: Toy, code: i32) -> Outcome {
    let srpm = sandbox.srpm(&toy.pack());
    let outcome = sandbox.ipvs(&srpm, "20").args(["--profile", "fleet"]).exits(code);
    outcome.says("error: ");
    assert_eq!(outcome.stdout, "", "{outcome}");
    // What was not proved is not among the results.
    assert_eq!(names(&sandbox.out()), [""; 0], "{outcome}");
    let manifest = manifest(&sandbox.out());
    let status = &manifest["status"];
    assert_eq!((&status["is"], &status["exit-code"]), (&"failed".into(), &code.into()), "{status}");
    let error = status["error"].as_str().unwrap();
    assert!(outcome.stderr.contains(error), "the manifest says: {error}\n{outcome}");
    let failed: Vec<_> = manifest["stages"].as_array().unwrap().iter().map(|stage| &stage["failed"]).collect();
    assert_eq!(failed.iter().filter(|failed| **failed == true).count(), 1, "{failed:?}");
    assert_eq!(**failed.last().unwrap(), true, "{failed:?}");
    sandbox.no_process_is_left();
    outcome
}

/// Checks that the log is where the message says, and among the results.
#[track_caller]
fn has_log(sandbox: &Sandbox, outcome: &Outcome, line: &str) {
    for path in [sandbox.out().join("logs/04-build.log"), sandbox.work().join("logs/04-build.log")] {
        let log = fs_err::read_to_string(&path).unwrap();
        assert!(log.lines().any(|each| each.contains(line)), "no `{line}` in {}", path.display());
    }
    let hint = outcome.stderr.rsplit_once("hint: ").unwrap_or_else(|| panic!("no hint\n{outcome}")).1;
    assert!(hint.contains("logs/04-build.log"), "{outcome}");
}

#[test]
fn a_compile_error_is_shown_with_the_path_of_the_log() {
    if !require("rpmbuild") {
        return;
    }
    let toy = Toy::new().append("linux/net/netfilter/ipvs/ip_vs_core.c", "int broken(void) { return undeclared; }\n");
    let sandbox = Sandbox::new();
    let outcome = fails(&sandbox, toy, 8);
    outcome.says("rpmbuild ended with exit code 1 in %build");
    outcome.says("| net/netfilter/ipvs/ip_vs_core.c:").says("error: 'undeclared' undeclared");
    outcome
        .says("\n\ncause: the compiler refuses net/netfilter/ipvs/ip_vs_core.c, line ")
        .says("(compile-error, in %build)\n");
    outcome.says("hint: sed -n ");
    has_log(&sandbox, &outcome, "error: ");
}

#[test]
fn an_error_that_a_long_log_follows_is_shown_all_the_same() {
    if !require("rpmbuild") {
        return;
    }
    let script = "echo 'x.c:1:2: error: the cause'\nfor i in $(seq 500); do echo noise $i; done\nexit 1";
    let sandbox = Sandbox::new();
    let outcome = fails(&sandbox, Toy::new().script("%install", script), 8);
    outcome.says("in %install").says("  | x.c:1:2: error: the cause").does_not_say("noise 1\n");
    has_log(&sandbox, &outcome, "noise 500");
}

#[test]
fn a_failure_in_prep_is_a_failed_build() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let outcome = fails(&sandbox, Toy::new().script("%prep", "echo 'no such luck'; exit 3"), 8);
    outcome.says("in %prep").says("  | no such luck");
    has_log(&sandbox, &outcome, "no such luck");
}

#[test]
fn the_cause_its_place_and_the_fix_are_told_and_in_the_manifest() {
    if !require("rpmbuild") {
        return;
    }
    let script =
        "echo 'gcc: fatal error: Killed signal terminated program cc1' >&2; echo compilation terminated. >&2; exit 1";
    let sandbox = Sandbox::new();
    let outcome = fails(&sandbox, Toy::new().script("%build", script), 8);
    outcome.says("cause: a process was killed: the machine ran out of memory (oom-kill, in %build)\n");
    outcome.says("logs/04-build.log:").says(": gcc: fatal error: Killed signal terminated program cc1\n");
    has_log(&sandbox, &outcome, "Killed signal");
    let cause = &manifest(&sandbox.out())["status"]["cause"];
    assert_eq!((&cause["name"], &cause["phase"]), (&"oom-kill".into(), &"%build".into()), "{cause}");
    let (number, text) = (cause["evidence"]["number"].as_u64().unwrap(), cause["evidence"]["text"].as_str().unwrap());
    let log = fs_err::read_to_string(sandbox.out().join("logs/04-build.log")).unwrap();
    assert_eq!(log.lines().nth(usize::try_from(number).unwrap() - 1), Some(text), "line {number}");
    assert!(cause["fix"].as_str().unwrap().contains("--jobs 2"), "{cause}");

    // A failure that nobody knows has none, and none is made up.
    let sandbox = Sandbox::new();
    let outcome = fails(&sandbox, Toy::new().script("%build", "set +x; printf 'the moon is %%s\\n' wrong; exit 1"), 8);
    outcome.says("| the moon is wrong").does_not_say("cause: ");
    assert!(manifest(&sandbox.out())["status"].get("cause").is_none());
}

#[test]
fn a_file_that_was_not_packaged_is_named() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let outcome = fails(&sandbox, Toy::new().replace("kernel.spec", "\n/usr/include/*\n", "\n/usr/include/no.h\n"), 8);
    outcome.says("File not found: ").says("/usr/include/no.h").says("(file-not-found");
}

#[test]
fn bytes_that_are_no_text_do_not_hide_the_error() {
    if !require("rpmbuild") {
        return;
    }
    let script = "printf 'error: \\377\\376 bad\\000bytes\\n'; head -c 300000 /dev/zero | tr '\\0' x; echo; exit 1";
    let sandbox = Sandbox::new();
    let outcome = fails(&sandbox, Toy::new().script("%build", script), 8);
    outcome.says("  | error: ");
    assert!(outcome.stderr.len() < 200_000, "a line of 300000 characters is shown whole");
}

#[test]
fn an_rpmbuild_that_a_signal_ends_says_so() {
    let sandbox = Sandbox::new();
    let rpmbuild = sandbox.fake("rpmbuild", "[ \"$1\" = --version ] && exit 0\necho under way\nkill -KILL $$");
    let srpm = sandbox.srpm(&Toy::unmodified());
    let outcome = sandbox.ipvs(&srpm, "20").fakes([&rpmbuild]).exits(8);
    outcome.says("rpmbuild ended with signal 9").says("  | under way");
}

#[test]
fn an_rpmbuild_that_does_nothing_is_no_success() {
    let sandbox = Sandbox::new();
    let rpmbuild = sandbox.fake("rpmbuild", "exit 0");
    let srpm = sandbox.srpm(&Toy::unmodified());
    let outcome = sandbox.ipvs(&srpm, "20").fakes([&rpmbuild]).exits(9);
    outcome.says("not checked");
    assert_eq!(names(&sandbox.out()), [""; 0]);
}

#[test]
fn a_required_package_that_the_spec_does_not_promise_is_exit_9_before_the_build() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let outcome = sandbox.ipvs(&srpm, "20").args(["--profile", "fleet", "--without", "headers"]).exits(9);
    outcome.says("error: the spec would not make kernel-headers, which every build must yield").says("hint: ");
    assert_eq!(names(&sandbox.out()), [""; 0]);
    assert!(!sandbox.work().join("logs/04-build.log").exists(), "rpmbuild was started");
}

#[test]
fn a_required_package_that_was_not_made_is_exit_9() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    // Where rpmspec has no answer, the packages themselves are counted.
    let rpmspec = sandbox.fake("rpmspec", "exit 1");
    let outcome = sandbox.ipvs(&srpm, "20").args(["--profile", "fleet", "--without", "headers"]).fakes([&rpmspec]);
    let outcome = outcome.exits(9);
    outcome.says("note: the spec cannot be asked for its packages before the build");
    outcome.says("error: rpmbuild did not make kernel-headers-2.6.32-220.13.1.el6.ipvs_20bit");
    assert_eq!(names(&sandbox.out()), [""; 0]);
}

#[test]
fn a_spec_whose_release_ignores_the_buildid_is_stopped_before_the_build() {
    if !require("rpmbuild") {
        return;
    }
    // kbuild runs nothing of a spec while it plans; where it would be wrong, rpm is asked before the build.
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::new().script("%prep", "echo prep has begun").pack());
    let rpmspec = sandbox.fake("rpmspec", "echo kernel 2.6.32 220.13.1.el6 x86_64");
    let outcome = sandbox.ipvs(&srpm, "20").fakes([&rpmspec]).exits(7);
    outcome.says("2.6.32-220.13.1.el6`, expected `2.6.32-220.13.1.el6.ipvs_20bit`");
    assert!(!sandbox.work().join("logs/04-build.log").exists(), "rpmbuild was started");

    // What is seen while planning is refused there.
    let toy = Toy::new()
        .replace("kernel.spec", "%define distro_build 220.13.1\n", "%define distro_build %(echo 220.13.1)\n")
        .replace(
            "kernel.spec",
            "%define pkg_release %{distro_build}%{?dist}%{?buildid}\n",
            "%define pkg_release %{distro_build}%{?dist}\n%define unused %{?buildid}\n",
        );
    let srpm = sandbox.srpm(&toy.pack());
    sandbox.plan(&srpm, "20").refused(7).says("the release cannot be marked: line 16 of `kernel.spec`");
}

#[test]
fn a_module_that_ignores_the_config_is_caught_and_not_handed_over() {
    if !require("rpmbuild") {
        return;
    }
    // Every config says 20 and the code says 12: only ip_vs.ko itself tells.
    let toy = Toy::new().replace(
        "linux/include/net/ip_vs.h",
        "#define IP_VS_CONN_TAB_BITS\tCONFIG_IP_VS_TAB_BITS",
        "#define IP_VS_CONN_TAB_BITS\t12",
    );
    let outcome = fails(&Sandbox::new(), toy, 9);
    outcome.says("error: the packages do not hold what was asked");
    outcome.says("ip_vs.ko  DIFFERS: expected 20 bits, found 12 bits");
}

#[test]
fn a_kernel_whose_module_is_missing_is_not_proved_by_another_kernels() {
    if !require("rpmbuild") {
        return;
    }
    // The debug kernel has its ip_vs.ko, and it holds what was asked.
    let delete = "find $RPM_BUILD_ROOT/lib/modules/%{KVERREL} -name ip_vs.ko -delete";
    let outcome = fails(&Sandbox::new(), Toy::new().script("%install", delete), 9);
    outcome.says(
        "level 4  ip_vs.ko  not checked: the ip_vs.ko of the kernel 2.6.32-220.13.1.el6.ipvs_20bit.x86_64 is in none",
    );
    let packed = "find $RPM_BUILD_ROOT/lib/modules/%{KVERREL} -name ip_vs.ko -exec mv {} {}.lz4 \\;";
    fails(
        &Sandbox::new(),
        Toy::new().script(
            "%install",
            &format!("{packed}\nfind $RPM_BUILD_ROOT -name '*.lz4' -exec sh -c 'echo packed > $1' - {{}} \\;"),
        ),
        9,
    );
}

#[test]
fn a_kernel_with_another_name_than_the_recipe_says_is_caught() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let recipe =
        "schema = 1\nname = \"mine\"\ntitle = \"Mine\"\nextends = \"el6\"\nuname-r = \"{version}-{release}\"\n";
    let recipe = sandbox.input("mine.toml", recipe);
    let outcome = sandbox.ipvs(&srpm, "20").args(["--profile", "fleet", "--recipe"]).arg(&recipe).exits(9);
    outcome.says("the kernel's own name  DIFFERS: expected 2.6.32-220.13.1.el6.ipvs_20bit, found 2.6.32-220.13.1.el6.ipvs_20bit.x86_64");
}
