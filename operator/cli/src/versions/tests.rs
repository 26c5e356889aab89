use std::fs;

use searchop_api::{HistoryEntry, Outcome, ServedVersion};
use searchop_contract::Digest;
use searchop_evaluation::report::EvaluationReport;
use serde_json::{from_value, json};

use super::*;
use crate::{
    args::Moment,
    cluster::testing::{digest, model},
};

/// Version `n` judged a week after the one before, against the model of `reference`.
fn report(version: u32, letter: char, reference: Option<char>, to: &str) -> EvaluationReport {
    from_value(json!({
        "version": version, "digest": digest(letter), "reference": reference.map(digest),
        "from": "2026-09-01", "to": to, "confidence": 0.95, "evidence": "RawClicks", "measurements": [],
        "rankers": [{"ranker": "candidate", "ndcgAt10": 0.4 + f64::from(version) / 100.0}],
        "comparisons": [], "slices": [], "changes": {"winners": [], "losers": []}
    }))
    .unwrap()
}

fn kept() -> Kept {
    Kept {
        reports: vec![
            report(1, 'd', None, "2026-09-05"),
            report(2, 'f', Some('d'), "2026-09-12"),
            report(3, 'c', Some('d'), "2026-09-19"),
            report(4, '4', Some('c'), "2026-10-31"),
        ],
        ..Kept::default()
    }
}

fn on(day: &str) -> Moment {
    let start = format!("{day}T00:00:00Z").parse().unwrap();
    Moment {
        start,
        end: start + jiff::SignedDuration::from_hours(24),
    }
}

fn serving_on(found: &[Version], day: &str) -> Vec<i32> {
    let versions = found.iter().filter(|version| version.served_in(on(day)));
    versions.map(|version| version.version).collect()
}

#[test]
fn the_status_alone_knows_ten_runs() {
    let found = timeline(&model().status.unwrap(), &Kept::default());
    insta::assert_snapshot!(render::table_of(&found));
    assert_eq!(serving_on(&found, "2026-11-24"), [7]);
    assert_eq!(
        serving_on(&found, "2026-11-22"),
        [7, 5],
        "both, one after the other"
    );
    assert_eq!(
        serving_on(&found, "2026-10-01"),
        [0; 0],
        "before what is known"
    );
}

#[test]
fn reports_tell_what_served_before() {
    let found = timeline(&model().status.unwrap(), &kept());
    insta::assert_snapshot!(render::table_of(&found));
    assert_eq!(serving_on(&found, "2026-09-10"), [1]);
    assert_eq!(serving_on(&found, "2026-10-01"), [3], "v2 never served");
    assert_eq!(serving_on(&found, "2026-11-03"), [4]);
}

#[test]
fn a_version_that_serves_again_has_two_stretches() {
    let mut status = model().status.unwrap();
    let again = |served: &ServedVersion, time: &str| ServedVersion {
        promoted_time: from_value(json!(time)).unwrap(),
        ..served.clone()
    };
    let (seven, five) = (
        status.served.clone().unwrap(),
        status.previous.clone().unwrap(),
    );
    status.served = Some(again(&five, "2026-11-24T09:00:00Z"));
    status.previous = Some(seven);
    let found = timeline(&status, &Kept::default());
    assert_eq!(serving_on(&found, "2026-11-10"), [5]);
    assert_eq!(serving_on(&found, "2026-11-23"), [7]);
    assert_eq!(serving_on(&found, "2026-11-25"), [5]);
    assert_eq!(
        found
            .iter()
            .find(|one| one.version == 5)
            .unwrap()
            .served
            .len(),
        2
    );
}

#[test]
fn a_page_says_what_served_why_and_on_which_rows() {
    let mut found = timeline(&model().status.unwrap(), &Kept::default());
    found.retain(|version| version.served_in(on("2026-11-10")));
    found[0].trained_on = Some(kept::Rows {
        from: "2026-08-03".to_owned(),
        to: "2026-10-25".to_owned(),
        rows: 1_234_567,
        lists: 45_678,
        queries: 910,
    });
    let now = crate::cluster::testing::now();
    insta::assert_snapshot!(render::pages(&found, now, Paint::PLAIN));
}

#[test]
fn nothing_is_made_up_about_a_day_that_is_not_known() {
    let question = |model, kept| Question {
        model,
        kept,
        place: "pvc://models/shop/products-4f6c2d1e",
        when: When {
            on: None,
            output: Output::Table,
        },
    };
    let (model, none) = (model(), Kept::default());
    let error = nothing_served(&question(&model, &none), on("2026-09-10"));
    assert_eq!(
        error.to_string(),
        "a version of \"products\" that served at 2026-09-10T00:00:00Z not found in namespace \"shop\"; what \
         served before 2026-11-01T02:12:00Z is not known from here: the artifacts lie in \
         pvc://models/shop/products-4f6c2d1e"
    );
    let mut young = model.clone();
    let status = young.status.as_mut().unwrap();
    (status.served, status.previous) = (None, None);
    status
        .history
        .retain(|entry: &HistoryEntry| entry.outcome != Outcome::Promoted);
    let error = nothing_served(&question(&young, &none), on("2026-11-10"));
    assert!(
        error.to_string().ends_with("; nothing has served yet"),
        "{error}"
    );
}

#[test]
fn a_folder_is_read_as_the_trainer_leaves_it() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("models").join("a".repeat(64));
    fs::create_dir_all(&model).unwrap();
    fs::create_dir_all(dir.path().join("reports")).unwrap();
    let text = serde_json::to_string(&report(7, 'a', None, "2026-11-21")).unwrap();
    fs::write(dir.path().join("reports/v7.json"), text).unwrap();
    let manifest = json!({
        "formatVersion": 1, "model": "products", "files": [], "text": {"version": 1, "language": "English"},
        "featuresVersion": 1, "features": ["price"], "parameters": {}, "trees": 40,
        "trainedThroughTime": "2026-11-15T00:00:00Z"
    });
    fs::write(model.join("manifest.json"), manifest.to_string()).unwrap();
    let span = json!({"from": "2026-08-17", "to": "2026-11-07", "rows": 5000, "lists": 400, "queries": 90});
    fs::write(
        model.join("report.json"),
        json!({"train": span, "products": 3}).to_string(),
    )
    .unwrap();
    let kept = Kept::read(dir.path()).unwrap();
    let digest: Digest = digest('a').parse().unwrap();
    assert_eq!(kept.models[&digest].rows.as_ref().unwrap().rows, 5000);
    let found = timeline(&crate::cluster::testing::model().status.unwrap(), &kept);
    let seven = found.iter().find(|version| version.version == 7).unwrap();
    assert_eq!(seven.trained_on.as_ref().unwrap().lists, 400);
    fs::write(model.join("report.json"), "{").unwrap();
    let kept = Kept::read(dir.path()).unwrap();
    assert_eq!(kept.models[&digest].rows, None, "the manifest still counts");
}
