//! What the API server refuses by itself, with the words a user reads.

use searchop_e2e::{
    install_crds,
    kubectl::{apply, apply_ok, kubectl_ok},
    models::{merged, small_model},
    namespace::TestNamespace,
};
use serde_json::{Value, json};

fn schedule(patch: &Value) -> Value {
    let base = json!({
        "apiVersion": "searchop.io/v1alpha1",
        "kind": "RetrainSchedule",
        "metadata": {"name": "weekly"},
        "spec": {"modelRef": {"name": "products"}, "schedule": "0 2 * * 0"}
    });
    merged(base, patch)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_manifests_are_refused_at_apply_with_the_field_and_the_reason() {
    install_crds();
    let namespace = TestNamespace::create("refusals").await;
    let model = |patch: Value| merged(small_model("products"), &patch);
    let rule = |rule: Value| model(json!({"spec": {"evaluation": {"gates": [rule]}}}));
    let cases = [
        model(json!({"spec": {"training": {"epochs": 3}}})),
        model(json!({"spec": {"serving": {"autoscaling": {"minReplicas": 5, "maxReplicas": 3}}}})),
        rule(json!({"name": "floor", "metric": "NDCG", "threshold": "high"})),
        rule(json!({"name": "floor", "metric": "NDCG"})),
        rule(json!({"name": "better", "metric": "NDCG", "against": "Served", "goal": "Superior"})),
        rule(json!({"name": "floor", "metric": "AUC", "threshold": "0.5"})),
        model(json!({"spec": {"data": {"sources": {
            "catalog": {"uri": "s3://shop/catalog.parquet"}, "events": {"uri": "s3://shop/events/*.parquet"}
        }}}})),
        model(json!({"spec": {"data": {"synthetic": null, "sources": {
            "catalog": {"uri": "file:///etc/passwd"}, "events": {"uri": "s3://shop/events/*.parquet"}
        }}}})),
        model(json!({"spec": {"training": {"parameters": {"numLeaves": 1}}}})),
        model(json!({"spec": {"training": {"parameters": {"learningRate": "NaN"}}}})),
        model(json!({"metadata": {"name": "a-name-that-is-longer-than-forty-characters"}})),
        schedule(&json!({"spec": {"schedule": "61 * * * *"}})),
        schedule(&json!({"spec": {"schedule": "* * *"}})),
        schedule(&json!({"spec": {"schedule": "@reboot"}})),
        schedule(&json!({"spec": {"timeZone": "Europe/Atlantis"}})),
        schedule(&json!({"spec": {"concurrencyPolicy": "Allow"}})),
        schedule(&json!({"spec": {"blackouts": [
            {"startTime": "2026-11-30T00:00:00+01:00", "endTime": "2026-11-29T23:00:00Z"}
        ]}})),
    ];
    let refused = |manifest: &Value| {
        let output = apply(&namespace.name, manifest);
        assert!(!output.success, "accepted: {manifest}");
        output.stderr.trim_end().to_owned()
    };
    let mut words: Vec<String> = cases.iter().map(refused).collect();
    apply_ok(&namespace.name, &small_model("products"));
    let moved = json!({"spec": {"artifacts": {"uri": "pvc://models/elsewhere"}}});
    words.push(refused(&model(moved)));
    insta::assert_snapshot!(words.join("\n\n"));
    apply_ok(&namespace.name, &schedule(&json!({})));
    namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_explains_every_field_and_shows_the_columns() {
    install_crds();
    let namespace = TestNamespace::create("explain").await;
    let text = kubectl_ok(&["explain", "rankingmodel.spec.evaluation.gates"]);
    for word in ["threshold", "margin", "not worse by more than the margin"] {
        assert!(text.contains(word), "{word} is not explained in {text}");
    }
    apply_ok(&namespace.name, &small_model("products"));
    let table = kubectl_ok(&["get", "rankingmodels", "-n", &namespace.name]);
    let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(
        header,
        [
            "NAME",
            "READY",
            "SERVED",
            "METRIC",
            "DATA-AGE",
            "TABLES-AGE",
            "STALE",
            "NEXT",
            "MESSAGE",
            "AGE"
        ]
    );
    let stored = kubectl_ok(&[
        "get",
        "rankingmodel/products",
        "-n",
        &namespace.name,
        "-o",
        "json",
    ]);
    let stored: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(
        stored["spec"]["evaluation"]["confidence"], "0.95",
        "defaults are visible"
    );
    namespace.delete().await;
}
