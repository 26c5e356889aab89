//! Looks at what the rankers of a model have counted, now and then, and keeps what follows where it
//! outlives this process. Nothing here may hinder a model: what fails is said in the log, and
//! tried again at the next look.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use searchop_api::{DriftStatus, RankingModel, ServedVersion};
use searchop_contract::Digest;
use searchop_lifecycle::drift::DriftReader;

use super::{scrape, serving_state};
use crate::{
    build::{self, DRIFT_KEY, Owner, drift_name, ranker_selector},
    runtime::{Context, Error, reconciler::is_being_deleted},
};

/// How long after its time for a look a model is remembered.
const MEMORY: SignedDuration = SignedDuration::from_hours(1);

/// What this process remembers of each model between two looks.
#[derive(Default)]
pub struct DriftReaders {
    /// By namespace and name.
    known: Mutex<HashMap<(String, String), Remembered>>,
}

#[derive(Default)]
struct Remembered {
    uid: String,
    /// What is stored, as it was read or written last. Where it is something else by now, another
    /// replica has counted meanwhile.
    stored: Option<String>,
    reader: DriftReader,
}

impl DriftReaders {
    /// What is known of this model's requests without a look.
    pub fn known(&self, owner: &Owner) -> Option<DriftStatus> {
        let known = self.lock();
        let found = known
            .get(&key(owner))
            .filter(|found| found.uid == owner.uid)?;
        found.reader.status()
    }

    fn take(&self, owner: &Owner) -> Remembered {
        let found = self.lock().remove(&key(owner));
        let found = found.filter(|found| found.uid == owner.uid);
        found.unwrap_or_else(|| Remembered {
            uid: owner.uid.clone(),
            ..Remembered::default()
        })
    }

    fn put(&self, owner: &Owner, remembered: Remembered, now: Timestamp) {
        let mut known = self.lock();
        known.insert(key(owner), remembered);
        // What was not looked at for long is gone, or begins with what is stored.
        known.retain(|_, one| {
            one.reader
                .next_look()
                .is_none_or(|next| now < next + MEMORY)
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Remembered>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(owner: &Owner) -> (String, String) {
    (owner.namespace.clone(), owner.name.clone())
}

/// Looks at the pods of what serves, if it is time to. Comes last in a reconcile, so that a pod that
/// does not answer holds nothing up. When to come back: at once with news, else for the next look.
pub async fn look(context: &Context, owner: &Owner, model: &RankingModel) -> Option<Timestamp> {
    let status = model.status.as_ref()?;
    let served = status.served.as_ref()?;
    let digest = served.digest.parse().ok()?;
    let now = (context.now)();
    let mut remembered = context.drift.take(owner);
    let known = remembered.reader.status();
    if remembered.reader.is_due(now) {
        remembered.reader.put_off(&model.spec.drift, now);
        let looking = Looking {
            context,
            owner,
            model,
            now,
        };
        let looked = looking.look((served, &digest), &mut remembered).await;
        if let Err(error) = looked {
            let (namespace, name) = (&owner.namespace, &owner.name);
            tracing::warn!(namespace, name, %error, "what is known of requests is not read or not kept");
        }
    }
    let news = remembered.reader.status() != known;
    let next = remembered.reader.next_look();
    context.drift.put(owner, remembered, now);
    if news { Some(now) } else { next }
}

struct Looking<'a> {
    context: &'a Context,
    owner: &'a Owner,
    model: &'a RankingModel,
    now: Timestamp,
}

impl Looking<'_> {
    async fn look(
        &self,
        (served, digest): (&ServedVersion, &Digest),
        remembered: &mut Remembered,
    ) -> Result<(), Error> {
        let Self {
            context,
            owner,
            model,
            now,
        } = *self;
        let calls = &context.calls;
        let (name, selector) = (drift_name(&owner.name), ranker_selector(owner));
        let (stored, pods) = tokio::try_join!(
            calls.get::<ConfigMap>(&owner.namespace, &name),
            calls.list::<Pod>(&owner.namespace, &selector)
        )?;
        let stored = stored.filter(|found| owner.owns(&found.metadata));
        let stored = stored.and_then(|found| found.data?.remove(DRIFT_KEY));
        if stored != remembered.stored {
            // What cannot be read, as after a change of its form, is begun anew.
            let watch = stored
                .as_deref()
                .and_then(|text| serde_json::from_str(text).ok());
            remembered.reader = DriftReader::resume(watch, now);
            remembered.stored = stored;
        }
        let ready = |pod: &&Pod| serving_state::is_ready(pod) && !is_being_deleted(*pod);
        let pods: Vec<&Pod> = pods.iter().filter(ready).collect();
        let names = pods.iter().map(|pod| process_name(pod));
        let told: Vec<_> = names.zip(scrape::histograms(&pods).await).collect();
        let rules = &model.spec.drift;
        let version = u32::try_from(served.version).unwrap_or_default();
        remembered.reader.take((version, digest), &told, rules, now);
        if let Some(watch) = remembered.reader.to_keep(rules, now)
            && let Ok(text) = serde_json::to_string(watch)
        {
            let wanted = build::drift(owner, text.clone());
            context.applied.ensure(calls, owner, wanted).await?;
            remembered.stored = Some(text);
            remembered.reader.is_kept(now);
        }
        Ok(())
    }
}

/// No other process has it: a pod whose ranker was started over counts from nothing.
fn process_name(pod: &Pod) -> String {
    let starts = serving_state::restarts(pod);
    format!("{}/{starts}", pod.uid().unwrap_or_default())
}

#[cfg(test)]
mod tests;
