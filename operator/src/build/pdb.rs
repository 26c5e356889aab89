use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{Owner, ranker_name};

/// At most one ranker pod is evicted at a time. A maximum of unavailable pods, unlike a minimum of
/// available ones, never blocks the drain of a node that holds the only pod.
pub fn pod_disruption_budget(owner: &Owner) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: owner.child(ranker_name(&owner.name), "ranker"),
        spec: Some(PodDisruptionBudgetSpec {
            selector: Some(owner.ranker_label_selector()),
            max_unavailable: Some(IntOrString::Int(1)),
            // A pod that is not ready protects nothing by staying.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
