//! Source packages that somebody has signed: taken with the signer's key, refused without, and refused whatever is said
//! when the signature is wrong.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::built::manifest;
use crate::support::sandbox::Sandbox;
use crate::support::toy::Toy;
use crate::support::{require, which};

/// A key made for a test, with the agent that gpg starts for it.
struct Keyring {
    home: tempfile::TempDir,
}

impl Keyring {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let keyring = Self { home };
        // The kind that distributions sign with.
        keyring.gpg(&["--quick-gen-key", "Toy Kernel <toy@example.com>", "rsa2048", "sign", "never"]);
        keyring
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    #[track_caller]
    fn gpg(&self, args: &[&str]) -> String {
        let arguments = ["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""];
        let done = Command::new("gpg").env("GNUPGHOME", self.path()).args(arguments).args(args).output().unwrap();
        assert!(done.status.success(), "gpg {args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    fn public(&self) -> String {
        self.gpg(&["--armor", "--export"])
    }

    /// The key's fingerprint: 40 digits, in upper case.
    fn fingerprint(&self) -> String {
        let listed = self.gpg(&["--with-colons", "--list-keys"]);
        listed.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap().replace(':', "")
    }

    /// The 16 last digits of that, in lower case.
    fn id(&self) -> String {
        self.fingerprint()[24..].to_lowercase()
    }

    #[track_caller]
    fn sign(&self, package: &Path) {
        let done = Command::new("rpmsign")
            .env("GNUPGHOME", self.path())
            .env("HOME", self.path())
            .args(["--addsign", "--define", "_gpg_name toy@example.com", "--define"])
            .arg(format!("_gpg_path {}", self.path().display()))
            .arg("--define")
            .arg(format!("__gpg {}", which("gpg").unwrap().display()))
            .arg(package)
            .output()
            .unwrap();
        assert!(done.status.success(), "rpmsign: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").env("GNUPGHOME", self.path()).args(["--kill", "all"]).output();
    }
}

/// Whether packages can be signed here, and what is needed for it.
fn signed(sandbox: &Sandbox) -> Option<(Keyring, PathBuf)> {
    if !require("gpg") || !require("rpmsign") {
        return None;
    }
    let keyring = Keyring::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    keyring.sign(&srpm);
    Some((keyring, srpm))
}

#[test]
fn a_signature_counts_with_the_signers_key() {
    let sandbox = Sandbox::new();
    let Some((keyring, srpm)) = signed(&sandbox) else { return };
    let key = sandbox.input("toy.asc", keyring.public());
    let trusting = || sandbox.ipvs(&srpm, "20").without("--allow-unsigned").args(["--until", "edit"]);
    trusting().arg("--key").arg(&key).exits(0).does_not_say("warning");
    let manifest = manifest(&sandbox.out());
    let signature = &manifest["source"]["signature"];
    assert_eq!(signature["verdict"], "good");
    assert!(signature["signer"].as_str().unwrap().to_lowercase().ends_with(&keyring.id()), "{signature}");

    // One key among several is enough, and a stranger's is not.
    let other = Keyring::new();
    let stranger = sandbox.input("stranger.asc", other.public());
    trusting().arg("--key").arg(&stranger).arg("--key").arg(&key).exits(0);
    let refused = trusting().arg("--key").arg(&stranger).refused(6);
    refused.says("signed by").says("whose key was not given").says("hint: ");
}

#[test]
fn a_signature_without_its_key_is_none() {
    let sandbox = Sandbox::new();
    let Some((keyring, srpm)) = signed(&sandbox) else { return };
    let outcome = sandbox.plan(&srpm, "20").without("--allow-unsigned").refused(6);
    assert!(outcome.stderr.to_lowercase().contains(&keyring.id()), "{outcome}");
    outcome.says("hint: ").says("--key FILE");
    sandbox.plan(&srpm, "20").exits(0).prints("not checked: no key");
}

#[test]
fn a_wrong_signature_is_refused_whatever_is_said() {
    let sandbox = Sandbox::new();
    let Some((keyring, srpm)) = signed(&sandbox) else { return };
    let key = sandbox.input("toy.asc", keyring.public());
    // The last byte of the signature itself: every digest in the package still matches.
    let asked = Command::new("rpm")
        .env("HOME", sandbox.home())
        .args(["-qp", "--nosignature", "--queryformat", "%{RSAHEADER:base64}"])
        .arg(&srpm)
        .output()
        .unwrap();
    let base64 = sandbox.input("signature", asked.stdout);
    let signature = Command::new("base64").args(["-d", "-i"]).arg(base64).output().unwrap().stdout;
    let mut package = fs_err::read(&srpm).unwrap();
    let at = package.windows(signature.len()).position(|part| part == signature).unwrap();
    package[at + signature.len() - 1] ^= 0x01;
    let wrong = sandbox.input("wrong.src.rpm", package);
    for allowed in [true, false] {
        let kbuild = sandbox.plan(&wrong, "20").arg("--key").arg(&key);
        let kbuild = if allowed { kbuild } else { kbuild.without("--allow-unsigned") };
        kbuild.refused(6).says("the signature of `wrong.src.rpm` is wrong");
    }
}

#[test]
fn a_file_without_a_key_is_refused_as_a_key() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let text = sandbox.input("text.asc", "no key\n");
    for key in [text, sandbox.path().join("missing.asc")] {
        let outcome = sandbox.plan(&srpm, "20").arg("--key").arg(&key).refused(3);
        outcome.says("the key").says(key.to_str().unwrap());
    }
}

#[test]
fn a_key_that_the_recipe_pins_is_found_where_the_distributions_keys_are() {
    let sandbox = Sandbox::new();
    let Some((keyring, srpm)) = signed(&sandbox) else { return };
    let stranger = Keyring::new();
    let recipe = |name: &str, fingerprint: &str| {
        let text = format!(
            "schema = 1\nname = \"{name}\"\ntitle = \"Pinned\"\nextends = \"el6\"\n[trust]\nkeys = [{{ name = \"Toy\", \
             fingerprint = \"{fingerprint}\" }}]\n"
        );
        sandbox.input(&format!("{name}.toml"), text)
    };
    let keys = sandbox.path().join("keys");
    fs_err::create_dir_all(keys.join("toy")).unwrap();
    fs_err::write(keys.join("README"), "no key").unwrap();
    fs_err::write(keys.join("a-stranger"), stranger.public()).unwrap();
    let plan = |recipe: &Path| {
        let kbuild = sandbox.plan(&srpm, "20").without("--allow-unsigned").arg("--keys").arg(&keys);
        kbuild.arg("--recipe").arg(recipe)
    };
    let pinned = recipe("pinned", &keyring.fingerprint());
    // Not there yet; then there, among others in one file.
    plan(&pinned).refused(6).says("whose key was not given").says("distribution-gpg-keys");
    fs_err::write(keys.join("toy/RPM-GPG-KEY-toy"), stranger.public() + &keyring.public()).unwrap();
    plan(&pinned).exits(0).prints(&format!("pinned as {}", keyring.fingerprint())).prints("keys/toy/RPM-GPG-KEY-toy");
    // The same key counts for nothing where the recipe pins another.
    plan(&recipe("other", &stranger.fingerprint())).refused(6).says("whose key was not given");
    sandbox.plan(&srpm, "20").without("--allow-unsigned").arg("--keys").arg(&keys).refused(6);

    // A package that was changed is refused with the pinned key as with any other.
    let mut package = fs_err::read(&srpm).unwrap();
    let last = package.len() - 1;
    package[last] ^= 1;
    let changed = sandbox.input("changed.src.rpm", package);
    sandbox.plan(&changed, "20").arg("--keys").arg(&keys).arg("--recipe").arg(&pinned).refused(6);
}
