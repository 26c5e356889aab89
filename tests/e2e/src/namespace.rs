use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

use crate::wait::eventually;

/// A namespace of one scenario's own, in which pods must pass Pod Security `restricted`.
pub struct TestNamespace {
    pub name: String,
    pub client: Client,
}

impl TestNamespace {
    pub async fn create(scenario: &str) -> Self {
        let client = Client::try_default()
            .await
            .expect("KUBECONFIG names a cluster");
        let name = format!("e2e-{scenario}-{}", std::process::id());
        let namespace: Namespace = serde_json::from_value(json!({
            "metadata": {
                "name": name,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"}
            }
        }))
        .unwrap();
        Api::<Namespace>::all(client.clone())
            .create(&PostParams::default(), &namespace)
            .await
            .expect("a namespace can be created");
        let this = Self { name, client };
        this.default_service_account_exists().await;
        this
    }

    async fn default_service_account_exists(&self) {
        let accounts = self.api::<k8s_openapi::api::core::v1::ServiceAccount>();
        eventually("service account", Duration::from_secs(30), || async {
            accounts
                .get("default")
                .await
                .map_err(|error| error.to_string())
        })
        .await;
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Takes the namespace away; the scenario does not wait for it.
    pub async fn delete(self) {
        let _ = Api::<Namespace>::all(self.client.clone())
            .delete(&self.name, &DeleteParams::background())
            .await;
    }
}
