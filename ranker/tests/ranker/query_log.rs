//! Records from which clicks can be attributed to the version that ranked what was clicked.

use std::{fs, path::Path};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    artifacts::Artifacts,
    client::{Connection, get},
    process::{Process, Start},
};

fn records(folder: &Path) -> Vec<Value> {
    let mut records = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(path.extension().unwrap(), "ndjson");
        let text = fs::read_to_string(path).unwrap();
        records.extend(
            text.lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()),
        );
    }
    records
}

fn ask(process: &Process) {
    process.wait_until_ready();
    let mut connection = Connection::open(process.rank).unwrap();
    let native = r#"{"query":"running shoes","query_id":"q-1","user_id":7,"top_k":2,"products":["3",{"id":1},"2"]}"#;
    assert_eq!(connection.rank(native).unwrap().status, 200);
    let foreign = r#"{"query":"Grinder","query_id":"q-2","texts":["3","1"]}"#;
    let answer = connection.post("/rerank", foreign).unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(connection.rank("{}").unwrap().status, 422);
}

#[test]
fn every_call_of_the_sample_leaves_a_record_in_a_file_of_its_own_process() {
    let artifacts = Artifacts::new(1.0);
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("made/for/it");
    let option = format!("--query-log-folder={}", folder.display());
    let options = ["--drain-seconds=0", "--query-log-share=1", &option];
    let mut process = Start::new(&artifacts, &options).start();
    ask(&process);
    process.wait_for("records", |process| {
        let metrics = get(process.metrics, "/metrics").unwrap();
        let line = r#"searchop_rank_query_records_total{outcome="written"} 2"#;
        metrics.text().contains(line)
    });
    let mut records = records(&folder);
    for record in &mut records {
        let time = record.as_object_mut().unwrap().remove("timestamp").unwrap();
        let time = time.as_str().unwrap();
        assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    }
    let attributes = |candidates: u32| {
        json!({
            "model": "products", "version": 7, "digest": artifacts.digest,
            "tables_digest": artifacts.tables_digest, "candidates": candidates,
        })
    };
    assert_eq!(
        records,
        [
            json!({
                "application": "products", "query_id": "q-1", "client_id": "7",
                "user_query": "running shoes", "query_attributes": attributes(3),
                "query_response_hit_ids": ["2", "1"],
            }),
            json!({
                "application": "products", "query_id": "q-2", "user_query": "Grinder",
                "query_attributes": attributes(2), "query_response_hit_ids": ["3", "1"],
            }),
        ]
    );
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait().code(), Some(0));
}

#[test]
fn records_on_standard_output_are_all_written_when_the_program_ends() {
    let artifacts = Artifacts::new(1.0);
    let options = ["--drain-seconds=0", "--query-log-share=1"];
    let mut process = Start::new(&artifacts, &options).start();
    ask(&process);
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait().code(), Some(0));
    let ids: Vec<Value> = process
        .output()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["query_id"].take())
        .collect();
    assert_eq!(ids, ["q-1", "q-2"]);
}
