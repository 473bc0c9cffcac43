//! The wall clock.

use std::time::Duration;

use jiff::Timestamp;

/// Returns the present time in UTC as RFC 3339, to the second.
#[must_use]
pub fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Returns the present time in nanoseconds since 1970.
#[must_use]
pub fn nanoseconds() -> u128 {
    u128::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default()
}

/// Returns the present time in seconds since 1970.
#[must_use]
pub fn seconds() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}

/// Returns how long ago a time was that [`now`] gave; nothing for other texts. A time to come, as a clock that was set back
/// sees it, is now.
#[must_use]
pub fn age(time: &str) -> Option<Duration> {
    let since = Timestamp::now().duration_since(time.parse().ok()?);
    Some(since.try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        assert!(age(&now()).unwrap() < Duration::from_mins(1));
        assert!(age("2020-01-01T00:00:00Z").unwrap() > Duration::from_hours(24 * 365));
        assert_eq!(age("2999-01-01T00:00:00Z"), Some(Duration::ZERO));
        assert_eq!(age("yesterday"), None);
    }
}
