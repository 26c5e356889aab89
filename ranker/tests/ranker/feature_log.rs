//! Records of raw features, and what comes of them when they are computed again.

use std::{fs, path::Path};

use searchop_model::{
    bundle::Bundle,
    feature_log::FeatureRecord,
    features::{column, features},
    replay::Replay,
};
use serde_json::json;

use crate::{
    artifacts::Artifacts,
    client::{Connection, get},
    process::{Process, Start},
};

/// A running program that leaves a record of every request in `folder`.
fn logging(artifacts: &Artifacts, folder: &Path) -> Process {
    let option = format!("--feature-log-folder={}", folder.display());
    let options = ["--drain-seconds=0", "--feature-log-share=1", &option];
    let process = Start::new(artifacts, &options).start();
    process.wait_until_ready();
    process
}

/// The records, once there are `count`.
fn records(process: &Process, folder: &Path, count: usize) -> Vec<FeatureRecord> {
    let line = format!(r#"searchop_rank_feature_records_total{{outcome="written"}} {count}"#);
    process.wait_for("records", |process| {
        get(process.metrics, "/metrics")
            .unwrap()
            .text()
            .contains(&line)
    });
    let mut records = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        records.extend(
            text.lines()
                .map(|line| serde_json::from_str::<FeatureRecord>(line).unwrap()),
        );
    }
    records
}

fn replayed(records: &[FeatureRecord], bundle: &Bundle) -> Replay {
    let mut found = Replay::default();
    for record in records {
        found.add(record, bundle).unwrap();
    }
    found
}

#[test]
fn a_record_has_what_a_row_was_computed_from() {
    let artifacts = Artifacts::new(1.0);
    let dir = tempfile::tempdir().unwrap();
    let process = logging(&artifacts, dir.path());
    let request = json!({
        "query": "running shoes", "query_id": "q-1", "user_id": 7, "page": 2, "sort": "-price",
        "filters": {"brand": ["Nike"]},
        "products": [
            {"id": 1, "engine_score": 4.5},
            {"id": "new", "price": 20, "features": {"rating": null, "in_stock": 1}},
        ],
    });
    let mut connection = Connection::open(process.rank).unwrap();
    let answer = connection.rank(&request.to_string()).unwrap();
    assert_eq!(answer.status, 200);
    let records = records(&process, dir.path(), 1);
    let [record] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!(
        (record.query_id.as_str(), record.client_id.as_deref()),
        ("q-1", Some("7"))
    );
    assert_eq!((record.version, &record.digest), (7, &artifacts.digest));
    assert_eq!(
        (record.page.page, record.page.sort.as_deref()),
        (Some(2), Some("-price"))
    );
    assert_eq!(record.page.filters, Some(json!({"brand": ["Nike"]})));
    let [known, new] = &record.candidates[..] else {
        panic!("{record:?}")
    };
    assert_eq!((known.id.as_str(), known.engine_score), ("1", Some(4.5)));
    assert_eq!((new.fields.price, new.given.len()), (Some(20.0), 2));
    let at = |name: &str| column(name).unwrap();
    let letter = |candidate: &searchop_model::feature_log::LoggedCandidate, name: &str| {
        candidate.sources.as_bytes()[at(name)] as char
    };
    assert_eq!(known.values[at("price_log")], Some(151f64.ln() as f32));
    assert_eq!(
        (letter(known, "price_log"), letter(known, "rating")),
        ('t', 'd')
    );
    assert_eq!(
        (letter(new, "price_log"), letter(new, "rating")),
        ('r', 'r')
    );
    assert_eq!(
        (new.values[at("in_stock")], new.values[at("rating")]),
        (Some(1.0), None)
    );
    assert_eq!(known.values.len(), features().len());
    assert!(known.score > new.score);
}

#[test]
fn replay_finds_nothing_wrong_another_unit_and_a_stale_table() {
    let artifacts = Artifacts::new(1.0);
    let dir = tempfile::tempdir().unwrap();
    let process = logging(&artifacts, dir.path());
    let mut connection = Connection::open(process.rank).unwrap();
    let mut ask = |price: [f64; 3]| {
        let products = json!([
            {"id": "1", "price": price[0]}, {"id": "2", "price": price[1]},
            {"id": "3", "price": price[2]}, "2", {"id": "gone", "title": "running shoe"},
        ]);
        for query in 0..10 {
            let body = json!({"query": format!("running shoes {query}"), "products": products});
            assert_eq!(connection.rank(&body.to_string()).unwrap().status, 200);
        }
    };
    ask([150.0, 80.0, 40.0]);
    let records_of = |count| records(&process, dir.path(), count);
    let right = records_of(10);
    let found = replayed(&right, &artifacts.bundle());
    assert_eq!(
        (found.requests, found.rows, found.equal_share()),
        (10, 50, 1.0)
    );
    let price = &found.fields["price"];
    assert_eq!(
        (price.pairs, price.equal, price.other_unit()),
        (30, 30, None)
    );

    // The row of a product whose price the request gives is not touched by newer tables.
    let stale = replayed(&right, &artifacts.bundle_with_newer_tables());
    assert_eq!(stale.rows - stale.equal_rows, 10);
    let difference = &stale.features["price_log"];
    assert_eq!((difference.different, difference.from_tables), (10, 10));
    let example = difference.example.as_ref().unwrap();
    assert_eq!(
        (example.logged, example.replayed),
        (81f64.ln() as f32, 91f64.ln() as f32)
    );

    ask([15_000.0, 8_000.0, 4_000.0]);
    let all = records_of(20);
    let in_cents: Vec<FeatureRecord> = all.into_iter().filter(|one| !right.contains(one)).collect();
    let found = replayed(&in_cents, &artifacts.bundle());
    assert_eq!((found.rows, found.equal_share()), (50, 1.0));
    assert_eq!(found.fields["price"].other_unit(), Some(100.0));
}
