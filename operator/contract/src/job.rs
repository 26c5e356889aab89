use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DeclaredFeature, Digest, EvaluationSettings};

/// One run of the trainer, as JSON in the environment variable [`crate::names::JOB_ENV`] or a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrainingJob {
    /// Name of the RankingModel.
    pub model: String,
    /// Version this run would become.
    pub version: u32,
    /// Only data of complete UTC days before this instant is used.
    pub as_of_time: Timestamp,
    pub data: DataSource,
    #[serde(default)]
    pub parameters: BoostingParameters,
    /// Search for better ones before the training that is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning: Option<Tuning>,
    #[serde(default)]
    pub position_bias: PositionBias,
    #[serde(default)]
    pub labels: LabelSettings,
    /// Share of the training rows that are trained on without their counters, in [0, 1).
    #[serde(default = "default_counter_dropout")]
    pub counter_dropout: f64,
    /// How old the counters are that training lists see.
    #[serde(default)]
    pub counter_lag: CounterLag,
    /// Whether the model looks at the other candidates of a list.
    #[serde(default, skip_serializing_if = "is_false")]
    pub candidate_list: bool,
    /// Features beside the preset's, in column order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared: Vec<DeclaredFeature>,
    pub evaluation: EvaluationSettings,
    /// Base URI of the artifacts: `file:///…` or `s3://bucket/prefix`.
    pub artifacts_uri: String,
    /// The served version, re-scored on the same held-out queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<ReferenceModel>,
    /// Measure this published model instead of training one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate_only: Option<ReferenceModel>,
    /// Rebuild the tables of this published model from the newest data. Nothing is trained or judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<ReferenceModel>,
    /// Train nothing where the data are those that the reference was trained on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub skip_if_data_unchanged: bool,
    /// Versions that were promoted before, newest first, for [`Reference::BestPromoted`]; at most
    /// [`TrainingJob::MAX_PROMOTED`]. One that is gone or cannot be read is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promoted: Vec<PromotedModel>,
    /// Digests (models and tables) to keep when pruning after publication; the one just published
    /// and the reference are always kept.
    #[serde(default)]
    pub keep: Vec<Digest>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
pub(crate) fn is_false(value: &bool) -> bool {
    !value
}

fn default_counter_dropout() -> f64 {
    0.3
}

impl TrainingJob {
    /// So many promoted versions are looked back at.
    pub const MAX_PROMOTED: usize = 8;
}

/// A list of day D sees the counters of days up to D − n, with n drawn for each list from
/// `min_days ..= max_days`: tables that serve are that old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CounterLag {
    /// At least 1: a day is counted when it is over.
    pub min_days: u32,
    /// At most [`CounterLag::LONGEST`].
    pub max_days: u32,
}

impl CounterLag {
    pub const LONGEST: u32 = 365;
}

impl Default for CounterLag {
    fn default() -> Self {
        Self {
            min_days: 1,
            max_days: 1,
        }
    }
}

/// A version that served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PromotedModel {
    pub version: u32,
    pub digest: Digest,
}

/// A published model with the tables it serves from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReferenceModel {
    pub digest: Digest,
    pub tables_digest: Digest,
}

/// Where catalogue and events come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum DataSource {
    Synthetic(SyntheticShop),
    #[serde(rename_all = "camelCase")]
    Sources {
        catalog: TableSource,
        events: TableSource,
        event_format: EventFormat,
        /// Days of events that are read, counted back from the newest complete day.
        window_days: u32,
        /// Grades given by people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        judgments: Option<JudgmentSource>,
    },
}

/// A made-up shop: each day is drawn from (seed, day), so it lives on from day to day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyntheticShop {
    /// Products in the catalogue.
    pub products: u32,
    /// Events in the whole window.
    pub events: u32,
    pub seed: u64,
    /// Days of events, counted back from the newest complete day.
    pub window_days: u32,
}

/// A table in files: a path, a glob, or an `s3://` URI with an optional glob in its key.
/// The format follows from the file ending: `.parquet`, `.csv`, `.ndjson`, `.jsonl`, `.csv.gz`, ….
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TableSource {
    pub uri: String,
    /// Column with the item's id; catalogue only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_field: Option<String>,
}

/// Schema of the click log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EventFormat {
    /// User Behavior Insights 1.3.0, as search engines write it.
    #[default]
    UBI,
}

/// A file of grades, at the same kinds of place as a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JudgmentSource {
    pub uri: String,
    pub format: JudgmentFormat,
}

/// How grades of (query, item) are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JudgmentFormat {
    /// CSV with the columns query, docid and rating.
    Quepid,
    /// Lines of `qid 0 item grade`. A file of the same pattern that ends with `.tsv` tells the
    /// queries, as `qid TAB query`; without one the qid is the query.
    TREC,
    /// Lines of `grade qid:1 # item query`.
    SVMRank,
    /// JSON of OpenSearch's search relevance workbench: judgmentRatings with query and ratings.
    Workbench,
}

/// What is done about shoppers looking at the top of a list more than at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PositionBias {
    /// LightGBM's own correction learns what a position is worth beside the trees. Where under 5 %
    /// of clicks are on items that the same query showed at two or more positions, that cannot be
    /// told from what the items are worth: then as None, and the report says so.
    #[default]
    Auto,
    /// Clicks count the same wherever they happened.
    None,
}

/// How labels are read from the click log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LabelSettings {
    /// A list counts once this many hours have passed since it was shown: carts and purchases take
    /// their time.
    pub maturity_hours: u32,
}

impl Default for LabelSettings {
    fn default() -> Self {
        Self { maturity_hours: 72 }
    }
}

/// LightGBM's parameters under its own names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BoostingParameters {
    pub num_iterations: u32,
    pub learning_rate: f64,
    pub num_leaves: u32,
    pub min_data_in_leaf: u32,
    pub seed: u32,
}

impl Default for BoostingParameters {
    fn default() -> Self {
        Self {
            num_iterations: 200,
            learning_rate: 0.05,
            num_leaves: 7,
            min_data_in_leaf: 20,
            seed: 42,
        }
    }
}

/// A search for parameters, which sees nothing but the lists that train and those that validate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tuning {
    /// Trainings that are tried, the first one with the job's own parameters.
    pub trials: u32,
    /// No trial but the first goes on for longer than this after the first began.
    pub max_seconds: u32,
    /// What may be changed; all else stays as the job says.
    pub free: Vec<FreeParameter>,
}

/// A parameter that a search may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FreeParameter {
    NumIterations,
    LearningRate,
    NumLeaves,
    MinDataInLeaf,
}
