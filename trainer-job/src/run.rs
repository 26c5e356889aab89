//! One run: load → features → train → evaluate → publish.

mod judging;
mod other_seed;

use std::{path::Path, time::Instant};

use searchop_contract::{
    BoostingParameters, DataSource, Digest, Published, ReferenceModel, TrainingJob, TrainingReport,
    names::REPORT_FILE,
};
use searchop_evaluation::report::Course;
use searchop_model::{artifact::read_model, store::ArtifactKind};

use crate::{
    boosting::{self, BoostingError, Groups, Settings, Trained},
    data::{self, Dataset, Step, Wanted},
    dropout,
    error::TrainError,
    kept_counters::KeptCounters,
    outcome::{Judged, ModelReport, Outcome, Training},
    prepare::{self, Prepared},
    progress::{Progress, Stage, counts},
    publish::{self, Store},
    slices::Slice,
    threads, tuning,
};

/// Carries `job` out with as many threads as [`crate::threads::allowed`] says. `work` is a folder
/// for what is made on the way.
pub fn run(
    job: &TrainingJob,
    work: &Path,
    threads: usize,
    progress: &Progress,
) -> Result<Outcome, TrainError> {
    let bench = Bench {
        job,
        work,
        store: Store::open(job)?,
        progress,
    };
    if let Some(model) = &job.refresh {
        return bench.refresh(model);
    }
    let dataset = bench.load()?;
    if let Some(published) = bench.trained_on(&dataset)? {
        return Ok(unchanged(job, published, &dataset));
    }
    let prepared = bench.rows(&dataset)?;
    let (judged, published, training) = match &job.evaluate_only {
        Some(named) => {
            let (judged, published) = bench.evaluate_published(&prepared, named)?;
            let training = Training {
                course: bench.course_of(named),
                other_seed: None,
            };
            (judged, published, training)
        }
        None => {
            let begin = Instant::now();
            let trained = bench.train(&prepared, threads)?;
            let took = begin.elapsed();
            let judged = bench.evaluate(&prepared, &trained)?;
            let published = bench.publish(&prepared, &trained, &judged)?;
            let report = ModelReport::new(&prepared.summary, &judged.table, &trained);
            let training = Training {
                course: Some(report.course()),
                other_seed: bench.other_seed(&prepared, (&trained, took), threads),
            };
            (judged, published, training)
        }
    };
    let other_seed = training.other_seed.as_ref();
    let seed_overlap = other_seed.and_then(|other| other.comparison.rank_biased_overlap);
    let evaluation = judged.report(job, &prepared.summary, &published, training);
    bench.store.write_report(&evaluation)?;
    let table = judged.lines();
    let report = TrainingReport {
        version: job.version,
        published: Some(published),
        measurements: judged.measurements,
        data: Some(prepared.summary.data),
        evidence: Some(judged.evidence),
        best_promoted: judged.best_promoted,
        clicks: judged.clicks,
        seed_overlap,
        ..TrainingReport::default()
    };
    Ok(Outcome { report, table })
}

/// Nothing was trained: the data are those of the served model.
fn unchanged(job: &TrainingJob, published: Published, dataset: &Dataset) -> Outcome {
    let report = TrainingReport {
        version: job.version,
        published: Some(published),
        data: Some(dataset.counts()),
        data_unchanged: true,
        ..TrainingReport::default()
    };
    Outcome {
        report,
        table: Vec::new(),
    }
}

/// Where the stages of a run work.
pub struct Bench<'a> {
    pub job: &'a TrainingJob,
    /// Folder for what is made on the way.
    pub work: &'a Path,
    pub store: Store,
    pub progress: &'a Progress,
}

impl Bench<'_> {
    /// Loads the data and computes rows and tables.
    pub fn features(&self) -> Result<Prepared, TrainError> {
        self.rows(&self.load()?)
    }

    /// A made-up shop is drawn anew, so nothing of it is kept.
    pub(crate) fn kept_counters(&self, dataset: &Dataset) -> Result<KeptCounters, TrainError> {
        match &self.job.data {
            DataSource::Sources { .. } => {
                KeptCounters::fetch(&self.store, dataset.window, self.work)
            }
            DataSource::Synthetic(_) => Ok(KeptCounters::default()),
        }
    }

    fn rows(&self, dataset: &Dataset) -> Result<Prepared, TrainError> {
        let running = self.progress.begin(Stage::Features, None);
        running.at("counting events and computing rows");
        let kept = self.kept_counters(dataset)?;
        let (prepared, new_days) = prepare::resume(self.job, dataset, &kept, self.work)?;
        kept.update(&self.store, &new_days)?;
        let summary = &prepared.summary;
        running.end(counts([
            ("rows", prepared.rows.candidates.len().into()),
            ("trainingLists", summary.data.training_lists.into()),
            ("holdoutLists", summary.data.holdout_lists.into()),
            ("listsWithoutAction", summary.lists.without_action.into()),
            ("unripeLists", summary.lists.unripe.into()),
            ("daysReadFromCounters", kept.days().count().into()),
            ("daysCounted", new_days.len().into()),
            ("declared", declared(dataset).into()),
            ("queryItems", summary.pairs.into()),
            ("queryItemTraffic", summary.pair_coverage.into()),
        ]));
        Ok(prepared)
    }

    /// The served model, where the job asks for nothing else unless the data have changed and these are
    /// those that it was trained on. One that cannot be read is trained anew.
    fn trained_on(&self, dataset: &Dataset) -> Result<Option<Published>, TrainError> {
        let reference = self.job.reference.as_ref();
        let Some(served) = reference.filter(|_| self.job.skip_if_data_unchanged) else {
            return Ok(None);
        };
        let known = self.model_report(&served.digest).and_then(|report| {
            let digest = report.and_then(|report| report.data_digest);
            if digest != Some(dataset.digest()) {
                return Ok(None);
            }
            publish::describe(&self.store, served, self.work).map(Some)
        });
        match known {
            Err(error @ TrainError::StorageUnavailable(_)) => Err(error),
            Err(error) => {
                tracing::warn!("the served model is not known, so one is trained: {error}");
                Ok(None)
            }
            Ok(found) => Ok(found.map(|named| named.published)),
        }
    }

    /// What a published model says of its training; `None` where this program cannot read it.
    fn model_report(&self, digest: &Digest) -> Result<Option<ModelReport>, TrainError> {
        let dir = self.store.fetch(ArtifactKind::Model, digest, self.work)?;
        let bytes = std::fs::read(dir.join(REPORT_FILE)).ok();
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Nothing but people's reading depends on it.
    fn course_of(&self, model: &ReferenceModel) -> Option<Course> {
        Some(self.model_report(&model.digest).ok()??.course())
    }

    pub(crate) fn load(&self) -> Result<Dataset, TrainError> {
        let running = self.progress.begin(Stage::Load, None);
        let wanted = self.wanted()?;
        let dataset = data::load_with(self.job, wanted, self.work, &mut |step| {
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

    /// The declared features of the job, and those of the versions that it is compared with.
    fn wanted(&self) -> Result<Wanted, TrainError> {
        let job = self.job;
        let named = job.reference.iter().chain(&job.evaluate_only);
        let named = named.map(|model| &model.digest);
        let promoted = job.promoted.iter().map(|model| &model.digest);
        let mut published = Vec::new();
        for digest in named.chain(promoted) {
            // Whoever needs the model says what is wrong with it.
            let model = match self.store.fetch(ArtifactKind::Model, digest, self.work) {
                Err(error @ TrainError::StorageUnavailable(_)) => return Err(error),
                fetched => fetched.ok().and_then(|dir| read_model(&dir, digest).ok()),
            };
            published.extend(model.into_iter().flat_map(|model| model.manifest.declared));
        }
        let features = published.iter().map(|one| &one.feature);
        Ok(Wanted::new(&job.declared, features))
    }

    /// Trains on the first slice, with early stopping on the second.
    pub fn train(&self, prepared: &Prepared, threads: usize) -> Result<Trained, TrainError> {
        let parameters = &self.job.parameters;
        // How many trees a search grows nobody knows.
        let trees = u64::from(parameters.num_iterations);
        let trees = Some(trees).filter(|_| self.job.tuning.is_none());
        let running = self.progress.begin(Stage::Train, trees);
        let position_bias = &prepared.summary.position_bias;
        let propensities = position_bias.for_training();
        let train = self.training_groups(prepared, parameters.seed);
        if let Some(counter) = dropout::never_missing(&train) {
            return Err(TrainError::data(format!(
                "no training row lacks {counter}, so nothing is learned about new items and \
                 queries; set training.counterDropout above {}",
                self.job.counter_dropout
            )));
        }
        let schema = prepared.rows.encoding.schema();
        let share = self.job.counter_dropout;
        if let Some(feature) = dropout::never_missing_optional(&train, schema) {
            return Err(TrainError::data(format!(
                "no training row lacks {feature}, so nothing is learned about requests without it; \
                 set training.counterDropout above {share}, or give it a default, or require it"
            )));
        }
        let valid = prepared.rows.groups(Slice::Valid, propensities);
        let threads = threads::useful(threads, train.rows());
        let (features, categorical) = (schema.names(), prepared.rows.encoding.categorical());
        let trial = |trial: u32, parameters: &BoostingParameters, in_time: &dyn Fn() -> bool| {
            let settings = Settings {
                parameters,
                features: &features,
                categorical: &categorical,
                threads,
            };
            boosting::train_while(&train, Some(&valid), &settings, |_, ndcg| {
                running.step(match self.job.tuning {
                    None => format!("NDCG@10 {ndcg:.4}"),
                    Some(_) => format!("trial {trial}: NDCG@10 {ndcg:.4}"),
                });
                in_time()
            })
        };
        let trained = tuning::search(parameters, self.job.tuning.as_ref(), trial).map_err(
            |error| match error {
                BoostingError::NoSplit { .. } => TrainError::data(error.to_string()),
                other => TrainError::evaluation(other.to_string()),
            },
        )?;
        let best = trained.reached();
        let trials = trained.tuning.as_ref().map_or(1, |one| one.trials.len());
        running.end(counts([
            ("trees", trained.trees.into()),
            ("trials", trials.into()),
            ("threads", threads.into()),
            (
                "positionBias",
                position_bias
                    .reason
                    .as_deref()
                    .unwrap_or("corrected")
                    .into(),
            ),
            (
                "validationNdcgAt10",
                best.map(|best| (best * 1e6).round() / 1e6).into(),
            ),
        ]));
        Ok(trained)
    }

    /// The training rows, some without their counters and what else a request may lack.
    fn training_groups(&self, prepared: &Prepared, seed: u32) -> Groups {
        let propensities = prepared.summary.position_bias.for_training();
        let mut train = prepared.rows.groups(Slice::Train, propensities);
        let share = self.job.counter_dropout;
        dropout::hide_counters(&mut train, share, seed);
        dropout::hide_optional(&mut train, prepared.rows.encoding.schema(), share, seed);
        train
    }

    /// Seals and stores both artifacts, then deletes what nobody needs any more.
    pub fn publish(
        &self,
        prepared: &Prepared,
        trained: &Trained,
        judged: &Judged,
    ) -> Result<Published, TrainError> {
        let running = self.progress.begin(Stage::Publish, None);
        running.at(self.job.artifacts_uri.as_str());
        let report = ModelReport::new(&prepared.summary, &judged.table, trained);
        let published = publish::seal(self.job, prepared, (trained, &report), self.work)?;
        self.store.publish(self.work, &published)?;
        let pruned = self.store.prune(self.job, &published)?;
        running.end(counts([
            ("digest", published.digest.as_str().into()),
            ("tablesDigest", published.tables_digest.as_str().into()),
            ("pruned", pruned.into()),
        ]));
        Ok(published)
    }
}

/// Which part of the products or impressions has a value of each declared feature.
fn declared(dataset: &Dataset) -> String {
    let of = |(name, share): (String, f64)| format!("{name} {share:.3}");
    let shares: Vec<String> = dataset.declared_shares().into_iter().map(of).collect();
    shares.join(", ")
}
