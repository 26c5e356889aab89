//! Probes and metrics, on a port of their own.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Context, watch::WatchProgress};

/// What the probes answer from.
pub struct Health {
    pub progress: WatchProgress,
    /// This replica acts.
    leading: AtomicBool,
    /// Its caches are filled.
    synced: AtomicBool,
}

impl Health {
    pub fn new(progress: WatchProgress) -> Self {
        Self {
            progress,
            leading: AtomicBool::new(false),
            synced: AtomicBool::new(false),
        }
    }

    /// Leadership begins: not ready until the caches are filled.
    pub fn starts(&self) {
        self.synced.store(false, Ordering::Relaxed);
        self.leading.store(true, Ordering::Relaxed);
    }

    pub fn is_synced(&self) {
        self.synced.store(true, Ordering::Relaxed);
    }

    /// Leadership is over; a standby is ready to take over.
    pub fn stands_by(&self) {
        self.leading.store(false, Ordering::Relaxed);
        self.progress.forget();
    }

    /// Why this replica is not ready, if it is not.
    pub fn complaint(&self, now: Instant) -> Option<String> {
        if !self.leading.load(Ordering::Relaxed) {
            return None;
        }
        if !self.synced.load(Ordering::Relaxed) {
            return Some("the caches are not filled yet".to_owned());
        }
        let stale = self.progress.stale(now)?;
        Some(format!(
            "the watch of {stale} was not answered for too long"
        ))
    }
}

type Shared = (Arc<Context>, Arc<Health>);

/// The routes; tests call them without a socket.
pub fn router(context: Arc<Context>, health: Arc<Health>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state((context, health))
}

/// Serves until `stop`.
pub async fn serve(
    address: SocketAddr,
    router: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "probes and metrics are served");
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

async fn readyz(State((_, health)): State<Shared>) -> (StatusCode, String) {
    match health.complaint(Instant::now()) {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(complaint) => (StatusCode::SERVICE_UNAVAILABLE, complaint),
    }
}

async fn metrics(State((context, health)): State<Shared>) -> String {
    context.metrics.watch_age.reset();
    for (resource, age) in health.progress.ages(Instant::now()) {
        let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        context
            .metrics
            .watch_age
            .with_label_values(&[&resource])
            .set(seconds);
    }
    context.render_metrics()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_standby_is_ready_and_a_leader_once_it_sees() {
        let health = Health::new(WatchProgress::default());
        let now = Instant::now();
        assert_eq!(health.complaint(now), None);
        health.starts();
        assert!(health.complaint(now).is_some());
        health.is_synced();
        assert_eq!(health.complaint(now + Duration::from_secs(600)), None);
        health.stands_by();
        assert_eq!(health.complaint(now), None);
    }
}
