use std::{fmt::Debug, time::Duration};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        batch::v1::Job,
        core::v1::{Pod, Service},
        policy::v1::PodDisruptionBudget,
    },
};
use kube::{Resource, api::ListParams};
use searchop_contract::labels;
use serde::de::DeserializeOwned;

use crate::{namespace::TestNamespace, wait::eventually};

/// What the operator made.
pub fn managed() -> ListParams {
    ListParams::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::MANAGER))
}

async fn count<K>(namespace: &TestNamespace) -> usize
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    K::DynamicType: Default,
{
    let list = namespace.api::<K>().list(&managed()).await;
    list.expect("children can be listed").items.len()
}

/// Waits until nothing that the operator made is left.
pub async fn all_gone(namespace: &TestNamespace, limit: Duration) {
    eventually("nothing is left", limit, || async {
        let left = [
            count::<Deployment>(namespace).await,
            count::<Service>(namespace).await,
            count::<Job>(namespace).await,
            count::<HorizontalPodAutoscaler>(namespace).await,
            count::<PodDisruptionBudget>(namespace).await,
            count::<Pod>(namespace).await,
        ];
        if left.iter().sum::<usize>() == 0 {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
}
