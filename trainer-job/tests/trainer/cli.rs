//! The real program: exit status, report and messages.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use searchop_contract::{FailureReason, TrainingReport};

use super::shops::small_job;

fn trainer() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_searchop-trainer"));
    // One thread: tests run beside each other, and LightGBM's spin.
    command.env_clear().env("SEARCHOP_CPU_LIMIT_MILLIS", "1000");
    command
}

fn run(job: &str, report: &Path) -> Output {
    trainer()
        .args(["run", "--report"])
        .arg(report)
        .env("SEARCHOP_JOB", job)
        .output()
        .unwrap()
}

fn report(path: &Path) -> TrainingReport {
    TrainingReport::parse(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_run_ends_with_zero_a_report_and_a_line_a_stage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    let job = serde_json::to_string(&small_job(&dir.path().join("store"))).unwrap();
    let output = run(&job, &path);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let report = report(&path);
    assert!(report.published.is_some() && report.failure.is_none());
    assert_eq!((report.version, report.measurements.len()), (1, 5));
    let data = report.data.unwrap();
    assert_eq!(data.products, 200);
    assert!(data.training_lists > 0 && data.holdout_lists > 0);

    let stages: Vec<serde_json::Value> = stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<&str> = stages
        .iter()
        .map(|stage| stage["stage"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "load",
            "features",
            "train",
            "evaluate",
            "publish",
            "otherSeed"
        ]
    );
    assert!(stages.iter().all(|stage| stage["seconds"].is_number()));
    let stdout = String::from_utf8(output.stdout).unwrap();
    for ranker in ["candidate", "LoggedOrder", "Bm25", "Random"] {
        assert!(stdout.contains(ranker), "{stdout}");
    }
}

#[test]
fn a_bad_job_is_told_with_its_field() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    let mut job = serde_json::to_value(small_job(dir.path())).unwrap();
    job["evaluation"]["holdoutDays"] = "seven".into();
    let output = run(&job.to_string(), &path);
    assert_eq!(output.status.code(), Some(2));
    let failure = report(&path).failure.unwrap();
    assert_eq!(failure.reason, FailureReason::ConfigInvalid);
    assert!(
        failure
            .message
            .starts_with("job: evaluation.holdoutDays: invalid type: string \"seven\""),
        "{failure:?}"
    );
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("evaluation.holdoutDays")
    );
}

#[test]
fn every_kind_of_failure_has_its_status() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    let good = serde_json::to_value(small_job(&dir.path().join("store"))).unwrap();
    let mut missing = good.clone();
    let table = |uri: String| serde_json::json!({ "uri": uri });
    missing["data"] = serde_json::json!({"sources": {
        "catalog": table(dir.path().join("none.csv").display().to_string()),
        "events": table(dir.path().join("none.parquet").display().to_string()),
        "eventFormat": "UBI", "windowDays": 30,
    }});
    let mut nowhere = good.clone();
    nowhere["artifactsUri"] = "ftp://example.org".into();
    let mut holdout = good.clone();
    holdout["evaluation"]["holdoutDays"] = 30.into();
    let mut refused = good.clone();
    fs::write(dir.path().join("file"), "").unwrap();
    refused["artifactsUri"] = format!("file://{}/file/store", dir.path().display()).into();
    for (job, code, reason) in [
        (missing, 3, FailureReason::DataInvalid),
        (nowhere, 2, FailureReason::ConfigInvalid),
        (holdout, 3, FailureReason::DataInvalid),
        (refused, 5, FailureReason::StorageRefused),
    ] {
        let output = run(&job.to_string(), &path);
        let failure = report(&path).failure.unwrap();
        assert_eq!(
            (output.status.code(), failure.reason),
            (Some(code), reason),
            "{failure:?}"
        );
        assert!(!failure.message.is_empty());
    }
}

#[test]
fn no_job_and_no_such_option_are_bad_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    let output = trainer()
        .args(["run", "--report"])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        report(&path)
            .failure
            .unwrap()
            .message
            .contains("SEARCHOP_JOB")
    );
    assert_eq!(
        trainer()
            .args(["run", "--speed"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn help_and_version_are_there() {
    let help = trainer().arg("--help").output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(
        help.status.success() && text.contains("generate") && text.contains("Exit status"),
        "{text}"
    );
    let version = trainer().arg("--version").output().unwrap();
    assert!(
        String::from_utf8(version.stdout)
            .unwrap()
            .starts_with("searchop-trainer 0.")
    );
}

#[test]
fn sigterm_ends_it_at_once() {
    use std::{os::unix::process::ExitStatusExt, process::Stdio, time::Duration};

    let dir = tempfile::tempdir().unwrap();
    let mut job = small_job(&dir.path().join("store"));
    // Long enough that it is still under way.
    job.data = searchop_contract::DataSource::Synthetic(searchop_contract::SyntheticShop {
        products: 2_000,
        events: 400_000,
        seed: 1,
        window_days: 30,
    });
    let mut child = trainer()
        .arg("run")
        .env("SEARCHOP_JOB", serde_json::to_string(&job).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        child.try_wait().unwrap().is_none(),
        "it ended before the signal"
    );
    let sent = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    assert_eq!(child.wait().unwrap().signal(), Some(15));
}
