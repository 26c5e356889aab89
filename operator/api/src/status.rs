mod drift;
mod gate;
mod refresh;
mod run;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Trigger;

pub use drift::*;
pub use gate::*;
pub use refresh::*;
pub use run::*;

/// Facts about a model. Whatever can be derived from them or from the cluster is not stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RankingModelStatus {
    /// Generation that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready, Serving, Reconciling, Stalled, Stale, Drifted, AwaitingApproval (where it plays a
    /// part), LastRunSucceeded.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    #[schemars(length(max = 12))]
    pub conditions: Vec<Condition>,

    /// The version that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served: Option<ServedVersion>,

    /// The version that answered before. While one is pinned, the one that would serve without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<ServedVersion>,

    /// Promoted versions that history does not hold any more, newest first. A candidate is compared
    /// with the best of the last eight.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    #[schemars(length(max = 8))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub promoted: Vec<PromotedVersion>,

    /// The newest run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,

    /// The newest rebuilding of the served version's tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<TablesRefresh>,

    /// Verdict on the newest run that was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateStatus>,

    /// What is known of the served version's requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftStatus>,

    /// Ended runs, newest first. Never drops the served, the previous and the pinned version.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    #[schemars(length(max = 10))]
    pub history: Vec<HistoryEntry>,

    /// Newest retrain request that was acted on: the annotation's value.
    #[schemars(length(max = 256))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_request: Option<String>,

    /// Newest retrain request that could not be read and was left alone.
    #[schemars(length(max = 256))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored_request: Option<String>,

    /// Newest refresh request that could not be read and was left alone.
    #[schemars(length(max = 256))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored_refresh: Option<String>,

    /// When the next scheduled retrain is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_retrain_time: Option<Time>,

    /// Where requests go, inside the cluster.
    #[schemars(length(max = 512))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,

    /// Ranker pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,

    /// Label selector of the ranker pods, for the scale subresource.
    #[schemars(length(max = 512))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

/// A version that serves or served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServedVersion {
    /// `v7`, for the column.
    #[schemars(length(max = 16))]
    pub name: String,

    /// Number of the version.
    pub version: i32,

    /// Address of the model.
    #[schemars(length(max = 71))]
    pub digest: String,

    /// Address of its tables.
    #[schemars(length(max = 71))]
    pub tables_digest: String,

    /// Settings that it was trained with.
    #[schemars(length(max = 80))]
    pub train_hash: String,

    /// First gate rule's metric: `NDCG@10 0.741`.
    #[schemars(length(max = 40))]
    pub headline_metric: String,

    /// End of the newest day the trees have seen.
    pub trained_through_time: Time,

    /// End of the newest day the tables have seen.
    pub tables_time: Time,

    /// Since when it serves.
    pub promoted_time: Time,
}

/// A version that served once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromotedVersion {
    /// Number of the version.
    pub version: i32,

    /// Address of the model.
    #[schemars(length(max = 71))]
    pub digest: String,
}

/// An ended run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Version of the run.
    pub version: i32,

    /// Address of the model, where one was trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71))]
    pub digest: Option<String>,

    /// Address of its tables, where it was promoted: the newest ones, once they were refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71))]
    pub tables_digest: Option<String>,

    /// What started it.
    pub trigger: Trigger,

    /// How it ended.
    pub outcome: Outcome,

    /// Reason word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,

    /// First gate rule's metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub headline_metric: Option<String>,

    /// End of the newest day the trees have seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained_through_time: Option<Time>,

    /// When the run ended.
    pub completion_time: Time,
}
