//! `kbuild fleet report`: the page as a reader sees it, in a real browser, and every link on it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::chromium::{Chromium, Picture};
use crate::support::kbuild::Kbuild;
use crate::support::sandbox::Sandbox;
use crate::support::server::Nginx;
use crate::support::toy::Toy;
use crate::support::{is_root, require};

const DONE: [&str; 2] = ["edge-kernel-2.6.32-220.13.1.el6-18-kernel", "edge-kernel-2.6.32-220.13.1.el6-20-kernel"];
const NEW: &str = "edge-kernel-2.6.32-220.13.1.el6-19-kernel";
const FAILED: &str = "broken-kernel-2.6.32-220.17.1.el6-20-kernel";

/// What a build says that is not to become a part of the page.
const EVIL: &str = "<script>document.title = \"evil\"</script>";

/// A fleet of which two cells are done, one failed, and one was not begun.
struct Place {
    sandbox: Sandbox,
    file: PathBuf,
}

impl Place {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let stock = sandbox.srpm(&Toy::unmodified());
        let broken = Toy::new()
            .replace("kernel.spec", "%define distro_build 220.13.1", "%define distro_build 220.17.1")
            .script("%build", &format!("echo 'kernel/fork.c:1: fatal error: {EVIL}' >&2\nexit 1"));
        let broken = sandbox.srpm(&broken.pack());
        let user = if is_root() { format!("user = {:?}\n", sandbox.user().name) } else { String::new() };
        let text = format!(
            "schema = 1\nout = \"../out\"\nwork = \"../work\"\n[defaults]\nallow-unsigned = true\n{user}\
             [[group]]\nname = \"edge\"\nsrpms = [{:?}]\nbits = [18, 19, 20]\n\
             [[group]]\nname = \"broken\"\nsrpms = [{:?}]\nbits = [20]\n",
            stock.display().to_string(),
            broken.display().to_string(),
        );
        let file = sandbox.input("fleet.toml", text);
        let place = Self { sandbox, file };
        let run = DONE.iter().chain([&FAILED]).fold(place.fleet("run"), |run, cell| run.args(["--cell", cell]));
        run.env("GITLAB_CI", "true").env("CI_JOB_ID", "7").env("CI_JOB_URL", "https://ci.example/jobs/7").exits(8);
        place
    }

    /// `kbuild fleet WHAT --file FILE`.
    fn fleet(&self, what: &str) -> Kbuild<'_> {
        self.sandbox.kbuild().args(["fleet", what, "--file"]).arg(&self.file)
    }
}

fn ready() -> bool {
    require("rpmbuild") && require("chromium") && require("nginx")
}

/// What a server answers to a request for the head of a file.
fn status(url: &str) -> u16 {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "HEAD /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Puts all files of a directory there, below a path.
fn publish(nginx: &Nginx, dir: &Path, at: &str) {
    for entry in walkdir::WalkDir::new(dir) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            nginx.put(&format!("{at}/{}", entry.path().strip_prefix(dir).unwrap().display()), entry.path());
        }
    }
}

/// Keeps a picture for people.
fn keep(picture: &Picture, name: &str) {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fleet-report");
    fs_err::create_dir_all(&dir).unwrap();
    fs_err::write(dir.join(name), &picture.png).unwrap();
}

#[test]
fn the_page_is_whole_in_a_browser_and_every_link_leads_somewhere() {
    if !ready() {
        return;
    }
    let place = Place::new();
    let report = place.fleet("report").exits(0);
    report.prints("4 cells: 1 failed, 1 new, 2 done\n").prints("/out/report.html\n");
    data(&place);

    let nginx = Nginx::start("default_type text/html;");
    publish(&nginx, &place.sandbox.out(), "a fleet");
    let url = format!("{}/a%20fleet/report.html", nginx.url());
    let mut browser = Chromium::start();
    browser.size(1280, 900);
    browser.open(&url);
    assert_eq!(browser.complaints(), [""; 0]);
    // Nothing but itself.
    assert_eq!(browser.requests().iter().filter(|asked| !asked.starts_with("data:")).collect::<Vec<_>>(), [&url]);
    assert_eq!(nginx.requests(), ["GET /a%20fleet/report.html 200"]);

    // Every cell is in the matrix and among the cells, with its state.
    let all: BTreeSet<&str> = DONE.into_iter().chain([NEW, FAILED]).collect();
    for (what, expression) in [
        (
            "matrix",
            "[...document.querySelectorAll('.matrix td.cell a')].map(a => document.getElementById(decodeURIComponent(a.hash.slice(1))).querySelector('.name').textContent)",
        ),
        ("cells", "[...document.querySelectorAll('details.cell .name')].map(name => name.textContent)"),
    ] {
        let found = browser.texts(expression);
        assert_eq!(found.len(), all.len(), "{what}");
        assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), all, "{what}");
    }
    let states = "[...document.querySelectorAll('.matrix tbody tr')].map(row => [...row.querySelectorAll('th, td.cell b, td.cell .proof')].map(each => each.textContent).join(' '))";
    let rows = browser.texts(states);
    assert_eq!(rows[0], "edge");
    assert!(rows[1].starts_with("kernel-2.6.32-220.13.1.el6.src.rpm done 1✓2✓3✓4✓5– new done 1✓2✓3✓4✓5–"), "{rows:?}");
    assert_eq!(rows[2], "broken");
    assert!(rows[3].starts_with("kernel-2.6.32-220.17.1.el6.src.rpm failed"), "{rows:?}");

    // What a build says is text, and stays text.
    assert_ne!(browser.value("document.title"), "evil");
    let why = browser.value(&format!("document.getElementById('cell-{FAILED}').textContent"));
    assert!(why.as_str().unwrap().contains(EVIL), "{why}");

    links(&mut browser);
    used(&mut browser);
    seen(&mut browser);
    planted(&place, &nginx, &mut browser);
}

/// report.json says what the page shows, and what is printed.
fn data(place: &Place) {
    let file = fs_err::read_to_string(place.sandbox.out().join("report.json")).unwrap();
    let data: Value = serde_json::from_str(&file).unwrap();
    assert_eq!(data["schema"], 1);
    let cell = |name: &str| data["cells"].as_array().unwrap().iter().find(|cell| cell["name"] == name).unwrap();
    let done = cell(DONE[1]);
    assert_eq!(
        (&done["state"]["is"], &done["bits"], &done["buckets"]),
        (&json!("done"), &json!(20), &json!(1_048_576))
    );
    assert_eq!(done["nvr"], "kernel-2.6.32-220.13.1.el6.ipvs_20bit");
    let levels: Vec<&str> =
        done["proof"].as_array().unwrap().iter().map(|level| level["is"].as_str().unwrap()).collect();
    assert_eq!(levels, ["holds", "holds", "holds", "holds", "none"]);
    assert_eq!((&done["runner"]["engine"], &done["attempt"]), (&json!("GitLab"), &json!(1)));
    assert!(done["seconds"].as_f64().unwrap() > 0.1 && done["cpu-seconds"].as_f64().unwrap() > 0.0);
    // The packages are those that are there.
    let dir = place.sandbox.out().join(DONE[1]);
    let packages = done["packages"].as_array().unwrap();
    assert!(packages.len() > 1);
    for package in packages {
        let bytes = fs_err::read(dir.join(package["name"].as_str().unwrap())).unwrap();
        assert_eq!(package["bytes"], bytes.len());
        assert_eq!(package["sha256"], kbuild::digest::sha256(&bytes));
    }
    // The commands are those of the instructions, word for word.
    let instructions = fs_err::read_to_string(dir.join("INSTALL.md")).unwrap();
    let commands = &done["commands"];
    for command in ["install", "roll-back"].iter().flat_map(|which| commands[which].as_array().unwrap()) {
        for line in command.as_str().unwrap().lines() {
            assert!(instructions.contains(&format!("    {line}\n")), "{line}");
        }
    }
    assert!(commands.to_string().contains("rpm -i ") && commands.to_string().contains("rpm -e "), "{commands}");
    let failed = cell(FAILED);
    assert_eq!((&failed["state"]["is"], &failed["failure"]["exit-code"]), (&json!("failed"), &json!(8)));
    assert_eq!(failed["packages"], json!([]));
    assert_eq!((&cell(NEW)["state"]["is"], &cell(NEW)["attempt"]), (&json!("new"), &json!(0)));
    let command = cell(NEW)["command"].as_str().unwrap();
    assert!(command.starts_with("kbuild ipvs ") && command.contains("--bits=19"), "{command}");
    let printed = place.fleet("report").args(["--format", "json"]).exits(0);
    let printed: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(printed["cells"], data["cells"]);
}

/// Every link leads somewhere: a part of the page, or a file that the server has.
fn links(browser: &mut Chromium) {
    let inside = "[...document.querySelectorAll('a[href^=\"#\"]')].filter(a => !document.getElementById(decodeURIComponent(a.hash.slice(1)))).map(a => a.hash)";
    assert_eq!(browser.texts(inside), [""; 0]);
    let outside: BTreeSet<String> = browser
        .texts("[...document.querySelectorAll('a[href]:not([href^=\"#\"])')].map(a => a.href)")
        .into_iter()
        .collect();
    let (server, elsewhere): (Vec<String>, Vec<String>) =
        outside.into_iter().partition(|url| url.starts_with("http://127.0.0.1:"));
    assert_eq!(elsewhere, ["https://ci.example/jobs/7"]);
    for part in [
        "/manifest.json",
        "/logs/04-build.log",
        "/cell.log",
        "/INSTALL.md",
        "/SHA256SUMS",
        "/provenance.json",
        ".rpm",
        "/report.json",
    ] {
        assert!(server.iter().any(|url| url.ends_with(part)), "no link to {part}: {server:#?}");
    }
    for url in &server {
        assert_eq!(status(url), 200, "{url}");
    }
}

/// The page does what its controls say, and is as complete without its script.
fn used(browser: &mut Chromium) {
    let shown = "[...document.querySelectorAll('details.cell:not([hidden])')].length";
    browser.value("document.querySelector('#filter input[value=done]').click()");
    assert_eq!(browser.value(shown), 2);
    browser.value("document.querySelector('#filter input[value=done]').click()");
    assert_eq!(browser.value(shown), 4);
    let open = format!("document.getElementById('cell-{FAILED}').open");
    assert_eq!(browser.value(&open), false);
    browser.value(&format!("document.querySelector('#attention a[href=\"#cell-{FAILED}\"]').click()"));
    assert_eq!(browser.value(&format!("new Promise(done => setTimeout(() => done({open}), 100))")), true);
    let url = browser.value("location.href.split('#')[0]");
    browser.ask("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    browser.open(url.as_str().unwrap());
    assert_eq!(browser.value(shown), 4);
    assert_eq!(browser.value("document.getElementById('filter').hidden"), true);
    browser.ask("Emulation.setScriptExecutionDisabled", &json!({ "value": false }));
    browser.open(url.as_str().unwrap());
}

/// In both colour schemes, on a desk and on a phone: something is seen, and nothing is cut off.
fn seen(browser: &mut Chromium) {
    for (name, width, height) in [("desk", 1280, 1600), ("phone", 390, 1600)] {
        browser.size(width, height);
        for scheme in ["light", "dark"] {
            browser.scheme(scheme);
            browser.value("document.querySelectorAll('details.cell').forEach(cell => { cell.open = false })");
            browser.value("scrollTo(0, 0)");
            let picture = browser.picture();
            keep(&picture, &format!("{name}-{scheme}.png"));
            let ([red, green, blue], share) = picture.ground();
            let brightness = (u32::from(red) + u32::from(green) + u32::from(blue)) / 3;
            assert!(
                if scheme == "light" { brightness > 220 } else { brightness < 50 },
                "{name} {scheme}: {brightness}"
            );
            assert!((0.3..0.97).contains(&share), "{name} {scheme}: {share} of it is nothing");
            let colours: BTreeSet<_> = picture.pixels.iter().collect();
            assert!(colours.len() > 100, "{name} {scheme}: {} colours", colours.len());
            // What is said of a cell stands within it.
            let beyond = "[...document.querySelectorAll('.matrix td.cell .proof, .matrix td.cell small')].filter(part => \
                          part.getBoundingClientRect().right > part.closest('td').getBoundingClientRect().right).length";
            assert_eq!(browser.value(beyond), 0, "{name}");
            browser.value("document.querySelectorAll('details.cell').forEach(cell => { cell.open = true })");
            let [page, window] = ["scrollWidth", "clientWidth"]
                .map(|what| browser.value(&format!("document.scrollingElement.{what}")).as_u64().unwrap());
            assert!(page <= window && window <= width.into(), "{name}: {page} in {window}");
            browser.value("document.querySelector('details.cell').scrollIntoView()");
            keep(&browser.picture(), &format!("{name}-{scheme}-cells.png"));
            browser.value("document.getElementById('sizes').scrollIntoView()");
            keep(&browser.picture(), &format!("{name}-{scheme}-sizes.png"));
        }
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

/// A page with something wrong is told from one without: the checks above can fail.
fn planted(place: &Place, nginx: &Nginx, browser: &mut Chromium) {
    browser.value("setTimeout(() => { throw new Error('planted') })");
    assert!(browser.complaints().iter().any(|complaint| complaint.contains("planted")));
    let page = fs_err::read_to_string(place.sandbox.out().join("report.html")).unwrap();
    let altered = [
        // Nobody else's script runs.
        page.replace("<h1>", "<script>document.title = 'evil'</script><h1>"),
        page.replace("\"use strict\";", "\"use strict\"; document.title = 'evil';"),
        page.replace("<h1>", "<img src=\"x.png\" alt=\"\"><h1>"),
    ];
    for (number, altered) in altered.iter().enumerate() {
        assert_ne!(*altered, page);
        let file = place.sandbox.input(&format!("{number}.html"), altered);
        nginx.put(&format!("{number}.html"), &file);
        browser.open(&format!("{}/{number}.html", nginx.url()));
        let complaints = browser.complaints();
        assert!(complaints.iter().any(|complaint| complaint.contains("Content Security Policy")), "{complaints:?}");
        assert_ne!(browser.value("document.title"), "evil");
    }
}

#[test]
fn a_report_that_is_elsewhere_finds_the_cells_from_there() {
    if !require("rpmbuild") {
        return;
    }
    let place = Place::new();
    let repository = place.sandbox.path().join("www/el6 repo");
    place.fleet("report").arg("--to").arg(&repository).exits(0).prints("/el6 repo/report.html\n");
    let hrefs = |dir: &Path| {
        let data: Value = serde_json::from_slice(&fs_err::read(dir.join("report.json")).unwrap()).unwrap();
        let cells = data["cells"].as_array().unwrap().clone();
        let linked = |cell: &Value| {
            [cell["links"].as_array().unwrap().clone(), cell["packages"].as_array().unwrap().clone()].concat()
        };
        cells.iter().flat_map(linked).map(|link| link["href"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let found = hrefs(&repository);
    assert!(found.len() > 10);
    for href in found {
        let href = href.unwrap();
        assert!(href.starts_with("../../out/"), "{href}");
        assert!(repository.join(&href).is_file(), "{href}");
    }
    assert!(!place.sandbox.out().join("report.html").exists());
    // Where whoever shows the page does not show the cells: their names, and no links.
    let far = tempfile::Builder::new().prefix("kbuild-it-").tempdir_in("/dev/shm").unwrap();
    place.fleet("report").arg("--to").arg(far.path()).exits(0);
    assert!(hrefs(far.path()).iter().all(Option::is_none));
    let page = fs_err::read_to_string(far.path().join("report.html")).unwrap();
    assert!(page.contains(DONE[0]) && !page.contains("href=\"/") && !page.contains("../"));
    // A fleet of which nothing is there yet has a report, too.
    let empty = place.sandbox.path().join("empty");
    place.fleet("report").arg("--out").arg(&empty).exits(0).prints("4 cells: 4 new");
    assert_eq!(fs_err::read_dir(&empty).unwrap().count(), 2);
}
