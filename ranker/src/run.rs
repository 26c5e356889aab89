//! The life of the program: open the ports, load, serve, drain.

use std::{future, io, net::SocketAddr, sync::Arc, time::Duration};

use searchop_contract::ExitCode;
use searchop_model::bundle::Bundle;
use tokio::{
    net::TcpListener,
    select,
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use crate::{
    app::{app, metrics_app},
    auth::Tokens,
    feature_log,
    listen::{Origin, bind, rank_listener},
    load::{LoadError, load},
    query_log,
    records::{Records, Sink},
    server::{Ending, MAX_CONNECTIONS, Server},
    settings::Settings,
    state::{Identity, Limits, Ranker},
    tls::Certificates,
    traffic::{Shadow, TrafficFile},
    watched::{Reload as _, keep_fresh},
};

/// How long the last query records may take to be written.
const FLUSH: Duration = Duration::from_secs(2);

/// Why the program ended otherwise than by a signal.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    /// A file that an option names.
    #[error("{0}")]
    File(String),
    #[error("cannot write records: {0}")]
    Records(io::Error),
    #[error("cannot start a thread: {0}")]
    Shadow(io::Error),
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl RunError {
    /// How the process ends.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Listen { .. }
            | Self::Signals(_)
            | Self::File(_)
            | Self::Records(_)
            | Self::Shadow(_) => ExitCode::BadConfig.code(),
            Self::Load(error) => error.exit_code().code(),
        }
    }
}

/// Serves until a signal comes, drains, and returns. A second signal cuts the drain short.
pub async fn run(settings: Settings) -> Result<(), RunError> {
    let mut signals = Signals::new().map_err(RunError::Signals)?;
    let refused = |address| move |source| RunError::Listen { address, source };
    let metrics = bind(settings.metrics_listen).map_err(refused(settings.metrics_listen))?;
    let (rank, origin) = rank_listener(settings.listen).map_err(refused(settings.listen))?;
    announce(&rank, &metrics, origin);

    let ranker = Arc::new(new_ranker(&settings)?);
    let tls = acceptor(&settings)?;
    if let Some(tokens) = ranker.tokens.clone() {
        tokio::spawn(async move { keep_fresh(&*tokens).await });
    }
    let head_timeout = settings.request_timeout;
    let server = |listener, router, tls| Server {
        listener,
        router,
        tls,
        max_connections: MAX_CONNECTIONS,
        head_timeout,
    };
    let metrics = server(metrics, metrics_app(Arc::clone(&ranker)), None);
    tokio::spawn(metrics.run(
        future::pending(),
        Ending {
            linger: Duration::ZERO,
            grace: Duration::ZERO,
        },
    ));
    let rank = server(rank, app(Arc::clone(&ranker)), tls);
    let served = tokio::spawn(serve(
        rank,
        origin,
        Arc::clone(&ranker),
        settings.drain_seconds,
    ));

    select! {
        loaded = load(&settings, &ranker) => begin(&settings, &ranker, loaded?),
        signal = signals.next() => {
            info!(signal, "ended before the model was loaded");
            return Ok(());
        }
    }
    let identity = &ranker.versions.served().identity;
    info!(
        version = identity.version,
        digest = %identity.digest,
        tables_digest = %identity.tables_digest,
        "ready"
    );
    let signal = signals.next().await;
    info!(
        signal,
        seconds = settings.drain_seconds.as_secs_f64(),
        "draining"
    );
    ranker.drain();
    select! {
        _ = served => info!("ended"),
        signal = signals.next() => warn!(signal, "ended at once by a second signal"),
    }
    for log in [&ranker.query_log, &ranker.feature_log] {
        if let Some(log) = log
            && !log.flush(FLUSH)
        {
            warn!("the last records are not written");
        }
    }
    Ok(())
}

/// Takes the versions into service, in the shares that hold by then.
fn begin(settings: &Settings, ranker: &Arc<Ranker>, first: Bundle) {
    if let Some(path) = settings.traffic_file.clone() {
        let file = TrafficFile::new(path, Arc::clone(ranker));
        if let Err(problem) = file.reload() {
            warn!(problem, "the first version answers all");
        }
        tokio::spawn(async move { keep_fresh(&file).await });
    }
    ranker.begin(first);
}

/// The rank port, from its first connection to its last.
async fn serve(server: Server, origin: Origin, ranker: Arc<Ranker>, drain: Duration) {
    let grace = ranker.limits.request_timeout + Duration::from_secs(1);
    match origin {
        Origin::Bound => {
            let stop = async {
                ranker.until_draining().await;
                sleep(drain).await;
            };
            server
                .run(
                    stop,
                    Ending {
                        linger: Duration::ZERO,
                        grace,
                    },
                )
                .await;
        }
        Origin::Inherited => {
            ranker.until_loaded().await;
            server
                .run(
                    ranker.until_draining(),
                    Ending {
                        linger: drain,
                        grace,
                    },
                )
                .await;
        }
    }
}

fn new_ranker(settings: &Settings) -> Result<Ranker, RunError> {
    let identities = settings.versions().into_iter().map(|one| Identity {
        model: settings.model.clone(),
        version: one.version,
        digest: one.digest,
        tables_digest: one.tables_digest,
    });
    let identities: Vec<Identity> = identities.collect();
    let several = identities.len() > 1;
    let limits = Limits {
        max_candidates: settings.max_candidates,
        max_body_bytes: settings.max_body_bytes,
        request_timeout: settings.request_timeout,
    };
    let mut ranker = Ranker::new(identities, limits, settings.workers());
    ranker.rules = settings.rules.to_vec();
    if let Some(file) = &settings.token_file {
        let tokens = Tokens::open(file.clone()).map_err(RunError::File)?;
        ranker.tokens = Some(Arc::new(tokens));
    }
    if several {
        let queued = ranker.metrics.queue_depth.clone();
        let shadow = Shadow::start(queued, settings.max_candidates);
        ranker.shadow = Some(shadow.map_err(RunError::Shadow)?);
    }
    if settings.query_log_share > 0.0 {
        let folder = settings.query_log_folder.clone();
        let sink = folder.map_or(Sink::Stdout, Sink::Folder);
        let counters = ranker.metrics.query_records.clone();
        let log = Records::start(query_log::KIND, settings.query_log_share, sink, counters);
        ranker.query_log = Some(log.map_err(RunError::Records)?);
    }
    if let Some(folder) = settings.feature_log_folder.clone() {
        let counters = ranker.metrics.feature_records.clone();
        let (kind, share) = (feature_log::KIND, settings.feature_log_share);
        let log = Records::start(kind, share, Sink::Folder(folder), counters);
        ranker.feature_log = Some(log.map_err(RunError::Records)?);
    }
    Ok(ranker)
}

/// What the rank port speaks TLS with, where the settings name a certificate.
fn acceptor(settings: &Settings) -> Result<Option<TlsAcceptor>, RunError> {
    let (Some(chain), Some(key)) = (&settings.tls_cert_file, &settings.tls_key_file) else {
        return Ok(None);
    };
    let certificates = Certificates::open(chain.clone(), key.clone()).map_err(RunError::File)?;
    let certificates = Arc::new(certificates);
    let acceptor = certificates.acceptor().map_err(RunError::File)?;
    tokio::spawn(async move { keep_fresh(&*certificates).await });
    Ok(Some(acceptor))
}

fn announce(rank: &TcpListener, metrics: &TcpListener, origin: Origin) {
    let address = |listener: &TcpListener| {
        listener
            .local_addr()
            .map(|at| at.to_string())
            .unwrap_or_default()
    };
    let inherited = origin == Origin::Inherited;
    info!(
        rank = address(rank),
        metrics = address(metrics),
        inherited,
        "listening"
    );
}

/// The signals that ask a program to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
