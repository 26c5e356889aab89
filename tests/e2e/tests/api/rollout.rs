//! Decisions about a rollout: a canary and its abort, approval, a pin and its end.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use searchop_api::{Outcome, RankingModel};
use searchop_contract::{Traffic, names};
use searchop_e2e::{
    kubectl::apply_ok,
    models::{await_condition, await_outcome, merged, small_model},
    namespace::TestNamespace,
    wait::eventually,
};
use serde_json::{Value, json};

use crate::{SOON, Scene};

fn changed(rollout: &Value) -> Value {
    let patch = json!({"spec": {
        "training": {"parameters": {"numLeaves": 15}},
        "rollout": rollout
    }});
    merged(small_model("products"), &patch)
}

fn served(model: RankingModel) -> Option<i32> {
    Some(model.status?.served?.version)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_is_a_second_version_in_the_pods_and_its_weights_are_data() {
    let scene = Scene::winning("canary").await;
    let namespace = &scene.namespace;
    apply_ok(&namespace.name, &small_model("products"));
    await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    apply_ok(&namespace.name, &changed(&json!({"strategy": "Canary"})));
    weights_become(namespace, [95, 5]).await;
    loaded_become(namespace, 2).await;
    // These pods say nothing of their traffic, so the step does not begin.
    let aborted = json!({"strategy": "Canary", "abortedVersion": "v2"});
    apply_ok(&namespace.name, &changed(&aborted));
    let (outcome, status) = await_outcome(namespace, "products", 2, SOON).await;
    let served = status.served.unwrap();
    assert_eq!((outcome, served.version), (Outcome::Failed, 1));
    weights_become(namespace, [100, 0]).await;
    loaded_become(namespace, 1).await;
    assert_eq!(scene.trainings(), 2);
    scene.namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_waits_for_approval_and_a_pin_goes_back_and_forth() {
    let scene = Scene::winning("approval").await;
    let namespace = &scene.namespace;
    apply_ok(&namespace.name, &small_model("products"));
    await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    apply_ok(&namespace.name, &changed(&json!({"approval": "Manual"})));
    let waits = ("AwaitingApproval", "True");
    let model = await_condition(namespace, "products", waits, SOON).await;
    assert_eq!(served(model), Some(1));
    let approved = json!({"approval": "Manual", "approvedVersion": "v2"});
    for (decision, expected) in [
        (approved, 2),
        (json!({"pinnedVersion": "v1"}), 1),
        (json!({}), 2),
    ] {
        apply_ok(&namespace.name, &changed(&decision));
        let model = await_condition(namespace, "products", ("Ready", "True"), SOON).await;
        assert_eq!(served(model), Some(expected), "{decision}");
    }
    assert_eq!(scene.trainings(), 2);
    scene.namespace.delete().await;
}

async fn weights_become(namespace: &TestNamespace, expected: [u8; 2]) {
    eventually(&format!("weights {expected:?}"), SOON, || async {
        let found = namespace.api::<ConfigMap>().get("products-traffic").await;
        let data = found.map_err(|error| error.to_string())?.data;
        let text = data.unwrap_or_default().remove(names::TRAFFIC_KEY);
        let traffic: Traffic =
            serde_json::from_str(&text.unwrap_or_default()).map_err(|error| error.to_string())?;
        let weights: Vec<u8> = traffic.shares.iter().map(|share| share.weight).collect();
        match weights == expected {
            true => Ok(()),
            false => Err(format!("{weights:?}")),
        }
    })
    .await;
}

/// The template names this many versions.
async fn loaded_become(namespace: &TestNamespace, expected: usize) {
    eventually(&format!("{expected} versions in a pod"), SOON, || async {
        let found = namespace.api::<Deployment>().get("products-rank").await;
        let text = serde_json::to_value(found.map_err(|error| error.to_string())?)
            .map_err(|error| error.to_string())?;
        let both = text.to_string().contains(names::VERSIONS_ENV);
        match both == (expected == 2) {
            true => Ok(()),
            false => Err(format!("two: {both}")),
        }
    })
    .await;
}
