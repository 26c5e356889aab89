//! At rest nothing is written but the lease.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use searchop_api::{Outcome, RankingModel};
use searchop_e2e::{
    kubectl::apply_ok,
    models::{await_condition, merged, small_model},
};
use serde_json::json;

use crate::{SOON, Scene};

const REAL: usize = 5;
const WRITTEN: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_models_and_fifty_with_written_status_cause_no_write_in_a_minute() {
    let scene = Scene::winning("rest").await;
    let namespace = &scene.namespace;
    for n in 0..REAL {
        apply_ok(&namespace.name, &small_model(&format!("real-{n}")));
    }
    for n in 0..REAL {
        await_condition(namespace, &format!("real-{n}"), ("Ready", "True"), SOON).await;
    }
    // Suspended models with a past: a status as the operator would have left it.
    let models = namespace.api::<RankingModel>();
    for n in 0..WRITTEN {
        let name = format!("written-{n}");
        apply_ok(
            &namespace.name,
            &merged(small_model(&name), &json!({"spec": {"suspend": true}})),
        );
        let history = json!([{
            "version": 1, "trigger": "SpecChange", "outcome": Outcome::Rejected.as_str(), "reason": "GateFailed",
            "completionTime": "2026-01-01T00:00:00Z"
        }]);
        let patch = Patch::Merge(json!({"status": {"history": history}}));
        models
            .patch_status(&name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }
    for n in 0..WRITTEN {
        await_condition(namespace, &format!("written-{n}"), ("Ready", "False"), SOON).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = scene.operator.proxy.writes().len();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let writes = scene.operator.proxy.writes();
    assert_eq!(&writes[before..], [], "writes at rest");
    scene.namespace.delete().await;
}
