//! The click log as numbers, which is what counting and joining are fast with.

use std::collections::HashMap;

use polars::prelude::{Column, DataFrame, DataType, PolarsResult};
use searchop_model::text::Analyzer;

use crate::data::Dataset;

/// The click log. Names stand once, in the order in which they are first seen.
pub struct Traffic {
    /// The catalogue's items in its order, then those that only the log knows.
    pub items: Vec<String>,
    /// How many of `items` are the catalogue's.
    pub known_items: u32,
    /// Queries as they were typed.
    pub queries: Vec<Query>,
    /// Query keys.
    pub keys: Vec<String>,
    /// In order of time.
    pub events: Vec<Event>,
}

/// A query as it was typed, and the key its counters are kept under.
pub struct Query {
    pub text: String,
    pub key: u32,
}

/// One event; numbers are indices into [`Traffic`].
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Distinct for each (result list, client).
    pub list: u32,
    pub query: u32,
    pub item: u32,
    /// 0 impression, 1 click, 2 cart, 3 purchase.
    pub action: u8,
    /// Where the list showed the item first, 1-based, whatever the event itself says.
    pub position: Option<u32>,
    pub time_ms: i64,
    /// UTC day on which the event arrived.
    pub day: i32,
}

impl Traffic {
    pub fn read(dataset: &Dataset, analyzer: &Analyzer) -> PolarsResult<Self> {
        let mut items = Names::default();
        for product in &dataset.products {
            items.number(&product.id);
        }
        let known_items = items.count();
        let mut traffic = Builder {
            items,
            ..Builder::default()
        };
        let columns = Columns::read(&dataset.events)?;
        let mut events = Vec::with_capacity(dataset.events.height());
        for row in 0..dataset.events.height() {
            events.push(traffic.event(&columns, row)?);
        }
        let (queries, keys) = with_keys(traffic.queries.names, analyzer);
        Ok(Self {
            items: traffic.items.names,
            known_items,
            queries,
            keys,
            events,
        })
    }

    /// Whether the catalogue has the item.
    pub fn knows(&self, item: u32) -> bool {
        item < self.known_items
    }
}

fn with_keys(texts: Vec<String>, analyzer: &Analyzer) -> (Vec<Query>, Vec<String>) {
    let mut keys = Names::default();
    let query = |text: String| Query {
        key: keys.number(&analyzer.query_key(&text)),
        text,
    };
    (texts.into_iter().map(query).collect(), keys.names)
}

/// Numbers names in the order of their first sight.
#[derive(Default)]
struct Names {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.count();
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }

    fn count(&self) -> u32 {
        u32::try_from(self.names.len()).expect("a click log in memory has fewer than 2^32 names")
    }
}

#[derive(Default)]
struct Builder {
    items: Names,
    queries: Names,
    /// Result lists and clients as the log names them.
    list_ids: Names,
    clients: Names,
    lists: HashMap<(u32, u32), u32>,
    positions: HashMap<(u32, u32), Option<u32>>,
}

impl Builder {
    fn event(&mut self, columns: &Columns, row: usize) -> PolarsResult<Event> {
        let item = self.items.number(columns.text(&columns.item, row)?);
        let client = self.clients.number(columns.text(&columns.client, row)?);
        let shown = (
            self.list_ids.number(columns.text(&columns.list, row)?),
            client,
        );
        let next = u32::try_from(self.lists.len())
            .expect("a click log in memory has fewer than 2^32 lists");
        let list = *self.lists.entry(shown).or_insert(next);
        let own = columns
            .position
            .i32()?
            .get(row)
            .and_then(|position| u32::try_from(position).ok());
        Ok(Event {
            list,
            query: self.queries.number(columns.text(&columns.query, row)?),
            item,
            action: u8::try_from(columns.action.i32()?.get(row).unwrap_or(0)).unwrap_or(0),
            position: *self.positions.entry((list, item)).or_insert(own),
            time_ms: columns.time.i64()?.get(row).unwrap_or(0),
            day: columns.day.i32()?.get(row).unwrap_or(0),
        })
    }
}

struct Columns {
    list: Column,
    query: Column,
    client: Column,
    item: Column,
    action: Column,
    position: Column,
    time: Column,
    day: Column,
}

impl Columns {
    fn read(events: &DataFrame) -> PolarsResult<Self> {
        let column = |name: &str, kind: DataType| events.column(name)?.cast(&kind);
        Ok(Self {
            list: column("list_id", DataType::String)?,
            query: column("query", DataType::String)?,
            client: column("client", DataType::String)?,
            item: column("item", DataType::String)?,
            action: column("action", DataType::Int32)?,
            position: column("position", DataType::Int32)?,
            time: column("time_ms", DataType::Int64)?,
            day: column("day", DataType::Int32)?,
        })
    }

    fn text<'a>(&self, column: &'a Column, row: usize) -> PolarsResult<&'a str> {
        Ok(column.str()?.get(row).unwrap_or_default())
    }
}
