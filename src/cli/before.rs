//! What is done before there is a plan, with its time: the source package fetched and read.

use std::sync::{Arc, Mutex, PoisonError};

use crate::event::{Event, Reporter, Stage};
use crate::sys::processes;
use crate::times::StageTime;

/// The stages that have ended before there was a plan.
#[derive(Debug, Clone, Default)]
pub(super) struct Before(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    ended: Vec<StageTime>,
    /// The processor time when the stage that runs began.
    cpu: f64,
}

/// Passes on what happens, and notes it.
struct Noting {
    reporter: Box<dyn Reporter>,
    before: Before,
}

impl Before {
    /// Returns a reporter that tells another one, and what it will have noted.
    pub(super) fn of(reporter: Box<dyn Reporter>) -> (Box<dyn Reporter>, Self) {
        let before = Self::default();
        (Box::new(Noting { reporter, before: before.clone() }), before)
    }

    /// Takes the stages that have ended so far; they are given once.
    pub(super) fn take(&self) -> Vec<StageTime> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).ended)
    }

    fn note(&self, event: &Event) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::StageStarted { stage: Stage::Fetch | Stage::Inspect, .. } => noted.cpu = processes::own_cpu(),
            Event::StageFinished { stage: stage @ (Stage::Fetch | Stage::Inspect), seconds } => {
                let cpu_seconds = Some((processes::own_cpu() - noted.cpu).max(0.0));
                noted.ended.push(StageTime { stage: *stage, seconds: *seconds, cpu_seconds, taken: false });
            }
            _ => {}
        }
    }
}

impl Reporter for Noting {
    fn report(&self, event: &Event) {
        self.before.note(event);
        self.reporter.report(event);
    }
}
