//! A large made-up shop: the trainer draws its products, this its history.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
};

use jiff::{civil::Date, tz::TimeZone};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use searchop_model::{
    counters::{Counters, ItemHistory, Totals},
    item::ItemFields,
    tables::{ItemRow, QueryItemRow, TableRows},
    text::Analyzer,
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{Failure, process::trainer};

/// The shop as it stands on this day, so that a run next month measures the same.
pub const AS_OF: &str = "2026-11-20T00:00:00Z";
/// Products that have been shown under a query.
const SHOWN_UNDER_A_QUERY: usize = 50;

/// Random numbers that are the same in every run.
pub struct Draw(ChaCha8Rng);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in 0..count.
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.0.next_u64()) * count as u128) >> 64) as usize
    }
}

/// A line of `catalog.ndjson`.
#[derive(Deserialize)]
struct Product {
    product_id: String,
    #[serde(flatten)]
    fields: ItemFields,
    added_date: Option<Date>,
}

/// A line of `events.ndjson`.
#[derive(Deserialize)]
struct Event {
    query_id: String,
    user_query: String,
}

/// Has the trainer draw a shop into `folder`.
pub fn draw_shop(folder: &Path, products: u32, events: u32) -> Result<(), Failure> {
    trainer("generate", |command| {
        command
            .args(["--format", "ndjson", "--as-of", AS_OF])
            .args(["--products", &products.to_string()])
            .args(["--events", &events.to_string()])
            .arg("--out")
            .arg(folder);
    })
}

/// The catalogue of a drawn shop.
pub fn items(folder: &Path) -> Result<Vec<ItemRow>, Failure> {
    let row = |product: Product| -> Result<ItemRow, Failure> {
        let added = product
            .added_date
            .map(|date| date.to_zoned(TimeZone::UTC))
            .transpose()?;
        let fields = ItemFields {
            added_time: added.map(|midnight| midnight.timestamp().as_second()),
            ..product.fields
        };
        Ok(ItemRow {
            id: product.product_id,
            fields: fields.single(),
            history: ItemHistory::default(),
        })
    };
    lines(&folder.join("catalog.ndjson"))?
        .into_iter()
        .map(row)
        .collect()
}

/// The searches of a drawn shop's log, in order.
pub fn searches(folder: &Path) -> Result<Vec<String>, Failure> {
    let events: Vec<Event> = lines(&folder.join("events.ndjson"))?;
    let mut seen = BTreeSet::new();
    let first = events
        .into_iter()
        .filter(|event| seen.insert(event.query_id.clone()));
    Ok(first.map(|event| event.user_query).collect())
}

fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, Failure> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut rows = Vec::new();
    for line in BufReader::new(file).lines() {
        rows.push(serde_json::from_str(&line?)?);
    }
    Ok(rows)
}

/// The rows of tables over `items`, most of which have been shown, and some under `searches`.
pub fn table_rows(mut items: Vec<ItemRow>, searches: &[String]) -> Result<TableRows, Failure> {
    let mut draw = Draw::new(1);
    let mut totals = Totals::default();
    for item in &mut items {
        if draw.unit() < 0.8 {
            item.history = history(&mut draw);
            add(&mut totals, &item.history.long);
        }
    }
    let analyzer = Analyzer::english();
    let keys: BTreeSet<String> = searches
        .iter()
        .map(|search| analyzer.query_key(search))
        .collect();
    let mut query_items = Vec::new();
    for query in keys {
        let shown: BTreeSet<usize> = (0..SHOWN_UNDER_A_QUERY)
            .map(|_| draw.below(items.len()))
            .collect();
        query_items.extend(shown.into_iter().map(|index| QueryItemRow {
            query: query.clone(),
            item: items[index].id.clone(),
            counters: counters(&mut draw, 40.0),
        }));
    }
    query_items.sort_by(|a, b| (&a.query, &a.item).cmp(&(&b.query, &b.item)));
    Ok(TableRows {
        model: "products".to_owned(),
        tables_time: AS_OF.parse()?,
        items,
        query_items,
        totals,
    })
}

/// A long tail: most items are shown seldom, a few very often.
fn history(draw: &mut Draw) -> ItemHistory {
    let impressions = (10.0 / (1.0 - draw.unit())).min(1e5);
    let short = counters(draw, impressions / 4.0);
    let rest = counters(draw, impressions);
    let long = short
        .checked_add(rest)
        .expect("a hundred thousand impressions do not overflow");
    ItemHistory { short, long }
}

fn counters(draw: &mut Draw, impressions: f64) -> Counters {
    let mut counters = Counters::default();
    for (bucket, shown) in counters.impressions.iter_mut().enumerate() {
        *shown = (impressions * draw.unit() / (bucket + 1) as f64) as u32;
    }
    let mut share = |of: f64, rate: f64| (of * rate * 2.0 * draw.unit()) as u32;
    counters.clicks = share(impressions, 0.05);
    counters.carts = share(counters.clicks.into(), 0.2);
    counters.purchases = share(counters.carts.into(), 0.5);
    counters
}

fn add(totals: &mut Totals, counters: &Counters) {
    for (total, shown) in totals.impressions.iter_mut().zip(counters.impressions) {
        *total += u64::from(shown);
    }
    totals.clicks[0] += u64::from(counters.clicks);
    totals.carts += u64::from(counters.carts);
    totals.purchases += u64::from(counters.purchases);
}
