//! From a spec to a verdict: what trains, what only judges, and what the user is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use k8s_openapi::api::{apps::v1::Deployment, batch::v1::Job};
use kube::api::DeleteParams;
use searchop_api::Outcome;
use searchop_contract::ExitCode;
use searchop_e2e::{
    driver::{End, digest, failed, report},
    kubectl::{apply_ok, kubectl_ok},
    models::{
        await_condition, await_outcome, condition, get, merged, request_retrain, small_model,
    },
    namespace::TestNamespace,
    wait::eventually,
};
use serde_json::json;

use crate::{SOON, Scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_model_is_trained_judged_and_served() {
    let scene = Scene::winning("first").await;
    let namespace = &scene.namespace;
    apply_ok(&namespace.name, &small_model("products"));
    let model = await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    let status = model.status.unwrap();
    let served = status.served.as_ref().unwrap();
    assert_eq!(
        (served.version, &*served.digest),
        (1, digest("v1").as_str())
    );
    assert_eq!(served.headline_metric, "NDCG@10 0.700");
    assert_eq!(status.history[0].outcome, Outcome::Promoted);
    let line = kubectl_ok(&[
        "get",
        "rankingmodel",
        "products",
        "-n",
        &namespace.name,
        "--no-headers",
    ]);
    assert!(
        line.contains("True") && line.contains("v1") && line.contains("NDCG@10 0.700"),
        "{line}"
    );
    let reasons = event_reasons(&namespace.name);
    for reason in ["RunStarted", "GatePassed", "Promoted"] {
        assert!(reasons.contains(reason), "no event {reason} in {reasons}");
    }
    scene.namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gates_only_edit_judges_again_and_trains_nothing() {
    let scene = Scene::winning("regate").await;
    let namespace = &scene.namespace;
    let strict = merged(small_model("products"), &gate(json!({"threshold": "0.9"})));
    apply_ok(&namespace.name, &strict);
    let model = await_condition(namespace, "products", ("Stalled", "True"), SOON).await;
    let (_, reason, message) = condition(&model, "Stalled").unwrap();
    assert_eq!(reason, "GateFailed");
    assert!(
        message.contains("0.700") && message.contains("0.9"),
        "numbers are missing in {message:?}"
    );
    assert_eq!(condition(&model, "Ready").unwrap().0, "False");
    apply_ok(
        &namespace.name,
        &merged(small_model("products"), &gate(json!({"threshold": "0.6"}))),
    );
    let model = await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    assert_eq!(model.status.unwrap().served.unwrap().version, 1);
    assert_eq!(scene.trainings(), 1, "a gates-only edit trained");
    scene.namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_spec_change_keeps_the_served_version_and_says_why() {
    let scene = Scene::with("rejected", |job| {
        let (metric, gain) = if job.version == 1 {
            (0.7, 0.1)
        } else {
            (0.71, 0.014)
        };
        End::Report(Box::new(report(
            job,
            &format!("v{}", job.version),
            metric,
            gain,
        )))
    })
    .await;
    let namespace = &scene.namespace;
    let base = merged(
        small_model("products"),
        &gate(
            json!({"threshold": null, "against": "Served", "goal": "Superior", "margin": "0.05"}),
        ),
    );
    apply_ok(&namespace.name, &base);
    await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    let changed = merged(
        base,
        &json!({"spec": {"training": {"parameters": {"numLeaves": 15}}}}),
    );
    apply_ok(&namespace.name, &changed);
    let (outcome, status) = await_outcome(namespace, "products", 2, SOON).await;
    assert_eq!(outcome, Outcome::Rejected);
    assert_eq!(status.served.unwrap().version, 1);
    let model = await_condition(namespace, "products", ("Ready", "False"), SOON).await;
    let (_, _, message) = condition(&model, "Ready").unwrap();
    assert!(
        message.contains("1.4") && message.contains("5"),
        "numbers are missing in {message:?}"
    );
    assert_eq!(condition(&model, "Serving").unwrap().0, "True");
    let table = kubectl_ok(&["get", "rankingmodels", "-n", &namespace.name]);
    let events = kubectl_ok(&["get", "events", "-n", &namespace.name]);
    for shown in [&table, &events] {
        assert!(
            shown.contains("+1.4 %") && shown.contains("needs +5"),
            "no numbers in {shown}"
        );
    }
    assert!(events.contains("GateRejected"), "{events}");
    scene.namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_with_the_same_data_is_unchanged_and_a_worse_one_leaves_ready_true() {
    let scene = Scene::with("request", |job| {
        let (name, gain) = match job.version {
            1 | 2 => ("same", 0.1),
            _ => ("worse", -0.2),
        };
        End::Report(Box::new(report(job, name, 0.7, gain)))
    })
    .await;
    let namespace = &scene.namespace;
    apply_ok(
        &namespace.name,
        &merged(
            small_model("products"),
            &gate(
                json!({"threshold": null, "against": "Served", "goal": "NotWorse", "margin": "0.01"}),
            ),
        ),
    );
    await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    let before = deployment_generation(namespace).await;
    request_retrain(&namespace.name, "products", "Manual/test");
    let (outcome, _) = await_outcome(namespace, "products", 2, SOON).await;
    assert_eq!(outcome, Outcome::Unchanged);
    assert_eq!(
        deployment_generation(namespace).await,
        before,
        "it was rolled out"
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    request_retrain(&namespace.name, "products", "Schedule/nightly");
    let (outcome, status) = await_outcome(namespace, "products", 3, SOON).await;
    assert_eq!(
        (outcome, status.served.unwrap().version),
        (Outcome::Rejected, 1)
    );
    let model = await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    assert_eq!(condition(&model, "LastRunSucceeded").unwrap().0, "False");
    scene.namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_data_end_the_run_at_once_with_the_trainers_words() {
    let words = "events.csv: line 17, column \"position\": \"abc\" is not a number";
    let scene = Scene::with("baddata", move |job| failed(job, ExitCode::BadData, words)).await;
    let namespace = &scene.namespace;
    apply_ok(&namespace.name, &small_model("products"));
    let (outcome, status) = await_outcome(namespace, "products", 1, SOON).await;
    assert_eq!(outcome, Outcome::Failed);
    assert_eq!(status.history[0].reason.as_deref(), Some("DataInvalid"));
    let model = await_condition(namespace, "products", ("Stalled", "True"), SOON).await;
    assert!(condition(&model, "Ready").unwrap().2.contains(words));
    let pods = kubectl_ok(&["get", "pods", "-n", &namespace.name, "-o", "name"]);
    assert_eq!(pods.lines().count(), 1, "bad data were tried again: {pods}");
    scene.namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spec_changed_during_a_run_supersedes_it() {
    let scene = Scene::with("supersede", |job| match job.version {
        1 => End::StillRunning,
        version => End::Report(Box::new(report(job, &format!("v{version}"), 0.7, 0.1))),
    })
    .await;
    let namespace = &scene.namespace;
    apply_ok(&namespace.name, &small_model("products"));
    eventually("the first run is live", SOON, || async {
        let status = get(namespace, "products").await.status.unwrap_or_default();
        status.run.map(|_| ()).ok_or_else(|| "no run".to_owned())
    })
    .await;
    let changed = json!({"spec": {"training": {"parameters": {"numLeaves": 15}}}});
    apply_ok(&namespace.name, &merged(small_model("products"), &changed));
    let model = await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    let status = model.status.unwrap();
    assert_eq!(status.served.unwrap().version, 2);
    let outcomes: Vec<_> = status
        .history
        .iter()
        .map(|entry| (entry.version, entry.outcome))
        .collect();
    assert_eq!(outcomes, [(2, Outcome::Promoted), (1, Outcome::Superseded)]);
    scene.namespace.delete().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_job_that_is_deleted_runs_again_as_the_same_version() {
    let held = Arc::new(AtomicBool::new(true));
    let driver_holds = held.clone();
    let scene = Scene::with("joblost", move |job| match driver_holds.load(Relaxed) {
        true => End::StillRunning,
        false => End::Report(Box::new(report(job, "v1", 0.7, 0.1))),
    })
    .await;
    let namespace = &scene.namespace;
    apply_ok(&namespace.name, &small_model("products"));
    let first = trainer_job(namespace, None).await;
    namespace
        .api::<Job>()
        .delete("products-train-v1", &DeleteParams::background())
        .await
        .unwrap();
    trainer_job(namespace, Some(first)).await;
    held.store(false, Relaxed);
    let (outcome, status) = await_outcome(namespace, "products", 1, SOON).await;
    assert_eq!((outcome, status.history.len()), (Outcome::Promoted, 1));
    scene.namespace.delete().await;
}

/// UID of the first version's Job, once there is another than `before`.
async fn trainer_job(namespace: &TestNamespace, before: Option<String>) -> String {
    eventually("the trainer's Job is there", SOON, || async {
        let job = namespace.api::<Job>().get("products-train-v1").await;
        let uid = job.map_err(|error| error.to_string())?.metadata.uid;
        uid.filter(|uid| Some(uid) != before.as_ref())
            .ok_or_else(|| "not yet".to_owned())
    })
    .await
}

fn gate(rule: serde_json::Value) -> serde_json::Value {
    let base = json!({"name": "floor", "metric": "NDCG", "k": 10, "threshold": "0.1"});
    json!({"spec": {"evaluation": {"gates": [merged(base, &rule)]}}})
}

async fn deployment_generation(namespace: &TestNamespace) -> Option<i64> {
    let deployment = namespace.api::<Deployment>().get("products-rank").await;
    deployment.unwrap().metadata.generation
}

fn event_reasons(namespace: &str) -> String {
    kubectl_ok(&[
        "get",
        "events",
        "-n",
        namespace,
        "-o",
        "jsonpath={.items[*].reason}",
    ])
}
