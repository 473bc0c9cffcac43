//! A run as a trace: the JSON of Chrome's Trace Event Format, which Perfetto, Firefox Profiler and speedscope read, too.
//!
//! Times are in microseconds since the run began. Slices are complete events (`X`); compilations that were only announced
//! are instants (`i`), since nobody knows when they ended; compilations that were measured are slices on tracks of their
//! own, so many as ran at the same time.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Recording;

/// The process of the trace: there is one.
const PROCESS: u32 = 1;
/// The track of the stages.
const STAGES: u32 = 1;
/// The track of the parts of rpmbuild's run.
const PARTS: u32 = 2;
/// The track of compilations that were announced.
const OBJECTS: u32 = 3;
/// The first track of compilations that were measured.
const COMPILATIONS: u32 = 10;

/// A compilation that was measured from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Compilation {
    /// When it began, in seconds since the run began.
    pub start: f64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What was compiled.
    pub file: String,
    /// Whether a cache had it.
    pub hit: bool,
}

/// A trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trace {
    /// The events, in any order.
    pub trace_events: Vec<Event>,
    /// How times are shown.
    pub display_time_unit: String,
    /// What the trace is of.
    pub other_data: Map<String, Value>,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// What is shown.
    pub name: String,
    /// What kind of thing it is.
    pub cat: String,
    /// `X` for a slice, `i` for an instant, `M` for the name of a track.
    pub ph: String,
    /// When, in microseconds.
    pub ts: f64,
    /// How long, in microseconds; slices only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dur: Option<f64>,
    /// The process.
    pub pid: u32,
    /// The track.
    pub tid: u32,
    /// `t`: an instant is drawn on its track only; instants only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s: Option<String>,
    /// More to know.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub args: Map<String, Value>,
}

/// Returns a run as a trace; `title` names the kernel that was built.
#[must_use]
pub fn of(recording: &Recording, title: &str) -> Trace {
    let mut events = vec![
        meta("process_name", 0, "name", Value::from(format!("kbuild {title}"))),
        meta("thread_name", STAGES, "name", Value::from("stages")),
    ];
    // What was done before the run began has times below 0, which no reader expects.
    let earliest = recording.stages.iter().map(|stage| stage.start).fold(0.0_f64, f64::min);
    let at = |start: f64| start - earliest;
    for stage in &recording.stages {
        let time = &stage.time;
        let args = [("cpu-seconds", time.cpu_seconds.map(Value::from)), ("taken", time.taken.then(|| true.into()))];
        events.push(slice(time.stage.name(), "stage", (at(stage.start), time.seconds), STAGES, args));
    }
    if !recording.parts.is_empty() {
        events.push(meta("thread_name", PARTS, "name", Value::from("parts of the build")));
    }
    for span in &recording.parts {
        let args = [("cpu-seconds", span.cpu.map(Value::from))];
        events.push(slice(span.part.name(), "part", (at(span.start), span.end - span.start), PARTS, args));
    }
    if !recording.objects.is_empty() {
        events.push(meta("thread_name", OBJECTS, "name", Value::from("objects begun")));
    }
    for (begun, file) in &recording.objects {
        events.push(Event {
            ph: "i".into(),
            dur: None,
            s: Some("t".into()),
            ..slice(file, "object", (at(*begun), 0.0), OBJECTS, [])
        });
    }
    compilations(&mut events, &recording.compilations, -earliest);
    let other = [("title", Value::from(title)), ("kbuild", Value::from(env!("CARGO_PKG_VERSION")))];
    let other_data = other.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
    Trace { trace_events: events, display_time_unit: "ms".into(), other_data }
}

/// Adds compilations that were measured, each on the first track that is free when it begins; `later` is added to their
/// times, in seconds.
pub fn compilations(events: &mut Vec<Event>, compilations: &[Compilation], later: f64) {
    let mut sorted: Vec<&Compilation> = compilations.iter().collect();
    sorted.sort_by(|a, b| a.start.total_cmp(&b.start));
    // When each track is free again.
    let mut free: Vec<f64> = Vec::new();
    for compilation in sorted {
        let lane = free.iter().position(|at| *at <= compilation.start).unwrap_or(free.len());
        let track = COMPILATIONS + u32::try_from(lane).unwrap_or(u32::MAX - COMPILATIONS);
        let end = compilation.start + compilation.seconds;
        if let Some(at) = free.get_mut(lane) {
            *at = end;
        } else {
            free.push(end);
            events.push(meta("thread_name", track, "name", Value::from(format!("compiler {}", lane + 1))));
        }
        let args = [("cache", Some(Value::from(if compilation.hit { "hit" } else { "miss" })))];
        events.push(slice(
            &compilation.file,
            "compilation",
            (compilation.start + later, compilation.seconds),
            track,
            args,
        ));
    }
}

fn micros(seconds: f64) -> f64 {
    (seconds * 1e6).round().max(0.0)
}

fn slice<const N: usize>(
    name: &str,
    cat: &str,
    (start, seconds): (f64, f64),
    tid: u32,
    args: [(&str, Option<Value>); N],
) -> Event {
    // Both ends are rounded, so that slices that meet still do.
    let (from, to) = (micros(start), micros(start + seconds));
    let args = args.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    Event {
        name: name.to_owned(),
        cat: cat.to_owned(),
        ph: "X".into(),
        ts: from,
        dur: Some(to - from),
        pid: PROCESS,
        tid,
        s: None,
        args,
    }
}

fn meta(what: &str, tid: u32, name: &str, value: Value) -> Event {
    let args = std::iter::once((name.to_owned(), value)).collect();
    Event {
        name: what.into(),
        cat: "__metadata".into(),
        ph: "M".into(),
        ts: 0.0,
        dur: None,
        pid: PROCESS,
        tid,
        s: None,
        args,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Stage;
    use crate::times::{Part, Span, StageSpan, StageTime};

    #[test]
    fn stages_and_parts_are_slices_and_objects_are_instants() {
        let fetch = StageTime { stage: Stage::Fetch, seconds: 1.0, cpu_seconds: None, taken: false };
        let time = StageTime { stage: Stage::Build, seconds: 2.0, cpu_seconds: Some(3.5), taken: false };
        let recording = Recording {
            // What went before the run began comes first in the trace, too.
            stages: vec![StageSpan { start: -1.0, time: fetch }, StageSpan { start: 0.0, time }],
            parts: vec![
                Span { part: Part::Compile, start: 0.0, end: 1.000_000_4, cpu: None },
                Span { part: Part::Link, start: 1.000_000_4, end: 2.0, cpu: None },
            ],
            objects: vec![(0.5, "init/main.o".into())],
            ..Recording::default()
        };
        let trace = of(&recording, "kernel-1-1");
        let shown = |ph: &str| -> Vec<_> {
            let events = trace.trace_events.iter().filter(|event| event.ph == ph);
            events.map(|event| (event.name.as_str(), event.ts, event.dur, event.tid)).collect()
        };
        let slices = [
            ("fetch", 0.0, Some(1e6), STAGES),
            ("build", 1e6, Some(2e6), STAGES),
            ("compile", 1e6, Some(1e6), PARTS),
            ("link", 2e6, Some(1e6), PARTS),
        ];
        assert_eq!(shown("X"), slices);
        assert_eq!(shown("i"), [("init/main.o", 1.5e6, None, OBJECTS)]);
        assert_eq!(shown("M").len(), 4);
        let text = serde_json::to_string(&trace).unwrap();
        assert_eq!(serde_json::from_str::<Trace>(&text).unwrap(), trace);
    }

    #[test]
    fn measured_compilations_share_tracks_without_overlap() {
        let compilation = |start: f64, seconds, file: &str, hit| Compilation { start, seconds, file: file.into(), hit };
        let given = [
            compilation(2.0, 5.0, "c.o", false),
            compilation(0.0, 2.0, "a.o", true),
            compilation(1.0, 3.0, "b.o", false),
            compilation(4.0, 1.0, "d.o", false),
        ];
        let recording = Recording { compilations: given.to_vec(), ..Recording::default() };
        let trace = of(&recording, "x");
        let slices = trace.trace_events.iter().filter(|event| event.cat == "compilation");
        let placed: Vec<_> =
            slices.map(|event| (event.name.as_str(), event.tid - COMPILATIONS, event.args["cache"].clone())).collect();
        let expected = [("a.o", 0, "hit"), ("b.o", 1, "miss"), ("c.o", 0, "miss"), ("d.o", 1, "miss")]
            .map(|(a, b, c)| (a, b, c.into()));
        assert_eq!(placed, expected);
    }
}
