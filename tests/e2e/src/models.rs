use std::time::Duration;

use jiff::Timestamp;
use searchop_api::{Outcome, RankingModel, RankingModelStatus};
use searchop_contract::labels;
use serde_json::{Value, json};

use crate::{kubectl::kubectl_ok, namespace::TestNamespace, wait::eventually};

/// A model on a small made-up shop, served by one pod, without an autoscaler.
pub fn small_model(name: &str) -> Value {
    json!({
        "apiVersion": "searchop.io/v1alpha1",
        "kind": "RankingModel",
        "metadata": {"name": name},
        "spec": {
            "data": {"synthetic": {"products": 500, "events": 20000, "windowDays": 30}},
            "training": {"parameters": {"numIterations": 20, "numLeaves": 7}},
            "evaluation": {
                "holdout": {"days": 5},
                "gates": [{"name": "floor", "metric": "NDCG", "k": 10, "threshold": "0.1"}]
            },
            "serving": {
                "autoscaling": {"mode": "Fixed"},
                "replicas": 1,
                "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}
            },
            "artifacts": {"uri": "pvc://models/shop"}
        }
    })
}

/// Merges `patch` into `base` the way a JSON merge patch does.
pub fn merged(mut base: Value, patch: &Value) -> Value {
    merge(&mut base, patch);
    base
}

fn merge(base: &mut Value, patch: &Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    base.remove(key);
                } else {
                    merge(base.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (base, patch) => *base = patch.clone(),
    }
}

/// The model as it stands, with its status.
pub async fn get(namespace: &TestNamespace, name: &str) -> RankingModel {
    namespace
        .api::<RankingModel>()
        .get(name)
        .await
        .expect("the model exists")
}

/// Status of one condition, if it is there and speaks of the present generation.
pub fn condition<'a>(model: &'a RankingModel, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let found = model
        .conditions()
        .iter()
        .find(|condition| condition.type_ == kind)?;
    (found.observed_generation == model.metadata.generation).then_some((
        &*found.status,
        &*found.reason,
        &*found.message,
    ))
}

/// Waits for a condition of the present generation.
pub async fn await_condition(
    namespace: &TestNamespace,
    name: &str,
    (kind, status): (&str, &str),
    limit: Duration,
) -> RankingModel {
    eventually(&format!("{name} {kind}={status}"), limit, || async {
        let model = get(namespace, name).await;
        match condition(&model, kind) {
            Some((found, ..)) if found == status => Ok(model),
            other => Err(format!(
                "{other:?}, run {:?}",
                model.status.as_ref().map(|s| &s.run)
            )),
        }
    })
    .await
}

/// Waits until the newest run of at least this version has ended.
pub async fn await_outcome(
    namespace: &TestNamespace,
    name: &str,
    version: i32,
    limit: Duration,
) -> (Outcome, RankingModelStatus) {
    eventually(&format!("{name} v{version} ends"), limit, || async {
        let status = get(namespace, name).await.status.unwrap_or_default();
        let ended = status.history.iter().find(|entry| entry.version == version);
        match ended {
            Some(entry) => Ok((entry.outcome, status.clone())),
            None => Err(format!("run {:?}", status.run)),
        }
    })
    .await
}

/// Asks for a retrain the way a person does; `who` is `<Trigger>/<requester>`.
pub fn request_retrain(namespace: &str, name: &str, who: &str) {
    request(namespace, name, (labels::RETRAIN_REQUESTED, who));
}

/// The same for a refresh of the tables.
pub fn request_refresh(namespace: &str, name: &str, who: &str) {
    request(namespace, name, (labels::REFRESH_REQUESTED, who));
}

fn request(namespace: &str, name: &str, (annotation, who): (&str, &str)) {
    let now = Timestamp::now().round(jiff::Unit::Second).unwrap();
    let value = format!("{annotation}={who}/{now}");
    let model = format!("rankingmodel/{name}");
    kubectl_ok(&["annotate", "--overwrite", "-n", namespace, &model, &value]);
}
