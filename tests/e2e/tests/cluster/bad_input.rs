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

async fn stalls(name: &str, patch: Value, (reason, words): (&str, &[&str])) {
    install_operator();
    let namespace = TestNamespace::create(name).await;
    volumes::claim(&namespace, "models");
    apply_ok(&namespace.name, &merged(small_model("products"), &patch));
    let model = await_condition(&namespace, "products", ("Stalled", "True"), MINUTES).await;
    let (_, found, message) = condition(&model, "Stalled").unwrap();
    println!("{found}: {message}");
    assert_eq!(found, reason, "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
    let trainers = ListParams::default().labels("app.kubernetes.io/component=trainer");
    assert_eq!(
        namespace
            .api::<Pod>()
            .list(&trainers)
            .await
            .unwrap()
            .items
            .len(),
        1,
        "it was tried again"
    );
    namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_file_is_named_and_not_tried_again() {
    let sources = json!({"catalog": {"uri": "pvc://models/nowhere/catalog.csv"}, "events": {"uri": "pvc://models/nowhere/events.csv"}});
    let patch = json!({"spec": {"data": {"synthetic": null, "sources": sources}}});
    stalls(
        "missing",
        patch,
        ("DataInvalid", &["catalog.csv", "does not exist"]),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_limit_that_is_too_low_is_shown() {
    let limits = json!({"requests": {"cpu": "1", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "32Mi"}});
    let patch = json!({"spec": {
        "data": {"synthetic": {"products": 20000, "events": 400000}},
        "training": {"resources": limits, "backoffLimit": 0}
    }});
    stalls("memory", patch, ("OOMKilled", &["32Mi"])).await;
}
