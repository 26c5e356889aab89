use prometheus::{
    Encoder as _, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, core::Collector,
};

use crate::state::Identity;

/// Seconds. A ranking takes a few milliseconds; the upper bounds show waiting and slow clients.
const DURATION_BOUNDS: [f64; 13] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
];
const CANDIDATE_BOUNDS: [f64; 10] = [
    1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 5000.0,
];

/// What the program tells Prometheus. Label values come from closed sets only: route patterns,
/// status codes, feature names of the model.
pub struct Metrics {
    registry: Registry,
    pub requests: IntCounterVec,
    pub rank_duration: Histogram,
    pub candidates: Histogram,
    pub queue_depth: IntGauge,
    pub shed: IntCounter,
    pub unknown_ids: IntCounter,
    pub missing_features: IntCounterVec,
    model_info: IntGaugeVec,
}

impl Metrics {
    pub fn new() -> Self {
        Self::try_new().expect("names and labels are constants that satisfy prometheus")
    }

    fn try_new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let histogram = |name: &str, help: &str, bounds: &[f64]| {
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(bounds.to_vec()))
        };
        Ok(Self {
            requests: register(
                &registry,
                IntCounterVec::new(
                    Opts::new("searchop_rank_requests_total", "Requests on the rank port"),
                    &["route", "status"],
                ),
            )?,
            rank_duration: register(
                &registry,
                histogram(
                    "searchop_rank_duration_seconds",
                    "Time from the head of a ranking request to its answer",
                    &DURATION_BOUNDS,
                ),
            )?,
            candidates: register(
                &registry,
                histogram(
                    "searchop_rank_candidates",
                    "Products of a ranking request",
                    &CANDIDATE_BOUNDS,
                ),
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
            missing_features: register(
                &registry,
                IntCounterVec::new(
                    Opts::new(
                        "searchop_rank_missing_features_total",
                        "Products for which a feature of the model had no value",
                    ),
                    &["feature"],
                ),
            )?,
            model_info: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new("searchop_model_info", "1 for the model that is loaded"),
                    &["model", "version", "digest"],
                ),
            )?,
            registry,
        })
    }

    /// Shows which model answers.
    pub fn loaded(&self, identity: &Identity) {
        let version = identity.version.to_string();
        self.model_info
            .with_label_values(&[identity.model.as_str(), &version, identity.digest.as_str()])
            .set(1);
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

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<C>,
) -> prometheus::Result<C> {
    let metric = metric?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
