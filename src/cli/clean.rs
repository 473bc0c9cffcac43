//! `kbuild clean`: removes what builds left in a work directory, and nothing else.

use std::fmt::Write;
use std::os::unix::fs::MetadataExt;

use super::args::work::Clean;
use super::render::units::bytes;
use super::{Edge, Output, prepare};
use crate::error::Error;
use crate::pipeline::ledger::Last;
use crate::pipeline::{self, Workplace, in_memory};
use crate::plan::Layout;
use crate::sys::{clock, files, probe};

pub(super) fn run(edge: &Edge, args: &Clean) -> Result<Output, Error> {
    let work = prepare::absolute(args.work.as_deref().unwrap_or(&probe::facts().default_work))?;
    let mut layout = Layout::of(&work);
    let Ok(mark) = fs_err::metadata(layout.lock()) else {
        return Ok(Output::text(format!("no kbuild has worked in {}\n", layout.work.display())));
    };
    layout.memory = in_memory::left(&layout, mark.uid());
    // Held until all is removed.
    let _workplace = Workplace::of(&layout, mark.uid(), false, &*edge.reporter).map_err(Error::Pipeline)?;
    let asked_for = [(args.sign_key, layout.signing()), (args.cache, layout.cache())];
    let asked_for = asked_for.into_iter().filter(|(asked, _)| *asked).map(|(_, path)| path);
    let wanted: Vec<_> = layout.made().into_iter().chain(asked_for).collect();
    let size: u64 = wanted.iter().map(|path| files::size_of_tree(path)).sum();
    if let Some(why) = keeps(args, &layout, size) {
        return Ok(Output::text(format!("{} is kept: {why}\n", layout.work.display())));
    }
    let mut text = String::new();
    for path in wanted {
        if fs_err::symlink_metadata(&path).is_err() {
            continue;
        }
        let size = bytes(files::size_of_tree(&path));
        if !args.dry_run {
            let failed = |source| pipeline::Error::io("it cannot be removed", source);
            files::remove(&path).map_err(failed)?;
        }
        // Writing to a String does not fail.
        let _ = writeln!(text, "{size:>10}  {}", path.display());
    }
    let verb = if args.dry_run { "would be freed" } else { "freed" };
    let _ = writeln!(text, "{:>10}  {verb}", bytes(size));
    Ok(Output::text(text))
}

/// Says why nothing is removed, if so.
fn keeps(args: &Clean, layout: &Layout, size: u64) -> Option<String> {
    if let Some(least) = args.over.filter(|least| size <= *least) {
        return Some(format!("it holds {}, not more than {}", bytes(size), bytes(least)));
    }
    let oldest = args.older_than?;
    let began = Last::read(layout)?.manifest.started;
    let age = clock::age(&began)?;
    (age.as_secs_f64() < oldest).then(|| format!("its last run began {began}"))
}
