//! Decides which events count. Every event that is left out is counted by its reason.
//!
//! Every rule looks at one list or at one client's day, so counters built day by day stay valid
//! when the window moves.

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    fmt,
    hash::Hash,
};

use serde::{Deserialize, Serialize};

use super::{Action, DAY_MS, Event, EventLog, Window, day_of};

/// A client is a bot for a day on which it clicks more than `clicks` times within `within_ms`:
/// nobody reads a product page every two seconds for a minute. Its events of that day are left out.
const BOT: BotRule = BotRule {
    clicks: 30,
    within_ms: 60_000,
};

struct BotRule {
    clicks: usize,
    within_ms: i64,
}

/// The same event again within this time is the same event: double clicks, retried deliveries.
const DUPLICATE_MS: i64 = 1000;

/// Carts and purchases this long after the list still count for it; later ones have other causes.
const LATE_DAYS: i64 = 7;

/// What was left out, and what was put up with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cleaning {
    /// Events read.
    pub read: u64,
    /// Events that are used.
    pub kept: u64,
    /// Left out: actions other than impression, click, add_to_cart and purchase.
    pub other_actions: u64,
    /// Left out: no list or no item named.
    pub incomplete: u64,
    /// Left out: before the window, or on a day that is not complete.
    pub outside_window: u64,
    /// Left out: clients with implausible rates.
    pub bots: u64,
    /// Left out: repeated within a second.
    pub duplicates: u64,
    /// Left out: no event of the list says what was asked for.
    pub without_query: u64,
    /// Left out: the list never showed the item, or only later.
    pub orphans: u64,
    /// Left out: more than a week after the list.
    pub too_late: u64,
    /// Left out: of lists that were not in order of relevance.
    pub sorted: u64,
    /// Left out: of items that paid for their place in the list.
    pub sponsored: u64,
    /// Kept: times without offset, read as UTC.
    pub times_without_offset: u64,
    /// Kept: the catalogue does not have the item.
    pub unknown_items: u64,
}

impl Cleaning {
    /// All events left out.
    pub fn dropped(&self) -> u64 {
        self.read - self.kept
    }

    fn reasons(&self) -> [(u64, &'static str); 10] {
        [
            (self.outside_window, "outside the window"),
            (self.bots, "of bots"),
            (self.duplicates, "duplicates"),
            (self.sorted, "of lists sorted by something else"),
            (self.sponsored, "sponsored"),
            (self.orphans, "without an impression"),
            (self.too_late, "too late for their list"),
            (self.without_query, "without a query"),
            (self.incomplete, "without list or item"),
            (self.other_actions, "other actions"),
        ]
    }
}

impl fmt::Display for Cleaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} events kept", self.kept, self.read)?;
        let reasons: Vec<String> = self
            .reasons()
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, reason)| format!("{count} {reason}"))
            .collect();
        if reasons.is_empty() {
            Ok(())
        } else {
            write!(f, "; left out: {}", reasons.join(", "))
        }
    }
}

/// A result list: what was asked, and when it was first shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    pub query: u32,
    pub shown_ms: i64,
}

/// Leaves the events that count in `log`, ordered by time (then by names, so that the order of
/// the files does not matter), and returns what is known of their lists.
pub fn clean(log: &mut EventLog, window: Window, cleaning: &mut Cleaning) -> HashMap<u32, List> {
    drop_where(&mut log.events, &mut cleaning.outside_window, |event| {
        !window.contains(day_of(event.time_ms))
    });
    sort(log);

    let no_client = log.clients.number("");
    let bots = bots(&log.events, no_client);
    drop_where(&mut log.events, &mut cleaning.bots, |event| {
        bots.contains(&(event.client, day_of(event.time_ms)))
    });

    let mut seen = HashMap::new();
    drop_where(&mut log.events, &mut cleaning.duplicates, |event| {
        repeated(&mut seen, event)
    });

    // One event that says so is enough: many logs say it on the impressions only.
    let sorted: HashSet<u32> = marked(&log.events, |event| event.sorted.then_some(event.list));
    drop_where(&mut log.events, &mut cleaning.sorted, |event| {
        sorted.contains(&event.list)
    });
    let sponsored: HashSet<(u32, u32)> = marked(&log.events, |event| {
        event.sponsored.then_some((event.list, event.item))
    });
    drop_where(&mut log.events, &mut cleaning.sponsored, |event| {
        sponsored.contains(&(event.list, event.item))
    });

    let lists = lists(log);
    drop_where(&mut log.events, &mut cleaning.without_query, |event| {
        event.action == Action::Impression && !lists.contains_key(&event.list)
    });
    join(&mut log.events, &lists, cleaning);
    cleaning.kept = log.events.len() as u64;
    lists
}

fn marked<K: Eq + Hash>(events: &[Event], mark: impl Fn(&Event) -> Option<K>) -> HashSet<K> {
    events.iter().filter_map(mark).collect()
}

fn drop_where(events: &mut Vec<Event>, count: &mut u64, mut unwanted: impl FnMut(&Event) -> bool) {
    let before = events.len();
    events.retain(|event| !unwanted(event));
    *count += (before - events.len()) as u64;
}

fn sort(log: &mut EventLog) {
    let (lists, items, clients) = (log.lists.ranks(), log.items.ranks(), log.clients.ranks());
    let queries = log.queries.ranks();
    log.events.sort_unstable_by_key(|event| {
        (
            event.time_ms,
            lists[event.list as usize],
            event.action,
            event.position,
            items[event.item as usize],
            clients[event.client as usize],
            queries[event.query as usize],
        )
    });
}

/// Clients with the days on which they are bots; `events` are in order of time.
fn bots(events: &[Event], no_client: u32) -> HashSet<(u32, i32)> {
    let mut recent: HashMap<(u32, i32), VecDeque<i64>> = HashMap::new();
    let mut bots = HashSet::new();
    for event in events
        .iter()
        .filter(|event| event.action == Action::Click && event.client != no_client)
    {
        let key = (event.client, day_of(event.time_ms));
        let clicks = recent.entry(key).or_default();
        clicks.push_back(event.time_ms);
        while clicks
            .front()
            .is_some_and(|first| event.time_ms - first > BOT.within_ms)
        {
            clicks.pop_front();
        }
        if clicks.len() > BOT.clicks {
            bots.insert(key);
        }
    }
    bots
}

/// Whether the event was seen within the last second; every sight counts, so a burst is one event.
fn repeated(seen: &mut HashMap<(u32, u32, Action, i32), i64>, event: &Event) -> bool {
    let key = (event.list, event.item, event.action, event.position);
    match seen.insert(key, event.time_ms) {
        Some(last) => event.time_ms - last <= DUPLICATE_MS,
        None => false,
    }
}

/// Lists with a query and at least one impression. A list's query is the first that any of its
/// events names: many logs name it on the impressions only.
fn lists(log: &EventLog) -> HashMap<u32, List> {
    let mut queries: HashMap<u32, u32> = HashMap::new();
    for event in log
        .events
        .iter()
        .filter(|event| !log.queries.name(event.query).is_empty())
    {
        queries.entry(event.list).or_insert(event.query);
    }
    let mut lists = HashMap::new();
    for event in log
        .events
        .iter()
        .filter(|event| event.action == Action::Impression)
    {
        if let (Some(query), Entry::Vacant(list)) =
            (queries.get(&event.list), lists.entry(event.list))
        {
            list.insert(List {
                query: *query,
                shown_ms: event.time_ms,
            });
        }
    }
    lists
}

/// Leaves out what a list cannot have caused, and gives every event its list's query.
fn join(events: &mut Vec<Event>, lists: &HashMap<u32, List>, cleaning: &mut Cleaning) {
    let mut shown: HashSet<(u32, u32)> = HashSet::new();
    events.retain_mut(|event| {
        // In order of time, so an impression that comes later is not there yet.
        if event.action == Action::Impression {
            shown.insert((event.list, event.item));
        }
        match lists.get(&event.list) {
            Some(list)
                if event.action == Action::Candidate
                    || shown.contains(&(event.list, event.item)) =>
            {
                event.query = list.query;
                let late = event.time_ms - list.shown_ms > LATE_DAYS * DAY_MS;
                cleaning.too_late += u64::from(late);
                !late
            }
            _ => {
                cleaning.orphans += 1;
                false
            }
        }
    });
}

#[cfg(test)]
mod tests;
