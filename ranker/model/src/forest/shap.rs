//! Which feature moved a score by how much: exact Shapley values of trees (Lundberg, Erion and Lee
//! 2018, algorithm 2), as LightGBM's `predict_contrib` computes them. A feature that a coalition
//! does not know is replaced by the shares of training rows that went either way.

use super::{Forest, Tree};

/// Most steps for one row, of a few nanoseconds each. A usual forest takes a few hundred thousand.
const MAX_STEPS: usize = 1 << 27;

/// Parts of a row's score. They sum to it, but for the rounding of the sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Contributions {
    /// The mean score of the rows that the forest was trained on.
    pub expected: f64,
    /// What each feature adds to it, in column order.
    pub features: Vec<f64>,
}

impl Contributions {
    /// What each feature adds to this score more than to the other. Sums to the difference of both.
    pub fn minus(&self, other: &Self) -> Vec<f64> {
        let pairs = self.features.iter().zip(&other.features);
        pairs.map(|(ours, theirs)| ours - theirs).collect()
    }
}

/// Why a forest cannot explain its scores.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    #[error(
        "tree {tree} has no leaf_count and internal_count above 0, so scores cannot be explained"
    )]
    NoCounts { tree: usize },
    #[error(
        "an explanation takes {steps} steps, at most {MAX_STEPS} are taken: the trees are too large"
    )]
    TooLarge { steps: usize },
}

impl Forest {
    /// Explains the score of a row. Takes about a millisecond for 200 trees of 31 leaves. Panics if
    /// the row has another length than [`Self::feature_names`].
    pub fn explain(&self, row: &[f32]) -> Result<Contributions, ExplainError> {
        let features = self.feature_names.len();
        assert_eq!(row.len(), features, "a row has one value for each feature");
        self.check_steps()?;
        let mut parts = Contributions {
            expected: 0.0,
            features: vec![0.0; features],
        };
        let mut walk = Walk::default();
        for (tree, content) in self.trees.iter().enumerate() {
            let counts = content
                .counts
                .as_ref()
                .ok_or(ExplainError::NoCounts { tree })?;
            parts.expected += counts.mean(&content.leaves);
            walk.explain(
                &Counted {
                    tree: content,
                    counts,
                },
                row,
                &mut parts.features,
            );
        }
        parts.expected = self.averaged(parts.expected);
        for part in &mut parts.features {
            *part = self.averaged(*part);
        }
        Ok(parts)
    }

    /// Each leaf takes the square of the features above it.
    fn check_steps(&self) -> Result<(), ExplainError> {
        let steps = |tree: &super::layout::LaidTree| {
            let above = tree.depth.min(self.feature_names.len());
            (tree.nodes + 1) * (above + 1) * (above + 1)
        };
        match self
            .layout
            .trees
            .iter()
            .map(steps)
            .fold(0, usize::saturating_add)
        {
            0..=MAX_STEPS => Ok(()),
            steps => Err(ExplainError::TooLarge { steps }),
        }
    }
}

/// Training rows in each node and leaf of a tree, at least one each.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub nodes: Vec<f64>,
    pub leaves: Vec<f64>,
}

impl Counts {
    fn mean(&self, leaves: &[f64]) -> f64 {
        let Some(total) = self.nodes.first() else {
            return leaves[0];
        };
        let shares = self.leaves.iter().zip(leaves);
        shares.map(|(count, value)| count / total * value).sum()
    }

    fn of(&self, child: i32) -> f64 {
        match usize::try_from(child) {
            Ok(node) => self.nodes[node],
            Err(_) => self.leaves[!child as usize],
        }
    }
}

struct Counted<'a> {
    tree: &'a Tree,
    counts: &'a Counts,
}

/// A feature on the way from the root, once however often it was split on.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// `None` for the root's own step.
    feature: Option<usize>,
    /// The share of coalitions without the feature that come this way.
    zero: f64,
    /// The same with the feature: 1 or 0.
    one: f64,
    /// The weight of all coalitions of as many features as steps before this one.
    weight: f64,
}

/// A child still to be visited, with the last step of its path.
struct Open {
    child: i32,
    step: Step,
    /// Where its parent's path lies in `paths`.
    start: usize,
    length: usize,
}

/// Goes through a tree without recursion: a tree may be 4,095 splits deep.
#[derive(Default)]
struct Walk {
    open: Vec<Open>,
    /// The paths to the node that is visited and to those above it, one behind the other.
    paths: Vec<Step>,
}

impl Walk {
    fn explain(&mut self, of: &Counted, row: &[f32], parts: &mut [f64]) {
        if of.tree.nodes.is_empty() {
            return;
        }
        let step = Step {
            feature: None,
            zero: 1.0,
            one: 1.0,
            weight: 1.0,
        };
        self.open.push(Open {
            child: 0,
            step,
            start: 0,
            length: 0,
        });
        while let Some(next) = self.open.pop() {
            let start = next.start + next.length;
            self.paths.truncate(start);
            self.paths.extend_from_within(next.start..start);
            extend(&mut self.paths, start, next.step);
            match usize::try_from(next.child) {
                Ok(node) => self.split(of, node, row, start),
                Err(_) => add(
                    &self.paths[start..],
                    of.tree.leaves[!next.child as usize],
                    parts,
                ),
            }
        }
    }

    /// Opens both children of the node whose path begins at `start`.
    fn split(&mut self, of: &Counted, index: usize, row: &[f32], start: usize) {
        let node = &of.tree.nodes[index];
        let same = |step: &Step| step.feature == Some(node.feature);
        // A feature that was split on before is taken out, and put in again with both splits.
        let (mut zero, mut one) = (1.0, 1.0);
        if let Some(at) = self.paths[start..].iter().position(same) {
            let before = self.paths[start + at];
            (zero, one) = (before.zero, before.one);
            unwind(&mut self.paths, start, at);
        }
        let length = self.paths.len() - start;
        let left = of.tree.goes_left(node, row[node.feature]);
        let (hot, cold) = if left {
            (node.left, node.right)
        } else {
            (node.right, node.left)
        };
        for (child, one) in [(cold, 0.0), (hot, one)] {
            let share = of.counts.of(child) / of.counts.nodes[index];
            let step = Step {
                feature: Some(node.feature),
                zero: zero * share,
                one,
                weight: 0.0,
            };
            self.open.push(Open {
                child,
                step,
                start,
                length,
            });
        }
    }
}

/// Puts a step at the end of the path from `start` on.
fn extend(paths: &mut Vec<Step>, start: usize, step: Step) {
    let depth = paths.len() - start;
    paths.push(step);
    let path = &mut paths[start..];
    let all = (depth + 1) as f64;
    for i in (0..depth).rev() {
        let weight = path[i].weight;
        path[i + 1].weight += step.one * weight * (i + 1) as f64 / all;
        path[i].weight = step.zero * weight * (depth - i) as f64 / all;
    }
}

/// Takes step `at` out of the path from `start` on, as if it had never been put there.
fn unwind(paths: &mut Vec<Step>, start: usize, at: usize) {
    let path = &mut paths[start..];
    let depth = path.len() - 1;
    let Step { zero, one, .. } = path[at];
    let all = (depth + 1) as f64;
    let mut next = path[depth].weight;
    for i in (0..depth).rev() {
        let weight = path[i].weight;
        if one == 0.0 {
            path[i].weight = weight * all / (zero * (depth - i) as f64);
        } else {
            path[i].weight = next * all / ((i + 1) as f64 * one);
            next = weight - path[i].weight * zero * (depth - i) as f64 / all;
        }
    }
    // The weights stay where they are, the steps move up.
    for i in at..depth {
        path[i] = Step {
            weight: path[i].weight,
            ..path[i + 1]
        };
    }
    paths.pop();
}

/// The sum of the weights that [`unwind`] would leave.
fn weight_without(path: &[Step], at: usize) -> f64 {
    let depth = path.len() - 1;
    let Step { zero, one, .. } = path[at];
    let all = (depth + 1) as f64;
    let mut next = path[depth].weight;
    let mut sum = 0.0;
    for i in (0..depth).rev() {
        if one == 0.0 {
            sum += path[i].weight / zero / ((depth - i) as f64 / all);
        } else {
            let weight = next * all / ((i + 1) as f64 * one);
            sum += weight;
            next = path[i].weight - weight * zero * ((depth - i) as f64 / all);
        }
    }
    sum
}

fn add(path: &[Step], leaf: f64, parts: &mut [f64]) {
    for (at, step) in path.iter().enumerate() {
        if let Some(feature) = step.feature {
            parts[feature] += weight_without(path, at) * (step.one - step.zero) * leaf;
        }
    }
}
