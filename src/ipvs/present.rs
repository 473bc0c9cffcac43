//! What the texts of a running machine say of its table: `/proc/net/ip_vs`, modprobe's files, the kernel's command line.

/// Returns the number of buckets that the first line of `/proc/net/ip_vs` tells: `IP Virtual Server version 1.2.1
/// (size=4096)`, in every kernel since 2.6.10.
#[must_use]
pub fn heading(text: &str) -> Option<u64> {
    let (_, rest) = text.lines().next()?.split_once("(size=")?;
    rest.split(')').next()?.parse().ok()
}

/// Returns the value that a modprobe file gives to `conn_tab_bits` last, with the number of its line. An `options` line may
/// go on over several lines, each but the last ending in a backslash.
#[must_use]
pub fn options(text: &str) -> Option<(usize, String)> {
    let mut found = None;
    let mut whole = String::new();
    let mut begin = 0;
    for (index, line) in text.lines().enumerate() {
        if whole.is_empty() {
            begin = index + 1;
        }
        if let Some(part) = line.strip_suffix('\\') {
            whole.push_str(part);
            continue;
        }
        whole.push_str(line);
        let mut words = whole.split_whitespace();
        if words.next() == Some("options") && words.next().is_some_and(|name| name.replace('-', "_") == "ip_vs") {
            let value = words.filter_map(|word| word.strip_prefix("conn_tab_bits=")).next_back();
            found = value.map(|value| (begin, value.to_owned())).or(found);
        }
        whole.clear();
    }
    found
}

/// Returns the value that the kernel's command line gives to the parameter; the last one counts.
#[must_use]
pub fn argument(command_line: &str) -> Option<&str> {
    command_line.split_whitespace().filter_map(|word| word.strip_prefix("ip_vs.conn_tab_bits=")).next_back()
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

    #[test]
    fn options_of_modprobe() {
        for (text, expected) in [
            ("options ip_vs conn_tab_bits=20\n", Some((1, "20"))),
            ("# options ip_vs conn_tab_bits=20\n", None),
            ("options ip_vs_rr conn_tab_bits=20\n", None),
            ("options ip-vs conn_tab_bits=20", Some((1, "20"))),
            ("alias x y\n\toptions  ip_vs x=1 conn_tab_bits=18 y=2", Some((2, "18"))),
            ("options ip_vs conn_tab_bits=18\noptions ip_vs conn_tab_bits=20\n", Some((2, "20"))),
            ("options ip_vs conn_tab_bits=18\noptions ip_vs x=1\n", Some((1, "18"))),
            ("options ip_vs \\\n  conn_tab_bits=16\noptions z", Some((1, "16"))),
            ("options ip_vs conn_tab_bits=many", Some((1, "many"))),
        ] {
            assert_eq!(options(text), expected.map(|(line, value)| (line, value.to_owned())), "{text}");
        }
    }

    #[test]
    fn the_argument_of_the_kernel() {
        assert_eq!(argument("ro quiet ip_vs.conn_tab_bits=12 ip_vs.conn_tab_bits=20\n"), Some("20"));
        assert_eq!(argument("ro xip_vs.conn_tab_bits=20"), None);
    }
}
