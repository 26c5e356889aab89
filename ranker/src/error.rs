use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{
    HeaderValue, StatusCode,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};
use schemars::JsonSchema;
use serde::Serialize;

/// An answer that is no ranking: `{"error": {"code", "message", "path"?}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    kind: Kind,
    message: String,
    path: Option<String>,
}

/// Fixes status and code, so that one problem always looks the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The body is cut, or not JSON at all.
    InvalidJson,
    /// JSON, but not a ranking request; the path says where.
    InvalidRequest,
    /// The model compares the candidates of a whole list, and callers of this route may send parts.
    WholeListNeeded,
    /// The model needs a declared feature that neither the request nor the tables have.
    MissingFeature,
    TooManyProducts,
    BodyTooLarge,
    /// No token, or one that is not accepted.
    Unauthorized,
    UnsupportedMediaType,
    MethodNotAllowed,
    NotFound,
    /// The body did not arrive in time.
    RequestTimeout,
    /// Every worker is busy and the queue is full, or bodies take all the room they may.
    Overloaded,
    /// The model is not loaded yet.
    NotReady,
    /// Readiness only: the program is about to end. Requests are still answered.
    Draining,
    Internal,
}

impl Kind {
    fn status(self) -> StatusCode {
        match self {
            Self::InvalidJson => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::InvalidRequest | Self::WholeListNeeded | Self::MissingFeature => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::TooManyProducts | Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Overloaded | Self::NotReady | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What a client may repeat unchanged after a moment.
    fn passes(self) -> bool {
        self.status() == StatusCode::SERVICE_UNAVAILABLE
    }
}

/// A message quotes what was sent; this much of it.
const MAX_MESSAGE_CHARS: usize = 300;

/// The beginning of a message, where it is too long to be repeated.
pub fn shortened(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE_CHARS) {
        message.truncate(end);
        message.push('…');
    }
    message
}

impl ApiError {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: shortened(message.into()),
            path: None,
        }
    }

    /// The request's value at `path` is wrong.
    pub fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidRequest, message).at(path)
    }

    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    pub fn message(&self) -> &str {
        &self.message
    }
}

/// The body of an answer that is no ranking.
#[derive(Serialize, JsonSchema)]
pub struct ErrorAnswer {
    error: Problem,
}

#[derive(Serialize, JsonSchema)]
struct Problem {
    code: Kind,
    /// What is wrong and what to do.
    message: String,
    /// Where in the request, as `products[17].price`.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let kind = self.kind;
        let body = ErrorAnswer {
            error: Problem {
                code: kind,
                message: self.message,
                path: self.path,
            },
        };
        let mut response = (kind.status(), Json(body)).into_response();
        let headers = response.headers_mut();
        if kind.passes() {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if kind == Kind::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
