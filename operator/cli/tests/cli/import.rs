//! `searchop import`: golden samples of every source, messages, and the trainer reading what was
//! written.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tempfile::TempDir;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/import");

fn import(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_searchop"))
        .arg("import")
        .args(args)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

fn at(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

fn sample(name: &str) -> String {
    format!("{SAMPLES}/{name}")
}

/// The sources with their samples and options.
const GOLDEN: [(&str, &[&str], &[&str]); 4] = [
    ("segment", &["segment.ndjson"], &[]),
    ("ga4", &["ga4.ndjson"], &["--list", "search_results"]),
    (
        "algolia",
        &["algolia-answers.ndjson", "algolia-events.ndjson"],
        &[],
    ),
    (
        "metarank",
        &["metarank.jsonl"],
        &["--event", "buy=purchase"],
    ),
];

/// Imports `inputs` and returns events, queries and counts.
fn imported(source: &str, options: &[&str], inputs: &[String], ending: &str) -> [String; 3] {
    let folder = TempDir::new().unwrap();
    let (out, queries) = (
        at(folder.path(), &format!("events.{ending}")),
        at(folder.path(), "queries.ndjson"),
    );
    let mut args = vec![source, "-o", "json", "--out", &out, "--queries", &queries];
    args.extend(options);
    args.extend(inputs.iter().map(String::as_str));
    let output = import(&args);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let read = |path: String| fs::read_to_string(path).unwrap();
    [read(out), read(queries), text(&output.stdout).to_owned()]
}

/// With SEARCHOP_WRITE_GOLDEN set, writes what is compared otherwise.
fn golden(name: &str, found: &str) {
    let path = sample(name);
    if env::var_os("SEARCHOP_WRITE_GOLDEN").is_some() {
        fs::write(&path, found).unwrap();
    }
    assert_eq!(
        found,
        fs::read_to_string(path).unwrap_or_default(),
        "{name}"
    );
}

#[test]
fn every_source_gives_its_golden_events() {
    for (source, inputs, options) in GOLDEN {
        let inputs: Vec<String> = inputs.iter().map(|name| sample(name)).collect();
        let [events, queries, counts] = imported(source, options, &inputs, "ndjson");
        golden(&format!("{source}.events.ndjson"), &events);
        golden(&format!("{source}.queries.ndjson"), &queries);
        golden(&format!("{source}.counts.json"), &counts);
    }
}

#[test]
fn the_order_of_rows_and_files_and_their_packing_do_not_matter() {
    let folder = TempDir::new().unwrap();
    for (source, inputs, options) in GOLDEN {
        let mut lines = Vec::new();
        for name in inputs {
            let text = fs::read_to_string(sample(name)).unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
        lines.reverse();
        let (first, second) = lines.split_at(lines.len() / 2);
        let paths = [
            at(folder.path(), "2.jsonl.gz"),
            at(folder.path(), "1.ndjson"),
        ];
        let mut packed = GzEncoder::new(fs::File::create(&paths[0]).unwrap(), Compression::fast());
        packed.write_all(first.join("\n").as_bytes()).unwrap();
        packed.finish().unwrap();
        fs::write(
            &paths[1],
            format!("\u{feff}{}\r\n\r\n", second.join("\r\n")),
        )
        .unwrap();
        let [events, queries, counts] = imported(source, options, &paths, "ndjson");
        golden(&format!("{source}.events.ndjson"), &events);
        golden(&format!("{source}.queries.ndjson"), &queries);
        golden(&format!("{source}.counts.json"), &counts);
    }
}

#[test]
fn tables_of_a_warehouse_are_read_and_csv_is_written() {
    let [events, ..] = imported("segment", &[], &[sample("segment.csv")], "csv");
    golden("segment-table.events.csv", &events);

    let folder = TempDir::new().unwrap();
    let own = at(folder.path(), "own.ndjson");
    let log = fs::read_to_string(sample("segment.ndjson")).unwrap();
    fs::write(&own, log.replace("product_id", "code")).unwrap();
    let [events, ..] = imported("segment", &["--item-field", "code"], &[own], "ndjson");
    golden("segment.events.ndjson", &events);
}

#[test]
fn what_is_wrong_is_named_with_file_line_field_and_value() {
    let track = |event: &str, rest: &str| {
        format!(
            r#"{{"type":"track","event":"{event}","anonymousId":"a","timestamp":"2026-11-02T09:00:00Z","properties":{rest}}}"#
        )
    };
    let list = track(
        "Product List Viewed",
        r#"{"products":[{"product_id":"1","position":0}]}"#,
    );
    let late =
        track("Products Searched", r#"{"query":"q"}"#).replace("2026-11-02T09:00:00Z", "yesterday");
    let rows: [(&str, &str, &str, &str); 12] = [
        (
            "segment",
            "a.ndjson",
            &list,
            "a.ndjson: line 1: field \"properties.products[0].position\": \"0\" is below 1; where positions count from 0, say --position-base 0",
        ),
        (
            "segment",
            "a.ndjson",
            &late,
            "a.ndjson: line 1: field \"timestamp\": \"yesterday\" is not a time (ISO 8601 or milliseconds since 1970)",
        ),
        (
            "segment",
            "a.ndjson",
            &track("Product Clicked", "{}"),
            "a.ndjson: line 1: field \"properties.product_id\": no value",
        ),
        (
            "segment",
            "a.ndjson",
            &track("Products Searched", r#"{"query":{"a":1}}"#),
            "a.ndjson: line 1: field \"properties.query\": an object, where a text is expected",
        ),
        (
            "segment",
            "a.ndjson",
            "\n{\"a\"",
            "a.ndjson: line 2: not JSON from character 4 on",
        ),
        (
            "segment",
            "a.json",
            "[1]",
            "a.json: line 1: not a JSON object; one event a line is expected",
        ),
        (
            "segment",
            "a.csv",
            "a,b\n1\n",
            "a.csv: line 2: 1 values, but the header has 2",
        ),
        ("segment", "a.csv", "", "a.csv: the file is empty"),
        (
            "segment",
            "a.csv.gz",
            "x",
            "a.csv.gz: the gzip file is damaged or cut short",
        ),
        (
            "ga4",
            "a.ndjson",
            r#"{"event_name":"select_item","event_timestamp":1793610000,"user_pseudo_id":"1","items":[{"item_id":"1"}]}"#,
            "a.ndjson: line 1: field \"event_timestamp\": \"1793610000\" is not a time between 2000 and 2100; numbers are microseconds since 1970",
        ),
        (
            "algolia",
            "a.ndjson",
            r#"{"queryID":"1","query":"q","hits":[{"objectID":"1"},{"id":"2"}],"timestamp":1793610000000}"#,
            "a.ndjson: line 1: field \"hits[1].objectID\": no value",
        ),
        (
            "metarank",
            "a.ndjson",
            r#"{"event":"interaction","type":"click","item":"1","ranking":"2"}"#,
            "a.ndjson: line 1: field \"timestamp\": no value",
        ),
    ];
    for (source, name, content, message) in rows {
        let folder = TempDir::new().unwrap();
        let (file, out) = (at(folder.path(), name), at(folder.path(), "out.ndjson"));
        fs::write(&file, content).unwrap();
        let output = import(&[source, "--out", &out, &file]);
        assert_eq!(text(&output.stderr), format!("error: {message}\n"));
        assert_eq!(output.status.code(), Some(3), "{message}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{message}");
    }
}

#[test]
fn bad_rows_are_counted_and_may_be_left_out() {
    let folder = TempDir::new().unwrap();
    let (file, out) = (
        at(folder.path(), "a.ndjson"),
        at(folder.path(), "out.ndjson"),
    );
    let good = fs::read_to_string(sample("segment.ndjson")).unwrap();
    fs::write(&file, format!("{good}{}", "nonsense\n".repeat(12))).unwrap();
    let output = import(&["segment", "--out", &out, &file]);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{message}");
    assert!(
        message.starts_with("error: a.ndjson: line 18: not JSON from character 2 on\n"),
        "{message}"
    );
    assert!(
        message.ends_with("a.ndjson: line 27: not JSON from character 2 on\n12 bad rows of 29\n"),
        "{message}"
    );
    assert!(!Path::new(&out).exists());

    let output = import(&["segment", "--max-bad-rows", "12", "--out", &out, &file]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(
        fs::read_to_string(&out).unwrap(),
        fs::read_to_string(sample("segment.events.ndjson")).unwrap()
    );
    assert!(text(&output.stdout).contains("12 rows left out: they cannot be read"));
}

#[test]
fn command_lines_and_data_that_cannot_be_are_refused() {
    let folder = TempDir::new().unwrap();
    let (input, out) = (sample("segment.ndjson"), at(folder.path(), "out.ndjson"));
    let (events, metarank) = (sample("algolia-events.ndjson"), sample("metarank.jsonl"));
    let (nowhere, elsewhere) = (
        at(folder.path(), "no/out.ndjson"),
        at(folder.path(), "out.parquet"),
    );
    let rows: [(&[&str], i32, &str); 10] = [
        (&["segment", "--out", &out], 2, "<INPUT>..."),
        (
            &["segment", "--out", &out, "none.ndjson"],
            2,
            "read \"none.ndjson\": No such file or directory",
        ),
        (&["segment", "--out", &out, SAMPLES], 2, "is a directory"),
        (
            &["segment", "--out", &elsewhere, &input],
            2,
            "ends in none of .ndjson, .jsonl and .csv, each also with .gz",
        ),
        (
            &["segment", "--out", &input, &input],
            2,
            "is read and written; give --out and --queries files of their own",
        ),
        (
            &["segment", "--out", &nowhere, &input],
            1,
            "No such file or directory",
        ),
        (
            &["segment", "--event", "x=y", "--out", &out, &input],
            2,
            "\"y\" is not one of search, list",
        ),
        (
            &[
                "segment",
                "--max-orphan-share",
                "0.2",
                "--out",
                &out,
                &input,
            ],
            3,
            "4 of 9 clicks, carts and purchases belong to no list, a share of 0.444; --max-orphan-share allows 0.2",
        ),
        (
            &["algolia", "--out", &out, &events],
            3,
            "no list with a query; without lists it is not known what shoppers saw; give the logged answers",
        ),
        (
            &[
                "metarank",
                "--event",
                "click=ignore",
                "--out",
                &out,
                &metarank,
            ],
            3,
            "none of 0 clicks, carts and purchases belongs to a list",
        ),
    ];
    for (args, code, words) in rows {
        let output = import(args);
        let message = text(&output.stderr);
        assert!(message.contains(words), "{args:?}: {message}");
        assert_eq!(output.status.code(), Some(code), "{args:?}: {message}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{args:?}");
    }
}

#[test]
fn help_has_an_example_of_every_source() {
    for source in ["segment", "ga4", "algolia", "metarank"] {
        let output = import(&[source, "--help"]);
        let help = text(&output.stdout);
        assert!(
            help.contains(&format!("\n  searchop import {source} ")),
            "{help}"
        );
    }
}

/// Where the environment says, else on PATH.
pub fn trainer() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let named = env::var_os("SEARCHOP_TRAINER_BIN").map(PathBuf::from);
    let mut places = env::split_paths(&path).map(|folder| folder.join("searchop-trainer"));
    let found = named.or_else(|| places.find(|file| file.is_file()));
    if found.is_none() {
        eprintln!("SKIPPED: name the built program in SEARCHOP_TRAINER_BIN");
    }
    found
}

/// Twelve days of visits: the shoes that were asked for are clicked, sometimes bought.
pub fn segment_log() -> String {
    let mut log = String::new();
    for visit in 0..120_u32 {
        let colour = ["red", "blue", "green"][visit as usize % 3];
        let time = |second: u32| {
            format!(
                "2026-11-{:02}T{:02}:00:{second:02}Z",
                1 + visit / 10,
                8 + visit % 10
            )
        };
        let mut call = |second: u32, event: &str, properties: Value| {
            let line = json!({"type": "track", "event": event, "anonymousId": format!("v{visit}"), "timestamp": time(second), "properties": properties});
            writeln!(log, "{line}").unwrap();
        };
        let ids: Vec<u32> = (0..6).map(|at| (at + visit) % 9).collect();
        let products: Vec<Value> = ids.iter().map(|id| json!({"product_id": id})).collect();
        let wanted = ids.iter().find(|id| **id % 3 == visit % 3).unwrap();
        call(
            0,
            "Products Searched",
            json!({"query": format!("{colour} shoes")}),
        );
        call(1, "Product List Viewed", json!({"products": products}));
        call(9, "Product Clicked", json!({"product_id": wanted}));
        if visit.is_multiple_of(4) {
            call(
                40,
                "Order Completed",
                json!({"products": [{"product_id": wanted}]}),
            );
        }
    }
    log
}

pub fn catalogue() -> String {
    let mut catalogue = "product_id,title,price\n".to_owned();
    for id in 0..9_usize {
        let colour = ["red", "blue", "green"][id % 3];
        writeln!(catalogue, "{id},{colour} shoes {id},{}", 20 + id).unwrap();
    }
    catalogue
}

#[test]
fn the_trainer_reads_what_was_imported() {
    let Some(trainer) = trainer() else { return };
    let folder = TempDir::new().unwrap();
    let path = |name: &str| at(folder.path(), name);
    fs::write(path("log.ndjson"), segment_log()).unwrap();
    fs::write(path("catalog.csv"), catalogue()).unwrap();
    for events in ["events.ndjson.gz", "events.csv"] {
        let output = import(&["segment", "--out", &path(events), &path("log.ndjson")]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let table = |name: &str| json!({"uri": path(name)});
        let job = json!({
            "model": "shoes", "version": 1, "asOfTime": "2026-11-20T00:00:00Z",
            "data": {"sources": {"catalog": table("catalog.csv"), "events": table(events), "eventFormat": "UBI", "windowDays": 30}},
            "evaluation": {"holdoutDays": 3, "baselines": [], "measures": [], "confidence": 0.95},
            "artifactsUri": format!("file://{}", path("store")),
        });
        fs::write(path("job.json"), job.to_string()).unwrap();
        let output = Command::new(&trainer)
            .args([
                "features",
                "--job",
                &path("job.json"),
                "--work",
                &path("work"),
            ])
            .output()
            .unwrap();
        let log = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{log}");
        let stages: Vec<Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        // 120 lists of 6, as many clicks, every fourth a purchase; nothing is lost on the way.
        assert_eq!(
            (&stages[0]["events"], &stages[0]["droppedEvents"]),
            (&json!(870), &json!(0)),
            "{log}"
        );
        for lists in ["trainingLists", "holdoutLists"] {
            assert!(stages[1][lists].as_u64() > Some(0), "{log}");
        }
    }
}
