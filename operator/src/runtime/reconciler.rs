//! Runs a reconcile function over a queue: bounded, timed, counted, backed off object by object,
//! and stopped by nothing that one object does.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt, Stream, StreamExt, future::BoxFuture};
use jiff::Timestamp;
use kube::{
    Resource, ResourceExt,
    core::DeserializeGuard,
    runtime::{
        applier,
        controller::{self, Action, ReconcileRequest},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tracing::Instrument;

use super::{Context, Error, backoff::Backoffs, calls::Namespaced};

/// Objects that are worked on at once.
const CONCURRENCY: u16 = 4;
/// Changes this close together are looked at once.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// A reconcile that takes longer is given up; each call in it has a shorter deadline of its own.
const DEADLINE: Duration = Duration::from_secs(60);

/// The longest time without a look.
const AT_LEAST_EVERY: Duration = Duration::from_secs(600);

/// A reconcile function.
pub type Reconcile<T> = fn(Arc<Context>, T) -> BoxFuture<'static, Result<Action, Error>>;

/// A controller without its queue.
pub struct Reconciler<T: Namespaced + 'static> {
    pub name: &'static str,
    pub store: Store<DeserializeGuard<T>>,
    pub reconcile: Reconcile<T>,
}

/// A kind whose objects may be unreadable.
pub type Guarded<T> = DeserializeGuard<T>;
/// A request to look at an object, or the failure of a watch.
pub type Request<T> = watcher::Result<ReconcileRequest<Guarded<T>>>;

impl<T: Namespaced + Send + Sync + 'static> Reconciler<T> {
    /// Works until the queue ends and what was begun is done.
    pub async fn run(
        self,
        context: Arc<Context>,
        queue: impl Stream<Item = Request<T>> + Send + 'static,
    ) {
        let (name, reconcile) = (self.name, self.reconcile);
        let backoffs = Arc::new(Backoffs::<ObjectRef<Guarded<T>>>::default());
        let (succeeded, failed, gone) = (backoffs.clone(), backoffs.clone(), backoffs);
        let config = controller::Config::default()
            .concurrency(CONCURRENCY)
            .debounce(DEBOUNCE);
        let work = move |object: Arc<Guarded<T>>, context: Arc<Context>| {
            let backoffs = succeeded.clone();
            async move {
                let result = attempt(name, reconcile, &object, context).await;
                if result.is_ok() {
                    backoffs.clear(&ObjectRef::from_obj(&*object));
                }
                result
            }
            .boxed()
        };
        let policy = move |object: Arc<Guarded<T>>, error: &Error, _: Arc<Context>| {
            Action::requeue(failed.fail(ObjectRef::from_obj(&*object), error.class()))
        };
        let gauge = context.metrics.in_backoff.with_label_values(&[name]);
        applier(work, policy, context, self.store, queue, config)
            .for_each(|result| {
                if let Err(error) = result {
                    report(name, &error, |object| gone.clear(object));
                }
                gauge.set(i64::try_from(gone.len()).unwrap_or(i64::MAX));
                std::future::ready(())
            })
            .await;
    }
}

async fn attempt<T: Namespaced>(
    controller: &'static str,
    reconcile: Reconcile<T>,
    object: &Guarded<T>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let metadata = object.meta();
    let span = tracing::info_span!(
        "reconcile",
        controller,
        namespace = metadata.namespace.as_deref(),
        name = metadata.name.as_deref(),
        generation = metadata.generation,
    );
    let timer = context.metrics.reconcile(controller);
    let metrics = context.metrics.clone();
    let result = match object.0.clone() {
        Ok(object) => {
            bounded(reconcile(context, object))
                .instrument(span.clone())
                .await
        }
        Err(invalid) => Err(Error::Unreadable(invalid.error)),
    };
    if let Err(error) = &result {
        let category = error.class().as_str();
        metrics.reconcile_failed(controller, category);
        span.in_scope(|| tracing::warn!(category, %error, "reconcile failed"));
    }
    timer.finish(if result.is_ok() { "ok" } else { "error" });
    result
}

/// Neither a panic nor a wait without end gets out.
async fn bounded(work: BoxFuture<'static, Result<Action, Error>>) -> Result<Action, Error> {
    let guarded = AssertUnwindSafe(work).catch_unwind();
    match tokio::time::timeout(DEADLINE, guarded).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(Error::Panicked(
                text.unwrap_or_else(|| "without a message".to_owned()),
            ))
        }
        Err(_) => Err(Error::Timeout {
            verb: "finish",
            kind: "reconcile".to_owned(),
            name: String::new(),
            after: DEADLINE,
        }),
    }
}

type RunError = controller::Error<Error, watcher::Error>;

/// Failed reconciles are logged where they fail, with their object; here is the rest.
fn report<T: Namespaced>(
    controller: &str,
    error: &RunError,
    gone: impl Fn(&ObjectRef<Guarded<T>>),
) {
    match error {
        controller::Error::ObjectNotFound(object) => {
            let namespace = object.namespace.as_deref().unwrap_or_default();
            gone(&ObjectRef::new(&object.name).within(namespace));
        }
        controller::Error::ReconcilerFailed(..) => {}
        controller::Error::QueueError(error) => tracing::warn!(controller, %error, "watch failed"),
        controller::Error::RunnerError(error) => {
            tracing::error!(controller, %error, "queue failed")
        }
    }
}

/// How long until the next look: at `wake_at`, and now and then without a reason, in case a change
/// was missed.
pub fn pause(wake_at: Option<Timestamp>, now: Timestamp) -> Duration {
    let left =
        wake_at.map(|wake_at| Duration::try_from(wake_at.duration_since(now)).unwrap_or_default());
    left.unwrap_or(AT_LEAST_EVERY)
        .clamp(Duration::from_secs(1), AT_LEAST_EVERY)
}

/// Whether an object is on its way out.
pub fn is_being_deleted(object: &impl ResourceExt) -> bool {
    object.meta().deletion_timestamp.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_in_time_and_never_spins() {
        let now = Timestamp::from_second(1000).unwrap();
        let in_seconds =
            |second: i64| pause(Some(Timestamp::from_second(second).unwrap()), now).as_secs();
        assert_eq!(
            [
                in_seconds(1030),
                in_seconds(1000),
                in_seconds(0),
                in_seconds(99_999)
            ],
            [30, 1, 1, 600]
        );
        assert_eq!(pause(None, now), AT_LEAST_EVERY);
    }
}
