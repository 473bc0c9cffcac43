//! What the report makes of records and manifests, and the page of that.

use super::super::cell::Source;
use super::super::record::{Record, Status as Ended};
use super::entry::{Found, Standing};
use super::page::{Picture, Units};
use super::*;
use crate::pipeline::manifest::{FileRecord, Manifest, Status};
use crate::proof::{Finding, Verdict};
use crate::times::{StageTime, Times};

fn cell(group: &str, release: &str, bits: u8, route: &str) -> Cell {
    Cell { recipe: Some("el6".into()), ..Cell::of(group, release, bits, route) }
}

fn record(cell: &Cell, status: Ended) -> Record {
    Record {
        schema: 1,
        kbuild: "1".into(),
        cell: cell.clone(),
        inputs: super::super::inputs::Inputs::default(),
        command: "kbuild ipvs --bits=20".into(),
        runner: None,
        attempt: 2,
        started: "2026-11-26T10:00:00Z".into(),
        seconds: 12.5,
        status,
    }
}

/// A manifest as it is written.
fn manifest(status: Status) -> Manifest {
    let text = serde_json::json!({
        "schema": 1, "kbuild": "1", "status": { "is": "done" }, "started": "2026-11-26T10:00:01Z", "route": "kernel",
        "request": { "bits": 20, "arch": "x86_64", "mode": "bb", "profile": "fleet", "settings": [] },
        "nvr": "kernel-2.6.32-1.el6.ipvs_20bit", "release": null, "uname-r": "2.6.32-1.el6.ipvs_20bit.x86_64",
        "recipe": { "name": "el6", "sha256": "0", "why": "", "assumed": [], "way": "" }, "source": null, "edits": [],
        "user": "u", "tools": {}, "stages": [], "proof": [], "promised": [], "files": [], "reproduce": "",
    });
    let mut manifest: Manifest = serde_json::from_value(text).unwrap();
    manifest.status = status;
    manifest.files = ["INSTALL.md", "kernel-1.x86_64.rpm", "kernel-devel-1.x86_64.rpm"]
        .map(|name| FileRecord { name: name.into(), size: 1000, sha256: "abc".into() })
        .into();
    manifest.proof = vec![
        Finding::new(1, "spec", Verdict::Holds { evidence: "line 3".into() }),
        Finding::new(3, "config", Verdict::Holds { evidence: "CONFIG_X=20".into() }),
        Finding::new(3, "other", Verdict::Differs { expected: "20".into(), found: "18".into() }),
        Finding::new(4, "ip_vs.ko", Verdict::Holds { evidence: "16 · 2^20".into() }),
        Finding::new(4, "debug", Verdict::NotChecked { why: "no such section".into() }),
    ];
    let stage = |stage, cpu_seconds| StageTime { stage, seconds: 3.0, cpu_seconds, taken: false };
    manifest.times = Some(Times {
        stages: vec![stage(crate::event::Stage::Build, Some(2.5)), stage(crate::event::Stage::Prove, None)],
        ..Times::default()
    });
    manifest
}

fn found(record: Record, manifest: Manifest) -> Found {
    Found {
        record: Some(record),
        manifest: Some(manifest),
        instructions: Some(
            "# How\n\n    rpm -i \\\n        kernel-1.x86_64.rpm\n\nBack:\n\n    rpm -e kernel-1\n".into(),
        ),
        names: ["manifest.json", "cell.log", "logs/04-build.log", "logs/01-verify.log", "kernel-1.x86_64.rpm", "x"]
            .map(str::to_owned)
            .into(),
    }
}

fn entry(cell: &Cell, state: State, found: Found) -> Entry {
    let dir = std::path::Path::new("/f/out").join(&cell.name);
    let way = link::way("/f/out".as_ref(), &dir);
    Entry::new(cell, state, "kbuild ipvs --planned".into(), found, &dir, way.as_deref())
}

fn report(cells: &[Cell], entries: Vec<Entry>) -> Report {
    let origin = Origin {
        kbuild: "1".into(),
        written: "2026-11-26T12:00:00Z".into(),
        file: "/f/fleet.toml".into(),
        out: "/f/out".into(),
    };
    Report::new(origin, cells, entries)
}

fn page(report: &Report) -> String {
    let units = Units { duration: &|time| format!("{}s", time.as_secs()), bytes: &|bytes| format!("{bytes} B") };
    let picture = Picture { title: "A <picture>".into(), svg: "<svg></svg>".into() };
    page::render(report, &[picture], &units).unwrap()
}

#[test]
fn an_entry_says_what_record_and_manifest_say() {
    let cell = cell("g", "2.6.32-1.el6", 20, "kernel");
    let entry = entry(&cell, State::Done, found(record(&cell, Ended::Done), manifest(Status::Done)));
    let standing: Vec<Standing> = entry.proof.iter().map(|level| level.is).collect();
    let expected = [Standing::Holds, Standing::None, Standing::Differs, Standing::NotChecked, Standing::None];
    assert_eq!(standing, expected);
    assert_eq!(entry.proof[2].differs, ["other: expected 20, found 18"]);
    assert_eq!(entry.proof[3].not_checked, ["debug: no such section"]);
    assert_eq!(entry.proof[3].evidence.as_deref(), Some("ip_vs.ko: 16 · 2^20"));
    assert_eq!((entry.bytes, entry.cpu_seconds, entry.seconds, entry.attempt), (2000, Some(2.5), Some(12.5), 2));
    assert_eq!(entry.arch.as_deref(), Some("x86_64"));
    assert_eq!(entry.bucket_bytes, Some(16));
    // Only what is there is linked.
    let way = "g-2.6.32-1.el6-20-kernel/";
    assert_eq!(entry.packages[0].href, Some(format!("{way}kernel-1.x86_64.rpm")));
    assert_eq!(entry.packages[1].href, None);
    let links: Vec<&str> = entry.links.iter().map(|link| link.name.as_str()).collect();
    assert_eq!(links, ["manifest.json", "cell.log", "logs/01-verify.log", "logs/04-build.log"]);
    assert_eq!(entry.links[3].href, Some(format!("{way}logs/04-build.log")));
    assert_eq!(entry.commands.install, ["rpm -i \\\n    kernel-1.x86_64.rpm"]);
    assert_eq!(entry.commands.roll_back, ["rpm -e kernel-1"]);
    assert_eq!(entry.command, "kbuild ipvs --bits=20");
}

#[test]
fn what_an_earlier_attempt_left_is_not_said_of_a_later_one() {
    let cell = cell("g", "2.6.32-1.el6", 20, "kernel");
    let error = "the table is too large\nexpected 8 to 20";
    let failed = State::Failed { exit_code: 3, error: error.into() };
    let mut left = manifest(Status::Done);
    left.started = "2026-11-26T09:00:00Z".into();
    let ended = Ended::Failed { exit_code: 3, error: error.into() };
    let entry = entry(&cell, failed, found(record(&cell, ended), left));
    assert_eq!(entry.proof, []);
    assert_eq!(entry.packages, []);
    assert_eq!((&entry.nvr, &entry.commands), (&None, &commands::Commands::default()));
    assert_eq!(entry.why.as_deref(), Some("exit code 3: the table is too large"));
    assert_eq!(entry.failure.unwrap().error, error);
}

#[test]
fn one_that_was_never_begun_has_its_command() {
    let cell = cell("g", "2.6.32-1.el6", 20, "kernel");
    let entry = entry(&cell, State::New, Found::default());
    assert_eq!((entry.attempt, entry.seconds, entry.links.len()), (0, None, 0));
    assert_eq!(entry.command, "kbuild ipvs --planned");
}

#[test]
fn rows_are_releases_by_group_and_columns_are_sizes() {
    let cells = [
        cell("b", "1-1.el6", 20, "kernel"),
        cell("b", "1-1.el6", 18, "kernel"),
        cell("a", "1-1.el6", 20, "kernel"),
        cell("b", "1-1.el6", 20, "param"),
        cell("b", "2-1.el6", 22, "kernel"),
    ];
    let matrix = Matrix::of(&cells);
    assert_eq!(matrix.bits.iter().map(|bits| bits.get()).collect::<Vec<_>>(), [18, 20, 22]);
    let rows: Vec<_> = matrix
        .rows
        .iter()
        .map(|row| (row.group.as_str(), row.source.as_str(), row.route.as_str(), row.cells.iter().flatten().count()))
        .collect();
    assert_eq!(
        rows,
        [
            ("b", "1-1.el6", "kernel", 2),
            ("b", "1-1.el6", "param", 1),
            ("b", "2-1.el6", "kernel", 1),
            ("a", "1-1.el6", "kernel", 1)
        ]
    );
    assert_eq!(
        matrix.rows[0].cells,
        [Some("b-1-1.el6-18-kernel".to_owned()), Some("b-1-1.el6-20-kernel".into()), None]
    );
}

#[test]
fn the_curve_is_that_of_the_field() {
    let cells = [cell("a", "2.6.32-1.el6", 20, "kernel"), cell("b", "3.10.0-1.el7", 22, "kernel")];
    let entries: Vec<Entry> = cells.iter().map(|cell| entry(cell, State::New, Found::default())).collect();
    let curve = Curve::of(&entries);
    // list_head until 2.6.38, hlist_head since then.
    assert_eq!(curve.kinds.iter().map(|kind| kind.bytes).collect::<Vec<_>>(), [16, 8]);
    let sizes: Vec<u8> = curve.sizes.iter().map(|size| size.bits.get()).collect();
    assert_eq!(sizes, (8..=22).collect::<Vec<_>>());
    let of_20 = curve.sizes.iter().find(|size| size.bits.get() == 20).unwrap();
    assert_eq!((of_20.cells, &of_20.bytes[..]), (1, &[16 << 20, 8 << 20][..]));
    let million = curve.connections.iter().position(|connections| *connections == 1_000_000).unwrap();
    assert!((of_20.chain[million] - 1_000_000.0 / 1_048_576.0).abs() < 1e-9);
    assert!((of_20.look_up[million] - (1.0 + 999_999.0 / 2_097_152.0)).abs() < 1e-9);
    assert!(Curve::of(&[]).kinds.len() == 1);
}

#[test]
fn what_comes_from_outside_is_escaped() {
    let evil = "<script>alert('x')</script> & \"more\"";
    let mut cell = cell("g", "2.6.32-1.el6", 20, "kernel");
    cell.source = Source::Srpm("/x/<b>.src.rpm".into());
    let failed = State::Failed { exit_code: 8, error: format!("{evil}\n{evil}") };
    let mut record = record(&cell, Ended::Failed { exit_code: 8, error: evil.into() });
    record.command = format!("kbuild {evil}");
    record.runner = Some(crate::fleet::shard::Runner {
        engine: evil.into(),
        job: Some(evil.into()),
        url: Some("javascript:alert(1)".into()),
        node: None,
    });
    let mut manifest = manifest(Status::Failed { error: evil.into(), exit_code: 8, cause: None });
    manifest.nvr = evil.into();
    manifest.files[1].name = format!("{evil}.rpm");
    let found = found(record, manifest);
    let report = report(std::slice::from_ref(&cell), vec![entry(&cell, failed, found)]);
    let page = page(&report);
    assert_eq!(page.matches("<script").count(), 1, "only the page's own");
    assert!(page.contains("&lt;script&gt;alert(&#x27;x&#x27;)"));
    assert!(!page.contains("<b>.src") && !page.contains("javascript:"));
    assert!(page.contains("<figcaption>A &lt;picture&gt;</figcaption>\n<svg></svg>"));
}

#[test]
fn the_page_has_every_cell_and_nothing_from_elsewhere() {
    let cells =
        [cell("a", "1-1.el6", 18, "kernel"), cell("a", "1-1.el6", 20, "kernel"), cell("b", "1-1.el6", 20, "param")];
    let entries = vec![
        entry(&cells[0], State::Done, found(record(&cells[0], Ended::Done), manifest(Status::Done))),
        entry(&cells[1], State::New, Found::default()),
        entry(
            &cells[2],
            State::Lost { file: "a.rpm".into() },
            found(record(&cells[2], Ended::Done), manifest(Status::Done)),
        ),
    ];
    let report = report(&cells, entries);
    let counts: Vec<_> = report.counts.iter().map(|count| (count.state.as_str(), count.cells)).collect();
    assert_eq!(counts, [("lost", 1), ("new", 1), ("done", 1)]);
    assert_eq!((report.sums.packages, report.sums.bytes), (4, 4000));
    let page = page(&report);
    for cell in &cells {
        assert_eq!(page.matches(&format!("id=\"cell-{}\"", cell.name)).count(), 1, "{}", cell.name);
        assert!(page.contains(&format!("href=\"#cell-{}\"", cell.name)));
    }
    for elsewhere in ["src=", "url(", "@import", "href=\"http", "href=\"//"] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
    let again: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(again, report);
}

/// The colours that the style sheet names, for light and for dark.
fn colours() -> [std::collections::BTreeMap<String, [f64; 3]>; 2] {
    let text = include_str!("../../../templates/report.html");
    let styles = text.split("<style>").nth(1).unwrap();
    let (light, dark) = styles.split_once("prefers-color-scheme: dark").unwrap();
    [light, dark.split("\n}").next().unwrap()].map(|block| {
        let pairs = block.split([';', '{']).filter_map(|part| part.trim().strip_prefix("--")?.split_once(": #"));
        let channel = |text: &str, at: usize| f64::from(u8::from_str_radix(&text[at..at + 2], 16).unwrap()) / 255.0;
        pairs.map(|(name, hex)| (name.to_owned(), [0, 2, 4].map(|at| channel(hex, at)))).collect()
    })
}

/// The contrast of two colours, from 1 to 21 (WCAG 2, "contrast ratio").
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let light = |colour: [f64; 3]| {
        let [red, green, blue] =
            colour.map(|part| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    };
    let (one, other) = (light(one) + 0.05, light(other) + 0.05);
    one.max(other) / one.min(other)
}

#[test]
fn text_can_be_read_in_both_colour_schemes() {
    for colours in colours() {
        assert!(colours.len() > 16, "{colours:?}");
        let grounds = ["bg", "panel"];
        let texts = ["fg", "muted", "link", "good", "bad", "warn", "calm", "info"];
        let mut pairs: Vec<(&str, String)> =
            grounds.iter().flat_map(|ground| texts.map(|text| (text, (*ground).to_owned()))).collect();
        // Marks of any kind stand on cells of any state.
        for state in ["good", "bad", "warn", "calm", "info"] {
            pairs.extend(["good", "bad", "warn", "calm"].map(|text| (text, format!("{state}-bg"))));
            pairs.push((state, format!("{state}-bg")));
        }
        for (text, ground) in pairs {
            let found = contrast(colours[text], colours[&ground]);
            assert!(found >= 4.5, "{text} on {ground}: {found:.2}");
        }
        for curve in 0..4 {
            assert!(contrast(colours[&format!("curve-{curve}")], colours["bg"]) >= 4.5);
        }
    }
}
