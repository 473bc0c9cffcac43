//! The list of connections that a director shows: `/proc/net/ip_vs_conn` and `/proc/net/ip_vs_conn_sync`.
//!
//! `ip_vs_conn_seq_show` in `ip_vs_conn.c`: a heading, then `%-3s %08X %04X %08X %04X %08X %04X %-11s %7lu` for each
//! connection (2.6.18), for IPv6 with addresses in full (2.6.28 on), and with the persistence engine and its data behind
//! (2.6.37 on). Since 3.18 the destination's address may be of the other kind.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a connection is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The protocol's number in IP.
    pub protocol: u16,
    /// The client's address.
    pub client: IpAddr,
    /// The client's port; 0 for templates of persistent services.
    pub port: u16,
}

/// Why a line is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found}")]
pub struct Malformed {
    /// What should stand there.
    expected: &'static str,
    /// What does.
    found: String,
    /// Whether it is what `ipvsadm -Lnc` prints.
    pub ipvsadm: bool,
}

/// A column of a connection's line, and what it must hold.
const COLUMNS: [&str; 7] = [
    "a protocol such as TCP",
    "the client's address",
    "the client's port",
    "the virtual address",
    "the virtual port",
    "the destination's address",
    "the destination's port",
];
/// Behind them.
const STATE: &str = "a state such as ESTABLISHED";
const EXPIRES: &str = "the seconds until it expires";

/// Reads the list line by line.
#[derive(Debug, Default)]
pub struct List {
    keys: Vec<Key>,
    lines: u64,
    /// The heading names an origin: this is `ip_vs_conn_sync`.
    origin: bool,
}

impl List {
    /// Takes the next line, without its end.
    ///
    /// # Errors
    /// It is neither the heading at the top nor a connection.
    pub fn line(&mut self, line: &str) -> Result<(), Malformed> {
        self.lines += 1;
        if self.lines == 1 && line.starts_with("Pro ") {
            let heading: Vec<&str> = line.split_whitespace().collect();
            self.origin = heading.contains(&"Origin");
            return match heading.as_slice() {
                ["Pro", "FromIP", "FPrt", "ToIP", "TPrt", "DestIP", "DPrt", "State", ..] => Ok(()),
                _ => Err(malformed("the heading `Pro FromIP FPrt ToIP …`", line)),
            };
        }
        self.keys.push(connection(line, self.origin)?);
        Ok(())
    }

    /// Returns how many lines there were, the heading included.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Returns the connections, in the list's order.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }
}

fn malformed(expected: &'static str, found: &str) -> Malformed {
    let ipvsadm = found.starts_with("IPVS connection entries") || found.starts_with("pro expire state");
    let found = match found.char_indices().nth(60) {
        Some((end, _)) => format!("`{}…`", found.get(..end).unwrap_or_default()),
        None if found.is_empty() => "nothing".to_owned(),
        None => format!("`{found}`"),
    };
    Malformed { expected, found, ipvsadm }
}

fn connection(line: &str, origin: bool) -> Result<Key, Malformed> {
    let mut words = line.split_whitespace();
    let mut next = |expected: &'static str| {
        words.next().ok_or_else(|| malformed(expected, if line.trim().is_empty() { "" } else { line }))
    };
    let [protocol_is, client_is, client_port_is, virtual_is, virtual_port_is, destination_is, destination_port_is] =
        COLUMNS;
    let name = next(protocol_is)?;
    let protocol = protocol(name).ok_or_else(|| malformed(protocol_is, line))?;
    let mut end = |address_is: &'static str, port_is: &'static str| {
        let host = next(address_is)?;
        let host = address(host).ok_or_else(|| malformed(address_is, host))?;
        let service = next(port_is)?;
        let service = hexadecimal::<4>(service).ok_or_else(|| malformed(port_is, service))?;
        Ok((host, u16::try_from(service).map_err(|_| malformed(port_is, line))?))
    };
    let (client, port) = end(client_is, client_port_is)?;
    let (service, _) = end(virtual_is, virtual_port_is)?;
    end(destination_is, destination_port_is)?;
    if client.is_ipv4() != service.is_ipv4() {
        return Err(malformed("client and virtual address of one kind", line));
    }
    next(STATE)?;
    if origin {
        next("an origin, LOCAL or SYNC")?;
    }
    let expires = next(EXPIRES)?;
    if !expires.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed(EXPIRES, expires));
    }
    Ok(Key { protocol, client, port })
}

/// `ip_vs_proto_name`: the name of a protocol that IPVS handles, `IP_` with its number for others, and IP for none (the
/// templates of firewall marks).
fn protocol(name: &str) -> Option<u16> {
    match name {
        "IP" => Some(0),
        "ICMP" => Some(1),
        "TCP" => Some(6),
        "UDP" => Some(17),
        "ESP" => Some(50),
        "AH" => Some(51),
        "ICMPv6" => Some(58),
        "SCTP" => Some(132),
        other => other.strip_prefix("IP_")?.parse().ok(),
    }
}

/// `%08X` of an IPv4 address; an IPv6 address in full.
fn address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    hexadecimal::<8>(text).map(Ipv4Addr::from_bits).map(IpAddr::V4)
}

/// A number of exactly so many hexadecimal digits.
fn hexadecimal<const DIGITS: usize>(text: &str) -> Option<u32> {
    let digits = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADING: &str = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires";

    #[track_caller]
    fn case(line: &str, protocol: u16, client: &str, port: u16) {
        let mut list = List::default();
        list.line(HEADING).unwrap();
        list.line(line).unwrap();
        assert_eq!(list.keys(), [Key { protocol, client: client.parse().unwrap(), port }], "{line}");
        assert_eq!(list.lines(), 2);
    }

    #[test]
    fn connections_of_all_eras() {
        case("TCP 0AFA0032 9EED 0AD20321 0FBA 0AD20328 0FBA FIN_WAIT         55", 6, "10.250.0.50", 0x9eed);
        case("UDP C0A80164 0035 0A600064 0035 0AF4010A 0035 UDP             299", 17, "192.168.1.100", 53);
        case("IP  C0A80100 0000 00000001 0000 0AF4010A 0000 NONE            359", 0, "192.168.1.0", 0);
        case(
            "UDP C0A80164 13C4 0A600064 13C4 0AF4010A 13C4 UDP             299 sip a84b4c76e66710",
            17,
            "192.168.1.100",
            5060,
        );
        case(
            "TCP 2001:0db8:0000:0000:0000:0000:0000:0001 9EED 2001:0db8:0000:0000:0000:0000:0000:0002 0050 \
             2001:0db8:0000:0000:0000:0000:0000:0003 0050 ESTABLISHED     899",
            6,
            "2001:db8::1",
            0x9eed,
        );
        // Since 3.18 an IPv6 client may be tunnelled to an IPv4 server.
        case(
            "TCP 2001:0db8:0000:0000:0000:0000:0000:0001 9EED 2001:0db8:0000:0000:0000:0000:0000:0002 0050 \
             0AF4010A 0050 ESTABLISHED     899",
            6,
            "2001:db8::1",
            0x9eed,
        );
        case("IP_47 C0A80100 0000 0A600064 0000 0AF4010A 0000 NONE            359", 47, "192.168.1.0", 0);
    }

    #[test]
    fn the_synchronised_ones_have_a_column_more() {
        let mut list = List::default();
        list.line("Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Origin Expires").unwrap();
        list.line("TCP 0AFA0032 9EED 0AD20321 0FBA 0AD20328 0FBA ESTABLISHED LOCAL      55").unwrap();
        assert_eq!(list.keys().len(), 1);
    }

    #[test]
    fn the_heading_may_be_missing() {
        let mut list = List::default();
        list.line("TCP 0AFA0032 9EED 0AD20321 0FBA 0AD20328 0FBA FIN_WAIT         55").unwrap();
        assert_eq!((list.keys().len(), list.lines()), (1, 1));
    }

    #[test]
    fn what_is_no_connection_is_refused_with_what_was_expected() {
        for (line, expected) in [
            ("", "a protocol"),
            ("QUIC 0AFA0032 9EED 0AD20321 0FBA 0AD20328 0FBA FIN_WAIT 55", "a protocol"),
            ("IP_x 0AFA0032 9EED 0AD20321 0FBA 0AD20328 0FBA FIN_WAIT 55", "a protocol"),
            ("TCP 10.250.0.50 9EED 0AD20321 0FBA 0AD20328 0FBA FIN_WAIT 55", "the client's address"),
            ("TCP 0AFA003 9EED 0AD20321 0FBA 0AD20328 0FBA FIN_WAIT 55", "the client's address"),
            ("TCP +AFA0032 9EED 0AD20321 0FBA 0AD20328 0FBA FIN_WAIT 55", "the client's address"),
            ("TCP 0AFA0032 40685 0AD20321 0FBA 0AD20328 0FBA FIN_WAIT 55", "the client's port"),
            ("TCP 0AFA0032 9EED 0AD2032G 0FBA 0AD20328 0FBA FIN_WAIT 55", "the virtual address"),
            ("TCP 0AFA0032 9EED 0AD20321 0FB 0AD20328 0FBA FIN_WAIT 55", "the virtual port"),
            ("TCP 0AFA0032 9EED 0AD20321 0FBA 2001::g 0FBA FIN_WAIT 55", "the destination's address"),
            ("TCP 0AFA0032 9EED 0AD20321 0FBA 0AD20328 FIN_WAIT 55", "the destination's port"),
            ("TCP 0AFA0032 9EED 0AD20321 0FBA 0AD20328 0FBA", "a state"),
            ("TCP 0AFA0032 9EED 0AD20321 0FBA 0AD20328 0FBA FIN_WAIT", "the seconds"),
            ("TCP 0AFA0032 9EED 0AD20321 0FBA 0AD20328 0FBA FIN_WAIT 14:55", "the seconds"),
            ("TCP 0AFA0032 9EED 2001::1 0FBA 0AD20328 0FBA FIN_WAIT 55", "of one kind"),
            (HEADING, "a protocol"),
        ] {
            let mut list = List::default();
            list.line(HEADING).unwrap();
            let error = list.line(line).unwrap_err();
            assert!(error.to_string().contains(expected), "{line}: {error}");
            assert!(!error.ipvsadm);
        }
        let other = List::default().line("Pro RefCnt State").unwrap_err();
        assert!(other.to_string().contains("the heading"), "{other}");
        let long = List::default().line(&"ä".repeat(1000)).unwrap_err();
        assert!(long.to_string().len() < 200, "{long}");
        assert!(List::default().line("IPVS connection entries").unwrap_err().ipvsadm);
    }
}
