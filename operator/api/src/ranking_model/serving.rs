use schemars::JsonSchema;
use searchop_contract::ServingRule;
use serde::{Deserialize, Serialize};

use super::SecretReference;
use crate::ContainerResources;

/// How the served version answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Serving {
    /// Who decides the number of pods.
    pub autoscaling: Autoscaling,

    /// Pods in the modes Fixed and External; also the path of the scale subresource.
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: i32,

    /// Resources of a ranker pod.
    pub resources: ContainerResources,

    /// Candidates a request may hold; more are answered with 413.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_candidates: i32,

    /// Where products go after they are scored. The first rule that names a product places it.
    #[schemars(length(max = 8))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub rules: Vec<ServingRule>,

    /// Secret whose key `token` holds the bearer tokens that are accepted, one a line; anyone may
    /// ask where absent. A change is taken over while pods run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretReference")]
    pub token_secret_ref: Option<SecretReference>,

    /// Secret of type kubernetes.io/tls with the certificate of the rank port, which then speaks
    /// HTTPS. A change is taken over while pods run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretReference")]
    pub tls_secret_ref: Option<SecretReference>,

    /// Which calls leave a record of what was shown; none where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "QueryLog")]
    pub query_log: Option<QueryLog>,

    /// Which calls leave a record of their raw features, for `searchop replay`; none where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FeatureLog")]
    pub feature_log: Option<FeatureLog>,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            autoscaling: Autoscaling::default(),
            replicas: 2,
            resources: ContainerResources::default(),
            max_candidates: 1000,
            rules: Vec::new(),
            token_secret_ref: None,
            tls_secret_ref: None,
            query_log: None,
            feature_log: None,
        }
    }
}

/// Records of the schema `query` of User Behavior Insights 1.3.0 as NDJSON: query id, ids in the
/// order shown, and the version that ranked them, so that clicks can be attributed to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueryLog {
    /// Share of query ids whose calls leave a record, a decimal in (0, 1].
    #[serde(default = "QueryLog::default_sample_share")]
    #[schemars(
        regex(pattern = r"^(0?\.0{0,5}[1-9][0-9]{0,5}|1(\.0{1,6})?)$"),
        length(max = 8)
    )]
    pub sample_share: String,

    /// `pvc://claim/path`: a folder into which each pod writes files of its own. The standard output
    /// of the pods, which has nothing else, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        with = "String",
        regex(pattern = r"^pvc://[a-z0-9][-.a-z0-9]*(/[-._/A-Za-z0-9]*)?$"),
        length(max = 512)
    )]
    pub uri: Option<String>,
}

impl QueryLog {
    fn default_sample_share() -> String {
        "1".to_owned()
    }
}

/// Records of all candidates of a call as NDJSON: what the request said, every feature with where it
/// comes from, the scores of engine and model, and the version. Some hundred kilobytes a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FeatureLog {
    /// Share of query ids whose calls leave a record, a decimal in (0, 1]. Writing one takes the time
    /// of some rankings.
    #[serde(default = "FeatureLog::default_sample_share")]
    #[schemars(
        regex(pattern = r"^(0?\.0{0,5}[1-9][0-9]{0,5}|1(\.0{1,6})?)$"),
        length(max = 8)
    )]
    pub sample_share: String,

    /// `pvc://claim/path`: a folder into which each pod writes files of its own.
    #[schemars(
        regex(pattern = r"^pvc://[a-z0-9][-.a-z0-9]*(/[-._/A-Za-z0-9]*)?$"),
        length(max = 512)
    )]
    pub uri: String,
}

impl FeatureLog {
    fn default_sample_share() -> String {
        "0.01".to_owned()
    }
}

/// Who decides the number of ranker pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.minReplicas <= self.maxReplicas", "message": "minReplicas must not exceed maxReplicas"},
]))]
pub struct Autoscaling {
    /// HPA: a HorizontalPodAutoscaler on CPU. External: something else writes the Deployment's
    /// scale. Fixed: `serving.replicas`.
    pub mode: AutoscalingMode,

    /// Pods at least, in mode HPA.
    #[schemars(range(min = 1, max = 1000))]
    pub min_replicas: i32,

    /// Pods at most, in mode HPA.
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: i32,

    /// CPU use the HPA aims at, in per cent of the request.
    #[schemars(range(min = 1, max = 100))]
    #[serde(rename = "targetCPUUtilizationPercentage")]
    pub target_cpu_utilization_percentage: i32,

    /// How long load must stay low before pods are taken away.
    #[schemars(range(min = 0, max = 3600))]
    pub scale_down_stabilization_seconds: i32,
}

impl Default for Autoscaling {
    fn default() -> Self {
        Self {
            mode: AutoscalingMode::HPA,
            min_replicas: 2,
            max_replicas: 10,
            target_cpu_utilization_percentage: 70,
            scale_down_stabilization_seconds: 300,
        }
    }
}

/// HPA: a HorizontalPodAutoscaler on CPU. External: something else writes the Deployment's scale.
/// Fixed: `serving.replicas`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(clippy::upper_case_acronyms, reason = "the API's own name")]
pub enum AutoscalingMode {
    HPA,
    External,
    Fixed,
}
