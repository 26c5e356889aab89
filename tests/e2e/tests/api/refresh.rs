//! The served model gets newer tables: no training, no gate, a rolling update.

use k8s_openapi::api::batch::v1::Job;
use kube::{ResourceExt, api::ListParams};
use searchop_api::{RankingModelStatus, RefreshOutcome};
use searchop_contract::{ExitCode, labels};
use searchop_e2e::{
    driver::{End, digest, failed, report},
    kubectl::apply_ok,
    models::{await_condition, get, request_refresh, small_model},
    namespace::TestNamespace,
    wait::eventually,
};

use crate::{SOON, Scene};

async fn ended(namespace: &TestNamespace, number: i32) -> (RefreshOutcome, RankingModelStatus) {
    eventually(&format!("refresh {number} ends"), SOON, || async {
        let status = get(namespace, "products").await.status.unwrap_or_default();
        let refresh = status
            .refresh
            .clone()
            .filter(|refresh| refresh.number == number);
        match refresh.and_then(|refresh| refresh.outcome) {
            Some(outcome) => Ok((outcome, status)),
            None => Err(format!("{:?}", status.refresh)),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_refreshed_under_the_served_model_and_a_failure_changes_nothing() {
    let scene = Scene::with("refresh", |job| {
        let refresh = job.refresh.as_ref();
        if refresh.is_some_and(|model| model.tables_digest == digest("new tables")) {
            return failed(job, ExitCode::BadData, "events.csv: no rows");
        }
        let name = if refresh.is_some() { "new" } else { "v1" };
        End::Report(Box::new(report(job, name, 0.7, 0.1)))
    })
    .await;
    let namespace = &scene.namespace;
    apply_ok(&namespace.name, &small_model("products"));
    await_condition(namespace, "products", ("Ready", "True"), SOON).await;

    request_refresh(&namespace.name, "products", "Manual/test");
    let (outcome, status) = ended(namespace, 1).await;
    assert_eq!(outcome, RefreshOutcome::Refreshed);
    let served = status.served.unwrap();
    assert_eq!(
        (&*served.digest, &*served.tables_digest, served.version),
        (digest("v1").as_str(), digest("new tables").as_str(), 1)
    );
    assert_eq!(status.history.len(), 1, "no version was made");
    let jobs = namespace.api::<Job>().list(&ListParams::default()).await;
    let jobs = jobs.unwrap().items;
    let of_refresh = |job: &&Job| job.labels().contains_key(labels::REFRESH);
    let names = jobs.iter().filter(of_refresh).map(ResourceExt::name_any);
    assert_eq!(names.collect::<Vec<_>>(), ["products-tables-1"]);

    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    request_refresh(&namespace.name, "products", "Manual/test");
    let (outcome, status) = ended(namespace, 2).await;
    assert_eq!(outcome, RefreshOutcome::Failed);
    assert_eq!(
        status.served.unwrap().tables_digest,
        digest("new tables").as_str()
    );
    let model = await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    let ready = searchop_api::conditions::find(model.conditions(), "Ready").unwrap();
    assert!(
        ready.message.contains("events.csv: no rows"),
        "{}",
        ready.message
    );
    scene.namespace.delete().await;
}
