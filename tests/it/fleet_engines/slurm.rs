//! A fleet as an array of Slurm: slurmctld and several slurmd on this machine.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::{Place, Srpms, all_but_one_are_done, all_cells, cell, failing, record};
use crate::support::keyring::Keyring;
use crate::support::slurm::Slurm;
use crate::support::{require, require_root, wait_until};

/// When each cell's manifest was written.
fn manifests(place: &Place) -> BTreeMap<String, SystemTime> {
    let written = |cell: &String| {
        let path = place.sandbox.path().join("fleet/fleet-out").join(cell).join("manifest.json");
        fs_err::metadata(path).unwrap().modified().unwrap()
    };
    all_cells().into_iter().map(|cell| (cell.clone(), written(&cell))).collect()
}

#[test]
fn an_array_builds_it_and_a_task_that_is_requeued_goes_on() {
    if !require_root() || !require("rpmbuild") || !Slurm::require() {
        return;
    }
    let place = Place::new("fleet", Srpms::Beside, "test -e GO || sleep 600");
    let results = place.sandbox.path().join("fleet/fleet-out");
    let slurm = Slurm::start(&place.sandbox, &place.env(), 3);
    let export = place.fleet("export", "fleet/fleet.toml").args(["slurm", "--to", "kernels.sbatch"]).exits(0);

    // As it says: the array, and after it what looks at all of it.
    let line = |begin: &str| {
        let found = export.stderr.lines().find_map(|line| line.find(begin).map(|at| &line[at..]));
        found.unwrap_or_else(|| panic!("no `{begin}`\n{export}"))
    };
    let both = format!("{}\n{}\necho $job", line("job=$(sbatch"), line("sbatch --dependency"));
    let submitted = slurm.run_in(place.sandbox.path(), "sh", &["-ec", &both]);
    let numbers = submitted.strip_prefix("Submitted batch job ").unwrap();
    let [after, job] = numbers.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{numbers}") };

    // One is killed in the midst of its work by being requeued.
    let slow = cell("220.13.1", 18);
    let task = all_cells().iter().position(|cell| *cell == slow).unwrap();
    let log = results.join(&slow).join("cell.log");
    wait_until("%install of the slow cell begins", || {
        fs_err::read_to_string(&log).is_ok_and(|text| text.contains("%install"))
    });
    slurm.run("scontrol", &["requeue", &format!("{job}_{task}")]);
    wait_until("the slow cell was interrupted", || {
        record(&results, &slow)["status"] == serde_json::json!({ "is": "interrupted", "signal": 15 })
    });
    place.sandbox.input("go", "");
    slurm.run("scontrol", &["update", &format!("jobid={job}_{task}"), "StartTime=now"]);
    let ended = slurm.ended(job);
    for (index, cell) in all_cells().iter().enumerate() {
        let expected = if *cell == failing() { ("FAILED", "8:0") } else { ("COMPLETED", "0:0") };
        let (state, code) = &ended[&index];
        assert_eq!((state.as_str(), code.as_str()), expected, "{cell}: {ended:?}");
    }
    all_but_one_are_done(&results, false);
    let resumed = record(&results, &slow);
    assert_eq!(resumed["attempt"], 2, "{resumed:#}");
    assert_eq!(
        (&resumed["runner"]["engine"], &resumed["runner"]["job"]),
        (&"Slurm".into(), &format!("{job}_{task}").into())
    );
    let log = fs_err::read_to_string(&log).unwrap();
    assert!(log.contains("the interrupted build had compiled is put back"), "{log}");
    // The reason is in the report, too.
    let status = place.fleet("status", "fleet/fleet.toml").exits(0);
    status.prints("6 cells: 5 done, 1 failed").prints("exit code 8: ");
    slurm.ended(after);
    let log = fs_err::read_to_string(place.sandbox.path().join(format!("slurm-{after}.out"))).unwrap();
    assert!(log.contains("5 of 6 cells are done") && log.contains(&format!("failed   {}", failing())), "{log}");
    let page = fs_err::read_to_string(results.join("report.html")).unwrap();
    assert!(page.contains(&failing()) && page.contains("exit code 1 in %build"), "{page}");
    // Whatever moved the files: another place takes them, checked.
    let collect = place.fleet("collect", "fleet/fleet.toml").args(["--out", "elsewhere"]).arg(&results).exits(0);
    collect.prints("5 of 6 cells are done");
    // What is done can be published, and what failed is not in the way.
    if ["createrepo_c", "modifyrepo_c", "rpmsign", "gpg"].iter().all(|program| require(program)) {
        let key = Keyring::new();
        let repository = place.sandbox.path().join("repository");
        let publish = place.sandbox.kbuild().arg("repo").arg(&repository).arg("elsewhere").env("GNUPGHOME", key.path());
        publish.args(["--sign-with", &key.fingerprint()]).exits(0);
        let record = fs_err::read_to_string(repository.join("repodata/packages.json")).unwrap();
        for (release, bits) in [("220.13.1", 18), ("220.13.1", 20), ("220.17.1", 16), ("220.17.1", 18)] {
            assert!(record.contains(&format!("kernel-2.6.32-{release}.el6.ipvs_{bits}bit.x86_64.rpm")), "{record}");
        }
        assert!(!record.contains("220.17.1.el6.ipvs_20bit"), "{record}");
    }

    // The same script once more: only what failed is built. And once more: nothing.
    let before = manifests(&place);
    place.mend();
    let run = || {
        let job = slurm.run_in(place.sandbox.path(), "sbatch", &["--parsable", "kernels.sbatch"]);
        let ended = slurm.ended(job.trim());
        assert!(ended.len() == 6 && ended.values().all(|(state, _)| state == "COMPLETED"), "{ended:?}");
        let log = |task| {
            let name = format!("kbuild-fleet-{}_{task}.log", job.trim());
            fs_err::read_to_string(place.sandbox.path().join(name)).unwrap()
        };
        (0..6).map(log).collect::<Vec<String>>()
    };
    run();
    all_but_one_are_done(&results, true);
    let mended = manifests(&place);
    let changed: Vec<&String> =
        mended.iter().filter(|(cell, time)| before[*cell] != **time).map(|(cell, _)| cell).collect();
    assert_eq!(changed, [&failing()]);
    for (cell, log) in all_cells().iter().zip(run()) {
        assert!(log.contains(&format!("taken   {cell}")) && log.matches("taken ").count() == 1, "{log}");
        assert!(!log.contains("rpmbuild") && !log.contains("is built"), "{log}");
    }
    assert_eq!(manifests(&place), mended);
    // One task alone, as somebody would who wants that one again: it is still the same shard.
    let alone = slurm.run_in(place.sandbox.path(), "sbatch", &["--parsable", "--array=5", "kernels.sbatch"]);
    let alone = alone.trim();
    slurm.ended(alone);
    let log = fs_err::read_to_string(place.sandbox.path().join(format!("kbuild-fleet-{alone}_5.log"))).unwrap();
    assert!(log.contains(&format!("taken   {}", failing())) && log.matches("taken ").count() == 1, "{log}");
}

#[test]
fn a_signal_to_the_script_reaches_kbuild() {
    let sandbox = crate::support::sandbox::Sandbox::new();
    let file = sandbox.input(
        "fleet.toml",
        "schema = 1\n[[group]]\nname = \"a\"\nreleases = [\"2.6.32-220.13.1.el6\"]\nbits = [18, 20]\n",
    );
    let script = sandbox.path().join("kernels.sbatch");
    sandbox.kbuild().args(["fleet", "export", "slurm", "--file"]).arg(&file).arg("--to").arg(&script).exits(0);
    let kbuild = sandbox.fake("kbuild", "trap 'exit 143' TERM\nsleep 60 &\nwait");
    let path = format!("{}:{}", kbuild.path.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut task = std::process::Command::new("sh");
    let mut task = task.arg(&script).env("PATH", path).env("SLURM_ARRAY_TASK_ID", "1").spawn().unwrap();
    // Bash reads its own environment from /proc first, and sets the trap then.
    wait_until("kbuild is called", || {
        crate::support::processes::of(sandbox.path(), None).iter().any(|(_, line)| line.starts_with("sleep 60"))
    });
    // As `--signal=B:TERM@60` and `scancel --batch` do, to nothing but the script's own process.
    let pid = nix::unistd::Pid::from_raw(i32::try_from(task.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(task.wait().unwrap().code(), Some(143));
    let call = &kbuild.calls()[0];
    assert_eq!(call.args, ["fleet", "run", "--file", file.to_str().unwrap(), "--shard", "auto"]);
    assert_eq!(call.env["KBUILD_SHARDS"], "2");
}
