use searchop_api::{Evidence, ListSlice, Metric, Reference, RuleStatus, Trigger};
use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-03-08T12:00:00Z".parse().unwrap()
}

fn rules() -> Vec<GateRule> {
    let mut rules = GateRule::defaults();
    rules.push(GateRule {
        name: "floor".to_owned(),
        metric: Metric::MRR,
        k: 5,
        threshold: Some("0.60".to_owned()),
        against: None,
        goal: None,
        margin: None,
        on: None,
        slice: None,
        applies_to: vec![Trigger::Manual],
        dry_run: true,
    });
    rules
}

#[test]
fn rules_read_as_sentences() {
    let words: Vec<String> = rules().iter().map(rule_in_words).collect();
    assert_eq!(
        words,
        [
            "NDCG@10 better than BM25",
            "NDCG@10 better than the served version by 5 % or more",
            "NDCG@10 not worse than the served version by more than 1 %",
            "NDCG@10 not worse than the best of the last promoted versions by more than 2 %",
            "MRR@5 at least 0.60",
        ]
    );
    let strict = GateRule {
        goal: Some(Goal::NotWorse),
        against: Some(Reference::LoggedOrder),
        margin: Some("0".to_owned()),
        ..GateRule::defaults()[0].clone()
    };
    assert_eq!(
        rule_in_words(&strict),
        "NDCG@10 not worse than the logged order"
    );
    let guard = GateRule {
        slice: Some(ListSlice::ColdQueries),
        on: Some(Evidence::DebiasedClicks),
        margin: Some("0.05".to_owned()),
        ..strict
    };
    assert_eq!(
        rule_in_words(&guard),
        "NDCG@10 of cold queries on debiased clicks not worse than the logged order by more than 5 %"
    );
}

#[test]
fn metrics_are_a_table_with_the_candidate_first() {
    let row = |ranker: &str, values: [Option<f64>; 3]| MetricRow {
        ranker: ranker.to_owned(),
        values: values.to_vec(),
    };
    let figures = MetricTable {
        metrics: ["NDCG@10", "MRR@10", "MAP@10"].map(str::to_owned).to_vec(),
        rows: vec![
            row("candidate v2", [Some(0.741_23), Some(0.6), Some(0.5)]),
            row("served v1", [Some(0.702), Some(0.58), None]),
            row("BM25", [Some(0.402), Some(0.3), Some(0.2)]),
        ],
    };
    insta::assert_snapshot!(metric_table(&figures, Paint::PLAIN));
}

#[test]
fn the_gate_says_each_rule_and_each_verdict() {
    let rule = |name: &str, verdict, dry_run, message: &str| RuleStatus {
        name: name.to_owned(),
        verdict,
        dry_run,
        candidate: None,
        reference: None,
        limit: None,
        low: None,
        high: None,
        queries: None,
        message: message.to_owned(),
    };
    let status = GateStatus {
        version: 2,
        verdict: Verdict::Failed,
        rules_hash: String::new(),
        rules: vec![
            rule(
                "lift",
                Verdict::Passed,
                false,
                "0.741 against 0.402: +84.3 %",
            ),
            rule(
                "better",
                Verdict::Failed,
                false,
                "0.741 against 0.730: +1.5 %, 5 % are needed",
            ),
            rule(
                "steady",
                Verdict::Skipped,
                false,
                "applies to Schedule only",
            ),
            rule(
                "floor",
                Verdict::Inconclusive,
                true,
                "between 0.58 and 0.62",
            ),
        ],
    };
    insta::assert_snapshot!(gate(&status, &rules(), Paint::PLAIN));
}

#[test]
fn status_has_the_columns_of_kubectl_get() {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": 1,
            "lastTransitionTime": "2026-03-08T11:58:30Z",
        })
    };
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let served = json!({
        "name": "v7", "version": 7, "digest": digest, "tablesDigest": digest, "trainHash": "h1:a",
        "headlineMetric": "NDCG@10 0.741", "trainedThroughTime": "2026-03-07T00:00:00Z",
        "tablesTime": "2026-03-08T00:00:00Z", "promotedTime": "2026-03-07T02:00:00Z",
    });
    let model: RankingModel = serde_json::from_value(json!({
        "apiVersion": "searchop.io/v1alpha1", "kind": "RankingModel", "metadata": {"name": "products"},
        "spec": {"data": {"synthetic": {}}, "artifacts": {"uri": "pvc://c/p"}},
        "status": {
            "conditions": [
                condition("Ready", "True", "Serving", "v7 serves"),
                condition("Stale", "False", "Fresh", "data end 36 h ago"),
            ],
            "served": served,
            "nextRetrainTime": "2026-03-15T02:00:00Z",
            "refresh": {
                "number": 3, "version": 7, "digest": digest, "trigger": "Schedule",
                "requestToken": "Schedule/daily/2026-03-08T02:00:00Z", "outcome": "Refreshed",
                "asOfTime": "2026-03-08T02:00:00Z", "startTime": "2026-03-08T02:00:00Z",
                "message": "v7 has tables with data up to 2026-03-08T00:00:00Z",
                "completionTime": "2026-03-08T02:00:40Z",
            },
            "history": [
                {"version": 8, "trigger": "Manual", "outcome": "Unchanged", "completionTime": "2026-03-08T11:00:00Z"},
                {"version": 7, "trigger": "SpecChange", "outcome": "Promoted", "reason": "GatePassed",
                 "headlineMetric": "NDCG@10 0.741", "completionTime": "2026-03-07T02:00:00Z"},
            ],
        },
    }))
    .unwrap();
    insta::assert_snapshot!(status(&model, now()));
    let bare = RankingModel {
        status: None,
        ..model
    };
    assert_eq!(status(&bare, now()).lines().count(), 2);
}

#[test]
fn ages_are_those_of_kubectl() {
    for (seconds, wanted) in [
        (-5, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (11_000, "3h3m"),
        (30_000, "8h"),
        (172_800, "2d"),
        (180_000, "2d2h"),
        (700_000, "8d"),
        (63_072_000, "2y"),
        (63_200_000, "2y1d"),
    ] {
        let since = now() - jiff::SignedDuration::from_secs(seconds);
        assert_eq!(age(since, now()), wanted, "{seconds}");
    }
}

#[test]
fn the_request_to_paste_names_the_real_port_and_what_else_it_needs() {
    let plain = Serving::default();
    assert!(
        curl(([127, 0, 0, 1], 8000).into(), &plain).starts_with("curl -s localhost:8000/rank -H ")
    );
    assert!(curl(([0, 0, 0, 0], 9).into(), &plain).starts_with("curl -s 0.0.0.0:9/rank -H "));
    let body = curl(([127, 0, 0, 1], 8000).into(), &plain);
    let json = body.split('\'').nth(3).unwrap();
    serde_json::from_str::<serde_json::Value>(json).unwrap();

    let guarded: Serving = serde_json::from_value(serde_json::json!({
        "tokenSecretRef": {"name": "clients"}, "tlsSecretRef": {"name": "cert"},
    }))
    .unwrap();
    let line = curl(([127, 0, 0, 1], 8000).into(), &guarded);
    assert!(line.starts_with("curl -s https://localhost:8000/rank -H "));
    assert!(
        line.contains(r#" -H "authorization: Bearer $TOKEN" -d "#),
        "{line}"
    );
    let address = ([127, 0, 0, 1], 8000).into();
    assert_eq!(url(address, &guarded), "https://127.0.0.1:8000");
    assert_eq!(url(address, &plain), "http://127.0.0.1:8000");
}

#[test]
fn ignored_settings_are_listed() {
    let item = |what: &str, instead| Ignored {
        what: what.to_owned(),
        instead,
    };
    let list = [
        item(
            "PersistentVolumeClaim \"searchop-models\"",
            "not needed without a cluster",
        ),
        item("spec.serving.autoscaling", "one ranker process answers"),
    ];
    insta::assert_snapshot!(ignored(&list, Paint::PLAIN));
}
