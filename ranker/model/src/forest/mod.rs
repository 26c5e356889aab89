//! A forest as LightGBM wrote it, and what scores rows with it.
//!
//! Decisions and the order of summation are those of LightGBM 4 (`Tree::NumericalDecision`,
//! `Tree::CategoricalDecision`, `GBDT::PredictRaw`), so that scores are equal to the last bit.
//! [`Forest::score`] is the plain walk, the reference; [`Forest::score_rows`] is the fast way.

mod block;
mod kernel;
mod layout;
mod parse;
mod scorer;
mod shap;
mod walk;

use layout::Layout;
use scorer::Rows;
use shap::Counts;

pub use kernel::Isa;
pub use parse::{ForestError, MAX_BYTES, MAX_FEATURES, MAX_LEAVES, MAX_TREES};
pub use scorer::Scratch;
pub use shap::{Contributions, ExplainError};

/// LightGBM takes what lies within ±1e-35, rounded to f32, as zero.
const ZERO: f64 = 1e-35f32 as f64;

/// A checked forest: every walk ends at a leaf.
#[derive(Clone, Debug)]
pub struct Forest {
    feature_names: Vec<String>,
    trees: Vec<Tree>,
    average_output: bool,
    layout: Layout,
    isa: Isa,
}

#[derive(Clone, Debug)]
struct Tree {
    /// The root is the first; empty for a tree that is one leaf.
    nodes: Vec<Node>,
    leaves: Vec<f64>,
    /// The bitsets of all categorical splits.
    categories: Vec<u32>,
    /// `None` where the text does not tell them all.
    counts: Option<Counts>,
}

#[derive(Clone, Debug)]
struct Node {
    feature: usize,
    split: Split,
    /// A node, or the complement (`!`) of a leaf's index.
    left: i32,
    right: i32,
}

#[derive(Clone, Debug)]
enum Split {
    Numeric {
        threshold: f64,
        missing: Missing,
        default_left: bool,
    },
    /// Goes left where the bit of the value is set in `categories[start..end]`.
    Categorical { start: usize, end: usize },
}

/// Which values follow the default direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// None; NaN is read as 0.
    Never,
    /// Zero and NaN.
    Zero,
    NaN,
}

impl Forest {
    /// Reads LightGBM's text format. Bounded and total: any bytes give a forest or an error.
    pub fn parse(text: &[u8]) -> Result<Self, ForestError> {
        parse::parse(text)
    }

    /// Names in column order.
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// Number of trees.
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// The raw score of a row: one value a feature, NaN where it is missing. Panics if the row has
    /// another length than [`Self::feature_names`].
    pub fn score(&self, row: &[f32]) -> f64 {
        assert_eq!(
            row.len(),
            self.feature_names.len(),
            "a row has one value for each feature"
        );
        let mut sum = 0.0;
        for tree in &self.trees {
            sum += tree.output(row);
        }
        self.averaged(sum)
    }

    /// The raw scores of row-major `values`, equal to those of [`Self::score`] to the last bit.
    /// Panics if there is not one score for each row.
    pub fn score_rows(&self, values: &[f32], scratch: &mut Scratch, scores: &mut [f64]) {
        self.score_rows_with(self.isa, values, scratch, scores);
    }

    /// The same with an instruction set of the caller's choice. Panics too where the processor does
    /// not have it.
    pub fn score_rows_with(
        &self,
        isa: Isa,
        values: &[f32],
        scratch: &mut Scratch,
        scores: &mut [f64],
    ) {
        let width = self.feature_names.len();
        assert_eq!(
            values.len(),
            scores.len() * width,
            "a row has one value for each feature, and one score"
        );
        isa.score(&self.layout, Rows { values, width }, scratch, scores);
        for score in scores {
            *score = self.averaged(*score);
        }
    }

    fn averaged(&self, sum: f64) -> f64 {
        if self.average_output {
            sum / self.trees.len() as f64
        } else {
            sum
        }
    }
}

impl Tree {
    fn output(&self, row: &[f32]) -> f64 {
        let mut next = if self.nodes.is_empty() { !0 } else { 0 };
        while next >= 0 {
            let node = &self.nodes[next as usize];
            next = if self.goes_left(node, row[node.feature]) {
                node.left
            } else {
                node.right
            };
        }
        self.leaves[!next as usize]
    }

    fn goes_left(&self, node: &Node, value: f32) -> bool {
        match node.split {
            Split::Numeric {
                threshold,
                missing,
                default_left,
            } => {
                let mut value = f64::from(value);
                if (value.is_nan() && missing != Missing::NaN) || value.abs() <= ZERO {
                    value = 0.0;
                }
                let default = match missing {
                    Missing::Never => false,
                    Missing::Zero => value == 0.0,
                    Missing::NaN => value.is_nan(),
                };
                if default {
                    default_left
                } else {
                    value <= threshold
                }
            }
            Split::Categorical { start, end } => contains(&self.categories[start..end], value),
        }
    }
}

/// Whether the category `value`, cut to an integer, is in the bitset.
fn contains(bits: &[u32], value: f32) -> bool {
    let category = value.trunc();
    if !(0.0..2_147_483_648.0).contains(&category) {
        return false;
    }
    let category = category as usize;
    bits.get(category / 32)
        .is_some_and(|word| word >> (category % 32) & 1 == 1)
}
