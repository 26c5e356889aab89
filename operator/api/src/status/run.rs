use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use searchop_contract::{Evidence, ListSlice, Metric, Reference};
use serde::{Deserialize, Serialize};

use crate::Trigger;

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

    /// The overlap on the held-out days of two trainings of the candidate's recipe that differ in their
    /// seed alone, where the trainer made a second one: what an overlap means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub seed_overlap: Option<String>,
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

    /// Rank-biased overlap with another training that differs in its seed alone, where one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub seed_overlap: Option<String>,

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
