use std::{fmt::Debug, future::Future, time::Duration};

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Config, Resource,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde::de::DeserializeOwned;

use super::error::{Asked, ClusterError};
use crate::args::Target;

/// A call that takes longer has failed; the client itself would wait for ever.
const DEADLINE: Duration = Duration::from_secs(15);

/// A namespaced kind that is read.
pub trait Namespaced:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned
{
}

impl<K> Namespaced for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
{
}

/// A cluster, seen from one namespace.
#[derive(Clone)]
pub struct Cluster {
    pub client: Client,
    pub namespace: String,
}

impl Cluster {
    /// Reads the kubeconfig; asks nothing yet.
    pub async fn find(target: &Target) -> Result<Self, ClusterError> {
        let no_cluster = |error: &dyn std::error::Error| ClusterError::NoCluster(error.to_string());
        let mut config = config(target).await?;
        config.connect_timeout = Some(DEADLINE);
        if let Some(user) = &target.as_user {
            config.auth_info.impersonate = Some(user.clone());
        }
        let namespace = target
            .namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| no_cluster(&error))?;
        Ok(Self { client, namespace })
    }

    pub fn api<K: Namespaced>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub async fn get<K: Namespaced>(&self, name: &str) -> Result<K, ClusterError> {
        let api = self.api::<K>();
        self.call::<K, _>(name, api.get(name)).await
    }

    /// All of the namespace that `selected` names.
    pub async fn list<K: Namespaced>(&self, selected: &ListParams) -> Result<Vec<K>, ClusterError> {
        let api = self.api::<K>();
        Ok(self.call::<K, _>("", api.list(selected)).await?.items)
    }

    pub async fn list_everywhere<K: Namespaced>(&self) -> Result<Vec<K>, ClusterError> {
        let api = Api::<K>::all(self.client.clone());
        let all = ListParams::default();
        Ok(self.call::<K, _>("", api.list(&all)).await?.items)
    }

    /// Waits for a call about the object `name`, but not for ever.
    pub async fn call<K: Namespaced, T>(
        &self,
        name: &str,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, ClusterError> {
        let kind = K::kind(&()).to_lowercase();
        let asked = Asked {
            kind: &kind,
            name,
            namespace: &self.namespace,
        };
        match tokio::time::timeout(DEADLINE, call).await {
            Ok(answer) => answer.map_err(|error| asked.failed(error)),
            Err(_) => Err(ClusterError::NoAnswer(format!(
                "not within {} s",
                DEADLINE.as_secs()
            ))),
        }
    }
}

async fn config(target: &Target) -> Result<Config, ClusterError> {
    let options = KubeConfigOptions {
        context: target.context.clone(),
        ..KubeConfigOptions::default()
    };
    let no_cluster = |error: &dyn std::error::Error| ClusterError::NoCluster(error.to_string());
    match &target.kubeconfig {
        Some(file) => {
            let found = Kubeconfig::read_from(file).map_err(|error| no_cluster(&error))?;
            Config::from_custom_kubeconfig(found, &options)
                .await
                .map_err(|error| no_cluster(&error))
        }
        None if target.context.is_some() => Config::from_kubeconfig(&options)
            .await
            .map_err(|error| no_cluster(&error)),
        None => Config::infer().await.map_err(|error| no_cluster(&error)),
    }
}
