//! One line of a text as an edit: replaced, or added.

use crate::edit::{Change, Edited, End, Error, lines, replace_line, split_end};

/// Makes line `number` (from 1) of a text read `after`, where it must read `before`; without `before`, adds the line
/// above the one that has this number. A text that is as asked already stays. No other byte changes; the line keeps its
/// end, and an added one gets the end of the line below.
///
/// # Errors
/// The line reads otherwise, or there is no such line.
pub fn apply_line(file: &str, text: &[u8], number: usize, before: Option<&str>, after: &str) -> Result<Edited, Error> {
    let line = number.checked_sub(1).and_then(|index| lines(text).nth(index));
    let (body, end) = line.map(split_end).unwrap_or_default();
    if line.is_some() && body == after.as_bytes() {
        return Ok(Edited { text: text.to_vec(), changes: Vec::new() });
    }
    let differs = |expected: &str| Error::Differs {
        file: file.to_owned(),
        line: number,
        expected: expected.to_owned(),
        found: line.map(|_| String::from_utf8_lossy(body).into_owned()),
    };
    match before {
        Some(before) if line.is_none() || body != before.as_bytes() => Err(differs(before)),
        Some(_) => Ok(replace_line(text, number, after, End::Same)),
        None if line.is_none() && (number != 1 || !text.is_empty()) => Err(differs("any line")),
        None => {
            let end: &[u8] = if end.is_empty() { b"\n" } else { end };
            let above: usize = lines(text).take(number - 1).map(<[u8]>::len).sum();
            let (head, tail) = text.split_at(above);
            let change = Change { line: number, before: None, after: after.to_owned() };
            Ok(Edited { text: [head, after.as_bytes(), end, tail].concat(), changes: vec![change] })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_is_replaced_once() {
        let text = b"a\r\nb\r\n\xff\r";
        let edited = apply_line("f", text, 2, Some("b"), "c").unwrap();
        assert_eq!(edited.text, b"a\r\nc\r\n\xff\r");
        let change = Change { line: 2, before: Some("b".into()), after: "c".into() };
        assert_eq!(edited.changes, [change]);
        let again = apply_line("f", &edited.text, 2, Some("b"), "c").unwrap();
        assert_eq!((again.text, again.changes), (edited.text, vec![]));
    }

    #[test]
    fn a_line_is_added_once() {
        let edited = apply_line("f", b"a\r\nb", 1, None, "c").unwrap();
        assert_eq!(edited.text, b"c\r\na\r\nb");
        assert_eq!(apply_line("f", &edited.text, 1, None, "c").unwrap().changes, []);
        assert_eq!(apply_line("f", b"a", 1, None, "c").unwrap().text, b"c\na");
        assert_eq!(apply_line("f", b"a\nb\n", 2, None, "c").unwrap().text, b"a\nc\nb\n");
        assert_eq!(apply_line("f", b"", 1, None, "c").unwrap().text, b"c\n");
    }

    #[test]
    fn another_line_is_refused() {
        let error = |number, before| apply_line("f", b"a\nb\n", number, before, "c").unwrap_err().to_string();
        assert_eq!(error(2, Some("x")), "line 2 of `f`: expected `x`, found `b`");
        assert_eq!(error(3, Some("x")), "line 3 of `f`: expected `x`, found no such line");
        assert_eq!(error(0, Some("x")), "line 0 of `f`: expected `x`, found no such line");
        assert_eq!(error(9, None), "line 9 of `f`: expected `any line`, found no such line");
    }

    proptest! {
        #[test]
        fn all_other_bytes_stay(
            head in proptest::collection::vec(any::<u8>(), 0..200),
            tail in proptest::collection::vec(any::<u8>(), 0..200),
            carriage in any::<bool>(),
            added in any::<bool>(),
        ) {
            let mut head = head;
            if !head.is_empty() {
                head.push(b'\n');
            }
            let end: &[u8] = if carriage { b"\r\n" } else { b"\n" };
            let number = lines(&head).count() + 1;
            let text = [&head, b"# define buildid".as_slice(), end, &tail].concat();
            let (before, rest) = if added { (None, [b"# define buildid", end, &tail].concat()) } else { (Some("# define buildid"), tail) };
            let edited = apply_line("f", &text, number, before, "%define buildid .x").unwrap();
            prop_assert_eq!(&edited.text, &[&head, b"%define buildid .x".as_slice(), end, &rest].concat());
            let again = apply_line("f", &edited.text, number, before, "%define buildid .x").unwrap();
            prop_assert_eq!(&edited.text, &again.text);
            prop_assert!(again.changes.is_empty());
        }
    }
}
