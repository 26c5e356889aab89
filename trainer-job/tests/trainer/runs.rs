//! Whole runs on a small shop.

use std::{collections::BTreeSet, fs, path::Path};

use searchop_contract::{
    Digest, Evidence, ListSlice, Measure, Metric, PromotedModel, Published, Reference,
    ReferenceModel, TrainingJob, names,
};
use searchop_evaluation::report::EvaluationReport;
use searchop_model::{artifact::read_model, bundle::Bundle};
use searchop_trainer::{
    error::TrainError,
    outcome::{ModelReport, Outcome},
    progress::Progress,
    run,
};

use super::{scores::lightgbm_scores, shops::small_job};

pub fn run(job: &TrainingJob) -> Result<Outcome, TrainError> {
    let work = tempfile::tempdir().unwrap();
    run::run(job, work.path(), 1, &Progress::silent())
}

pub fn published(outcome: &Outcome) -> Published {
    outcome.report.published.clone().unwrap()
}

pub fn named(published: &Published) -> ReferenceModel {
    ReferenceModel {
        digest: published.digest.clone(),
        tables_digest: published.tables_digest.clone(),
    }
}

pub fn stored(store: &Path, folder: &str) -> BTreeSet<String> {
    let names = fs::read_dir(store.join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

fn dir(store: &Path, folder: &str, digest: &Digest) -> std::path::PathBuf {
    store.join(folder).join(digest.hex())
}

#[test]
fn the_same_data_give_the_same_digests_whatever_is_served_or_measured() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = run(&small_job(one.path())).unwrap();
    assert_eq!(run(&small_job(two.path())).unwrap(), first, "another store");
    assert_eq!(
        run(&small_job(one.path())).unwrap(),
        first,
        "a repeat where it is published already"
    );

    let mut later = small_job(one.path());
    later.version = 2;
    later.as_of_time = "2026-11-24T23:00:00Z".parse().unwrap();
    later.reference = Some(named(&published(&first)));
    later.evaluation.measures.truncate(2);
    let second = run(&later).unwrap();
    assert_eq!(published(&second), published(&first));
    // Against itself there is no difference.
    let measurement = &second.report.measurements[1];
    assert_eq!(measurement.candidate, measurement.reference);
    assert_eq!((measurement.low, measurement.high), (Some(0.0), Some(0.0)));
    assert!(!measurement.holdout_overlap);
}

#[test]
fn what_is_published_loads_and_says_what_it_is() {
    let store = tempfile::tempdir().unwrap();
    let outcome = run(&small_job(store.path())).unwrap();
    let published = published(&outcome);
    let model_dir = dir(store.path(), names::MODELS_FOLDER, &published.digest);
    let tables_dir = dir(store.path(), names::TABLES_FOLDER, &published.tables_digest);
    let bundle = Bundle::open(
        &model_dir,
        &published.digest,
        &tables_dir,
        &published.tables_digest,
    )
    .unwrap();
    assert_eq!(
        published.trained_through_time.to_string(),
        "2026-11-14T00:00:00Z"
    );
    assert_eq!(published.tables_time.to_string(), "2026-11-24T00:00:00Z");
    assert_eq!(
        bundle.model.manifest.trained_through_time,
        published.trained_through_time
    );
    assert_eq!(bundle.tables_manifest.tables_time, published.tables_time);

    let report: ModelReport =
        serde_json::from_slice(&fs::read(model_dir.join(names::REPORT_FILE)).unwrap()).unwrap();
    assert_eq!(report.gate.from, "2026-11-14");
    assert_eq!(report.table.rankers.len(), 4);
    assert_eq!(report.trees, bundle.model.manifest.trees);
    assert!(report.lists.train > report.lists.valid && report.lists.valid > 0);
    for file in [
        names::MLMODEL_FILE,
        names::IMPORTANCE_FILE,
        names::GOLDEN_FILE,
    ] {
        assert!(model_dir.join(file).exists(), "{file}");
    }

    let reference = bundle.model.reference.unwrap();
    for of in &reference.features {
        let counted: u64 = of.bins.training.iter().sum();
        assert_eq!(counted, report.train.lists, "{}", of.feature);
    }
    assert_eq!(
        reference.scores.training.iter().sum::<u64>(),
        report.train.lists
    );
    assert!(reference.scores.bounds.len() >= 9, "scores differ");
    let gain: f64 = reference.features.iter().map(|of| of.importance).sum();
    assert!((gain - 1.0).abs() < 1e-9, "{gain}");

    let own = &outcome.report.measurements[0];
    assert!(
        own.low.unwrap() < own.candidate.unwrap() && own.candidate.unwrap() < own.high.unwrap()
    );
    // Nothing is served yet, so there is nothing to compare with.
    let served = &outcome.report.measurements[1];
    assert_eq!(
        (served.candidate, served.reference, served.low),
        (own.candidate, None, None)
    );
    assert!(serde_json::to_vec(&outcome.report).unwrap().len() <= 4096);
}

#[test]
fn the_golden_sample_is_scored_alike_by_lightgbm() {
    let store = tempfile::tempdir().unwrap();
    let published = published(&run(&small_job(store.path())).unwrap());
    let model_dir = dir(store.path(), names::MODELS_FOLDER, &published.digest);
    let model = read_model(&model_dir, &published.digest).unwrap();
    let text = fs::read_to_string(model_dir.join(names::MODEL_FILE)).unwrap();
    let golden = &model.golden.rows;
    assert!((40..=50).contains(&golden.len()), "{}", golden.len());
    let columns = model.manifest.features.len();
    let values: Vec<f32> = golden.iter().flat_map(|row| row.row()).collect();
    assert!(values.iter().any(|value| value.is_nan()));
    for (row, score) in golden.iter().zip(lightgbm_scores(&text, &values, columns)) {
        assert!(
            (row.score - score).abs() < 1e-9,
            "{} / {}: {} and {score}",
            row.query,
            row.item,
            row.score
        );
    }
}

#[test]
fn a_published_model_can_be_measured_again_without_training() {
    let store = tempfile::tempdir().unwrap();
    let mut job = small_job(store.path());
    let first = run(&job).unwrap();
    job.parameters.num_iterations = 3;
    job.keep = vec![published(&first).digest];
    let other = run(&job).unwrap();
    assert_ne!(published(&other).digest, published(&first).digest);

    let mut again = small_job(store.path());
    again.evaluate_only = Some(named(&published(&first)));
    again.reference = Some(named(&published(&other)));
    let measured = run(&again).unwrap();
    assert_eq!(published(&measured), published(&first));
    let figure = |outcome: &Outcome, index: usize| outcome.report.measurements[index].candidate;
    assert_eq!(figure(&measured, 0), figure(&first, 0));
    let served = &measured.report.measurements[1];
    assert_eq!(served.measure.against, Some(Reference::Served));
    assert_eq!(served.reference, figure(&other, 0));
    assert!(served.low.unwrap() < served.high.unwrap());
}

#[test]
fn a_served_model_that_saw_the_held_out_days_is_told() {
    let store = tempfile::tempdir().unwrap();
    let mut job = small_job(store.path());
    let served = run(&job).unwrap();
    // Three days more are held out now.
    job.evaluation.holdout_days = 10;
    job.reference = Some(named(&published(&served)));
    let outcome = run(&job).unwrap();
    let overlaps: Vec<bool> = outcome
        .report
        .measurements
        .iter()
        .map(|one| one.holdout_overlap)
        .collect();
    assert_eq!(overlaps, [false, true, false, false, false]);
}

fn stored_report(store: &Path, version: u32) -> EvaluationReport {
    let file = store
        .join(names::REPORTS_FOLDER)
        .join(format!("v{version}.json"));
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// Three versions: the second is a stump, the third has the second as its reference.
#[test]
fn the_best_that_was_promoted_is_a_reference_too() {
    let store = tempfile::tempdir().unwrap();
    let mut job = small_job(store.path());
    let first = run(&job).unwrap();
    job.version = 2;
    job.parameters.num_iterations = 1;
    job.parameters.num_leaves = 2;
    job.keep = vec![published(&first).digest];
    let second = run(&job).unwrap();
    job.version = 3;
    job.parameters.num_iterations = 10;
    job.reference = Some(named(&published(&second)));
    let promoted = |version, digest| PromotedModel { version, digest };
    job.promoted = vec![
        promoted(9, Digest::of(b"gone")),
        promoted(2, published(&second).digest),
        promoted(1, published(&first).digest),
    ];
    let best = Measure::new(Metric::NDCG, 10, Some(Reference::BestPromoted));
    job.evaluation.measures.push(best);
    let third = run(&job).unwrap();

    let own = |outcome: &Outcome| outcome.report.measurements[0].candidate;
    let (version, figure) = if own(&first) >= own(&second) {
        (1, own(&first))
    } else {
        (2, own(&second))
    };
    assert_eq!(third.report.best_promoted, Some(version));
    let found = third.report.measurement(best).unwrap();
    assert_eq!((found.reference, found.holdout_overlap), (figure, false));
    assert!(found.low.unwrap() < found.high.unwrap());

    let report = stored_report(store.path(), 3);
    assert_eq!(report.measurements, third.report.measurements);
    assert_eq!(report.reference, Some(published(&second).digest));
    assert_eq!(report.rankers[1].ranker, "served");
    let beside = &report.comparisons[0];
    assert_eq!(beside.against, "served");
    assert!(beside.wins > 0 && beside.rank_biased_overlap.unwrap() < 1.0);
    assert!(beside.worst_decile.unwrap() < beside.smallest_gain.unwrap());
    assert!(!report.changes.winners.is_empty() && !report.slices.is_empty());
    assert_eq!(
        stored_report(store.path(), 1).comparisons[0].against,
        "LoggedOrder"
    );

    // All of them have trained on days that are held out now.
    job.evaluation.holdout_days = 10;
    let overlapping = run(&job).unwrap();
    assert_eq!(overlapping.report.best_promoted, None);
    let found = overlapping.report.measurement(best).unwrap();
    assert!(found.holdout_overlap && found.reference.is_none() && found.low.is_none());
}

#[test]
fn slices_of_the_held_out_lists_have_figures_of_their_own() {
    let store = tempfile::tempdir().unwrap();
    let mut job = small_job(store.path());
    let of = |slice| Measure {
        slice: Some(slice),
        ..Measure::new(Metric::ERR, 10, Some(Reference::Bm25))
    };
    job.evaluation.measures = ListSlice::ALL.map(of).to_vec();
    let outcome = run(&job).unwrap();
    let queries: Vec<u32> = outcome
        .report
        .measurements
        .iter()
        .map(|one| one.queries)
        .collect();
    let report: EvaluationReport = stored_report(store.path(), 1);
    let [cold, _, head, torso, tail] = queries[..] else {
        panic!("{queries:?}")
    };
    assert!(cold > 0 && head > 0 && torso > 0, "{queries:?}");
    assert!(
        tail >= cold,
        "a query that is new is in the tail: {queries:?}"
    );
    let told: u32 = report.slices.iter().map(|one| one.queries as u32).sum();
    assert_eq!(told, queries.iter().sum::<u32>());
    let unknown = Measure {
        on: Some(Evidence::Judgments),
        ..Measure::new(Metric::NDCG, 10, None)
    };
    job.evaluation.measures = vec![unknown];
    let missing = &run(&job).unwrap().report.measurements[0];
    assert_eq!((missing.candidate, missing.queries), (None, 0));
}

#[test]
fn a_served_model_of_other_features_has_no_figures() {
    let store = tempfile::tempdir().unwrap();
    let mut job = small_job(store.path());
    let first = published(&run(&job).unwrap());
    let manifest =
        dir(store.path(), names::MODELS_FOLDER, &first.digest).join(names::MANIFEST_FILE);
    let mut foreign: serde_json::Value =
        serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    foreign["featuresVersion"] = 999.into();
    let bytes = serde_json::to_vec(&foreign).unwrap();
    let digest = Digest::of(&bytes);
    let folder = dir(store.path(), names::MODELS_FOLDER, &digest);
    fs::create_dir(&folder).unwrap();
    for file in fs::read_dir(manifest.parent().unwrap()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    fs::write(folder.join(names::MANIFEST_FILE), bytes).unwrap();

    job.reference = Some(ReferenceModel {
        digest,
        tables_digest: first.tables_digest,
    });
    let outcome = run(&job).unwrap();
    let served = &outcome.report.measurements[1];
    assert!(served.candidate.is_some());
    assert_eq!(
        (served.reference, served.low, served.high),
        (None, None, None)
    );
}

#[test]
fn a_lost_reference_is_refused_storage() {
    let store = tempfile::tempdir().unwrap();
    let mut job = small_job(store.path());
    let digest = Digest::of(b"nothing");
    job.reference = Some(ReferenceModel {
        digest: digest.clone(),
        tables_digest: digest,
    });
    fs::create_dir_all(store.path().join(names::MODELS_FOLDER)).unwrap();
    assert!(matches!(
        run(&job).unwrap_err(),
        TrainError::StorageRefused(_)
    ));
}

#[test]
fn pruning_keeps_what_is_named() {
    let store = tempfile::tempdir().unwrap();
    let mut job = small_job(store.path());
    let mut versions = Vec::new();
    for iterations in [2, 3, 4, 5] {
        job.parameters.num_iterations = iterations;
        job.keep = versions.clone();
        versions.push(published(&run(&job).unwrap()).digest);
    }
    let hex = |digests: &[&Digest]| {
        digests
            .iter()
            .map(|digest| digest.hex().to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        stored(store.path(), names::MODELS_FOLDER),
        hex(&versions.iter().collect::<Vec<_>>())
    );

    // Version 2 is served, version 1 is kept, versions 3 and 4 are nobody's.
    let tables = stored(store.path(), names::TABLES_FOLDER);
    job.parameters.num_iterations = 6;
    job.keep = vec![versions[0].clone()];
    let tables_digest = format!("sha256:{}", tables.first().unwrap())
        .parse()
        .unwrap();
    job.reference = Some(ReferenceModel {
        digest: versions[1].clone(),
        tables_digest,
    });
    let newest = published(&run(&job).unwrap()).digest;
    assert_eq!(
        stored(store.path(), names::MODELS_FOLDER),
        hex(&[&versions[0], &versions[1], &newest])
    );
    assert_eq!(stored(store.path(), names::TABLES_FOLDER), tables);
}

#[test]
fn too_long_a_holdout_is_refused() {
    let store = tempfile::tempdir().unwrap();
    let mut job = small_job(store.path());
    job.evaluation.holdout_days = 29;
    let error = run(&job).unwrap_err();
    assert!(
        matches!(error, TrainError::Data(_)) && error.to_string().contains("holdoutDays = 29"),
        "{error}"
    );
    assert_eq!(job.evaluation.measures[0].metric, Metric::NDCG);
}
