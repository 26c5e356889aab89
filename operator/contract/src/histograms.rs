use serde::{Deserialize, Serialize};

use crate::Digest;

/// Most bounds of one [`Bins`].
pub const MAX_BOUNDS: usize = 32;

/// `reference_bins.json` of a model: what its training rows looked like, one row a list, in bins
/// that a ranker counts its requests into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReferenceBins {
    /// In column order.
    pub features: Vec<FeatureBins>,
    /// Of the forest's raw scores.
    pub scores: Bins,
}

/// The bins of one feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FeatureBins {
    pub feature: String,
    /// Its part of the gain of all splits, 0 to 1.
    pub importance: f64,
    pub bins: Bins,
}

/// Fixed bins with what training had in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bins {
    /// Finite and ascending, at least one.
    pub bounds: Vec<f64>,
    /// [`BinCounts`] of the training rows.
    pub training: BinCounts,
}

/// Of values at most `bounds[i]` in place `i`, then of all greater ones, last of missing values: two
/// more than there are bounds.
pub type BinCounts = Vec<u64>;

impl Bins {
    /// How many places the [`BinCounts`] of these bounds have.
    pub fn places(&self) -> usize {
        self.bounds.len() + 2
    }

    /// Whether bounds and counts have the form that is promised above.
    pub fn is_sound(&self) -> bool {
        let ascending = self.bounds.windows(2).all(|pair| pair[0] < pair[1]);
        let finite = self.bounds.iter().all(|bound| bound.is_finite());
        let some = (1..=MAX_BOUNDS).contains(&self.bounds.len());
        some && finite && ascending && self.training.len() == self.places()
    }
}

/// What a ranker pod tells at `GET /histograms` on its metrics port. Counts begin with the process;
/// whoever reads them subtracts, and trusts none of it blindly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistogramReport {
    /// Loaded versions whose artifact has reference bins.
    pub versions: Vec<VersionHistograms>,
}

/// Values that one version has seen, one row a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionHistograms {
    pub version: u32,
    pub digest: Digest,
    pub requests: u64,
    /// What the counts are counts of.
    pub reference: ReferenceBins,
    /// In the order of `reference.features`.
    pub features: Vec<BinCounts>,
    pub scores: BinCounts,
}
