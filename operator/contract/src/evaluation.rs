use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the candidate is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EvaluationSettings {
    /// Newest days of the window, never trained on.
    pub holdout_days: u32,
    pub baselines: Vec<BaselineName>,
    /// What the gate needs to know; at most 16.
    pub measures: Vec<Measure>,
    /// One-sided confidence of the bounds, in (0.5, 1).
    pub confidence: f64,
}

/// One figure: a metric of the candidate, alone or against a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Measure {
    pub metric: Metric,
    /// Cut-off: only the first `k` results count.
    pub k: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Reference>,
    /// What relevance is read from; the trainer chooses where this is absent, see
    /// [`TrainingReport::evidence`](crate::TrainingReport::evidence).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Evidence>,
    /// Only these lists count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<ListSlice>,
}

impl Measure {
    /// Over all held-out lists, on whatever evidence there is.
    pub fn new(metric: Metric, k: u32, against: Option<Reference>) -> Self {
        Self {
            metric,
            k,
            against,
            on: None,
            slice: None,
        }
    }
}

/// What says which candidates were relevant.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Evidence {
    /// People's grades.
    Judgments,
    /// Clicks, carts and purchases, each weighted by the inverse of the chance that its position
    /// was looked at.
    DebiasedClicks,
    /// The same without weights. It favours whatever ranks like the order that was shown.
    RawClicks,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Judgments => "judgments",
            Self::DebiasedClicks => "debiased clicks",
            Self::RawClicks => "raw clicks",
        })
    }
}

/// Part of the held-out lists.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum ListSlice {
    /// Lists of queries that no list before the held-out days was for.
    ColdQueries,
    /// Lists in which something was wanted that no list before the held-out days showed.
    ColdItems,
    /// Lists of the most frequent queries, a third of the traffic before the held-out days.
    Head,
    /// The next third.
    Torso,
    /// All other queries, new ones among them.
    Tail,
}

impl ListSlice {
    pub const ALL: [Self; 5] = [
        Self::ColdQueries,
        Self::ColdItems,
        Self::Head,
        Self::Torso,
        Self::Tail,
    ];
}

impl fmt::Display for ListSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ColdQueries => "cold queries",
            Self::ColdItems => "cold items",
            Self::Head => "head queries",
            Self::Torso => "torso queries",
            Self::Tail => "tail queries",
        })
    }
}

/// Ranking metric.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[allow(clippy::upper_case_acronyms, reason = "the field's own names")]
pub enum Metric {
    NDCG,
    MRR,
    MAP,
    Recall,
    ERR,
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NDCG => "NDCG",
            Self::MRR => "MRR",
            Self::MAP => "MAP",
            Self::Recall => "Recall",
            Self::ERR => "ERR",
        })
    }
}

/// A ranking that needs no model.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum BaselineName {
    /// The order in which the items were shown.
    LoggedOrder,
    /// BM25 over all text fields.
    Bm25,
    /// The expected value over all orders.
    Random,
}

/// What a candidate is compared with.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Reference {
    /// The served version, re-scored on the same held-out queries.
    Served,
    /// The best of the last 8 promoted versions, each re-scored on the same held-out queries: many
    /// small losses do not add up unseen.
    BestPromoted,
    LoggedOrder,
    Bm25,
    Random,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Served => "the served version",
            Self::BestPromoted => "the best of the last promoted versions",
            Self::LoggedOrder => "the logged order",
            Self::Bm25 => "BM25",
            Self::Random => "a random order",
        })
    }
}

impl Reference {
    /// It is a version of the model, so that there is none before the first one serves.
    pub fn is_version(self) -> bool {
        matches!(self, Self::Served | Self::BestPromoted)
    }
}

impl From<BaselineName> for Reference {
    fn from(name: BaselineName) -> Self {
        match name {
            BaselineName::LoggedOrder => Self::LoggedOrder,
            BaselineName::Bm25 => Self::Bm25,
            BaselineName::Random => Self::Random,
        }
    }
}
