//! Pods that a scenario runs for itself, all of them within Pod Security `restricted`.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    load::{Load, Seen},
    namespace::TestNamespace,
    wait::eventually,
};

/// Image with the probe (`SEARCHOP_PROBE_IMAGE`).
pub fn probe_image() -> String {
    std::env::var("SEARCHOP_PROBE_IMAGE").unwrap_or_else(|_| "searchop/probe:dev".to_owned())
}

/// A pod of the probe with these arguments; `claim` is mounted at `/mnt`.
pub fn probe(name: &str, arguments: &[&str], claim: Option<&str>) -> Value {
    let volumes: Vec<Value> = claim
        .iter()
        .map(|claim| json!({"name": "files", "persistentVolumeClaim": {"claimName": claim}}))
        .collect();
    let mounts: Vec<Value> = claim
        .iter()
        .map(|_| json!({"name": "files", "mountPath": "/mnt"}))
        .collect();
    let mut command = vec!["/searchop-probe"];
    command.extend(arguments);
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "securityContext": pod_security(),
            "containers": [{
                "name": "probe", "image": probe_image(), "imagePullPolicy": "IfNotPresent",
                "command": command, "volumeMounts": mounts, "securityContext": container_security()
            }],
            "volumes": volumes
        }
    })
}

pub fn pod_security() -> Value {
    json!({"runAsNonRoot": true, "runAsUser": 65532, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}})
}

pub fn container_security() -> Value {
    json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})
}

/// Creates the pod.
pub async fn create(namespace: &TestNamespace, pod: Value) {
    let pod: Pod = serde_json::from_value(pod).unwrap();
    namespace
        .api::<Pod>()
        .create(&PostParams::default(), &pod)
        .await
        .expect("the pod is admitted");
}

/// Waits for the pod's end, takes it away and gives its termination message; fails where it failed.
pub async fn finish(namespace: &TestNamespace, name: &str, limit: Duration) -> String {
    let pods: Api<Pod> = namespace.api();
    let message = eventually(&format!("pod {name} ends"), limit, || async {
        let pod = pods.get(name).await.map_err(|error| error.to_string())?;
        let status = pod.status.unwrap_or_default();
        let container = status.container_statuses.unwrap_or_default().pop();
        let ended = container
            .and_then(|container| container.state)
            .and_then(|state| state.terminated);
        match (status.phase.as_deref(), ended) {
            (Some("Succeeded"), Some(ended)) => Ok(ended.message.unwrap_or_default()),
            (Some("Failed"), ended) => panic!("pod {name} failed: {ended:?}"),
            (phase, _) => Err(format!("{phase:?}")),
        }
    })
    .await;
    let _ = pods.delete(name, &DeleteParams::default()).await;
    message
}

/// Starts clients that ask a Service.
pub async fn start_load(namespace: &TestNamespace, name: &str, service: &str, load: Load) {
    let arguments = [
        "load".to_owned(),
        format!("{service}:8080"),
        load.clients.to_string(),
        load.pause.as_millis().to_string(),
        load.length.as_secs().to_string(),
        load.versions.to_string(),
        load.asks.as_str().to_owned(),
    ];
    let arguments = arguments.each_ref().map(String::as_str);
    create(namespace, probe(name, &arguments, None)).await;
}

/// What those clients saw.
pub async fn seen(namespace: &TestNamespace, name: &str, limit: Duration) -> Seen {
    serde_json::from_str(&finish(namespace, name, limit).await)
        .expect("the probe prints what it saw")
}
