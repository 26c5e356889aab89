use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When requests count as unlike those that the served version first answered. Rankers count one
/// sampled row a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.minRequests <= self.referenceRequests", "message": "minRequests must not exceed referenceRequests: the reference has to be as sure as what is compared with it"},
]))]
pub struct Drift {
    /// The first requests after a promotion, with which all later ones are compared: at least this
    /// many, and those of at least windowSeconds.
    #[schemars(range(min = 50, max = 1_000_000))]
    pub reference_requests: i32,

    /// A window of later requests is judged once it has at least this many, and lasted windowSeconds.
    #[schemars(range(min = 50, max = 1_000_000))]
    pub min_requests: i32,

    /// How long a window and the reference last at least. The hours of a day are unlike each other,
    /// so less than a day compares hours with other hours.
    #[schemars(range(min = 1, max = 2_592_000))]
    pub window_seconds: i32,

    /// Drifted windows in a row that make the verdict: one may be a holiday.
    #[schemars(range(min = 1, max = 30))]
    pub consecutive_windows: i32,
}

impl Default for Drift {
    fn default() -> Self {
        Self {
            reference_requests: 2000,
            min_requests: 500,
            window_seconds: 86_400,
            consecutive_windows: 2,
        }
    }
}
