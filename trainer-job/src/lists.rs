//! Query groups: what one client was shown for one query, and what it did with each candidate.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::{
    data::day_of,
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
    /// Moment of its first impression, in seconds since 1970.
    pub time: i64,
    /// In order of the items' numbers, which says nothing about where they were shown.
    pub candidates: Vec<Candidate>,
}

/// One item of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub item: u32,
    pub position: Option<u32>,
    /// The most that happened: 0 nothing, 1 click, 2 cart, 3 purchase.
    pub label: u8,
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
}

struct Shown {
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
    keep_useful(shown, slices)
}

fn keep_useful(shown: Vec<Shown>, slices: &Slices) -> (Vec<List>, ListCounts) {
    let mut counts = ListCounts::default();
    let mut lists = Vec::new();
    for Shown {
        query,
        time_ms,
        candidates,
    } in shown
    {
        let day = day_of(time_ms);
        let Some(slice) = slices.of(day) else {
            continue;
        };
        let candidates: Vec<Candidate> = candidates.into_values().collect();
        if candidates.iter().all(|candidate| candidate.label == 0) {
            counts.without_action += 1;
            continue;
        }
        *match slice {
            Slice::Train => &mut counts.train,
            Slice::Valid => &mut counts.valid,
            Slice::Gate => &mut counts.gate,
        } += 1;
        lists.push(List {
            slice,
            query,
            day,
            time: time_ms.div_euclid(1000),
            candidates,
        });
    }
    (lists, counts)
}
