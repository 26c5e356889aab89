//! Watch streams that notice a dead connection, and the record of when each was last answered.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context as TaskContext, Poll},
    time::{Duration, Instant},
};

use futures::Stream;
use http::{Request, Response};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource,
    runtime::{WatchStreamExt, reflector, watcher},
};
use serde::de::DeserializeOwned;
use tower::{Layer, Service};

use super::backoff::WatchBackoff;

/// The server ends a watch after this many seconds, and it is opened again. Five seconds later the
/// client gives a silent one up, so a connection that is dead without a sign costs little more.
const WATCH_SECONDS: u32 = 60;

/// What is watched: one namespace or all of them.
#[derive(Clone)]
pub struct Scope {
    pub client: Client,
    pub namespace: Option<String>,
}

/// A kind that can be watched.
pub trait Watched:
    Resource<
        DynamicType: Default + Clone + Debug + Eq + std::hash::Hash + Send + Sync,
        Scope = NamespaceResourceScope,
    > + Clone
    + Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Watched for K where
    K: Resource<
            DynamicType: Default + Clone + Debug + Eq + std::hash::Hash + Send + Sync,
            Scope = NamespaceResourceScope,
        > + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

impl Scope {
    pub fn api<K: Watched>(&self) -> Api<K> {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// Every object of a kind at each change, its deletion included. Only the newest state matters:
    /// reconciles look for themselves.
    pub fn changes<K: Watched>(
        &self,
        selector: &str,
    ) -> impl Stream<Item = watcher::Result<K>> + Send + use<K> {
        let config = watcher::Config::default()
            .timeout(WATCH_SECONDS)
            .labels(selector);
        watcher(self.api::<K>(), config)
            .backoff(WatchBackoff::default())
            .touched_objects()
    }

    /// The same for the kind that is reconciled, kept in a cache.
    pub fn cached<K: Watched>(
        &self,
    ) -> (
        reflector::Store<K>,
        impl Stream<Item = watcher::Result<K>> + Send + use<K>,
    ) {
        let (store, writer) = reflector::store();
        let config = watcher::Config::default().timeout(WATCH_SECONDS);
        let stream = watcher(self.api::<K>(), config)
            .backoff(WatchBackoff::default())
            // Nobody reads them here, and they are half of each object.
            .modify(|object| object.meta_mut().managed_fields = None)
            .reflect(writer)
            .applied_objects();
        (store, stream)
    }
}

/// When the watch of each resource was last answered. A healthy watch is opened anew every minute,
/// so an old answer means a stream that is stuck, whatever the reason.
#[derive(Clone, Default)]
pub struct WatchProgress {
    answered: Arc<Mutex<BTreeMap<String, Instant>>>,
}

impl WatchProgress {
    const STALE_AFTER: Duration = Duration::from_secs(120);

    fn note(&self, resource: &str, now: Instant) {
        self.lock().insert(resource.to_owned(), now);
    }

    /// The resource whose watch was not answered for too long, if there is one.
    pub fn stale(&self, now: Instant) -> Option<String> {
        let answered = self.lock();
        let old = |last: &Instant| now.saturating_duration_since(*last) > Self::STALE_AFTER;
        answered
            .iter()
            .find(|(_, last)| old(last))
            .map(|(resource, _)| resource.clone())
    }

    /// How long ago each was answered.
    pub fn ages(&self, now: Instant) -> Vec<(String, Duration)> {
        let age = |(resource, last): (&String, &Instant)| {
            (resource.clone(), now.saturating_duration_since(*last))
        };
        self.lock().iter().map(age).collect()
    }

    /// Nothing is watched any more.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Instant>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Layer<S> for WatchProgress {
    type Service = Noting<S>;

    fn layer(&self, inner: S) -> Noting<S> {
        Noting {
            inner,
            progress: self.clone(),
        }
    }
}

/// Notes each watch that is answered.
pub struct Noting<S> {
    inner: S,
    progress: WatchProgress,
}

impl<S, B, R> Service<Request<B>> for Noting<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let resource = watched_resource(request.uri());
        let progress = self.progress.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            if let Some(resource) = resource.filter(|_| answer.status().is_success()) {
                progress.note(&resource, Instant::now());
            }
            Ok(answer)
        })
    }
}

/// `jobs` for a watch of `/apis/batch/v1/jobs?watch=true`; nothing for other requests.
fn watched_resource(uri: &http::Uri) -> Option<String> {
    let watches = uri
        .query()?
        .split('&')
        .any(|part| part == "watch=true" || part == "watch=1");
    let resource = uri.path().rsplit('/').next()?;
    watches.then(|| resource.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_watch_by_its_address() {
        let of = |uri: &str| watched_resource(&uri.parse().unwrap());
        assert_eq!(
            of("https://a/apis/batch/v1/jobs?&watch=true&timeoutSeconds=60").as_deref(),
            Some("jobs")
        );
        assert_eq!(
            of("https://a/api/v1/namespaces/b/pods?watch=true").as_deref(),
            Some("pods")
        );
        assert_eq!(of("https://a/apis/batch/v1/jobs?limit=500"), None);
        assert_eq!(of("https://a/apis/batch/v1/jobs"), None);
    }

    #[test]
    fn one_silent_watch_is_enough_to_be_stale() {
        let progress = WatchProgress::default();
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(progress.stale(start), None);
        progress.note("jobs", start);
        progress.note("pods", later(100));
        assert_eq!(progress.stale(later(120)), None);
        assert_eq!(progress.stale(later(121)).as_deref(), Some("jobs"));
        progress.forget();
        assert_eq!(progress.stale(later(999)), None);
    }
}
