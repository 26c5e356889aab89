//! Learned from clicks, measured by people's grades.

use std::{
    collections::HashSet,
    fs::File,
    path::{Path, PathBuf},
};

use polars::prelude::{
    BooleanChunked, Column, DataFrame, ParquetReader, ParquetWriter, PolarsResult, SerReader,
};
use searchop_contract::{BoostingParameters, PositionBias};
use searchop_trainer::{
    data::{self, Window},
    dropout, job,
    lists::{self, List},
    position_bias::PositionBiasDecision,
    rows::{self, Catalog, RowList, Rows},
    slices::{Slice, Slices},
    stage_a::DayCounts,
    traffic::{Event, Traffic},
};

use super::{
    data::World,
    folds::{FOLDS, split},
    graded::{Figure, baselines, graded},
    model::Model,
    table::{self, Figures, Graded},
};

/// Days that are only counted …
const HISTORY_DAYS: i32 = 18;
/// … and the days behind them, whose sessions are learned from.
const TRAINING_DAYS: i32 = 6;
const SEEDS: [u32; 3] = [42, 1, 2];
/// As a spec that says nothing has it.
const COUNTER_DROPOUT: f64 = 0.3;

/// Prints the table and returns its figures.
pub fn measure(world: &World, files: &[PathBuf]) -> Result<Vec<Figure>, String> {
    let mut log = Log::read(world, files)?;
    let warm = log.sessions(&HashSet::new())?;
    let judged: Vec<&RowList> = warm.rows.of(Slice::Judged).collect();
    let grades = graded(&warm.rows, &judged);
    table::head("learned from clicks, queries that were seen: mean of 3 seeds");
    let (random, bm25_title) = baselines(&warm.rows, &judged, &grades);
    let mut figures = Vec::new();
    for seed in SEEDS {
        let found = Figures::of(&grades, &warm.learn(seed)?);
        eprintln!("warm, seed {seed}: NDCG@10 {:.4}", found.ndcg);
        figures.push(found);
    }
    let warm_figures = Figures::mean(&figures);
    table::line("searchop", warm_figures);

    table::head("learned from clicks, queries that nobody asked before: 5-fold over queries");
    baselines(&warm.rows, &judged, &grades);
    let cold = cold(&mut log, &grades)?;
    table::line("searchop", cold);
    Ok(vec![
        ("clicks_warm.ndcg10", warm_figures.ndcg),
        ("clicks_warm.ndcg10.bm25_title", bm25_title.ndcg),
        ("clicks_warm.ndcg10.random", random.ndcg),
        ("clicks_cold.ndcg10", cold.ndcg),
        ("clicks_cold.ndcg10.bm25_title", bm25_title.ndcg),
        ("clicks_cold.ndcg10.random", random.ndcg),
    ])
}

/// Of the queries that are measured, nothing was ever logged.
fn cold(log: &mut Log, grades: &[Graded]) -> Result<Figures, String> {
    let mut figures = Vec::new();
    for seed in SEEDS {
        let folds = split(grades.len(), seed.into());
        let mut scores = vec![Vec::new(); grades.len()];
        for fold in 0..FOLDS {
            let unseen = (0..grades.len()).filter(|query| folds[*query] == fold);
            let sessions = log.sessions(&unseen.collect())?;
            for (query, own) in sessions.learn(seed)?.into_iter().enumerate() {
                if folds[query] == fold {
                    scores[query] = own;
                }
            }
        }
        let found = Figures::of(grades, &scores);
        eprintln!("cold, split {seed}: NDCG@10 {:.4}", found.ndcg);
        figures.push(found);
    }
    Ok(Figures::mean(&figures))
}

/// What is learned from, and the judged lists.
struct Sessions {
    rows: Rows,
    position_bias: PositionBiasDecision,
}

impl Sessions {
    /// The scores of every judged list.
    fn learn(&self, seed: u32) -> Result<Vec<Vec<f64>>, String> {
        let propensities = self.position_bias.for_training();
        let mut groups = self.rows.groups(Slice::Train, propensities);
        dropout::hide_counters(&mut groups, COUNTER_DROPOUT, seed);
        let parameters = BoostingParameters {
            seed,
            ..BoostingParameters::default()
        };
        let model = Model::train(&groups, &parameters)?;
        let judged = self.rows.of(Slice::Judged);
        Ok(judged.map(|list| model.scores(&self.rows, list)).collect())
    }
}

/// The click log, cleaned as the trainer cleans it, and the judged queries as lists of the day after.
struct Log {
    catalog: Catalog,
    traffic: Traffic,
    first_day: i32,
    judged: Vec<List>,
}

impl Log {
    fn read(world: &World, files: &[PathBuf]) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("the click log: {error}");
        let work = tempfile::tempdir().map_err(|error| failed(&error))?;
        for (index, file) in files.iter().enumerate() {
            let name = format!("events-{index}.parquet");
            as_ubi(file, &work.path().join(name)).map_err(|error| failed(&error))?;
        }
        let job = format!(
            r#"{{"model": "quality", "version": 1, "asOfTime": "2100-01-01T00:00:00Z",
                "data": {{"sources": {{"catalog": {{"uri": {:?}}}, "events": {{"uri": {:?}}},
                          "eventFormat": "UBI", "windowDays": 60}}}},
                "evaluation": {{"holdoutDays": 7, "baselines": [], "measures": [],
                                "confidence": 0.95}},
                "artifactsUri": "file:///"}}"#,
            world.products_file(),
            work.path().join("events-*.parquet"),
        );
        let job = job::parse(&job).map_err(|error| failed(&error))?;
        let dataset = data::load(&job, work.path(), &mut |_| ()).map_err(|error| failed(&error))?;
        println!("click log: {}", dataset.cleaning);
        let catalog = Catalog::analyse(&dataset.products).map_err(|error| failed(&error))?;
        let mut traffic =
            Traffic::read(&dataset, catalog.analyzer()).map_err(|error| failed(&error))?;
        let first_day = lists::oldest_day(&traffic).ok_or("the click log shows nothing")?;
        let place = (catalog.analyzer(), first_day + HISTORY_DAYS + TRAINING_DAYS);
        let (judged, _) = lists::judged(&world.judgments, &mut traffic, place);
        Ok(Self {
            catalog,
            traffic,
            first_day,
            judged,
        })
    }

    /// The training sessions as if of the judged queries `unseen`, by number of their list, nothing
    /// had been logged.
    fn sessions(&mut self, unseen: &HashSet<usize>) -> Result<Sessions, String> {
        let traffic = &mut self.traffic;
        let key = |query: u32| traffic.queries[query as usize].key;
        let unseen: HashSet<u32> = unseen
            .iter()
            .map(|list| key(self.judged[*list].query))
            .collect();
        let seen = traffic
            .events
            .iter()
            .filter(|event| !unseen.contains(&key(event.query)));
        let seen: Vec<Event> = seen.copied().collect();
        let events = std::mem::replace(&mut traffic.events, seen);
        let sessions = self.of_seen();
        self.traffic.events = events;
        sessions.map_err(|error| error.to_string())
    }

    fn of_seen(&mut self) -> PolarsResult<Sessions> {
        let history = self.first_day + HISTORY_DAYS - 1;
        let training = Window {
            first_day: history + 1,
            last_day: history + TRAINING_DAYS,
        };
        let (mut all, _) = lists::build(&self.traffic, &Slices::train_all(training));
        all.extend(self.judged.iter().cloned());
        let position_bias =
            PositionBiasDecision::of(&self.traffic, PositionBias::Auto, training.last_day)?;
        self.traffic.events.retain(|event| event.day <= history);
        let counts = DayCounts::count(&self.traffic)?;
        let window = Window {
            first_day: self.first_day,
            last_day: training.last_day,
        };
        let (rows, _) = rows::compute(&self.catalog, &self.traffic, &all, (&counts, window));
        Ok(Sessions {
            rows,
            position_bias,
        })
    }
}

/// Writes a click log under UBI's names. A session has one list.
fn as_ubi(from: &Path, to: &Path) -> Result<(), String> {
    let write = || -> PolarsResult<()> {
        let log = ParquetReader::new(File::open(from)?).finish()?;
        let mut ubi = ubi(&log)?;
        ParquetWriter::new(File::create(to)?).finish(&mut ubi)?;
        Ok(())
    };
    write().map_err(|error| format!("{from:?}: {error}"))
}

fn ubi(log: &DataFrame) -> PolarsResult<DataFrame> {
    let people = log.column("user_id")?.str()?.iter();
    let people: BooleanChunked = people.map(|user| Some(!is_flagged(user))).collect();
    let log = log.filter(&people)?;
    let named = |from: &str, to: &str| -> PolarsResult<Column> {
        Ok(log.column(from)?.clone().with_name(to.into()))
    };
    DataFrame::new(
        log.height(),
        vec![
            named("event_type", "action_name")?,
            named("ts", "timestamp")?,
            named("session_id", "query_id")?,
            named("product_id", "object_id")?,
            named("query", "user_query")?,
            named("user_id", "client_id")?,
            named("position", "position")?,
        ],
    )
}

/// The simulator calls its bots b0, b1 and so on.
fn is_flagged(user: Option<&str>) -> bool {
    let number = user.and_then(|user| user.strip_prefix('b'));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}
