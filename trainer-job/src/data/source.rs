//! Finds the files behind a URI and brings them here.

use std::{
    io,
    path::{Path, PathBuf},
};

use searchop_contract::JudgmentFormat;

use crate::error::TrainError;

/// Format of a table file, from its ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    Ndjson,
    Parquet,
    /// Whatever the caller takes it for.
    Text,
}

/// What a file is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Table,
    Judgments(JudgmentFormat),
}

/// One file of a table, on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    pub path: PathBuf,
    /// File name for messages: no folders, no bucket, no credentials.
    pub name: String,
    pub format: Format,
    pub gzip: bool,
}

impl SourceFile {
    /// A file at `path`, its format taken from the ending where that matters.
    pub fn of(kind: Kind, path: PathBuf) -> Result<Self, TrainError> {
        let name = path
            .file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy()
            .into_owned();
        let lower = name.to_ascii_lowercase();
        let (stem, gzip) = match lower.strip_suffix(".gz") {
            Some(stem) => (stem, true),
            None => (lower.as_str(), false),
        };
        let format = match stem.rsplit_once('.').map(|(_, ending)| ending) {
            Some("csv") => Format::Csv,
            Some("ndjson" | "jsonl") => Format::Ndjson,
            Some("parquet") if !gzip => Format::Parquet,
            _ if !matches!(kind, Kind::Table | Kind::Judgments(JudgmentFormat::Quepid)) => {
                Format::Text
            }
            _ => {
                return Err(TrainError::data(format!(
                    "{name}: unknown file ending; .parquet, .csv, .ndjson and .jsonl are read, \
                     and .csv.gz, .ndjson.gz and .jsonl.gz"
                )));
            }
        };
        Ok(Self {
            path,
            name,
            format,
            gzip,
        })
    }

    /// The error for a file that cannot be read at all.
    pub fn unreadable(&self, error: &io::Error) -> TrainError {
        unreadable(&self.name, error)
    }

    /// The error for a copy that cannot be made here.
    pub fn unwritable(&self, error: &io::Error) -> TrainError {
        TrainError::storage_unavailable(format!(
            "no place for a copy of {}: {}",
            self.name,
            error.kind()
        ))
    }
}

fn unreadable(name: &str, error: &io::Error) -> TrainError {
    match error.kind() {
        io::ErrorKind::NotFound => TrainError::data(format!("{name} does not exist")),
        io::ErrorKind::PermissionDenied => {
            TrainError::storage_refused(format!("{name} may not be read"))
        }
        kind => TrainError::storage_unavailable(format!("{name} cannot be read: {kind}")),
    }
}

/// The files behind `uri`, in order of their names. Objects are downloaded into `folder`.
pub fn resolve(kind: Kind, uri: &str, folder: &Path) -> Result<Vec<SourceFile>, TrainError> {
    let paths = match uri.split_once("://") {
        Some(("s3", _)) => super::download::fetch(kind, uri, folder)?,
        Some(("file", path)) if path.starts_with('/') => local(path)?,
        Some((scheme, _)) => {
            return Err(TrainError::config(format!(
                "data cannot be read from \"{scheme}://\"; use s3://bucket/key, file:///path or a path"
            )));
        }
        None => local(uri)?,
    };
    paths
        .into_iter()
        .map(|path| SourceFile::of(kind, path))
        .collect()
}

/// The end of a path, for messages: folders above are those of the machine or the pod, and say
/// nothing to who wrote the URI.
fn shown(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rmatch_indices('/')
        .nth(1)
        .map_or(path, |(slash, _)| &path[slash + 1..])
}

fn local(path: &str) -> Result<Vec<PathBuf>, TrainError> {
    if path.contains(['*', '?', '[']) && !Path::new(path).exists() {
        return matching(path);
    }
    let found = std::fs::metadata(path).map_err(|error| unreadable(shown(path), &error))?;
    if found.is_dir() {
        return Err(TrainError::data(format!(
            "{path} is a folder; name the files in it, for example {path}/*.parquet",
            path = shown(path)
        )));
    }
    Ok(vec![path.into()])
}

/// Files that match a pattern, in alphabetical order.
fn matching(pattern: &str) -> Result<Vec<PathBuf>, TrainError> {
    let paths = glob::glob(pattern).map_err(|error| {
        let pattern = shown(pattern);
        TrainError::config(format!("{pattern:?} is not a file pattern: {}", error.msg))
    })?;
    let mut files = Vec::new();
    for path in paths {
        let path = path
            .map_err(|error| unreadable(shown(&error.path().to_string_lossy()), error.error()))?;
        if path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(TrainError::data(format!(
            "{} matches no file",
            shown(pattern)
        )));
    }
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_follows_from_the_ending() {
        let format = |name: &str| {
            SourceFile::of(Kind::Table, name.into()).map(|file| (file.format, file.gzip))
        };
        assert_eq!(format("a/events.csv"), Ok((Format::Csv, false)));
        assert_eq!(format("EVENTS.CSV.GZ"), Ok((Format::Csv, true)));
        assert_eq!(format("part.0001.parquet"), Ok((Format::Parquet, false)));
        assert_eq!(format("e.jsonl"), Ok((Format::Ndjson, false)));
        assert_eq!(format("e.ndjson.gz"), Ok((Format::Ndjson, true)));
        for unknown in ["events.xlsx", "events", "events.parquet.gz", "events.json"] {
            let message = format(unknown).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("{unknown}: unknown file ending; .parquet, .csv")),
                "{message}"
            );
        }
    }

    #[test]
    fn messages_show_the_end_of_a_path() {
        for (path, end) in [
            ("/mnt/data/nowhere/catalog.csv", "nowhere/catalog.csv"),
            ("/catalog.csv", "/catalog.csv"),
            ("/logs/catalog.csv", "logs/catalog.csv"),
            ("logs/catalog.csv", "logs/catalog.csv"),
            ("catalog.csv", "catalog.csv"),
            ("/mnt/data/logs/", "data/logs"),
        ] {
            assert_eq!(shown(path), end, "{path}");
        }
    }

    #[test]
    fn local_files_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| format!("{}/{name}", folder.path().display());
        let dir = folder.path().file_name().unwrap().to_str().unwrap();
        for name in ["b.csv", "a.csv", "c.parquet"] {
            std::fs::write(at(name), "x").unwrap();
        }
        let names = |uri: &str| -> Result<Vec<String>, String> {
            let files =
                resolve(Kind::Table, uri, folder.path()).map_err(|error| error.to_string())?;
            Ok(files.into_iter().map(|file| file.name).collect())
        };
        assert_eq!(names(&at("b.csv")), Ok(vec!["b.csv".into()]));
        assert_eq!(
            names(&at("*.csv")),
            Ok(vec!["a.csv".into(), "b.csv".into()])
        );
        assert_eq!(
            names(&format!("file://{}", at("c.*"))),
            Ok(vec!["c.parquet".into()])
        );
        assert_eq!(
            names(&at("d.csv")),
            Err(format!("{dir}/d.csv does not exist"))
        );
        assert_eq!(
            names(&at("d*.csv")),
            Err(format!("{dir}/d*.csv matches no file"))
        );
        assert_eq!(
            names(&at("logs/old/d.csv")),
            Err("old/d.csv does not exist".into())
        );
        assert_eq!(
            names(&at("logs/[/d.csv")),
            Err("\"[/d.csv\" is not a file pattern: invalid range pattern".into())
        );
        let whole = shown(folder.path().to_str().unwrap());
        assert_eq!(
            names(&at("")),
            Err(format!(
                "{whole} is a folder; name the files in it, for example {whole}/*.parquet"
            ))
        );
        assert_eq!(
            names("gs://bucket/key.csv"),
            Err(
                "data cannot be read from \"gs://\"; use s3://bucket/key, file:///path or a path"
                    .into()
            )
        );
    }
}
