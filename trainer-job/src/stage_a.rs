//! Stage A: integer counters by day. They only add, so any engine can compute them in any order and
//! a later retrain can reuse a day that was counted before. An event counts on the day on which it
//! arrived, not on the day of the list it belongs to: that is when serving could have known it.

use std::collections::BTreeMap;

use polars::prelude::*;
use searchop_model::counters::{Counters, POSITION_BUCKETS, Totals, position_bucket};

use crate::traffic::Traffic;

/// One aggregation: sums of [`COUNTERS`] over these keys.
struct AggSpec {
    keys: &'static [&'static str],
    /// Rankers look up by item, and serving knows the catalogue's items alone.
    known_items_only: bool,
}

const ITEMS: AggSpec = AggSpec {
    keys: &["day", "item", "bucket"],
    known_items_only: true,
};
const QUERY_ITEMS: AggSpec = AggSpec {
    keys: &["day", "query", "item", "bucket"],
    known_items_only: true,
};
const TOTALS: AggSpec = AggSpec {
    keys: &["day", "bucket"],
    known_items_only: false,
};

/// The counters, by the number of the action they count.
const COUNTERS: [&str; 4] = ["impressions", "clicks", "carts", "purchases"];

/// What happened on each day.
pub struct DayCounts {
    days: BTreeMap<i32, Day>,
}

/// What happened on one day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Day {
    /// By item, ascending.
    pub items: Vec<(u32, Counters)>,
    /// By (query key, item), ascending.
    pub query_items: Vec<((u32, u32), Counters)>,
    pub totals: Totals,
}

impl DayCounts {
    pub fn count(traffic: &Traffic) -> PolarsResult<Self> {
        let events = frame(traffic)?;
        let mut days: BTreeMap<i32, Day> = BTreeMap::new();
        let items = ITEMS.run(&events)?;
        for row in Counted::rows(&items, &["item"])? {
            merge(
                &mut days.entry(row.day).or_default().items,
                row.keys[0],
                row.counters(),
            );
        }
        let query_items = QUERY_ITEMS.run(&events)?;
        for row in Counted::rows(&query_items, &["query", "item"])? {
            let key = (row.keys[0], row.keys[1]);
            merge(
                &mut days.entry(row.day).or_default().query_items,
                key,
                row.counters(),
            );
        }
        for row in Counted::rows(&TOTALS.run(&events)?, &[])? {
            row.add_to(&mut days.entry(row.day).or_default().totals);
        }
        Ok(Self { days })
    }

    /// `None` for a day without events.
    pub fn day(&self, day: i32) -> Option<&Day> {
        self.days.get(&day)
    }
}

impl AggSpec {
    fn run(&self, events: &LazyFrame) -> PolarsResult<DataFrame> {
        let keys: Vec<Expr> = self.keys.iter().map(|key| col(*key)).collect();
        let count = |(action, name): (usize, &&str)| {
            col("action")
                .eq(lit(action as i32))
                .sum()
                .cast(DataType::UInt32)
                .alias(*name)
        };
        let counters: Vec<Expr> = COUNTERS.iter().enumerate().map(count).collect();
        let events = if self.known_items_only {
            events.clone().filter(col("known"))
        } else {
            events.clone()
        };
        events
            .group_by(keys)
            .agg(counters)
            .sort(self.keys.to_vec(), SortMultipleOptions::default())
            .collect()
    }
}

fn frame(traffic: &Traffic) -> PolarsResult<LazyFrame> {
    let events = &traffic.events;
    let numbers = |name: &str, of: &dyn Fn(&crate::traffic::Event) -> u32| -> Column {
        Column::new(name.into(), events.iter().map(of).collect::<Vec<u32>>())
    };
    let columns = vec![
        Column::new(
            "day".into(),
            events.iter().map(|event| event.day).collect::<Vec<_>>(),
        ),
        Column::new(
            "action".into(),
            events
                .iter()
                .map(|event| i32::from(event.action))
                .collect::<Vec<_>>(),
        ),
        Column::new(
            "known".into(),
            events
                .iter()
                .map(|event| traffic.knows(event.item))
                .collect::<Vec<_>>(),
        ),
        numbers("item", &|event| event.item),
        numbers("query", &|event| traffic.queries[event.query as usize].key),
        numbers("bucket", &|event| position_bucket(event.position) as u32),
    ];
    Ok(DataFrame::new(events.len(), columns)?.lazy())
}

/// A row of an aggregation.
struct Counted {
    day: i32,
    keys: Vec<u32>,
    bucket: usize,
    counts: [u32; 4],
}

impl Counted {
    fn rows(frame: &DataFrame, keys: &[&str]) -> PolarsResult<Vec<Self>> {
        let day = frame.column("day")?.i32()?;
        let bucket = frame.column("bucket")?.u32()?;
        let numbers = |names: &[&str]| -> PolarsResult<Vec<UInt32Chunked>> {
            names
                .iter()
                .map(|name| Ok(frame.column(name)?.u32()?.clone()))
                .collect()
        };
        let (keys, counters) = (numbers(keys)?, numbers(&COUNTERS)?);
        let row = |index: usize| Self {
            day: day.get(index).expect("a group has a day"),
            keys: keys
                .iter()
                .map(|key| key.get(index).expect("a group has its keys"))
                .collect(),
            bucket: bucket.get(index).expect("a group has a bucket") as usize,
            counts: std::array::from_fn(|counter| counters[counter].get(index).unwrap_or(0)),
        };
        Ok((0..frame.height()).map(row).collect())
    }

    fn counters(&self) -> Counters {
        let [shown, clicks, carts, purchases] = self.counts;
        let mut impressions = [0; POSITION_BUCKETS];
        impressions[self.bucket] = shown;
        Counters {
            impressions,
            clicks,
            carts,
            purchases,
        }
    }

    fn add_to(&self, totals: &mut Totals) {
        let [shown, clicks, carts, purchases] = self.counts.map(u64::from);
        totals.impressions[self.bucket] += shown;
        totals.clicks[self.bucket] += clicks;
        totals.carts += carts;
        totals.purchases += purchases;
    }
}

/// Adds to the last entry where the key is the same; rows come in ascending order of keys.
fn merge<K: PartialEq>(counts: &mut Vec<(K, Counters)>, key: K, counters: Counters) {
    match counts.last_mut() {
        Some((last, sum)) if *last == key => *sum += counters,
        _ => counts.push((key, counters)),
    }
}
