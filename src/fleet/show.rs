//! A fleet as text: what is to be done, in which order, at what cost; and how far it is.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cost::Cost;
use super::{Cell, State};

/// One cell with all that a plan says of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Planned {
    /// The cell.
    pub cell: Cell,
    /// How far it is.
    pub state: State,
    /// What it is expected to take; nothing if there is nothing to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// The call of kbuild, quoted for a shell, without passwords.
    pub command: String,
}

/// A whole fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Overview {
    /// Version of this format.
    pub schema: u32,
    /// Where the results go.
    pub out: PathBuf,
    /// All cells in the order in which they are built.
    pub cells: Vec<Planned>,
}

impl Overview {
    /// Returns how many cells there are in each state, in the order of their first ones.
    #[must_use]
    pub fn count(&self) -> Vec<(&'static str, usize)> {
        let mut counts: Vec<(&'static str, usize)> = Vec::new();
        for cell in &self.cells {
            match counts.iter_mut().find(|(word, _)| *word == cell.state.word()) {
                Some((_, count)) => *count += 1,
                None => counts.push((cell.state.word(), 1)),
            }
        }
        counts
    }

    /// Returns it as a table: a line for each cell, and the sums. `duration` writes a time as text.
    #[must_use]
    pub fn text(&self, duration: &dyn Fn(Duration) -> String) -> String {
        let mut text = String::new();
        let width = self.cells.iter().map(|planned| planned.cell.name.chars().count()).max().unwrap_or(0);
        let (mut sum, mut guessed) = (0.0, false);
        for Planned { cell, state, cost, .. } in &self.cells {
            let cost = cost.map(|cost| {
                sum += cost.seconds;
                guessed |= !cost.measured;
                let mark = if cost.measured { "" } else { "?" };
                format!("{}{mark}", duration(Duration::from_secs_f64(cost.seconds)))
            });
            let why = state.why().map(|why| format!("  {why}")).unwrap_or_default();
            // Writing to a String does not fail.
            let _ = writeln!(text, "{:width$}  {:8} {:>8}{why}", cell.name, state.word(), cost.unwrap_or_default());
        }
        let counts: Vec<String> = self.count().iter().map(|(word, count)| format!("{count} {word}")).collect();
        let _ = write!(text, "\n{} cells: {}", self.cells.len(), counts.join(", "));
        if sum > 0.0 {
            let how = if guessed { "; what is marked ? is a guess" } else { ", as others of their kind took" };
            let _ = write!(text, "; about {} one after the other{how}", duration(Duration::from_secs_f64(sum)));
        }
        let _ = writeln!(text, "\nresults in {}", self.out.display());
        text
    }
}
