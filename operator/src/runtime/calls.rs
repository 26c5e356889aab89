//! Every call to the API server: with a deadline, a field manager and a metric.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
    core::DeserializeGuard,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Error, metrics::Metrics};

/// Manager of everything that is applied or created.
pub const MANAGER: &str = "searchop";
/// Manager of replica counts: never the one that applies the Deployment.
pub const SCALE_MANAGER: &str = "searchop-scale";
/// Manager of statuses.
pub const STATUS_MANAGER: &str = "searchop-status";
/// Manager of the retrain request that a schedule leaves on a model.
pub const SCHEDULE_MANAGER: &str = "searchop-schedule";

/// A call that takes longer has failed; the client itself would wait for ever.
pub const DEADLINE: Duration = Duration::from_secs(15);

/// A namespaced kind that the operator reads and writes.
pub trait Namespaced:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
{
}

impl<K> Namespaced for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize
{
}

/// The API server.
#[derive(Clone)]
pub struct Calls {
    pub client: Client,
    metrics: Metrics,
}

impl Calls {
    pub fn new(client: Client, metrics: Metrics) -> Self {
        Self { client, metrics }
    }

    fn api<K: Namespaced>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }

    pub async fn get<K: Namespaced>(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<K>, Error> {
        let api = self.api::<K>(namespace);
        self.call::<K, _>("get", name, api.get_opt(name)).await
    }

    /// All objects that match a label selector; at most a few dozen here.
    pub async fn list<K: Namespaced>(
        &self,
        namespace: &str,
        selector: &str,
    ) -> Result<Vec<K>, Error> {
        let api = self.api::<K>(namespace);
        let parameters = ListParams::default().labels(selector);
        Ok(self
            .call::<K, _>("list", selector, api.list(&parameters))
            .await?
            .items)
    }

    /// All objects of a namespace that can be read; one that cannot hides no other.
    pub async fn list_readable<K: Namespaced>(&self, namespace: &str) -> Result<Vec<K>, Error> {
        let api: Api<DeserializeGuard<K>> = Api::namespaced(self.client.clone(), namespace);
        let found = self
            .call::<K, _>("list", "", api.list(&ListParams::default()))
            .await?;
        Ok(found
            .items
            .into_iter()
            .filter_map(|guard| guard.0.ok())
            .collect())
    }

    /// Replaces an object, on condition that it is still at the version it was read at.
    pub async fn replace<K: Namespaced>(&self, object: &K) -> Result<K, Error> {
        let (namespace, name) = place(object);
        let api = self.api::<K>(namespace);
        let parameters = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        self.call::<K, _>("replace", name, api.replace(name, &parameters, object))
            .await
    }

    pub async fn create<K: Namespaced>(&self, object: &K) -> Result<K, Error> {
        let (namespace, name) = place(object);
        let api = self.api::<K>(namespace);
        let parameters = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        self.call::<K, _>("create", name, api.create(&parameters, object))
            .await
    }

    /// Server-side apply. Fields that others set stay; those we apply become ours.
    pub async fn apply<K: Namespaced>(&self, object: &K) -> Result<K, Error> {
        let (namespace, name) = place(object);
        let api = self.api::<K>(namespace);
        let parameters = PatchParams::apply(MANAGER).force();
        self.call::<K, _>(
            "apply",
            name,
            api.patch(name, &parameters, &Patch::Apply(object)),
        )
        .await
    }

    /// Sets the number of pods through the scale subresource. Applied, since only that is sure to be
    /// recorded as owned: the server does not track the first plain update of a field.
    pub async fn scale<K: Namespaced>(&self, object: &K, replicas: i32) -> Result<(), Error> {
        let (namespace, name) = place(object);
        let api = self.api::<K>(namespace);
        let scale = serde_json::json!({
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"replicas": replicas},
        });
        let parameters = PatchParams::apply(SCALE_MANAGER).force();
        self.call::<K, _>(
            "scale",
            name,
            api.patch_scale(name, &parameters, &Patch::Apply(scale)),
        )
        .await?;
        Ok(())
    }

    /// Replaces the status, on condition that the object is still at the version it was read at.
    pub async fn replace_status<K: Namespaced>(&self, object: &K) -> Result<K, Error> {
        let (namespace, name) = place(object);
        let api = self.api::<K>(namespace);
        let parameters = PostParams {
            field_manager: Some(STATUS_MANAGER.to_owned()),
            ..PostParams::default()
        };
        self.call::<K, _>(
            "replace_status",
            name,
            api.replace_status(name, &parameters, object),
        )
        .await
    }

    /// Merges `patch` into the metadata of an object, on condition that it is still the same one at
    /// the same version.
    pub async fn annotate<K: Namespaced>(
        &self,
        object: &K,
        annotations: Value,
    ) -> Result<(), Error> {
        let (namespace, name) = place(object);
        let api = self.api::<K>(namespace);
        let metadata = object.meta();
        let patch = serde_json::json!({"metadata": {
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
            "annotations": annotations,
        }});
        let parameters = PatchParams {
            field_manager: Some(SCHEDULE_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        self.call::<K, _>(
            "patch",
            name,
            api.patch(name, &parameters, &Patch::Merge(patch)),
        )
        .await?;
        Ok(())
    }

    /// Deletes exactly this object, not a later one of the same name. Gone already is success.
    pub async fn delete<K: Namespaced>(&self, object: &K) -> Result<(), Error> {
        self.delete_with(object, DeleteParams::background()).await
    }

    /// Likewise, but the object stays until everything that it owns is gone, so that whoever sees
    /// it knows that its pods may still work.
    pub async fn delete_after_its_children<K: Namespaced>(&self, object: &K) -> Result<(), Error> {
        self.delete_with(object, DeleteParams::foreground()).await
    }

    async fn delete_with<K: Namespaced>(
        &self,
        object: &K,
        parameters: DeleteParams,
    ) -> Result<(), Error> {
        let (namespace, name) = place(object);
        let api = self.api::<K>(namespace);
        let parameters = parameters.preconditions(Preconditions {
            uid: object.meta().uid.clone(),
            resource_version: None,
        });
        match self
            .call::<K, _>("delete", name, api.delete(name, &parameters))
            .await
        {
            Ok(_) => Ok(()),
            // 409: another object has the name by now, so ours is gone.
            Err(Error::Api { source, .. })
                if answer(&source).is_some_and(|code| code == 404 || code == 409) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Runs one request with deadline and metric.
    pub async fn call<K, T>(
        &self,
        verb: &'static str,
        name: &str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error>
    where
        K: Resource<DynamicType = ()>,
    {
        let kind = K::kind(&()).into_owned();
        let count = self.metrics.request(verb, &kind);
        let result = match tokio::time::timeout(DEADLINE, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(source)) => Err(Error::Api {
                verb,
                kind,
                name: name.to_owned(),
                source: Box::new(source),
            }),
            Err(_) => Err(Error::Timeout {
                verb,
                kind,
                name: name.to_owned(),
                after: DEADLINE,
            }),
        };
        count.finish(
            result
                .as_ref()
                .map_or_else(|error| error.class().as_str(), |_| "ok"),
        );
        result
    }
}

/// Status code of an answer that was an error.
pub fn answer(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// Whether a create failed because the name is taken.
pub fn already_exists(error: &Error) -> bool {
    match error {
        Error::Api { source, .. } => {
            matches!(&**source, kube::Error::Api(status) if status.is_already_exists())
        }
        _ => false,
    }
}

fn place<K: Resource>(object: &K) -> (&str, &str) {
    let metadata = object.meta();
    (
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
    )
}
