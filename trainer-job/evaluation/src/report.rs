//! What people read of a judgement: figures side by side, and query by query.

use searchop_contract::{
    BoostingParameters, ClickWeights, Digest, Evidence, ListSlice, Measurement, Metric,
};
use serde::{Deserialize, Serialize};

use crate::{
    held_out::{Asked, HeldOut},
    overlap::rank_biased_overlap,
    rounded,
    statistics::{self, smallest_gain},
};

/// Cut-off of the printed tables.
pub const TABLE_K: u32 = 10;
/// Confidence of the printed comparisons; gates have their own.
pub const TABLE_CONFIDENCE: f64 = 0.95;
/// So many queries that gained and that lost the most are named.
const NAMED_QUERIES: usize = 10;
/// Smaller differences are rounding.
const EQUAL: f64 = 1e-12;

/// One ranker's line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    pub ranker: String,
    pub ndcg_at_10: Option<f64>,
    pub mrr_at_10: Option<f64>,
    pub map_at_10: Option<f64>,
    #[serde(default)]
    pub recall_at_10: Option<f64>,
    #[serde(default)]
    pub err_at_10: Option<f64>,
}

impl Figures {
    pub fn new(ranker: &str, held_out: &HeldOut, scores: &[f64]) -> Self {
        let mean = |metric| {
            let found = held_out.by_query(scores, asked(metric, None));
            found.figure(TABLE_CONFIDENCE)
        };
        Self {
            ranker: ranker.to_owned(),
            ndcg_at_10: mean(Metric::NDCG),
            mrr_at_10: mean(Metric::MRR),
            map_at_10: mean(Metric::MAP),
            recall_at_10: mean(Metric::Recall),
            err_at_10: mean(Metric::ERR),
        }
    }
}

/// NDCG@10 of the candidate against another ranker, query by query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    pub against: String,
    /// Relative to the other.
    pub difference: Option<f64>,
    /// One-sided bounds at 95 %.
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// The smallest relative gain that is seen in four of five such comparisons.
    #[serde(default)]
    pub smallest_gain: Option<f64>,
    /// Queries on which the candidate is better, equal, worse.
    pub wins: usize,
    pub ties: usize,
    pub losses: usize,
    /// Mean difference of the tenth of the queries that lose the most.
    #[serde(default)]
    pub worst_decile: Option<f64>,
    /// Mean rank-biased overlap of the two orders; 1 where nothing changes.
    #[serde(default)]
    pub rank_biased_overlap: Option<f64>,
}

/// Two rankers over the same lists.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    pub held_out: &'a HeldOut,
    pub candidate: &'a [f64],
    pub other: &'a [f64],
}

/// A query's NDCG@10 under both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryChange {
    /// Query key.
    pub query: String,
    pub candidate: f64,
    pub other: f64,
}

/// Queries that gained and that lost the most, most first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    pub winners: Vec<QueryChange>,
    pub losers: Vec<QueryChange>,
}

/// NDCG@10 on part of the lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SliceFigures {
    pub slice: ListSlice,
    pub queries: usize,
    pub candidate: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<f64>,
}

impl Pair<'_> {
    /// Key, candidate's value, other's value; each relative to the best order of the key's lists.
    fn queries(&self) -> Vec<(u32, f64, f64)> {
        let asked = asked(Metric::NDCG, None);
        let ours = self.held_out.by_query(self.candidate, asked);
        let theirs = self.held_out.by_query(self.other, asked);
        let pairs = ours.shares.iter().zip(&theirs.shares);
        ours.keys
            .iter()
            .zip(pairs)
            .map(|(&key, (a, b))| (key, a.value / a.best, b.value / b.best))
            .collect()
    }

    pub fn compare(&self, against: &str) -> Comparison {
        let asked = asked(Metric::NDCG, None);
        let ours = self.held_out.by_query(self.candidate, asked).shares;
        let theirs = self.held_out.by_query(self.other, asked).shares;
        let estimate = statistics::relative_difference(&ours, &theirs, TABLE_CONFIDENCE);
        let bounds = estimate.and_then(|estimate| estimate.bounds);
        let mut differences: Vec<f64> = self.queries().iter().map(|(_, a, b)| a - b).collect();
        let count = |holds: fn(f64) -> bool| differences.iter().filter(|d| holds(**d)).count();
        let (wins, losses) = (count(|d| d > EQUAL), count(|d| d < -EQUAL));
        let ties = differences.len() - wins - losses;
        differences.sort_unstable_by(f64::total_cmp);
        let worst = &differences[..differences.len().div_ceil(10)];
        let queries = u32::try_from(ours.len()).unwrap_or(u32::MAX);
        Comparison {
            against: against.to_owned(),
            difference: estimate.and_then(|estimate| rounded(estimate.value)),
            low: bounds.and_then(|bounds| rounded(bounds.low)),
            high: bounds.and_then(|bounds| rounded(bounds.high)),
            smallest_gain: estimate.and_then(|estimate| {
                let reach = estimate.value - estimate.bounds?.low;
                rounded(smallest_gain(reach, TABLE_CONFIDENCE, queries)?)
            }),
            wins,
            ties,
            losses,
            worst_decile: rounded(worst.iter().sum::<f64>() / worst.len() as f64),
            rank_biased_overlap: self.overlap(),
        }
    }

    fn overlap(&self) -> Option<f64> {
        let overlaps: Vec<f64> = self
            .held_out
            .lists
            .iter()
            .filter_map(|list| {
                let rows = list.candidates.clone();
                rank_biased_overlap(&self.candidate[rows.clone()], &self.other[rows])
            })
            .collect();
        rounded(overlaps.iter().sum::<f64>() / overlaps.len() as f64)
    }

    /// `names` are the query keys by number.
    pub fn changes(&self, names: &[String]) -> Changes {
        let mut queries = self.queries();
        // Equal differences in order of the keys' numbers, so that the same data say the same.
        queries.sort_by(|x, y| (y.1 - y.2).total_cmp(&(x.1 - x.2)).then(x.0.cmp(&y.0)));
        let named = |&(key, candidate, other): &(u32, f64, f64)| {
            Some(QueryChange {
                query: names.get(key as usize)?.clone(),
                candidate: rounded(candidate)?,
                other: rounded(other)?,
            })
        };
        let won = queries.iter().take_while(|(_, a, b)| a - b > EQUAL);
        let lost = queries.iter().rev().take_while(|(_, a, b)| a - b < -EQUAL);
        Changes {
            winners: won.take(NAMED_QUERIES).filter_map(named).collect(),
            losers: lost.take(NAMED_QUERIES).filter_map(named).collect(),
        }
    }
}

/// Every slice that has a list, and those of new queries and new items in any case: what they do not
/// say is said.
pub fn slices(held_out: &HeldOut, candidate: &[f64], served: Option<&[f64]>) -> Vec<SliceFigures> {
    let figures = |slice: ListSlice| {
        let asked = asked(Metric::NDCG, Some(slice));
        let found = held_out.by_query(candidate, asked);
        let served = served.and_then(|s| held_out.by_query(s, asked).figure(TABLE_CONFIDENCE));
        let always = matches!(slice, ListSlice::ColdQueries | ListSlice::ColdItems);
        (always || !found.keys.is_empty()).then(|| SliceFigures {
            slice,
            queries: found.keys.len(),
            candidate: found.figure(TABLE_CONFIDENCE),
            served,
        })
    };
    ListSlice::ALL.into_iter().filter_map(figures).collect()
}

fn asked(metric: Metric, slice: Option<ListSlice>) -> Asked {
    Asked {
        metric,
        k: TABLE_K,
        slice,
    }
}

/// How a version came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Course {
    /// That are kept: the validation lists were best ordered after them.
    pub trees: u32,
    /// Some points of the way, the best and the last among them.
    pub curve: Vec<CurvePoint>,
    /// Every feature, the most useful first.
    pub importance: Vec<FeatureShare>,
    /// Absent where no parameters were searched for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning: Option<Search>,
}

/// A search for parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Search {
    /// Trials that were asked for.
    pub asked: u32,
    /// Those that ended, the first one with the parameters as they were declared.
    pub trials: Vec<Trial>,
    /// Index of the best, which is the model.
    pub chosen: usize,
    /// Time ran out before all were tried: another machine may find another model.
    pub out_of_time: bool,
}

/// A training with some parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    pub parameters: BoostingParameters,
    /// Best NDCG@10 on the validation lists, and after how many trees; absent where no split was found.
    pub valid: Option<f64>,
    pub trees: u32,
}

/// NDCG@10 after so many trees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CurvePoint {
    pub tree: u32,
    /// On the lists that were trained on; not taken after every tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<f64>,
    pub valid: f64,
}

/// What a feature did in the trees that are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeatureShare {
    pub feature: String,
    /// Of the loss that all splits took away, 0 to 1.
    pub share: f64,
    /// Splits that use it.
    pub splits: u64,
}

impl Course {
    /// At most about this many points are kept of a curve.
    const POINTS: usize = 40;

    /// `valid` after each tree, `train` after some, gains in any order.
    pub fn new(
        trees: u32,
        (valid, train): (&[f64], &[(u32, f64)]),
        gains: impl Iterator<Item = (String, f64, u64)>,
    ) -> Self {
        let last = valid.len() as u32;
        let step = (train.len().div_ceil(Self::POINTS)).max(1);
        let mut trees_shown: Vec<u32> = train.iter().step_by(step).map(|one| one.0).collect();
        trees_shown.extend([trees, last]);
        trees_shown.sort_unstable();
        trees_shown.dedup();
        let point = |tree: u32| {
            let train = train.iter().find(|one| one.0 == tree);
            Some(CurvePoint {
                tree,
                train: train.map(|one| one.1),
                valid: *valid.get(tree.checked_sub(1)? as usize)?,
            })
        };
        let gains: Vec<(String, f64, u64)> = gains.collect();
        let all: f64 = gains.iter().map(|(_, gain, _)| gain).sum();
        let share = |(feature, gain, splits): (String, f64, u64)| FeatureShare {
            feature,
            share: rounded(gain / all).unwrap_or(0.0),
            splits,
        };
        let mut importance: Vec<FeatureShare> = gains.into_iter().map(share).collect();
        importance.sort_by(|a, b| {
            let by_share = b.share.total_cmp(&a.share);
            by_share.then_with(|| a.feature.cmp(&b.feature))
        });
        Self {
            trees,
            curve: trees_shown.into_iter().filter_map(point).collect(),
            importance,
            tuning: None,
        }
    }
}

/// The candidate beside another training on the same rows that differs in its seed alone: what two
/// versions differ by where nothing has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OtherSeed {
    pub seed: u32,
    /// What the other training took, in seconds.
    pub seconds: f64,
    pub comparison: Comparison,
}

/// Everything that was found out about one version when it was judged, beside the artifacts: what is
/// served meanwhile is in here, so that it is no part of the model, whose address does not depend on
/// that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationReport {
    pub version: u32,
    pub digest: Digest,
    /// The served version's model, where one was compared.
    #[serde(default)]
    pub reference: Option<Digest>,
    /// Days that judged, both included.
    pub from: String,
    pub to: String,
    /// One-sided confidence of the measurements' bounds.
    pub confidence: f64,
    /// What relevance was read from where nothing was asked for.
    pub evidence: Evidence,
    #[serde(default)]
    pub clicks: Option<ClickWeights>,
    /// The version that [`searchop_contract::Reference::BestPromoted`] stands for.
    #[serde(default)]
    pub best_promoted: Option<u32>,
    pub measurements: Vec<Measurement>,
    /// Candidate, served version and baselines.
    pub rankers: Vec<Figures>,
    pub comparisons: Vec<Comparison>,
    pub slices: Vec<SliceFigures>,
    /// Against the served version, else against the first baseline.
    pub changes: Changes,
    /// Absent where the version was only evaluated and its own report cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub course: Option<Course>,
    /// Absent where nothing was trained, or where another training would have taken too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_seed: Option<OtherSeed>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held_out::HeldOutList;

    /// `n` lists of a query each with one click: first under `ours`, second under theirs in every
    /// third list, the other way round in every fifth, else alike.
    fn pair(n: usize) -> (HeldOut, Vec<f64>, Vec<f64>) {
        let mut held_out = HeldOut::default();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for key in 0..n {
            held_out.lists.push(HeldOutList {
                key: key as u32,
                candidates: 2 * key..2 * key + 2,
                slices: vec![if key < 4 {
                    ListSlice::Head
                } else {
                    ListSlice::Tail
                }],
            });
            held_out.labels.extend([1, 0]);
            let (up, down) = ([1.0, 0.0], [0.0, 1.0]);
            ours.extend(if key % 5 == 4 { down } else { up });
            theirs.extend(if key % 3 == 2 { down } else { up });
        }
        (held_out, ours, theirs)
    }

    #[test]
    fn wins_losses_and_who_they_are() {
        let (held_out, ours, theirs) = pair(60);
        let pair = Pair {
            held_out: &held_out,
            candidate: &ours,
            other: &theirs,
        };
        let found = pair.compare("served");
        assert_eq!((found.wins, found.ties, found.losses), (16, 36, 8));
        assert!(found.low < found.difference && found.difference < found.high);
        assert!(found.smallest_gain.unwrap() > found.difference.unwrap() - found.low.unwrap());
        // Six of the eight that lose are the worst tenth.
        let loss = 1.0 / 3_f64.log2() - 1.0;
        assert_eq!(found.worst_decile, rounded(loss));
        assert!((0.5..1.0).contains(&found.rank_biased_overlap.unwrap()));
        let names: Vec<String> = (0..60).map(|n| format!("q{n}")).collect();
        let changes = pair.changes(&names);
        assert_eq!((changes.winners.len(), changes.losers.len()), (10, 8));
        assert_eq!(
            (&*changes.winners[0].query, &*changes.losers[0].query),
            ("q2", "q54")
        );
    }

    #[test]
    fn of_slices_without_lists_only_the_cold_ones_are_there() {
        let (held_out, ours, theirs) = pair(10);
        let found = slices(&held_out, &ours, Some(&theirs));
        let seen: Vec<_> = found.iter().map(|one| (one.slice, one.queries)).collect();
        let expected = [
            (ListSlice::ColdQueries, 0),
            (ListSlice::ColdItems, 0),
            (ListSlice::Head, 4),
            (ListSlice::Tail, 6),
        ];
        assert_eq!(seen, expected);
        for one in found {
            assert_eq!(one.served.is_some(), one.queries > 0);
            assert_eq!(one.candidate.is_some(), one.queries > 0);
        }
    }

    #[test]
    fn a_course_is_thinned_and_keeps_the_best_and_the_last_tree() {
        let valid: Vec<f64> = (1..=1003).map(|tree| f64::from(tree) / 2000.0).collect();
        let train: Vec<(u32, f64)> = (0..=100).map(|tenth| ((tenth * 10).max(1), 0.5)).collect();
        let gains = [("a", 1.0, 3), ("b", 3.0, 2), ("c", 0.0, 0)];
        let gains = gains.map(|(name, gain, splits)| (name.to_owned(), gain, splits));
        let course = Course::new(973, (&valid, &train), gains.into_iter());
        assert!(
            (30..=50).contains(&course.curve.len()),
            "{}",
            course.curve.len()
        );
        let at = |tree| {
            course
                .curve
                .iter()
                .find(|point| point.tree == tree)
                .unwrap()
        };
        assert_eq!((at(973).train, at(973).valid), (None, 0.4865));
        assert_eq!((at(1).train, at(1003).valid), (Some(0.5), 0.5015));
        let shares: Vec<_> = course
            .importance
            .iter()
            .map(|one| (&*one.feature, one.share))
            .collect();
        assert_eq!(shares, [("b", 0.75), ("a", 0.25), ("c", 0.0)]);
    }

    #[test]
    fn no_list_at_all_says_nothing() {
        let held_out = HeldOut::default();
        let nothing = Pair {
            held_out: &held_out,
            candidate: &[],
            other: &[],
        };
        let found = nothing.compare("served");
        assert_eq!(
            (found.difference, found.worst_decile, found.ties),
            (None, None, 0)
        );
        assert_eq!(nothing.changes(&[]), Changes::default());
    }
}
