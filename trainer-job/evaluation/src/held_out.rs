//! The lists that judge, and the figures they give.

use std::{collections::BTreeMap, ops::Range};

use searchop_contract::{ListSlice, Measure, Measurement, Metric};

use crate::{
    metrics::{Part, Weighted},
    rounded,
    statistics::{self, Bounds, Share},
};

/// Held-out lists. Every ranker is a score for each candidate of each list, list after list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeldOut {
    pub lists: Vec<HeldOutList>,
    /// One for each candidate.
    pub labels: Vec<u8>,
    /// Likewise, see [`crate::clicks`]; all are 1 where this is empty.
    pub weights: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct HeldOutList {
    /// Lists of one query key are one cluster.
    pub key: u32,
    pub candidates: Range<usize>,
    pub slices: Vec<ListSlice>,
}

/// A metric over some of the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub metric: Metric,
    pub k: u32,
    pub slice: Option<ListSlice>,
}

impl From<Measure> for Asked {
    fn from(measure: Measure) -> Self {
        let Measure {
            metric, k, slice, ..
        } = measure;
        Self { metric, k, slice }
    }
}

/// What each query key adds to a figure, in order of the keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ByQuery {
    pub keys: Vec<u32>,
    pub shares: Vec<Share>,
}

impl ByQuery {
    /// Σ value / Σ best.
    pub fn figure(&self, confidence: f64) -> Option<f64> {
        statistics::figure(&self.shares, confidence).and_then(|estimate| rounded(estimate.value))
    }
}

/// The scores that a measurement compares.
#[derive(Clone, Copy, Debug)]
pub struct Rankings<'a> {
    pub candidate: &'a [f64],
    /// `None` where there is nothing to compare with.
    pub reference: Option<&'a [f64]>,
    /// One of the two has trained on the held-out days.
    pub overlaps: bool,
}

impl HeldOut {
    /// Each query key counts once, as the mean of its lists; with weights, as much as its clicks.
    pub fn by_query(&self, scores: &[f64], asked: Asked) -> ByQuery {
        let mut queries: BTreeMap<u32, (Part, f64)> = BTreeMap::new();
        let wanted = |list: &&HeldOutList| asked.slice.is_none_or(|s| list.slices.contains(&s));
        for list in self.lists.iter().filter(wanted) {
            let rows = list.candidates.clone();
            let weighted = Weighted {
                scores: scores.get(rows.clone()).unwrap_or_default(),
                labels: &self.labels[rows.clone()],
                weights: self.weights.get(rows).unwrap_or_default(),
            };
            let Some(part) = weighted.measure(asked.metric, asked.k) else {
                continue;
            };
            let none = Part {
                value: 0.0,
                best: 0.0,
            };
            let (sum, lists) = queries.entry(list.key).or_insert((none, 0.0));
            if self.weights.is_empty() {
                sum.value += part.value / part.best;
                sum.best += 1.0;
            } else {
                sum.value += part.value;
                sum.best += part.best;
            }
            *lists += 1.0;
        }
        let share = |(sum, lists): (Part, f64)| Share {
            value: sum.value / lists,
            best: sum.best / lists,
        };
        ByQuery {
            keys: queries.keys().copied().collect(),
            shares: queries.into_values().map(share).collect(),
        }
    }

    /// The figure that a gate reads. Without a reference, a measure that asks for one has none.
    pub fn measurement(
        &self,
        measure: Measure,
        rankings: Rankings,
        confidence: f64,
    ) -> Measurement {
        let of = |scores: &[f64]| self.by_query(scores, measure.into());
        let candidate = of(rankings.candidate);
        let own = statistics::figure(&candidate.shares, confidence);
        let reference = rankings.reference.filter(|_| !rankings.overlaps).map(of);
        let difference = match &reference {
            Some(reference) => {
                statistics::relative_difference(&candidate.shares, &reference.shares, confidence)
            }
            None if measure.against.is_none() && !rankings.overlaps => own,
            None => None,
        };
        let bounds = difference.and_then(|estimate| estimate.bounds);
        Measurement {
            measure,
            candidate: own.and_then(|estimate| rounded(estimate.value)),
            reference: reference.and_then(|reference| reference.figure(confidence)),
            low: bounds.and_then(|Bounds { low, .. }| rounded(low)),
            high: bounds.and_then(|Bounds { high, .. }| rounded(high)),
            queries: u32::try_from(candidate.keys.len()).unwrap_or(u32::MAX),
            holdout_overlap: rankings.overlaps,
        }
    }
}

#[cfg(test)]
mod tests {
    use searchop_contract::Reference;

    use super::*;

    /// Two lists of one query, one of another, one that nobody clicked.
    fn held_out() -> HeldOut {
        let list = |key, first: usize, slices: &[ListSlice]| HeldOutList {
            key,
            candidates: first..first + 2,
            slices: slices.to_vec(),
        };
        HeldOut {
            lists: vec![
                list(7, 0, &[ListSlice::Head]),
                list(7, 2, &[ListSlice::Head]),
                list(3, 4, &[ListSlice::Tail, ListSlice::ColdQueries]),
                list(9, 6, &[ListSlice::Tail]),
            ],
            labels: vec![1, 0, 0, 1, 1, 0, 0, 0],
            weights: Vec::new(),
        }
    }

    const DOWN: [f64; 8] = [2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0];
    const UP: [f64; 8] = [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0];

    fn mrr(against: Option<Reference>) -> Measure {
        Measure::new(Metric::MRR, 10, against)
    }

    #[test]
    fn each_query_counts_once() {
        let found = held_out().by_query(&DOWN, mrr(None).into());
        assert_eq!(found.keys, [3, 7]);
        let values: Vec<f64> = found.shares.iter().map(|share| share.value).collect();
        assert_eq!(values, [1.0, 0.75]);
        assert_eq!(found.figure(0.95), Some(0.875));
    }

    #[test]
    fn a_slice_is_some_of_the_lists() {
        let keys = |slice| {
            let asked = Asked {
                slice: Some(slice),
                ..mrr(None).into()
            };
            held_out().by_query(&DOWN, asked).keys
        };
        assert_eq!(keys(ListSlice::Head), [7]);
        assert_eq!(keys(ListSlice::Tail), [3]);
        assert_eq!(keys(ListSlice::Torso), [0; 0]);
    }

    #[test]
    fn weights_let_rare_clicks_count_more() {
        let mut lists = held_out();
        lists.weights = vec![1.0; 8];
        lists.weights[3] = 4.0;
        let found = lists.by_query(&DOWN, mrr(None).into());
        // Query 3: 1 of 1; query 7: (1 + 4 · ½) / 2 of (1 + 4) / 2.
        assert_eq!(
            found.shares[1],
            Share {
                value: 1.5,
                best: 2.5
            }
        );
        assert_eq!(found.figure(0.95), Some(0.714_286));
    }

    #[test]
    fn a_comparison_is_relative_and_an_overlap_has_none() {
        let lists = held_out();
        let against = mrr(Some(Reference::Served));
        let rankings = Rankings {
            candidate: &DOWN,
            reference: Some(&UP),
            overlaps: false,
        };
        let found = lists.measurement(against, rankings, 0.95);
        assert_eq!(
            (found.candidate, found.reference, found.queries),
            (Some(0.875), Some(0.625), 2)
        );
        assert!(found.low.unwrap() < 0.4 && found.high.unwrap() > 0.4);
        for (reference, overlaps) in [(None, false), (Some(&UP[..]), true)] {
            let other = Rankings {
                reference,
                overlaps,
                ..rankings
            };
            let found = lists.measurement(against, other, 0.95);
            assert_eq!(found.candidate, Some(0.875));
            assert_eq!((found.reference, found.low, found.high), (None, None, None));
            assert_eq!(found.holdout_overlap, overlaps);
        }
        let own = lists.measurement(
            mrr(None),
            Rankings {
                reference: None,
                ..rankings
            },
            0.95,
        );
        assert!(own.low.unwrap() < 0.875 && own.high.unwrap() > 0.875);
    }

    #[test]
    fn scores_that_do_not_fit_give_no_figure() {
        let found = held_out().by_query(&[1.0], mrr(None).into());
        assert_eq!(found.figure(0.95), None);
    }
}
