//! Features that the spec declares: where requests give them, and what becomes of those that do not.

use std::{fs, sync::Arc, time::Duration};

use axum::Router;
use http::StatusCode;
use searchop_model::{feature_log::FeatureRecord, replay::Replay};
use searchop_ranker::{app, metrics_app};
use serde_json::{Value, json};

use crate::{
    artifacts::Artifacts,
    client::{self, Connection},
    process::Start,
    router::{get, not_loaded, post, rank},
};

fn router(artifacts: &Artifacts) -> (Router, Router) {
    let ranker = not_loaded(artifacts, Duration::from_secs(60));
    ranker.begin(artifacts.bundle());
    (app(Arc::clone(&ranker)), metrics_app(ranker))
}

/// Scores by id.
async fn scores(router: &Router, body: Value) -> Vec<(String, f64)> {
    let answer = rank(router, body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let json = answer.json();
    let products = json["products"].as_array().unwrap().iter();
    let pair = |product: &Value| {
        let id = product["id"].as_str().unwrap().to_owned();
        (id, product["score"].as_f64().unwrap())
    };
    products.map(pair).collect()
}

fn expected(scores: &[(&str, f64)]) -> Vec<(String, f64)> {
    let pair = |(id, score): &(&str, f64)| ((*id).to_owned(), *score);
    scores.iter().map(pair).collect()
}

#[tokio::test]
async fn declared_values_come_from_the_request_the_tables_or_a_default() {
    let (router, metrics) = router(&Artifacts::declaring());
    let body = json!({"query": "coffee", "features": {"season": "summer"}, "products": [
        {"id": "1", "engine_score": 10.5},
        {"id": "2", "features": {"engine_score": 3, "margin": null}},
        {"id": "3", "features": {"engine_score": 3, "margin": 0.1}},
    ]});
    // No word of the query is in a title but that of 3.
    let wanted = expected(&[("1", 5.0), ("3", 5.0), ("2", 3.5)]);
    assert_eq!(scores(&router, body).await, wanted);

    // A category that the model does not know is missing, and so is one that nobody gives.
    for features in [
        json!({"season": "spring"}),
        json!({}),
        json!({"season": null}),
    ] {
        let body = json!({"query": "coffee", "features": features, "products": [{"id": "1", "engine_score": 0}]});
        assert_eq!(scores(&router, body).await, expected(&[("1", -1.0)]));
    }
    let text = get(&metrics, "/metrics").await;
    let text = text.text();
    for line in [
        r#"searchop_rank_default_features_total{feature="margin"} 1"#,
        r#"searchop_rank_default_features_total{feature="season"} 0"#,
        r#"searchop_rank_missing_features_total{feature="season"} 3"#,
        r#"searchop_rank_missing_features_total{feature="margin"} 0"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn columns_give_declared_features_by_name() {
    let (router, _) = router(&Artifacts::declaring());
    let body = json!({"query": "coffee", "ids": ["1", "3"], "features": {"season": "winter"},
        "columns": {"engine_score": [11, 9], "margin": [0.5, null]}});
    let answer = rank(&router, body.to_string()).await.json();
    // -1 + 2 + 0.5 and 1 + 0.5, between 0 and 1.
    assert_eq!(answer["scores"], json!([0.8, 0.8]));
}

#[tokio::test]
async fn an_explanation_names_declared_features() {
    let (router, _) = router(&Artifacts::declaring());
    let body = json!({"query": "coffee", "products": [{"id": "1", "engine_score": 11}, {"id": "3", "engine_score": 1}],
        "explain": ["1", "3"]});
    let answer = rank(&router, body.to_string()).await;
    let explanation = &answer.json()["explanation"];
    assert_eq!(
        explanation["difference"]["engine_score"],
        2.0,
        "{}",
        answer.text()
    );
    assert_eq!(explanation["difference"]["season"], 0.0);
}

#[tokio::test]
async fn what_is_wrong_with_a_declared_value_is_said_where_it_is() {
    let (router, _) = router(&Artifacts::declaring());
    let products = |product: Value| json!({"query": "a", "products": [product]});
    let product = |features: Value| products(json!({"id": "p", "features": features}));
    let whole = |features: Value| json!({"query": "a", "features": features, "products": []});
    let columns = |columns: Value| json!({"query": "a", "ids": ["p"], "columns": columns});
    let many: serde_json::Map<String, Value> =
        (0..33).map(|n| (format!("f{n}"), json!(1))).collect();
    for (body, code, path, message) in [
        (
            json!({"query": "a", "products": [{"id": "p", "engine_score": 1}, {"id": "q"}]}),
            "missing_feature",
            Some("products[1].features.engine_score"),
            "the model needs \"engine_score\" (BM25) of each product, and \"q\" has none",
        ),
        (
            product(json!({"engine_score": null})),
            "missing_feature",
            Some("products[0].features.engine_score"),
            "\"p\" has none",
        ),
        (
            columns(json!({"margin": [1]})),
            "missing_feature",
            Some("columns.engine_score[0]"),
            "\"p\" has none",
        ),
        (
            product(json!({"engine_score": "12"})),
            "invalid_request",
            Some("products[0].features.engine_score"),
            "\"12\" is not a number; engine_score is in BM25",
        ),
        (
            product(json!({"engine_score": 1e39})),
            "invalid_request",
            Some("products[0].features.engine_score"),
            "out of the range of a 32-bit float",
        ),
        (
            product(json!({"engine_score": true})),
            "invalid_request",
            Some("products[0].features.engine_score"),
            "true is not a number",
        ),
        (
            product(json!({"engine_score": [1]})),
            "invalid_request",
            Some("products[0].features.engine_score"),
            "expected a number, a string or null",
        ),
        (
            columns(json!({"engine_score": ["x"]})),
            "invalid_request",
            Some("columns.engine_score[0]"),
            "\"x\" is not a number",
        ),
        (
            products(json!({"id": "p", "engine_score": 1, "features": {"engine_score": 1}})),
            "invalid_request",
            Some("products[0].features.engine_score"),
            "the feature is there twice",
        ),
        (
            product(json!({"engine_score": 1, "season": "winter"})),
            "invalid_request",
            Some("products[0].features.season"),
            "season is a feature of the whole request",
        ),
        (
            whole(json!({"engine_score": 1})),
            "invalid_request",
            Some("features.engine_score"),
            "engine_score is a feature of products",
        ),
        (
            whole(json!({"rating": 1})),
            "invalid_request",
            Some("features.rating"),
            "rating is a feature of products",
        ),
        (
            whole(json!({"season": 1.5})),
            "invalid_request",
            Some("features.season"),
            "1.5 is not a category",
        ),
        (
            whole(json!({"else": 1})),
            "invalid_request",
            Some("features.else"),
            "the model has no such feature",
        ),
        (
            product(json!({"else": 1})),
            "invalid_request",
            Some("products[0].features.else"),
            "the model has no such feature",
        ),
        (
            columns(json!({"else": [1]})),
            "invalid_request",
            Some("columns.else"),
            "products have no such field or feature",
        ),
        (
            product(Value::Object(many)),
            "invalid_request",
            Some("products[0].features"),
            "more than 32 features",
        ),
    ] {
        let answer = rank(&router, body.to_string()).await;
        let wanted = (422, code.to_owned(), path.map(str::to_owned));
        assert_eq!(answer.error(), wanted, "{body}: {}", answer.text());
        let found = answer.json()["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(found.contains(message), "{body}: {found}");
    }
}

#[tokio::test]
async fn a_required_feature_of_the_catalogue_is_asked_of_products_that_it_lacks() {
    let artifacts = Artifacts::declaring_as(|[engine_score, margin, _]| {
        engine_score.feature.required = false;
        margin.feature.default = None;
        margin.feature.required = true;
    });
    let (router, _) = router(&artifacts);
    let known =
        json!({"query": "coffee", "products": ["1", {"id": "2", "features": {"margin": 0.1}}]});
    assert_eq!(scores(&router, known).await.len(), 2);
    let body = json!({"query": "coffee", "documents": ["1", "new"]});
    let answer = post(&router, "/v1/rerank", body.to_string()).await;
    let wanted = (
        422,
        "missing_feature".to_owned(),
        Some("documents[1]".to_owned()),
    );
    assert_eq!(answer.error(), wanted);
    assert!(
        answer
            .text()
            .contains("of the catalogue, and \\\"new\\\" has none"),
        "{}",
        answer.text()
    );
    let body = json!({"query": "coffee", "documents": ["1", "3"]});
    assert_eq!(
        post(&router, "/v1/rerank", body.to_string()).await.status,
        200
    );
}

#[tokio::test]
async fn routes_that_cannot_bring_a_required_feature_say_so() {
    let (product, _) = router(&Artifacts::declaring());
    let (request, _) = router(&Artifacts::declaring_as(|[engine_score, _, season]| {
        engine_score.feature.required = false;
        season.feature.required = true;
    }));
    for (router, feature, path) in [
        (&product, "engine_score", Some("documents[0]")),
        (&request, "season", None),
    ] {
        for route in ["/v1/rerank", "/v2/rerank", "/rerank"] {
            let body = json!({"query": "coffee", "documents": ["1"]});
            let answer = post(router, route, body.to_string()).await;
            let wanted = (422, "missing_feature".to_owned(), path.map(str::to_owned));
            assert_eq!(answer.error(), wanted, "{route}");
            let text = answer.text();
            assert!(
                text.contains(feature) && text.contains("send the list to /rank"),
                "{text}"
            );
        }
    }
}

#[test]
fn records_of_features_are_computed_again_with_declared_ones() {
    let artifacts = Artifacts::declaring();
    let dir = tempfile::tempdir().unwrap();
    let option = format!("--feature-log-folder={}", dir.path().display());
    let options = ["--drain-seconds=0", "--feature-log-share=1", &option];
    let process = Start::new(&artifacts, &options).start();
    process.wait_until_ready();
    let body = json!({"query": "coffee", "features": {"season": "summer"}, "products": [
        {"id": "1", "engine_score": 0.1}, {"id": "2", "features": {"engine_score": 7}},
    ]});
    let mut connection = Connection::open(process.rank).unwrap();
    assert_eq!(connection.rank(&body.to_string()).unwrap().status, 200);
    let line = r#"searchop_rank_feature_records_total{outcome="written"} 1"#;
    process.wait_for("records", |process| {
        client::get(process.metrics, "/metrics")
            .unwrap()
            .text()
            .contains(line)
    });
    let file = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap();
    let text = fs::read_to_string(file.path()).unwrap();
    let record: FeatureRecord = serde_json::from_str(text.trim_end()).unwrap();
    let bundle = artifacts.bundle();
    let schema = &bundle.model.schema;
    let letters = |index: usize| {
        let candidate = &record.candidates[index];
        let letter = |name| candidate.sources.as_bytes()[schema.find(name).unwrap().0] as char;
        ["engine_score", "margin", "season"].map(letter)
    };
    assert_eq!((letters(0), letters(1)), (['r', 't', 'r'], ['r', 'd', 'r']));
    assert_eq!(record.features, schema.names());

    let mut replay = Replay::default();
    replay.add(&record, &bundle).unwrap();
    assert_eq!(
        (replay.rows, replay.equal_rows),
        (2, 2),
        "{:?}",
        replay.features
    );
    let mut other = record;
    other.declared.clear();
    replay.add(&other, &bundle).unwrap();
    assert_eq!(replay.features["season"].different, 2);
}
