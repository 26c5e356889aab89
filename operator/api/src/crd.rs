use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::{RankingModel, RetrainSchedule};

/// The definitions of both kinds, as `crds/` holds them.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![RankingModel::crd(), RetrainSchedule::crd()]
}

/// A definition as YAML.
pub fn to_yaml(crd: &CustomResourceDefinition) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(crd)
}
