//! What the operator counts. Names of objects appear only on the gauges about models, which
//! are read from the cache at scrape time, so that a deleted model leaves no series behind.

use std::time::Instant;

use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, core::Collector,
};
use searchop_api::{DriftFinding, Outcome, RankingModel, figures::number};

/// Counters and gauges; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    reconciles: IntCounterVec,
    durations: HistogramVec,
    errors: IntCounterVec,
    requests: IntCounterVec,
    runs: IntCounterVec,
    pub leader: IntGauge,
    pub in_backoff: IntGaugeVec,
    pub watch_age: IntGaugeVec,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)
                .expect("the metric is well formed");
            registry
                .register(Box::new(counters.clone()))
                .expect("the metric is registered once");
            counters
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let gauges =
                IntGaugeVec::new(Opts::new(name, help), labels).expect("the metric is well formed");
            registry
                .register(Box::new(gauges.clone()))
                .expect("the metric is registered once");
            gauges
        };
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "searchop_reconcile_duration_seconds",
                "Time that a reconcile took.",
            )
            .buckets(vec![0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]),
            &["controller"],
        )
        .expect("the metric is well formed");
        let leader = IntGauge::new("searchop_leader", "1 while this replica acts.")
            .expect("the metric is well formed");
        registry
            .register(Box::new(durations.clone()))
            .expect("the metric is registered once");
        registry
            .register(Box::new(leader.clone()))
            .expect("the metric is registered once");
        Self {
            reconciles: counters(
                "searchop_reconcile_total",
                "Reconciles by how they ended.",
                &["controller", "result"],
            ),
            errors: counters(
                "searchop_reconcile_errors_total",
                "Failed reconciles by class of error.",
                &["controller", "category"],
            ),
            requests: counters(
                "searchop_api_requests_total",
                "Calls to the API server by how they ended.",
                &["verb", "kind", "result"],
            ),
            runs: counters(
                "searchop_runs_total",
                "Ended runs by outcome.",
                &["outcome"],
            ),
            in_backoff: gauges(
                "searchop_objects_in_backoff",
                "Objects whose last reconcile failed.",
                &["controller"],
            ),
            watch_age: gauges(
                "searchop_watch_last_answer_seconds",
                "Seconds since a watch was last answered.",
                &["resource"],
            ),
            durations,
            leader,
            registry,
        }
    }
}

impl Metrics {
    /// Starts timing a reconcile.
    pub fn reconcile(&self, controller: &'static str) -> ReconcileTimer {
        ReconcileTimer {
            metrics: self.clone(),
            controller,
            start: Instant::now(),
            result: "cancelled",
        }
    }

    pub fn reconcile_failed(&self, controller: &str, category: &str) {
        self.errors.with_label_values(&[controller, category]).inc();
    }

    /// Starts counting a call to the API server.
    pub fn request(&self, verb: &'static str, kind: &str) -> RequestCount {
        RequestCount {
            metrics: self.clone(),
            verb,
            kind: kind.to_owned(),
            result: "cancelled",
        }
    }

    pub fn run_ended(&self, outcome: Outcome) {
        self.runs.with_label_values(&[outcome.as_str()]).inc();
    }

    /// Everything in Prometheus' text format, with the gauges about `models`.
    pub fn render<'a>(&self, models: impl Iterator<Item = &'a RankingModel>) -> String {
        let mut families = self.registry.gather();
        families.extend(model_gauges(models));
        let mut bytes = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&families, &mut bytes) {
            tracing::warn!(%error, "metrics cannot be rendered");
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn model_gauges<'a>(
    models: impl Iterator<Item = &'a RankingModel>,
) -> Vec<prometheus::proto::MetricFamily> {
    let info = IntGaugeVec::new(
        Opts::new(
            "searchop_rankingmodel_info",
            "A RankingModel and the version that it serves.",
        ),
        &["namespace", "name", "version"],
    )
    .expect("the metric is well formed");
    let condition = IntGaugeVec::new(
        Opts::new(
            "searchop_rankingmodel_condition",
            "1 where the condition is True.",
        ),
        &["namespace", "name", "type"],
    )
    .expect("the metric is well formed");
    let shares = |name: &str, help: &str| {
        GaugeVec::new(Opts::new(name, help), &["namespace", "name"])
            .expect("the metric is well formed")
    };
    let drift = shares(
        "searchop_rankingmodel_drift_share",
        "Part of the gain of the served version that features have which drifted in the newest window.",
    );
    let skew = shares(
        "searchop_rankingmodel_skew_share",
        "The same of features that were unlike training from the first requests on.",
    );
    for model in models {
        let namespace = model.metadata.namespace.as_deref().unwrap_or_default();
        let name = model.metadata.name.as_deref().unwrap_or_default();
        let served = model
            .status
            .as_ref()
            .and_then(|status| status.served.as_ref());
        let version = served.map_or("", |served| &served.name);
        info.with_label_values(&[namespace, name, version]).set(1);
        for found in model.conditions() {
            condition
                .with_label_values(&[namespace, name, &found.type_])
                .set((found.status == "True").into());
        }
        let known = model
            .status
            .as_ref()
            .and_then(|status| status.drift.as_ref());
        let share = |finding: &Option<DriftFinding>| number(&finding.as_ref()?.drifted_share);
        for (gauge, share) in [
            (&drift, known.and_then(|known| share(&known.drift))),
            (&skew, known.and_then(|known| share(&known.skew))),
        ] {
            if let Some(share) = share {
                gauge.with_label_values(&[namespace, name]).set(share);
            }
        }
    }
    let mut families = info.collect();
    families.extend(condition.collect());
    families.extend(drift.collect());
    families.extend(skew.collect());
    // The encoder refuses a family without series.
    families.retain(|family| !family.get_metric().is_empty());
    families
}

/// Counts a reconcile when it is dropped, however it ended.
pub struct ReconcileTimer {
    metrics: Metrics,
    controller: &'static str,
    start: Instant,
    result: &'static str,
}

impl ReconcileTimer {
    pub fn finish(mut self, result: &'static str) {
        self.result = result;
    }
}

impl Drop for ReconcileTimer {
    fn drop(&mut self) {
        self.metrics
            .reconciles
            .with_label_values(&[self.controller, self.result])
            .inc();
        let seconds = self.start.elapsed().as_secs_f64();
        self.metrics
            .durations
            .with_label_values(&[self.controller])
            .observe(seconds);
    }
}

/// Counts a call when it is dropped, however it ended.
pub struct RequestCount {
    metrics: Metrics,
    verb: &'static str,
    kind: String,
    result: &'static str,
}

impl RequestCount {
    pub fn finish(mut self, result: &'static str) {
        self.result = result;
    }
}

impl Drop for RequestCount {
    fn drop(&mut self) {
        self.metrics
            .requests
            .with_label_values(&[self.verb, &self.kind, self.result])
            .inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_ended_and_what_was_dropped() {
        let metrics = Metrics::default();
        metrics.reconcile("model").finish("ok");
        drop(metrics.reconcile("model"));
        metrics.request("get", "Job").finish("ok");
        metrics.run_ended(Outcome::Promoted);
        let text = metrics.render(std::iter::empty());
        for line in [
            r#"searchop_reconcile_total{controller="model",result="ok"} 1"#,
            r#"searchop_reconcile_total{controller="model",result="cancelled"} 1"#,
            r#"searchop_api_requests_total{kind="Job",result="ok",verb="get"} 1"#,
            r#"searchop_runs_total{outcome="Promoted"} 1"#,
            "searchop_leader 0",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("searchop_rankingmodel_info"));
    }
}
