//! What cells are expected to take: as long as others of their kind took, or, where there are none, a guess that says so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Cell;
use super::record::{Record, Status};

/// How long a cell is expected to take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cost {
    /// Seconds.
    pub seconds: f64,
    /// Whether others of its kind took that; else it is a guess.
    pub measured: bool,
}

/// What a kernel in the tree of another one takes of what that took: 0.206 was measured (README.md, "The second kernel").
const IN_A_TREE: f64 = 0.21;

/// What a route takes if nothing is known, in seconds: measured on two processors with Linux 6.1 in a small configuration, and a
/// distribution's kernel with ten times as many modules.
fn guess(cell: &Cell) -> f64 {
    match (cell.route.as_str(), cell.profile()) {
        ("param", _) => 2.0,
        ("module", _) => 60.0,
        (_, "fleet") => 3600.0,
        _ => 9000.0,
    }
}

/// What cells took, by their kind.
#[derive(Debug, Default)]
pub struct Known {
    /// The longest and the shortest, of each kind.
    kinds: BTreeMap<String, (f64, f64)>,
}

impl Known {
    /// Takes note of what a cell took.
    pub fn add(&mut self, record: &Record) {
        if record.status == Status::Done && record.seconds > 0.0 {
            let took = self.kinds.entry(kind(&record.cell)).or_insert((record.seconds, record.seconds));
            *took = (took.0.max(record.seconds), took.1.min(record.seconds));
        }
    }

    /// Returns what each of the cells is expected to take, in their order, on one machine.
    #[must_use]
    pub fn estimate(&self, cells: &[&Cell]) -> Vec<Cost> {
        let mut earlier: Option<&Cell> = None;
        let mut costs = Vec::with_capacity(cells.len());
        for cell in cells {
            let goes_on = cell.route == "kernel" && earlier.is_some_and(|earlier| earlier.is_variant(cell));
            earlier = Some(cell);
            costs.push(match (self.kinds.get(&kind(cell)), goes_on) {
                (Some((_, shortest)), true) => Cost { seconds: *shortest, measured: true },
                (Some((longest, _)), false) => Cost { seconds: *longest, measured: true },
                (None, true) => Cost { seconds: guess(cell) * IN_A_TREE, measured: false },
                (None, false) => Cost { seconds: guess(cell), measured: false },
            });
        }
        costs
    }
}

fn kind(cell: &Cell) -> String {
    let family = cell.recipe.as_deref().unwrap_or("?");
    format!("{family}/{}/{}/{}", cell.route, cell.profile(), cell.arch.as_deref().unwrap_or(""))
}
