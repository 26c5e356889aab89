//! Two rankings of the same candidates, and what moved each of them.
//!
//! A score says nothing by itself: another training has another scale. So places are explained by
//! standings: how far a score is above the mean of the list, in standard deviations of the list's
//! scores. Exact Shapley values sum to the score, so that a feature's value above its own mean, in
//! the same unit, is the feature's part of the standing, and the parts sum to it.

use jiff::Timestamp;
use searchop_contract::Digest;
use searchop_evaluation::overlap::rank_biased_overlap;
use searchop_model::{bundle::Bundle, forest::Contributions, item::Candidate};
use serde::Serialize;

use super::{DiffError, candidates::Asked, find::Version};

/// Parts of a standing that are smaller are rounding.
const NOTHING: f64 = 1e-9;

/// What a version makes of the candidates, in their order.
#[derive(Clone, Debug)]
pub struct Ranking {
    pub head: Head,
    pub features: Vec<String>,
    /// NaN is missing.
    pub rows: Vec<Vec<f32>>,
    pub scores: Vec<f64>,
    pub contributions: Vec<Contributions>,
    /// Whether the tables know the item.
    pub known: Vec<bool>,
}

/// Which version, and from which tables.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    pub version: i32,
    pub digest: Digest,
    pub tables_digest: Digest,
    /// End of the newest day that the tables count.
    pub tables_time: Timestamp,
}

impl Ranking {
    pub fn of(
        version: &Version,
        bundle: &Bundle,
        asked: &Asked,
        time: Timestamp,
    ) -> Result<Self, DiffError> {
        let candidates: Vec<Candidate> = asked.items.iter().map(|item| item.candidate()).collect();
        let (query, time) = (&asked.query, time.as_second());
        let forest = &bundle.model.forest;
        let rows = bundle.features_of(query, time, &candidates);
        let explained = rows.iter().map(|row| forest.explain(row));
        let contributions = explained.collect::<Result<_, _>>();
        let tables = &bundle.tables;
        Ok(Self {
            head: Head {
                version: version.version,
                digest: version.digest.clone(),
                tables_digest: version.tables.clone(),
                tables_time: bundle.tables_manifest.tables_time,
            },
            features: forest.feature_names().to_vec(),
            scores: rows.iter().map(|row| forest.score(row)).collect(),
            contributions: contributions.map_err(|source| DiffError::Explain {
                version: version.version,
                source,
            })?,
            known: (candidates.iter())
                .map(|candidate| tables.item(candidate.id).is_some())
                .collect(),
            rows,
        })
    }

    /// Counted from 1, by candidate; equal scores keep the order of the candidates.
    fn places(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.scores.len()).collect();
        order.sort_by(|&a, &b| self.scores[b].total_cmp(&self.scores[a]));
        let mut places = vec![0; order.len()];
        for (place, candidate) in order.into_iter().enumerate() {
            places[candidate] = place + 1;
        }
        places
    }

    fn scale(&self) -> Scale {
        let mean = |values: &mut dyn Iterator<Item = f64>| {
            values.sum::<f64>() / self.scores.len().max(1) as f64
        };
        let score = mean(&mut self.scores.iter().copied());
        let squares = self.scores.iter().map(|one| (one - score).powi(2));
        let deviation = mean(&mut squares.into_iter()).sqrt();
        let of_column = |column: usize| {
            let parts = self.contributions.iter();
            mean(&mut parts.map(|parts| parts.features[column]))
        };
        Scale {
            score,
            features: (0..self.features.len()).map(of_column).collect(),
            deviation,
        }
    }
}

/// Means over the candidates, and the standard deviation of the scores.
struct Scale {
    score: f64,
    features: Vec<f64>,
    deviation: f64,
}

impl Scale {
    /// 0 in a list of equal scores.
    fn of(&self, value: f64, mean: f64) -> f64 {
        if self.deviation > 0.0 {
            (value - mean) / self.deviation
        } else {
            0.0
        }
    }
}

/// One query under two versions.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    pub query: String,
    /// Moment that features were computed for.
    pub time: Timestamp,
    /// Where the candidates are from, in words.
    pub candidates: String,
    pub before: Head,
    pub after: Head,
    /// Rank-biased, of the two orders; 1 where nothing moves.
    pub overlap: Option<f64>,
    /// In the order of the later version.
    pub items: Vec<ItemDiff>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemDiff {
    pub id: String,
    pub before: Standing,
    pub after: Standing,
    /// What differs, the largest change first.
    pub features: Vec<FeatureDiff>,
}

impl ItemDiff {
    /// Places that it fell; negative for one that rose.
    pub fn fell(&self) -> i64 {
        self.after.place as i64 - self.before.place as i64
    }
}

/// Where an item stands under one version.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    pub place: usize,
    pub score: f64,
    /// Above the mean of the list, in standard deviations of its scores.
    pub standing: f64,
    pub in_tables: bool,
}

/// A feature of an item whose value or part differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FeatureDiff {
    pub feature: String,
    /// Absent where a version has no such feature.
    pub before: Option<Part>,
    pub after: Option<Part>,
    /// Of the part of the standing. All changes of an item sum to that of its standing.
    pub change: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// `None` is missing.
    pub value: Option<f32>,
    /// Shapley value, in the unit of the score.
    pub contribution: f64,
    /// Part of the standing.
    pub standing: f64,
}

impl Diff {
    /// The first of some ids that is no candidate.
    pub fn missing<'a>(&self, ids: &'a [String]) -> Option<&'a String> {
        let is_candidate = |id: &String| self.items.iter().any(|item| item.id == *id);
        ids.iter().find(|id| !is_candidate(id))
    }
}

pub fn compare(asked: &Asked, time: Timestamp, before: &Ranking, after: &Ranking) -> Diff {
    let sides = [Side::of(before), Side::of(after)];
    let item = |(index, item): (usize, &super::candidates::Item)| ItemDiff {
        id: item.id.clone(),
        before: sides[0].standing(index),
        after: sides[1].standing(index),
        features: features(&sides, index),
    };
    let mut items: Vec<ItemDiff> = asked.items.iter().enumerate().map(item).collect();
    items.sort_by_key(|item| item.after.place);
    Diff {
        query: asked.query.clone(),
        time,
        candidates: asked.from.clone(),
        before: before.head.clone(),
        after: after.head.clone(),
        overlap: rank_biased_overlap(&before.scores, &after.scores),
        items,
    }
}

struct Side<'a> {
    ranking: &'a Ranking,
    places: Vec<usize>,
    scale: Scale,
}

impl<'a> Side<'a> {
    fn of(ranking: &'a Ranking) -> Self {
        Self {
            ranking,
            places: ranking.places(),
            scale: ranking.scale(),
        }
    }

    fn standing(&self, index: usize) -> Standing {
        let score = self.ranking.scores[index];
        Standing {
            place: self.places[index],
            score,
            standing: self.scale.of(score, self.scale.score),
            in_tables: self.ranking.known[index],
        }
    }

    fn part(&self, index: usize, feature: &str) -> Option<Part> {
        let mut names = self.ranking.features.iter();
        let column = names.position(|name| name == feature)?;
        let contribution = self.ranking.contributions[index].features[column];
        let value = self.ranking.rows[index][column];
        Some(Part {
            value: Some(value).filter(|value| !value.is_nan()),
            contribution,
            standing: self.scale.of(contribution, self.scale.features[column]),
        })
    }
}

fn features(sides: &[Side; 2], index: usize) -> Vec<FeatureDiff> {
    let [before, after] = sides;
    let only_before = |name: &&String| !after.ranking.features.contains(name);
    let names = after.ranking.features.iter();
    let names = names.chain(before.ranking.features.iter().filter(only_before));
    let feature = |name: &String| {
        let (before, after) = (before.part(index, name), after.part(index, name));
        let standing = |part: Option<Part>| part.map_or(0.0, |part| part.standing);
        let change = standing(after) - standing(before);
        let same = before.map(|part| part.value) == after.map(|part| part.value);
        (!same || change.abs() > NOTHING).then(|| FeatureDiff {
            feature: name.clone(),
            before,
            after,
            change,
        })
    };
    let mut found: Vec<FeatureDiff> = names.filter_map(feature).collect();
    found.sort_by(|a, b| b.change.abs().total_cmp(&a.change.abs()));
    found
}

#[cfg(test)]
pub mod tests {
    use super::{super::candidates::Item, *};
    use crate::cluster::testing::{digest, now};

    /// A version whose scores are the sums of two features, each worth its value.
    fn ranking(version: i32, rows: &[[f32; 2]]) -> Ranking {
        let letter = if version == 7 { 'a' } else { 'b' };
        let value = |value: f32| {
            if value.is_nan() {
                0.0
            } else {
                f64::from(value)
            }
        };
        Ranking {
            head: Head {
                version,
                digest: digest(letter).parse().unwrap(),
                tables_digest: digest('e').parse().unwrap(),
                tables_time: now(),
            },
            features: vec!["ctr".into(), "price".into()],
            rows: rows.iter().map(|row| row.to_vec()).collect(),
            scores: rows.iter().map(|[a, b]| value(*a) + value(*b)).collect(),
            contributions: rows
                .iter()
                .map(|row| Contributions {
                    expected: 0.0,
                    features: row.iter().map(|one| value(*one)).collect(),
                })
                .collect(),
            known: vec![true; rows.len()],
        }
    }

    /// The click rate of `a` has sunk, and `c` is new to the later tables.
    pub fn diff() -> Diff {
        let asked = Asked {
            query: "red shoe".into(),
            items: ["a", "b", "c"]
                .map(|id| Item {
                    id: id.into(),
                    ..Item::default()
                })
                .into(),
            from: "as named".into(),
            time: None,
        };
        let mut before = ranking(7, &[[4.0, 1.0], [2.0, 1.0], [f32::NAN, 1.0]]);
        before.known[2] = false;
        let after = ranking(8, &[[1.0, 1.0], [2.0, 1.0], [0.5, 1.0]]);
        compare(&asked, now(), &before, &after)
    }

    #[test]
    fn changes_of_features_sum_to_the_change_of_the_standing() {
        let found = diff();
        let order: Vec<&str> = found.items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(order, ["b", "a", "c"]);
        let moved: Vec<i64> = found.items.iter().map(ItemDiff::fell).collect();
        assert_eq!(moved, [-1, 1, 0]);
        assert!(found.overlap.unwrap() < 1.0);
        for item in &found.items {
            let sum: f64 = item.features.iter().map(|feature| feature.change).sum();
            let change = item.after.standing - item.before.standing;
            assert!((sum - change).abs() < 1e-12, "{item:?}");
        }
        // A feature that is worth the same for all moves nobody.
        assert!(
            found.items.iter().all(|item| item.features.len() == 1),
            "{found:?}"
        );
        assert_eq!(found.items[2].features[0].before.unwrap().value, None);
    }

    #[test]
    fn a_list_of_equal_scores_has_no_standings() {
        let asked = Asked {
            items: vec![Item::default()],
            ..Asked::default()
        };
        let one = ranking(7, &[[4.0, 1.0]]);
        let found = compare(&asked, now(), &one, &one);
        let item = &found.items[0];
        assert_eq!((item.before.standing, item.features.len()), (0.0, 0));
        assert_eq!(found.overlap, Some(1.0));
    }

    #[test]
    fn a_feature_of_one_version_alone_is_a_change() {
        let asked = Asked {
            items: vec![Item::default(), Item::default()],
            ..Asked::default()
        };
        let rows = [[4.0, 1.0], [2.0, 1.0]];
        let (before, mut after) = (ranking(7, &rows), ranking(8, &rows));
        after.features[0] = "rate".into();
        let found = compare(&asked, now(), &before, &after);
        let names = found.items[0].features.iter();
        let names: Vec<_> = names
            .map(|one| (&*one.feature, one.before.is_some(), one.after.is_some()))
            .collect();
        assert_eq!(names, [("rate", false, true), ("ctr", true, false)]);
    }
}
