//! The process: leadership decides whether the controllers run; probes and metrics always do.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use kube::{Config, client::ClientBuilder};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use crate::{
    build::Images,
    model,
    runtime::{
        Context,
        http::{self, Health},
        lease::Campaign,
        watch::{Scope, WatchProgress},
    },
    schedule,
};

/// Longer than a watch may be silent; shorter ones would end healthy watches.
const READ_TIMEOUT: Duration = Duration::from_secs(65);
/// What was begun may take this long after SIGTERM.
const DRAIN: Duration = Duration::from_secs(10);

/// How to run.
#[derive(Debug)]
pub struct Settings {
    pub images: Images,
    /// The one namespace to watch; all where absent.
    pub namespace: Option<String>,
    /// Where replicas agree on a leader; without it this process acts at once.
    pub lease: Option<LeasePlace>,
    /// Name of this replica.
    pub identity: String,
    pub metrics_listen: SocketAddr,
}

/// The lease that replicas campaign for.
#[derive(Debug)]
pub struct LeasePlace {
    pub namespace: Option<String>,
    pub name: String,
}

/// Why the process ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("no way to a cluster: {0}")]
    Config(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("signals cannot be received: {0}")]
    Signals(#[source] std::io::Error),
    #[error("probes and metrics cannot be served on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("{0} ended by itself")]
    Ended(&'static str),
}

/// Runs until SIGTERM or SIGINT. Losing the API server or the lease ends nothing: this replica
/// stops acting and campaigns again. A part that ends by itself ends the process, which is started
/// anew from outside.
pub async fn run(settings: Settings) -> Result<(), RunError> {
    let progress = WatchProgress::default();
    let client = client(&progress).await?;
    let stop = stop_signal()?;
    let scope = Scope {
        client: client.clone(),
        namespace: settings.namespace,
    };
    let context = Arc::new(Context::new(
        client.clone(),
        &settings.identity,
        settings.images,
    ));
    let health = Arc::new(Health::new(progress));

    let over = CancellationToken::new();
    let _ends_the_rest = over.clone().drop_guard();
    let address = settings.metrics_listen;
    let probes = tokio::spawn(http::serve(
        address,
        http::router(context.clone(), health.clone()),
        over.clone(),
    ));
    let (lead, leading) = watch::channel(settings.lease.is_none());
    let mut campaign = match settings.lease {
        Some(place) => {
            let namespace = place
                .namespace
                .unwrap_or_else(|| client.default_namespace().to_owned());
            let campaign = Campaign::new(
                context.calls.clone(),
                namespace,
                place.name,
                settings.identity,
            );
            tokio::spawn(campaign.run(lead, over.clone()))
        }
        None => tokio::spawn(lead_alone(lead, over.clone())),
    };
    tokio::select! {
        ended = act_while_leading(context, scope, health, (leading, stop)) => ended?,
        _ = &mut campaign => return Err(RunError::Ended("the lease campaign")),
        served = probes => return Err(match served {
            Ok(Err(source)) => RunError::Listen { address, source },
            _ => RunError::Ended("the server of probes and metrics"),
        }),
    }
    // The lease is given back only now that nothing acts any more.
    over.cancel();
    let _ = tokio::time::timeout(DRAIN, campaign).await;
    Ok(())
}

/// Leads from the start to the end.
async fn lead_alone(lead: watch::Sender<bool>, over: CancellationToken) {
    over.cancelled().await;
    drop(lead);
}

async fn client(progress: &WatchProgress) -> Result<kube::Client, RunError> {
    let mut config = Config::infer()
        .await
        .map_err(|error| RunError::Config(error.into()))?;
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    // Retries in the client would repeat a create a dozen times and outlast every deadline; failed
    // reconciles and watches are repeated here, one by one.
    config.default_retry = false;
    let builder =
        ClientBuilder::try_from(config).map_err(|error| RunError::Config(error.into()))?;
    Ok(builder.with_layer(progress).build())
}

fn stop_signal() -> Result<CancellationToken, RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        token.cancel();
    });
    Ok(stop)
}

async fn act_while_leading(
    context: Arc<Context>,
    scope: Scope,
    health: Arc<Health>,
    (mut leading, stop): (watch::Receiver<bool>, CancellationToken),
) -> Result<(), RunError> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            led = leading.wait_for(|leads| *leads) => {
                if led.is_err() {
                    return Err(RunError::Ended("the lease campaign"));
                }
            }
        }
        tracing::info!("leading");
        context.metrics.leader.set(1);
        health.starts();
        let ended = tokio::select! {
            ended = controllers(&context, &scope, &health, &stop) => Some(ended),
            _ = leading.wait_for(|leads| !*leads) => None,
        };
        context.metrics.leader.set(0);
        context.show_models(None);
        health.stands_by();
        match ended {
            Some(ended) => return ended,
            // Everything that was under way has been dropped with the controllers.
            None => tracing::warn!("no longer leading"),
        }
    }
}

async fn controllers(
    context: &Arc<Context>,
    scope: &Scope,
    health: &Arc<Health>,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let models = model::run(context.clone(), scope.clone(), health.clone(), stop.clone());
    let schedules = schedule::run(context.clone(), scope.clone(), stop.clone());
    let both = async { tokio::join!(models, schedules) };
    let drained = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        _ = both => {}
        () = drained => tracing::warn!("gave up waiting for what was under way"),
    }
    if stop.is_cancelled() {
        Ok(())
    } else {
        Err(RunError::Ended("a controller"))
    }
}
