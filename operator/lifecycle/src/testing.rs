//! What the tests of several files build on.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use searchop_api::{
    Candidate, Figure, HistoryEntry, Outcome, RankingModelSpec, ServedVersion, Trigger,
};
use searchop_contract::{
    Digest, Measure, Measurement, Metric, Published, Reference, TrainingReport,
};
use serde_json::{Value, json};

use crate::{JobRequest, Observed, ObservedServing, gate, train_hash};

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn time(text: &str) -> Time {
    Time(at(text))
}

/// Model and tables of a made-up version.
pub fn digests(name: &str) -> (Digest, Digest) {
    (
        Digest::of(name.as_bytes()),
        Digest::of(format!("{name} tables").as_bytes()),
    )
}

pub fn parse_spec(value: Value) -> RankingModelSpec {
    serde_json::from_value(value).unwrap()
}

pub fn synthetic_spec() -> RankingModelSpec {
    parse_spec(json!({
        "data": {"synthetic": {"products": 200, "events": 5000}},
        "artifacts": {"uri": "pvc://models/products"}
    }))
}

pub fn sources_spec() -> RankingModelSpec {
    parse_spec(json!({
        "data": {"sources": {
            "catalog": {"uri": "s3://shop/catalog.parquet"},
            "events": {"uri": "s3://shop/events/*.parquet"},
            "credentialsSecretRef": {"name": "shop"}
        }},
        "artifacts": {
            "uri": "s3://models/products",
            "credentialsSecretRef": {"name": "writer"},
            "readerSecretRef": {"name": "reader"}
        }
    }))
}

/// Candidate, reference, low, high of NDCG@10 over 400 queries.
pub fn measurement(against: Option<Reference>, numbers: (f64, f64, f64, f64)) -> Measurement {
    Measurement {
        measure: Measure::new(Metric::NDCG, 10, against),
        candidate: finite(numbers.0),
        reference: against.and_then(|_| finite(numbers.1)),
        low: finite(numbers.2),
        high: finite(numbers.3),
        queries: 400,
        holdout_overlap: false,
    }
}

/// JSON has no other numbers.
fn finite(number: f64) -> Option<f64> {
    Some(number).filter(|number| number.is_finite())
}

pub fn figure(against: Option<Reference>, numbers: (f64, f64, f64, f64)) -> Figure {
    Figure::from(&measurement(against, numbers))
}

pub fn candidate(name: &str) -> Candidate {
    let (digest, tables) = digests(name);
    Candidate {
        digest: digest.to_string(),
        tables_digest: tables.to_string(),
        trained_through_time: time("2026-11-24T00:00:00Z"),
        tables_time: time("2026-11-24T00:00:00Z"),
        evaluation: 0,
        confidence: "0.95".into(),
        evidence: None,
        best_promoted: None,
        seed_overlap: None,
        figures: Vec::new(),
    }
}

pub fn served(name: &str, version: i32) -> ServedVersion {
    let (digest, tables) = digests(name);
    ServedVersion {
        name: format!("v{version}"),
        version,
        digest: digest.to_string(),
        tables_digest: tables.to_string(),
        train_hash: train_hash(&synthetic_spec()),
        headline_metric: "NDCG@10 0.703".into(),
        trained_through_time: time("2026-11-20T00:00:00Z"),
        tables_time: time("2026-11-20T00:00:00Z"),
        promoted_time: time("2026-11-20T03:00:00Z"),
    }
}

pub fn history_entry(version: i32, outcome: Outcome) -> HistoryEntry {
    HistoryEntry {
        version,
        digest: None,
        tables_digest: None,
        trigger: Trigger::Schedule,
        outcome,
        reason: None,
        headline_metric: None,
        trained_through_time: None,
        completion_time: time("2026-11-20T03:00:00Z"),
    }
}

/// A report on a model of this name, in which every figure that the job asks for is there.
pub fn report(spec: &RankingModelSpec, job: &JobRequest, name: &str, gain: f64) -> TrainingReport {
    let (digest, tables_digest) = match (&job.evaluate_only, &job.reference) {
        (Some(evaluated), _) => evaluated.clone(),
        (None, Some((model, _))) if job.refresh > 0 => (model.clone(), digests(name).1),
        (None, _) => digests(name),
    };
    let figures = |measure: Measure| {
        let one = measurement(
            measure.against,
            (0.741, 0.741 / (1.0 + gain), gain - 0.01, gain + 0.01),
        );
        let alone = (Some(0.731), Some(0.751));
        let (low, high) = if measure.against.is_some() {
            (one.low, one.high)
        } else {
            alone
        };
        Measurement {
            measure,
            low,
            high,
            ..one
        }
    };
    TrainingReport {
        version: u32::try_from(job.version).unwrap(),
        published: Some(Published {
            digest,
            tables_digest,
            trained_through_time: at("2026-11-24T00:00:00Z"),
            tables_time: at("2026-11-24T00:00:00Z"),
        }),
        measurements: gate::measures(&spec.evaluation, job.reference.is_some())
            .into_iter()
            .map(figures)
            .collect(),
        seed_overlap: Some(0.745),
        ..TrainingReport::default()
    }
}

/// A model that was just applied.
pub fn fresh(spec: RankingModelSpec) -> Observed {
    Observed {
        name: "products".into(),
        generation: 1,
        spec,
        status: Default::default(),
        retrain_request: None,
        refresh_request: None,
        job: None,
        serving: ObservedServing::default(),
        drift: None,
        next_retrain: None,
        url: Some("http://products.shop.svc/rank".into()),
        selector: Some("searchop.io/model-uid=1,searchop.io/track=stable".into()),
        now: at("2026-11-24T09:30:00Z"),
    }
}
