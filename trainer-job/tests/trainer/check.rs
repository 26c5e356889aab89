//! Named checks of the data: a good log passes them all, and each kind of trouble is told by its
//! own check.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use searchop_contract::{Check, CheckOutcome};
use serde_json::json;

/// Twenty days from 2026-11-01 on which each of sixty queries is asked once, shows three items and
/// gets a click on the second.
fn events() -> String {
    let mut rows =
        "action_name,query_id,client_id,timestamp,user_query,object_id,position_ordinal\n"
            .to_owned();
    for (day, query) in (1..=20).flat_map(|day| (10..70).map(move |query| (day, query))) {
        let list = format!("l{day}-{query},c{query},2026-11-{day:02}T12:00");
        for (place, item) in (1..=3).map(|place| (place, 100 + (query + place) % 30)) {
            writeln!(rows, "impression,{list}:00Z,red q{query},{item},{place}").unwrap();
        }
        let item = 100 + (query + 2) % 30;
        writeln!(rows, "click,{list}:30Z,red q{query},{item},2").unwrap();
    }
    rows
}

fn catalog() -> String {
    let rows = (100..130).map(|id| format!("{id},red q{id},{id}\n"));
    rows.fold("product_id,title,price\n".to_owned(), |all, row| all + &row)
}

fn without(rows: &str, unwanted: impl Fn(&str) -> bool) -> String {
    let kept = rows.lines().filter(|line| !unwanted(line));
    kept.map(|line| format!("{line}\n")).collect()
}

/// Exit status and checks.
fn checked(folder: &Path, (catalog, events): (&str, &str), as_of: &str) -> (i32, Vec<Check>) {
    let at = |name: &str| folder.join(name).display().to_string();
    fs::write(at("catalog.csv"), catalog).unwrap();
    fs::write(at("events.csv"), events).unwrap();
    let table = |name: &str| json!({"uri": at(name)});
    let job = json!({
        "model": "products", "version": 1, "asOfTime": as_of,
        "data": {"sources": {"catalog": table("catalog.csv"), "events": table("events.csv"), "eventFormat": "UBI", "windowDays": 30}},
        "evaluation": {"holdoutDays": 3, "baselines": [], "measures": [], "confidence": 0.95},
        "artifactsUri": format!("file://{}", at("store")),
    });
    let output = Command::new(env!("CARGO_BIN_EXE_searchop-trainer"))
        .env_clear()
        .env("SEARCHOP_JOB", job.to_string())
        .arg("check")
        .output()
        .unwrap();
    assert!(!folder.join("store").exists());
    let lines = str::from_utf8(&output.stdout).unwrap().lines();
    let checks = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (output.status.code().unwrap(), checks)
}

const NOW: &str = "2026-11-21T06:00:00Z";

#[test]
fn a_good_log_passes_every_check() {
    let folder = tempfile::tempdir().unwrap();
    let (code, checks) = checked(folder.path(), (&catalog(), &events()), NOW);
    assert_eq!(code, 0, "{checks:#?}");
    assert!(
        checks
            .iter()
            .all(|check| check.outcome == CheckOutcome::Pass),
        "{checks:#?}"
    );
    let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    let wanted = [
        "CatalogReadable",
        "EventsReadable",
        "EventsUsable",
        "ItemsKnown",
        "EventsJoined",
        "FewBotsAndDuplicates",
        "TimesWithOffset",
        "PositionsKnown",
        "DaysComplete",
        "DataFresh",
        "DaysEnough",
        "ListsClicked",
        "GateQueries",
    ];
    assert_eq!(names, wanted);
}

#[test]
fn each_kind_of_trouble_has_its_check() {
    use CheckOutcome::{Fail, Skip, Warn};
    let (catalog, events) = (catalog(), events());
    let twice = format!("{catalog}100,again,1\n");
    let other_ids = catalog.replace("\n1", "\nx1");
    let some_ids = without(&catalog, |line| line.starts_with("11"));
    let no_clicks = without(&events, |line| line.starts_with("click"));
    let no_offset = events.replace("Z,", ",");
    let no_places = without(&events, |_| false)
        .replace(",1\n", ",\n")
        .replace(",2\n", ",\n");
    let a_gap = without(&events, |line| line.contains("2026-11-09T"));
    let few_days = without(&events, |line| {
        !line.contains("2026-11-2") && !line.starts_with("action")
    });
    let few_queries = without(&events, |line| {
        ["q2", "q3", "q4", "q5", "q6"]
            .iter()
            .any(|query| line.contains(query))
    });
    let no_lists = events.replace("impression,l", "impression,m");
    let bad_row = events.replacen("2026-11-01T12:00:00Z", "noon", 1);
    let late = "2026-12-21T06:00:00Z";
    let rows: [(&str, &str, &str, &str, CheckOutcome, &str); 13] = [
        (
            &twice,
            &events,
            NOW,
            "CatalogReadable",
            Fail,
            "catalog.csv: line 32, column \"product_id\": \"100\" is there twice",
        ),
        (
            &catalog,
            &bad_row,
            NOW,
            "EventsReadable",
            Fail,
            "events.csv: line 2, column \"timestamp\": \"noon\" is not a time",
        ),
        (
            &other_ids,
            &events,
            NOW,
            "EventsUsable",
            Fail,
            "events.csv: the catalogue has none of the items",
        ),
        (
            &catalog,
            &no_clicks,
            NOW,
            "EventsUsable",
            Fail,
            "events.csv: no clicks, carts or purchases; there is nothing to learn from",
        ),
        (
            &catalog,
            &no_lists,
            NOW,
            "EventsUsable",
            Fail,
            "events.csv: no clicks, carts or purchases",
        ),
        (
            &some_ids,
            &events,
            NOW,
            "ItemsKnown",
            Warn,
            "1600 of 4800 events are of items that the catalogue does not have (33.3 %)",
        ),
        (
            &catalog,
            &no_offset,
            NOW,
            "TimesWithOffset",
            Warn,
            "4800 times without offset are read as UTC",
        ),
        (
            &catalog,
            &no_places,
            NOW,
            "PositionsKnown",
            Warn,
            "2400 of 3600 impressions have no position (66.7 %)",
        ),
        (
            &catalog,
            &a_gap,
            NOW,
            "DaysComplete",
            Warn,
            "19 of 20 days from 2026-11-01 to 2026-11-20 have events; the first without is 2026-11-09",
        ),
        (
            &catalog,
            &events,
            late,
            "DataFresh",
            Warn,
            "the newest events are of 2026-11-20, 30 days before",
        ),
        (&catalog, &few_days, NOW, "DaysEnough", Fail, "2026-11-20"),
        (
            &catalog,
            &few_days,
            NOW,
            "GateQueries",
            Skip,
            "too few days",
        ),
        (
            &catalog,
            &few_queries,
            NOW,
            "GateQueries",
            Fail,
            "10 query keys in the held-out days, 50 are needed for a verdict",
        ),
    ];
    for (catalog, events, as_of, name, outcome, words) in rows {
        let folder = tempfile::tempdir().unwrap();
        let (code, checks) = checked(folder.path(), (catalog, events), as_of);
        let check = checks.iter().find(|check| check.name == name).unwrap();
        assert_eq!(check.outcome, outcome, "{name}: {checks:#?}");
        assert!(check.message.contains(words), "{name}: {:?}", check.message);
        let failed = checks.iter().any(|check| check.outcome == Fail);
        assert_eq!(code, if failed { 3 } else { 0 }, "{name}: {checks:#?}");
    }
}

#[test]
fn a_made_up_shop_is_checked_and_a_bad_job_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let job = serde_json::to_string(&super::shops::small_job(&dir.path().join("store"))).unwrap();
    let trainer = |job: &str| {
        Command::new(env!("CARGO_BIN_EXE_searchop-trainer"))
            .env_clear()
            .env("SEARCHOP_JOB", job)
            .arg("check")
            .output()
            .unwrap()
    };
    let output = trainer(&job);
    let text = str::from_utf8(&output.stdout).unwrap();
    let first: Check = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(
        (first.name.as_str(), first.outcome),
        ("EventsUsable", CheckOutcome::Pass)
    );
    assert!(text.contains("GateQueries"), "{text}");

    let output = trainer("{}");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
}
