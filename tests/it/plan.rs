//! `kbuild plan` prints what `kbuild ipvs` does: every argument, the whole environment, the directory and the user of
//! rpmbuild, compared with what a recording stand-in saw.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::fake::Call;
use crate::support::kbuild::Kbuild;
use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;
use crate::support::{require, require_root, which};

/// Returns the step of a plan for this stage.
#[track_caller]
fn step<'a>(plan: &'a Value, stage: &str) -> &'a Value {
    plan["steps"].as_array().unwrap().iter().find(|step| step["stage"] == stage).unwrap()
}

/// Checks that a call was made as the plan has it.
#[track_caller]
fn as_planned(call: &Call, command: &Value, user: &Value) {
    let args: Vec<String> = serde_json::from_value(command["args"].clone()).unwrap();
    let env: BTreeMap<String, String> = serde_json::from_value(command["env"].clone()).unwrap();
    assert_eq!(call.args, args);
    assert_eq!(call.env, env);
    assert_eq!(call.cwd.to_str().unwrap(), command["cwd"]);
    let all = |id: &Value| vec![u32::try_from(id.as_u64().unwrap()).unwrap(); 4];
    assert_eq!(call.uids(), all(&user["uid"]));
    assert_eq!(call.gids(), all(&user["gid"]));
}

/// Plans and runs the same with stand-ins, and compares.
#[track_caller]
fn rpmbuild_gets_what_was_planned<'a>(sandbox: &'a Sandbox) {
    let srpm = sandbox.srpm(&Toy::unmodified());
    let rpmbuild = sandbox.fake("rpmbuild", "exit 3");
    let real = which("rpmspec").unwrap();
    let rpmspec = sandbox.fake("rpmspec", &format!("exec {} \"$@\"", real.display()));
    let patch = sandbox.input("a.patch", "--- a/Makefile\n+++ b/Makefile\n@@ -1 +1 @@\n-VERSION = 2\n+VERSION = 3\n");
    let with_everything = |kbuild: Kbuild<'a>| {
        kbuild
            .fakes([&rpmbuild, &rpmspec])
            .args(["--profile", "fleet", "--mode", "ba", "--jobs", "7", "--with", "baseonly", "--without", "doc"])
            .args(["--set", "CONFIG_CMDLINE=\"a 'b' $c\"", "--patch"])
            .arg(&patch)
            // Nothing of this may reach rpmbuild.
            .env("RPM_BUILD_NCPUS", "99")
            .env("MAKEFLAGS", "-n")
            .env("http_proxy", "http://127.0.0.1:9")
    };
    let plans = with_everything(sandbox.plan(&srpm, "20")).args(["--format", "json"]).exits(0).plans();
    assert!(rpmbuild.calls().is_empty() && rpmspec.calls().is_empty(), "planning started something");
    let plan = &plans[0];
    with_everything(sandbox.ipvs(&srpm, "20")).exits(8);

    let build = step(plan, "build");
    let [call] = &rpmbuild.builds()[..] else { panic!("{:?}", rpmbuild.builds()) };
    as_planned(call, &build["command"], &plan["user"]);
    assert_eq!(build["command"]["program"], rpmbuild.path.to_str().unwrap());
    let [query] = &rpmspec.builds()[..] else { panic!("{:?}", rpmspec.builds()) };
    as_planned(query, &build["query"], &plan["user"]);

    // And the plan says what it is about.
    assert_eq!(call.args[0], "-ba");
    for word in ["--target=x86_64", "_smp_mflags -j7", "firmware", "baseonly"] {
        assert!(call.args.iter().any(|arg| arg == word), "{word} in {:?}", call.args);
    }
    let names: Vec<_> = call.env.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "GZIP",
            "HOME",
            "KBUILD_BUILD_HOST",
            "KBUILD_BUILD_TIMESTAMP",
            "KBUILD_BUILD_USER",
            "KBUILD_BUILD_VERSION",
            "KB_COMPILER",
            "LANG",
            "LC_ALL",
            "LOGNAME",
            "PATH",
            "SOURCE_DATE_EPOCH",
            "TMPDIR",
            "TZ",
            "USER",
        ]
    );
}

#[test]
fn rpmbuild_gets_what_was_planned_as_root() {
    if !require_root() || !require("rpmspec") {
        return;
    }
    let sandbox = Sandbox::new();
    // An account that is there has numbers to plan with.
    sandbox.user().create();
    rpmbuild_gets_what_was_planned(&sandbox);
}

#[test]
fn rpmbuild_gets_what_was_planned_as_an_ordinary_user() {
    if !require("rpmspec") {
        return;
    }
    rpmbuild_gets_what_was_planned(&Sandbox::of_ordinary_user());
}

#[test]
fn the_account_is_made_as_planned() {
    if !require_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let rpmbuild = sandbox.fake("rpmbuild", "exit 3");
    let real = which("useradd").unwrap_or("/usr/sbin/useradd".into());
    let useradd = sandbox.fake("useradd", &format!("exec {} \"$@\"", real.display()));
    let plans = sandbox.plan(&srpm, "20").fakes([&rpmbuild, &useradd]).args(["--format", "json"]).exits(0).plans();
    assert!(useradd.calls().is_empty() && !sandbox.user().exists(), "planning made the account");
    assert_eq!(plans[0]["user"]["uid"], Value::Null);
    let prepare = plans[0]["prepare"].as_array().unwrap();
    assert_eq!(prepare.len(), 1);
    sandbox.ipvs(&srpm, "20").fakes([&rpmbuild, &useradd]).exits(8);
    let [call] = &useradd.calls()[..] else { panic!("{:?}", useradd.calls()) };
    as_planned(call, &prepare[0], &serde_json::json!({ "uid": 0, "gid": 0 }));
    assert!(sandbox.user().exists());
    // Once: the second run finds it.
    sandbox.ipvs(&srpm, "20").fakes([&rpmbuild, &useradd]).exits(8);
    assert_eq!(useradd.calls().len(), 1);
}

#[test]
fn the_plan_leaves_nothing_behind() {
    for sandbox in [Sandbox::new(), Sandbox::of_ordinary_user()] {
        let srpm = sandbox.srpm(&Toy::unmodified());
        let rpmbuild = sandbox.fake("rpmbuild", "exit 1");
        let before = sandbox.snapshot();
        sandbox.plan(&srpm, "18,20").fakes([&rpmbuild]).exits(0);
        sandbox.plan(&srpm, "20").fakes([&rpmbuild]).args(["--boot", "--format", "json"]).exits(0);
        assert_eq!(sandbox.snapshot(), before);
        assert!(rpmbuild.calls().is_empty());
    }
}

#[test]
fn the_plan_as_text_has_everything_that_the_plan_as_json_has() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let text = sandbox.plan(&srpm, "20").exits(0);
    let plans = sandbox.plan(&srpm, "20").args(["--format", "json"]).exits(0).plans();
    let plan = &plans[0];
    assert_eq!(plan["schema"], 1);
    let build = &step(plan, "build")["command"];
    let mut words = vec![build["program"].as_str().unwrap().to_owned()];
    words.extend(build["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap().to_owned()));
    // One line that can be pasted into a shell.
    let pasted = |line: &str| shlex::split(line).is_some_and(|found| found == words);
    assert!(text.stdout.lines().any(pasted), "no line for {words:?}\n{text}");
    for (name, value) in build["env"].as_object().unwrap() {
        let expected = format!("{name}={}", value.as_str().unwrap());
        let line = |line: &str| shlex::split(line).is_some_and(|words| words == [expected.as_str()]);
        assert!(text.stdout.lines().any(line), "no line for {expected}\n{text}");
    }
    text.prints(build["cwd"].as_str().unwrap());
    text.prints(plan["source"]["sha256"].as_str().unwrap());
    text.prints("2.6.32-220.13.1.el6.ipvs_20bit.x86_64").prints("20 bits, 1048576 buckets");
    text.prints("- CONFIG_IP_VS_TAB_BITS=12").prints("+ CONFIG_IP_VS_TAB_BITS=20");
    text.prints("net/netfilter/ipvs/Kconfig").prints("by nobody");
    let stages: Vec<_> = plan["steps"].as_array().unwrap().iter().map(|step| step["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["verify", "unpack", "edit", "build", "prove", "collect"]);
    for (index, stage) in stages.iter().enumerate() {
        text.prints(&format!("\n{}. {stage}\n", index + 1));
    }
}

#[test]
fn the_plan_as_json_is_json_and_nothing_else() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let outcome = sandbox.plan(&srpm, "18,20").args(["--format", "json"]).exits(0);
    // One document, or one per line as everywhere else: not events followed by a document of many lines.
    let one = serde_json::from_str::<Value>(&outcome.stdout).is_ok();
    let lines = outcome.stdout.lines().all(|line| serde_json::from_str::<Value>(line).is_ok());
    assert!(one || lines, "{outcome}");
}

#[test]
fn several_values_have_a_plan_each() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let plans = sandbox.plan(&srpm, "18,20").args(["--format", "json"]).exits(0).plans();
    let seen: Vec<_> = plans.as_array().unwrap().iter().map(|plan| (&plan["bits"], &plan["buildid"])).collect();
    assert_eq!(seen, [(&18.into(), &".ipvs_18bit".into()), (&20.into(), &".ipvs_20bit".into())]);
}

#[test]
fn a_buildid_may_have_the_value_in_it() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let plan = |bits, buildid| sandbox.plan(&srpm, bits).args(["--format", "json", "--buildid", buildid]);
    let plans = plan("20", ".lvs{bits}").exits(0).plans();
    assert_eq!(plans[0]["nvr"]["release"], "220.13.1.el6.lvs20");
    plan("20", "lvs").exits(2).says("expected a buildid of a dot and letters");
    plan("20", ".a-b").exits(2);
    // Two builds of one name would overwrite each other.
    plan("18,20", ".lvs").exits(2).says("{bits}");
    // `uname -r` has room for 64 characters.
    plan("20", ".a_very_long_name_for_a_buildid_that_no_kernel_can_carry").exits(3).says("at most 64");
}
