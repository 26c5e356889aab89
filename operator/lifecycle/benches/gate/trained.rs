//! Worlds in which everything is real but the shoppers: the trainer's program trains a version that
//! serves and a candidate on the days of a made-up shop, measures both on the held-out days, and the
//! gate judges. What is true is measured on three later weeks that neither has seen.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use searchop_api::{Evaluation, Figure, Goal, Trigger, Verdict};
use searchop_contract::{Measurement, Published, TrainingReport};
use searchop_lifecycle::gate::{self, Trial};
use serde_json::{Value, json};

use crate::judge::rule;

const WORLDS: u64 = 40;

#[derive(Debug, thiserror::Error)]
pub enum TrainedError {
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("the trainer failed on world {world}: {message}")]
    Trainer { world: u64, message: String },
}

/// Shares of all worlds.
pub struct Shares {
    /// Under a Superior rule without margin.
    pub promoted: f64,
    /// Promoted, and not better on the later days.
    pub wrong: f64,
}

/// What became of a world.
struct World {
    recipe: &'static Recipe,
    verdict: Verdict,
    gain: f64,
    queries: i64,
    /// On the later days.
    truth: f64,
}

/// How the two versions are trained: LightGBM's parameters.
struct Recipe {
    name: &'static str,
    served: fn(u64) -> Value,
    candidate: fn(u64) -> Value,
}

fn good(seed: u64) -> Value {
    json!({"numIterations": 40, "numLeaves": 15, "learningRate": 0.1, "minDataInLeaf": 20, "seed": seed})
}

const RECIPES: [Recipe; 4] = [
    Recipe {
        name: "alike",
        served: good,
        candidate: |seed| json!({"numIterations": 40, "numLeaves": 16, "learningRate": 0.1, "minDataInLeaf": 21, "seed": seed}),
    },
    Recipe {
        name: "a stump",
        served: good,
        candidate: |seed| json!({"numIterations": 1, "numLeaves": 2, "learningRate": 0.1, "minDataInLeaf": 20, "seed": seed}),
    },
    Recipe {
        name: "overfitted",
        served: good,
        candidate: |seed| json!({"numIterations": 40, "numLeaves": 255, "minDataInLeaf": 1, "learningRate": 0.9, "seed": seed}),
    },
    Recipe {
        name: "after a stump",
        served: |seed| json!({"numIterations": 1, "numLeaves": 2, "learningRate": 0.1, "minDataInLeaf": 20, "seed": seed}),
        candidate: good,
    },
];

pub fn run(trainer: &Path) -> Result<Shares, TrainedError> {
    let next = AtomicU64::new(0);
    let work = || -> Result<Vec<World>, TrainedError> {
        let mut worlds = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= WORLDS {
                return Ok(worlds);
            }
            worlds.push(world(trainer, number)?);
        }
    };
    let worlds = thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut worlds = work()?;
        worlds.extend(other.join().expect("a world does not panic")?);
        Ok(worlds)
    })?;
    for recipe in &RECIPES {
        let of_recipe = || {
            worlds
                .iter()
                .filter(|world| std::ptr::eq(world.recipe, recipe))
        };
        let n = of_recipe().count() as f64;
        let mean = |value: fn(&World) -> f64| of_recipe().map(value).sum::<f64>() / n;
        println!(
            "trained    {:<16} {n:>2} worlds of {:>4.0} queries: gain seen {:>+6.3}, on later days {:>+6.3}, promoted {:.3}",
            recipe.name,
            mean(|world| world.queries as f64),
            mean(|world| world.gain),
            mean(|world| world.truth),
            mean(|world| f64::from(u8::from(world.verdict == Verdict::Passed)))
        );
    }
    let share = |holds: fn(&World) -> bool| {
        worlds.iter().filter(|world| holds(world)).count() as f64 / WORLDS as f64
    };
    Ok(Shares {
        promoted: share(|world| world.verdict == Verdict::Passed),
        wrong: share(|world| world.verdict == Verdict::Passed && world.truth <= 0.0),
    })
}

fn world(trainer: &Path, number: u64) -> Result<World, TrainedError> {
    let recipe = &RECIPES[(number % RECIPES.len() as u64) as usize];
    let dir = tempfile::tempdir().map_err(|source| TrainedError::Io {
        what: "make a folder".to_owned(),
        source,
    })?;
    let shop = Shop {
        trainer,
        dir: dir.path().to_owned(),
        number,
    };
    let base = json!({"parameters": (recipe.served)(number)});
    let (served, _) = shop.run(base)?;
    let (candidate, figure) = shop.run(json!({
        "parameters": (recipe.candidate)(number),
        "reference": named(&served)
    }))?;
    let (_, later) = shop.run(json!({
        "asOfTime": "2026-11-24T06:00:00Z",
        "evaluateOnly": named(&candidate),
        "reference": named(&served),
        "data": {"synthetic": {"products": 1000, "events": 60_000, "seed": number, "windowDays": 45}},
        "evaluation": evaluation(21)
    }))?;
    Ok(World {
        recipe,
        verdict: verdict(&figure),
        gain: gain(&figure),
        queries: figure.queries.into(),
        truth: gain(&later),
    })
}

fn named(published: &Published) -> Value {
    json!({"digest": published.digest, "tablesDigest": published.tables_digest})
}

fn evaluation(holdout_days: u32) -> Value {
    json!({
        "holdoutDays": holdout_days, "baselines": [], "confidence": 0.95,
        "measures": [{"metric": "NDCG", "k": 10, "against": "Served"}]
    })
}

fn gain(figure: &Measurement) -> f64 {
    match (figure.candidate, figure.reference) {
        (Some(candidate), Some(reference)) => candidate / reference - 1.0,
        _ => f64::NAN,
    }
}

fn verdict(figure: &Measurement) -> Verdict {
    let evaluation = Evaluation {
        gates: vec![rule(Goal::Superior, "0")],
        ..Evaluation::default()
    };
    let figures = [Figure::from(figure)];
    let trial = Trial {
        version: 2,
        trigger: Trigger::Manual,
        has_served: true,
        figures: &figures,
        best_promoted: None,
    };
    gate::judge(&evaluation, trial).verdict
}

struct Shop<'a> {
    trainer: &'a Path,
    dir: PathBuf,
    number: u64,
}

impl Shop<'_> {
    /// Runs the trainer on the shop's job with `changes`; its last figure is against the served one.
    fn run(&self, changes: Value) -> Result<(Published, Measurement), TrainedError> {
        let mut job = json!({
            "model": "shop", "version": 1, "asOfTime": "2026-11-01T06:00:00Z",
            "data": {"synthetic": {"products": 1000, "events": 40_000, "seed": self.number, "windowDays": 30}},
            "evaluation": evaluation(7),
            "artifactsUri": format!("file://{}/artifacts", self.dir.display())
        });
        for (field, value) in changes.as_object().into_iter().flatten() {
            job[field] = value.clone();
        }
        let (job_file, report_file) = (self.dir.join("job.json"), self.dir.join("report.json"));
        let io = |what: &str| {
            let what = format!("{what} of world {}", self.number);
            move |source| TrainedError::Io { what, source }
        };
        fs::write(&job_file, job.to_string()).map_err(io("write the job"))?;
        let output = Command::new(self.trainer)
            .args(["run".as_ref(), "--job".as_ref(), job_file.as_os_str()])
            .args(["--report".as_ref(), report_file.as_os_str()])
            .env("SEARCHOP_CPU_LIMIT_MILLIS", "1000")
            .stdin(Stdio::null())
            .output()
            .map_err(io("start the trainer"))?;
        let failed = |message: String| TrainedError::Trainer {
            world: self.number,
            message,
        };
        let bytes = fs::read(&report_file).map_err(io("read the report"))?;
        let report = TrainingReport::parse(&bytes).map_err(|error| failed(error.to_string()))?;
        match (report.published, report.measurements.last()) {
            (Some(published), Some(figure)) if output.status.success() => {
                Ok((published, figure.clone()))
            }
            _ => Err(failed(String::from_utf8_lossy(&output.stderr).into_owned())),
        }
    }
}
