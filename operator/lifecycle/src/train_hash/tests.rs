use searchop_api::Parameters;
use serde_json::{Value, json};

use super::*;
use crate::testing::{parse_spec, sources_spec, synthetic_spec};

#[derive(Debug, PartialEq)]
enum Effect {
    Trains,
    RetriesAFailure,
    Nothing,
}
use Effect::{Nothing, RetriesAFailure, Trains};

/// Every leaf of the spec with another value, and what an edit of it does.
fn table() -> Vec<(&'static str, Value, Effect)> {
    vec![
        ("/data/synthetic/products", json!(300), Trains),
        ("/data/synthetic/events", json!(6000), Trains),
        ("/data/synthetic/seed", json!(7), Trains),
        ("/data/synthetic/windowDays", json!(60), Trains),
        (
            "/data/sources/catalog/uri",
            json!("s3://shop/other.parquet"),
            Trains,
        ),
        ("/data/sources/catalog/idField", json!("sku"), Trains),
        (
            "/data/sources/events/uri",
            json!("s3://shop/other/*.parquet"),
            Trains,
        ),
        ("/data/sources/events/windowDays", json!(30), Trains),
        (
            "/data/sources/judgments/uri",
            json!("s3://shop/other.csv"),
            Trains,
        ),
        ("/data/sources/judgments/format", json!("TREC"), Trains),
        (
            "/data/sources/credentialsSecretRef/name",
            json!("other"),
            RetriesAFailure,
        ),
        ("/training/parameters/numIterations", json!(50), Trains),
        ("/training/parameters/learningRate", json!("0.2"), Trains),
        ("/training/parameters/numLeaves", json!(15), Trains),
        ("/training/parameters/minDataInLeaf", json!(5), Trains),
        ("/training/parameters/seed", json!(1), Trains),
        ("/training/tuning/trials", json!(7), Trains),
        ("/training/tuning/maxSeconds", json!(7), Trains),
        ("/training/positionBias", json!("None"), Trains),
        ("/training/labels/maturityHours", json!(24), Trains),
        ("/features/candidateList", json!(true), Trains),
        (
            "/features/declared",
            json!([{"name": "a", "type": "Number", "unit": "EUR", "source": "Product"}]),
            Trains,
        ),
        ("/training/counterDropout", json!("0.5"), Trains),
        ("/training/counterLagDays", json!(7), Trains),
        ("/data/sources/events/lagDays", json!(1), Trains),
        (
            "/training/resources/limits/memory",
            json!("3Gi"),
            RetriesAFailure,
        ),
        ("/training/resources/limits/cpu", json!(4), RetriesAFailure),
        (
            "/training/resources/requests/memory",
            json!("1Gi"),
            RetriesAFailure,
        ),
        (
            "/training/resources/requests/cpu",
            json!("1500m"),
            RetriesAFailure,
        ),
        (
            "/training/activeDeadlineSeconds",
            json!(60),
            RetriesAFailure,
        ),
        ("/training/backoffLimit", json!(0), RetriesAFailure),
        ("/evaluation/holdout/days", json!(3), Trains),
        ("/evaluation/baselines", json!(["Bm25"]), Trains),
        ("/evaluation/gates/0/margin", json!("0.02"), Nothing),
        ("/evaluation/confidence", json!("0.9"), Nothing),
        ("/evaluation/onInconclusive", json!("Promote"), Nothing),
        ("/rollout/approval", json!("Manual"), Nothing),
        ("/rollout/strategy", json!("Canary"), Nothing),
        ("/rollout/analysis/minRequests", json!(7), Nothing),
        ("/rollout/analysis/maxErrorPercent", json!(7), Nothing),
        ("/rollout/analysis/maxP99IncreasePercent", json!(7), Nothing),
        (
            "/rollout/analysis/maxMissingIncreasePercent",
            json!(7),
            Nothing,
        ),
        ("/rollout/analysis/maxScoreShift", json!("0.1"), Nothing),
        ("/rollout/steps", json!([{"weight": 7}]), Nothing),
        ("/serving/autoscaling/mode", json!("Fixed"), Nothing),
        ("/serving/autoscaling/minReplicas", json!(3), Nothing),
        ("/serving/autoscaling/maxReplicas", json!(30), Nothing),
        (
            "/serving/autoscaling/targetCPUUtilizationPercentage",
            json!(50),
            Nothing,
        ),
        (
            "/serving/autoscaling/scaleDownStabilizationSeconds",
            json!(1),
            Nothing,
        ),
        ("/serving/replicas", json!(5), Nothing),
        (
            "/serving/resources/limits/memory",
            json!("1Gi"),
            RetriesAFailure,
        ),
        ("/serving/resources/limits/cpu", json!("4"), RetriesAFailure),
        (
            "/serving/resources/requests/memory",
            json!("1Gi"),
            RetriesAFailure,
        ),
        (
            "/serving/resources/requests/cpu",
            json!("2"),
            RetriesAFailure,
        ),
        ("/serving/maxCandidates", json!(10), Nothing),
        ("/artifacts/uri", json!("s3://elsewhere/x"), RetriesAFailure),
        (
            "/artifacts/credentialsSecretRef/name",
            json!("other"),
            RetriesAFailure,
        ),
        (
            "/artifacts/readerSecretRef/name",
            json!("other"),
            RetriesAFailure,
        ),
        ("/freshness/maxAgeSeconds", json!(7200), Nothing),
        ("/freshness/tablesMaxAgeSeconds", json!(7200), Nothing),
        ("/drift/referenceRequests", json!(3000), Nothing),
        ("/drift/minRequests", json!(700), Nothing),
        ("/drift/windowSeconds", json!(7200), Nothing),
        ("/drift/consecutiveWindows", json!(3), Nothing),
        ("/suspend", json!(true), Nothing),
    ]
}

fn base(pointer: &str) -> Value {
    let synthetic = pointer.starts_with("/data/synthetic");
    let mut spec = serde_json::to_value(if synthetic {
        synthetic_spec()
    } else {
        sources_spec()
    })
    .unwrap();
    let amounts = json!({"requests": {"cpu": "1", "memory": "512Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}});
    spec["training"]["resources"] = amounts.clone();
    spec["training"]["tuning"] = json!({"trials": 20, "maxSeconds": 600});
    if !synthetic {
        spec["data"]["sources"]["judgments"] =
            json!({"uri": "s3://shop/judgments.csv", "format": "Quepid"});
        spec["data"]["sources"]["events"]["lagDays"] = json!(2);
    }
    spec["serving"]["resources"] = amounts;
    spec["freshness"]["tablesMaxAgeSeconds"] = json!(86_400);
    spec["rollout"]["analysis"]["maxScoreShift"] = json!("0.25");
    if pointer == "/features/declared" {
        spec["features"]["declared"] = json!([]);
    }
    spec
}

#[test]
fn an_edit_of_each_field_does_what_the_table_says() {
    for (pointer, value, effect) in table() {
        let before = base(pointer);
        let mut after = before.clone();
        let leaf = after
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("{pointer} is not in {before}"));
        assert_ne!(*leaf, value, "{pointer}");
        *leaf = value;
        let (before, after) = (parse_spec(before), parse_spec(after));
        let found = if train_hash(&before) != train_hash(&after) {
            Trains
        } else if settings_hash(&before) != settings_hash(&after) {
            RetriesAFailure
        } else {
            Nothing
        };
        assert_eq!(found, effect, "{pointer}");
    }
}

#[test]
fn the_table_names_every_field_of_the_spec() {
    let named: Vec<&str> = table().iter().map(|(pointer, _, _)| *pointer).collect();
    for spec in [base("/data/synthetic"), base("")] {
        for leaf in leaves(&spec, "") {
            let covered = named.contains(&leaf.as_str())
                || leaf.starts_with("/evaluation/gates/")
                || leaf.starts_with("/evaluation/baselines/")
                || leaf.starts_with("/rollout/steps/")
                // One value only.
                || leaf == "/data/sources/events/format";
            assert!(covered, "{leaf} is in no row");
        }
    }
}

fn leaves(value: &Value, path: &str) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, field)| leaves(field, &format!("{path}/{name}")))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(n, item)| leaves(item, &format!("{path}/{n}")))
            .collect(),
        _ => vec![path.to_owned()],
    }
}

/// As the API server stores it, with the defaults of the day on which it was created.
#[test]
fn the_hash_of_a_known_spec_never_changes() {
    let mut spec = synthetic_spec();
    spec.training.parameters = Parameters {
        num_iterations: 200,
        learning_rate: "0.1".into(),
        num_leaves: 31,
        min_data_in_leaf: 20,
        seed: 42,
    };
    assert_eq!(train_hash(&spec), "h1:279c17b98c6e4912eccb3d337fc41ff9");
    assert_ne!(train_hash(&spec), train_hash(&synthetic_spec()));
}

#[test]
fn keys_are_sorted_and_absent_is_null() {
    assert_eq!(
        digest(&json!({"a": 1, "b": [1, 2], "c": null})),
        digest(&json!({"b": [1, 2], "a": 1}))
    );
    assert_ne!(digest(&json!({"b": [2, 1]})), digest(&json!({"b": [1, 2]})));
}
