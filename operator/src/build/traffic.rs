use k8s_openapi::api::core::v1::ConfigMap;
use searchop_contract::{Traffic, names};

use super::{Owner, names::traffic_name};

/// Who answers which part of the requests, as a file in the ranker pods: data, so that an edit of
/// weights restarts none.
pub fn traffic(owner: &Owner, traffic: &Traffic) -> ConfigMap {
    let text = serde_json::to_string(traffic).expect("weights have only string keys");
    ConfigMap {
        metadata: owner.child(traffic_name(&owner.name), "ranker"),
        data: Some([(names::TRAFFIC_KEY.to_owned(), text)].into()),
        ..ConfigMap::default()
    }
}
