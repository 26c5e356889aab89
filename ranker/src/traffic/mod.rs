//! Several versions in one process: which there are, who answers what part, and how each fares.

mod assign;
mod file;
mod overlap;
mod priority;
mod shadow;
mod shares;
mod trial;
mod version;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use searchop_contract::{HistogramReport, Traffic, TrafficReport, VersionTraffic};
use tracing::warn;

pub use file::TrafficFile;
pub use shadow::{Beside, ReadSearch, Shadow};
pub use shares::{Shares, SharesError};
pub use version::{Loaded, Version};

use crate::{
    error::shortened, histograms::Histograms, metrics::Metrics, request::Search, state::Identity,
};
use assign::samples;
use shares::Known;

/// Versions of a process at most: each has its model in memory, and up to three counters a metric.
pub const MAX_VERSIONS: usize = 4;

/// The versions of a process, and who answers what part.
pub struct Versions {
    /// The first is the served one until shares say otherwise.
    all: Vec<Arc<Version>>,
    shares: RwLock<Arc<Shares>>,
    /// Why newer shares are not followed.
    refused: Mutex<Option<String>>,
}

/// Who is to answer a search.
pub struct Chosen<'a> {
    pub shares: Arc<Shares>,
    pub served: &'a Arc<Version>,
    /// Answers in its place.
    pub candidate: Option<&'a Arc<Version>>,
}

impl Versions {
    /// `identities` are of one model, the served version's first.
    pub fn new(identities: Vec<Identity>, metrics: &Metrics) -> Self {
        let version = |identity: Identity| {
            let metrics = metrics.of_version(&identity);
            Arc::new(Version::new(identity, metrics))
        };
        let versions = Self {
            all: identities.into_iter().map(version).collect(),
            shares: RwLock::new(Arc::new(Shares::of_the_first())),
            refused: Mutex::default(),
        };
        versions.show_weights();
        versions
    }

    /// The one that answers while nothing else is said.
    pub fn first(&self) -> &Arc<Version> {
        &self.all[0]
    }

    /// Those beside it.
    pub fn others(&self) -> &[Arc<Version>] {
        &self.all[1..]
    }

    /// The version with this number.
    pub fn get(&self, version: u32) -> Option<&Arc<Version>> {
        self.all.iter().find(|one| one.identity.version == version)
    }

    pub fn shares(&self) -> Arc<Shares> {
        Arc::clone(&self.shares.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The version that answers whatever no candidate does.
    pub fn served(&self) -> &Arc<Version> {
        &self.all[self.shares().served]
    }

    /// Whether any version declares a feature of this name.
    pub fn declares(&self, feature: &str) -> bool {
        let mut loaded = self.all.iter().filter_map(|version| version.loaded());
        loaded.any(|loaded| loaded.bundle.model.schema.find(feature).is_some())
    }

    /// Who is to answer a search. The unit that is given to one version or the other is the user; a
    /// search without one goes by its query, so that the pages of a list, and what is cached by query,
    /// come from one version.
    pub fn choose(&self, search: &Search) -> Chosen<'_> {
        let shares = self.shares();
        let served = &self.all[shares.served];
        let user = search.user_id.as_ref().map(|user| user.as_str());
        let unit = user
            .filter(|user| !user.is_empty())
            .unwrap_or(&search.query);
        let candidate = shares
            .candidate(&served.identity.model, unit)
            .map(|candidate| &self.all[candidate.index])
            .filter(|candidate| candidate.is_sound());
        Chosen {
            candidate,
            served,
            shares,
        }
    }

    /// Who ranks the search with this query id as well, off the response path.
    pub fn in_shadow(&self, shares: &Shares, query_id: &str) -> Option<&Arc<Version>> {
        let mut waiting = shares.candidates.iter().filter(|one| one.weight == 0);
        let sampled = waiting.find(|candidate| {
            let model = &self.all[candidate.index].identity.model;
            candidate.shadow > 0 && samples(model, candidate.version, candidate.shadow, query_id)
        })?;
        Some(&self.all[sampled.index]).filter(|version| version.is_sound())
    }

    /// Counts what came of a candidate's ranking, and stops it where it fails too often.
    pub fn judge(&self, shares: &Shares, candidate: &Version, failure: Option<&str>) {
        let Some(rule) = &shares.abort else {
            return;
        };
        if candidate.judge(failure, rule) {
            let reason = candidate.stopped().unwrap_or_default();
            warn!(
                version = candidate.identity.version,
                reason, "the candidate gets no more requests"
            );
            self.show_weights();
        }
    }

    /// Follows new shares if they are valid; whether they are others than before.
    pub fn follow(&self, traffic: Result<Traffic, SharesError>) -> Result<bool, SharesError> {
        let shares = traffic.and_then(|traffic| Shares::new(traffic, &self.known()));
        let reason = shares.as_ref().err().map(ToString::to_string);
        let reason = reason.map(shortened);
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = reason;
        let shares = Arc::new(shares?);
        let before = {
            let mut held = self.shares.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *held, Arc::clone(&shares))
        };
        self.show_weights();
        Ok(before != shares)
    }

    fn known(&self) -> Vec<Known> {
        let known = |version: &Arc<Version>| Known {
            version: version.identity.version,
            refused: version.refused().map(str::to_owned),
        };
        self.all.iter().map(known).collect()
    }

    /// Shows the weights in force.
    pub fn show_weights(&self) {
        let shares = self.shares();
        for (index, version) in self.all.iter().enumerate() {
            let weight = self.weight(&shares, index);
            version.metrics.weight.set(weight.into());
        }
    }

    /// Percent in force: the served version has what candidates do not have, or have no more.
    fn weight(&self, shares: &Shares, index: usize) -> u8 {
        let in_force = |index: usize| {
            let candidate = shares
                .candidates
                .iter()
                .find(|candidate| candidate.index == index)
                .filter(|_| self.all[index].stopped().is_none());
            candidate.map_or(0, |candidate| candidate.weight)
        };
        if index == shares.served {
            100 - (0..self.all.len()).map(in_force).sum::<u8>()
        } else {
            in_force(index)
        }
    }

    /// What `GET /histograms` answers.
    pub fn histograms(&self) -> HistogramReport {
        let counted = |version: &Arc<Version>| {
            let histograms = version.histograms()?;
            Some(histograms.report(&version.identity))
        };
        HistogramReport {
            versions: self.all.iter().filter_map(counted).collect(),
        }
    }

    /// What `GET /traffic` answers.
    pub fn report(&self) -> TrafficReport {
        let shares = self.shares();
        let of_version = |(index, version): (usize, &Arc<Version>)| {
            let aborted = version.stopped().filter(|_| index != shares.served);
            let (metrics, identity) = (&version.metrics, &version.identity);
            let failed = metrics.failed.get();
            VersionTraffic {
                version: identity.version,
                digest: identity.digest.clone(),
                tables_digest: identity.tables_digest.clone(),
                weight: self.weight(&shares, index),
                aborted: aborted.map(str::to_owned),
                requests: metrics.answered.get() + failed,
                errors: failed,
                values: metrics.values.get(),
                missing: metrics.missing.get(),
                latency: metrics.latency(),
                scores: version.histograms().map(Histograms::scores),
                training_scores: version.histograms().map(Histograms::training_scores),
                shadow: metrics.shadow.traffic(),
            }
        };
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        TrafficReport {
            revision: shares.revision.clone(),
            refused: refused.clone(),
            versions: self.all.iter().enumerate().map(of_version).collect(),
        }
    }
}
