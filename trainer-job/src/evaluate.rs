//! How good the candidate is on the held-out lists, beside the served model and rankings that need
//! no model. Every ranker orders the same lists; each query counts once, as the mean of its lists.
//! The operator only compares these figures with limits.

use std::collections::BTreeMap;

use searchop_contract::{
    BaselineName, EvaluationSettings, Measure, Measurement, Metric, Reference,
};
use searchop_model::{features::features, forest::Forest};
use serde::{Deserialize, Serialize};

use crate::{
    metrics,
    rows::{RowList, Rows},
    slices::Slice,
    statistics::{self, Bounds},
};

/// Cut-off of the printed table.
const TABLE_K: u32 = 10;
/// Confidence of the printed comparisons; gates have their own.
const TABLE_CONFIDENCE: f64 = 0.95;
/// The feature by which BM25 ranks.
const BM25_FEATURE: &str = "all_bm25";

/// Held-out lists with the scores of each ranker.
pub struct Evaluation<'a> {
    rows: &'a Rows,
    lists: Vec<&'a RowList>,
    candidate: Scores,
    served: Option<Scores>,
    overlap: Overlap,
}

/// A score for each row of each held-out list, list after list.
type Scores = Vec<f64>;

/// Who is compared.
pub struct Contestants<'a> {
    pub candidate: &'a Forest,
    pub served: Option<&'a Forest>,
    pub overlap: Overlap,
}

/// Who has trained on some of the held-out days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlap {
    /// Then no figure means anything.
    pub candidate: bool,
    /// Then comparisons with it mean nothing.
    pub served: bool,
}

impl<'a> Evaluation<'a> {
    pub fn new(rows: &'a Rows, contestants: &Contestants) -> Self {
        let lists: Vec<&RowList> = rows.of(Slice::Gate).collect();
        let by = |forest: &Forest| rows.scores(forest, lists.iter().flat_map(|l| l.rows.clone()));
        let (candidate, served) = (by(contestants.candidate), contestants.served.map(by));
        Self {
            rows,
            candidate,
            served,
            overlap: contestants.overlap,
            lists,
        }
    }

    /// One measurement for each of `settings.measures`, in their order.
    pub fn measurements(&self, settings: &EvaluationSettings) -> Vec<Measurement> {
        settings
            .measures
            .iter()
            .map(|measure| self.measurement(*measure, settings.confidence))
            .collect()
    }

    fn measurement(&self, measure: Measure, confidence: f64) -> Measurement {
        let Measure { metric, k, against } = measure;
        let candidate = self.by_query(&self.candidate, metric, k);
        let reference = against
            .and_then(|reference| self.scores(reference))
            .map(|s| self.by_query(&s, metric, k));
        let own = statistics::mean(&candidate, confidence);
        let difference = match (&reference, against) {
            (Some(reference), _) => {
                statistics::relative_difference(&candidate, reference, confidence)
            }
            (None, None) => own,
            (None, Some(_)) => None,
        };
        let bounds = difference.and_then(|estimate| estimate.bounds);
        Measurement {
            measure,
            candidate: own.and_then(|estimate| rounded(estimate.value)),
            reference: reference
                .and_then(|values| statistics::mean(&values, confidence))
                .and_then(|e| rounded(e.value)),
            low: bounds.and_then(|Bounds { low, .. }| rounded(low)),
            high: bounds.and_then(|Bounds { high, .. }| rounded(high)),
            queries: u32::try_from(candidate.len()).unwrap_or(u32::MAX),
            holdout_overlap: self.overlap.candidate
                || (self.overlap.served && against == Some(Reference::Served)),
        }
    }

    fn scores(&self, reference: Reference) -> Option<Scores> {
        let rows = self.rows;
        match reference {
            Reference::Served => self.served.clone(),
            // Earlier is better; an unknown position is behind every known one.
            Reference::LoggedOrder => Some(score(rows, &self.lists, |index| {
                rows.candidates[index]
                    .position
                    .map_or(f64::NEG_INFINITY, |position| -f64::from(position))
            })),
            Reference::Bm25 => {
                let column = features()
                    .iter()
                    .position(|feature| feature.name == BM25_FEATURE)?;
                Some(score(rows, &self.lists, |index| {
                    f64::from(rows.row(index)[column])
                }))
            }
            // All the same: the metrics then give the expected value over every order.
            Reference::Random => Some(vec![0.0; self.candidate.len()]),
        }
    }

    /// The mean of each query's lists, in order of query keys.
    fn by_query(&self, scores: &[f64], metric: Metric, k: u32) -> Vec<f64> {
        let mut queries: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
        let mut start = 0;
        for list in &self.lists {
            let end = start + list.rows.len();
            let labels: Vec<u8> = self.rows.candidates[list.rows.clone()]
                .iter()
                .map(|candidate| candidate.label)
                .collect();
            if let Some(value) = metrics::measure(metric, k, &scores[start..end], &labels) {
                let (sum, lists) = queries.entry(list.key).or_default();
                *sum += value;
                *lists += 1.0;
            }
            start = end;
        }
        queries
            .into_values()
            .map(|(sum, lists)| sum / lists)
            .collect()
    }

    /// Held-out lists.
    pub fn lists(&self) -> usize {
        self.lists.len()
    }

    /// The figures of the candidate and of the baselines: nothing here depends on what is served.
    pub fn table(&self, baselines: &[BaselineName]) -> Table {
        let mut rankers = vec![self.figures("candidate", &self.candidate)];
        let mut comparisons = Vec::new();
        let ours = self.by_query(&self.candidate, Metric::NDCG, TABLE_K);
        for &baseline in baselines {
            let name = format!("{baseline:?}");
            if let Some(scores) = self.scores(baseline.into()) {
                rankers.push(self.figures(&name, &scores));
                comparisons.push(compare(
                    name,
                    &ours,
                    &self.by_query(&scores, Metric::NDCG, TABLE_K),
                ));
            }
        }
        Table {
            rankers,
            comparisons,
        }
    }

    /// The served model's line of the table.
    pub fn served_figures(&self) -> Option<Figures> {
        self.served
            .as_ref()
            .map(|scores| self.figures("served", scores))
    }

    fn figures(&self, ranker: &str, scores: &[f64]) -> Figures {
        let mean = |metric| {
            let values = self.by_query(scores, metric, TABLE_K);
            statistics::mean(&values, TABLE_CONFIDENCE).and_then(|estimate| rounded(estimate.value))
        };
        Figures {
            ranker: ranker.to_owned(),
            ndcg_at_10: mean(Metric::NDCG),
            mrr_at_10: mean(Metric::MRR),
            map_at_10: mean(Metric::MAP),
        }
    }
}

/// Rankers beside each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    pub rankers: Vec<Figures>,
    pub comparisons: Vec<Comparison>,
}

/// One ranker's line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    pub ranker: String,
    pub ndcg_at_10: Option<f64>,
    pub mrr_at_10: Option<f64>,
    pub map_at_10: Option<f64>,
}

/// NDCG@10 of the candidate against a baseline, query by query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    pub against: String,
    /// Relative to the baseline.
    pub difference: Option<f64>,
    /// One-sided bounds at 95 %.
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Queries on which the candidate is better, equal, worse.
    pub wins: usize,
    pub ties: usize,
    pub losses: usize,
}

fn compare(against: String, ours: &[f64], theirs: &[f64]) -> Comparison {
    /// Smaller differences are rounding.
    const EQUAL: f64 = 1e-12;
    let estimate = statistics::relative_difference(ours, theirs, TABLE_CONFIDENCE);
    let bounds = estimate.and_then(|estimate| estimate.bounds);
    let count = |holds: fn(f64) -> bool| {
        ours.iter()
            .zip(theirs)
            .filter(|(a, b)| holds(*a - *b))
            .count()
    };
    let (wins, losses) = (count(|d| d > EQUAL), count(|d| d < -EQUAL));
    Comparison {
        against,
        difference: estimate.and_then(|estimate| rounded(estimate.value)),
        low: bounds.and_then(|bounds| rounded(bounds.low)),
        high: bounds.and_then(|bounds| rounded(bounds.high)),
        wins,
        ties: ours.len() - wins - losses,
        losses,
    }
}

fn score(rows: &Rows, lists: &[&RowList], of: impl Fn(usize) -> f64) -> Scores {
    let scores: Scores = lists
        .iter()
        .flat_map(|list| list.rows.clone())
        .map(of)
        .collect();
    debug_assert!(scores.len() <= rows.candidates.len());
    scores
}

/// Six decimals are more than any list of queries can tell apart. `None` for what is no number.
fn rounded(value: f64) -> Option<f64> {
    // Adding zero turns -0.0 into 0.0.
    value.is_finite().then(|| (value * 1e6).round() / 1e6 + 0.0)
}
