use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{BoostingParameters, Digest, ModelFeature};

/// Format of a model and its manifest; readers accept this one alone.
pub const MANIFEST_FORMAT: u32 = 1;
/// The same of tables.
pub const TABLES_FORMAT: u32 = 2;
/// The same for the counters of a day.
pub const COUNTERS_FORMAT: u32 = 1;

/// A file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileEntry {
    /// A plain file name, no folders.
    pub name: String,
    pub bytes: u64,
    pub sha256: Digest,
}

/// How text was analysed; a reader with another version refuses the artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TextVersion {
    pub version: u32,
    pub language: String,
}

/// `manifest.json` of a model. Its sha256 is the model's digest, so nothing in it depends on when
/// or where the run happened: the same data and settings give the same digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelManifest {
    pub format_version: u32,
    pub model: String,
    pub files: Vec<FileEntry>,
    pub text: TextVersion,
    /// Version of the feature code.
    pub features_version: u32,
    /// Feature names in column order.
    pub features: Vec<String>,
    /// Whether the model looks at the other candidates of a request: then lists must come whole.
    #[serde(default, skip_serializing_if = "crate::job::is_false")]
    pub candidate_list: bool,
    /// Features beside the preset's: the last columns, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared: Vec<ModelFeature>,
    pub parameters: BoostingParameters,
    pub trees: u32,
    /// End of the newest day the trees have seen.
    pub trained_through_time: Timestamp,
}

/// `manifest.json` of the counters of one day, which later runs read instead of counting again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CountersManifest {
    pub format_version: u32,
    pub files: Vec<FileEntry>,
    /// How query keys were made.
    pub text: TextVersion,
    pub features_version: u32,
    /// Version of the rules by which events are accepted and counted.
    pub counting_version: u32,
    /// UTC day, `YYYY-MM-DD`.
    pub day: String,
    /// The same as days since 1970.
    pub day_number: i32,
    /// Accepted events; the counters sum up to it.
    pub events: u64,
}

/// `manifest.json` of the tables that features are looked up in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TablesManifest {
    pub format_version: u32,
    pub model: String,
    pub files: Vec<FileEntry>,
    pub text: TextVersion,
    pub features_version: u32,
    /// End of the newest day the tables have seen.
    pub tables_time: Timestamp,
    pub items: u64,
    pub query_items: u64,
}
