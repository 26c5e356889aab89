//! A forest laid out for scoring.
//!
//! Each split is a *predicate* over a row: its value is at most a threshold, or its category is in
//! a set. Many splits share one, so predicates are decided once a row and trees only look them up.
//! The numeric predicates of one feature differ in the threshold and in where missing values and
//! zeros go; those that agree in the latter are a *lane*. Along a lane predicates ascend with their
//! thresholds, so a row's rank among the thresholds decides all of them.

use std::collections::{BTreeMap, HashMap};

use super::{Missing, Split, Tree, ZERO};

#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub columns: Vec<Column>,
    pub sets: Vec<CategorySet>,
    pub trees: Vec<LaidTree>,
    /// All trees' nodes, each before its left subtree and that before its right one; then one more
    /// that no walk enters.
    pub nodes: Vec<LaidNode>,
    /// All trees' leaf values, see [`padded_leaves`].
    pub leaves: Vec<f64>,
    pub predicates: u32,
    pub lanes: u32,
    /// Sum of the trees' depths.
    pub depth: usize,
}

/// A feature that numeric splits use.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub feature: usize,
    /// A search tree over the thresholds: each level has the largest thresholds of the groups of
    /// the next, and the last has all, followed by at least one infinity.
    pub levels: Vec<Vec<Group>>,
    pub thresholds: usize,
    /// The rank that zeros have and nothing else, where a lane needs to know them.
    pub zero_rank: Option<usize>,
    pub lanes: Vec<Lane>,
}

/// Thresholds of one cache line, ascending; the rest is infinity.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Group(pub [f32; Group::SIZE]);

impl Group {
    pub const SIZE: usize = 16;
}

/// The predicates from `first` on, one a threshold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane {
    pub direction: Direction,
    pub first: u32,
    /// Number of the lane among all.
    pub index: u32,
}

/// Where NaN goes, and whether zeros go with it instead of being compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    Right,
    Left,
    RightWithZeros,
    LeftWithZeros,
}

/// Whether the category is one of those whose bits are set: one predicate, and a lane of its own.
#[derive(Clone, Debug)]
pub(super) struct CategorySet {
    pub feature: usize,
    pub bits: Vec<u32>,
    pub lane: Lane,
}

/// Slots `0..nodes` of a tree are its nodes, the root first; its leaves follow from left to right,
/// but for this: the leftmost leaf below the right child of node `i` is leaf `i + 1`.
#[derive(Clone, Copy, Debug)]
pub(super) struct LaidTree {
    pub first_node: usize,
    pub nodes: usize,
    pub first_leaf: usize,
    pub depth: usize,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LaidNode {
    pub predicate: u32,
    pub lane: u32,
    /// Slots of the children.
    pub left: u16,
    pub right: u16,
    /// The leftmost leaf below.
    pub leaf: u16,
}

/// Room for the values of `leaves` leaves: small trees have as much as whole registers hold.
pub(super) fn padded_leaves(leaves: usize) -> usize {
    if leaves <= 64 {
        leaves.next_power_of_two().max(32)
    } else {
        leaves
    }
}

impl Layout {
    pub fn new(trees: &[Tree]) -> Self {
        let mut predicates = Predicates::default();
        for tree in trees {
            predicates.collect(tree);
        }
        let mut layout = predicates.number();
        for tree in trees {
            layout.push(tree, &predicates);
        }
        layout.nodes.push(LaidNode::default());
        layout
    }

    /// Ranks that the largest column tells apart.
    pub fn ranks(&self) -> usize {
        let ranks = |column: &Column| column.nan_rank() + 1;
        self.columns.iter().map(ranks).max().unwrap_or(0)
    }

    pub fn nodes_of(&self, tree: &LaidTree) -> &[LaidNode] {
        &self.nodes[tree.first_node..][..tree.nodes]
    }

    pub fn leaves_of(&self, tree: &LaidTree) -> &[f64] {
        &self.leaves[tree.first_leaf..][..padded_leaves(tree.nodes + 1)]
    }

    fn push(&mut self, tree: &Tree, predicates: &Predicates) {
        let nodes = tree.nodes.len();
        let order = Order::new(tree);
        let slot = |child: i32| match usize::try_from(child) {
            Ok(node) => order.node_place[node],
            Err(_) => nodes + order.leaf_place[!child as usize],
        };
        let small = |slot: usize| u16::try_from(slot).expect("a tree has at most 8,191 slots");
        let first_node = self.nodes.len();
        for &(node, leaf) in &order.nodes {
            let node = &tree.nodes[node];
            let (lane, predicate) = predicates.find(tree, node.feature, &node.split);
            self.nodes.push(LaidNode {
                predicate,
                lane,
                left: small(slot(node.left)),
                right: small(slot(node.right)),
                leaf: small(leaf),
            });
        }
        let first_leaf = self.leaves.len();
        self.leaves
            .resize(first_leaf + padded_leaves(nodes + 1), 0.0);
        for (value, place) in tree.leaves.iter().zip(order.leaf_place) {
            self.leaves[first_leaf + place] = *value;
        }
        self.depth += order.depth;
        self.trees.push(LaidTree {
            first_node,
            nodes,
            first_leaf,
            depth: order.depth,
        });
    }
}

/// How a tree's nodes and leaves are numbered, see [`LaidTree`].
struct Order {
    /// The tree's own numbers in our order, with the leftmost leaf below.
    nodes: Vec<(usize, usize)>,
    /// Our numbers in the tree's own order.
    node_place: Vec<usize>,
    leaf_place: Vec<usize>,
    depth: usize,
}

impl Order {
    fn new(tree: &Tree) -> Self {
        let mut order = Self {
            nodes: Vec::new(),
            node_place: vec![0; tree.nodes.len()],
            leaf_place: vec![0; tree.leaves.len()],
            depth: 0,
        };
        let root = if tree.nodes.is_empty() { !0 } else { 0 };
        let mut open = vec![(root, 0, 0)];
        while let Some((next, leaf, depth)) = open.pop() {
            let Ok(node) = usize::try_from(next) else {
                order.leaf_place[!next as usize] = leaf;
                order.depth = order.depth.max(depth);
                continue;
            };
            order.node_place[node] = order.nodes.len();
            order.nodes.push((node, leaf));
            let node = &tree.nodes[node];
            open.push((node.right, order.nodes.len(), depth + 1));
            open.push((node.left, leaf, depth + 1));
        }
        order
    }
}

impl Column {
    /// The rank of NaN; that of anything else is at most `thresholds`.
    pub fn nan_rank(&self) -> usize {
        self.levels
            .last()
            .map_or(0, |level| level.len() * Group::SIZE)
    }
}

/// The forest's distinct predicates.
#[derive(Default)]
struct Predicates {
    numeric: BTreeMap<usize, Numeric>,
    /// Lane of each set.
    sets: HashMap<(usize, Vec<u32>), Lane>,
}

/// Those of one feature.
#[derive(Default)]
struct Numeric {
    /// Ascending once all are collected.
    thresholds: Vec<f32>,
    lanes: BTreeMap<Direction, Lane>,
}

impl Predicates {
    fn collect(&mut self, tree: &Tree) {
        for node in &tree.nodes {
            match node.split {
                Split::Numeric {
                    threshold,
                    missing,
                    default_left,
                } => {
                    let (threshold, direction) = numeric(threshold, missing, default_left);
                    let column = self.numeric.entry(node.feature).or_default();
                    column.thresholds.push(threshold);
                    if matches!(
                        direction,
                        Direction::LeftWithZeros | Direction::RightWithZeros
                    ) {
                        column.thresholds.extend(AROUND_ZERO);
                    }
                    column.lanes.entry(direction).or_insert(Lane {
                        direction,
                        first: 0,
                        index: 0,
                    });
                }
                Split::Categorical { start, end } => {
                    let set = (
                        node.feature,
                        category_bits(&tree.categories[start..end]).to_vec(),
                    );
                    let direction = Direction::Right;
                    self.sets.entry(set).or_insert(Lane {
                        direction,
                        first: 0,
                        index: 0,
                    });
                }
            }
        }
    }

    /// Gives each lane and predicate its number.
    fn number(&mut self) -> Layout {
        let mut layout = Layout::default();
        for (&feature, column) in &mut self.numeric {
            column.thresholds.sort_unstable_by(f32::total_cmp);
            column.thresholds.dedup();
            for lane in column.lanes.values_mut() {
                layout.number(lane, column.thresholds.len());
            }
            let zero_rank = column.thresholds.iter().position(|&t| t == AROUND_ZERO[1]);
            let tells_zeros = |lane: &Lane| lane.direction >= Direction::RightWithZeros;
            let lanes: Vec<Lane> = column.lanes.values().copied().collect();
            layout.columns.push(Column {
                feature,
                levels: levels(&column.thresholds),
                thresholds: column.thresholds.len(),
                zero_rank: zero_rank.filter(|_| lanes.iter().any(tells_zeros)),
                lanes,
            });
        }
        let mut sets: Vec<_> = self.sets.iter_mut().collect();
        sets.sort_unstable_by(|a, b| a.0.cmp(b.0));
        for ((feature, bits), lane) in sets {
            layout.number(lane, 1);
            layout.sets.push(CategorySet {
                feature: *feature,
                bits: bits.clone(),
                lane: *lane,
            });
        }
        layout
    }

    /// Lane and predicate of a split that was collected.
    fn find(&self, tree: &Tree, feature: usize, split: &Split) -> (u32, u32) {
        match *split {
            Split::Numeric {
                threshold,
                missing,
                default_left,
            } => {
                let (threshold, direction) = numeric(threshold, missing, default_left);
                let column = &self.numeric[&feature];
                let rank = column.thresholds.partition_point(|&t| t < threshold);
                let lane = column.lanes[&direction];
                (lane.index, lane.first + rank as u32)
            }
            Split::Categorical { start, end } => {
                let bits = category_bits(&tree.categories[start..end]).to_vec();
                let lane = self.sets[&(feature, bits)];
                (lane.index, lane.first)
            }
        }
    }
}

impl Layout {
    fn number(&mut self, lane: &mut Lane, predicates: usize) {
        (lane.first, lane.index) = (self.predicates, self.lanes);
        self.predicates += u32::try_from(predicates).expect("a text has fewer than 2^30 splits");
        self.lanes += 1;
    }
}

/// The largest value below all zeros, and the largest zero.
const AROUND_ZERO: [f32; 2] = [-ZERO_F32.next_up(), ZERO_F32];
const ZERO_F32: f32 = ZERO as f32;

/// The same decision on an f32 as it comes: zeros, within ±1e-35, need no rounding to 0 where no
/// threshold lies among them, and no f32 lies between a threshold and the next lower f32.
fn numeric(threshold: f64, missing: Missing, default_left: bool) -> (f32, Direction) {
    let zero_left = 0.0 <= threshold;
    let below = at_most(threshold);
    let [under, zero] = AROUND_ZERO;
    let threshold = if zero_left {
        below.max(zero)
    } else {
        below.min(under)
    };
    let nan_left = match missing {
        Missing::Never => zero_left,
        Missing::Zero | Missing::NaN => default_left,
    };
    let zero_moves = missing == Missing::Zero && default_left != zero_left;
    let direction = match (zero_moves, nan_left) {
        (false, false) => Direction::Right,
        (false, true) => Direction::Left,
        (true, false) => Direction::RightWithZeros,
        (true, true) => Direction::LeftWithZeros,
    };
    (threshold, direction)
}

/// The largest f32 that is not above `value`.
fn at_most(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) > value {
        near.next_down()
    } else {
        near
    }
}

/// Equal sets have equal bits.
fn category_bits(words: &[u32]) -> &[u32] {
    let used = words
        .iter()
        .rposition(|&word| word != 0)
        .map_or(0, |last| last + 1);
    &words[..used]
}

/// The search tree of a [`Column`]; its first level is one group.
fn levels(thresholds: &[f32]) -> Vec<Vec<Group>> {
    let groups = |values: &[f32], count: usize| -> Vec<Group> {
        let group = |index: usize| {
            let value = |at: usize| {
                values
                    .get(index * Group::SIZE + at)
                    .copied()
                    .unwrap_or(f32::INFINITY)
            };
            Group(std::array::from_fn(value))
        };
        (0..count).map(group).collect()
    };
    let mut levels = vec![groups(thresholds, thresholds.len() / Group::SIZE + 1)];
    while levels[0].len() > 1 {
        let largest: Vec<f32> = levels[0]
            .iter()
            .map(|group| group.0[Group::SIZE - 1])
            .collect();
        levels.insert(0, groups(&largest, largest.len().div_ceil(Group::SIZE)));
    }
    levels
}
