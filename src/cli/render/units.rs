//! Numbers as people read them.

use std::time::Duration;

/// The sizes in which bytes are counted.
const SIZES: [(u64, &str); 5] = [(1, "B"), (1 << 10, "KiB"), (1 << 20, "MiB"), (1 << 30, "GiB"), (1 << 40, "TiB")];

/// Seconds as a duration; what cannot be one is none at all.
pub(super) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// A duration, rounded to what is shown: `0.8s`, `12s`, `3m 05s`, `1h 02m`.
pub(in crate::cli) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (tenths, seconds, minutes) = (rounded(millis, 100), rounded(millis, 1000), rounded(millis, 60_000));
    if tenths < 100 {
        format!("{}.{}s", tenths / 10, tenths % 10)
    } else if seconds < 60 {
        format!("{seconds}s")
    } else if seconds < 3600 {
        format!("{}m {:02}s", seconds / 60, seconds % 60)
    } else {
        format!("{}h {:02}m", minutes / 60, minutes % 60)
    }
}

/// A number of bytes: `512 B`, `1.5 KiB`, `12.0 MiB`.
pub(in crate::cli) fn bytes(n: u64) -> String {
    let size = size_for(n);
    format!("{} {}", in_size(n, size), size.1)
}

/// A part of a number of bytes, in the size of the whole: `12.0/120.5 MiB`; `about` goes before the whole.
pub(super) fn bytes_of(done: u64, total: u64, about: &str) -> String {
    let size = size_for(total);
    format!("{}/{about}{} {}", in_size(done, size), in_size(total, size), size.1)
}

/// A number with its noun: `1 file`, `3 files`, `2 patches`.
pub(in crate::cli) fn count(n: u64, singular: &str) -> String {
    format!("{n} {}", noun(n, singular))
}

/// The noun that fits the number.
pub(super) fn noun(n: u64, singular: &str) -> String {
    if n == 1 {
        return singular.to_owned();
    }
    match singular.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if ["s", "x", "z", "ch", "sh"].iter().any(|end| singular.ends_with(end)) => {
            format!("{singular}es")
        }
        _ => format!("{singular}s"),
    }
}

/// The smallest size in which the number has at most four digits before the point.
fn size_for(n: u64) -> (u64, &'static str) {
    let fits = |size: &(u64, &str)| rounded(u128::from(n) * 10, u128::from(size.0)) < 10_240;
    SIZES.into_iter().find(fits).unwrap_or((1 << 40, "TiB"))
}

/// The number in a size, with one digit after the point if the size is not a byte.
fn in_size(n: u64, size: (u64, &str)) -> String {
    if size.0 == 1 {
        return n.to_string();
    }
    let tenths = rounded(u128::from(n) * 10, u128::from(size.0));
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// `n / by`, rounded half up.
fn rounded(n: u128, by: u128) -> u128 {
    (n + by / 2) / by
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (millis, shown) in [
            (0, "0.0s"),
            (49, "0.0s"),
            (50, "0.1s"),
            (800, "0.8s"),
            (9_949, "9.9s"),
            (9_950, "10s"),
            (12_345, "12s"),
            (59_499, "59s"),
            (59_500, "1m 00s"),
            (185_000, "3m 05s"),
            (3_599_499, "59m 59s"),
            (3_599_500, "1h 00m"),
            (3_720_000, "1h 02m"),
            (7_170_000, "2h 00m"),
            (90_000_000, "25h 00m"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), shown, "{millis} ms");
        }
    }

    #[test]
    fn seconds_that_are_no_duration_are_none() {
        assert_eq!(seconds(1.5), Duration::from_millis(1500));
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(seconds(wrong), Duration::ZERO, "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        for (n, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (12 << 20, "12.0 MiB"),
            ((1 << 30) - (1 << 20), "1023.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (3 << 40, "3.0 TiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(bytes(n), shown, "{n}");
        }
    }

    #[test]
    fn parts_of_sizes() {
        for (done, total, about, shown) in [
            (0, 0, "", "0/0 B"),
            (100, 1000, "", "100/1000 B"),
            (1 << 20, 120 << 20, "", "1.0/120.0 MiB"),
            (12 << 10, 120 << 20, "~", "0.0/~120.0 MiB"),
            (150 << 20, 120 << 20, "~", "150.0/~120.0 MiB"),
        ] {
            assert_eq!(bytes_of(done, total, about), shown);
        }
    }

    #[test]
    fn counts() {
        for (n, singular, shown) in [
            (0, "file", "0 files"),
            (1, "file", "1 file"),
            (2, "object", "2 objects"),
            (1, "entry", "1 entry"),
            (3, "entry", "3 entries"),
            (3, "key", "3 keys"),
            (3, "patch", "3 patches"),
            (3, "address", "3 addresses"),
        ] {
            assert_eq!(count(n, singular), shown);
        }
    }
}
