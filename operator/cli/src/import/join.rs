//! Joins what was done with an item to the list that showed it, and never to a later one.
//!
//! All that can belong together lies in one group: the events of one client, or of one list where
//! the source names lists. Within a group,
//! - an action that names its list belongs to that list, if the list had shown the item by then;
//! - any other belongs to the list of its visit that showed the item last, if that is at most the
//!   join window ago;
//! - but a cart or purchase follows the newest click or cart on its item, for up to a week.
//!
//! A list belongs to the search before it. Lists that are no search results (no query, another
//! kind of list, filtered by the shopper) take part, so that their clicks are not given to an
//! older list, and are left out at the end.

use std::collections::HashMap;

use searchop_contract::Digest;

use super::{
    counts::{Counts, LeftOut, Orphan},
    event::{Action, ShownItem, ShownList, SourceEvent, UbiEvent, UbiQuery, What},
};

/// Carts and purchases this long after the list still count for it: the trainer's own limit.
const ATTRIBUTION_MS: i64 = 7 * 86_400_000;

/// What belongs together.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Prefix of the lists' names where the source has none.
    pub source: &'static str,
    /// From a search to its list, and from a list to what is done with its items.
    pub window_ms: i64,
    /// Lists that are search results, by id or name; all where empty.
    pub lists: Vec<String>,
}

/// What a group becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// In order of time.
    pub events: Vec<UbiEvent>,
    pub queries: Vec<UbiQuery>,
}

/// Joins the events of one group, which are in their own order and distinct.
pub fn join(group: &[SourceEvent], rules: &Rules, counts: &mut Counts) -> Joined {
    let mut state = Group::new(group, rules);
    for event in group {
        match &event.what {
            What::Search { .. } => counts.searches += 1,
            What::List(shown) => state.list(event, shown, counts),
            What::Act { action, item } => {
                let orphan = state.act(event, (*action, item)).err();
                counts.act(*action, orphan);
            }
        }
    }
    state.finish()
}

struct Search<'g> {
    time_ms: i64,
    session: &'g str,
    query: &'g str,
    page: Option<&'g str>,
}

/// What makes two events parts of one list.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key<'g> {
    Named(&'g str),
    /// Number of the search, name of the list.
    Search(usize, Option<&'g str>),
    /// Session, query, name of the list.
    Query(&'g str, &'g str, Option<&'g str>),
}

struct List<'g> {
    id: String,
    client: &'g str,
    query: &'g str,
    left_out: Option<LeftOut>,
    first_ms: i64,
    last_ms: i64,
    shown: HashMap<&'g str, Shown>,
    /// Which item is at a position.
    places: HashMap<u32, &'g str>,
}

struct Shown {
    first_ms: i64,
    position: u32,
}

struct Group<'g> {
    rules: &'g Rules,
    /// Of lists that do not say theirs.
    client: &'g str,
    searches: Vec<Search<'g>>,
    lists: Vec<List<'g>>,
    by_key: HashMap<Key<'g>, usize>,
    /// The list that showed an item last, and when, by session and item.
    newest: HashMap<(&'g str, &'g str), (usize, i64)>,
    /// The list from which an item was last clicked or put in a cart.
    touched: HashMap<&'g str, usize>,
    events: Vec<UbiEvent>,
}

impl<'g> Group<'g> {
    fn new(group: &'g [SourceEvent], rules: &'g Rules) -> Self {
        let searches = group.iter().filter_map(|event| match &event.what {
            What::Search { query, page } => Some(Search {
                time_ms: event.time_ms,
                session: &event.session,
                query,
                page: page.as_deref(),
            }),
            _ => None,
        });
        let clients = group.iter().map(|event| event.client.as_str());
        Self {
            rules,
            client: clients
                .clone()
                .find(|client| !client.is_empty())
                .unwrap_or_default(),
            searches: searches.collect(),
            lists: Vec::new(),
            by_key: HashMap::new(),
            newest: HashMap::new(),
            touched: HashMap::new(),
            events: Vec::new(),
        }
    }

    fn list(&mut self, event: &'g SourceEvent, shown: &'g ShownList, counts: &mut Counts) {
        let search = self.search_of(event, shown);
        let query = match (&shown.query, search) {
            (Some(query), _) => Some(query.as_str()),
            (None, Some(search)) => Some(self.searches[search].query),
            (None, None) => None,
        };
        let left_out = self.left_out(shown, query);
        counts.list(shown.name.as_deref(), left_out);
        let name = shown.name.as_deref();
        let key = match (&event.list_id, left_out, search, query) {
            (Some(id), ..) => Some(Key::Named(id)),
            (None, None, Some(search), _) => Some(Key::Search(search, name)),
            (None, None, None, Some(query)) => Some(Key::Query(&event.session, query, name)),
            _ => None,
        };
        let known = key.and_then(|key| self.part_of(key, event, shown));
        let list = known.unwrap_or_else(|| self.open(event, query, left_out));
        if let Some(key) = key {
            self.by_key.insert(key, list);
        }
        for item in &shown.items {
            self.show(list, event, item, counts);
        }
    }

    fn left_out(&self, shown: &ShownList, query: Option<&str>) -> Option<LeftOut> {
        let wanted = &self.rules.lists;
        if !wanted.is_empty()
            && !shown
                .name
                .as_ref()
                .is_some_and(|name| wanted.contains(name))
        {
            Some(LeftOut::OtherList)
        } else if shown.refined {
            Some(LeftOut::Refined)
        } else if query.is_none() {
            Some(LeftOut::WithoutQuery)
        } else {
            None
        }
    }

    /// The newest search of the visit before the list, or where both say their page, of that page:
    /// pages often tell of the list first.
    fn search_of(&self, event: &SourceEvent, shown: &ShownList) -> Option<usize> {
        let (time, window) = (event.time_ms, self.rules.window_ms);
        let page = shown.page.as_deref();
        let fits = |search: &Search<'_>| {
            search.session == event.session
                && shown
                    .query
                    .as_deref()
                    .is_none_or(|query| query == search.query)
                && (page.is_none() || search.page.is_none() || search.page == page)
        };
        let after = self
            .searches
            .partition_point(|search| search.time_ms <= time);
        let before = (0..after)
            .rev()
            .take_while(|&at| time - self.searches[at].time_ms <= window)
            .find(|&at| fits(&self.searches[at]));
        let same_page = |search: &Search<'_>| page.is_some() && search.page == page;
        before.or_else(|| {
            (after..self.searches.len())
                .take_while(|&at| self.searches[at].time_ms - time <= window)
                .find(|&at| fits(&self.searches[at]) && same_page(&self.searches[at]))
        })
    }

    /// The list that the event continues. A place that another item has begins a new list, unless
    /// the source itself names the list: the next page counts from 1, or the order has changed.
    fn part_of(&self, key: Key<'g>, event: &SourceEvent, shown: &ShownList) -> Option<usize> {
        let place = *self.by_key.get(&key)?;
        let list = &self.lists[place];
        let moved = |item: &ShownItem| {
            let there = item
                .position
                .and_then(|position| list.places.get(&position));
            there.is_some_and(|there| *there != item.id)
        };
        let continues = match key {
            Key::Named(_) => true,
            _ => {
                event.time_ms - list.last_ms <= self.rules.window_ms
                    && !shown.items.iter().any(moved)
            }
        };
        continues.then_some(place)
    }

    fn open(
        &mut self,
        event: &'g SourceEvent,
        query: Option<&'g str>,
        left_out: Option<LeftOut>,
    ) -> usize {
        let (source, number, time) = (self.rules.source, self.lists.len(), event.time_ms);
        let client = Some(event.client.as_str()).filter(|client| !client.is_empty());
        let client = client.unwrap_or(self.client);
        let id = event.list_id.clone().unwrap_or_else(|| {
            let session = &event.session;
            let what = format!("{client}\n{session}\n{time}\n{number}\n{query:?}");
            format!("{source}-{}", &Digest::of(what.as_bytes()).hex()[..24])
        });
        self.lists.push(List {
            id,
            client,
            query: query.unwrap_or_default(),
            left_out,
            first_ms: time,
            last_ms: time,
            shown: HashMap::new(),
            places: HashMap::new(),
        });
        number
    }

    fn show(
        &mut self,
        place: usize,
        event: &'g SourceEvent,
        item: &'g ShownItem,
        counts: &mut Counts,
    ) {
        let (list, time) = (&mut self.lists[place], event.time_ms);
        list.last_ms = time;
        self.newest
            .insert((&event.session, &item.id), (place, time));
        if list.shown.contains_key(item.id.as_str()) {
            counts.repeated_impressions += u64::from(list.left_out.is_none());
            return;
        }
        let next = list.shown.len() as u32 + 1;
        let position = item.position.unwrap_or(next);
        list.places.entry(position).or_insert(&item.id);
        list.shown.insert(
            &item.id,
            Shown {
                first_ms: time,
                position,
            },
        );
        if list.left_out.is_none() {
            counts.impressions += 1;
            counts.without_position += u64::from(item.position.is_none());
            self.write(place, time, None, &item.id);
        }
    }

    fn act(
        &mut self,
        event: &'g SourceEvent,
        (action, item): (Action, &'g str),
    ) -> Result<(), Orphan> {
        let place = match &event.list_id {
            Some(id) => self.named(id, item)?,
            None => self.shown_to(event, action, item)?,
        };
        self.touched.insert(item, place);
        if self.lists[place].left_out.is_some() {
            return Err(Orphan::OtherList);
        }
        self.write(place, event.time_ms, Some(action), item);
        Ok(())
    }

    fn named(&self, id: &str, item: &str) -> Result<usize, Orphan> {
        let place = self
            .by_key
            .get(&Key::Named(id))
            .ok_or(Orphan::UnknownList)?;
        if self.lists[*place].shown.contains_key(item) {
            Ok(*place)
        } else {
            Err(Orphan::NotShown)
        }
    }

    fn shown_to(&self, event: &SourceEvent, action: Action, item: &str) -> Result<usize, Orphan> {
        let touched = self.touched.get(item).copied().filter(|&place| {
            let shown = &self.lists[place].shown[item];
            action != Action::Click && event.time_ms - shown.first_ms <= ATTRIBUTION_MS
        });
        let newest = || {
            let (place, time) = *self.newest.get(&(event.session.as_str(), item))?;
            (event.time_ms - time <= self.rules.window_ms).then_some(place)
        };
        touched.or_else(newest).ok_or(Orphan::NotShown)
    }

    fn write(&mut self, place: usize, time_ms: i64, action: Option<Action>, item: &str) {
        let list = &self.lists[place];
        self.events.push(UbiEvent {
            time_ms,
            action,
            query_id: list.id.clone(),
            client: list.client.to_owned(),
            query: list.query.to_owned(),
            item: item.to_owned(),
            position: list.shown[item].position,
        });
    }

    fn finish(self) -> Joined {
        let kept = self
            .lists
            .into_iter()
            .filter(|list| list.left_out.is_none());
        let queries = kept.map(|list| {
            let mut items: Vec<(u32, &str)> = list
                .shown
                .iter()
                .map(|(item, shown)| (shown.position, *item))
                .collect();
            items.sort_unstable();
            UbiQuery {
                time_ms: list.first_ms,
                query_id: list.id,
                client: list.client.to_owned(),
                query: list.query.to_owned(),
                items: items.into_iter().map(|(_, item)| item.to_owned()).collect(),
            }
        });
        Joined {
            queries: queries.collect(),
            events: self.events,
        }
    }
}

#[cfg(test)]
mod tests;
