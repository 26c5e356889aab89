use k8s_openapi::api::core::v1::ConfigMap;

use super::{Owner, names::drift_name};

/// Its one entry.
pub const DRIFT_KEY: &str = "watch.json";

/// What is known of a model's requests, for the operator itself: a restart must not begin a day's
/// counting anew.
pub fn drift(owner: &Owner, watch: String) -> ConfigMap {
    ConfigMap {
        metadata: owner.child(drift_name(&owner.name), "operator"),
        data: Some([(DRIFT_KEY.to_owned(), watch)].into()),
        ..ConfigMap::default()
    }
}
