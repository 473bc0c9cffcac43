//! The order of versions, for `%if v"4.18" >= v"4.9"` (`rpmverCmp` and `rpmvercmp` of rpm 4.18).

use std::cmp::Ordering;

use super::text::{from, part, span};

/// Compares two texts of the form `[EPOCH:]VERSION[-RELEASE]`.
pub(super) fn compare(left: &[u8], right: &[u8]) -> Ordering {
    let (left, right) = (split(left), split(right));
    segments(left.0, right.0).then_with(|| segments(left.1, right.1)).then_with(|| match (left.2, right.2) {
        (Some(left), Some(right)) => segments(left, right),
        (left, right) => left.is_some().cmp(&right.is_some()),
    })
}

fn split(text: &[u8]) -> (&[u8], &[u8], Option<&[u8]>) {
    let digits = span(text, |byte| byte.is_ascii_digit());
    let (epoch, rest): (&[u8], _) = match text.get(digits) {
        Some(b':') if digits > 0 => (part(text, 0, digits), from(text, digits + 1)),
        _ => (b"0", text),
    };
    match rest.iter().rposition(|byte| *byte == b'-') {
        Some(at) => (epoch, part(rest, 0, at), Some(from(rest, at + 1))),
        None => (epoch, rest, None),
    }
}

fn segments(mut left: &[u8], mut right: &[u8]) -> Ordering {
    let counts = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'~' || byte == b'^';
    if left == right {
        return Ordering::Equal;
    }
    loop {
        left = from(left, span(left, |byte| !counts(byte)));
        right = from(right, span(right, |byte| !counts(byte)));
        match (left.first(), right.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                left = from(left, 1);
                right = from(right, 1);
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (Some(b'^'), other) => return if other.is_none() { Ordering::Greater } else { Ordering::Less },
            (other, Some(b'^')) => return if other.is_none() { Ordering::Less } else { Ordering::Greater },
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(one), Some(other)) => {
                let order = match (one.is_ascii_digit(), other.is_ascii_digit()) {
                    (true, true) => numbers(&mut left, &mut right),
                    (false, false) => words(&mut left, &mut right),
                    // A number is newer than a word.
                    (number, _) => return if number { Ordering::Greater } else { Ordering::Less },
                };
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
    }
}

fn take<'a>(text: &mut &'a [u8], such: impl Fn(u8) -> bool) -> &'a [u8] {
    let length = span(text, such);
    let segment = part(text, 0, length);
    *text = from(text, length);
    segment
}

fn numbers(left: &mut &[u8], right: &mut &[u8]) -> Ordering {
    let digits = |text: &mut &[u8]| {
        let segment = take(text, |byte| byte.is_ascii_digit());
        from(segment, span(segment, |byte| byte == b'0')).to_vec()
    };
    let (one, other) = (digits(left), digits(right));
    one.len().cmp(&other.len()).then_with(|| one.cmp(&other))
}

fn words(left: &mut &[u8], right: &mut &[u8]) -> Ordering {
    let one = take(left, |byte| byte.is_ascii_alphabetic()).to_vec();
    one.as_slice().cmp(take(right, |byte| byte.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_in_rpm() {
        // Each is older than the next.
        let order =
            ["0.9", "1~rc1", "1", "1^git", "1.a", "1.0", "1.1", "1.1-1", "1.1-2", "1.10", "2a", "2.0", "0:3", "1:0"];
        for (index, older) in order.iter().enumerate() {
            for newer in order.iter().skip(index + 1) {
                assert_eq!(compare(older.as_bytes(), newer.as_bytes()), Ordering::Less, "{older} {newer}");
                assert_eq!(compare(newer.as_bytes(), older.as_bytes()), Ordering::Greater, "{newer} {older}");
            }
        }
        assert_eq!(compare(b"1.00", b"1.0"), Ordering::Equal);
        assert_eq!(compare(b"01.5", b"1_5"), Ordering::Equal);
    }
}
