//! Every key that a file of signatures may have. The check of signatures knows nothing else.

use crate::recipe::keys::{Key, Kind, may, must};

const PATTERNS: Kind = Kind::List(&Kind::Regex);

/// The keys of a file of signatures.
pub(super) const TOP: &[Key] = &[
    must("schema", Kind::Number(1, 1), "is the version of the format, 1"),
    must(
        "signature",
        Kind::Some(&Kind::Table(SIGNATURE)),
        "are the signatures; what comes first wins on the same line",
    ),
];

const SIGNATURE: &[Key] = &[
    must("name", Kind::Word, "is its name, and that of its log in tests/explain"),
    must("title", Kind::Text, "says in a few words what is wrong"),
    must(
        "weight",
        Kind::OneOf(&["machine", "cause", "general", "symptom"]),
        "says how much it explains: what the machine could not give, a cause, something general, or what follows from others",
    ),
    must("says", Kind::Some(&Kind::Regex), "match a line that shows it; named groups are values"),
    may("unless", PATTERNS, "match lines that do not show it although they look like it"),
    may("also", PATTERNS, "must each match some line of the log, too"),
    may("near", Kind::Regex, "matches lines around it that have values; the group `items` collects them"),
    may(
        "follows",
        Kind::List(&Kind::Word),
        "names signatures that it follows from: where one of those counts, it comes after",
    ),
    may("trace", Kind::Bool, "lets commands that a shell shows (`set -x`) count"),
    may("near-failure", Kind::Bool, "lets it count only close to a failure, since it may be harmless"),
    may("at-end", Kind::Bool, "lets it count only where the log ends with it"),
    may("default", Kind::Map(&Kind::Text), "gives values to placeholders that no group filled"),
    may("lookup", Kind::Table(LOOKUP), "derives a name from a value"),
    must("cause", Kind::Text, "says in one or two sentences why that ends a build"),
    must("fix", Kind::Text, "is what to do, as a command"),
    must("source", Kind::Text, "says where the fact comes from"),
];

const LOOKUP: &[Key] = &[
    must("group", Kind::Word, "is the group whose value is looked up"),
    must("gives", Kind::Word, "is the placeholder that gets the name"),
    must("names", Kind::Map(&Kind::Text), "are values and names"),
];
