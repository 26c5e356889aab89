//! Rules of a RankingModel across fields: one manifest that passes and one that is refused for each.

use kube::core::cel::ValidationErrors;
use regex::Regex;
use searchop_api::{RankingModel, crds};
use serde_json::{Value, json};

fn model(pointer: &str, value: Value) -> RankingModel {
    let mut manifest = json!({
        "apiVersion": "searchop.io/v1alpha1",
        "kind": "RankingModel",
        "metadata": {"name": "products"},
        "spec": {
            "data": {"synthetic": {}},
            "evaluation": {"baselines": ["Bm25"], "gates": [{"name": "floor", "metric": "NDCG", "threshold": "0.1"}]},
            "serving": {"autoscaling": {}},
            "rollout": {},
            "artifacts": {"uri": "pvc://models/products"}
        }
    });
    if !pointer.is_empty() {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        manifest.pointer_mut(parent).unwrap()[field] = value;
    }
    serde_json::from_value(manifest).unwrap()
}

pub fn words(result: Result<(), ValidationErrors>) -> String {
    result
        .err()
        .map(|errors| errors.to_string())
        .unwrap_or_default()
}

#[test]
fn a_plain_model_passes_and_so_do_the_samples_defaults() {
    assert_eq!(words(model("", Value::Null).validate_cel()), "");
    assert_eq!(
        words(model("/spec/evaluation", json!({})).validate_cel()),
        ""
    );
}

#[test]
fn rules_of_a_model() {
    let gate = |rule: Value| json!([rule]);
    let against = |reference: &str| json!([{"name": "a", "metric": "NDCG", "against": reference, "goal": "Superior", "margin": "0"}]);
    let sources = |catalog: &str, events: &str, secret: Value| {
        let mut sources = json!({"catalog": {"uri": catalog}, "events": {"uri": events}});
        sources["credentialsSecretRef"] = secret;
        sources
    };
    let secret = || json!({"name": "keys"});
    let (on_s3, on_volume) = ("s3://shop/log.csv", "pvc://shop/log.csv");
    let local = sources(on_volume, on_volume, Value::Null);
    let judged = |uri: &str| {
        let mut sources = local.clone();
        sources["judgments"] = json!({"uri": uri, "format": "Quepid"});
        sources
    };
    let declared = |name: &str, more: Value| {
        let mut feature =
            json!({"name": name, "type": "Number", "unit": "EUR", "source": "Product"});
        feature
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"data": {"sources": local}, "artifacts": {"uri": "pvc://models/products"}, "features": {"declared": [feature]}})
    };
    let artifacts = |uri: &str, writer: Value, reader: Value| json!({"uri": uri, "credentialsSecretRef": writer, "readerSecretRef": reader});
    let with_keys = || artifacts("s3://models", secret(), secret());
    let rows = [
        (
            "/metadata/name",
            json!("a"),
            json!("9lives"),
            "metadata.name must be at most 40 characters",
        ),
        (
            "/metadata/name",
            json!("x".repeat(40)),
            json!("x".repeat(41)),
            "metadata.name must be at most 40",
        ),
        (
            "/metadata/name",
            json!("a-b"),
            json!("a.b"),
            "metadata.name must be at most 40",
        ),
        (
            "/spec/data",
            json!({"sources": local}),
            json!({"sources": local, "synthetic": {}}),
            "data needs exactly one of synthetic and sources",
        ),
        (
            "/spec/data",
            json!({"synthetic": {}}),
            json!({}),
            "data needs exactly one of synthetic and sources",
        ),
        (
            "/spec/data",
            json!({"sources": sources(on_s3, on_volume, secret())}),
            json!({"sources": sources(on_s3, on_volume, Value::Null)}),
            "data on s3:// need sources.credentialsSecretRef: name the Secret",
        ),
        (
            "/spec/data",
            json!({"sources": sources(on_volume, on_s3, secret())}),
            json!({"sources": sources(on_volume, on_s3, Value::Null)}),
            "data on s3:// need sources.credentialsSecretRef: name the Secret",
        ),
        (
            "/spec/data",
            json!({"sources": judged(on_volume)}),
            json!({"sources": judged(on_s3)}),
            "data on s3:// need sources.credentialsSecretRef: name the Secret",
        ),
        (
            "/spec/artifacts",
            with_keys(),
            artifacts("s3://models", Value::Null, secret()),
            "artifacts on s3:// need artifacts.credentialsSecretRef: name the Secret",
        ),
        (
            "/spec/artifacts",
            with_keys(),
            artifacts("s3://models", secret(), Value::Null),
            "artifacts on s3:// need artifacts.readerSecretRef: name the Secret",
        ),
        (
            "/spec/rollout",
            json!({"strategy": "Canary", "steps": [{"weight": 0, "shadowPercent": 10}, {"weight": 5}]}),
            json!({"strategy": "Canary", "steps": [{"weight": 0}]}),
            "a step needs either a weight, or weight 0 and a shadowPercent",
        ),
        (
            "/spec/rollout",
            json!({"steps": [{"weight": 5, "holdSeconds": 60}]}),
            json!({"steps": [{"weight": 5, "shadowPercent": 10}]}),
            "a step needs either a weight, or weight 0 and a shadowPercent",
        ),
        (
            "/spec/rollout",
            json!({"approvedVersion": "v7", "abortedVersion": "v6"}),
            json!({"approvedVersion": "v7", "abortedVersion": "v7"}),
            "a version cannot be approved and aborted at once",
        ),
        (
            "/spec/evaluation/gates",
            gate(json!({"name": "a", "metric": "MRR", "threshold": "0.5"})),
            gate(json!({"name": "a", "metric": "MRR"})),
            "a gate needs exactly one of threshold and against",
        ),
        (
            "/spec/evaluation/gates",
            against("Served"),
            gate(
                json!({"name": "a", "metric": "MRR", "threshold": "0.5", "against": "Served", "goal": "Superior", "margin": "0"}),
            ),
            "a gate needs exactly one of threshold and against",
        ),
        (
            "/spec/evaluation/gates",
            against("Bm25"),
            gate(json!({"name": "a", "metric": "MRR", "against": "Served", "goal": "Superior"})),
            "against, goal and margin go together",
        ),
        (
            "/spec/evaluation/gates",
            against("Bm25"),
            against("Random"),
            "a gate compares with a baseline that evaluation.baselines does not list",
        ),
        (
            "/spec/evaluation/gates",
            against("BestPromoted"),
            against("LoggedOrder"),
            "a gate compares with a baseline that evaluation.baselines does not list",
        ),
        (
            "/spec/evaluation/gates",
            gate(
                json!({"name": "a", "metric": "NDCG", "against": "Served", "goal": "NotWorse", "margin": "0.05", "slice": "ColdQueries"}),
            ),
            gate(
                json!({"name": "a", "metric": "NDCG", "against": "Served", "goal": "Superior", "margin": "0.05", "slice": "ColdQueries"}),
            ),
            "a gate on a slice is a guard: it needs goal NotWorse",
        ),
        (
            "/spec/evaluation/gates",
            gate(
                json!({"name": "a", "metric": "ERR", "threshold": "0.5", "on": "RawClicks", "dryRun": true}),
            ),
            gate(json!({"name": "a", "metric": "ERR", "threshold": "0.5", "on": "RawClicks"})),
            "a gate on RawClicks needs dryRun",
        ),
        (
            "/spec/serving/autoscaling",
            json!({"minReplicas": 3, "maxReplicas": 3}),
            json!({"minReplicas": 5, "maxReplicas": 3}),
            "minReplicas must not exceed maxReplicas",
        ),
        (
            "/spec/serving/rules",
            json!([{"name": "a", "outOfStock": "Last"}, {"name": "b", "pins": {"ids": ["1"]}}]),
            json!([{"name": "a"}]),
            "a rule needs exactly one of outOfStock and pins",
        ),
        (
            "/spec/training",
            json!({"tuning": {"trials": 10}, "activeDeadlineSeconds": 1801}),
            json!({"tuning": {"maxSeconds": 600}, "activeDeadlineSeconds": 600}),
            "training.tuning.maxSeconds must be less than training.activeDeadlineSeconds",
        ),
        (
            "/spec/serving/rules",
            json!([]),
            json!([{"name": "a", "outOfStock": "Last", "pins": {"ids": ["1"]}}]),
            "a rule needs exactly one of outOfStock and pins",
        ),
        (
            "/spec",
            declared("engine_score", json!({})),
            declared("price", json!({})),
            "a declared feature has the name of a feature of the preset or of a field of products",
        ),
        (
            "/spec",
            declared("item_ctr", json!({})),
            declared("item_ctr_7d", json!({})),
            "a declared feature has the name of a feature of the preset or of a field of products",
        ),
        (
            "/spec",
            declared("a", json!({"default": "-0.5"})),
            declared("a", json!({"default": "1e5"})),
            "the default of a Number is a decimal",
        ),
        (
            "/spec",
            declared("a", json!({"default": "winter", "type": "Category"})),
            declared("a", json!({"default": "winter"})),
            "the default of a Number is a decimal",
        ),
        (
            "/spec",
            declared("a", json!({"required": true})),
            declared("a", json!({"required": true, "default": "1"})),
            "a declared feature has either a default or required",
        ),
        (
            "/spec",
            declared("a", json!({})),
            {
                let mut spec = declared("a", json!({}));
                spec["data"] = json!({"synthetic": {}});
                spec
            },
            "features.declared needs data.sources",
        ),
    ];
    for (pointer, good, bad, message) in rows {
        assert_eq!(
            words(model(pointer, good.clone()).validate_cel()),
            "",
            "{pointer} {good}"
        );
        let found = words(model(pointer, bad.clone()).validate_cel());
        assert!(found.contains(message), "{pointer} {bad}: {found:?}");
    }
}

#[test]
fn artifacts_cannot_move() {
    let before = model("", Value::Null);
    let reader = model("/spec/artifacts/readerSecretRef", json!({"name": "reader"}));
    assert_eq!(words(reader.validate_cel_update(&before)), "");
    let moved = model("/spec/artifacts/uri", json!("pvc://models/elsewhere"));
    assert!(words(moved.validate_cel_update(&before)).contains("artifacts.uri cannot change"));
}

#[test]
fn decimals_quantities_and_places_have_a_form() {
    let digest = &*format!("sha256:{}", "0a".repeat(32));
    let rows: [(&str, &[&str], &[&str]); 14] = [
        (
            "/spec/properties/rollout/properties/analysis/properties/maxScoreShift",
            &["0", "0.25", "2"],
            &["", "25", "-0.1", ".1", "NaN", "0.12345"],
        ),
        (
            "/spec/properties/evaluation/properties/gates/items/properties/threshold",
            &["0", "0.6", "1", "1.0"],
            &["high", "1.1", "-0.1", ".5", "0.", "1e-3", "NaN", "60%"],
        ),
        (
            "/spec/properties/evaluation/properties/gates/items/properties/margin",
            &["0", "0.05"],
            &["5%", "2", "-0.05"],
        ),
        (
            "/spec/properties/evaluation/properties/confidence",
            &["0.95", "0.9", "0.51", "0.999"],
            &["0.5", "1", "95", "0.50", "0.4"],
        ),
        (
            "/spec/properties/training/properties/parameters/properties/learningRate",
            &["0.1", "1", "1.0", "0.05", ".1", "0.10", "0.000001"],
            &[
                "NaN", "1.5", "-0.1", "fast", "0", "0.0", ".0", "0.000000", "0.", "00.1",
            ],
        ),
        (
            "/spec/properties/training/properties/counterDropout",
            &["0", "0.3", ".5", "0.999999", "0.0"],
            &["1", "1.0", "-0.1", "NaN", "0.", "00.1", "0.1234567"],
        ),
        (
            "/spec/properties/artifacts/properties/uri",
            &["s3://models/products", "pvc://claim/a/b"],
            &[
                "file:///tmp",
                "http://x/y",
                "s3://",
                "s3://UPPER/x",
                "pvc://claim/a b",
            ],
        ),
        (
            "/spec/properties/data/properties/sources/properties/events/properties/uri",
            &["s3://shop/ubi/*.parquet", "pvc://claim/events.csv"],
            &["file:///etc/passwd", "s3://shop", "/etc/passwd"],
        ),
        (
            "/spec/properties/serving/properties/resources/properties/limits/properties/memory",
            &["512Mi", "2Gi", "1.5G"],
            &["much", "-1Gi", "512 Mi"],
        ),
        (
            "/spec/properties/serving/properties/queryLog/properties/sampleShare",
            &["1", "0.1", "0.000001"],
            &["0", "0.0", "2", "1.1", "10%", "NaN"],
        ),
        (
            "/spec/properties/serving/properties/queryLog/properties/uri",
            &["pvc://claim", "pvc://claim/a/b"],
            &["s3://bucket/a", "file:///tmp", "pvc://"],
        ),
        (
            "/spec/properties/rollout/properties/pinnedVersion",
            &["v7", "7", digest],
            &["", "v0", "latest", "v07", "sha256:ab"],
        ),
        (
            "/spec/properties/serving/properties/featureLog/properties/sampleShare",
            &["1", "0.01"],
            &["0", "1.1", "1%"],
        ),
        (
            "/spec/properties/serving/properties/featureLog/properties/uri",
            &["pvc://claim", "pvc://claim/a/b"],
            &["s3://bucket/a", "file:///tmp", "pvc://"],
        ),
    ];
    for (path, good, bad) in rows {
        let pattern = pattern(path);
        for text in good {
            assert!(pattern.is_match(text), "{path}: {text}");
        }
        for text in bad {
            assert!(!pattern.is_match(text), "{path}: {text}");
        }
    }
}

/// The pattern at a place of whichever kind has it.
pub fn pattern(path: &str) -> Regex {
    let found = crds().into_iter().find_map(|crd| {
        let schema = crd.spec.versions[0].schema.clone()?.open_api_v3_schema?;
        let schema = serde_json::to_value(schema).ok()?;
        Some(
            schema["properties"].pointer(path)?["pattern"]
                .as_str()?
                .to_owned(),
        )
    });
    Regex::new(&found.unwrap_or_else(|| panic!("no pattern at {path}"))).unwrap()
}
