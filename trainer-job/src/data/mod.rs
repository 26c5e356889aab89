//! From files, or a made-up shop, to the catalogue and the click log that a model learns from.

mod catalog;
mod cell;
mod clean;
pub mod declared;
mod digest;
mod download;
mod events;
pub mod judgments;
mod log;
mod problems;
pub mod source;
mod table;
mod window;

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use declared::LoggedValues;
use jiff::Timestamp;
use polars::prelude::{Column, DataFrame, PolarsResult};
use searchop_contract::{
    DataCounts, DataSource, DeclaredFeature, JudgmentSource, SyntheticShop, TableSource,
    TrainingJob,
};
use searchop_model::{
    item::ItemFields,
    tables::{DeclaredColumn, DeclaredItems},
};
use source::Kind;

pub use catalog::DEFAULT_ID_FIELD;
pub use cell::Cell;
pub use clean::{Cleaning, List};
pub use declared::{Declared, Wanted};
pub use judgments::{Judgment, Judgments};
pub use log::{Action, DAY_MS, Event, EventLog, NamedEvent, Names, day_of};
pub use problems::Problems;
pub use source::SourceFile;
pub use window::{Window, complete_day, date};

use crate::{error::TrainError, shop};

/// An item of the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    pub id: String,
    pub fields: ItemFields,
}

/// What a model learns from, checked and cleaned.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Ordered by id; ids are unique.
    pub products: Vec<Product>,
    /// One row an event, ordered by time:
    ///
    /// | column     | type   | meaning                                                        |
    /// |------------|--------|----------------------------------------------------------------|
    /// | `list_id`  | String | the result list (UBI's query_id)                               |
    /// | `query`    | String | the list's query as it was typed                               |
    /// | `client`   | String | who; empty where unknown                                       |
    /// | `item`     | String | product id; the catalogue may not have it                      |
    /// | `action`   | Int8   | −1 candidate that was not shown, 0 impression, 1 click, 2 cart, 3 purchase: see [`Action`] |
    /// | `position` | Int32  | 1-based; null where unknown                                    |
    /// | `time_ms`  | Int64  | milliseconds since 1970                                        |
    /// | `day`      | Int32  | UTC day number on which the event arrived                      |
    /// | `list_day` | Int32  | UTC day number of the list's first impression; at most `day`   |
    ///
    /// | `declared_N` | Float32 or String | the declared feature N of those that are read from the log; null where missing |
    ///
    /// Every cart, click and purchase has an earlier impression of its item in its list.
    pub events: DataFrame,
    /// The complete days that were read, whether or not each has events.
    pub window: Window,
    /// End of the newest day.
    pub through: Timestamp,
    pub cleaning: Cleaning,
    /// Grades of people; empty where there are none.
    pub judgments: Judgments,
    pub declared: Declared,
}

impl Dataset {
    /// Of each declared feature of the job, the share of products, or of the events of shown items, with
    /// a value.
    pub fn declared_shares(&self) -> Vec<(String, f64)> {
        let Declared { wanted, items } = &self.declared;
        let own = &wanted.features[..wanted.own];
        let width = items.columns.len();
        let in_catalog = |(place, column): (usize, &DeclaredColumn)| {
            let values = items.values.iter().skip(place).step_by(width);
            let there = values.filter(|value| !value.is_nan()).count();
            let share = there as f64 / self.products.len().max(1) as f64;
            (column.feature.clone(), share)
        };
        let in_log = |(place, feature): (usize, &DeclaredFeature)| {
            let column = self.events.column(&declared::column_name(place)).ok();
            let missing = column.map_or(self.events.height(), Column::null_count);
            let share = 1.0 - missing as f64 / self.events.height().max(1) as f64;
            (feature.clone(), share)
        };
        let catalog = items.columns.iter().enumerate().map(in_catalog);
        let log = self.declared.logged().enumerate().map(in_log);
        let all = catalog
            .chain(log)
            .filter(|(feature, _)| own.contains(feature));
        all.map(|(feature, share)| (feature.name, share)).collect()
    }

    /// What went in; the lists are counted by who divides them.
    pub fn counts(&self) -> DataCounts {
        DataCounts {
            products: self.products.len() as u64,
            events: self.cleaning.kept,
            dropped_events: self.cleaning.dropped(),
            ..DataCounts::default()
        }
    }
}

/// What loading is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Draws this many days of the made-up shop.
    Drawing { days: u32 },
    /// Reads a file.
    Reading { file: &'a str, bytes: u64 },
    /// Cleans this many events.
    Cleaning { events: u64 },
}

/// Told of each step as it begins.
pub type Progress<'p> = dyn FnMut(Step<'_>) + 'p;

/// Reads and checks what `job` names. Objects are downloaded into `work_dir`.
pub fn load(
    job: &TrainingJob,
    work_dir: &Path,
    progress: &mut Progress<'_>,
) -> Result<Dataset, TrainError> {
    load_with(job, Wanted::new(&job.declared, []), work_dir, progress)
}

/// The same with the features that are `wanted`, those of the job among them.
pub fn load_with(
    job: &TrainingJob,
    wanted: Wanted,
    work_dir: &Path,
    progress: &mut Progress<'_>,
) -> Result<Dataset, TrainError> {
    let newest = complete_day(job.as_of_time);
    match &job.data {
        DataSource::Synthetic(settings) => synthetic(settings, newest, progress),
        DataSource::Sources {
            catalog,
            events,
            event_format: _,
            window_days,
            judgments,
        } => {
            let products = read_declared_catalog((catalog, &wanted), work_dir, progress)?;
            let raw = read_events((events, wanted), work_dir, progress)?;
            let window = newest_days(&raw, job.as_of_time, *window_days)?;
            let judgments = match judgments {
                Some(source) => read_judgments(source, work_dir, progress)?,
                None => Judgments::default(),
            };
            Ok(Dataset {
                judgments,
                ..finish(products, raw, window, progress)?
            })
        }
    }
}

/// The window that ends with the newest complete day of the events.
pub(crate) fn newest_days(
    raw: &RawEvents,
    as_of: Timestamp,
    days: u32,
) -> Result<Window, TrainError> {
    let complete = complete_day(as_of);
    let there = raw.log.events.iter().map(|event| day_of(event.time_ms));
    let last = there.filter(|day| *day <= complete).max();
    Ok(Window::ending(
        last.ok_or_else(|| nothing_before(raw, as_of))?,
        days,
    ))
}

/// Events as they were read, and where from.
pub(crate) struct RawEvents {
    log: EventLog,
    pub(crate) cleaning: Cleaning,
    wanted: Wanted,
    /// For messages about the events as a whole.
    name: String,
}

fn synthetic(
    settings: &SyntheticShop,
    newest: i32,
    progress: &mut Progress<'_>,
) -> Result<Dataset, TrainError> {
    progress(Step::Drawing {
        days: settings.window_days,
    });
    let shop::Drawn {
        mut products, log, ..
    } = shop::draw(settings, newest)?;
    products.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let cleaning = Cleaning {
        read: log.events.len() as u64,
        ..Cleaning::default()
    };
    let raw = RawEvents {
        log,
        cleaning,
        wanted: Wanted::default(),
        name: "the made-up shop".to_owned(),
    };
    finish(
        (products, DeclaredItems::default()),
        raw,
        Window::ending(newest, settings.window_days),
        progress,
    )
}

/// Reads and checks the catalogue alone. Objects are downloaded into `work_dir`.
pub fn read_catalog(
    source: &TableSource,
    work_dir: &Path,
    progress: &mut Progress<'_>,
) -> Result<Vec<Product>, TrainError> {
    let wanted = Wanted::default();
    let (products, _) = read_declared_catalog((source, &wanted), work_dir, progress)?;
    Ok(products)
}

/// The same with the columns that declared features are read from.
pub(crate) fn read_declared_catalog(
    (source, wanted): (&TableSource, &Wanted),
    work_dir: &Path,
    progress: &mut Progress<'_>,
) -> Result<(Vec<Product>, DeclaredItems), TrainError> {
    let files = source::resolve(Kind::Table, &source.uri, &work_dir.join("catalog"))?;
    files.iter().for_each(|file| progress(reading(file)));
    let id_field = source.id_field.as_deref().unwrap_or(DEFAULT_ID_FIELD);
    catalog::read(&files, id_field, wanted)
}

pub(crate) fn read_events(
    (source, wanted): (&TableSource, Wanted),
    work_dir: &Path,
    progress: &mut Progress<'_>,
) -> Result<RawEvents, TrainError> {
    let files = source::resolve(Kind::Table, &source.uri, &work_dir.join("events"))?;
    let log = EventLog {
        declared: LoggedValues::new(&wanted),
        ..EventLog::default()
    };
    let (mut log, mut cleaning, mut problems) = (log, Cleaning::default(), Problems::default());
    let mut rows = 0;
    for file in &files {
        progress(reading(file));
        rows += events::read((file, &wanted), &mut log, &mut cleaning, &mut problems)?;
    }
    problems.finish()?;
    if rows == 0 {
        return Err(no_rows(&files));
    }
    let name = called(&files);
    log.declared.check(&wanted, &name)?;
    Ok(RawEvents {
        log,
        cleaning,
        wanted,
        name,
    })
}

pub(crate) fn read_judgments(
    source: &JudgmentSource,
    work_dir: &Path,
    progress: &mut Progress<'_>,
) -> Result<Judgments, TrainError> {
    let kind = Kind::Judgments(source.format);
    let files = source::resolve(kind, &source.uri, &work_dir.join("judgments"))?;
    files.iter().for_each(|file| progress(reading(file)));
    judgments::read(&files, source.format)
}

fn reading(file: &SourceFile) -> Step<'_> {
    let bytes = std::fs::metadata(&file.path).map_or(0, |metadata| metadata.len());
    Step::Reading {
        file: &file.name,
        bytes,
    }
}

/// Cleans, refuses what nothing can be learned from, and lays the columns out.
pub(crate) fn finish(
    (products, items): (Vec<Product>, DeclaredItems),
    raw: RawEvents,
    window: Window,
    progress: &mut Progress<'_>,
) -> Result<Dataset, TrainError> {
    let RawEvents {
        mut log,
        mut cleaning,
        wanted,
        name,
    } = raw;
    progress(Step::Cleaning {
        events: log.events.len() as u64,
    });
    let lists = clean::clean(&mut log, window, &mut cleaning);
    check(&log, &cleaning, &name)?;
    cleaning.unknown_items = unknown_items(&products, &log);
    if cleaning.unknown_items == cleaning.kept {
        return Err(TrainError::data(format!(
            "{name}: the catalogue has none of the items, for example {:?}; is idField the column with the same ids?",
            log.items.name(log.events[0].item)
        )));
    }
    let events =
        columns(&log, &lists).expect("all columns are of one length and of different names");
    Ok(Dataset {
        products,
        events,
        window,
        through: window.end(),
        cleaning,
        judgments: Judgments::default(),
        declared: Declared { wanted, items },
    })
}

fn check(log: &EventLog, cleaning: &Cleaning, name: &str) -> Result<(), TrainError> {
    let has = |wanted: fn(Action) -> bool| log.events.iter().any(|event| wanted(event.action));
    let refuse = |what: &str| Err(TrainError::data(format!("{name}: {what} ({cleaning})")));
    if !has(|action| action == Action::Impression) {
        return refuse("no impressions; without them it is not known what shoppers saw");
    }
    if !has(|action| action > Action::Impression) {
        return refuse("no clicks, carts or purchases; there is nothing to learn from");
    }
    let queries: HashSet<u32> = log.events.iter().map(|event| event.query).collect();
    if queries.len() < 2 {
        let only = log.queries.name(log.events[0].query);
        return refuse(&format!(
            "one query only, {only:?}; at least two are needed"
        ));
    }
    Ok(())
}

fn unknown_items(products: &[Product], log: &EventLog) -> u64 {
    let known: HashSet<&str> = products.iter().map(|product| product.id.as_str()).collect();
    let unknown: Vec<bool> = (0..log.items.len())
        .map(|item| !known.contains(log.items.name(item as u32)))
        .collect();
    log.events
        .iter()
        .filter(|event| unknown[event.item as usize])
        .count() as u64
}

fn nothing_before(raw: &RawEvents, as_of: Timestamp) -> TrainError {
    let oldest = raw
        .log
        .events
        .iter()
        .map(|event| day_of(event.time_ms))
        .min();
    let found = match oldest {
        Some(day) => format!("the oldest event is of {}", date(day)),
        None => raw.cleaning.to_string(),
    };
    TrainError::data(format!(
        "{}: no event on a complete day, that is up to {}; {found}",
        raw.name,
        date(complete_day(as_of))
    ))
}

fn no_rows(files: &[SourceFile]) -> TrainError {
    TrainError::data(match files {
        [only] if only.format == source::Format::Csv => {
            format!("{}: no rows below the header", only.name)
        }
        files => format!("{}: no rows", called(files)),
    })
}

fn called(files: &[SourceFile]) -> String {
    match files {
        [] => "no file".to_owned(),
        [only] => only.name.clone(),
        [first, rest @ ..] => format!("{} and {} more files", first.name, rest.len()),
    }
}

fn columns(log: &EventLog, lists: &HashMap<u32, List>) -> PolarsResult<DataFrame> {
    let events = &log.events;
    let texts = |name: &str, of: fn(&Event) -> u32, names: &Names| -> Column {
        let values: Vec<&str> = events.iter().map(|event| names.name(of(event))).collect();
        Column::new(name.into(), values)
    };
    let days: Vec<i32> = events.iter().map(|event| day_of(event.time_ms)).collect();
    let list_days: Vec<i32> = events
        .iter()
        .map(|event| day_of(lists[&event.list].shown_ms))
        .collect();
    let positions: Vec<Option<i32>> = events
        .iter()
        .map(|event| Some(event.position).filter(|position| *position > 0))
        .collect();
    let mut all = vec![
        texts("list_id", |event| event.list, &log.lists),
        texts("query", |event| event.query, &log.queries),
        texts("client", |event| event.client, &log.clients),
        texts("item", |event| event.item, &log.items),
        Column::new(
            "action".into(),
            events
                .iter()
                .map(|event| event.action as i8)
                .collect::<Vec<_>>(),
        ),
        Column::new("position".into(), positions),
        Column::new(
            "time_ms".into(),
            events.iter().map(|event| event.time_ms).collect::<Vec<_>>(),
        ),
        Column::new("day".into(), days),
        Column::new("list_day".into(), list_days),
    ];
    all.extend(log.declared.columns(events));
    DataFrame::new(events.len(), all)
}
