//! The order of cells, in which those that share work come one after the other, and its parts.

use super::{Cell, Shard};

/// How much is shared by routes, cheapest first.
const ROUTES: [&str; 4] = ["param", "module", "auto", "kernel"];

/// Returns the cells in the order in which they are built: by source package in the order of the file, so that it is fetched
/// once, then group and architecture, the cheaper routes first, and those that differ in their table alone, which go on in one
/// tree, together. The same file gives the same order everywhere.
#[must_use]
pub fn in_order(cells: Vec<Cell>) -> Vec<Cell> {
    let mut seen = std::collections::HashMap::new();
    let mut keyed: Vec<_> = cells
        .into_iter()
        .map(|cell| {
            let next = seen.len();
            let source = *seen.entry(cell.source.to_string()).or_insert(next);
            let next = seen.len();
            let group = *seen.entry(format!("group {}", cell.group)).or_insert(next);
            let route = ROUTES.iter().position(|route| *route == cell.route).unwrap_or(ROUTES.len());
            ((source, group, cell.arch.clone(), route), cell)
        })
        .collect();
    // Stable: bits stay as the file has them.
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    keyed.into_iter().map(|(_, cell)| cell).collect()
}

/// Returns the part of the cells that is a shard's: as many as the others', give or take one, and all in a row.
#[must_use]
pub fn part<T>(cells: &[T], shard: Shard) -> &[T] {
    let bound = |index: u32| {
        let bound = u64::from(index) * cells.len() as u64 / u64::from(shard.of());
        usize::try_from(bound).unwrap_or(cells.len())
    };
    cells.get(bound(shard.index() - 1)..bound(shard.index())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_shared_stands_together() {
        let cells = vec![
            Cell::of("a", "1-1", 20, "kernel"),
            Cell::of("a", "2-2", 20, "kernel"),
            Cell::of("a", "1-1", 18, "kernel"),
            Cell::of("a", "1-1", 20, "param"),
            Cell::of("b", "1-1", 20, "kernel"),
        ];
        let names: Vec<String> = in_order(cells).into_iter().map(|cell| cell.name).collect();
        assert_eq!(
            names,
            ["a-1-1-20-param", "a-1-1-20-kernel", "a-1-1-18-kernel", "b-1-1-20-kernel", "a-2-2-20-kernel"]
        );
    }

    proptest! {
        #[test]
        fn every_cell_is_in_one_shard(count in 0_usize..40, of in 1_u32..60) {
            let cells: Vec<Cell> = (0..count).map(|n| Cell::of("g", &format!("{n}-1"), 20, "kernel")).collect();
            let parts: Vec<&[Cell]> = (1..=of).map(|index| part(&cells, Shard::new(index, of).unwrap())).collect();
            let all: Vec<Cell> = parts.iter().flat_map(|part| part.to_vec()).collect();
            prop_assert_eq!(&all, &cells);
            let sizes: Vec<usize> = parts.iter().map(|part| part.len()).collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
        }
    }
}
