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
    /// Rows that each predicate sends right.
    pub right: Vec<Mask<W>>,
    /// Rows in each slot of one tree.
    slots: Box<[Mask<W>; SLOTS]>,
    pub sums: Box<Sums<W>>,
    /// Rows that are scored.
    pub count: usize,
}

impl<const W: usize> Default for Block<W> {
    fn default() -> Self {
        let slots = vec![[0; W]; SLOTS].into_boxed_slice().try_into();
        Self {
            ranks: Vec::new(),
            right: Vec::new(),
            slots: slots.expect("the length is SLOTS"),
            sums: Box::new([[0.0; 64]; W]),
            count: 0,
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
        self.count = sums.len();
        K::add_trees(self, layout);
        for (row, sum) in sums.iter_mut().enumerate() {
            *sum = self.sums[row % W][row / W];
        }
    }

    /// The masks of a tree's leaves.
    #[inline(always)]
    pub fn leaves(&mut self, nodes: &[LaidNode]) -> (&[Mask<W>], &mut Sums<W>) {
        self.slots[0] = all_rows(self.count);
        self.pass_down(nodes);
        (&self.slots[nodes.len()..=2 * nodes.len()], &mut self.sums)
    }

    /// Fills in `right`.
    #[inline(always)]
    fn decide<K: Kernel>(&mut self, layout: &Layout, rows: Rows) {
        // Only grows, so a call costs nothing here after the first.
        self.ranks
            .resize(layout.ranks().max(self.ranks.len()), [0; W]);
        self.right
            .resize((layout.predicates as usize).max(self.right.len()), [0; W]);
        for column in &layout.columns {
            let ranks = &mut self.ranks[..=column.nan_rank()];
            ranks.fill([0; W]);
            match column.levels.len() {
                1 => rank_all::<K, W, 1>(column, rows, ranks),
                2 => rank_all::<K, W, 2>(column, rows, ranks),
                _ => rank_all::<K, W, 0>(column, rows, ranks),
            }
            scan(column, ranks, &mut self.right);
        }
        for set in &layout.sets {
            self.right[set.lane.first as usize] = outside(set, rows);
        }
    }

    /// From the root, slot 0, to the leaves.
    #[inline(always)]
    fn pass_down(&mut self, nodes: &[LaidNode]) {
        for (slot, node) in nodes.iter().enumerate() {
            let here = self.slots[slot % SLOTS];
            let right = self.right[node.predicate as usize];
            self.slots[usize::from(node.left) % SLOTS] =
                std::array::from_fn(|w| here[w] & !right[w]);
            self.slots[usize::from(node.right) % SLOTS] =
                std::array::from_fn(|w| here[w] & right[w]);
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

/// Adds each row to those of its rank.
#[inline(always)]
fn rank_all<K: Kernel, const W: usize, const LEVELS: usize>(
    column: &Column,
    rows: Rows,
    ranks: &mut [Mask<W>],
) {
    for (row, values) in rows.iter().enumerate() {
        let rank = rank::<K, LEVELS>(&column.levels, values[column.feature]);
        ranks[rank][row % W] |= bit(row / W);
    }
}

/// How many thresholds are below the value; for NaN the column's [`Column::nan_rank`]. `LEVELS` is
/// the number of levels where it is known, or 0.
#[inline(always)]
pub(super) fn rank<K: Kernel, const LEVELS: usize>(levels: &[Vec<Group>], value: f32) -> usize {
    let mut rank = 0_usize;
    let levels = if LEVELS > 0 {
        &levels[..LEVELS]
    } else {
        levels
    };
    for level in levels {
        // NaN leads past the end.
        let group = rank.min(level.len() - 1);
        rank = (group * Group::SIZE).wrapping_add(K::not_reached(&level[group], value));
    }
    rank
}

/// A row goes right at all thresholds below its rank.
#[inline(always)]
fn scan<const W: usize>(column: &Column, ranks: &[Mask<W>], right: &mut [Mask<W>]) {
    let nan = ranks[column.nan_rank()];
    let zero = column.zero_rank.map_or([0; W], |rank| ranks[rank]);
    for lane in &column.lanes {
        let (left, always_right) = match lane.direction {
            Direction::Right => ([0; W], [0; W]),
            Direction::Left => (nan, [0; W]),
            Direction::RightWithZeros => ([0; W], zero),
            Direction::LeftWithZeros => (std::array::from_fn(|w| nan[w] | zero[w]), [0; W]),
        };
        let mut rows: Mask<W> = left.map(|rows| !rows);
        let out = &mut right[lane.first as usize..][..column.thresholds];
        for (out, ranked) in out.iter_mut().zip(ranks) {
            rows = std::array::from_fn(|w| rows[w] & (!ranked[w] | always_right[w]));
            *out = rows;
        }
    }
}

fn outside<const W: usize>(set: &CategorySet, rows: Rows) -> Mask<W> {
    let mut mask = [0; W];
    for (row, values) in rows.iter().enumerate() {
        if !contains(&set.bits, values[set.feature]) {
            mask[row % W] |= bit(row / W);
        }
    }
    mask
}
