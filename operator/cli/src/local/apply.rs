//! `kubectl apply` without a server: what becomes of a stored object when its manifest is read
//! again.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Resource, ResourceExt, core::cel::validate_cel_update};
use searchop_api::{RankingModel, RetrainSchedule};

use crate::manifest::Problems;

/// What the manifest changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Created,
    Configured,
    Unchanged,
}

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(
        "this folder belongs to the model {stored:?}, the manifest declares {wanted:?}; use another --dir for it"
    )]
    OtherModel { stored: String, wanted: String },
    #[error("{0}")]
    Refused(Problems),
}

/// The model to store: the wanted spec with the stored status, uid and requests.
pub fn apply_model(
    stored: Option<RankingModel>,
    wanted: RankingModel,
    now: Timestamp,
) -> Result<(RankingModel, Change), ApplyError> {
    let Some(stored) = stored else {
        return Ok((created(wanted, now), Change::Created));
    };
    if stored.name_any() != wanted.name_any() {
        return Err(ApplyError::OtherModel {
            stored: stored.name_any(),
            wanted: wanted.name_any(),
        });
    }
    validate_cel_update(&wanted, &stored).map_err(|errors| {
        ApplyError::Refused(Problems::from_cel("RankingModel", &wanted, &errors))
    })?;
    let changed = stored.spec != wanted.spec;
    let relabelled = stored.metadata.labels != wanted.metadata.labels;
    let mut model = RankingModel {
        spec: wanted.spec,
        ..stored
    };
    model.metadata.labels = wanted.metadata.labels;
    Ok(match (changed, relabelled) {
        (true, _) => (next_generation(model), Change::Configured),
        (false, true) => (model, Change::Configured),
        (false, false) => (model, Change::Unchanged),
    })
}

/// The schedule to store.
pub fn apply_schedule(
    stored: Option<RetrainSchedule>,
    wanted: RetrainSchedule,
    now: Timestamp,
) -> (RetrainSchedule, Change) {
    let Some(stored) = stored else {
        return (created(wanted, now), Change::Created);
    };
    let changed = stored.spec != wanted.spec;
    let schedule = RetrainSchedule {
        spec: wanted.spec,
        ..stored
    };
    if changed {
        (next_generation(schedule), Change::Configured)
    } else {
        (schedule, Change::Unchanged)
    }
}

fn created<K: Resource>(mut object: K, now: Timestamp) -> K {
    let metadata = object.meta_mut();
    metadata.generation = Some(1);
    metadata.creation_timestamp = Some(Time(now));
    // Seconds and nanoseconds are unique enough for the one object of its kind in a folder.
    metadata.uid = Some(format!("local-{:x}", now.as_nanosecond()));
    metadata.resource_version = None;
    metadata.managed_fields = None;
    object
}

fn next_generation<K: Resource>(mut object: K) -> K {
    let metadata = object.meta_mut();
    metadata.generation = Some(metadata.generation.unwrap_or(1) + 1);
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Source, parse};

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn model(name: &str, products: u32, uri: &str) -> RankingModel {
        let text = format!(
            "apiVersion: searchop.io/v1alpha1\nkind: RankingModel\nmetadata: {{name: {name}}}\n\
             spec: {{data: {{synthetic: {{products: {products}}}}}, artifacts: {{uri: {uri}}}}}\n"
        );
        parse(&[Source {
            name: "m.yaml".to_owned(),
            text,
        }])
        .unwrap()
        .model
    }

    #[test]
    fn the_generation_counts_changes_of_the_spec() {
        let (first, change) = apply_model(None, model("a", 200, "pvc://c/a"), now()).unwrap();
        assert_eq!(
            (first.metadata.generation, change),
            (Some(1), Change::Created)
        );
        let (same, change) =
            apply_model(Some(first.clone()), model("a", 200, "pvc://c/a"), now()).unwrap();
        assert_eq!(change, Change::Unchanged);
        assert_eq!(
            serde_json::to_value(&same).unwrap(),
            serde_json::to_value(&first).unwrap()
        );
        let (second, change) =
            apply_model(Some(same), model("a", 300, "pvc://c/a"), now()).unwrap();
        assert_eq!(
            (second.metadata.generation, change),
            (Some(2), Change::Configured)
        );
        assert_eq!(second.metadata.uid, first.metadata.uid);
        let mut labelled = model("a", 300, "pvc://c/a");
        labelled.metadata.labels = Some([("team".to_owned(), "search".to_owned())].into());
        let (third, change) = apply_model(Some(second), labelled, now()).unwrap();
        assert_eq!(
            (third.metadata.generation, change),
            (Some(2), Change::Configured),
            "a schedule may select by it"
        );
        assert_eq!(third.metadata.labels.unwrap()["team"], "search");
    }

    #[test]
    fn what_cannot_change_is_refused_as_on_a_cluster() {
        let (stored, _) = apply_model(None, model("a", 200, "pvc://c/a"), now()).unwrap();
        let error =
            apply_model(Some(stored.clone()), model("b", 200, "pvc://c/a"), now()).unwrap_err();
        let wanted = "this folder belongs to the model \"a\", the manifest declares \"b\"; use another --dir for it";
        assert_eq!(error.to_string(), wanted);
        let error = apply_model(Some(stored), model("a", 200, "pvc://c/b"), now()).unwrap_err();
        let wanted = "RankingModel \"a\": spec.artifacts: artifacts.uri cannot change: the served version lives there; \
                      it is {\"uri\":\"pvc://c/b\"}";
        assert_eq!(error.to_string(), wanted);
    }
}
