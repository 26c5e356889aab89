//! What is valid but means nothing without a cluster.

use serde_json::Value;

/// Something that is set but has no meaning without a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// `spec.serving.autoscaling`, or `PersistentVolumeClaim "searchop-models"`.
    pub what: String,
    /// What happens instead.
    pub instead: &'static str,
}

const CLUSTER_ONLY: [(&str, &str); 13] = [
    ("/metadata/namespace", "one model a folder"),
    (
        "/spec/data/sources/credentialsSecretRef",
        "SEARCHOP_DATA_S3_… of this shell are used",
    ),
    (
        "/spec/training/resources/requests",
        "the trainer takes the free cores",
    ),
    (
        "/spec/training/resources/limits/memory",
        "nothing limits memory here",
    ),
    (
        "/spec/rollout/strategy",
        "a new version takes over once it is ready",
    ),
    ("/spec/rollout/steps", "there are no steps without a canary"),
    (
        "/spec/rollout/analysis",
        "there is no analysis without a canary",
    ),
    ("/spec/serving/autoscaling", "one ranker process answers"),
    ("/spec/serving/replicas", "one ranker process answers"),
    ("/spec/serving/resources", "the ranker takes the free cores"),
    (
        "/spec/artifacts/uri",
        "versions are kept in the folder of --dir",
    ),
    (
        "/spec/artifacts/credentialsSecretRef",
        "a folder needs no credentials",
    ),
    (
        "/spec/artifacts/readerSecretRef",
        "a folder needs no credentials",
    ),
];

/// Settings of the model that are set in the file and mean nothing here.
pub fn ignored_settings(document: &Value) -> Vec<Ignored> {
    CLUSTER_ONLY
        .iter()
        .filter(|(pointer, _)| document.pointer(pointer).is_some())
        .map(|(pointer, instead)| Ignored {
            what: pointer[1..].replace('/', "."),
            instead,
        })
        .collect()
}
