use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, mpsc},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use hyper::body::{Frame, SizeHint};
use searchop_contract::HistogramReport;
use searchop_model::{features, reference::bin};
use searchop_ranker::{Limits, Ranker, app, metrics_app};
use serde_json::json;

use crate::{
    artifacts::Artifacts,
    client::RANK,
    router::{Answer, get, identity, loaded, loaded_with, not_loaded, rank},
};

#[tokio::test]
async fn products_come_back_in_order_with_their_ids_and_the_model() {
    let (artifacts, ranker) = loaded();
    let router = app(ranker);
    let answer = rank(&router, RANK).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let mut body = answer.json();
    let query_id = body.as_object_mut().unwrap().remove("query_id").unwrap();
    assert_eq!(query_id.as_str().unwrap().len(), 36);
    assert_eq!(
        body,
        json!({
            "model": "products",
            "version": 7,
            "digest": artifacts.digest,
            "tables_digest": artifacts.tables_digest,
            "products": [{"id": 1, "score": 1.25}, {"id": "3", "score": -0.75}],
        })
    );
}

#[tokio::test]
async fn the_request_wins_over_the_table_and_ids_alone_are_enough() {
    let (_artifacts, ranker) = loaded();
    let router = app(ranker);
    let products = |answer: &Answer| answer.json()["products"].clone();
    let body = r#"{"query":"running shoes","query_id":"q-9","products":[{"id":"3"},{"id":1},{"id":2},{"id":"new"}]}"#;
    let answer = rank(&router, body).await;
    assert_eq!(answer.json()["query_id"], "q-9");
    let by_table = json!([
        {"id": 2, "score": 1.25}, {"id": 1, "score": 0.75},
        {"id": "3", "score": -0.75}, {"id": "new", "score": -1.25},
    ]);
    assert_eq!(products(&answer), by_table);

    let body = r#"{"query":"running shoes","top_k":2,"products":[{"id":2,"price":500},{"id":1,"price":5},{"id":1}]}"#;
    let by_request = json!([{"id": 1, "score": 1.25}, {"id": 2, "score": 0.75}]);
    assert_eq!(products(&rank(&router, body).await), by_request);
}

#[tokio::test]
async fn repeated_ids_come_back_once_a_product_in_the_order_of_the_request() {
    let (_artifacts, ranker) = loaded();
    let body = r#"{"query":"running shoes","products":[{"id":"2"},{"id":2},{"id":"2"}]}"#;
    let answer = rank(&app(ranker), body).await;
    let same =
        json!([{"id": "2", "score": 1.25}, {"id": 2, "score": 1.25}, {"id": "2", "score": 1.25}]);
    assert_eq!(answer.json()["products"], same);
}

#[tokio::test]
async fn no_products_is_an_empty_answer() {
    let (_artifacts, ranker) = loaded();
    let answer = rank(&app(ranker), r#"{"query":"","products":[]}"#).await;
    assert_eq!(
        (answer.status, &answer.json()["products"]),
        (StatusCode::OK, &json!([]))
    );
}

/// A body of this announced length of which nothing ever comes.
struct Stuck(u64);

impl hyper::body::Body for Stuck {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let (_artifacts, ranker) = loaded_with(Duration::from_millis(100));
    let answer = rank(&app(ranker), Body::new(Stuck(90))).await;
    assert_eq!(answer.error(), (408, "request_timeout".to_owned(), None));
}

#[tokio::test]
async fn bodies_that_fill_the_memory_set_aside_for_them_are_refused_at_once() {
    const LARGEST: usize = 128 << 20;
    let artifacts = Artifacts::new(1.0);
    let limits = Limits {
        max_candidates: 50,
        max_body_bytes: LARGEST,
        request_timeout: Duration::from_secs(60),
    };
    let ranker = Arc::new(Ranker::new(vec![identity(&artifacts)], limits, 1));
    ranker.begin(artifacts.bundle());
    let router = app(Arc::clone(&ranker));
    let stuck = tokio::spawn({
        let router = router.clone();
        async move { rank(&router, Body::new(Stuck(LARGEST as u64))).await.status }
    });
    tokio::task::yield_now().await;
    let begin = Instant::now();
    let refused = rank(&router, RANK).await;
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "not refused at once"
    );
    assert_eq!(refused.error(), (503, "overloaded".to_owned(), None));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(ranker.metrics.shed.get(), 1);

    stuck.abort();
    assert!(stuck.await.unwrap_err().is_cancelled());
    assert_eq!(rank(&router, RANK).await.status, StatusCode::OK);
}

/// As the program does it: one thread more than the ranker has workers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_answers_at_once_and_a_long_wait_ends() {
    let (_artifacts, ranker) = loaded_with(Duration::from_secs(2));
    let router = app(Arc::clone(&ranker));
    let (open, gate) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel::<()>();
    let busy = tokio::spawn({
        let ranker = Arc::clone(&ranker);
        let work = move || begin.send(()).is_ok() && gate.recv().is_ok();
        async move { ranker.pool.run(work).await }
    });
    begun.recv().unwrap();

    let waiting: Vec<_> = (0..16)
        .map(|_| {
            let router = router.clone();
            tokio::spawn(async move { rank(&router, RANK).await.error() })
        })
        .collect();
    while ranker.metrics.queue_depth.get() < 16 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let begin = Instant::now();
    let refused = rank(&router, RANK).await;
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "not refused at once"
    );
    assert_eq!(refused.error(), (503, "overloaded".to_owned(), None));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(ranker.metrics.shed.get(), 1);
    for waited in waiting {
        assert_eq!(waited.await.unwrap(), (503, "overloaded".to_owned(), None));
    }
    open.send(()).unwrap();
    assert!(busy.await.unwrap().unwrap());
    assert_eq!(rank(&router, RANK).await.status, StatusCode::OK);
    assert_eq!(ranker.metrics.queue_depth.get(), 0);
}

#[tokio::test]
async fn probes_tell_where_the_program_is_in_its_life() {
    let artifacts = Artifacts::new(1.0);
    let ranker = not_loaded(&artifacts, Duration::from_secs(60));
    let (router, metrics) = (app(Arc::clone(&ranker)), metrics_app(Arc::clone(&ranker)));
    let health = |status: &str, trained: Option<&str>| {
        let mut body = json!({
            "status": status, "model": "products", "version": 7,
            "digest": artifacts.digest, "tables_digest": artifacts.tables_digest,
        });
        if let Some(trained) = trained {
            body["trained_through_time"] = trained.into();
        }
        body
    };
    for router in [&router, &metrics] {
        assert_eq!(get(router, "/livez").await.status, StatusCode::OK);
        let ready = get(router, "/readyz").await;
        assert_eq!(ready.error(), (503, "not_ready".to_owned(), None));
        assert_eq!(ready.header("retry-after"), Some("1"));
        let answer = get(router, "/health").await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()),
            (503, health("loading", None))
        );
    }
    let early = rank(&router, RANK).await;
    assert_eq!(early.error(), (503, "not_ready".to_owned(), None));
    assert_eq!(early.header("retry-after"), Some("1"));
    ranker.waits_for("storage does not answer".to_owned());
    assert!(
        get(&router, "/readyz")
            .await
            .text()
            .contains("storage does not answer")
    );

    ranker.begin(artifacts.bundle());
    let trained = Some("2026-03-01T00:00:00Z");
    for router in [&router, &metrics] {
        assert_eq!(get(router, "/readyz").await.status, StatusCode::OK);
        let answer = get(router, "/health").await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()),
            (200, health("ready", trained))
        );
    }
    assert_eq!(rank(&router, RANK).await.header("connection"), None);

    ranker.drain();
    ranker.waits_for("too late".to_owned());
    for router in [&router, &metrics] {
        assert_eq!(
            get(router, "/readyz").await.error(),
            (503, "draining".to_owned(), None)
        );
        assert_eq!(get(router, "/livez").await.status, StatusCode::OK);
        assert_eq!(
            get(router, "/health").await.json(),
            health("draining", trained)
        );
    }
    let last = rank(&router, RANK).await;
    assert_eq!(
        (last.status, last.header("connection")),
        (StatusCode::OK, Some("close"))
    );
}

#[tokio::test]
async fn one_product_a_request_is_counted_in_the_bins_of_the_training_rows() {
    let (artifacts, ranker) = loaded();
    let (router, metrics) = (app(Arc::clone(&ranker)), metrics_app(ranker));
    let one = r#"{"query":"running shoes","products":[{"id":"2"}]}"#;
    let unknown = r#"{"query":"running shoes","products":[{"id":"a"},{"id":"b"}]}"#;
    for body in [one, one, unknown, "{", r#"{"query":"","products":[]}"#] {
        rank(&router, body).await;
    }
    let answer = get(&metrics, "/histograms").await;
    let report: HistogramReport = serde_json::from_slice(&answer.body).unwrap();
    let [version] = &report.versions[..] else {
        panic!("{report:?}")
    };
    assert_eq!((version.version, version.requests), (7, 3));
    assert_eq!(version.digest, artifacts.digest);
    let column = features::column("price_log").unwrap();
    let (of, counts) = (
        &version.reference.features[column],
        &version.features[column],
    );
    assert_eq!((of.feature.as_str(), of.importance), ("price_log", 1.0));
    let price = f64::from(81f64.ln() as f32);
    let mut expected = vec![0; of.bins.places()];
    expected[bin(&of.bins.bounds, price)] = 2;
    expected[bin(&of.bins.bounds, f64::NAN)] = 1;
    assert_eq!(*counts, expected);
    assert_eq!(version.scores.iter().sum::<u64>(), 3);

    let metrics = get(&metrics, "/metrics").await;
    for line in [
        r#"searchop_rank_feature_value_count{feature="price_log",version="7"} 2"#,
        r#"searchop_rank_feature_value_missing_total{feature="price_log",version="7"} 1"#,
        r#"searchop_rank_score_bucket{version="7",le="+Inf"} 3"#,
    ] {
        let text = metrics.text();
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn metrics_count_routes_not_paths() {
    let (artifacts, ranker) = loaded();
    let (router, metrics) = (app(Arc::clone(&ranker)), metrics_app(ranker));
    rank(&router, RANK).await;
    rank(
        &router,
        r#"{"query":"running shoes","products":[{"id":"new"},{"id":"newer"}]}"#,
    )
    .await;
    rank(&router, "{").await;
    for path in ["/a", "/b\"}", "/rank/%7B"] {
        get(&router, path).await;
    }
    let answer = get(&metrics, "/metrics").await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4")
    );
    let text = answer.text();
    for line in [
        r#"searchop_rank_requests_total{route="/rank",status="200"} 2"#,
        r#"searchop_rank_requests_total{route="/rank",status="400"} 1"#,
        r#"searchop_rank_requests_total{route="unmatched",status="404"} 3"#,
        r#"searchop_rank_duration_seconds_count{route="/rank"} 3"#,
        r#"searchop_rank_duration_seconds_bucket{route="/rank",le="+Inf"} 3"#,
        r#"searchop_rank_scoring_seconds_count{version="7"} 2"#,
        r#"searchop_rank_rankings_total{outcome="answered",version="7"} 2"#,
        r#"searchop_rank_weight_percent{version="7"} 100"#,
        r#"searchop_rank_candidates_bucket{le="1"} 0"#,
        r#"searchop_rank_candidates_bucket{le="5"} 2"#,
        "searchop_rank_queue_depth 0",
        "searchop_rank_shed_total 0",
        "searchop_rank_unknown_ids_total 2",
        // Two products have no price and no title; nothing was ever rated.
        r#"searchop_rank_missing_features_total{feature="price_log"} 2"#,
        r#"searchop_rank_missing_features_total{feature="rating"} 4"#,
        r#"searchop_rank_query_records_total{outcome="written"} 0"#,
        &format!(
            r#"searchop_model_info{{digest="{}",model="products",tables_digest="{}",version="7"}} 1"#,
            artifacts.digest, artifacts.tables_digest
        ),
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
}
