use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the requests of the served version compare with what it was trained on and with the first
/// ones that it answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftStatus {
    /// Version whose requests these are.
    pub version: i32,

    /// Address of its model.
    #[schemars(length(max = 71))]
    pub digest: String,

    /// Since when they are counted.
    pub start_time: Time,

    /// Training rows beside the first requests: there from the first day. Absent while these are
    /// collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew: Option<DriftFinding>,

    /// The newest window beside the first requests: what has changed since. Absent before one is
    /// whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftFinding>,

    /// Drifted windows in a row.
    pub drifted_windows: i32,
}

/// How two samples of requests differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftFinding {
    /// Begin of the later sample.
    pub start_time: Time,

    /// End of the later sample.
    pub end_time: Time,

    /// Requests in the later sample.
    pub requests: i64,

    /// Part of the model's gain that the drifted features have, a decimal in [0, 1]. From 0.2 on the
    /// sample has drifted.
    #[schemars(length(max = 16))]
    pub drifted_share: String,

    /// Population stability index of the scores, beyond what chance adds.
    #[schemars(length(max = 16))]
    pub score_psi: String,

    /// Drifted features that matter most, at most three: by index times importance.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    #[schemars(length(max = 3))]
    pub features: Vec<DriftedFeature>,
}

/// A feature whose values moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftedFeature {
    /// Name of the feature, or how it begins.
    #[schemars(length(max = 32))]
    pub name: String,

    /// Population stability index beyond what chance adds. From 0.1 on the feature has drifted.
    #[schemars(length(max = 16))]
    pub psi: String,

    /// Jensen–Shannon divergence in bits, a decimal in [0, 1].
    #[schemars(length(max = 16))]
    pub jensen_shannon: String,

    /// Its part of the gain of the model's splits, a decimal in [0, 1].
    #[schemars(length(max = 16))]
    pub importance: String,
}
