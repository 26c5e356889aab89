//! Loading: the same rows from every format, and an exact message for every kind of bad input.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap too")]

use std::{fs, io::Write, path::Path};

use flate2::{Compression, write::GzEncoder};
use polars::prelude::{
    Column, DataFrame, DataType, IntoColumn, IntoSeries, ListChunked, NamedFrom, ParquetWriter,
    Series, StructChunked, TimeUnit,
};
use searchop_contract::{
    BoostingParameters, DataSource, EvaluationSettings, EventFormat, ExitCode, LabelSettings,
    PositionBias, SyntheticShop, TableSource, TrainingJob,
};
use searchop_trainer::{
    data::{Dataset, Step, date, load},
    error::TrainError,
    shop::{FileFormat, draw, write},
};
use tempfile::TempDir;

const SHOP: SyntheticShop = SyntheticShop {
    products: 200,
    events: 5000,
    seed: 42,
    window_days: 20,
};

fn job(data: DataSource) -> TrainingJob {
    TrainingJob {
        model: "products".into(),
        version: 1,
        as_of_time: "2026-11-24T08:00:00Z".parse().unwrap(),
        data,
        parameters: BoostingParameters::default(),
        tuning: None,
        position_bias: PositionBias::Auto,
        labels: LabelSettings::default(),
        counter_dropout: 0.3,
        candidate_list: false,
        declared: Vec::new(),
        evaluation: EvaluationSettings {
            holdout_days: 3,
            baselines: vec![],
            measures: vec![],
            confidence: 0.95,
        },
        artifacts_uri: "file:///nowhere".into(),
        reference: None,
        evaluate_only: None,
        counter_lag: Default::default(),
        skip_if_data_unchanged: false,
        refresh: None,
        promoted: vec![],
        keep: vec![],
    }
}

fn sources(catalog: impl Into<String>, events: impl Into<String>) -> DataSource {
    DataSource::Sources {
        catalog: TableSource {
            uri: catalog.into(),
            id_field: None,
        },
        events: TableSource {
            uri: events.into(),
            id_field: None,
        },
        event_format: EventFormat::UBI,
        window_days: 20,
        judgments: None,
    }
}

fn loaded(data: DataSource) -> Result<Dataset, TrainError> {
    let work = TempDir::new().unwrap();
    load(&job(data), work.path(), &mut |_| {})
}

fn at(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

fn compress(path: &Path) {
    let file = fs::File::create(format!("{}.gz", path.display())).unwrap();
    let mut out = GzEncoder::new(file, Compression::fast());
    out.write_all(&fs::read(path).unwrap()).unwrap();
    out.finish().unwrap();
}

#[test]
fn every_format_gives_the_same_dataset() {
    let folder = TempDir::new().unwrap();
    let last_day = searchop_trainer::data::complete_day("2026-11-24T08:00:00Z".parse().unwrap());
    let drawn = draw(&SHOP, last_day).unwrap();
    for format in [FileFormat::Csv, FileFormat::Ndjson, FileFormat::Parquet] {
        write(folder.path(), format, &drawn.products, &drawn.log).unwrap();
    }
    for name in ["events.csv", "events.ndjson"] {
        compress(&folder.path().join(name));
    }
    // Two files, read through a pattern.
    let csv = fs::read_to_string(at(&folder, "events.csv")).unwrap();
    let (header, rows) = csv.split_once('\n').unwrap();
    let (first, second) = rows.split_at(rows[..rows.len() / 2].rfind('\n').unwrap() + 1);
    fs::write(at(&folder, "part-2.csv"), format!("{header}\n{first}")).unwrap();
    fs::write(at(&folder, "part-1.csv"), format!("{header}\n{second}")).unwrap();

    let synthetic = loaded(DataSource::Synthetic(SHOP)).unwrap();
    assert_eq!(synthetic.products.len(), 200);
    assert_eq!(synthetic.events.height() as u64, synthetic.cleaning.kept);
    assert_eq!(
        (
            date(synthetic.window.first_day),
            date(synthetic.window.last_day)
        ),
        ("2026-11-04".into(), "2026-11-23".into())
    );
    assert_eq!(synthetic.through.to_string(), "2026-11-24T00:00:00Z");

    for (catalog, events) in [
        ("catalog.csv", "events.csv"),
        ("catalog.ndjson", "events.ndjson"),
        ("catalog.parquet", "events.parquet"),
        ("catalog.parquet", "events.csv.gz"),
        ("catalog.csv", "events.ndjson.gz"),
        ("catalog.*sv", "part-*.csv"),
    ] {
        let read = loaded(sources(at(&folder, catalog), at(&folder, events))).unwrap();
        assert!(read.products == synthetic.products, "{catalog}");
        assert!(read.events.equals_missing(&synthetic.events), "{events}");
        assert_eq!(read.cleaning, synthetic.cleaning, "{events}");
        assert_eq!(
            (read.window, read.through),
            (synthetic.window, synthetic.through),
            "{events}"
        );
    }
}

#[test]
fn the_columns_are_as_documented() {
    let data = loaded(DataSource::Synthetic(SHOP)).unwrap();
    let schema: Vec<String> = data
        .events
        .schema()
        .iter()
        .map(|(name, dtype)| format!("{name} {dtype:?}"))
        .collect();
    assert_eq!(
        schema,
        [
            "list_id String",
            "query String",
            "client String",
            "item String",
            "action Int8",
            "position Int32",
            "time_ms Int64",
            "day Int32",
            "list_day Int32"
        ]
    );
    assert!(data.events.column("position").unwrap().null_count() > 0);
    for name in [
        "list_id", "query", "client", "item", "action", "time_ms", "day", "list_day",
    ] {
        assert_eq!(data.events.column(name).unwrap().null_count(), 0, "{name}");
    }
    let counts = data.counts();
    assert_eq!(
        (counts.products, counts.events),
        (200, data.events.height() as u64)
    );
    assert_eq!(
        counts.dropped_events,
        data.cleaning.read - data.cleaning.kept
    );
}

#[test]
fn what_is_wrong_with_the_made_up_shop_is_found() {
    let shop = SyntheticShop {
        products: 2000,
        events: 100_000,
        window_days: 30,
        ..SHOP
    };
    let cleaning = loaded(DataSource::Synthetic(shop)).unwrap().cleaning;
    let share = |count: u64| count as f64 / cleaning.read as f64;
    assert!((0.002..0.03).contains(&share(cleaning.bots)), "{cleaning}");
    assert!(
        (0.0005..0.02).contains(&share(cleaning.duplicates)),
        "{cleaning}"
    );
    // Late purchases of lists before the window.
    assert!((1..50).contains(&cleaning.orphans), "{cleaning}");
    assert_eq!(
        (
            cleaning.too_late,
            cleaning.without_query,
            cleaning.unknown_items
        ),
        (0, 0, 0)
    );
}

#[test]
fn the_window_counts_back_from_the_newest_complete_day_in_the_data() {
    let folder = TempDir::new().unwrap();
    let drawn = draw(
        &SHOP,
        searchop_trainer::data::complete_day("2026-11-24T08:00:00Z".parse().unwrap()),
    )
    .unwrap();
    write(folder.path(), FileFormat::Csv, &drawn.products, &drawn.log).unwrap();
    let read = |as_of: &str| {
        let mut job = job(sources(
            at(&folder, "catalog.csv"),
            at(&folder, "events.csv"),
        ));
        job.as_of_time = as_of.parse().unwrap();
        load(&job, folder.path(), &mut |_| {}).unwrap()
    };
    let (now, later) = (read("2026-11-24T00:00:00Z"), read("2027-03-01T00:00:00Z"));
    assert!(now.events.equals_missing(&later.events));
    assert_eq!(now.through, later.through);

    let earlier = read("2026-11-20T23:00:00Z");
    assert_eq!(date(earlier.window.last_day), "2026-11-19");
    assert_eq!(date(earlier.window.first_day), "2026-10-31");
    assert!(earlier.cleaning.outside_window > 0);
}

#[test]
fn progress_names_the_files() {
    let folder = TempDir::new().unwrap();
    files(&folder, &[("catalog.csv", CATALOG), ("events.csv", EVENTS)]);
    let mut steps = Vec::new();
    let data = sources(at(&folder, "catalog.csv"), at(&folder, "events.csv"));
    load(&job(data), folder.path(), &mut |step| {
        steps.push(match step {
            Step::Reading { file, bytes } => format!("{file} {bytes}"),
            other => format!("{other:?}"),
        });
    })
    .unwrap();
    let (catalog, events) = (CATALOG.len(), EVENTS.len());
    assert_eq!(
        steps,
        [
            format!("catalog.csv {catalog}"),
            format!("events.csv {events}"),
            "Cleaning { events: 4 }".into()
        ]
    );
}

const CATALOG: &str = "product_id,title,price,colour\n1,Trail Shoes,80,red\n2,Road Shoes,,blue\n";
const EVENTS: &str = "\
action_name,timestamp,query_id,client_id,user_query,object_id,position
impression,2026-11-20T10:00:00Z,q1,c,shoes,1,1
impression,2026-11-20T10:00:00Z,q1,c,shoes,2,2
click,2026-11-20T10:00:05Z,q1,c,shoes,1,1
impression,2026-11-21T10:00:00Z,q2,c,trail shoes,1,1
";

fn files(folder: &TempDir, files: &[(&str, &str)]) {
    for (name, text) in files {
        fs::write(at(folder, name), text).unwrap();
    }
}

/// Loads one catalogue and one event file of these names and contents.
fn load_texts(catalog: (&str, &str), events: (&str, &[u8])) -> Result<Dataset, TrainError> {
    let folder = TempDir::new().unwrap();
    fs::write(at(&folder, catalog.0), catalog.1).unwrap();
    fs::write(at(&folder, events.0), events.1).unwrap();
    loaded(sources(at(&folder, catalog.0), at(&folder, events.0)))
}

fn events_csv(text: impl AsRef<[u8]>) -> Result<Dataset, TrainError> {
    load_texts(("catalog.csv", CATALOG), ("events.csv", text.as_ref()))
}

#[test]
fn ways_of_writing_the_same() {
    let plain = events_csv(EVENTS).unwrap();
    assert_eq!(plain.events.height(), 4);
    let nested = |line: &str| -> String {
        let cells: Vec<&str> = line.split(',').collect();
        format!(
            r#"{{"action_name":"{}","timestamp":"{}","query_id":"{}","client_id":"{}","user_query":"{}","event_attributes":{{"object":{{"object_id":{}}},"position":{{"ordinal":{}}}}},"extra":[1]}}"#,
            cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], cells[6]
        ) + "\n"
    };
    let ndjson: String = EVENTS.lines().skip(1).map(nested).collect();
    let same: [(&str, Result<Dataset, TrainError>); 8] = [
        ("byte order mark", events_csv(format!("\u{feff}{EVENTS}"))),
        ("CRLF", events_csv(EVENTS.replace('\n', "\r\n"))),
        ("no end of line at the end", events_csv(EVENTS.trim_end())),
        ("empty lines", events_csv(EVENTS.replace('\n', "\n\n"))),
        (
            "quotes",
            events_csv(EVENTS.replace("trail shoes", "\"trail shoes\"")),
        ),
        (
            "another name of the column",
            events_csv(EVENTS.replace("object_id", "event_attributes.object.object_id")),
        ),
        (
            "objects",
            load_texts(
                ("catalog.csv", CATALOG),
                ("events.ndjson", ndjson.as_bytes()),
            ),
        ),
        (
            "JSON with a byte order mark",
            load_texts(
                ("catalog.csv", CATALOG),
                ("events.jsonl", format!("\u{feff}{ndjson}").as_bytes()),
            ),
        ),
    ];
    for (what, read) in same {
        let read = read.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(read.events.equals_missing(&plain.events), "{what}");
        assert_eq!(read.cleaning, plain.cleaning, "{what}");
    }

    let read = events_csv(EVENTS.replace("00Z,", "00,")).unwrap();
    assert!(read.events.equals_missing(&plain.events));
    assert_eq!(read.cleaning.times_without_offset, 3);

    let others = format!(
        "{EVENTS}view,2026-11-20T10:00:00Z,,,,,\nclick,2026-11-20T10:00:00Z,,c,shoes,1,1\n"
    );
    let read = events_csv(others).unwrap();
    assert!(read.events.equals_missing(&plain.events));
    assert_eq!(
        (read.cleaning.other_actions, read.cleaning.incomplete),
        (1, 1)
    );
}

fn line(number: usize, text: &str) -> String {
    let mut lines: Vec<&str> = EVENTS.lines().collect();
    lines.insert(number - 1, text);
    lines.join("\n") + "\n"
}

#[test]
fn bad_events_are_refused_with_the_place_and_the_reason() {
    let header = EVENTS.lines().next().unwrap();
    let impressions: String = EVENTS
        .lines()
        .filter(|line| !line.starts_with("click"))
        .map(|l| format!("{l}\n"))
        .collect();
    let good = "click,2026-11-20T10:00:05Z,q1,c,shoes,1";
    let quoted = line(3, "impression,2026-11-20T10:00:00Z,q1,c,\"two\nlines\",1,1")
        .replace("shoes,2,2", "shoes,2,x");
    let many: String = (0..12).map(|n| format!("{good},x{n}\n")).collect();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", vec![], "events.csv is empty"),
        ("blank lines", b"\n\n".to_vec(), "events.csv is empty"),
        (
            "header only",
            header.into(),
            "events.csv: no rows below the header",
        ),
        (
            "column missing",
            EVENTS.replace("query_id", "queryid").into(),
            "events.csv: column \"query_id\" is missing; found: \"action_name\", \"timestamp\", \"queryid\", \
             \"client_id\", \"user_query\", \"object_id\", \"position\"",
        ),
        (
            "no number",
            line(4, &format!("{good},abc")).into(),
            "events.csv: line 4, column \"position\": \"abc\" is not a number",
        ),
        (
            "no number, CRLF",
            line(4, &format!("{good},abc")).replace('\n', "\r\n").into(),
            "events.csv: line 4, column \"position\": \"abc\" is not a number",
        ),
        (
            "no number after an empty line",
            line(4, &format!("\n\n{good},abc")).into(),
            "events.csv: line 6, column \"position\": \"abc\" is not a number",
        ),
        (
            "no number on the last line, which has no end",
            format!("{EVENTS}{good},abc").into(),
            "events.csv: line 6, column \"position\": \"abc\" is not a number",
        ),
        (
            "no number below a value of two lines",
            quoted.into(),
            "events.csv: line 5, column \"position\": \"x\" is not a number",
        ),
        (
            "no position",
            line(4, &format!("{good},0")).into(),
            "events.csv: line 4, column \"position\": \"0\" is below 1; positions count from 1",
        ),
        (
            "no time",
            line(3, "click,20.11.2026,q1,c,shoes,1,1").into(),
            "events.csv: line 3, column \"timestamp\": \"20.11.2026\" is not a time (ISO 8601 or milliseconds since 1970)",
        ),
        (
            "time missing",
            line(3, "click,,q1,c,shoes,1,1").into(),
            "events.csv: line 3, column \"timestamp\": no value",
        ),
        (
            "ragged",
            line(3, good).into(),
            "events.csv: line 3: 6 values, but the header has 7",
        ),
        (
            "open quote",
            line(3, "click,2026-11-20T10:00:05Z,q1,c,\"shoes,1,1").into(),
            "events.csv: line 3: 5 values, but the header has 7",
        ),
        (
            "invalid UTF-8",
            [
                EVENTS.as_bytes(),
                b"click,2026-11-20T10:00:05Z,q1,c,sh\xffes,1,1\n",
            ]
            .concat(),
            "events.csv: line 6, column \"user_query\": not valid UTF-8",
        ),
        (
            "many bad rows",
            format!("{header}\n{many}").into(),
            "events.csv: line 2, column \"position\": \"x0\" is not a number; \
             events.csv: line 3, column \"position\": \"x1\" is not a number; \
             events.csv: line 4, column \"position\": \"x2\" is not a number; \
             events.csv: line 5, column \"position\": \"x3\" is not a number; \
             events.csv: line 6, column \"position\": \"x4\" is not a number; \
             events.csv: line 7, column \"position\": \"x5\" is not a number; \
             events.csv: line 8, column \"position\": \"x6\" is not a number; \
             events.csv: line 9, column \"position\": \"x7\" is not a number; \
             events.csv: line 10, column \"position\": \"x8\" is not a number; \
             events.csv: line 11, column \"position\": \"x9\" is not a number; 12 bad rows in all",
        ),
        (
            "no clicks",
            impressions.into(),
            "events.csv: no clicks, carts or purchases; there is nothing to learn from (3 of 3 events kept)",
        ),
        (
            "orphans only",
            EVENTS
                .replace(
                    "click,2026-11-20T10:00:05Z,q1",
                    "click,2026-11-20T10:00:05Z,q3",
                )
                .into(),
            "events.csv: no clicks, carts or purchases; there is nothing to learn from \
             (3 of 4 events kept; left out: 1 without an impression)",
        ),
        (
            "no impressions",
            format!("{header}\n{good},1\n").into(),
            "events.csv: no impressions; without them it is not known what shoppers saw \
             (0 of 1 events kept; left out: 1 without an impression)",
        ),
        (
            "one query",
            EVENTS.replace("trail shoes", "shoes").into(),
            "events.csv: one query only, \"shoes\"; at least two are needed (4 of 4 events kept)",
        ),
        (
            "nothing in the window",
            EVENTS.replace("2026-11-2", "2026-12-2").into(),
            "events.csv: no event on a complete day, that is up to 2026-11-23; the oldest event is of 2026-12-20",
        ),
        (
            "other actions only",
            EVENTS
                .replace("impression,", "view,")
                .replace("click,", "watch,")
                .into(),
            "events.csv: no event on a complete day, that is up to 2026-11-23; \
             0 of 4 events kept; left out: 4 other actions",
        ),
        (
            "other items than the catalogue's",
            EVENTS
                .replace(",1,1", ",sku-1,1")
                .replace(",2,2", ",sku-2,2")
                .into(),
            "events.csv: the catalogue has none of the items, for example \"sku-1\"; is idField the column with the same ids?",
        ),
    ];
    for (what, text, message) in cases {
        let error = events_csv(text).map(|_| ()).expect_err(what);
        assert_eq!(
            (error.to_string().as_str(), error.exit_code()),
            (message, ExitCode::BadData),
            "{what}"
        );
    }
}

#[test]
fn bad_files_are_refused_as_a_whole() {
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(EVENTS.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let long = "x".repeat(2 << 20);
    let row = |query: &str| format!("{EVENTS}click,2026-11-20T10:00:05Z,q1,c,{query},1,1\n");
    let json = format!("{{\"action_name\":\"{long}\"}}\n");
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    let blank = [vec![b' '; 1 << 16], vec![b'\n']].concat();
    for _ in 0..1200 {
        bomb.write_all(&blank).unwrap();
    }
    let cases: [(&str, &str, Vec<u8>, &str); 7] = [
        (
            "another delimiter",
            "events.csv",
            EVENTS.replace(',', ";").into(),
            "events.csv: column \"action_name\" is missing; found: \"action_name;timestamp;query_id;client_id…\"; \
             columns are separated by commas",
        ),
        (
            "UTF-16",
            "events.csv",
            utf16.clone(),
            "events.csv is UTF-16; write it as UTF-8",
        ),
        (
            "UTF-16",
            "events.ndjson",
            utf16,
            "events.ndjson is UTF-16; write it as UTF-8",
        ),
        (
            "a long line",
            "events.csv",
            row(&long).into(),
            "events.csv: line 6: the row is longer than 1048576 bytes",
        ),
        (
            "a quote that swallows the rest",
            "events.csv",
            row(&format!("\"{}", "x\n".repeat(1 << 20))).into(),
            "events.csv: line 6: the row is longer than 1048576 bytes",
        ),
        (
            "a long line of JSON",
            "events.ndjson",
            json.into(),
            "events.ndjson: line 1: the row is longer than 1048576 bytes",
        ),
        (
            "a bomb",
            "events.ndjson.gz",
            bomb.finish().unwrap(),
            "events.ndjson.gz: unpacks to more than 200 times its size",
        ),
    ];
    for (what, name, bytes, message) in cases {
        let error = load_texts(("catalog.csv", CATALOG), (name, &bytes))
            .map(|_| ())
            .expect_err(what);
        assert_eq!(
            (error.to_string().as_str(), error.exit_code()),
            (message, ExitCode::BadData),
            "{what}"
        );
    }
    let deep = format!("{{\"action_name\":{}\n", "[".repeat(100_000));
    let error = load_texts(("catalog.csv", CATALOG), ("events.ndjson", deep.as_bytes()));
    let message = error.map(|_| ()).unwrap_err().to_string();
    assert!(
        message.starts_with("events.ndjson: line 1: not JSON from character "),
        "{message}"
    );
}

#[test]
fn what_the_engine_says_of_a_list_is_read() {
    let marked = EVENTS.replace("position\n", "position,sort,sponsored\n");
    let with = |first: &str, others: &str| -> String {
        let (head, rows) = marked.split_once('\n').unwrap();
        let rows: Vec<String> = (0..)
            .zip(rows.lines())
            .map(|(n, row)| format!("{row}{}\n", if n == 0 { first } else { others }))
            .collect();
        format!("{head}\n{}", rows.concat())
    };
    let plain = events_csv(EVENTS).unwrap();
    let same = events_csv(with(",Best Match,false", ",,0")).unwrap();
    assert!(same.events.equals_missing(&plain.events));
    let paid = events_csv(with(",,", ",,")).unwrap();
    assert!(paid.events.equals_missing(&plain.events));

    let refused = |text: String| events_csv(text).map(|_| ()).unwrap_err().to_string();
    assert_eq!(
        refused(with(",price_asc,", ",,")),
        "events.csv: no clicks, carts or purchases; there is nothing to learn from \
         (1 of 4 events kept; left out: 3 of lists sorted by something else)"
    );
    assert_eq!(
        refused(with(",,true", ",,")),
        "events.csv: no clicks, carts or purchases; there is nothing to learn from \
         (2 of 4 events kept; left out: 2 sponsored)"
    );
    assert_eq!(
        refused(with(",,perhaps", ",,")),
        "events.csv: line 2, column \"sponsored\": \"perhaps\" is neither true nor false"
    );
}

#[test]
fn bad_lines_of_json_are_refused() {
    let event = r#"{"action_name":"click","timestamp":"2026-11-20T10:00:00Z","query_id":"q","user_query":"a","object_id":7}"#;
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("nothing", vec![], "events.ndjson is empty"),
        ("blank lines", b"\n \n".to_vec(), "events.ndjson: no rows"),
        (
            "cut",
            format!("{event}\n\n{}", &event[..30]).into(),
            "events.ndjson: line 3: not JSON from character 30 on",
        ),
        (
            "no object",
            format!("{event}\n[1]\n").into(),
            "events.ndjson: line 2: not a JSON object",
        ),
        (
            "invalid UTF-8",
            [event.as_bytes(), b"\n{\"a\":\"\xff\"}\n"].concat(),
            "events.ndjson: line 2: not valid UTF-8",
        ),
        (
            "no number",
            event
                .replace(
                    ":7",
                    r#":7,"event_attributes":{"position":{"ordinal":"abc"}}"#,
                )
                .into(),
            "events.ndjson: line 1, column \"event_attributes.position.ordinal\": \"abc\" is not a number",
        ),
        (
            "a list for a text",
            event.replace(":\"q\"", ":[1]").into(),
            "events.ndjson: line 1, column \"query_id\": a list or an object, where one value is expected",
        ),
        (
            "column missing",
            event.replace("object_id", "objectId").into(),
            "events.ndjson: column \"object_id\" is missing; found: \"action_name\", \"objectId\", \"query_id\", \
             \"timestamp\", \"user_query\"",
        ),
    ];
    for (what, text, message) in cases {
        let error = load_texts(("catalog.csv", CATALOG), ("events.ndjson", &text))
            .map(|_| ())
            .expect_err(what);
        assert_eq!(
            (error.to_string().as_str(), error.exit_code()),
            (message, ExitCode::BadData),
            "{what}"
        );
    }
}

#[test]
fn bad_catalogues_are_refused() {
    let cases = [
        ("", "catalog.csv is empty"),
        (
            "product_id,title\n",
            "catalog.csv: no rows below the header",
        ),
        (
            "sku,title\n1,a\n",
            "catalog.csv: column \"product_id\" is missing; found: \"sku\", \"title\"",
        ),
        (
            "product_id,name\n1,a\n",
            "catalog.csv: column \"title\" is missing; found: \"product_id\", \"name\"",
        ),
        (
            "product_id,title\n1,a\n,b\n",
            "catalog.csv: line 3, column \"product_id\": no value",
        ),
        (
            "product_id,title\n1,a\n1,b\n",
            "catalog.csv: line 3, column \"product_id\": \"1\" is there twice",
        ),
        (
            "product_id,title,price\n1,a,9.99 €\n",
            "catalog.csv: line 2, column \"price\": \"9.99 €\" is not a number",
        ),
        (
            "product_id,title,stock\n1,a,-2\n",
            "catalog.csv: line 2, column \"stock\": \"-2\" is below 0",
        ),
        (
            "product_id,title,added_date\n1,a,20.11.2026\n",
            "catalog.csv: line 2, column \"added_date\": \"20.11.2026\" is not a date (YYYY-MM-DD)",
        ),
    ];
    for (text, message) in cases {
        let error = load_texts(("catalog.csv", text), ("events.csv", EVENTS.as_bytes()))
            .map(|_| ())
            .expect_err(text);
        assert_eq!(
            (error.to_string().as_str(), error.exit_code()),
            (message, ExitCode::BadData)
        );
    }
}

#[test]
fn missing_files_and_unknown_endings_are_refused() {
    let folder = TempDir::new().unwrap();
    files(
        &folder,
        &[("catalog.csv", CATALOG), ("events.xlsx", EVENTS)],
    );
    let refused = |events: &str| {
        let error = loaded(sources(at(&folder, "catalog.csv"), at(&folder, events)))
            .map(|_| ())
            .unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::BadData);
        error.to_string()
    };
    assert_eq!(refused("logs/events.csv"), "logs/events.csv does not exist");
    assert_eq!(refused("events/*.csv"), "events/*.csv matches no file");
    assert_eq!(
        refused("events.xlsx"),
        "events.xlsx: unknown file ending; .parquet, .csv, .ndjson and .jsonl are read, and .csv.gz, .ndjson.gz and .jsonl.gz"
    );
}

#[test]
fn damaged_files_are_refused() {
    let folder = TempDir::new().unwrap();
    let drawn = draw(
        &SHOP,
        searchop_trainer::data::complete_day("2026-11-24T08:00:00Z".parse().unwrap()),
    )
    .unwrap();
    for format in [FileFormat::Parquet, FileFormat::Csv] {
        write(folder.path(), format, &drawn.products, &drawn.log).unwrap();
    }
    compress(&folder.path().join("events.csv"));
    let whole = fs::read(at(&folder, "events.parquet")).unwrap();
    let packed = fs::read(at(&folder, "events.csv.gz")).unwrap();
    let refused = |name: &str, bytes: &[u8]| {
        fs::write(at(&folder, name), bytes).unwrap();
        match loaded(sources(at(&folder, "catalog.parquet"), at(&folder, name))) {
            Ok(_) => None,
            Err(error) => {
                assert_eq!(error.exit_code(), ExitCode::BadData, "{error}");
                Some(error.to_string())
            }
        }
    };
    let cut = Some("cut.parquet: the Parquet file is damaged or cut short".to_owned());
    assert_eq!(
        refused("cut.parquet", &[]),
        Some("cut.parquet is empty".to_owned())
    );
    for part in [1, 4, 8, 100, whole.len() / 2, whole.len() - 1] {
        assert_eq!(refused("cut.parquet", &whole[..part]), cut, "{part}");
    }
    // The data between two sound ends.
    for from in [4, 1000, whole.len() / 2] {
        let mut altered = whole.clone();
        altered[from..from + 400]
            .iter_mut()
            .for_each(|byte| *byte = !*byte);
        assert_eq!(refused("cut.parquet", &altered), cut, "{from}");
    }
    // The description of the data: whatever comes of it, it is no crash.
    for at in (whole.len() - 900..whole.len() - 8).step_by(11) {
        let mut altered = whole.clone();
        altered[at] ^= 0x55;
        refused("cut.parquet", &altered);
    }
    for part in [10, packed.len() / 2, packed.len() - 4] {
        assert_eq!(
            refused("cut.csv.gz", &packed[..part]),
            Some("cut.csv.gz: the gzip file is damaged or cut short".to_owned()),
            "{part}"
        );
    }
    assert_eq!(
        refused("text.csv.gz", EVENTS.as_bytes()),
        Some("text.csv.gz: the gzip file is damaged or cut short".to_owned())
    );
}

/// Columns as other programs write them to Parquet.
fn parquet(folder: &TempDir, columns: Vec<Column>) -> Result<Dataset, TrainError> {
    files(folder, &[("catalog.csv", CATALOG)]);
    let height = columns[0].len();
    let mut table = DataFrame::new(height, columns).unwrap();
    let out = fs::File::create(at(folder, "events.parquet")).unwrap();
    ParquetWriter::new(out).finish(&mut table).unwrap();
    loaded(sources(
        at(folder, "catalog.csv"),
        at(folder, "events.parquet"),
    ))
}

#[test]
fn parquet_is_read_as_other_programs_write_it() {
    let plain = events_csv(EVENTS).unwrap();
    let folder = TempDir::new().unwrap();
    let rows: Vec<Vec<&str>> = EVENTS
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    let text = |name: &str, of: usize| {
        Column::new(
            name.into(),
            rows.iter().map(|row| row[of]).collect::<Vec<_>>(),
        )
    };
    let number = |name: &str, of: usize| text(name, of).cast(&DataType::Int64).unwrap();
    let ms: Vec<i64> = rows
        .iter()
        .map(|row| row[1].parse::<jiff::Timestamp>().unwrap().as_millisecond())
        .collect();
    let times = |per_ms: i64| {
        Column::new(
            "timestamp".into(),
            ms.iter().map(|ms| ms * per_ms).collect::<Vec<_>>(),
        )
    };
    let with = |time: Column, rest: Vec<Column>| {
        [
            vec![
                text("action_name", 0),
                time,
                text("query_id", 2),
                text("client_id", 3),
                text("user_query", 4),
            ],
            rest,
        ]
        .concat()
    };
    let attributes = |object: Column, position: Column| -> Column {
        let inner = |name: &str, field: Column| {
            StructChunked::from_columns(name.into(), rows.len(), &[field])
                .unwrap()
                .into_series()
                .into_column()
        };
        let nested = [inner("object", object), inner("position", position)];
        StructChunked::from_columns("event_attributes".into(), rows.len(), &nested)
            .unwrap()
            .into_series()
            .into_column()
    };
    let naive =
        |unit: TimeUnit, per_ms: i64| times(per_ms).cast(&DataType::Datetime(unit, None)).unwrap();
    let flat = || {
        vec![
            number("object_id", 5),
            number("position", 6).cast(&DataType::Float64).unwrap(),
        ]
    };
    let cases = [
        (
            "nested",
            with(
                text("timestamp", 1),
                vec![attributes(number("object_id", 5), number("ordinal", 6))],
            ),
            0,
        ),
        ("numbers", with(times(1), flat()), 0),
        (
            "microseconds without offset",
            with(naive(TimeUnit::Microseconds, 1000), flat()),
            4,
        ),
        (
            "nanoseconds without offset",
            with(naive(TimeUnit::Nanoseconds, 1_000_000), flat()),
            4,
        ),
        (
            "small integers",
            with(
                text("timestamp", 1),
                vec![
                    number("object_id", 5).cast(&DataType::UInt16).unwrap(),
                    number("position", 6).cast(&DataType::UInt8).unwrap(),
                ],
            ),
            0,
        ),
        (
            "decimals",
            with(
                text("timestamp", 1),
                vec![
                    number("object_id", 5),
                    number("position", 6)
                        .cast(&DataType::Decimal(10, 2))
                        .unwrap(),
                ],
            ),
            0,
        ),
        (
            "names with dots",
            with(
                text("timestamp", 1),
                vec![
                    text("event_attributes.object.object_id", 5),
                    text("event_attributes.position.ordinal", 6),
                ],
            ),
            0,
        ),
    ];
    for (what, columns, without_offset) in cases {
        let read = parquet(&folder, columns).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(read.events.equals_missing(&plain.events), "{what}");
        assert_eq!(read.cleaning.times_without_offset, without_offset, "{what}");
    }

    let refused = |columns| {
        parquet(&folder, columns)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused(with(
            text("timestamp", 1),
            vec![text("object_id", 5), text("position", 4)]
        )),
        "events.parquet: row 1, column \"position\": \"shoes\" is not a number; \
         events.parquet: row 2, column \"position\": \"shoes\" is not a number; \
         events.parquet: row 3, column \"position\": \"shoes\" is not a number; \
         events.parquet: row 4, column \"position\": \"trail shoes\" is not a number; 4 bad rows in all"
    );
    assert_eq!(
        refused(with(text("timestamp", 1), vec![text("position", 6)])),
        "events.parquet: column \"object_id\" is missing; found: \"action_name\", \"timestamp\", \"query_id\", \
         \"client_id\", \"user_query\", \"position\""
    );
    let empty: Vec<Column> = with(text("timestamp", 1), flat())
        .iter()
        .map(|column| column.head(Some(0)))
        .collect();
    assert_eq!(refused(empty), "events.parquet: no rows");
    let listed = ListChunked::from_iter(rows.iter().map(|row| Series::new("".into(), &row[5..6])))
        .with_name("object_id".into());
    let message = refused(with(
        text("timestamp", 1),
        vec![listed.into_series().into_column()],
    ));
    assert!(
        message.starts_with("events.parquet: column \"object_id\" has the type "),
        "{message}"
    );
    assert!(
        message.ends_with(", which is not read; write texts, numbers or times"),
        "{message}"
    );
}
