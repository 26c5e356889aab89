//! A work folder, in which each stage leaves what the next one reads, for work by hand.
//!
//! | file              | written by | holds                                                     |
//! |-------------------|------------|-----------------------------------------------------------|
//! | `rows.parquet`    | features   | a row a candidate: list, query, item, position, label, whether it was shown, features |
//! | `summary.json`    | features   | counts, slices, digest of the tables                      |
//! | `tables/`         | features   | the sealed tables                                         |
//! | `model.bst`       | train      | LightGBM's text                                           |
//! | `trained.json`    | train      | learning curve, importance                                |
//! | `evaluation.json` | evaluate   | measurements and the table of rankers                     |
//! | `model/`          | publish    | the sealed model                                          |

use std::{
    collections::HashMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use polars::prelude::*;
use searchop_contract::names::MODEL_FILE;
use searchop_model::features::feature_names;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    boosting::Trained,
    error::TrainError,
    lists::Candidate,
    outcome::Judged,
    prepare::{Prepared, RowNames, Summary},
    rows::{RowList, Rows},
    slices::Slice,
};

const ROWS: &str = "rows.parquet";
const SUMMARY: &str = "summary.json";
const TRAINED: &str = "trained.json";
const EVALUATION: &str = "evaluation.json";

/// A work folder.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes it where it is not there.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        fs::create_dir_all(path).map_err(|error| unwritable(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    pub fn save_prepared(&self, prepared: &Prepared) -> Result<(), TrainError> {
        let path = self.path.join(ROWS);
        let mut frame = frame(prepared).map_err(|error| unwritable(&path, &error))?;
        let file = File::create(&path).map_err(|error| unwritable(&path, &error))?;
        ParquetWriter::new(file)
            .finish(&mut frame)
            .map_err(|error| unwritable(&path, &error))?;
        self.save(SUMMARY, &prepared.summary)
    }

    pub fn prepared(&self) -> Result<Prepared, TrainError> {
        let path = self.path.join(ROWS);
        let file = File::open(&path).map_err(|error| missing(&path, "features", &error))?;
        let summary: Summary = self.load(SUMMARY, "features")?;
        let columns = columns(&summary);
        let read = ParquetReader::new(file)
            .finish()
            .and_then(|frame| rows(&frame, &columns));
        let (mut rows, names) = read.map_err(|error| missing(&path, "features", &error))?;
        rows.encoding = summary.encoding()?;
        Ok(Prepared {
            rows,
            names,
            summary,
        })
    }

    pub fn save_trained(&self, trained: &Trained) -> Result<(), TrainError> {
        let path = self.path.join(MODEL_FILE);
        fs::write(&path, &trained.text).map_err(|error| unwritable(&path, &error))?;
        self.save(TRAINED, trained)
    }

    pub fn trained(&self) -> Result<Trained, TrainError> {
        let path = self.path.join(MODEL_FILE);
        let text = fs::read_to_string(&path).map_err(|error| missing(&path, "train", &error))?;
        let trained: Trained = self.load(TRAINED, "train")?;
        Ok(Trained { text, ..trained })
    }

    pub fn save_judged(&self, judged: &Judged) -> Result<(), TrainError> {
        self.save(EVALUATION, judged)
    }

    pub fn judged(&self) -> Result<Judged, TrainError> {
        self.load(EVALUATION, "evaluate")
    }

    fn save(&self, name: &str, value: &impl Serialize) -> Result<(), TrainError> {
        let path = self.path.join(name);
        let bytes = serde_json::to_vec_pretty(value).expect("results have string keys");
        fs::write(&path, bytes).map_err(|error| unwritable(&path, &error))
    }

    fn load<T: DeserializeOwned>(&self, name: &str, stage: &str) -> Result<T, TrainError> {
        let path = self.path.join(name);
        let bytes = fs::read(&path).map_err(|error| missing(&path, stage, &error))?;
        serde_json::from_slice(&bytes).map_err(|error| missing(&path, stage, &error))
    }
}

fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> TrainError {
    TrainError::storage_unavailable(format!("{path:?} cannot be written: {error}"))
}

fn missing(path: &Path, stage: &str, error: &dyn std::fmt::Display) -> TrainError {
    TrainError::config(format!(
        "{path:?} cannot be read: {error}; run the stage {stage:?} first"
    ))
}

/// The columns with a row's values; declared ones by a prefix, as their names may be those of others.
fn columns(summary: &Summary) -> Vec<String> {
    let declared = summary.columns.iter();
    let declared = declared.map(|column| format!("declared.{}", column.feature.name));
    feature_names().into_iter().chain(declared).collect()
}

fn frame(prepared: &Prepared) -> PolarsResult<DataFrame> {
    let Prepared {
        rows,
        names,
        summary,
    } = prepared;
    let lists: Vec<(u32, &RowList)> = (0..)
        .zip(&rows.lists)
        .flat_map(|(number, list)| list.rows.clone().map(move |_| (number, list)))
        .collect();
    let numbers = |name: &str, of: fn(&(u32, &RowList)) -> u32| {
        Column::new(name.into(), lists.iter().map(of).collect::<Vec<_>>())
    };
    let texts = |name: &str, of: &dyn Fn(usize) -> String| {
        Column::new(name.into(), (0..lists.len()).map(of).collect::<Vec<_>>())
    };
    let candidates = &rows.candidates;
    let mut columns = vec![
        numbers("list", |(number, _)| *number),
        texts("slice", &|row| lists[row].1.slice.name().to_owned()),
        Column::new(
            "day".into(),
            lists.iter().map(|(_, list)| list.day).collect::<Vec<_>>(),
        ),
        numbers("query_number", |(_, list)| list.key),
        texts("query", &|row| {
            names.keys[lists[row].1.key as usize].clone()
        }),
        texts("item", &|row| {
            names.items[candidates[row].item as usize].clone()
        }),
        Column::new(
            "position".into(),
            candidates
                .iter()
                .map(|one| one.position)
                .collect::<Vec<_>>(),
        ),
        Column::new(
            "label".into(),
            candidates
                .iter()
                .map(|one| u32::from(one.label))
                .collect::<Vec<_>>(),
        ),
        Column::new(
            "shown".into(),
            candidates.iter().map(|one| one.shown).collect::<Vec<_>>(),
        ),
    ];
    for (index, name) in self::columns(summary).iter().enumerate() {
        let values: Vec<f32> = (0..lists.len()).map(|row| rows.row(row)[index]).collect();
        columns.push(Column::new(name.as_str().into(), values));
    }
    DataFrame::new(lists.len(), columns)
}

fn rows(frame: &DataFrame, values: &[String]) -> PolarsResult<(Rows, RowNames)> {
    let (lists, keys) = (
        frame.column("list")?.u32()?,
        frame.column("query_number")?.u32()?,
    );
    let (slices, days) = (frame.column("slice")?.str()?, frame.column("day")?.i32()?);
    let (queries, items) = (frame.column("query")?.str()?, frame.column("item")?.str()?);
    let (positions, labels) = (
        frame.column("position")?.u32()?,
        frame.column("label")?.u32()?,
    );
    let shown = frame.column("shown")?.bool()?;
    let features: Vec<&Float32Chunked> = values
        .iter()
        .map(|name| frame.column(name)?.f32())
        .collect::<PolarsResult<_>>()?;
    let (mut rows, mut names, mut last) = (Rows::default(), RowNames::default(), None);
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    for row in 0..frame.height() {
        let slice = Slice::ALL
            .into_iter()
            .find(|slice| Some(slice.name()) == slices.get(row));
        let key = keys.get(row).unwrap_or_default();
        if lists.get(row) != last {
            last = lists.get(row);
            rows.lists.push(RowList {
                slice: slice.ok_or_else(|| polars_err!(ComputeError: "row {row} has no slice"))?,
                key,
                day: days.get(row).unwrap_or_default(),
                rows: row..row,
            });
        }
        rows.lists
            .last_mut()
            .expect("the first row begins a list")
            .rows
            .end = row + 1;
        name(&mut names.keys, key, queries.get(row));
        let id = items.get(row).unwrap_or_default();
        let next = u32::try_from(numbers.len()).expect("a frame has fewer than 2^32 rows");
        let item = *numbers.entry(id).or_insert(next);
        name(&mut names.items, item, Some(id));
        let label = u8::try_from(labels.get(row).unwrap_or_default()).unwrap_or(u8::MAX);
        rows.candidates.push(Candidate {
            item,
            position: positions.get(row),
            label,
            shown: shown.get(row).unwrap_or(true),
        });
        rows.values.extend(
            features
                .iter()
                .map(|column| column.get(row).unwrap_or(f32::NAN)),
        );
    }
    Ok((rows, names))
}

/// Item numbers are in order of first sight here, other than before they were saved: behind this
/// point it only counts which are the same.
fn name(names: &mut Vec<String>, number: u32, text: Option<&str>) {
    let number = number as usize;
    if names.len() <= number {
        names.resize(number + 1, String::new());
    }
    if names[number].is_empty() {
        text.unwrap_or_default().clone_into(&mut names[number]);
    }
}
