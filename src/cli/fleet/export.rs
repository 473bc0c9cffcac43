//! `kbuild fleet export`: what an engine needs, written.

use std::path::{Component, Path, PathBuf};

use super::overview;
use crate::cli::args::fleet::{Engine, Export, Fleet as Arguments};
use crate::cli::{Edge, Output, prepare};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::engine::{self, Document, Wanted};
use crate::fleet::file;
use crate::sys::files;

pub(super) fn run(edge: &Edge, fleet: &Fleet, arguments: &Arguments, what: &Export) -> Result<Output, Error> {
    let document = document(what)?;
    let overview = overview::of(fleet, &fleet.cells)?;
    let input = |source| Error::Input { what: "the fleet".into(), source };
    let text = fs_err::read_to_string(&arguments.file).map_err(input)?;
    let path = prepare::absolute(&arguments.file)?;
    let dir = path.parent().unwrap_or(&path);
    let word = |what, path: &Path| match path.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::Export(engine::Error::Word { what, text: path.to_string_lossy().into_owned() })),
    };
    let named = word("the fleet file's path", &arguments.file)?;
    let out = arguments.out.as_deref().map(|out| word("the results' path", out)).transpose()?;
    let results = match &out {
        Some(out) => out.clone(),
        None => word("the results' path", &from_here(&arguments.file, &text))?,
    };
    let wanted = Wanted {
        overview: &overview,
        file: &named,
        text: &text,
        dir,
        shards: what.shards,
        image: what.image.as_deref(),
        out: out.as_deref(),
        results: &results,
    };
    let text = engine::text(document, &wanted)?;
    let Some(to) = &what.to else { return Ok(Output::text(text)) };
    let failed = |source| Error::Host { what: "what the engine needs cannot be written".into(), source };
    // A name without a directory has an empty parent.
    files::replace_text(&prepare::absolute(to)?, text.as_bytes()).map_err(failed)?;
    for line in engine::next(document, &wanted, &to.to_string_lossy()) {
        edge.reporter.note(line);
    }
    Ok(Output::text(String::new()))
}

/// Returns what is asked for.
fn document(what: &Export) -> Result<Document, Error> {
    if what.matrix && what.engine != Engine::Github {
        return Err(Error::Usage("`--matrix` is GitHub's: `kbuild fleet export github --matrix`".into()));
    }
    if what.parent && what.engine != Engine::Gitlab {
        return Err(Error::Usage("`--parent` is GitLab's: `kbuild fleet export gitlab --parent`".into()));
    }
    Ok(match what.engine {
        Engine::Gitlab if what.parent => Document::GitlabParent,
        Engine::Gitlab => Document::GitlabChild,
        Engine::Github if what.matrix => Document::GithubMatrix,
        Engine::Github => Document::GithubWorkflow,
        Engine::Kubernetes => Document::Kubernetes,
        Engine::Slurm => Document::Slurm,
    })
}

/// Returns where a fleet file's results go, as the file itself is named: relative if that is, and the file says so.
fn from_here(file: &Path, text: &str) -> PathBuf {
    let said = text.parse::<toml::Table>().ok();
    let out = said.as_ref().and_then(|table| table.get("out")?.as_str()).unwrap_or(file::OUT);
    let mut path = PathBuf::new();
    for part in file.parent().unwrap_or(Path::new("")).join(out).components() {
        match part {
            Component::ParentDir if matches!(path.components().next_back(), Some(Component::Normal(_))) => {
                path.pop();
            }
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_named_as_the_file_is() {
        let named = |file: &str, text: &str| from_here(Path::new(file), text).display().to_string();
        assert_eq!(named("fleet.toml", ""), "fleet-out");
        assert_eq!(named("./ci/fleet.toml", "out = \"a/./b\""), "ci/a/b");
        assert_eq!(named("ci/fleet.toml", "out = \"../a\""), "a");
        assert_eq!(named("fleet.toml", "out = \"../a\""), "../a");
        assert_eq!(named("ci/fleet.toml", "out = \"/srv/fleet\""), "/srv/fleet");
        assert_eq!(named("/d/fleet.toml", "schema = 1"), "/d/fleet-out");
    }
}
