use std::sync::{Arc, RwLock};

use jiff::Timestamp;
use kube::{Client, core::DeserializeGuard, runtime::reflector::Store};
use searchop_api::RankingModel;

use super::{Applied, Calls, events::Events, metrics::Metrics};
use crate::{build::Images, model::DriftReaders};

/// What reconciles share.
pub struct Context {
    pub calls: Calls,
    pub events: Events,
    pub applied: Applied,
    pub metrics: Metrics,
    pub images: Images,
    pub drift: DriftReaders,
    /// The clock; nothing below the shell reads another.
    pub now: fn() -> Timestamp,
    models: RwLock<Option<Store<DeserializeGuard<RankingModel>>>>,
}

impl Context {
    pub fn new(client: Client, identity: &str, images: Images) -> Self {
        let metrics = Metrics::default();
        let calls = Calls::new(client, metrics.clone());
        Self {
            events: Events::new(calls.clone(), identity),
            calls,
            applied: Applied::default(),
            metrics,
            images,
            drift: DriftReaders::default(),
            now: Timestamp::now,
            models: RwLock::default(),
        }
    }

    /// Makes the models known to the metrics; `None` when this replica no longer watches them.
    pub fn show_models(&self, store: Option<Store<DeserializeGuard<RankingModel>>>) {
        *self
            .models
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = store;
    }

    /// Everything that is measured, in Prometheus' text format.
    pub fn render_metrics(&self) -> String {
        let store = self
            .models
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        let models: Vec<Arc<DeserializeGuard<RankingModel>>> =
            store.map(|store| store.state()).unwrap_or_default();
        self.metrics
            .render(models.iter().filter_map(|model| model.0.as_ref().ok()))
    }
}
