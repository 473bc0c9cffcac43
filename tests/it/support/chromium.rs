//! Headless Chromium, as a reader of pages: driven over the pipe of its `DevTools` protocol.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a page that is loaded may still do something.
const SETTLED: Duration = Duration::from_millis(300);

/// A browser with one page.
#[derive(Debug)]
pub(crate) struct Chromium {
    child: Child,
    to: File,
    messages: Receiver<Value>,
    session: String,
    asked: u64,
    events: Vec<Value>,
    _dir: TempDir,
}

/// A picture of the page.
#[derive(Debug)]
pub(crate) struct Picture {
    /// As a PNG file.
    pub(crate) png: Vec<u8>,
    /// Red, green and blue of every pixel.
    pub(crate) pixels: Vec<[u8; 3]>,
}

impl Chromium {
    /// Starts it with an empty page.
    pub(crate) fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("kbuild-it-").tempdir_in("/var/tmp").unwrap();
        let (to, from) = (dir.path().join("to"), dir.path().join("from"));
        for path in [&to, &from] {
            mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        }
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec chromium \"$@\" 3<\"$0/to\" 4>\"$0/from\""])
            .arg(dir.path())
            .args("--headless --remote-debugging-pipe --no-first-run --disable-gpu --disable-extensions".split(' '))
            .args("--disable-dev-shm-usage --disable-background-networking --disable-component-update".split(' '))
            .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
            .args(super::is_root().then_some("--no-sandbox"))
            .arg("about:blank")
            .env("HOME", dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let child = command.spawn().unwrap();
        // Each waits until the other side has opened it.
        let to = OpenOptions::new().write(true).open(&to).unwrap();
        let from = File::open(&from).unwrap();
        let (sender, messages) = channel();
        thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut message = Vec::new();
            while from.read_until(0, &mut message).is_ok_and(|length| length > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else { break };
                if sender.send(value).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let mut browser = Self { child, to, messages, session: String::new(), asked: 0, events: Vec::new(), _dir: dir };
        let target = browser.ask("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.ask("Target.attachToTarget", &attach);
        attached["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Sends a command, and returns what it answers.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        let asked = self.asked;
        let mut answer =
            self.message(PATIENCE, |message| message["id"] == asked).unwrap_or_else(|| panic!("no answer: {method}"));
        assert_eq!(answer["error"], Value::Null, "{method}");
        answer["result"].take()
    }

    /// Waits for a message, and keeps those that came before it; `None` if there is none in that time.
    fn message(&mut self, patience: Duration, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let started = Instant::now();
        loop {
            match self.messages.recv_timeout(patience.saturating_sub(started.elapsed())) {
                Ok(message) if wanted(&message) => return Some(message),
                Ok(message) => self.events.push(message),
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => panic!("Chromium has ended"),
            }
        }
    }

    /// How wide the page is, and how high what is seen of it, in CSS pixels.
    pub(crate) fn size(&mut self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.ask("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Which colours the reader prefers: `light` or `dark`.
    pub(crate) fn scheme(&mut self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.ask("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Opens a page, and waits until it is there. What was heard of an earlier one is forgotten.
    #[track_caller]
    pub(crate) fn open(&mut self, url: &str) {
        self.events.clear();
        let opened = self.ask("Page.navigate", &json!({ "url": url }));
        assert_eq!(opened["errorText"], Value::Null, "{url}");
        let is_there = |message: &Value| message["method"] == "Page.loadEventFired";
        if !self.events.iter().any(is_there) {
            self.message(PATIENCE, is_there).unwrap_or_else(|| panic!("{url} is not loaded"));
        }
        self.settle();
    }

    fn settle(&mut self) {
        self.message(SETTLED, |_| false);
    }

    /// Returns the value of an expression, or what its promise comes to.
    #[track_caller]
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.ask("Runtime.evaluate", &asked);
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression}");
        answer["result"]["value"].take()
    }

    /// Returns the texts of a list.
    #[track_caller]
    pub(crate) fn texts(&mut self, expression: &str) -> Vec<String> {
        let value = self.value(expression);
        let texts = value.as_array().unwrap_or_else(|| panic!("{expression}: {value}")).iter();
        texts.map(|text| text.as_str().unwrap_or_else(|| panic!("{expression}: {text}")).to_owned()).collect()
    }

    /// Returns what the page's console shows in yellow and red: errors and warnings of scripts, and of the browser.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.settle();
        let complaint = |event: &Value| {
            let params = &event["params"];
            let (is_one, text) = match event["method"].as_str()? {
                "Runtime.exceptionThrown" => (true, &params["exceptionDetails"]),
                "Runtime.consoleAPICalled" => {
                    (["error", "warning", "assert"].contains(&params["type"].as_str()?), &params["args"])
                }
                "Log.entryAdded" => {
                    (["error", "warning"].contains(&params["entry"]["level"].as_str()?), &params["entry"])
                }
                _ => return None,
            };
            is_one.then(|| text.to_string())
        };
        self.events.iter().filter_map(complaint).collect()
    }

    /// Returns what the page was made of: all addresses that were asked for.
    pub(crate) fn requests(&self) -> Vec<String> {
        let asked = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        asked.filter_map(|event| Some(event["params"]["request"]["url"].as_str()?.to_owned())).collect()
    }

    /// Takes a picture of what is seen.
    pub(crate) fn picture(&mut self) -> Picture {
        let taken = self.ask("Page.captureScreenshot", &json!({ "format": "png" }));
        let png = base64::engine::general_purpose::STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&png)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        let samples = info.color_type.samples();
        let pixels = bytes[..info.buffer_size()].chunks_exact(samples).map(|pixel| [pixel[0], pixel[1], pixel[2]]);
        Picture { pixels: pixels.collect(), png: png.clone() }
    }
}

impl Picture {
    /// Returns the colour that most of it has, and which share of it has that.
    pub(crate) fn ground(&self) -> ([u8; 3], f64) {
        let mut counts = std::collections::HashMap::new();
        for pixel in &self.pixels {
            *counts.entry(*pixel).or_insert(0_u32) += 1;
        }
        let (colour, count) = counts.into_iter().max_by_key(|(_, count)| *count).unwrap();
        (colour, f64::from(count) / f64::from(u32::try_from(self.pixels.len()).unwrap()))
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // With all that it started.
        let _ = kill(Pid::from_raw(-i32::try_from(self.child.id()).unwrap()), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}
