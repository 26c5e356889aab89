//! A made-up shop, for trying things out and for tests that know the truth.
//!
//! Each product is drawn from (seed, number) and each day from (seed, day), in arithmetic that is
//! the same on every machine. So the shop lives on: tomorrow adds a day and changes nothing else.

mod assortment;
mod draw;
mod engine;
mod files;
mod generate;
mod queries;
mod visits;
mod vocabulary;

use std::collections::{BTreeMap, HashMap, HashSet};

use searchop_contract::SyntheticShop;

use assortment::{Assortment, OPENING_DAY};
use engine::Engine;
use queries::{Intent, Population};
use visits::{LATE_DAYS, Visitors};

pub use files::{FileFormat, write};
pub use generate::{GenerateArgs, Generated, generate};

use crate::{
    data::{Action, EventLog, NamedEvent, Product, Window, date, day_of},
    error::TrainError,
};

/// A window of the shop's life.
pub struct Drawn {
    /// The catalogue at the end of the window, oldest product first.
    pub products: Vec<Product>,
    /// The click log of the window, in order of time.
    pub log: EventLog,
    /// What nobody outside can know.
    pub truth: Truth,
}

/// The shop's hidden side: what was meant by each query, and how good each product is.
pub struct Truth {
    intents: HashMap<String, Intent>,
    items: HashMap<String, assortment::Item>,
}

/// A judge's grade.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgment {
    pub query: String,
    pub item: String,
    /// 0 (not at all) to 3 (just right).
    pub grade: u8,
    /// What the grade was cut from, in (0, 1].
    pub relevance: f64,
}

impl Truth {
    /// True relevance of an item for a query in (0, 1]; `None` where the shop never saw either.
    pub fn judge(&self, query: &str, item: &str) -> Option<Judgment> {
        let (grade, relevance) = queries::grade(self.intents.get(query)?, self.items.get(item)?);
        Some(Judgment {
            query: query.to_owned(),
            item: item.to_owned(),
            grade,
            relevance,
        })
    }

    /// Grades of every item that was shown for a query, ordered by query and item.
    pub fn judgments(&self, log: &EventLog) -> Vec<Judgment> {
        let shown: HashSet<(u32, u32)> = log
            .events
            .iter()
            .filter(|event| event.action == Action::Impression)
            .map(|event| (event.query, event.item))
            .collect();
        let mut judgments: Vec<Judgment> = shown
            .into_iter()
            .filter_map(|(query, item)| self.judge(log.queries.name(query), log.items.name(item)))
            .collect();
        judgments.sort_unstable_by(|a, b| (&a.query, &a.item).cmp(&(&b.query, &b.item)));
        judgments
    }
}

/// Draws the window of `settings` that ends with `last_day`.
pub fn draw(settings: &SyntheticShop, last_day: i32) -> Result<Drawn, TrainError> {
    let window = Window::ending(last_day, settings.window_days);
    check(settings, window)?;
    let shop = Assortment {
        seed: settings.seed,
        products: settings.products,
    };
    // Purchases of the first days come from lists before the window.
    let first = window.first_day - LATE_DAYS;
    let engine = Engine::new(shop, shop.listed(first).start..shop.listed(last_day).end);
    let population = Population::new(shop);
    let events_a_day = f64::from(settings.events) / f64::from(settings.window_days);
    let visitors = Visitors::new(shop, &engine, &population, events_a_day);

    let mut days = Days {
        window,
        log: EventLog::default(),
        arrivals: BTreeMap::new(),
        intents: HashMap::new(),
    };
    for day in first..=last_day {
        days.add(visitors.day(day), &engine);
        days.close(day);
    }
    let listed = shop.listed(last_day);
    let products = engine
        .items
        .iter()
        .filter(|item| listed.contains(&item.number))
        .map(|item| shop.product(item, last_day))
        .collect();
    let Days { log, intents, .. } = days;
    let items = engine
        .items
        .into_iter()
        .map(|item| (item.id.clone(), item))
        .collect();
    Ok(Drawn {
        products,
        log,
        truth: Truth { intents, items },
    })
}

fn check(settings: &SyntheticShop, window: Window) -> Result<(), TrainError> {
    let least = |name: &str, value: u32, least: u32| match value >= least {
        true => Ok(()),
        false => Err(TrainError::config(format!(
            "a made-up shop needs at least {least} {name}, not {value}"
        ))),
    };
    least("products", settings.products, 20)?;
    least("events", settings.events, 100)?;
    least("days", settings.window_days, 2)?;
    let earliest = OPENING_DAY + LATE_DAYS;
    if window.first_day < earliest {
        return Err(TrainError::config(format!(
            "the made-up shop opened on {}; the window begins on {}",
            date(earliest),
            date(window.first_day.max(-700_000))
        )));
    }
    Ok(())
}

/// Lists as they were shown become events as they arrive.
struct Days {
    window: Window,
    log: EventLog,
    /// Events by the day on which they arrive.
    arrivals: BTreeMap<i32, EventLog>,
    intents: HashMap<String, Intent>,
}

impl Days {
    fn add(&mut self, visits: Vec<visits::Visit>, engine: &Engine) {
        for visit in visits {
            for event in &visit.events {
                let day = day_of(event.time_ms);
                if !self.window.contains(day) {
                    continue;
                }
                self.arrivals.entry(day).or_default().push(NamedEvent {
                    action: event.action,
                    time_ms: event.time_ms,
                    list: &format!("q-{:016x}", event.list),
                    query: &visit.query.text,
                    client: &visit.client,
                    item: &engine.items[event.item].id,
                    position: event.position,
                    sponsored: false,
                    sorted: false,
                });
            }
            self.intents
                .entry(visit.query.text)
                .or_insert(visit.query.intent);
        }
    }

    /// No more events can arrive on `day`.
    fn close(&mut self, day: i32) {
        let Some(mut arrived) = self.arrivals.remove(&day) else {
            return;
        };
        // Stable: events of one instant stay in the order in which they were drawn.
        arrived.events.sort_by_key(|event| event.time_ms);
        for event in &arrived.events {
            self.log.push(arrived.named(event));
        }
    }
}
