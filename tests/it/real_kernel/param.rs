//! The route `param` on Debian's own kernel, which nobody built anew: with the package it has the table asked for, without
//! it its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::package::{names, repack};
use crate::support::sandbox::Sandbox;
use crate::support::{is_root, require, require_file};

/// What `ip_vs` of this kernel needs, and more: the directories that it is loaded from.
const MODULES: [&str; 5] =
    ["kernel/crypto", "kernel/net/netfilter", "kernel/net/ipv4/netfilter", "kernel/net/ipv6/netfilter", "kernel/lib"];

#[test]
fn debians_own_kernel_takes_the_table_from_the_package() {
    let kernel = newest_kernel();
    let needed = kernel.as_deref().unwrap_or(Path::new("/boot/vmlinuz-*-amd64"));
    if !require_file(needed) || !["rpmbuild", "qemu-system-x86_64", "busybox"].into_iter().all(require) {
        return;
    }
    let sandbox = Sandbox::new();
    let stock = sandbox.input("stock.rpm", fs_err::read(packed(&sandbox, needed)).unwrap());
    let boot = |bits: &str, packages: &[&Path], code| {
        sandbox.kbuild().args(["boot", "--bits", bits]).args(packages).exits(code)
    };
    boot("12", &[&stock], 0).prints("Connection hash table configured (size=4096,");
    for bits in ["20", "10"] {
        let out = sandbox.path().join(bits);
        let kbuild =
            sandbox.kbuild().args(["ipvs", "--route", "param", "--release", "6.12.0-55.el10", "--bits", bits, "--out"]);
        let kbuild = kbuild.arg(&out).arg("--work").arg(sandbox.work());
        let kbuild = if is_root() { kbuild.args(["--user", &sandbox.user().name]) } else { kbuild };
        kbuild.exits(0);
        let [package] = &names(&out)[..] else { panic!("{:?}", names(&out)) };
        let size = 1_u64 << bits.parse::<u32>().unwrap();
        let outcome = boot(bits, &[&stock, &out.join(package)], 0);
        outcome.prints(&format!("Connection hash table configured (size={size},"));
        outcome.prints(&format!("with conn_tab_bits={bits}"));
    }
}

fn newest_kernel() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs_err::read_dir("/boot").ok()?.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("vmlinuz-") && name.ends_with("-amd64")
    });
    found.sort();
    found.pop()
}

/// Makes a package of Debian's kernel, with its modules of the network.
fn packed(sandbox: &Sandbox, kernel: &Path) -> PathBuf {
    let name = kernel.file_name().unwrap().to_str().unwrap();
    let release = name.strip_prefix("vmlinuz-").unwrap();
    let root = sandbox.path().join("debian/root");
    fs_err::create_dir_all(root.join("boot")).unwrap();
    fs_err::copy(kernel, root.join("boot").join(name)).unwrap();
    let modules = Path::new("/lib/modules").join(release);
    for part in MODULES {
        let target = root.join("lib/modules").join(release).join(part);
        fs_err::create_dir_all(target.parent().unwrap()).unwrap();
        let copied = Command::new("cp").arg("-r").arg(modules.join(part)).arg(&target).status().unwrap();
        assert!(copied.success(), "{part}");
    }
    repack(&root)
}
