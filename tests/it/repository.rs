//! `kbuild repo`: what it publishes dnf installs over HTTP, with every signature checked; what is not proved it refuses; nobody
//! ever sees half of it.

mod broken;
mod readers;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::built::{Built, manifest};
use crate::support::dnf::Client;
use crate::support::kbuild::Kbuild;
use crate::support::keyring::Keyring;
use crate::support::sandbox::Sandbox;
use crate::support::server::Nginx;
use crate::support::toy::STOCK;
use crate::support::{require, require_root};

/// What every one of these tests takes.
fn can_publish() -> bool {
    ["rpmbuild", "rpmsign", "gpg", "createrepo_c", "modifyrepo_c"].iter().all(|program| require(program))
}

/// What dnf takes: it installs into a root, as root.
fn can_install() -> bool {
    can_publish() && require_root() && require("dnf") && require("nginx")
}

/// A repository, the key that signs it, and a place for results.
struct Publisher {
    sandbox: Sandbox,
    key: Keyring,
    dir: PathBuf,
}

impl Publisher {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let dir = sandbox.path().join("repo");
        Self { sandbox, key: Keyring::new(), dir }
    }

    /// One whose directory a server serves.
    fn served(nginx: &Nginx) -> Self {
        Self { dir: nginx.root().join("ipvs"), ..Self::new() }
    }

    /// `kbuild repo DIR FROM… --sign-with KEY`.
    fn publish(&self, from: &[&Path]) -> Kbuild<'_> {
        self.unsigned(from).args(["--sign-with", &self.key.fingerprint()])
    }

    /// The same without a word about signing.
    fn unsigned(&self, from: &[&Path]) -> Kbuild<'_> {
        let kbuild = self.sandbox.kbuild().arg("repo").arg(&self.dir).args(from);
        kbuild.env("GNUPGHOME", self.key.path())
    }

    /// Results with only some of a build's packages, by name.
    fn results(&self, built: &Built, name: &str, packages: &[&str]) -> PathBuf {
        results(self.sandbox.path(), built, name, packages)
    }

    fn record(&self) -> Value {
        serde_json::from_slice(&fs_err::read(self.dir.join("repodata/packages.json")).unwrap()).unwrap()
    }

    /// The file names of the packages that are published, with where they are.
    fn packages(&self) -> BTreeMap<String, PathBuf> {
        let record = self.record();
        let all = record["packages"].as_array().unwrap().iter();
        all.map(|each| (text(&each["file"]), self.dir.join(text(&each["location"])))).collect()
    }

    /// Everything in the repository with its content.
    fn snapshot(&self) -> BTreeMap<PathBuf, String> {
        let files = walkdir::WalkDir::new(&self.dir).into_iter().map(Result::unwrap);
        let files = files.filter(|entry| !entry.file_type().is_dir());
        files
            .map(|entry| (entry.path().to_owned(), kbuild::digest::sha256(&fs_err::read(entry.path()).unwrap())))
            .collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Copies results, with only some of the packages, and a manifest that lists no more than those.
fn results(top: &Path, built: &Built, name: &str, packages: &[&str]) -> PathBuf {
    let dir = top.join("in").join(name);
    fs_err::create_dir_all(&dir).unwrap();
    let mut manifest = manifest(&built.out);
    let wanted = |file: &Value| {
        let name = text(&file["name"]);
        let is = |wanted: &str| name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with("-2."));
        Path::new(&name).extension().is_none_or(|ending| ending != "rpm") || packages.iter().any(|wanted| is(wanted))
    };
    manifest["files"].as_array_mut().unwrap().retain(wanted);
    for file in manifest["files"].as_array().unwrap() {
        let name = text(&file["name"]);
        fs_err::create_dir_all(dir.join(&name).parent().unwrap()).unwrap();
        fs_err::copy(built.out.join(&name), dir.join(&name)).unwrap();
    }
    put(&dir, &manifest);
    dir
}

fn put(dir: &Path, manifest: &Value) {
    fs_err::write(dir.join("manifest.json"), serde_json::to_vec_pretty(manifest).unwrap()).unwrap();
}

/// The kernel of the toy for so many bits.
fn kernel(bits: u32) -> String {
    format!("kernel-{STOCK}.ipvs_{bits}bit")
}

/// The two packages that make a kernel that can be installed.
const BOOTABLE: [&str; 2] = ["kernel", "kernel-firmware"];

#[test]
fn dnf_installs_a_kernel_over_http_with_all_signatures_checked_and_a_second_one_beside_it() {
    if !can_install() {
        return;
    }
    let nginx = Nginx::start("");
    let publisher = Publisher::served(&nginx);
    let url = format!("{}/ipvs", nginx.url());
    // Found to any depth.
    let small = publisher.results(&Built::smaller(), "fleet/a/small", &BOOTABLE);
    let first = publisher.publish(&[small.parent().unwrap().parent().unwrap()]).args(["--base-url", &url]).exits(0);
    first.prints(&format!("added     {}.x86_64.rpm\n", kernel(18)));
    first.prints(&format!("added     kernel-firmware-{STOCK}.ipvs_18bit.x86_64.rpm\n"));
    first.prints(&format!("(generation 1, signed by {})\n", publisher.key.fingerprint()));
    first.prints(&format!("dnf install {}    # 18 bits, x86_64, new\n", kernel(18)));

    let client = Client::new(&publisher.dir.join("kbuild.repo"));
    let repo_file = fs_err::read_to_string(publisher.dir.join("kbuild.repo")).unwrap();
    for line in ["gpgcheck=1", "repo_gpgcheck=1", &format!("baseurl={url}")] {
        assert!(repo_file.lines().any(|each| each == line), "{line} in {repo_file}");
    }
    client.does(&["install", &kernel(18)]);
    let firmware = |bits: u32| format!("kernel-firmware-{STOCK}.ipvs_{bits}bit");
    assert_eq!(client.installed(), [kernel(18), firmware(18)]);

    let large = publisher.results(&Built::toy(), "large", &BOOTABLE);
    let second = publisher.publish(&[&large]).args(["--base-url", &url, "--format", "json"]).exits(0);
    let report = second.json_lines().pop().unwrap();
    assert_eq!(
        (&report["event"], &report["generation"], &report["unchanged"]),
        (&"repository".into(), &2.into(), &2.into())
    );
    client.does(&["install", &kernel(20)]);
    assert_eq!(client.installed(), [kernel(18), kernel(20), firmware(20)], "the kernels side by side");
    for bits in [18, 20] {
        let image = format!("boot/vmlinuz-2.6.32-220.13.1.el6.ipvs_{bits}bit.x86_64");
        assert!(client.root().join(&image).is_file(), "{image}");
    }
    assert!(nginx.requests().iter().any(|request| request.contains("/ipvs/repodata/repomd.xml.asc 200")));
    // And an update leaves both where they are.
    client.does(&["update"]);
    assert_eq!(client.installed().len(), 3);
}

#[test]
fn dnf_refuses_what_was_tampered_with() {
    if !can_install() {
        return;
    }
    let nginx = Nginx::start("");
    let publisher = Publisher::served(&nginx);
    let results = publisher.results(&Built::toy(), "large", &BOOTABLE);
    publisher.publish(&[&results]).args(["--base-url", &format!("{}/ipvs", nginx.url())]).exits(0);
    let client = Client::new(&publisher.dir.join("kbuild.repo"));
    let package = publisher.packages()[&format!("{}.x86_64.rpm", kernel(20))].clone();
    let signed = fs_err::read(&package).unwrap();
    let install = ["install", &kernel(20)];

    // A byte of the payload.
    let mut tampered = signed.clone();
    let last = tampered.len() - 100;
    tampered[last] ^= 1;
    fs_err::write(&package, &tampered).unwrap();
    client.refuses(&install, &["checksum"]);
    // The same, in metadata that somebody with the key has made anew.
    let anew = || {
        let made =
            Command::new("createrepo_c").args(["--quiet", "--no-database"]).arg(&publisher.dir).status().unwrap();
        assert!(made.success());
        let index = publisher.dir.join("repodata/repomd.xml");
        publisher.key.gpg(&["--yes", "--detach-sign", "--armor", index.to_str().unwrap()]);
    };
    anew();
    client.refuses(&install, &["GPG check FAILED", "digest", "DIGEST"]);
    // The package as it was built: nobody has signed it.
    fs_err::copy(results.join(package.file_name().unwrap()), &package).unwrap();
    anew();
    client.refuses(&install, &["is not signed"]);
    // Somebody else has.
    Keyring::new().sign(&package);
    anew();
    client.refuses(&install, &["GPG check FAILED", "is not correct for this package", "not installed"]);
    fs_err::write(&package, &signed).unwrap();
    anew();
    // The index.
    let index = publisher.dir.join("repodata/repomd.xml");
    let text = fs_err::read_to_string(&index).unwrap();
    fs_err::write(&index, text.replace("<revision>", "<revision>1")).unwrap();
    client.refuses(&install, &["GPG", "signature"]);
    // All is well again: it was for these reasons alone.
    fs_err::write(&index, text).unwrap();
    client.does(&install);
}

#[test]
fn a_second_run_does_nothing_and_a_dry_run_never_does() {
    if !can_publish() {
        return;
    }
    let publisher = Publisher::new();
    let results = publisher.results(&Built::toy(), "large", &BOOTABLE);
    let dry = publisher.publish(&[&results]).arg("--dry-run").exits(0);
    dry.prints(&format!("added     {}.x86_64.rpm\n", kernel(20))).prints("(would become generation 1, signed by ");
    assert!(!publisher.dir.exists());
    publisher.publish(&[&results]).exits(0);
    let before = publisher.snapshot();
    let again = publisher.publish(&[&results]).exits(0);
    again.prints("(nothing to do: still generation 1, signed by ").prints("unchanged 2 packages\n");
    assert_eq!(publisher.snapshot(), before);
    // Packages that are signed with this key already are the same to it.
    let signed = publisher.sandbox.path().join("in/signed");
    fs_err::create_dir(&signed).unwrap();
    let mut listed = manifest(&results);
    for file in listed["files"].as_array_mut().unwrap() {
        let name = text(&file["name"]);
        if let Some(there) = publisher.packages().get(&name) {
            fs_err::copy(there, signed.join(&name)).unwrap();
            let content = fs_err::read(there).unwrap();
            (file["size"], file["sha256"]) = (content.len().into(), kbuild::digest::sha256(&content).into());
        }
    }
    put(&signed, &listed);
    publisher.publish(&[&signed]).exits(0).prints("nothing to do: still generation 1");
    let other =
        Publisher { dir: publisher.sandbox.path().join("other"), key: publisher.key, sandbox: publisher.sandbox };
    other.publish(&[&signed]).exits(0);
    let same = |package: &Value| package["built"] == package["sha256"];
    assert!(other.record()["packages"].as_array().unwrap().iter().all(same), "signed once more");
}

#[test]
fn provenance_goes_with_the_packages_and_the_record_says_what_was_proved() {
    if !can_publish() {
        return;
    }
    let publisher = Publisher::new();
    let built = Built::toy();
    let results = publisher.results(&built, "large", &BOOTABLE);
    publisher.publish(&[&results]).exits(0);
    let record = publisher.record();
    let id = format!("{}.x86_64", kernel(20));
    let entry = &record["builds"][&id];
    assert_eq!((&entry["bits"], &entry["route"]), (&20.into(), &"kernel".into()));
    for level in ["1", "2", "3", "4"] {
        assert!(entry["proof"][level].as_u64().is_some_and(|looks| looks > 0), "level {level}: {entry}");
    }
    for name in ["manifest.json", "provenance.json", "sbom.cdx.json"] {
        let kept = fs_err::read(publisher.dir.join("kbuild").join(&id).join(name)).unwrap();
        assert_eq!(kept, fs_err::read(results.join(name)).unwrap(), "{name}");
    }
    let for_people = fs_err::read(publisher.dir.join("kbuild/packages.json")).unwrap();
    assert_eq!(for_people, fs_err::read(publisher.dir.join("repodata/packages.json")).unwrap());
    for package in record["packages"].as_array().unwrap() {
        let file = text(&package["file"]);
        let digest = |path: &Path| kbuild::digest::sha256(&fs_err::read(path).unwrap());
        assert_eq!(text(&package["built"]), digest(&results.join(&file)));
        assert_eq!(text(&package["sha256"]), digest(&publisher.dir.join(text(&package["location"]))));
        assert_ne!(package["built"], package["sha256"], "it was signed");
        assert_eq!(text(&package["signed"]), publisher.key.fingerprint());
        let install_only = text(&package["nvr"]["name"]) == "kernel";
        assert_eq!(package["install-only"], install_only, "{file}");
    }
}

#[test]
fn the_newest_releases_stay_and_readers_get_the_old_packages_until_the_next_time() {
    if !can_publish() {
        return;
    }
    let publisher = Publisher::new();
    let small = publisher.results(&Built::smaller(), "small", &BOOTABLE);
    let large = publisher.results(&Built::toy(), "large", &BOOTABLE);
    let later = publisher.results(&Built::later(), "later", &BOOTABLE);
    publisher.publish(&[&small, &large]).args(["--keep", "1"]).exits(0);
    assert_eq!(publisher.packages().len(), 4, "two sizes of one release");
    let old = publisher.packages();
    let pruned = publisher.publish(&[&later]).args(["--keep", "1"]).exits(0);
    pruned
        .prints(&format!("pruned    {}.x86_64.rpm\n", kernel(18)))
        .prints(&format!("pruned    {}.x86_64.rpm\n", kernel(20)));
    let names: Vec<String> = publisher.packages().into_keys().collect();
    assert!(names.len() == 2 && names.iter().all(|name| name.contains("279.5.2")), "{names:?}");
    assert!(old.values().all(|path| path.is_file()), "whoever has the old metadata asks for them");
    assert!(!publisher.dir.join("kbuild").join(format!("{}.x86_64", kernel(20))).exists());
    // What is too old does not come back.
    let late = publisher.publish(&[&small]).args(["--keep", "1"]).exits(0);
    late.prints(&format!("too old   {}.x86_64.rpm\n", kernel(18))).prints("nothing to do: still generation 2");
    // Without --keep it does, and by then what has gone goes.
    publisher.publish(&[&small]).exits(0);
    let gone = &old[&format!("{}.x86_64.rpm", kernel(20))];
    assert!(!gone.exists(), "{}", gone.display());
    assert!(publisher.packages().values().all(|path| path.is_file()));
}

#[test]
fn other_content_under_a_published_name_is_refused_unless_it_is_to_replace() {
    if !can_publish() {
        return;
    }
    let publisher = Publisher::new();
    let results = publisher.results(&Built::toy(), "large", &BOOTABLE);
    publisher.publish(&[&results]).exits(0);
    let other = other_build(&publisher, &results);
    let before = publisher.snapshot();
    let refused = publisher.publish(&[&other]).refused(3);
    refused.says("packages of the same name are not the same").says(&kernel(20)).says("--buildid").says("--replace");
    assert_eq!(publisher.snapshot(), before);
    publisher.publish(&[&other]).arg("--replace").exits(0).prints(&format!("replaced  {}.x86_64.rpm\n", kernel(20)));
    let file = format!("{}.x86_64.rpm", kernel(20));
    let new = publisher.packages()[&file].clone();
    assert_ne!(new, publisher.dir.join("Packages").join(&file), "a name that readers know is given to other content");
    assert!(publisher.dir.join("Packages").join(&file).is_file(), "readers of the old metadata ask for it");
    publisher.publish(&[&results]).arg("--replace").exits(0);
    assert!(!publisher.dir.join("Packages").join(&file).exists());
    // Two at once: nobody knows which one is meant.
    let publisher = Publisher { dir: publisher.sandbox.path().join("another"), ..publisher };
    publisher.publish(&[&results, &other]).arg("--replace").refused(3).says("are not the same");
}

/// The same results, of another build: their kernel is another file.
fn other_build(publisher: &Publisher, results: &Path) -> PathBuf {
    let other = publisher.sandbox.path().join("in/other-build");
    fs_err::create_dir(&other).unwrap();
    let mut listed = manifest(results);
    for file in listed["files"].as_array_mut().unwrap() {
        let name = text(&file["name"]);
        let target = other.join(&name);
        fs_err::create_dir_all(target.parent().unwrap()).unwrap();
        fs_err::copy(results.join(&name), &target).unwrap();
        if name.starts_with("kernel-2.") {
            Keyring::new().sign(&target);
            let content = fs_err::read(&target).unwrap();
            (file["size"], file["sha256"]) = (content.len().into(), kbuild::digest::sha256(&content).into());
        }
    }
    put(&other, &listed);
    other
}

#[test]
fn el5_gets_metadata_that_its_yum_reads_and_everybody_gets_gzip() {
    if !can_publish() {
        return;
    }
    let index = |publisher: &Publisher| fs_err::read_to_string(publisher.dir.join("repodata/repomd.xml")).unwrap();
    let publisher = Publisher::new();
    publisher.publish(&[&publisher.results(&Built::toy(), "el6", &BOOTABLE)]).exits(0).does_not_say("SHA-1");
    let text = index(&publisher);
    assert!(text.contains("<checksum type=\"sha256\">") && !text.contains("type=\"sha\""), "{text}");
    publisher.publish(&[&publisher.results(&Built::el5(), "el5", &["kernel"])]).exits(0).says("SHA-1");
    let text = index(&publisher);
    assert!(text.contains("<checksum type=\"sha\">") && !text.contains("sha256"), "{text}");
    let names: Vec<&str> = text.split("href=\"repodata/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(names.len() >= 3 && names.iter().all(|name| name.ends_with(".xml.gz")), "{names:?}");
    for name in names {
        let content = fs_err::read(publisher.dir.join("repodata").join(name)).unwrap();
        assert!(content.starts_with(b"\x1f\x8b"), "{name}");
    }
}

#[test]
fn module_metadata_of_others_goes_along() {
    if !can_publish() {
        return;
    }
    let publisher = Publisher::new();
    publisher.publish(&[&publisher.results(&Built::smaller(), "small", &BOOTABLE)]).exits(0);
    let yaml = "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: lvs\n  stream: stable\n...\n";
    let modules = publisher.sandbox.input("modules.yaml", yaml);
    let repodata = publisher.dir.join("repodata");
    let put = Command::new("modifyrepo_c").args(["--mdtype", "modules"]).arg(modules).arg(&repodata).output().unwrap();
    assert!(put.status.success(), "{}", String::from_utf8_lossy(&put.stderr));
    for (built, name) in [(Built::toy(), "large"), (Built::later(), "later")] {
        publisher.publish(&[&publisher.results(&built, name, &BOOTABLE)]).exits(0);
        let index = fs_err::read_to_string(repodata.join("repomd.xml")).unwrap();
        assert_eq!(index.matches("<data type=\"modules\">").count(), 1, "{index}");
        let data = index.split("<data type=\"modules\">").nth(1).unwrap();
        let file = data.split("href=\"repodata/").nth(1).unwrap().split('"').next().unwrap();
        let content = kbuild::rpm::decompress::bytes(&*fs_err::read(repodata.join(file)).unwrap(), 1 << 20).unwrap();
        assert_eq!(String::from_utf8(content).unwrap(), yaml);
    }
}

#[test]
fn a_key_in_a_file_is_nowhere_afterwards_and_another_key_signs_everything_anew() {
    if !can_publish() {
        return;
    }
    let publisher = Publisher::new();
    let results = publisher.results(&Built::toy(), "large", &BOOTABLE);
    publisher.publish(&[&results]).exits(0);
    let other = Keyring::new();
    let file = publisher.sandbox.input("key.asc", other.gpg(&["--armor", "--export-secret-keys"]));
    fs_err::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    // One that a run has left which was killed an hour ago.
    let left = tempfile::Builder::new().prefix("kbuild-gnupg-").tempdir_in("/dev/shm").unwrap().keep();
    let aged = Command::new("touch").args(["-d", "1 hour ago"]).arg(&left).status().unwrap();
    assert!(aged.success());
    let signed = publisher.unsigned(&[]).arg("--sign-key-file").arg(&file).exits(0);
    signed.prints(&format!("re-signed {}.x86_64.rpm\n", kernel(20))).prints(&other.fingerprint());
    let leftovers: Vec<_> = ["/dev/shm", "/tmp"]
        .iter()
        .flat_map(|dir| fs_err::read_dir(dir).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("kbuild-gnupg-"))
        .collect();
    assert_eq!(leftovers, [] as [PathBuf; 0]);
    publisher.sandbox.no_process_is_left();
    for package in publisher.packages().into_values() {
        let header =
            Command::new("rpm").args(["-qp", "--queryformat", "%{RSAHEADER:pgpsig}"]).arg(&package).output().unwrap();
        let says = String::from_utf8_lossy(&header.stdout).into_owned();
        assert!(says.contains(&other.id()), "{}: {says}", package.display());
    }
    // Whoever has the old metadata checks it with the old key.
    let keys = fs_err::read_to_string(publisher.dir.join("RPM-GPG-KEY-kbuild")).unwrap();
    assert_eq!(keys.matches("BEGIN PGP PUBLIC KEY BLOCK").count(), 2);
}

#[test]
fn unsigned_has_to_be_said_and_is_said_to_clients() {
    if !can_publish() {
        return;
    }
    let publisher = Publisher::new();
    let results = publisher.results(&Built::toy(), "large", &BOOTABLE);
    let refused = publisher.unsigned(&[&results]).exits(2);
    for way in ["--sign-with", "--sign-key-file", "--unsigned"] {
        refused.says(way);
    }
    let done = publisher.unsigned(&[&results]).args(["--unsigned", "--name", "lab"]).exits(0);
    done.says("warning: nothing is signed").prints("NOT SIGNED");
    let repo_file = fs_err::read_to_string(publisher.dir.join("lab.repo")).unwrap();
    for line in ["[lab]", "gpgcheck=0", "repo_gpgcheck=0"] {
        assert!(repo_file.lines().any(|each| each == line), "{line} in {repo_file}");
    }
    assert!(!repo_file.contains("gpgkey"), "{repo_file}");
    let same = |package: &Value| package["built"] == package["sha256"] && package["signed"].is_null();
    assert!(publisher.record()["packages"].as_array().unwrap().iter().all(same));
    // And then it is signed after all.
    publisher.publish(&[]).args(["--name", "lab"]).exits(0).prints(&format!("re-signed {}.x86_64.rpm\n", kernel(20)));
    assert!(publisher.dir.join("repodata/repomd.xml.asc").is_file());
}

#[test]
fn the_routes_that_build_no_kernel_are_published_with_the_proof_that_they_have() {
    if !can_publish() {
        return;
    }
    let publisher = Publisher::new();
    let srpm = publisher.sandbox.srpm(&crate::support::toy::Toy::with_parameter().pack());
    publisher.sandbox.ipvs(&srpm, "20").args(["--route", "param"]).exits(0);
    let done = publisher.publish(&[&publisher.sandbox.out()]).exits(0);
    done.prints(".noarch.rpm\n").prints("    # 20 bits, noarch, new\n");
}
