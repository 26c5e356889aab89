//! The metrics beside other people's implementations; `golden/metrics.py` made the figures.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use searchop_contract::Metric;
use searchop_evaluation::{
    clicks,
    held_out::{Asked, HeldOut, HeldOutList},
    metrics::measure,
};
use serde::Deserialize;

const METRICS: [Metric; 5] = [
    Metric::NDCG,
    Metric::MRR,
    Metric::MAP,
    Metric::Recall,
    Metric::ERR,
];
const K: [u32; 3] = [1, 3, 10];

#[derive(Deserialize)]
struct Golden {
    mean: BTreeMap<String, f64>,
    lists: Vec<GoldenList>,
}

#[derive(Deserialize)]
struct GoldenList {
    scores: Vec<f64>,
    labels: Vec<u8>,
    /// `None` where no label is positive.
    figures: Option<BTreeMap<String, f64>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/metrics.json")).unwrap()
}

#[test]
fn every_metric_equals_an_independent_implementation() {
    let golden = golden();
    let tied = |list: &&GoldenList| {
        let mut scores = list.scores.clone();
        scores.sort_by(f64::total_cmp);
        scores.windows(2).any(|pair| pair[0] == pair[1])
    };
    assert!(golden.lists.iter().filter(tied).count() >= 20);
    assert!(golden.lists.iter().any(|list| list.figures.is_none()));
    for list in &golden.lists {
        for (metric, k) in METRICS.into_iter().flat_map(|m| K.map(|k| (m, k))) {
            let found = measure(metric, k, &list.scores, &list.labels);
            let want = list
                .figures
                .as_ref()
                .map(|figures| figures[&format!("{metric}@{k}")]);
            let close = match (found, want) {
                (Some(found), Some(want)) => (found - want).abs() < 1e-9,
                (found, want) => found == want,
            };
            let (scores, labels) = (&list.scores, &list.labels);
            assert!(
                close,
                "{metric}@{k} of {scores:?} {labels:?}: {found:?}, not {want:?}"
            );
        }
    }
}

#[test]
fn a_mean_leaves_out_lists_without_a_positive() {
    let golden = golden();
    for (metric, k) in METRICS.into_iter().flat_map(|m| K.map(|k| (m, k))) {
        let figures: Vec<f64> = golden
            .lists
            .iter()
            .filter_map(|list| measure(metric, k, &list.scores, &list.labels))
            .collect();
        let mean = figures.iter().sum::<f64>() / figures.len() as f64;
        assert!((mean - golden.mean[&format!("{metric}@{k}")]).abs() < 1e-9);
    }
}

/// Candidates a list, and sessions.
const SHOWN: usize = 10;
const SESSIONS: u32 = 20_000;

/// About standard normal.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| rng.random_range(-0.5..0.5)).sum()
}

/// One session: what was clicked where, what people would say, and what two models make of it.
struct Session {
    labels: [u8; SHOWN],
    grades: [u8; SHOWN],
    weights: [f64; SHOWN],
    like_shown: [f64; SHOWN],
    better: [f64; SHOWN],
}

/// The place p is looked at with probability 1 / p.
fn session(rng: &mut ChaCha8Rng) -> Session {
    let wanted: [f64; SHOWN] = std::array::from_fn(|_| normal(rng));
    let like_shown = wanted.map(|wanted| wanted + normal(rng));
    let better = wanted.map(|wanted| wanted + 0.6 * normal(rng));
    let above = |one: f64| like_shown.iter().filter(|other| **other > one).count();
    let propensity = like_shown.map(|score| 1.0 / (above(score) + 1) as f64);
    Session {
        labels: std::array::from_fn(|index| {
            let attractive = 0.6 / (1.0 + (-3.0 * (wanted[index] - 0.8)).exp());
            u8::from(rng.random_bool(propensity[index] * attractive))
        }),
        grades: wanted.map(|wanted| u8::from(wanted > 0.8)),
        weights: propensity.map(|propensity| clicks::weight(Some(propensity))),
        like_shown,
        better,
    }
}

#[test]
fn weighted_clicks_order_two_models_as_the_truth_does_and_raw_clicks_do_not() {
    let rng = &mut ChaCha8Rng::seed_from_u64(3);
    let sessions: Vec<Session> = (0..SESSIONS).map(|_| session(rng)).collect();
    let lists = |labels: fn(&Session) -> &[u8; SHOWN]| HeldOut {
        lists: (0..SESSIONS)
            .map(|key| HeldOutList {
                key,
                candidates: key as usize * SHOWN..(key as usize + 1) * SHOWN,
                slices: Vec::new(),
            })
            .collect(),
        labels: sessions.iter().flat_map(labels).copied().collect(),
        weights: Vec::new(),
    };
    let raw = lists(|session| &session.labels);
    let debiased = HeldOut {
        weights: sessions
            .iter()
            .flat_map(|session| session.weights)
            .collect(),
        ..raw.clone()
    };
    let truth = lists(|session| &session.grades);
    let like_shown: Vec<f64> = sessions
        .iter()
        .flat_map(|session| session.like_shown)
        .collect();
    let better: Vec<f64> = sessions.iter().flat_map(|session| session.better).collect();
    for metric in METRICS {
        let asked = Asked {
            metric,
            k: 10,
            slice: None,
        };
        // NDCG and the like at all places; recall would be 1 for everybody.
        let asked = if metric == Metric::Recall {
            Asked { k: 3, ..asked }
        } else {
            asked
        };
        let gain = |lists: &HeldOut| {
            let figure = |scores: &[f64]| lists.by_query(scores, asked).figure(0.95).unwrap();
            figure(&better) / figure(&like_shown) - 1.0
        };
        let (raw, debiased, truth) = (gain(&raw), gain(&debiased), gain(&truth));
        println!("{metric}: raw {raw:+.3}, debiased {debiased:+.3}, truth {truth:+.3}");
        assert!(truth > 0.02, "{metric}: the truth is {truth}");
        assert!(raw < -0.02, "{metric}: raw clicks see {raw}");
        assert!(
            debiased > raw,
            "{metric}: weighted clicks see {debiased}, raw ones {raw}"
        );
        // Exact for sums over positives; the others can only weigh whole lists.
        if matches!(metric, Metric::NDCG | Metric::Recall) {
            assert!(debiased > 0.02, "{metric}: weighted clicks see {debiased}");
        }
    }
}
