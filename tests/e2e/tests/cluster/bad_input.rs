//! What cannot work ends soon, once, and in words.

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use searchop_e2e::{
    kubectl::apply_ok,
    models::{await_condition, condition, merged, small_model},
    namespace::TestNamespace,
    volumes,
};
use serde_json::{Value, json};

use crate::{MINUTES, install_operator};

/// How a run ends that cannot succeed.
pub struct End<'a> {
    pub reason: &'a str,
    /// Parts of the condition's message.
    pub words: &'a [&'a str],
    /// Trainer pods that were started for it.
    pub tries: usize,
}

/// Applies a small model with this patch to its spec and waits until it says that it cannot go on.
pub async fn stalls(namespace: &TestNamespace, patch: Value, end: End<'_>) {
    let patch = json!({"spec": patch});
    apply_ok(&namespace.name, &merged(small_model("products"), &patch));
    let model = await_condition(namespace, "products", ("Stalled", "True"), MINUTES).await;
    let (_, found, message) = condition(&model, "Stalled").unwrap();
    println!("{found}: {message}");
    assert_eq!(found, end.reason, "{message}");
    for word in end.words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
    let trainers = ListParams::default().labels("app.kubernetes.io/component=trainer");
    let pods = namespace.api::<Pod>().list(&trainers).await.unwrap().items;
    assert_eq!(pods.len(), end.tries, "trainer pods");
}

async fn with_a_volume(name: &str) -> TestNamespace {
    install_operator();
    let namespace = TestNamespace::create(name).await;
    volumes::claim(&namespace, "models");
    namespace
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_file_is_named_and_not_tried_again() {
    let namespace = with_a_volume("missing").await;
    let sources = json!({"catalog": {"uri": "pvc://models/nowhere/catalog.csv"}, "events": {"uri": "pvc://models/nowhere/events.csv"}});
    let end = End {
        reason: "DataInvalid",
        words: &["catalog.csv", "does not exist"],
        tries: 1,
    };
    let patch = json!({"data": {"synthetic": null, "sources": sources}});
    stalls(&namespace, patch, end).await;
    namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_limit_that_is_too_low_is_shown() {
    let namespace = with_a_volume("memory").await;
    let limits = json!({"requests": {"cpu": "1", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "32Mi"}});
    let patch = json!({
        "data": {"synthetic": {"products": 20000, "events": 400000}},
        "training": {"resources": limits, "backoffLimit": 0}
    });
    let end = End {
        reason: "OOMKilled",
        words: &["32Mi"],
        tries: 1,
    };
    stalls(&namespace, patch, end).await;
    namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_that_does_not_answer_is_tried_again_until_retries_are_used_up() {
    let namespace = with_a_volume("unreachable").await;
    // Nothing answers on the discard port of the cluster's own address.
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-s3"},
        "stringData": {
            "SEARCHOP_S3_ENDPOINT": "http://kubernetes.default:9", "SEARCHOP_S3_REGION": "us-east-1",
            "SEARCHOP_S3_ACCESS_KEY_ID": "reader", "SEARCHOP_S3_SECRET_ACCESS_KEY": "reader-secret"
        }
    });
    apply_ok(&namespace.name, &secret);
    let patch = json!({
        "data": {"synthetic": null, "sources": {
            "catalog": {"uri": "s3://shop/catalog.parquet"}, "events": {"uri": "s3://shop/events.parquet"},
            "credentialsSecretRef": {"name": "shop-s3"}
        }},
        "training": {"backoffLimit": 1}
    });
    let end = End {
        reason: "StorageUnavailable",
        words: &["s3://shop", "kubernetes.default:9"],
        tries: 2,
    };
    stalls(&namespace, patch, end).await;
    namespace.delete().await;
}
