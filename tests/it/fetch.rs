//! From a release name to a source package: real nginx with the vault's layout, and servers that misbehave.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use crate::support::kbuild::Kbuild;
use crate::support::sandbox::Sandbox;
use crate::support::server::{Faulty, Nginx, part, read, respond};
use crate::support::tmpfs::Tmpfs;
use crate::support::toy::{STOCK, Toy};
use crate::support::{require, require_root};

const FILE: &str = "kernel-2.6.32-220.13.1.el6.src.rpm";

/// `kbuild fetch` of the toy's release, from these mirrors and no others, into the sandbox's own store.
fn fetch<'a>(sandbox: &'a Sandbox, mirrors: &[String]) -> Kbuild<'a> {
    let kbuild = sandbox.kbuild().args(["fetch", "--release", STOCK, "--allow-unsigned", "--store"]);
    let kbuild = kbuild.arg(store(sandbox)).args(["--silence", "2"]);
    // What the recipe knows is behind a proxy that is not there.
    let kbuild = kbuild.env("https_proxy", "http://127.0.0.1:1").env("no_proxy", "127.0.0.1");
    mirrors.iter().fold(kbuild, |kbuild, mirror| kbuild.args(["--mirror", mirror]))
}

fn store(sandbox: &Sandbox) -> PathBuf {
    sandbox.path().join("store")
}

/// The package, with what is needed to have it take many reads.
fn package() -> Vec<u8> {
    fs_err::read(Toy::unmodified().path).unwrap()
}

#[track_caller]
fn got(stdout: &str, content: &[u8]) {
    let fetched = fs_err::read(stdout.trim_end()).unwrap();
    assert!(fetched == content, "{} of {} bytes, or others", fetched.len(), content.len());
}

#[test]
fn a_release_is_found_in_the_vault_and_built() {
    if !require("nginx") || !require("rpmbuild") {
        return;
    }
    let vault = Nginx::start("");
    vault.put(&format!("centos/6.2/updates/Source/SPackages/{FILE}"), &Toy::unmodified().path);
    let sandbox = Sandbox::new();
    let outcome = sandbox
        .ipvs(&PathBuf::new(), "20")
        .without("--srpm")
        .without("")
        .args(["--release", STOCK, "--profile", "fleet", "--store"])
        .arg(store(&sandbox))
        .args(["--mirror", &format!("{}/centos", vault.url())])
        .exits(0);
    outcome.says("fetch: kernel-2.6.32-220.13.1.el6.src.rpm");
    assert_eq!(vault.requests(), [format!("GET /centos/6.2/updates/Source/SPackages/{FILE} 200")]);

    // The second time it is there, and nobody is asked.
    fetch(&sandbox, &[vault.url()]).arg("--offline").exits(0);
    assert_eq!(vault.requests().len(), 1);
}

#[test]
fn each_family_is_found_where_its_vault_has_it() {
    if !require("nginx") {
        return;
    }
    let vault = Nginx::start("");
    for (family, path) in [
        ("el5", "5.8/updates/SRPMS"),
        ("el6", "6.2/os/Source/SPackages"),
        ("el7", "7.3.1611/updates/Source/SPackages"),
        ("el8", "8.2.2004/BaseOS/Source/SPackages"),
        ("el9", "pub/rocky/9.2/BaseOS/source/tree/Packages/k"),
        ("el10", "10-stream/BaseOS/source/tree/Packages"),
        ("fedora", "packages/kernel/6.11.4/301.fc41/src"),
        ("elrepo", "linux/kernel/el9/SRPMS"),
        ("uek", "ol7/SRPMS-updates"),
    ] {
        let sandbox = Sandbox::new();
        let srpm = if family == "el6" { Toy::unmodified() } else { Toy::of(family).pack() };
        let file = srpm.path.file_name().unwrap().to_str().unwrap().to_owned();
        vault.put(&format!("{path}/{file}"), &srpm.path);
        let release = file.strip_suffix(".src.rpm").unwrap();
        let outcome = sandbox
            .kbuild()
            .args(["fetch", "--allow-unsigned", "--release", release, "--mirror", &vault.url(), "--store"])
            .arg(store(&sandbox))
            .arg("--out")
            .arg(sandbox.out())
            .exits(0);
        assert_eq!(outcome.stdout.trim_end(), sandbox.out().join(&file).to_str().unwrap());
        got(&outcome.stdout, &fs_err::read(&srpm.path).unwrap());
    }
}

#[test]
fn the_places_are_printed_with_their_reasons() {
    let sandbox = Sandbox::new();
    let printed = fetch(&sandbox, &["http://127.0.0.1:1/m".into()]).arg("--print-urls").exits(0);
    let first = format!("http://127.0.0.1:1/m/6.2/updates/Source/SPackages/{FILE}  (mirror http://127.0.0.1:1/m)\n");
    assert!(printed.stdout.starts_with(&first), "{printed}");
    printed.prints(&format!(
        "https://vault.centos.org/6.2/os/Source/SPackages/{FILE}  (recipe el6: base number 220 is 6.2)"
    ));
    for bad in ["el6", "2.6.32", "../x-1.el6"] {
        let refused = sandbox.kbuild().args(["fetch", "--print-urls", "--release", bad]).refused(3);
        refused.says("is no release").says("hint: ");
    }
    sandbox.kbuild().args(["fetch", "--release", "5.10-60.oe1"]).refused(3).says("no recipe covers");
}

#[test]
fn the_next_place_is_asked_where_the_first_has_nothing() {
    if !require("nginx") {
        return;
    }
    let (empty, full) = (Nginx::start(""), Nginx::start(""));
    full.put(FILE, &Toy::unmodified().path);
    let sandbox = Sandbox::new();
    let outcome = fetch(&sandbox, &[empty.url(), full.url()]).exits(0);
    got(&outcome.stdout, &package());
    assert!(!empty.requests().is_empty() && empty.requests().iter().all(|line| line.ends_with(" 404")));

    // Nowhere: all places are named with their answers, and the store has nothing.
    let sandbox = Sandbox::new();
    let outcome = fetch(&sandbox, &[empty.url()]).refused(5);
    outcome.says(&format!("error: `{FILE}` is in none of")).says("SPackages").says("status 404").says("hint: ");
    fetch(&sandbox, &[]).arg("--offline").refused(5).says("`--offline` was said");
}

#[test]
fn a_directory_is_a_mirror_and_a_url_is_a_source_package() {
    if !require("nginx") {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.input(FILE, package());
    let dir = sandbox.path().join("in").display().to_string();
    got(&fetch(&sandbox, &[dir]).exits(0).stdout, &package());

    let server = Nginx::start("");
    server.put(&format!("any/where/{FILE}"), &Toy::unmodified().path);
    let url = format!("{}/any/where/{FILE}", server.url());
    let other = Sandbox::new();
    let plan = other.plan(&PathBuf::from(url), "20").arg("--store").arg(store(&other)).exits(0);
    plan.prints("kernel-2.6.32-220.13.1.el6.ipvs_20bit");
}

#[test]
fn a_connection_that_is_cut_again_and_again_is_resumed_to_the_same_file() {
    let content = package();
    let size = content.len();
    assert!(size > 20_000);
    let file = content.clone();
    // Fifty cuts, each after another number of bytes.
    let server = Faulty::start(move |number, asked, stream| {
        let most = if number < 50 { 1 + (number * 7919) % (size / 60) } else { size };
        part(stream, asked, &file, "\"v1\"", most);
    });
    let sandbox = Sandbox::new();
    let outcome = fetch(&sandbox, &[format!("{}/{{srpm}}", server.url())]).exits(0);
    got(&outcome.stdout, &content);
    let asked = server.asked();
    assert_eq!(asked.len(), 51, "{asked:?}");
    let starts: Vec<_> = asked.iter().skip(1).map(|one| one.from.unwrap()).collect();
    assert!(starts.is_sorted() && starts[0] > 0, "{starts:?}");
    assert!(asked.iter().skip(1).all(|one| one.version.as_deref() == Some("\"v1\"")));
    outcome.says("trying again");
}

#[test]
fn a_server_that_does_not_know_ranges_starts_again() {
    let content = package();
    let file = content.clone();
    let server = Faulty::start(move |number, _, stream| {
        let most = if number == 0 { file.len() / 2 } else { file.len() };
        let headers = ["ETag: \"v1\"".to_owned(), format!("Content-Length: {}", file.len())];
        respond(stream, "200 OK", &headers, &file[..most]);
    });
    let sandbox = Sandbox::new();
    got(&fetch(&sandbox, &[format!("{}/{{srpm}}", server.url())]).exits(0).stdout, &content);
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_file_that_changed_between_two_parts_is_not_put_together_from_both() {
    let content = package();
    let mut older = content.clone();
    for byte in &mut older {
        *byte ^= 0xff;
    }
    let file = content.clone();
    let server = Faulty::start(move |number, asked, stream| {
        if number == 0 {
            part(stream, asked, &older, "\"v1\"", older.len() / 3);
        } else {
            part(stream, asked, &file, "\"v2\"", file.len());
        }
    });
    let sandbox = Sandbox::new();
    got(&fetch(&sandbox, &[format!("{}/{{srpm}}", server.url())]).exits(0).stdout, &content);
    assert_eq!(server.asked()[1].version.as_deref(), Some("\"v1\""));
}

/// What is said of a server, and what it does.
type Case = (&'static str, Box<dyn Fn(&[u8], &mut std::net::TcpStream) + Send + Sync>);

#[test]
fn what_a_server_gets_wrong_is_said_and_the_next_one_is_asked() {
    let content = package();
    let right = {
        let file = content.clone();
        Faulty::start(move |_, asked, stream| part(stream, asked, &file, "\"v1\"", file.len()))
    };
    let cases: Vec<Case> = vec![
        ("status 403", Box::new(|_, stream| respond(stream, "403 Forbidden", &["Content-Length: 0".into()], b""))),
        ("status 503 (5 tries)", Box::new(|_, stream| respond(stream, "503 Busy", &["Content-Length: 0".into()], b""))),
        (
            "the server packs it (gzip)",
            Box::new(|content, stream| {
                let headers = ["Content-Encoding: gzip".to_owned(), format!("Content-Length: {}", content.len())];
                respond(stream, "200 OK", &headers, content);
            }),
        ),
        (
            "redirect",
            Box::new(|_, stream| {
                respond(stream, "302 Found", &["Location: /round.src.rpm".into(), "Content-Length: 0".into()], b"");
            }),
        ),
        (
            "larger than any source package",
            Box::new(|_, stream| respond(stream, "200 OK", &["Content-Length: 99999999999999".into()], b"x")),
        ),
        ("(5 tries)", Box::new(|_, stream| respond(stream, "200 OK", &["Content-Length: 1000".into()], b""))),
    ];
    for (said, behaviour) in cases {
        let file = content.clone();
        let behaviour = Mutex::new(behaviour);
        let wrong = Faulty::start(move |_, _, stream| behaviour.lock().unwrap()(&file, stream));
        let mirrors = [&wrong, &right].map(|server| format!("{}/{{srpm}}", server.url()));
        let sandbox = Sandbox::new();
        got(&fetch(&sandbox, &mirrors).exits(0).stdout, &content);
        // Alone it is the reason.
        let sandbox = Sandbox::new();
        let outcome = fetch(&sandbox, &mirrors[..1]).refused(5);
        outcome.says(said);
    }
}

#[test]
fn a_proxy_of_the_environment_is_asked_unless_it_is_said_to_be_left_out() {
    let content = package();
    let file = content.clone();
    // A proxy that leads to a server that nobody else can reach.
    let proxy = Faulty::start(move |_, asked, stream| {
        assert_eq!(asked.what, "CONNECT vault.example.invalid:80");
        std::io::Write::write_all(stream, b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let inner = read(stream).unwrap();
        assert_eq!(inner.what, format!("GET /{FILE}"));
        part(stream, &inner, &file, "\"v1\"", file.len());
    });
    let mirror = ["http://vault.example.invalid/{srpm}".to_owned()];
    for variable in ["http_proxy", "https_proxy", "ALL_PROXY"] {
        let sandbox = Sandbox::new();
        let fetch = sandbox.kbuild().args(["fetch", "--release", STOCK, "--allow-unsigned", "--store"]);
        let fetch = fetch.arg(store(&sandbox)).args(["--mirror", &mirror[0]]).env(variable, proxy.url());
        got(&fetch.exits(0).stdout, &content);
    }
    let asked = proxy.asked().len();
    assert_eq!(asked, 3);
    let sandbox = Sandbox::new();
    let outcome =
        fetch(&sandbox, &mirror).env("https_proxy", proxy.url()).env("no_proxy", ".example.invalid,.org").refused(5);
    outcome.says("vault.example.invalid");
    assert_eq!(proxy.asked().len(), asked);
}

#[test]
fn a_silent_server_is_given_up() {
    let content = package();
    let file = content.clone();
    let silent = Faulty::start(move |number, asked, stream| {
        part(stream, asked, &file, "\"v1\"", 1000 * (number + 1));
        std::thread::sleep(Duration::from_mins(1));
    });
    let file = content.clone();
    let right = Faulty::start(move |_, asked, stream| part(stream, asked, &file, "\"v1\"", file.len()));
    let mirrors = [&silent, &right].map(|server| format!("{}/{{srpm}}", server.url()));
    let sandbox = Sandbox::new();
    let outcome = fetch(&sandbox, &mirrors).exits(0);
    got(&outcome.stdout, &content);
    assert!(outcome.took < Duration::from_secs(40), "{outcome}");
}

#[test]
fn another_package_under_this_name_is_refused_and_forgotten() {
    let sandbox = Sandbox::new();
    sandbox.input(FILE, fs_err::read(Toy::of("el7").pack().path).unwrap());
    let dir = sandbox.path().join("in").display().to_string();
    let outcome = fetch(&sandbox, std::slice::from_ref(&dir)).refused(6);
    outcome.says("expected kernel-2.6.32-220.13.1.el6, found kernel-3.10.0-514.26.2.el7");
    sandbox.input(FILE, package());
    got(&fetch(&sandbox, &[dir]).exits(0).stdout, &package());
}

#[test]
fn two_at_once_fetch_once() {
    if !require("nginx") {
        return;
    }
    let server = Nginx::start("limit_rate 20k;");
    server.put(FILE, &Toy::unmodified().path);
    let sandbox = Sandbox::new();
    let mirror = format!("{}/{{srpm}}", server.url());
    let running: Vec<_> = (0..3).map(|_| fetch(&sandbox, std::slice::from_ref(&mirror)).start()).collect();
    for one in running {
        got(&one.exits(0).stdout, &package());
    }
    assert_eq!(server.requests().len(), 1, "{:?}", server.requests());
}

#[test]
fn an_unsigned_package_is_fetched_only_if_that_was_said() {
    let sandbox = Sandbox::new();
    sandbox.input(FILE, package());
    let dir = sandbox.path().join("in").display().to_string();
    let outcome = fetch(&sandbox, &[dir]).without("--allow-unsigned").refused(6);
    outcome.says("is not signed by a key that can be checked").says("--allow-unsigned");
}

#[test]
fn a_lock_file_keeps_note_and_accepts_nothing_else() {
    let sandbox = Sandbox::new();
    let srpm = sandbox.srpm(&Toy::unmodified());
    let lock = sandbox.path().join("kbuild.lock");
    let edit = || sandbox.ipvs(&srpm, "20").args(["--until", "edit"]);
    // Planning notes nothing; a build does.
    sandbox.plan(&srpm, "20").arg("--lock").arg(&lock).exits(0);
    assert!(!lock.exists());
    sandbox.plan(&srpm, "20").arg("--locked").refused(3).says("the lock file").says("kbuild.lock");
    edit().arg("--lock").arg(&lock).exits(0);
    let text = fs_err::read_to_string(&lock).unwrap();
    assert!(text.contains("name = \"kernel-2.6.32-220.13.1.el6\"") && text.contains("signer = \"\""), "{text}");

    // Its digest vouches for it from now on, without --allow-unsigned; the default name is found.
    edit().without("--allow-unsigned").arg("--locked").exits(0);
    // The same name with another content, and another package.
    let other = sandbox.srpm(&Toy::new().append("config-generic", "CONFIG_OTHER=y\n").pack());
    let outcome = sandbox.plan(&other, "20").arg("--locked").refused(6);
    outcome.says("is not the package that the lock file names: expected ").says("hint: if it was published anew");
    sandbox.plan(&other, "20").arg("--lock").arg(&lock).refused(6);
    let stranger = sandbox.srpm(&Toy::of("el7").pack());
    sandbox.plan(&stranger, "20").arg("--locked").refused(6).says("is not in the lock file");
    let broken = sandbox.input("broken.lock", "schema = 7\n");
    sandbox.plan(&srpm, "20").arg("--lock").arg(&broken).refused(3).says("expected schema 1, found 7");
}

#[test]
fn mirrors_of_the_configuration_come_after_the_command_lines_and_before_the_recipes() {
    let sandbox = Sandbox::new();
    let config =
        sandbox.input("config.toml", "schema = 1\nmirrors = [\"http://127.0.0.1:2/c\"]\nstore = \"/nowhere\"\n");
    let printed = || fetch(&sandbox, &["http://127.0.0.1:1/m".into()]).arg("--print-urls");
    let lines = printed().env("KBUILD_CONFIG", &config).exits(0).stdout;
    let places: Vec<_> =
        lines.lines().map(|line| line.split("://").nth(1).unwrap().split('/').next().unwrap()).collect();
    let mut order = places.clone();
    order.dedup();
    assert_eq!(order, ["127.0.0.1:1", "127.0.0.1:2", "vault.centos.org", "archive.kernel.org"], "{lines}");

    // The user's own file is found without being named; one that was named has to be there, and to be right.
    let dir = sandbox.home().join(".config/kbuild");
    fs_err::create_dir_all(&dir).unwrap();
    fs_err::copy(&config, dir.join("config.toml")).unwrap();
    assert_eq!(printed().exits(0).stdout, lines);
    printed().env("KBUILD_CONFIG", "/no/such.toml").refused(3).says("the configuration").says("/no/such.toml");
    let wrong = sandbox.input("wrong.toml", "schema = 1\nmirror = 1\n");
    printed().env("KBUILD_CONFIG", &wrong).refused(3).says("wrong.toml").says("unknown field `mirror`");
}

#[test]
fn a_full_disk_is_said_and_what_has_come_is_kept() {
    if !require("nginx") || !require_root() {
        return;
    }
    let server = Nginx::start("");
    server.put(FILE, &Toy::unmodified().path);
    let sandbox = Sandbox::new();
    let Some(small) = Tmpfs::mount(store(&sandbox), "24k") else {
        eprintln!("skipped: no file system can be mounted here, so no disk can be full");
        return;
    };
    let mirror = format!("{}/{{srpm}}", server.url());
    let outcome = fetch(&sandbox, std::slice::from_ref(&mirror)).refused(4);
    outcome.says("the store of source packages cannot be used").says("No space left on device").says("--store DIR");
    let part = small.path().join("parts").join(format!("{FILE}.part"));
    let have = fs_err::metadata(&part).unwrap().len();
    assert!(have > 4096, "{have}");

    small.resize("1m");
    got(&fetch(&sandbox, &[mirror]).exits(0).stdout, &package());
    assert_eq!(server.requests().last().unwrap(), &format!("GET /{FILE} 206"), "{:?}", server.requests());
}
