mod version;

use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder, core::Collector,
};
use searchop_contract::ReferenceBins;
use searchop_model::schema::Schema;

pub use version::VersionMetrics;

use crate::{histograms::Histograms, records::RecordCounters, state::Identity};
use version::VersionVecs;

/// Seconds. A ranking takes a millisecond or less; the upper bounds show waiting and slow clients.
const DURATION_BOUNDS: [f64; 14] = [
    0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 2.5,
];
const CANDIDATE_BOUNDS: [f64; 10] = [
    1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 5000.0,
];

/// What the program tells Prometheus. Label values come from closed sets only: route patterns,
/// status codes, feature names of the model, the versions of the process.
pub struct Metrics {
    registry: Registry,
    pub requests: IntCounterVec,
    pub duration: HistogramVec,
    pub candidates: Histogram,
    pub queue_depth: IntGauge,
    pub shed: IntCounter,
    pub unknown_ids: IntCounter,
    missing_features: IntCounterVec,
    default_features: IntCounterVec,
    pub query_records: RecordCounters,
    pub feature_records: RecordCounters,
    model_info: IntGaugeVec,
    versions: VersionVecs,
}

/// What is counted for each feature of a model.
pub struct FeatureCounters {
    /// In column order: products without a value.
    pub missing: Vec<IntCounter>,
    /// Of the declared ones: products for which the default stood in.
    pub defaults: Vec<IntCounter>,
}

impl Metrics {
    pub fn new() -> Self {
        Self::try_new().expect("names and labels are constants that satisfy prometheus")
    }

    fn try_new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let options = |name: &str, help: &str, bounds: &[f64]| {
            HistogramOpts::new(name, help).buckets(bounds.to_vec())
        };
        let by_feature = |name: &str, help: &str| {
            let counters = IntCounterVec::new(Opts::new(name, help), &["feature"]);
            register(&registry, counters)
        };
        let missing_features = by_feature(
            "searchop_rank_missing_features_total",
            "Products for which a feature of the model had no value",
        )?;
        let default_features = by_feature(
            "searchop_rank_default_features_total",
            "Products for which the default of a declared feature stood in",
        )?;
        Ok(Self {
            requests: register(
                &registry,
                IntCounterVec::new(
                    Opts::new("searchop_rank_requests_total", "Requests on the rank port"),
                    &["route", "status"],
                ),
            )?,
            duration: register(
                &registry,
                HistogramVec::new(
                    options(
                        "searchop_rank_duration_seconds",
                        "Time from the head of a ranking request to its answer",
                        &DURATION_BOUNDS,
                    ),
                    &["route"],
                ),
            )?,
            candidates: register(
                &registry,
                Histogram::with_opts(options(
                    "searchop_rank_candidates",
                    "Products of a ranking request",
                    &CANDIDATE_BOUNDS,
                )),
            )?,
            queue_depth: register(
                &registry,
                IntGauge::new(
                    "searchop_rank_queue_depth",
                    "Requests that wait for a worker",
                ),
            )?,
            shed: register(
                &registry,
                IntCounter::new(
                    "searchop_rank_shed_total",
                    "Requests refused because the queue or the room for bodies is full",
                ),
            )?,
            unknown_ids: register(
                &registry,
                IntCounter::new(
                    "searchop_rank_unknown_ids_total",
                    "Products that are not in the item table",
                ),
            )?,
            missing_features,
            default_features,
            query_records: records(
                &registry,
                "searchop_rank_query_records_total",
                "Query records that were written, or dropped because writing failed or was slow",
            )?,
            feature_records: records(
                &registry,
                "searchop_rank_feature_records_total",
                "Feature records that were written, or dropped because writing failed or was slow",
            )?,
            model_info: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new("searchop_model_info", "1 for each version that is loaded"),
                    &["model", "version", "digest", "tables_digest"],
                ),
            )?,
            versions: VersionVecs::new(&registry)?,
            registry,
        })
    }

    /// Counters of the features of a model.
    pub fn of_features(&self, schema: &Schema) -> FeatureCounters {
        let missing = (0..schema.columns()).map(|column| schema.name(column));
        let declared = schema.declared().iter().map(|declared| declared.name());
        let counter = |counters: &IntCounterVec, name: &str| counters.with_label_values(&[name]);
        FeatureCounters {
            missing: missing
                .map(|name| counter(&self.missing_features, name))
                .collect(),
            defaults: declared
                .map(|name| counter(&self.default_features, name))
                .collect(),
        }
    }

    /// Those of one version.
    pub fn of_version(&self, identity: &Identity) -> VersionMetrics {
        self.versions.of(identity.version)
    }

    /// Shows which model is loaded.
    pub fn loaded(&self, identity: &Identity) {
        let version = identity.version.to_string();
        self.model_info
            .with_label_values(&[
                identity.model.as_str(),
                &version,
                identity.digest.as_str(),
                identity.tables_digest.as_str(),
            ])
            .set(1);
    }

    /// Histograms of what a loaded version sees.
    pub fn histograms(
        &self,
        identity: &Identity,
        reference: &ReferenceBins,
    ) -> prometheus::Result<Histograms> {
        Histograms::register(identity, reference, &self.registry)
    }

    /// The text exposition format.
    pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn records(registry: &Registry, name: &str, help: &str) -> prometheus::Result<RecordCounters> {
    let counters = IntCounterVec::new(Opts::new(name, help), &["outcome"]);
    let counters = register(registry, counters)?;
    Ok(RecordCounters {
        written: counters.with_label_values(&["written"]),
        dropped: counters.with_label_values(&["dropped"]),
    })
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<C>,
) -> prometheus::Result<C> {
    let metric = metric?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
