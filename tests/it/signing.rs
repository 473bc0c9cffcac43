//! The key that modules are signed with: kept or given, it is the same in every build; and what is wrong with one is said
//! before anything is done.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use walkdir::WalkDir;

use crate::support::built::manifest;
use crate::support::kbuild::Kbuild;
use crate::support::package::names;
use crate::support::sandbox::Sandbox;
use crate::support::signed::{self, Unpacked};
use crate::support::toy::{Srpm, Toy};
use crate::support::{require, wait_until};

const RSA: [&str; 5] = ["-newkey", "rsa:2048", "-nodes", "-days", "2"];

/// A family's toy whose modules are signed: in `modules_install`, or by the spec at its very end.
fn toy(family: &str, by_the_spec: bool) -> Toy {
    let names = match family {
        "el7" => ["kernel-3.10.0-x86_64.config", "kernel-3.10.0-x86_64-debug.config"],
        "el8" => ["kernel-x86_64.config", "kernel-x86_64-debug.config"],
        other => panic!("{other}"),
    };
    let all = if by_the_spec { "# CONFIG_MODULE_SIG_ALL is not set" } else { "CONFIG_MODULE_SIG_ALL=y" };
    let lines = format!("CONFIG_MODULE_SIG=y\n{all}\n");
    names.iter().fold(Toy::of(family), |toy, name| toy.append(name, &lines))
}

fn can() -> bool {
    ["rpmbuild", "openssl", "cpio"].into_iter().all(require)
}

/// The toys name what a real kernel takes, and take nothing of it.
fn ipvs<'a>(sandbox: &'a Sandbox, srpm: &Path) -> Kbuild<'a> {
    sandbox.ipvs(srpm, "20").args(["--ignore-preflight", "--profile", "fleet"])
}

fn with_key<'a>(kbuild: Kbuild<'a>, (key, cert): &(PathBuf, PathBuf)) -> Kbuild<'a> {
    kbuild.arg("--sign-key").arg(key).arg("--sign-cert").arg(cert)
}

fn digests(out: &Path) -> BTreeMap<String, String> {
    let digest = |name: String| {
        let content = fs_err::read(out.join(&name)).unwrap();
        (name, kbuild::digest::sha256(&content))
    };
    names(out).into_iter().map(digest).collect()
}

/// Every module in the packages is signed by the key of the certificate among the results.
#[track_caller]
fn all_modules_are_signed(out: &Path) {
    let certificate = signed::certificate(out);
    let der = fs_err::read(&certificate).unwrap();
    assert_eq!(manifest(out)["signing"]["certificate"]["sha256"], kbuild::digest::sha256(&der));
    let mut modules = 0;
    for name in names(out).iter().filter(|name| !name.contains("-devel-")) {
        let unpacked = Unpacked::new(&out.join(name));
        for module in unpacked.modules() {
            signed::verifies(&module, &certificate).unwrap();
            // Another content is not taken.
            let mut elf = fs_err::read(&module).unwrap();
            elf[200] ^= 1;
            fs_err::write(&module, elf).unwrap();
            signed::verifies(&module, &certificate).unwrap_err();
            modules += 1;
        }
        for image in unpacked.files(&|name| name.starts_with("vmlinuz")) {
            let image = fs_err::read(image).unwrap();
            assert!(image.is_empty() || signed::has_in_itself(&image, &der), "{name}");
        }
    }
    assert!(modules >= 3, "{modules}");
}

/// Files in which a private key is.
fn with_private_key(dirs: &[PathBuf]) -> Vec<PathBuf> {
    let files = dirs.iter().flat_map(WalkDir::new).flatten().filter(|entry| entry.file_type().is_file());
    let secret = |path: &Path| String::from_utf8_lossy(&fs_err::read(path).unwrap()).contains("PRIVATE KEY-----");
    files.map(walkdir::DirEntry::into_path).filter(|path| secret(path)).collect()
}

/// Builds with a kept key, again with the same, and elsewhere as another user with that key given: always the same.
#[track_caller]
fn is_the_same_everywhere(srpm: &Srpm) {
    let here = Sandbox::new();
    let source = here.srpm(srpm);
    let plan = || {
        let kbuild = here.plan(&source, "20").args(["--ignore-preflight", "--profile", "fleet"]);
        kbuild.exits(0).stdout
    };
    let key = here.work().join("signing/key.pem");
    let line = format!("sign key  {} (", key.display());
    assert!(plan().contains(&format!("{line}made once, kept for later builds")), "{}", plan());
    ipvs(&here, &source).exits(0).says("made a key to sign modules with, kept for later builds");
    all_modules_are_signed(&here.out());
    let first = digests(&here.out());
    assert_eq!(manifest(&here.out())["signing"]["key"], "kept");
    let details = fs_err::metadata(&key).unwrap();
    let owner = fs_err::metadata(here.work()).unwrap().uid();
    assert_eq!((details.permissions().mode() & 0o777, details.uid()), (0o600, owner));
    let known = manifest(&here.out())["signing"]["certificate"]["sha256"].as_str().unwrap().to_owned();
    assert!(plan().contains(&line) && plan().contains(&known), "{}", plan());

    ipvs(&here, &source).arg("--fresh").exits(0).does_not_say("made a key");
    assert_eq!(digests(&here.out()), first);

    let there = Sandbox::of_ordinary_user();
    let copy = |name: &str| there.input(name, fs_err::read(here.work().join("signing").join(name)).unwrap());
    let pair = (copy("key.pem"), copy("cert.pem"));
    with_key(ipvs(&there, &there.srpm(srpm)), &pair).exits(0);
    assert_eq!(manifest(&there.out())["signing"]["key"], "given");
    assert_eq!(digests(&there.out()), first);
}

#[test]
fn el7_is_the_same_everywhere_with_its_key_in_the_top_of_the_tree() {
    if can() {
        is_the_same_everywhere(&toy("el7", true).pack());
    }
}

#[test]
fn el8_is_the_same_everywhere_with_its_key_in_certs_and_signed_by_the_spec() {
    if can() {
        is_the_same_everywhere(&toy("el8", true).pack());
    }
}

#[test]
fn two_builds_with_keys_that_are_thrown_away_differ() {
    if !can() {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy("el8", false).pack());
    let build = || {
        ipvs(&sandbox, &srpm).args(["--throw-away-key", "--fresh"]).exits(0);
        digests(&sandbox.out())
    };
    let (first, second) = (build(), build());
    assert_ne!(first, second);
    assert_eq!(manifest(&sandbox.out())["signing"], serde_json::Value::Null);
    assert!(!sandbox.work().join("signing").exists() && !signed::certificate(&sandbox.out()).exists());
}

#[test]
fn a_key_that_was_given_is_nowhere_afterwards() {
    if !can() {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy("el8", true).pack());
    // Its name goes through scripts and is nothing but a name there.
    let name = ["-subj", "/CN=fleet's \"key\" $(exit 1; touch x) `exit 1`"];
    let pair = signed::key(&sandbox.path().join("in"), "fleet", &[&RSA[..], &name].concat());
    // Whoever starts kbuild can read it, and nobody else.
    assert_eq!(fs_err::metadata(&pair.0).unwrap().permissions().mode() & 0o777, 0o600);
    with_key(ipvs(&sandbox, &srpm), &pair).exits(0);
    all_modules_are_signed(&sandbox.out());
    assert_eq!(with_private_key(&[sandbox.work(), sandbox.out()]), [""; 0].map(PathBuf::from));
    assert!(!sandbox.work().join("signing").exists() && !sandbox.work().join("given").exists());
    let digest = kbuild::digest::sha256(&fs_err::read(signed::certificate(&sandbox.out())).unwrap());
    for name in ["INSTALL.md", "provenance.json", "SHA256SUMS"] {
        let text = fs_err::read_to_string(sandbox.out().join(name)).unwrap();
        assert!(text.contains(&digest), "{name}: {text}");
    }
    let log = fs_err::read_to_string(sandbox.out().join("logs/04-build.log")).unwrap();
    assert!(log.contains("kbuild: modules are signed with CN=fleet's "), "{log}");
    let provenance = fs_err::read_to_string(sandbox.out().join("provenance.json")).unwrap();
    assert!(provenance.contains("module-signing certificate"), "{provenance}");

    // Another key is another build, and says so.
    let other = signed::key(&sandbox.path().join("in"), "other", &RSA);
    with_key(ipvs(&sandbox, &srpm), &other).exits(0).says("built anew: not the same").says("the module-signing key");
    with_key(ipvs(&sandbox, &srpm), &other).exits(0).says("the packages are taken from the build of ");
    all_modules_are_signed(&sandbox.out());

    // A failed build leaves none either.
    let broken = sandbox.srpm(&toy("el8", true).script("%install", "exit 1").pack());
    with_key(ipvs(&sandbox, &broken), &pair).exits(8);
    assert_eq!(with_private_key(&[sandbox.work(), sandbox.out()]), [""; 0].map(PathBuf::from));
}

#[test]
fn keys_that_no_kernel_can_be_signed_with_are_refused() {
    if !can() || !require("faketime") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy("el8", false).pack());
    let dir = sandbox.path().join("in");
    let good = signed::key(&dir, "good", &RSA);
    let refused = |key: &Path, cert: &Path, says: &str| {
        with_key(ipvs(&sandbox, &srpm), &(key.to_owned(), cert.to_owned())).refused(3).says(says);
    };
    let other = signed::key(&dir, "other", &RSA);
    refused(&good.0, &other.1, "is not that of the certificate in");
    refused(
        &good.1,
        &good.1,
        "is no private key in PEM: expected a line `-----BEGIN PRIVATE KEY-----`, found `CERTIFICATE`",
    );
    refused(&good.0, &good.0, "is no certificate in PEM");
    refused(&good.0, &sandbox.input("der", [0x30, 0x82, 0xff]), "is no certificate in PEM");
    let (encrypted, of_it) = signed::key(&dir, "encrypted", &["-newkey", "rsa:2048", "-passout", "pass:secret"]);
    refused(&encrypted, &of_it, "is encrypted");
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1", "-nodes"];
    let (curve, of_it) = signed::key(&dir, "curve", &curve);
    refused(&curve, &of_it, "expected an RSA key of 2048, 3072 or 4096 bits");
    refused(&good.0, &of_it, "expected an RSA key of 2048, 3072 or 4096 bits");
    let (short, of_it) = signed::key(&dir, "short", &["-newkey", "rsa:1024", "-nodes"]);
    refused(&short, &of_it, "has an RSA key of 1024 bits");
    let (old, of_it) = signed::key(&dir, "old", &[&["expired"], &RSA[..]].concat());
    refused(&old, &of_it, "which is not now");
    let cut: Vec<u8> = fs_err::read(&good.1).unwrap().into_iter().filter(|byte| *byte != b'a').collect();
    refused(&good.0, &sandbox.input("cut", cut), "cannot be read: ");
    with_key(ipvs(&sandbox, &srpm), &(dir.join("none"), good.1)).refused(3).says("cannot read the private key");
}

#[test]
fn kernels_that_would_not_use_the_key_refuse_it() {
    if !can() {
        return;
    }
    let sandbox = Sandbox::new();
    let pair = signed::key(&sandbox.path().join("in"), "fleet", &RSA);
    let given = |toy: Toy| with_key(ipvs(&sandbox, &sandbox.srpm(&toy.pack())), &pair);
    given(Toy::of("el6")).refused(3).says("modules of Linux 2.6.32 are signed with a GnuPG key");
    given(Toy::of("el8")).refused(3).says("says CONFIG_MODULE_SIG=y, so there is nothing to sign");
    let own = || toy("el8", false).append("kernel-x86_64.config", "CONFIG_MODULE_SIG_KEY=\"/etc/pki/ours.pem\"\n");
    given(own()).refused(3).says("`kernel-x86_64.config` says CONFIG_MODULE_SIG_KEY=\"/etc/pki/ours.pem\"");
    let curve = || toy("el8", false).append("kernel-x86_64.config", "CONFIG_MODULE_SIG_KEY_TYPE_ECDSA=y\n");
    given(curve()).refused(3).says("`--sign-key` takes RSA keys only");
    // Without a key, what is configured counts, and is said.
    let plan = |toy: Toy| {
        let plan = sandbox.plan(&sandbox.srpm(&toy.pack()), "20").arg("--ignore-preflight").exits(0).stdout;
        assert!(!plan.contains("sign key  "), "{plan}");
        plan
    };
    assert!(plan(own()).contains("note: `kernel-x86_64.config` says CONFIG_MODULE_SIG_KEY=\"/etc/pki/ours.pem\""));
    assert!(plan(curve()).contains("signatures by an elliptic curve differ in each build, so no key is kept"));
    assert!(!plan(Toy::of("el8")).contains("CONFIG_MODULE_SIG"));
    // Up to Linux 4.2 a module names its signer by this.
    let config = "[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\nsubjectKeyIdentifier=none\n";
    let config = sandbox.input("genkey", config);
    let more = [&RSA[..], &["-config", config.to_str().unwrap()]].concat();
    let nameless = signed::key(&sandbox.path().join("in"), "nameless", &more);
    let el7 = sandbox.srpm(&toy("el7", true).pack());
    with_key(ipvs(&sandbox, &el7), &nameless).refused(3).says("has no subject key identifier");
}

#[test]
fn an_interrupted_build_goes_on_with_its_key() {
    if !can() {
        return;
    }
    let sandbox = Sandbox::new();
    let marker = sandbox.path().join("record/installing");
    let script = format!("if [ ! -e {0} ]; then sleep 3; touch {0}; sleep 300; fi", marker.display());
    let srpm = sandbox.srpm(&toy("el7", true).script("%install", &script).pack());
    let running = ipvs(&sandbox, &srpm).start();
    wait_until("%install to start", || marker.is_file());
    running.signal(Signal::SIGTERM);
    running.exits(143);
    let resumed = ipvs(&sandbox, &srpm).arg("--resume-build").exits(0);
    resumed.says("what the interrupted build had compiled is put back").does_not_say("made a key");
    let log = fs_err::read_to_string(sandbox.out().join("logs/04-build.log")).unwrap();
    assert!(log.contains(" files of the interrupted build are put back"), "{log}");
    all_modules_are_signed(&sandbox.out());
    let packages = digests(&sandbox.out());
    ipvs(&sandbox, &srpm).arg("--fresh").exits(0);
    assert_eq!(digests(&sandbox.out()), packages);
}

#[test]
fn a_build_is_made_twice_with_one_key_and_its_place_knows_it() {
    if !can() {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&toy("el8", true).pack());
    let outcome = ipvs(&sandbox, &srpm).arg("--check-reproducible").exits(0);
    outcome.prints("are the same, byte for byte\n");
    let at_work = |args: &[&str]| sandbox.kbuild().args(args).arg("--work").arg(sandbox.work()).exits(0).stdout;
    let known = manifest(&sandbox.out())["signing"]["certificate"]["sha256"].as_str().unwrap().to_owned();
    let status = at_work(&["status"]);
    assert!(status.contains("\nsign key  ") && status.contains(&known), "{status}");
    at_work(&["clean"]);
    assert!(sandbox.work().join("signing/key.pem").is_file());
    let cleaned = at_work(&["clean", "--sign-key"]);
    assert!(cleaned.contains("/signing\n") && !sandbox.work().join("signing").exists(), "{cleaned}");
}

#[test]
fn a_kept_key_that_is_not_a_pair_is_not_used() {
    if !can() {
        return;
    }
    let sandbox = Sandbox::of_ordinary_user();
    let srpm = sandbox.srpm(&toy("el8", false).pack());
    ipvs(&sandbox, &srpm).exits(0);
    let other = signed::key(&sandbox.path().join("in"), "other", &RSA);
    fs_err::write(sandbox.work().join("signing/cert.pem"), fs_err::read(&other.1).unwrap()).unwrap();
    let outcome = ipvs(&sandbox, &srpm).exits(4);
    outcome.says("is not that of the certificate in").says("hint: `kbuild clean --sign-key` takes it away");
}
