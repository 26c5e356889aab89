//! Applying children without writing when nothing differs.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
};

use serde_json::{Map, Value};

use super::{Calls, Error, calls::Namespaced};
use crate::build::Owner;

/// Remembers what each child looked like right after it was applied. As long as the same is wanted
/// and the child still looks like that, there is nothing to write. Comparing what is wanted with
/// what is there would not do: the server fills in defaults and writes quantities in its own way.
#[derive(Default)]
pub struct Applied {
    known: Mutex<HashMap<Key, Fingerprints>>,
}

type Key = (String, String, String);

#[derive(Clone, Copy, PartialEq, Eq)]
struct Fingerprints {
    wanted: u64,
    found: u64,
}

impl Applied {
    /// Makes sure that the child `wanted` exists and has every field that is wanted; what others
    /// added stays. Returns it as it is now.
    pub async fn ensure<K: Namespaced>(
        &self,
        calls: &Calls,
        owner: &Owner,
        mut wanted: K,
    ) -> Result<K, Error> {
        let name = wanted.meta().name.clone().unwrap_or_default();
        let found = calls.get::<K>(&owner.namespace, &name).await?;
        let key = (
            K::kind(&()).into_owned(),
            owner.namespace.clone(),
            name.clone(),
        );
        let wanted_print = fingerprint(&wanted);
        if let Some(found) = found {
            if !owner.owns(found.meta()) {
                return Err(Error::NameConflict { kind: key.0, name });
            }
            let now = Fingerprints {
                wanted: wanted_print,
                found: fingerprint(&found),
            };
            if self.lock().get(&key) == Some(&now) {
                return Ok(found);
            }
            // The server refuses if by now another object has this name.
            wanted.meta_mut().uid.clone_from(&found.meta().uid);
        }
        let applied = calls.apply(&wanted).await?;
        let now = Fingerprints {
            wanted: wanted_print,
            found: fingerprint(&applied),
        };
        self.lock().insert(key, now);
        Ok(applied)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Fingerprints>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hash of what we may have set: the spec without replicas, data, labels, our annotations, owners. Left
/// out is what others write all the time.
fn fingerprint<K: Namespaced>(object: &K) -> u64 {
    let metadata = object.meta();
    let annotations = metadata
        .annotations
        .iter()
        .flatten()
        .filter(|(key, _)| key.contains("searchop.io/"));
    let mut all = serde_json::to_value(object).unwrap_or_default();
    let mut part = |name: &str| all.get_mut(name).map(Value::take);
    let data = part("data").unwrap_or_default();
    let mut spec = part("spec").unwrap_or(Value::Object(Map::new()));
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("replicas");
    }
    let mut hasher = DefaultHasher::new();
    metadata.uid.hash(&mut hasher);
    metadata.labels.hash(&mut hasher);
    annotations.for_each(|entry| entry.hash(&mut hasher));
    serde_json::to_string(&metadata.owner_references)
        .unwrap_or_default()
        .hash(&mut hasher);
    data.to_string().hash(&mut hasher);
    spec.to_string().hash(&mut hasher);
    hasher.finish()
}
