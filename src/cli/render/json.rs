//! JSON lines for programs: a line that says which version of the format this is, then one object per event.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::Verbosity;
use crate::event::{Event, Reporter};

/// The version of the lines. It is raised when a reader of the old ones would be misled, not when events or fields are
/// added.
const VERSION: u32 = 1;

/// The first line.
#[derive(Serialize)]
struct Head {
    event: &'static str,
    version: u32,
    kbuild: &'static str,
}

/// Writes each event as one line of JSON, at once.
pub(super) struct Json<W> {
    out: Mutex<W>,
    verbosity: Verbosity,
}

impl<W: Write + Send> Json<W> {
    /// Returns the renderer and writes the first line.
    pub(super) fn new(out: W, verbosity: Verbosity) -> Self {
        let json = Self { out: Mutex::new(out), verbosity };
        json.line(&Head { event: "format", version: VERSION, kbuild: env!("CARGO_PKG_VERSION") });
        json
    }

    /// Writes one line. That it cannot be written is the reader's affair: the build goes on.
    fn line(&self, value: &impl Serialize) {
        let Ok(mut line) = serde_json::to_string(value) else {
            return;
        };
        line.push('\n');
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    }
}

impl<W: Write + Send> Reporter for Json<W> {
    fn report(&self, event: &Event) {
        if self.verbosity.shows(event) {
            self.line(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::event::{Stage, Unit};

    const HEAD: &str = concat!(r#"{"event":"format","version":1,"kbuild":""#, env!("CARGO_PKG_VERSION"), "\"}\n");

    fn rendered(verbosity: Verbosity, events: &[Event]) -> String {
        let json = Json::new(Vec::new(), verbosity);
        for event in events {
            json.report(event);
        }
        String::from_utf8(json.out.into_inner().unwrap()).unwrap()
    }

    fn script() -> Vec<Event> {
        vec![
            Event::BuildStarted { nvr: "kernel-5.14.0-1".into(), bits: 20, index: 1, of: 2 },
            Event::StageStarted { stage: Stage::Verify, what: "reading a\nb".into() },
            Event::Progress {
                stage: Stage::Verify,
                phase: None,
                done: 10,
                total: Some(20),
                estimated: false,
                unit: Unit::Bytes,
                what: String::new(),
            },
            Event::Exec { command: "/bin/true".into() },
            Event::Warning { text: "little space".into() },
            Event::Proved { level: 3, subject: "/boot/config".into(), verdict: "20".into(), holds: Some(true) },
            Event::StageFinished { stage: Stage::Verify, seconds: 0.5 },
        ]
    }

    #[test]
    fn one_object_per_event_after_the_version() {
        let lines = [
            r#"{"event":"build-started","nvr":"kernel-5.14.0-1","bits":20,"index":1,"of":2}"#,
            r#"{"event":"stage-started","stage":"verify","what":"reading a\nb"}"#,
            concat!(
                r#"{"event":"progress","stage":"verify","phase":null,"done":10,"total":20,"#,
                r#""estimated":false,"unit":"bytes","what":""}"#
            ),
            r#"{"event":"warning","text":"little space"}"#,
            r#"{"event":"proved","level":3,"subject":"/boot/config","verdict":"20","holds":true}"#,
            r#"{"event":"stage-finished","stage":"verify","seconds":0.5}"#,
        ];
        assert_eq!(rendered(Verbosity::Normal, &script()), format!("{HEAD}{}\n", lines.join("\n")));
    }

    #[test]
    fn quiet_and_verbose() {
        let quiet = rendered(Verbosity::Quiet, &script());
        assert_eq!(quiet, format!("{HEAD}{{\"event\":\"warning\",\"text\":\"little space\"}}\n"));
        let verbose = rendered(Verbosity::Verbose, &script());
        assert!(verbose.contains("{\"event\":\"exec\",\"command\":\"/bin/true\"}\n"), "{verbose}");
    }

    #[test]
    fn lines_can_be_read_back() {
        let text = rendered(Verbosity::Verbose, &script());
        let events: Vec<Event> = text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events, script());
    }

    /// Like a pipe whose reader has gone.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_panic() {
        let json = Json::new(Closed, Verbosity::Normal);
        for event in script() {
            json.report(&event);
        }
    }
}
