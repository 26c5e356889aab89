//! How S3-compatible storage is reached, and what its errors mean.

use std::{
    env,
    error::Error as _,
    fmt,
    sync::{Arc, Once},
    time::Duration,
};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig, aws::AmazonS3Builder,
    client::HttpError, path::Path as Key,
};
use searchop_contract::names;

use super::StoreError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence of a server that has been asked.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// After this time a failed request is not tried again: an unreachable store is reported within
/// 20 s.
const RETRY_TIMEOUT: Duration = Duration::from_secs(8);
const DEFAULT_REGION: &str = "us-east-1";

/// How to reach S3-compatible storage.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct S3Settings {
    /// Prefix of the variables these were read from, for messages.
    prefix: String,
    /// `http://…` or `https://…`; AWS itself where there is none.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<String>,
}

/// Never shows the keys.
impl fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Settings")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl S3Settings {
    /// Reads the variables that begin with `prefix`: [`names::S3_PREFIX`] or
    /// [`names::DATA_S3_PREFIX`]. An empty one counts as missing.
    pub fn from_env(prefix: &str) -> Self {
        Self::from_lookup(prefix, |name| env::var(name).ok())
    }

    /// The same from any source of variables.
    pub fn from_lookup(prefix: &str, lookup: impl Fn(&str) -> Option<String>) -> Self {
        let read = |name: &str| {
            let key = name
                .strip_prefix(names::S3_PREFIX)
                .expect("the names share the prefix");
            lookup(&format!("{prefix}{key}")).filter(|value| !value.is_empty())
        };
        Self {
            prefix: prefix.to_owned(),
            endpoint: read(names::S3_ENDPOINT_ENV),
            region: read(names::S3_REGION_ENV),
            access_key_id: read(names::S3_ACCESS_KEY_ENV),
            secret_access_key: read(names::S3_SECRET_KEY_ENV),
        }
    }

    fn needed<'a>(&self, value: &'a Option<String>, name: &str) -> Result<&'a str, StoreError> {
        value
            .as_deref()
            .ok_or_else(|| self.wrong(name, "is not set, s3:// needs it"))
    }

    fn wrong(&self, name: &str, detail: &str) -> StoreError {
        let name = name.replacen(names::S3_PREFIX, &self.prefix, 1);
        StoreError::Settings {
            name,
            detail: detail.to_owned(),
        }
    }
}

/// Makes rustls use ring, once; every program that speaks TLS calls it first.
pub fn install_tls_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Another provider that was installed before works as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// A bucket with a prefix.
#[derive(Clone)]
pub struct S3Location {
    pub store: Arc<dyn ObjectStore>,
    /// What stands behind the bucket in the URI.
    pub prefix: Key,
    pub(super) place: String,
}

impl S3Location {
    /// Opens `s3://bucket/prefix`; path-style requests. Does no I/O.
    pub fn open(uri: &str, settings: &S3Settings) -> Result<Self, StoreError> {
        let invalid = |detail: String| StoreError::InvalidUri {
            uri: uri.to_owned(),
            detail,
        };
        let rest = uri
            .strip_prefix("s3://")
            .ok_or_else(|| invalid("expected s3://bucket/prefix".to_owned()))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if bucket.is_empty() || !bucket.chars().all(plain) {
            return Err(invalid(format!("{bucket:?} is not the name of a bucket")));
        }
        let prefix = Key::parse(prefix).map_err(|error| invalid(error.to_string()))?;
        let host = settings.host()?;
        let store = settings
            .builder()?
            .with_bucket_name(bucket)
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Self {
            store: Arc::new(store),
            prefix,
            place: format!("s3://{bucket} at {host}"),
        })
    }

    /// The bucket and the server, for messages.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Says what an error means for the caller, without secrets.
    pub fn error(&self, key: &str, error: &object_store::Error) -> StoreError {
        let (place, key) = (self.place.clone(), key.to_owned());
        match classify(error) {
            (Class::Refused, detail) => StoreError::Refused { place, key, detail },
            (Class::Unavailable, detail) => StoreError::Unavailable { place, key, detail },
        }
    }
}

impl S3Settings {
    fn host(&self) -> Result<String, StoreError> {
        let Some(endpoint) = &self.endpoint else {
            return Ok("AWS".to_owned());
        };
        // What was given is not repeated: it may hold a password.
        let wrong = || {
            let detail = "is not of the form http://host or https://host";
            self.wrong(names::S3_ENDPOINT_ENV, detail)
        };
        let url = url::Url::parse(endpoint).map_err(|_| wrong())?;
        match (url.scheme(), url.host_str(), url.port()) {
            _ if !url.username().is_empty() || url.password().is_some() => Err(wrong()),
            ("http" | "https", Some(host), Some(port)) => Ok(format!("{host}:{port}")),
            ("http" | "https", Some(host), None) => Ok(host.to_owned()),
            _ => Err(wrong()),
        }
    }

    fn builder(&self) -> Result<AmazonS3Builder, StoreError> {
        install_tls_provider();
        let client = ClientOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_read_timeout(READ_TIMEOUT)
            .with_timeout_disabled();
        let backoff = BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        };
        let retry = RetryConfig {
            backoff,
            max_retries: 4,
            retry_timeout: RETRY_TIMEOUT,
        };
        let mut builder = AmazonS3Builder::new()
            .with_client_options(
                client.with_allow_http(self.endpoint.as_deref().is_some_and(is_plain_http)),
            )
            .with_retry(retry)
            .with_region(self.region.as_deref().unwrap_or(DEFAULT_REGION))
            .with_access_key_id(self.needed(&self.access_key_id, names::S3_ACCESS_KEY_ENV)?)
            .with_secret_access_key(
                self.needed(&self.secret_access_key, names::S3_SECRET_KEY_ENV)?,
            );
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        Ok(builder)
    }
}

fn is_plain_http(endpoint: &str) -> bool {
    endpoint.starts_with("http://")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Refused,
    Unavailable,
}

/// The response's body is not quoted: S3 repeats the request's signature and key id in it. Its
/// error code is enough.
fn classify(error: &object_store::Error) -> (Class, String) {
    use object_store::Error as E;
    let text = error.to_string();
    let with_code =
        |what: &str| error_code(&text).map_or(what.to_owned(), |code| format!("{what} ({code})"));
    match error {
        E::NotFound { .. } => (Class::Refused, with_code("not found")),
        E::PermissionDenied { .. } => (Class::Refused, with_code("permission denied")),
        E::Unauthenticated { .. } => (Class::Refused, with_code("credentials not accepted")),
        E::Generic { .. } => classify_generic(error, &text),
        E::JoinError { .. } => (Class::Unavailable, "the request was cancelled".to_owned()),
        _ => (Class::Refused, with_code("request not accepted")),
    }
}

fn classify_generic(error: &object_store::Error, text: &str) -> (Class, String) {
    if let Some(cause) = network_cause(error) {
        return (Class::Unavailable, cause);
    }
    let code = error_code(text)
        .map(|code| format!(" ({code})"))
        .unwrap_or_default();
    match status(text) {
        Some(status @ (408 | 429 | 500..=599)) => {
            (Class::Unavailable, format!("status {status}{code}"))
        }
        Some(status) => (Class::Refused, format!("status {status}{code}")),
        None if text.contains("redirect without LOCATION") => (
            Class::Refused,
            format!(
                "redirected without a location: check {}",
                names::S3_REGION_ENV
            ),
        ),
        None => (
            Class::Unavailable,
            format!("the answer is not one of S3{code}"),
        ),
    }
}

/// What the connection failed of, if that is what failed.
fn network_cause(error: &object_store::Error) -> Option<String> {
    let mut next = error.source();
    let mut on_network = false;
    let mut cause = String::new();
    while let Some(source) = next {
        on_network |= source.is::<HttpError>();
        cause = source.to_string();
        next = source.source();
    }
    on_network.then_some(cause)
}

/// The HTTP status, which object_store keeps in its text alone.
fn status(text: &str) -> Option<u16> {
    let (_, after) = text.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
}

/// `AccessDenied` of `<Code>AccessDenied</Code>`.
fn error_code(text: &str) -> Option<&str> {
    let (code, _) = text.split_once("<Code>")?.1.split_once("</Code>")?;
    (code.len() <= 64 && code.bytes().all(|c| c.is_ascii_alphanumeric())).then_some(code)
}
