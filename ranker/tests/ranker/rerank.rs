//! The APIs of others: Cohere and Jina, text-embeddings-inference, and columns for search engines.

use http::StatusCode;
use serde_json::json;

use crate::router::{Answer, get, loaded, loaded_and, loaded_as, post, rank};

fn named(answer: &Answer, name: &str) -> String {
    answer
        .header(&format!("x-searchop-{name}"))
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn cohere_and_jina_get_results_with_the_model_that_ranked_them() {
    let (artifacts, router) = loaded_and(|_| ());
    let body = r#"{"model":"rerank-v3.5","query":"running shoes","query_id":"q-1","documents":["3",{"id":"2","price":"500"},"1"],"top_n":2,"return_documents":true,"max_tokens_per_doc":4096}"#;
    for (path, version) in [("/v1/rerank", "1"), ("/v2/rerank", "2"), ("/rerank", "2")] {
        let answer = post(&router, path, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(
            answer.json(),
            json!({
                "id": "q-1",
                "model": "products",
                // Softsign of 0.75, twice.
                "results": [
                    {"index": 1, "relevance_score": 0.714_285_73, "document": {"text": "2"}},
                    {"index": 2, "relevance_score": 0.714_285_73, "document": {"text": "1"}},
                ],
                "usage": {"total_tokens": 0},
                "meta": {"api_version": {"version": version}},
                "searchop": {
                    "model": "products", "version": 7, "digest": artifacts.digest,
                    "tables_digest": artifacts.tables_digest, "query_id": "q-1",
                },
            })
        );
        assert!(
            answer.text().contains(r#""relevance_score":0.71428573,"#),
            "{}",
            answer.text()
        );
        assert_eq!(named(&answer, "query-id"), "q-1");
    }
    let bare = post(&router, "/v1/rerank", r#"{"query":"a","documents":["1"]}"#)
        .await
        .json();
    assert_eq!(bare["results"][0].get("document"), None);
    assert_eq!(bare["id"].as_str().unwrap().len(), 36);
}

#[tokio::test]
async fn a_model_that_compares_candidates_takes_no_parts_of_lists() {
    let (_artifacts, router) = loaded_as(|bundle| bundle.model.manifest.candidate_list = true);
    let body = r#"{"query":"running shoes","documents":["1","2"],"products":[{"id":"1"}]}"#;
    for path in ["/v1/rerank", "/v2/rerank", "/rerank"] {
        let answer = post(&router, path, body).await;
        assert_eq!(answer.error(), (422, "whole_list_needed".into(), None));
        assert!(answer.text().contains("/rank"), "{}", answer.text());
    }
    let whole = r#"{"query":"running shoes","products":[{"id":"1"},{"id":"2"}]}"#;
    assert_eq!(rank(&router, whole).await.status, StatusCode::OK);
}

#[tokio::test]
async fn text_embeddings_inference_gets_a_bare_list_and_the_model_in_the_headers() {
    let (artifacts, router) = loaded_and(|_| ());
    let body = r#"{"query":"running shoes","query_id":"q-ü","texts":["3","2"],"return_text":true,"truncate":true}"#;
    let answer = post(&router, "/rerank", body).await;
    assert_eq!(
        answer.json(),
        json!([
            {"index": 1, "score": 0.777_777_8, "text": "2"},
            {"index": 0, "score": 0.285_714_3, "text": "3"},
        ])
    );
    assert_eq!(named(&answer, "model"), "products");
    assert_eq!(named(&answer, "version"), "7");
    assert_eq!(named(&answer, "digest"), artifacts.digest.as_str());
    assert_eq!(
        named(&answer, "tables-digest"),
        artifacts.tables_digest.as_str()
    );
    let query_id = answer.headers["x-searchop-query-id"].as_bytes();
    assert_eq!(query_id, "q-ü".as_bytes());

    let raw = r#"{"query":"running shoes","texts":["3","2"],"raw_scores":true}"#;
    assert_eq!(
        post(&router, "/rerank", raw).await.json(),
        json!([{"index": 1, "score": 1.25}, {"index": 0, "score": -0.75}])
    );
    let info = get(&router, "/info").await.json();
    assert_eq!(
        (&info["model_id"], &info["max_client_batch_size"]),
        (&json!("products"), &json!(50))
    );
}

#[tokio::test]
async fn columns_get_scores_aligned_with_the_ids() {
    let (artifacts, router) = loaded_and(|_| ());
    let body = r#"{"query":"running shoes","query_id":"q","ids":[3,2,"new"],"columns":{"price":[null,500,1],"title_coverage":[null,null,1]}}"#;
    let answer = rank(&router, body).await;
    // A null gives a field back to the table, but a feature is then missing: the second one loses its match.
    let softsign = |score: f64| -> f64 {
        let shown = (0.5 * (1.0 + score / (1.0 + score.abs()))) as f32;
        shown.to_string().parse().unwrap()
    };
    assert_eq!(
        answer.json(),
        json!({
            "query_id": "q", "model": "products", "version": 7, "digest": artifacts.digest,
            "tables_digest": artifacts.tables_digest,
            "scores": [softsign(-0.75), softsign(-1.25), softsign(1.25)],
        })
    );
    let empty = rank(&router, r#"{"query":"a","ids":[]}"#).await.json();
    assert_eq!(empty["scores"], json!([]));
}

#[tokio::test]
async fn given_features_win_over_computed_ones() {
    let (_artifacts, router) = loaded_and(|_| ());
    let body = r#"{"query":"running shoes","products":[{"id":"3","features":{"title_coverage":1}},{"id":"2","features":{"price_log":9}}]}"#;
    assert_eq!(
        rank(&router, body).await.json()["products"],
        json!([{"id": "3", "score": 1.25}, {"id": "2", "score": 0.75}])
    );
}

#[tokio::test]
async fn every_route_is_counted() {
    let (_artifacts, ranker) = loaded();
    let router = searchop_ranker::app(ranker.clone());
    let body = r#"{"query":"a","documents":["1"]}"#;
    for path in ["/v1/rerank", "/v2/rerank", "/rerank"] {
        post(&router, path, body).await;
    }
    let metrics = get(&searchop_ranker::metrics_app(ranker), "/metrics").await;
    for path in ["/v1/rerank", "/v2/rerank", "/rerank"] {
        let line = format!(r#"searchop_rank_requests_total{{route="{path}",status="200"}} 1"#);
        assert!(metrics.text().contains(&line), "{line}");
    }
}
