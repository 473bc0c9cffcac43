//! A vault on loopback: nginx with a directory, and a server that misbehaves on purpose.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// nginx, serving a directory.
#[derive(Debug)]
pub(crate) struct Nginx {
    dir: TempDir,
    child: Child,
    port: u16,
}

impl Nginx {
    /// Starts it with an empty directory; `more` goes into its `server` block.
    pub(crate) fn start(more: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("kbuild-it-").tempdir_in("/var/tmp").unwrap();
        let top = dir.path().display().to_string();
        fs_err::create_dir(dir.path().join("root")).unwrap();
        for mode in [dir.path().to_owned(), dir.path().join("root")] {
            fs_err::set_permissions(mode, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        // A port that was free a moment ago: nginx cannot be asked for any.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {top}/{name};"))
            .concat();
        let config = format!(
            "daemon off; master_process off; pid {top}/pid; error_log {top}/error.log; events {{}}\n\
             http {{ {temporary} access_log {top}/access.log; server {{ listen 127.0.0.1:{port}; root {top}/root; {more} }} }}\n"
        );
        let file = dir.path().join("nginx.conf");
        fs_err::write(&file, config).unwrap();
        let child = Command::new("nginx")
            .arg("-c")
            .arg(&file)
            .arg("-e")
            .arg(dir.path().join("error.log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = fs_err::read_to_string(dir.path().join("error.log")).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(20), "nginx does not start: {log}");
            thread::sleep(Duration::from_millis(20));
        }
        Self { dir, child, port }
    }

    /// Its address, without a path.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The directory that it serves.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// Puts a file there.
    pub(crate) fn put(&self, path: &str, from: &Path) -> PathBuf {
        let target = self.dir.path().join("root").join(path);
        fs_err::create_dir_all(target.parent().unwrap()).unwrap();
        fs_err::copy(from, &target).unwrap();
        target
    }

    /// Makes a directory there that everybody can write to.
    pub(crate) fn open(&self, path: &str) {
        let dir = self.dir.path().join("root").join(path);
        fs_err::create_dir_all(&dir).unwrap();
        fs_err::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    }

    /// The requests so far: method, path and status.
    pub(crate) fn requests(&self) -> Vec<String> {
        let log = fs_err::read_to_string(self.dir.path().join("access.log")).unwrap_or_default();
        let words = |line: &str| {
            let mut quoted = line.split('"').skip(1);
            let request = quoted.next()?.split(' ').take(2).collect::<Vec<_>>().join(" ");
            Some(format!("{request} {}", quoted.next()?.split_whitespace().next()?))
        };
        log.lines().filter_map(words).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request that the misbehaving server got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Method and target.
    pub(crate) what: String,
    /// `bytes=N-`, as the number.
    pub(crate) from: Option<usize>,
    /// `If-Range`.
    pub(crate) version: Option<String>,
}

/// What the misbehaving server does with a request: gets its number from 0 and what was asked, writes the response.
pub(crate) type Behaviour = dyn Fn(usize, &Asked, &mut TcpStream) + Send + Sync;

/// A server of one file that does what a test says.
#[derive(Debug)]
pub(crate) struct Faulty {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Faulty {
    /// Starts it; it ends with the test.
    pub(crate) fn start(behaviour: impl Fn(usize, &Asked, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, count): (_, AtomicUsize) = (Arc::clone(&asked), AtomicUsize::new(0));
        let behaviour: Box<Behaviour> = Box::new(behaviour);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let Some(one) = read(&stream) else { continue };
                seen.lock().unwrap().push(one.clone());
                behaviour(count.fetch_add(1, Ordering::SeqCst), &one, &mut stream);
            }
        });
        Self { port, asked }
    }

    /// Its address, without a path.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// Reads a request.
pub(crate) fn read(stream: &TcpStream) -> Option<Asked> {
    let mut asked = Asked { what: String::new(), from: None, version: None };
    for line in BufReader::new(stream).lines() {
        let line = line.ok()?;
        if line.is_empty() {
            return Some(asked);
        }
        if asked.what.is_empty() {
            line.rsplit_once(' ')?.0.clone_into(&mut asked.what);
            continue;
        }
        let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "range" => asked.from = value.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok(),
            "if-range" => asked.version = Some(value.to_owned()),
            _ => {}
        }
    }
    None
}

/// Writes a response with these header lines and this body.
pub(crate) fn respond(stream: &mut TcpStream, status: &str, headers: &[String], body: &[u8]) {
    let head =
        headers.iter().fold(format!("HTTP/1.1 {status}\r\nConnection: close\r\n"), |text, line| text + line + "\r\n");
    let _ = stream.write_all(format!("{head}\r\n").as_bytes());
    let _ = stream.write_all(body);
}

/// Writes `content` from where it was asked on, but at most `most` bytes of it, and hangs up.
pub(crate) fn part(stream: &mut TcpStream, asked: &Asked, content: &[u8], tag: &str, most: usize) {
    let fits = asked.version.as_deref() == Some(tag);
    let start = asked.from.filter(|_| fits).unwrap_or(0);
    let rest = &content[start..];
    let mut headers = vec![format!("ETag: {tag}"), format!("Content-Length: {}", rest.len())];
    let status = if start > 0 { "206 Partial Content" } else { "200 OK" };
    if start > 0 {
        headers.push(format!("Content-Range: bytes {start}-{}/{}", content.len() - 1, content.len()));
    }
    respond(stream, status, &headers, &rest[..most.min(rest.len())]);
}
