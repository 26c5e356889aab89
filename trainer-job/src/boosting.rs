//! LightGBM's lambdarank. The only module with `unsafe` code of this crate: lightgbm3's safe wrapper
//! cannot set query groups, so its C functions are called here, behind types that free what they
//! hold and check every length before a pointer crosses over.
//!
//! The same rows give the same model text, whatever the number of threads: `deterministic` and
//! `force_col_wise` make one thread add up each feature's histogram (row-wise, the order of the sums
//! follows the thread count), the validation metric is computed here and not in LightGBM's threads,
//! and the one line of the text that tells the thread count is left out. With positions, LightGBM
//! adds up a sum a position in the order in which its threads come by, in 64 bits, and keeps 32 of
//! them: the order shows in one training of some ten thousand.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, CString, c_int, c_void},
    ptr,
};

use lightgbm3_sys as sys;
use searchop_contract::{BoostingParameters, Metric};

use crate::metrics;

/// Training ends when NDCG@10 on the validation lists has not grown for this many trees.
pub const PATIENCE: u32 = 30;

/// Each tree sees this share of the features, drawn anew. Many of them say nearly the same, and
/// trees that always take the best of those learn single products of the log by heart.
const FEATURE_FRACTION: f64 = 0.5;

/// Added to the sum of second derivatives that a leaf's value is divided by: leaves of few clicks say
/// little.
const LAMBDA_L2: f64 = 20.0;

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
    pub threads: usize,
}

/// A trained model.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trained {
    /// LightGBM's text format, cut after the best tree; a file of its own where this is stored.
    #[serde(skip)]
    pub text: String,
    pub trees: u32,
    /// NDCG@10 on the validation lists after each tree that was tried.
    pub curve: Vec<f64>,
    pub importance: Vec<Importance>,
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
        let ndcg = valid.ndcg(&booster.validation_scores(valid.rows())?);
        if curve.is_empty() || ndcg > curve[best] {
            best = curve.len();
        }
        curve.push(ndcg);
        on_tree(tree, ndcg);
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
    Ok(Trained {
        text: booster.save(trees)?,
        trees,
        curve: curve.into_iter().map(rounded).collect(),
        importance: booster.importance(trees, settings.features)?,
    })
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
        let text = format!(
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
        c_string(&text)
    }
}

/// A `DatasetHandle` that is freed.
struct Dataset {
    handle: sys::DatasetHandle,
}

impl Dataset {
    fn new(
        groups: &Groups,
        settings: &Settings,
        text: &CStr,
        reference: Option<&Self>,
    ) -> Result<Self, BoostingError> {
        groups.check(settings.features.len())?;
        let mut handle = ptr::null_mut();
        // SAFETY: `check` proved that `values` holds rows × columns floats; LightGBM copies them
        // into bins before it returns. `reference` outlives the call.
        check(unsafe {
            sys::LGBM_DatasetCreateFromMat(
                groups.values.as_ptr().cast::<c_void>(),
                constant(sys::C_API_DTYPE_FLOAT32),
                length(groups.rows())?,
                length(groups.columns)?,
                1,
                text.as_ptr(),
                reference.map_or(ptr::null_mut(), |set| set.handle),
                &raw mut handle,
            )
        })?;
        let set = Self { handle };
        set.field(
            c"label",
            groups.labels.as_ptr().cast(),
            groups.labels.len(),
            sys::C_API_DTYPE_FLOAT32,
        )?;
        set.field(
            c"group",
            groups.sizes.as_ptr().cast(),
            groups.sizes.len(),
            sys::C_API_DTYPE_INT32,
        )?;
        if !groups.weights.is_empty() {
            set.field(
                c"weight",
                groups.weights.as_ptr().cast(),
                groups.weights.len(),
                sys::C_API_DTYPE_FLOAT32,
            )?;
        }
        if !groups.positions.is_empty() {
            set.field(
                c"position",
                groups.positions.as_ptr().cast(),
                groups.positions.len(),
                sys::C_API_DTYPE_INT32,
            )?;
        }
        set.name_features(settings.features)?;
        Ok(set)
    }

    /// `data` points to `count` elements of the named type.
    fn field(
        &self,
        name: &CStr,
        data: *const c_void,
        count: usize,
        kind: u32,
    ) -> Result<(), BoostingError> {
        // SAFETY: all callers pass the pointer and length of one live Vec of the type that `kind`
        // names; LightGBM copies the elements.
        check(unsafe {
            sys::LGBM_DatasetSetField(
                self.handle,
                name.as_ptr(),
                data,
                length(count)?,
                constant(kind),
            )
        })
    }

    fn name_features(&self, features: &[String]) -> Result<(), BoostingError> {
        let names: Vec<CString> = features
            .iter()
            .map(|name| c_string(name))
            .collect::<Result<_, _>>()?;
        let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: as many live, NUL-terminated strings as the count says; LightGBM copies them.
        check(unsafe {
            sys::LGBM_DatasetSetFeatureNames(
                self.handle,
                pointers.as_mut_ptr(),
                length(pointers.len())?,
            )
        })
    }
}

impl Drop for Dataset {
    fn drop(&mut self) {
        // SAFETY: the handle came from a successful create and is freed once. Nothing useful can be
        // done if that fails.
        unsafe { sys::LGBM_DatasetFree(self.handle) };
    }
}

/// A `BoosterHandle` that is freed.
struct Booster {
    handle: sys::BoosterHandle,
}

impl Booster {
    /// `train_set` must outlive the booster, which keeps a pointer to it; `train` declares it first.
    fn new(train_set: &Dataset, text: &CStr) -> Result<Self, BoostingError> {
        let mut handle = ptr::null_mut();
        // SAFETY: a live dataset and a NUL-terminated string.
        check(unsafe {
            sys::LGBM_BoosterCreate(train_set.handle, text.as_ptr(), &raw mut handle)
        })?;
        Ok(Self { handle })
    }

    fn add_validation(&self, set: &Dataset) -> Result<(), BoostingError> {
        // SAFETY: both handles are live, and `train` keeps the dataset until the booster is gone.
        check(unsafe { sys::LGBM_BoosterAddValidData(self.handle, set.handle) })
    }

    /// Grows one tree; true when no split was found.
    fn update(&self) -> Result<bool, BoostingError> {
        let mut finished: c_int = 0;
        // SAFETY: a live handle and an out-pointer.
        check(unsafe { sys::LGBM_BoosterUpdateOneIter(self.handle, &raw mut finished) })?;
        Ok(finished != 0)
    }

    /// The raw score of every validation row.
    fn validation_scores(&self, rows: usize) -> Result<Vec<f64>, BoostingError> {
        let mut count = 0_i64;
        // SAFETY: a live handle and an out-pointer.
        check(unsafe { sys::LGBM_BoosterGetNumPredict(self.handle, 1, &raw mut count) })?;
        if usize::try_from(count) != Ok(rows) {
            return Err(BoostingError::Shape(format!(
                "{count} validation scores for {rows} rows"
            )));
        }
        let mut scores = vec![0.0_f64; rows];
        // SAFETY: `scores` has room for the count that LightGBM has just told.
        check(unsafe {
            sys::LGBM_BoosterGetPredict(self.handle, 1, &raw mut count, scores.as_mut_ptr())
        })?;
        Ok(scores)
    }

    fn save(&self, trees: u32) -> Result<String, BoostingError> {
        let mut room = 1 << 20;
        loop {
            let mut buffer = vec![0_u8; room];
            let mut needed = 0_i64;
            // SAFETY: the buffer has as many bytes as the length argument says; LightGBM writes
            // nothing when its text, NUL included, is longer.
            check(unsafe {
                sys::LGBM_BoosterSaveModelToString(
                    self.handle,
                    0,
                    length(trees as usize)?,
                    constant(sys::C_API_FEATURE_IMPORTANCE_SPLIT),
                    i64::try_from(room).expect("a buffer is shorter than 2^63"),
                    &raw mut needed,
                    buffer.as_mut_ptr().cast(),
                )
            })?;
            let needed = usize::try_from(needed).unwrap_or_default();
            if needed > room {
                room = needed;
                continue;
            }
            buffer.truncate(needed.saturating_sub(1));
            let text = String::from_utf8(buffer)
                .map_err(|_| BoostingError::Shape("the model text is not UTF-8".into()))?;
            return Ok(without_threads(&text));
        }
    }

    fn importance(
        &self,
        trees: u32,
        features: &[String],
    ) -> Result<Vec<Importance>, BoostingError> {
        let of_kind = |kind: u32| -> Result<Vec<f64>, BoostingError> {
            let mut values = vec![0.0_f64; features.len()];
            // SAFETY: one f64 a feature of the dataset, whose width was checked to be this one.
            check(unsafe {
                sys::LGBM_BoosterFeatureImportance(
                    self.handle,
                    length(trees as usize)?,
                    constant(kind),
                    values.as_mut_ptr(),
                )
            })?;
            Ok(values)
        };
        let splits = of_kind(sys::C_API_FEATURE_IMPORTANCE_SPLIT)?;
        let gains = of_kind(sys::C_API_FEATURE_IMPORTANCE_GAIN)?;
        let one = |((feature, splits), gain): ((&String, f64), f64)| Importance {
            feature: feature.clone(),
            splits: splits as u64,
            gain: rounded(gain),
        };
        Ok(features.iter().zip(splits).zip(gains).map(one).collect())
    }
}

impl Drop for Booster {
    fn drop(&mut self) {
        // SAFETY: as for a dataset.
        unsafe { sys::LGBM_BoosterFree(self.handle) };
    }
}

/// The text tells every parameter; the number of threads is the only one that is not the model's.
fn without_threads(text: &str) -> String {
    text.split_inclusive('\n')
        .filter(|line| !line.starts_with("[num_threads:"))
        .collect()
}

fn check(code: c_int) -> Result<(), BoostingError> {
    if code == 0 {
        return Ok(());
    }
    // SAFETY: LightGBM returns a NUL-terminated string of this thread, valid until its next call.
    let message = unsafe { CStr::from_ptr(sys::LGBM_GetLastError()) };
    Err(BoostingError::Refused(
        message.to_string_lossy().into_owned(),
    ))
}

fn c_string(text: &str) -> Result<CString, BoostingError> {
    CString::new(text).map_err(|_| BoostingError::Shape("a text holds a NUL byte".into()))
}

fn length(count: usize) -> Result<i32, BoostingError> {
    i32::try_from(count)
        .map_err(|_| BoostingError::Shape(format!("{count} is more than LightGBM counts to")))
}

/// The C header's constants are `int` there and `u32` here.
fn constant(value: u32) -> c_int {
    c_int::try_from(value).expect("LightGBM's constants are small")
}

#[cfg(test)]
mod tests;
