use prometheus::{
    Counter, CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, core::Metric as _,
};
use searchop_contract::{Buckets, ShadowTraffic};

use super::register;

/// Milliseconds of a ranking, close enough to each other that the slowest hundredth of two versions can
/// be compared; the upper bounds show what goes wrong.
const SCORING_MILLIS: [f64; 14] = [
    0.05, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 25.0, 50.0,
];

/// What is counted for each version, the label.
pub struct VersionVecs {
    scoring: HistogramVec,
    rankings: IntCounterVec,
    values: IntCounterVec,
    missing: IntCounterVec,
    weight: IntGaugeVec,
    shadow: IntCounterVec,
    overlap: CounterVec,
    change: CounterVec,
}

/// Counts of one version.
pub struct VersionMetrics {
    pub scoring: Histogram,
    pub answered: IntCounter,
    /// By the model's fault.
    pub failed: IntCounter,
    /// Asked of tables or request.
    pub values: IntCounter,
    pub missing: IntCounter,
    /// Percent in force.
    pub weight: IntGauge,
    pub shadow: ShadowMetrics,
}

/// Counts of what one version ranked beside the answered order.
pub struct ShadowMetrics {
    pub ranked: IntCounter,
    pub failed: IntCounter,
    pub dropped: IntCounter,
    pub overlap: Counter,
    pub change: Counter,
}

impl VersionVecs {
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        const VERSION: &[&str] = &["version"];
        const OUTCOME: &[&str] = &["version", "outcome"];
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let sums = |name: &str, help: &str| {
            register(registry, CounterVec::new(Opts::new(name, help), VERSION))
        };
        let scoring = HistogramOpts::new(
            "searchop_rank_scoring_seconds",
            "Time for the features and scores of a request",
        );
        let seconds = SCORING_MILLIS.map(|millis| millis / 1e3);
        Ok(Self {
            scoring: register(
                registry,
                HistogramVec::new(scoring.buckets(seconds.to_vec()), VERSION),
            )?,
            rankings: counters(
                "searchop_rank_rankings_total",
                "Rankings of a version, and those that it failed by its own fault",
                OUTCOME,
            )?,
            values: counters(
                "searchop_rank_values_total",
                "Values asked of tables and requests for features",
                VERSION,
            )?,
            missing: counters(
                "searchop_rank_missing_values_total",
                "Those of them that were missing",
                VERSION,
            )?,
            weight: register(
                registry,
                IntGaugeVec::new(
                    Opts::new(
                        "searchop_rank_weight_percent",
                        "Part of the users that a version answers",
                    ),
                    VERSION,
                ),
            )?,
            shadow: counters(
                "searchop_rank_shadow_total",
                "Requests that a version ranked beside the answer, failed, or left because the program was busy",
                OUTCOME,
            )?,
            overlap: sums(
                "searchop_rank_shadow_overlap_total",
                "Rank-biased overlap (p = 0.9) of the order in the shadow with the answered one",
            )?,
            change: sums(
                "searchop_rank_shadow_top10_change_total",
                "Part of the first ten in the shadow that the answered order does not have there",
            )?,
        })
    }

    pub fn of(&self, version: u32) -> VersionMetrics {
        let version = version.to_string();
        let alone = &[version.as_str()];
        let rankings = |outcome| self.rankings.with_label_values(&[&*version, outcome]);
        let shadow = |outcome| self.shadow.with_label_values(&[&*version, outcome]);
        VersionMetrics {
            scoring: self.scoring.with_label_values(alone),
            answered: rankings("answered"),
            failed: rankings("failed"),
            values: self.values.with_label_values(alone),
            missing: self.missing.with_label_values(alone),
            weight: self.weight.with_label_values(alone),
            shadow: ShadowMetrics {
                ranked: shadow("ranked"),
                failed: shadow("failed"),
                dropped: shadow("dropped"),
                overlap: self.overlap.with_label_values(alone),
                change: self.change.with_label_values(alone),
            },
        }
    }
}

impl VersionMetrics {
    /// How long rankings took, in milliseconds.
    pub fn latency(&self) -> Buckets {
        let metric = self.scoring.metric();
        let histogram = metric.get_histogram();
        let buckets = histogram.get_bucket().iter();
        let cumulative = buckets.map(|bucket| bucket.cumulative_count());
        let mut before = 0;
        let counts = cumulative
            .chain([histogram.get_sample_count()])
            .map(|upto| {
                let count = upto.saturating_sub(before);
                before = upto;
                count
            });
        Buckets {
            counts: counts.collect(),
            bounds: SCORING_MILLIS.to_vec(),
        }
    }
}

impl ShadowMetrics {
    /// `None` before the first ranking.
    pub fn traffic(&self) -> Option<ShadowTraffic> {
        let errors = self.failed.get();
        let requests = self.ranked.get() + errors;
        (requests > 0).then(|| ShadowTraffic {
            requests,
            errors,
            overlap_sum: self.overlap.get(),
            top10_change_sum: self.change.get(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buckets_of_a_report_are_not_cumulative_and_have_one_for_all_above() {
        let versions = VersionVecs::new(&Registry::new()).unwrap();
        let metrics = versions.of(7);
        for seconds in [0.000_02, 0.000_25, 0.000_26, 0.07, 3.0] {
            metrics.scoring.observe(seconds);
        }
        let Buckets { bounds, counts } = metrics.latency();
        assert_eq!(bounds, SCORING_MILLIS);
        assert_eq!(counts, [1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(versions.of(8).latency().counts, [0; 15]);
    }
}
