use std::{
    env,
    error::Error as _,
    fmt,
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Once},
    time::Duration,
};

use futures::TryStreamExt;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    client::HttpError,
    path::Path as Key,
};
use searchop_contract::{Digest, FileEntry, names};
use sha2::{Digest as _, Sha256};

use super::{ArtifactKind, StoreError, digest_of_folder};
use crate::artifact::{
    MAX_MANIFEST_BYTES, check_manifest_bytes, listed_files, read_manifest_bytes, verify_artifact,
    write_file,
};

/// Larger files are sent in parts of this size.
const PART_BYTES: usize = 16 << 20;
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

    fn wrong(&self, name: &str, detail: impl Into<String>) -> StoreError {
        let name = name.replacen(names::S3_PREFIX, &self.prefix, 1);
        StoreError::Settings {
            name,
            detail: detail.into(),
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
    pub store: Arc<AmazonS3>,
    /// What stands behind the bucket in the URI.
    pub prefix: Key,
    place: String,
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
        let wrong = || {
            self.wrong(
                names::S3_ENDPOINT_ENV,
                format!("is {endpoint:?}, expected http://host or https://host"),
            )
        };
        let url = url::Url::parse(endpoint).map_err(|_| wrong())?;
        match (url.scheme(), url.host_str()) {
            ("http" | "https", Some(host))
                if url.username().is_empty() && url.password().is_none() =>
            {
                Ok(url
                    .port()
                    .map_or(host.to_owned(), |port| format!("{host}:{port}")))
            }
            _ => Err(self.wrong(
                names::S3_ENDPOINT_ENV,
                "is not of the form http://host or https://host",
            )),
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

/// Artifacts under an S3 prefix.
pub(super) struct S3Store {
    location: S3Location,
}

impl S3Store {
    pub(super) fn new(location: S3Location) -> Self {
        Self { location }
    }

    fn key(&self, kind: ArtifactKind, digest: &Digest, name: &str) -> Key {
        self.folder(kind).join(digest.hex()).join(name)
    }

    fn folder(&self, kind: ArtifactKind) -> Key {
        self.location.prefix.clone().join(kind.folder())
    }

    fn object<T>(&self, key: &Key, result: object_store::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| self.location.error(key.as_ref(), &error))
    }

    fn artifact<T>(
        &self,
        result: Result<T, crate::artifact::ArtifactError>,
    ) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_artifact(&self.location.place, error))
    }

    fn io<T>(&self, path: &Path, result: std::io::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_io("the local disk", path, &error))
    }

    pub(super) async fn publish(
        &self,
        dir: &Path,
        kind: ArtifactKind,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        let files = self.artifact(verify_artifact(dir, digest))?;
        let manifest = self.artifact(read_manifest_bytes(dir, digest))?;
        let manifest_key = self.key(kind, digest, names::MANIFEST_FILE);
        for file in &files {
            self.upload(&dir.join(&file.name), &self.key(kind, digest, &file.name))
                .await?;
        }
        let put = self
            .location
            .store
            .put(&manifest_key, PutPayload::from(manifest))
            .await;
        self.object(&manifest_key, put).map(drop)
    }

    async fn upload(&self, path: &Path, key: &Key) -> Result<(), StoreError> {
        let mut file = self.io(path, File::open(path))?;
        let first = self.io(path, read_part(&mut file))?;
        if first.len() < PART_BYTES {
            let put = self.location.store.put(key, first.into()).await;
            return self.object(key, put).map(drop);
        }
        let mut upload = self.object(key, self.location.store.put_multipart(key).await)?;
        let mut part = first;
        while !part.is_empty() {
            let sent = upload.put_part(part.into()).await;
            if let Err(error) = sent {
                // What was sent is of no use; that it stays behind changes nothing for the caller.
                let _ = upload.abort().await;
                return self.object(key, Err(error));
            }
            part = self.io(path, read_part(&mut file))?;
        }
        let complete = upload.complete().await;
        self.object(key, complete).map(drop)
    }

    pub(super) async fn fetch(
        &self,
        kind: ArtifactKind,
        digest: &Digest,
        into: &Path,
    ) -> Result<PathBuf, StoreError> {
        let folder = into.join(kind.folder());
        let target = folder.join(digest.hex());
        if verify_artifact(&target, digest).is_ok() {
            return Ok(target);
        }
        let partial = folder.join(format!(".{}.partial", digest.hex()));
        for stale in [&target, &partial].into_iter().filter(|dir| dir.exists()) {
            self.io(stale, fs::remove_dir_all(stale))?;
        }
        self.io(&partial, fs::create_dir_all(&partial))?;
        let manifest = self.manifest(kind, digest).await?;
        for file in self.artifact(listed_files(&manifest))? {
            self.download(&self.key(kind, digest, &file.name), &file, &partial)
                .await?;
        }
        self.artifact(write_file(&partial, names::MANIFEST_FILE, &manifest))?;
        self.io(&target, fs::rename(&partial, &target))?;
        Ok(target)
    }

    async fn manifest(&self, kind: ArtifactKind, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let key = self.key(kind, digest, names::MANIFEST_FILE);
        let mut stream = self
            .object(&key, self.location.store.get(&key).await)?
            .into_stream();
        let mut bytes = Vec::new();
        while let Some(chunk) = self.object(&key, stream.try_next().await)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > MAX_MANIFEST_BYTES {
                break;
            }
        }
        self.artifact(check_manifest_bytes(&bytes, digest))?;
        Ok(bytes)
    }

    async fn download(&self, key: &Key, entry: &FileEntry, dir: &Path) -> Result<(), StoreError> {
        let path = dir.join(&entry.name);
        let mut file = self.io(&path, File::create(&path))?;
        let mut stream = self
            .object(key, self.location.store.get(key).await)?
            .into_stream();
        let (mut hash, mut bytes) = (Sha256::new(), 0u64);
        while let Some(chunk) = self.object(key, stream.try_next().await)? {
            bytes += chunk.len() as u64;
            if bytes > entry.bytes {
                break;
            }
            hash.update(&chunk);
            self.io(&path, file.write_all(&chunk))?;
        }
        self.artifact(crate::artifact::check_sum(entry, bytes, hash))
    }

    pub(super) async fn list(&self, kind: ArtifactKind) -> Result<Vec<Digest>, StoreError> {
        let folder = self.folder(kind);
        let listing = self.object(
            &folder,
            self.location.store.list_with_delimiter(Some(&folder)).await,
        )?;
        let name = |key: &Key| key.filename().and_then(digest_of_folder);
        let mut digests: Vec<Digest> = listing.common_prefixes.iter().filter_map(name).collect();
        digests.sort();
        Ok(digests)
    }

    pub(super) async fn delete(
        &self,
        kind: ArtifactKind,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        let folder = self.folder(kind).join(digest.hex());
        let listing = self
            .location
            .store
            .list(Some(&folder))
            .try_collect::<Vec<_>>()
            .await;
        let mut keys: Vec<Key> = self
            .object(&folder, listing)?
            .into_iter()
            .map(|object| object.location)
            .collect();
        keys.sort_by_key(|key| key.filename() != Some(names::MANIFEST_FILE));
        for key in keys {
            match self.location.store.delete(&key).await {
                Err(object_store::Error::NotFound { .. }) => {}
                other => self.object(&key, other)?,
            }
        }
        Ok(())
    }
}

/// The next [`PART_BYTES`] of a file, or what is left.
fn read_part(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut part = Vec::new();
    file.take(PART_BYTES as u64).read_to_end(&mut part)?;
    Ok(part)
}
