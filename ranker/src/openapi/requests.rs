//! What requests may look like. Bodies are read by hand, for their paths and bounds; a test sends a
//! wrong value for every field that is named here.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use searchop_model::features::features;
use serde_json::{Map, Value, json};

use crate::request::{MAX_EXPLAINED, MAX_QUERY_CHARS, MAX_QUERY_ID_CHARS, MAX_SORT_CHARS};

const PRINTABLE: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

/// A search and its candidates.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
pub enum RankRequest {
    Products(ProductsRequest),
    Columns(ColumnsRequest),
}

/// Products that come back in order.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct ProductsRequest {
    /// What was searched for.
    #[schemars(length(max = MAX_QUERY_CHARS))]
    query: String,
    /// Goes back in the answer; a new one where absent.
    #[schemars(length(max = MAX_QUERY_ID_CHARS), regex(pattern = PRINTABLE))]
    query_id: Option<String>,
    user_id: Option<Id>,
    /// The candidates, at most what `spec.serving.maxCandidates` says.
    products: Vec<ProductOrId>,
    /// How many products the answer has at most.
    #[schemars(range(min = 1))]
    top_k: Option<u32>,
    /// Ids of products whose scores are to be explained; two are compared too.
    #[schemars(length(max = MAX_EXPLAINED))]
    explain: Option<Vec<Id>>,
    features: Option<RequestFeatures>,
    /// Which page of the results this is; only kept in records of features.
    #[schemars(range(min = 1))]
    page: Option<u32>,
    /// Likewise the order of the results.
    #[schemars(length(max = MAX_SORT_CHARS))]
    sort: Option<String>,
    /// Likewise what they were filtered by.
    filters: Option<Map<String, Value>>,
}

/// Ids whose scores come back in the order of the request.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct ColumnsRequest {
    /// What was searched for.
    #[schemars(length(max = MAX_QUERY_CHARS))]
    query: String,
    /// Goes back in the answer; a new one where absent.
    #[schemars(length(max = MAX_QUERY_ID_CHARS), regex(pattern = PRINTABLE))]
    query_id: Option<String>,
    user_id: Option<Id>,
    /// The candidates, at most what `spec.serving.maxCandidates` says.
    ids: Vec<Id>,
    columns: Option<Columns>,
    /// Ids whose scores are to be explained; two are compared too.
    #[schemars(length(max = MAX_EXPLAINED))]
    explain: Option<Vec<Id>>,
    features: Option<RequestFeatures>,
    /// Which page of the results this is; only kept in records of features.
    #[schemars(range(min = 1))]
    page: Option<u32>,
    /// Likewise the order of the results.
    #[schemars(length(max = MAX_SORT_CHARS))]
    sort: Option<String>,
    /// Likewise what they were filtered by.
    filters: Option<Map<String, Value>>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
enum ProductOrId {
    Id(Id),
    Product(Box<Product>),
}

/// A product and what the request says about it; other fields are ignored.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Product {
    id: Id,
    title: Option<String>,
    description: Option<String>,
    bullet_points: Option<String>,
    brand: Option<String>,
    color: Option<String>,
    category: Option<String>,
    price: Option<f64>,
    /// Stars.
    rating: Option<f64>,
    rating_count: Option<f64>,
    /// Pieces left.
    stock: Option<f64>,
    /// When the product entered the shop, in seconds since 1970.
    #[schemars(range(min = i64::MIN, max = i64::MAX))]
    added_time: Option<i64>,
    features: Option<Features>,
    /// What the engine gave it: kept in records of features, and the value of a declared feature of this
    /// name.
    engine_score: Option<f64>,
}

/// A search and its candidates, with exactly one of `documents` and `texts`.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
pub enum RerankRequest {
    Documents(DocumentsRequest),
    Texts(TextsRequest),
}

/// The shape of Cohere and Jina.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct DocumentsRequest {
    /// What was searched for.
    #[schemars(length(max = MAX_QUERY_CHARS))]
    query: String,
    /// Goes back in the answer; a new one where absent.
    #[schemars(length(max = MAX_QUERY_ID_CHARS), regex(pattern = PRINTABLE))]
    query_id: Option<String>,
    user_id: Option<Id>,
    /// The candidates, at most what `spec.serving.maxCandidates` says.
    documents: Vec<DocumentOrId>,
    /// How many results the answer has at most; also `top_k`.
    #[schemars(range(min = 1))]
    top_n: Option<u32>,
    /// Whether the ids go back with the scores.
    return_documents: Option<bool>,
}

/// The shape of text-embeddings-inference.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct TextsRequest {
    /// What was searched for.
    #[schemars(length(max = MAX_QUERY_CHARS))]
    query: String,
    /// Goes back in a header; a new one where absent.
    #[schemars(length(max = MAX_QUERY_ID_CHARS), regex(pattern = PRINTABLE))]
    query_id: Option<String>,
    user_id: Option<Id>,
    /// The candidates, at most what `spec.serving.maxCandidates` says.
    texts: Vec<DocumentOrId>,
    /// How many results the answer has at most; also `top_k`.
    #[schemars(range(min = 1))]
    top_n: Option<u32>,
    /// Whether the ids go back with the scores.
    return_text: Option<bool>,
    /// The model's own scores instead of those between 0 and 1.
    raw_scores: Option<bool>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
enum DocumentOrId {
    Id(DocumentId),
    Document(Box<Document>),
}

/// A product whose numbers may stand in strings; other fields are ignored.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Document {
    /// Also `text`.
    id: DocumentId,
    title: Option<String>,
    description: Option<String>,
    bullet_points: Option<String>,
    brand: Option<String>,
    color: Option<String>,
    category: Option<String>,
    price: Option<Number>,
    /// Stars.
    rating: Option<Number>,
    rating_count: Option<Number>,
    /// Pieces left.
    stock: Option<Number>,
    /// When the product entered the shop, in seconds since 1970.
    added_time: Option<Number>,
}

/// Schemas that are no Rust type.
macro_rules! schema {
    ($name:ident, $schema:expr) => {
        struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

schema!(
    Id,
    json_schema!({
        "description": "Goes back in the type it came in; 7 and \"7\" are the same product.",
        "anyOf": [
            {"type": "string"},
            {"type": "integer", "minimum": i64::MIN, "maximum": u64::MAX},
        ],
    })
);

schema!(
    DocumentId,
    json_schema!({
        "description": "Id of a product. A string that starts with { is a product object as JSON.",
        "anyOf": [
            {"type": "string", "pattern": r"^(?!\s*\{)"},
            {"type": "integer", "minimum": i64::MIN, "maximum": u64::MAX},
        ],
    })
);

schema!(
    Number,
    json_schema!({
        "description": "A number, or one in a string; an empty string is a missing one.",
        "type": ["number", "string"],
    })
);

schema!(
    Features,
    json_schema!({
        "description": "Values of features that are given instead of computed; null is a missing one. Further names are features that the model declares.",
        "type": "object",
        "properties": named(&feature_value()),
        "additionalProperties": declared_value(),
    })
);

schema!(
    RequestFeatures,
    json_schema!({
        "description": "Values of features that the model declares of the request as a whole.",
        "type": "object",
        "additionalProperties": declared_value(),
    })
);

schema!(
    Columns,
    json_schema!({
        "description": "Values by field or feature of a product, in the order of the ids and as many. Further names are features that the model declares.",
        "type": "object",
        "properties": columns(),
        "additionalProperties": {"type": "array", "items": declared_value()},
    })
);

/// In the range of an `f32`.
fn feature_value() -> Value {
    json!({"type": ["number", "null"]})
}

/// A number or a category, as the model declares the feature.
fn declared_value() -> Value {
    json!({"type": ["number", "string", "boolean", "null"]})
}

fn named(schema: &Value) -> Map<String, Value> {
    let names = features().iter().map(|feature| feature.name.to_owned());
    names.map(|name| (name, schema.clone())).collect()
}

fn columns() -> Map<String, Value> {
    let list = |items: Value| json!({"type": "array", "items": items});
    let mut columns = named(&list(feature_value()));
    for field in [
        "title",
        "description",
        "bullet_points",
        "brand",
        "color",
        "category",
    ] {
        columns.insert(field.to_owned(), list(json!({"type": ["string", "null"]})));
    }
    for field in ["price", "rating", "rating_count", "stock"] {
        columns.insert(field.to_owned(), list(json!({"type": ["number", "null"]})));
    }
    let time = json!({"type": ["integer", "null"], "minimum": i64::MIN, "maximum": i64::MAX});
    columns.insert("added_time".to_owned(), list(time));
    columns
}

/// Requests to try the native route with.
pub fn rank_examples() -> Value {
    json!({
        "ids": {
            "summary": "Ids of the catalogue",
            "value": {"query": "running shoes", "products": ["p40001", "p40002", "p40003"], "top_k": 2},
        },
        "documents": {
            "summary": "Whole documents",
            "value": {"query": "running shoes", "user_id": "u-1", "products": [
                {"id": 1, "title": "Nike Running Shoes", "price": 99.99, "category": "sports_outdoors"},
                {"id": 2, "title": "Coffee grinder", "price": 39.0, "stock": 0},
            ]},
        },
        "columns": {
            "summary": "Columns",
            "value": {
                "query": "running shoes",
                "ids": ["p40001", "p40002"],
                "columns": {"price": [99.99, 39.0], "rating": [4.1, null]},
            },
        },
    })
}

/// Requests to try the rerank routes with.
pub fn rerank_examples() -> Value {
    json!({
        "documents": {
            "summary": "Cohere and Jina",
            "value": {
                "model": "products",
                "query": "running shoes",
                "documents": ["p40001", {"id": "p40002", "title": "Nike Running Shoes", "price": "99.99"}],
                "top_n": 2,
            },
        },
        "texts": {
            "summary": "text-embeddings-inference",
            "value": {"query": "running shoes", "texts": ["p40001", "p40002"], "raw_scores": false},
        },
    })
}

#[cfg(test)]
mod tests {
    use searchop_contract::PRODUCT_FIELDS;

    use super::*;

    #[test]
    fn the_contract_names_the_fields_of_products() {
        let columns = columns();
        for field in PRODUCT_FIELDS.iter().filter(|field| **field != "id") {
            assert!(columns.contains_key(*field), "{field}");
        }
        let is_feature = |name: &String| features().iter().any(|feature| feature.name == name);
        for name in columns.keys().filter(|name| !is_feature(name)) {
            assert!(PRODUCT_FIELDS.contains(&&**name), "{name}");
        }
    }
}
