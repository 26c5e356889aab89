//! What trains, and what else a run depends on, as hashes.
//!
//! Some parts of the spec are taken whole, with their defaults filled in, such as the parameters or
//! the holdout; of the others the fields are named one by one. A field that is absent is left out.
//! So a field that is added to a part that is taken whole must be optional and absent by default,
//! one that is added by name is left out while it has its default, which must never change: else every
//! model in the world would train again on the day of the upgrade. The default of a parameter may
//! change: the API server wrote the old one into the resources that it has, so only new ones get the
//! new one. Local mode, which reads the file each time, trains once more.

use searchop_api::{
    DEFAULT_COUNTER_DROPOUT, DEFAULT_COUNTER_LAG_DAYS, Features, Labels, PositionBias,
    RankingModelSpec,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Hash of the settings that a model's bytes follow from. Another hash is another model: it is
/// trained. Gates, rollout, serving, freshness, drift, resources, deadlines and credentials are not part.
pub fn train_hash(spec: &RankingModelSpec) -> String {
    let sources = spec.data.sources.as_ref();
    let data = json!({
        "synthetic": spec.data.synthetic,
        "sources": sources.map(|sources| json!({"catalog": sources.catalog, "events": sources.events, "judgments": sources.judgments})),
    });
    let trains = json!({
        "data": data,
        "parameters": spec.training.parameters,
        "tuning": spec.training.tuning,
        "positionBias": unless(json!(PositionBias::Auto), json!(spec.training.position_bias)),
        "labels": unless(json!(Labels::default()), json!(spec.training.labels)),
        "counterDropout": unless(json!(DEFAULT_COUNTER_DROPOUT), json!(spec.training.counter_dropout)),
        "counterLagDays": unless(json!(DEFAULT_COUNTER_LAG_DAYS), json!(spec.training.counter_lag_days)),
        "features": unless(json!(Features::default()), json!(spec.features)),
        "holdout": spec.evaluation.holdout,
        "baselines": spec.evaluation.baselines,
    });
    format!("h1:{}", hash(&trains, 16))
}

/// A field that is absent while it has its default.
fn unless(default: Value, value: Value) -> Value {
    if value == default { Value::Null } else { value }
}

/// Hash of the settings that do not change the model but decide whether a run can succeed: memory,
/// deadlines, credentials, resources of the pods that serve. After a failure, an edit of one of
/// them is another try.
pub(crate) fn settings_hash(spec: &RankingModelSpec) -> String {
    let sources = spec.data.sources.as_ref();
    digest(&json!({
        "training": {
            "resources": spec.training.resources,
            "activeDeadlineSeconds": spec.training.active_deadline_seconds,
            "backoffLimit": spec.training.backoff_limit,
        },
        "dataCredentials": sources.and_then(|sources| sources.credentials_secret_ref.as_ref()),
        "artifacts": spec.artifacts,
        "servingResources": spec.serving.resources,
    }))
}

/// A short hash, to see an edit by: nobody gains by making two settings collide.
pub(crate) fn digest(value: &Value) -> String {
    hash(value, 8)
}

/// The first bytes, in hex, of the sha256 of the value's canonical JSON: no spaces, sorted keys.
fn hash(value: &Value, bytes: usize) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    Sha256::digest(text)
        .iter()
        .take(bytes)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Sorted here, not by the map: whether serde_json's map sorts is another crate's choice.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields
                .iter()
                .filter(|(_, field)| !field.is_null())
                .collect();
            sorted.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (name, field) in sorted {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                canonical(field, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests;
