use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The gate's verdict on one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateStatus {
    /// Version that was judged.
    pub version: i32,

    /// The worst of the rules' verdicts.
    pub verdict: Verdict,

    /// Hash of the rules that were applied; other rules judge again.
    #[serde(default)]
    #[schemars(length(max = 80))]
    pub rules_hash: String,

    /// One entry a rule.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    #[schemars(length(max = 16))]
    pub rules: Vec<RuleStatus>,
}

/// Verdict of a rule or of the whole gate, from best to worst.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Verdict {
    /// Does not apply to this run, or there is nothing to compare with yet.
    Skipped,
    /// A guard of a slice with too few queries to judge.
    NotJudged,
    Passed,
    /// The data were too few to tell.
    Inconclusive,
    Failed,
    /// A figure is missing or not a number, or the comparison means nothing.
    Error,
}

/// One rule's verdict with its figures, as decimals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleStatus {
    /// Name of the rule.
    #[schemars(length(max = 40))]
    pub name: String,

    /// Its verdict.
    pub verdict: Verdict,

    /// Reports only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,

    /// The candidate's metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub candidate: Option<String>,

    /// The reference's metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub reference: Option<String>,

    /// Threshold or margin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub limit: Option<String>,

    /// Lower bound of the relative difference, or of the metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub low: Option<String>,

    /// Upper bound, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub high: Option<String>,

    /// Distinct queries behind the figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries: Option<i64>,

    /// The verdict in words.
    #[schemars(length(max = 256))]
    pub message: String,
}
