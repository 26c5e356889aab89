//! UBI events from rows of a table.

use super::{
    Action, Cell, Cleaning, EventLog, NamedEvent, Problems, SourceFile,
    cell::Reading,
    declared::Wanted,
    table::{self, BadCell, Field},
};
use crate::error::TrainError;

const ACTION: usize = 0;
const TIME: usize = 1;
const LIST: usize = 2;
const ITEM: usize = 3;
const QUERY: usize = 4;
const CLIENT: usize = 5;
const POSITION: usize = 6;
const SORT: usize = 7;
const SPONSORED: usize = 8;

/// Names that shops give to the order of relevance. Lists in any other order say nothing about it.
const RELEVANCE: [&str; 6] = [
    "relevance",
    "relevancy",
    "_score",
    "score",
    "best_match",
    "default",
];

/// Columns of UBI 1.3.0, nested as the schema has them or flattened as exports have them.
const FIELDS: [Field<'static>; 9] = [
    Field {
        name: "action_name",
        also: &[],
        required: true,
    },
    Field {
        name: "timestamp",
        also: &[],
        required: true,
    },
    Field {
        name: "query_id",
        also: &[],
        required: true,
    },
    Field {
        name: "object_id",
        also: &[
            "event_attributes.object.object_id",
            "event_attributes_object_object_id",
        ],
        required: true,
    },
    Field {
        name: "user_query",
        also: &[],
        required: true,
    },
    Field {
        name: "client_id",
        also: &[],
        required: false,
    },
    Field {
        name: "position_ordinal",
        also: &[
            "event_attributes.position.ordinal",
            "event_attributes_position_ordinal",
            "position",
        ],
        required: false,
    },
    Field {
        name: "sort",
        also: &["event_attributes.sort", "event_attributes_sort"],
        required: false,
    },
    Field {
        name: "sponsored",
        also: &[
            "event_attributes.sponsored",
            "event_attributes.object.sponsored",
            "event_attributes_sponsored",
        ],
        required: false,
    },
];

/// Adds the events of one file to `log`; returns its rows.
pub fn read(
    (file, wanted): (&SourceFile, &Wanted),
    log: &mut EventLog,
    cleaning: &mut Cleaning,
    problems: &mut Problems,
) -> Result<u64, TrainError> {
    let declared = wanted.of_log();
    let names: Vec<Vec<&str>> = (declared.iter())
        .map(|(_, also)| also.iter().map(String::as_str).collect())
        .collect();
    let own = declared
        .iter()
        .zip(&names)
        .map(|((feature, _), also)| Field {
            name: feature.field(),
            also,
            required: false,
        });
    let fields: Vec<Field<'_>> = FIELDS.iter().copied().chain(own).collect();
    table::read(file, &fields, problems, &mut |cells| {
        cleaning.read += 1;
        add(cells, log, cleaning)
    })
}

fn add(cells: &[Cell<'_>], log: &mut EventLog, cleaning: &mut Cleaning) -> Result<(), BadCell> {
    let name = at(ACTION, required(cells[ACTION].text()))?;
    // Other events need neither list nor item, so nothing else is asked of them.
    let Some(action) = Action::from_ubi_name(&name) else {
        cleaning.other_actions += 1;
        return Ok(());
    };
    let time = at(TIME, required(cells[TIME].instant()))?;
    let list = at(LIST, cells[LIST].text())?;
    let item = at(ITEM, cells[ITEM].text())?;
    let query = at(QUERY, cells[QUERY].text())?;
    let client = at(CLIENT, cells[CLIENT].text())?;
    let position = at(POSITION, cells[POSITION].position())?;
    let sort = at(SORT, cells[SORT].text())?;
    let sponsored = at(SPONSORED, cells[SPONSORED].flag())?;
    let (Some(list), Some(item)) = (list, item) else {
        cleaning.incomplete += 1;
        return Ok(());
    };
    cleaning.times_without_offset += u64::from(!time.zoned);
    log.push(NamedEvent {
        action,
        time_ms: time.ms,
        list: &list,
        query: query.as_deref().unwrap_or_default(),
        client: client.as_deref().unwrap_or_default(),
        item: &item,
        position: position.unwrap_or(0),
        sponsored: sponsored.unwrap_or(false),
        sorted: sort.is_some_and(|sort| !by_relevance(&sort)),
    });
    match log.events.last() {
        Some(event) if !log.declared.is_empty() => log.declared.add(event, (cells, FIELDS.len())),
        _ => Ok(()),
    }
}

fn by_relevance(sort: &str) -> bool {
    RELEVANCE.contains(&sort.to_ascii_lowercase().replace([' ', '-'], "_").as_str())
}

fn at<T>(field: usize, reading: Result<T, String>) -> Result<T, BadCell> {
    reading.map_err(|complaint| BadCell { field, complaint })
}

fn required<T>(reading: Reading<T>) -> Result<T, String> {
    reading?.ok_or_else(|| "no value".to_owned())
}
