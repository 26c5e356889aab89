//! Brings objects from S3-compatible storage here.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use futures::TryStreamExt;
use glob::{MatchOptions, Pattern};
use object_store::{ObjectStore, ObjectStoreExt, path::Path as Key};
use searchop_contract::names::{DATA_S3_PREFIX, S3_PREFIX};
use searchop_model::store::{S3Location, S3Settings};

use super::{SourceFile, source::Kind};
use crate::error::TrainError;

/// Downloads the objects behind `s3://bucket/key`, where the key may be a pattern; returns their
/// files in order of the keys.
pub fn fetch(kind: Kind, uri: &str, folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let settings = settings(|name| std::env::var(name).ok());
    fetch_with(&settings, (kind, uri), folder)
}

fn fetch_with(
    settings: &S3Settings,
    (kind, uri): (Kind, &str),
    folder: &Path,
) -> Result<Vec<PathBuf>, TrainError> {
    let wanted = Wanted::parse(uri)?;
    let location = S3Location::open(&wanted.bucket, settings)?;
    // Loading is one blocking step; nothing else runs beside it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            TrainError::storage_unavailable(format!("no runtime for downloads: {}", error.kind()))
        })?;
    runtime.block_on(wanted.download(kind, &location, folder))
}

/// The data's own settings, or the artifacts' where there are none.
fn settings(lookup: impl Fn(&str) -> Option<String>) -> S3Settings {
    let own = S3Settings::from_lookup(DATA_S3_PREFIX, &lookup);
    let any = [
        &own.endpoint,
        &own.region,
        &own.access_key_id,
        &own.secret_access_key,
    ];
    if any.iter().any(|value| value.is_some()) {
        own
    } else {
        S3Settings::from_lookup(S3_PREFIX, &lookup)
    }
}

/// One object, or all that match a pattern.
#[derive(Debug)]
struct Wanted {
    /// `s3://bucket`
    bucket: String,
    key: String,
    pattern: Option<Pattern>,
}

impl Wanted {
    fn parse(uri: &str) -> Result<Self, TrainError> {
        let rest = uri.strip_prefix("s3://").unwrap_or(uri);
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.contains('@') {
            return Err(TrainError::config(format!(
                "a data URI carries no credentials; put them into {DATA_S3_PREFIX}ACCESS_KEY_ID and \
                 {DATA_S3_PREFIX}SECRET_ACCESS_KEY"
            )));
        }
        if key.is_empty() || key.ends_with('/') {
            return Err(TrainError::config(format!(
                "{uri:?} names no object; use s3://bucket/key or a pattern such as s3://bucket/folder/*.parquet"
            )));
        }
        let pattern = if key.contains(['*', '?', '[']) {
            let wrong = |error: glob::PatternError| {
                TrainError::config(format!("{uri:?} is not a pattern: {}", error.msg))
            };
            Some(Pattern::new(key).map_err(wrong)?)
        } else {
            None
        };
        Ok(Self {
            bucket: format!("s3://{bucket}"),
            key: key.to_owned(),
            pattern,
        })
    }

    async fn download(
        &self,
        kind: Kind,
        location: &S3Location,
        folder: &Path,
    ) -> Result<Vec<PathBuf>, TrainError> {
        let mut paths = Vec::new();
        for (number, key) in self.keys(location).await?.iter().enumerate() {
            // Objects of different folders may have one name.
            let folder = folder.join(number.to_string());
            let path = folder.join(key.filename().unwrap_or("object"));
            let file = SourceFile::of(kind, path)?;
            fs::create_dir_all(&folder).map_err(|error| file.unwritable(&error))?;
            copy(location, key, &file).await?;
            paths.push(file.path);
        }
        Ok(paths)
    }

    async fn keys(&self, location: &S3Location) -> Result<Vec<Key>, TrainError> {
        let Some(pattern) = &self.pattern else {
            let invalid = |_| TrainError::config(format!("{:?} is not an object's key", self.key));
            return Ok(vec![Key::parse(&self.key).map_err(invalid)?]);
        };
        let prefix = listed_prefix(&self.key);
        let listing = location
            .store
            .list(prefix.as_ref())
            .try_collect::<Vec<_>>()
            .await;
        let objects = listing.map_err(|error| location.error(&self.key, &error))?;
        let options = MatchOptions {
            require_literal_separator: true,
            ..MatchOptions::new()
        };
        let mut keys: Vec<Key> = objects
            .into_iter()
            .map(|object| object.location)
            .filter(|key| pattern.matches_with(key.as_ref(), options))
            .collect();
        if keys.is_empty() {
            return Err(TrainError::data(format!(
                "{}/{} matches no object",
                self.bucket, self.key
            )));
        }
        keys.sort_unstable();
        Ok(keys)
    }
}

/// The folder that all matches share.
fn listed_prefix(pattern: &str) -> Option<Key> {
    let literal = pattern.split(['*', '?', '[']).next().unwrap_or_default();
    let (folder, _) = literal.rsplit_once('/')?;
    Key::parse(folder).ok()
}

async fn copy(location: &S3Location, key: &Key, file: &SourceFile) -> Result<(), TrainError> {
    let failed = |error| TrainError::from(location.error(key.as_ref(), &error));
    let mut stream = location.store.get(key).await.map_err(failed)?.into_stream();
    let mut out = File::create(&file.path).map_err(|error| file.unwritable(&error))?;
    while let Some(bytes) = stream.try_next().await.map_err(failed)? {
        out.write_all(&bytes)
            .map_err(|error| file.unwritable(&error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
