//! Arguments of `kbuild fleet`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::fleet::shard::Asked;

/// Arguments of `fleet`.
#[derive(Debug, Args)]
pub struct Fleet {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
    /// The file that describes the fleet
    #[arg(short, long, global = true, value_name = "FILE", default_value = "fleet.toml")]
    pub file: PathBuf,
    /// Where the results are, instead of where the file says
    #[arg(long, global = true, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// What to do with a fleet.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Check the file: all its problems at once, each with its line
    Check,
    /// Show its cells in the order in which they are built, what has to be done and what it is expected to take
    Plan(Part),
    /// Build what has to be done: all, a shard, or single cells
    Run(Run),
    /// Show how far each cell is
    Status,
    /// Bring together what several machines built, whatever moved their files
    Collect(Collect),
    /// Write the report: one page for people, and the same as JSON
    Report(Report),
    /// Write what an engine needs to build it: a pipeline, a workflow, a job
    Export(Export),
}

/// A part of the cells.
#[derive(Debug, Args)]
pub struct Part {
    /// A part of several, such as 2/5, or `auto`: the one that the engine's own variables name
    #[arg(long, value_name = "I/N", conflicts_with = "cell")]
    pub shard: Option<Asked>,
    /// One cell; may be given several times
    #[arg(long, value_name = "NAME")]
    pub cell: Vec<String>,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Which cells.
    #[command(flatten)]
    pub part: Part,
    /// Where cells are built, instead of where the file says; a shard and a cell that is named work in a directory of their own below it
    #[arg(long, value_name = "DIR")]
    pub work: Option<PathBuf>,
    /// Build cells that are done, too
    #[arg(long)]
    pub again: bool,
}

/// Arguments of `collect`.
#[derive(Debug, Args)]
pub struct Collect {
    /// Directories in which results of cells are, at any depth
    #[arg(required = true, value_name = "DIR")]
    pub from: Vec<PathBuf>,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// Where it goes: report.html and report.json [default: beside the cells]
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// For which engine
    #[arg(value_enum)]
    pub engine: Engine,
    /// How many jobs share the cells; those of one share trees, too [default: one for each cell]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub shards: Option<u32>,
    /// The image that has kbuild and what it needs, where the engine takes one
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Where the file goes [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// github: only the matrix, as JSON, which the workflow asks for while it runs
    #[arg(long)]
    pub matrix: bool,
    /// gitlab: the jobs of the parent pipeline, which write the child and start it
    #[arg(long)]
    pub parent: bool,
}

/// An engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// GitLab CI: a child pipeline
    Gitlab,
    /// GitHub Actions: a workflow
    Github,
    /// Kubernetes: an Indexed Job
    Kubernetes,
    /// Slurm: a script for sbatch
    Slurm,
}
