use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::Resource;
use searchop_api::RankingModel;
use searchop_contract::labels;

/// Label selector that matches everything the operator makes.
pub const MANAGED: &str = "app.kubernetes.io/managed-by=searchop";

/// The RankingModel that children belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub name: String,
    pub namespace: String,
    pub uid: String,
}

impl Owner {
    /// `None` for an object that was never stored: it has no namespace or UID.
    pub fn of(model: &RankingModel) -> Option<Self> {
        let metadata = &model.metadata;
        Some(Self {
            name: metadata.name.clone()?,
            namespace: metadata.namespace.clone()?,
            uid: metadata.uid.clone()?,
        })
    }

    /// Whether a child is this model's. An object without a controller counts as ours by its UID
    /// label, so that a child whose owner reference was removed is adopted again; a name alone
    /// never suffices.
    pub fn owns(&self, child: &ObjectMeta) -> bool {
        let controller = child
            .owner_references
            .iter()
            .flatten()
            .find(|reference| reference.controller == Some(true));
        match controller {
            Some(reference) => reference.uid == self.uid,
            None => {
                child
                    .labels
                    .as_ref()
                    .and_then(|found| found.get(labels::MODEL_UID))
                    == Some(&self.uid)
            }
        }
    }

    /// Metadata of a child that goes when the model goes.
    pub(super) fn child(&self, name: String, component: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels(component)),
            owner_references: Some(vec![self.reference()]),
            ..ObjectMeta::default()
        }
    }

    pub(super) fn labels(&self, component: &str) -> BTreeMap<String, String> {
        [
            (labels::NAME, labels::MANAGER),
            (labels::INSTANCE, &self.name),
            (labels::COMPONENT, component),
            (labels::MANAGED_BY, labels::MANAGER),
            (labels::MODEL_UID, &self.uid),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }

    fn reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: RankingModel::api_version(&()).into_owned(),
            kind: RankingModel::kind(&()).into_owned(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }

    /// Selector of the ranker pods. It is immutable in a Deployment, so it holds the model's UID
    /// and the track from the start.
    pub(super) fn ranker_labels(&self) -> BTreeMap<String, String> {
        [
            (labels::MODEL_UID, self.uid.as_str()),
            (labels::TRACK, labels::TRACK_STABLE),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }

    pub(super) fn ranker_label_selector(&self) -> LabelSelector {
        LabelSelector {
            match_labels: Some(self.ranker_labels()),
            ..LabelSelector::default()
        }
    }
}

/// Selector of the ranker pods as text.
pub fn ranker_selector(owner: &Owner) -> String {
    format!(
        "{}={},{}={}",
        labels::MODEL_UID,
        owner.uid,
        labels::TRACK,
        labels::TRACK_STABLE
    )
}

/// Selector of all children as text.
pub fn model_selector(owner: &Owner) -> String {
    format!("{}={}", labels::MODEL_UID, owner.uid)
}
