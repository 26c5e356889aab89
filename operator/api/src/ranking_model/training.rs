use schemars::JsonSchema;
use searchop_contract::{DeclaredFeature, MAX_DECLARED_FEATURES, PositionBias};
use serde::{Deserialize, Serialize};

use crate::ContainerResources;

/// How a version is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Training {
    /// LightGBM's parameters.
    pub parameters: Parameters,

    /// Search for better parameters in each training; off where it is absent. Parameters that differ from
    /// their default stay as they are. Only lists that train and validate are looked at, never the
    /// held-out ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tuning: Option<Tuning>,

    /// Auto: learns what a position is worth beside the trees, where the log can tell. None: clicks
    /// count the same wherever they happened.
    pub position_bias: PositionBias,

    /// How labels are read from the click log.
    pub labels: Labels,

    /// Share of the training rows, a decimal in [0, 1), that are shown to the trees without their
    /// counters: new items and new queries have none. Without it a model trusts its counters so
    /// much that it ranks poorly where they are missing.
    #[schemars(regex(pattern = r"^(0|0?\.[0-9]{1,6})$"), length(max = 8))]
    pub counter_dropout: String,

    /// Oldest counters that training lists see, in days: each sees those of an age drawn at random
    /// between one day and this. 1: those of the day before. 7 trains on tables as old as a weekly
    /// retrain makes them.
    #[schemars(range(min = 1, max = 90))]
    pub counter_lag_days: i32,

    /// Resources of the trainer. Threads follow from the CPU limit.
    pub resources: ContainerResources,

    /// A run that takes longer is stopped and fails.
    #[schemars(range(min = 30, max = 604_800))]
    pub active_deadline_seconds: i64,

    /// How often a run that was interrupted is tried again.
    #[schemars(range(min = 0, max = 10))]
    pub backoff_limit: i32,
}

/// What a spec that says nothing of [`Training::counter_dropout`] has.
pub const DEFAULT_COUNTER_DROPOUT: &str = "0.3";

/// What a spec that says nothing of [`Training::counter_lag_days`] has.
pub const DEFAULT_COUNTER_LAG_DAYS: i32 = 1;

impl Default for Training {
    fn default() -> Self {
        Self {
            parameters: Parameters::default(),
            tuning: None,
            position_bias: PositionBias::Auto,
            labels: Labels::default(),
            counter_dropout: DEFAULT_COUNTER_DROPOUT.to_owned(),
            counter_lag_days: DEFAULT_COUNTER_LAG_DAYS,
            resources: ContainerResources::default(),
            active_deadline_seconds: 3600,
            backoff_limit: 3,
        }
    }
}

/// A search for parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Tuning {
    /// Trainings that are tried, the first one with the parameters as they are. The same seed and number
    /// of trials try the same ones.
    #[schemars(range(min = 2, max = 200))]
    pub trials: i32,

    /// The search ends after this time with the best that it has found, unless all trials are done: then
    /// what is found depends on how fast the machine is.
    #[schemars(range(min = 1, max = 604_800))]
    pub max_seconds: i32,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            trials: 20,
            max_seconds: 1800,
        }
    }
}

/// How labels are read from the click log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Labels {
    /// A list is left out until this many hours have passed since it was shown: carts and purchases
    /// take their time.
    #[schemars(range(min = 0, max = 720))]
    pub maturity_hours: i32,
}

impl Default for Labels {
    fn default() -> Self {
        Self { maturity_hours: 72 }
    }
}

/// What a version looks at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Features {
    /// Also compares each candidate with the others of its request: how like their titles its title
    /// is, and where its price lies. Better where every request holds the whole list, wrong where
    /// lists are sent in parts. Missing below 20 candidates.
    pub candidate_list: bool,

    /// Features of your own beside the preset's. Needs data.sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MAX_DECLARED_FEATURES))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub declared: Vec<DeclaredFeature>,
}

/// LightGBM's parameters under its own names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Parameters {
    /// Trees at most.
    #[schemars(range(min = 1, max = 10_000))]
    pub num_iterations: i32,

    /// Shrinkage, a decimal in (0, 1].
    #[schemars(
        regex(pattern = r"^(0?\.0{0,5}[1-9][0-9]{0,5}|1(\.0{1,6})?)$"),
        length(max = 8)
    )]
    pub learning_rate: String,

    /// Leaves of a tree at most.
    #[schemars(range(min = 2, max = 4096))]
    pub num_leaves: i32,

    /// Rows in a leaf at least.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub min_data_in_leaf: i32,

    /// Seed of the training.
    #[schemars(range(min = 0))]
    pub seed: i32,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            num_iterations: 200,
            learning_rate: "0.05".to_owned(),
            num_leaves: 7,
            min_data_in_leaf: 20,
            seed: 42,
        }
    }
}
