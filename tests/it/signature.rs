//! Source packages that somebody has signed: taken with the signer's key, refused without, and refused whatever is said
//! when the signature is wrong.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::built::manifest;
use crate::support::keyring::Keyring;
use crate::support::require;
use crate::support::sandbox::Sandbox;
use crate::support::server::Nginx;
use crate::support::toy::Toy;

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
    let fingerprint = keyring.fingerprint();
    let unpinned = || sandbox.ipvs(&srpm, "20").without("--allow-unsigned").args(["--until", "edit"]);
    let trusting = || unpinned().args(["--trust", &fingerprint]);
    trusting().arg("--key").arg(&key).exits(0).does_not_say("warning");
    let manifest = manifest(&sandbox.out());
    assert_eq!(manifest["source"]["vouched-by"], "signature");
    let signature = &manifest["source"]["signature"];
    assert_eq!(signature["verdict"], "good");
    assert_eq!(signature["pinned"], *fingerprint);
    assert_eq!(signature["pinned-by"], "user");
    assert_eq!(signature["algorithm"], "RSA-2048, SHA-256, version 4");
    assert!(signature.get("weak").is_none(), "{signature}");
    assert!(signature["signer"].as_str().unwrap().to_lowercase().ends_with(&keyring.id()), "{signature}");

    // One key among several is enough, and a stranger's is not.
    let other = Keyring::new();
    let stranger = sandbox.input("stranger.asc", other.public());
    trusting().arg("--key").arg(&stranger).arg("--key").arg(&key).exits(0);
    let refused = trusting().arg("--key").arg(&stranger).refused(6);
    refused.says("signed by").says("whose key is not here").says("hint: ");

    // To have a key is not to trust it.
    let refused = unpinned().arg("--key").arg(&key).refused(6);
    refused.says(&format!("{fingerprint}, is one that nobody pins")).says("--trust FINGERPRINT");
    sandbox.plan(&srpm, "20").arg("--key").arg(&key).exits(0).prints(&format!("{fingerprint} (from"));
    for nonsense in ["", "0946FCA2C105B9DE", "not-a-fingerprint"] {
        unpinned().args(["--trust", nonsense]).refused(2).says("expected the 40 hexadecimal digits");
    }
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
    plan(&pinned).refused(6).says("whose key is not here").says("distribution-gpg-keys");
    fs_err::write(keys.join("toy/RPM-GPG-KEY-toy"), stranger.public() + &keyring.public()).unwrap();
    let shown = format!("key       {}, pinned by the recipe, from", keyring.fingerprint());
    plan(&pinned).exits(0).prints(&shown).prints("keys/toy/RPM-GPG-KEY-toy");
    // The same key counts for nothing where the recipe pins another.
    plan(&recipe("other", &stranger.fingerprint())).refused(6).says("is one that nobody pins");
    sandbox.plan(&srpm, "20").without("--allow-unsigned").arg("--keys").arg(&keys).refused(6);

    // A package that was changed is refused with the pinned key as with any other.
    let mut package = fs_err::read(&srpm).unwrap();
    let last = package.len() - 1;
    package[last] ^= 1;
    let changed = sandbox.input("changed.src.rpm", package);
    sandbox.plan(&changed, "20").arg("--keys").arg(&keys).arg("--recipe").arg(&pinned).refused(6);
}

#[test]
fn the_vault_may_bring_the_key_but_only_the_pinned_one() {
    let sandbox = Sandbox::new();
    let Some((keyring, srpm)) = signed(&sandbox) else { return };
    if !require("nginx") {
        return;
    }
    let stranger = Keyring::new();
    let recipe = |fingerprint: &str| {
        let text = format!(
            "schema = 1\nname = \"own\"\ntitle = \"Own\"\nextends = \"el6\"\n[trust]\nkeys = [{{ name = \"Toy\", \
             fingerprint = \"{fingerprint}\" }}]\nurls = [\"https://vault.example.com/keys/RPM-GPG-KEY-toy\"]\n"
        );
        sandbox.input(&format!("{fingerprint}.toml"), text)
    };
    let vault = Nginx::start("");
    vault.put(srpm.file_name().unwrap().to_str().unwrap(), &srpm);
    let key = sandbox.input("key", stranger.public() + &keyring.public());
    vault.put("keys/RPM-GPG-KEY-toy", &key);
    let release = |recipe: &Path, store: &str| {
        let kbuild = sandbox.plan(&srpm, "20").without("--srpm").without(srpm.to_str().unwrap());
        let kbuild = kbuild.without("--allow-unsigned").args(["--release", crate::support::toy::STOCK, "--store"]);
        kbuild.arg(sandbox.path().join(store)).args(["--mirror", &vault.url()]).arg("--recipe").arg(recipe)
    };
    let pinned = recipe(&keyring.fingerprint());
    release(&pinned, "one")
        .exits(0)
        .prints(&format!("{}, pinned by the recipe, from http://127", keyring.fingerprint()));
    // The stranger's key is in that file, too, and is pinned: it did not sign.
    release(&recipe(&stranger.fingerprint()), "two").refused(6).says("whose key is not here");
    // A local file is nobody's reason to ask a server, nor is a package that is here where nobody may be asked.
    let asked = vault.requests().len();
    sandbox.plan(&srpm, "20").without("--allow-unsigned").arg("--recipe").arg(&pinned).refused(6);
    release(&pinned, "one").arg("--offline").refused(6).says("whose key is not here");
    assert_eq!(vault.requests().len(), asked);
}

#[test]
fn a_digest_that_the_recipe_pins_vouches_and_another_is_refused() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let sha256 = kbuild::digest::sha256(&fs_err::read(&srpm).unwrap());
    let recipe = |name: &str, digests: &str| {
        let text = format!(
            "schema = 1\nname = \"{name}\"\ntitle = \"Own\"\nextends = \"el6\"\n[trust.sha256]\n\
             \"kernel-2.6.32-220.13.1.el6\" = [{digests}]\n"
        );
        sandbox.input(&format!("{name}.toml"), text)
    };
    let other = "0".repeat(64);
    let ipvs = |recipe: &Path| {
        let kbuild = sandbox.ipvs(&srpm, "20").without("--allow-unsigned").args(["--until", "edit", "--recipe"]);
        kbuild.arg(recipe)
    };
    // A vault has published one anew: both contents are its.
    ipvs(&recipe("both", &format!("\"{other}\", \"{sha256}\""))).exits(0).does_not_say("warning");
    assert_eq!(manifest(&sandbox.out())["source"]["vouched-by"], "recipe");
    let refused = ipvs(&recipe("older", &format!("\"{other}\""))).arg("--allow-unsigned").refused(6);
    refused.says("is not the package that the recipe pins").says(&other).says(&sha256).says("hint: ");
    let wrong = recipe("wrong", "\"xyz\"");
    sandbox.kbuild().args(["recipes", "check"]).arg(&wrong).refused(3).says("64 lower-case hexadecimal digits");
}
