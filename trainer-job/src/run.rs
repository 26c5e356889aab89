//! One run: load → features → train → evaluate → publish.

use std::path::Path;

use searchop_contract::{Published, ReferenceModel, TrainingJob, TrainingReport};
use searchop_model::{
    artifact::read_model, features::feature_names, forest::Forest, store::ArtifactKind,
};
use serde::{Deserialize, Serialize};

use crate::{
    boosting::{self, BoostingError, Importance, Settings, Trained},
    data::{self, Cleaning, Dataset, Step},
    error::TrainError,
    evaluate::{Contestants, Evaluation, Figures, Table},
    lists::ListCounts,
    prepare::{self, Prepared, Span, Summary},
    progress::{Progress, Stage, counts},
    publish::{self, Named, Store},
    slices::Slice,
};

/// `report.json` of a model: everything about its training that the same data give again. What is
/// served meanwhile is not in it, or the same model would get another digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelReport {
    pub products: u64,
    pub events: u64,
    pub cleaning: Cleaning,
    pub lists: ListCounts,
    pub train: Span,
    pub valid: Span,
    pub gate: Span,
    /// On the gate's lists; each query counts once.
    pub rankers: Table,
    pub trees: u32,
    /// NDCG@10 on the validation lists after each tree.
    pub learning_curve: Vec<f64>,
    pub importance: Vec<Importance>,
}

/// What a run found out.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub report: TrainingReport,
    /// Candidate, served model and baselines beside each other.
    pub table: Vec<Figures>,
}

/// Carries `job` out with as many threads as [`crate::threads::allowed`] says. `work` is a folder
/// for what is made on the way.
pub fn run(
    job: &TrainingJob,
    work: &Path,
    threads: usize,
    progress: &Progress,
) -> Result<Outcome, TrainError> {
    let store = Store::open(job)?;
    let dataset = load(job, work, progress)?;
    let prepared = features(job, &dataset, work, progress)?;
    drop(dataset);
    let judge = Judge {
        job,
        work,
        store: &store,
        prepared: &prepared,
        progress,
    };
    match &job.evaluate_only {
        Some(named) => judge.published(named),
        None => {
            let trained = train(job, &prepared, threads, progress)?;
            judge.candidate(&trained)
        }
    }
}

/// Reads and checks the data.
pub fn load(job: &TrainingJob, work: &Path, progress: &Progress) -> Result<Dataset, TrainError> {
    let running = progress.begin(Stage::Load, None);
    let dataset = data::load(job, work, &mut |step| {
        running.at(match step {
            Step::Drawing { days } => format!("drawing {days} days"),
            Step::Reading { file, bytes } => format!("reading {file} ({bytes} bytes)"),
            Step::Cleaning { events } => format!("cleaning {events} events"),
        });
    })?;
    running.end(counts([
        ("products", dataset.products.len().into()),
        ("events", dataset.cleaning.kept.into()),
        ("droppedEvents", dataset.cleaning.dropped().into()),
    ]));
    Ok(dataset)
}

/// Computes rows and tables.
pub fn features(
    job: &TrainingJob,
    dataset: &Dataset,
    work: &Path,
    progress: &Progress,
) -> Result<Prepared, TrainError> {
    let running = progress.begin(Stage::Features, None);
    running.at("counting and computing rows");
    let prepared = prepare::prepare(job, dataset, work)?;
    let summary = &prepared.summary;
    running.end(counts([
        ("rows", prepared.rows.candidates.len().into()),
        ("trainingLists", summary.data.training_lists.into()),
        ("holdoutLists", summary.data.holdout_lists.into()),
        ("listsWithoutAction", summary.lists.without_action.into()),
    ]));
    Ok(prepared)
}

/// Trains on the first slice, with early stopping on the second.
pub fn train(
    job: &TrainingJob,
    prepared: &Prepared,
    threads: usize,
    progress: &Progress,
) -> Result<Trained, TrainError> {
    let running = progress.begin(Stage::Train, Some(job.parameters.num_iterations.into()));
    let (train, valid) = (
        prepared.rows.groups(Slice::Train),
        prepared.rows.groups(Slice::Valid),
    );
    let settings = Settings {
        parameters: &job.parameters,
        features: &feature_names(),
        threads,
    };
    let trained = boosting::train(&train, &valid, &settings, |_, ndcg| {
        running.step(format!("NDCG@10 {ndcg:.4}"))
    })
    .map_err(|error| match error {
        BoostingError::NoSplit { .. } => TrainError::data(error.to_string()),
        other => TrainError::evaluation(other.to_string()),
    })?;
    let best = trained.curve[trained.trees as usize - 1];
    running.end(counts([
        ("trees", trained.trees.into()),
        ("threads", threads.into()),
        ("validationNdcgAt10", ((best * 1e6).round() / 1e6).into()),
    ]));
    Ok(trained)
}

/// Evaluation and publication.
pub struct Judge<'a> {
    pub job: &'a TrainingJob,
    pub work: &'a Path,
    pub store: &'a Store,
    pub prepared: &'a Prepared,
    pub progress: &'a Progress,
}

impl Judge<'_> {
    /// Judges what was just trained, and publishes it.
    pub fn candidate(&self, trained: &Trained) -> Result<Outcome, TrainError> {
        let forest = publish::forest(trained)?;
        let summary = &self.prepared.summary;
        let judged = self.judge(&forest, false)?;
        let report = model_report(summary, &judged.table, trained);
        let running = self.progress.begin(Stage::Publish, None);
        running.at(self.job.artifacts_uri.as_str());
        let published = publish::seal(self.job, summary, (trained, &report), self.work)?;
        self.store.publish(self.work, &published)?;
        let pruned = self.store.prune(self.job, &published)?;
        running.end(counts([
            ("digest", published.digest.as_str().into()),
            ("tablesDigest", published.tables_digest.as_str().into()),
            ("pruned", pruned.into()),
        ]));
        Ok(self.outcome(judged, published))
    }

    /// Judges a published model.
    fn published(&self, named: &ReferenceModel) -> Result<Outcome, TrainError> {
        let Named { forest, published } = publish::describe(self.store, named, self.work)?;
        let seen = published.trained_through_time > self.prepared.summary.trained_through_time;
        let judged = self.judge(&forest, seen)?;
        Ok(self.outcome(judged, published))
    }

    fn judge(&self, candidate: &Forest, candidate_overlaps: bool) -> Result<Judged, TrainError> {
        let running = self.progress.begin(Stage::Evaluate, None);
        let served = self.served()?;
        let overlap = candidate_overlaps || served.as_ref().is_some_and(|served| served.overlaps);
        let contestants = Contestants {
            candidate,
            served: served.as_ref().and_then(|served| served.forest.as_ref()),
            holdout_overlap: overlap,
        };
        let evaluation = Evaluation::new(&self.prepared.rows, &contestants);
        let judged = Judged {
            measurements: evaluation.measurements(&self.job.evaluation),
            table: evaluation.table(&self.job.evaluation.baselines),
            served: evaluation.served_figures(),
        };
        running.end(counts([
            ("holdoutLists", evaluation.lists().into()),
            (
                "candidateNdcgAt10",
                judged.table.rankers[0].ndcg_at_10.into(),
            ),
            (
                "servedNdcgAt10",
                judged
                    .served
                    .as_ref()
                    .and_then(|figures| figures.ndcg_at_10)
                    .into(),
            ),
        ]));
        Ok(judged)
    }

    /// The served model. One that this program cannot compute features for has no figures, which a
    /// gate that needs them reads as an error.
    fn served(&self) -> Result<Option<Served>, TrainError> {
        let Some(reference) = &self.job.reference else {
            return Ok(None);
        };
        let dir = self
            .store
            .fetch(ArtifactKind::Model, &reference.digest, self.work)?;
        let served = match read_model(&dir, &reference.digest) {
            Ok(model) => Served {
                overlaps: model.manifest.trained_through_time
                    > self.prepared.summary.trained_through_time,
                forest: Some(model.forest),
            },
            Err(error) => {
                tracing::warn!(
                    digest = reference.digest.short(),
                    "served model is not compared: {error}"
                );
                Served {
                    overlaps: false,
                    forest: None,
                }
            }
        };
        Ok(Some(served))
    }

    fn outcome(&self, judged: Judged, published: Published) -> Outcome {
        let mut table = judged.table.rankers;
        table.splice(1..1, judged.served);
        let report = TrainingReport {
            version: self.job.version,
            published: Some(published),
            measurements: judged.measurements,
            data: Some(self.prepared.summary.data.clone()),
            failure: None,
        };
        Outcome { report, table }
    }
}

struct Judged {
    measurements: Vec<searchop_contract::Measurement>,
    table: Table,
    served: Option<Figures>,
}

struct Served {
    forest: Option<Forest>,
    overlaps: bool,
}

fn model_report(summary: &Summary, table: &Table, trained: &Trained) -> ModelReport {
    ModelReport {
        products: summary.data.products,
        events: summary.data.events,
        cleaning: summary.cleaning.clone(),
        lists: summary.lists,
        train: summary.train.clone(),
        valid: summary.valid.clone(),
        gate: summary.gate.clone(),
        rankers: table.clone(),
        trees: trained.trees,
        learning_curve: trained.curve.clone(),
        importance: trained.importance.clone(),
    }
}
