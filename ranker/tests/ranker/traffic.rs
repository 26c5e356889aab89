//! Several versions in one process.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use http::StatusCode;
use nix::sys::signal::Signal;
use searchop_contract::{
    AbortRule, LoadedVersion, Role, Share, Traffic, TrafficReport, VersionTraffic,
};
use searchop_model::bundle::Bundle;
use searchop_ranker::{Identity, Limits, Ranker, Shadow, SharesError, app, metrics_app};
use serde_json::{Value, json};

use crate::{
    artifacts::{Artifacts, forest_of_other_width},
    client::{self, Connection},
    process::{Process, Start},
    router::{MAX_BODY, get, identity, post, rank},
};

/// Version 7 is served, version 8 beside it.
const SERVED: u32 = 7;
const CANDIDATE: u32 = 8;

fn of(artifacts: &Artifacts, version: u32) -> Identity {
    Identity {
        version,
        ..identity(artifacts)
    }
}

/// A pod that has both versions.
fn pod(served: &Artifacts, candidate: &Artifacts) -> Arc<Ranker> {
    pod_and(served, candidate, |_| ())
}

/// The same with what `set` makes of the candidate.
fn pod_and(
    served: &Artifacts,
    candidate: &Artifacts,
    set: impl FnOnce(&mut Bundle),
) -> Arc<Ranker> {
    let limits = Limits {
        max_candidates: 50,
        max_body_bytes: MAX_BODY,
        request_timeout: Duration::from_secs(60),
    };
    let identities = vec![of(served, SERVED), of(candidate, CANDIDATE)];
    let mut ranker = Ranker::new(identities, limits, 1);
    let queued = ranker.metrics.queue_depth.clone();
    ranker.shadow = Some(Shadow::start(queued, limits.max_candidates).unwrap());
    let mut bundle = candidate.bundle();
    set(&mut bundle);
    ranker.settle(ranker.versions.get(CANDIDATE).unwrap(), Ok(bundle));
    ranker.begin(served.bundle());
    Arc::new(ranker)
}

/// What the candidate is to have, in percent of users and of requests in the shadow.
fn shares(weight: u8, shadow: u8) -> Traffic {
    let share = |version, role, weight, shadow| Share {
        version,
        role,
        weight,
        shadow,
    };
    Traffic {
        revision: format!("{weight}-{shadow}"),
        shares: vec![
            share(SERVED, Role::Served, 100 - weight, 0),
            share(CANDIDATE, Role::Candidate, weight, shadow),
        ],
        abort: None,
    }
}

fn follow(ranker: &Ranker, traffic: Traffic) {
    ranker.versions.follow(Ok(traffic)).unwrap();
}

async fn report(ranker: &Arc<Ranker>) -> TrafficReport {
    let answer = get(&metrics_app(Arc::clone(ranker)), "/traffic").await;
    assert_eq!(answer.status, StatusCode::OK);
    serde_json::from_slice(&answer.body).unwrap()
}

async fn counts(ranker: &Arc<Ranker>, version: u32) -> VersionTraffic {
    let mut versions = report(ranker).await.versions.into_iter();
    versions.find(|one| one.version == version).unwrap()
}

/// What answered the user, by the answer's word and by its score.
async fn version(router: &Router, user: &str) -> u32 {
    let body = json!({"query": "running shoes", "user_id": user, "products": ["1"]});
    let answer = rank(router, body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let body = answer.json();
    let by_score = match body["products"][0]["score"].as_f64() {
        Some(0.75) => SERVED,
        Some(1.75) => CANDIDATE,
        score => panic!("{score:?}"),
    };
    assert_eq!(body["version"], by_score);
    by_score
}

async fn given(router: &Router, users: u32) -> BTreeSet<u32> {
    let mut given = BTreeSet::new();
    for user in 0..users {
        if version(router, &user.to_string()).await == CANDIDATE {
            given.insert(user);
        }
    }
    given
}

#[tokio::test]
async fn users_keep_their_version_in_every_pod_and_as_the_weight_grows() {
    let (first, second) = (Artifacts::new(1.0), Artifacts::new(2.0));
    let (one, other) = (pod(&first, &second), pod(&first, &second));
    let routers = (app(Arc::clone(&one)), app(Arc::clone(&other)));
    assert!(
        given(&routers.0, 50).await.is_empty(),
        "no file, no candidate"
    );
    let mut before = BTreeSet::new();
    for weight in [10, 50, 100] {
        for pod in [&one, &other] {
            follow(pod, shares(weight, 0));
        }
        let users = given(&routers.0, 400).await;
        let percent = users.len() as f64 / 4.0;
        assert!((percent - f64::from(weight)).abs() < 6.0, "{percent}");
        assert_eq!(users, given(&routers.1, 400).await);
        assert!(before.is_subset(&users), "someone was sent back");
        before = users;
    }
    follow(&one, shares(0, 0));
    assert!(given(&routers.0, 50).await.is_empty(), "an abort by weight");
}

#[tokio::test]
async fn without_a_user_a_query_has_one_version() {
    let (first, second) = (Artifacts::new(1.0), Artifacts::new(2.0));
    let ranker = pod(&first, &second);
    follow(&ranker, shares(50, 0));
    let router = app(ranker);
    let mut seen = BTreeMap::new();
    for number in 0..40 {
        let query = format!("shoes {number}");
        for user in [json!(null), json!("")] {
            let mut body =
                json!({"query": query, "query_id": number.to_string(), "products": ["1"]});
            if user.is_string() {
                body["user_id"] = user;
            }
            let answer = rank(&router, body.to_string()).await.json();
            let version = answer["version"].as_u64().unwrap();
            assert_eq!(*seen.entry(query.clone()).or_insert(version), version);
        }
    }
    let versions: BTreeSet<u64> = seen.into_values().collect();
    assert_eq!(versions, BTreeSet::from([7, 8]));
}

#[tokio::test]
async fn every_shape_of_answer_names_the_version_that_ranked() {
    let (first, second) = (Artifacts::new(1.0), Artifacts::new(2.0));
    let ranker = pod(&first, &second);
    let router = app(Arc::clone(&ranker));
    for (weight, version, artifacts) in [(0, SERVED, &first), (100, CANDIDATE, &second)] {
        follow(&ranker, shares(weight, 0));
        let digest = artifacts.digest.as_str();
        let search = |more: Value| {
            let mut body = json!({"query": "running shoes", "user_id": "u"});
            let more = more.as_object().unwrap().clone();
            body.as_object_mut().unwrap().extend(more);
            body.to_string()
        };
        for more in [
            json!({"products": ["1"]}),
            json!({"ids": ["1"]}),
            json!({"products": ["1"], "explain": ["1"]}),
        ] {
            let answer = rank(&router, search(more)).await.json();
            assert_eq!(
                (&answer["version"], &answer["digest"]),
                (&json!(version), &json!(digest))
            );
        }
        let explained = search(json!({"products": ["1"], "explain": ["1"]}));
        let explained = rank(&router, explained).await.json();
        let parts = &explained["explanation"]["products"][0]["contributions"];
        let expected = if version == SERVED { 1.0 } else { 2.0 };
        assert_eq!(parts["title_coverage"], json!(expected), "{explained}");

        let documents = post(&router, "/v1/rerank", search(json!({"documents": ["1"]}))).await;
        assert_eq!(documents.json()["searchop"]["version"], version);
        let texts = post(&router, "/rerank", search(json!({"texts": ["1"]}))).await;
        for answer in [documents, texts] {
            let named = version.to_string();
            assert_eq!(answer.header("x-searchop-version"), Some(named.as_str()));
            assert_eq!(answer.header("x-searchop-digest"), Some(digest));
        }
    }
}

#[tokio::test]
async fn a_candidate_that_compares_a_list_is_not_asked_about_parts_of_it() {
    let (first, second) = (Artifacts::new(1.0), Artifacts::new(2.0));
    let ranker = pod_and(&first, &second, |bundle| {
        bundle.model.manifest.candidate_list = true;
    });
    follow(&ranker, shares(100, 0));
    let router = app(Arc::clone(&ranker));
    let body = r#"{"query":"running shoes","user_id":"u","products":["1"],"documents":["1"]}"#;
    assert_eq!(rank(&router, body).await.json()["version"], CANDIDATE);
    let answer = post(&router, "/v2/rerank", body).await;
    assert_eq!(answer.json()["searchop"]["version"], SERVED);
    assert_eq!(counts(&ranker, CANDIDATE).await.errors, 0);
}

/// A product whose score overflows in the broken model.
const DEAR: &str =
    r#"{"query":"running shoes","user_id":"u","products":["3",{"id":"1","price":2000000}]}"#;
const FINE: &str = r#"{"query":"running shoes","user_id":"u","products":["3","1"]}"#;

#[tokio::test]
async fn the_served_version_makes_up_for_a_candidate_that_fails() {
    let (first, second) = (Artifacts::new(1.0), Artifacts::overflowing());
    let ranker = pod(&first, &second);
    follow(&ranker, shares(100, 0));
    let router = app(Arc::clone(&ranker));
    assert_eq!(rank(&router, FINE).await.json()["version"], CANDIDATE);
    let answer = rank(&router, DEAR).await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = answer.json();
    assert_eq!(
        (&answer["version"], &answer["digest"]),
        (&json!(SERVED), &json!(first.digest))
    );
    assert_eq!(answer["products"][0], json!({"id": "1", "score": 0.75}));

    let candidate = counts(&ranker, CANDIDATE).await;
    assert_eq!((candidate.requests, candidate.errors), (2, 1));
    assert_eq!(candidate.latency.counts.iter().sum::<u64>(), 2);
    let served = counts(&ranker, SERVED).await;
    assert_eq!((served.requests, served.errors), (1, 0));
    assert!(0 < served.missing && served.missing < served.values);
}

#[tokio::test]
async fn a_panic_is_a_failure_like_any_other() {
    let (first, second) = (Artifacts::new(1.0), Artifacts::new(2.0));
    let ranker = pod_and(&first, &second, |bundle| {
        bundle.model.forest = forest_of_other_width();
    });
    follow(&ranker, shares(100, 0));
    let router = app(Arc::clone(&ranker));
    for _ in 0..2 {
        assert_eq!(rank(&router, FINE).await.json()["version"], SERVED);
    }
    let candidate = counts(&ranker, CANDIDATE).await;
    assert_eq!((candidate.requests, candidate.errors), (2, 2));
    follow(&ranker, shares(0, 100));
    assert_eq!(rank(&router, FINE).await.json()["version"], SERVED);
    assert_eq!(shadowed(&ranker, 1).await.errors, 1);
}

#[tokio::test]
async fn nobody_makes_up_for_the_served_version() {
    let (first, second) = (Artifacts::overflowing(), Artifacts::new(1.0));
    let ranker = pod(&first, &second);
    let router = app(Arc::clone(&ranker));
    let answer = rank(&router, DEAR).await;
    assert_eq!(answer.error(), (500, "internal".to_owned(), None));
    assert!(answer.text().contains("finite"), "{}", answer.text());
    assert_eq!(rank(&router, FINE).await.status, StatusCode::OK);
    let served = counts(&ranker, SERVED).await;
    assert_eq!((served.requests, served.errors), (2, 1));
}

#[tokio::test]
async fn a_candidate_that_fails_too_often_gets_no_more_requests() {
    let (first, second) = (Artifacts::new(1.0), Artifacts::overflowing());
    let ranker = pod(&first, &second);
    let traffic = Traffic {
        abort: Some(AbortRule {
            min_requests: 10,
            max_error_percent: 20,
        }),
        ..shares(100, 0)
    };
    follow(&ranker, traffic.clone());
    let router = app(Arc::clone(&ranker));
    for _ in 0..2 {
        rank(&router, DEAR).await;
    }
    assert_eq!(rank(&router, FINE).await.json()["version"], CANDIDATE);
    assert_eq!(counts(&ranker, CANDIDATE).await.aborted, None);
    rank(&router, DEAR).await;
    assert_eq!(rank(&router, FINE).await.json()["version"], SERVED);
    // A newer file does not bring it back.
    follow(
        &ranker,
        Traffic {
            revision: "newer".to_owned(),
            ..traffic
        },
    );
    assert_eq!(rank(&router, FINE).await.json()["version"], SERVED);
    let candidate = counts(&ranker, CANDIDATE).await;
    assert_eq!((candidate.weight, candidate.errors), (0, 3));
    let reason = candidate.aborted.unwrap();
    assert!(
        reason.contains("3 of 10 rankings failed, more than 20 %"),
        "{reason}"
    );
    assert_eq!(counts(&ranker, SERVED).await.weight, 100);
    let metrics = get(&metrics_app(ranker), "/metrics").await;
    let line = r#"searchop_rank_weight_percent{version="8"} 0"#;
    assert!(metrics.text().contains(line), "{}", metrics.text());
}

#[tokio::test]
async fn shares_that_are_wrong_change_nothing() {
    let (first, second) = (Artifacts::new(1.0), Artifacts::new(2.0));
    let ranker = pod(&first, &second);
    follow(&ranker, shares(100, 0));
    let router = app(Arc::clone(&ranker));
    let mut wrong = shares(50, 0);
    wrong.shares[1].version = 9;
    ranker.versions.follow(Ok(wrong)).unwrap_err();
    let told = report(&ranker).await;
    assert_eq!(told.revision.as_deref(), Some("100-0"));
    let refused = told.refused.unwrap();
    assert!(
        refused.contains("version 9 is not loaded here"),
        "{refused}"
    );
    assert_eq!(version(&router, "u").await, CANDIDATE);
    let long = format!(r#"{{"{}":1}}"#, "x".repeat(50_000));
    let malformed = serde_json::from_str::<Traffic>(&long).unwrap_err();
    let malformed = SharesError::Malformed(malformed.to_string());
    ranker.versions.follow(Err(malformed)).unwrap_err();
    let refused = report(&ranker).await.refused.unwrap();
    assert!(refused.len() < 400, "{}", refused.len());
    follow(&ranker, shares(0, 0));
    let told = report(&ranker).await;
    assert_eq!(
        (told.revision.as_deref(), told.refused),
        (Some("0-0"), None)
    );
}

#[tokio::test]
async fn health_and_info_name_whom_the_shares_call_served() {
    let (first, second) = (Artifacts::new(1.0), Artifacts::new(2.0));
    let ranker = pod(&first, &second);
    let router = app(Arc::clone(&ranker));
    let named = async || {
        let health = get(&router, "/health").await.json();
        let info = get(&router, "/info").await.json();
        assert_eq!(info["model_sha"], health["digest"]);
        health["version"].clone()
    };
    assert_eq!(named().await, SERVED);
    let mut promoted = shares(100, 0);
    promoted.shares[0].role = Role::Candidate;
    promoted.shares[1].role = Role::Served;
    follow(&ranker, promoted);
    assert_eq!(named().await, CANDIDATE);
    assert_eq!(version(&router, "u").await, CANDIDATE);
}

async fn shadowed(ranker: &Arc<Ranker>, requests: u64) -> searchop_contract::ShadowTraffic {
    let begin = Instant::now();
    loop {
        let shadow = counts(ranker, CANDIDATE).await.shadow;
        if let Some(shadow) = shadow.filter(|shadow| shadow.requests >= requests) {
            return shadow;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "no shadow");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_candidate_in_the_shadow_answers_nobody_and_is_compared() {
    let first = Artifacts::new(1.0);
    for (second, requests, errors, overlap) in [
        (Artifacts::new(2.0), [FINE, FINE], 0, 1.0),
        // Two products the other way round: (1 - p) p + p².
        (Artifacts::new(-1.0), [FINE, FINE], 0, 0.9),
        (Artifacts::overflowing(), [FINE, DEAR], 1, 1.0),
    ] {
        let ranker = pod(&first, &second);
        follow(&ranker, shares(0, 100));
        let router = app(Arc::clone(&ranker));
        for (number, request) in requests.into_iter().enumerate() {
            assert_eq!(rank(&router, request).await.json()["version"], SERVED);
            shadowed(&ranker, number as u64 + 1).await;
        }
        let shadow = shadowed(&ranker, 2).await;
        assert_eq!((shadow.requests, shadow.errors), (2, errors));
        let compared = (2 - errors) as f64;
        let found = shadow.overlap_sum / compared;
        assert!((found - overlap).abs() < 1e-9, "{found} is not {overlap}");
        assert_eq!(shadow.top10_change_sum, 0.0);
        let candidate = counts(&ranker, CANDIDATE).await;
        assert_eq!(
            (candidate.requests, candidate.errors, candidate.weight),
            (0, 0, 0)
        );
    }
}

#[tokio::test]
async fn the_shadow_takes_its_part_of_the_requests() {
    let (first, second) = (Artifacts::new(1.0), Artifacts::new(2.0));
    let ranker = pod(&first, &second);
    follow(&ranker, shares(0, 30));
    let router = app(Arc::clone(&ranker));
    for _ in 0..300 {
        rank(&router, FINE).await;
    }
    let text = get(&metrics_app(Arc::clone(&ranker)), "/metrics").await;
    let count = |outcome: &str| {
        let start = format!(r#"searchop_rank_shadow_total{{outcome="{outcome}",version="8"}} "#);
        let line = text
            .text()
            .lines()
            .find_map(|line| line.strip_prefix(&start));
        line.unwrap().parse::<u32>().unwrap()
    };
    // The rest of the sample may still wait.
    let sampled = count("ranked") + count("dropped");
    assert!((30..=130).contains(&sampled), "{sampled}");
}

fn loaded(version: u32, artifacts: &Artifacts) -> LoadedVersion {
    LoadedVersion {
        version,
        digest: artifacts.digest.clone(),
        tables_digest: artifacts.tables_digest.clone(),
    }
}

/// Replaces the file as Kubernetes does: the folder that a link points to is another one.
fn mount(folder: &Path, name: &str, content: &str) {
    let data = folder.join(name);
    fs::create_dir(&data).unwrap();
    fs::write(data.join("traffic.json"), content).unwrap();
    let link = folder.join("..data_tmp");
    symlink(name, &link).unwrap();
    fs::rename(link, folder.join("..data")).unwrap();
    let file = folder.join("traffic.json");
    if !file.exists() {
        symlink("..data/traffic.json", file).unwrap();
    }
}

fn told(process: &Process) -> Value {
    client::get(process.metrics, "/traffic").unwrap().json()
}

#[test]
fn a_process_follows_the_mounted_file() {
    let (first, second) = (Artifacts::new(1.0), Artifacts::new(2.0));
    let versions = vec![loaded(SERVED, &first), loaded(CANDIDATE, &second)];
    first.take(&second);
    let dir = tempfile::tempdir().unwrap();
    let json = |traffic: &Traffic| serde_json::to_string(traffic).unwrap();
    mount(dir.path(), "..1", &json(&shares(100, 0)));
    let option = format!("--traffic-file={}/traffic.json", dir.path().display());
    let options = ["--drain-seconds=0", "--query-log-share=1", &option];
    let mut process = Start {
        versions,
        ..Start::new(&first, &options)
    }
    .start();
    process.wait_until_ready();
    // From the first request on.
    let mut connection = Connection::open(process.rank).unwrap();
    let mut answered = |expected: u32| {
        let answer = connection.rank(FINE).unwrap().json();
        assert_eq!(answer["version"], expected, "{answer}");
        answer
    };
    let first_answer = answered(CANDIDATE);
    assert_eq!(first_answer["digest"], second.digest.as_str());

    mount(dir.path(), "..2", &json(&shares(0, 0)));
    process.wait_for("new shares", |process| told(process)["revision"] == "0-0");
    answered(SERVED);
    mount(dir.path(), "..3", "{}");
    process.wait_for("a refusal", |process| !told(process)["refused"].is_null());
    answered(SERVED);
    let report = told(&process);
    assert_eq!(
        (&report["revision"], &report["versions"][0]["weight"]),
        (&json!("0-0"), &json!(100))
    );
    assert_eq!(report["versions"][0]["requests"], 2);
    assert_eq!(report["versions"][1]["requests"], 1);

    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait().code(), Some(0));
    let versions: Vec<Value> = process
        .output()
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["query_attributes"]["version"].take()
        })
        .collect();
    assert_eq!(versions, [CANDIDATE, SERVED, SERVED]);
}

#[test]
fn a_candidate_that_cannot_be_loaded_takes_nothing_down() {
    let (first, second) = (Artifacts::new(1.0), Artifacts::new(2.0));
    let versions = vec![loaded(SERVED, &first), loaded(CANDIDATE, &second)];
    first.take(&second);
    let model = first.root().join("models").join(second.digest.hex());
    fs::write(model.join("model.bst"), "tree\n").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let traffic = serde_json::to_string(&shares(100, 0)).unwrap();
    mount(dir.path(), "..1", &traffic);
    let option = format!("--traffic-file={}/traffic.json", dir.path().display());
    let options = ["--drain-seconds=0", &option];
    let process = Start {
        versions,
        ..Start::new(&first, &options)
    }
    .start();
    process.wait_until_ready();
    let answer = Connection::open(process.rank).unwrap().rank(FINE).unwrap();
    assert_eq!(answer.json()["version"], SERVED);
    let report = told(&process);
    let (served, candidate) = (&report["versions"][0], &report["versions"][1]);
    assert_eq!(report["revision"], "100-0");
    assert_eq!(
        (&served["weight"], &candidate["weight"]),
        (&json!(100), &json!(0))
    );
    let reason = candidate["aborted"].as_str().unwrap();
    assert!(reason.contains("model.bst"), "{reason}");
}
