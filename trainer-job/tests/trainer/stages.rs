//! The stages by hand, each from what the one before left in the work folder.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use searchop_contract::{
    FreeParameter, TrainingJob, Tuning,
    names::{MODELS_FOLDER, TABLES_FOLDER},
};
use searchop_model::artifact::read_model;
use searchop_trainer::{
    folder::Folder,
    progress::Progress,
    publish::Store,
    run::{self, Bench},
    slices::Slice,
};

use super::shops::small_job;

fn stage(name: &str, job: &Path, work: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_searchop-trainer"))
        .args([name, "--job"])
        .arg(job)
        .arg("--work")
        .arg(work)
        .env("SEARCHOP_CPU_LIMIT_MILLIS", "1000")
        .output()
        .unwrap()
}

/// Everything about the lists that judge is turned around: no trial may see it.
#[test]
fn a_search_for_parameters_never_sees_what_judges_and_what_it_finds_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let mut job = small_job(&dir.path().join("store"));
    job.tuning = Some(Tuning {
        trials: 4,
        max_seconds: 3600,
        free: vec![FreeParameter::NumLeaves, FreeParameter::MinDataInLeaf],
    });
    let work = dir.path().join("work");
    fs::create_dir(&work).unwrap();
    let bench = Bench {
        job: &job,
        work: &work,
        store: Store::open(&job).unwrap(),
        progress: &Progress::silent(),
    };
    let prepared = bench.features().unwrap();
    let trained = bench.train(&prepared, 1).unwrap();
    let search = trained.tuning.clone().unwrap();
    assert_eq!((search.trials.len(), search.out_of_time), (4, false));
    assert_eq!(search.trials[0].parameters, job.parameters);
    assert!(
        search
            .trials
            .iter()
            .all(|trial| { trial.parameters.learning_rate == job.parameters.learning_rate })
    );

    let mut other = prepared.clone();
    let judging: Vec<usize> = (prepared.rows.of(Slice::Gate))
        .chain(prepared.rows.of(Slice::Judged))
        .flat_map(|list| list.rows.clone())
        .collect();
    assert!(!judging.is_empty());
    for row in judging {
        other.rows.candidates[row].label = 3 - other.rows.candidates[row].label;
        let columns = prepared.rows.row(0).len();
        other.rows.values[row * columns..(row + 1) * columns].fill(1.0);
    }
    assert_eq!(bench.train(&other, 1).unwrap(), trained);

    let judged = bench.evaluate(&prepared, &trained).unwrap();
    let published = bench.publish(&prepared, &trained, &judged).unwrap();
    let model = dir
        .path()
        .join("store")
        .join(MODELS_FOLDER)
        .join(published.digest.hex());
    let model = read_model(&model, &published.digest).unwrap();
    assert_eq!(
        model.manifest.parameters,
        search.trials[search.chosen].parameters
    );
    let untuned = TrainingJob {
        parameters: trained.parameters.clone(),
        tuning: None,
        ..job.clone()
    };
    let again = Bench {
        job: &untuned,
        work: &work,
        store: Store::open(&job).unwrap(),
        progress: &Progress::silent(),
    };
    assert_eq!(again.train(&prepared, 1).unwrap().text, trained.text);
}

#[test]
fn four_stages_publish_what_a_run_publishes() {
    let dir = tempfile::tempdir().unwrap();
    let (store, work, file) = (
        dir.path().join("store"),
        dir.path().join("work"),
        dir.path().join("job.json"),
    );
    fs::write(&file, serde_json::to_vec(&small_job(&store)).unwrap()).unwrap();

    let early = stage("train", &file, &work);
    let message = String::from_utf8(early.stderr).unwrap();
    assert_eq!(early.status.code(), Some(2));
    assert!(
        message.contains("rows.parquet") && message.contains("run the stage \"features\" first"),
        "{message}"
    );

    for name in ["features", "train", "evaluate", "publish"] {
        let output = stage(name, &file, &work);
        assert!(
            output.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let (other, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let outcome = run::run(
        &small_job(other.path()),
        scratch.path(),
        1,
        &Progress::silent(),
    )
    .unwrap();
    let published = outcome.report.published.unwrap();
    assert!(
        store
            .join(MODELS_FOLDER)
            .join(published.digest.hex())
            .exists()
    );
    assert!(
        store
            .join(TABLES_FOLDER)
            .join(published.tables_digest.hex())
            .exists()
    );

    let folder = Folder::open(&work).unwrap();
    assert_eq!(
        folder.judged().unwrap().measurements,
        outcome.report.measurements
    );
    let prepared = folder.prepared().unwrap();
    assert_eq!(prepared.summary.data, outcome.report.data.unwrap());
    assert!(
        prepared
            .rows
            .lists
            .iter()
            .all(|list| !prepared.names.keys[list.key as usize].is_empty())
    );
}
