//! `kbuild host` on trees that are shaped as directors of all ages are, and on this machine.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use serde_json::Value;

use crate::support::module::{Kind, ip_vs};
use crate::support::sandbox::Sandbox;
use crate::support::{is_root, require};

/// What `/proc/net/ip_vs` of a table of 12 bits begins with.
const TABLE: &str = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n";
/// A director whose schedulers use `ip_vs`.
const LOADED: &str = "ip_vs_rr 1420 1 - Live 0xffffffffa01\nip_vs 115643 3 ip_vs_rr,ip_vs_wlc, Live 0xffffffffa00\n";

/// The files of a director.
struct Director {
    sandbox: Sandbox,
    release: &'static str,
}

impl Director {
    /// A machine where this kernel runs and nothing else is known.
    fn of(sandbox: Sandbox, release: &'static str) -> Self {
        let director = Self { sandbox, release };
        director.file("proc/sys/kernel/osrelease", format!("{release}\n")).file("proc/modules", "ext4 1 1 - Live 0x0\n")
    }

    fn new(release: &'static str) -> Self {
        Self::of(Sandbox::new(), release)
    }

    fn root(&self) -> PathBuf {
        self.sandbox.path().join("in/root")
    }

    /// Writes a file; `{}` in its path is the release.
    fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.root().join(path.replace("{}", self.release));
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
        self
    }

    /// The config of the kernel, with IPVS in this way.
    fn config(self, path: &str, ipvs: &str) -> Self {
        let text =
            format!("CONFIG_64BIT=y\nCONFIG_NET=y\nCONFIG_INET=y\n{ipvs}\nCONFIG_IP_VS_TAB_BITS=12\nCONFIG_SMP=y\n");
        self.file(path, text)
    }

    /// IPVS works, with a table of 12 bits and 40 000 connections.
    fn working(self) -> Self {
        self.file("proc/modules", LOADED)
            .file("sys/module/ip_vs/refcnt", "3\n")
            .file("proc/net/ip_vs", TABLE)
            .carrying(40_000)
    }

    fn carrying(self, connections: u32) -> Self {
        let mut text = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires\n".to_owned();
        for number in 0..connections {
            let (client, port) = (0x0a00_0000 + number / 3, 1024 + number % 60_000);
            writeln!(text, "TCP {client:08X} {port:04X} C0A80001 0050 C0A80101 0050 ESTABLISHED     899").unwrap();
        }
        self.file("proc/net/ip_vs_conn", text)
    }

    /// What `kbuild host` says of it, as JSON.
    #[track_caller]
    fn seen(&self) -> Value {
        let outcome = self.sandbox.kbuild().args(["host", "--format", "json", "--root"]).arg(self.root()).exits(0);
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{outcome}"))
    }

    /// What `kbuild host` says of it, for people.
    #[track_caller]
    fn says(&self, args: &[&str]) -> String {
        let outcome = self.sandbox.kbuild().args(["host", "--root"]).arg(self.root()).args(args).exits(0);
        assert_eq!(outcome.stderr, "", "{outcome}");
        outcome.stdout
    }
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "expected: {part}\n{text}");
    }
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const LINE: &str = "next         echo 'options ip_vs conn_tab_bits=16' > /etc/modprobe.d/ipvs-conn-tab-bits.conf\n";

#[test]
fn el5_has_no_parameter() {
    if !require("gcc") {
        return;
    }
    let director = Director::new("2.6.18-308.13.1.el5")
        .config("boot/config-{}", "CONFIG_IP_VS=m")
        .file("lib/modules/{}/kernel/net/ipv4/ipvs/ip_vs.ko", ip_vs(Kind::CompileTime(12)))
        // depmod of el5 writes whole paths.
        .file(
            "lib/modules/{}/modules.dep",
            "/lib/modules/2.6.18-308.13.1.el5/kernel/net/ipv4/ipvs/ip_vs_rr.ko: x\n\
             /lib/modules/2.6.18-308.13.1.el5/kernel/net/ipv4/ipvs/ip_vs.ko:\n",
        )
        .working();
    let text = director.says(&[]);
    has(
        &text,
        &[
            "kernel       2.6.18-308.13.1.el5\n",
            "ip_vs        a module (/lib/modules/2.6.18-308.13.1.el5/kernel/net/ipv4/ipvs/ip_vs.ko), in use now\n",
            "parameter    no conn_tab_bits (/lib/modules/2.6.18-308.13.1.el5/kernel/net/ipv4/ipvs/ip_vs.ko)\n",
            "default      12 bits",
            "table        2^12 = 4096 buckets (/proc/net/ip_vs)\n",
            "connections  40000 now\n",
            "recommended  2^16 = 65536 buckets",
            "(nearest 2^15, not below 2^16)\n",
            "next         kbuild ipvs --bits 16 --release 2.6.18-308.13.1.el5 --route module\n",
            "--route kernel` makes all",
        ],
    );
    assert!(!text.contains("not read"), "{text}");
}

#[test]
fn el6_2_has_no_parameter_either() {
    if !require("gcc") {
        return;
    }
    let director = Director::new("2.6.32-220.13.1.el6.x86_64")
        .config("boot/config-{}", "CONFIG_IP_VS=m")
        .file("lib/modules/{}/kernel/net/netfilter/ipvs/ip_vs.ko", ip_vs(Kind::CompileTime(12)))
        .working();
    let seen = director.seen();
    assert_eq!(seen["director"]["ipvs"]["is"], "module");
    assert_eq!(seen["director"]["parameter"]["is"], false);
    assert_eq!(seen["director"]["built"]["is"], 12);
    assert_eq!(seen["director"]["buckets"]["is"], 4096);
    assert_eq!(seen["director"]["connections"], 40_000);
    assert_eq!(seen["director"]["users"], serde_json::json!(["ip_vs_rr", "ip_vs_wlc"]));
    assert_eq!(seen["advice"]["recommended"]["bits"], 16);
    assert_eq!(seen["advice"]["next"]["command"], "kbuild ipvs --bits 16 --release 2.6.32-220.13.1.el6 --route module");
    // The chains of these connections, by the hash of 2.6.32: near to 1 + (n-1)/2m.
    let mean = seen["present"]["actual"]["look-up"].as_f64().unwrap();
    assert!((5.7..6.1).contains(&mean), "{mean}");
    assert_eq!(seen["recommended"]["table-bytes"], 1 << 20);
}

#[test]
fn el6_5_has_the_parameter() {
    if !require("gcc") {
        return;
    }
    let director = Director::new("2.6.32-431.el6.x86_64")
        .config("boot/config-{}", "CONFIG_IP_VS=m")
        .file("lib/modules/{}/kernel/net/netfilter/ipvs/ip_vs.ko", ip_vs(Kind::Parameter(12)))
        .file("sys/module/ip_vs/parameters/conn_tab_bits", "12\n")
        .working();
    has(
        &director.says(&[]),
        &[
            "parameter    conn_tab_bits is there (/sys/module/ip_vs/parameters/conn_tab_bits)\n",
            LINE,
            "`kbuild ipvs --bits 16 --release 2.6.32-431.el6 --route param`",
            "ends all connections",
        ],
    );
    // More is expected than there is now.
    has(
        &director.says(&["--connections", "900000"]),
        &["connections  40000 now, 900000 as given\n", "conn_tab_bits=20'", "look-up      110."],
    );
}

#[test]
fn el7_has_compressed_modules_and_the_log_tells_the_table() {
    if !require("gcc") {
        return;
    }
    let log = "[    9.1] IPVS: Connection hash table configured (size=4096, memory=64Kbytes)\n";
    let director = Director::new("3.10.0-514.26.2.el7.x86_64")
        .config("boot/config-{}", "CONFIG_IP_VS=m")
        .file("lib/modules/{}/kernel/net/netfilter/ipvs/ip_vs.ko.xz", xz(&ip_vs(Kind::Parameter(12))))
        .file("lib/modules/{}/modules.dep", "kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/lib/libcrc32c.ko.xz\n")
        .file("proc/modules", LOADED)
        .file("var/log/dmesg", log)
        .carrying(40_000);
    has(
        &director.says(&[]),
        &["ip_vs.ko.xz), in use now", "default      12 bits", "4096 buckets (/var/log/dmesg)", LINE],
    );
}

#[test]
fn el8_not_loaded_and_configured() {
    if !require("gcc") {
        return;
    }
    let director = Director::new("4.18.0-193.28.1.el8_2.x86_64")
        .config("lib/modules/{}/config", "CONFIG_IP_VS=m")
        .file("lib/modules/{}/kernel/net/netfilter/ipvs/ip_vs.ko.zst", {
            zstd::encode_all(ip_vs(Kind::Parameter(12)).as_slice(), 1).unwrap()
        })
        .file("etc/modprobe.d/lvs.conf", "# ours\noptions ip_vs conn_tab_bits=14\n");
    has(
        &director.says(&[]),
        &["not loaded now", "table        none", "configured   14 bits (/etc/modprobe.d/lvs.conf:2)", "--connections"],
    );
    has(
        &director.says(&["--connections", "40000"]),
        &["next         sed -i 's/conn_tab_bits=[^ ]*/conn_tab_bits=16/' /etc/modprobe.d/lvs.conf\n"],
    );
    has(
        &director.says(&["--connections", "16000"]),
        &["nothing need be done: /etc/modprobe.d/lvs.conf:2 sets 14 bits, 14 are enough"],
    );
    // A file of this name in /etc hides the one of a package.
    let director = director
        .file("usr/lib/modprobe.d/lvs.conf", "options ip_vs conn_tab_bits=20\n")
        .file("usr/lib/modprobe.d/zz.conf.rpmsave", "options ip_vs conn_tab_bits=20\n");
    has(&director.says(&[]), &["configured   14 bits (/etc/modprobe.d/lvs.conf:2)"]);
    let director = director.file("usr/lib/modprobe.d/m.conf", "options ip_vs conn_tab_bits=17\n");
    has(&director.says(&[]), &["configured   17 bits (/usr/lib/modprobe.d/m.conf:1)"]);
}

#[test]
fn configured_and_not_loaded_since() {
    let director = Director::new("4.18.0-193.28.1.el8_2.x86_64")
        .file("etc/modprobe.d/lvs.conf", "options ip_vs conn_tab_bits=20\n")
        .file("sys/module/ip_vs/parameters/conn_tab_bits", "12\n")
        .working();
    has(
        &director.says(&[]),
        &[
            "next         ipvsadm -C && modprobe -r ip_vs_rr ip_vs_wlc ip_vs && modprobe ip_vs\n",
            "ip_vs was loaded before that",
            "ends all connections",
        ],
    );
}

#[test]
fn built_in() {
    // By its config, packed as /proc has it; by its list; by what runs.
    let with = |director: Director| {
        has(
            &director.file("proc/net/ip_vs", TABLE).carrying(40_000).says(&[]),
            &[
                "ip_vs        built in (",
                "in use now",
                "next         grubby --update-kernel=ALL --args=ip_vs.conn_tab_bits=16\n",
            ],
        );
    };
    let new = || {
        Director::new("4.18.0-193.28.1.el8_2.x86_64")
            .file("lib/modules/{}/modules.builtin.modinfo", "ip_vs.license=GPL\0ip_vs.parm=conn_tab_bits:Set\0")
    };
    let config = "CONFIG_64BIT=y\nCONFIG_NET=y\nCONFIG_IP_VS=y\nCONFIG_IP_VS_TAB_BITS=12\n";
    with(new().file("proc/config.gz", gz(config.as_bytes())));
    with(new().file("lib/modules/{}/modules.builtin", "kernel/net/netfilter/ipvs/ip_vs.ko\n"));
    with(new().file("sys/module/ip_vs/parameters/conn_tab_bits", "12\n"));
    with(new());
    let director = new()
        .file("proc/config.gz", gz(config.as_bytes()))
        .file("proc/cmdline", "ro ip_vs.conn_tab_bits=20\n")
        .file("proc/net/ip_vs", TABLE.replace("4096", "1048576"))
        .carrying(40_000);
    has(&director.says(&[]), &["configured   20 bits (/proc/cmdline)", "nothing need be done: the table has 20 bits"]);
}

#[test]
fn built_in_without_the_parameter() {
    let director = Director::new("2.6.32-220.13.1.el6.x86_64")
        .config("boot/config-{}", "CONFIG_IP_VS=y")
        .file("proc/net/ip_vs", TABLE)
        .carrying(40_000);
    has(
        &director.says(&[]),
        &["built in", "next         kbuild ipvs --bits 16 --release 2.6.32-220.13.1.el6 --route kernel\n"],
    );
}

#[test]
fn no_ipvs_at_all() {
    let director = Director::new("4.18.0-193.28.1.el8_2.x86_64").config("boot/config-{}", "# CONFIG_IP_VS is not set");
    has(
        &director.says(&["--connections", "40000"]),
        &[
            "ip_vs        not there (CONFIG_IP_VS is not set in /boot/config-4.18.0-193.28.1.el8_2.x86_64), not loaded now",
            "next         kbuild ipvs --bits 16 --release 4.18.0-193.28.1.el8_2 --route kernel\n",
            "kernel-core",
        ],
    );
    // The config promises a module that is not installed.
    let director = Director::new("5.14.0-284.11.1.el9_2.x86_64")
        .config("boot/config-{}", "CONFIG_IP_VS=m")
        .file("lib/modules/{}/modules.dep", "kernel/fs/ext4/ext4.ko.xz:\n");
    has(
        &director.says(&["--connections", "40000"]),
        &["no ip_vs.ko below /lib/modules/5.14.0-284.11.1.el9_2.x86_64", "kernel-core or kernel-modules-core"],
    );
}

#[test]
fn a_container_has_no_files_of_the_kernel() {
    let director = Director::new("5.14.0-284.11.1.el9_2.x86_64")
        .file("run/.containerenv", "")
        .working()
        .file("sys/module/ip_vs/parameters/conn_tab_bits", "12\n");
    has(&director.says(&[]), &["(in a container: /run/.containerenv)", LINE, "the command is for the host"]);
    // Nothing of IPVS can be seen, but the recipe knows the kernel.
    let director = Director::new("2.6.32-220.13.1.el6.x86_64").file(".dockerenv", "");
    has(
        &director.says(&["--connections", "40000"]),
        &[
            "ip_vs        not known",
            "--release 2.6.32-220.13.1.el6 --route kernel\n",
            "el6 has it since 2.6.32-431.el6",
        ],
    );
    let director = Director::new("6.1.0-56-amd64").file(".dockerenv", "");
    has(&director.says(&["--connections", "40000"]), &["nothing here tells whether 6.1.0-56-amd64 has the parameter"]);
}

#[test]
fn a_table_that_is_large_enough() {
    let director = Director::new("2.6.32-220.13.1.el6.ipvs_20bit.x86_64")
        .working()
        .file("proc/net/ip_vs", TABLE.replace("4096", "1048576"));
    has(&director.says(&[]), &["2^20 = 1048576 buckets", "nothing need be done: the table has 20 bits, 16 are enough"]);
    // One that grows by itself: its maximum counts.
    let director = Director::new("7.1.0-1.el10.x86_64")
        .file("sys/module/ip_vs/parameters/conn_tab_bits", "20\n")
        .working()
        .file("proc/net/ip_vs", TABLE.replace("4096", "256"));
    has(
        &director.says(&[]),
        &["table        256 buckets (/proc/net/ip_vs), at most 2^20\n", "nothing need be done: the table has 20 bits"],
    );
}

#[test]
fn the_true_size_of_an_entry() {
    let slabs = "slabinfo - version: 2.1\n# name <active_objs> …\nip_vs_conn 39000 40000 448 9 1 : tunables 0 0 0\n";
    let director = Director::new("2.6.32-220.13.1.el6.x86_64").working().file("proc/slabinfo", slabs);
    let seen = director.seen();
    assert_eq!(seen["director"]["entry-bytes"]["is"], 448);
    assert_eq!(seen["recommended"]["entry-bytes"], 448 * 40_000);
}

#[test]
fn links_stay_below_the_root() {
    if !require("gcc") {
        return;
    }
    let director = Director::new("3.10.0-514.26.2.el7.x86_64")
        .file("usr/lib/modules/3.10.0-514.el7.x86_64/extra/ip_vs/ip_vs.ko", ip_vs(Kind::Parameter(18)))
        .file("usr/lib/modules/{}/modules.dep", "weak-updates/ip_vs/ip_vs.ko:\n")
        .working();
    let root = director.root();
    symlink("usr/lib", root.join("lib")).unwrap();
    let weak = root.join("usr/lib/modules/3.10.0-514.26.2.el7.x86_64/weak-updates");
    fs_err::create_dir(&weak).unwrap();
    symlink("/lib/modules/3.10.0-514.el7.x86_64/extra/ip_vs", weak.join("ip_vs")).unwrap();
    let seen = director.seen();
    assert_eq!(seen["director"]["built"]["is"], 18, "{seen}");
    assert_eq!(seen["director"]["unread"], serde_json::json!([]));
}

#[test]
fn an_ordinary_user_sees_what_it_may_and_hears_of_the_rest() {
    let director = Director::of(Sandbox::of_ordinary_user(), "2.6.32-220.13.1.el6.x86_64")
        .config("boot/config-{}", "CONFIG_IP_VS=m")
        .file("var/log/dmesg", "x")
        .working();
    let root = director.root();
    for closed in ["boot/config-2.6.32-220.13.1.el6.x86_64", "proc/net/ip_vs"] {
        fs_err::set_permissions(root.join(closed), PermissionsExt::from_mode(0o000)).unwrap();
    }
    let text = director.says(&[]);
    has(&text, &["ip_vs        a module (/proc/modules), in use now", "connections  40000 now"]);
    has(&text, &["not read: failed to open file `", "boot/config-2.6.32-220.13.1.el6.x86_64`: Permission denied"]);
    has(&text, &["next         kbuild ipvs --bits 16 --release 2.6.32-220.13.1.el6 --route module\n"]);
    assert!(is_root() || nix::unistd::Uid::effective().as_raw() != 0);
}

#[test]
fn what_is_damaged_is_said_and_is_no_failure() {
    let director = Director::new("3.10.0-514.26.2.el7.x86_64")
        .file("lib/modules/{}/kernel/net/netfilter/ipvs/ip_vs.ko", "no module")
        .file("boot/config-{}", "no config")
        .working()
        .file(
            "proc/net/ip_vs_conn",
            "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires\nTCP 0AFA0032 9E",
        );
    let text = director.says(&[]);
    has(
        &text,
        &["ip_vs.ko`: not an ELF file", "is no kernel's config", "ip_vs_conn`, line 2: expected the client's port"],
    );
    // The recipe still knows, where not even sysfs does.
    fs_err::remove_dir_all(director.root().join("sys")).unwrap();
    has(&director.says(&["--connections", "40000"]), &[LINE]);
}

#[test]
fn a_tree_without_proc_is_told_by_its_modules() {
    let director = Director::new("2.6.32-220.13.1.el6.x86_64").file("lib/modules/{}/modules.dep", "");
    fs_err::remove_dir_all(director.root().join("proc")).unwrap();
    has(&director.says(&[]), &["kernel       2.6.32-220.13.1.el6.x86_64\n"]);
    fs_err::create_dir(director.root().join("lib/modules/2.6.32-71.el6.x86_64")).unwrap();
    has(&director.says(&[]), &["kernel       not known\n", "release of the running kernel is not known"]);
}

#[test]
fn this_machine_and_none() {
    let sandbox = Sandbox::new();
    let running = fs_err::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    sandbox.kbuild().arg("host").exits(0).prints(running.trim());
    sandbox.kbuild().args(["host", "--root", "/no/such/root"]).refused(3).says("/no/such/root");
    sandbox.kbuild().args(["host", "--connections", "0"]).refused(2);
}
