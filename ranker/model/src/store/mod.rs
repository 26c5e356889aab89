//! Where artifacts live: `file:///folder` or `s3://bucket/prefix`. Each artifact has its own folder,
//! `models/<hex>` or `tables/<hex>`, and appears in it whole or not at all: locally by a rename, on
//! S3 because the manifest is written last and read first.

mod local;
mod remote;
mod s3;

use std::{
    io,
    path::{Path, PathBuf},
};

use searchop_contract::{Digest, ExitCode, names};

use crate::artifact::ArtifactError;
use local::LocalStore;
use remote::RemoteStore;

pub use s3::{S3Location, S3Settings, install_tls_provider};

/// Why storage did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{uri:?} is not a place for artifacts: {detail}")]
    InvalidUri { uri: String, detail: String },
    #[error("{name} {detail}")]
    Settings { name: String, detail: String },
    /// Storage answered, and said no; trying again does not help.
    #[error("{place} refused {key:?}: {detail}")]
    Refused {
        place: String,
        key: String,
        detail: String,
    },
    /// Storage did not answer, or not now.
    #[error("{place} is unavailable for {key:?}: {detail}")]
    Unavailable {
        place: String,
        key: String,
        detail: String,
    },
    /// What is stored is not what its digest names.
    #[error("{place}: {source}")]
    Artifact {
        place: String,
        source: ArtifactError,
    },
}

impl StoreError {
    /// How the trainer ends on it.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::InvalidUri { .. } | Self::Settings { .. } => ExitCode::BadConfig,
            Self::Refused { .. } | Self::Artifact { .. } => ExitCode::StorageRefused,
            Self::Unavailable { .. } => ExitCode::StorageUnavailable,
        }
    }

    /// Whether trying again can help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    fn from_io(place: &str, path: &Path, error: &io::Error) -> Self {
        use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
        let (place, key, detail) = (
            place.to_owned(),
            path.display().to_string(),
            error.to_string(),
        );
        match error.kind() {
            NotFound | NotADirectory | PermissionDenied | ReadOnlyFilesystem => {
                Self::Refused { place, key, detail }
            }
            _ => Self::Unavailable { place, key, detail },
        }
    }

    fn from_artifact(place: &str, error: ArtifactError) -> Self {
        match error {
            ArtifactError::Io { path, source } => Self::from_io(place, &path, &source),
            source => Self::Artifact {
                place: place.to_owned(),
                source,
            },
        }
    }
}

/// The kinds of artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArtifactKind {
    Model,
    Tables,
    /// What one day counted; only the trainer reads it.
    Counters,
}

impl ArtifactKind {
    /// The folder under the artifacts URI.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Model => names::MODELS_FOLDER,
            Self::Tables => names::TABLES_FOLDER,
            Self::Counters => names::COUNTERS_FOLDER,
        }
    }
}

/// Artifacts under one URI.
pub struct ArtifactStore(Backend);

enum Backend {
    Local(LocalStore),
    Remote(RemoteStore),
}

impl ArtifactStore {
    /// Opens `file:///folder` or `s3://bucket/prefix`; `settings` are used for S3 alone. Does no I/O.
    pub fn open(uri: &str, settings: &S3Settings) -> Result<Self, StoreError> {
        if uri.starts_with("s3://") {
            return Ok(Self(Backend::Remote(RemoteStore::new(S3Location::open(
                uri, settings,
            )?))));
        }
        LocalStore::open(uri).map(|store| Self(Backend::Local(store)))
    }

    /// Copies the sealed artifact in `dir` into the store. Done already: nothing happens; a copy
    /// that is incomplete is replaced.
    pub async fn publish(
        &self,
        dir: &Path,
        kind: ArtifactKind,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Local(store) => store.publish(dir, kind, digest).await,
            Backend::Remote(store) => store.publish(dir, kind, digest).await,
        }
    }

    /// Puts what was found out about a version beside the artifacts, replacing what is there.
    pub async fn write_report(&self, version: u32, bytes: Vec<u8>) -> Result<(), StoreError> {
        let name = report_name(version);
        match &self.0 {
            Backend::Local(store) => store.write_report(name, bytes).await,
            Backend::Remote(store) => store.write_report(&name, bytes).await,
        }
    }

    /// Removes a version's report. One that is not there is no error.
    pub async fn delete_report(&self, version: u32) -> Result<(), StoreError> {
        let name = report_name(version);
        match &self.0 {
            Backend::Local(store) => store.delete_report(name).await,
            Backend::Remote(store) => store.delete_report(&name).await,
        }
    }

    /// Brings an artifact here and returns its folder, checked against its digest: the folder in
    /// the store itself where that is local, else one under `into`.
    pub async fn fetch(
        &self,
        kind: ArtifactKind,
        digest: &Digest,
        into: &Path,
    ) -> Result<PathBuf, StoreError> {
        match &self.0 {
            Backend::Local(store) => store.fetch(kind, digest).await,
            Backend::Remote(store) => store.fetch(kind, digest, into).await,
        }
    }

    /// Digests of all artifacts of a kind, sorted; also of those that were never finished.
    pub async fn list(&self, kind: ArtifactKind) -> Result<Vec<Digest>, StoreError> {
        match &self.0 {
            Backend::Local(store) => store.list(kind).await,
            Backend::Remote(store) => store.list(kind).await,
        }
    }

    /// Removes an artifact, manifest first. One that is not there is no error.
    pub async fn delete(&self, kind: ArtifactKind, digest: &Digest) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Local(store) => store.delete(kind, digest).await,
            Backend::Remote(store) => store.delete(kind, digest).await,
        }
    }
}

fn report_name(version: u32) -> String {
    format!("v{version}.json")
}

/// The digest whose artifact has this folder name.
fn digest_of_folder(name: &str) -> Option<Digest> {
    format!("sha256:{name}").parse().ok()
}

#[cfg(test)]
mod tests;
