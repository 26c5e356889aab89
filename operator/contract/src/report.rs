use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Digest, Evidence, FailureReason, Measure};

/// What the trainer says when it ends: compact JSON of at most [`TrainingReport::MAX_BYTES`] in the
/// container's termination message. The full tables are in the artifact's `report.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainingReport {
    pub version: u32,
    /// Present exactly when the run succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measurements: Vec<Measurement>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataCounts>,
    /// What the trainer chose to read relevance from, for measures that left it to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// The version that [`Reference::BestPromoted`](crate::Reference::BestPromoted) stands for: the
    /// best by the first measure against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_promoted: Option<u32>,
    /// Present where clicks were weighted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clicks: Option<ClickWeights>,
    /// Rank-biased overlap of the candidate with another training of the same recipe that differs in
    /// its seed alone, where one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed_overlap: Option<f64>,
    /// The data are those that the served version was trained on, which is named as published:
    /// nothing was trained.
    #[serde(default, skip_serializing_if = "crate::job::is_false")]
    pub data_unchanged: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// The two artifacts of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    pub digest: Digest,
    pub tables_digest: Digest,
    /// End of the newest day the trees have seen.
    pub trained_through_time: Timestamp,
    /// End of the newest day the tables have seen.
    pub tables_time: Timestamp,
}

/// One figure on the held-out days. Differences are relative to the reference,
/// (candidate − reference) / reference; the bounds are one-sided at the job's confidence,
/// clustered by query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    #[serde(flatten)]
    pub measure: Measure,
    /// `None` where it is not a finite number; the gate reads that as an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<f64>,
    /// Lower bound of the relative difference, or of the candidate where there is no reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper bound, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Distinct query keys behind the figure.
    pub queries: u32,
    /// The candidate or the reference trained on part of the held-out days, so the figure means
    /// nothing; there are no bounds then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holdout_overlap: bool,
}

/// How far the weights of clicks can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClickWeights {
    /// Share of the held-out clicks, carts and purchases whose weight was cut to the largest allowed.
    pub clipped_share: f64,
    /// So many equally weighted ones would say as much: (Σw)² / Σw².
    pub effective_clicks: f64,
}

/// What went in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataCounts {
    pub products: u64,
    pub events: u64,
    /// Events left out: bots, duplicates, malformed rows that were allowed.
    pub dropped_events: u64,
    pub training_lists: u64,
    pub holdout_lists: u64,
}

/// Why there is no model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    pub reason: FailureReason,
    /// One sentence that names the field or the place and what to do; at most 1 KiB, no secrets.
    pub message: String,
}

/// The bytes are not a report.
#[derive(Debug)]
pub struct ReportError(String);

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReportError {}

impl TrainingReport {
    /// Kubernetes keeps this much of a termination message.
    pub const MAX_BYTES: usize = 4096;

    /// Reads untrusted bytes; refuses what is too long, cut or not a report.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReportError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(ReportError(format!(
                "the report has {} bytes, at most {} are read",
                bytes.len(),
                Self::MAX_BYTES
            )));
        }
        serde_json::from_slice(bytes)
            .map_err(|error| ReportError(format!("the report is not readable: {error}")))
    }

    /// The figure for `measure`, if it was taken.
    pub fn measurement(&self, measure: Measure) -> Option<&Measurement> {
        self.measurements
            .iter()
            .find(|found| found.measure == measure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ListSlice, Metric, Reference};

    #[test]
    fn the_largest_report_fits_a_termination_message() {
        let measurement = Measurement {
            measure: Measure {
                metric: Metric::NDCG,
                k: 1000,
                against: Some(Reference::BestPromoted),
                on: Some(Evidence::DebiasedClicks),
                slice: Some(ListSlice::ColdQueries),
            },
            candidate: Some(0.123_456),
            reference: Some(0.123_456),
            low: Some(-0.123_456),
            high: Some(-12.123_456),
            queries: u32::MAX,
            holdout_overlap: false,
        };
        let far = Timestamp::MAX;
        let report = TrainingReport {
            version: u32::MAX,
            published: Some(Published {
                digest: Digest::of(b"a"),
                tables_digest: Digest::of(b"b"),
                trained_through_time: far,
                tables_time: far,
            }),
            measurements: vec![measurement; 16],
            data: Some(DataCounts {
                products: u64::MAX,
                events: u64::MAX,
                dropped_events: u64::MAX,
                training_lists: u64::MAX,
                holdout_lists: u64::MAX,
            }),
            evidence: Some(Evidence::DebiasedClicks),
            best_promoted: Some(u32::MAX),
            clicks: Some(ClickWeights {
                clipped_share: 0.123_456,
                effective_clicks: 123_456_789.1,
            }),
            seed_overlap: Some(0.123_456),
            data_unchanged: true,
            failure: None,
        };
        let bytes = serde_json::to_vec(&report).unwrap();
        assert!(bytes.len() <= TrainingReport::MAX_BYTES, "{}", bytes.len());
        assert_eq!(TrainingReport::parse(&bytes).unwrap(), report);
        assert!(TrainingReport::parse(&bytes[..bytes.len() - 1]).is_err());
        assert!(TrainingReport::parse(&[b' '; 4097]).is_err());
    }
}
