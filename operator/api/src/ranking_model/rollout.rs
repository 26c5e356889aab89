use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a version that passed the gate gets to serve, and what people decide about it. A version is
/// named as `v7`, `7` or by the digest of its model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.approvedVersion) || !has(self.abortedVersion) || self.approvedVersion != self.abortedVersion", "message": "a version cannot be approved and aborted at once"},
]))]
pub struct Rollout {
    /// RollingUpdate: pods of the new version replace those of the old one. Canary: the new version
    /// is loaded beside the old one in the same pods, which takes the memory of two, and answers a
    /// growing share of the users. A first version is always rolled out by RollingUpdate. An edit to
    /// RollingUpdate ends a canary's steps: the version serves.
    pub strategy: Strategy,

    /// What a canary goes through, in this order; then the new version answers all. An edit is
    /// followed at once and restarts no pod.
    #[schemars(length(min = 1, max = 10))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub steps: Vec<RolloutStep>,

    /// When a canary goes on, and when it is given up.
    pub analysis: Analysis,

    /// Automatic: what passes the gate is rolled out. Manual: it waits until approvedVersion names
    /// it; a newer version takes its place.
    pub approval: Approval,

    /// Version that may be rolled out where approval is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        with = "String",
        regex(pattern = r"^(v?[1-9][0-9]{0,8}|sha256:[0-9a-f]{64})$"),
        length(max = 71)
    )]
    pub approved_version: Option<String>,

    /// Version whose rollout is given up: what served before serves on, and the version is not
    /// tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        with = "String",
        regex(pattern = r"^(v?[1-9][0-9]{0,8}|sha256:[0-9a-f]{64})$"),
        length(max = 71)
    )]
    pub aborted_version: Option<String>,

    /// Version that serves for as long as it is named here: a rollback. It must be one that served
    /// and that status still knows. Newer versions are trained and judged, but wait. Without it the
    /// newest promoted version serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        with = "String",
        regex(pattern = r"^(v?[1-9][0-9]{0,8}|sha256:[0-9a-f]{64})$"),
        length(max = 71)
    )]
    pub pinned_version: Option<String>,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            steps: RolloutStep::defaults(),
            analysis: Analysis::default(),
            approval: Approval::default(),
            approved_version: None,
            aborted_version: None,
            pinned_version: None,
        }
    }
}

/// RollingUpdate: pods of the new version replace those of the old one. Canary: it answers a growing
/// share of the users first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Strategy {
    #[default]
    RollingUpdate,
    Canary,
}

/// One step of a canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "(self.weight == 0) == (self.shadowPercent > 0)", "message": "a step needs either a weight, or weight 0 and a shadowPercent"},
]))]
pub struct RolloutStep {
    /// Percent of the users whom the new version answers; the same ones at every number of pods, and
    /// at each higher weight. 0 with shadowPercent.
    #[schemars(range(min = 0, max = 99))]
    pub weight: i32,

    /// How long the step lasts at least, from when all pods that are ready follow it.
    #[serde(default = "RolloutStep::default_hold")]
    #[schemars(range(min = 0, max = 604_800))]
    pub hold_seconds: i32,

    /// Percent of the requests that the new version ranks as well, after they are answered: nobody
    /// sees its order, and how far it differs is reported.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub shadow_percent: i32,
}

impl RolloutStep {
    fn default_hold() -> i32 {
        600
    }

    /// 5, 25 and 50 % of the users, ten minutes each.
    fn defaults() -> Vec<Self> {
        let step = |weight| Self {
            weight,
            hold_seconds: Self::default_hold(),
            shadow_percent: 0,
        };
        [5, 25, 50].map(step).to_vec()
    }
}

/// When a canary goes on, and when it is given up. Both versions are counted in the same pods since
/// the canary's begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Analysis {
    /// Requests that the new version must have answered before it goes on or is given up.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_requests: i32,

    /// Percent of its answers that may fail by the model's fault; more where the served version
    /// fails more often.
    #[schemars(range(min = 0, max = 100))]
    pub max_error_percent: i32,

    /// Percent by which its p99 of ranking may exceed the served version's. One millisecond more is
    /// always allowed.
    #[schemars(range(min = 0, max = 1000))]
    pub max_p99_increase_percent: i32,

    /// Percentage points by which its share of missing feature values may exceed the served
    /// version's.
    #[schemars(range(min = 0, max = 100))]
    pub max_missing_increase_percent: i32,

    /// How much further its scores may lie from those of its training than the served version's do
    /// from those of its own, as a population stability index: 0.1 is a shift worth a look, 0.25 a
    /// great one. Without it scores are not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        with = "String",
        regex(pattern = r"^[0-9](\.[0-9]{1,4})?$"),
        length(max = 6)
    )]
    pub max_score_shift: Option<String>,
}

impl Default for Analysis {
    fn default() -> Self {
        Self {
            min_requests: 500,
            max_error_percent: 1,
            max_p99_increase_percent: 50,
            max_missing_increase_percent: 5,
            max_score_shift: None,
        }
    }
}

/// Automatic: what passes the gate is rolled out. Manual: it waits until approvedVersion names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Approval {
    #[default]
    Automatic,
    Manual,
}
