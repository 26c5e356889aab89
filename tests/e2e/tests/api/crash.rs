//! The operator is killed at each of its writes, before and after; every time it ends in the state
//! of a run without faults, with one Job a run.

use k8s_openapi::api::{apps::v1::Deployment, batch::v1::Job};
use kube::{ResourceExt, api::ListParams};
use searchop_api::Outcome;
use searchop_e2e::{
    kubectl::{apply_ok, kubectl_ok},
    models::{await_condition, await_outcome, get, request_retrain, small_model},
    proxy::{Moment, Write},
    wait::eventually,
};

use crate::{SOON, Scene};

/// What must be equal however the operator died.
#[derive(Debug, PartialEq)]
struct End {
    history: Vec<(i32, Outcome)>,
    served: Option<(i32, String)>,
    conditions: Vec<(String, String, String)>,
    jobs: Vec<String>,
    template: Option<String>,
    created_jobs: usize,
}

async fn end(scene: &Scene) -> End {
    let namespace = &scene.namespace;
    let model = get(namespace, "products").await;
    let uid = model.metadata.uid.clone().unwrap();
    let status = model.status.unwrap();
    let mut jobs: Vec<_> = namespace
        .api::<Job>()
        .list(&ListParams::default())
        .await
        .unwrap()
        .items
        .iter()
        .map(ResourceExt::name_any)
        .collect();
    jobs.sort();
    let deployment = namespace
        .api::<Deployment>()
        .get_opt("products-rank")
        .await
        .unwrap();
    End {
        history: status
            .history
            .iter()
            .map(|entry| (entry.version, entry.outcome))
            .collect(),
        served: status.served.map(|served| (served.version, served.digest)),
        jobs,
        conditions: status
            .conditions
            .into_iter()
            .map(|condition| (condition.type_, condition.status, condition.reason))
            .collect(),
        template: deployment.map(|deployment| template(deployment, &uid)),
        created_jobs: created_jobs(&scene.operator.proxy.writes()),
    }
}

/// The pods' template without what differs from life to life: the model's UID and hashes over it.
fn template(deployment: Deployment, uid: &str) -> String {
    let mut template = serde_json::to_value(deployment.spec.unwrap().template).unwrap();
    if let Some(annotations) = template["metadata"]["annotations"].as_object_mut() {
        annotations.retain(|name, _| !name.ends_with("-hash"));
    }
    let text = template.to_string();
    text.replace(uid, "UID").replace(&uid[..8], "UID8")
}

fn created_jobs(writes: &[Write]) -> usize {
    writes
        .iter()
        .filter(|w| w.method == "POST" && w.path.ends_with("/jobs") && w.status == 201)
        .count()
}

/// First training, then a retrain by request that is promoted and rolled out.
async fn life(scene: &Scene) {
    let namespace = &scene.namespace;
    apply_ok(&namespace.name, &small_model("products"));
    await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    request_retrain(&namespace.name, "products", "Manual/test");
    let (outcome, _) = await_outcome(namespace, "products", 2, SOON).await;
    assert_eq!(outcome, Outcome::Promoted);
    await_condition(namespace, "products", ("Ready", "True"), SOON).await;
}

/// Brings the operator back each time it dies.
fn revive(scene: &std::sync::Arc<Scene>) -> tokio::task::JoinHandle<()> {
    let scene = scene.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            if !scene.operator.running() {
                scene.operator.restart();
            }
        }
    })
}

async fn clean(scene: &Scene) {
    kubectl_ok(&[
        "delete",
        "rankingmodel/products",
        "-n",
        &scene.namespace.name,
    ]);
    eventually("clean", SOON, || async {
        let jobs = scene
            .namespace
            .api::<Job>()
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len();
        let deployments = scene
            .namespace
            .api::<Deployment>()
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len();
        if jobs + deployments == 0 {
            Ok(())
        } else {
            Err(format!("{jobs} jobs, {deployments} deployments"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_each_write_it_ends_in_the_same_state() {
    killed_at_each_write("before", Moment::Before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_each_write_it_ends_in_the_same_state() {
    killed_at_each_write("after", Moment::After).await;
}

async fn killed_at_each_write(scenario: &str, moment: Moment) {
    let scene = std::sync::Arc::new(Scene::winning(scenario).await);
    life(&scene).await;
    let reference = end(&scene).await;
    let writes = scene.operator.proxy.writes();
    assert!(writes.len() >= 8, "too few writes were seen: {writes:#?}");
    assert_eq!(reference.created_jobs, 2);
    clean(&scene).await;
    let reviver = revive(&scene);
    let mut jobs_before = created_jobs(&scene.operator.proxy.writes());
    let mut struck = 0;
    for (n, write) in writes.iter().enumerate() {
        scene.operator.proxy.kill_at(n + 1, moment);
        life(&scene).await;
        struck += usize::from(!scene.operator.proxy.armed());
        let mut found = end(&scene).await;
        let jobs_now = found.created_jobs;
        found.created_jobs -= jobs_before;
        assert_eq!(found, reference, "killed {moment:?} write {n}: {write:?}");
        jobs_before = jobs_now;
        clean(&scene).await;
    }
    reviver.abort();
    println!("{struck} of {} kill points were reached", writes.len());
    // Two changes of the pods may be told in one write, so that a life has one less.
    assert!(struck + 1 >= writes.len(), "only {struck} of {writes:#?}");
}
