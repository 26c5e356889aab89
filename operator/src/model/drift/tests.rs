use std::{cell::Cell, net::SocketAddr, sync::Arc};

use axum::{Json, Router, routing::get};
use http::StatusCode;
use searchop_contract::{
    Bins, FeatureBins, HistogramReport, ReferenceBins, VersionHistograms, names::METRICS_PORT,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::build::Images;
use script::Script;

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../../../tests/operator/script.rs"]
mod script;

const WATCH: &str = "/api/v1/namespaces/shop/configmaps/products-drift";
const PODS: &str = "/api/v1/namespaces/shop/pods";

thread_local! {
    static SECONDS: Cell<i64> = const { Cell::new(0) };
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000 + SECONDS.get()).unwrap()
}

fn context(script: &Script) -> Context {
    let images = Images {
        trainer: "trainer:1".into(),
        ranker: "ranker:1".into(),
        pull_policy: None,
    };
    let mut context = Context::new(script.client(), "me", images);
    context.now = now;
    context
}

fn digest() -> Digest {
    Digest::of(b"v1")
}

fn model() -> RankingModel {
    serde_json::from_value(json!({
        "apiVersion": "searchop.io/v1alpha1", "kind": "RankingModel",
        "metadata": {"name": "products", "namespace": "shop", "uid": "uid-1"},
        "spec": {"data": {"synthetic": {}}, "artifacts": {"uri": "pvc://models/products"}},
        "status": {"served": {
            "name": "v1", "version": 1, "digest": digest(), "tablesDigest": digest(), "trainHash": "h1:1",
            "headlineMetric": "NDCG@10 0.700", "trainedThroughTime": "2026-02-28T00:00:00Z",
            "tablesTime": "2026-02-28T00:00:00Z", "promotedTime": "2026-02-28T12:00:00Z"
        }}
    }))
    .unwrap()
}

/// Answers on the metrics port, as a ranker does, on an address that only this process has.
#[derive(Clone, Default)]
struct Ranker(Arc<Mutex<u64>>);

impl Ranker {
    async fn listen(last: u8) -> (Self, String) {
        let ranker = Self::default();
        let requests = ranker.clone();
        let answer = move || async move { Json(requests.report()) };
        let process = std::process::id().to_be_bytes();
        let ip = std::net::Ipv4Addr::new(127, process[2], process[3], last);
        let address = SocketAddr::from((ip, METRICS_PORT));
        let listener = TcpListener::bind(address).await.unwrap();
        let router = Router::new().route("/histograms", get(answer));
        tokio::spawn(axum::serve(listener, router).into_future());
        (ranker, ip.to_string())
    }

    fn report(&self) -> HistogramReport {
        let requests = *self.0.lock().unwrap();
        let bins = || Bins {
            bounds: vec![1.0],
            training: vec![60, 40, 0],
        };
        let counts = || vec![requests / 2, requests - requests / 2, 0];
        HistogramReport {
            versions: vec![VersionHistograms {
                version: 1,
                digest: digest(),
                requests,
                reference: ReferenceBins {
                    features: vec![FeatureBins {
                        feature: "price".into(),
                        importance: 1.0,
                        bins: bins(),
                    }],
                    scores: bins(),
                },
                features: vec![counts()],
                scores: counts(),
            }],
        }
    }

    fn answered(&self, requests: u64) {
        *self.0.lock().unwrap() = requests;
    }
}

fn pods(ips: &[&str]) -> (StatusCode, Value) {
    let pod = |ip: &&str| {
        json!({
            "metadata": {"name": ip, "namespace": "shop", "uid": format!("uid of {ip}")},
            "status": {"podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]}
        })
    };
    let items: Vec<Value> = ips.iter().map(pod).collect();
    let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items});
    (StatusCode::OK, list)
}

fn missing() -> (StatusCode, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound", "message": ""
    });
    (StatusCode::NOT_FOUND, status)
}

/// What is stored, beside the API server that stores it.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Option<Value>>>);

impl Store {
    fn answer(&self) -> (StatusCode, Value) {
        let stored = self.0.lock().unwrap().clone();
        stored.map_or_else(missing, |stored| (StatusCode::OK, stored))
    }

    fn expect_write(&self, script: &mut Script) {
        let answer = self.answer();
        script.expect("GET", WATCH, move |_| answer.clone());
        let stored = self.0.clone();
        script.expect("PATCH", WATCH, move |body| {
            assert_eq!(body["metadata"]["ownerReferences"][0]["uid"], "uid-1");
            *stored.lock().unwrap() = Some(body.clone());
            (StatusCode::OK, body.clone())
        });
    }
}

/// What is known after a look at this time, and in how many seconds to come back.
async fn look_at(context: &Context, seconds: i64) -> (Option<DriftStatus>, i64) {
    SECONDS.set(seconds);
    let model = model();
    let owner = Owner::of(&model).unwrap();
    let next = look(context, &owner, &model).await.unwrap();
    let known = context.drift.known(&owner);
    (known, next.duration_since(now()).as_secs())
}

#[tokio::test]
async fn counts_are_read_now_and_then_and_survive_a_restart_of_the_operator() {
    let (ranker, ip) = Ranker::listen(1).await;
    // Nobody listens on the other one.
    let silent = ip
        .rsplit_once('.')
        .map(|(net, _)| format!("{net}.250"))
        .unwrap();
    let ips = [&*ip, &*silent];
    let (mut script, store) = (Script::default(), Store::default());
    let looks = |script: &mut Script| {
        script.any_order([("GET", WATCH, store.answer()), ("GET", PODS, pods(&ips))]);
    };
    let operator = context(&script);

    looks(&mut script);
    store.expect_write(&mut script);
    ranker.answered(100);
    let (status, next) = look_at(&operator, 0).await;
    let status = status.unwrap();
    assert_eq!((status.version, status.skew, next), (1, None, 0));

    // Not yet time, then no facts that are worth a write, then an hour is over.
    assert_eq!(look_at(&operator, 299).await.1, 1);
    script.finish();
    ranker.answered(600);
    looks(&mut script);
    look_at(&operator, 300).await;
    script.finish();
    ranker.answered(1100);
    looks(&mut script);
    store.expect_write(&mut script);
    look_at(&operator, 3700).await;
    script.finish();

    // Another process: the 1000 requests are not lost, the 100 of before are not counted.
    let operator = context(&script);
    looks(&mut script);
    assert_eq!(look_at(&operator, 4000).await.0.unwrap().skew, None);
    ranker.answered(2100);
    looks(&mut script);
    store.expect_write(&mut script);
    let status = look_at(&operator, 90_000).await.0.unwrap();
    assert_eq!(status.skew.unwrap().requests, 2000);
    script.finish();

    // What another replica wrote meanwhile counts, not what this one remembers.
    *store.0.lock().unwrap() = None;
    looks(&mut script);
    store.expect_write(&mut script);
    assert_eq!(look_at(&operator, 91_000).await.0.unwrap().skew, None);
    script.finish();
}

#[tokio::test]
async fn a_foreign_object_is_left_alone_and_a_failing_server_hinders_nothing() {
    let (_ranker, ip) = Ranker::listen(2).await;
    let mut script = Script::default();
    let operator = context(&script);
    let foreign = || {
        let owner = json!([{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "other", "controller": true}]);
        let metadata =
            json!({"name": "products-drift", "namespace": "shop", "ownerReferences": owner});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"watch.json": "{}"}});
        (StatusCode::OK, map)
    };
    script.any_order([("GET", WATCH, foreign()), ("GET", PODS, pods(&[&ip]))]);
    script.expect("GET", WATCH, move |_| foreign());
    assert!(look_at(&operator, 0).await.0.is_some());
    script.finish();

    let fails = || (StatusCode::INTERNAL_SERVER_ERROR, json!({}));
    script.any_order([("GET", WATCH, fails()), ("GET", PODS, fails())]);
    let (known, next) = look_at(&operator, 400).await;
    assert!(known.is_some(), "what is known stays");
    assert_eq!(next, 300, "a server that fails is not asked all the time");
}

#[test]
fn a_ranker_that_was_started_over_is_another_process() {
    let pod = |starts: i32| -> Pod {
        let status = json!([{"name": "ranker", "image": "", "imageID": "", "ready": true, "restartCount": starts}]);
        serde_json::from_value(
            json!({"metadata": {"uid": "u"}, "status": {"containerStatuses": status}}),
        )
        .unwrap()
    };
    assert_eq!(process_name(&pod(0)), "u/0");
    assert_eq!(process_name(&pod(3)), "u/3");
}
