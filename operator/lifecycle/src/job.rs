//! From a run to what its trainer is told.

use searchop_api::{Parameters, RankingModelSpec, RankingModelStatus, figures::number};
use searchop_contract::{
    BoostingParameters, CounterLag, DataSource, Digest, EvaluationSettings, FreeParameter,
    JudgmentSource, LabelSettings, PromotedModel, ReferenceModel, SyntheticShop, TableSource,
    TrainingJob, Tuning,
};

use crate::{JobRequest, gate, refresh, run};

/// Where the trainer finds things: an executor mounts or downloads, so only it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Base of the artifacts: `file:///…` or `s3://bucket/prefix`.
    pub artifacts_uri: String,
    /// Catalogue files; not needed for synthetic data.
    pub catalog_uri: Option<String>,
    /// Event files; likewise.
    pub events_uri: Option<String>,
    /// Files of grades, where the model has some.
    pub judgments_uri: Option<String>,
}

/// A setting that the API's own validation would have refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    #[error("spec.{field}: {value:?} is not a decimal number")]
    NotANumber { field: &'static str, value: String },
    #[error("spec.{field}: {value} must not be negative")]
    Negative { field: &'static str, value: i64 },
    #[error("spec.data needs exactly one of synthetic and sources")]
    DataSource,
    #[error("the place of spec.data.sources.{0} is not known")]
    Place(&'static str),
}

/// Which of a model's Jobs. An evaluation and a start-over are Jobs of their own, so that a report is
/// never taken for that of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobKey {
    pub version: i32,
    /// 0 is a run; n > 0 is the n-th refresh of tables.
    pub refresh: i32,
    /// 0 trains; n > 0 only measures again.
    pub evaluation: i32,
    /// Start-overs since a report was lost.
    pub attempt: i32,
}

impl JobKey {
    pub fn of(request: &JobRequest) -> Self {
        Self {
            version: request.version,
            refresh: request.refresh,
            evaluation: request.evaluation,
            attempt: request.attempt,
        }
    }

    /// The Job that the refresh under way waits for, else that of the newest run.
    pub fn awaited(status: &RankingModelStatus) -> Option<Self> {
        if let Some(refresh) = refresh::live(status) {
            return Some(Self {
                version: refresh.version,
                refresh: refresh.number,
                evaluation: 0,
                attempt: refresh.attempt,
            });
        }
        let run = status.run.as_ref()?;
        Some(Self {
            version: run.version,
            refresh: 0,
            evaluation: run.evaluation,
            attempt: run.attempt,
        })
    }

    /// The Job's name.
    pub fn name(self, model: &str) -> String {
        let part = |letter: &str, number: i32| {
            if number > 0 {
                format!("-{letter}{number}")
            } else {
                String::new()
            }
        };
        let what = match self.refresh {
            0 => format!("train-v{}", self.version),
            number => format!("tables-{number}"),
        };
        let (evaluation, attempt) = (part("e", self.evaluation), part("a", self.attempt));
        format!("{model}-{what}{evaluation}{attempt}")
    }
}

/// Whether a run or a refresh waits for a Job, which may not be there yet.
pub fn is_under_way(status: &RankingModelStatus) -> bool {
    run::live(status).is_some() || refresh::live(status).is_some()
}

/// Name of the request's Job.
pub fn job_name(model: &str, request: &JobRequest) -> String {
    JobKey::of(request).name(model)
}

/// What the trainer is told. The same spec and request give the same job.
pub fn training_job(
    model: &str,
    spec: &RankingModelSpec,
    request: &JobRequest,
    places: Places,
) -> Result<TrainingJob, JobError> {
    let evaluation = &spec.evaluation;
    let reference = |(digest, tables_digest): &(Digest, Digest)| ReferenceModel {
        digest: digest.clone(),
        tables_digest: tables_digest.clone(),
    };
    let served = request.reference.as_ref().map(reference);
    Ok(TrainingJob {
        model: model.to_owned(),
        version: unsigned("version", request.version)?,
        as_of_time: request.as_of_time,
        data: data_source(spec, &places)?,
        parameters: parameters(spec)?,
        tuning: tuning(spec)?,
        position_bias: spec.training.position_bias,
        labels: LabelSettings {
            maturity_hours: unsigned(
                "training.labels.maturityHours",
                spec.training.labels.maturity_hours,
            )?,
        },
        counter_dropout: decimal("training.counterDropout", &spec.training.counter_dropout)?,
        counter_lag: counter_lag(spec)?,
        candidate_list: spec.features.candidate_list,
        declared: spec.features.declared.clone(),
        evaluation: EvaluationSettings {
            holdout_days: unsigned("evaluation.holdout.days", evaluation.holdout.days)?,
            baselines: evaluation.baselines.clone(),
            measures: gate::measures(evaluation, request.reference.is_some()),
            confidence: decimal("evaluation.confidence", &evaluation.confidence)?,
        },
        artifacts_uri: places.artifacts_uri,
        reference: served.clone(),
        evaluate_only: request.evaluate_only.as_ref().map(reference),
        refresh: served.filter(|_| request.refresh > 0),
        skip_if_data_unchanged: request.if_data_changed,
        promoted: promoted(request)?,
        keep: request.keep.clone(),
    })
}

fn counter_lag(spec: &RankingModelSpec) -> Result<CounterLag, JobError> {
    let events = spec.data.sources.as_ref().map(|sources| &sources.events);
    let late = events.and_then(|events| events.lag_days).unwrap_or(0);
    let late = unsigned("data.sources.events.lagDays", late)?;
    let oldest = unsigned("training.counterLagDays", spec.training.counter_lag_days)?;
    Ok(CounterLag {
        min_days: late + 1,
        max_days: late + oldest,
    })
}

fn promoted(request: &JobRequest) -> Result<Vec<PromotedModel>, JobError> {
    let model = |(version, digest): &(i32, Digest)| {
        Ok(PromotedModel {
            version: unsigned("version", *version)?,
            digest: digest.clone(),
        })
    };
    request.promoted.iter().map(model).collect()
}

fn data_source(spec: &RankingModelSpec, places: &Places) -> Result<DataSource, JobError> {
    match (&spec.data.synthetic, &spec.data.sources) {
        (Some(shop), None) => Ok(DataSource::Synthetic(SyntheticShop {
            products: unsigned("data.synthetic.products", shop.products)?,
            events: unsigned("data.synthetic.events", shop.events)?,
            seed: u64::try_from(shop.seed).map_err(|_| JobError::Negative {
                field: "data.synthetic.seed",
                value: shop.seed,
            })?,
            window_days: unsigned("data.synthetic.windowDays", shop.window_days)?,
        })),
        (None, Some(sources)) => Ok(DataSource::Sources {
            catalog: TableSource {
                uri: places
                    .catalog_uri
                    .clone()
                    .ok_or(JobError::Place("catalog"))?,
                id_field: Some(sources.catalog.id_field.clone()),
            },
            events: TableSource {
                uri: places.events_uri.clone().ok_or(JobError::Place("events"))?,
                id_field: None,
            },
            event_format: sources.events.format,
            window_days: unsigned("data.sources.events.windowDays", sources.events.window_days)?,
            judgments: match &sources.judgments {
                None => None,
                Some(judgments) => Some(JudgmentSource {
                    uri: places
                        .judgments_uri
                        .clone()
                        .ok_or(JobError::Place("judgments"))?,
                    format: judgments.format,
                }),
            },
        }),
        _ => Err(JobError::DataSource),
    }
}

fn parameters(spec: &RankingModelSpec) -> Result<BoostingParameters, JobError> {
    let parameters = &spec.training.parameters;
    Ok(BoostingParameters {
        num_iterations: unsigned(
            "training.parameters.numIterations",
            parameters.num_iterations,
        )?,
        learning_rate: decimal(
            "training.parameters.learningRate",
            &parameters.learning_rate,
        )?,
        num_leaves: unsigned("training.parameters.numLeaves", parameters.num_leaves)?,
        min_data_in_leaf: unsigned(
            "training.parameters.minDataInLeaf",
            parameters.min_data_in_leaf,
        )?,
        seed: unsigned("training.parameters.seed", parameters.seed)?,
    })
}

/// A parameter that has its default was not set: the API server writes defaults into what it stores.
fn tuning(spec: &RankingModelSpec) -> Result<Option<Tuning>, JobError> {
    let Some(tuning) = &spec.training.tuning else {
        return Ok(None);
    };
    let (own, default) = (&spec.training.parameters, Parameters::default());
    let rate = |parameters: &Parameters| number(&parameters.learning_rate);
    let free = [
        (
            FreeParameter::NumIterations,
            own.num_iterations == default.num_iterations,
        ),
        (FreeParameter::LearningRate, rate(own) == rate(&default)),
        (
            FreeParameter::NumLeaves,
            own.num_leaves == default.num_leaves,
        ),
        (
            FreeParameter::MinDataInLeaf,
            own.min_data_in_leaf == default.min_data_in_leaf,
        ),
    ];
    Ok(Some(Tuning {
        trials: unsigned("training.tuning.trials", tuning.trials)?,
        max_seconds: unsigned("training.tuning.maxSeconds", tuning.max_seconds)?,
        free: (free.into_iter())
            .filter_map(|(parameter, free)| free.then_some(parameter))
            .collect(),
    }))
}

fn unsigned(field: &'static str, value: i32) -> Result<u32, JobError> {
    u32::try_from(value).map_err(|_| JobError::Negative {
        field,
        value: value.into(),
    })
}

fn decimal(field: &'static str, value: &str) -> Result<f64, JobError> {
    number(value).ok_or_else(|| JobError::NotANumber {
        field,
        value: value.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, digests, sources_spec, synthetic_spec};

    fn request() -> JobRequest {
        JobRequest {
            version: 8,
            refresh: 0,
            if_data_changed: false,
            evaluation: 0,
            attempt: 0,
            as_of_time: at("2026-11-24T09:30:00Z"),
            reference: Some(digests("v7")),
            evaluate_only: None,
            promoted: vec![(7, digests("v7").0)],
            keep: vec![digests("v7").0],
        }
    }

    fn places() -> Places {
        Places {
            artifacts_uri: "file:///models".into(),
            catalog_uri: Some("/data/catalog.parquet".into()),
            events_uri: Some("/data/events/*.parquet".into()),
            judgments_uri: Some("/data/judgments.csv".into()),
        }
    }

    #[test]
    fn a_run_becomes_a_job() {
        let job = training_job("products", &synthetic_spec(), &request(), places()).unwrap();
        insta::assert_json_snapshot!("synthetic", job);
        let job = training_job("products", &sources_spec(), &request(), places()).unwrap();
        insta::assert_json_snapshot!("sources", job.data);
    }

    #[test]
    fn counters_are_of_the_day_before_or_as_old_as_the_spec_says() {
        let lag = |spec: &RankingModelSpec| {
            let job = training_job("products", spec, &request(), places()).unwrap();
            (job.counter_lag.min_days, job.counter_lag.max_days)
        };
        assert_eq!(lag(&synthetic_spec()), (1, 1));
        let mut spec = sources_spec();
        spec.training.counter_lag_days = 7;
        assert_eq!(lag(&spec), (1, 7));
        spec.data.sources.as_mut().unwrap().events.lag_days = Some(2);
        assert_eq!(lag(&spec), (3, 9));
    }

    #[test]
    fn only_parameters_at_their_defaults_are_tuned() {
        let tuning = |parameters: Parameters| {
            let mut spec = synthetic_spec();
            spec.training.parameters = parameters;
            spec.training.tuning = Some(searchop_api::Tuning::default());
            training_job("products", &spec, &request(), places())
                .unwrap()
                .tuning
                .unwrap()
        };
        use FreeParameter::{LearningRate, MinDataInLeaf, NumIterations, NumLeaves};
        let all = tuning(Parameters {
            learning_rate: ".05".into(),
            seed: 7,
            ..Parameters::default()
        });
        assert_eq!(
            all.free,
            [NumIterations, LearningRate, NumLeaves, MinDataInLeaf]
        );
        assert_eq!((all.trials, all.max_seconds), (20, 1800));
        let some = tuning(Parameters {
            num_leaves: 31,
            learning_rate: "0.1".into(),
            ..Parameters::default()
        });
        assert_eq!(some.free, [NumIterations, MinDataInLeaf]);
        let job = training_job("products", &synthetic_spec(), &request(), places());
        assert_eq!(job.unwrap().tuning, None);
    }

    #[test]
    fn a_refresh_names_the_model_whose_tables_it_rebuilds() {
        let request = JobRequest {
            refresh: 3,
            ..request()
        };
        let job = training_job("products", &synthetic_spec(), &request, places()).unwrap();
        assert_eq!(job.refresh, job.reference);
        assert_eq!(job.refresh.unwrap().digest, digests("v7").0);
    }

    #[test]
    fn what_validation_would_refuse_names_the_field() {
        let error = |change: fn(&mut RankingModelSpec)| {
            let mut spec = sources_spec();
            change(&mut spec);
            training_job("products", &spec, &request(), places())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error(|spec| spec.data.sources = None),
            "spec.data needs exactly one of synthetic and sources"
        );
        assert_eq!(
            error(|spec| spec.training.parameters.learning_rate = "fast".into()),
            "spec.training.parameters.learningRate: \"fast\" is not a decimal number"
        );
        assert_eq!(
            error(|spec| spec.evaluation.holdout.days = -1),
            "spec.evaluation.holdout.days: -1 must not be negative"
        );
        let nowhere = Places {
            events_uri: None,
            ..places()
        };
        let error = training_job("products", &sources_spec(), &request(), nowhere).unwrap_err();
        assert_eq!(error, JobError::Place("events"));
    }

    #[test]
    fn each_job_of_a_run_has_a_name_of_its_own_that_fits_a_label() {
        assert_eq!(job_name("products", &request()), "products-train-v8");
        assert_eq!(
            job_name(
                "products",
                &JobRequest {
                    evaluation: 2,
                    ..request()
                }
            ),
            "products-train-v8-e2"
        );
        assert_eq!(
            job_name(
                "products",
                &JobRequest {
                    attempt: 1,
                    ..request()
                }
            ),
            "products-train-v8-a1"
        );
        let refresh = JobRequest {
            refresh: 12,
            ..request()
        };
        assert_eq!(job_name("products", &refresh), "products-tables-12");
        let longest = JobRequest {
            version: 999_999,
            evaluation: 99,
            attempt: 2,
            ..request()
        };
        let name = job_name(&"x".repeat(40), &longest);
        assert!(name.len() <= 63, "{name}");
    }
}
