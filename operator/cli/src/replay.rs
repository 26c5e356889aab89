//! `searchop replay`: logged features, computed again from the tables and what the requests said.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use searchop_contract::Digest;
use searchop_model::{
    feature_log::FeatureRecord,
    replay::{FieldPairs, Replay, ReplayError},
};
use serde_json::json;

use crate::{
    args,
    bundles::{BundleError, Bundles},
    exit::{Exit, Failure},
    records::{Lines, RecordsError, files},
};

#[derive(Debug, thiserror::Error)]
pub enum ReplayFailure {
    #[error(
        "there are no records in {0:?}: name files of the feature log, or folders with *.ndjson"
    )]
    Nothing(Vec<PathBuf>),
    #[error(transparent)]
    Records(#[from] RecordsError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl Failure for ReplayFailure {
    fn exit(&self) -> Exit {
        match self {
            Self::Nothing(_) => Exit::NotFound,
            Self::Records(RecordsError::Line { .. }) => Exit::Refused,
            Self::Records(RecordsError::Io { .. }) => Exit::Failed,
            Self::Bundle(error) => error.exit(),
        }
    }
}

/// Prints what came of it; refused where too few rows are equal or a unit looks wrong.
pub async fn replay(args: &args::Replay) -> Result<Exit, ReplayFailure> {
    let mut replayed = Replayed {
        bundles: Bundles::at(args.artifacts.as_deref(), &args.folder)?,
        tables: args.tables.clone(),
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

struct Replayed {
    bundles: Bundles,
    /// Instead of the tables that served.
    tables: Option<Digest>,
    found: Replay,
    /// From the end of a record's tables to the record, at most.
    oldest: SignedDuration,
}

impl Replayed {
    async fn read(&mut self, path: &Path) -> Result<(), ReplayFailure> {
        let mut lines = Lines::open(path)?;
        while let Some(line) = lines.read()? {
            let record: FeatureRecord = serde_json::from_slice(line)
                .map_err(|error| lines.wrong(format!("is no record: {error}")))?;
            let tables = self.tables.as_ref().unwrap_or(&record.tables_digest);
            let bundle = self.bundles.of(&record.digest, tables).await?;
            let age = Timestamp::from_second(record.time).map_or(SignedDuration::ZERO, |time| {
                time.duration_since(bundle.tables_manifest.tables_time)
            });
            self.oldest = self.oldest.max(age);
            let added = self.found.add(&record, bundle);
            added.map_err(|error: ReplayError| lines.wrong(error.to_string()))?;
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
