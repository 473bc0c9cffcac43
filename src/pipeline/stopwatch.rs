//! The clock of a run: when its stages and the parts of its build began and ended.

use std::time::Instant;

use super::{Context, Error};
use crate::event::{Event, Stage};
use crate::plan::layout::TRACE;
use crate::sys::{clock, processes};
use crate::times::{Cache, Part, Recording, Span, StageSpan, StageTime, Times, trace};

/// The clock of one run, and what it has measured.
#[derive(Debug)]
pub(super) struct Stopwatch {
    began: Instant,
    recording: Recording,
    /// When the stage that runs began, and the processor time then.
    stage: (f64, f64),
}

/// A stage that runs.
#[derive(Debug)]
pub(super) struct Running {
    stage: Stage,
    start: f64,
    cpu: f64,
}

impl Stopwatch {
    /// Starts now; `before` are stages that have ended already, one after the other.
    pub(super) fn new(before: &[StageTime]) -> Self {
        let mut stopwatch = Self { began: Instant::now(), recording: Recording::default(), stage: (0.0, 0.0) };
        let all: f64 = before.iter().map(|time| time.seconds).sum();
        let mut start = -all;
        for time in before {
            stopwatch.recording.stages.push(StageSpan { start, time: time.clone() });
            start += time.seconds;
        }
        stopwatch
    }

    /// Seconds since the run began.
    pub(super) fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// The moment at which the run began.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// A stage begins.
    pub(super) fn start(&mut self, stage: Stage) -> Running {
        self.stage = (self.now(), processes::own_cpu());
        let (start, cpu) = self.stage;
        Running { stage, start, cpu }
    }

    /// All until now in this stage was asking.
    pub(super) fn asked(&mut self) {
        let (start, cpu) = self.stage;
        let cpu = Some((processes::own_cpu() - cpu).max(0.0));
        self.recording.parts.push(Span { part: Part::Ask, start, end: self.now(), cpu });
    }

    /// It ends, and took so many seconds.
    pub(super) fn end(&mut self, running: &Running) -> f64 {
        let seconds = self.now() - running.start;
        let cpu_seconds = Some((processes::own_cpu() - running.cpu).max(0.0));
        let time = StageTime { stage: running.stage, seconds, cpu_seconds, taken: false };
        self.recording.stages.push(StageSpan { start: running.start, time });
        seconds
    }

    /// A stage is left out, since what it makes is there.
    pub(super) fn taken(&mut self, stage: Stage) {
        let time = StageTime { stage, seconds: 0.0, cpu_seconds: None, taken: true };
        self.recording.stages.push(StageSpan { start: self.now(), time });
    }

    /// Takes what was seen of rpmbuild's run.
    pub(super) fn parts(&mut self, (parts, objects): (Vec<Span>, Vec<(f64, String)>)) {
        self.recording.parts.extend(parts);
        self.recording.objects.extend(objects);
    }

    /// When the run began, in nanoseconds since 1970.
    pub(super) fn beginning(&self) -> u128 {
        clock::nanoseconds().saturating_sub(self.began.elapsed().as_nanos())
    }

    /// Takes compilations that were measured.
    pub(super) fn compilations(&mut self, compilations: Vec<trace::Compilation>) {
        self.recording.compilations.extend(compilations);
    }

    /// Takes what a cache of compilations did.
    pub(super) fn cache(&mut self, cache: Cache) {
        self.recording.cache = Some(cache);
    }

    /// Adds up where the time went.
    pub(super) fn times(&self) -> Times {
        self.recording.times()
    }

    /// Returns the run as a trace that begins at 0.
    pub(super) fn trace(&self, title: &str) -> trace::Trace {
        trace::of(&self.recording, title)
    }
}

/// Says where the time went: to whoever watches, in the manifest, and as a trace among the results.
pub(super) fn tell(context: &mut Context<'_>) -> Result<(), Error> {
    let times = context.stopwatch.times();
    context.reporter.report(&Event::Times { times: times.clone() });
    context.manifest.times = Some(times);
    let failed = |source| Error::io("the trace cannot be written", source);
    let text =
        serde_json::to_vec(&context.stopwatch.trace(&context.manifest.nvr)).map_err(|error| failed(error.into()))?;
    let written = context.out.put(TRACE, text.len() as u64, &mut text.as_slice()).map_err(failed)?;
    context.manifest.add(TRACE, written);
    Ok(())
}
