//! The API as an OpenAPI document, made from the types that are answered and the limits that are
//! checked, and a page that shows it and tries it out.

mod requests;

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    answer::{RankAnswer, RerankAnswer, ScoresAnswer, TextScore},
    app::{Health, Info, NAMES},
    error::ErrorAnswer,
};

/// The document as it is served.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// Answers `GET /openapi.json`.
pub async fn json() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

/// Answers `GET /docs`. The page needs nothing but this server.
pub async fn page() -> Response {
    const OWN: &str = "default-src 'none'; connect-src 'self'; img-src data:; \
                       script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'";
    (
        [(CONTENT_SECURITY_POLICY, OWN)],
        Html(include_str!("docs.html")),
    )
        .into_response()
}

/// The whole API in OpenAPI 3.1.
pub fn document() -> Value {
    let mut schemas = Schemas::new();
    let paths = paths(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "SearchOp ranker",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": "Puts the candidates of a search in order with one version of a ranking model. \
                Every answer names the model, its version and its digests, and a query id by which \
                clicks can be attributed to it.",
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "rank", "description": "SearchOp's own API"},
            {"name": "rerank", "description": "The same in the shapes that other clients speak"},
            {"name": "status", "description": "How the program is doing"},
        ],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Needed where spec.serving.tokenSecretRef is set",
                },
            },
        },
    })
}

/// Schemas of requests and of answers: what must be there differs between reading and writing.
struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12()
                .with(|settings| settings.definitions_path = "/components/schemas".into())
        };
        Self {
            read: settings().into_generator(),
            written: settings().for_serialize().into_generator(),
        }
    }

    fn read<T: JsonSchema>(&mut self) -> Value {
        self.read.subschema_for::<T>().into()
    }

    fn written<T: JsonSchema>(&mut self) -> Value {
        self.written.subschema_for::<T>().into()
    }

    /// All that were referred to.
    fn definitions(mut self) -> Map<String, Value> {
        let mut all = self.written.take_definitions(true);
        all.extend(self.read.take_definitions(true));
        all
    }
}

fn paths(schemas: &mut Schemas) -> Map<String, Value> {
    let error = schemas.written::<ErrorAnswer>();
    let rank = rank(schemas).describe(&error);
    let mut paths = Map::from_iter([("/rank".to_owned(), rank)]);
    for (path, id, summary) in [
        (
            "/v1/rerank",
            "rerank_v1",
            "Rerank documents (Cohere v1, Jina)",
        ),
        ("/v2/rerank", "rerank_v2", "Rerank documents (Cohere v2)"),
        (
            "/rerank",
            "rerank",
            "Rerank documents or texts (Jina, text-embeddings-inference)",
        ),
    ] {
        let rerank = rerank(schemas, id, summary).describe(&error);
        paths.insert(path.to_owned(), rerank);
    }
    let health = json_content(&schemas.written::<Health>());
    let info = json_content(&schemas.written::<Info>());
    let text = json!({"text/plain": {"schema": {"type": "string"}}});
    for (path, id, summary, content) in [
        (
            "/health",
            "health",
            "Which model this is and how it is doing",
            &health,
        ),
        (
            "/info",
            "info",
            "What clients of text-embeddings-inference ask first",
            &info,
        ),
        (
            "/readyz",
            "ready",
            "Whether traffic should come here",
            &text,
        ),
        ("/livez", "live", "Whether the program runs", &text),
    ] {
        paths.insert(path.to_owned(), status(id, summary, content));
    }
    paths
}

fn rank(schemas: &mut Schemas) -> Operation {
    Operation {
        id: "rank",
        tag: "rank",
        summary: "Rank products",
        description: "Send `products` and get them back in order, or send `ids` beside `columns` of \
            values and get a score for each id. What the request says about a product wins over the \
            tables; an id alone is enough for a product of the catalogue.",
        request: schemas.read::<requests::RankRequest>(),
        examples: requests::rank_examples(),
        answers: json!({"anyOf": [
            schemas.written::<RankAnswer>(),
            schemas.written::<ScoresAnswer>(),
        ]}),
        named_in_headers: false,
    }
}

fn rerank(schemas: &mut Schemas, id: &'static str, summary: &'static str) -> Operation {
    Operation {
        id,
        tag: "rerank",
        summary,
        description: "Send `documents` and get `results`, as with Cohere and Jina, or send `texts` \
            and get a bare list, as with text-embeddings-inference. A document is the id of a \
            product, a product object, or one as JSON in a string. Other fields of those APIs are \
            ignored.",
        request: schemas.read::<requests::RerankRequest>(),
        examples: requests::rerank_examples(),
        answers: json!({"anyOf": [
            schemas.written::<RerankAnswer>(),
            schemas.written::<Vec<TextScore>>(),
        ]}),
        named_in_headers: true,
    }
}

/// A route that ranks.
struct Operation {
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    request: Value,
    examples: Value,
    answers: Value,
    /// Whether the headers of an answer say what ranked.
    named_in_headers: bool,
}

impl Operation {
    fn describe(self, error: &Value) -> Value {
        let mut responses = Map::new();
        let mut ranked = json!({
            "description": "The ranking",
            "content": json_content(&self.answers),
        });
        if self.named_in_headers {
            ranked["headers"] = NAMES
                .map(|name| (name.to_owned(), json!({"schema": {"type": "string"}})))
                .into_iter()
                .collect();
        }
        responses.insert("200".to_owned(), ranked);
        for (status, description) in [
            ("400", "The body is cut, or not JSON"),
            ("401", "No token, or one that is not accepted"),
            ("408", "The body did not arrive in time"),
            ("413", "Too many products, or too many bytes"),
            ("415", "The body is not announced as plain JSON"),
            (
                "422",
                "JSON, but no such request; or a model that needs the whole list, on a route whose \
                 clients may send parts",
            ),
            ("500", "The ranking failed"),
            (
                "503",
                "Busy, or not ready; try again after the time of Retry-After",
            ),
        ] {
            let answer = json!({"description": description, "content": json_content(error)});
            responses.insert(status.to_owned(), answer);
        }
        json!({"post": {
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "description": self.description,
            "security": [{}, {"token": []}],
            "requestBody": {
                "required": true,
                "content": {"application/json": {"schema": self.request, "examples": self.examples}},
            },
            "responses": responses,
        }})
    }
}

fn json_content(schema: &Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

fn status(id: &str, summary: &str, content: &Value) -> Value {
    json!({"get": {
        "operationId": id,
        "tags": ["status"],
        "summary": summary,
        "responses": {
            "200": {"description": "Yes", "content": content},
            "503": {
                "description": "Not ready, or about to end",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
        },
    }})
}
