//! Query groups: what one client was shown for one query, and what it did with each candidate.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use searchop_model::text::Analyzer;

use crate::{
    data::{DAY_MS, Judgment, Judgments, day_of},
    slices::{Slice, Slices},
    traffic::Traffic,
};

/// One list that a model can learn from or be judged by: at least one label is positive.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    pub slice: Slice,
    /// Index into [`Traffic::queries`].
    pub query: u32,
    /// UTC day of its first impression.
    pub day: i32,
    /// The newest day whose counters it sees: the day before, or one longer ago, see
    /// [`crate::counter_lag`].
    pub seen_through: i32,
    /// Moment of its first impression, in seconds since 1970.
    pub time: i64,
    /// In order of the items' numbers, which says nothing about where they were shown.
    pub candidates: Vec<Candidate>,
    /// Row-major, for each candidate its values of [`Traffic::declared`]; empty without any.
    pub declared: Vec<f32>,
}

/// One item of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub item: u32,
    pub position: Option<u32>,
    /// The most that happened: 0 nothing, 1 click, 2 cart, 3 purchase.
    pub label: u8,
    /// False for what the engine found and nobody saw.
    pub shown: bool,
}

impl Candidate {
    /// How much the row counts in training. What nobody saw was left out for some reason of the
    /// engine's, which is weaker evidence than being seen and passed over.
    pub fn weight(&self) -> f32 {
        if self.shown { 1.0 } else { NOT_SHOWN_WEIGHT }
    }
}

/// LightGBM's own limit to the rows of a query.
const LONGEST: usize = 10_000;

/// Weight of a candidate that was logged and not shown.
pub const NOT_SHOWN_WEIGHT: f32 = 0.2;

/// What became of the grades that people gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JudgmentCounts {
    /// Queries that models are measured on.
    pub queries: u64,
    /// Their grades.
    pub judgments: u64,
    /// Left out: pairs without a rating.
    pub unrated: u64,
    /// Left out: grades of items that the catalogue does not have.
    pub unknown_items: u64,
    /// Left out: queries without a good item, or with one item only.
    pub useless_queries: u64,
}

/// A list for each judged query, as if it were asked when the window ends, on `day`.
pub fn judged(
    judgments: &Judgments,
    traffic: &mut Traffic,
    (analyzer, day): (&Analyzer, i32),
) -> (Vec<List>, JudgmentCounts) {
    let mut counts = JudgmentCounts {
        unrated: judgments.unrated,
        ..JudgmentCounts::default()
    };
    let mut lists = Vec::new();
    let graded: Vec<(&Judgment, u8)> = judgments.all.iter().zip(judgments.grades()).collect();
    let queries: Vec<&[(&Judgment, u8)]> = graded
        .chunk_by(|(a, _), (b, _)| a.query == b.query)
        .collect();
    let texts: Vec<&str> = queries.iter().map(|one| one[0].0.query.as_str()).collect();
    let numbers = traffic.add_queries(&texts, analyzer);
    for (of_query, query) in queries.into_iter().zip(numbers) {
        let candidate = |(judgment, grade): &(&Judgment, u8)| {
            let item = traffic.known_item(&judgment.item)?;
            Some(Candidate {
                item,
                position: None,
                label: *grade,
                shown: true,
            })
        };
        let mut candidates: Vec<Candidate> = of_query.iter().filter_map(candidate).collect();
        candidates.sort_unstable_by_key(|candidate| candidate.item);
        counts.unknown_items += (of_query.len() - candidates.len()) as u64;
        if candidates.len() < 2 || candidates.iter().all(|candidate| candidate.label == 0) {
            counts.useless_queries += 1;
            continue;
        }
        counts.queries += 1;
        counts.judgments += candidates.len() as u64;
        lists.push(List {
            slice: Slice::Judged,
            query,
            day,
            seen_through: day - 1,
            time: i64::from(day) * DAY_MS / 1000,
            // Grades are of no request, so nothing was logged.
            declared: vec![f32::NAN; candidates.len() * traffic.declared.columns.len()],
            candidates,
        });
    }
    (lists, counts)
}

/// How many lists each slice has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListCounts {
    pub train: u64,
    pub valid: u64,
    pub gate: u64,
    /// Left out: nothing in the list was clicked, put in a cart or bought.
    pub without_action: u64,
    /// Left out: too young for its carts and purchases to be known.
    pub unripe: u64,
    /// Left out: more items than any shopper looks at, and than LightGBM takes.
    pub too_long: u64,
    /// Left out: one item only, which can be in no wrong order. Filters often leave one.
    pub single_item: u64,
    /// Rows for training that were logged and not shown; they weigh [`NOT_SHOWN_WEIGHT`].
    pub not_shown_rows: u64,
}

struct Shown {
    list: u32,
    query: u32,
    time_ms: i64,
    candidates: BTreeMap<u32, Candidate>,
}

/// The day of the oldest list; `None` without one.
pub fn oldest_day(traffic: &Traffic) -> Option<i32> {
    traffic
        .events
        .iter()
        .filter(|event| event.action == 0)
        .map(|event| event.day)
        .min()
}

/// All lists with a positive label, in order of their first impression.
pub fn build(traffic: &Traffic, slices: &Slices) -> (Vec<List>, ListCounts) {
    let mut shown: Vec<Shown> = Vec::new();
    let mut places: HashMap<u32, usize> = HashMap::new();
    for event in &traffic.events {
        if event.action == 0 {
            let place = *places.entry(event.list).or_insert_with(|| {
                shown.push(Shown {
                    list: event.list,
                    query: event.query,
                    time_ms: event.time_ms,
                    candidates: BTreeMap::new(),
                });
                shown.len() - 1
            });
            let candidate = Candidate {
                item: event.item,
                position: event.position,
                label: 0,
                shown: true,
            };
            shown[place]
                .candidates
                .entry(event.item)
                .or_insert(candidate);
        } else if let Some(&place) = places.get(&event.list) {
            let list = &mut shown[place];
            let until = slices
                .of(day_of(list.time_ms))
                .map(|slice| slices.labels_until(slice));
            if let (Some(until), Some(candidate)) = (until, list.candidates.get_mut(&event.item))
                && event.day <= until
            {
                candidate.label = candidate.label.max(event.action);
            }
        }
    }
    add_not_shown(&mut shown, &places, traffic);
    keep_useful(shown, traffic, slices)
}

/// What the engine found and nobody saw, as negatives for training alone: no figure may depend on
/// what was never offered.
fn add_not_shown(shown: &mut [Shown], places: &HashMap<u32, usize>, traffic: &Traffic) {
    for (list, item) in &traffic.not_shown {
        let Some(&place) = places.get(list) else {
            continue;
        };
        let candidate = Candidate {
            item: *item,
            position: None,
            label: 0,
            shown: false,
        };
        shown[place].candidates.entry(*item).or_insert(candidate);
    }
}

fn keep_useful(shown: Vec<Shown>, traffic: &Traffic, slices: &Slices) -> (Vec<List>, ListCounts) {
    let mut counts = ListCounts::default();
    let mut lists = Vec::new();
    for Shown {
        list,
        query,
        time_ms,
        candidates,
    } in shown
    {
        let day = day_of(time_ms);
        let Some(slice) = slices.of(day) else {
            counts.unripe += 1;
            continue;
        };
        let candidates: Vec<Candidate> = candidates
            .into_values()
            .filter(|candidate| candidate.shown || slice == Slice::Train)
            .collect();
        if candidates.len() > LONGEST {
            counts.too_long += 1;
            continue;
        }
        if candidates.len() < 2 {
            counts.single_item += 1;
            continue;
        }
        if candidates.iter().all(|candidate| candidate.label == 0) {
            counts.without_action += 1;
            continue;
        }
        *match slice {
            Slice::Train => &mut counts.train,
            Slice::Valid => &mut counts.valid,
            Slice::Gate | Slice::Judged => &mut counts.gate,
        } += 1;
        counts.not_shown_rows += candidates.iter().filter(|one| !one.shown).count() as u64;
        let mut declared = Vec::new();
        for candidate in &candidates {
            traffic.declared.push(list, candidate.item, &mut declared);
        }
        lists.push(List {
            declared,
            slice,
            query,
            day,
            seen_through: day - 1,
            time: time_ms.div_euclid(1000),
            candidates,
        });
    }
    (lists, counts)
}
