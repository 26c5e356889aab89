//! An artifact is a folder with a manifest; its address is the sha256 of the manifest's bytes.
//!
//! The manifest is written last, so a folder without one is not an artifact. Reading trusts
//! nothing: manifest, sizes and hashes are checked before a byte is parsed.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use searchop_contract::{
    COUNTERS_FORMAT, CountersManifest, Digest, FileEntry, MANIFEST_FORMAT, ModelManifest,
    TABLES_FORMAT, TablesManifest, TextVersion, names,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use crate::{
    features::FEATURES_VERSION, forest::ForestError, tables::file::TableBytes, text::Analyzer,
};

mod model;

pub use model::{Golden, GoldenRow, Model, read_model};

/// Longest manifest that is read.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 20;
/// Longest file of an artifact.
pub const MAX_FILE_BYTES: u64 = 16 << 30;
/// Most files of an artifact.
pub const MAX_FILES: usize = 64;

/// Why an artifact could not be written or is not used.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// The bytes are not those that the digest names.
    #[error("{file}: {detail}: the artifact is cut off or altered")]
    Damaged { file: String, detail: String },
    #[error("{file}: {detail}")]
    Malformed { file: String, detail: String },
    /// What a table is to be built from contradicts itself.
    #[error("{file} row {row}: {detail}")]
    Row {
        file: String,
        row: usize,
        detail: String,
    },
    /// Written by a program that computes features differently.
    #[error(
        "{what} is {found}, this program reads {expected}: serve it with the release that trained it, or retrain"
    )]
    Version {
        what: &'static str,
        found: String,
        expected: String,
    },
    #[error("{file}: {0}", file = names::MODEL_FILE)]
    Forest(#[from] ForestError),
    #[error("{file} row {row}: {detail}", file = names::GOLDEN_FILE)]
    Golden { row: usize, detail: String },
}

impl ArtifactError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn malformed(file: &str, detail: impl ToString) -> Self {
        Self::Malformed {
            file: file.to_owned(),
            detail: detail.to_string(),
        }
    }
}

/// What the kinds of manifest have in common.
pub trait Manifest: Serialize + DeserializeOwned {
    /// The format that this program writes and reads.
    const FORMAT: u32;
    fn format_version(&self) -> u32;
    fn files(&self) -> &[FileEntry];
    fn set_files(&mut self, files: Vec<FileEntry>);
    fn text(&self) -> &TextVersion;
    fn features_version(&self) -> u32;
}

macro_rules! manifest {
    ($type:ty, $format:expr) => {
        impl Manifest for $type {
            const FORMAT: u32 = $format;
            fn format_version(&self) -> u32 {
                self.format_version
            }
            fn files(&self) -> &[FileEntry] {
                &self.files
            }
            fn set_files(&mut self, files: Vec<FileEntry>) {
                self.files = files;
            }
            fn text(&self) -> &TextVersion {
                &self.text
            }
            fn features_version(&self) -> u32 {
                self.features_version
            }
        }
    };
}

manifest!(ModelManifest, MANIFEST_FORMAT);
manifest!(TablesManifest, TABLES_FORMAT);
manifest!(CountersManifest, COUNTERS_FORMAT);

/// The manifest of a day's counters; its files are checked by who fetches them.
pub fn read_counters_manifest(
    dir: &Path,
    expected: &Digest,
    analyzer: &Analyzer,
) -> Result<CountersManifest, ArtifactError> {
    read_manifest(dir, expected, analyzer)
}

/// Seals the folder: lists its files, sorted by name, in `manifest` and writes `manifest.json`
/// last. Everything is on disk when this returns.
pub fn write_artifact<M: Manifest>(
    dir: &Path,
    mut manifest: M,
) -> Result<(Digest, M), ArtifactError> {
    manifest.set_files(list_files(dir)?);
    let mut bytes = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| ArtifactError::malformed(names::MANIFEST_FILE, error))?;
    bytes.push(b'\n');
    write_file(dir, names::MANIFEST_FILE, &bytes)?;
    Ok((Digest::of(&bytes), manifest))
}

fn list_files(dir: &Path) -> Result<Vec<FileEntry>, ArtifactError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(ArtifactError::io(dir))? {
        let entry = entry.map_err(ArtifactError::io(dir))?;
        let name = entry.file_name().into_string().map_err(|name| {
            ArtifactError::malformed(&name.to_string_lossy(), "the file's name is not UTF-8")
        })?;
        if name == names::MANIFEST_FILE {
            continue;
        }
        let (bytes, hash) = hash_file(&entry.path(), u64::MAX)?;
        files.push(FileEntry {
            name,
            bytes,
            sha256: digest(hash),
        });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Writes a file so that it is there whole or not at all, also after a power cut.
pub fn write_file(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), ArtifactError> {
    let path = dir.join(name);
    let partial = dir.join(format!(".{name}.partial"));
    let write = || -> io::Result<()> {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(ArtifactError::io(&path))
}

/// The manifest's bytes, after a check that they are what `expected` names.
pub fn read_manifest_bytes(dir: &Path, expected: &Digest) -> Result<Vec<u8>, ArtifactError> {
    let path = dir.join(names::MANIFEST_FILE);
    let bytes = read_at_most(&path, MAX_MANIFEST_BYTES)?;
    check_manifest_bytes(&bytes, expected)?;
    Ok(bytes)
}

pub(crate) fn check_manifest_bytes(bytes: &[u8], expected: &Digest) -> Result<(), ArtifactError> {
    let found = Digest::of(bytes);
    if found == *expected {
        return Ok(());
    }
    let detail = format!("has digest {found}, expected {expected}");
    Err(ArtifactError::Damaged {
        file: names::MANIFEST_FILE.to_owned(),
        detail,
    })
}

/// The files that a manifest of either kind lists; the bytes have been checked.
pub(crate) fn listed_files(manifest: &[u8]) -> Result<Vec<FileEntry>, ArtifactError> {
    #[derive(Deserialize)]
    struct Listing {
        files: Vec<FileEntry>,
    }
    let listing: Listing = parse_manifest(manifest)?;
    check_names(&listing.files)?;
    Ok(listing.files)
}

fn parse_manifest<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ArtifactError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ArtifactError::malformed(names::MANIFEST_FILE, error))
}

fn check_names(files: &[FileEntry]) -> Result<(), ArtifactError> {
    let refuse = |detail: String| Err(ArtifactError::malformed(names::MANIFEST_FILE, detail));
    if files.len() > MAX_FILES {
        return refuse(format!(
            "lists {} files, at most {MAX_FILES} are read",
            files.len()
        ));
    }
    let mut seen = HashSet::new();
    for file in files {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if file.name.is_empty() || file.name.starts_with('.') || !file.name.chars().all(plain) {
            return refuse(format!("{:?} is not a plain file name", file.name));
        }
        if file.name == names::MANIFEST_FILE || !seen.insert(&file.name) {
            return refuse(format!("{:?} is listed twice", file.name));
        }
        if file.bytes > MAX_FILE_BYTES {
            return refuse(format!(
                "{:?} has {} bytes, at most {MAX_FILE_BYTES} are read",
                file.name, file.bytes
            ));
        }
    }
    Ok(())
}

/// A manifest that this program can use.
pub(crate) fn read_manifest<M: Manifest>(
    dir: &Path,
    expected: &Digest,
    analyzer: &Analyzer,
) -> Result<M, ArtifactError> {
    usable(&read_manifest_bytes(dir, expected)?, analyzer)
}

/// The manifest in these bytes, if this program can use it.
fn usable<M: Manifest>(bytes: &[u8], analyzer: &Analyzer) -> Result<M, ArtifactError> {
    let manifest: M = parse_manifest(bytes)?;
    let (found, expected) = (manifest.text(), analyzer.version());
    let text = |text: &TextVersion| format!("{} of {}", text.version, text.language);
    let versions = [
        (
            "formatVersion",
            manifest.format_version().to_string(),
            M::FORMAT.to_string(),
        ),
        ("text version", text(found), text(&expected)),
        (
            "featuresVersion",
            manifest.features_version().to_string(),
            FEATURES_VERSION.to_string(),
        ),
    ];
    for (what, found, expected) in versions {
        if found != expected {
            return Err(ArtifactError::Version {
                what,
                found,
                expected,
            });
        }
    }
    check_names(manifest.files())?;
    Ok(manifest)
}

/// A listed file's bytes, after a check of their size and hash.
pub(crate) fn read_listed(
    dir: &Path,
    files: &[FileEntry],
    name: &str,
) -> Result<Vec<u8>, ArtifactError> {
    let entry = listed(files, name)?;
    let bytes = read_at_most(&dir.join(name), entry.bytes)?;
    check_sum(entry, bytes.len() as u64, Sha256::new_with_prefix(&bytes))?;
    Ok(bytes)
}

/// The same for a table, which is mapped if it is large.
pub(crate) fn open_listed(
    dir: &Path,
    files: &[FileEntry],
    name: &str,
) -> Result<TableBytes, ArtifactError> {
    let entry = listed(files, name)?;
    let path = dir.join(name);
    let bytes = TableBytes::open(&path, entry.bytes).map_err(ArtifactError::io(&path))?;
    check_sum(entry, bytes.len() as u64, Sha256::new_with_prefix(&*bytes))?;
    Ok(bytes)
}

fn listed<'a>(files: &'a [FileEntry], name: &str) -> Result<&'a FileEntry, ArtifactError> {
    files.iter().find(|file| file.name == name).ok_or_else(|| {
        ArtifactError::malformed(names::MANIFEST_FILE, format!("{name:?} is not listed"))
    })
}

/// Checks what was read of a file: its length, or one byte more where it is longer than it should
/// be, and its hash.
pub(crate) fn check_sum(entry: &FileEntry, bytes: u64, hash: Sha256) -> Result<(), ArtifactError> {
    let damaged = |detail| {
        Err(ArtifactError::Damaged {
            file: entry.name.clone(),
            detail,
        })
    };
    if bytes > entry.bytes {
        return damaged(format!(
            "has more than the {} bytes of the manifest",
            entry.bytes
        ));
    }
    if bytes < entry.bytes {
        return damaged(format!(
            "has {bytes} bytes, the manifest says {}",
            entry.bytes
        ));
    }
    let found = digest(hash);
    if found != entry.sha256 {
        return damaged(format!(
            "has sha256 {}, the manifest says {}",
            found.hex(),
            entry.sha256.hex()
        ));
    }
    Ok(())
}

fn digest(hash: Sha256) -> Digest {
    let hex: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
        .parse()
        .expect("a sha256 is a digest")
}

/// Length and hash of a file that should have at most `limit` bytes; of a longer one, of one byte
/// more.
fn hash_file(path: &Path, limit: u64) -> Result<(u64, Sha256), ArtifactError> {
    let read = || -> io::Result<(u64, Sha256)> {
        let mut hash = Sha256::new();
        let mut file = File::open(path)?.take(limit.saturating_add(1));
        let bytes = io::copy(&mut file, &mut hash)?;
        Ok((bytes, hash))
    };
    read().map_err(ArtifactError::io(path))
}

/// Reads a file that should have at most `limit` bytes; of a longer one, one byte more.
fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>, ArtifactError> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(ArtifactError::io(path))
}

/// Checks manifest, sizes and hashes of an artifact of either kind without looking inside.
pub fn verify_artifact(dir: &Path, expected: &Digest) -> Result<Vec<FileEntry>, ArtifactError> {
    let files = listed_files(&read_manifest_bytes(dir, expected)?)?;
    for file in &files {
        let (bytes, hash) = hash_file(&dir.join(&file.name), file.bytes)?;
        check_sum(file, bytes, hash)?;
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
