use std::sync::{Mutex, OnceLock, PoisonError};

use searchop_contract::AbortRule;
use searchop_model::bundle::Bundle;

use super::trial::Trial;
use crate::{
    error::shortened,
    histograms::Histograms,
    metrics::{FeatureCounters, VersionMetrics},
    rules::Rules,
    state::Identity,
};

/// A version that the process was told to load.
pub struct Version {
    pub identity: Identity,
    pub metrics: VersionMetrics,
    loaded: OnceLock<Result<Loaded, String>>,
    trial: Mutex<Trial>,
    aborted: OnceLock<String>,
}

/// A model in service.
pub struct Loaded {
    pub bundle: Bundle,
    pub counters: FeatureCounters,
    pub rules: Rules,
    /// Absent where the artifact says nothing of its training rows.
    pub histograms: Option<Histograms>,
}

impl Version {
    pub fn new(identity: Identity, metrics: VersionMetrics) -> Self {
        Self {
            identity,
            metrics,
            loaded: OnceLock::new(),
            trial: Mutex::default(),
            aborted: OnceLock::new(),
        }
    }

    /// What came of loading it, once; whether this is it.
    pub fn settle(&self, loaded: Result<Loaded, String>) -> bool {
        self.loaded.set(loaded.map_err(shortened)).is_ok()
    }

    /// `None` while it is being loaded and where that failed.
    pub fn loaded(&self) -> Option<&Loaded> {
        self.loaded.get()?.as_ref().ok()
    }

    /// What it is asked about and answers, where its artifact has bins for it.
    pub fn histograms(&self) -> Option<&Histograms> {
        self.loaded()?.histograms.as_ref()
    }

    /// Why it could not be loaded.
    pub fn refused(&self) -> Option<&str> {
        self.loaded.get()?.as_ref().err().map(String::as_str)
    }

    /// Why nobody is sent to it as a candidate, for as long as the process lives.
    pub fn stopped(&self) -> Option<&str> {
        let aborted = self.aborted.get().map(String::as_str);
        self.refused().or(aborted)
    }

    /// Whether a candidate may be asked.
    pub fn is_sound(&self) -> bool {
        self.loaded().is_some() && self.aborted.get().is_none()
    }

    /// Counts an answer of a candidate. Whether this is the failure that stops it.
    pub fn judge(&self, failure: Option<&str>, rule: &AbortRule) -> bool {
        let mut trial = self.trial.lock().unwrap_or_else(PoisonError::into_inner);
        let broken = trial.count(failure.is_some(), rule);
        broken
            && self
                .aborted
                .set(trial.reason(rule, failure.unwrap_or_default()))
                .is_ok()
    }
}
