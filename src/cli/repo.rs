//! `kbuild repo`: publishes results in a signed repository.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::args::Repo;
use super::render::Format;
use super::{Edge, Output, prepare};
use crate::command::quote;
use crate::error::Error;
use crate::repository::{self, Asked, Reach, Report, Signing};
use crate::sys::signal::Cancel;

pub(super) fn run(edge: &Edge, args: &Repo) -> Result<Output, Error> {
    let cancel = Cancel::install().map_err(|source| Error::Host { what: "cannot watch for signals".into(), source })?;
    let dir = prepare::absolute(&args.dir)?;
    let from = args.from.iter().map(|path| prepare::absolute(path)).collect::<Result<Vec<PathBuf>, _>>()?;
    let signing = match (&args.signature.sign_with, &args.signature.sign_key_file) {
        (Some(name), _) => Signing::With(name.clone()),
        (_, Some(file)) => Signing::File(prepare::absolute(file)?),
        (None, None) => Signing::Unsigned,
    };
    let base_url = args.base_url.clone().unwrap_or_else(|| file_url(&dir));
    let asked = Asked {
        dir,
        from,
        signing,
        reach: Reach { base_url, name: args.name.clone() },
        keep: args.keep.and_then(|keep| usize::try_from(keep).ok()),
        replace: args.replace,
        dry_run: args.dry_run,
    };
    let report = repository::publish(&asked, &*edge.reporter, &cancel)?;
    Ok(Output::text(match edge.format {
        Format::Json => {
            let mut line = serde_json::json!({ "event": "repository" });
            if let (Some(line), Ok(serde_json::Value::Object(report))) =
                (line.as_object_mut(), serde_json::to_value(&report))
            {
                line.extend(report);
            }
            format!("{line}\n")
        }
        Format::Human | Format::Plain => text(&report),
    }))
}

/// A directory as a URL.
fn file_url(dir: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~+:".contains(&byte);
    dir.as_os_str().as_bytes().iter().fold(String::from("file://"), |url, byte| {
        if plain(*byte) { url + &char::from(*byte).to_string() } else { url + &format!("%{byte:02X}") }
    })
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let mut files = |what: &str, files: &[String]| {
        for file in files {
            let _ = writeln!(text, "{what:10}{file}");
        }
    };
    files("added", &report.added);
    files("replaced", &report.replaced);
    files("re-signed", &report.resigned);
    files("pruned", &report.pruned);
    files("too old", &report.too_old);
    files("left out", &report.left_out);
    let _ = writeln!(text, "unchanged {}", count(report.unchanged));
    let by = match &report.key {
        Some(key) => format!("signed by {key}"),
        None => "NOT SIGNED".to_owned(),
    };
    let state = match (report.changed, report.dry_run) {
        (true, true) => format!("would become generation {}", report.generation),
        (true, false) => format!("generation {}", report.generation),
        (false, _) => format!("nothing to do: still generation {}", report.generation),
    };
    let _ = writeln!(text, "directory {} ({state}, {by})", report.dir.display());
    if report.dry_run {
        return text;
    }
    let _ = writeln!(
        text,
        "clients   curl -o /etc/yum.repos.d/{} {}",
        file_name(&report.repo_file),
        quote(&report.repo_url)
    );
    for kernel in &report.kernels {
        let new = if kernel.new { ", new" } else { "" };
        let _ = writeln!(text, "          dnf install {}    # {} bits, {}{new}", kernel.nvr, kernel.bits, kernel.arch);
    }
    text
}

fn count(packages: usize) -> String {
    if packages == 1 { "1 package".to_owned() } else { format!("{packages} packages") }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_blanks_is_a_url() {
        assert_eq!(file_url(Path::new("/srv/a b/é")), "file:///srv/a%20b/%C3%A9");
    }
}
