//! Compiled files are kept and shared, and what comes out is what would come out without.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::built::manifest;
use crate::support::daemon::{Daemon, shared};
use crate::support::kbuild::{Kbuild, Outcome};
use crate::support::package::names;
use crate::support::sandbox::Sandbox;
use crate::support::server::Nginx;
use crate::support::toy::Toy;
use crate::support::{require, require_root, which};

/// Names and digests of the packages.
fn packages(sandbox: &Sandbox) -> Vec<(String, String)> {
    let digest = |name: &String| kbuild::digest::sha256(&fs_err::read(sandbox.out().join(name)).unwrap());
    names(&sandbox.out()).iter().map(|name| (name.clone(), digest(name))).collect()
}

/// What the manifest says of how it was compiled.
fn compiled(sandbox: &Sandbox) -> Value {
    manifest(&sandbox.out())["compiled"].clone()
}

/// Hits, hits in the remote storage, and misses.
fn counts(sandbox: &Sandbox) -> [u64; 3] {
    let compiled = compiled(sandbox);
    let statistics = &compiled["statistics"];
    ["hits", "remote", "misses"].map(|key| statistics[key].as_u64().unwrap_or_else(|| panic!("{compiled}")))
}

/// A build whose results take the place of those that are there.
fn fleet<'a>(sandbox: &'a Sandbox, srpm: &std::path::Path, bits: &str) -> Kbuild<'a> {
    let _ = fs_err::remove_dir_all(sandbox.out());
    sandbox.ipvs(srpm, bits).args(["--profile", "fleet"])
}

/// The packages of a build without any cache.
fn uncached(srpm: &std::path::Path, bits: &str) -> Vec<(String, String)> {
    let sandbox = Sandbox::new();
    fleet(&sandbox, srpm, bits).exits(0);
    assert_eq!(compiled(&sandbox), Value::Null);
    packages(&sandbox)
}

fn ready() -> bool {
    ["rpmbuild", "ccache"].into_iter().all(require)
}

#[test]
fn another_table_takes_all_but_what_sees_it() {
    if !ready() {
        return;
    }
    for sandbox in [Sandbox::new(), Sandbox::of_ordinary_user()] {
        let srpm = sandbox.srpm(&Toy::unmodified());
        let first = fleet(&sandbox, &srpm, "20").args(["--cache", "local"]).exits(0);
        first.says("ccache 4").says("keeps what is compiled in");
        let [hits, _, misses] = counts(&sandbox);
        assert!(hits == 0 && misses >= 4, "{hits} {misses}");
        assert_eq!(compiled(&sandbox)["why"], "the cache was empty: this build filled it");
        // Not in the tree of the first one, where make asks for nothing that is the same.
        fleet(&sandbox, &srpm, "18").args(["--cache", "local", "--fresh"]).exits(0);
        // The toy's ip_vs_conn.c and whatever includes the header that names the option; init/main.c names the release.
        let [more, _, less] = counts(&sandbox);
        assert!(more > 0 && less < misses, "{more} {less}");
        let log = fs_err::read_to_string(sandbox.work().join("logs/ccache.log")).unwrap();
        let of = |name: &str| {
            let part = log.split("# ").find(|part| part.starts_with(name));
            part.unwrap_or_else(|| panic!("{name} in {log}")).contains("cache_hit")
        };
        assert!(of("lib/libcrc32c.c") && !of("net/netfilter/ipvs/ip_vs_conn.c"), "{log}");
        assert_eq!(packages(&sandbox), uncached(&srpm, "18"));
        // The trace has both, each with its time.
        let trace: Value = serde_json::from_slice(&fs_err::read(sandbox.out().join("trace.json")).unwrap()).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let of = |name: &str| events.iter().find(|event| event["name"] == name && event["ph"] == "X").cloned();
        for name in ["lib/libcrc32c.c", "net/netfilter/ipvs/ip_vs_core.c"] {
            let slice = of(name).unwrap_or_else(|| panic!("{name} in {events:?}"));
            assert!(slice["dur"].as_f64().unwrap() > 0.0, "{slice}");
        }
    }
}

#[test]
fn several_values_go_on_in_one_tree_without_being_asked() {
    if !require("rpmbuild") {
        return;
    }
    for sandbox in [Sandbox::new(), Sandbox::of_ordinary_user()] {
        let srpm = sandbox.srpm(&Toy::unmodified());
        let said = fleet(&sandbox, &srpm, "18,20,17").exits(0);
        said.says("files of the earlier kernel were put back").does_not_say("ccache");
        let put_back = |bits: u8| {
            let compiled = manifest(&sandbox.out().join(format!("ipvs_{bits}bit")))["compiled"].clone();
            compiled["put-back"].as_u64().unwrap_or_default()
        };
        assert!(put_back(18) == 0 && put_back(20) > 5 && put_back(17) == put_back(20), "{said}");
        for bits in [20, 17] {
            let out = sandbox.out().join(format!("ipvs_{bits}bit"));
            let digest = |name: &String| kbuild::digest::sha256(&fs_err::read(out.join(name)).unwrap());
            let made: Vec<_> = names(&out).iter().map(|name| (name.clone(), digest(name))).collect();
            assert_eq!(made, uncached(&srpm, &bits.to_string()));
        }
        // The trees of the last one are left for the next, and go when they are not wanted.
        let trees = sandbox.work().join("rpmbuild/BUILD");
        let sources = sandbox.work().join("sources-of-finished");
        assert_eq!(fs_err::read_dir(&trees).unwrap().count(), 1);
        let count = |dir: &std::path::Path, name: &str| kbuild::sys::files::named(dir, &|file| file == name).len();
        assert_eq!(["libcrc32c.c", "libcrc32c.o"].map(|name| count(&trees, name)), [0, 1]);
        assert!(count(&sources, "libcrc32c.c") > 0);
        let off = fleet(&sandbox, &srpm, "18,20").args(["--cache", "off"]).exits(0);
        off.does_not_say("put back");
        assert!(!trees.is_dir() || fs_err::read_dir(&trees).unwrap().count() == 0);
        assert!(!sources.exists());
    }
}

#[test]
fn several_values_with_debuginfo_packages_have_a_cache_instead() {
    if !ready() {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let said = sandbox.ipvs(&srpm, "18,20").exits(0);
    said.says("ccache").does_not_say("were put back");
    let second = manifest(&sandbox.out().join("ipvs_20bit"))["compiled"]["statistics"]["hits"].clone();
    assert!(second.as_u64().unwrap() > 0, "{second}");
}

#[test]
fn a_tree_is_not_gone_on_in_if_more_is_another_one() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let tree = |bits: &str| fleet(&sandbox, &srpm, bits).args(["--cache", "tree"]);
    tree("20").exits(0).does_not_say("put back");
    tree("18").exits(0).says("is put back after %prep").says("files of the earlier kernel were put back");
    tree("18").args(["--buildid", ".b"]).exits(0).says("files of the earlier kernel were put back");
    // An option of another kind is only seen when the tree is there.
    tree("18").args(["--set", "CONFIG_X25=m"]).exits(0).does_not_say("were put back");
    let patched = tree("18").arg("--patch").arg(sandbox.input("a.patch", PATCH)).exits(0);
    patched.does_not_say("put back");
    tree("18").arg("--fresh").exits(0).does_not_say("put back");
    assert_eq!(packages(&sandbox), uncached(&srpm, "18"));
}

/// Adds a file.
const PATCH: &str = "--- /dev/null\n+++ b/lib/more.c\n@@ -0,0 +1 @@\n+int more;\n";

#[test]
fn the_cache_outlives_what_is_cleaned_unless_it_is_asked_for() {
    if !ready() {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    fleet(&sandbox, &srpm, "20").args(["--cache", "local"]).exits(0);
    let work = |subcommand| sandbox.kbuild().arg(subcommand).arg("--work").arg(sandbox.work());
    work("status").exits(0).prints("of compiled files");
    work("clean").exits(0);
    assert!(sandbox.work().join("ccache").is_dir() && !sandbox.work().join("rpmbuild").exists());
    fleet(&sandbox, &srpm, "20").args(["--cache", "local"]).exits(0);
    assert!(counts(&sandbox)[0] > 0);
    work("clean").arg("--cache").exits(0);
    assert!(!sandbox.work().join("ccache").exists());
    let status = work("status").exits(0);
    assert!(!status.stdout.contains("of compiled files"), "{status}");
}

/// Builds with a storage in one work directory and then in another, as two containers would.
#[track_caller]
fn from_one_to_another(storage: &str) -> Sandbox {
    let srpm = Toy::unmodified();
    let first = Sandbox::new();
    let path = first.srpm(&srpm);
    fleet(&first, &path, "20").args(["--cache", storage]).exits(0);
    assert_eq!(counts(&first)[1], 0);
    let second = Sandbox::new();
    let path = second.srpm(&srpm);
    fleet(&second, &path, "20").args(["--cache", storage]).exits(0);
    let [hits, remote, misses] = counts(&second);
    assert!(hits > 0 && remote > 0 && misses == 0, "{hits} {remote} {misses}");
    assert_eq!(packages(&first), packages(&second));
    second
}

#[test]
fn containers_share_a_directory_a_redis_or_a_web_server() {
    if !ready() || !require("redis-server") || !require("nginx") {
        return;
    }
    let (_dir, path) = shared();
    from_one_to_another(&format!("file:{}", path.display()));
    let redis = Daemon::redis(None);
    from_one_to_another(&format!("redis://{}", redis.address()));
    assert!(redis.keys(None) > 0);
    let nginx = Nginx::start("location /cache/ { dav_methods PUT DELETE; create_full_put_path on; }");
    nginx.open("cache");
    from_one_to_another(&format!("{}/cache", nginx.url()));
    let puts = nginx.requests().iter().filter(|request| request.starts_with("PUT")).count();
    assert!(puts > 0);
}

#[test]
fn another_container_goes_on_in_a_tree_that_is_shared() {
    if !ready() || !require("redis-server") {
        return;
    }
    let redis = Daemon::redis(None);
    let storage = format!("redis://{}", redis.address());
    let srpm = Toy::unmodified();
    let build = |bits: &str, more: &[&str]| {
        let sandbox = Sandbox::new();
        let path = sandbox.srpm(&srpm);
        let said = fleet(&sandbox, &path, bits).args(["--cache", &storage]).args(more).exits(0);
        let put_back = compiled(&sandbox)["put-back"].as_u64().unwrap_or_default();
        (said, put_back, sandbox)
    };
    let before = redis.keys(None);
    let (said, put_back, first) = build("20", &[]);
    assert!(put_back == 0 && redis.keys(None) > before, "{said}");
    said.does_not_say("not shared");
    let (said, put_back, second) = build("18", &[]);
    assert!(put_back > 5, "{said}");
    assert_eq!(packages(&second), uncached(&second.srpm(&srpm), "18"));
    // Of another kernel there is none.
    let (said, put_back, third) = build("18", &["--set", "CONFIG_X25=m"]);
    assert!(put_back == 0, "{said}");
    assert_ne!(packages(&third), packages(&first));
}

#[test]
fn a_password_is_in_no_log_and_no_result() {
    if !ready() || !require("redis-server") {
        return;
    }
    let redis = Daemon::redis(Some("sEcret7"));
    let storage = format!("redis://:sEcret7@{}", redis.address());
    let sandbox = from_one_to_another(&storage);
    assert!(redis.keys(Some("sEcret7")) > 0);
    let srpm = sandbox.srpm(&Toy::unmodified());
    let said = fleet(&sandbox, &srpm, "18").args(["--verbose"]).env("KBUILD_CACHE", &storage).exits(0);
    let json = fleet(&sandbox, &srpm, "17").args(["--format", "json"]).env("KBUILD_CACHE", &storage).exits(0);
    let plan = sandbox.plan(&srpm, "17").args(["--format", "json", "--cache", &storage]).exits(0);
    let wrong = fleet(&sandbox, &srpm, "18").args(["--cache", "rediss://:sEcret7@h"]).exits(2);
    let help = sandbox.kbuild().args(["ipvs", "--help"]).env("KBUILD_CACHE", &storage).exits(0);
    for Outcome { stdout, stderr, .. } in [&said, &json, &plan, &wrong, &help] {
        assert!(!stdout.contains("sEcret7") && !stderr.contains("sEcret7"), "{stdout}{stderr}");
    }
    for dir in [sandbox.out(), sandbox.work().join("logs"), sandbox.home()] {
        for entry in walkdir::WalkDir::new(dir).into_iter().filter_map(Result::ok).filter(|it| it.file_type().is_file())
        {
            let text = fs_err::read(entry.path()).unwrap();
            assert!(!text.windows(7).any(|window| window == b"sEcret7"), "{}", entry.path().display());
        }
    }
    // The one place that has it is closed to others.
    let mode = std::os::unix::fs::MetadataExt::mode(&fs_err::metadata(sandbox.work().join("compilers")).unwrap());
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn who_may_only_read_puts_nothing_there() {
    if !ready() || !require("redis-server") {
        return;
    }
    let redis = Daemon::redis(None);
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let storage = format!("redis://{}", redis.address());
    fleet(&sandbox, &srpm, "20").args(["--cache", &storage, "--cache-read-only"]).exits(0);
    assert_eq!(redis.keys(None), 0);
    assert!(counts(&sandbox)[2] > 0);
}

#[test]
fn a_server_that_is_dead_or_hangs_fails_nothing() {
    if !ready() || !require("redis-server") {
        return;
    }
    let mut redis = Daemon::redis(None);
    let storage = format!("redis://{}", redis.address());
    let srpm = Toy::unmodified();
    let build = || {
        let sandbox = Sandbox::new();
        let path = sandbox.srpm(&srpm);
        let said = fleet(&sandbox, &path, "20").args(["--cache", &storage]).exits(0);
        said.says(&format!("warning: {storage} does not answer: the build goes on without it"));
        let [hits, remote, misses] = counts(&sandbox);
        assert!(hits == 0 && remote == 0 && misses > 0);
    };
    redis.hang();
    build();
    redis.kill();
    build();
}

#[test]
fn a_directory_that_nobody_can_use_is_said_and_fails_nothing() {
    if !ready() {
        return;
    }
    let srpm = Toy::unmodified();
    let closed = tempfile::tempdir().unwrap();
    let allow = |mode| fs_err::set_permissions(closed.path(), PermissionsExt::from_mode(mode)).unwrap();
    allow(0);
    for (place, more, why) in [
        ("/dev/null", None, "`/dev/null` is not a directory"),
        ("/proc/none/at-all", None, "cannot write to `/proc`"),
        ("/nowhere", Some("--cache-read-only"), "there is no such directory"),
        ("/dev/null", Some("--cache-read-only"), "there is no such directory"),
        (closed.path().to_str().unwrap(), Some("--cache-read-only"), "the building user may not enter that directory"),
    ] {
        let sandbox = Sandbox::new();
        let path = sandbox.srpm(&srpm);
        let said = fleet(&sandbox, &path, "20").args(["--cache", &format!("file:{place}")]).args(more).exits(0);
        said.says(&format!("warning: file:{place} cannot be used: "));
        said.says(&format!("{why}; the build goes on without it"));
        let [hits, remote, misses] = counts(&sandbox);
        assert!(hits == 0 && remote == 0 && misses > 0);
    }
    allow(0o700);
}

#[test]
fn other_hosts_compile_the_same() {
    if !ready() || !require("distccd") || !require_root() {
        return;
    }
    let srpm = Toy::unmodified();
    let daemons = [Daemon::distccd(false), Daemon::distccd(false)];
    let stranger = Daemon::distccd(true);
    let hosts: Vec<_> = daemons.iter().chain([&stranger]).map(|daemon| format!("{}/1", daemon.address())).collect();
    let build = |more: &[&str]| {
        let sandbox = Sandbox::new();
        let path = sandbox.srpm(&srpm);
        let build = fleet(&sandbox, &path, "20").args(["--compile-hosts", &hosts.join(",")]).args(more);
        (build.exits(0), compiled(&sandbox), packages(&sandbox))
    };
    let without = uncached(&daemon_srpm(&srpm).1, "20");
    for more in [&[][..], &["--cache", "local"]] {
        let (said, compiled, packages) = build(more);
        said.says(&format!("{} does not compile: its compiler makes another object", hosts[2]));
        said.says("compile, too");
        assert_eq!(compiled["hosts"].as_array().unwrap().len(), 2);
        assert_eq!(packages, without);
    }
    for daemon in &daemons {
        let log = daemon.log();
        assert!(log.matches("COMPILE_OK").count() > 2, "{log}");
    }
    // Nobody is there: it compiles here.
    drop(daemons);
    drop(stranger);
    let (said, compiled, packages) = build(&[]);
    said.says("does not compile").says("no other host compiles");
    assert_eq!((compiled, packages), (Value::Null, without));
}

/// A copy of a source package that lives as long as its sandbox.
fn daemon_srpm(srpm: &crate::support::toy::Srpm) -> (Sandbox, std::path::PathBuf) {
    let sandbox = Sandbox::new();
    let path = sandbox.srpm(srpm);
    (sandbox, path)
}

#[test]
fn a_stale_object_is_caught_by_the_proof() {
    if !ready() {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    // A cache that lies: whatever is asked for, the object of the table is the one that it made first.
    let real = which("ccache").unwrap();
    let script = format!(
        "out= source=\nwhile [ $# -gt 0 ]; do args+=(\"$1\"); [ \"$1\" = -o ] && out=$2; case $1 in *ip_vs_conn.c) source=$1 ;; esac; shift; done\n\
        kept={0}/record/kept.o list=${{out%/*}}/.${{out##*/}}.d\n\
        if [ -n \"$source\" ] && [ -e $kept ]; then cp $kept \"$out\" && exec cp $kept.d \"$list\"; fi\n\
        {1} \"${{args[@]}}\" || exit\n[ -z \"$source\" ] || {{ cp \"$out\" $kept && cp \"$list\" $kept.d; }}",
        sandbox.path().display(),
        real.display()
    );
    sandbox.fake("ccache", &script);
    let path = format!("{}:{}", sandbox.path().join("bin").display(), std::env::var("PATH").unwrap());
    let build = |bits: &str| fleet(&sandbox, &srpm, bits).args(["--cache", "local"]).env("PATH", &path);
    build("18").exits(0);
    let caught = build("20").exits(9);
    caught.says("level 4").says("ip_vs.ko");
}

#[test]
fn what_is_asked_for_and_not_there_is_said_before_anything_is_laid_out() {
    if !require("rpmbuild") {
        return;
    }
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    // A PATH with everything but these.
    let bin = sandbox.path().join("some");
    fs_err::create_dir(&bin).unwrap();
    for dir in std::env::split_paths(&std::env::var_os("PATH").unwrap()) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name != "ccache" && name != "distcc" {
                let _ = std::os::unix::fs::symlink(entry.path(), bin.join(&name));
            }
        }
    }
    let build = fleet(&sandbox, &srpm, "20").args(["--cache", "local", "--compile-hosts", "h"]).env("PATH", &bin);
    let refused = build.refused(4);
    refused.says("`ccache`").says("`distcc`");
    assert!(!sandbox.work().join("rpmbuild").exists());
    fleet(&sandbox, &srpm, "20")
        .args(["--cache", "somewhere"])
        .exits(2)
        .says("expected off, tree, local, redis://HOST");
    fleet(&sandbox, &srpm, "20").args(["--compile-hosts", "a,b c"]).exits(2).says("expected HOST");
}
