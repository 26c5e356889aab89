//! `explain`: why products have their scores.

use http::StatusCode;
use serde_json::{Value, json};

use crate::router::{loaded_and, post, rank};

fn sum(parts: &Value) -> f64 {
    let parts = parts.as_object().unwrap();
    parts.values().map(|part| part.as_f64().unwrap()).sum()
}

#[tokio::test]
async fn contributions_are_told_by_name_and_sum_to_the_score() {
    let (_artifacts, router) = loaded_and(|_| ());
    let body =
        r#"{"query":"running shoes","products":["1",{"id":3},"2"],"explain":[3,"1"],"top_k":1}"#;
    let answer = rank(&router, body).await.json();
    // Also of products that the answer has no place for.
    assert_eq!(answer["products"], json!([{"id": "2", "score": 1.25}]));
    let explanation = &answer["explanation"];
    assert_eq!(explanation["expected"], 0.0);
    let products = explanation["products"].as_array().unwrap();
    for (product, (id, title, price)) in products
        .iter()
        .zip([(json!(3), -1.0, 0.25), (json!("1"), 1.0, -0.25)])
    {
        assert_eq!(product["id"], id);
        let parts = &product["contributions"];
        assert_eq!(parts["title_coverage"], title);
        assert_eq!(parts["price_log"], price);
        assert_eq!(parts["rating"], 0.0);
        assert_eq!(sum(parts), title + price);
    }
    let difference = &explanation["difference"];
    assert_eq!(difference["title_coverage"], -2.0);
    assert_eq!(difference["price_log"], 0.5);
    assert_eq!(sum(difference), -1.5);
}

#[tokio::test]
async fn one_product_is_compared_with_nothing_and_columns_are_explained_too() {
    let (_artifacts, router) = loaded_and(|_| ());
    let body = r#"{"query":"running shoes","ids":["1","3"],"columns":{"price":[50,null]},"explain":["1"]}"#;
    let answer = rank(&router, body).await.json();
    assert_eq!(answer["scores"].as_array().unwrap().len(), 2);
    assert_eq!(answer["explanation"].get("difference"), None);
    let [product] = &answer["explanation"]["products"].as_array().unwrap()[..] else {
        panic!("{answer}")
    };
    assert_eq!(product["contributions"]["price_log"], 0.25);
    let plain = rank(&router, r#"{"query":"a","products":["1"],"explain":[]}"#).await;
    assert_eq!(plain.json().get("explanation"), None);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_as_without_explanations() {
    let (_artifacts, router) = loaded_and(|_| ());
    let body = r#"{"query":"a","products":["1"],"explain":["1","gone"]}"#;
    let answer = post(&router, "/rank", body).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.json()["error"]["path"], "explain[1]");
}
