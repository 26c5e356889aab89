//! The shell against an API server that answers from a script: every call that is made is
//! expected, and every expected call is made.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must fail where it stands"
)]

#[path = "operator/script.rs"]
mod script;

use std::sync::Arc;

use http::StatusCode;
use kube::runtime::controller::Action;
use script::Script;
use searchop_api::RankingModel;
use searchop_contract::Digest;
use searchop_operator::{
    build::{self, Images, Owner, ServedDigests},
    model,
    runtime::{Context, lease::Campaign},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const MODEL: &str = "/apis/searchop.io/v1alpha1/namespaces/shop/rankingmodels/products";
const STATUS: &str = "/apis/searchop.io/v1alpha1/namespaces/shop/rankingmodels/products/status";
const SCHEDULES: &str = "/apis/searchop.io/v1alpha1/namespaces/shop/retrainschedules";
const JOBS: &str = "/apis/batch/v1/namespaces/shop/jobs";
const JOB: &str = "/apis/batch/v1/namespaces/shop/jobs/products-train-v1";
const PODS: &str = "/api/v1/namespaces/shop/pods";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/shop/deployments/products-rank";
const SCALE: &str = "/apis/apps/v1/namespaces/shop/deployments/products-rank/scale";
const SERVICE: &str = "/api/v1/namespaces/shop/services/products-rank";
const HPA: &str = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/products-rank";
const PDB: &str = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets/products-rank";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";

fn images() -> Images {
    Images {
        trainer: "trainer:1".into(),
        ranker: "ranker:1".into(),
        pull_policy: None,
    }
}

fn owner() -> Owner {
    Owner {
        name: "products".into(),
        namespace: "shop".into(),
        uid: "uid-1".into(),
    }
}

fn model() -> RankingModel {
    serde_json::from_value(json!({
        "apiVersion": "searchop.io/v1alpha1", "kind": "RankingModel",
        "metadata": {
            "name": "products", "namespace": "shop", "uid": "uid-1", "resourceVersion": "5", "generation": 1
        },
        "spec": {"data": {"synthetic": {}}, "artifacts": {"uri": "pvc://models/products"}}
    }))
    .unwrap()
}

fn context(script: &Script) -> Arc<Context> {
    let mut context = Context::new(script.client(), "me", images());
    context.now = || "2026-03-01T10:00:00Z".parse().unwrap();
    Arc::new(context)
}

/// A status write is answered with what was written, at the next resource version.
fn written(body: &Value) -> (StatusCode, Value) {
    let mut stored = body.clone();
    let version: i64 = stored["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    stored["metadata"]["resourceVersion"] = json!((version + 1).to_string());
    (StatusCode::OK, stored)
}

fn created(body: &Value) -> (StatusCode, Value) {
    (StatusCode::CREATED, body.clone())
}

fn failure(code: u16, reason: &str) -> (StatusCode, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason
    });
    (StatusCode::from_u16(code).unwrap(), status)
}

fn list() -> (StatusCode, Value) {
    (
        StatusCode::OK,
        json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": []}),
    )
}

/// The three looks around a model that has a run; they go out at once and may come in any order.
fn looks(script: &mut Script, job: (StatusCode, Value)) {
    let next = match job.0 {
        StatusCode::OK => Some(PODS),
        StatusCode::NOT_FOUND => Some(JOBS),
        _ => None,
    };
    script.any_order([
        ("GET", JOB, job),
        ("GET", DEPLOYMENT, failure(404, "NotFound")),
        ("GET", SCHEDULES, list()),
    ]);
    if let Some(next) = next {
        script.expect("GET", next, |_| list());
    }
}

#[tokio::test]
async fn the_record_of_a_run_is_stored_before_its_job_is_made() {
    let mut script = Script::default();
    let stored = Arc::new(std::sync::Mutex::new(Value::Null));
    script.expect("GET", MODEL, |_| {
        (StatusCode::OK, serde_json::to_value(model()).unwrap())
    });
    script.any_order([
        ("GET", DEPLOYMENT, failure(404, "NotFound")),
        ("GET", SCHEDULES, list()),
    ]);
    let keep = stored.clone();
    script.expect("PUT", STATUS, move |body| {
        assert_eq!(
            body["metadata"]["resourceVersion"], "5",
            "the write is tied to what was read"
        );
        assert_eq!(body["status"]["run"]["version"], 1);
        *keep.lock().unwrap() = written(body).1;
        written(body)
    });
    script.events(EVENTS);
    looks(&mut script, failure(404, "NotFound"));
    script.expect("POST", JOBS, |body| {
        assert_eq!(body["metadata"]["name"], "products-train-v1");
        assert_eq!(body["metadata"]["ownerReferences"][0]["uid"], "uid-1");
        created(body)
    });
    script.expect("GET", JOBS, |_| list());
    model::reconcile(context(&script), model()).await.unwrap();
    script.finish();
    assert_eq!(
        stored.lock().unwrap()["status"]["run"]["trigger"],
        "SpecChange"
    );
}

#[tokio::test]
async fn a_newer_model_is_left_to_the_next_look() {
    let mut script = Script::default();
    script.expect("GET", MODEL, |_| {
        (StatusCode::OK, serde_json::to_value(model()).unwrap())
    });
    script.any_order([
        ("GET", DEPLOYMENT, failure(404, "NotFound")),
        ("GET", SCHEDULES, list()),
    ]);
    script.expect("PUT", STATUS, |_| failure(409, "Conflict"));
    let error = model::reconcile(context(&script), model())
        .await
        .unwrap_err();
    assert_eq!(error.class().as_str(), "conflict");
    script.finish();
}

#[tokio::test]
async fn a_model_that_is_gone_or_another_causes_nothing() {
    let mut successor = model();
    successor.metadata.uid = Some("uid-2".into());
    let mut dying = serde_json::to_value(model()).unwrap();
    dying["metadata"]["deletionTimestamp"] = json!("2026-03-01T09:00:00Z");
    let answers = [
        failure(404, "NotFound"),
        (StatusCode::OK, serde_json::to_value(successor).unwrap()),
        (StatusCode::OK, dying),
    ];
    for answer in answers {
        let mut script = Script::default();
        script.expect("GET", MODEL, move |_| answer.clone());
        model::reconcile(context(&script), model()).await.unwrap();
        script.finish();
    }
}

/// A model whose run is recorded and whose Job is not there yet, as after a crash.
async fn with_a_run() -> RankingModel {
    let mut script = Script::default();
    script.expect("GET", MODEL, |_| {
        (StatusCode::OK, serde_json::to_value(model()).unwrap())
    });
    script.any_order([
        ("GET", DEPLOYMENT, failure(404, "NotFound")),
        ("GET", SCHEDULES, list()),
    ]);
    let stored = Arc::new(std::sync::Mutex::new(Value::Null));
    let keep = stored.clone();
    script.expect("PUT", STATUS, move |body| {
        *keep.lock().unwrap() = written(body).1;
        written(body)
    });
    script.events(EVENTS);
    // The process dies here: the next call is never answered well.
    looks(&mut script, failure(500, "InternalError"));
    model::reconcile(context(&script), model())
        .await
        .unwrap_err();
    let stored = stored.lock().unwrap().clone();
    serde_json::from_value(stored).unwrap()
}

#[tokio::test]
async fn a_job_that_exists_already_is_ours_or_is_left_alone() {
    let running = with_a_run().await;
    for ours in [true, false] {
        let mut script = Script::default();
        let model = serde_json::to_value(&running).unwrap();
        script.expect("GET", MODEL, move |_| (StatusCode::OK, model.clone()));
        looks(&mut script, failure(404, "NotFound"));
        script.expect("POST", JOBS, |_| failure(409, "AlreadyExists"));
        script.expect("GET", JOB, move |_| {
            let uid = if ours { "uid-1" } else { "somebody" };
            let owner = json!([{"apiVersion": "a/v1", "kind": "K", "name": "n", "uid": uid, "controller": true}]);
            let metadata = json!({"name": "products-train-v1", "namespace": "shop", "ownerReferences": owner});
            (StatusCode::OK, json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata}))
        });
        if ours {
            script.expect("GET", JOBS, |_| list());
            model::reconcile(context(&script), running.clone())
                .await
                .unwrap();
        } else {
            script.expect("PUT", STATUS, |body| {
                let conditions = body["status"]["conditions"].as_array().unwrap();
                let stalled = conditions
                    .iter()
                    .find(|one| one["type"] == "Stalled")
                    .unwrap();
                assert_eq!(
                    (&stalled["status"], &stalled["reason"]),
                    (&json!("True"), &json!("NameConflict"))
                );
                written(body)
            });
            script.events(EVENTS);
            let error = model::reconcile(context(&script), running.clone())
                .await
                .unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains("Job \"products-train-v1\" exists"),
                "{error}"
            );
        }
        script.finish();
    }
}

#[tokio::test]
async fn a_run_waits_until_the_trainer_of_the_one_before_is_gone() {
    let mut running = serde_json::to_value(with_a_run().await).unwrap();
    running["status"]["run"]["version"] = json!(2);
    running["status"]["history"] = json!([{
        "version": 1, "trigger": "SpecChange", "outcome": "Superseded", "completionTime": "2026-03-01T09:00:00Z"
    }]);
    let running: RankingModel = serde_json::from_value(running).unwrap();
    let first = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": "products-train-v1", "namespace": "shop", "uid": "job-1",
            "labels": {"searchop.io/model-uid": "uid-1", "searchop.io/version": "1"}
        },
        "spec": {"template": {"spec": {"containers": []}}}
    });
    let mut leaving = first.clone();
    leaving["metadata"]["deletionTimestamp"] = json!("2026-03-01T10:00:00Z");
    let jobs = |items: Value| {
        let list =
            json!({"kind": "JobList", "apiVersion": "batch/v1", "metadata": {}, "items": items});
        move |_: &Value| (StatusCode::OK, list.clone())
    };
    let second = "/apis/batch/v1/namespaces/shop/jobs/products-train-v2";
    let looks = |script: &mut Script, found: Value| {
        let model = serde_json::to_value(&running).unwrap();
        script.expect("GET", MODEL, move |_| (StatusCode::OK, model.clone()));
        script.any_order([
            ("GET", second, failure(404, "NotFound")),
            ("GET", DEPLOYMENT, failure(404, "NotFound")),
            ("GET", SCHEDULES, list()),
        ]);
        script.expect("GET", JOBS, jobs(found));
    };
    let waits = |script: &mut Script| {
        script.expect("PUT", STATUS, |body| {
            let text = body["status"]["conditions"].to_string();
            assert!(
                text.contains("until the Job \\\"products-train-v1\\\" is gone"),
                "{text}"
            );
            written(body)
        });
        script.events(EVENTS);
    };

    let mut script = Script::default();
    looks(&mut script, json!([first]));
    script.expect("GET", JOBS, jobs(json!([first])));
    script.expect("DELETE", JOB, move |body| {
        assert_eq!(body["propagationPolicy"], "Foreground");
        assert_eq!(body["preconditions"]["uid"], "job-1");
        (StatusCode::OK, first.clone())
    });
    script.expect("GET", JOBS, jobs(json!([leaving])));
    waits(&mut script);
    let again = model::reconcile(context(&script), running.clone())
        .await
        .unwrap();
    script.finish();
    assert_eq!(again, Action::requeue(std::time::Duration::from_secs(10)));

    let mut script = Script::default();
    looks(&mut script, json!([leaving]));
    script.expect("GET", JOBS, jobs(json!([leaving])));
    script.expect("GET", JOBS, jobs(json!([leaving])));
    waits(&mut script);
    model::reconcile(context(&script), running.clone())
        .await
        .unwrap();
    script.finish();

    let mut script = Script::default();
    looks(&mut script, json!([]));
    script.expect("GET", JOBS, jobs(json!([])));
    script.expect("POST", JOBS, |body| {
        assert_eq!(body["metadata"]["name"], "products-train-v2");
        created(body)
    });
    script.expect("GET", JOBS, jobs(json!([])));
    script.expect("PUT", STATUS, |body| {
        let text = body["status"]["conditions"].to_string();
        assert!(
            text.contains("training v2") && !text.contains("is gone"),
            "{text}"
        );
        written(body)
    });
    script.events(EVENTS);
    model::reconcile(context(&script), running.clone())
        .await
        .unwrap();
    script.finish();
}

#[tokio::test]
async fn a_deployment_is_applied_without_replicas_and_then_scaled_once() {
    comes_to_its_size(None, 2).await;
}

#[tokio::test]
async fn a_deployment_that_was_deleted_comes_back_at_its_size() {
    comes_to_its_size(Some(5), 5).await;
}

async fn comes_to_its_size(before: Option<i32>, expected: i32) {
    let digest = Digest::of(b"v1");
    let mut serving = model();
    serving.status = serde_json::from_value(served_status(&digest)).unwrap();
    serving.status.as_mut().unwrap().replicas = before;
    // What follows from facts is not the subject here, so it starts nothing; it serves.
    serving.spec.suspend = true;
    let mut script = Script::default();
    let answer = serde_json::to_value(&serving).unwrap();
    script.expect("GET", MODEL, move |_| (StatusCode::OK, answer.clone()));
    script.any_order([
        ("GET", DEPLOYMENT, failure(404, "NotFound")),
        ("GET", SCHEDULES, list()),
    ]);
    script.expect("GET", SERVICE, |_| failure(404, "NotFound"));
    script.expect("PATCH", SERVICE, created);
    script.expect("GET", DEPLOYMENT, |_| failure(404, "NotFound"));
    script.expect("PATCH", DEPLOYMENT, |body| {
        assert!(body["spec"].get("replicas").is_none(), "{body}");
        let mut stored = body.clone();
        stored["spec"]["replicas"] = json!(1);
        created(&stored)
    });
    script.expect("PATCH", SCALE, move |body| {
        assert_eq!(body["kind"], "Scale");
        assert_eq!(body["spec"], json!({"replicas": expected}));
        (
            StatusCode::OK,
            json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {}}),
        )
    });
    script.expect("GET", HPA, |_| failure(404, "NotFound"));
    script.expect("PATCH", HPA, created);
    script.expect("GET", PDB, |_| failure(404, "NotFound"));
    script.expect("PATCH", PDB, created);
    script.expect("PUT", STATUS, move |body| {
        assert_eq!(body["status"]["replicas"], before.unwrap_or(0));
        written(body)
    });
    script.events(EVENTS);
    model::reconcile(context(&script), serving).await.unwrap();
    script.finish();
}

/// A version serves.
fn served_status(digest: &Digest) -> Value {
    json!({"served": {
        "name": "v1", "version": 1, "digest": digest, "tablesDigest": digest, "trainHash": "h1:old",
        "headlineMetric": "NDCG@10 0.700", "trainedThroughTime": "2026-02-28T00:00:00Z",
        "tablesTime": "2026-02-28T00:00:00Z", "promotedTime": "2026-02-28T12:00:00Z"
    }})
}

#[tokio::test]
async fn a_child_that_did_not_change_is_not_written_again() {
    let digest = Digest::of(b"v1");
    let served = ServedDigests {
        version: 1,
        digest: digest.clone(),
        tables_digest: digest,
        candidate: None,
    };
    let mut script = Script::default();
    let context = context(&script);
    let wanted = build::deployment(&owner(), &model().spec, &images(), &served);
    let owner = owner();
    let ensure = || {
        context
            .applied
            .ensure(&context.calls, &owner, wanted.clone())
    };
    // The server fills in what was not said, and writes quantities in its own way.
    let stored = |body: &Value| {
        let mut stored = body.clone();
        stored["metadata"]["uid"] = json!("child");
        stored["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("1");
        stored["spec"]["replicas"] = json!(1);
        stored["spec"]["template"]["spec"]["dnsPolicy"] = json!("ClusterFirst");
        stored["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] =
            json!("1000m");
        stored
    };
    let first = Arc::new(std::sync::Mutex::new(Value::Null));
    script.expect("GET", DEPLOYMENT, |_| failure(404, "NotFound"));
    let keep = first.clone();
    script.expect("PATCH", DEPLOYMENT, move |body| {
        *keep.lock().unwrap() = stored(body);
        created(&stored(body))
    });
    ensure().await.unwrap();

    // Scaled by somebody, revised by the Deployment controller: nothing of ours.
    let mut scaled = first.lock().unwrap().clone();
    scaled["spec"]["replicas"] = json!(7);
    scaled["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("2");
    script.expect("GET", DEPLOYMENT, move |_| (StatusCode::OK, scaled.clone()));
    ensure().await.unwrap();

    // Edited by somebody: ours again after one write, tied to the same object.
    let mut edited = first.lock().unwrap().clone();
    edited["spec"]["template"]["spec"]["containers"][0]["image"] = json!("evil:1");
    script.expect("GET", DEPLOYMENT, move |_| (StatusCode::OK, edited.clone()));
    script.expect("PATCH", DEPLOYMENT, move |body| {
        assert_eq!(body["metadata"]["uid"], "child");
        assert_eq!(
            body["spec"]["template"]["spec"]["containers"][0]["image"],
            "ranker:1"
        );
        (StatusCode::OK, stored(body))
    });
    ensure().await.unwrap();
    script.finish();
}

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/searchop/leases";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/searchop/leases/operator";

/// One round of a campaign that is told to stop, and whether it led meanwhile.
async fn campaign(script: &Script) -> bool {
    let (lead, mut leading) = tokio::sync::watch::channel(false);
    let led = tokio::spawn(async move { leading.wait_for(|leads| *leads).await.is_ok() });
    let stop = CancellationToken::new();
    let calls = context(script).calls.clone();
    let campaign = Campaign::new(calls, "searchop".into(), "operator".into(), "me".into());
    let running = tokio::spawn(campaign.run(lead, stop.clone()));
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    stop.cancel();
    running.await.unwrap();
    led.await.unwrap()
}

#[tokio::test]
async fn a_leader_takes_a_free_lease_and_gives_it_back_when_told_to_stop() {
    let mut script = Script::default();
    script.expect("GET", LEASE, |_| failure(404, "NotFound"));
    script.expect("POST", LEASES, |body| {
        assert_eq!(body["spec"]["holderIdentity"], "me");
        let mut stored = body.clone();
        stored["metadata"]["resourceVersion"] = json!("7");
        created(&stored)
    });
    script.expect("PUT", LEASE, |body| {
        assert_eq!(body["metadata"]["resourceVersion"], "7");
        assert!(body["spec"].get("holderIdentity").is_none(), "{body}");
        (StatusCode::OK, body.clone())
    });
    assert!(campaign(&script).await);
    script.finish();
}

#[tokio::test]
async fn a_lease_that_is_held_or_lost_in_a_race_makes_no_leader() {
    let held = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "operator", "namespace": "searchop", "resourceVersion": "3"},
        "spec": {"holderIdentity": "other", "leaseDurationSeconds": 15, "renewTime": "2020-01-01T00:00:00.000000Z"}
    });
    let mut script = Script::default();
    let answer = held.clone();
    script.expect("GET", LEASE, move |_| (StatusCode::OK, answer.clone()));
    assert!(
        !campaign(&script).await,
        "an old time on the record proves nothing: clocks differ"
    );
    script.finish();

    let mut free = held;
    free["spec"]["holderIdentity"] = json!("");
    let mut script = Script::default();
    script.expect("GET", LEASE, move |_| (StatusCode::OK, free.clone()));
    script.expect("PUT", LEASE, |_| failure(409, "Conflict"));
    assert!(!campaign(&script).await);
    script.finish();
}
