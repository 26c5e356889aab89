//! The features stage: from the click log to rows in slices, and to the tables that will be served.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
};

use jiff::Timestamp;
use polars::prelude::PolarsError;
use searchop_contract::{
    DataCounts, DataSource, Digest, FeatureSource, FeatureType, ModelFeature, TrainingJob,
};
use searchop_model::{
    artifact::ArtifactError,
    schema::{Given, Schema},
    tables::{DeclaredColumn, Tables},
};
use serde::{Deserialize, Serialize};

use crate::{
    counter_lag,
    data::{Cleaning, Dataset, Window, date},
    encoding::{self, Encoding},
    error::TrainError,
    kept_counters::{self, KeptCounters, NewDay},
    lists::{self, JudgmentCounts, List, ListCounts},
    position_bias::PositionBiasDecision,
    rows::{self, Catalog, Rows},
    slices::{Slice, Slices},
    stage_a::DayCounts,
    traffic::Traffic,
};

/// Folder of the sealed tables inside the work folder.
pub const TABLES_DIR: &str = "tables";
/// Golden rows: this many queries …
const GOLDEN_QUERIES: usize = 10;
/// … with this many of their shown items each, and one item that was not shown.
const GOLDEN_SHOWN: usize = 4;

/// What training and evaluation need.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    pub rows: Rows,
    pub names: RowNames,
    pub summary: Summary,
}

/// What the numbers in the rows stand for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowNames {
    /// Query keys, by [`rows::RowList::key`].
    pub keys: Vec<String>,
    /// Item ids, by [`lists::Candidate::item`].
    pub items: Vec<String>,
}

/// Everything about the rows but the rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub data: DataCounts,
    pub cleaning: Cleaning,
    pub lists: ListCounts,
    pub judgments: JudgmentCounts,
    pub train: Span,
    pub valid: Span,
    pub gate: Span,
    pub position_bias: PositionBiasDecision,
    /// End of the newest day that the trees see; the held-out days begin here.
    pub trained_through_time: Timestamp,
    /// End of the newest day that the tables count.
    pub tables_time: Timestamp,
    pub tables_digest: Digest,
    /// See [`Dataset::digest`].
    pub data_digest: Digest,
    /// Pairs of query and item whose counters the tables keep.
    pub pairs: u64,
    /// Their share of all impressions under queries.
    pub pair_coverage: f64,
    pub golden: Vec<GoldenPair>,
    /// Columns of the rows behind the preset's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<DeclaredColumn>,
    /// What the model learns of the job's declared features.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared: Vec<ModelFeature>,
}

impl Summary {
    /// How the model that is trained on the rows reads them.
    pub fn encoding(&self) -> Result<Encoding, TrainError> {
        Schema::new(&self.declared)
            .and_then(|schema| Encoding::new(schema, &self.columns))
            .map_err(|error| TrainError::config(format!("features.declared: {error}")))
    }
}

/// Days of a slice, both included, and what is in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    pub from: String,
    pub to: String,
    pub lists: u64,
    /// Distinct query keys.
    pub queries: u64,
    pub rows: u64,
}

/// A row that both programs must compute alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoldenPair {
    pub query: String,
    pub item: String,
    /// What the request said of declared features.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub given: BTreeMap<String, GoldenValue>,
}

/// A value of a declared feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum GoldenValue {
    Number(f32),
    Category(String),
}

impl GoldenValue {
    pub fn given(&self) -> Given<'static> {
        match self {
            Self::Number(value) => Given::Number((*value).into()),
            Self::Category(text) => Given::Text(text.clone().into()),
        }
    }
}

/// Computes rows and writes the sealed tables to `work`/[`TABLES_DIR`].
pub fn prepare(job: &TrainingJob, dataset: &Dataset, work: &Path) -> Result<Prepared, TrainError> {
    let (prepared, _) = resume(job, dataset, &KeptCounters::default(), work)?;
    Ok(prepared)
}

/// The same with the counters of earlier runs; also returns the days that were counted now.
pub fn resume(
    job: &TrainingJob,
    dataset: &Dataset,
    kept: &KeptCounters,
    work: &Path,
) -> Result<(Prepared, Vec<NewDay>), TrainError> {
    let catalog = Catalog::analyse(&dataset.products)?.declaring(&dataset.declared);
    let mut traffic = Traffic::read(dataset, catalog.analyzer()).map_err(broken)?;
    let oldest = lists::oldest_day(&traffic).ok_or_else(|| {
        TrainError::data("no impressions; without them it is not known what shoppers saw")
    })?;
    let slices = Slices::divide(job, dataset.window, oldest)?;
    let (mut lists, list_counts) = lists::build(&traffic, &slices);
    check(job, &slices, &list_counts)?;
    counter_lag::draw(&mut lists, job.counter_lag, job.parameters.seed);
    let golden = golden(&lists, &traffic);
    let tomorrow = (catalog.analyzer(), dataset.window.last_day + 1);
    let (judged, judgment_counts) = lists::judged(&dataset.judgments, &mut traffic, tomorrow);
    lists.extend(judged);
    let position_bias =
        PositionBiasDecision::of(&traffic, job.position_bias, slices.trained_through())
            .map_err(broken)?;
    let (counts, new_days) = count((job, &catalog), &mut traffic, kept, work)?;
    let (mut rows, history) = rows::compute(&catalog, &traffic, &lists, (&counts, dataset.window));
    if job.candidate_list {
        catalog.fill_candidate_lists(&mut rows, job.parameters.seed);
    }
    let tables = rows::tables(&catalog, &traffic, &history, (&job.model, dataset.through));
    let pairs = tables.query_items.len() as u64;
    let tables_digest = seal((&catalog, tables), &work.join(TABLES_DIR))?;
    let columns = catalog.declared_columns(&traffic);
    let training = rows.of(Slice::Train).flat_map(|list| list.rows.clone());
    let declared = encoding::learn(&job.declared, &columns, training.map(|row| rows.row(row)));
    let span = |slice: Slice, days: Window| span(&rows, slice, days);
    let summary = Summary {
        data: DataCounts {
            training_lists: list_counts.train + list_counts.valid,
            holdout_lists: list_counts.gate,
            ..dataset.counts()
        },
        cleaning: dataset.cleaning.clone(),
        lists: list_counts,
        judgments: judgment_counts,
        train: span(Slice::Train, slices.train),
        valid: span(Slice::Valid, slices.valid),
        gate: span(Slice::Gate, slices.gate),
        position_bias,
        trained_through_time: Window::ending(slices.trained_through(), 1).end(),
        tables_time: dataset.through,
        tables_digest,
        data_digest: dataset.digest(),
        golden,
        pairs,
        pair_coverage: rows::pair_coverage(&history),
        columns,
        declared,
    };
    rows.encoding = summary.encoding()?;
    let names = RowNames {
        keys: traffic.keys,
        items: traffic.items,
    };
    let prepared = Prepared {
        rows,
        names,
        summary,
    };
    Ok((prepared, new_days))
}

/// Counts what is new and writes the sealed tables alone, as [`resume`] does: the same data give the
/// same tables.
pub fn refresh(
    job: &TrainingJob,
    dataset: &Dataset,
    kept: &KeptCounters,
    work: &Path,
) -> Result<(Digest, Vec<NewDay>), TrainError> {
    let catalog = Catalog::analyse(&dataset.products)?.declaring(&dataset.declared);
    let mut traffic = Traffic::read(dataset, catalog.analyzer()).map_err(broken)?;
    let (counts, new_days) = count((job, &catalog), &mut traffic, kept, work)?;
    let (_, history) = rows::compute(&catalog, &traffic, &[], (&counts, dataset.window));
    let tables = rows::tables(&catalog, &traffic, &history, (&job.model, dataset.through));
    let digest = seal((&catalog, tables), &work.join(TABLES_DIR))?;
    Ok((digest, new_days))
}

/// Counts the days that were not counted before, and seals those to be kept.
fn count(
    (job, catalog): (&TrainingJob, &Catalog),
    traffic: &mut Traffic,
    kept: &KeptCounters,
    work: &Path,
) -> Result<(DayCounts, Vec<NewDay>), TrainError> {
    let mut new_days = Vec::new();
    let text = catalog.analyzer().version();
    let counts = DayCounts::resume(traffic, kept, |tables, traffic| {
        if matches!(job.data, DataSource::Sources { .. }) {
            new_days.push(kept_counters::seal(tables, (traffic, text.clone()), work)?);
        }
        Ok(())
    })?;
    Ok((counts, new_days))
}

fn broken(error: PolarsError) -> TrainError {
    TrainError::data(format!("the events cannot be counted: {error}"))
}

fn check(job: &TrainingJob, slices: &Slices, counts: &ListCounts) -> Result<(), TrainError> {
    let named = |what: &str, days: Window| {
        format!(
            "no list with a click, cart or purchase from {} to {}, the days that {what}",
            date(days.first_day),
            date(days.last_day)
        )
    };
    if counts.gate == 0 {
        return Err(TrainError::evaluation(named(
            "judge the model",
            slices.gate,
        )));
    }
    if job.evaluate_only.is_some() {
        return Ok(());
    }
    for (lists, what, days) in [
        (counts.train, "train the model", slices.train),
        (counts.valid, "tell it when to stop", slices.valid),
    ] {
        if lists == 0 {
            return Err(TrainError::data(named(what, days)));
        }
    }
    Ok(())
}

fn seal(
    (catalog, rows): (&Catalog, searchop_model::tables::TableRows),
    dir: &Path,
) -> Result<Digest, TrainError> {
    empty_dir(dir)?;
    Tables::build_with(rows, &catalog.declared_items())
        .and_then(|tables| tables.write(dir))
        .map_err(unwritable)
}

/// An empty folder, whatever an earlier run left there.
pub fn empty_dir(dir: &Path) -> Result<(), TrainError> {
    let failed = |error: std::io::Error| {
        TrainError::storage_unavailable(format!("work folder {dir:?} cannot be written: {error}"))
    };
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(failed)?;
    }
    fs::create_dir_all(dir).map_err(failed)
}

/// An artifact that could not be made here.
pub fn unwritable(error: ArtifactError) -> TrainError {
    match error {
        ArtifactError::Io { .. } => {
            TrainError::storage_unavailable(format!("work folder: {error}"))
        }
        other => TrainError::data(other.to_string()),
    }
}

fn span(rows: &Rows, slice: Slice, days: Window) -> Span {
    let mut keys: Vec<u32> = rows.of(slice).map(|list| list.key).collect();
    keys.sort_unstable();
    keys.dedup();
    Span {
        from: date(days.first_day),
        to: date(days.last_day),
        lists: rows.of(slice).count() as u64,
        queries: keys.len() as u64,
        rows: rows.of(slice).map(|list| list.rows.len() as u64).sum(),
    }
}

/// Pairs from the newest lists, each query once, with items that were shown and one that was not.
fn golden(lists: &[List], traffic: &Traffic) -> Vec<GoldenPair> {
    let mut queries = HashSet::new();
    let mut pairs = Vec::new();
    for list in lists
        .iter()
        .rev()
        .filter(|list| queries.insert(list.query))
        .take(GOLDEN_QUERIES)
    {
        let shown: Vec<u32> = list
            .candidates
            .iter()
            .map(|candidate| candidate.item)
            .collect();
        let known = shown
            .iter()
            .copied()
            .filter(|item| traffic.knows(*item))
            .take(GOLDEN_SHOWN);
        let other = (0..traffic.known_items)
            .rev()
            .find(|item| !shown.contains(item));
        pairs.extend(known.chain(other).map(|item| GoldenPair {
            query: traffic.queries[list.query as usize].text.clone(),
            item: traffic.items[item as usize].clone(),
            given: given(list, traffic, item),
        }));
    }
    pairs
}

/// What was logged of an item of the list; of another one, what was logged of the list.
fn given(list: &List, traffic: &Traffic, item: u32) -> BTreeMap<String, GoldenValue> {
    let columns = &traffic.declared.columns;
    let mut candidates = list.candidates.iter();
    let own = candidates.position(|candidate| candidate.item == item);
    let start = own.unwrap_or_default() * columns.len();
    let values = list.declared.get(start..start + columns.len());
    let pairs = columns.iter().zip(values.unwrap_or_default());
    let known = pairs.filter(|(column, value)| {
        !value.is_nan() && (own.is_some() || column.feature.source == FeatureSource::Request)
    });
    known
        .map(|(column, value)| {
            let text = column.categories.get(*value as usize);
            let value = match column.feature.kind {
                FeatureType::Number => GoldenValue::Number(*value),
                FeatureType::Category => GoldenValue::Category(text.cloned().unwrap_or_default()),
            };
            (column.feature.name.clone(), value)
        })
        .collect()
}
