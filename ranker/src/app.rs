use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    extract::{MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE},
};
use serde_json::json;
use tokio::time::{Instant as Deadline, timeout_at};
use tracing::{debug, error};

use crate::{
    answer::answer,
    body::Held,
    error::{ApiError, Kind},
    pool::Refused,
    state::{Phase, Ranker},
};

/// What the rank port answers.
pub fn app(ranker: Arc<Ranker>) -> Router {
    probes()
        .route("/rank", post(rank))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&ranker), observe))
        .with_state(ranker)
}

/// What the metrics port answers.
pub fn metrics_app(ranker: Arc<Ranker>) -> Router {
    probes()
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(ranker)
}

fn probes() -> Router<Arc<Ranker>> {
    Router::new()
        .route("/health", get(health))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
}

async fn ready(State(ranker): State<Arc<Ranker>>) -> Result<&'static str, ApiError> {
    ranker.readiness().map(|()| "ok\n")
}

async fn health(State(ranker): State<Arc<Ranker>>) -> Response {
    let phase = ranker.phase();
    let identity = &ranker.identity;
    let mut body = json!({
        "status": phase.as_str(),
        "model": identity.model,
        "version": identity.version,
        "digest": identity.digest,
        "tables_digest": identity.tables_digest,
    });
    if let Ok(bundle) = ranker.bundle() {
        body["trained_through_time"] = json!(bundle.model.manifest.trained_through_time);
    }
    let status = match phase {
        Phase::Ready => StatusCode::OK,
        Phase::Loading(_) | Phase::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(body)).into_response()
}

async fn metrics(State(ranker): State<Arc<Ranker>>) -> Result<Response, ApiError> {
    let text = ranker.metrics.encode().map_err(|error| {
        error!(%error, "cannot write the metrics");
        ApiError::new(Kind::Internal, "the metrics cannot be written")
    })?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

async fn rank(State(ranker): State<Arc<Ranker>>, request: Request) -> Result<Response, ApiError> {
    let _timer = ranker.metrics.rank_duration.start_timer();
    let deadline = Deadline::now() + ranker.limits.request_timeout;
    let (head, body) = request.into_parts();
    let body = ranker.bodies.read(&head.headers, body);
    let body = timeout_at(deadline, body).await.map_err(|_| {
        ApiError::new(
            Kind::RequestTimeout,
            "the body of the request did not arrive in time",
        )
    })?;
    let body = body.inspect_err(|error| {
        if error.kind() == Kind::Overloaded {
            ranker.metrics.shed.inc();
        }
    })?;
    accepts_as_json(&head.headers)?;
    let bundle = Arc::clone(ranker.bundle()?);
    let worker = Arc::clone(&ranker);
    let ranking = ranker.pool.run(move || {
        let Held {
            bytes,
            share: _share,
        } = body;
        answer(&worker, &bundle, &bytes)
    });
    let full = || ApiError::new(Kind::Overloaded, "all workers are busy, try again");
    match timeout_at(deadline, ranking).await {
        Ok(Ok(answer)) => answer.map(json_bytes),
        Ok(Err(Refused::Full)) | Err(_) => Err(full()),
        Ok(Err(Refused::Failed)) => Err(ApiError::new(Kind::Internal, "the ranking failed")),
    }
}

fn json_bytes(body: Vec<u8>) -> Response {
    (
        [(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
        body,
    )
        .into_response()
}

fn accepts_as_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let refuse = |message: String| Err(ApiError::new(Kind::UnsupportedMediaType, message));
    let text = |name| {
        headers
            .get(&name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let full = text(CONTENT_TYPE).unwrap_or_default();
    let essence = full
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let json = essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    if !json {
        return refuse(format!("content-type is {full:?}, send application/json"));
    }
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => refuse(format!(
            "content-encoding is {encoding:?}, send the body as it is"
        )),
        _ => Ok(()),
    }
}

async fn not_found(request: Request) -> ApiError {
    ApiError::new(
        Kind::NotFound,
        format!("there is nothing at {:?}", request.uri().path()),
    )
}

/// axum adds the Allow header.
async fn method_not_allowed(method: Method, path: Option<MatchedPath>) -> ApiError {
    let path = path.as_ref().map_or("this path", MatchedPath::as_str);
    ApiError::new(
        Kind::MethodNotAllowed,
        format!("{path} does not answer {method}"),
    )
}

/// Counts and logs each request, and moves clients on while the program drains.
async fn observe(State(ranker): State<Arc<Ranker>>, request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    let route = path.as_ref().map_or("unmatched", MatchedPath::as_str);
    let status = response.status();
    ranker
        .metrics
        .requests
        .with_label_values(&[route, status.as_str()])
        .inc();
    if ranker.is_draining() {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let micros = begin.elapsed().as_micros() as u64;
    debug!(%method, route, status = status.as_u16(), micros, "answered");
    response
}
