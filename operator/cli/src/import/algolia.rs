//! Algolia: the events that were sent to Insights, and the answers of the search API.
//!
//! Insights alone do not say what was shown, so both are needed: answers with `clickAnalytics` on
//! carry the `queryID` that the events name. An answer says neither when nor to whom; whoever logs
//! it adds `timestamp` and, where known, `userToken`.

use serde_json::Value;

use super::{
    event::{Action, ShownItem, ShownList, SourceEvent, What},
    source::{Dialect, Kind, Row},
    value::{At, BadField, Record, TimeUnit, instant, list, object, required, text, whole},
};

/// By eventName where the user says so, then eventSubtype, then eventType.
pub const KINDS: &[(&str, Kind)] = &[
    ("click", Kind::Act(Action::Click)),
    ("addToCart", Kind::Act(Action::Cart)),
    ("purchase", Kind::Act(Action::Purchase)),
];

pub fn read(dialect: &Dialect, record: &Record, row: &mut Row) -> Result<(), BadField> {
    if let Some(results) = list(record.get("results")).at("results")? {
        return nested(&results, "results", |result, prefix| {
            let mut answer = result.clone();
            for shared in ["timestamp", "userToken"] {
                if let (false, Some(value)) = (answer.contains_key(shared), record.get(shared)) {
                    answer.insert(shared.to_owned(), value.clone());
                }
            }
            read_answer(dialect, &answer, prefix, row)
        });
    }
    if record.contains_key("hits") {
        return read_answer(dialect, record, "", row);
    }
    match list(record.get("events")).at("events")? {
        Some(events) => nested(&events, "events", |event, prefix| {
            read_event(dialect, event, prefix, row)
        }),
        None => read_event(dialect, record, "", row),
    }
}

fn nested(
    values: &[Value],
    name: &str,
    mut read: impl FnMut(&Record, &str) -> Result<(), BadField>,
) -> Result<(), BadField> {
    for (at, value) in values.iter().enumerate() {
        let place = format!("{name}[{at}]");
        read(object(value).at(&place)?, &format!("{place}."))?;
    }
    Ok(())
}

/// When and who.
fn envelope(record: &Record, prefix: &str, row: &mut Row) -> Result<(i64, String), BadField> {
    let time = instant(record.get("timestamp"), TimeUnit::Milliseconds);
    let time = required(time).at(format_args!("{prefix}timestamp"))?;
    row.times_without_offset += u64::from(!time.zoned);
    let client = text(record.get("userToken")).at(format_args!("{prefix}userToken"))?;
    Ok((time.ms, client.unwrap_or_default()))
}

/// What was found, in order; page 2 goes on where page 1 ended.
fn read_answer(
    dialect: &Dialect,
    answer: &Record,
    prefix: &str,
    row: &mut Row,
) -> Result<(), BadField> {
    let (time_ms, client) = envelope(answer, prefix, row)?;
    let at = |name: &str| format!("{prefix}{name}");
    let number = |name: &str| whole(answer.get(name)).at(at(name));
    let before = number("page")?
        .unwrap_or(0)
        .saturating_mul(number("hitsPerPage")?.unwrap_or(0));
    let hits = required(list(answer.get("hits"))).at(at("hits"))?;
    let mut items = Vec::with_capacity(hits.len());
    for (number, hit) in (1_u32..).zip(hits.iter()) {
        let (place, field) = (format!("{prefix}hits[{}]", number - 1), &dialect.item_field);
        let hit = object(hit).at(&place)?;
        items.push(ShownItem {
            id: required(text(hit.get(field))).at(format_args!("{place}.{field}"))?,
            position: Some(before.saturating_add(number)),
        });
    }
    row.events.push(SourceEvent {
        time_ms,
        what: What::List(ShownList {
            query: text(answer.get("query")).at(at("query"))?,
            items,
            ..ShownList::default()
        }),
        client,
        session: String::new(),
        list_id: Some(required(text(answer.get("queryID"))).at(at("queryID"))?),
    });
    Ok(())
}

fn read_event(
    dialect: &Dialect,
    event: &Record,
    prefix: &str,
    row: &mut Row,
) -> Result<(), BadField> {
    let at = |name: &str| format!("{prefix}{name}");
    let mut kind = None;
    for name in ["eventName", "eventSubtype", "eventType"] {
        let name = text(event.get(name)).at(at(name))?;
        kind = kind.or_else(|| dialect.find(&name?));
    }
    let Some(Kind::Act(action)) = kind else {
        row.other_events += 1;
        return Ok(());
    };
    let (time_ms, client) = envelope(event, prefix, row)?;
    let own = text(event.get("queryID")).at(at("queryID"))?;
    let objects = required(list(event.get("objectIDs"))).at(at("objectIDs"))?;
    let data = list(event.get("objectData"))
        .at(at("objectData"))?
        .unwrap_or_default();
    for (number, item) in objects.iter().enumerate() {
        // A cart holds what several searches found.
        let of_object = data.get(number).and_then(|data| data.get("queryID"));
        let list_id = text(of_object).at(format_args!("{prefix}objectData[{number}].queryID"))?;
        let item = required(text(Some(item))).at(format_args!("{prefix}objectIDs[{number}]"))?;
        row.events.push(SourceEvent {
            time_ms,
            what: What::Act { action, item },
            client: client.clone(),
            session: String::new(),
            list_id: list_id.or_else(|| own.clone()),
        });
    }
    Ok(())
}
