//! Counters of earlier runs, kept beside the artifacts: a sealed folder a day. A day is counted once;
//! a later run reads it instead of counting again, also when the log no longer has the day.
//!
//! A day is counted again where the log now accepts more events of it than before, since then the
//! log has been completed. Fewer are no reason: the lists of the first days of a window may lie
//! before it.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use polars::prelude::*;
use searchop_contract::{COUNTERS_FORMAT, CountersManifest, Digest, TextVersion};
use searchop_model::{
    artifact::{read_counters_manifest, write_artifact},
    features::FEATURES_VERSION,
    store::ArtifactKind,
    text::Analyzer,
};

use crate::{
    data::{Window, date},
    error::TrainError,
    prepare::{empty_dir, unwritable},
    publish::Store,
    stage_a::{DayTables, QUERY_ITEMS},
    traffic::Traffic,
};

/// Folder of newly counted days inside the work folder.
const COUNTERS_DIR: &str = "counters";
/// Version of the rules by which events are accepted and counted.
const COUNTING_VERSION: u32 = 1;

/// What earlier runs have counted.
#[derive(Debug, Default)]
pub struct KeptCounters {
    days: BTreeMap<i32, KeptDay>,
    /// Nobody needs these any more.
    stale: Vec<Digest>,
}

#[derive(Debug)]
struct KeptDay {
    digest: Digest,
    events: u64,
    dir: PathBuf,
}

/// A day that was counted now, sealed.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDay {
    pub digest: Digest,
    pub dir: PathBuf,
}

impl KeptCounters {
    /// Brings all days of `window` here. What cannot be used is counted again.
    pub fn fetch(store: &Store, window: Window, work: &Path) -> Result<Self, TrainError> {
        let mut kept = Self::default();
        let analyzer = Analyzer::english();
        for digest in store.list(ArtifactKind::Counters)? {
            let fetched = store.fetch(ArtifactKind::Counters, &digest, work);
            if let Err(error @ TrainError::StorageUnavailable(_)) = fetched {
                return Err(error);
            }
            let read = fetched.and_then(|dir| {
                let manifest = read_counters_manifest(&dir, &digest, &analyzer);
                Ok((dir, manifest.map_err(unwritable)?))
            });
            let (dir, manifest) = match read {
                Ok((dir, manifest)) if manifest.counting_version == COUNTING_VERSION => {
                    (dir, manifest)
                }
                other => {
                    let why = other
                        .err()
                        .map_or_else(|| "of other rules".to_owned(), |error| error.to_string());
                    tracing::warn!(digest = digest.short(), "kept counters are not used: {why}");
                    kept.stale.push(digest);
                    continue;
                }
            };
            let day = KeptDay {
                digest,
                events: manifest.events,
                dir,
            };
            kept.add(manifest.day_number, day, window);
        }
        Ok(kept)
    }

    /// Of two that counted one day, the more complete one stays.
    fn add(&mut self, number: i32, day: KeptDay, window: Window) {
        if !window.contains(number) {
            self.stale.push(day.digest);
            return;
        }
        let better = self
            .days
            .get(&number)
            .is_none_or(|other| day.events > other.events);
        let loser = if better {
            self.days.insert(number, day)
        } else {
            Some(day)
        };
        self.stale.extend(loser.map(|day| day.digest));
    }

    /// Whether the day need not be counted, where the log has `events` of it.
    pub fn has(&self, day: i32, events: u64) -> bool {
        self.days
            .get(&day)
            .is_some_and(|kept| kept.events >= events)
    }

    pub fn days(&self) -> impl Iterator<Item = i32> {
        self.days.keys().copied()
    }

    /// The tables of a day with the numbers that `traffic` gives to names; keys that it does not
    /// have are added.
    pub fn read(&self, day: i32, traffic: &mut Traffic) -> PolarsResult<DayTables> {
        let kept = &self.days[&day];
        let file = File::open(kept.dir.join(file_name()))?;
        let named = ParquetReader::new(file).set_rechunk(true).finish()?;
        let (queries, items) = (named.column("query")?.str()?, named.column("item")?.str()?);
        let keys = traffic.add_keys(queries.iter().flatten());
        let queries: Vec<u32> = queries.iter().flatten().map(|key| keys[key]).collect();
        let items: Vec<u32> = items
            .iter()
            .flatten()
            .map(|id| traffic.known_item(id).unwrap_or(u32::MAX))
            .collect();
        let mut numbered = named.clone();
        numbered.with_column(Column::new("query".into(), queries))?;
        numbered.with_column(Column::new("item".into(), items))?;
        let tables = DayTables::from_finest(day, numbered)?;
        tables.audit(kept.events)?;
        Ok(tables)
    }

    /// Deletes what is not used and puts the newly counted days in place. A copy that was altered
    /// has the address of its successor, so it must go first.
    pub fn update(&self, store: &Store, new: &[NewDay]) -> Result<(), TrainError> {
        for digest in &self.stale {
            store.delete(ArtifactKind::Counters, digest)?;
        }
        for day in new {
            store.publish_one(ArtifactKind::Counters, &day.dir, &day.digest)?;
        }
        Ok(())
    }
}

fn file_name() -> String {
    format!("{}.parquet", QUERY_ITEMS.name)
}

/// Writes the finest table of a day, with names for numbers, and seals it.
pub fn seal(
    tables: &DayTables,
    (traffic, text): (&Traffic, TextVersion),
    work: &Path,
) -> Result<NewDay, TrainError> {
    let dir = work.join(COUNTERS_DIR).join(date(tables.day));
    empty_dir(&dir)?;
    let failed =
        |error: PolarsError| TrainError::storage_unavailable(format!("work folder: {error}"));
    let mut named = named(&tables.query_items, traffic).map_err(failed)?;
    let file = File::create(dir.join(file_name())).map_err(|error| failed(error.into()))?;
    ParquetWriter::new(file)
        .with_compression(ParquetCompression::Zstd(None))
        .finish(&mut named)
        .map_err(failed)?;
    let manifest = CountersManifest {
        format_version: COUNTERS_FORMAT,
        files: Vec::new(),
        text,
        features_version: FEATURES_VERSION,
        counting_version: COUNTING_VERSION,
        day: date(tables.day),
        day_number: tables.day,
        events: tables.events().map_err(failed)?,
    };
    let (digest, _) = write_artifact(&dir, manifest).map_err(unwritable)?;
    Ok(NewDay { digest, dir })
}

fn named(table: &DataFrame, traffic: &Traffic) -> PolarsResult<DataFrame> {
    let names = |column: &str, names: &[String]| -> PolarsResult<Column> {
        let numbers = table.column(column)?.u32()?;
        let named: Vec<&str> = numbers
            .iter()
            .flatten()
            .map(|number| names[number as usize].as_str())
            .collect();
        Ok(Column::new(column.into(), named))
    };
    let mut table = table.clone();
    let (queries, items) = (
        names("query", &traffic.keys)?,
        names("item", &traffic.items)?,
    );
    table.with_column(queries)?;
    table.with_column(items)?;
    Ok(table)
}
