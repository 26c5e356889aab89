//! Rules after scoring, in every shape of answer.

use searchop_contract::ServingRule;
use serde_json::{Value, json};

use crate::router::{loaded_and, post, rank};

fn rules() -> Vec<ServingRule> {
    serde_json::from_value(json!([
        {"name": "promo", "pins": {"queries": ["Running  Shoes"], "ids": ["3", "new"]}},
        {"name": "sold-out", "outOfStock": "Last"},
    ]))
    .unwrap()
}

/// By score: 2 (1.25), 1 (0.75), 3 (-0.75), new (-1.25); 2 is sold out.
const PRODUCTS: &str = r#"[{"id":"1"},{"id":"2","stock":0},"new","3"]"#;

fn body(query: &str, list: &str) -> String {
    format!(r#"{{"query":"{query}","{list}":{PRODUCTS}}}"#)
}

#[tokio::test]
async fn pins_come_first_sold_out_products_last_and_the_answer_names_the_rule() {
    let (_artifacts, router) = loaded_and(|ranker| ranker.rules = rules());
    let answer = rank(&router, body("running shoes", "products")).await;
    assert_eq!(
        answer.json()["products"],
        json!([
            {"id": "3", "score": -0.75, "rule": "promo"},
            {"id": "new", "score": -1.25, "rule": "promo"},
            {"id": "1", "score": 0.75},
            {"id": "2", "score": 1.25, "rule": "sold-out"},
        ])
    );
    // The pins are for one query, and the best two are the best two by the rules.
    let body = body("shoes", "products").replacen('{', r#"{"top_k":2,"#, 1);
    let answer = rank(&router, body).await;
    assert_eq!(
        answer.json()["products"],
        json!([{"id": "1", "score": 0.75}, {"id": "3", "score": -0.75}])
    );
}

#[tokio::test]
async fn scores_of_other_shapes_keep_the_order_that_the_rules_made() {
    let (_artifacts, router) = loaded_and(|ranker| ranker.rules = rules());
    let answer = post(&router, "/v1/rerank", body("running shoes", "documents")).await;
    let answer = answer.json();
    let results = answer["results"].as_array().unwrap();
    let indices: Vec<&Value> = results.iter().map(|result| &result["index"]).collect();
    assert_eq!(indices, [3, 2, 0, 1]);
    let scores: Vec<f64> = results
        .iter()
        .map(|result| result["relevance_score"].as_f64().unwrap())
        .collect();
    assert!(scores.is_sorted_by(|a, b| a > b), "{scores:?}");
    assert_eq!(answer["searchop"]["rules"], json!(["promo", "sold-out"]));

    let columns = r#"{"query":"running shoes","ids":["1","2","new","3"],"columns":{"stock":[null,0,null,null]}}"#;
    let answer = rank(&router, columns).await.json();
    let by_index = |index: usize| {
        results
            .iter()
            .find(|result| result["index"] == index)
            .unwrap()
    };
    for index in 0..4 {
        assert_eq!(answer["scores"][index], by_index(index)["relevance_score"]);
    }
    assert_eq!(answer["rules"], json!(["promo", "sold-out"]));

    // Ranked in parts, each product has the same score.
    let alone = r#"{"query":"running shoes","documents":["1"]}"#;
    let alone = post(&router, "/rerank", alone).await.json();
    assert_eq!(
        alone["results"][0]["relevance_score"],
        by_index(0)["relevance_score"]
    );
}
