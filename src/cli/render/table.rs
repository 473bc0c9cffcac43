//! Tables: where the time of a build went, and what each of several values cost.

use std::fmt::Write;

use super::units;
use crate::event::Stage;
use crate::times::{Cache, Times, Variant};

/// Columns of the names.
const NAMES: usize = 22;

/// The lines of the table that says where the time went.
pub(super) fn times(times: &Times) -> Vec<String> {
    let head = format!("{:<NAMES$} {:>7} {:>7} {:>5}", "where the time went", "wall", "CPU", "busy");
    let mut lines = vec![head];
    for stage in &times.stages {
        if stage.taken {
            lines.push(format!("  {:<20} {:>7}  from an earlier run", stage.stage.name(), "-"));
            continue;
        }
        lines.push(row(&format!("  {}", stage.stage), stage.seconds, stage.cpu_seconds, ""));
        if stage.stage == Stage::Build {
            let parts = times.parts.iter();
            lines.extend(
                parts.map(|part| row(&format!("    {}", part.part), part.seconds, part.cpu_seconds, part.part.what())),
            );
        }
    }
    lines.push(row("  all", times.seconds(), times.cpu_seconds(), ""));
    lines.extend(times.cache.as_ref().and_then(cache));
    lines
}

/// The lines of the table that says what each value cost.
pub(super) fn variants(variants: &[Variant]) -> Vec<String> {
    let head = format!(
        "{:<NAMES$} {:>7} {:>7} {:>5} {:>8} {:>8}",
        "cost per value", "wall", "CPU", "busy", "compile", "of first"
    );
    let first = variants.first().map_or(0.0, |variant| variant.seconds);
    let mut lines = vec![head];
    for variant in variants {
        let mut line = row(&format!("  {} bits", variant.bits), variant.seconds, variant.cpu_seconds, "");
        let compile = variant.compile_seconds.map_or_else(|| "-".to_owned(), time);
        let ratio = if first > 0.0 { format!("{:.2}", variant.seconds / first) } else { "-".into() };
        // Writing to a String does not fail.
        let _ = write!(line, " {compile:>8} {ratio:>8}");
        if let Some(percent) = variant.cache.as_ref().and_then(Cache::percent) {
            let _ = write!(line, "  {percent} % from the cache");
        }
        lines.push(line);
    }
    lines
}

/// A name, its time, the same on processors, and how many of them were busy on average.
fn row(name: &str, seconds: f64, cpu: Option<f64>, more: &str) -> String {
    let busy = match cpu {
        // Less than that is within what a clock of 100 ticks a second can tell.
        Some(cpu) if seconds >= 0.05 => format!("{:.1}", cpu / seconds),
        _ => "-".to_owned(),
    };
    let cpu = cpu.map_or_else(|| "-".to_owned(), time);
    let line = format!("{name:<NAMES$} {:>7} {cpu:>7} {busy:>5}", time(seconds));
    if more.is_empty() { line } else { format!("{line}  {more}") }
}

fn time(seconds: f64) -> String {
    units::duration(units::seconds(seconds))
}

fn cache(cache: &Cache) -> Option<String> {
    let percent = cache.percent()?;
    let all = cache.hits + cache.misses;
    let mut line = format!("{} of {all} compilations came from the cache ({percent} %)", cache.hits);
    if cache.is_poor() {
        let why = cache.why.as_deref().unwrap_or("the cache does not say why there were not more");
        // Writing to a String does not fail.
        let _ = write!(line, ": {why}");
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::times::{Part, PartTime, StageTime};

    fn stage(stage: Stage, seconds: f64, cpu_seconds: Option<f64>, taken: bool) -> StageTime {
        StageTime { stage, seconds, cpu_seconds, taken }
    }

    fn part(part: Part, seconds: f64, cpu_seconds: Option<f64>) -> PartTime {
        PartTime { part, seconds, cpu_seconds }
    }

    #[test]
    fn the_table_has_stages_parts_and_what_is_not_known() {
        let mut given = Times {
            stages: vec![
                stage(Stage::Fetch, 61.0, None, false),
                stage(Stage::Edit, 0.01, Some(0.01), false),
                stage(Stage::Build, 300.0, Some(540.0), false),
            ],
            parts: vec![part(Part::Compile, 250.0, Some(500.0)), part(Part::Unknown, 3.0, None)],
            cache: Some(Cache { hits: 1, misses: 3, why: Some("another compiler".into()) }),
        };
        let expected = "\
where the time went       wall     CPU  busy
  fetch                 1m 01s       -     -
  edit                    0.0s    0.0s     -
  build                 5m 00s  9m 00s   1.8
    compile             4m 10s  8m 20s   2.0
    unknown               3.0s       -     -  nothing was seen of it
  all                   6m 01s  9m 00s   1.5
1 of 4 compilations came from the cache (25 %): another compiler";
        assert_eq!(times(&given).join("\n"), expected);
        given.stages[2] = stage(Stage::Build, 0.0, None, true);
        (given.parts, given.cache) = (Vec::new(), Some(Cache { hits: 1, misses: 1, why: None }));
        let lines = times(&given);
        assert_eq!(lines[3], "  build                      -  from an earlier run");
        assert_eq!(lines[5], "1 of 2 compilations came from the cache (50 %)");
    }

    #[test]
    fn values_are_compared_with_the_first() {
        let variant = |bits, seconds, cache| Variant {
            bits,
            seconds,
            cpu_seconds: Some(seconds * 2.0),
            compile_seconds: Some(seconds / 2.0),
            cache,
        };
        let cache = Cache { hits: 99, misses: 1, why: None };
        let expected = "\
cost per value            wall     CPU  busy  compile of first
  18 bits               1m 40s  3m 20s   2.0      50s     1.00
  20 bits                  25s     50s   2.0      13s     0.25  99 % from the cache";
        assert_eq!(variants(&[variant(18, 100.0, None), variant(20, 25.0, Some(cache))]).join("\n"), expected);
    }
}
