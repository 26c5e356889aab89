//! The click log as numbers, which is what counting and joining are fast with.

use std::collections::HashMap;

use polars::prelude::{Column, DataFrame, DataType, PolarsResult};
use searchop_contract::{DeclaredFeature, FeatureType};
use searchop_model::{tables::DeclaredColumn, text::Analyzer};

use crate::data::{
    Action, Dataset,
    declared::{Texts, column_name},
};

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
    /// Result lists with items that the engine found for them and nobody saw.
    pub not_shown: Vec<(u32, u32)>,
    pub declared: ListValues,
}

/// Values of the declared features that are logged.
#[derive(Default)]
pub struct ListValues {
    /// With the texts of categories in the order of their first sight.
    pub columns: Vec<DeclaredColumn>,
    /// By (result list, item): one for each column, NaN where missing, the place of a text.
    items: HashMap<(u32, u32), Vec<f32>>,
}

impl ListValues {
    /// Appends the values of an item in a list.
    pub fn push(&self, list: u32, item: u32, out: &mut Vec<f32>) {
        match self.items.get(&(list, item)) {
            Some(values) => out.extend_from_slice(values),
            None => out.resize(out.len() + self.columns.len(), f32::NAN),
        }
    }
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
        let mut declared = Logged::read(dataset)?;
        let mut events = Vec::with_capacity(dataset.events.height());
        let mut not_shown = Vec::new();
        for row in 0..dataset.events.height() {
            if columns.action.i32()?.get(row) == Some(Action::Candidate as i32) {
                let (list, item) = traffic.candidate(&columns, row)?;
                declared.add((list, item), row)?;
                not_shown.push((list, item));
            } else {
                let event = traffic.event(&columns, row)?;
                declared.add((event.list, event.item), row)?;
                events.push(event);
            }
        }
        let (queries, keys) = with_keys(traffic.queries.names, analyzer);
        Ok(Self {
            items: traffic.items.names,
            known_items,
            queries,
            keys,
            events,
            not_shown,
            declared: declared.finish(),
        })
    }

    /// Number of a catalogue's item. The catalogue is in order of ids.
    pub fn known_item(&self, id: &str) -> Option<u32> {
        let known = &self.items[..self.known_items as usize];
        let place = known
            .binary_search_by(|other| other.as_str().cmp(id))
            .ok()?;
        u32::try_from(place).ok()
    }

    /// Numbers of all query keys; those of `names` that are new are added.
    pub fn add_keys<'n>(&mut self, names: impl Iterator<Item = &'n str>) -> HashMap<String, u32> {
        let mut keys = Names {
            numbers: self.keys.iter().cloned().zip(0..).collect(),
            names: std::mem::take(&mut self.keys),
        };
        names.for_each(|name| {
            keys.number(name);
        });
        self.keys = keys.names;
        keys.numbers
    }

    /// Numbers of queries; those that the log does not have are added.
    pub fn add_queries(&mut self, texts: &[&str], analyzer: &Analyzer) -> Vec<u32> {
        let mut known: HashMap<String, u32> = self
            .queries
            .iter()
            .map(|query| query.text.clone())
            .zip(0..)
            .collect();
        let mut keys = Names {
            numbers: self.keys.iter().cloned().zip(0..).collect(),
            names: std::mem::take(&mut self.keys),
        };
        let mut number = |text: &&str| {
            if let Some(&number) = known.get(*text) {
                return number;
            }
            let number = u32::try_from(known.len()).expect("queries are numbered by u32");
            known.insert((*text).to_owned(), number);
            self.queries.push(Query {
                text: (*text).to_owned(),
                key: keys.number(&analyzer.query_key(text)),
            });
            number
        };
        let numbers = texts.iter().map(&mut number).collect();
        self.keys = keys.names;
        numbers
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
    fn list(&mut self, columns: &Columns, row: usize) -> PolarsResult<u32> {
        let client = self.clients.number(columns.text(&columns.client, row)?);
        let shown = (
            self.list_ids.number(columns.text(&columns.list, row)?),
            client,
        );
        let next = u32::try_from(self.lists.len())
            .expect("a click log in memory has fewer than 2^32 lists");
        Ok(*self.lists.entry(shown).or_insert(next))
    }

    fn candidate(&mut self, columns: &Columns, row: usize) -> PolarsResult<(u32, u32)> {
        let item = self.items.number(columns.text(&columns.item, row)?);
        Ok((self.list(columns, row)?, item))
    }

    fn event(&mut self, columns: &Columns, row: usize) -> PolarsResult<Event> {
        let item = self.items.number(columns.text(&columns.item, row)?);
        let list = self.list(columns, row)?;
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

/// The logged features' columns of the events.
struct Logged {
    columns: Vec<(DeclaredColumn, Column, Texts)>,
    items: HashMap<(u32, u32), Vec<f32>>,
}

impl Logged {
    fn read(dataset: &Dataset) -> PolarsResult<Self> {
        let column = |(place, feature): (usize, &DeclaredFeature)| {
            let values = dataset.events.column(&column_name(place))?.clone();
            let column = DeclaredColumn {
                feature: feature.clone(),
                categories: Vec::new(),
            };
            Ok((column, values, Texts::default()))
        };
        Ok(Self {
            columns: (dataset.declared.logged().enumerate())
                .map(column)
                .collect::<PolarsResult<_>>()?,
            items: HashMap::new(),
        })
    }

    /// Every row of an item in a list says the same.
    fn add(&mut self, key: (u32, u32), row: usize) -> PolarsResult<()> {
        if self.columns.is_empty() || self.items.contains_key(&key) {
            return Ok(());
        }
        let mut values = Vec::with_capacity(self.columns.len());
        for (column, found, texts) in &mut self.columns {
            let value = match column.feature.kind {
                FeatureType::Number => found.f32()?.get(row),
                FeatureType::Category => {
                    (found.str()?.get(row)).map(|text| texts.number(text) as f32)
                }
            };
            values.push(value.unwrap_or(f32::NAN));
        }
        self.items.insert(key, values);
        Ok(())
    }

    fn finish(self) -> ListValues {
        let named = |(column, _, texts): (DeclaredColumn, Column, Texts)| DeclaredColumn {
            categories: texts.names,
            ..column
        };
        ListValues {
            columns: self.columns.into_iter().map(named).collect(),
            items: self.items,
        }
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
