//! The wall clock.

use jiff::Timestamp;

/// Returns the present time in UTC as RFC 3339, to the second.
#[must_use]
pub fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
