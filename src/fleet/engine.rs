//! What engines need to build a fleet, from templates: data in, text out.
//!
//! Every job of theirs is a call of `kbuild fleet run` that names its cells, or says that the engine's variables do. What a job
//! leaves is a directory for each cell, and which machine it is from is of no matter.

mod github;
mod gitlab;
mod kubernetes;
mod quoted;
mod slurm;

use std::path::Path;

use super::order;
use super::shard::Shard;
use super::show::{Overview, Planned};
use crate::command::quote;
use crate::plan::template;

/// Where the jobs of engines that move files put their results, relative to where they run.
const CELLS: &str = "fleet-cells";

/// What a job may take of what it is expected to take, before it counts as stuck.
const PATIENCE: f64 = 4.0;

/// What can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// GitLab CI: the child pipeline that builds the cells.
    GitlabChild,
    /// GitLab CI: the jobs that write it and start it.
    GitlabParent,
    /// GitHub Actions: the workflow.
    GithubWorkflow,
    /// GitHub Actions: the matrix that the workflow asks for while it runs.
    GithubMatrix,
    /// Kubernetes: an Indexed Job, with what belongs to it.
    Kubernetes,
    /// Slurm: a script for sbatch.
    Slurm,
}

/// What is to be written down.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// All cells, with what is to be done about each.
    pub overview: &'a Overview,
    /// The fleet file, as the jobs are to name it.
    pub file: &'a str,
    /// What it says.
    pub text: &'a str,
    /// The absolute path of its directory, to which its paths are relative.
    pub dir: &'a Path,
    /// How many jobs share the cells; each has one of its own if nobody says.
    pub shards: Option<u32>,
    /// The image that has kbuild and what it needs.
    pub image: Option<&'a str>,
    /// Where the results go, if not where the file says.
    pub out: Option<&'a str>,
    /// Where they go in any case: relative to where the jobs run, or absolute.
    pub results: &'a str,
}

/// Why nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The engine starts no more jobs at once.
    #[error("{engine} makes at most {most} jobs of a matrix, and {found} cells are to be built")]
    TooMany {
        /// Which.
        engine: &'static str,
        /// How many it would be.
        found: usize,
        /// How many it may be.
        most: usize,
    },
    /// The engine starts images, and none is named.
    #[error("{engine} starts images, and none is named")]
    NoImage {
        /// Which.
        engine: &'static str,
    },
    /// What the fleet needs is on this machine alone.
    #[error("a pod does not have what this fleet is made from: {}", paths.join(", "))]
    NotThere {
        /// Files and directories.
        paths: Vec<String>,
    },
    /// The results of pods are in a volume.
    #[error("`--out {out}` is no place for a volume")]
    Out {
        /// What was asked for.
        out: String,
    },
    /// A name that cannot be a part of a line.
    #[error("{what} has characters that no line can have: {text:?}")]
    Word {
        /// Whose.
        what: &'static str,
        /// The name.
        text: String,
    },
    /// The file does not fit.
    #[error("the fleet file has {size} bytes, and a ConfigMap holds at most {most}")]
    TooLarge {
        /// How large it is.
        size: usize,
        /// How large it may be.
        most: usize,
    },
    /// A template that came with the program is not valid.
    #[error(transparent)]
    Template(#[from] template::Error),
}

impl Error {
    /// Returns what to do, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooMany { most, .. } => Some(format!("let jobs share the cells: `--shards N`, of at most {most}")),
            Self::NoImage { .. } => Some("name one that has kbuild with `--image` (README.md says how to make one)".into()),
            Self::NotThere { .. } => Some(
                "name URLs, or put the files into the image and the fleet file elsewhere, with their absolute paths in it".into(),
            ),
            Self::Out { .. } => Some("it is an absolute path in the pod, and `/results` if it is not said".into()),
            Self::Word { .. } => Some("give it another name".into()),
            Self::TooLarge { .. } => Some("make several fleets of it".into()),
            Self::Template(_) => None,
        }
    }
}

/// Returns the text of a document.
///
/// # Errors
/// The engine cannot do it; see [`Error`].
pub fn text(document: Document, wanted: &Wanted<'_>) -> Result<String, Error> {
    let words = [
        ("the fleet file's path", Some(wanted.file)),
        ("the image", wanted.image),
        ("the results' path", Some(wanted.results)),
    ];
    for (what, word) in words {
        if let Some(text) = word.filter(|word| word.chars().any(char::is_control) || word.is_empty()) {
            return Err(Error::Word { what, text: text.into() });
        }
    }
    match document {
        Document::GitlabChild => gitlab::child(wanted),
        Document::GitlabParent => gitlab::parent(wanted),
        Document::GithubWorkflow => github::workflow(wanted),
        Document::GithubMatrix => github::matrix(wanted),
        Document::Kubernetes => kubernetes::job(wanted),
        Document::Slurm => slurm::script(wanted),
    }
}

/// Returns what to do with a document that was written to a file, as lines.
#[must_use]
pub fn next(document: Document, wanted: &Wanted<'_>, to: &str) -> Vec<String> {
    let file = quote(to);
    match document {
        Document::GitlabChild => {
            vec!["a job of the parent pipeline triggers it: `kbuild fleet export gitlab --parent` writes both".into()]
        }
        Document::GitlabParent => vec!["take its two jobs into .gitlab-ci.yml, or include the file there".into()],
        Document::GithubWorkflow => vec!["it counts once it is in .github/workflows/ of the default branch".into()],
        Document::GithubMatrix => Vec::new(),
        Document::Kubernetes => vec![format!("kubectl apply --filename {file}")],
        Document::Slurm => slurm::commands(wanted, to),
    }
}

/// One job of a matrix.
struct Job {
    /// The cell, or the shard as `2/5`.
    name: String,
    /// Whether something is to be done.
    open: bool,
}

impl Wanted<'_> {
    /// How many cells there are.
    fn cells(&self) -> usize {
        self.overview.cells.len()
    }

    /// How many shards there are, if nobody says a shard for each cell; none is without a cell.
    fn shards(&self) -> u32 {
        let cells = u32::try_from(self.cells()).unwrap_or(u32::MAX);
        self.shards.unwrap_or(cells).min(cells).max(1)
    }

    /// Returns each shard with its cells.
    fn parts(&self) -> impl Iterator<Item = (Shard, &[Planned])> {
        let of = self.shards();
        let shards = (1..=of).filter_map(move |index| Shard::new(index, of));
        shards.map(|shard| (shard, order::part(&self.overview.cells, shard)))
    }

    /// Returns the jobs of a matrix: those with something to do.
    fn jobs(&self) -> Vec<Job> {
        let is_open = |cell: &Planned| !cell.state.is_done();
        let mut jobs: Vec<Job> = match self.shards {
            None => self
                .overview
                .cells
                .iter()
                .map(|cell| Job { name: cell.cell.name.clone(), open: is_open(cell) })
                .collect(),
            Some(_) => self
                .parts()
                .map(|(shard, cells)| Job { name: shard.to_string(), open: cells.iter().any(is_open) })
                .collect(),
        };
        jobs.retain(|job| job.open);
        jobs
    }

    /// Returns after how many hours a job counts as stuck: some times as long as the longest is expected to take.
    fn hours(&self) -> u64 {
        let seconds = |cell: &Planned| cell.cost.map_or(0.0, |cost| cost.seconds);
        // Whoever begins in the middle of a release has no tree to go on in.
        let first = self.overview.cells.iter().map(seconds).fold(0.0, f64::max);
        let longest = self.parts().map(|(_, cells)| cells.iter().map(seconds).sum::<f64>()).fold(0.0, f64::max);
        let hours = (PATIENCE * first.max(longest) / 3600.0).ceil().clamp(1.0, 999.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 999")]
        let hours = hours as u64;
        hours
    }

    /// Returns a name for what is written, as DNS allows it: that of the file.
    fn name(&self) -> String {
        let stem = Path::new(self.file).file_stem().unwrap_or_default().to_string_lossy();
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
        // Of the 63 letters of a label an index and the names of what belongs to it take some.
        let name: String = stem.chars().map(plain).take(40).collect();
        format!("kbuild-{}", name.trim_matches('-')).trim_end_matches('-').to_owned()
    }

    /// Returns a call of `kbuild fleet`: `what` with the file, and where the results go if that was said; `more` is for a shell.
    fn call(&self, what: &str, out: Option<&str>, more: &str) -> String {
        let mut call = format!("kbuild fleet {what} --file {}", quote(self.file));
        for part in [out.map(|out| format!("--out {}", quote(out))), (!more.is_empty()).then(|| more.to_owned())] {
            call.extend(part.map(|part| format!(" {part}")));
        }
        call
    }

    /// Returns the calls that bring together what jobs left, and report on it.
    fn together(&self) -> [String; 2] {
        [self.call("collect", self.out, CELLS), self.call("report", self.out, "")]
    }

    /// Returns the results' path if what an engine keeps can have it: below where the jobs run.
    fn kept(&self) -> Option<&str> {
        let path = Path::new(self.results);
        let below = path
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir));
        below.then_some(self.results)
    }
}

#[cfg(test)]
mod tests;
