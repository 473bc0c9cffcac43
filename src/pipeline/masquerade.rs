//! What stands before other programs on `PATH` while rpmbuild runs: a script of their name, in a directory of its own, which
//! does what it is for and goes on with the program itself. The command line and environment of the plan stay as they are
//! for everybody else: fingerprints, the manifest, the plan's text.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Error;
use crate::command::{Command, quote};
use crate::plan::Layout;
use crate::plan::layout::text;
use crate::sys::files;

/// One script.
#[derive(Debug)]
pub(super) struct Mask {
    program: &'static str,
    script: String,
}

impl Mask {
    /// Fills values into a template; each is quoted for the shell.
    pub(super) fn new(program: &'static str, template: &str, values: &[(&str, &str)]) -> Self {
        let fill =
            |script: String, (name, value): &(&str, &str)| script.replace(&format!("{{{{ {name} }}}}"), &quote(value));
        Self { program, script: values.iter().fold(template.to_owned(), fill) }
    }
}

/// Returns the program itself: the first of its name on the command's `PATH`.
pub(super) fn unmasked(command: &Command, program: &str) -> Option<PathBuf> {
    let path = command.env.get("PATH").map_or("", String::as_str);
    path.split(':').map(|dir| Path::new(dir).join(program)).find(|file| file.is_file())
}

/// Puts the scripts in place, in place of those that were there, and returns the command that finds them first.
pub(super) fn on(layout: &Layout, command: &Command, masks: &[Mask]) -> Result<Command, Error> {
    off(layout)?;
    let mut command = command.clone();
    if masks.is_empty() {
        return Ok(command);
    }
    let dir = layout.masquerade();
    fs_err::create_dir_all(&dir).map_err(failed)?;
    for mask in masks {
        let file = layout.mask(mask.program);
        files::replace_text(&file, mask.script.as_bytes()).map_err(failed)?;
        fs_err::set_permissions(&file, PermissionsExt::from_mode(0o755)).map_err(failed)?;
    }
    let path = command.env.entry("PATH".into()).or_default();
    *path = format!("{}:{path}", text(&dir));
    Ok(command)
}

/// Takes them away.
pub(super) fn off(layout: &Layout) -> Result<(), Error> {
    files::remove_tree(&layout.masquerade()).map_err(failed)
}

fn failed(source: std::io::Error) -> Error {
    Error::io("what stands before other programs on PATH cannot be put there", source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_stand_first_on_the_path_and_nothing_else_changes() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::of(dir.path());
        let before =
            Command::new("/usr/bin/rpmbuild").with_env([("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into());
        assert_eq!(on(&layout, &before, &[]).unwrap(), before);
        let mask = |text| Mask::new("make", "make={{ make }}\n", &[("make", text)]);
        let after = on(&layout, &before, &[mask("/usr/bin/gnu make")]).unwrap();
        assert_eq!(after.env["PATH"], format!("{}/masquerade:/usr/bin:/bin", dir.path().display()));
        assert_eq!(Command { env: before.env.clone(), ..after }, before);
        assert_eq!(fs_err::read_to_string(layout.mask("make")).unwrap(), "make='/usr/bin/gnu make'\n");
        // One that is not wanted any more goes.
        on(&layout, &before, &[Mask::new("openssl", "", &[])]).unwrap();
        let there = |path: PathBuf| path.try_exists().unwrap();
        assert!(!there(layout.mask("make")) && there(layout.mask("openssl")));
        off(&layout).unwrap();
        assert!(!there(layout.masquerade()));
    }
}
