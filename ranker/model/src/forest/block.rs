//! Scores a block of rows at once. What is known about the rows is kept in masks of one bit a row:
//! first for every predicate the rows that it sends left, then tree by tree, from the root down,
//! the rows that come to a node and at last to a leaf.

use super::{
    contains,
    kernel::Kernel,
    layout::{CategorySet, Column, Direction, Group, LaidNode, Layout},
    scorer::Rows,
};

/// More than the 8,191 slots of the largest tree: a power of two, so that no index is out of range
/// once it is cut to [`SLOTS`].
const SLOTS: usize = 8192;

/// Row `r` is bit `r / W` of word `r % W`.
pub(super) type Mask<const W: usize> = [u64; W];

/// Sum of row `r` at `[r % W][r / W]`.
pub(super) type Sums<const W: usize> = [[f64; 64]; W];

/// What scoring of up to `64 * W` rows writes to.
pub(super) struct Block<const W: usize> {
    /// Rows that have each rank in one column.
    ranks: Vec<Mask<W>>,
    /// Rows that each predicate sends left.
    left: Vec<Mask<W>>,
    /// Rows in each slot of one tree.
    slots: Box<[Mask<W>; SLOTS]>,
    sums: Box<Sums<W>>,
}

impl<const W: usize> Default for Block<W> {
    fn default() -> Self {
        let slots = vec![[0; W]; SLOTS].into_boxed_slice().try_into();
        Self {
            ranks: Vec::new(),
            left: Vec::new(),
            slots: slots.expect("the length is SLOTS"),
            sums: Box::new([[0.0; 64]; W]),
        }
    }
}

impl<const W: usize> Block<W> {
    /// Most rows that are scored at once.
    pub const ROWS: usize = 64 * W;

    /// The sum of leaf values of each row.
    #[inline(always)]
    pub fn score<K: Kernel>(&mut self, layout: &Layout, rows: Rows, sums: &mut [f64]) {
        self.decide::<K>(layout, rows);
        self.sums.fill([0.0; 64]);
        let all = all_rows(sums.len());
        for tree in &layout.trees {
            self.slots[0] = all;
            self.pass_down(layout.nodes_of(tree));
            let leaves = &self.slots[tree.nodes..=2 * tree.nodes];
            K::add_leaves(leaves, layout.leaves_of(tree), &mut self.sums);
        }
        for (row, sum) in sums.iter_mut().enumerate() {
            *sum = self.sums[row % W][row / W];
        }
    }

    /// Fills in `left`.
    #[inline(always)]
    fn decide<K: Kernel>(&mut self, layout: &Layout, rows: Rows) {
        // Only grows, so a call costs nothing here after the first.
        self.ranks
            .resize(layout.ranks().max(self.ranks.len()), [0; W]);
        self.left
            .resize((layout.predicates as usize).max(self.left.len()), [0; W]);
        for column in &layout.columns {
            let ranks = &mut self.ranks[..=column.nan_rank()];
            ranks.fill([0; W]);
            for (row, values) in rows.iter().enumerate() {
                let rank = rank::<K>(&column.levels, values[column.feature]);
                ranks[rank][row % W] |= bit(row / W);
            }
            scan(column, ranks, &mut self.left);
        }
        for set in &layout.sets {
            self.left[set.lane.first as usize] = members(set, rows);
        }
    }

    /// From the root, slot 0, to the leaves.
    #[inline(always)]
    fn pass_down(&mut self, nodes: &[LaidNode]) {
        for (slot, node) in nodes.iter().enumerate() {
            let here = self.slots[slot % SLOTS];
            let left = self.left[node.predicate as usize];
            self.slots[usize::from(node.left) % SLOTS] = std::array::from_fn(|w| here[w] & left[w]);
            self.slots[usize::from(node.right) % SLOTS] =
                std::array::from_fn(|w| here[w] & !left[w]);
        }
    }
}

fn bit(index: usize) -> u64 {
    1_u64.wrapping_shl(index as u32)
}

fn all_rows<const W: usize>(count: usize) -> Mask<W> {
    std::array::from_fn(|word| match (count + W - 1 - word) / W {
        64.. => u64::MAX,
        rows => bit(rows) - 1,
    })
}

/// How many thresholds are below the value; for NaN the column's [`Column::nan_rank`].
#[inline(always)]
pub(super) fn rank<K: Kernel>(levels: &[Vec<Group>], value: f32) -> usize {
    let mut rank = 0_usize;
    for level in levels {
        // NaN leads past the end.
        let group = &level[rank.min(level.len() - 1)];
        rank = rank
            .min(level.len() - 1)
            .wrapping_mul(Group::SIZE)
            .wrapping_add(K::not_reached(group, value));
    }
    rank
}

/// A row goes left at all thresholds from its rank on.
#[inline(always)]
fn scan<const W: usize>(column: &Column, ranks: &[Mask<W>], left: &mut [Mask<W>]) {
    let nan = ranks[column.nan_rank()];
    let zero = column.zero_rank.map_or([0; W], |rank| ranks[rank]);
    for lane in &column.lanes {
        let (mut rows, kept) = match lane.direction {
            Direction::Right => ([0; W], [!0; W]),
            Direction::Left => (nan, [!0; W]),
            Direction::RightWithZeros => ([0; W], zero.map(|rows| !rows)),
            Direction::LeftWithZeros => (std::array::from_fn(|w| nan[w] | zero[w]), [!0; W]),
        };
        let left = &mut left[lane.first as usize..][..column.thresholds];
        for (left, ranked) in left.iter_mut().zip(ranks) {
            rows = std::array::from_fn(|w| rows[w] | ranked[w] & kept[w]);
            *left = rows;
        }
    }
}

fn members<const W: usize>(set: &CategorySet, rows: Rows) -> Mask<W> {
    let mut mask = [0; W];
    for (row, values) in rows.iter().enumerate() {
        if contains(&set.bits, values[set.feature]) {
            mask[row % W] |= bit(row / W);
        }
    }
    mask
}
