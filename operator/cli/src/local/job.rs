//! What the trainer is told here: the same job as on a cluster, with folders for buckets and claims.

use searchop_api::RankingModel;
use searchop_contract::TrainingJob;
use searchop_lifecycle::{JobError, JobRequest, Places, training_job};

use super::state::StateDir;

pub fn local_job(
    model: &RankingModel,
    request: &JobRequest,
    state: &StateDir,
) -> Result<TrainingJob, JobError> {
    let sources = model.spec.data.sources.as_ref();
    let places = Places {
        artifacts_uri: format!("file://{}", state.artifacts().display()),
        catalog_uri: sources.map(|sources| local_uri(&sources.catalog.uri, state)),
        events_uri: sources.map(|sources| local_uri(&sources.events.uri, state)),
        judgments_uri: sources
            .and_then(|sources| sources.judgments.as_ref())
            .map(|judgments| local_uri(&judgments.uri, state)),
    };
    training_job(
        model.metadata.name.as_deref().unwrap_or_default(),
        &model.spec,
        request,
        places,
    )
}

/// `pvc://claim/path` is the folder `volumes/claim`; anything else is what it is on a cluster.
pub fn local_uri(uri: &str, state: &StateDir) -> String {
    match uri.strip_prefix("pvc://") {
        Some(place) => state.volumes().join(place).display().to_string(),
        None => uri.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_claim_is_a_folder_and_a_bucket_is_a_bucket() {
        let state = StateDir::at(Path::new("/shop/.searchop")).unwrap();
        assert_eq!(
            local_uri("pvc://logs/2026/*.csv", &state),
            "/shop/.searchop/volumes/logs/2026/*.csv"
        );
        assert_eq!(
            local_uri("s3://logs/2026/*.csv", &state),
            "s3://logs/2026/*.csv"
        );
    }
}
