//! Scores one row by walking through several trees at a time, where a whole block would cost more.

use super::{
    block::rank,
    contains,
    kernel::Kernel,
    layout::{Column, Direction, Layout},
};

/// Trees that are walked through at a time: one step of each while the others wait for memory.
const TREES: usize = 8;

/// What walks write to: for each lane the first predicate that sends the row left.
#[derive(Default)]
pub(super) struct Walk {
    left_from: Vec<u32>,
}

impl Walk {
    /// The sum of leaf values.
    #[inline(always)]
    pub fn score<K: Kernel>(&mut self, layout: &Layout, row: &[f32]) -> f64 {
        self.decide::<K>(layout, row);
        let mut sum = 0.0;
        for trees in layout.trees.chunks(TREES) {
            let mut slots = [0_usize; TREES];
            let steps = trees.iter().map(|tree| tree.depth).max().unwrap_or(0);
            for _ in 0..steps {
                for (slot, tree) in slots.iter_mut().zip(trees) {
                    // A row at a leaf stays, whatever the node that is looked at.
                    let node = layout.nodes[tree.first_node + (*slot).min(tree.nodes)];
                    let left = self.left_from[node.lane as usize] <= node.predicate;
                    let next = if left { node.left } else { node.right };
                    *slot = if *slot < tree.nodes {
                        usize::from(next)
                    } else {
                        *slot
                    };
                }
            }
            for (slot, tree) in slots.iter().zip(trees) {
                sum += layout.leaves[tree.first_leaf + slot - tree.nodes];
            }
        }
        sum
    }

    #[inline(always)]
    fn decide<K: Kernel>(&mut self, layout: &Layout, row: &[f32]) {
        // At least one, for the last of the nodes.
        self.left_from.resize((layout.lanes as usize).max(1), 0);
        for column in &layout.columns {
            let rank = rank::<K, 0>(&column.levels, row[column.feature]);
            for lane in &column.lanes {
                self.left_from[lane.index as usize] =
                    lane.first + left_from(column, lane.direction, rank) as u32;
            }
        }
        for set in &layout.sets {
            let outside = !contains(&set.bits, row[set.feature]);
            self.left_from[set.lane.index as usize] = set.lane.first + u32::from(outside);
        }
    }
}

/// The lowest threshold of the column at which a row of this rank goes left.
fn left_from(column: &Column, direction: Direction, rank: usize) -> usize {
    let moved = rank == column.nan_rank() || Some(rank) == column.zero_rank;
    match direction {
        Direction::Right => rank.min(column.thresholds),
        Direction::Left if rank == column.nan_rank() => 0,
        Direction::Left => rank,
        Direction::RightWithZeros if moved => column.thresholds,
        Direction::LeftWithZeros if moved => 0,
        Direction::RightWithZeros | Direction::LeftWithZeros => rank,
    }
}
