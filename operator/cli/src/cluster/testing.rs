//! A model and a schedule as they are in the middle of life.

use jiff::Timestamp;
use searchop_api::{RankingModel, RetrainSchedule};
use serde_json::{Value, from_value, json};

pub fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

pub fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

/// Serves v7 since Sunday and trains v9, which Ada asked for; v8 was rejected.
pub fn model() -> RankingModel {
    from_value(json!({
        "apiVersion": "searchop.io/v1alpha1",
        "kind": "RankingModel",
        "metadata": {
            "name": "products", "namespace": "shop", "uid": "4f6c2d1e-0000-4000-8000-000000000001",
            "generation": 3, "creationTimestamp": "2026-09-01T08:00:00Z"
        },
        "spec": {"data": {"synthetic": {}}, "artifacts": {"uri": "pvc://models/shop"}},
        "status": status()
    }))
    .unwrap()
}

fn status() -> Value {
    let condition = |kind: &str, status: &str, message: &str| {
        json!({
            "type": kind, "status": status, "reason": "Because", "message": message,
            "observedGeneration": 3, "lastTransitionTime": "2026-11-22T02:14:00Z"
        })
    };
    let version = |number: i32, letter: char, metric: &str, promoted: &str, through: &str| {
        json!({
            "name": format!("v{number}"), "version": number, "digest": digest(letter), "tablesDigest": digest('e'),
            "trainHash": "h1:1", "headlineMetric": metric, "trainedThroughTime": through, "tablesTime": through,
            "promotedTime": promoted
        })
    };
    let finding = |end: &str, share: &str, features: Value| {
        json!({
            "startTime": "2026-11-22T02:15:00Z", "endTime": end, "requests": 2040, "driftedShare": share,
            "scorePsi": "0.010000", "features": features
        })
    };
    let entry = |number: i32, outcome: &str, trigger: &str, ended: &str| {
        json!({
            "version": number, "trigger": trigger, "outcome": outcome, "reason": outcome,
            "headlineMetric": format!("NDCG@10 0.5{number}0"), "completionTime": ended,
            "trainedThroughTime": "2026-11-08T00:00:00Z"
        })
    };
    json!({
        "observedGeneration": 3,
        "conditions": [
            condition("Ready", "True", "v7 answers: NDCG@10 0.520"),
            condition("Stale", "False", "data are 3 days old"),
            condition("Drifted", "True", "requests of v7 differ from its first ones"),
        ],
        "served": version(7, 'a', "NDCG@10 0.520", "2026-11-22T02:14:00Z", "2026-11-15T00:00:00Z"),
        "previous": version(5, 'b', "NDCG@10 0.511", "2026-11-08T02:12:00Z", "2026-11-01T00:00:00Z"),
        "drift": {
            "version": 7, "digest": digest('a'), "startTime": "2026-11-22T02:15:00Z", "driftedWindows": 2,
            "skew": finding("2026-11-23T02:20:00Z", "0.04", json!([])),
            "drift": finding("2026-11-24T10:00:00Z", "0.62", json!([
                {"name": "price", "psi": "0.312345", "jensenShannon": "0.040000", "importance": "0.410000"},
                {"name": "ctr_30d", "psi": "0.150000", "jensenShannon": "0.020000", "importance": "0.210000"}
            ]))
        },
        "promoted": [{"version": 3, "digest": digest('c')}],
        "run": {
            "version": 9, "trainHash": "h1:1", "trigger": "Manual",
            "requestToken": "Manual/ada/2026-11-24T11:57:00Z", "asOfTime": "2026-11-24T11:57:00Z",
            "startTime": "2026-11-24T11:57:00Z"
        },
        "gate": {
            "version": 8, "verdict": "Failed", "rulesHash": "h1:2",
            "rules": [
                {"name": "lift", "verdict": "Passed", "message": "NDCG@10 0.519 against 0.381 of BM25: +36.2 %"},
                {"name": "steady", "verdict": "Failed", "message": "NDCG@10 0.507 against 0.520: -2.5 %, may lose 1 %"}
            ]
        },
        "history": [
            entry(8, "Rejected", "Schedule", "2026-11-23T02:15:00Z"),
            entry(7, "Promoted", "Schedule", "2026-11-22T02:14:00Z"),
            entry(6, "Failed", "Schedule", "2026-11-15T02:10:00Z"),
            entry(5, "Promoted", "SpecChange", "2026-11-08T02:12:00Z"),
            entry(4, "Promoted", "SpecChange", "2026-11-01T02:12:00Z"),
        ],
        "nextRetrainTime": "2026-11-29T02:00:00Z",
        "url": "http://products-rank.shop.svc:8080/rank",
        "replicas": 2,
        "selector": "searchop.io/model-uid=4f6c2d1e,searchop.io/track=stable"
    })
}

/// Asks on Sundays, and did not on the 15th.
pub fn schedule() -> RetrainSchedule {
    from_value(json!({
        "apiVersion": "searchop.io/v1alpha1",
        "kind": "RetrainSchedule",
        "metadata": {"name": "weekly", "namespace": "shop", "creationTimestamp": "2026-09-01T08:00:00Z"},
        "spec": {"modelRef": {"name": "products"}, "schedule": "0 2 * * 0", "timeZone": "Europe/Berlin", "jitterSeconds": 600},
        "status": {
            "conditions": [{
                "type": "Scheduled", "status": "True", "reason": "Scheduled", "observedGeneration": 1,
                "message": "asks products for a retrain at each tick", "lastTransitionTime": "2026-09-01T08:00:00Z"
            }],
            "lastScheduleTime": "2026-11-22T01:00:00Z",
            "nextScheduleTime": "2026-11-29T01:03:20Z",
            "lastSkip": {"time": "2026-11-15T01:00:00Z", "reason": "RunActive"},
            "recent": [
                {"time": "2026-11-22T01:00:00Z", "outcome": "Requested"},
                {"time": "2026-11-15T01:00:00Z", "outcome": "RunActive"},
            ]
        }
    }))
    .unwrap()
}
