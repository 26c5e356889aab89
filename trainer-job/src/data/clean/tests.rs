use super::*;
use crate::data::NamedEvent;

const NOON: i64 = 20_000 * DAY_MS + DAY_MS / 2;
const WINDOW: Window = Window {
    first_day: 19_990,
    last_day: 20_000,
};

fn event(
    action: Action,
    after_ms: i64,
    list: &'static str,
    item: &'static str,
) -> NamedEvent<'static> {
    NamedEvent {
        action,
        time_ms: NOON + after_ms,
        list,
        query: "shoes",
        client: "c",
        item,
        position: 1,
        sponsored: false,
        sorted: false,
    }
}

fn shown(list: &'static str, item: &'static str) -> NamedEvent<'static> {
    event(Action::Impression, 0, list, item)
}

fn cleaned(events: &[NamedEvent<'_>]) -> (EventLog, Cleaning, HashMap<u32, List>) {
    let mut log = EventLog::default();
    events.iter().for_each(|event| log.push(*event));
    let mut cleaning = Cleaning {
        read: events.len() as u64,
        ..Cleaning::default()
    };
    let lists = clean(&mut log, WINDOW, &mut cleaning);
    let reasons: u64 = cleaning.reasons().iter().map(|(count, _)| count).sum();
    assert_eq!(
        reasons,
        cleaning.dropped(),
        "every event left out has one reason"
    );
    (log, cleaning, lists)
}

/// What is left of `events`, and why the others are not.
fn kept(events: &[NamedEvent<'_>]) -> (u64, String) {
    let (_, cleaning, _) = cleaned(events);
    let text = cleaning.to_string();
    (
        cleaning.kept,
        text.split_once("; left out: ")
            .map_or(String::new(), |(_, reasons)| reasons.to_owned()),
    )
}

#[test]
fn each_rule_leaves_out_what_it_should() {
    let click = |after_ms| event(Action::Click, after_ms, "q", "a");
    let cases: [(&str, Vec<NamedEvent<'_>>, u64, &str); 11] = [
        (
            "a click on what was shown",
            vec![shown("q", "a"), click(5000)],
            2,
            "",
        ),
        (
            "at the very instant",
            vec![click(0), shown("q", "a")],
            2,
            "",
        ),
        (
            "a double click",
            vec![shown("q", "a"), click(5000), click(5400)],
            2,
            "1 duplicates",
        ),
        (
            "a burst is one event",
            vec![shown("q", "a"), click(0), click(900), click(1800)],
            2,
            "2 duplicates",
        ),
        (
            "a second click later",
            vec![shown("q", "a"), click(5000), click(6001)],
            3,
            "",
        ),
        (
            "a click on another item",
            vec![shown("q", "b"), click(5000)],
            1,
            "1 without an impression",
        ),
        (
            "a click in another list",
            vec![shown("r", "a"), click(5000)],
            1,
            "1 without an impression",
        ),
        (
            "a list shown later",
            vec![shown("q", "a"), click(-1)],
            1,
            "1 without an impression",
        ),
        (
            "a late purchase",
            vec![
                event(Action::Impression, -5 * DAY_MS, "q", "a"),
                event(Action::Purchase, 0, "q", "a"),
            ],
            2,
            "",
        ),
        (
            "a purchase after more than a week",
            vec![
                event(Action::Impression, -8 * DAY_MS, "q", "a"),
                event(Action::Purchase, 0, "q", "a"),
            ],
            1,
            "1 too late for their list",
        ),
        (
            "days outside the window",
            vec![
                shown("q", "a"),
                event(Action::Impression, DAY_MS, "r", "a"),
                event(Action::Click, -11 * DAY_MS, "q", "a"),
            ],
            1,
            "2 outside the window",
        ),
    ];
    for (what, events, left, reasons) in cases {
        assert_eq!(kept(&events), (left, reasons.to_owned()), "{what}");
    }
}

#[test]
fn a_list_takes_its_query_from_any_of_its_events() {
    let click = NamedEvent {
        query: "",
        ..event(Action::Click, 10, "q", "a")
    };
    let (log, _, lists) = cleaned(&[shown("q", "a"), click]);
    assert!(
        log.events
            .iter()
            .all(|event| log.queries.name(event.query) == "shoes")
    );
    assert_eq!(
        lists.values().map(|list| list.shown_ms).collect::<Vec<_>>(),
        [NOON]
    );

    let nameless = NamedEvent {
        query: "",
        ..shown("q", "a")
    };
    assert_eq!(kept(&[nameless]), (0, "1 without a query".into()));
    assert_eq!(
        kept(&[nameless, NamedEvent { query: "", ..click }]),
        (0, "1 without an impression, 1 without a query".into())
    );
    assert_eq!(
        kept(&[
            nameless,
            NamedEvent {
                query: "late",
                ..click
            }
        ])
        .0,
        2
    );
}

#[test]
fn what_others_decided_says_nothing_about_relevance() {
    let sorted = NamedEvent {
        sorted: true,
        ..shown("q", "a")
    };
    let clicked = event(Action::Click, 5000, "q", "b");
    assert_eq!(
        kept(&[sorted, shown("q", "b"), clicked, shown("r", "a")]),
        (1, "3 of lists sorted by something else".into())
    );

    let paid = NamedEvent {
        sponsored: true,
        ..shown("q", "a")
    };
    let click = event(Action::Click, 5000, "q", "a");
    assert_eq!(
        kept(&[paid, click, shown("q", "b"), shown("r", "a")]),
        (2, "2 sponsored".into())
    );
}

#[test]
fn candidates_need_a_list_and_no_impression() {
    let found = |list| event(Action::Candidate, 0, list, "z");
    assert_eq!(kept(&[shown("q", "a"), found("q")]), (2, "".into()));
    assert_eq!(
        kept(&[shown("q", "a"), found("r")]),
        (1, "1 without an impression".into())
    );
    // To be found is not to be seen.
    assert_eq!(
        kept(&[
            shown("q", "a"),
            found("q"),
            event(Action::Click, 5000, "q", "z")
        ]),
        (2, "1 without an impression".into())
    );
}

#[test]
fn a_client_that_clicks_too_fast_is_left_out_for_that_day() {
    let clicks = |count: i64, gap: i64, client: &'static str| -> Vec<NamedEvent<'static>> {
        let mut events = vec![NamedEvent {
            client,
            ..shown("q", "a")
        }];
        for n in 0..count {
            events.push(NamedEvent {
                client,
                position: n as i32,
                ..event(Action::Click, n * gap, "q", "a")
            });
        }
        events
    };
    assert_eq!(kept(&clicks(31, 1900, "robot")), (0, "32 of bots".into()));
    assert_eq!(kept(&clicks(30, 1900, "eager")).1, "");
    assert_eq!(kept(&clicks(60, 2100, "patient")).1, "");
    assert_eq!(
        kept(&clicks(31, 1900, "")).1,
        "",
        "nobody knows whether these are one client"
    );

    let mut two_days = clicks(31, 1900, "robot");
    two_days.push(NamedEvent {
        client: "robot",
        ..event(Action::Impression, -DAY_MS, "r", "a")
    });
    assert_eq!(kept(&two_days), (1, "32 of bots".into()));
}

#[test]
fn the_order_of_the_files_does_not_matter() {
    let mut events = vec![
        shown("q", "a"),
        shown("q", "b"),
        shown("r", "a"),
        event(Action::Click, 0, "q", "b"),
        event(Action::Click, 0, "q", "a"),
    ];
    let spelled = |events: &[NamedEvent<'_>]| {
        let (log, ..) = cleaned(events);
        log.events
            .iter()
            .map(|event| format!("{:?}", log.named(event)))
            .collect::<Vec<_>>()
    };
    let forwards = spelled(&events);
    events.reverse();
    assert_eq!(spelled(&events), forwards);
    assert_eq!(forwards.len(), 5);
}
