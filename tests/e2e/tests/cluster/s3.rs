//! Data from S3, versions on S3, with credentials that do not reach further than they must.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use searchop_e2e::{
    kubectl::{apply_ok, kubectl_ok},
    load::{Asks, Load},
    models::{await_condition, merged, small_model},
    namespace::TestNamespace,
    pods::{self, container_security, pod_security},
    wait::eventually,
};
use serde_json::{Value, json};

use crate::{
    MINUTES,
    bad_input::{End, stalls},
    install_operator,
};

/// An S3 server with one bucket, which a shop's files make: the server knows no empty folder.
fn server(name: &str, bucket: &str) -> Value {
    let trainer = std::env::var("SEARCHOP_TRAINER_IMAGE")
        .unwrap_or_else(|_| "searchop/trainer:dev".to_owned());
    let s3 = std::env::var("SEARCHOP_S3_IMAGE").unwrap_or_else(|_| "searchop/s3:dev".to_owned());
    let mount = json!([{"name": "data", "mountPath": "/data"}]);
    let container = |name: &str, image: &str, command: Value| {
        json!({
            "name": name, "image": image, "imagePullPolicy": "IfNotPresent", "command": command,
            "volumeMounts": mount, "securityContext": container_security()
        })
    };
    let out = format!("/data/{bucket}");
    let fill = json!([
        "/searchop-trainer",
        "generate",
        "--products",
        "500",
        "--events",
        "20000",
        "--days",
        "30",
        "--format",
        "parquet",
        "--out",
        out
    ]);
    let serve = json!([
        "/s3s-fs",
        "--host",
        "0.0.0.0",
        "--port",
        "9000",
        "--access-key",
        name,
        "--secret-key",
        format!("{name}-secret"),
        "/data"
    ]);
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": pod_security(),
            "initContainers": [container("fill", &trainer, fill)],
            "containers": [container("s3", &s3, serve)],
            "volumes": [{"name": "data", "emptyDir": {}}]
        }
    })
}

fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 9000}]}
    })
}

fn secret(name: &str, server: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "stringData": {
            "SEARCHOP_S3_ENDPOINT": format!("http://{server}:9000"), "SEARCHOP_S3_REGION": "us-east-1",
            "SEARCHOP_S3_ACCESS_KEY_ID": server, "SEARCHOP_S3_SECRET_ACCESS_KEY": format!("{server}-secret")
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_and_versions_on_s3_work_and_rankers_never_see_the_click_logs_key() {
    install_operator();
    let namespace = TestNamespace::create("s3").await;
    for (name, bucket) in [("s3-data", "shop-data"), ("s3-models", "models")] {
        pods::create(&namespace, server(name, bucket)).await;
        apply_ok(&namespace.name, &service(name));
    }
    let secrets = [
        ("data-reader", "s3-data"),
        ("models-writer", "s3-models"),
        ("models-reader", "s3-models"),
    ];
    for (name, server) in secrets {
        apply_ok(&namespace.name, &secret(name, server));
    }
    await_running(&namespace, &["s3-data", "s3-models"]).await;
    let spec = json!({
        "data": {"synthetic": null, "sources": {
            "catalog": {"uri": "s3://shop-data/catalog.parquet"},
            "events": {"uri": "s3://shop-data/events*.parquet", "windowDays": 30},
            "credentialsSecretRef": {"name": "data-reader"}
        }},
        "artifacts": {
            "uri": "s3://models/shop",
            "credentialsSecretRef": {"name": "models-writer"}, "readerSecretRef": {"name": "models-reader"}
        }
    });
    is_refused_with_another_key(&namespace, &spec).await;
    let patch = json!({"spec": spec});
    apply_ok(&namespace.name, &merged(small_model("products"), &patch));
    let model = await_condition(&namespace, "products", ("Ready", "True"), MINUTES).await;
    let digest = model.status.unwrap().served.unwrap().digest;
    pods::start_load(
        &namespace,
        "ask",
        "products-rank",
        Load {
            clients: 1,
            pause: Duration::from_millis(20),
            length: Duration::from_secs(3),
            versions: 1,
            asks: Asks::Fields,
        },
    )
    .await;
    let seen = pods::seen(&namespace, "ask", MINUTES).await;
    assert!(
        seen.failures.is_empty() && seen.digests.contains_key(&digest),
        "{seen:?}"
    );
    let rankers = ListParams::default().labels("app.kubernetes.io/component=ranker");
    for pod in namespace.api::<Pod>().list(&rankers).await.unwrap().items {
        let text = serde_json::to_string(&pod.spec).unwrap();
        assert!(text.contains("models-reader"), "{text}");
        assert!(
            !text.contains("data-reader") && !text.contains("models-writer"),
            "{text}"
        );
    }
    namespace.delete().await;
}

/// The same model with a key that the server does not know: one try, and the model goes again.
async fn is_refused_with_another_key(namespace: &TestNamespace, spec: &Value) {
    let key = json!({"stringData": {"SEARCHOP_S3_SECRET_ACCESS_KEY": "another"}});
    apply_ok(
        &namespace.name,
        &merged(secret("stranger", "s3-data"), &key),
    );
    let stranger = json!({"data": {"sources": {"credentialsSecretRef": {"name": "stranger"}}}});
    let end = End {
        reason: "StorageRefused",
        words: &["s3://shop-data", "catalog.parquet"],
        tries: 1,
    };
    stalls(namespace, merged(spec.clone(), &stranger), end).await;
    kubectl_ok(&["delete", "rankingmodel/products", "-n", &namespace.name]);
}

async fn await_running(namespace: &TestNamespace, names: &[&str]) {
    for name in names {
        eventually(&format!("{name} runs"), MINUTES, || async {
            let pod = namespace
                .api::<Pod>()
                .get(name)
                .await
                .map_err(|error| error.to_string())?;
            let status = pod.status.unwrap_or_default();
            let running = status.phase.as_deref() == Some("Running");
            if running {
                Ok(())
            } else {
                Err(format!("{:?}", status.init_container_statuses))
            }
        })
        .await;
    }
}
