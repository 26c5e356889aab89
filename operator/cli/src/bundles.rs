//! Models with the tables that they rank from, loaded from a folder or a bucket of artifacts.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

use searchop_contract::{Digest, names};
use searchop_model::{
    artifact::{ArtifactError, Model, read_model},
    bundle::Bundle,
    store::{ArtifactKind, ArtifactStore, S3Settings, StoreError, install_tls_provider},
};

use crate::{
    args,
    exit::{Exit, Failure},
    local::state::{StateDir, StateError},
};

#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("{}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{digest}: {source}")]
    Artifact {
        digest: Digest,
        source: ArtifactError,
    },
}

impl Failure for BundleError {
    fn exit(&self) -> Exit {
        Exit::Failed
    }
}

/// Where models and tables are, and those that were needed so far.
pub struct Bundles {
    store: ArtifactStore,
    cache: PathBuf,
    open: HashMap<(Digest, Digest), Bundle>,
}

impl Bundles {
    /// Those under `uri`, a folder or an s3:// URI with its credentials in the environment; without
    /// one, local mode's own.
    pub fn at(uri: Option<&str>, folder: &args::Folder) -> Result<Self, BundleError> {
        install_tls_provider();
        let state = StateDir::at(&folder.dir)?;
        let uri = match uri {
            Some(uri) if uri.contains("://") => uri.to_owned(),
            Some(path) => {
                let path = Path::new(path);
                let folder = path.canonicalize().map_err(|source| BundleError::Folder {
                    path: path.to_owned(),
                    source,
                })?;
                format!("file://{}", folder.display())
            }
            None => format!("file://{}", state.artifacts().display()),
        };
        Ok(Self {
            store: ArtifactStore::open(&uri, &S3Settings::from_env(names::S3_PREFIX))?,
            cache: state.root().join("fetched"),
            open: HashMap::new(),
        })
    }

    pub async fn of(&mut self, model: &Digest, tables: &Digest) -> Result<&Bundle, BundleError> {
        let key = (model.clone(), tables.clone());
        if !self.open.contains_key(&key) {
            let model_dir = self.fetch(ArtifactKind::Model, model).await?;
            let tables_dir = self.fetch(ArtifactKind::Tables, tables).await?;
            let bundle = Bundle::open(&model_dir, model, &tables_dir, tables);
            self.open.insert(key.clone(), bundle.map_err(of(model))?);
        }
        Ok(&self.open[&key])
    }

    /// The model alone.
    pub async fn model(&self, digest: &Digest) -> Result<Model, BundleError> {
        let dir = self.fetch(ArtifactKind::Model, digest).await?;
        read_model(&dir, digest).map_err(of(digest))
    }

    /// Digests of what is there.
    pub async fn list(&self, kind: ArtifactKind) -> Result<Vec<Digest>, BundleError> {
        Ok(self.store.list(kind).await?)
    }

    async fn fetch(&self, kind: ArtifactKind, digest: &Digest) -> Result<PathBuf, BundleError> {
        Ok(self.store.fetch(kind, digest, &self.cache).await?)
    }
}

fn of(digest: &Digest) -> impl FnOnce(ArtifactError) -> BundleError {
    let digest = digest.clone();
    move |source| BundleError::Artifact { digest, source }
}
