//! The click log in memory: one small row an event, names kept once.

use std::{collections::HashMap, sync::Arc};

use super::declared::LoggedValues;

/// Milliseconds of a UTC day.
pub const DAY_MS: i64 = 86_400_000;

/// UTC day number (days since 1970-01-01) of an instant.
pub fn day_of(time_ms: i64) -> i32 {
    i32::try_from(time_ms.div_euclid(DAY_MS))
        .expect("times are checked to lie within years 0 to 9999")
}

/// What happened to an item of a result list; the number is the label that training starts from.
/// Candidates were found by the engine and not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum Action {
    Candidate = -1,
    Impression = 0,
    Click = 1,
    Cart = 2,
    Purchase = 3,
}

impl Action {
    /// UBI's name of the action; `candidate` is our own, as UBI has none for it.
    pub fn ubi_name(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Impression => "impression",
            Self::Click => "click",
            Self::Cart => "add_to_cart",
            Self::Purchase => "purchase",
        }
    }

    /// `None` for actions that say nothing about a list (`view`, `watch`, free text).
    pub fn from_ubi_name(name: &str) -> Option<Self> {
        [
            Self::Impression,
            Self::Click,
            Self::Cart,
            Self::Purchase,
            Self::Candidate,
        ]
        .into_iter()
        .find(|action| action.ubi_name() == name)
    }
}

/// One event; the numbers are places in the log's name tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub time_ms: i64,
    pub list: u32,
    pub query: u32,
    pub client: u32,
    pub item: u32,
    /// 1-based; 0 where unknown.
    pub position: i32,
    pub action: Action,
    /// The place was paid for.
    pub sponsored: bool,
    /// The list was in another order than that of relevance, such as by price.
    pub sorted: bool,
}

/// An event with its names spelled out.
#[derive(Clone, Copy, Debug)]
pub struct NamedEvent<'a> {
    pub action: Action,
    pub time_ms: i64,
    pub list: &'a str,
    /// Empty where the event does not say.
    pub query: &'a str,
    /// Empty where the event does not say.
    pub client: &'a str,
    pub item: &'a str,
    /// 1-based; 0 where unknown.
    pub position: i32,
    /// The place was paid for.
    pub sponsored: bool,
    /// The list was in another order than that of relevance, such as by price.
    pub sorted: bool,
}

/// Distinct names, numbered in order of first sight.
#[derive(Clone, Debug, Default)]
pub struct Names {
    numbers: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

impl Names {
    pub fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("fewer than 4 billion distinct names");
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }

    pub fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Place of every name in alphabetical order, so that sorting by name does not depend on the
    /// order in which files were read.
    pub fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.names.len() as u32).collect();
        order.sort_unstable_by(|a, b| self.name(*a).cmp(self.name(*b)));
        let mut ranks = vec![0; order.len()];
        for (rank, number) in order.into_iter().enumerate() {
            ranks[number as usize] = rank as u32;
        }
        ranks
    }
}

/// All events, in any order.
#[derive(Clone, Debug, Default)]
pub struct EventLog {
    pub lists: Names,
    pub queries: Names,
    pub clients: Names,
    pub items: Names,
    pub events: Vec<Event>,
    /// Values of declared features.
    pub declared: LoggedValues,
}

impl EventLog {
    pub fn push(&mut self, event: NamedEvent<'_>) {
        self.events.push(Event {
            time_ms: event.time_ms,
            list: self.lists.number(event.list),
            query: self.queries.number(event.query),
            client: self.clients.number(event.client),
            item: self.items.number(event.item),
            position: event.position,
            action: event.action,
            sponsored: event.sponsored,
            sorted: event.sorted,
        });
    }

    pub fn named(&self, event: &Event) -> NamedEvent<'_> {
        NamedEvent {
            action: event.action,
            time_ms: event.time_ms,
            list: self.lists.name(event.list),
            query: self.queries.name(event.query),
            client: self.clients.name(event.client),
            item: self.items.name(event.item),
            position: event.position,
            sponsored: event.sponsored,
            sorted: event.sorted,
        }
    }
}
