//! Metarank's events: `ranking` is a list, `interaction` what was done with an item of it.

use super::{
    event::{Action, ShownItem, ShownList, SourceEvent, What},
    source::{Dialect, Kind, Row},
    value::{At, BadField, Record, TimeUnit, instant, list, object, required, text},
};

/// Types of interactions have free names; these are common.
pub const KINDS: &[(&str, Kind)] = &[
    ("click", Kind::Act(Action::Click)),
    ("cart", Kind::Act(Action::Cart)),
    ("add_to_cart", Kind::Act(Action::Cart)),
    ("purchase", Kind::Act(Action::Purchase)),
];

pub fn read(dialect: &Dialect, record: &Record, row: &mut Row) -> Result<(), BadField> {
    let event = required(text(record.get("event"))).at("event")?;
    let (list_id, what) = match event.as_str() {
        "ranking" => {
            let id = required(text(record.get("id"))).at("id")?;
            (Some(id), What::List(ranking(dialect, record)?))
        }
        "interaction" => {
            let kind = required(text(record.get("type"))).at("type")?;
            let Kind::Act(action) = dialect.kind(&kind) else {
                row.other_events += 1;
                return Ok(());
            };
            let item = required(text(record.get("item"))).at("item")?;
            let list_id = text(record.get("ranking")).at("ranking")?;
            (list_id, What::Act { action, item })
        }
        _ => {
            row.other_events += 1;
            return Ok(());
        }
    };
    let time = instant(record.get("timestamp"), TimeUnit::Milliseconds);
    let time = required(time).at("timestamp")?;
    row.times_without_offset += u64::from(!time.zoned);
    let session = text(record.get("session"))
        .at("session")?
        .unwrap_or_default();
    let user = text(record.get("user")).at("user")?;
    row.events.push(SourceEvent {
        time_ms: time.ms,
        what,
        client: user.unwrap_or_else(|| session.clone()),
        session,
        list_id,
    });
    Ok(())
}

fn ranking(dialect: &Dialect, record: &Record) -> Result<ShownList, BadField> {
    let mut query = None;
    let fields = list(record.get("fields")).at("fields")?.unwrap_or_default();
    for (at, field) in fields.iter().enumerate() {
        if field["name"] == dialect.query_field.as_str() {
            query = text(field.get("value")).at(format_args!("fields[{at}].value"))?;
        }
    }
    let shown = required(list(record.get("items"))).at("items")?;
    let mut items = Vec::with_capacity(shown.len());
    for (number, item) in (1_u32..).zip(shown.iter()) {
        let (place, field) = (format!("items[{}]", number - 1), &dialect.item_field);
        let item = object(item).at(&place)?;
        items.push(ShownItem {
            id: required(text(item.get(field))).at(format_args!("{place}.{field}"))?,
            // The order is the position: the source has no other.
            position: Some(number),
        });
    }
    Ok(ShownList {
        query,
        items,
        ..ShownList::default()
    })
}
