use searchop_api::RankingModelSpec;

use super::Owner;

/// Where this model's versions are.
pub(super) fn artifacts_uri(owner: &Owner, spec: &RankingModelSpec) -> String {
    searchop_contract::artifacts_uri(&spec.artifacts.uri, &owner.name, &owner.uid)
}
