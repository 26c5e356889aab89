use std::{collections::BTreeMap, sync::Arc, time::Instant};

use axum::{
    Json, Router,
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE},
};
use jiff::Timestamp;
use schemars::JsonSchema;
use searchop_contract::{HistogramReport, TrafficReport};
use serde::Serialize;
use tokio::time::{Instant as Deadline, timeout_at};
use tracing::{debug, error};

use crate::{
    answer::{self, Answer, Named, Reply},
    body::Held,
    error::{ApiError, Kind},
    openapi,
    pool::Refused,
    request::{RankRequest, RerankRequest},
    state::{Identity, Phase, Ranker},
    traffic::ReadSearch,
};

/// Headers that say what ranked, where the body is in the shape of others.
pub const NAMES: [&str; 5] = [
    "x-searchop-model",
    "x-searchop-version",
    "x-searchop-digest",
    "x-searchop-tables-digest",
    "x-searchop-query-id",
];

/// A route that ranks.
#[derive(Clone, Copy, Debug)]
enum Route {
    Rank,
    RerankV1,
    RerankV2,
    Rerank,
}

impl Route {
    const ALL: [Self; 4] = [Self::Rank, Self::RerankV1, Self::RerankV2, Self::Rerank];

    fn path(self) -> &'static str {
        match self {
            Self::Rank => "/rank",
            Self::RerankV1 => "/v1/rerank",
            Self::RerankV2 => "/v2/rerank",
            Self::Rerank => "/rerank",
        }
    }

    fn answer(self, ranker: &Ranker, body: &[u8]) -> Result<Reply, ApiError> {
        let reranked = |version| answer::rerank(ranker, body, version).map(Reply::Answer);
        match self {
            Self::Rank => answer::rank(ranker, body),
            Self::RerankV1 => reranked("1"),
            Self::RerankV2 | Self::Rerank => reranked("2"),
        }
    }

    /// How the search in a body is read.
    fn reads(self) -> ReadSearch {
        match self {
            Self::Rank => |body, most| Ok(RankRequest::parse(body, most)?.search),
            Self::RerankV1 | Self::RerankV2 | Self::Rerank => {
                |body, most| Ok(RerankRequest::parse(body, most)?.search)
            }
        }
    }
}

/// What the rank port answers.
pub fn app(ranker: Arc<Ranker>) -> Router {
    let mut router = probes()
        .route("/info", get(info))
        .route("/openapi.json", get(openapi::json))
        .route("/docs", get(openapi::page));
    for route in Route::ALL {
        let handler = move |ranker, request| rank(ranker, request, route);
        router = router.route(route.path(), post(handler));
    }
    router
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&ranker), observe))
        .with_state(ranker)
}

/// What the metrics port answers.
pub fn metrics_app(ranker: Arc<Ranker>) -> Router {
    probes()
        .route("/metrics", get(metrics))
        .route("/traffic", get(traffic))
        .route("/histograms", get(histograms))
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

/// What `GET /health` answers.
#[derive(Serialize, JsonSchema)]
pub struct Health<'a> {
    /// `loading`, `ready` or `draining`.
    status: &'static str,
    #[serde(flatten)]
    identity: &'a Identity,
    /// End of the newest day that the model learnt from, once it is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    trained_through_time: Option<Timestamp>,
}

async fn health(State(ranker): State<Arc<Ranker>>) -> Response {
    let phase = ranker.phase();
    let served = ranker.versions.served();
    let health = Health {
        status: phase.as_str(),
        identity: &served.identity,
        trained_through_time: served
            .loaded()
            .map(|loaded| loaded.bundle.model.manifest.trained_through_time),
    };
    let status = match phase {
        Phase::Ready => StatusCode::OK,
        Phase::Loading(_) | Phase::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(health)).into_response()
}

async fn metrics(State(ranker): State<Arc<Ranker>>) -> Result<Response, ApiError> {
    let text = ranker.metrics.encode().map_err(|error| {
        error!(%error, "cannot write the metrics");
        ApiError::new(Kind::Internal, "the metrics cannot be written")
    })?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

/// How each version fares, for the operator.
async fn traffic(State(ranker): State<Arc<Ranker>>) -> Json<TrafficReport> {
    Json(ranker.versions.report())
}

/// What each version is asked about, for the operator.
async fn histograms(State(ranker): State<Arc<Ranker>>) -> Json<HistogramReport> {
    Json(ranker.versions.histograms())
}

/// What `GET /info` answers: what clients of text-embeddings-inference ask before they rerank.
#[derive(Serialize, JsonSchema)]
pub struct Info<'a> {
    model_id: &'a str,
    /// Digest of the model.
    model_sha: &'a str,
    model_type: ModelType,
    /// Candidates a request may hold.
    max_client_batch_size: usize,
    /// Of this program.
    version: &'static str,
}

#[derive(Serialize, JsonSchema)]
struct ModelType {
    reranker: Reranker,
}

/// One score, so no labels.
#[derive(Serialize, JsonSchema)]
struct Reranker {
    id2label: BTreeMap<String, String>,
    label2id: BTreeMap<String, u32>,
}

async fn info(State(ranker): State<Arc<Ranker>>) -> Response {
    let identity = &ranker.versions.served().identity;
    let info = Info {
        model_id: &identity.model,
        model_sha: identity.digest.as_str(),
        model_type: ModelType {
            reranker: Reranker {
                id2label: BTreeMap::new(),
                label2id: BTreeMap::new(),
            },
        },
        max_client_batch_size: ranker.limits.max_candidates,
        version: env!("CARGO_PKG_VERSION"),
    };
    Json(info).into_response()
}

async fn rank(
    State(ranker): State<Arc<Ranker>>,
    request: Request,
    route: Route,
) -> Result<Response, ApiError> {
    let duration = &ranker.metrics.duration;
    let _timer = duration.with_label_values(&[route.path()]).start_timer();
    let deadline = Deadline::now() + ranker.limits.request_timeout;
    let (head, body) = request.into_parts();
    if let Some(tokens) = &ranker.tokens {
        tokens.check(&head.headers)?;
    }
    let body = read(&ranker, &head.headers, body, deadline).await?;
    accepts_as_json(&head.headers)?;
    ranker.begun()?;
    let worker = Arc::clone(&ranker);
    let ranking = move || match route.answer(&worker, &body.bytes) {
        Ok(Reply::Explain) => Ok(Err(body)),
        Ok(Reply::Answer(mut answer)) => {
            if let (Some(shadow), Some(beside)) = (&worker.shadow, answer.beside.take()) {
                shadow.offer(beside.in_body(body.bytes, route.reads()));
            }
            Ok(Ok(answer))
        }
        Err(error) => Err(error),
    };
    let answer = match done(deadline, ranker.pool.run(ranking)).await? {
        Ok(answer) => answer,
        Err(body) => {
            let worker = Arc::clone(&ranker);
            let explanation = move || answer::explain(&worker, &body.bytes);
            done(deadline, ranker.explanations.run(explanation)).await?
        }
    };
    Ok(response(answer))
}

/// What came of work that had to end before the deadline.
async fn done<T>(
    deadline: Deadline,
    work: impl Future<Output = Result<Result<T, ApiError>, Refused>>,
) -> Result<T, ApiError> {
    match timeout_at(deadline, work).await {
        Ok(Ok(done)) => done,
        Ok(Err(Refused::Full)) | Err(_) => {
            let message = "all workers are busy, try again";
            Err(ApiError::new(Kind::Overloaded, message))
        }
        Ok(Err(Refused::Failed)) => Err(ApiError::new(Kind::Internal, "the ranking failed")),
    }
}

async fn read(
    ranker: &Ranker,
    headers: &HeaderMap,
    body: Body,
    deadline: Deadline,
) -> Result<Held, ApiError> {
    let body = ranker.bodies.read(headers, body);
    let body = timeout_at(deadline, body).await.map_err(|_| {
        ApiError::new(
            Kind::RequestTimeout,
            "the body of the request did not arrive in time",
        )
    })?;
    body.inspect_err(|error| {
        if error.kind() == Kind::Overloaded {
            ranker.metrics.shed.inc();
        }
    })
}

fn response(answer: Answer) -> Response {
    let mut response = answer.body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(Named { version, query_id }) = answer.named {
        let identity = &version.identity;
        let version = identity.version.to_string();
        let values = [
            &identity.model,
            &version,
            identity.digest.as_str(),
            identity.tables_digest.as_str(),
            &query_id,
        ];
        for (name, value) in NAMES.into_iter().zip(values) {
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
    response
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
