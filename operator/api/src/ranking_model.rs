use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
pub use searchop_contract::{
    BaselineName, EventFormat, Evidence, JudgmentFormat, ListSlice, Metric, OutOfStock, Pins,
    PositionBias, Reference, ServingRule,
};
use serde::{Deserialize, Serialize};

use crate::{ContainerResources, RankingModelStatus};

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
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Served", type_ = "string", json_path = ".status.served.name"),
    printcolumn(name = "Metric", type_ = "string", json_path = ".status.served.headlineMetric"),
    printcolumn(name = "Data-Age", type_ = "date", json_path = ".status.served.trainedThroughTime"),
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
    #[serde(default)]
    pub training: Training,

    /// How a version is judged before it may serve.
    #[serde(default)]
    pub evaluation: Evaluation,

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

    /// Starts no new work while true; what serves keeps serving.
    #[serde(default)]
    pub suspend: bool,
}

/// Exactly one source of data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.synthetic) != has(self.sources)", "message": "data needs exactly one of synthetic and sources"},
]))]
pub struct Data {
    /// A made-up shop, to try things out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synthetic: Option<Synthetic>,

    /// Your own catalogue and click log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Sources>,
}

/// A made-up shop. Each day is drawn from the seed and the date, so the shop lives on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Synthetic {
    /// Products in the catalogue.
    #[serde(default = "Synthetic::default_products")]
    #[schemars(range(min = 20, max = 1_000_000))]
    pub products: i32,

    /// Events in the window.
    #[serde(default = "Synthetic::default_events")]
    #[schemars(range(min = 100, max = 100_000_000))]
    pub events: i32,

    /// Seed of everything that is drawn.
    #[serde(default = "Synthetic::default_seed")]
    #[schemars(range(min = 0))]
    pub seed: i64,

    /// Days of events, counted back from the newest complete UTC day.
    #[serde(default = "Synthetic::default_window_days")]
    #[schemars(range(min = 10, max = 365))]
    pub window_days: i32,
}

impl Synthetic {
    fn default_products() -> i32 {
        2000
    }

    fn default_events() -> i32 {
        100_000
    }

    fn default_seed() -> i64 {
        42
    }

    fn default_window_days() -> i32 {
        30
    }
}

/// Tables in files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.credentialsSecretRef) || !(self.catalog.uri.startsWith('s3://') || self.events.uri.startsWith('s3://') || (has(self.judgments) && self.judgments.uri.startsWith('s3://')))", "message": "data on s3:// need sources.credentialsSecretRef: name the Secret with keys that may read them"},
]))]
pub struct Sources {
    /// One row a product.
    pub catalog: CatalogSource,

    /// The click log.
    pub events: EventSource,

    /// Grades given by people. Versions are measured on them too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgments: Option<JudgmentSource>,

    /// Secret with the keys SEARCHOP_S3_ENDPOINT, SEARCHOP_S3_REGION, SEARCHOP_S3_ACCESS_KEY_ID and
    /// SEARCHOP_S3_SECRET_ACCESS_KEY. Only trainer pods see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretReference>,
}

/// Catalogue files: Parquet, CSV or NDJSON by file ending.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogSource {
    /// `s3://bucket/key` or `pvc://claim/path`; the key or path may hold `*`.
    #[schemars(
        regex(pattern = r"^(s3|pvc)://[a-z0-9][-.a-z0-9]*/[^\s]+$"),
        length(max = 1024)
    )]
    pub uri: String,

    /// Column with the product's id.
    #[serde(default = "CatalogSource::default_id_field")]
    #[schemars(length(min = 1, max = 128))]
    pub id_field: String,
}

impl CatalogSource {
    fn default_id_field() -> String {
        "product_id".to_owned()
    }
}

/// Event files: Parquet, CSV or NDJSON by file ending.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventSource {
    /// `s3://bucket/key` or `pvc://claim/path`; the key or path may hold `*`.
    #[schemars(
        regex(pattern = r"^(s3|pvc)://[a-z0-9][-.a-z0-9]*/[^\s]+$"),
        length(max = 1024)
    )]
    pub uri: String,

    /// Schema of the events.
    #[serde(default)]
    pub format: EventFormat,

    /// Days that are read, counted back from the newest complete UTC day in the data.
    #[serde(default = "EventSource::default_window_days")]
    #[schemars(range(min = 2, max = 730))]
    pub window_days: i32,
}

impl EventSource {
    fn default_window_days() -> i32 {
        90
    }
}

/// Files of (query, item, grade).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JudgmentSource {
    /// `s3://bucket/key` or `pvc://claim/path`; the key or path may hold `*`.
    #[schemars(
        regex(pattern = r"^(s3|pvc)://[a-z0-9][-.a-z0-9]*/[^\s]+$"),
        length(max = 1024)
    )]
    pub uri: String,

    /// Quepid: CSV with query, docid, rating. TREC: qrels. SVMRank: `grade qid:1 # item query`.
    /// Workbench: JSON of OpenSearch's search relevance workbench. Grades are 0 to 3; where a file
    /// has higher ones, all of its grades are scaled down to that.
    pub format: JudgmentFormat,
}

/// A Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// How a version is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Training {
    /// LightGBM's parameters.
    pub parameters: Parameters,

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

impl Default for Training {
    fn default() -> Self {
        Self {
            parameters: Parameters::default(),
            position_bias: PositionBias::Auto,
            labels: Labels::default(),
            counter_dropout: DEFAULT_COUNTER_DROPOUT.to_owned(),
            resources: ContainerResources::default(),
            active_deadline_seconds: 3600,
            backoff_limit: 3,
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
            learning_rate: "0.1".to_owned(),
            num_leaves: 31,
            min_data_in_leaf: 20,
            seed: 42,
        }
    }
}

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

    /// Runs that the rule judges, by what started them; all where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
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

    /// A change of the spec must win by 5 %, a scheduled retrain must not lose 1 % against what
    /// serves nor 2 % against the best of the last versions, and every version must beat plain text
    /// search.
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
                &[Trigger::Schedule],
            ),
            rule(
                "ratchet",
                Reference::BestPromoted,
                Goal::NotWorse,
                "0.02",
                &[Trigger::Schedule],
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

/// What started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Trigger {
    SpecChange,
    Schedule,
    Manual,
}

impl Trigger {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SpecChange => "SpecChange",
            Self::Schedule => "Schedule",
            Self::Manual => "Manual",
        }
    }
}

/// What happens to a candidate for which the data are too few to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnInconclusive {
    Reject,
    Promote,
}

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
}

impl Default for Freshness {
    fn default() -> Self {
        Self {
            max_age_seconds: 1_209_600,
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
