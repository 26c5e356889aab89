//! A world whose relevance drifts: what are tables worth that are rebuilt every day, under a model
//! that is trained every week?
//!
//! Items come into fashion and go out of it. Every week two models are trained by the trainer itself on
//! the click log so far, one on counters of the day before each list and one on counters of an age
//! drawn from a week.
//! On each day of the week after, both rank that day's queries from the week's tables and from tables
//! that were refreshed that morning. Orders are compared with what shoppers want on that very day,
//! which no model sees.
//!
//! Prints a line for each age of the week's tables, then the figures.

#[path = "drifting_world/world.rs"]
mod world;

use std::{error::Error, path::Path};

use jiff::{SignedDuration, Timestamp};
use searchop_contract::{
    BoostingParameters, CounterLag, DataSource, EvaluationSettings, Measure, Metric, Published,
    ReferenceModel, TableSource, TrainingJob, names,
};
use searchop_model::{bundle::Bundle, item::Candidate};
use searchop_trainer::{metrics, progress::Progress, run, threads};
use tempfile::TempDir;
use world::World;

const SEED: u64 = 42;
/// Days before the first training.
const WARM_UP: i32 = 35;
const WEEKS: i32 = 6;
const DAYS_OF_A_WEEK: usize = 7;
const FIRST_DAY: &str = "2026-01-05T00:00:00Z";

fn main() -> Result<(), Box<dyn Error>> {
    let bench = Bench::new()?;
    let mut sums = Sums::default();
    let mut world = World::new(SEED);
    for _ in 0..WARM_UP {
        world.live_a_day(bench.files.path(), bench.date(world.day))?;
    }
    for week in 0..WEEKS {
        let models = [bench.train(world.day, 1)?, bench.train(world.day, 7)?];
        for age in 0..DAYS_OF_A_WEEK {
            for (sums, model) in sums.iter_mut().zip(&models) {
                let fresh = match age {
                    0 => model.clone(),
                    _ => bench.refresh(world.day, model)?,
                };
                for (sums, published) in sums.iter_mut().zip([model, &fresh]) {
                    sums[age] += bench.ndcg(&world, published)?;
                }
            }
            world.live_a_day(bench.files.path(), bench.date(world.day))?;
        }
        eprintln!("week {} of {WEEKS}", week + 1);
    }
    print_figures(&sums);
    Ok(())
}

/// By model, then week's and fresh tables, then age of the week's tables.
type Sums = [[[f64; DAYS_OF_A_WEEK]; 2]; 2];

fn print_figures(sums: &Sums) {
    let weeks = f64::from(WEEKS);
    println!("NDCG@10 on the day itself, mean of {WEEKS} weeks");
    println!("age of tables   weekly   daily   weekly, aged training   daily, aged training");
    let [[weekly, daily], [weekly_aged, daily_aged]] = sums;
    for (age, sum) in weekly.iter().enumerate() {
        println!(
            "{:<13} {:>8.4} {:>7.4} {:>23.4} {:>22.4}",
            age + 1,
            sum / weeks,
            daily[age] / weeks,
            weekly_aged[age] / weeks,
            daily_aged[age] / weeks
        );
    }
    for (name, days) in [
        ("daily_refresh", daily),
        ("weekly_tables", weekly),
        ("daily_refresh_lag7", daily_aged),
        ("weekly_tables_lag7", weekly_aged),
    ] {
        let mean = days.iter().sum::<f64>() / weeks / days.len() as f64;
        println!("figure drifting_world.{name}.ndcg10 {mean:.4} share");
    }
}

/// The click log, the artifacts, and the trainer that works on them.
struct Bench {
    files: TempDir,
    store: TempDir,
    first_day: Timestamp,
}

impl Bench {
    fn new() -> Result<Self, Box<dyn Error>> {
        let files = TempDir::new()?;
        World::write_catalog(files.path())?;
        Ok(Self {
            files,
            store: TempDir::new()?,
            first_day: FIRST_DAY.parse()?,
        })
    }

    /// When a day of the world begins.
    fn date(&self, day: i32) -> Timestamp {
        self.first_day + SignedDuration::from_hours(24 * i64::from(day))
    }

    /// Training on the days before `day`, as a weekly schedule asks for.
    fn train(&self, day: i32, counter_lag_days: u32) -> Result<Published, Box<dyn Error>> {
        self.run(&self.job(day, counter_lag_days))
    }

    /// The same model with tables of the days before `day`.
    fn refresh(&self, day: i32, model: &Published) -> Result<Published, Box<dyn Error>> {
        self.run(&TrainingJob {
            refresh: Some(ReferenceModel {
                digest: model.digest.clone(),
                tables_digest: model.tables_digest.clone(),
            }),
            ..self.job(day, 1)
        })
    }

    fn run(&self, job: &TrainingJob) -> Result<Published, Box<dyn Error>> {
        let work = TempDir::new()?;
        let outcome = run::run(job, work.path(), threads::allowed()?, &Progress::silent())?;
        let published = outcome.report.published;
        Ok(published.ok_or("a run that is done has published")?)
    }

    fn job(&self, day: i32, counter_lag_days: u32) -> TrainingJob {
        let table = |name: &str| TableSource {
            uri: self.files.path().join(name).display().to_string(),
            id_field: None,
        };
        TrainingJob {
            model: "drifting".into(),
            version: 1,
            as_of_time: self.date(day),
            data: DataSource::Sources {
                catalog: table(world::CATALOG),
                events: table("day-*.csv"),
                event_format: Default::default(),
                window_days: WARM_UP as u32,
                judgments: None,
            },
            parameters: BoostingParameters::default(),
            tuning: None,
            position_bias: Default::default(),
            labels: searchop_contract::LabelSettings { maturity_hours: 0 },
            counter_dropout: 0.3,
            counter_lag: CounterLag {
                min_days: 1,
                max_days: counter_lag_days,
            },
            candidate_list: false,
            declared: Vec::new(),
            evaluation: EvaluationSettings {
                holdout_days: 2,
                baselines: vec![],
                measures: vec![Measure::new(Metric::NDCG, 10, None)],
                confidence: 0.95,
            },
            artifacts_uri: format!("file://{}", self.store.path().display()),
            reference: None,
            evaluate_only: None,
            refresh: None,
            skip_if_data_unchanged: false,
            promoted: vec![],
            keep: self.everything(),
        }
    }

    /// Two models share the store, and each is asked again.
    fn everything(&self) -> Vec<searchop_contract::Digest> {
        [names::MODELS_FOLDER, names::TABLES_FOLDER]
            .iter()
            .flat_map(|folder| std::fs::read_dir(self.store.path().join(folder)))
            .flatten()
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                format!("sha256:{name}").parse().ok()
            })
            .collect()
    }

    /// Mean over the world's queries of the order that a model gives them today.
    fn ndcg(&self, world: &World, published: &Published) -> Result<f64, Box<dyn Error>> {
        let bundle = open(self.store.path(), published)?;
        let time = self.date(world.day).as_second();
        let (mut sum, mut queries) = (0.0, 0.0);
        for (query, items) in world.queries() {
            let ids: Vec<String> = items.iter().map(|item| world::id(*item)).collect();
            let candidate = |id| Candidate {
                id,
                ..Candidate::default()
            };
            let candidates: Vec<Candidate> = ids.iter().map(|id| candidate(id)).collect();
            let mut scores = vec![0.0; items.len()];
            for scored in bundle.rank(query, time, &candidates) {
                scores[scored.index] = scored.score;
            }
            let grades = world.grades(items);
            sum += metrics::measure(Metric::NDCG, 10, &scores, &grades).ok_or("no grades")?;
            queries += 1.0;
        }
        Ok(sum / queries)
    }
}

fn open(store: &Path, published: &Published) -> Result<Bundle, Box<dyn Error>> {
    let (model, tables) = (&published.digest, &published.tables_digest);
    Ok(Bundle::open(
        &store.join(names::MODELS_FOLDER).join(model.hex()),
        model,
        &store.join(names::TABLES_FOLDER).join(tables.hex()),
        tables,
    )?)
}
