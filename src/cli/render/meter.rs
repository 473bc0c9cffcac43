//! How far a stage is: counts, rate and the time that is left, from [`Event::Progress`].

use std::time::Duration;

use super::{units, words};
use crate::event::{Event, Unit};

/// For how long something must be measured before a rate is worth showing.
const SETTLED: Duration = Duration::from_secs(2);
/// Columns for the name of what is being worked on.
const WHAT_WIDTH: usize = 100;

/// The latest progress of a stage, and where its present phase began.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    phase: Option<String>,
    what: String,
    unit: Unit,
    done: u64,
    total: Option<u64>,
    estimated: bool,
    /// What was done when the phase was first seen, and when that was.
    first: (u64, Duration),
}

impl Meter {
    /// Returns the meter after an event at a time of the stage: `before` was the meter until then.
    /// An event that is no progress changes nothing.
    pub(super) fn after(before: Option<Self>, event: &Event, at: Duration) -> Option<Self> {
        let Event::Progress { stage: _, phase, done, total, estimated, unit, what } = event else {
            return before;
        };
        let phase = phase.as_deref().map(|phase| words::shorten(&words::line(phase), 40));
        let goes_on = |before: &Self| before.phase == phase && before.unit == *unit && before.done <= *done;
        let first = before.filter(goes_on).map_or((*done, at), |before| before.first);
        let what = words::shorten(&words::line(what), WHAT_WIDTH);
        Some(Self { phase, what, unit: *unit, done: *done, total: *total, estimated: *estimated, first })
    }

    /// The part of the stage, if it has parts.
    pub(super) fn phase(&self) -> Option<&str> {
        self.phase.as_deref().filter(|phase| !phase.is_empty())
    }

    /// What is being worked on; may be empty.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// The numbers at a time of the stage: how much of how much, percent, rate, time left; those that can be had.
    pub(super) fn figures(&self, at: Duration) -> Vec<String> {
        let percent = self.cells(100);
        let rate = self.rate(at).map(|rate| format!("{}/s", units::bytes(rate)));
        let left = self.left(at).map(|left| format!("eta {}{}", self.about(), units::duration(left)));
        [self.amount(), percent.map(|percent| format!("{percent}%")), rate, left].into_iter().flatten().collect()
    }

    /// How many of `width` cells of a bar are full, if there is something to fill.
    pub(super) fn cells(&self, width: usize) -> Option<usize> {
        let total = u128::from(self.goal().filter(|total| *total > 0)?);
        let width = u128::try_from(width).ok()?;
        usize::try_from(u128::from(self.done) * width / total).ok()
    }

    /// The number that will be reached, unless more was done already or the number is only a limit.
    fn goal(&self) -> Option<u64> {
        self.total.filter(|total| self.unit != Unit::Seconds && self.done <= *total)
    }

    fn amount(&self) -> Option<String> {
        let about = self.about();
        let noun = match self.unit {
            Unit::Objects => "object",
            Unit::Files => "file",
            Unit::Bytes => "byte",
            Unit::Seconds => "second",
        };
        let time = |seconds| units::duration(Duration::from_secs(seconds));
        match (self.unit, self.total) {
            (_, None) if self.done == 0 => None,
            (Unit::Bytes, None) => Some(units::bytes(self.done)),
            (Unit::Bytes, Some(total)) => Some(units::bytes_of(self.done, total, about)),
            (Unit::Seconds, None) => Some(time(self.done)),
            (Unit::Seconds, Some(limit)) => Some(format!("{} of at most {}", time(self.done), time(limit))),
            (_, None) => Some(units::count(self.done, noun)),
            (_, Some(total)) => Some(format!("{}/{about}{}", self.done, units::count(total, noun))),
        }
    }

    fn about(&self) -> &'static str {
        if self.estimated { "~" } else { "" }
    }

    /// Bytes per second since the phase began.
    fn rate(&self, at: Duration) -> Option<u64> {
        let (moved, took) = self.moved(at)?;
        if self.unit != Unit::Bytes {
            return None;
        }
        u64::try_from(u128::from(moved) * 1000 / took.as_millis()).ok()
    }

    /// The time that the rest takes if it goes on as it did since the phase began.
    fn left(&self, at: Duration) -> Option<Duration> {
        let (moved, took) = self.moved(at)?;
        let rest = self.goal()?.checked_sub(self.done).filter(|rest| *rest > 0)?;
        u64::try_from(took.as_millis() * u128::from(rest) / u128::from(moved)).ok().map(Duration::from_millis)
    }

    /// What was done since the phase began, and the time it took, when both are enough to reckon with.
    fn moved(&self, at: Duration) -> Option<(u64, Duration)> {
        let (done, since) = self.first;
        let moved = self.done.checked_sub(done).filter(|moved| *moved > 0)?;
        let took = at.checked_sub(since).filter(|took| *took >= SETTLED)?;
        Some((moved, took))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Stage;

    fn progress(unit: Unit, done: u64, total: Option<u64>, estimated: bool) -> Event {
        let (phase, what) = (Some("%build".to_owned()), "CC a.o".to_owned());
        Event::Progress { stage: Stage::Build, phase, done, total, estimated, unit, what }
    }

    /// The figures after progress events of a unit at times in seconds.
    fn figures(unit: Unit, events: &[(u64, u64)], total: Option<u64>, estimated: bool, at: u64) -> String {
        let mut meter = None;
        for (seconds, done) in events {
            let event = progress(unit, *done, total, estimated);
            meter = Meter::after(meter, &event, Duration::from_secs(*seconds));
        }
        meter.map_or_else(String::new, |meter| meter.figures(Duration::from_secs(at)).join(" | "))
    }

    #[test]
    fn shows_what_can_be_known() {
        let (bytes, objects) = (Unit::Bytes, Unit::Objects);
        let mib = 1 << 20;
        for (shown, expected) in [
            (figures(objects, &[(0, 0)], None, false, 0), ""),
            (figures(objects, &[(0, 1)], None, false, 9), "1 object"),
            (figures(Unit::Files, &[(0, 0), (5, 7)], None, false, 9), "7 files"),
            (figures(objects, &[(0, 0)], Some(5600), true, 9), "0/~5600 objects | 0%"),
            (figures(objects, &[(0, 0), (10, 1400)], Some(5600), true, 10), "1400/~5600 objects | 25% | eta ~30s"),
            (figures(objects, &[(0, 0), (1, 1400)], Some(5600), true, 1), "1400/~5600 objects | 25%"),
            (figures(objects, &[(0, 0), (10, 5601)], Some(5600), true, 10), "5601/~5600 objects"),
            (figures(objects, &[(0, 0), (10, 10)], Some(10), false, 10), "10/10 objects | 100%"),
            (figures(objects, &[(0, 0)], Some(0), false, 10), "0/0 objects"),
            (figures(objects, &[(0, 0)], Some(1), false, 10), "0/1 object | 0%"),
            (
                figures(bytes, &[(0, 0), (4, 40 * mib)], Some(120 * mib), false, 4),
                "40.0/120.0 MiB | 33% | 10.0 MiB/s | eta 8.0s",
            ),
            (figures(bytes, &[(0, 0), (4, 40 * mib)], None, false, 4), "40.0 MiB | 10.0 MiB/s"),
            (figures(Unit::Seconds, &[(0, 0), (12, 12)], Some(300), false, 12), "12s of at most 5m 00s"),
        ] {
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn time_left_is_reckoned_from_the_start_of_the_phase() {
        // Resumed at 1000 objects after 100 s of something else.
        let shown = figures(Unit::Objects, &[(100, 1000), (110, 1100)], Some(2000), false, 110);
        assert_eq!(shown, "1100/2000 objects | 55% | eta 1m 30s");
        // Begun anew.
        let shown = figures(Unit::Objects, &[(0, 500), (100, 10), (110, 20)], Some(40), false, 110);
        assert_eq!(shown, "20/40 objects | 50% | eta 20s");
    }

    #[test]
    fn a_bar_is_never_overfull() {
        let cells = |done, total| {
            let meter = Meter::after(None, &progress(Unit::Objects, done, total, true), Duration::ZERO);
            meter.and_then(|meter| meter.cells(10))
        };
        assert_eq!(cells(0, Some(20)), Some(0));
        assert_eq!(cells(19, Some(20)), Some(9));
        assert_eq!(cells(20, Some(20)), Some(10));
        assert_eq!(cells(21, Some(20)), None);
        assert_eq!(cells(0, Some(0)), None);
        assert_eq!(cells(5, None), None);
        assert_eq!(cells(u64::MAX, Some(u64::MAX)), Some(10));
    }

    #[test]
    fn huge_numbers_do_not_overflow() {
        let shown = figures(Unit::Bytes, &[(0, 0), (9, u64::MAX - 1)], Some(u64::MAX), false, 9);
        assert!(shown.contains("99%"), "{shown}");
    }
}
