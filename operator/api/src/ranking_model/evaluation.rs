use schemars::JsonSchema;
use searchop_contract::{BaselineName, Evidence, ListSlice, Metric, Reference};
use serde::{Deserialize, Serialize};

use super::Trigger;

/// How a version is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.gates.all(gate, !has(gate.against) || gate.against == 'Served' || gate.against == 'BestPromoted' || self.baselines.exists(name, name == gate.against))", "message": "a gate compares with a baseline that evaluation.baselines does not list"},
]))]
pub struct Evaluation {
    /// What is kept back from training.
    pub holdout: Holdout,

    /// Rankings that are measured beside the candidate.
    #[schemars(length(max = 3))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub baselines: Vec<BaselineName>,

    /// Rules that a candidate must pass. The first one's metric is the headline.
    #[schemars(length(min = 1, max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub gates: Vec<GateRule>,

    /// One-sided confidence of every bound, a decimal in (0.5, 1).
    #[schemars(regex(pattern = r"^0\.(5[0-9]*[1-9]|[6-9][0-9]*)$"), length(max = 8))]
    pub confidence: String,

    /// What happens to a candidate for which the data are too few to tell.
    pub on_inconclusive: OnInconclusive,
}

impl Default for Evaluation {
    fn default() -> Self {
        Self {
            holdout: Holdout::default(),
            baselines: vec![
                BaselineName::LoggedOrder,
                BaselineName::Bm25,
                BaselineName::Random,
            ],
            gates: GateRule::defaults(),
            confidence: "0.95".to_owned(),
            on_inconclusive: OnInconclusive::Reject,
        }
    }
}

/// The newest days of the window, never trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Holdout {
    /// Days.
    #[schemars(range(min = 1, max = 90))]
    pub days: i32,
}

impl Default for Holdout {
    fn default() -> Self {
        Self { days: 7 }
    }
}

/// One rule of the gate: an absolute threshold, or a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.threshold) != has(self.against)", "message": "a gate needs exactly one of threshold and against"},
    {"rule": "has(self.against) == has(self.goal) && has(self.against) == has(self.margin)", "message": "against, goal and margin go together"},
    {"rule": "!has(self.slice) || (has(self.goal) && self.goal == 'NotWorse')", "message": "a gate on a slice is a guard: it needs goal NotWorse"},
    {"rule": "!has(self.on) || self.on != 'RawClicks' || (has(self.dryRun) && self.dryRun)", "message": "a gate on RawClicks needs dryRun: raw clicks favour whatever ranks like the order that was shown"},
]))]
pub struct GateRule {
    /// Name of the rule, unique in the list.
    #[schemars(regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"), length(max = 40))]
    pub name: String,

    /// Ranking metric.
    pub metric: Metric,

    /// Only the first k results count.
    #[serde(default = "GateRule::default_k")]
    #[schemars(range(min = 1, max = 1000))]
    pub k: i32,

    /// The metric must be at least this, a decimal in [0, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$"), length(max = 8))]
    pub threshold: Option<String>,

    /// What the candidate is compared with on the same held-out queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Reference")]
    pub against: Option<Reference>,

    /// Superior: better by the margin. NotWorse: not worse by more than the margin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Goal")]
    pub goal: Option<Goal>,

    /// Share of the reference's metric, a decimal in [0, 1]: "0.05" is 5 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$"), length(max = 8))]
    pub margin: Option<String>,

    /// What relevance is read from. Where absent: judgments of 100 queries or more, else clicks
    /// weighted by how likely their position was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Evidence")]
    pub on: Option<Evidence>,

    /// Judges only part of the held-out lists, as a guard: it fails only where the candidate is
    /// significantly worse than the margin allows, all guards taken together (Holm), and judges
    /// nothing on fewer than 50 queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ListSlice")]
    pub slice: Option<ListSlice>,

    /// Runs that the rule judges, by what started them; all where empty. Where no rule of the list
    /// names Drift, those that name Schedule judge such a run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub applies_to: Vec<Trigger>,

    /// Reports its verdict without deciding.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

impl GateRule {
    fn default_k() -> i32 {
        10
    }

    /// A change of the spec must win by 5 %, a retrain that a schedule or drift asks for must not lose
    /// 1 % against what serves nor 2 % against the best of the last versions, and every version must
    /// beat plain text search.
    pub fn defaults() -> Vec<Self> {
        let rule = |name: &str, against, goal, margin: &str, applies_to: &[Trigger]| Self {
            name: name.to_owned(),
            metric: Metric::NDCG,
            k: Self::default_k(),
            threshold: None,
            against: Some(against),
            goal: Some(goal),
            margin: Some(margin.to_owned()),
            on: None,
            slice: None,
            applies_to: applies_to.to_vec(),
            dry_run: false,
        };
        vec![
            rule("lift", Reference::Bm25, Goal::Superior, "0", &[]),
            rule(
                "better",
                Reference::Served,
                Goal::Superior,
                "0.05",
                &[Trigger::SpecChange, Trigger::Manual],
            ),
            rule(
                "steady",
                Reference::Served,
                Goal::NotWorse,
                "0.01",
                &[Trigger::Schedule, Trigger::Drift],
            ),
            rule(
                "ratchet",
                Reference::BestPromoted,
                Goal::NotWorse,
                "0.02",
                &[Trigger::Schedule, Trigger::Drift],
            ),
        ]
    }
}

/// Superior: better by the margin. NotWorse: not worse by more than the margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Goal {
    /// The estimate reaches the margin, and the lower bound is above nothing.
    Superior,
    /// The lower bound stays above minus the margin.
    NotWorse,
}

/// What happens to a candidate for which the data are too few to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnInconclusive {
    Reject,
    Promote,
    /// It waits until rollout.approvedVersion names it.
    AwaitApproval,
}
