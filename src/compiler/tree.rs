//! What is known of a kernel's tree before anything is compiled in it.

use serde::{Deserialize, Serialize};

/// The directive that makes the assembler read a file of which the compiler knows nothing.
const INCBIN: &[u8] = b".incbin";
/// Headers that old kernels make among those that they have (Linux 2.6.32 and older, include/linux).
const MADE: [&str; 5] = ["autoconf.h", "utsrelease.h", "compile.h", "version.h", "bounds.h"];

/// What is known of a kernel's tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tree {
    /// The run that looked.
    pub run: String,
    /// The compiler that it had, as [`Settings::identity`](super::Settings).
    pub identity: String,
    /// A digest of the names that `#include` can find.
    pub names: String,
    /// Sources and headers by their last names that make the assembler read a file.
    pub reading: Vec<String>,
}

/// Whether a file of that path counts among those that `#include` can find: what `modpost` and the build itself write does not,
/// since it may be there already or not.
#[must_use]
pub fn is_included(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    matches!(ending, Some("h" | "c" | "S" | "inc")) && !name.ends_with(".mod.c") && !MADE.contains(&name)
}

/// Whether a text makes the assembler read a file.
#[must_use]
pub fn reads(text: &[u8]) -> bool {
    has(text, INCBIN)
}

impl Tree {
    /// Whether the compiler's own list of what it read is all that a source's object depends on.
    ///
    /// ccache can go by that list instead of preprocessing each source first (its manual, "The depend mode"), and then does not
    /// see `.incbin`, for which it otherwise gives up. It stands in few files of a kernel; a source that has it, or that writes the name
    /// of one that has it, is preprocessed.
    #[must_use]
    pub fn lists_all(&self, source: &[u8]) -> bool {
        let no_header = !self.reading.iter().any(|name| name.rsplit_once('.').is_some_and(|(_, ending)| ending == "h"));
        no_header && !reads(source) && !self.reading.iter().any(|name| has(source, name.as_bytes()))
    }
}

fn has(text: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(text, what).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_included_is_told_by_its_name() {
        for (path, included) in [
            ("./include/linux/kernel.h", true),
            ("./lib/x.c", true),
            ("./arch/x86/entry.S", true),
            ("./drivers/a.inc", true),
            ("./net/x.mod.c", false),
            ("./include/linux/autoconf.h", false),
            ("./net/x.o", false),
            ("./h", false),
        ] {
            assert_eq!(is_included(path), included, "{path}");
        }
    }

    #[test]
    fn who_reads_files_is_preprocessed() {
        let mut tree = Tree { reading: vec!["configs.c".into(), "piggy.S".into()], ..Tree::default() };
        assert!(tree.lists_all(b"#include <linux/kernel.h>\n"));
        assert!(!tree.lists_all(b"asm(\".incbin \\\"x\\\"\");"));
        assert!(!tree.lists_all(b"#include \"configs.c\"\n"));
        tree.reading.push("firmware.h".into());
        assert!(!tree.lists_all(b"#include <linux/kernel.h>\n"));
    }
}
