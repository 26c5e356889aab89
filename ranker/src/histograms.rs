//! What a version is asked about and what it answers, counted into the bins that its training rows
//! fell into: whether requests still look like them is told from these counts.
//!
//! One row a request is counted, as the candidates of one request are alike and would pass for more
//! evidence than they are.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use prometheus::{Histogram, HistogramOpts, IntCounter, Opts, Registry, core::Collector as _};
use searchop_contract::{BinCounts, Bins, Buckets, FeatureBins, ReferenceBins, VersionHistograms};

use crate::state::Identity;

/// The counts of one loaded version.
pub struct Histograms {
    reference: ReferenceBins,
    /// In column order.
    features: Vec<Values>,
    scores: Values,
}

impl Histograms {
    /// Empty ones, which `registry` shows as metrics.
    pub fn register(
        identity: &Identity,
        reference: &ReferenceBins,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let version = identity.version.to_string();
        let of_feature = |of: &FeatureBins| {
            let labels = [("version", version.as_str()), ("feature", &of.feature)];
            let metric = Metric {
                name: "searchop_rank_feature_value",
                help: "Values of a feature, of one product a request",
                labels: &labels,
            };
            Values::register(&metric, &of.bins, registry)
        };
        let scores = Metric {
            name: "searchop_rank_score",
            help: "Scores, of one product a request",
            labels: &[("version", &version)],
        };
        Ok(Self {
            features: reference
                .features
                .iter()
                .map(of_feature)
                .collect::<prometheus::Result<_>>()?,
            scores: Values::register(&scores, &reference.scores, registry)?,
            reference: reference.clone(),
        })
    }

    /// Counts one of a request's row-major `rows` with its score; the same query id takes the same.
    pub fn count(&self, query_id: &str, rows: &[f32], scores: &[f64]) {
        let Some(row) = sampled(query_id, scores.len()) else {
            return;
        };
        self.scores.observe(scores[row]);
        let values = rows[row * self.features.len()..].iter();
        for (counts, value) in self.features.iter().zip(values) {
            counts.observe((*value).into());
        }
    }

    /// Of the scores alone, without missing ones: there are none.
    pub fn scores(&self) -> Buckets {
        let mut counts = self.scores.counts();
        counts.pop();
        Buckets {
            bounds: self.reference.scores.bounds.clone(),
            counts,
        }
    }

    /// Those of the training, in the same bins.
    pub fn training_scores(&self) -> Vec<u64> {
        let mut counts = self.reference.scores.training.clone();
        counts.pop();
        counts
    }

    /// What the metrics port tells of them.
    pub fn report(&self, identity: &Identity) -> VersionHistograms {
        let scores = self.scores.counts();
        VersionHistograms {
            version: identity.version,
            digest: identity.digest.clone(),
            requests: scores.iter().sum(),
            reference: self.reference.clone(),
            features: self.features.iter().map(Values::counts).collect(),
            scores,
        }
    }
}

/// The row of a request that is counted; none of an empty one.
fn sampled(query_id: &str, rows: usize) -> Option<usize> {
    let mut hasher = DefaultHasher::new();
    query_id.hash(&mut hasher);
    usize::try_from(hasher.finish().checked_rem(rows as u64)?).ok()
}

/// Name, help and fixed labels.
struct Metric<'a> {
    name: &'a str,
    help: &'a str,
    labels: &'a [(&'a str, &'a str)],
}

/// Values of one feature.
struct Values {
    present: Histogram,
    missing: IntCounter,
}

impl Values {
    fn register(metric: &Metric, bins: &Bins, registry: &Registry) -> prometheus::Result<Self> {
        let mut present = HistogramOpts::new(metric.name, metric.help).buckets(bins.bounds.clone());
        let name = format!("{}_missing_total", metric.name);
        let mut missing = Opts::new(name, format!("{} that have none", metric.help));
        for (label, value) in metric.labels {
            present = present.const_label(*label, *value);
            missing = missing.const_label(*label, *value);
        }
        let values = Self {
            present: Histogram::with_opts(present)?,
            missing: IntCounter::with_opts(missing)?,
        };
        registry.register(Box::new(values.present.clone()))?;
        registry.register(Box::new(values.missing.clone()))?;
        Ok(values)
    }

    fn observe(&self, value: f64) {
        if value.is_nan() {
            self.missing.inc();
        } else {
            self.present.observe(value);
        }
    }

    fn counts(&self) -> BinCounts {
        let mut counts = Vec::new();
        let mut below = 0;
        for family in self.present.collect() {
            for metric in family.get_metric() {
                let histogram = metric.get_histogram();
                for bucket in histogram.get_bucket() {
                    counts.push(bucket.cumulative_count().saturating_sub(below));
                    below = bucket.cumulative_count();
                }
                counts.push(histogram.get_sample_count().saturating_sub(below));
            }
        }
        counts.push(self.missing.get());
        counts
    }
}

#[cfg(test)]
mod tests {
    use searchop_model::{
        reference::{bin, reference_bins},
        schema::Schema,
    };

    use super::*;

    #[test]
    fn each_request_counts_one_row_in_the_bins_of_training() {
        let schema = Schema::default();
        let columns = schema.columns();
        let training: Vec<f32> = (0..20).flat_map(|row| vec![row as f32; columns]).collect();
        let scores: Vec<f64> = (0..20).map(f64::from).collect();
        let reference = reference_bins(&schema, &training, &scores, &vec![0.0; columns]);
        let identity = Identity {
            model: "m".to_owned(),
            version: 3,
            digest: searchop_contract::Digest::of(b"model"),
            tables_digest: searchop_contract::Digest::of(b"tables"),
        };
        let registry = Registry::new();
        let histograms = Histograms::register(&identity, &reference, &registry).unwrap();

        let mut rows = vec![4.0; 3 * columns];
        for row in 0..3 {
            rows[row * columns] = f32::NAN;
            rows[row * columns + 1] = 1000.0;
        }
        histograms.count("nothing to rank", &[], &[]);
        for request in 0..5 {
            histograms.count(&format!("q-{request}"), &rows, &[2.0, 2.0, 2.0]);
        }

        let report = histograms.report(&identity);
        assert_eq!((report.version, report.requests), (3, 5));
        let scores = report.reference.scores.training.iter().rev().skip(1).rev();
        assert!(scores.eq(&histograms.training_scores()));
        assert_eq!(
            histograms.training_scores().len(),
            histograms.scores().counts.len()
        );
        let all_in = |bins: &Bins, value: f64| {
            let mut counts = vec![0; bins.places()];
            counts[bin(&bins.bounds, value)] = 5;
            counts
        };
        assert_eq!(report.scores, all_in(&reference.scores, 2.0));
        let values = [f64::NAN, 1000.0].into_iter().chain(std::iter::repeat(4.0));
        for ((of, found), value) in reference.features.iter().zip(&report.features).zip(values) {
            assert_eq!(*found, all_in(&of.bins, value), "{}", of.feature);
        }
    }

    #[test]
    fn every_row_of_a_request_has_its_turn_and_a_query_id_its_row() {
        let mut taken = [0; 100];
        for request in 0..100_000 {
            let id = format!("q-{request}");
            let row = sampled(&id, 100).unwrap();
            assert_eq!(sampled(&id, 100), Some(row));
            taken[row] += 1;
        }
        assert!(
            taken.iter().all(|count| (800..1200).contains(count)),
            "{taken:?}"
        );
        assert_eq!(sampled("q", 0), None);
    }
}
