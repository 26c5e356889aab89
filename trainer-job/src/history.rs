//! What was known when: the counters that serving would have seen at the start of a day.
//!
//! Point in time by construction: days are added in order, and rows of a day are computed before
//! the day itself is added. No list can see its own day, nor anything later.

use std::collections::HashMap;

use searchop_model::counters::{
    Counters, ItemHistory, LONG_WINDOW_DAYS, Priors, SHORT_WINDOW_DAYS, Totals,
};

use crate::stage_a::{Day, DayCounts};

/// Counters of the windows that end with the newest day that was added.
pub struct History<'a> {
    counts: &'a DayCounts,
    items: Vec<ItemHistory>,
    query_items: HashMap<(u32, u32), Counters>,
    totals: Totals,
}

impl<'a> History<'a> {
    /// Nothing is known yet.
    pub fn new(counts: &'a DayCounts, items: u32) -> Self {
        Self {
            counts,
            items: vec![ItemHistory::default(); items as usize],
            query_items: HashMap::new(),
            totals: Totals::default(),
        }
    }

    /// Ends `day`: its counters are seen from now on, and the days that leave the windows are not.
    /// Days must be ended in order, each once.
    pub fn end_day(&mut self, day: i32) {
        let counts = self.counts;
        let leaving =
            |window: u32| counts.day(day - i32::try_from(window).expect("windows are short"));
        if let Some(today) = counts.day(day) {
            self.add(today);
        }
        if let Some(gone) = leaving(SHORT_WINDOW_DAYS) {
            for (item, counters) in &gone.items {
                self.items[*item as usize].short -= *counters;
            }
        }
        if let Some(gone) = leaving(LONG_WINDOW_DAYS) {
            self.subtract(gone);
        }
    }

    fn add(&mut self, day: &Day) {
        for (item, counters) in &day.items {
            let history = &mut self.items[*item as usize];
            history.short += *counters;
            history.long += *counters;
        }
        for (key, counters) in &day.query_items {
            *self.query_items.entry(*key).or_default() += *counters;
        }
        combine(&mut self.totals, &day.totals, u64::checked_add);
    }

    fn subtract(&mut self, day: &Day) {
        for (item, counters) in &day.items {
            self.items[*item as usize].long -= *counters;
        }
        for (key, counters) in &day.query_items {
            if let Some(sum) = self.query_items.get_mut(key) {
                *sum -= *counters;
                if sum.is_zero() {
                    self.query_items.remove(key);
                }
            }
        }
        combine(&mut self.totals, &day.totals, u64::checked_sub);
    }

    /// `None` for an item that the catalogue does not have.
    pub fn item(&self, item: u32) -> Option<&ItemHistory> {
        self.items.get(item as usize)
    }

    pub fn query_item(&self, key: u32, item: u32) -> Option<&Counters> {
        self.query_items.get(&(key, item))
    }

    /// Every pair that was seen, in no order.
    pub fn query_items(&self) -> impl Iterator<Item = (&(u32, u32), &Counters)> {
        self.query_items.iter()
    }

    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// From the same windows as everything else.
    pub fn priors(&self) -> Priors {
        Priors::from_totals(&self.totals)
    }
}

fn combine(totals: &mut Totals, day: &Totals, op: fn(u64, u64) -> Option<u64>) {
    let apply = |own: &mut u64, other: u64| {
        *own = op(*own, other).expect("only what was added is taken away")
    };
    for (own, other) in totals.impressions.iter_mut().zip(day.impressions) {
        apply(own, other);
    }
    for (own, other) in totals.clicks.iter_mut().zip(day.clicks) {
        apply(own, other);
    }
    apply(&mut totals.carts, day.carts);
    apply(&mut totals.purchases, day.purchases);
}
