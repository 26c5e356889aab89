use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Trigger;

/// The record of a refresh: the served model gets tables of newer data, and nothing is judged.
/// Writing it is the lock, as with a run; of the two at most one is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TablesRefresh {
    /// Refreshes are counted; the Job's name has the number.
    pub number: i32,

    /// Version whose tables are rebuilt.
    pub version: i32,

    /// Address of its model.
    #[schemars(length(max = 71))]
    pub digest: String,

    /// What started it.
    pub trigger: Trigger,

    /// The refresh request behind it.
    #[schemars(length(max = 256))]
    pub request_token: String,

    /// Data of complete days before this instant are used.
    pub as_of_time: Time,

    /// When the record was written.
    pub start_time: Time,

    /// How often it was started over since its report was lost.
    #[serde(default)]
    pub attempt: i32,

    /// Address of the rebuilt tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71))]
    pub tables_digest: Option<String>,

    /// End of the newest day that they have seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables_time: Option<Time>,

    /// How it ended; absent while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RefreshOutcome")]
    pub outcome: Option<RefreshOutcome>,

    /// Reason word of the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,

    /// The outcome in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub message: Option<String>,

    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
}

/// How a refresh ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RefreshOutcome {
    /// The rebuilt tables serve.
    Refreshed,
    /// The same bytes as the tables that serve.
    Unchanged,
    /// The tables that served before serve on.
    Failed,
    /// Another version serves meanwhile.
    Superseded,
}

impl RefreshOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refreshed => "Refreshed",
            Self::Unchanged => "Unchanged",
            Self::Failed => "Failed",
            Self::Superseded => "Superseded",
        }
    }
}
