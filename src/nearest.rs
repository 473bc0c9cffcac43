//! What somebody probably meant who mistyped a name. Pure.

/// Returns the known name that is so close to `name` that it was probably meant: two letters, or a third of a long one.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distances = known.into_iter().map(|each| (strsim::damerau_levenshtein(name, each), each));
    distances.min().filter(|(distance, meant)| *distance <= 2.max(meant.len() / 3)).map(|(_, meant)| meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_meant_and_a_far_one_is_not() {
        assert_eq!(nearest("debuginfos", ["debug", "debuginfo", "perf"]), Some("debuginfo"));
        assert_eq!(nearest("el66", ["el5", "el6", "el7"]), Some("el6"));
        assert_eq!(nearest("firmware", ["debug", "debuginfo", "perf"]), None);
        assert_eq!(nearest("x", []), None);
    }
}
