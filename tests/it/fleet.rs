//! `kbuild fleet`: many kernels from one file, each built once, by itself, and brought together.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::daemon::Daemon;
use crate::support::kbuild::Kbuild;
use crate::support::package::names;
use crate::support::sandbox::Sandbox;
use crate::support::toy::{Srpm, Toy};
use crate::support::{require, wait_until};

/// A sandbox with a fleet file.
struct Place {
    sandbox: Sandbox,
    file: PathBuf,
}

/// The toy under another release.
fn other(release: &str) -> Toy {
    Toy::new().replace("kernel.spec", "%define distro_build 220.13.1", &format!("%define distro_build {release}"))
}

impl Place {
    /// A fleet of these source packages with these sizes; `more` are further lines of the group.
    fn new(srpms: &[&Srpm], bits: &str, more: &str) -> Self {
        let sandbox = Sandbox::new();
        let paths: Vec<String> = srpms
            .iter()
            .map(|srpm| format!("{:?}", sandbox.srpm(srpm).file_name().unwrap().to_str().unwrap()))
            .collect();
        let user =
            if crate::support::is_root() { format!("user = {:?}\n", sandbox.user().name) } else { String::new() };
        let text = format!(
            "schema = 1\nout = \"../out\"\nwork = \"../work\"\n\n[[group]]\nname = \"el6\"\nsrpms = [{}]\nbits = [{bits}]\n\
             allow-unsigned = true\n{user}{more}",
            paths.join(", ")
        );
        let file = sandbox.input("fleet.toml", text);
        Self { sandbox, file }
    }

    /// `kbuild fleet WHAT --file FILE`.
    fn fleet(&self, what: &str) -> Kbuild<'_> {
        self.sandbox.kbuild().args(["fleet", what, "--file"]).arg(&self.file)
    }

    /// Each cell with its state.
    fn states(&self) -> Vec<(String, String)> {
        let plan = self.fleet("plan").args(["--format", "json"]).exits(0);
        let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let cells = plan["cells"].as_array().unwrap().iter();
        cells.map(|cell| (text(&cell["cell"]["name"]), text(&cell["state"]["is"]))).collect()
    }

    fn cell(&self, name: &str) -> PathBuf {
        self.sandbox.out().join(name)
    }

    fn record(&self, name: &str) -> Value {
        serde_json::from_slice(&fs_err::read(self.cell(name).join("cell.json")).unwrap()).unwrap()
    }
}

const STOCK_20: &str = "el6-kernel-2.6.32-220.13.1.el6-20-kernel";
const STOCK_18: &str = "el6-kernel-2.6.32-220.13.1.el6-18-kernel";

#[test]
fn each_cell_is_built_once_and_one_that_fails_fails_alone() {
    if !require("rpmbuild") {
        return;
    }
    let broken = other("220.17.1").script("%build", "echo 'the moon is wrong'; exit 1").pack();
    let place = Place::new(&[&Toy::unmodified(), &broken], "18, 20", "");
    let failing = ["18", "20"].map(|bits| format!("el6-kernel-2.6.32-220.17.1.el6-{bits}-kernel"));
    let run = place.fleet("run").exits(8);
    for name in [STOCK_18, STOCK_20] {
        run.prints(&format!("done    {name}"));
        assert_eq!(place.record(name)["status"]["is"], "done");
        assert!(
            names(&place.cell(name)).iter().any(|file| file.starts_with("kernel-2.6.32-220.13.1.el6.ipvs_")),
            "{name}"
        );
        assert!(fs_err::read_to_string(place.cell(name).join("cell.log")).unwrap().contains("rpmbuild -bb"));
    }
    run.says("2 of 4 cells failed").says("of the earlier kernel were put back");
    for name in &failing {
        run.prints(&format!("failed  {name}"));
        let status = &place.record(name)["status"];
        assert_eq!((status["is"].as_str(), status["exit-code"].as_u64()), (Some("failed"), Some(8)), "{status}");
        assert!(status["error"].as_str().unwrap().contains("rpmbuild ended with exit code 1 in %build"), "{status}");
    }
    // What is done is not done again; what failed is tried again.
    let rpmbuild = place.sandbox.fake("rpmbuild", "exit 3");
    let again = place.fleet("run").fakes([&rpmbuild]).exits(8);
    again.prints(&format!("taken   {STOCK_18}")).prints(&format!("taken   {STOCK_20}"));
    assert_eq!(place.record(&failing[0])["attempt"], 2);
    let status = place.fleet("status").exits(0);
    status.prints("4 cells: 2 done, 2 failed").prints("exit code 8: ");
    let only = place.fleet("run").args(["--cell", STOCK_20]).fakes([&rpmbuild]).exits(0);
    only.prints(&format!("taken   {STOCK_20}"));
    place.fleet("run").args(["--cell", "el6-kernel-2.6.32-220.13.1.el6-21-kernel"]).exits(2).says("did you mean");
}

#[test]
fn shards_build_all_of_it_between_them_and_are_brought_together() {
    if !require("rpmbuild") {
        return;
    }
    let place = Place::new(&[&Toy::unmodified(), &other("220.17.1").pack()], "18, 20", "");
    let parts: Vec<PathBuf> = (1..=3).map(|part| place.sandbox.path().join(format!("part-{part}"))).collect();
    for (part, number) in parts.iter().zip(1..) {
        let variables = [("CI_NODE_INDEX", number.to_string()), ("CI_NODE_TOTAL", "3".into())];
        let run = place.fleet("run").args(["--shard", "auto", "--out"]).arg(part);
        variables.iter().fold(run, |run, (name, value)| run.env(name, value)).env("GITLAB_CI", "true").exits(0);
    }
    let built: Vec<usize> = parts.iter().map(|part| fs_err::read_dir(part).unwrap().count()).collect();
    assert_eq!(built, [1, 1, 2]);
    // Whatever moved the files there.
    let moved = place.sandbox.path().join("moved/artifacts");
    fs_err::create_dir_all(&moved).unwrap();
    for (index, part) in parts.iter().enumerate() {
        fs_err::rename(part, moved.join(index.to_string())).unwrap();
    }
    let damaged = moved.join("0").join(fs_err::read_dir(moved.join("0")).unwrap().next().unwrap().unwrap().file_name());
    let package = damaged.join(&names(&damaged)[0]);
    let whole = fs_err::read(&package).unwrap();
    let mut cut = whole.clone();
    *cut.last_mut().unwrap() ^= 1;
    fs_err::write(&package, cut).unwrap();
    let moved = moved.parent().unwrap();
    let collect = place.fleet("collect").arg(moved).exits(9);
    collect.prints("3 of 4 cells are done").says("not what was built");
    fs_err::write(&package, whole).unwrap();
    place.fleet("collect").arg(moved).exits(0).prints("4 of 4 cells are done");
    assert!(place.states().iter().all(|(_, state)| state == "done"), "{:?}", place.states());
    assert_eq!(place.record(STOCK_20)["runner"]["engine"], "GitLab");
    place.sandbox.kbuild().args(["verify", "--bits", "20"]).arg(place.cell(STOCK_20)).exits(0);
    let rpmbuild = place.sandbox.fake("rpmbuild", "exit 3");
    place.fleet("run").fakes([&rpmbuild]).exits(0);
    place.fleet("run").args(["--shard", "auto"]).exits(2).says("no engine says which shard this is");
}

#[test]
fn a_cell_that_is_killed_goes_on_where_it_was() {
    if !require("rpmbuild") {
        return;
    }
    let slow = Toy::new().script("%install", "test -e \"$HOME/../../in/go\" || sleep 600").pack();
    let place = Place::new(&[&slow], "20", "");
    let running = place.fleet("run").start();
    let log = place.cell(STOCK_20).join("cell.log");
    wait_until("%install begins", || fs_err::read_to_string(&log).is_ok_and(|text| text.contains("%install")));
    assert_eq!(place.states(), [(STOCK_20.to_owned(), "begun".to_owned())]);
    running.signal(nix::sys::signal::Signal::SIGTERM);
    running.exits(143);
    assert_eq!(place.record(STOCK_20)["status"], serde_json::json!({ "is": "interrupted", "signal": 15 }));
    place.sandbox.no_process_is_left();
    place.sandbox.input("go", "");
    let again = place.fleet("run").exits(0);
    again.says("the interrupted build had compiled is put back");
    assert_eq!(place.record(STOCK_20)["attempt"], 2);
}

#[test]
fn what_depends_on_a_change_is_built_again_and_what_was_there_stays_until_then() {
    if !require("rpmbuild") {
        return;
    }
    let place = Place::new(&[&Toy::unmodified()], "20", "patch = [\"more.patch\"]\nbuildid = \".{bits}a\"\n");
    let patch = |text: &str| {
        place.sandbox.input("more.patch", format!("--- /dev/null\n+++ b/lib/more.c\n@@ -0,0 +1 @@\n+int {text};\n"))
    };
    patch("more");
    place.fleet("run").exits(0);
    assert_eq!(place.states(), [(STOCK_20.to_owned(), "done".to_owned())]);
    let text = fs_err::read_to_string(&place.file).unwrap();
    fs_err::write(&place.file, text.replace(".{bits}a", ".{bits}b")).unwrap();
    patch("less");
    place.fleet("plan").exits(0).prints("changed").prints("`buildid`, `patch`");
    let rpmbuild = place.sandbox.fake("rpmbuild", "exit 3");
    place.fleet("run").fakes([&rpmbuild]).exits(8);
    let old = PathBuf::from(format!("{}.replaced", place.cell(STOCK_20).display()));
    assert!(names(&old).iter().any(|name| name.contains(".20a.")), "{:?}", names(&old));
    place.fleet("run").exits(0);
    assert!(names(&place.cell(STOCK_20)).iter().all(|name| name.contains(".20b.")));
    assert!(!old.exists());
}

#[test]
fn all_that_is_wrong_with_a_file_is_said_at_once() {
    let sandbox = Sandbox::new();
    let file = sandbox.input(
        "fleet.toml",
        "schema = 1\n[defaults]\nprofil = \"fleet\"\n[[group]]\nname = \"a\"\nreleases = [\"2.6.32-220.13.1.el6\"]\nbits = [40]\n",
    );
    let fleet = |what: &str| sandbox.kbuild().args(["fleet", what, "--file"]).arg(&file);
    let check = fleet("check").refused(3);
    check
        .says("2 problems")
        .says("line 3")
        .says("did you mean `profile`?")
        .says("line 7")
        .says("a number from 1 to 31");
    fs_err::write(
        &file,
        "schema = 1\n[[group]]\nname = \"a\"\nreleases = [\"2.6.32-220.13.1.el6\"]\nbits = [20]\nroutes = [\"param\"]\nset = \
         [\"CONFIG_X=y\"]\n[[group]]\nname = \"b\"\nsrpms = [\"k.src.rpm\"]\nbits = [20]\nmin-free = \"lots\"\npatch = \
         [\"no.patch\"]\n",
    )
    .unwrap();
    let check = fleet("check").refused(3);
    check.says("`--set` means nothing to `--route param`").says("line 7").says("lots").says("line 12");
    fs_err::write(
        &file,
        "schema = 1\n[[group]]\nname = \"a\"\nreleases = [\"2.6.32-220.13.1.el6\"]\nbits = [20, 18]\n",
    )
    .unwrap();
    fleet("check").exits(0).prints("a fleet of 2 cells").does_not_say("outside of");
    fs_err::write(
        &file,
        "schema = 1\n[[group]]\nname = \"a\"\nreleases = [\"2.6.32-220.13.1.el6\"]\nbits = [20, 22]\n",
    )
    .unwrap();
    fleet("check").exits(0).says("22 bits are outside of 8..20, which recipe el6 knows of");
    fs_err::write(
        &file,
        "schema = 1\n[[group]]\nname = \"a\"\nreleases = [\"2.6.32-220.13.1.el6\"]\nbits = [20, 18]\n",
    )
    .unwrap();
    let plan = fleet("plan").exits(0);
    plan.prints("a-2.6.32-220.13.1.el6-20-kernel  new").prints("is a guess").prints("2 cells: 2 new");
    let plan = fleet("plan").args(["--shard", "2/2", "--format", "json"]).exits(0);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(plan["cells"].as_array().unwrap().len(), 1);
    let command = plan["cells"][0]["command"].as_str().unwrap();
    assert!(command.contains("--bits=18") && command.contains("--cache=tree"), "{command}");
    fleet("plan").args(["--shard", "3/2"]).exits(2);
    sandbox.kbuild().args(["fleet", "check", "--file", "/no/such.toml"]).exits(3).says("cannot read the fleet");
    assert!(!Path::new(&sandbox.out()).exists());
}

#[test]
fn the_example_in_the_readme_is_a_fleet() {
    let sandbox = Sandbox::new();
    let readme = fs_err::read_to_string(crate::support::repository().join("README.md")).unwrap();
    let lines = readme.lines().skip_while(|line| *line != "    out = \"fleet-out\"");
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with("    ")).map(str::trim_start);
    let text = lines.fold(String::from("schema = 1\n"), |text, line| format!("{text}{line}\n"));
    let file = sandbox.input("fleet.toml", text);
    let fleet = |what: &str| sandbox.kbuild().args(["fleet", what, "--file"]).arg(&file);
    fleet("check").exits(0).prints("is a fleet of 6 cells");
    fleet("plan").exits(0).prints("core-3.10.0-1160.el7-20-param");
}

#[test]
fn cells_of_two_machines_share_a_redis_whose_end_harms_nothing() {
    if !["rpmbuild", "ccache", "redis-server"].into_iter().all(require) {
        return;
    }
    let mut redis = Daemon::redis(None);
    // Long enough for the end of the server to be within the build.
    let slow = Toy::new().script("%build", "sleep 2").pack();
    let place = Place::new(&[&slow], "16, 18, 20", &format!("cache = \"redis://{}\"\n", redis.address()));
    let cell = |bits: u32| format!("el6-kernel-2.6.32-220.13.1.el6-{bits}-kernel");
    // Each has a work directory of its own, as on another machine.
    let run = |bits: u32| {
        let work = place.sandbox.path().join(format!("work-{bits}"));
        place.fleet("run").args(["--cell", &cell(bits), "--work"]).arg(work)
    };
    let compiled = |bits: u32| -> Value {
        let manifest = fs_err::read(place.cell(&cell(bits)).join("manifest.json")).unwrap();
        serde_json::from_slice::<Value>(&manifest).unwrap()["compiled"].clone()
    };
    run(16).exits(0);
    run(18).exits(0);
    let taken = compiled(18);
    assert!(taken["put-back"].as_u64().unwrap_or(0) > 0 || taken["statistics"]["remote"].as_u64() > Some(0), "{taken}");
    let running = run(20).start();
    let log = place.cell(&cell(20)).join("cell.log");
    wait_until("%build begins", || fs_err::read_to_string(&log).is_ok_and(|text| text.contains("%build")));
    redis.kill();
    running.exits(0);
    place.sandbox.kbuild().args(["verify", "--bits", "20"]).arg(place.cell(&cell(20))).exits(0);
}
