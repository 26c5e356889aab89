//! A model file that was altered is never served; what serves keeps serving.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams},
};
use searchop_e2e::{
    kubectl::apply_ok,
    load::{Asks, Load},
    models::{await_condition, merged, small_model},
    namespace::TestNamespace,
    pods, volumes,
    wait::eventually,
};
use serde_json::json;

use crate::{MINUTES, install_operator};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_17_a_pod_that_finds_an_altered_model_never_gets_ready() {
    install_operator();
    let namespace = TestNamespace::create("damage").await;
    volumes::claim(&namespace, "models");
    apply_ok(
        &namespace.name,
        &merged(
            small_model("products"),
            &json!({"spec": {"serving": {"replicas": 2}}}),
        ),
    );
    let model = await_condition(&namespace, "products", ("Ready", "True"), MINUTES).await;
    let digest = model.status.unwrap().served.unwrap().digest;
    let uid = model.metadata.uid.unwrap();
    let file = format!(
        "/mnt/shop/products-{}/models/{}/model.bst",
        &uid[..8],
        digest.trim_start_matches("sha256:")
    );
    pods::create(
        &namespace,
        pods::probe("alter", &["alter", &file], Some("models")),
    )
    .await;
    println!("{}", pods::finish(&namespace, "alter", MINUTES).await);
    let rankers = ListParams::default().labels("app.kubernetes.io/component=ranker");
    let victim = namespace
        .api::<Pod>()
        .list(&rankers)
        .await
        .unwrap()
        .items
        .remove(0)
        .name_any();
    namespace
        .api::<Pod>()
        .delete(&victim, &DeleteParams::default())
        .await
        .unwrap();
    let words = eventually("the new pod says why", MINUTES, || async {
        let pods = namespace.api::<Pod>().list(&rankers).await.unwrap().items;
        pods.iter()
            .find_map(refusal)
            .ok_or_else(|| format!("{} pods", pods.len()))
    })
    .await;
    assert!(words.contains("model.bst"), "{words}");
    pods::start_load(
        &namespace,
        "ask",
        "products-rank",
        Load {
            clients: 1,
            pause: Duration::from_millis(20),
            length: Duration::from_secs(5),
            versions: 1,
            asks: Asks::Fields,
        },
    )
    .await;
    let seen = pods::seen(&namespace, "ask", MINUTES).await;
    assert!(seen.failures.is_empty(), "{seen:?}");
    assert_eq!(seen.digests.keys().collect::<Vec<_>>(), [&digest]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    namespace.delete().await;
}

/// Termination message of a ranker that ended.
fn refusal(pod: &Pod) -> Option<String> {
    let container = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
    let states = [container.state.as_ref(), container.last_state.as_ref()];
    states
        .into_iter()
        .flatten()
        .find_map(|state| state.terminated.as_ref()?.message.clone())
}
