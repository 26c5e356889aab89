use schemars::JsonSchema;
use searchop_contract::{EventFormat, JudgmentFormat};
use serde::{Deserialize, Serialize};

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

    /// Days until the events of a day are in the files. A list of some day is trained on with the
    /// counters of days that were there then: up to the day before, less this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 30))]
    pub lag_days: Option<i32>,
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
