//! The cells by what they are made from and by size.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::super::Cell;
use crate::ipvs::bits::Bits;

/// The cells in rows and columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Matrix {
    /// The columns: all sizes, smallest first.
    pub bits: Vec<Bits>,
    /// The rows, those of a group together.
    pub rows: Vec<Row>,
}

/// A release on one route for one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Row {
    /// The group.
    pub group: String,
    /// The release, or the source package.
    pub source: String,
    /// The architecture; nothing for that of the machine that builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// The route, as it was asked for.
    pub route: String,
    /// The names of the cells, one for each column; nothing where the fleet has none.
    pub cells: Vec<Option<String>>,
}

impl Matrix {
    /// Arranges cells: groups in the order in which they come first, their rows as they come.
    #[must_use]
    pub fn of(cells: &[Cell]) -> Self {
        let mut bits: Vec<Bits> = cells.iter().map(|cell| cell.bits).collect();
        bits.sort_unstable();
        bits.dedup();
        let mut groups: HashMap<&str, usize> = HashMap::new();
        let mut places: HashMap<_, usize> = HashMap::new();
        let mut rows: Vec<Row> = Vec::new();
        for cell in cells {
            let next = groups.len();
            groups.entry(&cell.group).or_insert(next);
            let source = cell.source.to_string();
            let key = (&cell.group, source.clone(), &cell.arch, &cell.route);
            let place = *places.entry(key).or_insert_with(|| {
                rows.push(Row {
                    group: cell.group.clone(),
                    source,
                    arch: cell.arch.clone(),
                    route: cell.route.clone(),
                    cells: vec![None; bits.len()],
                });
                rows.len() - 1
            });
            let column = bits.binary_search(&cell.bits).unwrap_or_default();
            if let Some(slot) = rows.get_mut(place).and_then(|row| row.cells.get_mut(column)) {
                *slot = Some(cell.name.clone());
            }
        }
        // Stable: the rows of a group stay as they are.
        rows.sort_by_key(|row| groups.get(row.group.as_str()).copied());
        Self { bits, rows }
    }
}
