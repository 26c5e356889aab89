//! A row sees what serving would have known at that moment, and nothing later.

use polars::prelude::{IntoLazy, col, lit};
use searchop_contract::{CounterLag, TrainingJob};
use searchop_model::{
    bundle::features_of,
    features::{feature_names, features},
    item::Candidate,
    tables::Tables,
};
use searchop_trainer::{
    counter_lag,
    data::{self, Dataset, Window},
    lists::{self, List},
    rows::{self, Catalog, Rows},
    slices::Slices,
    stage_a::DayCounts,
    traffic::Traffic,
};

use super::shops::{Line, dataset, noon, product, small_job};

const FIRST: i32 = 20_000;

fn line(list: &'static str, item: &'static str, action: i8, time_ms: i64) -> Line {
    Line {
        list,
        query: "red shoe",
        item,
        action,
        position: Some(1),
        time_ms,
    }
}

fn window() -> Window {
    Window {
        first_day: FIRST,
        last_day: FIRST + 9,
    }
}

fn job(holdout_days: u32) -> TrainingJob {
    let mut job = small_job(std::path::Path::new("/nowhere"));
    job.evaluation.holdout_days = holdout_days;
    job.labels.maturity_hours = 0;
    job
}

struct Computed {
    rows: Rows,
    lists: Vec<List>,
    traffic: Traffic,
}

fn compute(dataset: &Dataset, slices: &Slices) -> Computed {
    compute_aged(dataset, slices, 1)
}

/// The counters of every list are this many days old.
fn compute_aged(dataset: &Dataset, slices: &Slices, days: u32) -> Computed {
    let catalog = Catalog::analyse(&dataset.products).unwrap();
    let traffic = Traffic::read(dataset, catalog.analyzer()).unwrap();
    let (mut lists, _) = lists::build(&traffic, slices);
    let lag = CounterLag {
        min_days: days,
        max_days: days,
    };
    counter_lag::draw(&mut lists, lag, 42);
    let counts = DayCounts::count(&traffic).unwrap();
    let (rows, _) = rows::compute(&catalog, &traffic, &lists, (&counts, dataset.window));
    Computed {
        rows,
        lists,
        traffic,
    }
}

/// A feature of item `a` in the list of a day, counted from the first.
fn value(computed: &Computed, day: i32, feature: &str) -> f32 {
    let column = feature_names()
        .iter()
        .position(|name| name == feature)
        .unwrap();
    let list = computed
        .rows
        .lists
        .iter()
        .find(|list| list.day == FIRST + day)
        .unwrap();
    let row = list
        .rows
        .clone()
        .find(|&row| computed.traffic.items[computed.rows.candidates[row].item as usize] == "a");
    computed.rows.row(row.unwrap())[column]
}

/// Lists on days 0, 1, 2, 3, 8 and 9, each with a click; the first is bought from on day 2.
fn shop() -> Dataset {
    let mut lines = Vec::new();
    for (list, day) in [
        ("l0", 0),
        ("l1", 1),
        ("l2", 2),
        ("l3", 3),
        ("l8", 8),
        ("l9", 9),
    ] {
        lines.push(line(list, "a", 0, noon(FIRST + day, 0)));
        lines.push(Line {
            position: Some(2),
            ..line(list, "b", 0, noon(FIRST + day, 0))
        });
        lines.push(line(list, "a", 1, noon(FIRST + day, 5)));
        if day == 2 {
            lines.push(line("l0", "a", 3, noon(FIRST + 2, 9)));
        }
    }
    dataset(
        vec![product("a", "Red shoe"), product("b", "Blue hat")],
        &lines,
        window(),
    )
}

#[test]
fn a_list_does_not_see_its_own_day() {
    let dataset = shop();
    let slices = Slices::divide(&job(2), dataset.window, FIRST).unwrap();
    let computed = compute(&dataset, &slices);
    let shown = |day| value(&computed, day, "item_impressions_log_30d");
    assert!(shown(0).is_nan() && value(&computed, 0, "item_ctr_7d").is_nan());
    assert_eq!(shown(1), 1_f32.ln_1p());
    assert_eq!(shown(3), (3_f64.ln_1p()) as f32);
    assert!(value(&computed, 0, "query_item_ctr_30d").is_nan());
    // One impression says too little about the pair, five are enough.
    assert!(value(&computed, 1, "query_item_ctr_30d").is_nan());
    assert!(value(&computed, 9, "query_item_ctr_30d") > 0.0);
}

#[test]
fn a_purchase_is_seen_from_the_day_after_it_arrived() {
    let dataset = shop();
    let slices = Slices::divide(&job(2), dataset.window, FIRST).unwrap();
    let computed = compute(&dataset, &slices);
    let bought = |day| value(&computed, day, "item_purchase_rate_30d");
    assert_eq!((bought(1), bought(2)), (0.0, 0.0));
    assert!(bought(3) > 0.0);
}

#[test]
fn what_left_the_window_is_not_seen() {
    let dataset = shop();
    let slices = Slices::divide(&job(2), dataset.window, FIRST).unwrap();
    let computed = compute(&dataset, &slices);
    // Day 9 sees days 2 to 8 in its short window: three lists with a click each, of six impressions
    // and three clicks of all traffic before it.
    let clicks = 3.0;
    let (all_clicks, all_shown) = (5.0, 10.0);
    let expected = (clicks + 20.0 * all_clicks / all_shown) / (clicks + 20.0);
    assert_eq!(value(&computed, 9, "item_ctr_7d"), expected as f32);
    assert_eq!(
        value(&computed, 9, "item_impressions_log_30d"),
        (5_f64.ln_1p()) as f32
    );
}

#[test]
fn later_purchases_are_no_labels_of_lists_that_trained() {
    let dataset = shop();
    for (holdout, bought) in [(8, 1), (2, 3)] {
        // With 8 days held out, training and validation end on day 1, before the purchase.
        let slices = Slices::divide(&job(holdout), dataset.window, FIRST).unwrap();
        let lists = compute(&dataset, &slices).lists;
        assert_eq!(lists[0].candidates[0].label, bought, "{slices:?}");
    }
}

/// Rows of a day, computed on the way through the log, are those that the tables of the evening
/// before, or of an older one, give to the code that serves.
#[test]
fn training_rows_are_what_serving_would_have_computed() {
    for days in [1, 5] {
        rows_are_what_tables_of_this_age_give(days);
    }
}

fn rows_are_what_tables_of_this_age_give(days: u32) {
    let work = tempfile::tempdir().unwrap();
    let whole = data::load(&small_job(work.path()), work.path(), &mut |_| {}).unwrap();
    let slices = Slices::divide(&job(7), whole.window, whole.window.first_day).unwrap();
    let computed = compute_aged(&whole, &slices, days);
    let today = whole.window.last_day;
    let seen = today - i32::try_from(days).unwrap();

    let before = Window {
        last_day: seen,
        ..whole.window
    };
    let events = whole
        .events
        .clone()
        .lazy()
        .filter(col("day").lt_eq(lit(seen)))
        .collect()
        .unwrap();
    let yesterday = Dataset {
        events,
        window: before,
        through: before.end(),
        ..whole.clone()
    };
    let catalog = Catalog::analyse(&yesterday.products).unwrap();
    let traffic = Traffic::read(&yesterday, catalog.analyzer()).unwrap();
    let counts = DayCounts::count(&traffic).unwrap();
    let (_, history) = rows::compute(&catalog, &traffic, &[], (&counts, before));
    let tables = Tables::build(rows::tables(
        &catalog,
        &traffic,
        &history,
        ("m", before.end()),
    ))
    .unwrap();

    let mut compared = 0;
    for (list, placed) in computed
        .lists
        .iter()
        .zip(&computed.rows.lists)
        .filter(|(list, _)| list.day == today)
    {
        let query = &computed.traffic.queries[list.query as usize].text;
        for (candidate, row) in list.candidates.iter().zip(placed.rows.clone()) {
            let id = computed.traffic.items[candidate.item as usize].as_str();
            let served = features_of(
                &tables,
                query,
                list.time,
                &[Candidate {
                    id,
                    ..Candidate::default()
                }],
            )
            .remove(0);
            for ((feature, trained), served) in
                features().iter().zip(computed.rows.row(row)).zip(served)
            {
                assert!(
                    *trained == served || (trained.is_nan() && served.is_nan()),
                    "{}: trained on {trained}, served {served}",
                    feature.name
                );
            }
            compared += 1;
        }
    }
    assert!(compared > 50, "{compared}");
}
