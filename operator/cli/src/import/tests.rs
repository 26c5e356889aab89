//! The same random visits in the form of every source: whatever the form and the order of the
//! rows, nothing is joined to a later list.

use std::collections::HashMap;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{event::UbiEvent, *};

/// One thing that a visitor does, at a second of its own.
#[derive(Clone, Debug)]
enum Visit {
    /// Searches for a query, and is shown these items.
    Sees {
        query: &'static str,
        items: Vec<&'static str>,
    },
    /// Does something with an item of the list that was shown as the n-th of all visits, or before
    /// the first.
    Does {
        action: &'static str,
        item: &'static str,
        list: usize,
    },
}

/// Who, when (seconds), what.
type Step = (u8, i64, Visit);

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let item = prop::sample::select(vec!["a", "b", "c", "d", "e"]);
    let sees = (
        prop::sample::select(vec!["red", "blue"]),
        prop::sample::subsequence(vec!["a", "b", "c", "d", "e"], 1..5).prop_shuffle(),
    );
    let does = (
        prop::sample::select(vec!["click", "cart", "purchase"]),
        item,
        0..12_usize,
    );
    let visit = prop_oneof![
        sees.prop_map(|(query, items)| Visit::Sees { query, items }),
        does.prop_map(|(action, item, list)| Visit::Does { action, item, list }),
    ];
    prop::collection::vec((0..3_u8, 0..5000_i64, visit), 1..40)
}

fn time(second: i64) -> i64 {
    1_793_577_600_000 + second * 1000
}

fn iso(second: i64) -> String {
    Timestamp::from_millisecond(time(second))
        .unwrap()
        .to_string()
}

fn segment((who, second, visit): &Step, _: usize) -> Vec<Value> {
    let call = |event: &str, properties: Value| json!({"type": "track", "event": event, "anonymousId": who, "timestamp": iso(*second), "properties": properties});
    match visit {
        Visit::Sees { query, items } => {
            let product =
                |(at, item): (usize, &&str)| json!({"product_id": item, "position": at + 1});
            let products: Vec<Value> = items.iter().enumerate().map(product).collect();
            vec![
                call("Products Searched", json!({"query": query})),
                call(
                    "Product List Viewed",
                    json!({"list_id": "results", "products": products}),
                ),
            ]
        }
        Visit::Does {
            action: "click",
            item,
            ..
        } => {
            vec![call("Product Clicked", json!({"product_id": item}))]
        }
        Visit::Does {
            action: "cart",
            item,
            ..
        } => {
            vec![call("Product Added", json!({"product_id": item}))]
        }
        Visit::Does { item, .. } => {
            vec![call(
                "Order Completed",
                json!({"products": [{"product_id": item}]}),
            )]
        }
    }
}

fn ga4((who, second, visit): &Step, _: usize) -> Vec<Value> {
    let event = |name: &str, parameters: Value, items: Value| {
        json!({"event_name": name, "event_timestamp": (time(*second) * 1000).to_string(),
            "user_pseudo_id": who.to_string(), "event_params": parameters, "items": items})
    };
    let visit_id = json!({"key": "ga_session_id", "value": {"int_value": "1"}});
    match visit {
        Visit::Sees { query, items } => {
            let item = |(at, item): (usize, &&str)| json!({"item_id": item, "item_list_index": at.to_string()});
            let items: Vec<Value> = items.iter().enumerate().map(item).collect();
            let term = json!({"key": "search_term", "value": {"string_value": query}});
            vec![
                event("view_search_results", json!([visit_id, term]), json!([])),
                event("view_item_list", json!([visit_id]), json!(items)),
            ]
        }
        Visit::Does { action, item, .. } => {
            let name = match *action {
                "click" => "select_item",
                "cart" => "add_to_cart",
                other => other,
            };
            vec![event(name, json!([visit_id]), json!([{"item_id": item}]))]
        }
    }
}

fn algolia((who, second, visit): &Step, number: usize) -> Vec<Value> {
    vec![match visit {
        Visit::Sees { query, items } => {
            let hits: Vec<Value> = items.iter().map(|item| json!({"objectID": item})).collect();
            json!({"timestamp": time(*second), "query": query, "queryID": format!("q{number}"), "hits": hits})
        }
        Visit::Does { action, item, list } => {
            let (kind, subtype) = match *action {
                "click" => ("click", ""),
                "cart" => ("conversion", "addToCart"),
                other => ("conversion", other),
            };
            json!({"eventType": kind, "eventSubtype": subtype, "eventName": "x", "userToken": format!("u{who}"),
                "timestamp": time(*second), "objectIDs": [item], "queryID": format!("q{list}")})
        }
    }]
}

fn metarank((who, second, visit): &Step, number: usize) -> Vec<Value> {
    let user = format!("u{who}");
    vec![match visit {
        Visit::Sees { query, items } => {
            let items: Vec<Value> = items.iter().map(|item| json!({"id": item})).collect();
            json!({"event": "ranking", "id": format!("q{number}"), "timestamp": time(*second).to_string(),
                "user": user, "fields": [{"name": "query", "value": query}], "items": items})
        }
        Visit::Does { action, item, list } => {
            json!({"event": "interaction", "id": number.to_string(), "ranking": format!("q{list}"),
                "timestamp": iso(*second), "user": user, "type": action, "item": item})
        }
    }]
}

fn imported(source: Source, rows: &[Value]) -> (Vec<UbiEvent>, Counts) {
    let dialect = source.dialect();
    let rules = Rules {
        source: source.name(),
        window_ms: 30 * 60_000,
        lists: Vec::new(),
    };
    let mut counts = Counts::default();
    let mut groups = Groups::new(source.names_lists(), 1, std::path::Path::new(".")).unwrap();
    for record in rows {
        let mut row = Row::default();
        dialect.read(record.as_object().unwrap(), &mut row).unwrap();
        for event in row.events {
            assert!(belongs(&event, source.names_lists(), &mut counts));
            groups.add(event).unwrap();
        }
    }
    let mut events = Vec::new();
    let write = |group: &[SourceEvent]| {
        events.extend(join(group, &rules, &mut counts).events);
        Ok(())
    };
    groups.each(write, || ()).unwrap();
    (events, counts)
}

/// Every event but an impression has one of its item in its list, and not after it.
fn nothing_later(events: &[UbiEvent]) -> Result<(), TestCaseError> {
    let mut shown: HashMap<(&str, &str), &UbiEvent> = HashMap::new();
    for event in events.iter().filter(|event| event.action.is_none()) {
        let key = (event.query_id.as_str(), event.item.as_str());
        prop_assert!(shown.insert(key, event).is_none());
    }
    for event in events.iter().filter(|event| event.action.is_some()) {
        let key = (event.query_id.as_str(), event.item.as_str());
        let Some(impression) = shown.get(&key) else {
            return Err(TestCaseError::fail(format!("{event:?} has no impression")));
        };
        prop_assert!(
            impression.time_ms <= event.time_ms,
            "{event:?} before {impression:?}"
        );
        let same = |event: &UbiEvent| (event.client.clone(), event.query.clone(), event.position);
        prop_assert_eq!(same(impression), same(event));
    }
    Ok(())
}

/// How many actions name a list that had shown their item by then.
fn named_before(steps: &[Step]) -> u64 {
    let named = |(_, second, visit): &&Step| match visit {
        Visit::Does { item, list, .. } => match steps.get(*list) {
            Some((_, shown, Visit::Sees { items, .. })) => shown <= second && items.contains(item),
            _ => false,
        },
        Visit::Sees { .. } => false,
    };
    // The same action twice is one.
    let mut named: Vec<String> = steps
        .iter()
        .filter(named)
        .map(|step| format!("{step:?}"))
        .collect();
    named.sort_unstable();
    named.dedup();
    named.len() as u64
}

type Form = fn(&Step, usize) -> Vec<Value>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_source_joins_to_a_later_list(steps in any_steps(), order in any::<prop::sample::Index>()) {
        let forms: [(Source, Form); 4] = [
            (Source::Segment, segment),
            (Source::Ga4, ga4),
            (Source::Algolia, algolia),
            (Source::Metarank, metarank),
        ];
        for (source, form) in forms {
            let each = steps.iter().enumerate();
            let mut rows: Vec<Value> = each.flat_map(|(number, step)| form(step, number)).collect();
            let (events, counts) = imported(source, &rows);
            nothing_later(&events)?;
            if source == Source::Algolia {
                prop_assert_eq!(counts.orphans().0 - counts.orphans().1, named_before(&steps));
            }
            let middle = order.index(rows.len());
            rows.rotate_left(middle);
            rows[..middle].reverse();
            prop_assert_eq!(imported(source, &rows), (events, counts));
        }
    }
}
