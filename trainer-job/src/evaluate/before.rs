//! What was seen before the held-out days, and so which slices a list is in.

use std::collections::{HashMap, HashSet};

use searchop_contract::ListSlice;

use crate::{
    rows::{RowList, Rows},
    slices::Slice,
};

/// Where the traffic of head and torso ends, from the most frequent query down.
const HEAD_SHARE: f64 = 1.0 / 3.0;
const TORSO_SHARE: f64 = 2.0 / 3.0;

pub(super) struct Before {
    /// By query key.
    parts: HashMap<u32, ListSlice>,
    items: HashSet<u32>,
}

impl Before {
    pub fn new(rows: &Rows) -> Self {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        let mut items = HashSet::new();
        for list in rows.of(Slice::Train).chain(rows.of(Slice::Valid)) {
            *counts.entry(list.key).or_default() += 1;
            items.extend(
                rows.candidates[list.rows.clone()]
                    .iter()
                    .map(|one| one.item),
            );
        }
        Self {
            parts: by_frequency(counts),
            items,
        }
    }

    /// The slices that a held-out list is in.
    pub fn slices(&self, rows: &Rows, list: &RowList) -> Vec<ListSlice> {
        let part = self.parts.get(&list.key).copied();
        let mut slices = vec![part.unwrap_or(ListSlice::Tail)];
        if part.is_none() {
            slices.push(ListSlice::ColdQueries);
        }
        let mut candidates = rows.candidates[list.rows.clone()].iter();
        if candidates.any(|one| one.label > 0 && !self.items.contains(&one.item)) {
            slices.push(ListSlice::ColdItems);
        }
        slices
    }
}

/// Query keys by how many lists they have, cut where a third of the lists and two thirds are above.
fn by_frequency(counts: HashMap<u32, usize>) -> HashMap<u32, ListSlice> {
    let all: usize = counts.values().sum();
    let mut keys: Vec<(u32, usize)> = counts.into_iter().collect();
    keys.sort_unstable_by_key(|&(key, count)| (std::cmp::Reverse(count), key));
    let mut above = 0;
    let part = |(key, count): (u32, usize)| {
        let share = above as f64 / all as f64;
        above += count;
        let part = match share {
            share if share < HEAD_SHARE => ListSlice::Head,
            share if share < TORSO_SHARE => ListSlice::Torso,
            _ => ListSlice::Tail,
        };
        (key, part)
    };
    keys.into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirds_of_the_traffic() {
        let counts = HashMap::from([(1, 30), (2, 20), (3, 20), (4, 10), (5, 10), (6, 10)]);
        let found = by_frequency(counts);
        let parts: Vec<ListSlice> = (1..=6).map(|key| found[&key]).collect();
        use ListSlice::{Head, Tail, Torso};
        assert_eq!(parts, [Head, Head, Torso, Tail, Tail, Tail]);
    }
}
