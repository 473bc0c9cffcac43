//! The spec's own hook for a user's patch: `linux-kernel-test.patch`, empty in the distribution's package and applied
//! last in `%prep` (`ApplyOptionalPatch linux-kernel-test.patch`, el6 2.6.32-220 on).

use super::{Change, Edited, Error};

/// What stands above the first patch. `ApplyOptionalPatch` counts lines and silently skips a patch of nine or fewer
/// (el6 2.6.32-71, Fedora 14 to 20), so a one-line patch would be lost without this.
const PREAMBLE: &str = "\
This file was filled by kbuild with the patches named on its command line,
one after the other, in the order in which they were given.

The kernel.spec applies it through the hook that the distribution leaves
for local patches. It takes a patch of nine lines or fewer for an empty
one and skips it without a word; these lines keep that from happening.

To build without these patches, leave out --patch.

patch(1) takes the lines above the first `---` for commentary.

";

/// Fills the hook with the patches (name and text), one after the other.
///
/// # Errors
/// The hook already holds something else.
pub fn fill(file: &str, text: &[u8], patches: &[(String, String)]) -> Result<Edited, Error> {
    let mut new = PREAMBLE.as_bytes().to_vec();
    for (_, patch) in patches {
        new.extend_from_slice(patch.as_bytes());
        if !patch.ends_with('\n') {
            new.push(b'\n');
        }
    }
    if text == new {
        return Ok(Edited { text: new, changes: Vec::new() });
    }
    if !text.trim_ascii().is_empty() {
        return Err(Error::HookTaken { file: file.to_owned(), bytes: text.len() });
    }
    let changes = patches
        .iter()
        .enumerate()
        .map(|(index, (name, patch))| Change {
            line: index + 1,
            before: None,
            after: format!("({} lines of {name})", patch.lines().count()),
        })
        .collect();
    Ok(Edited { text: new, changes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_go_into_an_empty_hook_once() {
        let patches = vec![("a.patch".to_owned(), "--- a\n+++ b".to_owned()), ("b.patch".to_owned(), "x\n".to_owned())];
        let edited = fill("hook", b"", &patches).unwrap();
        assert!(edited.text.ends_with(b"\n\n--- a\n+++ b\nx\n"));
        assert_eq!(fill("hook", &edited.text, &patches).unwrap().changes, []);
        assert!(fill("hook", b"theirs", &patches).is_err());
    }

    #[test]
    fn a_short_patch_is_long_enough_for_the_hook() {
        let edited = fill("hook", b"", &[("a.patch".to_owned(), "x\n".to_owned())]).unwrap();
        assert!(edited.text.split(|byte| *byte == b'\n').count() > 10);
    }
}
