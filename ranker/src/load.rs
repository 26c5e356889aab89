use std::{path::PathBuf, time::Duration};

use searchop_contract::{ExitCode, LoadedVersion, names};
use searchop_model::{
    artifact::ArtifactError,
    bundle::Bundle,
    store::{ArtifactKind, ArtifactStore, S3Settings, StoreError},
};
use tokio::{
    task,
    time::{Instant, sleep},
};
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

/// How long storage is asked for a version beside the served one, which must not wait for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Brings all versions here and verifies them: settles those that are not the first, and returns that.
/// Storage that does not answer is asked for the first until it does, and `ranker` says so meanwhile;
/// anything else that is wrong with it is an error. Whatever is wrong with another one, it is refused.
pub async fn load(settings: &Settings, ranker: &Ranker) -> Result<Bundle, LoadError> {
    let source = Source {
        settings,
        store: ArtifactStore::open(
            &settings.artifacts_uri,
            &S3Settings::from_env(names::S3_PREFIX),
        )?,
    };
    let versions = settings.versions();
    let (first, others) = versions.split_first().expect("there is a version");
    let bundle = source.load(first, None, ranker).await?;
    for one in others {
        let version = one.version;
        ranker.waits_for(format!("version {version} is being loaded"));
        let loaded = source.load(one, Some(PATIENCE), ranker).await;
        let loaded = loaded.map_err(|error| {
            warn!(version, %error, "the version gets no requests");
            error.to_string()
        });
        if let Some(version) = ranker.versions.get(version) {
            ranker.settle(version, loaded);
        }
    }
    Ok(bundle)
}

struct Source<'a> {
    settings: &'a Settings,
    store: ArtifactStore,
}

struct Folders {
    model: PathBuf,
    tables: PathBuf,
}

impl Source<'_> {
    /// Asks storage that does not answer again, for `patience` where there is a limit.
    async fn load(
        &self,
        version: &LoadedVersion,
        patience: Option<Duration>,
        ranker: &Ranker,
    ) -> Result<Bundle, LoadError> {
        let begin = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            match self.fetch(version).await {
                Ok(folders) => return self.open(version.clone(), folders).await,
                Err(error)
                    if error.is_transient()
                        && patience.is_none_or(|most| begin.elapsed() + pause <= most) =>
                {
                    warn!(%error, retry_seconds = pause.as_secs(), "storage does not answer");
                    ranker.waits_for(error.to_string());
                    sleep(pause).await;
                    pause = LONGEST_PAUSE.min(2 * pause);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn fetch(&self, version: &LoadedVersion) -> Result<Folders, StoreError> {
        let (store, cache) = (&self.store, &self.settings.cache);
        Ok(Folders {
            model: store
                .fetch(ArtifactKind::Model, &version.digest, cache)
                .await?,
            tables: store
                .fetch(ArtifactKind::Tables, &version.tables_digest, cache)
                .await?,
        })
    }

    async fn open(&self, version: LoadedVersion, folders: Folders) -> Result<Bundle, LoadError> {
        let uri = self.settings.artifacts_uri.clone();
        let work = move || {
            Bundle::open(
                &folders.model,
                &version.digest,
                &folders.tables,
                &version.tables_digest,
            )
            .map_err(|source| LoadError::Artifact { uri, source })
        };
        task::spawn_blocking(work)
            .await
            .map_err(|_| LoadError::Panicked)?
    }
}
