//! The Router that the program serves, without a socket.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use searchop_model::bundle::Bundle;
use searchop_ranker::{Identity, Limits, Ranker, app};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::artifacts::Artifacts;

pub const MAX_BODY: usize = 20_000;

pub fn not_loaded(artifacts: &Artifacts, request_timeout: Duration) -> Arc<Ranker> {
    let limits = Limits {
        max_candidates: 50,
        max_body_bytes: MAX_BODY,
        request_timeout,
    };
    Arc::new(Ranker::new(vec![identity(artifacts)], limits, 1))
}

pub fn identity(artifacts: &Artifacts) -> Identity {
    Identity {
        model: "products".to_owned(),
        version: 7,
        digest: artifacts.digest.clone(),
        tables_digest: artifacts.tables_digest.clone(),
    }
}

/// At most 50 candidates and [`MAX_BODY`] bytes.
pub fn loaded() -> (Artifacts, Arc<Ranker>) {
    loaded_with(Duration::from_secs(60))
}

/// A loaded ranker with what `set` sets before.
pub fn loaded_and(set: impl FnOnce(&mut Ranker)) -> (Artifacts, Router) {
    let artifacts = Artifacts::new(1.0);
    let mut ranker = not_loaded(&artifacts, Duration::from_secs(60));
    set(Arc::get_mut(&mut ranker).unwrap());
    ranker.begin(artifacts.bundle());
    (artifacts, app(ranker))
}

/// A loaded ranker whose artifacts are what `set` makes of them.
pub fn loaded_as(set: impl FnOnce(&mut Bundle)) -> (Artifacts, Router) {
    let artifacts = Artifacts::new(1.0);
    let ranker = not_loaded(&artifacts, Duration::from_secs(60));
    let mut bundle = artifacts.bundle();
    set(&mut bundle);
    ranker.begin(bundle);
    (artifacts, app(ranker))
}

pub fn loaded_with(request_timeout: Duration) -> (Artifacts, Arc<Ranker>) {
    let artifacts = Artifacts::new(1.0);
    let ranker = not_loaded(&artifacts, request_timeout);
    ranker.begin(artifacts.bundle());
    (artifacts, ranker)
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn error(&self) -> (u16, String, Option<String>) {
        let body = self.json();
        let error = &body["error"];
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty()),
            "{body}"
        );
        assert_eq!(self.header("content-type"), Some("application/json"));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        (
            self.status.as_u16(),
            text(&error["code"]).unwrap(),
            text(&error["path"]),
        )
    }
}

pub async fn call(router: &Router, request: Request<Body>) -> Answer {
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status,
        headers: head.headers,
        body,
    }
}

pub async fn get(router: &Router, path: &str) -> Answer {
    call(router, Request::get(path).body(Body::empty()).unwrap()).await
}

pub async fn post(router: &Router, path: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(path).header("content-type", "application/json");
    call(router, request.body(body.into()).unwrap()).await
}

pub async fn rank(router: &Router, body: impl Into<Body>) -> Answer {
    post(router, "/rank", body).await
}
