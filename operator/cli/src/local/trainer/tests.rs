//! The policy of retries and endings, with a shell script where the trainer goes: what a process
//! can do to us is the same for both. The real trainer runs in the integration tests.

use std::os::unix::fs::PermissionsExt;

use super::*;

const RUN: JobKey = JobKey {
    version: 3,
    refresh: 0,
    evaluation: 0,
    attempt: 0,
};
const LIMITS: Limits = Limits {
    cpu_millis: 1500,
    deadline: Duration::from_secs(60),
    retries: 0,
};

struct Bench {
    dir: tempfile::TempDir,
    trainer: Trainer,
}

impl Bench {
    /// `$job`, `$report` and `$work` are the options' values.
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("trainer");
        let text = format!(
            "#!/bin/sh\n[ \"$1 $2 $4 $6\" = 'run --job --report --work' ] || exit 99\njob=$3 report=$5 work=$7\n{script}\n"
        );
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let state = StateDir::at(&dir.path().join("state")).unwrap();
        drop(state.lock().unwrap());
        let trainer = Trainer::new(program, state, false);
        Self { dir, trainer }
    }

    fn start(&mut self, limits: Limits) {
        // While another test forks, its child has our script open for writing for a moment.
        while let Err(error) = self.trainer.start(RUN, &job(), limits) {
            assert!(error.to_string().contains("Text file busy"), "{error}");
        }
    }

    fn run(script: &str, limits: Limits) -> (Self, Option<ObservedJob>) {
        let mut bench = Self::new(script);
        bench.start(limits);
        let begin = Instant::now();
        while matches!(bench.observe(), Some(ObservedJob::Active { .. })) {
            assert!(begin.elapsed() < Duration::from_secs(20), "no end");
            bench.trainer.poll().unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        let end = bench.observe();
        (bench, end)
    }

    fn observe(&self) -> Option<ObservedJob> {
        self.trainer.observe(RUN).unwrap()
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join("state/runs/v3").join(name)).unwrap_or_default()
    }
}

fn job() -> TrainingJob {
    serde_json::from_value(serde_json::json!({
        "model": "shop", "version": 3, "asOfTime": "2026-01-01T00:00:00Z",
        "data": {"synthetic": {"products": 20, "events": 100, "seed": 1, "windowDays": 10}},
        "evaluation": {"holdoutDays": 1, "baselines": [], "measures": [], "confidence": 0.95},
        "artifactsUri": "file:///models",
    }))
    .unwrap()
}

fn failed(reason: FailureReason, message: &str) -> Option<ObservedJob> {
    Some(ObservedJob::Failed {
        reason,
        message: message.to_owned(),
    })
}

#[test]
fn endings_mean_what_the_contract_says() {
    let report = r#"echo '{"version":3,"failure":{"reason":"DataInvalid","message":"no clicks"}}' > "$report";"#;
    for (script, reason, message) in [
        (
            &*format!("{report} exit 3"),
            FailureReason::DataInvalid,
            "no clicks",
        ),
        (
            "exit 2",
            FailureReason::ConfigInvalid,
            "the trainer ended with exit code 2",
        ),
        (
            "exit 4",
            FailureReason::EvaluationFailed,
            "the trainer ended with exit code 4",
        ),
        (
            "echo forbidden >&2; exit 5",
            FailureReason::StorageRefused,
            "the trainer ended with exit code 5: forbidden",
        ),
        (
            "exit 10",
            FailureReason::StorageUnavailable,
            "the trainer ended with exit code 10",
        ),
        (
            "exit 101",
            FailureReason::TrainerCrashed,
            "the trainer ended with exit code 101",
        ),
        (
            "kill -9 $$",
            FailureReason::TrainerCrashed,
            "the trainer ended with signal 9 (SIGKILL)",
        ),
    ] {
        assert_eq!(
            Bench::run(script, LIMITS).1,
            failed(reason, message),
            "{script}"
        );
    }
}

#[test]
fn a_report_is_believed_only_when_it_can_be_read() {
    let (bench, end) = Bench::run(
        r#"echo '{"version":3}' > "$report"; cp "$job" "$work/.."; exit 0"#,
        LIMITS,
    );
    assert!(matches!(end, Some(ObservedJob::Reported(report)) if report.version == 3));
    assert!(
        !bench.dir.path().join("state/runs/v3/work").exists(),
        "intermediate files go with the run"
    );
    let (_, end) = Bench::run(r#"echo '{"version":' > "$report""#, LIMITS);
    let Some(ObservedJob::ReportLost { message }) = end else {
        panic!("{end:?}")
    };
    assert!(
        message.starts_with("the report is not readable: EOF"),
        "{message}"
    );
    let (_, end) = Bench::run("exit 0", LIMITS);
    let Some(ObservedJob::ReportLost { message }) = end else {
        panic!("{end:?}")
    };
    assert!(
        message.ends_with("No such file or directory (os error 2)"),
        "{message}"
    );
}

#[test]
fn only_what_may_pass_is_tried_again() {
    let limits = Limits {
        retries: 1,
        ..LIMITS
    };
    let counting = |exit: &str| format!("echo attempt >> \"$report.attempts\"; {exit}");
    let second_succeeds = counting(
        r#"[ $(wc -l < "$report.attempts") = 2 ] || exit 10; echo '{"version":3}' > "$report""#,
    );
    let (bench, end) = Bench::run(&second_succeeds, limits);
    assert!(matches!(end, Some(ObservedJob::Reported(_))), "{end:?}");
    assert_eq!(bench.file("report.json.attempts").lines().count(), 2);
    let (bench, end) = Bench::run(&counting("kill -9 $$"), limits);
    assert_eq!(
        end,
        failed(
            FailureReason::TrainerCrashed,
            "the trainer ended with signal 9 (SIGKILL)"
        )
    );
    assert_eq!(bench.file("report.json.attempts").lines().count(), 2);
    let (bench, _) = Bench::run(&counting("exit 3"), limits);
    assert_eq!(
        bench.file("report.json.attempts").lines().count(),
        1,
        "bad data stay bad"
    );
}

#[test]
fn a_run_that_takes_too_long_is_stopped() {
    let limits = Limits {
        deadline: Duration::from_millis(200),
        ..LIMITS
    };
    let (bench, end) = Bench::run("sleep 60", limits);
    assert!(
        matches!(
            end,
            Some(ObservedJob::Failed {
                reason: FailureReason::DeadlineExceeded,
                ..
            })
        ),
        "{end:?}"
    );
    assert_eq!(
        fs::read_dir(bench.dir.path().join("state/children"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn an_ended_job_is_not_done_again_by_whoever_comes_next() {
    let (bench, _) = Bench::run(
        r#"echo '{"version":3}' > "$report"; echo once >> "$report.attempts""#,
        LIMITS,
    );
    let mut next = Trainer::new("/no/program".into(), bench.trainer.state.clone(), false);
    assert!(!next.start(RUN, &job(), LIMITS).unwrap());
    assert!(matches!(
        next.observe(RUN).unwrap(),
        Some(ObservedJob::Reported(_))
    ));
    // A start-over and a measurement are jobs of their own.
    for key in [
        JobKey { attempt: 1, ..RUN },
        JobKey { refresh: 3, ..RUN },
        JobKey {
            evaluation: 1,
            ..RUN
        },
    ] {
        assert_eq!(next.observe(key).unwrap(), None, "{key:?}");
    }
}

#[test]
fn cancelling_ends_the_process_and_forgets_the_run() {
    let mut bench = Bench::new("sleep 60");
    bench.start(LIMITS);
    assert_eq!(bench.observe(), Some(ObservedJob::Active { waiting: None }));
    bench.trainer.cancel(2).unwrap();
    assert!(bench.observe().is_some(), "another version");
    bench.trainer.cancel(3).unwrap();
    assert_eq!(bench.observe(), None);
    assert!(bench.trainer.stopped());
}

#[test]
fn only_retained_versions_stay() {
    let bench = Bench::new("");
    let runs = bench.trainer.state.runs();
    for name in [
        "v1",
        "v2-e1",
        "v3",
        "v3-e1-a1",
        "tables-3",
        "tables-4-a1",
        "notes",
    ] {
        fs::create_dir_all(runs.join(name)).unwrap();
    }
    let mut trainer = bench.trainer;
    trainer.retain(&[3], &[4]).unwrap();
    let mut left: Vec<_> = fs::read_dir(&runs)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["notes", "tables-4-a1", "v3", "v3-e1-a1"]);
}

#[test]
fn the_trainer_learns_its_cores() {
    let (bench, _) = Bench::run(
        r#"echo "$SEARCHOP_CPU_LIMIT_MILLIS" > "$report.cpu""#,
        LIMITS,
    );
    assert_eq!(bench.file("report.json.cpu"), "1500\n");
}
