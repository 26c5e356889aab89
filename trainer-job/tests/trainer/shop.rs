//! The made-up shop: the same everywhere, living on from day to day, plausible, and worth learning from.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap too")]

use std::collections::{HashMap, HashSet};

use searchop_contract::SyntheticShop;
use searchop_trainer::{
    data::{Action, DAY_MS, EventLog, complete_day, day_of},
    shop::{Drawn, FileFormat, GenerateArgs, draw, generate},
};

const SHOP: SyntheticShop = SyntheticShop {
    products: 2000,
    events: 100_000,
    seed: 42,
    window_days: 30,
};

fn last_day() -> i32 {
    complete_day("2026-11-24T08:00:00Z".parse().unwrap())
}

fn drawn() -> Drawn {
    draw(&SHOP, last_day()).unwrap()
}

/// One line an event, with all names spelled out.
fn lines(log: &EventLog, keep: impl Fn(i32) -> bool) -> Vec<String> {
    log.events
        .iter()
        .filter(|event| keep(day_of(event.time_ms)))
        .map(|event| format!("{:?}", log.named(event)))
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let bytes = |seed: u64, format: FileFormat| {
        let folder = tempfile::tempdir().unwrap();
        let truth = folder.path().join("truth.csv");
        let args = GenerateArgs {
            products: 60,
            events: 2000,
            seed,
            days: 10,
            as_of: Some("2026-11-24T08:00:00Z".parse().unwrap()),
            out: folder.path().join("made/here"),
            format,
            truth: Some(truth.clone()),
        };
        let generated = generate(&args).unwrap();
        assert_eq!(generated.products, 60);
        assert!(generated.judgments > 100);
        let read = |table: &str| {
            std::fs::read(args.out.join(format!("{table}.{}", format.ending()))).unwrap()
        };
        (
            read("catalog"),
            read("events"),
            std::fs::read(truth).unwrap(),
        )
    };
    for format in [FileFormat::Csv, FileFormat::Ndjson, FileFormat::Parquet] {
        assert!(bytes(42, format) == bytes(42, format), "{format:?}");
        assert!(bytes(42, format) != bytes(43, format), "{format:?}");
    }
    // A change here changes every shop that anybody has drawn.
    let (catalog, events, _) = bytes(42, FileFormat::Csv);
    let digest = |bytes: &[u8]| searchop_contract::Digest::of(bytes).short().to_owned();
    assert_eq!(
        (digest(&catalog), digest(&events)),
        ("2ffc2bfb5cfb".into(), "60e44da2a72a".into())
    );
}

#[test]
fn another_day_changes_nothing_about_the_days_before() {
    let today = last_day();
    let drawn = drawn();
    let before = lines(&drawn.log, |_| true);

    // Tomorrow, with the same settings: the window moves by a day.
    let tomorrow = draw(&SHOP, today + 1).unwrap();
    let first = today - 29;
    assert_eq!(
        lines(&tomorrow.log, |day| day <= today),
        lines(&drawn.log, |day| day > first)
    );
    assert!(
        tomorrow
            .log
            .events
            .iter()
            .any(|event| day_of(event.time_ms) == today + 1)
    );

    // A longer window at the same rate.
    let longer = SyntheticShop {
        window_days: 33,
        events: 110_000,
        ..SHOP
    };
    assert_eq!(
        lines(&draw(&longer, today).unwrap().log, |day| day >= first),
        before
    );

    // Products stay what they are; a few come and go.
    let titles = |drawn: &Drawn| -> HashMap<String, Option<String>> {
        drawn
            .products
            .iter()
            .map(|product| (product.id.clone(), product.fields.title.clone()))
            .collect()
    };
    let (old, new) = (titles(&drawn), titles(&tomorrow));
    let shared = old
        .iter()
        .filter(|(id, title)| new.get(*id) == Some(*title))
        .count();
    assert!((1990..2000).contains(&shared), "{shared}");
}

#[test]
fn the_click_log_is_plausible() {
    let Drawn { products, log, .. } = drawn();
    assert_eq!(products.len(), 2000);
    let total = log.events.len() as f64;
    assert!((97_000.0..103_000.0).contains(&total), "{total}");

    let count = |action: Action| {
        log.events
            .iter()
            .filter(|event| event.action == action)
            .count() as f64
    };
    let (impressions, clicks) = (count(Action::Impression), count(Action::Click));
    let (carts, purchases) = (count(Action::Cart), count(Action::Purchase));
    let ctr = clicks / impressions;
    assert!((0.03..0.12).contains(&ctr), "click rate {ctr}");
    assert!(
        (0.1..0.5).contains(&(carts / clicks)),
        "carts a click {}",
        carts / clicks
    );
    assert!(
        (0.2..0.7).contains(&(purchases / carts)),
        "purchases a cart {}",
        purchases / carts
    );

    // The position matters.
    let rate = |positions: std::ops::RangeInclusive<i32>| {
        let at = |action: Action| {
            let fits = |event: &&searchop_trainer::data::Event| {
                event.action == action && positions.contains(&event.position)
            };
            log.events.iter().filter(fits).count() as f64
        };
        at(Action::Click) / at(Action::Impression)
    };
    assert!(
        rate(1..=1) > 1.3 * rate(4..=6) && rate(4..=6) > 1.2 * rate(10..=15),
        "{} {} {}",
        rate(1..=1),
        rate(4..=6),
        rate(10..=15)
    );

    // A few queries are asked often, many once.
    let mut lists: HashMap<u32, HashSet<u32>> = HashMap::new();
    for event in &log.events {
        lists.entry(event.query).or_default().insert(event.list);
    }
    let mut frequencies: Vec<usize> = lists.values().map(HashSet::len).collect();
    frequencies.sort_unstable_by(|a, b| b.cmp(a));
    let all = frequencies.iter().sum::<usize>() as f64;
    let head = frequencies[..frequencies.len() / 20].iter().sum::<usize>() as f64 / all;
    let once = frequencies.iter().filter(|count| **count == 1).count() as f64 / all;
    assert!(
        (0.25..0.6).contains(&head),
        "share of the most frequent 5 % of queries: {head}"
    );
    assert!(
        (0.05..0.3).contains(&once),
        "share of queries asked once: {once}"
    );

    // Weekends are busier.
    let weekend = |day: i32| (day + 3).rem_euclid(7) >= 5;
    let mut by_day: HashMap<i32, f64> = HashMap::new();
    for event in &log.events {
        *by_day.entry(day_of(event.time_ms)).or_default() += 1.0;
    }
    let mean = |wanted: bool| {
        let days: Vec<f64> = by_day
            .iter()
            .filter(|(day, _)| weekend(**day) == wanted)
            .map(|(_, count)| *count)
            .collect();
        days.iter().sum::<f64>() / days.len() as f64
    };
    assert!(mean(true) > 1.1 * mean(false));
    assert_eq!(by_day.len(), 30);

    // Some purchases come days after their list.
    let mut shown: HashMap<u32, i64> = HashMap::new();
    for event in log
        .events
        .iter()
        .rev()
        .filter(|event| event.action == Action::Impression)
    {
        shown.insert(event.list, event.time_ms);
    }
    let late = log
        .events
        .iter()
        .filter(|event| event.action == Action::Purchase);
    let late = late
        .filter(|event| {
            shown
                .get(&event.list)
                .is_none_or(|time| event.time_ms - time > DAY_MS)
        })
        .count();
    assert!(
        (0.1..0.3).contains(&(late as f64 / purchases)),
        "{late} of {purchases} late"
    );
}

#[test]
fn impossible_shops_are_refused() {
    let refused = |settings: SyntheticShop, day: i32| {
        draw(&settings, day).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(
        refused(
            SyntheticShop {
                products: 5,
                ..SHOP
            },
            last_day()
        ),
        "a made-up shop needs at least 20 products, not 5"
    );
    assert_eq!(
        refused(SyntheticShop { events: 0, ..SHOP }, last_day()),
        "a made-up shop needs at least 100 events, not 0"
    );
    assert_eq!(
        refused(SHOP, 1000),
        "the made-up shop opened on 1972-10-02; the window begins on 1972-08-29"
    );
}

#[test]
fn small_shops_work_too() {
    for (products, events, days) in [(20, 100, 10), (200, 5000, 30)] {
        let settings = SyntheticShop {
            products,
            events,
            seed: 7,
            window_days: days,
        };
        let drawn = draw(&settings, last_day()).unwrap();
        assert_eq!(drawn.products.len(), products as usize);
        let days_with_events: HashSet<i32> = drawn
            .log
            .events
            .iter()
            .map(|event| day_of(event.time_ms))
            .collect();
        assert_eq!(days_with_events.len(), days as usize);
        assert!(
            drawn
                .log
                .events
                .iter()
                .any(|event| event.action == Action::Click)
        );
    }
}

/// A held-out list: what was asked, what was shown in order, and what came of each (0 nothing … 3
/// bought).
struct HeldOut {
    query: u32,
    items: Vec<(u32, u8)>,
}

fn ndcg(labels: &[u8]) -> Option<f64> {
    let dcg = |labels: &[u8]| -> f64 {
        let gain = |(place, label): (usize, &u8)| {
            f64::from((1 << label) - 1) / (place as f64 + 2.0).log2()
        };
        labels.iter().take(10).enumerate().map(gain).sum()
    };
    let mut ideal = labels.to_vec();
    ideal.sort_unstable_by(|a, b| b.cmp(a));
    let best = dcg(&ideal);
    (best > 0.0).then(|| dcg(labels) / best)
}

/// NDCG@10 of the order by falling `score(query, item, place)`.
fn mean_ndcg(lists: &[HeldOut], score: impl Fn(u32, u32, usize) -> f64) -> f64 {
    let each: Vec<f64> = lists
        .iter()
        .filter_map(|list| {
            let scored = list
                .items
                .iter()
                .enumerate()
                .map(|(place, (item, label))| (score(list.query, *item, place), *label));
            let mut scored: Vec<(f64, u8)> = scored.collect();
            scored.sort_by(|a, b| b.0.total_cmp(&a.0));
            ndcg(
                &scored
                    .into_iter()
                    .map(|(_, label)| label)
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    each.iter().sum::<f64>() / each.len() as f64
}

fn held_out(log: &EventLog, first: i32) -> Vec<HeldOut> {
    let mut labels: HashMap<(u32, u32), u8> = HashMap::new();
    for event in &log.events {
        let label = labels.entry((event.list, event.item)).or_default();
        *label = (*label).max(event.action as u8);
    }
    let mut lists: HashMap<u32, HeldOut> = HashMap::new();
    for event in log
        .events
        .iter()
        .filter(|event| event.action == Action::Impression)
    {
        if day_of(event.time_ms) >= first {
            let list = lists.entry(event.list).or_insert_with(|| HeldOut {
                query: event.query,
                items: vec![],
            });
            if list.items.len() < event.position as usize {
                list.items
                    .push((event.item, labels[&(event.list, event.item)]));
            }
        }
    }
    lists.into_values().collect()
}

/// Clicks and the clicks that positions let expect, by item and by query and item.
#[derive(Default)]
struct Counters {
    items: HashMap<u32, [f64; 2]>,
    pairs: HashMap<(u32, u32), [f64; 2]>,
}

impl Counters {
    fn before(log: &EventLog, day: i32) -> Self {
        let mut counters = Self::default();
        for event in log
            .events
            .iter()
            .filter(|event| day_of(event.time_ms) < day)
        {
            let add = match event.action {
                Action::Impression => [0.0, 0.15 / f64::from(event.position).sqrt()],
                Action::Click => [1.0, 0.0],
                Action::Candidate | Action::Cart | Action::Purchase => continue,
            };
            let pair = counters.pairs.entry((event.query, event.item)).or_default();
            for counter in [counters.items.entry(event.item).or_default(), pair] {
                counter[0] += add[0];
                counter[1] += add[1];
            }
        }
        counters
    }

    fn rate(&self, query: u32, item: u32) -> f64 {
        let smoothed = |counter: Option<&[f64; 2]>, weight: f64, prior: f64| {
            counter.map_or(prior, |[clicks, expected]| {
                (clicks + weight * prior) / (expected + weight)
            })
        };
        smoothed(
            self.pairs.get(&(query, item)),
            1.5,
            smoothed(self.items.get(&item), 2.0, 1.0),
        )
    }
}

fn words(text: &str) -> HashSet<String> {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .map(str::to_owned)
        .collect()
}

#[test]
fn text_and_counters_beat_text_alone_and_the_logged_order() {
    let Drawn {
        products,
        log,
        truth,
    } = drawn();
    let holdout = last_day() - 6;
    let lists = held_out(&log, holdout);
    let counters = Counters::before(&log, holdout);
    let titles: HashMap<&str, HashSet<String>> = products
        .iter()
        .map(|p| (p.id.as_str(), words(p.fields.title.as_deref().unwrap())))
        .collect();
    let ratings: HashMap<&str, f64> = products
        .iter()
        .map(|p| (p.id.as_str(), p.fields.rating.unwrap_or(3.9)))
        .collect();

    // Ties are broken by chance, not by the order in which the items were shown.
    let chance = |query: u32, item: u32| {
        f64::from(query.wrapping_mul(2_654_435_761) ^ item.wrapping_mul(2_246_822_519)) / 1e12
    };
    let text = |query: u32, item: u32| {
        let matched = words(log.queries.name(query))
            .intersection(&titles[log.items.name(item)])
            .count();
        matched as f64 + chance(query, item)
    };
    let random = mean_ndcg(&lists, |query, item, _| chance(query, item));
    let logged = mean_ndcg(&lists, |_, _, place| -(place as f64));
    let matching = mean_ndcg(&lists, |query, item, _| text(query, item));
    let learnable = mean_ndcg(&lists, |query, item, _| {
        text(query, item) + 0.5 * ratings[log.items.name(item)] + counters.rate(query, item).ln()
    });
    let true_order = mean_ndcg(&lists, |query, item, _| {
        truth
            .judge(log.queries.name(query), log.items.name(item))
            .unwrap()
            .relevance
    });

    let figures = format!("{random:.3} {matching:.3} {logged:.3} {learnable:.3} {true_order:.3}");
    assert!(
        random + 0.05 < matching && random + 0.05 < logged,
        "{figures}"
    );
    assert!(learnable > 1.15 * logged.max(matching), "{figures}");
    assert!(true_order > learnable, "{figures}");
}
