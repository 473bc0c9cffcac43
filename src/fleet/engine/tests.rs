//! Tests of what is written for engines, as text; the engines themselves judge it in tests/it.

use std::path::Path;

use super::super::cell::{Setting, Source};
use super::super::cost::Cost;
use super::super::{Cell, State};
use super::*;

fn planned(group: &str, bits: u8, state: State, seconds: f64) -> Planned {
    let cell = Cell::of(group, "1-1.el6", bits, "kernel");
    let cost = (!state.is_done()).then_some(Cost { seconds, measured: false });
    Planned { cell, state, cost, command: String::new() }
}

fn overview(cells: Vec<Planned>) -> Overview {
    Overview { schema: 1, out: "/d/fleet-out".into(), cells }
}

fn three() -> Overview {
    overview(vec![
        planned("a", 20, State::New, 9000.0),
        planned("a", 18, State::Done, 0.0),
        planned("b", 20, State::Begun, 1800.0),
    ])
}

fn wanted(overview: &Overview) -> Wanted<'_> {
    Wanted {
        overview,
        file: "fleet.toml",
        text: "schema = 1\n",
        dir: Path::new("/d"),
        shards: None,
        image: None,
        out: None,
        results: "fleet-out",
    }
}

#[track_caller]
fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|each| each.trim_start() == *line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn a_matrix_has_the_cells_that_have_to_be_built() {
    let overview = three();
    let wanted = wanted(&overview);
    let child = text(Document::GitlabChild, &wanted).unwrap();
    has(
        &child,
        &[
            "- a-1-1.el6-20-kernel",
            "- b-1-1.el6-20-kernel",
            "- kbuild fleet run --file fleet.toml --out fleet-cells --cell \"$KBUILD_CELL\"",
            "- kbuild fleet collect --file fleet.toml fleet-cells",
            "timeout: 10 hours",
            "needs: [cell]",
            "- fleet-out/",
        ],
    );
    assert!(!child.contains("-18-") && !child.contains("image") && !child.contains('<'), "{child}");
    let matrix = text(Document::GithubMatrix, &wanted).unwrap();
    assert_eq!(matrix, "{\"include\":[{\"part\":\"a-1-1.el6-20-kernel\"},{\"part\":\"b-1-1.el6-20-kernel\"}]}\n");
    let shared = Wanted { shards: Some(3), ..wanted };
    let matrix = text(Document::GithubMatrix, &shared).unwrap();
    assert_eq!(matrix, "{\"include\":[{\"part\":\"1/3\"},{\"part\":\"3/3\"}]}\n");
    let child = text(Document::GitlabChild, &shared).unwrap();
    has(&child, &["parallel: 3", "- kbuild fleet run --file fleet.toml --out fleet-cells --shard auto"]);
    let child = text(Document::GitlabChild, &Wanted { shards: Some(1), ..wanted }).unwrap();
    has(&child, &["- kbuild fleet run --file fleet.toml --out fleet-cells --shard 1/1", "timeout: 12 hours"]);
    assert!(!child.contains("parallel"), "{child}");
}

#[test]
fn where_nothing_has_to_be_built_no_job_does() {
    let overview = overview(vec![planned("a", 20, State::Done, 0.0)]);
    let wanted = wanted(&overview);
    let child = text(Document::GitlabChild, &wanted).unwrap();
    assert!(!child.contains("\ncell:") && !child.contains("needs"), "{child}");
    assert_eq!(text(Document::GithubMatrix, &wanted).unwrap(), "{\"include\":[]}\n");
}

#[test]
fn results_that_are_elsewhere_are_nobodys_artifacts() {
    let overview = three();
    for (results, kept) in [("fleet-out", true), ("./a/b/", true), ("/srv/fleet", false), ("../out", false)] {
        let wanted = Wanted { results, ..wanted(&overview) };
        for document in [Document::GitlabChild, Document::GithubWorkflow] {
            let text = text(document, &wanted).unwrap();
            assert_eq!(text.contains("name: fleet\n"), kept, "{results}: {text}");
        }
    }
}

#[test]
fn more_than_an_engine_makes_is_refused_with_what_to_do() {
    let cells = |count: u32| {
        let one = |n| planned(&format!("g{n}"), 20, State::New, 1.0);
        overview((0..count).map(one).collect())
    };
    for (count, document, fits) in [
        (200, Document::GitlabChild, true),
        (201, Document::GitlabChild, false),
        (256, Document::GithubMatrix, true),
        (257, Document::GithubMatrix, false),
        (1001, Document::Slurm, true),
    ] {
        let overview = cells(count);
        let wanted = wanted(&overview);
        match text(document, &wanted) {
            Ok(_) => assert!(fits, "{count} {document:?}"),
            Err(error) => {
                assert!(!fits && error.hint().unwrap().contains("--shards N"), "{count} {document:?}: {error}");
            }
        }
        assert!(text(document, &Wanted { shards: Some(7), ..wanted }).is_ok());
        assert!(count < 257 || text(Document::GithubWorkflow, &Wanted { shards: Some(257), ..wanted }).is_err());
    }
    // Beyond fifty a job cannot need them all one by one, and waits for their stage.
    for (count, line, other) in [(50, "needs: [cell]", "dependencies"), (51, "dependencies: [cell]", "needs")] {
        let overview = cells(count);
        let child = text(Document::GitlabChild, &wanted(&overview)).unwrap();
        has(&child, &[line]);
        assert!(!child.contains(other), "{child}");
    }
}

#[test]
fn indexes_name_all_shards_whatever_is_done() {
    let overview = three();
    let wanted = Wanted { image: Some("r.example/kbuild:1"), ..wanted(&overview) };
    let job = text(Document::Kubernetes, &wanted).unwrap();
    has(
        &job,
        &[
            "completions: 3",
            "parallelism: 3",
            "value: \"3\"",
            "values: [2, 3, 6, 7, 9]",
            "image: r.example/kbuild:1",
            "schema = 1",
            "- /results",
        ],
    );
    let script = text(Document::Slurm, &wanted).unwrap();
    has(
        &script,
        &[
            "#SBATCH --array=0-2",
            "export KBUILD_SHARDS=3",
            "exec kbuild fleet run --file fleet.toml --shard auto",
            "#     job=$(sbatch --parsable THIS-FILE)",
            "#     sbatch --dependency=afterany:$job --wrap 'kbuild fleet collect --file fleet.toml fleet-out && kbuild fleet report --file fleet.toml'",
        ],
    );
    // None is without a cell.
    let script = text(Document::Slurm, &Wanted { shards: Some(9), ..wanted }).unwrap();
    has(&script, &["#SBATCH --array=0-2", "export KBUILD_SHARDS=3"]);
}

#[test]
fn strange_names_stay_words() {
    let overview = three();
    let wanted = Wanted {
        file: "my fleets/a: ${{ b }} #'c'.toml",
        out: Some("/o u t"),
        results: "/o u t",
        image: Some("x y"),
        ..wanted(&overview)
    };
    let quoted = quote(wanted.file);
    let child = text(Document::GitlabChild, &wanted).unwrap();
    let call = format!("kbuild fleet run --file {quoted} --out fleet-cells --cell \"$KBUILD_CELL\"");
    assert!(child.contains(&format!("- {}\n", quoted::string(&call))), "{child}");
    let workflow = text(Document::GithubWorkflow, &wanted).unwrap();
    assert!(workflow.contains("a: ${{ '${{' }} b }} #"), "{workflow}");
    assert!(workflow.contains("--entrypoint kbuild 'x y' fleet run --file"), "{workflow}");
    let script = text(Document::Slurm, &wanted).unwrap();
    assert!(
        script.contains(&format!("exec kbuild fleet run --file {quoted} --out '/o u t' --shard auto\n")),
        "{script}"
    );
    assert_eq!(wanted.name(), "kbuild-a------b------c");
    for file in ["a\nb", "", "a\u{7f}"] {
        for document in [Document::GitlabChild, Document::GithubWorkflow, Document::Slurm] {
            assert!(matches!(text(document, &Wanted { file, ..wanted }), Err(Error::Word { .. })), "{file:?}");
        }
    }
}

#[test]
fn a_pod_must_have_what_the_fleet_is_made_from() {
    let mut overview = three();
    let with_image = |overview| text(Document::Kubernetes, &Wanted { image: Some("i"), ..wanted(overview) });
    assert_eq!(text(Document::Kubernetes, &wanted(&overview)), Err(Error::NoImage { engine: "Kubernetes" }));
    let out = Wanted { image: Some("i"), out: Some("here"), ..wanted(&overview) };
    assert_eq!(text(Document::Kubernetes, &out), Err(Error::Out { out: "here".into() }));
    let at = Wanted { image: Some("i"), out: Some("/srv/a b"), ..wanted(&overview) };
    has(&text(Document::Kubernetes, &at).unwrap(), &["- /srv/a b", "mountPath: /srv/a b"]);
    let long = "#".repeat(1_000_001);
    let large = Wanted { image: Some("i"), text: &long, ..wanted(&overview) };
    assert!(matches!(text(Document::Kubernetes, &large), Err(Error::TooLarge { .. })));
    let settings = &mut overview.cells[0].cell.settings;
    settings.push(Setting { option: "patch".into(), values: vec!["/other/p".into(), "/d/p".into()] });
    settings.push(Setting { option: "set".into(), values: vec!["/d/not-a-path".into()] });
    overview.cells[1].cell.source = Source::Srpm("/d/k.src.rpm".into());
    overview.cells[2].cell.source = Source::Srpm("https://h/d/k.src.rpm".into());
    let paths = vec!["/d/p".to_owned(), "/d/k.src.rpm".to_owned()];
    assert_eq!(with_image(&overview), Err(Error::NotThere { paths }));
}
