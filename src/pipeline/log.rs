//! The log of a stage that runs no program: what it was about to do, what it found, how it ended.
//!
//! Build and boot keep the raw output of rpmbuild and of the guest instead.

use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use fs_err::File;

use crate::event::{Event, Reporter};

/// Passes events on and writes those worth keeping into a file.
pub(super) struct Log<'a> {
    next: &'a dyn Reporter,
    file: Mutex<File>,
}

impl<'a> Log<'a> {
    /// Starts a log.
    pub(super) fn new(path: &Path, next: &'a dyn Reporter) -> std::io::Result<Self> {
        Ok(Self { next, file: Mutex::new(File::create(path)?) })
    }
}

impl Reporter for Log<'_> {
    fn report(&self, event: &Event) {
        if let Some(line) = line(event) {
            // Only for later reading: a log that cannot be written is no reason to stop.
            let _ = writeln!(self.file.lock().unwrap_or_else(PoisonError::into_inner), "{line}");
        }
        self.next.report(event);
    }
}

fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::StageStarted { what, .. } => what.clone(),
        Event::Note { text } => format!("note: {text}"),
        Event::Warning { text } => format!("warning: {text}"),
        Event::Exec { command } => format!("exec: {command}"),
        Event::Proved { level, subject, verdict, .. } => format!("level {level}  {subject}  {verdict}"),
        Event::StageFinished { seconds, .. } => format!("done in {seconds:.1} s"),
        Event::StageFailed { seconds, .. } => format!("failed after {seconds:.1} s"),
        Event::BuildStarted { .. } | Event::Progress { .. } | Event::Times { .. } | Event::Variants { .. } => {
            return None;
        }
    })
}
