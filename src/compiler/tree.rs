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
    /// What was installed on the machine, as [`Settings::host`](super::Settings).
    pub host: String,
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

/// Looks in a text that comes in parts whether it makes the assembler read a file.
#[derive(Debug, Default)]
pub struct Looking {
    /// The end of what was seen, which may be the beginning of the directive.
    end: Vec<u8>,
    found: bool,
}

impl Looking {
    /// Looks at the next part.
    pub fn look(&mut self, part: &[u8]) {
        let most = INCBIN.len() - 1;
        self.end.extend(part.iter().take(most));
        self.found |= has(&self.end, INCBIN) || has(part, INCBIN);
        if part.len() >= most {
            self.end.clear();
            self.end.extend(part.iter().skip(part.len() - most));
        } else {
            self.end.drain(..self.end.len().saturating_sub(most));
        }
    }

    /// Whether it does, as far as it was seen.
    #[must_use]
    pub fn has_found(&self) -> bool {
        self.found
    }
}

fn reads(text: &[u8]) -> bool {
    has(text, INCBIN)
}

impl Tree {
    /// Whether a source makes the assembler read a file, or writes the name of another source that does: ccache gives up for those that it
    /// sees, and it sees few ways to write that.
    #[must_use]
    pub fn takes_files(&self, source: &[u8]) -> bool {
        reads(source) || self.reading.iter().filter(|name| !is_header(name)).any(|name| has(source, name.as_bytes()))
    }

    /// Whether the compiler's own list of what it read is all that a source's object depends on.
    ///
    /// ccache can go by that list instead of preprocessing each source first (its manual, "The depend mode"), and then does not
    /// see `.incbin`. It stands in few files of a kernel, which go past the cache; if a header has it, all are preprocessed.
    #[must_use]
    pub fn lists_all(&self) -> bool {
        !self.reading.iter().any(|name| is_header(name))
    }
}

fn is_header(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| ending == "h")
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
    fn the_directive_is_found_wherever_a_text_is_cut() {
        let text = b"a .incbin b";
        for size in 1..=text.len() {
            let mut looking = Looking::default();
            text.chunks(size).for_each(|part| looking.look(part));
            assert!(looking.has_found(), "{size}");
        }
        let mut looking = Looking::default();
        for part in [&b".inc"[..], b"", b"x", b"bin.", b"incbi"] {
            looking.look(part);
        }
        assert!(!looking.has_found());
        looking.look(b"n");
        assert!(looking.has_found());
    }

    #[test]
    fn who_reads_files_goes_past_the_cache() {
        let mut tree = Tree { reading: vec!["configs.c".into(), "piggy.S".into()], ..Tree::default() };
        assert!(!tree.takes_files(b"#include <linux/kernel.h>\n") && tree.lists_all());
        assert!(tree.takes_files(b"asm(\".incbin\t\\\"x\\\"\");"));
        assert!(tree.takes_files(b"#include \"configs.c\"\n"));
        tree.reading.push("firmware.h".into());
        assert!(!tree.takes_files(b"#include <linux/kernel.h>\n") && !tree.lists_all());
    }
}
