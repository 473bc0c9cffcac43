//! What is not proved, what does not fit, and what goes wrong on the way: it is refused, and the repository is what it was.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::{BOOTABLE, Publisher, can_publish, kernel, put, text};
use crate::support::built::{Built, manifest};
use crate::support::keyring::Keyring;
use crate::support::{wait_until, which};

/// Changes something of results.
type Harm = fn(&Path);

fn edit(dir: &Path, change: impl FnOnce(&mut Value)) {
    let mut listed = manifest(dir);
    change(&mut listed);
    put(dir, &listed);
}

fn findings(listed: &mut Value) -> &mut Vec<Value> {
    listed["proof"].as_array_mut().unwrap()
}

fn the_kernel(dir: &Path) -> PathBuf {
    dir.join(format!("{}.x86_64.rpm", kernel(20)))
}

#[test]
fn what_is_not_proved_is_refused_and_named() {
    if !can_publish() {
        return;
    }
    let harms: [(&str, Harm, &str); 11] = [
        (
            "a finding differs",
            |dir| {
                edit(dir, |listed| {
                    findings(listed)[0]["verdict"] =
                        json!({ "is": "differs", "expected": "20 bits", "found": "12 bits" });
                });
            },
            "DIFFERS: expected 20 bits, found 12 bits",
        ),
        (
            "a boot differs",
            |dir| {
                edit(dir, |listed| {
                    let verdict = json!({ "is": "differs", "expected": "size=1048576", "found": "size=4096" });
                    findings(listed).push(json!({ "level": 5, "subject": "a guest", "verdict": verdict }));
                });
            },
            "found size=4096",
        ),
        ("no config was seen", |dir| edit(dir, |listed| findings(listed).retain(|each| each["level"] != 3)), "level 3"),
        (
            "no module was seen",
            |dir| edit(dir, |listed| findings(listed).retain(|each| each["level"] != 4)),
            "could not be proved",
        ),
        (
            "one kernel is open",
            |dir| {
                edit(dir, |listed| {
                    let at = findings(listed)
                        .iter_mut()
                        .find(|each| each["level"] == 4 && each["kernel"].is_string())
                        .unwrap();
                    at["verdict"] = json!({ "is": "not-checked", "why": "nobody looked" });
                });
            },
            "nobody looked",
        ),
        ("no proof at all", |dir| edit(dir, |listed| findings(listed).clear()), "level 3"),
        ("killed", |dir| edit(dir, |listed| listed["status"] = json!({ "is": "running" })), "did not come to its end"),
        (
            "failed",
            |dir| {
                edit(dir, |listed| {
                    listed["status"] = json!({ "is": "failed", "error": "no room", "exit-code": 8 });
                });
            },
            "its build failed: no room",
        ),
        (
            "another file",
            |dir| {
                let mut content = fs_err::read(the_kernel(dir)).unwrap();
                content[4000] ^= 1;
                fs_err::write(the_kernel(dir), content).unwrap();
            },
            "and sha256",
        ),
        ("one is missing", |dir| fs_err::remove_file(the_kernel(dir)).unwrap(), "lists it"),
        ("one too many", |dir| fs_err::write(dir.join("stray.rpm"), "").unwrap(), "does not list it"),
    ];
    let publisher = Publisher::new();
    let good = publisher.results(&Built::smaller(), "good", &BOOTABLE);
    for (index, (name, harm, says)) in harms.into_iter().enumerate() {
        let bad = publisher.results(&Built::toy(), &format!("bad-{index}"), &BOOTABLE);
        harm(&bad);
        // Together with good ones nothing is published either: what was asked for is the whole.
        let refused = publisher.publish(&[&good, &bad]).refused(9);
        refused.says("not proved, so not published").says(says).says(&format!("bad-{index}"));
        assert!(refused.stderr.contains("kbuild ipvs"), "{name}: {refused}");
        assert!(!publisher.dir.join("repodata").exists(), "{name}");
        assert!(!publisher.dir.join("Packages").exists(), "{name}");
    }
    publisher.publish(&[&good]).exits(0);
}

#[test]
fn a_cell_that_failed_without_packages_keeps_nobody_back() {
    if !can_publish() {
        return;
    }
    let publisher = Publisher::new();
    let fleet = publisher.sandbox.path().join("in/fleet");
    let good = publisher.results(&Built::toy(), "fleet/good", &BOOTABLE);
    let failed = publisher.results(&Built::smaller(), "fleet/failed", &[]);
    edit(&failed, |listed| {
        listed["status"] = json!({ "is": "failed", "error": "the build failed", "exit-code": 8 });
        findings(listed).clear();
    });
    let done = publisher.publish(&[&fleet]).exits(0);
    done.says("its build failed: the build failed; there are no packages in it to publish");
    assert_eq!(publisher.packages().len(), 2);
    // What an earlier run has left there is not proved by this one.
    fs_err::copy(the_kernel(&good), the_kernel(&failed)).unwrap();
    publisher.publish(&[&fleet]).refused(9).says("does not list it");
    // A file named manifest.json that is not kbuild's is none of our business.
    let other = publisher.sandbox.path().join("in/other");
    fs_err::create_dir(&other).unwrap();
    fs_err::write(other.join("manifest.json"), "{\"short_name\": \"a web page\"}").unwrap();
    publisher.publish(&[&good, &other]).exits(0);
    fs_err::write(other.join("manifest.json"), "{\"kbuild\": \"9.0.0\", \"schema\": 9}").unwrap();
    publisher.publish(&[&good, &other]).refused(9).says("written by another version of kbuild, or damaged");
}

#[test]
fn a_package_alone_is_refused_and_one_of_results_is_taken() {
    if !can_publish() {
        return;
    }
    let publisher = Publisher::new();
    let results = publisher.results(&Built::toy(), "large", &BOOTABLE);
    let alone = publisher.sandbox.input("alone.rpm", fs_err::read(the_kernel(&results)).unwrap());
    let refused = publisher.publish(&[&alone]).refused(9);
    refused.says("there is no manifest.json of its build beside it").says("kbuild verify");
    publisher.publish(&[&the_kernel(&results)]).exits(0);
    assert_eq!(publisher.packages().into_keys().collect::<Vec<_>>(), [format!("{}.x86_64.rpm", kernel(20))]);
    // Neither is there anything to publish in other places.
    publisher
        .publish(&[&publisher.sandbox.path().join("nowhere")])
        .refused(2)
        .says("neither a package nor a directory");
    publisher.publish(&[&publisher.sandbox.home()]).refused(2).says("there are no results of `kbuild ipvs`");
    let empty = Publisher { dir: publisher.sandbox.path().join("empty"), ..publisher };
    empty.publish(&[]).refused(2).says("holds nothing yet");
}

#[test]
fn killed_at_any_time_the_old_repository_is_there_and_the_next_run_cleans_up() {
    if !can_publish() {
        return;
    }
    let publisher = Publisher::new();
    publisher.publish(&[&publisher.results(&Built::smaller(), "small", &BOOTABLE)]).exits(0);
    let before = publisher.snapshot();
    let large = publisher.results(&Built::toy(), "large", &BOOTABLE);
    for (program, signal) in [
        ("createrepo_c", Signal::SIGKILL),
        ("createrepo_c", Signal::SIGTERM),
        ("rpmsign", Signal::SIGKILL),
        ("gpg", Signal::SIGKILL),
    ] {
        let (ready, pid) = (publisher.sandbox.path().join("ready"), publisher.sandbox.path().join("pid"));
        // It hangs in what matters: gpg is asked for keys before, and rpmsign for its version.
        let real = which(program).unwrap();
        let script = format!(
            "case \" $* \" in *\" --addsign \"*|*\" --pkglist \"*|*\" --detach-sign \"*) ;; *) exec {} \"$@\" ;; esac\n\
             echo $$ > {}; touch {}; exec sleep 300",
            real.display(),
            pid.display(),
            ready.display()
        );
        let bin = publisher.sandbox.path().join("bin").join(format!("of-{program}-{signal}"));
        fs_err::create_dir(&bin).unwrap();
        let stand_in = bin.join(program);
        fs_err::write(&stand_in, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs_err::set_permissions(&stand_in, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let variable = format!("KBUILD_{}", program.to_uppercase());
        let running = publisher.publish(&[&large]).env(&variable, &stand_in).start();
        wait_until("it hangs", || ready.is_file());
        running.signal(signal);
        let outcome = running.ends();
        if signal == Signal::SIGTERM {
            assert_eq!(outcome.code(), Some(143), "{outcome}");
            outcome.says("stopped by signal 15; the repository is as it was");
            assert_eq!(publisher.snapshot(), before, "everything that was begun is gone");
        } else {
            assert_eq!(outcome.code(), None, "{outcome}");
            let left: i32 = fs_err::read_to_string(&pid).unwrap().trim().parse().unwrap();
            let _ = kill(Pid::from_raw(left), Signal::SIGKILL);
            let now = publisher.snapshot();
            for (path, digest) in &before {
                assert_eq!(now.get(path), Some(digest), "{program}: {}", path.display());
            }
            assert!(now.keys().any(|path| path.to_string_lossy().contains(".kbuild-new")), "{program}: {now:?}");
        }
        fs_err::remove_file(&ready).unwrap();
        // The next run, of something else: what was begun is not part of it.
        publisher.publish(&[]).exits(0).prints("nothing to do: still generation 1");
        assert_eq!(publisher.snapshot(), before, "{program}");
    }
    publisher.publish(&[&large]).exits(0);
    assert_eq!(publisher.packages().len(), 4);
}

#[test]
fn one_publishes_at_a_time_and_only_where_kbuild_published_before() {
    if !can_publish() {
        return;
    }
    let publisher = Publisher::new();
    let results = publisher.results(&Built::toy(), "large", &BOOTABLE);
    fs_err::create_dir(&publisher.dir).unwrap();
    let held = fs_err::File::open(&publisher.dir).unwrap().into_file();
    held.lock().unwrap();
    publisher.publish(&[&results]).refused(4).says("another kbuild");
    drop(held);
    let made = Command::new("createrepo_c").arg("--quiet").arg(&publisher.dir).status().unwrap();
    assert!(made.success());
    let before = publisher.snapshot();
    publisher.publish(&[&results]).refused(3).says("holds a repository that kbuild did not make");
    assert_eq!(publisher.snapshot(), before);
}

#[test]
fn keys_that_do_not_do_are_refused_before_anything_is_written() {
    if !can_publish() {
        return;
    }
    let publisher = Publisher::new();
    let results = publisher.results(&Built::toy(), "large", &BOOTABLE);
    publisher
        .unsigned(&[&results])
        .args(["--sign-with", "nobody@example.org"])
        .refused(6)
        .says("no secret key for `nobody@example.org`");
    let no_key = publisher.sandbox.input("no-key.asc", "this is none\n");
    publisher.unsigned(&[&results]).arg("--sign-key-file").arg(&no_key).refused(6).says("holds no key");
    let public = publisher.sandbox.input("public.asc", publisher.key.public());
    publisher.unsigned(&[&results]).arg("--sign-key-file").arg(&public).refused(6).says("no secret key");
    let missing = publisher.sandbox.path().join("missing.asc");
    publisher.unsigned(&[&results]).arg("--sign-key-file").arg(&missing).refused(4).says("missing.asc");
    let expired = Keyring::of("rsa2048", "2020-02-01", Some("20200101T000000"));
    let asked = publisher.unsigned(&[&results]).env("GNUPGHOME", expired.path());
    asked.args(["--sign-with", "toy@example.com"]).refused(6).says("is expired");
    // A second key of the same user.
    publisher.key.gpg(&["--yes", "--quick-gen-key", "Toy Two <toy@example.com>", "rsa2048", "sign", "never"]);
    publisher
        .unsigned(&[&results])
        .args(["--sign-with", "toy@example.com"])
        .refused(6)
        .says("more than one secret key");
    assert!(!publisher.dir.join("repodata").exists() && !publisher.dir.join("Packages").exists());
    // One that has a passphrase, which nobody is there to give.
    let locked = Keyring::new();
    let home = locked.path();
    let lock = Command::new("gpg")
        .env("GNUPGHOME", home)
        .args([
            "--batch",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "secret",
            "--quick-gen-key",
            "Locked <l@example.com>",
        ])
        .args(["rsa2048", "sign", "never"])
        .output()
        .unwrap();
    assert!(lock.status.success(), "{}", String::from_utf8_lossy(&lock.stderr));
    let forget = Command::new("gpgconf").env("GNUPGHOME", home).args(["--kill", "all"]).status().unwrap();
    assert!(forget.success());
    let asked = publisher.unsigned(&[&results]).env("GNUPGHOME", home);
    asked.args(["--sign-with", "l@example.com"]).refused(6).says("cannot sign").says("gpg-agent");
    assert!(!publisher.dir.join("repodata").exists());
}

#[test]
fn programs_that_are_missing_fail_or_lie_leave_the_repository_as_it_was() {
    if !can_publish() {
        return;
    }
    let publisher = Publisher::new();
    publisher.publish(&[&publisher.results(&Built::smaller(), "small", &BOOTABLE)]).exits(0);
    let before = publisher.snapshot();
    let large = publisher.results(&Built::toy(), "large", &BOOTABLE);
    // With a PATH on which there is nothing at all.
    let nowhere = publisher.sandbox.home();
    let missing = publisher.publish(&[&large]).env("PATH", &nowhere).refused(4);
    missing.says("createrepo_c").says("rpmsign").says("createrepo-c").says("rpm-sign");

    let real = which("createrepo_c").unwrap();
    let fails = publisher.sandbox.fake("createrepo_c", "echo 'no room for that' >&2; exit 3");
    let failed = publisher.publish(&[&large]).fakes([&fails]).refused(4);
    failed.says("ended with exit code 3").says("no room for that");
    assert_eq!(publisher.snapshot(), before);
    // One that leaves a package out, as old ones do with those that they cannot read.
    let script = format!(
        "list=; for word; do [ \"$last\" = --pkglist ] && list=$word; last=$word; done\n\
         sed -i '$d' \"$list\"; exec {} \"$@\"",
        real.display()
    );
    let lies = publisher.sandbox.path().join("bin/lying/createrepo_c");
    fs_err::create_dir(lies.parent().unwrap()).unwrap();
    fs_err::write(&lies, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs_err::set_permissions(&lies, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let refused = publisher.publish(&[&large]).env("KBUILD_CREATEREPO_C", &lies).refused(9);
    refused.says("it is not in it");
    assert_eq!(publisher.snapshot(), before);
    // One that signs nothing.
    let idle = publisher.sandbox.fake("rpmsign", "[ \"$1\" = --version ] && echo RPM version 4.18.0; exit 0");
    publisher.publish(&[&large]).fakes([&idle]).refused(6).says("it is not signed");
    assert_eq!(publisher.snapshot(), before);
    let old = publisher.sandbox.path().join("bin/old/rpmsign");
    fs_err::create_dir(old.parent().unwrap()).unwrap();
    fs_err::write(&old, "#!/bin/sh\necho RPM version 4.11.3\n").unwrap();
    fs_err::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    publisher.publish(&[&large]).env("KBUILD_RPMSIGN", &old).refused(4).says("expected rpm 4.12 or newer");
    assert_eq!(publisher.snapshot(), before);
}

#[test]
fn a_published_package_that_was_changed_is_noticed_and_mended() {
    if !can_publish() {
        return;
    }
    let publisher = Publisher::new();
    let results = publisher.results(&Built::toy(), "large", &BOOTABLE);
    publisher.publish(&[&results]).exits(0);
    let file = format!("{}.x86_64.rpm", kernel(20));
    let package = publisher.packages()[&file].clone();
    let good = fs_err::read(&package).unwrap();
    // Only its time: mirrors do that.
    fs_err::write(&package, &good).unwrap();
    publisher.publish(&[]).exits(0);
    fs_err::write(&package, "not any more").unwrap();
    publisher.publish(&[]).refused(9).says("was changed after it was published");
    publisher.publish(&[&results]).exits(0).prints(&format!("added     {file}"));
    let record = publisher.record();
    for package in record["packages"].as_array().unwrap() {
        let path = publisher.dir.join(text(&package["location"]));
        assert_eq!(text(&package["sha256"]), kbuild::digest::sha256(&fs_err::read(path).unwrap()));
    }
}
