use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStoreExt, PutPayload, path::Path as Key};
use searchop_contract::{Digest, FileEntry, names};
use sha2::{Digest as _, Sha256};

use super::{ArtifactKind, S3Location, StoreError, digest_of_folder};
use crate::artifact::{
    ArtifactError, MAX_MANIFEST_BYTES, check_manifest_bytes, check_sum, listed_files,
    read_manifest_bytes, verify_artifact, write_file,
};

/// Larger files are sent in parts of this size.
const PART_BYTES: usize = 16 << 20;

/// Artifacts under an S3 prefix.
pub(super) struct RemoteStore {
    location: S3Location,
}

impl RemoteStore {
    pub(super) fn new(location: S3Location) -> Self {
        Self { location }
    }

    fn key(&self, kind: ArtifactKind, digest: &Digest, name: &str) -> Key {
        self.folder(kind).join(digest.hex()).join(name)
    }

    fn folder(&self, kind: ArtifactKind) -> Key {
        self.location.prefix.clone().join(kind.folder())
    }

    fn object<T>(&self, key: &Key, result: object_store::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| self.location.error(key.as_ref(), &error))
    }

    fn artifact<T>(&self, result: Result<T, ArtifactError>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_artifact(&self.location.place, error))
    }

    fn io<T>(&self, path: &Path, result: io::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::from_io("the local disk", path, &error))
    }

    pub(super) async fn publish(
        &self,
        dir: &Path,
        kind: ArtifactKind,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        let files = self.artifact(verify_artifact(dir, digest))?;
        if self.is_complete(kind, digest, &files).await? {
            return Ok(());
        }
        let manifest = self.artifact(read_manifest_bytes(dir, digest))?;
        for file in &files {
            self.upload(&dir.join(&file.name), &self.key(kind, digest, &file.name))
                .await?;
        }
        let key = self.key(kind, digest, names::MANIFEST_FILE);
        let put = self
            .location
            .store
            .put(&key, PutPayload::from(manifest))
            .await;
        self.object(&key, put).map(drop)
    }

    /// Whether manifest and files are there, the files with the right sizes.
    async fn is_complete(
        &self,
        kind: ArtifactKind,
        digest: &Digest,
        files: &[FileEntry],
    ) -> Result<bool, StoreError> {
        let found: HashMap<Key, u64> = self
            .objects(&self.folder(kind).join(digest.hex()))
            .await?
            .into_iter()
            .map(|object| (object.location, object.size))
            .collect();
        let there =
            |file: &FileEntry| found.get(&self.key(kind, digest, &file.name)) == Some(&file.bytes);
        if !found.contains_key(&self.key(kind, digest, names::MANIFEST_FILE))
            || !files.iter().all(there)
        {
            return Ok(false);
        }
        match self.manifest(kind, digest).await {
            Ok(_) => Ok(true),
            Err(StoreError::Artifact { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn objects(&self, folder: &Key) -> Result<Vec<ObjectMeta>, StoreError> {
        let listing = self.location.store.list(Some(folder)).try_collect().await;
        self.object(folder, listing)
    }

    async fn upload(&self, path: &Path, key: &Key) -> Result<(), StoreError> {
        let mut file = self.io(path, File::open(path))?;
        let first = self.io(path, read_part(&mut file))?;
        if first.len() < PART_BYTES {
            let put = self.location.store.put(key, first.into()).await;
            return self.object(key, put).map(drop);
        }
        let mut upload = self.object(key, self.location.store.put_multipart(key).await)?;
        let mut part = first;
        while !part.is_empty() {
            let sent = upload.put_part(part.into()).await;
            if let Err(error) = sent {
                // What was sent is of no use; that it stays behind changes nothing for the caller.
                let _ = upload.abort().await;
                return self.object(key, Err(error));
            }
            part = self.io(path, read_part(&mut file))?;
        }
        let complete = upload.complete().await;
        self.object(key, complete).map(drop)
    }

    pub(super) async fn fetch(
        &self,
        kind: ArtifactKind,
        digest: &Digest,
        into: &Path,
    ) -> Result<PathBuf, StoreError> {
        let folder = into.join(kind.folder());
        let target = folder.join(digest.hex());
        if verify_artifact(&target, digest).is_ok() {
            return Ok(target);
        }
        let partial = folder.join(format!(".{}.partial", digest.hex()));
        for stale in [&target, &partial].into_iter().filter(|dir| dir.exists()) {
            self.io(stale, fs::remove_dir_all(stale))?;
        }
        self.io(&partial, fs::create_dir_all(&partial))?;
        let manifest = self.manifest(kind, digest).await?;
        for file in self.artifact(listed_files(&manifest))? {
            self.download(&self.key(kind, digest, &file.name), &file, &partial)
                .await?;
        }
        self.artifact(write_file(&partial, names::MANIFEST_FILE, &manifest))?;
        self.io(&target, fs::rename(&partial, &target))?;
        Ok(target)
    }

    async fn manifest(&self, kind: ArtifactKind, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let key = self.key(kind, digest, names::MANIFEST_FILE);
        let mut stream = self
            .object(&key, self.location.store.get(&key).await)?
            .into_stream();
        let mut bytes = Vec::new();
        while let Some(chunk) = self.object(&key, stream.try_next().await)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > MAX_MANIFEST_BYTES {
                break;
            }
        }
        self.artifact(check_manifest_bytes(&bytes, digest))?;
        Ok(bytes)
    }

    async fn download(&self, key: &Key, entry: &FileEntry, dir: &Path) -> Result<(), StoreError> {
        let path = dir.join(&entry.name);
        let mut file = self.io(&path, File::create(&path))?;
        let mut stream = self
            .object(key, self.location.store.get(key).await)?
            .into_stream();
        let (mut hash, mut bytes) = (Sha256::new(), 0u64);
        while let Some(chunk) = self.object(key, stream.try_next().await)? {
            bytes += chunk.len() as u64;
            if bytes > entry.bytes {
                break;
            }
            hash.update(&chunk);
            self.io(&path, file.write_all(&chunk))?;
        }
        self.artifact(check_sum(entry, bytes, hash))
    }

    pub(super) async fn write_report(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let key = self.report(name);
        let put = self.location.store.put(&key, PutPayload::from(bytes)).await;
        self.object(&key, put).map(drop)
    }

    pub(super) async fn delete_report(&self, name: &str) -> Result<(), StoreError> {
        let key = self.report(name);
        match self.location.store.delete(&key).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => self.object(&key, other).map(drop),
        }
    }

    fn report(&self, name: &str) -> Key {
        let folder = self.location.prefix.clone();
        folder.join(names::REPORTS_FOLDER).join(name)
    }

    pub(super) async fn list(&self, kind: ArtifactKind) -> Result<Vec<Digest>, StoreError> {
        let folder = self.folder(kind);
        let listing = self.object(
            &folder,
            self.location.store.list_with_delimiter(Some(&folder)).await,
        )?;
        let name = |key: &Key| key.filename().and_then(digest_of_folder);
        let mut digests: Vec<Digest> = listing.common_prefixes.iter().filter_map(name).collect();
        digests.sort();
        Ok(digests)
    }

    pub(super) async fn delete(
        &self,
        kind: ArtifactKind,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        let folder = self.folder(kind).join(digest.hex());
        let objects = self.objects(&folder).await?;
        let mut keys: Vec<Key> = objects.into_iter().map(|object| object.location).collect();
        keys.sort_by_key(|key| key.filename() != Some(names::MANIFEST_FILE));
        for key in keys {
            match self.location.store.delete(&key).await {
                Err(object_store::Error::NotFound { .. }) => {}
                other => self.object(&key, other)?,
            }
        }
        Ok(())
    }
}

/// The next [`PART_BYTES`] of a file, or what is left.
fn read_part(file: &mut File) -> io::Result<Vec<u8>> {
    let mut part = Vec::new();
    file.take(PART_BYTES as u64).read_to_end(&mut part)?;
    Ok(part)
}
