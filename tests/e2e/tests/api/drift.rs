//! What ranker pods have counted leads to a verdict, and the verdict to a retrain.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{Json, Router, routing::get};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use searchop_api::{Outcome, RetrainSchedule};
use searchop_contract::{
    Bins, FeatureBins, HistogramReport, ReferenceBins, VersionHistograms, names::METRICS_PORT,
};
use searchop_e2e::{
    driver::digest,
    kubectl::apply_ok,
    models::{await_condition, await_outcome, merged, small_model},
    namespace::TestNamespace,
    wait::eventually,
};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{SOON, Scene};

/// Requests that a ranker answers between two looks.
const A_LOOK: u64 = 200;

/// Counts of a ranker of v1: each time somebody looks, more were answered.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<Counted>>);

#[derive(Default)]
struct Counted {
    /// At most 1, and above.
    values: [u64; 2],
    shifted: bool,
}

impl Counts {
    fn shift(&self) {
        self.0.lock().unwrap().shifted = true;
    }

    fn look(&self) -> HistogramReport {
        let mut counted = self.0.lock().unwrap();
        let above = if counted.shifted { A_LOOK } else { A_LOOK / 2 };
        counted.values[0] += A_LOOK - above;
        counted.values[1] += above;
        let [below, above] = counted.values;
        let bins = || Bins {
            bounds: vec![1.0],
            training: vec![50, 50, 0],
        };
        let price = FeatureBins {
            feature: "price".into(),
            importance: 0.9,
            bins: bins(),
        };
        HistogramReport {
            versions: vec![VersionHistograms {
                version: 1,
                digest: digest("v1"),
                requests: below + above,
                reference: ReferenceBins {
                    features: vec![price],
                    scores: bins(),
                },
                features: vec![vec![below, above, 0]],
                scores: vec![below, above, 0],
            }],
        }
    }
}

/// Serves them on the metrics port, on an address that only this process has.
async fn ranker(counts: &Counts) -> Ipv4Addr {
    let process = std::process::id().to_be_bytes();
    let ip = Ipv4Addr::new(127, process[2], process[3], 3);
    let address = SocketAddr::from((ip, METRICS_PORT));
    let listener = TcpListener::bind(address).await.unwrap();
    let counts = counts.clone();
    let answer = move || async move { Json(counts.look()) };
    let router = Router::new().route("/histograms", get(answer));
    tokio::spawn(axum::serve(listener, router).into_future());
    ip
}

/// Gives the ranker pods this address.
async fn pods_have(namespace: &TestNamespace, ip: Ipv4Addr) {
    let pods = namespace.api::<Pod>();
    let rankers = ListParams::default().labels("app.kubernetes.io/component=ranker");
    let found = pods.list(&rankers).await.unwrap().items;
    assert!(!found.is_empty(), "no ranker pod");
    let status = json!({"status": {"podIP": ip, "podIPs": [{"ip": ip}]}});
    for pod in found {
        pods.patch_status(
            &pod.name_any(),
            &PatchParams::default(),
            &Patch::Merge(&status),
        )
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drifted_requests_ask_for_a_retrain_whose_promotion_begins_the_watch_anew() {
    let scene = Scene::winning("drift").await;
    let namespace = &scene.namespace;
    let short = json!({"spec": {"drift": {"referenceRequests": 300, "minRequests": 150, "windowSeconds": 1}}});
    apply_ok(&namespace.name, &merged(small_model("products"), &short));
    let schedule = json!({
        "apiVersion": "searchop.io/v1alpha1", "kind": "RetrainSchedule", "metadata": {"name": "on-drift"},
        "spec": {"modelRef": {"name": "products"}, "onDrift": {}}
    });
    apply_ok(&namespace.name, &schedule);
    await_condition(namespace, "products", ("Ready", "True"), SOON).await;
    let counts = Counts::default();
    pods_have(namespace, ranker(&counts).await).await;

    let calm = await_condition(namespace, "products", ("Drifted", "False"), SOON).await;
    let known = calm.status.unwrap().drift.unwrap();
    assert_eq!((known.version, known.drifted_windows), (1, 0));
    let kept = namespace.api::<ConfigMap>().get("products-drift").await;
    assert!(kept.unwrap().data.unwrap()["watch.json"].contains("price"));
    assert_eq!(scene.trainings(), 1);

    // What was counted outlives the operator.
    scene.operator.restart();
    counts.shift();
    let (outcome, status) = await_outcome(namespace, "products", 2, SOON).await;
    assert_eq!(outcome, Outcome::Promoted);
    let run = status.run.unwrap();
    let request = run.request_token.unwrap();
    assert_eq!(run.trigger.as_str(), "Drift");
    assert!(request.starts_with("Drift/on-drift/"), "{request}");
    let found = namespace
        .api::<RetrainSchedule>()
        .get("on-drift")
        .await
        .unwrap();
    let found = found.status.unwrap();
    assert_eq!(found.recent.last().unwrap().outcome, "Requested");
    assert_eq!(found.drift_request_times.len(), 1);

    // v2's pods tell nothing of it, so nothing is known.
    eventually("a watch of v2", SOON, || async {
        let model = searchop_e2e::models::get(namespace, "products").await;
        let drift = model.status.unwrap_or_default().drift;
        match drift {
            None => Ok(()),
            Some(drift) => Err(format!("{drift:?}")),
        }
    })
    .await;
    scene.namespace.delete().await;
}
