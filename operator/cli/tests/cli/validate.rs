//! `searchop validate`: checks of the data that the manifests name.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use super::import::{catalogue, segment_log, trainer};

const MODEL: &str = "\
apiVersion: searchop.io/v1alpha1
kind: RankingModel
metadata: {name: shoes}
spec:
  data:
    sources:
      catalog: {uri: \"pvc://shop/catalog.csv\"}
      events: {uri: \"pvc://shop/events.ndjson\"}
  evaluation: {holdout: {days: 3}}
  artifacts: {uri: \"pvc://models/shoes\"}
";

fn searchop(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_searchop"))
        .current_dir(folder)
        .args(args)
        .output()
        .unwrap()
}

/// Exit code and checks as (name, result, message).
fn validated(folder: &Path, args: &[&str]) -> (Option<i32>, Vec<[String; 3]>) {
    let output = searchop(
        folder,
        &[&["validate", "-f", "model.yaml", "-o", "json"], args].concat(),
    );
    let found: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let text = |check: &Value, field: &str| check[field].as_str().unwrap().to_owned();
    let checks = found["checks"].as_array().unwrap().iter();
    let checks = checks.map(|check| ["name", "outcome", "message"].map(|field| text(check, field)));
    (output.status.code(), checks.collect())
}

#[test]
fn data_that_are_not_here_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model.yaml"), MODEL).unwrap();
    let (code, checks) = validated(folder.path(), &[]);
    let [_, result, message] = &checks[1];
    assert_eq!((code, result.as_str()), (Some(0), "Skip"));
    assert!(
        message.starts_with("\"pvc://shop/catalog.csv\" is on the cluster: make "),
        "{message}"
    );
    assert!(
        message.ends_with("/.searchop/volumes/shop a link to its files"),
        "{message}"
    );

    let on_s3 = MODEL.replace("pvc://shop", "s3://shop").replace(
        "  evaluation",
        "      credentialsSecretRef: {name: keys}\n  evaluation",
    );
    fs::write(folder.path().join("model.yaml"), on_s3).unwrap();
    let (code, checks) = validated(folder.path(), &[]);
    assert_eq!(code, Some(0));
    assert!(
        checks[1][2].contains("SEARCHOP_DATA_S3_ACCESS_KEY_ID"),
        "{checks:?}"
    );
}

#[test]
fn a_trainer_that_is_named_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let model = MODEL.replace(
        "sources:",
        "synthetic: {products: 20, events: 100}\n    ignored:",
    );
    let model: String = model
        .lines()
        .filter(|line| {
            !["ignored:", "catalog:", "events: {uri"]
                .iter()
                .any(|word| line.contains(word))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(folder.path().join("model.yaml"), model).unwrap();
    let output = searchop(
        folder.path(),
        &["validate", "-f", "model.yaml", "--trainer", "none"],
    );
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        message,
        "error: \"none\" is not a file; name the program with --trainer FILE\n"
    );
}

#[test]
fn data_that_are_here_are_checked_by_the_trainer() {
    let Some(trainer) = trainer() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (path, trainer) = (folder.path(), trainer.to_str().unwrap());
    let volume = path.join(".searchop/volumes/shop");
    fs::create_dir_all(&volume).unwrap();
    fs::write(path.join("model.yaml"), MODEL).unwrap();
    fs::write(path.join("log.ndjson"), segment_log()).unwrap();
    fs::write(volume.join("catalog.csv"), catalogue()).unwrap();
    let events = volume.join("events.ndjson");
    let imported = searchop(
        path,
        &[
            "import",
            "segment",
            "--out",
            events.to_str().unwrap(),
            "log.ndjson",
        ],
    );
    assert!(imported.status.success());

    let (code, checks) = validated(path, &["--trainer", trainer]);
    let check = |name: &str| {
        let found = checks.iter().find(|check| check[0] == name);
        found
            .unwrap_or_else(|| panic!("{name}: {checks:?}"))
            .clone()
    };
    assert_eq!(
        check("CatalogReadable")[1..],
        ["Pass", "9 products, each id once"]
    );
    assert_eq!(check("EventsJoined")[1], "Pass");
    // Three colours are few.
    assert_eq!((code, check("GateQueries")[1].as_str()), (Some(3), "Fail"));

    let output = searchop(
        path,
        &["validate", "-f", "model.yaml", "--trainer", trainer],
    );
    assert_eq!(output.status.code(), Some(3));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.starts_with("CHECK "), "{table}");
    assert!(
        table
            .lines()
            .any(|line| line.starts_with("GateQueries ") && line.contains("FAIL     3 query keys")),
        "{table}"
    );

    fs::remove_file(&events).unwrap();
    let (code, checks) = validated(path, &["--trainer", trainer]);
    let found = checks
        .iter()
        .find(|check| check[0] == "EventsReadable")
        .unwrap();
    assert_eq!((code, found[1].as_str()), (Some(3), "Fail"));
    assert_eq!(found[2], "shop/events.ndjson does not exist");
}
