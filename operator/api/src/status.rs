use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use searchop_contract::{Evidence, ListSlice, Metric, Reference};
use serde::{Deserialize, Serialize};

use crate::Trigger;

/// Facts about a model. Whatever can be derived from them or from the cluster is not stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RankingModelStatus {
    /// Generation that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready, Serving, Reconciling, Stalled, Stale, AwaitingApproval (where it plays a part),
    /// LastRunSucceeded.
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

/// The record of a run. Writing it is the lock; nothing starts before it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Version that the run would become.
    pub version: i32,

    /// Settings that it is trained with.
    #[schemars(length(max = 80))]
    pub train_hash: String,

    /// What started it.
    pub trigger: Trigger,

    /// The retrain request behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub request_token: Option<String>,

    /// Data of complete days before this instant are used.
    pub as_of_time: Time,

    /// Digest of the version served when the run started, which the candidate is measured against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71))]
    pub reference_digest: Option<String>,

    /// When the record was written.
    pub start_time: Time,

    /// How often it was measured again without training, since the gate asked for other figures.
    #[serde(default)]
    pub evaluation: i32,

    /// How often it was started over since its report was lost.
    #[serde(default)]
    pub attempt: i32,

    /// Hash of the settings that do not train but that the run depends on: resources, deadlines,
    /// credentials. An edit of one is another try after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 80))]
    pub settings_hash: Option<String>,

    /// Hash of the figures that the gate's rules asked for when the run, or its newest evaluation,
    /// was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 80))]
    pub measures_hash: Option<String>,

    /// Where its canary is, for a rollout with steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,

    /// What the trainer published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Candidate>,

    /// How it ended; absent while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Outcome")]
    pub outcome: Option<Outcome>,

    /// Reason word of the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,

    /// The outcome in words, with numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,

    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
}

/// Where a canary is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// Index in rollout.steps; past the last one the version takes over.
    pub step: i32,

    /// When all ready pods were seen to follow the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,

    /// How far its order was from that of what serves, after a step in the shadow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowOverlap>,
}

/// Means over the requests that a candidate ranked beside what serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShadowOverlap {
    /// Requests.
    pub requests: i64,

    /// Rank-biased overlap of the two orders, 0 to 1.
    #[schemars(length(max = 16))]
    pub overlap: String,

    /// Share of the first ten that is new, 0 to 1.
    #[schemars(length(max = 16))]
    pub top10_change: String,
}

/// The record of a refresh: the served model gets tables of newer data, and nothing is judged.
/// Writing it is the lock, as with a run; of the two at most one is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TablesRefresh {
    /// Refreshes are counted; the Job's name has the number.
    pub number: i32,

    /// Version whose tables are rebuilt.
    pub version: i32,

    /// Address of its model.
    #[schemars(length(max = 71))]
    pub digest: String,

    /// What started it.
    pub trigger: Trigger,

    /// The refresh request behind it.
    #[schemars(length(max = 256))]
    pub request_token: String,

    /// Data of complete days before this instant are used.
    pub as_of_time: Time,

    /// When the record was written.
    pub start_time: Time,

    /// How often it was started over since its report was lost.
    #[serde(default)]
    pub attempt: i32,

    /// Address of the rebuilt tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71))]
    pub tables_digest: Option<String>,

    /// End of the newest day that they have seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables_time: Option<Time>,

    /// How it ended; absent while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RefreshOutcome")]
    pub outcome: Option<RefreshOutcome>,

    /// Reason word of the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,

    /// The outcome in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub message: Option<String>,

    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
}

/// How a refresh ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RefreshOutcome {
    /// The rebuilt tables serve.
    Refreshed,
    /// The same bytes as the tables that serve.
    Unchanged,
    /// The tables that served before serve on.
    Failed,
    /// Another version serves meanwhile.
    Superseded,
}

impl RefreshOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refreshed => "Refreshed",
            Self::Unchanged => "Unchanged",
            Self::Failed => "Failed",
            Self::Superseded => "Superseded",
        }
    }
}

/// A trained version before it is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Address of the model.
    #[schemars(length(max = 71))]
    pub digest: String,

    /// Address of its tables.
    #[schemars(length(max = 71))]
    pub tables_digest: String,

    /// End of the newest day the trees have seen.
    pub trained_through_time: Time,

    /// End of the newest day the tables have seen.
    pub tables_time: Time,

    /// Evaluation of the run that the figures are from.
    #[serde(default)]
    pub evaluation: i32,

    /// Confidence that the bounds were computed at.
    #[schemars(length(max = 8))]
    pub confidence: String,

    /// What the trainer read relevance from, where a rule left it to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Evidence")]
    pub evidence: Option<Evidence>,

    /// The best of the last promoted versions, where the candidate was compared with that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_promoted: Option<i32>,

    /// Figures that the gate reads, as the trainer reported them.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    #[schemars(length(max = 16))]
    pub figures: Vec<Figure>,
}

/// A measurement with its numbers as decimals, since the API has no floats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// Ranking metric.
    pub metric: Metric,

    /// Cut-off.
    pub k: i32,

    /// What the candidate was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Reference")]
    pub against: Option<Reference>,

    /// The candidate's metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub candidate: Option<String>,

    /// The reference's metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub reference: Option<String>,

    /// Lower bound of the relative difference, or of the metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub low: Option<String>,

    /// Upper bound, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub high: Option<String>,

    /// Distinct queries behind the figure.
    pub queries: i64,

    /// The candidate or the reference trained on part of the held-out days.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub holdout_overlap: bool,

    /// What relevance was asked to be read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Evidence")]
    pub on: Option<Evidence>,

    /// Part of the held-out lists that counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ListSlice")]
    pub slice: Option<ListSlice>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    /// It serves.
    Promoted,
    /// A gate rule said no.
    Rejected,
    /// The data were too few to tell.
    Inconclusive,
    /// The same bytes as the served version.
    Unchanged,
    /// It produced nothing that could be judged or served.
    Failed,
    /// A newer spec or version made it pointless.
    Superseded,
    /// It passed the gate and waits until it is approved, or until no version is pinned.
    AwaitingApproval,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "Promoted",
            Self::Rejected => "Rejected",
            Self::Inconclusive => "Inconclusive",
            Self::Unchanged => "Unchanged",
            Self::Failed => "Failed",
            Self::Superseded => "Superseded",
            Self::AwaitingApproval => "AwaitingApproval",
        }
    }
}

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
