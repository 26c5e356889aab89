use std::{
    fs,
    process::{Command, Output},
};

fn searchop(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_searchop"))
        .args(args)
        .env_remove("NO_COLOR")
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/samples");

#[test]
fn the_samples_are_valid() {
    let output = searchop(&["validate", "-f", SAMPLES]);
    assert_eq!(output.status.code(), Some(0));
    let checks = String::from_utf8(output.stdout).unwrap();
    assert!(
        checks.contains("PASS     RankingModel \"products\" with 2 schedules"),
        "{checks}"
    );
}

#[test]
fn a_manifest_that_is_not_valid_ends_with_3_and_touches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let sample = fs::read_to_string(format!("{SAMPLES}/rankingmodel.yaml")).unwrap();
    let file = dir.path().join("model.yaml");
    fs::write(&file, sample.replace("minReplicas: 2", "minReplicas: 20")).unwrap();
    let state = dir.path().join("state");
    let file = file.to_str().unwrap();
    let output = searchop(&["local", "up", "-f", file, "--dir", state.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    let wanted = format!(
        "error: {file}: RankingModel \"products\": spec.serving.autoscaling: minReplicas must not exceed maxReplicas; \
         it is {{\"maxReplicas\":10,\"minReplicas\":20,\"mode\":\"HPA\",\"targetCPUUtilizationPercentage\":70}}\n"
    );
    assert_eq!(stderr(&output), wanted);
    assert!(!state.exists());
}

#[test]
fn each_exit_code_has_its_case() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().to_str().unwrap();
    for (args, code, words) in [
        (vec!["version"], 0, ""),
        (vec!["--help"], 0, ""),
        (
            vec!["frobnicate"],
            2,
            "unrecognized subcommand 'frobnicate'",
        ),
        (vec!["local", "up"], 2, "--filename <FILE>"),
        (
            vec!["validate", "-f", "no/such.yaml"],
            2,
            "read \"no/such.yaml\": No such file or directory",
        ),
        (
            vec![
                "local",
                "up",
                "-f",
                SAMPLES,
                "--dir",
                empty,
                "--trainer",
                "/no/trainer",
            ],
            1,
            "\"/no/trainer\" is not a file",
        ),
        (
            vec!["local", "status", "--dir", empty],
            5,
            "start with \"searchop local up -f FILE\"",
        ),
        (
            vec!["local", "retrain", "--dir", empty],
            5,
            "start with \"searchop local up -f FILE\"",
        ),
        (vec!["local", "down", "--dir", empty], 0, "nothing runs in"),
    ] {
        let output = searchop(&args);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(words),
            "{args:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn completion_scripts_ask_the_program() {
    for shell in ["bash", "zsh", "fish"] {
        let output = searchop(&["completion", shell]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains("COMPLETE"), "{shell}: {script}");
    }
}

#[test]
fn kubectl_is_offered_verbs_and_calls_the_program_by_its_own_name() {
    let dir = tempfile::tempdir().unwrap();
    let named = |name: &str, args: &[&str]| {
        let link = dir.path().join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_searchop"), &link).unwrap();
        let output = Command::new(link).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let offered = named("kubectl_complete-searchop", &["re"]);
    assert!(
        offered.contains("retrain\t") && offered.contains("resume\t"),
        "{offered}"
    );
    assert!(offered.ends_with(":4\n"), "{offered}");
    let help = named("kubectl-searchop", &["get", "--help"]);
    assert!(help.contains("Usage: kubectl searchop get"), "{help}");
}

#[test]
fn no_colour_where_nobody_looks() {
    let output = searchop(&["validate", "-f", "no/such.yaml"]);
    assert!(!stderr(&output).contains('\x1b'));
}
