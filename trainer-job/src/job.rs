//! Reads and checks the description of a run. Every message names the field.

use std::path::Path;

use searchop_contract::{CounterLag, TrainingJob, names::JOB_ENV};

use crate::error::TrainError;

/// A report of 16 measurements is the largest that fits a termination message.
const MAX_MEASURES: usize = 16;

/// From the file, or without one from the environment variable [`JOB_ENV`].
pub fn read(file: Option<&Path>) -> Result<TrainingJob, TrainError> {
    match file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                TrainError::config(format!("job file {path:?} cannot be read: {error}"))
            })?;
            parse(&text)
        }
        None => {
            let text = std::env::var(JOB_ENV).map_err(|_| {
                TrainError::config(format!(
                    "no job: give --job FILE or set {JOB_ENV} to its JSON"
                ))
            })?;
            parse(&text)
        }
    }
}

/// The job in `text`, with values that can be trained with.
pub fn parse(text: &str) -> Result<TrainingJob, TrainError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let job: TrainingJob = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        TrainError::config(match path.as_str() {
            "." => format!("job: {}", error.inner()),
            path => format!("job: {path}: {}", error.inner()),
        })
    })?;
    json.end()
        .map_err(|error| TrainError::config(format!("job: {error}")))?;
    check(&job)?;
    Ok(job)
}

fn check(job: &TrainingJob) -> Result<(), TrainError> {
    let refuse = |field: &str, value: &dyn std::fmt::Display, wanted: &str| {
        Err(TrainError::config(format!(
            "job: {field} is {value}, expected {wanted}"
        )))
    };
    let (parameters, evaluation) = (&job.parameters, &job.evaluation);
    if job.model.is_empty() {
        return refuse("model", &"empty", "a name");
    }
    if !(1..=10_000).contains(&parameters.num_iterations) {
        return refuse(
            "parameters.numIterations",
            &parameters.num_iterations,
            "1 to 10000",
        );
    }
    if !(parameters.learning_rate > 0.0 && parameters.learning_rate <= 1.0) {
        return refuse(
            "parameters.learningRate",
            &parameters.learning_rate,
            "a number above 0, at most 1",
        );
    }
    if job
        .tuning
        .as_ref()
        .is_some_and(|tuning| !(1..=1000).contains(&tuning.trials))
    {
        return refuse(
            "tuning.trials",
            &job.tuning.as_ref().map_or(0, |tuning| tuning.trials),
            "1 to 1000",
        );
    }
    if !(2..=4096).contains(&parameters.num_leaves) {
        return refuse("parameters.numLeaves", &parameters.num_leaves, "2 to 4096");
    }
    if parameters.min_data_in_leaf > i32::MAX as u32 || parameters.seed > i32::MAX as u32 {
        return refuse(
            "parameters.minDataInLeaf and seed",
            &"too large",
            "less than 2^31",
        );
    }
    if !(0.0..1.0).contains(&job.counter_dropout) {
        return refuse(
            "counterDropout",
            &job.counter_dropout,
            "a number from 0, below 1",
        );
    }
    let lag = job.counter_lag;
    if lag.min_days < 1 || lag.max_days < lag.min_days || lag.max_days > CounterLag::LONGEST {
        return refuse(
            "counterLag",
            &format_args!("{} to {} days", lag.min_days, lag.max_days),
            "1 day or more, at most 365, the smaller one first",
        );
    }
    if job.refresh.is_some() && job.evaluate_only.is_some() {
        return refuse("refresh", &"given", "nothing beside evaluateOnly");
    }
    if evaluation.holdout_days == 0 {
        return refuse("evaluation.holdoutDays", &0, "at least 1");
    }
    if !(evaluation.confidence > 0.5 && evaluation.confidence < 1.0) {
        return refuse(
            "evaluation.confidence",
            &evaluation.confidence,
            "a number between 0.5 and 1",
        );
    }
    if evaluation.measures.len() > MAX_MEASURES {
        return refuse(
            "the number of evaluation.measures",
            &evaluation.measures.len(),
            "at most 16",
        );
    }
    if evaluation.measures.iter().any(|measure| measure.k == 0) {
        return refuse("k of one of evaluation.measures", &0, "at least 1");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = r#"{
        "model": "products", "version": 3, "asOfTime": "2026-11-24T06:00:00Z",
        "data": {"synthetic": {"products": 200, "events": 5000, "seed": 42, "windowDays": 30}},
        "evaluation": {"holdoutDays": 7, "baselines": ["Bm25"], "confidence": 0.95,
                       "measures": [{"metric": "NDCG", "k": 10, "against": "Bm25"}]},
        "artifactsUri": "file:///tmp/artifacts"
    }"#;

    #[test]
    fn a_job_is_read() {
        let job = parse(JOB).unwrap();
        assert_eq!((job.version, job.parameters.num_leaves), (3, 7));
    }

    /// The ends of the ranges that the resource's schema has.
    #[test]
    fn what_a_resource_may_say_is_trained() {
        for parameters in [
            r#"{"numLeaves": 4096, "numIterations": 10000, "learningRate": 1}"#,
            r#"{"numLeaves": 2, "numIterations": 1, "learningRate": 0.0000001}"#,
            r#"{"minDataInLeaf": 1000000, "seed": 2147483647}"#,
        ] {
            let text = JOB.replacen('{', &format!("{{\"parameters\": {parameters},"), 1);
            parse(&text).unwrap();
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_field() {
        for (from, to, message) in [
            (
                "\"holdoutDays\": 7",
                "\"holdoutDays\": \"7\"",
                "job: evaluation.holdoutDays: invalid type: string \"7\"",
            ),
            (
                "\"holdoutDays\": 7, ",
                "",
                "job: evaluation: missing field `holdoutDays`",
            ),
            (
                "\"holdoutDays\": 7",
                "\"holdoutDays\": 0",
                "job: evaluation.holdoutDays is 0, expected at least 1",
            ),
            (
                "\"model\"",
                "\"modell\"",
                "job: modell: unknown field `modell`",
            ),
            (
                "NDCG",
                "DCG",
                "job: evaluation.measures[0].metric: unknown variant `DCG`",
            ),
            (
                "\"k\": 10",
                "\"k\": 0",
                "job: k of one of evaluation.measures is 0",
            ),
            (
                "0.95",
                "1.5",
                "job: evaluation.confidence is 1.5, expected a number between 0.5 and 1",
            ),
            (
                "\"windowDays\": 30",
                "\"windowDays\": -3",
                "job: data.synthetic.windowDays: invalid value: integer `-3`",
            ),
        ] {
            let error = parse(&JOB.replacen(from, to, 1)).unwrap_err();
            assert!(matches!(error, TrainError::Config(_)));
            assert!(
                error.to_string().starts_with(message),
                "{error} is not {message}"
            );
        }
        assert!(parse(&format!("{JOB} x")).is_err());
        assert!(parse("").unwrap_err().to_string().starts_with("job: EOF"));
    }

    #[test]
    fn some_rows_keep_their_counters() {
        let with = |share: &str| JOB.replacen('{', &format!("{{\"counterDropout\": {share},"), 1);
        assert_eq!(parse(JOB).unwrap().counter_dropout, 0.3);
        assert_eq!(parse(&with("0")).unwrap().counter_dropout, 0.0);
        for share in ["1", "-0.1"] {
            let error = parse(&with(share)).unwrap_err().to_string();
            let expected =
                format!("job: counterDropout is {share}, expected a number from 0, below 1");
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn counters_are_of_the_day_before_or_older() {
        let with = |min: u32, max: u32| {
            let lag = format!("{{\"counterLag\": {{\"minDays\": {min}, \"maxDays\": {max}}},");
            parse(&JOB.replacen('{', &lag, 1))
        };
        let lag = with(3, 9).unwrap().counter_lag;
        assert_eq!((lag.min_days, lag.max_days), (3, 9));
        for (min, max) in [(0, 7), (3, 2), (1, 366)] {
            let error = with(min, max).unwrap_err().to_string();
            assert!(
                error.contains(&format!("counterLag is {min} to {max} days")),
                "{error}"
            );
        }
    }

    #[test]
    fn parameters_that_cannot_train_are_refused() {
        for (parameters, message) in [
            (
                r#"{"numLeaves": 1}"#,
                "job: parameters.numLeaves is 1, expected 2 to 4096",
            ),
            (
                r#"{"numLeaves": 4097}"#,
                "job: parameters.numLeaves is 4097, expected 2 to 4096",
            ),
            (
                r#"{"learningRate": 0}"#,
                "job: parameters.learningRate is 0, expected a number above 0, at most 1",
            ),
            (
                r#"{"numIterations": 0}"#,
                "job: parameters.numIterations is 0, expected 1 to 10000",
            ),
        ] {
            let text = JOB.replacen('{', &format!("{{\"parameters\": {parameters},"), 1);
            assert_eq!(parse(&text), Err(TrainError::config(message)));
        }
    }
}
