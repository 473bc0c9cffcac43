//! What becomes of rpmbuild's trees when a build has ended: removed, or left for the next kernel without their sources, which go later.

use std::io;
use std::thread::JoinHandle;

use super::{failed, pack};
use crate::command::Command;
use crate::event::Reporter;
use crate::pipeline::Error;
use crate::plan::Layout;
use crate::sys::{exec, files, pressure};

/// How many bytes must be free to leave the sources of a tree where they are: the new one's are there, too (1.4 GB of Linux 6.1), and
/// with them what `%prep` makes of them, of some specs a second copy.
const ROOM: u64 = 4 << 30;

/// Returns rpmbuild's command so that it leaves its trees where they are, and whether that is so: since 4.16 it removes them at the end of a
/// build unless it is told `--noclean`, which its predecessors for el6 and before do not know.
pub(in crate::pipeline) fn kept(command: &Command) -> (Command, bool) {
    let help = exec::read(&Command::new(&command.program).arg("--help").with_env(command.env.clone()));
    let mut command = command.clone();
    let is_known = help.is_ok_and(|help| help.contains(NOCLEAN));
    if is_known {
        command.args.insert(command.args.len().min(1), NOCLEAN.into());
    }
    (command, is_known)
}

const NOCLEAN: &str = "--noclean";

/// Does instead what the spec's `%clean` does, which is left out then, too, and what rpmbuild does with its trees unless they are kept: by as
/// many threads as there are processors.
pub(in crate::pipeline) fn clean(layout: &Layout) -> Result<(), Error> {
    files::remove_at_once(&layout.buildroot()).map_err(failed)
}

/// Removes the trees.
pub(in crate::pipeline) fn remove(layout: &Layout) -> Result<(), Error> {
    files::remove_at_once(&layout.build()).map_err(failed)?;
    fs_err::create_dir_all(layout.build()).map_err(failed)
}

/// Leaves of the trees what another kernel can go on with. Their sources go when that one is compiled ([`sweep`]): nobody waits for it
/// then. That it cannot be done is said, and fails nothing.
pub(in crate::pipeline) fn leave(layout: &Layout, reporter: &dyn Reporter) -> Result<(), Error> {
    let rest = layout.sources_of_finished();
    pack::strip(&layout.build(), &rest).or_else(|error| {
        reporter.warn(format!("what was compiled is not kept for the next kernel: {error}"));
        remove(layout)
    })
}

/// Removes the sources of finished trees at once if they are in memory, or if there is no room for them beside others.
pub(super) fn make_room(layout: &Layout) -> Result<(), Error> {
    let has_room = pressure::room(layout.trees()).is_none_or(|room| room >= ROOM);
    if has_room && layout.memory.is_none() {
        return Ok(());
    }
    files::remove_at_once(&layout.sources_of_finished()).map_err(failed)
}

/// The removal of the sources of finished trees.
pub(in crate::pipeline) type Sweeping = JoinHandle<io::Result<()>>;

/// Begins to remove the sources of finished trees.
///
/// Not before the new tree's are there: ext4 without a journal looks at each inode that was freed in the last minutes
/// before it takes another (`recently_deleted` in fs/ext4/ialloc.c of Linux 6.1), and `%prep` took three times as long.
pub(in crate::pipeline) fn sweep(layout: &Layout) -> Sweeping {
    let rest = layout.sources_of_finished();
    std::thread::spawn(move || files::remove_at_once(&rest))
}

/// Waits until they are removed. That they cannot be is said, and fails nothing.
pub(in crate::pipeline) fn swept(layout: &Layout, sweeping: Sweeping, reporter: &dyn Reporter) {
    let failed = |_| Err(io::Error::other("the thread that removes it failed"));
    if let Err(error) = sweeping.join().unwrap_or_else(failed) {
        let rest = layout.sources_of_finished();
        reporter.warn(format!("`{}`, which nobody needs any more, cannot be removed: {error}", rest.display()));
    }
}
