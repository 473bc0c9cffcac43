//! What `/proc/net/ip_vs` of a running machine says of its table.

/// Returns the number of buckets that the first line of `/proc/net/ip_vs` tells: `IP Virtual Server version 1.2.1
/// (size=4096)`, in every kernel since 2.6.10.
#[must_use]
pub fn heading(text: &str) -> Option<u64> {
    let (_, rest) = text.lines().next()?.split_once("(size=")?;
    rest.split(')').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heading() {
        let text = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n";
        assert_eq!(heading(text), Some(4096));
        for none in ["", "IP Virtual Server version 1.2.1", "IP Virtual Server (size=x)\n", "\n(size=4096)"] {
            assert_eq!(heading(none), None, "{none}");
        }
    }
}
