//! `searchop replay`: logged features, computed again from the tables and what the requests said.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use searchop_contract::{Digest, names};
use searchop_model::{
    artifact::ArtifactError,
    bundle::Bundle,
    feature_log::FeatureRecord,
    replay::{FieldPairs, Replay, ReplayError},
    store::{ArtifactKind, ArtifactStore, S3Settings, StoreError, install_tls_provider},
};
use serde_json::json;

use crate::{
    args,
    exit::{Exit, Failure},
    local::state::StateDir,
    local::state::StateError,
};

/// Longest line that is read: 100,000 candidates would not fit, 1,000 do.
const MAX_LINE_BYTES: usize = 64 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ReplayFailure {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}:{line}: {detail}", path.display())]
    Line {
        path: PathBuf,
        line: usize,
        detail: String,
    },
    #[error(
        "there are no records in {0:?}: name files of the feature log, or folders with *.ndjson"
    )]
    Nothing(Vec<PathBuf>),
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

impl Failure for ReplayFailure {
    fn exit(&self) -> Exit {
        match self {
            Self::Nothing(_) => Exit::NotFound,
            Self::Line { .. } => Exit::Refused,
            Self::Io { .. } | Self::State(_) | Self::Store(_) | Self::Artifact { .. } => {
                Exit::Failed
            }
        }
    }
}

/// Prints what came of it; refused where too few rows are equal or a unit looks wrong.
pub async fn replay(args: &args::Replay) -> Result<Exit, ReplayFailure> {
    let mut replayed = Replayed {
        artifacts: Artifacts::open(args)?,
        found: Replay::default(),
        oldest: SignedDuration::ZERO,
    };
    for path in files(&args.logs)? {
        replayed.read(&path).await?;
    }
    let found = &replayed.found;
    if found.requests == 0 {
        return Err(ReplayFailure::Nothing(args.logs.clone()));
    }
    match args.output {
        args::Report::Table => print!("{}", replayed.text()),
        args::Report::Json => println!("{}", replayed.json()),
    }
    let other_unit = found
        .fields
        .values()
        .any(|pairs| pairs.other_unit().is_some());
    match found.equal_share() < args.min_equal || other_unit {
        true => Ok(Exit::Refused),
        false => Ok(Exit::Done),
    }
}

/// The files that are named and, of folders, those with records.
fn files(logs: &[PathBuf]) -> Result<Vec<PathBuf>, ReplayFailure> {
    let mut files = Vec::new();
    for path in logs {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in fs::read_dir(path).map_err(io_error(path))? {
            let file = entry.map_err(io_error(path))?.path();
            if file.extension().is_some_and(|ending| ending == "ndjson") {
                inside.push(file);
            }
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ReplayFailure {
    let path = path.to_owned();
    move |source| ReplayFailure::Io { path, source }
}

/// Where models and tables are, and those that were needed so far.
struct Artifacts {
    store: ArtifactStore,
    cache: PathBuf,
    /// Instead of the tables that served.
    tables: Option<Digest>,
    open: HashMap<(Digest, Digest), Bundle>,
}

impl Artifacts {
    fn open(args: &args::Replay) -> Result<Self, ReplayFailure> {
        install_tls_provider();
        let state = StateDir::at(&args.folder.dir)?;
        let folder = || format!("file://{}", state.artifacts().display());
        let uri = match &args.artifacts {
            Some(uri) if uri.contains("://") => uri.clone(),
            Some(path) => {
                let path = Path::new(path);
                let folder = path.canonicalize().map_err(io_error(path))?;
                format!("file://{}", folder.display())
            }
            None => folder(),
        };
        Ok(Self {
            store: ArtifactStore::open(&uri, &S3Settings::from_env(names::S3_PREFIX))?,
            cache: state.root().join("replay"),
            tables: args.tables.clone(),
            open: HashMap::new(),
        })
    }

    /// What a record is computed again with.
    async fn of(&mut self, record: &FeatureRecord) -> Result<&Bundle, ReplayFailure> {
        let tables = self.tables.as_ref().unwrap_or(&record.tables_digest);
        let key = (record.digest.clone(), tables.clone());
        if !self.open.contains_key(&key) {
            let (digest, tables) = &key;
            let (store, cache) = (&self.store, &self.cache);
            let model = store.fetch(ArtifactKind::Model, digest, cache).await?;
            let folder = store.fetch(ArtifactKind::Tables, tables, cache).await?;
            let bundle = Bundle::open(&model, digest, &folder, tables);
            let bundle = bundle.map_err(|source| ReplayFailure::Artifact {
                digest: digest.clone(),
                source,
            })?;
            self.open.insert(key.clone(), bundle);
        }
        Ok(&self.open[&key])
    }
}

struct Replayed {
    artifacts: Artifacts,
    found: Replay,
    /// From the end of a record's tables to the record, at most.
    oldest: SignedDuration,
}

impl Replayed {
    async fn read(&mut self, path: &Path) -> Result<(), ReplayFailure> {
        let wrong = |line, detail: String| ReplayFailure::Line {
            path: path.to_owned(),
            line,
            detail,
        };
        let mut lines = BufReader::new(File::open(path).map_err(io_error(path))?);
        let mut text = Vec::new();
        for line in 1.. {
            text.clear();
            let mut limited = lines.by_ref().take(MAX_LINE_BYTES as u64 + 1);
            let read = limited.read_until(b'\n', &mut text);
            if read.map_err(io_error(path))? == 0 {
                break;
            }
            if text.len() > MAX_LINE_BYTES {
                return Err(wrong(
                    line,
                    format!("is longer than {MAX_LINE_BYTES} bytes"),
                ));
            }
            let record: FeatureRecord = serde_json::from_slice(&text)
                .map_err(|error| wrong(line, format!("is no record: {error}")))?;
            let bundle = self.artifacts.of(&record).await?;
            let age = Timestamp::from_second(record.time).map_or(SignedDuration::ZERO, |time| {
                time.duration_since(bundle.tables_manifest.tables_time)
            });
            self.oldest = self.oldest.max(age);
            let added = self.found.add(&record, bundle);
            added.map_err(|error: ReplayError| wrong(line, error.to_string()))?;
        }
        Ok(())
    }

    fn text(&self) -> String {
        let found = &self.found;
        let mut text = format!(
            "{} requests, {} rows: {:.3} % equal\ntables end at most {:.1} days before the requests\n",
            found.requests,
            found.rows,
            100.0 * found.equal_share(),
            self.oldest.as_secs_f64() / 86_400.0,
        );
        let mut features: Vec<_> = found.features.iter().collect();
        features.sort_by_key(|(_, of)| std::cmp::Reverse(of.different));
        if !features.is_empty() {
            let _ = writeln!(
                text,
                "\n{:<28} {:>9} {:>12}  example",
                "differs", "values", "from tables"
            );
        }
        for (name, of) in features {
            let example = of.example.as_ref().map(|example| {
                let (query, id) = (&example.query_id, &example.id);
                format!(
                    "{query:?}, {id:?}: {} logged, {} now",
                    example.logged, example.replayed
                )
            });
            let (different, from_tables) = (of.different, of.from_tables);
            let example = example.unwrap_or_default();
            let _ = writeln!(
                text,
                "{name:<28} {different:>9} {from_tables:>12}  {example}"
            );
        }
        for (field, pairs) in &found.fields {
            let _ = writeln!(text, "\n{}", of_field(field, pairs));
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        let found = &self.found;
        let features = found.features.iter().map(|(name, of)| {
            json!({"feature": name, "different": of.different, "fromTables": of.from_tables})
        });
        let fields = found.fields.iter().map(|(name, pairs)| {
            let factor = pairs.other_unit();
            json!({"field": name, "pairs": pairs.pairs, "equal": pairs.equal, "unitFactor": factor})
        });
        json!({
            "requests": found.requests,
            "rows": found.rows,
            "equalRows": found.equal_rows,
            "equalShare": found.equal_share(),
            "tablesAgeSeconds": self.oldest.as_secs(),
            "features": features.collect::<Vec<_>>(),
            "fields": fields.collect::<Vec<_>>(),
        })
    }
}

fn of_field(field: &str, pairs: &FieldPairs) -> String {
    let (equal, all) = (pairs.equal, pairs.pairs);
    let same = format!("{field}: requests and tables say the same of {equal} of {all} products");
    match pairs.other_unit() {
        Some(factor) => format!("{same}; requests say {factor:.4} times as much: another unit?"),
        None => same,
    }
}
