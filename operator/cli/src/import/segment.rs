//! Segment's e-commerce spec v2: tracked calls as its destinations store them, or rows of the
//! tables that a warehouse has of them.

use serde_json::Value;

use super::{
    event::{Action, ShownItem, ShownList, SourceEvent, What},
    source::{Dialect, Kind, Row},
    value::{
        At, BadField, Record, TimeUnit, first, instant, list, object, position, required, text,
    },
};

/// With the names of v1, which Segment treats as the same.
pub const KINDS: &[(&str, Kind)] = &[
    ("Products Searched", Kind::Search),
    ("Product List Viewed", Kind::List),
    ("Viewed Product Category", Kind::List),
    ("Product List Filtered", Kind::RefinedList),
    ("Product Clicked", Kind::Act(Action::Click)),
    ("Clicked Product", Kind::Act(Action::Click)),
    ("Product Added", Kind::Act(Action::Cart)),
    ("Added Product", Kind::Act(Action::Cart)),
    ("Order Completed", Kind::Act(Action::Purchase)),
    ("Completed Order", Kind::Act(Action::Purchase)),
];

pub fn read(dialect: &Dialect, record: &Record, row: &mut Row) -> Result<(), BadField> {
    let call = first(record, &["event_text", "event"]);
    let name = text(call.map(|(_, name)| name)).at("event")?;
    let kind = name.map_or(Kind::Ignored, |name| dialect.kind(&name));
    if kind == Kind::Ignored {
        row.other_events += 1;
        return Ok(());
    }
    let (time_ms, client) = envelope(record, row)?;
    let properties = Properties::of(record)?;
    let list_id = properties.text(&["query_id", "queryId"])?;
    let mut push = |what| {
        row.events.push(SourceEvent {
            time_ms,
            what,
            client: client.clone(),
            session: String::new(),
            list_id: list_id.clone(),
        });
    };
    match kind {
        Kind::Search => push(What::Search {
            query: required(text(properties.get("query"))).at(properties.name("query"))?,
            page: None,
        }),
        Kind::List | Kind::RefinedList => {
            push(What::List(
                properties.list(dialect, kind == Kind::RefinedList)?,
            ));
        }
        Kind::Act(action) => {
            for item in properties.items(dialect)? {
                let item = item.id;
                push(What::Act { action, item });
            }
        }
        Kind::Ignored => {}
    }
    Ok(())
}

/// When and who.
fn envelope(record: &Record, row: &mut Row) -> Result<(i64, String), BadField> {
    let names = ["timestamp", "originalTimestamp", "original_timestamp"];
    let (field, time) = first(record, &names).unwrap_or(("timestamp", &Value::Null));
    let time = required(instant(Some(time), TimeUnit::Milliseconds)).at(field)?;
    row.times_without_offset += u64::from(!time.zoned);
    for field in ["anonymousId", "anonymous_id", "userId", "user_id"] {
        if let Some(client) = text(record.get(field)).at(field)? {
            return Ok((time.ms, client));
        }
    }
    Ok((time.ms, String::new()))
}

/// What was tracked: nested in calls, in columns of their own in tables.
struct Properties<'r> {
    values: &'r Record,
    prefix: &'static str,
}

impl<'r> Properties<'r> {
    fn of(record: &'r Record) -> Result<Self, BadField> {
        match record.get("properties") {
            None | Some(Value::Null) => Ok(Self {
                values: record,
                prefix: "",
            }),
            Some(nested) => Ok(Self {
                values: object(nested).at("properties")?,
                prefix: "properties.",
            }),
        }
    }

    fn get(&self, name: &str) -> Option<&'r Value> {
        self.values.get(name)
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn text(&self, names: &[&str]) -> Result<Option<String>, BadField> {
        match first(self.values, names) {
            Some((name, value)) => text(Some(value)).at(self.name(name)),
            None => Ok(None),
        }
    }

    fn list(&self, dialect: &Dialect, refined: bool) -> Result<ShownList, BadField> {
        let some = |name: &str| -> Result<bool, BadField> {
            Ok(list(self.get(name))
                .at(self.name(name))?
                .is_some_and(|list| !list.is_empty()))
        };
        Ok(ShownList {
            query: self.text(&[&dialect.query_field])?,
            page: None,
            name: self.text(&["list_id"])?,
            refined: refined || some("filters")? || some("sorts")?,
            items: match self.get("products") {
                Some(_) => self.items(dialect)?,
                None => Vec::new(),
            },
        })
    }

    /// The products of the call, or the one that it is about.
    fn items(&self, dialect: &Dialect) -> Result<Vec<ShownItem>, BadField> {
        let Some(products) = list(self.get("products")).at(self.name("products"))? else {
            return Ok(vec![item(dialect, self.values, self.prefix)?]);
        };
        let mut items = Vec::with_capacity(products.len());
        for (at, product) in products.iter().enumerate() {
            let prefix = self.name(&format!("products[{at}]"));
            let product = object(product).at(&prefix)?;
            items.push(item(dialect, product, &format!("{prefix}."))?);
        }
        Ok(items)
    }
}

fn item(dialect: &Dialect, product: &Record, prefix: &str) -> Result<ShownItem, BadField> {
    let (field, base) = (&dialect.item_field, dialect.position_base);
    Ok(ShownItem {
        id: required(text(product.get(field))).at(format_args!("{prefix}{field}"))?,
        position: position(product.get("position"), base).at(format_args!("{prefix}position"))?,
    })
}
