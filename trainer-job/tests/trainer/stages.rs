//! The stages by hand, each from what the one before left in the work folder.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use searchop_contract::names::{MODELS_FOLDER, TABLES_FOLDER};
use searchop_trainer::{folder::Folder, progress::Progress, run};

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
