mod data;
mod drift;
mod evaluation;
mod rollout;
mod serving;
mod training;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
pub use searchop_contract::{
    BaselineName, DeclaredFeature, EventFormat, Evidence, FeatureSource, FeatureType,
    JudgmentFormat, ListSlice, Metric, OutOfStock, Pins, PositionBias, Reference, ServingRule,
};
use serde::{Deserialize, Serialize};

use crate::RankingModelStatus;

pub use data::*;
pub use drift::*;
pub use evaluation::*;
pub use rollout::*;
pub use serving::*;
pub use training::*;

/// What a search team wants of one ranking model: where its data are, how it is judged, how it is
/// served.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "searchop.io",
    version = "v1alpha1",
    kind = "RankingModel",
    plural = "rankingmodels",
    shortname = "rkm",
    category = "searchop",
    namespaced,
    cel,
    status = "RankingModelStatus",
    doc = "A ranking model that is trained, judged, served and kept fresh.",
    scale(
        spec_replicas_path = ".spec.serving.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')")
        .message("metadata.name must be at most 40 characters of a-z, 0-9 and '-', starting with a letter"),
    validation = Rule::new("!has(self.spec.data.synthetic) || !has(self.spec.features) || !has(self.spec.features.declared) || self.spec.features.declared.size() == 0")
        .message("features.declared needs data.sources: a made-up shop has no such columns"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Served", type_ = "string", json_path = ".status.served.name"),
    printcolumn(name = "Metric", type_ = "string", json_path = ".status.served.headlineMetric"),
    printcolumn(name = "Data-Age", type_ = "date", json_path = ".status.served.trainedThroughTime"),
    printcolumn(name = "Tables-Age", type_ = "date", json_path = ".status.served.tablesTime"),
    printcolumn(name = "Stale", type_ = "string", json_path = ".status.conditions[?(@.type==\"Stale\")].status"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextRetrainTime"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct RankingModelSpec {
    /// Catalogue and click log to learn from.
    pub data: Data,

    /// What a version looks at.
    #[serde(default)]
    pub features: Features,

    /// How a version is trained.
    #[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.tuning) || self.tuning.maxSeconds < self.activeDeadlineSeconds", "message": "training.tuning.maxSeconds must be less than training.activeDeadlineSeconds: data are read, and the model is judged and published, in the rest"},
]))]
    #[serde(default)]
    pub training: Training,

    /// How a version is judged before it may serve.
    #[serde(default)]
    pub evaluation: Evaluation,

    /// How the winner gets to serve.
    #[serde(default)]
    pub rollout: Rollout,

    /// How the winner answers requests.
    #[serde(default)]
    pub serving: Serving,

    /// Where versions are kept.
    #[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.uri == oldSelf.uri", "message": "artifacts.uri cannot change: the served version lives there"},
    {"rule": "!self.uri.startsWith('s3://') || has(self.credentialsSecretRef)", "message": "artifacts on s3:// need artifacts.credentialsSecretRef: name the Secret with keys that may write there"},
    {"rule": "!self.uri.startsWith('s3://') || has(self.readerSecretRef)", "message": "artifacts on s3:// need artifacts.readerSecretRef: name the Secret with keys that may read there"},
]))]
    pub artifacts: Artifacts,

    /// When served data count as too old.
    #[serde(default)]
    pub freshness: Freshness,

    /// When requests count as unlike those that the served version first answered.
    #[serde(default)]
    pub drift: Drift,

    /// Starts no new work while true; what serves keeps serving.
    #[serde(default)]
    pub suspend: bool,
}

/// What started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Trigger {
    SpecChange,
    Schedule,
    Manual,
    /// Requests are not what they were.
    Drift,
}

impl Trigger {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SpecChange => "SpecChange",
            Self::Schedule => "Schedule",
            Self::Manual => "Manual",
            Self::Drift => "Drift",
        }
    }
}

/// Where versions are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifacts {
    /// `s3://bucket/prefix` or `pvc://claim/path`. On a cluster, each model keeps its versions in a
    /// folder of its own below it, `NAME-UID8`: its name and the first 8 characters of its UID.
    #[schemars(
        regex(pattern = r"^(s3|pvc)://[a-z0-9][-.a-z0-9]*(/[-._/A-Za-z0-9]*)?$"),
        length(max = 512)
    )]
    pub uri: String,

    /// Secret with SEARCHOP_S3_… keys that may write; only trainer pods see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretReference>,

    /// Secret with SEARCHOP_S3_… keys that may read; ranker pods see this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader_secret_ref: Option<SecretReference>,
}

/// When served data count as too old.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Freshness {
    /// Age of the newest training day after which the model is Stale.
    #[schemars(range(min = 3600, max = 315_360_000))]
    pub max_age_seconds: i64,

    /// Age of the newest day in the served tables after which the model is Stale as well. Set it
    /// where a schedule refreshes the tables; without it their age has no limit of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 3600, max = 315_360_000))]
    pub tables_max_age_seconds: Option<i64>,
}

impl Default for Freshness {
    fn default() -> Self {
        Self {
            max_age_seconds: 1_209_600,
            tables_max_age_seconds: None,
        }
    }
}

/// The conditions of `status`, or none.
impl RankingModel {
    pub fn conditions(&self) -> &[Condition] {
        self.status
            .as_ref()
            .map_or(&[], |status| &status.conditions)
    }
}
