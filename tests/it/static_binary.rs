//! A statically linked kbuild (`scripts/static`) starts and works where there is no library at all, and where there are
//! libraries of another system that it must not load.
//!
//! It is compiled here, since a binary that lies about may be an old one: some minutes the first time, and seconds later. So
//! that is done only where everything must run.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::thread;

use tempfile::TempDir;

use crate::support::toy::Toy;
use crate::support::{missing, repository, require, require_root, which};

/// The binary, if this is a run in which everything must run.
fn binary() -> Option<&'static Path> {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    if std::env::var_os("KBUILD_REQUIRE_ALL").is_none_or(|all| all != "1") {
        let _ = missing("KBUILD_REQUIRE_ALL=1, to compile kbuild once more, statically");
        return None;
    }
    let make = || {
        let made = Command::new(repository().join("scripts/static")).arg("--dev").output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        PathBuf::from(String::from_utf8(made.stdout).unwrap().trim())
    };
    Some(BINARY.get_or_init(make))
}

/// A root with kbuild and nothing else in it.
struct Root(TempDir);

impl Root {
    fn new(binary: &Path) -> Self {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        fs_err::copy(binary, dir.path().join("kbuild")).unwrap();
        Self(dir)
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.0.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(which("chroot").unwrap())
            .arg(self.0.path())
            .arg("/kbuild")
            .args(args)
            .env_clear()
            .output()
            .unwrap()
    }

    /// Runs kbuild, which must end with this exit code, and returns what it said on stdout and on stderr.
    #[track_caller]
    fn exits(&self, code: i32, args: &[&str]) -> (String, String) {
        let done = self.run(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&done.stdout), text(&done.stderr));
        assert_eq!(done.status.code(), Some(code), "{args:?}: {:?}\n{stdout}\n{stderr}", done.status);
        (stdout, stderr)
    }
}

const PLAN: [&str; 6] = ["plan", "--bits", "20", "--allow-unsigned", "--srpm", "/toy.src.rpm"];

#[test]
fn it_plans_in_a_root_with_nothing_in_it() {
    if !require_root() {
        return;
    }
    let Some(binary) = binary() else { return };
    // Nothing loads anything for it, and it asks for nothing.
    let listed = Command::new("ldd").arg(binary).output().unwrap();
    let said = String::from_utf8_lossy(&listed.stdout).into_owned() + &String::from_utf8_lossy(&listed.stderr);
    assert!(said.contains("not a dynamic executable") || said.contains("statically linked"), "{said}");

    let root = Root::new(binary);
    let version = root.exits(0, &["--version"]).0;
    assert_eq!(version, format!("kbuild {}\n", env!("CARGO_PKG_VERSION")));
    root.put("toy.src.rpm", fs_err::read(&Toy::unmodified().path).unwrap());
    let (plan, _) = root.exits(0, &PLAN);
    for line in [
        "table     20 bits, 1048576 buckets\n",
        "CONFIG_IP_VS_TAB_BITS=20",
        "\n    rpmbuild -bb '--target=x86_64' --with firmware ",
        "built as  mockbuild (to be created)\n",
    ] {
        assert!(plan.contains(line), "{line} in {plan}");
    }
    // It says what is missing for a build, and leaves nothing behind.
    let (_, refused) = root.exits(4, &["ipvs", "--bits", "20", "--allow-unsigned", "--srpm", "/toy.src.rpm"]);
    assert!(refused.contains("`rpmbuild`"), "{refused}");
    let left: Vec<_> = fs_err::read_dir(root.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn accounts_are_those_in_etc_passwd() {
    if !require_root() {
        return;
    }
    let Some(binary) = binary() else { return };
    let root = Root::new(binary);
    root.put("toy.src.rpm", fs_err::read(&Toy::unmodified().path).unwrap());
    root.put("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nmockbuild:x:4711:4711::/:/bin/false\n");
    assert!(root.exits(0, &PLAN).0.contains("built as  mockbuild (uid 4711)\n"));
}

/// A module of glibc's name service that says aloud that it was loaded, as one that was made for another C library would: by
/// taking the program down.
const TRAP: &str = "#include <stdlib.h>\n__attribute__((constructor)) static void trap(void) { abort(); }\n";

#[test]
fn it_loads_no_library_to_look_up_names() {
    if !require_root() || !require("gcc") {
        return;
    }
    let Some(binary) = binary() else { return };
    let root = Root::new(binary);
    root.put("toy.src.rpm", fs_err::read(&Toy::unmodified().path).unwrap());
    root.put("trap.c", TRAP);
    root.put("etc/nsswitch.conf", "passwd: trap files\ngroup: trap files\nhosts: trap [NOTFOUND=return] files dns\n");
    root.put("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nmockbuild:x:4711:4711::/:/bin/false\n");
    root.put("etc/hosts", "127.0.0.1 vault.test\n");
    // Where glibc looks for it, with what it needs itself.
    for dir in ["lib64", "lib", "usr/lib64", "usr/lib", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"] {
        root.put(&format!("{dir}/here"), "");
        let there = root.0.path().join(dir);
        let trap = there.join("libnss_trap.so.2");
        let mut compile = Command::new("gcc");
        compile.args(["-shared", "-fPIC", "-o"]).arg(trap).arg(root.0.path().join("trap.c"));
        assert!(compile.status().unwrap().success());
        for library in libraries() {
            fs_err::copy(&library, there.join(library.file_name().unwrap())).unwrap();
        }
    }
    // The trap works: a program that goes by nsswitch.conf falls into it.
    let getent = which("getent").unwrap();
    fs_err::copy(getent, root.0.path().join("getent")).unwrap();
    let fallen = Command::new("chroot").arg(root.0.path()).args(["/getent", "passwd", "mockbuild"]).status().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&fallen), Some(6), "{fallen:?}");

    assert!(root.exits(0, &PLAN).0.contains("built as  mockbuild (uid 4711)\n"));
    // A name in /etc/hosts is found, and a server of that name is asked.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let asked = thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut request = [0; 512];
        let read = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    });
    let mirror = format!("http://vault.test:{port}/kernel-2.6.32-220.13.1.el6.src.rpm");
    let fetch = ["ipvs", "--bits", "20", "--srpm", &mirror, "--allow-unsigned", "--ignore-preflight"];
    let (_, said) = root.exits(5, &fetch);
    assert!(said.contains("404"), "{said}");
    assert!(asked.join().unwrap().contains("kernel-2.6.32-220.13.1.el6.src.rpm"));
    // A name that nobody knows is an error in words.
    let (_, said) = root.exits(
        5,
        &[
            "ipvs",
            "--bits",
            "20",
            "--srpm",
            "http://nowhere.invalid/k.src.rpm",
            "--allow-unsigned",
            "--ignore-preflight",
        ],
    );
    assert!(said.contains("nowhere.invalid"), "{said}");
}

/// This machine's C library and its loader.
fn libraries() -> Vec<PathBuf> {
    let listed = Command::new("ldd").arg(which("getent").unwrap()).output().unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}
