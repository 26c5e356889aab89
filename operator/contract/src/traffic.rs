use serde::{Deserialize, Serialize};

use crate::Digest;

/// A version that a ranker loads; the environment has them as a JSON list, the served one first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadedVersion {
    pub version: u32,
    pub digest: Digest,
    pub tables_digest: Digest,
}

/// Who answers which part of the requests: a file that the ranker reads again when it changes.
/// Without it the first loaded version answers all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Traffic {
    /// Names these shares; a pod that follows them reports it.
    pub revision: String,
    pub shares: Vec<Share>,
    /// What takes the candidate's weight away at once, in the pod that sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<AbortRule>,
}

/// The part of one loaded version. Exactly one of them is served, any other is a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Share {
    pub version: u32,
    pub role: Role,
    /// Percent of the users that it answers; those of all shares add up to 100.
    pub weight: u8,
    /// Percent of the requests that it ranks as well, off the response path, while its weight is 0.
    #[serde(default)]
    pub shadow: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    Served,
    Candidate,
}

/// When a pod stops asking a candidate: more than this share of at least so many of its answers
/// were failures of the model (not of the request).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AbortRule {
    pub min_requests: u32,
    pub max_error_percent: u8,
}

/// What a ranker pod tells at `GET /traffic` on its metrics port. Counts begin with the process;
/// whoever reads them subtracts, and trusts none of it blindly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficReport {
    /// Of the shares that the pod follows; none where it has read no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Why a newer file is not followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    pub versions: Vec<VersionTraffic>,
}

/// Counts of one loaded version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionTraffic {
    pub version: u32,
    pub digest: Digest,
    pub tables_digest: Digest,
    /// Weight in force, 0 after an abort.
    pub weight: u8,
    /// Why the pod took its weight away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<String>,
    /// Rankings, answered or failed by the model's fault; those in the shadow are not among them.
    pub requests: u64,
    pub errors: u64,
    /// Values asked of tables or request, and how many were missing.
    pub values: u64,
    pub missing: u64,
    /// Of the ranking alone, in milliseconds.
    pub latency: Buckets,
    /// Scores, one sampled row a request, in the bins of the model's reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Buckets>,
    /// Counts of the training's scores in the same bins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_scores: Option<Vec<u64>>,
    /// Beside what was answered, for rankings in the shadow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowTraffic>,
}

/// How a candidate's order differs from the answered one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShadowTraffic {
    pub requests: u64,
    pub errors: u64,
    /// Sum over requests of the rank-biased overlap, each 0 to 1.
    pub overlap_sum: f64,
    /// Sum over requests of the part of the first ten that is new, each 0 to 1.
    pub top10_change_sum: f64,
}

/// Counts between ascending bounds: `counts[i]` of values ≤ `bounds[i]`, the last of all greater.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Buckets {
    pub bounds: Vec<f64>,
    pub counts: Vec<u64>,
}
