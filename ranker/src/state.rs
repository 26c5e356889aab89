use std::{sync::Arc, time::Duration};

use schemars::JsonSchema;
use searchop_contract::{Digest, ServingRule};
use searchop_model::bundle::Bundle;
use serde::Serialize;
use tokio::sync::watch;
use tracing::warn;

use crate::{
    apart::Apart,
    auth::Tokens,
    body::Bodies,
    error::{ApiError, Kind},
    metrics::Metrics,
    pool::Pool,
    records::Records,
    rules::Rules,
    traffic::{Loaded, Shadow, Version, Versions},
};

/// Which version of the model ranked; part of every answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Identity {
    /// Name of the RankingModel.
    pub model: String,
    pub version: u32,
    /// Of the model's artifact.
    #[schemars(with = "String")]
    pub digest: Digest,
    /// Of the tables that features are looked up in.
    #[schemars(with = "String")]
    pub tables_digest: Digest,
}

/// What a request may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub max_candidates: usize,
    pub max_body_bytes: usize,
    /// For the body to arrive and a worker to be free.
    pub request_timeout: Duration,
}

/// Where the program is in its life. It only moves forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The model is not there yet, for this reason.
    Loading(String),
    Ready,
    /// Told to end; still answers.
    Draining,
}

impl Phase {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Loading(_) => "loading",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

/// Everything that requests share.
pub struct Ranker {
    pub versions: Versions,
    pub limits: Limits,
    pub metrics: Metrics,
    pub bodies: Bodies,
    pub pool: Pool,
    pub explanations: Apart,
    /// What the models are told about places; none unless set before a model is loaded.
    pub rules: Vec<ServingRule>,
    /// Who may ask; anyone where absent.
    pub tokens: Option<Arc<Tokens>>,
    pub query_log: Option<Records>,
    pub feature_log: Option<Records>,
    /// What ranks requests beside their answer; nothing does where absent.
    pub shadow: Option<Shadow>,
    phase: watch::Sender<Phase>,
}

impl Ranker {
    /// A ranker that has no model yet and will rank on `workers` threads. `identities` are the versions
    /// of one model that are to be loaded, at least the served one, which is the first.
    pub fn new(identities: Vec<Identity>, limits: Limits, workers: usize) -> Self {
        let metrics = Metrics::new();
        let pool = Pool::new(workers, metrics.queue_depth.clone(), metrics.shed.clone());
        let explanations = Apart::new(metrics.shed.clone());
        let (phase, _) = watch::channel(Phase::Loading("the model is being loaded".to_owned()));
        Self {
            versions: Versions::new(identities, &metrics),
            limits,
            metrics,
            bodies: Bodies::new(limits.max_body_bytes),
            pool,
            explanations,
            rules: Vec::new(),
            tokens: None,
            query_log: None,
            feature_log: None,
            shadow: None,
            phase,
        }
    }

    /// Whether requests can be answered: every version is loaded or refused.
    pub fn begun(&self) -> Result<(), ApiError> {
        if self.versions.first().loaded().is_some() {
            return Ok(());
        }
        let reason = match self.phase() {
            Phase::Loading(reason) => reason,
            Phase::Ready | Phase::Draining => "there is no model".to_owned(),
        };
        Err(ApiError::new(Kind::NotReady, reason))
    }

    /// Says what came of loading a version; not of the first, which [`Self::begin`] takes.
    pub fn settle(&self, version: &Version, bundle: Result<Bundle, String>) {
        let loaded = bundle.map(|bundle| {
            let rules = Rules::new(&self.rules, bundle.tables.analyzer());
            let reference = bundle.model.reference.as_ref();
            let histograms = reference.and_then(|bins| {
                let histograms = self.metrics.histograms(&version.identity, bins);
                histograms
                    .inspect_err(|error| warn!(%error, "requests are not counted into bins"))
                    .ok()
            });
            Loaded {
                counters: self.metrics.of_features(&bundle.model.schema),
                bundle,
                rules,
                histograms,
            }
        });
        let there = loaded.is_ok();
        if version.settle(loaded) && there {
            self.metrics.loaded(&version.identity);
        }
    }

    /// Takes the verified first version into service, after all others. Requests are answered from here
    /// on.
    pub fn begin(&self, bundle: Bundle) {
        self.settle(self.versions.first(), Ok(bundle));
        self.versions.show_weights();
        self.advance(Phase::Ready);
    }

    /// Says why the model is still not there.
    pub fn waits_for(&self, reason: String) {
        self.advance(Phase::Loading(reason));
    }

    /// Readiness goes off; requests are answered on.
    pub fn drain(&self) {
        self.advance(Phase::Draining);
    }

    fn advance(&self, next: Phase) {
        self.phase.send_if_modified(|phase| {
            let forward = match (&*phase, &next) {
                (Phase::Loading(_), _) | (Phase::Ready, Phase::Draining) => true,
                (Phase::Ready | Phase::Draining, _) => false,
            };
            if forward {
                *phase = next;
            }
            forward
        });
    }

    /// Done when there is a model, or there will be none any more.
    pub async fn until_loaded(&self) {
        self.until(|phase| !matches!(phase, Phase::Loading(_)))
            .await;
    }

    pub async fn until_draining(&self) {
        self.until(|phase| *phase == Phase::Draining).await;
    }

    async fn until(&self, reached: impl FnMut(&Phase) -> bool) {
        // The sender is ours, so the wait cannot fail.
        let _ = self.phase.subscribe().wait_for(reached).await.map(drop);
    }

    pub fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    pub fn is_draining(&self) -> bool {
        *self.phase.borrow() == Phase::Draining
    }

    /// Whether traffic should come here.
    pub fn readiness(&self) -> Result<(), ApiError> {
        match &*self.phase.borrow() {
            Phase::Ready => Ok(()),
            Phase::Loading(reason) => Err(ApiError::new(Kind::NotReady, reason)),
            Phase::Draining => Err(ApiError::new(Kind::Draining, "the program is about to end")),
        }
    }
}
