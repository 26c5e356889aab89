//! The description of the API is what the program does.

use std::{fs, path::PathBuf};

use http::StatusCode;
use searchop_ranker::openapi;
use serde_json::{Map, Value, json};

use crate::router::{get, loaded_and, post};

fn follow<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => schema,
    }
}

/// The alternatives of a schema, itself where it has none.
fn alternatives<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let schema = follow(document, schema);
    match schema["anyOf"].as_array() {
        Some(list) => list
            .iter()
            .flat_map(|one| alternatives(document, one))
            .collect(),
        None => vec![schema],
    }
}

#[test]
fn the_description_is_written_down() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let written = fs::read_to_string(path).unwrap_or_default();
    let written: Value = serde_json::from_str(&written).unwrap_or_default();
    assert!(
        written == openapi(),
        "docs/openapi.json is not what the code says: run `make openapi`"
    );
}

#[tokio::test]
async fn every_route_of_the_description_is_there_and_every_example_is_answered() {
    let (_artifacts, router) = loaded_and(|_| ());
    let served = get(&router, "/openapi.json").await;
    assert_eq!(served.header("content-type"), Some("application/json"));
    let document = served.json();
    assert_eq!(document, openapi());
    assert_eq!(document["openapi"], "3.1.0");
    let (mut gets, mut posts) = (0, 0);
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_some() {
            gets += 1;
            assert_eq!(get(&router, path).await.status, StatusCode::OK, "{path}");
        }
        let content = &methods["post"]["requestBody"]["content"]["application/json"];
        for (name, example) in content["examples"].as_object().into_iter().flatten() {
            posts += 1;
            let answer = post(&router, path, example["value"].to_string()).await;
            assert_eq!(
                answer.status,
                StatusCode::OK,
                "{path} {name}: {}",
                answer.text()
            );
            has_only_what_is_described(&document, methods, &answer.json());
        }
    }
    assert_eq!((gets, posts), (4, 9));
}

/// Each key at the top of an answer is a property of one of the answers described.
fn has_only_what_is_described(document: &Value, methods: &Value, answer: &Value) {
    let schema = methods.pointer("/post/responses/200/content/application~1json/schema");
    let found = alternatives(document, schema.unwrap())
        .into_iter()
        .any(|schema| {
            let (schema, answer) = match answer {
                Value::Array(list) => (follow(document, &schema["items"]), &list[0]),
                answer => (schema, answer),
            };
            let properties = schema["properties"].as_object();
            let keys = answer.as_object().unwrap().keys();
            properties
                .is_some_and(|properties| keys.into_iter().all(|key| properties.contains_key(key)))
        });
    assert!(found, "{answer}");
}

/// A wrong value for each field that the description names is refused at that field: so the code
/// reads all of them, and under these names.
#[tokio::test]
async fn every_field_of_the_description_is_read() {
    let (_artifacts, router) = loaded_and(|_| ());
    let document = openapi();
    let mut fields = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let schema = methods.pointer("/post/requestBody/content/application~1json/schema");
        for shape in schema
            .into_iter()
            .flat_map(|schema| alternatives(&document, schema))
        {
            for (field, schema) in shape["properties"].as_object().unwrap() {
                let mut body = minimal(shape);
                body.insert(field.clone(), wrong(&document, schema));
                refused(&router, path, &body, field).await;
                fields += 1;
                if ["products", "documents", "texts"].contains(&field.as_str()) {
                    fields += elements(&router, &document, path, shape, field).await;
                }
            }
        }
    }
    assert!(fields > 80, "{fields}");
}

/// Likewise for the fields of the objects in a list.
async fn elements(
    router: &axum::Router,
    document: &Value,
    path: &str,
    shape: &Value,
    list: &str,
) -> usize {
    let mut fields = 0;
    let items = &shape["properties"][list]["items"];
    for object in alternatives(document, items) {
        for (field, schema) in object["properties"].as_object().into_iter().flatten() {
            let mut product = Map::from_iter([("id".to_owned(), json!("1"))]);
            product.insert(field.clone(), wrong(document, schema));
            let mut body = minimal(shape);
            body.insert(list.to_owned(), json!([product]));
            refused(router, path, &body, &format!("{list}[0].{field}")).await;
            fields += 1;
        }
    }
    fields
}

/// An empty value for each required field.
fn minimal(shape: &Value) -> Map<String, Value> {
    let required = shape["required"].as_array().unwrap().iter();
    let value = |field: &str| match field {
        "query" => json!("a"),
        _ => json!([]),
    };
    required
        .map(|field| field.as_str().unwrap())
        .map(|field| (field.to_owned(), value(field)))
        .collect()
}

/// A value that none of the types allows.
fn wrong(document: &Value, schema: &Value) -> Value {
    let is_object = |one: &&Value| {
        let kinds = one["type"].as_array();
        one["type"] == "object" || kinds.is_some_and(|kinds| kinds.contains(&json!("object")))
    };
    let objects = alternatives(document, schema).iter().any(is_object);
    if objects { json!(true) } else { json!({}) }
}

async fn refused(router: &axum::Router, path: &str, body: &Map<String, Value>, place: &str) {
    let body = Value::from(body.clone()).to_string();
    let answer = post(router, path, body.clone()).await;
    let expected = (422, "invalid_request".to_owned(), Some(place.to_owned()));
    assert_eq!(answer.error(), expected, "{path} {body}: {}", answer.text());
}

#[tokio::test]
async fn the_page_asks_nobody_else() {
    let (_artifacts, router) = loaded_and(|ranker| ranker.tokens = None);
    let page = get(&router, "/docs").await;
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .starts_with("default-src 'none'")
    );
    for elsewhere in ["http://", "https://", "src=", "@import"] {
        assert!(!page.text().contains(elsewhere), "{elsewhere}");
    }
}
