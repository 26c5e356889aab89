use std::{path::PathBuf, time::Duration};

use searchop_contract::{ExitCode, names};
use searchop_model::{
    artifact::ArtifactError,
    bundle::Bundle,
    store::{ArtifactKind, ArtifactStore, S3Settings, StoreError},
};
use tokio::{task, time::sleep};
use tracing::warn;

use crate::{settings::Settings, state::Ranker};

/// Why there will be no model.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The files are those that the digests name, but this program cannot serve them.
    #[error("{uri}: {source}")]
    Artifact { uri: String, source: ArtifactError },
    #[error("loading the model failed unexpectedly")]
    Panicked,
}

impl LoadError {
    /// How the program ends on it.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Store(error) => error.exit_code(),
            Self::Artifact { .. } | Self::Panicked => ExitCode::StorageRefused,
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Brings the model and its tables here and verifies them. Storage that does not answer is asked
/// until it does, and `ranker` says so meanwhile; anything else that is wrong is an error.
pub async fn load(settings: &Settings, ranker: &Ranker) -> Result<Bundle, LoadError> {
    let store = ArtifactStore::open(
        &settings.artifacts_uri,
        &S3Settings::from_env(names::S3_PREFIX),
    )?;
    let mut pause = FIRST_PAUSE;
    loop {
        match fetch(&store, settings).await {
            Ok(folders) => return open(settings.clone(), folders).await,
            Err(error) if error.is_transient() => {
                warn!(%error, retry_seconds = pause.as_secs(), "storage does not answer");
                ranker.waits_for(error.to_string());
                sleep(pause).await;
                pause = LONGEST_PAUSE.min(2 * pause);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

struct Folders {
    model: PathBuf,
    tables: PathBuf,
}

async fn fetch(store: &ArtifactStore, settings: &Settings) -> Result<Folders, StoreError> {
    let cache = &settings.cache;
    Ok(Folders {
        model: store
            .fetch(ArtifactKind::Model, &settings.digest, cache)
            .await?,
        tables: store
            .fetch(ArtifactKind::Tables, &settings.tables_digest, cache)
            .await?,
    })
}

async fn open(settings: Settings, folders: Folders) -> Result<Bundle, LoadError> {
    let work = move || {
        Bundle::open(
            &folders.model,
            &settings.digest,
            &folders.tables,
            &settings.tables_digest,
        )
        .map_err(|source| LoadError::Artifact {
            uri: settings.artifacts_uri,
            source,
        })
    };
    task::spawn_blocking(work)
        .await
        .map_err(|_| LoadError::Panicked)?
}
