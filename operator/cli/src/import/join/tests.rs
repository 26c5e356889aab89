use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000;
/// 2026-11-02T00:00:00Z.
const START: i64 = 1_793_577_600_000;

fn rules() -> Rules {
    Rules {
        source: "test",
        window_ms: 30 * MINUTE,
        lists: Vec::new(),
    }
}

fn event(minute: i64, what: What) -> SourceEvent {
    SourceEvent {
        time_ms: START + minute * MINUTE,
        what,
        client: "c".into(),
        session: String::new(),
        list_id: None,
    }
}

fn search(minute: i64, query: &str) -> SourceEvent {
    let query = query.into();
    event(minute, What::Search { query, page: None })
}

/// Items with their places: `a1 b2`, or `a b` without places.
fn shown(items: &str) -> ShownList {
    let item = |text: &str| {
        let (id, place) = text.split_at(1);
        ShownItem {
            id: id.into(),
            position: place.parse().ok(),
        }
    };
    ShownList {
        items: items.split(' ').map(item).collect(),
        ..ShownList::default()
    }
}

fn list(minute: i64, items: &str) -> SourceEvent {
    event(minute, What::List(shown(items)))
}

fn act(minute: i64, action: Action, item: &str) -> SourceEvent {
    let item = item.into();
    event(minute, What::Act { action, item })
}

fn click(minute: i64, item: &str) -> SourceEvent {
    act(minute, Action::Click, item)
}

fn joined_by(mut group: Vec<SourceEvent>, rules: &Rules) -> (Joined, Counts) {
    group.sort();
    let mut counts = Counts::default();
    (join(&group, rules, &mut counts), counts)
}

/// `2 click b2 red`: minute, what, item with place, query; lists are told apart by `'`.
fn told(group: Vec<SourceEvent>) -> Vec<String> {
    told_by(group, &rules())
}

fn told_by(group: Vec<SourceEvent>, rules: &Rules) -> Vec<String> {
    let (joined, _) = joined_by(group, rules);
    let mut lists: Vec<&str> = Vec::new();
    let mut lines = Vec::new();
    for event in &joined.events {
        let known = lists.iter().position(|id| *id == event.query_id);
        let number = known.unwrap_or_else(|| {
            lists.push(&event.query_id);
            lists.len() - 1
        });
        let action = event.action.map_or("show", Action::name);
        let minute = (event.time_ms - START) / MINUTE;
        let UbiEvent {
            item,
            position,
            query,
            ..
        } = event;
        lines.push(format!(
            "{minute} {action} {item}{position} {query}{}",
            "'".repeat(number)
        ));
    }
    lines
}

#[test]
fn a_click_belongs_to_the_list_before_it() {
    let group = vec![search(0, "red"), list(1, "a1 b2"), click(2, "b")];
    assert_eq!(
        told(group),
        ["1 show a1 red", "1 show b2 red", "2 click b2 red"]
    );
}

#[test]
fn never_to_a_later_list() {
    let group = vec![
        click(0, "a"),
        search(1, "red"),
        list(2, "a1"),
        click(3, "b"),
        list(4, "b2"),
    ];
    assert_eq!(told(group), ["2 show a1 red", "4 show b2 red"]);
}

#[test]
fn at_the_same_moment_the_list_is_first() {
    let group = vec![click(1, "a"), list(1, "a1"), search(1, "red")];
    assert_eq!(told(group), ["1 show a1 red", "1 click a1 red"]);
}

#[test]
fn the_newest_list_that_showed_the_item() {
    let group = vec![
        search(0, "red"),
        list(0, "a1 b2"),
        search(1, "blue"),
        list(1, "b1 c2"),
        click(2, "b"),
        click(3, "a"),
    ];
    assert_eq!(told(group)[4..], ["2 click b1 blue'", "3 click a1 red"]);
}

#[test]
fn windows_end() {
    let group = vec![
        search(0, "red"),
        list(30, "a1"),
        click(60, "a"),
        click(61, "a"),
    ];
    assert_eq!(told(group), ["30 show a1 red", "60 click a1 red"]);
    let group = vec![search(0, "red"), list(31, "a1"), click(32, "a")];
    assert_eq!(told(group), Vec::<String>::new());
}

#[test]
fn a_list_that_is_shown_again_starts_its_window_again() {
    let group = vec![
        search(0, "red"),
        list(1, "a1 b2"),
        list(20, "a1 b2"),
        click(45, "a"),
    ];
    let (joined, counts) = joined_by(group, &rules());
    assert_eq!(joined.events.len(), 3);
    assert_eq!(counts.repeated_impressions, 2);
}

#[test]
fn purchases_follow_the_click_for_a_week() {
    let day = 24 * 60;
    let group = vec![
        search(0, "red"),
        list(0, "a1 b2"),
        click(1, "a"),
        search(day, "blue"),
        list(day, "a1"),
        act(day + 1, Action::Purchase, "a"),
        act(day + 2, Action::Purchase, "b"),
        act(7 * day, Action::Cart, "a"),
        act(7 * day + 1, Action::Purchase, "a"),
    ];
    let found = told(group);
    assert_eq!(
        found[4..],
        ["1441 purchase a1 red", "10080 add_to_cart a1 red"]
    );
}

#[test]
fn parts_of_a_list_are_one_and_a_taken_place_begins_another() {
    let group = vec![
        search(0, "red"),
        list(1, "a1 b2"),
        list(2, "c3"),
        list(3, "d1 e2"),
    ];
    assert_eq!(
        told(group),
        [
            "1 show a1 red",
            "1 show b2 red",
            "2 show c3 red",
            "3 show d1 red'",
            "3 show e2 red'"
        ]
    );
    // Without places the order goes on.
    let group = vec![search(0, "red"), list(1, "a b"), list(2, "c")];
    assert_eq!(
        told(group),
        ["1 show a1 red", "1 show b2 red", "2 show c3 red"]
    );
}

#[test]
fn lists_that_are_no_search_results_keep_their_clicks() {
    let related = |minute, items| {
        let shown = ShownList {
            name: Some("related".into()),
            ..shown(items)
        };
        event(minute, What::List(shown))
    };
    let results = |minute, items| {
        let shown = ShownList {
            name: Some("results".into()),
            ..shown(items)
        };
        event(minute, What::List(shown))
    };
    let filtered = |minute, items| {
        let shown = ShownList {
            refined: true,
            ..shown(items)
        };
        event(minute, What::List(shown))
    };
    let only = Rules {
        lists: vec!["results".into()],
        ..rules()
    };
    let group = vec![
        search(0, "red"),
        results(1, "a1 b2"),
        related(2, "b1"),
        click(3, "b"),
    ];
    assert_eq!(told_by(group, &only), ["1 show a1 red", "1 show b2 red"]);

    let group = vec![
        search(0, "red"),
        list(1, "a1 b2"),
        filtered(2, "b1"),
        click(3, "b"),
    ];
    let (joined, counts) = joined_by(group, &rules());
    assert_eq!((joined.events.len(), counts.lists.refined), (2, 1));
    assert_eq!(counts.actions["click"].other_list, 1);

    let group = vec![list(1, "a1"), click(2, "a")];
    let (joined, counts) = joined_by(group, &rules());
    assert_eq!((joined.events.len(), counts.lists.without_query), (0, 1));
}

#[test]
fn a_purchase_follows_its_click_out_of_the_search_results() {
    let group = vec![
        search(0, "red"),
        list(0, "a1"),
        click(1, "a"),
        list(40, "a1"),
        click(41, "a"),
        act(42, Action::Purchase, "a"),
    ];
    assert_eq!(told(group), ["0 show a1 red", "1 click a1 red"]);
}

#[test]
fn a_list_on_the_page_of_a_search_is_its_own_even_where_it_is_told_first() {
    let on = |page: &str, event: SourceEvent| {
        let page = Some(page.to_owned());
        let what = match event.what.clone() {
            What::Search { query, .. } => What::Search { query, page },
            What::List(list) => What::List(ShownList { page, ..list }),
            act => act,
        };
        SourceEvent { what, ..event }
    };
    let group = vec![
        on("/s?q=red", list(1, "a1")),
        on("/s?q=red", search(2, "red")),
        on("/hats", list(3, "a1")),
    ];
    assert_eq!(told(group), ["1 show a1 red"]);
}

#[test]
fn lists_that_are_named_decide() {
    let named = |id: &str, event: SourceEvent| SourceEvent {
        list_id: Some(id.into()),
        ..event
    };
    let with_query = |items: &str| ShownList {
        query: Some("red".into()),
        ..shown(items)
    };
    let group = vec![
        named("x", event(0, What::List(with_query("a1 b2")))),
        named("y", event(5, What::List(with_query("b1")))),
        named("x", click(50, "b")),
        named("y", click(51, "a")),
        named("z", click(52, "a")),
    ];
    let (joined, counts) = joined_by(group.clone(), &rules());
    assert_eq!(
        joined.events.last().map(|event| event.query_id.as_str()),
        Some("x")
    );
    let clicks = &counts.actions["click"];
    assert_eq!(
        (clicks.joined, clicks.not_shown, clicks.unknown_list),
        (1, 1, 1)
    );
    let queries: Vec<_> = joined
        .queries
        .iter()
        .map(|one| (one.query_id.as_str(), &one.items))
        .collect();
    assert_eq!(
        queries,
        [
            ("x", &vec!["a".to_owned(), "b".into()]),
            ("y", &vec!["b".into()])
        ]
    );
}

#[test]
fn a_list_without_a_client_takes_that_of_its_clicks() {
    let nobody = |event: SourceEvent| SourceEvent {
        client: String::new(),
        ..event
    };
    let group = vec![
        nobody(search(0, "red")),
        nobody(list(0, "a1")),
        click(1, "a"),
    ];
    let (joined, _) = joined_by(group, &rules());
    assert!(joined.events.iter().all(|event| event.client == "c"));
}

fn any_event() -> impl Strategy<Value = SourceEvent> {
    let item = prop::sample::select(vec!["a", "b", "c", "d"]);
    let items = prop::collection::vec((item.clone(), prop::option::of(1..5_u32)), 0..4);
    let name = prop::option::of(prop::sample::select(vec!["results", "related"]));
    let page = prop::option::weighted(0.3, prop::sample::select(vec!["/1", "/2"]));
    let query = prop::sample::select(vec!["red", "blue"]);
    let action = prop::sample::select(Action::ALL.to_vec());
    let own = prop::option::weighted(0.2, query.clone());
    let what = prop_oneof![
        1 => (query, page.clone()).prop_map(|(query, page)| What::Search {
            query: query.into(),
            page: page.map(Into::into),
        }),
        2 => (own, page, name, prop::bool::weighted(0.1), items).prop_map(
            |(query, page, name, refined, items)| What::List(ShownList {
                query: query.map(Into::into),
                page: page.map(Into::into),
                name: name.map(Into::into),
                refined,
                items: items
                    .into_iter()
                    .map(|(id, position)| ShownItem { id: id.into(), position })
                    .collect(),
            })
        ),
        3 => (action, item).prop_map(|(action, item)| What::Act { action, item: item.into() }),
    ];
    let session = prop::sample::select(vec!["s", "t"]);
    let list_id = prop::option::weighted(0.2, prop::sample::select(vec!["x", "y"]));
    (0..200_i64, what, session, list_id).prop_map(|(minute, what, session, list_id)| SourceEvent {
        session: session.into(),
        list_id: list_id.map(Into::into),
        ..event(minute, what)
    })
}

fn any_group() -> impl Strategy<Value = Vec<SourceEvent>> {
    prop::collection::vec(any_event(), 0..40).prop_map(|mut group| {
        group.sort();
        group.dedup();
        group
    })
}

/// Whether a list before `group[at]` showed the item: the rule in words, without the state that
/// `join` keeps.
fn had_been_shown(group: &[SourceEvent], at: usize, item: &str) -> bool {
    let act = &group[at];
    group[..at].iter().any(|event| match &event.what {
        What::List(list) if list.items.iter().any(|shown| shown.id == item) => match &act.list_id {
            Some(id) => event.list_id.as_ref() == Some(id),
            None => {
                event.session == act.session && act.time_ms - event.time_ms <= rules().window_ms
            }
        },
        _ => false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_event_has_an_earlier_impression_in_its_list(group in any_group()) {
        let (joined, _) = joined_by(group, &rules());
        let mut shown: HashMap<(&str, &str), i64> = HashMap::new();
        for event in &joined.events {
            let key = (event.query_id.as_str(), event.item.as_str());
            match event.action {
                None => prop_assert_eq!(shown.insert(key, event.time_ms), None),
                Some(_) => prop_assert!(shown.get(&key).is_some_and(|time| *time <= event.time_ms)),
            }
        }
        prop_assert!(joined.events.is_sorted_by_key(|event| event.time_ms));
    }

    #[test]
    fn a_click_is_joined_if_and_only_if_a_list_showed_the_item_before(group in any_group()) {
        let mut due = 0;
        for (at, event) in group.iter().enumerate() {
            if let What::Act { action: Action::Click, item } = &event.what {
                due += u64::from(had_been_shown(&group, at, item));
            }
        }
        let (_, counts) = joined_by(group, &rules());
        let clicks = counts.actions.get("click").cloned().unwrap_or_default();
        prop_assert_eq!(clicks.joined + clicks.other_list, due);
    }

    #[test]
    fn nothing_is_lost_without_being_counted(group in any_group()) {
        let read = |wanted: fn(&What) -> bool| {
            group.iter().filter(|event| wanted(&event.what)).count() as u64
        };
        let (acts, lists) = (
            read(|what| matches!(what, What::Act { .. })),
            read(|what| matches!(what, What::List(_))),
        );
        let (joined, counts) = joined_by(group, &rules());
        let written = joined.events.iter().filter(|event| event.action.is_some()).count() as u64;
        let impressions = joined.events.len() as u64 - written;
        let total: BTreeMap<_, _> = counts.actions.iter().map(|(name, one)| {
            (*name, one.joined + one.no_list_named + one.unknown_list + one.not_shown + one.other_list)
        }).collect();
        for (name, one) in &counts.actions {
            prop_assert_eq!(one.read, total[name]);
        }
        prop_assert_eq!(counts.orphans().0, acts);
        prop_assert_eq!(counts.orphans().0 - counts.orphans().1, written);
        prop_assert_eq!(counts.impressions, impressions);
        let kinds = &counts.lists;
        prop_assert_eq!(kinds.read, lists);
        prop_assert_eq!(kinds.written + kinds.without_query + kinds.other_list + kinds.refined, lists);
        let ids: HashSet<&str> = joined.events.iter().map(|event| event.query_id.as_str()).collect();
        let hits: usize = joined.queries.iter().map(|query| query.items.len()).sum();
        prop_assert_eq!(hits as u64, impressions);
        prop_assert!(joined.queries.len() >= ids.len());
    }
}
