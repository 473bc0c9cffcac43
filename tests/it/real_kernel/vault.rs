//! A real source package, some hundred megabytes, in a vault: found by its release, fetched, and checked file by file.

use kbuild::digest::sha256;

use crate::support::require;
use crate::support::sandbox::Sandbox;
use crate::support::server::Nginx;

#[test]
fn a_real_source_package_comes_out_of_the_vault_as_it_is() {
    if !["nginx", "rpmbuild", "xz"].into_iter().all(require) {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = super::pack(&sandbox.path().join("in"));
    let file = srpm.file_name().unwrap().to_str().unwrap().to_owned();
    let vault = Nginx::start("");
    // el6's recipe knows no point release of this kernel: the mirror says where it is.
    let dir = "centos/6.10/updates/Source/SPackages";
    vault.put(&format!("{dir}/{file}"), &srpm);
    let outcome = sandbox
        .kbuild()
        .args(["fetch", "--allow-unsigned", "--release", file.strip_suffix(".src.rpm").unwrap(), "--mirror"])
        .arg(format!("{}/{dir}", vault.url()))
        .arg("--store")
        .arg(sandbox.path().join("store"))
        .exits(0);
    let fetched = fs_err::read(outcome.stdout.trim_end()).unwrap();
    assert!(fetched.len() > 100_000_000, "{}", fetched.len());
    assert_eq!(sha256(&fetched), sha256(&fs_err::read(&srpm).unwrap()));
    assert_eq!(vault.requests(), [format!("GET /{dir}/{file} 200")]);
}
