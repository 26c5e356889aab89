//! The events that Google Analytics 4 exports to BigQuery, with nested parameters and items as the
//! export has them, or in columns of their own.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    event::{Action, ShownItem, ShownList, SourceEvent, What},
    source::{Dialect, Kind, Row},
    value::{
        At, BadField, Record, TimeUnit, first, instant, list, object, position, required, text,
    },
};

pub const KINDS: &[(&str, Kind)] = &[
    ("view_search_results", Kind::Search),
    ("search", Kind::Search),
    ("view_item_list", Kind::List),
    ("select_item", Kind::Act(Action::Click)),
    ("add_to_cart", Kind::Act(Action::Cart)),
    ("purchase", Kind::Act(Action::Purchase)),
];

/// The export's word for what was never said.
const NOT_SET: &str = "(not set)";

pub fn read(dialect: &Dialect, record: &Record, row: &mut Row) -> Result<(), BadField> {
    let name = required(text(record.get("event_name"))).at("event_name")?;
    let kind = dialect.kind(&name);
    if kind == Kind::Ignored {
        row.other_events += 1;
        return Ok(());
    }
    let time = instant(record.get("event_timestamp"), TimeUnit::Microseconds);
    let time = required(time).at("event_timestamp")?;
    row.times_without_offset += u64::from(!time.zoned);
    let event = Event {
        dialect,
        record,
        parameters: list(record.get("event_params"))
            .at("event_params")?
            .unwrap_or_default(),
    };
    let client = text(record.get("user_pseudo_id"))
        .at("user_pseudo_id")?
        .unwrap_or_default();
    let session = event.parameter("ga_session_id")?.unwrap_or_default();
    let list_id = event.parameter("query_id")?;
    for what in event.what(kind)? {
        row.events.push(SourceEvent {
            time_ms: time.ms,
            what,
            client: client.clone(),
            session: session.clone(),
            list_id: list_id.clone(),
        });
    }
    Ok(())
}

struct Event<'r> {
    dialect: &'r Dialect,
    record: &'r Record,
    parameters: Cow<'r, [Value]>,
}

impl Event<'_> {
    fn what(&self, kind: Kind) -> Result<Vec<What>, BadField> {
        Ok(match kind {
            Kind::Search => vec![What::Search {
                query: required(Ok(self.parameter("search_term")?))
                    .at("event_params.search_term")?,
                page: self.page()?,
            }],
            Kind::List | Kind::RefinedList => self
                .lists(kind == Kind::RefinedList)?
                .into_iter()
                .map(What::List)
                .collect(),
            Kind::Act(action) => {
                let items = self.items()?.into_iter();
                let item = |item: Item| item.shown.id;
                items
                    .map(item)
                    .map(|item| What::Act { action, item })
                    .collect()
            }
            Kind::Ignored => Vec::new(),
        })
    }

    /// A parameter: of the list of parameters, or a column of its own.
    fn parameter(&self, key: &str) -> Result<Option<String>, BadField> {
        let nested = self
            .parameters
            .iter()
            .find(|parameter| parameter["key"] == key);
        let value = match nested {
            Some(parameter) => {
                let typed = ["string_value", "int_value", "double_value", "float_value"];
                let value = parameter["value"].as_object();
                value
                    .and_then(|value| first(value, &typed))
                    .map(|(_, value)| value)
            }
            None => self.record.get(key),
        };
        Ok(text(value)
            .at(format_args!("event_params.{key}"))?
            .filter(|text| text != NOT_SET))
    }

    /// Without what follows `#`, which says where on the page.
    fn page(&self) -> Result<Option<String>, BadField> {
        let page = self.parameter("page_location")?;
        Ok(page.map(|page| page.split('#').next().unwrap_or_default().to_owned()))
    }

    /// One event may tell of items in several lists.
    fn lists(&self, refined: bool) -> Result<Vec<ShownList>, BadField> {
        let (query, page) = (self.parameter("search_term")?, self.page()?);
        let own = match self.parameter("item_list_id")? {
            None => self.parameter("item_list_name")?,
            id => id,
        };
        let mut lists: Vec<ShownList> = Vec::new();
        for Item { list, shown } in self.items()? {
            let name = list.or_else(|| own.clone());
            match lists.iter_mut().find(|list| list.name == name) {
                Some(list) => list.items.push(shown),
                None => lists.push(ShownList {
                    query: query.clone(),
                    page: page.clone(),
                    name,
                    refined,
                    items: vec![shown],
                }),
            }
        }
        Ok(lists)
    }

    fn items(&self) -> Result<Vec<Item>, BadField> {
        let Some(items) = list(self.record.get("items")).at("items")? else {
            return Ok(vec![item(self.dialect, self.record, "")?]);
        };
        let mut read = Vec::with_capacity(items.len());
        for (at, one) in items.iter().enumerate() {
            let one = object(one).at(format_args!("items[{at}]"))?;
            read.push(item(self.dialect, one, &format!("items[{at}]."))?);
        }
        Ok(read)
    }
}

struct Item {
    /// Id or name of its list.
    list: Option<String>,
    shown: ShownItem,
}

fn item(dialect: &Dialect, record: &Record, prefix: &str) -> Result<Item, BadField> {
    let field = &dialect.item_field;
    let places = ["item_list_index", "index"].into_iter();
    let said = |name: &&str| {
        let value = record.get(*name);
        value.is_some_and(|value| !value.is_null() && *value != NOT_SET)
    };
    let place = places.clone().find(said).unwrap_or("index");
    let value = Some(place).filter(said).and_then(|name| record.get(name));
    let position = position(value, dialect.position_base);
    let mut list = None;
    for name in ["item_list_id", "item_list_name"] {
        let found = text(record.get(name)).at(format_args!("{prefix}{name}"))?;
        list = list.or(found.filter(|name| name != NOT_SET));
    }
    Ok(Item {
        list,
        shown: ShownItem {
            id: required(text(record.get(field))).at(format_args!("{prefix}{field}"))?,
            position: position.at(format_args!("{prefix}{place}"))?,
        },
    })
}
