//! What becomes a label and what does not, and what people's grades become.

use std::fs;

use searchop_contract::{
    DataSource, JudgmentFormat, JudgmentSource, PositionBias, TableSource, TrainingJob,
};
use searchop_trainer::{
    data::{self, Window},
    lists::{self, NOT_SHOWN_WEIGHT},
    position_bias::PositionBiasDecision,
    prepare::{self, Prepared},
    rows::Catalog,
    slices::{Slice, Slices},
    traffic::Traffic,
};
use tempfile::TempDir;

use super::shops::{Line, dataset, noon, product, small_job};

const FIRST: i32 = 20_000;

fn line(list: &'static str, item: &'static str, action: i8, day: i32) -> Line {
    Line {
        list,
        query: "red shoe",
        item,
        action,
        position: Some(if item == "a" { 1 } else { 2 }),
        time_ms: noon(FIRST + day, i64::from(action.max(0))),
    }
}

fn job(hours: u32) -> TrainingJob {
    let mut job = small_job(std::path::Path::new("/nowhere"));
    job.evaluation.holdout_days = 2;
    job.labels.maturity_hours = hours;
    job
}

fn lists_of(lines: &[Line], hours: u32) -> (Vec<lists::List>, lists::ListCounts, Slices) {
    let window = Window {
        first_day: FIRST,
        last_day: FIRST + 9,
    };
    let products = ["a", "b", "z"].map(|id| product(id, "Red shoe")).to_vec();
    let dataset = dataset(products, lines, window);
    let catalog = Catalog::analyse(&dataset.products).unwrap();
    let traffic = Traffic::read(&dataset, catalog.analyzer()).unwrap();
    let slices = Slices::divide(&job(hours), window, FIRST).unwrap();
    let (lists, counts) = lists::build(&traffic, &slices);
    (lists, counts, slices)
}

/// A list a day, each with a click at once and a purchase two days later.
fn daily() -> Vec<Line> {
    const LISTS: [&str; 10] = ["l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7", "l8", "l9"];
    let mut lines = Vec::new();
    for day in 0..10 {
        for list in LISTS.iter().take(1).map(|_| LISTS[day as usize]) {
            lines.push(line(list, "a", 0, day));
            lines.push(line(list, "b", 0, day));
            lines.push(line(list, "a", 1, day));
        }
        if day >= 2 {
            lines.push(line(LISTS[day as usize - 2], "a", 3, day));
        }
    }
    lines
}

#[test]
fn a_list_counts_once_its_purchases_have_had_their_time() {
    let (lists, counts, _) = lists_of(&daily(), 48);
    // Two days are unripe at the end, two before the gate.
    let days = |slice: Slice| -> Vec<i32> {
        lists
            .iter()
            .filter(|list| list.slice == slice)
            .map(|list| list.day - FIRST)
            .collect()
    };
    assert_eq!(days(Slice::Train), [0, 1, 2]);
    assert_eq!(days(Slice::Valid), [3]);
    assert_eq!(days(Slice::Gate), [6, 7]);
    assert_eq!(counts.unripe, 4);
    let bought = |list: &lists::List| list.candidates.iter().any(|one| one.label == 3);
    assert!(lists.iter().all(bought), "every list that counts is ripe");

    let (lists, counts, _) = lists_of(&daily(), 0);
    assert_eq!((lists.len(), counts.unripe), (10, 0));
    assert!(!lists.iter().all(bought));
}

#[test]
fn a_list_of_one_item_is_in_no_wrong_order() {
    let mut lines = daily();
    lines.push(line("alone", "a", 0, 9));
    lines.push(line("alone", "a", 1, 9));
    let (lists, counts, _) = lists_of(&lines, 0);
    assert_eq!((lists.len(), counts.single_item), (10, 1));
}

#[test]
fn what_was_found_and_not_shown_is_a_weak_negative_of_training_alone() {
    let mut lines = vec![line("l0", "z", -1, 0)];
    lines.extend(daily());
    lines.push(line("l9", "z", -1, 9));
    let (lists, counts, _) = lists_of(&lines, 0);
    let first = &lists[0].candidates;
    assert_eq!(first.len(), 3);
    let unseen = first.iter().find(|one| !one.shown).unwrap();
    assert_eq!(
        (unseen.label, unseen.position, unseen.weight()),
        (0, None, NOT_SHOWN_WEIGHT)
    );
    assert_eq!(first[0].weight(), 1.0);
    let last = lists.last().unwrap();
    assert_eq!((last.slice, last.candidates.len()), (Slice::Gate, 2));
    assert_eq!(counts.not_shown_rows, 1);
}

#[test]
fn position_bias_is_left_alone_where_the_log_does_not_show_it() {
    let window = Window {
        first_day: FIRST,
        last_day: FIRST + 9,
    };
    let decide = |lines: &[Line], wanted| {
        let products = ["a", "b"].map(|id| product(id, "Red shoe")).to_vec();
        let dataset = dataset(products, lines, window);
        let catalog = Catalog::analyse(&dataset.products).unwrap();
        let traffic = Traffic::read(&dataset, catalog.analyzer()).unwrap();
        PositionBiasDecision::of(&traffic, wanted, FIRST + 7).unwrap()
    };
    let still = decide(&daily(), PositionBias::Auto);
    assert!(!still.corrected && still.for_training().is_none());
    assert_eq!(
        still.reason.unwrap(),
        "0.0 % of 8 clicks are on items that one query showed at two or more positions; \
         position bias can be told from 5 % on"
    );

    // The same item, sometimes at the other place.
    let mut moved = daily();
    for line in moved
        .iter_mut()
        .filter(|line| line.time_ms < noon(FIRST + 3, 0))
    {
        line.position = line.position.map(|position| 3 - position);
    }
    let auto = decide(&moved, PositionBias::Auto);
    assert!(auto.corrected && auto.reason.is_none());
    assert_eq!(auto.for_training(), auto.propensities.as_ref());
    let none = decide(&moved, PositionBias::None);
    assert!(!none.corrected && none.for_training().is_none());
    // Figures on debiased clicks weigh by it all the same.
    assert_eq!(none.propensities, auto.propensities);
    assert_eq!(none.reason.unwrap(), "training.positionBias is None");

    // What happens in the days that judge is not known yet.
    for line in &mut moved {
        if line.time_ms >= noon(FIRST + 8, 0) {
            line.position = Some(20);
        }
    }
    assert_eq!(decide(&moved, PositionBias::Auto), auto);
}

fn prepared(job: &TrainingJob) -> Prepared {
    let work = TempDir::new().unwrap();
    let dataset = data::load(job, work.path(), &mut |_| {}).unwrap();
    prepare::prepare(job, &dataset, work.path()).unwrap()
}

#[test]
fn grades_become_lists_of_the_day_after_the_window() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let mut events = String::from("action_name,timestamp,query_id,user_query,object_id,position\n");
    for day in 1..=20 {
        for (list, query) in [("x", "red shoe"), ("y", "blue hat")] {
            let event = |action: &str, item: &str, minute: u32| {
                format!(
                    "{action},2026-11-{day:02}T10:{minute:02}:00Z,{list}{day},{query},{item},{item}\n"
                )
            };
            events += &event("impression", "1", 0);
            events += &event("impression", "2", 0);
            events += &event("click", "2", 1);
        }
    }
    fs::write(at("events.csv"), events).unwrap();
    fs::write(
        at("catalog.csv"),
        "product_id,title\n1,Red shoe\n2,Blue shoe\n3,Hat\n",
    )
    .unwrap();
    fs::write(
        at("judgments.csv"),
        "query,docid,rating\nred shoe,1,3\nred shoe,3,0\nred shoe,gone,2\nSHOES,2,3\nSHOES,1,1\n\
         nothing good,1,0\nnothing good,2,0\nhat,3,3\nhat,2,\n",
    )
    .unwrap();
    let table = |name: &str| TableSource {
        uri: at(name),
        id_field: None,
    };
    let mut job = job(24);
    job.data = DataSource::Sources {
        catalog: table("catalog.csv"),
        events: table("events.csv"),
        event_format: Default::default(),
        window_days: 20,
        judgments: Some(JudgmentSource {
            uri: at("judgments.csv"),
            format: JudgmentFormat::Quepid,
        }),
    };
    let prepared = prepared(&job);
    let judged: Vec<_> = prepared.rows.of(Slice::Judged).collect();
    assert_eq!(judged.len(), 2);
    let graded = |list: usize| -> Vec<(&str, u8)> {
        let rows = judged[list].rows.clone();
        let candidates = &prepared.rows.candidates[rows];
        candidates
            .iter()
            .map(|one| (prepared.names.items[one.item as usize].as_str(), one.label))
            .collect()
    };
    assert_eq!(graded(0), [("1", 1), ("2", 3)], "SHOES");
    assert_eq!(graded(1), [("1", 3), ("3", 0)], "red shoe");
    let newest = prepared.rows.of(Slice::Gate).map(|list| list.day).max();
    // One unripe day between them.
    assert_eq!(judged[0].day, newest.unwrap() + 2);
    let counts = prepared.summary.judgments;
    assert_eq!(
        (counts.queries, counts.judgments, counts.unrated),
        (2, 4, 1)
    );
    assert_eq!((counts.unknown_items, counts.useless_queries), (1, 2));
}
