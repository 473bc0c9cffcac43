//! Readers that look all the time while something is published, as clients and mirrors do.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use regex::Regex;

use super::{BOOTABLE, Publisher, can_publish, other_build};
use crate::support::built::Built;
use crate::support::require;
use crate::support::server::Nginx;

/// How many times something is published while they look.
const TIMES: usize = 10;

/// Gets a file from a server on loopback; nothing if it is not there.
fn get(url: &str) -> Option<Vec<u8>> {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(format!("GET /{path} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    answer.starts_with(b"HTTP/1.1 200").then(|| answer[end + 4..].to_vec())
}

/// Reads metadata as a client does: the index, each file that it names, and the packages that those name. Returns how many.
fn client(url: &str) -> usize {
    let index = String::from_utf8(get(&format!("{url}/repodata/repomd.xml")).unwrap()).unwrap();
    let part =
        Regex::new(r#"(?s)<data type="([^"]+)">.*?<checksum type="sha256">([0-9a-f]+)<.*?href="([^"]+)""#).unwrap();
    let mut parts = BTreeMap::new();
    for found in part.captures_iter(&index) {
        let content = get(&format!("{url}/{}", &found[3])).unwrap_or_else(|| panic!("{} is named and gone", &found[3]));
        assert_eq!(kbuild::digest::sha256(&content), found[2], "{}", &found[3]);
        parts.insert(found[1].to_owned(), content);
    }
    let primary = kbuild::rpm::decompress::bytes(&*parts["primary"], 1 << 24).unwrap();
    let primary = String::from_utf8(primary).unwrap();
    let package = Regex::new(r#"(?s)pkgid="YES">([0-9a-f]+)<.*?<location href="([^"]+)""#).unwrap();
    let mut count = 0;
    for found in package.captures_iter(&primary) {
        let content = get(&format!("{url}/{}", &found[2])).unwrap_or_else(|| panic!("{} is named and gone", &found[2]));
        assert_eq!(kbuild::digest::sha256(&content), found[1], "{}", &found[2]);
        count += 1;
    }
    count
}

/// Reads index and signature out of one directory, as whoever copies it does: they belong to each other.
fn mirror(publisher: &Publisher) {
    let dir = fs_err::File::open(publisher.dir.join("repodata")).unwrap();
    let inside = format!("/proc/{}/fd/{}", std::process::id(), dir.as_raw_fd());
    let copy = tempfile::tempdir().unwrap();
    for name in ["repomd.xml", "repomd.xml.asc"] {
        fs_err::copy(format!("{inside}/{name}"), copy.path().join(name)).unwrap();
    }
    let verify = Command::new("gpg")
        .env("GNUPGHOME", publisher.key.path())
        .args(["--batch", "--verify"])
        .args(["repomd.xml.asc", "repomd.xml"].map(|name| copy.path().join(name)))
        .output()
        .unwrap();
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));
}

#[test]
fn whoever_reads_while_something_is_published_sees_the_old_or_the_new_and_never_half() {
    if !can_publish() || !require("nginx") {
        return;
    }
    let nginx = Nginx::start("");
    let publisher = Publisher::served(&nginx);
    let url = format!("{}/ipvs", nginx.url());
    let one = publisher.results(&Built::toy(), "one", &BOOTABLE);
    let other = other_build(&publisher, &one);
    let small = publisher.results(&Built::smaller(), "small", &BOOTABLE);
    publisher.publish(&[&one]).exits(0);
    let over = AtomicBool::new(false);
    let (read, copied, seen) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        let readers = [
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let packages = client(&url);
                    assert!(packages == 2 || packages == 4, "{packages} packages");
                    seen.fetch_or(packages, Ordering::SeqCst);
                    read.fetch_add(1, Ordering::SeqCst);
                }
            }),
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    mirror(&publisher);
                    copied.fetch_add(1, Ordering::SeqCst);
                }
            }),
        ];
        // One that does nothing else but look whether there is an index: a moment without would be a few microseconds.
        let spinner = scope.spawn(|| {
            let index = publisher.dir.join("repodata/repomd.xml");
            while !over.load(Ordering::SeqCst) {
                assert!(fs_err::metadata(&index).is_ok(), "for a moment there is no index");
            }
        });
        for time in 0..TIMES {
            let which = if time % 2 == 0 { &other } else { &one };
            let from: Vec<_> = if time == 4 { vec![which.as_path(), &small] } else { vec![which.as_path()] };
            publisher.publish(&from).arg("--replace").exits(0).prints("replaced  ");
        }
        over.store(true, Ordering::SeqCst);
        for reader in readers.into_iter().chain([spinner]) {
            reader.join().unwrap();
        }
    });
    let (read, copied) = (read.into_inner(), copied.into_inner());
    assert!(read > TIMES && copied > TIMES, "too few looks to tell: {read} and {copied}");
    assert_eq!(seen.into_inner(), 2 | 4, "the publication with more packages was never seen");
    assert_eq!(publisher.record()["generation"], 1 + TIMES);
}
