//! LightGBM's lambdarank.
//!
//! The same rows give the same model text, whatever the number of threads: `deterministic` and
//! `force_col_wise` make one thread add up each feature's histogram (row-wise, the order of the sums
//! follows the thread count), the validation metric is computed here and not in LightGBM's threads,
//! and the one line of the text that tells the thread count is left out. With positions, LightGBM
//! adds up a sum a position in the order in which its threads come by, in 64 bits, and keeps 32 of
//! them: the order shows in one training of some ten thousand.

mod lightgbm;

use std::ffi::CString;

use searchop_contract::{BoostingParameters, Metric};
use searchop_evaluation::report::Search;

use crate::metrics;
use lightgbm::{Booster, Dataset, c_string};

/// Training ends when NDCG@10 on the validation lists has not grown for this many trees.
pub const PATIENCE: u32 = 30;

/// Each tree sees this share of the features, drawn anew. Many of them say nearly the same, and
/// trees that always take the best of those learn single products of the log by heart.
const FEATURE_FRACTION: f64 = 0.5;

/// Added to the sum of second derivatives that a leaf's value is divided by: leaves of few clicks say
/// little.
const LAMBDA_L2: f64 = 20.0;

/// NDCG@10 on the training lists is taken after the first tree and after every so many: sorting all
/// lists after each would take longer than a tree.
const TRAIN_POINT: u32 = 10;

/// LightGBM refused a call.
#[derive(Debug, thiserror::Error)]
pub enum BoostingError {
    #[error("lightgbm: {0}")]
    Refused(String),
    #[error("the rows do not fit: {0}")]
    Shape(String),
    #[error(
        "no split of the {rows} training rows leaves minDataInLeaf = {min_data_in_leaf} rows on both sides; give more days of data or lower training.parameters.minDataInLeaf"
    )]
    NoSplit { rows: usize, min_data_in_leaf: u32 },
}

/// Rows of query groups, group after group.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// Row-major; NaN is a missing value.
    pub values: Vec<f32>,
    /// Features a row.
    pub columns: usize,
    /// One label a row, 0 to 3.
    pub labels: Vec<f32>,
    /// Rows of each group, in order.
    pub sizes: Vec<i32>,
    /// How much each row counts; empty where all count the same.
    pub weights: Vec<f32>,
    /// A number for the position at which each row was shown, from which LightGBM learns what
    /// positions are worth; empty where clicks count the same wherever they happened.
    pub positions: Vec<i32>,
    /// What a click on each row stands for, where that decides when to stop; empty where all
    /// clicks stand for one.
    pub click_weights: Vec<f64>,
}

impl Groups {
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    fn check(&self, columns: usize) -> Result<(), BoostingError> {
        let grouped: i64 = self.sizes.iter().map(|&size| i64::from(size)).sum();
        let none_or_all = |count: usize| count == 0 || count == self.rows();
        let fits = self.columns == columns
            && none_or_all(self.weights.len())
            && none_or_all(self.positions.len())
            && none_or_all(self.click_weights.len())
            && self.values.len() == self.rows() * columns
            && i64::try_from(self.rows()).is_ok_and(|rows| rows == grouped)
            && i32::try_from(self.rows()).is_ok()
            && self.sizes.iter().all(|&size| size > 0);
        if fits && self.rows() > 0 {
            return Ok(());
        }
        Err(BoostingError::Shape(format!(
            "{} values, {} labels, {} weights, {} positions, {} click weights and {} group sizes \
             that sum to {grouped} for {columns} columns",
            self.values.len(),
            self.rows(),
            self.weights.len(),
            self.positions.len(),
            self.click_weights.len(),
            self.sizes.len()
        )))
    }
}

/// How to train.
pub struct Settings<'a> {
    pub parameters: &'a BoostingParameters,
    pub features: &'a [String],
    /// Columns of categories, ascending; their values are small integers.
    pub categorical: &'a [usize],
    pub threads: usize,
}

/// A trained model.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trained {
    pub parameters: BoostingParameters,
    /// LightGBM's text format, cut after the best tree; a file of its own where this is stored.
    #[serde(skip)]
    pub text: String,
    pub trees: u32,
    /// NDCG@10 on the validation lists after each tree that was tried.
    pub curve: Vec<f64>,
    /// NDCG@10 on the training lists after some of them.
    #[serde(default)]
    pub train_curve: Vec<TrainPoint>,
    pub importance: Vec<Importance>,
    /// How the parameters were found, where they were searched for.
    #[serde(default)]
    pub tuning: Option<Search>,
}

impl Trained {
    /// NDCG@10 of the trees that are kept on the validation lists; `None` without any.
    pub fn reached(&self) -> Option<f64> {
        let last = (self.trees as usize).checked_sub(1)?;
        self.curve.get(last).copied()
    }
}

/// How well the training lists are ordered after so many trees.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainPoint {
    pub tree: u32,
    pub ndcg_at_10: f64,
}

/// What a feature did in the trees that are kept.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Importance {
    pub feature: String,
    /// Splits that use it.
    pub splits: u64,
    /// Sum of the loss those splits took away.
    pub gain: f64,
}

/// Trains with early stopping on `valid`, or without it all trees that the parameters name. `on_tree`
/// hears each tree's number and NDCG@10.
pub fn train(
    train: &Groups,
    valid: Option<&Groups>,
    settings: &Settings,
    mut on_tree: impl FnMut(u32, f64),
) -> Result<Trained, BoostingError> {
    let go_on = |tree, ndcg| {
        on_tree(tree, ndcg);
        true
    };
    let trained = train_while(train, valid, settings, go_on)?;
    Ok(trained.expect("it was never told to stop"))
}

/// The same, but given up once `on_tree` says false.
pub fn train_while(
    train: &Groups,
    valid: Option<&Groups>,
    settings: &Settings,
    mut on_tree: impl FnMut(u32, f64) -> bool,
) -> Result<Option<Trained>, BoostingError> {
    let text = settings.text()?;
    let train_set = Dataset::new(train, settings, &text, None)?;
    let valid_set = valid
        .map(|valid| Dataset::new(valid, settings, &text, Some(&train_set)))
        .transpose()?;
    let booster = Booster::new(&train_set, &text)?;
    if let Some(valid_set) = &valid_set {
        booster.add_validation(valid_set)?;
    }
    let mut curve: Vec<f64> = Vec::new();
    let mut train_curve = Vec::new();
    let (mut grown, mut best) = (0, 0);
    for tree in 1..=settings.parameters.num_iterations {
        let stuck = booster.update()?;
        if stuck {
            break;
        }
        grown = tree;
        let Some(valid) = valid else {
            continue;
        };
        if tree == 1 || tree % TRAIN_POINT == 0 {
            train_curve.push(TrainPoint {
                tree,
                ndcg_at_10: rounded(train.ndcg(&booster.training_scores(train.rows())?)),
            });
        }
        let ndcg = valid.ndcg(&booster.validation_scores(valid.rows())?);
        if curve.is_empty() || ndcg > curve[best] {
            best = curve.len();
        }
        curve.push(ndcg);
        if !on_tree(tree, ndcg) {
            return Ok(None);
        }
        if curve.len() - best > PATIENCE as usize {
            break;
        }
    }
    if grown == 0 {
        return Err(BoostingError::NoSplit {
            rows: train.rows(),
            min_data_in_leaf: settings.parameters.min_data_in_leaf,
        });
    }
    let trees = match valid {
        Some(_) => u32::try_from(best + 1).expect("the number of trees is a u32"),
        None => grown,
    };
    Ok(Some(Trained {
        parameters: settings.parameters.clone(),
        text: booster.save(trees)?,
        trees,
        curve: curve.into_iter().map(rounded).collect(),
        train_curve,
        importance: booster.importance(trees, settings.features)?,
        tuning: None,
    }))
}

/// Six decimals: enough for people, and few enough that JSON gives back the same number.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

impl Groups {
    /// NDCG@10 over the lists that have a positive label. Where clicks have weights, the share of
    /// all weighted gain that is kept after the discount: within one list the weights of one click
    /// would cancel.
    fn ndcg(&self, scores: &[f64]) -> f64 {
        let (mut reached, mut possible) = (0.0, 0.0);
        let mut start = 0;
        for &size in &self.sizes {
            let rows = start..start + usize::try_from(size).expect("sizes were checked");
            start = rows.end;
            let labels: Vec<u8> = self.labels[rows.clone()]
                .iter()
                .map(|&label| label as u8)
                .collect();
            if self.click_weights.is_empty() {
                if let Some(ndcg) = metrics::measure(Metric::NDCG, 10, &scores[rows], &labels) {
                    reached += ndcg;
                    possible += 1.0;
                }
                continue;
            }
            let discounts = metrics::discounts(10, &scores[rows.clone()]);
            for ((label, discount), weight) in
                labels.iter().zip(discounts).zip(&self.click_weights[rows])
            {
                let gain = weight * metrics::gain(*label);
                reached += gain * discount;
                possible += gain;
            }
        }
        if possible > 0.0 {
            reached / possible
        } else {
            0.0
        }
    }
}

impl Settings<'_> {
    fn text(&self) -> Result<CString, BoostingError> {
        let p = self.parameters;
        let mut text = format!(
            "objective=lambdarank metric=none label_gain=0,1,3,7 num_iterations={} \
             learning_rate={} num_leaves={} min_data_in_leaf={} feature_fraction={} lambda_l2={} \
             seed={} num_threads={} deterministic=true force_col_wise=true feature_pre_filter=false verbosity=-1",
            p.num_iterations,
            p.learning_rate,
            p.num_leaves,
            p.min_data_in_leaf,
            FEATURE_FRACTION,
            LAMBDA_L2,
            p.seed,
            self.threads.max(1)
        );
        if !self.categorical.is_empty() {
            let columns: Vec<String> = self.categorical.iter().map(ToString::to_string).collect();
            text.push_str(" categorical_feature=");
            text.push_str(&columns.join(","));
        }
        c_string(&text)
    }
}

#[cfg(test)]
mod tests;
