//! Whether requests still look like those that a version first answered.
//!
//! Three samples of one row a request are compared in the same bins: the training rows, the first
//! requests after the promotion (the reference), and window after window of what came later.
//! Training beside the reference is *skew*: it was there from the first day. A window beside the
//! reference is *drift*: the shop, its shoppers or what feeds the features have changed since.

use jiff::{SignedDuration, Timestamp};
use searchop_api::Drift;
use searchop_contract::{BinCounts, Digest, ReferenceBins, VersionHistograms};
use serde::{Deserialize, Serialize};

use divergence::divergence;
pub use reader::DriftReader;
pub(crate) use words::{condition, known, turns, verdict};

pub(crate) mod divergence;
mod reader;
mod words;

/// A feature has drifted with at least this population stability index beyond what chance adds: the
/// customary bound of a shift worth a look. A normal feature passes .2 when its mean moves by half
/// a standard deviation.
pub const FEATURE_LIMIT: f64 = 0.1;
/// A window has drifted when features of at least this part of the model's gain have.
pub const SHARE_LIMIT: f64 = 0.2;
/// Features that a finding names.
pub const NAMED: usize = 3;

/// Values of some requests of one version, in its reference bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    pub requests: u64,
    /// In column order.
    pub features: Vec<BinCounts>,
    pub scores: BinCounts,
}

impl Counts {
    /// What a pod has counted since its process began; `None` where it is no count of `bins`.
    pub fn of_pod(told: &VersionHistograms, bins: &ReferenceBins) -> Option<Self> {
        let columns = &bins.features;
        let fits = told.reference == *bins
            && told.features.len() == columns.len()
            && told.scores.len() == bins.scores.places()
            && told
                .features
                .iter()
                .zip(columns)
                .all(|(counts, of)| counts.len() == of.bins.places());
        fits.then(|| Self {
            requests: told.requests,
            features: told.features.clone(),
            scores: told.scores.clone(),
        })
    }

    /// What was added since `before`, which the same pod told; all of it after a restart, from which
    /// on everything is counted anew.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut pairs = self.all().zip(before.all());
        let grew = |(now, before): (&BinCounts, &BinCounts)| {
            now.iter().zip(before).all(|(now, before)| now >= before)
        };
        if self.requests < before.requests || !pairs.all(grew) {
            return self.clone();
        }
        let mut added = self.clone();
        added.requests -= before.requests;
        for (counts, before) in added.columns().zip(before.all()) {
            for (count, before) in counts.iter_mut().zip(before) {
                *count = count.saturating_sub(*before);
            }
        }
        added
    }

    fn none_of(bins: &ReferenceBins) -> Self {
        let of_features = bins.features.iter();
        Self {
            requests: 0,
            features: of_features.map(|of| vec![0; of.bins.places()]).collect(),
            scores: vec![0; bins.scores.places()],
        }
    }

    fn of_training(bins: &ReferenceBins) -> Self {
        let of_features = bins.features.iter();
        Self {
            requests: bins.scores.training.iter().sum(),
            features: of_features.map(|of| of.bins.training.clone()).collect(),
            scores: bins.scores.training.clone(),
        }
    }

    fn add(&mut self, more: &Self) {
        self.requests = self.requests.saturating_add(more.requests);
        for (counts, more) in self.columns().zip(more.all()) {
            for (count, more) in counts.iter_mut().zip(more) {
                *count = count.saturating_add(*more);
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &BinCounts> {
        self.features.iter().chain([&self.scores])
    }

    fn columns(&mut self) -> impl Iterator<Item = &mut BinCounts> {
        self.features.iter_mut().chain([&mut self.scores])
    }
}

/// What is known of the requests of one version: the facts to keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftWatch {
    pub version: u32,
    pub digest: Digest,
    bins: ReferenceBins,
    reference: Sample,
    /// What came after the reference and is not judged yet; none while that is not whole.
    window: Option<Sample>,
    /// Training beside the reference.
    pub skew: Option<Finding>,
    /// The last window beside the reference.
    pub drift: Option<Finding>,
    /// Drifted windows in a row.
    pub drifted_windows: u32,
}

/// Requests of a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sample {
    since: Timestamp,
    counts: Counts,
}

impl Sample {
    fn is_whole(&self, requests: i32, rules: &Drift, now: Timestamp) -> bool {
        let span = SignedDuration::from_secs(rules.window_seconds.into());
        self.counts.requests >= requests.unsigned_abs().into()
            && now.duration_since(self.since) >= span
    }
}

/// How two samples differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Time of the later sample.
    pub since: Timestamp,
    pub through: Timestamp,
    pub requests: u64,
    /// In column order.
    pub features: Vec<Shift>,
    pub scores: Shift,
    /// Part of the model's gain that the drifted features have, 0 to 1.
    pub drifted_share: f64,
}

/// How the values of one feature moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shift {
    /// Of the feature; empty for scores.
    pub name: String,
    /// Part of the model's gain.
    pub importance: f64,
    /// Population stability index, less what chance alone adds to it.
    pub psi: f64,
    /// Jensen–Shannon divergence in bits, 0 to 1.
    pub jensen_shannon: f64,
}

impl Shift {
    pub fn drifted(&self) -> bool {
        self.psi >= FEATURE_LIMIT
    }
}

impl Finding {
    pub fn drifted(&self) -> bool {
        self.drifted_share >= SHARE_LIMIT
    }

    /// The features that matter most to the difference: those that drifted, by how far they did and
    /// what the model makes of them.
    pub fn worst(&self) -> Vec<&Shift> {
        let mut drifted: Vec<&Shift> = self.features.iter().filter(|of| of.drifted()).collect();
        let weight = |of: &Shift| of.psi * of.importance;
        drifted.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
        drifted.truncate(NAMED);
        drifted
    }
}

impl DriftWatch {
    /// Watches a version from its promotion on.
    pub fn begin((version, digest): (u32, Digest), bins: ReferenceBins, now: Timestamp) -> Self {
        let reference = Sample {
            since: now,
            counts: Counts::none_of(&bins),
        };
        Self {
            version,
            digest,
            bins,
            reference,
            window: None,
            skew: None,
            drift: None,
            drifted_windows: 0,
        }
    }

    pub fn bins(&self) -> &ReferenceBins {
        &self.bins
    }

    /// Takes in what all pods counted until `now`. Whether a sample became whole with it, and so
    /// there are facts to keep.
    pub fn add(&mut self, more: &Counts, rules: &Drift, now: Timestamp) -> bool {
        let begin = || Sample {
            since: now,
            counts: Counts::none_of(&self.bins),
        };
        match &mut self.window {
            None => {
                self.reference.counts.add(more);
                if !self
                    .reference
                    .is_whole(rules.reference_requests, rules, now)
                {
                    return false;
                }
                self.window = Some(begin());
                let training = Counts::of_training(&self.bins);
                self.skew = Some(self.compare(&training, &self.reference, now));
            }
            Some(window) => {
                window.counts.add(more);
                if !window.is_whole(rules.min_requests, rules, now) {
                    return false;
                }
                let whole = std::mem::replace(window, begin());
                let finding = self.compare(&self.reference.counts, &whole, now);
                self.drifted_windows = match finding.drifted() {
                    true => self.drifted_windows.saturating_add(1),
                    false => 0,
                };
                self.drift = Some(finding);
            }
        }
        true
    }

    /// Whether enough windows in a row have drifted.
    pub fn has_drifted(&self, rules: &Drift) -> bool {
        self.drifted_windows >= rules.consecutive_windows.unsigned_abs()
    }

    /// Requests in the sample that is not whole yet.
    fn open_requests(&self) -> u64 {
        let open = self.window.as_ref().unwrap_or(&self.reference);
        open.counts.requests
    }

    fn compare(&self, earlier: &Counts, later: &Sample, now: Timestamp) -> Finding {
        let shift = |(name, importance): (&str, f64), pair: (&BinCounts, &BinCounts)| {
            let (psi, jensen_shannon) = divergence(pair.0, pair.1);
            Shift {
                name: name.to_owned(),
                importance,
                psi: rounded(psi),
                jensen_shannon: rounded(jensen_shannon),
            }
        };
        let counts = &later.counts;
        let pairs = earlier.features.iter().zip(&counts.features);
        let features: Vec<Shift> = (self.bins.features.iter().zip(pairs))
            .map(|(of, pair)| shift((&of.feature, of.importance), pair))
            .collect();
        let drifted = features.iter().filter(|of| of.drifted());
        Finding {
            since: later.since,
            through: now,
            requests: counts.requests,
            drifted_share: rounded(drifted.map(|of| of.importance).sum()),
            features,
            scores: shift(("", 0.0), (&earlier.scores, &counts.scores)),
        }
    }
}

/// To six decimals: more mean nothing, and these are read from JSON as they were written.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests;
