use searchop_contract::Digest;
use serde_json::{Value, json};

use super::*;

fn job(condition: Option<(&str, &str)>) -> Job {
    let conditions: Vec<Value> = condition
        .iter()
        .map(|(kind, reason)| json!({"type": kind, "status": "True", "reason": reason, "message": "as the Job says"}))
        .collect();
    serde_json::from_value(json!({
        "metadata": {"name": "products-train-v3", "uid": "job-uid"},
        "spec": {
            "activeDeadlineSeconds": 600,
            "template": {"spec": {"containers": [
                {"name": "trainer", "resources": {"limits": {"memory": "64Mi"}}}
            ]}}
        },
        "status": {"conditions": conditions}
    }))
    .unwrap()
}

fn pod(owner: &str, created: &str, state: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {
            "name": "p", "creationTimestamp": created,
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": owner, "controller": true}]
        },
        "status": {"containerStatuses": [{
            "name": "trainer", "image": "trainer:1", "imageID": "", "ready": false, "restartCount": 0, "state": state
        }]}
    }))
    .unwrap()
}

fn ended(code: i32, reason: &str, message: &str) -> Value {
    json!({"terminated": {"exitCode": code, "reason": reason, "message": message}})
}

const EARLY: &str = "2026-03-01T00:00:00Z";
const LATE: &str = "2026-03-01T00:05:00Z";

fn report_of(version: u32) -> String {
    let digest = Digest::of(b"a");
    json!({"version": version, "published": {
        "digest": digest, "tablesDigest": digest, "trainedThroughTime": EARLY, "tablesTime": EARLY
    }})
    .to_string()
}

fn failed(state: Value) -> (FailureReason, String) {
    let job = job(Some(("Failed", "PodFailurePolicy")));
    match observed(&job, &[pod("job-uid", EARLY, state)], 3) {
        ObservedJob::Failed { reason, message } => (reason, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn complaint_5_every_bad_end_has_a_reason_and_words() {
    let words =
        r#"{"version":3,"failure":{"reason":"DataInvalid","message":"events.csv: line 2 is cut"}}"#;
    let table = [
        (
            ended(2, "Error", ""),
            FailureReason::ConfigInvalid,
            "the trainer ended with exit code 2",
        ),
        (
            ended(3, "Error", words),
            FailureReason::DataInvalid,
            "events.csv: line 2 is cut",
        ),
        (
            ended(4, "Error", "{"),
            FailureReason::EvaluationFailed,
            "the trainer ended with exit code 4",
        ),
        (
            ended(5, "Error", ""),
            FailureReason::StorageRefused,
            "the trainer ended with exit code 5",
        ),
        (
            ended(10, "Error", ""),
            FailureReason::StorageUnavailable,
            "the trainer ended with exit code 10",
        ),
        (
            ended(101, "Error", ""),
            FailureReason::TrainerCrashed,
            "the trainer ended with exit code 101",
        ),
        (
            ended(137, "Error", ""),
            FailureReason::TrainerCrashed,
            "the trainer ended with exit code 137",
        ),
        (
            ended(137, "OOMKilled", ""),
            FailureReason::OOMKilled,
            "the trainer met its memory limit of 64Mi",
        ),
    ];
    for (state, reason, message) in table {
        assert_eq!(
            failed(state.clone()),
            (reason, message.to_owned()),
            "{state}"
        );
    }
    let late = observed(&job(Some(("Failed", "DeadlineExceeded"))), &[], 3);
    let expected = "the run did not end within 600 s".to_owned();
    assert_eq!(
        late,
        ObservedJob::Failed {
            reason: FailureReason::DeadlineExceeded,
            message: expected
        }
    );
    let podless = observed(&job(Some(("Failed", "BackoffLimitExceeded"))), &[], 3);
    let expected = "as the Job says".to_owned();
    assert_eq!(
        podless,
        ObservedJob::Failed {
            reason: FailureReason::TrainerCrashed,
            message: expected
        }
    );
}

#[test]
fn the_newest_pod_speaks_and_only_the_jobs_own() {
    let pods = [
        pod("job-uid", LATE, ended(0, "Completed", &report_of(3))),
        pod("job-uid", EARLY, ended(137, "Error", "")),
        pod(
            "another",
            "2026-03-01T00:09:00Z",
            ended(0, "Completed", &report_of(9)),
        ),
    ];
    let done = job(Some(("Complete", "CompletionsReached")));
    assert!(
        matches!(observed(&done, &pods, 3), ObservedJob::Reported(report) if report.version == 3)
    );
    let table = [
        (&pods[2..], 9, "is gone"),
        (&pods[..1], 4, "speaks of version 3"),
        (&[][..], 3, "is gone"),
        (
            &[pod(
                "job-uid",
                EARLY,
                ended(0, "Completed", "{\"version\":3"),
            )][..],
            3,
            "not readable",
        ),
        (
            &[pod(
                "job-uid",
                EARLY,
                ended(0, "Completed", &" ".repeat(5000)),
            )][..],
            3,
            "5000 bytes",
        ),
    ];
    for (pods, version, words) in table {
        match observed(&done, pods, version) {
            ObservedJob::ReportLost { message } => {
                assert!(message.contains(words), "{message}")
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn says_why_a_pod_does_not_run_in_words_that_do_not_change() {
    let waits = |reason: &str, message: &str| {
        let state = json!({"waiting": {"reason": reason, "message": message}});
        match observed(&job(None), &[pod("job-uid", EARLY, state)], 3) {
            ObservedJob::Active { waiting } => waiting,
            other => panic!("{other:?}"),
        }
    };
    let pull = Some("ImagePullBackOff: the image \"trainer:1\" cannot be pulled".to_owned());
    assert_eq!(waits("ErrImagePull", "not found"), pull);
    assert_eq!(waits("ImagePullBackOff", "Back-off pulling"), pull);
    assert_eq!(waits("ContainerCreating", ""), None);
    assert_eq!(
        waits("CreateContainerConfigError", "secret \"shop-s3\" not found").as_deref(),
        Some("CreateContainerConfigError: secret \"shop-s3\" not found")
    );
    let unscheduled: Pod = serde_json::from_value(json!({
        "metadata": {"ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "job-uid", "controller": true}]},
        "status": {"conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}
        ]}
    }))
    .unwrap();
    let expected = ObservedJob::Active {
        waiting: Some("Unschedulable: 0/1 nodes are available".to_owned()),
    };
    assert_eq!(observed(&job(None), &[unscheduled], 3), expected);
    let running = pod("job-uid", EARLY, json!({"running": {}}));
    assert_eq!(
        observed(&job(None), &[running], 3),
        ObservedJob::Active { waiting: None }
    );
}
