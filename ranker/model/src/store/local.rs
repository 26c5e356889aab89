use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use searchop_contract::{Digest, FileEntry, names};

use super::{ArtifactKind, StoreError, digest_of_folder};
use crate::artifact::verify_artifact;

/// Artifacts in folders of a file system, which may be a shared volume.
#[derive(Clone)]
pub(super) struct LocalStore {
    uri: String,
    root: PathBuf,
}

impl LocalStore {
    pub(super) fn open(uri: &str) -> Result<Self, StoreError> {
        let invalid = |detail: &str| StoreError::InvalidUri {
            uri: uri.to_owned(),
            detail: detail.to_owned(),
        };
        let url = url::Url::parse(uri).map_err(|error| invalid(&error.to_string()))?;
        if url.scheme() != "file" {
            return Err(invalid("expected file:///folder or s3://bucket/prefix"));
        }
        let root = url
            .to_file_path()
            .map_err(|()| invalid("expected an absolute path without host"))?;
        Ok(Self {
            uri: uri.to_owned(),
            root,
        })
    }

    pub(super) async fn publish(
        &self,
        dir: &Path,
        kind: ArtifactKind,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        let (dir, digest) = (dir.to_owned(), digest.clone());
        self.blocking(move |store| store.publish_now(&dir, kind, &digest))
            .await
    }

    pub(super) async fn fetch(
        &self,
        kind: ArtifactKind,
        digest: &Digest,
    ) -> Result<PathBuf, StoreError> {
        let digest = digest.clone();
        self.blocking(move |store| {
            let dir = store.dir(kind, &digest);
            store.verify(&dir, &digest)?;
            Ok(dir)
        })
        .await
    }

    pub(super) async fn list(&self, kind: ArtifactKind) -> Result<Vec<Digest>, StoreError> {
        self.blocking(move |store| store.list_now(kind)).await
    }

    pub(super) async fn delete(
        &self,
        kind: ArtifactKind,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        let digest = digest.clone();
        self.blocking(move |store| store.remove(&store.dir(kind, &digest)))
            .await
    }

    pub(super) async fn write_report(
        &self,
        name: String,
        bytes: Vec<u8>,
    ) -> Result<(), StoreError> {
        self.blocking(move |store| {
            let folder = store.root.join(names::REPORTS_FOLDER);
            store.io(&folder, fs::create_dir_all(&folder))?;
            let (path, partial) = (folder.join(&name), folder.join(format!(".{name}.partial")));
            store.io(&partial, fs::write(&partial, bytes))?;
            store.io(&path, fs::rename(&partial, &path))
        })
        .await
    }

    pub(super) async fn delete_report(&self, name: String) -> Result<(), StoreError> {
        self.blocking(move |store| {
            let path = store.root.join(names::REPORTS_FOLDER).join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                other => store.io(&path, other),
            }
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(&store))
            .await
            .expect("file work does not panic")
    }

    fn dir(&self, kind: ArtifactKind, digest: &Digest) -> PathBuf {
        self.root.join(kind.folder()).join(digest.hex())
    }

    fn verify(&self, dir: &Path, digest: &Digest) -> Result<Vec<FileEntry>, StoreError> {
        verify_artifact(dir, digest).map_err(|error| StoreError::from_artifact(&self.uri, error))
    }

    fn io<T>(&self, path: &Path, result: io::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_io(&self.uri, path, &error))
    }

    fn publish_now(
        &self,
        from: &Path,
        kind: ArtifactKind,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        let files = self.verify(from, digest)?;
        let target = self.dir(kind, digest);
        if target.exists() {
            if self.verify(&target, digest).is_ok() {
                return Ok(());
            }
            self.remove(&target)?;
        }
        let partial = target.with_file_name(format!(".{}.partial", digest.hex()));
        self.remove(&partial)?;
        self.io(&partial, fs::create_dir_all(&partial))?;
        for name in files
            .iter()
            .map(|file| file.name.as_str())
            .chain([names::MANIFEST_FILE])
        {
            let to = partial.join(name);
            self.io(&to, copy_synced(&from.join(name), &to))?;
        }
        self.io(&partial, sync_dir(&partial))?;
        self.io(&target, fs::rename(&partial, &target))?;
        let parent = self.root.join(kind.folder());
        self.io(&parent, sync_dir(&parent))
    }

    fn list_now(&self, kind: ArtifactKind) -> Result<Vec<Digest>, StoreError> {
        let folder = self.root.join(kind.folder());
        // The root too is made by the first that is published.
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let mut digests = Vec::new();
        for entry in self.io(&folder, fs::read_dir(&folder))? {
            let entry = self.io(&folder, entry)?;
            digests.extend(entry.file_name().to_str().and_then(digest_of_folder));
        }
        digests.sort();
        Ok(digests)
    }

    /// Removes the folder of an artifact; a reader sees all of it or nothing that verifies.
    fn remove(&self, dir: &Path) -> Result<(), StoreError> {
        for removed in [
            fs::remove_file(dir.join(names::MANIFEST_FILE)),
            fs::remove_dir_all(dir),
        ] {
            match removed {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => self.io(dir, other)?,
            }
        }
        Ok(())
    }
}

fn copy_synced(from: &Path, to: &Path) -> io::Result<()> {
    let mut target = File::create(to)?;
    io::copy(&mut File::open(from)?, &mut target)?;
    target.sync_all()
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
