//! Where results come from: the provenance and the SBOM of builds by each route, judged by the validators of others.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::built::{Built, manifest};
use crate::support::distribution::Distribution;
use crate::support::package::names;
use crate::support::sandbox::Sandbox;
use crate::support::toy::{STOCK, Toy};
use crate::support::validators::{judge, require_validators};
use crate::support::{is_root, repository, require};

const PROVENANCE: &str = "provenance.json";
const SBOM: &str = "sbom.cdx.json";

fn read(out: &Path, name: &str) -> Value {
    serde_json::from_slice(&fs_err::read(out.join(name)).unwrap()).unwrap()
}

/// Both documents must be valid; and each, once a field is taken out or put in, must not.
#[track_caller]
fn judged(out: &Path) -> (Value, Value) {
    let (provenance, sbom) = (read(out, PROVENANCE), read(out, SBOM));
    assert_eq!(judge("provenance", &provenance.to_string()), None);
    assert_eq!(judge("sbom", &sbom.to_string()), None);
    (provenance, sbom)
}

/// Returns the document with one place changed.
fn changed(document: &Value, pointer: &str, value: Value) -> String {
    let mut document = document.clone();
    *document.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    document.to_string()
}

fn by_role<'a>(provenance: &'a Value, role: &str) -> &'a Value {
    let all = provenance["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().unwrap();
    let found: Vec<_> = all.iter().filter(|each| each["annotations"]["role"] == role).collect();
    let [one] = found.as_slice() else { panic!("{role} in {all:#?}") };
    one
}

fn sha256(path: impl AsRef<Path>) -> String {
    kbuild::digest::sha256(&fs_err::read(path.as_ref()).unwrap())
}

/// Names and digests of the packages, as they are.
fn packages(out: &Path) -> Vec<(String, String)> {
    names(out).into_iter().map(|name| (name.clone(), sha256(out.join(name)))).collect()
}

fn subjects(provenance: &Value) -> Vec<(String, String)> {
    let subjects = provenance["subject"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    subjects.map(|each| (text(&each["name"]), text(&each["digest"]["sha256"]))).collect()
}

#[test]
fn the_validators_refuse_what_is_wrong() {
    if !require("rpmbuild") || !require_validators() {
        return;
    }
    let (provenance, sbom) = judged(&Built::toy().out);
    for (pointer, value, why) in [
        ("/subject/0/digest", json!({}), "digest"),
        ("/_type", json!("https://in-toto.io/Statement/v0.1"), "type"),
        ("/predicate/buildDefinition/buildType", json!(""), "build_type"),
        ("/predicate/buildDefinition/resolvedDependencies/0", json!({ "annotations": {} }), "digest"),
        ("/predicate/runDetails/metadata/startedOn", json!("yesterday"), "timestamp"),
        ("/predicate/runDetails", json!({ "builder": { "id": "x" }, "by": "me" }), "by"),
    ] {
        let refused = judge("provenance", &changed(&provenance, pointer, value)).unwrap_or_else(|| panic!("{pointer}"));
        assert!(refused.to_lowercase().contains(why), "{pointer}: {refused}");
    }
    for (pointer, value, why) in [
        ("/serialNumber", json!("urn:uuid:1"), "urn:uuid:1"),
        ("/components/0/type", json!("package"), "package"),
        ("/components/0/hashes/0/content", json!("12"), "12"),
        ("/components/0/purl", json!("rpm/kernel"), "purl"),
        ("/components/0/licenses/0", json!({ "license": { "id": "GPLv2" } }), "GPLv2"),
        ("/dependencies/0/dependsOn/0", json!("pkg:rpm/nothing"), "nothing"),
        ("/metadata", json!({ "buildTime": "now" }), "buildTime"),
    ] {
        let refused = judge("sbom", &changed(&sbom, pointer, value)).unwrap_or_else(|| panic!("{pointer}"));
        assert!(refused.contains(why), "{pointer}: {refused}");
    }
}

#[test]
fn the_provenance_of_kernel_packages_says_what_they_are_made_from() {
    if !require("rpmbuild") {
        return;
    }
    let built = Built::toy();
    let (provenance, manifest) = (read(&built.out, PROVENANCE), built.manifest());
    assert_eq!(subjects(&provenance), packages(&built.out));
    let definition = &provenance["predicate"]["buildDefinition"];
    let asked = &definition["externalParameters"];
    assert_eq!((&asked["route"], &asked["bits"]), (&json!("kernel"), &json!(20)));
    assert_eq!(asked["settings"], json!(["CONFIG_IP_VS_TAB_BITS=20"]));
    assert_eq!(asked["commandLine"], manifest["reproduce"]);

    let source = by_role(&provenance, "source package");
    assert_eq!(source["uri"], format!("pkg:rpm/kernel@{STOCK}?arch=src"));
    assert_eq!(source["name"], format!("kernel-{STOCK}.src.rpm"));
    assert_eq!(source["digest"]["sha256"], sha256(Toy::unmodified().path));
    assert_eq!(source["annotations"]["vouchedBy"], "nobody");
    let recipe = by_role(&provenance, "recipe");
    assert_eq!(recipe["digest"]["sha256"], sha256(repository().join("recipes/el6.toml")));

    let internal = &definition["internalParameters"];
    assert_eq!(internal["tools"], manifest["tools"]);
    assert!(internal["tools"]["rpmbuild"].as_str().unwrap().starts_with("RPM version"), "{internal}");
    for (edited, edit) in internal["editedFiles"].as_array().unwrap().iter().zip(manifest["edits"].as_array().unwrap())
    {
        assert_eq!((&edited["name"], &edited["digest"]["sha256"]), (&edit["file"], &edit["sha256"]));
    }
    assert_eq!(internal["editedFiles"].as_array().unwrap().len(), 2);

    let run = &provenance["predicate"]["runDetails"];
    assert_eq!(run["builder"]["version"], json!({ "kbuild": env!("CARGO_PKG_VERSION") }));
    assert_eq!(run["metadata"]["startedOn"], manifest["started"]);
    // What came of it beside is tied to it by digest, the SBOM too.
    let byproducts = run["byproducts"].as_array().unwrap();
    let sbom = byproducts.iter().find(|each| each["name"] == SBOM).unwrap();
    assert_eq!(sbom["digest"]["sha256"], sha256(built.out.join(SBOM)));
}

#[test]
fn both_documents_are_results_like_any_other() {
    if !require("rpmbuild") {
        return;
    }
    let built = Built::toy();
    let sums = fs_err::read_to_string(built.out.join("SHA256SUMS")).unwrap();
    let manifest = built.manifest();
    for name in [PROVENANCE, SBOM] {
        let digest = sha256(built.out.join(name));
        assert!(sums.contains(&format!("{digest}  {name}\n")), "{sums}");
        let listed = manifest["files"].as_array().unwrap().iter().find(|file| file["name"] == name).unwrap();
        assert_eq!(listed["sha256"], digest);
    }
}

#[test]
fn the_sbom_of_kernel_packages_names_all_of_them_and_where_they_come_from() {
    if !require("rpmbuild") {
        return;
    }
    let built = Built::toy();
    let sbom = read(&built.out, SBOM);
    let components = sbom["components"].as_array().unwrap();
    let property = |component: &Value, name: &str| {
        let all = component["properties"].as_array().unwrap().iter();
        all.filter(|each| each["name"] == name).map(|each| each["value"].as_str().unwrap().to_owned()).next().unwrap()
    };
    let listed: Vec<(String, String)> = components
        .iter()
        .map(|each| (property(each, "kbuild:file"), each["hashes"][0]["content"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(listed, packages(&built.out));
    let release = format!("{STOCK}.ipvs_20bit");
    let kernel = components.iter().find(|each| each["name"] == "kernel").unwrap();
    let url = format!("pkg:rpm/kernel@{release}?arch=x86_64");
    assert_eq!((&kernel["version"], &kernel["purl"]), (&json!(release), &json!(url)));
    assert_eq!(kernel["licenses"], json!([{ "license": { "name": "GPLv2" } }]));
    for component in components {
        let ancestor = &component["pedigree"]["ancestors"][0];
        assert_eq!(ancestor["purl"], format!("pkg:rpm/kernel@{STOCK}?arch=src"), "{component}");
        assert_eq!(ancestor["hashes"][0]["content"], sha256(Toy::unmodified().path));
        assert_eq!(property(component, "kbuild:source-rpm"), format!("kernel-{release}.src.rpm"));
    }
    // el6's kernel requires kernel-firmware of its own release.
    let needs = sbom["dependencies"].as_array().unwrap().iter().find(|each| each["ref"] == url.as_str()).unwrap();
    assert_eq!(needs["dependsOn"], json!([format!("pkg:rpm/kernel-firmware@{release}?arch=x86_64")]));
    // Neither time nor chance.
    assert!(sbom["metadata"].get("timestamp").is_none(), "{sbom}");
    assert_eq!(&sbom["serialNumber"].as_str().unwrap()[23..24], "8", "a UUID of the content is of version 8");
}

fn param(sandbox: &Sandbox, bits: &str) {
    let release = "2.6.32-431.29.2.el6";
    let kbuild = sandbox
        .kbuild()
        .args(["ipvs", "--route", "param", "--bits", bits, "--release", release, "--offline", "--work"])
        .arg(sandbox.work())
        .arg("--out")
        .arg(sandbox.out());
    if is_root() { kbuild.args(["--user", &sandbox.user().name]) } else { kbuild }.exits(0);
}

#[test]
fn the_same_build_gives_the_same_documents_but_for_the_times() {
    if !require("rpmbuild") || !require_validators() {
        return;
    }
    let sandbox = Sandbox::new();
    let mut kept = Vec::new();
    for bits in ["20", "20", "18"] {
        if bits == "18" {
            fs_err::remove_dir_all(sandbox.out()).unwrap();
        }
        param(&sandbox, bits);
        let (mut provenance, _) = judged(&sandbox.out());
        let run = &mut provenance["predicate"]["runDetails"]["metadata"];
        let stamps = run.as_object_mut().unwrap();
        assert_eq!(stamps.keys().collect::<Vec<_>>(), ["invocationId", "startedOn", "finishedOn"]);
        let times = std::mem::take(stamps);
        kept.push((provenance, fs_err::read(sandbox.out().join(SBOM)).unwrap(), times));
        // The clock that stamps has whole seconds.
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    assert_eq!((&kept[0].0, &kept[0].1), (&kept[1].0, &kept[1].1));
    assert_ne!(kept[0].2["invocationId"], kept[1].2["invocationId"]);
    assert!(kept[0].0 != kept[2].0 && kept[0].1 != kept[2].1);
}

#[test]
fn the_documents_of_the_other_routes_are_valid_too() {
    if !require("rpmbuild") || !require_validators() {
        return;
    }
    let sandbox = Sandbox::new();
    param(&sandbox, "20");
    let (provenance, sbom) = judged(&sandbox.out());
    assert_eq!(subjects(&provenance), packages(&sandbox.out()));
    assert_eq!(by_role(&provenance, "recipe")["name"], "el6.toml");
    assert_eq!(sbom["components"][0]["purl"], "pkg:rpm/ipvs-conn-tab-bits@20-1?arch=noarch");

    let (sandbox, el6) = (Sandbox::new(), Distribution::el6());
    let srpm = sandbox.input("kernel.src.rpm", fs_err::read(el6.srpm()).unwrap());
    let devel = el6.binary("kernel-devel");
    let mut kbuild = sandbox.ipvs(&srpm, "20").args(["--route", "module", "--kernel-devel"]).arg(&devel);
    kbuild = kbuild.arg("--kernel").arg(el6.binary("kernel"));
    kbuild.exits(0);
    let (provenance, sbom) = judged(&sandbox.out());
    assert_eq!(subjects(&provenance), packages(&sandbox.out()));
    assert_eq!(by_role(&provenance, "kernel-devel")["digest"]["sha256"], sha256(&devel));
    let compared = by_role(&provenance, "kernel package, to compare with");
    assert_eq!(compared["digest"]["sha256"], sha256(el6.binary("kernel")));
    assert_eq!(by_role(&provenance, "source package")["digest"]["sha256"], sha256(el6.srpm()));
    assert!(manifest(&sandbox.out())["tools"]["gcc"].is_string());
    let internal = &provenance["predicate"]["buildDefinition"]["internalParameters"];
    assert!(internal["tools"]["gcc"].is_string(), "{internal}");
    assert_eq!(sbom["components"][0]["type"], "device-driver");
    let ancestors = sbom["components"][0]["pedigree"]["ancestors"].as_array().unwrap();
    assert_eq!(ancestors.iter().map(|each| &each["name"]).collect::<Vec<_>>(), ["kernel", "kernel-devel"]);
}

#[test]
fn patches_of_ones_own_are_dependencies() {
    if !require("rpmbuild") || !require_validators() {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let text = "--- a/Documentation/networking/ipvs.txt\n+++ b/Documentation/networking/ipvs.txt\n";
    let original = repository().join("tests/kernels/toy/linux/Documentation/networking/ipvs.txt");
    let first = fs_err::read_to_string(original).unwrap().lines().next().unwrap().to_owned();
    let patch = sandbox.input("own.patch", format!("{text}@@ -1 +1,2 @@\n {first}\n+Changed.\n"));
    sandbox.ipvs(&srpm, "20").args(["--profile", "fleet", "--mode", "ba", "--patch"]).arg(&patch).exits(0);
    let (provenance, _) = judged(&sandbox.out());
    let found = by_role(&provenance, "patch");
    assert_eq!((&found["name"], &found["digest"]["sha256"]), (&json!("own.patch"), &json!(sha256(&patch))));
    // With `--mode ba` the source package is a subject, too.
    assert!(subjects(&provenance).iter().any(|(name, _)| name.ends_with("ipvs_20bit.src.rpm")), "{provenance}");
    assert_eq!(provenance["predicate"]["buildDefinition"]["externalParameters"]["mode"], "ba");
}

#[test]
fn what_the_parameters_of_a_build_mean_is_documented() {
    let text = fs_err::read_to_string(repository().join("docs/provenance.md")).unwrap();
    for type_uri in [kbuild::provenance::slsa::BUILD_TYPE, kbuild::provenance::slsa::BUILDER] {
        assert!(text.contains(&format!("`{type_uri}`")), "docs/provenance.md does not explain {type_uri}");
    }
    if !require("rpmbuild") {
        return;
    }
    let definition = &read(&Built::toy().out, PROVENANCE)["predicate"]["buildDefinition"];
    for part in ["externalParameters", "internalParameters"] {
        for key in definition[part].as_object().unwrap().keys() {
            assert!(text.contains(&format!("| `{key}` |")), "docs/provenance.md does not explain {key} of {part}");
        }
    }
}
